// SPDX-License-Identifier: Apache-2.0

package senml

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/stonechat-im/stonechat/xmpp/jsonmsg"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

const (
	// Datatype is that of packs in the payload of a message. XEP-0432 §2
	Datatype = "urn:ietf:rfc:8428"
	// MediaType is that of packs as AppendJSON writes them. RFC 8428 §12.3.1
	MediaType = "application/senml+json"
)

// AppendJSON appends the pack in JSON, which can stand in a jsonmsg.JSON. RFC 8428 §5
func (p Pack) AppendJSON(dst []byte) []byte {
	dst = append(dst, '[')
	start := len(dst)
	fold(p, func(w *row) {
		if len(dst) > start {
			dst = append(dst, ',')
		}
		dst = w.appendJSON(append(dst, '{'))
		dst = append(dst, '}')
	})
	return append(dst, ']')
}

func (w *row) appendJSON(dst []byte) []byte {
	start := len(dst)
	for l := range labels {
		if !w.holds(l) {
			continue
		}
		if len(dst) > start {
			dst = append(dst, ',')
		}
		dst = append(append(append(dst, '"'), fields[l].name...), '"', ':')
		if fields[l].form == formString {
			dst = appendString(dst, w.text[l])
		} else {
			dst = append(dst, w.text[l]...)
		}
	}
	return dst
}

// appendString appends a string of JSON that XML can carry.
func appendString(dst []byte, s string) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a string can always be written
	text := strings.TrimSuffix(b.String(), "\n")
	// JSON need not escape these two, and XML has no way to say them.
	return append(dst, strings.NewReplacer("\ufffe", `\ufffe`, "\uffff", `\uffff`).Replace(text)...)
}

// ParseJSON reads a pack in JSON and resolves its bases. What it refuses it refuses with a
// *stanza.Error. RFC 8428 §5
func ParseJSON(data []byte) (Pack, error) {
	if !utf8.Valid(data) {
		return nil, stanza.BadRequest.Err("a pack is UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if t, err := d.Token(); err != nil || t != json.Delim('[') {
		return nil, errJSON()
	}
	var b resolver
	for d.More() {
		w, err := readRow(d)
		if err != nil {
			return nil, err
		}
		if err := b.add(&w); err != nil {
			return nil, err
		}
	}
	if _, err := d.Token(); err != nil { // the end of the array
		return nil, errJSON()
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errJSON()
	}
	return b.done()
}

// readRow reads one object. Names are compared byte by byte, and none is there twice.
func readRow(d *json.Decoder) (w row, err error) {
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return w, errJSON()
	}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return w, errJSON()
		}
		key, _ := t.(string) // the decoder sees to it
		l, known, err := lookup(key)
		if err != nil {
			return w, err
		}
		if !known {
			var ignored json.RawMessage
			if d.Decode(&ignored) != nil {
				return w, errJSON()
			}
			continue
		}
		if w.holds(l) {
			return w, stanza.BadRequest.Err("the field " + key + " is there twice")
		}
		if err := w.readField(d, l); err != nil {
			return w, err
		}
	}
	if _, err := d.Token(); err != nil { // the end of the object
		return w, errJSON()
	}
	return w, nil
}

func (w *row) readField(d *json.Decoder, l label) error {
	t, err := d.Token()
	if err != nil {
		return errJSON()
	}
	switch t := t.(type) {
	case string:
		if fields[l].form == formString {
			w.set(l, t)
			return nil
		}
	case json.Number:
		if fields[l].form == formNumber {
			w.set(l, t.String())
			return nil
		}
	case bool:
		if fields[l].form == formBool {
			w.set(l, BoolValue(t).String())
			return nil
		}
	}
	return stanza.BadRequest.Err("the field " + fields[l].name + " is of another type")
}

func errJSON() error { return stanza.BadRequest.Err("a pack is an array of objects in JSON") }

// Payload is the pack as what a message carries. XEP-0432 §2.2
func (p Pack) Payload() *jsonmsg.Payload {
	return &jsonmsg.Payload{Datatype: Datatype, JSON: p.AppendJSON(nil)}
}

// FromPayload reads the pack of a message's payload. found is false if the data are of another type.
func FromPayload(data *jsonmsg.Payload) (p Pack, found bool, err error) {
	if data.Datatype != Datatype {
		return nil, false, nil
	}
	p, err = ParseJSON(data.JSON)
	return p, true, err
}
