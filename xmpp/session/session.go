// SPDX-License-Identifier: Apache-2.0

// Package session is the vocabulary of session establishment, which does nothing
// any more: servers offer it as optional and answer it with an empty result, for
// clients that insist.
//
// RFC 3921 §3
package session

import "github.com/stonechat-im/stonechat/xmpp/xmlstream"

// NS qualifies <session/>, in IQs and as the stream feature.
const NS = "urn:ietf:params:xml:ns:xmpp-session"

// Session is the request, and the stream feature. It implements stanza.Payload.
type Session struct {
	Optional bool // in the feature: a client may leave the request out
}

// XMLName implements stanza.Payload.
func (*Session) XMLName() xmlstream.Name { return xmlstream.Name{Space: NS, Local: "session"} }

// AppendXML implements stanza.Payload.
func (s *Session) AppendXML(dst []byte) []byte {
	if !s.Optional {
		return append(dst, "<session xmlns='"+NS+"'/>"...)
	}
	return append(dst, "<session xmlns='"+NS+"'><optional/></session>"...)
}

// DecodeXML implements stanza.Payload.
func (s *Session) DecodeXML(r *xmlstream.Reader) error {
	*s = Session{}
	for n := range r.Children() {
		if n == (xmlstream.Name{Space: NS, Local: "optional"}) {
			s.Optional = true
		}
	}
	return r.Err()
}
