// SPDX-License-Identifier: Apache-2.0

package muc

import (
	"github.com/stonechat-im/stonechat/xmpp/form"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// AdminQuery asks who has a role or an affiliation, is the answer, or changes roles or affiliations. It
// implements stanza.Payload. XEP-0045 §8, §9, §10
type AdminQuery struct{ Items []Item }

// XMLName implements stanza.Payload.
func (*AdminQuery) XMLName() xmlstream.Name { return xmlstream.Name{Space: NSAdmin, Local: "query"} }

// AppendXML implements stanza.Payload.
func (q *AdminQuery) AppendXML(dst []byte) []byte {
	dst = append(dst, "<query xmlns='"+NSAdmin+"'"...)
	if len(q.Items) == 0 {
		return append(dst, "/>"...)
	}
	dst = append(dst, '>')
	for i := range q.Items {
		dst = q.Items[i].append(dst)
	}
	return append(dst, "</query>"...)
}

// DecodeXML implements stanza.Payload. Its errors are those of User.
func (q *AdminQuery) DecodeXML(r *xmlstream.Reader) error {
	*q = AdminQuery{}
	for n := range r.Children() {
		if n == (xmlstream.Name{Space: NSAdmin, Local: "item"}) {
			q.Items = append(q.Items, decodeItem(r, NSAdmin))
		}
	}
	return r.Err()
}

// OwnerQuery asks for a room's configuration, is the answer, changes it, or destroys the room. It
// implements stanza.Payload. XEP-0045 §10
type OwnerQuery struct {
	Form    *form.Form
	Destroy *Destroy
}

// XMLName implements stanza.Payload.
func (*OwnerQuery) XMLName() xmlstream.Name { return xmlstream.Name{Space: NSOwner, Local: "query"} }

// AppendXML implements stanza.Payload.
func (q *OwnerQuery) AppendXML(dst []byte) []byte {
	dst = append(dst, "<query xmlns='"+NSOwner+"'"...)
	if q.Form == nil && q.Destroy == nil {
		return append(dst, "/>"...)
	}
	dst = append(dst, '>')
	if q.Form != nil {
		dst = q.Form.AppendXML(dst)
	}
	if q.Destroy != nil {
		dst = q.Destroy.append(dst)
	}
	return append(dst, "</query>"...)
}

// DecodeXML implements stanza.Payload. A form that is none, and both a form and the end of the room,
// are bad-request.
func (q *OwnerQuery) DecodeXML(r *xmlstream.Reader) error {
	*q = OwnerQuery{}
	for n := range r.Children() {
		switch n {
		case xmlstream.Name{Space: form.NS, Local: "x"}:
			q.Form = new(form.Form)
			if err := q.Form.DecodeXML(r); err != nil {
				r.Fail(err)
			}
		case xmlstream.Name{Space: NSOwner, Local: "destroy"}:
			q.Destroy = decodeDestroy(r, NSOwner)
		}
	}
	if q.Form != nil && q.Destroy != nil {
		r.Fail(stanza.BadRequest.Err("configure the room or destroy it, not both"))
	}
	return r.Err()
}
