// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"time"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// ReceivingServer is the side of a stream between servers that accepted the connection. It is a machine
// as [Server] is, with the events StartTLS, Login, Element and End.
//
// Login says that the peer has logged in as JID, a domain, by EXTERNAL; the caller answers with Trust.
// Element is any element over TLS, also of a peer that is nobody yet: the caller takes from it what needs
// no login (dialback, bidi), and refuses the rest by Close with not-authorized. After dialback it calls
// Trust, too.
type ReceivingServer struct {
	// Owner is the caller's.
	Owner any

	peer
	from, to jid.JID // of the peer's header, domains; zero where it named none
	headed   bool    // it has come, since the last restart
	external bool    // EXTERNAL is offered
	logged   bool    // by EXTERNAL
	announce bool    // Login is due
	failures int
}

// NewReceivingServer returns one for a connection accepted at now. If TLS is already on (direct TLS,
// XEP-0368), call TLSStarted before Feed.
func NewReceivingServer(c *PeerConfig, now time.Time) *ReceivingServer {
	limits := limitsOr(c.BeforeLogin, xmlstream.Limits{ElementBytes: 10_000, Depth: 8, Attributes: 32, Children: 200})
	s := &ReceivingServer{peer: peer{config: c}}
	s.parser = xmlstream.NewParser(xmlstream.Stream, NSServer, limits)
	s.ahead = limits.ElementBytes
	s.deadline = now.Add(durationOr(c.LoginTimeout, 30*time.Second))
	return s
}

// From is the domain that the peer's header names as its own, unproved; zero where it named none.
func (s *ReceivingServer) From() jid.JID { return s.from }

// To is the domain of ours that it names.
func (s *ReceivingServer) To() jid.JID { return s.to }

// External reports whether the peer has logged in by EXTERNAL.
func (s *ReceivingServer) External() bool { return s.logged }

// TLSStarted says that TLS is on. The stream starts anew.
func (s *ReceivingServer) TLSStarted() {
	if s.state != Negotiating {
		return
	}
	s.restart()
	s.from, s.to, s.headed = jid.JID{}, jid.JID{}, false
	s.secure, s.mute, s.waiting = true, false, false
	s.state = Secured
}

// Next returns the next event.
func (s *ReceivingServer) Next() Event {
	for s.state != Closed {
		if s.waiting {
			if !s.pause() {
				return Event{}
			}
			s.refuse(&Error{Condition: PolicyViolation, Text: "too much data before an answer"})
			break
		}
		if s.announce {
			s.announce = false
			return Event{Kind: Login, JID: s.from}
		}
		event, done, err := s.take(s)
		switch {
		case err != nil:
			s.refuse(err)
		case done:
			return event
		}
	}
	return s.last()
}

// header takes the peer's header and answers with ours and the features. RFC 6120 §4.7, §4.9.1.2.
func (s *ReceivingServer) header(h header) {
	from, okFrom := domainOf(h.from)
	to, okTo := domainOf(h.to)
	err := h.checkServer()
	switch {
	case err != nil:
	case !okTo || to.IsZero():
		err = &Error{Condition: ImproperAddressing, Text: "'to' must be a domain"}
	case !okFrom:
		err = &Error{Condition: ImproperAddressing, Text: "'from' must be a domain"}
	case !s.config.Serves(to.Domain()):
		err = &Error{Condition: HostUnknown}
	case s.logged && (from != s.from || to != s.to):
		err = &Error{Condition: InvalidFrom, Text: "the login is for other domains"} // RFC 6120 §4.9.3.9
	}
	if err == nil {
		s.from, s.to, s.headed = from, to, true
	}
	s.sendHeader()
	if err != nil {
		s.fail(err)
		return
	}
	s.sendFeatures()
}

func (s *ReceivingServer) sendHeader() {
	s.id = randomID(s.config.Rand)
	h := header{from: s.to.Domain(), to: s.from.Domain(), id: s.id, content: NSServer, lang: "en"}
	s.wrote(h.appendXML(s.out(), false))
	s.opened = true
}

