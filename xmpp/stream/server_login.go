// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"errors"
	"slices"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/sasl"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// startTLS takes <starttls/>. What follows it in the clear could have been put
// there by anyone: nothing may. RFC 6120 §5.3.3, §5.4.2.
//
// COMPAT(go-xmpp, 2022): it ends the line behind <starttls/>. White space says nothing, and is
// thrown away.
func (s *Server) startTLS() Event {
	if !s.offersTLS() {
		s.send("<failure xmlns='" + NSTLS + "'/>")
		s.sendEnd()
		s.end(ErrTLS)
		return Event{}
	}
	if s.parser.SkipSpace(); s.parser.Buffered() > 0 {
		s.fail(&Error{Condition: PolicyViolation, Text: "data followed <starttls/>"})
		return Event{}
	}
	s.send("<proceed xmlns='" + NSTLS + "'/>")
	s.login.exchange = nil
	s.waiting, s.mute, s.ahead = true, true, 0
	return Event{Kind: StartTLS}
}

// sasl takes an element of SASL. RFC 6120 §6.4.
func (s *Server) sasl(e *xmlstream.Element) Event {
	r := xmlstream.NewReader(e.Raw, NSSASL)
	switch string(e.Local) {
	case "auth":
		return s.auth(r.Attr("mechanism"), r.Text())
	case "response":
		return s.response(r.Text())
	case "abort":
		return s.refuse(&sasl.Failure{Condition: sasl.Aborted})
	}
	s.fail(&Error{Condition: UnsupportedStanzaType})
	return Event{}
}

// auth begins an exchange. One that is under way is given up for it, and counts as
// failed: each may have cost a look into the store. RFC 6120 §6.4.2.
func (s *Server) auth(mechanism, text string) Event {
	l := s.login
	if l.exchange != nil {
		l.exchange = nil
		if s.countFailure(&sasl.Failure{Condition: sasl.Aborted}) {
			return Event{}
		}
	}
	if s.needsTLS() {
		return s.refuse(&sasl.Failure{Condition: sasl.EncryptionRequired})
	}
	data, err := decodeSASL(text)
	if err != nil {
		return s.refuse(&sasl.Failure{Condition: sasl.IncorrectEncoding})
	}
	if !slices.Contains(l.mechanisms, mechanism) {
		return s.refuse(&sasl.Failure{Condition: sasl.InvalidMechanism})
	}
	c := s.config.SASL
	c.Plain = c.Plain && s.secure
	c.Domain, c.Bindings, c.AdvertisedMechanisms, c.External = l.domain, l.bindings, l.mechanisms, s.external()
	c.Anonymous = s.anonymous()
	exchange, err := sasl.NewServer(mechanism, c)
	switch {
	case errors.Is(err, sasl.ErrMechanism):
		return s.refuse(&sasl.Failure{Condition: sasl.InvalidMechanism})
	case err != nil:
		return s.refuse(&sasl.Failure{Condition: sasl.TemporaryAuthFailure})
	}
	l.exchange, l.account, l.costly, l.outside = exchange, jid.JID{}, mechanism == sasl.Plain, mechanism == sasl.External
	return s.outcome(exchange.Step(data))
}

// response goes on with an exchange.
func (s *Server) response(text string) Event {
	if s.login.exchange == nil {
		return s.refuse(&sasl.Failure{Condition: sasl.MalformedRequest, Text: "a response to no challenge"})
	}
	data, err := decodeSASL(text)
	if err != nil {
		return s.refuse(&sasl.Failure{Condition: sasl.IncorrectEncoding})
	}
	if data == nil {
		data = []byte{} // <response/> is an empty response: its absence has no form
	}
	return s.outcome(s.login.exchange.Step(data))
}

