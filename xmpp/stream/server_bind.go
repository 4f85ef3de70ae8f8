// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"time"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// isBind reports whether e is an IQ with a <bind/>.
func isBind(e *xmlstream.Element) bool {
	if string(e.Local) != "iq" {
		return false
	}
	for i := range e.Children {
		if c := &e.Children[i]; string(c.Space) == NSBind && string(c.Local) == "bind" {
			return true
		}
	}
	return false
}

// badRequest is the stanza error that this package answers by itself. RFC 6120 §8.3.3.1.
const badRequest = "<error type='modify'><bad-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"

// bindRequest takes the IQ that asks for a resource. RFC 6120 §7.6, §7.7.
func (s *Server) bindRequest(e *xmlstream.Element) Event {
	r := xmlstream.NewReader(e.Raw, content)
	id, typ := r.Attr("id"), r.Attr("type")
	s.login.bindID = id
	switch {
	case typ == "result" || typ == "error":
		return Event{} // an answer to nothing we asked is dropped: RFC 6120 §8.2.3
	case typ != "set" || id == "":
		s.refuseBind([]byte(badRequest))
		return Event{}
	}
	want := s.jid
	for n := range r.Children() {
		if n.Space != NSBind {
			continue
		}
		for n := range r.Children() {
			if n.Space != NSBind || n.Local != "resource" {
				continue
			}
			// What cannot be a resource is like none: the server chooses. RFC 6120 §7.7.2.1
			// prefers that to an error.
			if full, err := s.jid.WithResource(r.Text()); err == nil {
				want = full
			}
		}
	}
	s.login.bind, s.waiting = true, true
	return Event{Kind: Bind, JID: want}
}

// Bind answers Bind with the full JID that is bound. The stream is Bound.
func (s *Server) Bind(full jid.JID) {
	if !s.waiting || s.login == nil || !s.login.bind {
		return
	}
	out := s.appendIQ("result", s.login.bindID)
	out = append(out, "<bind xmlns='"+NSBind+"'>"...)
	out = xmlstream.AppendText(out, "jid", full.String())
	s.wrote(append(out, "</bind></iq>"...))
	s.bound(full)
}

// RefuseBind answers Bind with a complete <error/> element. The client may try again.
func (s *Server) RefuseBind(stanzaError []byte) {
	if s.waiting && s.login != nil && s.login.bind {
		s.refuseBind(stanzaError)
	}
}

func (s *Server) refuseBind(stanzaError []byte) {
	out := s.appendIQ("error", s.login.bindID)
	out = append(out, stanzaError...)
	s.wrote(append(out, "</iq>"...))
	s.login.bind, s.waiting = false, false
}

// appendIQ appends the start tag of an answer. In Framed mode nothing around it
// declares the content namespace. RFC 7395 §3.3.3.
func (s *Server) appendIQ(typ, id string) []byte {
	out := append(s.out(), "<iq"...)
	if s.framed {
		out = xmlstream.AppendAttr(out, "xmlns", content)
	}
	out = xmlstream.AppendAttr(out, "type", typ)
	out = xmlstream.AppendAttr(out, "id", id)
	return append(out, '>')
}

// Resume makes an Authenticated stream Bound as full without resource binding, which
// it does not answer: the caller has handled an element, like XEP-0198's <resume/>.
func (s *Server) Resume(full jid.JID) {
	if s.state == Authenticated && s.login.headed && !s.closing {
		s.bound(full)
	}
}

// bound drops what negotiation needed.
func (s *Server) bound(full jid.JID) {
	s.state, s.jid = Bound, full
	s.login = nil
	s.waiting = false
	s.deadline = time.Time{}
}
