// SPDX-License-Identifier: Apache-2.0

// Package stanzaid is the vocabulary of ids that stay: those that an archive gives a message, and those that its sender
// gave it.
//
// The id of an archive is to be believed only of one who is known to take away what others write in its name: one's own
// server and rooms that announce NS.
//
// XEP-0359 (complete, 0.7.0)
package stanzaid

import (
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// NS qualifies all elements and is the feature of who follows the rules of XEP-0359 §5.
const NS = "urn:xmpp:sid:0"

// ID is the id that By has given a stanza. It implements stanza.Payload. XEP-0359 §3.1
type ID struct {
	By jid.JID
	ID string
}

// XMLName implements stanza.Payload.
func (*ID) XMLName() xmlstream.Name { return xmlstream.Name{Space: NS, Local: "stanza-id"} }

// AppendXML implements stanza.Payload.
func (id *ID) AppendXML(dst []byte) []byte {
	dst = append(dst, "<stanza-id xmlns='"+NS+"'"...)
	dst = xmlstream.AppendAttr(dst, "by", id.By.String())
	dst = xmlstream.AppendAttr(dst, "id", id.ID)
	return append(dst, "/>"...)
}

// DecodeXML implements stanza.Payload. An element without an id is bad-request, one without a good address jid-malformed.
func (id *ID) DecodeXML(r *xmlstream.Reader) error {
	*id = ID{ID: r.Attr("id")}
	var err error
	if id.By, err = jid.Parse(r.Attr("by")); err != nil {
		r.Fail(stanza.JIDMalformed.Err("the address in a stanza-id is not valid"))
	}
	if id.ID == "" {
		r.Fail(stanza.BadRequest.Err("a stanza-id needs an id"))
	}
	return r.Err()
}

// Of returns the id that by has given s, or "".
func Of(s *stanza.Stanza, by jid.JID) string {
	for i := range s.Len() {
		if !is(s, i, "stanza-id") {
			continue
		}
		var id ID
		if id.DecodeXML(s.Reader(i)) == nil && id.By == by {
			return id.ID
		}
	}
	return ""
}

// Cut takes away all ids of s that by would have given it, if it had been by who did. XEP-0359 §5, rule 2
func Cut(s *stanza.Stanza, by jid.JID) {
	for i := range s.Len() {
		if !is(s, i, "stanza-id") {
			continue
		}
		if named, err := jid.Parse(s.Reader(i).Attr("by")); err == nil && named == by {
			s.Cut(i)
		}
	}
}

// is reports whether child i is of that name, and there.
func is(s *stanza.Stanza, i int, name string) bool {
	space, local, ok := s.Child(i)
	return ok && string(space) == NS && string(local) == name
}

// Origin is the id that a message's sender has given it. *Origin implements stanza.Payload. XEP-0359 §3.2
type Origin string

// XMLName implements stanza.Payload.
func (*Origin) XMLName() xmlstream.Name { return xmlstream.Name{Space: NS, Local: "origin-id"} }

// AppendXML implements stanza.Payload.
func (o *Origin) AppendXML(dst []byte) []byte {
	dst = append(dst, "<origin-id xmlns='"+NS+"'"...)
	dst = xmlstream.AppendAttr(dst, "id", string(*o))
	return append(dst, "/>"...)
}

// DecodeXML implements stanza.Payload. An element without an id is bad-request.
func (o *Origin) DecodeXML(r *xmlstream.Reader) error {
	*o = Origin(r.Attr("id"))
	if *o == "" {
		r.Fail(stanza.BadRequest.Err("an origin-id needs an id"))
	}
	return r.Err()
}