// outcome does what the exchange wants next.
func (s *Server) outcome(o sasl.Outcome) Event {
	switch o.Kind {
	case sasl.Challenge:
		if len(o.Data) == 0 {
			o.Data = nil // an empty challenge has no content: `=` is for <auth/> and <success/>
		}
		s.wrote(appendSASL(s.out(), "challenge", "", o.Data))
	case sasl.Lookup, sasl.Stranger:
		account, err := jid.New(o.Username, s.login.domain, "")
		if err != nil || account.IsDomain() {
			return s.outcome(s.login.exchange.Resolve(nil, nil)) // nobody has such a name
		}
		s.login.account = account
		s.login.lookup, s.waiting = true, true
		if o.Kind == sasl.Stranger {
			return Event{Kind: Stranger, JID: account}
		}
		return Event{Kind: Lookup, JID: account}
	case sasl.Success:
		s.success(o.Data)
	default:
		return s.refuse(o.Failure)
	}
	return Event{}
}

// anonymous reports whether the client needs no account.
func (s *Server) anonymous() bool {
	return s.config.Anonymous != nil && s.config.Anonymous(s.login.domain)
}

// Resolve answers Lookup as [sasl.Server.Resolve] has it: with the account's keys, none
// for an unknown account, and sasl.ErrDisabled beside the keys of a disabled one. Of any
// other error the client sees a *sasl.Failure as it is, and else temporary-auth-failure.
//
// For PLAIN it computes for milliseconds, unless what Prepare returned has done so.
func (s *Server) Resolve(keys []sasl.Key, err error) {
	if !s.waiting || s.login == nil || !s.login.lookup {
		return
	}
	s.login.lookup, s.waiting = false, false
	if failure := (*sasl.Failure)(nil); errors.As(err, &failure) {
		s.refuse(failure)
		return
	}
	s.outcome(s.login.exchange.Resolve(keys, err))
}

// Certifies reports whether the login under way, which waits for Resolve, is by the certificate that TLS has verified.
func (s *Server) Certifies() bool {
	return s.login != nil && s.login.exchange != nil && s.login.outside
}

// Prepare returns what does the costly part of answering Lookup, milliseconds of computing, given the
// account's keys; nil where nothing is costly. Unlike the methods of a Server it may run beside
// them, on any goroutine; Resolve must come after it.
func (s *Server) Prepare() func(keys []sasl.Key) {
	if !s.waiting || s.login == nil || !s.login.lookup || !s.login.costly {
		return nil
	}
	return s.login.exchange.Prepare
}

// success makes the stream Authenticated, and new. RFC 6120 §6.4.6.
func (s *Server) success(data []byte) {
	l := s.login
	s.wrote(appendSASL(s.out(), "success", "", data))
	s.restart()
	limits := limitsOr(s.config.AfterLogin, xmlstream.Limits{ElementBytes: 262_144, Depth: 100, Attributes: 200, Children: 5000})
	s.parser.SetLimits(limits)
	s.ahead = limits.ElementBytes
	s.state, s.jid = Authenticated, l.account
	s.login = &negotiation{domain: l.domain, announce: true}
}

// refuse ends the exchange with a failure; the client may try again.
// RFC 6120 §6.4.5.
func (s *Server) refuse(f *sasl.Failure) Event {
	s.login.exchange = nil
	out := append(s.out(), "<failure xmlns='"+NSSASL+"'>"...)
	out = append(out, '<')
	out = append(out, f.Condition...)
	out = append(out, "/>"...)
	if f.Text != "" {
		out = append(out, "<text xml:lang='en'>"...)
		out = xmlstream.AppendEscaped(out, f.Text)
		out = append(out, "</text>"...)
	}
	s.wrote(append(out, "</failure>"...))
	s.countFailure(f)
	return Event{}
}

// countFailure ends the stream at the last failure it allows.
func (s *Server) countFailure(f *sasl.Failure) (last bool) {
	if s.config.Failed != nil {
		s.config.Failed(s, f)
	}
	most := s.config.MaxFailures
	if most <= 0 {
		most = 3
	}
	if s.login.failures++; s.login.failures < most {
		return false
	}
	s.fail(&Error{Condition: PolicyViolation, Text: "too many failed logins"})
	return true
}
