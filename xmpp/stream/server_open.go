// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"slices"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/sasl"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// header takes the client's header and answers with ours, then with the features
// or an error. RFC 6120 §4.7, §4.9.1.2.
func (s *Server) header(h header) {
	s.login.headed = true
	s.lang = langOf(h.lang)
	from, err := s.checkHeader(&h)
	s.sendHeader(from.String())
	if err != nil {
		s.fail(err)
		return
	}
	s.sendFeatures()
}

// checkHeader fills in the domain, and returns who the client says it is, if it does.
func (s *Server) checkHeader(h *header) (from jid.JID, _ *Error) {
	if err := h.checkContent(); err != nil {
		return jid.JID{}, err
	}
	if err := h.checkVersion(); err != nil {
		return jid.JID{}, err
	}
	if err := s.checkTo(h.to); err != nil {
		return jid.JID{}, err
	}
	return s.checkFrom(h.from)
}

func (s *Server) checkTo(to string) *Error {
	domain := s.config.DefaultDomain
	if s.state == Authenticated {
		domain = s.jid.Domain()
	}
	if to != "" {
		j, err := jid.Parse(to)
		if err != nil || j != j.Host() {
			return &Error{Condition: ImproperAddressing, Text: "'to' must be a domain"}
		}
		domain = j.Domain()
	}
	switch {
	case domain == "":
		return &Error{Condition: ImproperAddressing, Text: "'to' is missing"}
	case !s.config.Serves(domain):
		return &Error{Condition: HostUnknown}
	case s.state == Authenticated && domain != s.jid.Domain():
		return &Error{Condition: NotAuthorized, Text: "the login is for another domain"}
	}
	s.login.domain = domain
	return nil
}

// checkFrom wants the account's own address, which most clients leave out.
// RFC 6120 §4.7.1, §4.9.3.9.
func (s *Server) checkFrom(from string) (jid.JID, *Error) {
	if from == "" {
		return jid.JID{}, nil
	}
	j, err := jid.Parse(from)
	if err != nil {
		return jid.JID{}, &Error{Condition: ImproperAddressing, Text: "'from' is no address"}
	}
	j = j.Bare()
	if j.Domain() != s.login.domain || s.state == Authenticated && j != s.jid {
		return jid.JID{}, &Error{Condition: InvalidFrom}
	}
	return j, nil
}

// sendHeader sends our header. While we do not know which of our domains the client wants it
// comes from the default one. RFC 6120 §4.7.1, §4.9.1.3.
func (s *Server) sendHeader(to string) {
	from := s.Domain()
	if from == "" {
		from = s.config.DefaultDomain
	}
	h := header{from: from, to: to, id: randomID(s.config.Rand), lang: s.config.Lang}
	if h.lang == "" {
		h.lang = "en"
	}
	s.wrote(h.appendXML(s.out(), s.framed))
	s.opened = true
}

// sendFeatures says what may be negotiated next. RFC 6120 §4.3.2.
func (s *Server) sendFeatures() {
	out := append(s.out(), "<stream:features"...)
	if s.framed {
		out = xmlstream.AppendAttr(out, "xmlns:stream", NS)
	}
	out = append(out, '>')
	switch s.state {
	case Negotiating, Secured:
		out = s.appendTLS(out)
		out = s.appendMechanisms(out)
	case Authenticated:
		out = append(out, "<bind xmlns='"+NSBind+"'/>"...)
	}
	if s.config.Features != nil && !s.needsTLS() { // RFC 6120 §5.3.1
		out = s.config.Features(s, out)
	}
	s.wrote(append(out, "</stream:features>"...))
}

// appendTLS offers STARTTLS. RFC 6120 §5.4.1.
func (s *Server) appendTLS(out []byte) []byte {
	switch {
	case !s.offersTLS():
		return out
	case s.config.TLSRequired:
		return append(out, "<starttls xmlns='"+NSTLS+"'><required/></starttls>"...)
	}
	return append(out, "<starttls xmlns='"+NSTLS+"'/>"...)
}

// offersTLS: direct TLS and WebSocket have their TLS below the stream.
func (s *Server) offersTLS() bool {
	return s.config.TLS && s.state == Negotiating && !s.framed
}

// needsTLS reports whether nothing but STARTTLS may come next.
func (s *Server) needsTLS() bool { return s.config.TLSRequired && !s.secure }

// appendMechanisms offers logins and what they can be bound to. RFC 6120 §6.4.1, XEP-0440 §2.
func (s *Server) appendMechanisms(out []byte) []byte {
	s.login.mechanisms = nil
	if s.needsTLS() {
		return out
	}
	s.login.mechanisms = sasl.ServerMechanisms(s.secure, s.login.bindings, s.config.SASL.Plain)
	if len(s.external()) > 0 {
		s.login.mechanisms = slices.Insert(s.login.mechanisms, 0, sasl.External)
	}
	if s.anonymous() {
		s.login.mechanisms = append(s.login.mechanisms, sasl.Anonymous)
	}
	if len(s.login.mechanisms) == 0 {
		return out
	}
	if types := sasl.BindingTypes(s.login.bindings); len(types) > 0 {
		out = append(out, "<sasl-channel-binding xmlns='"+NSBinding+"'>"...)
		for _, t := range types {
			out = append(out, "<channel-binding"...)
			out = xmlstream.AppendAttr(out, "type", t)
			out = append(out, "/>"...)
		}
		out = append(out, "</sasl-channel-binding>"...)
	}
	out = append(out, "<mechanisms xmlns='"+NSSASL+"'>"...)
	for _, m := range s.login.mechanisms {
		out = xmlstream.AppendText(out, "mechanism", m)
	}
	return append(out, "</mechanisms>"...)
}
