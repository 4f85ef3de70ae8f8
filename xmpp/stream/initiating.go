// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"errors"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// InitiatingServer is the side of a stream between servers that made the connection. It is a machine as
// [Client] is, with the events StartTLS, Login, Features, Element and End.
//
// Features says that negotiation is over, as far as it goes by itself: Login has come before it if EXTERNAL
// was offered, wanted and granted; if not, the caller proves who it is by dialback, or gives up. Element
// holds what is offered. It comes once; then elements flow, in both directions, as the caller allows.
type InitiatingServer struct {
	peer
	from, to jid.JID
	external bool
	step     step
	refused  *SASLError
	logged   bool
	bidi     bool   // asked for
	turning  bool   // logged in, and the header of the new stream has not begun
	early    []byte // stanzas that came before it
}

// NewInitiatingServer returns one for a connection made at now, from a domain of ours to another. With
// external set EXTERNAL is tried where it is offered. Call Start, or, when TLS is already on (direct TLS,
// XEP-0368), TLSStarted.
func NewInitiatingServer(c *PeerConfig, from, to jid.JID, external bool, now time.Time) *InitiatingServer {
	limits := limitsOr(c.BeforeLogin, xmlstream.Limits{ElementBytes: 65_536, Depth: 16, Attributes: 64, Children: 2000})
	s := &InitiatingServer{peer: peer{config: c}, from: from, to: to, external: external}
	s.parser = xmlstream.NewParser(xmlstream.Stream, NSServer, limits)
	s.ahead = limits.ElementBytes
	s.deadline = now.Add(durationOr(c.LoginTimeout, 30*time.Second))
	return s
}

// Start puts the header into Out.
func (s *InitiatingServer) Start() {
	if s.state != Closed && s.step == atStart {
		s.open()
	}
}

// TLSStarted says that TLS is on. The stream starts anew.
func (s *InitiatingServer) TLSStarted() {
	if s.state != Negotiating {
		return
	}
	s.restart()
	s.secure, s.mute, s.waiting = true, false, false
	s.state = Secured
	s.open()
}

// open sends our header. RFC 6120 §4.7.1 wants both names; a server needs 'from' to choose what it offers.
func (s *InitiatingServer) open() {
	h := header{from: s.from.Domain(), to: s.to.Domain(), content: NSServer}
	s.wrote(h.appendXML(s.out(), false))
	s.opened = true
	s.step = atHeader
}

// Refused is why EXTERNAL did not succeed, nil where it did or was not tried.
func (s *InitiatingServer) Refused() *SASLError { return s.refused }

// External reports whether we are logged in by EXTERNAL.
func (s *InitiatingServer) External() bool { return s.logged }

// Bidi reports whether the stream is of both directions.
func (s *InitiatingServer) Bidi() bool { return s.bidi }

// Next returns the next event.
func (s *InitiatingServer) Next() Event {
	for s.state != Closed {
		if s.waiting {
			if !s.pause() {
				return Event{}
			}
			s.end(ErrInjected)
			break
		}
		if s.turning && !s.turned() {
			s.parser.Keep()
			return Event{}
		}
		event, done, err := s.take(s)
		switch {
		case err != nil:
			s.fail(err)
		case done:
			return event
		}
	}
	return s.last()
}

// header takes the peer's header. Its 'from' is not judged: the certificate or dialback proves who it is,
// and what comes instead of features may be the error that explains it.
func (s *InitiatingServer) header(h header) {
	err := h.checkServer()
	switch {
	case s.step != atHeader:
		err = &Error{Condition: BadFormat, Text: "unexpected header"}
	case err == nil && (h.id == "" || len(h.id) > 1024):
		err = &Error{Condition: BadFormat, Text: "a stream needs an id"} // RFC 6120 §4.7.3
	}
	if err != nil {
		s.fail(err)
		return
	}
	s.id, s.step = h.id, atFeatures
}

