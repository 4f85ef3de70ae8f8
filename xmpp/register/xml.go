// SPDX-License-Identifier: Apache-2.0

package register

import (
	"github.com/stonechat-im/stonechat/xmpp/form"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// XMLName implements stanza.Payload.
func (*Query) XMLName() xmlstream.Name { return xmlstream.Name{Space: NS, Local: "query"} }

// AppendXML implements stanza.Payload. Fields that are not Known are left out.
func (q *Query) AppendXML(dst []byte) []byte {
	dst = append(dst, "<query xmlns='"+NS+"'>"...)
	start := len(dst)
	if q.Registered {
		dst = append(dst, "<registered/>"...)
	}
	if q.Instructions != "" {
		dst = xmlstream.AppendText(dst, "instructions", q.Instructions)
	}
	for _, f := range q.Fields {
		switch {
		case !Known(f.Name): // there is no such element
		case f.Value == "":
			dst = append(append(append(dst, '<'), f.Name...), "/>"...)
		default:
			dst = xmlstream.AppendText(dst, f.Name, f.Value)
		}
	}
	if q.Remove {
		dst = append(dst, "<remove/>"...)
	}
	if q.Form != nil {
		dst = q.Form.AppendXML(dst)
	}
	if q.URL != "" {
		dst = append(dst, "<x xmlns='"+NSRedirect+"'>"...)
		dst = xmlstream.AppendText(dst, "url", q.URL)
		dst = append(dst, "</x>"...)
	}
	if len(dst) == start {
		return append(dst[:start-1], "/>"...)
	}
	return append(dst, "</query>"...)
}

// DecodeXML implements stanza.Payload. A field given twice is bad-request, and so
// is <remove/> beside anything else (XEP-0077 §3.2). Fields that are not Known are
// ignored.
func (q *Query) DecodeXML(r *xmlstream.Reader) error {
	*q = Query{}
	for n := range r.Children() {
		switch n {
		case xmlstream.Name{Space: NS, Local: "registered"}:
			q.Registered = true
		case xmlstream.Name{Space: NS, Local: "remove"}:
			q.Remove = true
		case xmlstream.Name{Space: NS, Local: "instructions"}:
			q.Instructions = r.Text()
		case xmlstream.Name{Space: form.NS, Local: "x"}:
			q.Form = new(form.Form)
			if err := q.Form.DecodeXML(r); err != nil {
				r.Fail(err)
			}
		case xmlstream.Name{Space: NSRedirect, Local: "x"}:
			for n := range r.Children() {
				if n == (xmlstream.Name{Space: NSRedirect, Local: "url"}) {
					q.URL = r.Text()
				}
			}
		default:
			if n.Space == NS && Known(n.Local) {
				q.field(r, n.Local)
			}
		}
	}
	if q.Remove && (q.Registered || q.Instructions != "" || q.Form != nil || q.URL != "" || len(q.Fields) > 0) {
		r.Fail(stanza.BadRequest.Err("a cancellation stands alone"))
	}
	return r.Err()
}

func (q *Query) field(r *xmlstream.Reader, name string) {
	if _, twice := q.Get(name); twice {
		r.Fail(stanza.BadRequest.Err("the field " + name + " is given twice"))
		return
	}
	q.Fields = append(q.Fields, Field{Name: name, Value: r.Text()})
}
