// SPDX-License-Identifier: Apache-2.0

package senml

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// NS qualifies <sensml/> and <senml/>. RFC 8428 §7
const NS = "urn:ietf:params:xml:ns:senml"

// XMLName implements stanza.Payload.
func (*Pack) XMLName() xmlstream.Name { return xmlstream.Name{Space: NS, Local: "sensml"} }

// AppendXML implements stanza.Payload. RFC 8428 §7
func (p *Pack) AppendXML(dst []byte) []byte {
	dst = append(dst, "<sensml xmlns='"+NS+"'>"...)
	fold(*p, func(w *row) {
		dst = append(dst, "<senml"...)
		for l := range labels {
			if w.holds(l) {
				dst = w.appendAttr(dst, l)
			}
		}
		dst = append(dst, "/>"...)
	})
	return append(dst, "</sensml>"...)
}

func (w *row) appendAttr(dst []byte, l label) []byte {
	text := w.text[l]
	if l == textValue {
		text = escape(text)
	}
	if text == "" {
		return append(append(append(dst, ' '), fields[l].name...), "=''"...)
	}
	return xmlstream.AppendAttr(dst, fields[l].name, text)
}

// DecodeXML implements stanza.Payload. It resolves bases. Packs beyond the bounds are
// policy-violation, of later versions not-acceptable, all others that are wrong bad-request.
func (p *Pack) DecodeXML(r *xmlstream.Reader) error {
	*p = nil
	var b resolver
	for n := range r.Children() {
		if n != (xmlstream.Name{Space: NS, Local: "senml"}) {
			continue
		}
		w, err := readAttrs(r)
		if err == nil {
			err = b.add(&w)
		}
		if err != nil {
			r.Fail(err)
		}
	}
	if r.Err() != nil {
		return r.Err()
	}
	pack, err := b.done()
	if err != nil {
		r.Fail(err)
	}
	*p = pack
	return r.Err()
}

func readAttrs(r *xmlstream.Reader) (w row, err error) {
	for key, text := range r.Attrs() {
		l, known, err := lookup(key)
		if err != nil {
			return w, err
		}
		if !known {
			continue
		}
		switch {
		case l == textValue:
			text = unescape(text)
		case fields[l].form == formNumber:
			text = strings.Trim(text, " \t\r\n")
		case fields[l].form == formBool:
			if text, err = readBool(strings.Trim(text, " \t\r\n")); err != nil {
				return w, err
			}
		}
		w.set(l, text)
	}
	return w, nil
}

func readBool(s string) (string, error) {
	switch s {
	case "true", "1":
		return "true", nil
	case "false", "0":
		return "false", nil
	}
	return "", stanza.BadRequest.Err("a truth is true or false")
}

// escape writes a text with the escapes of JSON, which can say what XML cannot. RFC 8428 §7
func escape(s string) string {
	quoted := appendString(nil, s)
	return string(quoted[1 : len(quoted)-1])
}

// unescape reads a text with the escapes of JSON.
//
// COMPAT(makers of XML, 2018): a text in which something else follows a backslash was written without
// escapes, and quotes stand for themselves.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	b := []byte{'"'}
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && i+1 < len(s):
			b = append(b, c, s[i+1])
			i++
		case c == '"':
			b = append(b, '\\', c)
		case c < ' ':
			b = fmt.Appendf(b, `\u%04x`, c)
		default:
			b = append(b, c)
		}
	}
	var text string
	if json.Unmarshal(append(b, '"'), &text) != nil {
		return s
	}
	return text
}