// sendFeatures says what may be negotiated next. RFC 6120 §4.3.2.
func (s *ReceivingServer) sendFeatures() {
	out := append(s.out(), "<stream:features>"...)
	if !s.secure {
		out = append(out, "<starttls xmlns='"+NSTLS+"'>"...)
		if !s.config.WithoutTLS {
			out = append(out, "<required/>"...)
		}
		out = append(out, "</starttls>"...)
	}
	s.external = s.secure && !s.logged && !s.from.IsZero() && s.config.Certified != nil && s.config.Certified(s, s.from)
	if s.external {
		out = append(out, "<mechanisms xmlns='"+NSSASL+"'><mechanism>EXTERNAL</mechanism></mechanisms>"...)
	}
	if s.config.Features != nil && (s.secure || s.config.WithoutTLS) {
		out = s.config.Features(s, out)
	}
	s.wrote(append(out, "</stream:features>"...))
}

// element takes one element its way.
func (s *ReceivingServer) element(e *xmlstream.Element) Event {
	switch space, local := string(e.Space), string(e.Local); {
	case space == NS && local == "error":
		s.fail(readError(e.Raw))
	case !s.headed:
		s.refuse(&Error{Condition: BadFormat, Text: "a stream begins with its header"})
	case s.state == Bound:
		return Event{Kind: Element, Element: e}
	case s.closing:
	case space == NSTLS && local == "starttls":
		return s.startTLS()
	case space == NSSASL && s.state == Secured:
		s.sasl(e)
	case space == NSSASL || space == NS || !s.secure && !s.config.WithoutTLS:
		s.fail(&Error{Condition: PolicyViolation, Text: "TLS comes first"})
	default:
		return Event{Kind: Element, Element: e}
	}
	return Event{}
}

// startTLS takes <starttls/>. Nothing may follow it in the clear. RFC 6120 §5.3.3, §5.4.2.
func (s *ReceivingServer) startTLS() Event {
	if s.secure {
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
	s.waiting, s.mute, s.ahead = true, true, 0
	return Event{Kind: StartTLS}
}

// sasl takes the login, which is one step: the certificate has proved who the peer is. An authorization
// identity must be the same. XEP-0178 §3, RFC 6120 §6.4.
func (s *ReceivingServer) sasl(e *xmlstream.Element) {
	if string(e.Local) == "abort" {
		s.denied("aborted")
		return
	}
	r := xmlstream.NewReader(e.Raw, NSSASL)
	mechanism := r.Attr("mechanism")
	data, err := decodeSASL(r.Text())
	switch {
	case string(e.Local) != "auth":
		s.fail(&Error{Condition: UnsupportedStanzaType})
	case mechanism != "EXTERNAL" || !s.external:
		s.denied("invalid-mechanism")
	case err != nil:
		s.denied("incorrect-encoding")
	case len(data) > 0 && !s.is(string(data)):
		s.denied("invalid-authzid")
	default:
		s.send("<success xmlns='" + NSSASL + "'/>")
		s.restart()
		s.headed, s.logged, s.announce = false, true, true
		s.state = Authenticated
	}
}

// is reports whether an authorization identity names the peer's domain.
func (s *ReceivingServer) is(authzid string) bool {
	j, ok := domainOf(authzid)
	return ok && j == s.from
}

// denied refuses a login; the peer may try something else, a few times.
func (s *ReceivingServer) denied(condition string) {
	s.send("<failure xmlns='" + NSSASL + "'><" + condition + "/></failure>")
	if s.failures++; s.failures >= 3 {
		s.fail(&Error{Condition: PolicyViolation, Text: "too many failed logins"})
	}
}

// refuse is fail where no header of ours may have been sent: one goes first. RFC 6120 §4.9.1.2.
func (s *ReceivingServer) refuse(e *Error) {
	if !s.opened && !s.mute {
		s.sendHeader()
	}
	s.fail(e)
}

// Close ends the stream. With an error the error is sent and the stream is over; with nil the end tag is
// sent, elements still arrive until the peer's end tag or until CloseTimeout after now. e is given away.
func (s *ReceivingServer) Close(e *Error, now time.Time) {
	if e != nil && s.state != Closed && !s.opened && !s.mute {
		s.sendHeader()
	}
	s.close(e, now)
}

// Expire ends the stream if its deadline has passed.
func (s *ReceivingServer) Expire(now time.Time) {
	if !s.opened && !s.mute && !s.deadline.IsZero() && !now.Before(s.deadline) {
		s.sendHeader()
	}
	s.expire(now)
}
