// SPDX-License-Identifier: Apache-2.0

// Package private is the vocabulary of private XML storage: pieces of XML that a client keeps at
// its account, for itself and the account's other clients.
//
// XEP-0049 (complete, 1.2)
package private

import (
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// NS qualifies <query/>.
const NS = "jabber:iq:private"

// Query asks for elements, by empty ones of their name, or sets or returns them. It implements
// stanza.Payload. XEP-0049 §2.3
type Query struct {
	// Elements are whole, with all namespaces they need, and in one of their own.
	Elements []stanza.Raw
}

// Get asks for what is kept under a name.
func Get(name xmlstream.Name) *Query { return &Query{[]stanza.Raw{Empty(name)}} }

// Empty is an element of that name with nothing in it: the question, and the answer where nothing
// is kept.
func Empty(name xmlstream.Name) stanza.Raw {
	b := append([]byte("<"), name.Local...)
	b = xmlstream.AppendAttr(b, "xmlns", name.Space)
	return stanza.Raw{Name: name, Bytes: append(b, "/>"...)}
}

// XMLName implements stanza.Payload.
func (*Query) XMLName() xmlstream.Name { return xmlstream.Name{Space: NS, Local: "query"} }

// AppendXML implements stanza.Payload.
func (q *Query) AppendXML(dst []byte) []byte {
	dst = append(dst, "<query xmlns='"+NS+"'"...)
	if len(q.Elements) == 0 {
		return append(dst, "/>"...)
	}
	dst = append(dst, '>')
	for i := range q.Elements {
		dst = q.Elements[i].AppendXML(dst)
	}
	return append(dst, "</query>"...)
}

// DecodeXML implements stanza.Payload. An element without a namespace of its own is not-acceptable.
func (q *Query) DecodeXML(r *xmlstream.Reader) error {
	*q = Query{}
	for n := range r.Children() {
		if n.Space == NS || n.Space == "" || n.Space == stanza.NSClient {
			r.Fail(stanza.NotAcceptable.Err("private XML needs a namespace of its own"))
			break
		}
		var e stanza.Raw
		if err := e.DecodeXML(r); err != nil {
			return err
		}
		q.Elements = append(q.Elements, e)
	}
	return r.Err()
}
