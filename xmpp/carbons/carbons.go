// SPDX-License-Identifier: Apache-2.0

// Package carbons is the vocabulary of message carbons: copies of what an account's other sessions
// send and receive.
//
// A copy is to be believed only if it comes from one's own account: anybody else could make up
// whole conversations. Package client checks that.
//
// XEP-0280 (complete, 1.0.1)
package carbons

import (
	"github.com/stonechat-im/stonechat/xmpp/forward"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

const (
	// NS qualifies all elements and is the feature of servers that make copies.
	NS = "urn:xmpp:carbons:2"
	// NSRules is the feature of servers that choose messages by the rules of XEP-0280 §6.1.
	NSRules = "urn:xmpp:carbons:rules:0"
)

// The elements of NS that are no copies. XEP-0280 §4, §5, §9
const (
	Enable  Switch = "enable"  // a request: make copies for this session
	Disable Switch = "disable" // a request: make none any more
	Private Switch = "private" // in a message: make no copies of it
)

// Switch is one of them. *Switch implements stanza.Payload.
type Switch string

// XMLName implements stanza.Payload.
func (s *Switch) XMLName() xmlstream.Name { return xmlstream.Name{Space: NS, Local: string(*s)} }

// AppendXML implements stanza.Payload.
func (s *Switch) AppendXML(dst []byte) []byte {
	return append(append(append(dst, '<'), *s...), " xmlns='"+NS+"'/>"...)
}

// DecodeXML implements stanza.Payload. Any other element is bad-request.
func (s *Switch) DecodeXML(r *xmlstream.Reader) error {
	switch got := Switch(r.Name().Local); got {
	case Enable, Disable, Private:
		*s = got
	default:
		r.Fail(stanza.BadRequest.Err("no such element of carbons"))
	}
	return r.Err()
}

// Copy is a message that another session of the account has sent, or that the account or another
// session has received. *Copy implements stanza.Payload. XEP-0280 §6, §7
type Copy struct {
	Sent      bool
	Forwarded forward.Forwarded
}

// XMLName implements stanza.Payload.
func (c *Copy) XMLName() xmlstream.Name {
	if c.Sent {
		return xmlstream.Name{Space: NS, Local: "sent"}
	}
	return xmlstream.Name{Space: NS, Local: "received"}
}

// AppendXML implements stanza.Payload.
func (c *Copy) AppendXML(dst []byte) []byte {
	name := c.XMLName().Local
	dst = append(dst, "<"+name+" xmlns='"+NS+"'>"...)
	dst = c.Forwarded.AppendXML(dst)
	return append(dst, "</"+name+">"...)
}

// DecodeXML implements stanza.Payload. A copy of nothing is bad-request.
func (c *Copy) DecodeXML(r *xmlstream.Reader) error {
	*c = Copy{Sent: r.Name().Local == "sent"}
	for n := range r.Children() {
		if n == c.Forwarded.XMLName() {
			if err := c.Forwarded.DecodeXML(r); err != nil {
				return err
			}
		}
	}
	if c.Forwarded.Stanza == nil {
		r.Fail(stanza.BadRequest.Err("a copy of nothing"))
	}
	return r.Err()
}
