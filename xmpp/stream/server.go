// SPDX-License-Identifier: Apache-2.0

package stream

// How to read the server's side. This file: configuration, the calls of the
// driver and the way of an element. server_open.go: the header and the features.
// server_login.go: STARTTLS and SASL. server_bind.go: resource binding. What both
// sides share is in wire.go, header.go, error.go and base64.go.

import (
	"io"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/sasl"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// ServerConfig is shared by all streams of a listener and must not change while
// one lives. Its functions are called from within Next, Resolve or TLSStarted, must not
// block, and must call no method of the Server but the ones that only report.
type ServerConfig struct {
	// Serves reports whether domain, a prepared domainpart, is served here.
	Serves func(domain string) bool
	// DefaultDomain is meant by a client whose header names no domain, unless it is
	// logged in. "" refuses it.
	DefaultDomain string
	Lang          string // xml:lang of our header; "" is "en"

	TLS         bool // STARTTLS is offered on a stream that has no TLS
	TLSRequired bool // and nothing else is offered or done without TLS
	Framed      bool // RFC 7395: <open/>, <close/>, an element per WebSocket message

	// SASL is the model of each exchange's configuration; Domain, Bindings and
	// AdvertisedMechanisms are filled in.
	SASL sasl.ServerConfig
	// Anonymous reports whether clients without an account may log in to a prepared domain that
	// is served here. XEP-0175. nil: to none.
	Anonymous func(domain string) bool
	// MaxFailures is how many failed exchanges end the stream. RFC 6120 §6.4.5 wants
	// at least two retries and no more than five. 0 is 3.
	MaxFailures int

	// Features appends what else is offered in the Server's current State. nil: nothing.
	Features func(s *Server, dst []byte) []byte
	// Failed hears of each login that failed, before the client does. nil: nobody.
	Failed func(s *Server, f *sasl.Failure)
	// Admit reports whether an element that is not part of negotiation may pass to the
	// caller before Bound: an IQ of jabber:iq:register before login, say. What it refuses
	// ends the stream: stanzas with not-authorized, others with unsupported-stanza-type.
	// nil refuses stanzas, and before login all else; after login elements that are not
	// stanzas (XEP-0198's <resume/>) pass.
	Admit func(s *Server, e *xmlstream.Element) bool

	BeforeLogin  xmlstream.Limits // zero: 10,000 bytes, depth 8, 32 attributes, 200 elements
	AfterLogin   xmlstream.Limits // zero: 262,144 bytes, depth 100, 200 attributes, 5000 elements
	LoginTimeout time.Duration    // from NewServer to Bound; 0 is 30 s
	CloseTimeout time.Duration    // how long Close waits for the client's end tag; 0 is 5 s
	Rand         io.Reader        // for stream ids; nil is crypto/rand
}

// Server is the receiving side of a client's stream, up to a bound resource and
// through its end. Use one per connection; it is not safe for concurrent use.
type Server struct {
	// Owner is the caller's: whatever the functions of the configuration, which all
	// streams share, need to know of this one.
	Owner any

	wire
	config *ServerConfig
	login  *negotiation // nil from Bound on
	jid    jid.JID
	lang   string
}

// negotiation is what a Server needs until a resource is bound.
type negotiation struct {
	headed     bool   // the client's header has come, since the last restart
	domain     string // which it named, if we serve it
	bindings   []sasl.ChannelBinding
	certified  []jid.JID // whom TLS has proved the client to be
	mechanisms []string  // offered on this stream
	exchange   *sasl.Server
	account    jid.JID // whose keys the exchange looked up; zero if there can be none
	failures   int
	lookup     bool   // waiting for Resolve, after Lookup or Stranger
	costly     bool   // which has a password to compare
	outside    bool   // which leaves the proof to TLS
	announce   bool   // Login is due
	bind       bool   // waiting for Bind or RefuseBind
	bindID     string // of the request
}

// NewServer returns a Server for a connection accepted at now. If TLS is already
// on (direct TLS, XEP-0368; https), call TLSStarted before Feed.
func NewServer(c *ServerConfig, now time.Time) *Server {
	limits := limitsOr(c.BeforeLogin, xmlstream.Limits{ElementBytes: 10_000, Depth: 8, Attributes: 32, Children: 200})
	s := &Server{config: c, login: &negotiation{}}
	s.framed = c.Framed
	s.parser = xmlstream.NewParser(s.mode(), content, limits)
	s.ahead = limits.ElementBytes
	s.deadline = now.Add(durationOr(c.LoginTimeout, 30*time.Second))
	return s
}

// TLSStarted says that TLS is on, with these channel bindings for the client to
// choose from (none behind a proxy). The stream starts anew.
func (s *Server) TLSStarted(bindings []sasl.ChannelBinding) {
	if s.state != Negotiating {
		return
	}
	s.restart()
	s.login = &negotiation{bindings: bindings, failures: s.login.failures}
	s.lang = ""
	s.secure, s.mute, s.waiting = true, false, false
	s.state = Secured
}

// Certified says, after TLSStarted and before anything else, which bare addresses the client's
// verified certificate proves to be its own: EXTERNAL is offered for those at the domain that the
// stream is to. XEP-0178 §2.
func (s *Server) Certified(addresses []jid.JID) {
	if s.state == Secured {
		s.login.certified = addresses
	}
}

// external are the addresses with which the client may log in by its certificate.
func (s *Server) external() (list []jid.JID) {
	for _, j := range s.login.certified {
		if j.Domain() == s.login.domain {
			list = append(list, j)
		}
	}
	return list
}

// Next returns the next event.
func (s *Server) Next() Event {
	for s.state != Closed {
		if s.waiting {
			if !s.pause() {
				return Event{}
			}
			s.fail(&Error{Condition: PolicyViolation, Text: "too much data before an answer"})
			break
		}
		if s.login != nil && s.login.announce {
			s.login.announce = false
			return Event{Kind: Login, JID: s.jid}
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

// element takes one element its way.
func (s *Server) element(e *xmlstream.Element) Event {
	switch {
	case string(e.Space) == NS && string(e.Local) == "error":
		s.sendEnd()
		s.end(readError(e.Raw))
		return Event{}
	case s.framed && string(e.Space) == NSFraming:
		s.frame(e)
		return Event{}
	case s.framed && len(e.Space) == 0:
		s.fail(&Error{Condition: InvalidNamespace, Text: "each frame declares its namespace"}) // RFC 7395 §3.3.3
		return Event{}
	case string(e.Space) == NSServer || string(e.Space) == NSComponent:
		s.fail(&Error{Condition: UnsupportedStanzaType}) // RFC 6120 §4.8.3, §4.9.3.24
		return Event{}
	case s.state == Bound:
		return Event{Kind: Element, Element: e}
	case s.closing:
		return Event{}
	case !s.login.headed:
		s.fail(&Error{Condition: BadFormat, Text: "a stream begins with its header"})
		return Event{}
	}
	return s.negotiate(e)
}

// frame takes <open/> and <close/>. RFC 7395 §3.4, §3.6.
func (s *Server) frame(e *xmlstream.Element) {
	switch {
	case isFraming(e, "close"):
		s.peerClosed()
	case isFraming(e, "open") && s.login != nil && !s.login.headed:
		s.header(headerOfOpen(e))
	default:
		s.fail(&Error{Condition: BadFormat, Text: "unexpected framing"})
	}
}

// negotiate takes an element before Bound.
func (s *Server) negotiate(e *xmlstream.Element) Event {
	switch {
	case string(e.Space) == NSTLS && string(e.Local) == "starttls":
		return s.startTLS()
	case string(e.Space) == NSSASL && s.state != Authenticated:
		return s.sasl(e)
	case string(e.Space) == content && s.state == Authenticated && isBind(e):
		return s.bindRequest(e)
	}
	// RFC 6120 §4.9.3.12, §4.9.3.24, §7.1.
	stanza := isStanza(e)
	var admitted bool
	switch {
	case string(e.Space) == NSSASL || string(e.Space) == NS || s.needsTLS():
		// Never the caller's.
	case s.config.Admit != nil:
		admitted = s.config.Admit(s, e)
	default:
		admitted = s.state == Authenticated && !stanza
	}
	switch {
	case admitted:
		return Event{Kind: Element, Element: e}
	case stanza:
		s.fail(&Error{Condition: NotAuthorized})
	default:
		s.fail(&Error{Condition: UnsupportedStanzaType})
	}
	return Event{}
}

// fail sends a stream error and ends the stream. A header goes first: RFC 6120 §4.9.1.2.
func (s *Server) fail(e *Error) {
	if !s.opened && !s.mute {
		s.sendHeader("")
	}
	s.sendError(e)
	s.sendEnd()
	s.end(e)
}

// Close ends the stream. With an error the error is sent and the stream is over;
// with nil the end tag is sent, elements still arrive until the client's end tag
// or until CloseTimeout after now. e is given away.
func (s *Server) Close(e *Error, now time.Time) {
	switch {
	case s.state == Closed:
	case e != nil:
		s.fail(e)
	case !s.opened || s.mute:
		s.end(nil)
	case !s.closing:
		s.sendEnd()
		s.waiting = false
		s.deadline = now.Add(durationOr(s.config.CloseTimeout, 5*time.Second))
	}
}

// Expire ends the stream if its deadline has passed.
func (s *Server) Expire(now time.Time) {
	switch {
	case s.deadline.IsZero() || now.Before(s.deadline):
	case s.closing:
		s.end(ErrTimeout)
	default:
		s.fail(&Error{Condition: ConnectionTimeout, Text: "no login in time"})
	}
}

// JID returns whom the stream is authenticated as: zero before login, bare before
// Bound, then full.
func (s *Server) JID() jid.JID { return s.jid }

// Domain returns the domain the client's header named, "" before the header.
func (s *Server) Domain() string {
	if s.login == nil {
		return s.jid.Domain()
	}
	return s.login.domain
}

// Lang returns the xml:lang of the client's header, the default for its stanzas;
// "" if it gave none.
func (s *Server) Lang() string { return s.lang }

// isStanza reports whether e is a message, presence or iq. RFC 6120 §8.
func isStanza(e *xmlstream.Element) bool {
	if string(e.Space) != content {
		return false
	}
	switch string(e.Local) {
	case "message", "presence", "iq":
		return true
	}
	return false
}

func limitsOr(l, fallback xmlstream.Limits) xmlstream.Limits {
	if l == (xmlstream.Limits{}) {
		return fallback
	}
	return l
}

func durationOr(d, fallback time.Duration) time.Duration {
	if d == 0 {
		return fallback
	}
	return d
}