// element takes one element its way.
func (s *InitiatingServer) element(e *xmlstream.Element) Event {
	switch space, local := string(e.Space), string(e.Local); {
	case space == NS && local == "error":
		s.fail(readError(e.Raw))
	case s.turning:
		s.hold(e)
	case s.step == atChoice || s.state == Bound:
		return Event{Kind: Element, Element: e}
	case s.closing:
	case s.step == atFeatures && space == NS && local == "features":
		return s.features(e)
	case s.step == atProceed && space == NSTLS:
		return s.proceed(e)
	case s.step == atSASL && space == NSSASL:
		return s.sasl(e)
	default:
		s.fail(&Error{Condition: UnsupportedStanzaType, Text: "unexpected in negotiation"})
	}
	return Event{}
}

// features decides what to negotiate next.
func (s *InitiatingServer) features(e *xmlstream.Element) Event {
	offer := readFeatures(e.Raw)
	external := false
	for _, m := range offer.mechanisms {
		external = external || m == "EXTERNAL"
	}
	switch {
	case !s.secure && offer.startTLS:
		s.send("<starttls xmlns='" + NSTLS + "'/>")
		s.step = atProceed
		return Event{}
	case !s.secure && !s.config.WithoutTLS:
		s.sendEnd()
		s.end(ErrNoTLS)
		return Event{}
	}
	if s.config.Bidi && s.secure && offer.bidi && !s.bidi {
		s.send("<bidi xmlns='" + NSBidi + "'/>")
		s.bidi = true
	}
	switch {
	case external && s.external && s.secure && !s.logged && s.refused == nil:
		// XEP-0178 §3 would do without an authorization identity; older servers want it.
		s.wrote(appendSASL(s.out(), "auth", "EXTERNAL", []byte(s.from.Domain())))
		s.step = atSASL
		return Event{}
	}
	s.step = atChoice
	s.release()
	return Event{Kind: Features, Element: e}
}

// proceed takes the peer's leave to start TLS. RFC 6120 §5.4.3.3.
func (s *InitiatingServer) proceed(e *xmlstream.Element) Event {
	switch {
	case string(e.Local) != "proceed":
		s.sendEnd()
		s.end(ErrTLS)
		return Event{}
	case s.parser.Buffered() > 0:
		s.mute = true
		s.end(ErrInjected)
		return Event{}
	}
	s.waiting, s.mute, s.ahead = true, true, 0
	return Event{Kind: StartTLS}
}

// sasl takes the outcome of EXTERNAL. Where it is refused the stream is over: servers disagree about what
// may follow, so that dialback has one of its own (see Refused).
func (s *InitiatingServer) sasl(e *xmlstream.Element) Event {
	switch string(e.Local) {
	case "success":
		if s.turning = s.bidi; s.turning {
			s.opened = false
		} else {
			s.restart()
		}
		s.state, s.logged = Authenticated, true
		s.open()
		return Event{Kind: Login, JID: s.from}
	case "failure":
		s.refused = &SASLError{Mechanism: "EXTERNAL", Condition: "unknown"}
		r := xmlstream.NewReader(e.Raw, NSSASL)
		for n := range r.Children() {
			switch {
			case n.Space != NSSASL:
			case n.Local == "text":
				s.refused.Text = r.Text()
			default:
				s.refused.Condition = n.Local
			}
		}
		s.sendEnd()
		s.end(s.refused)
	default:
		s.fail(&Error{Condition: UnsupportedStanzaType})
	}
	return Event{}
}

// Close ends the stream as [Client.Close] does.
func (s *InitiatingServer) Close(e *Error, now time.Time) { s.close(e, now) }

// Expire ends the stream if its deadline has passed.
func (s *InitiatingServer) Expire(now time.Time) {
	if s.deadline.IsZero() || now.Before(s.deadline) {
		return
	}
	s.expire(now)
	if e := (*Error)(nil); errors.As(s.err, &e) && e.Condition == ConnectionTimeout {
		s.err = ErrTimeout
	}
}
