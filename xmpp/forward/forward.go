// SPDX-License-Identifier: Apache-2.0

// Package forward is the vocabulary of forwarded stanzas: one stanza inside another, with the time
// at which it passed. Anybody can write one, so whether it is to be believed is for the
// specification that uses it to say, and for who receives it to check.
//
// XEP-0297 (complete, 1.0)
package forward

import (
	"github.com/stonechat-im/stonechat/xmpp/delay"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// NS qualifies <forwarded/> and is the feature of clients that show such messages to people.
const NS = "urn:xmpp:forward:0"

// Forwarded is a stanza and when it passed. *Forwarded implements stanza.Payload. XEP-0297 §3
type Forwarded struct {
	Delay *delay.Delay // nil: it does not say
	// Stanza is one whole element of the namespace jabber:client, with all declarations it needs.
	Stanza []byte
}

// New forwards s.
func New(s *stanza.Stanza, d *delay.Delay) *Forwarded {
	return &Forwarded{d, s.Append(make([]byte, 0, s.Size()), stanza.NSClient)}
}

// Parse reads the stanza, which is the caller's.
func (f *Forwarded) Parse() (*stanza.Stanza, error) { return stanza.Parse(f.Stanza) }

// XMLName implements stanza.Payload.
func (*Forwarded) XMLName() xmlstream.Name { return xmlstream.Name{Space: NS, Local: "forwarded"} }

// AppendXML implements stanza.Payload.
func (f *Forwarded) AppendXML(dst []byte) []byte {
	dst = append(dst, "<forwarded xmlns='"+NS+"'>"...)
	if f.Delay != nil {
		dst = f.Delay.AppendXML(dst)
	}
	dst = append(dst, f.Stanza...)
	return append(dst, "</forwarded>"...)
}

// DecodeXML implements stanza.Payload. What holds no stanza, or two, is bad-request.
func (f *Forwarded) DecodeXML(r *xmlstream.Reader) error {
	*f = Forwarded{}
	for n := range r.Children() {
		switch n {
		case xmlstream.Name{Space: delay.NS, Local: "delay"}:
			f.Delay = new(delay.Delay)
			if err := f.Delay.DecodeXML(r); err != nil {
				return err
			}
		case xmlstream.Name{Space: stanza.NSClient, Local: "message"},
			xmlstream.Name{Space: stanza.NSClient, Local: "presence"},
			xmlstream.Name{Space: stanza.NSClient, Local: "iq"}:
			if f.Stanza != nil {
				r.Fail(stanza.BadRequest.Err("two stanzas are forwarded as one"))
				return r.Err()
			}
			f.Stanza = []byte(r.Raw())
		}
	}
	if f.Stanza == nil {
		r.Fail(stanza.BadRequest.Err("no stanza is forwarded"))
	}
	return r.Err()
}
