// SPDX-License-Identifier: Apache-2.0

package stream

// How to read this file: the handshake, then the server's side of a component's stream. The
// component's own side is in component_client.go.

import (
	"crypto/sha1" //nolint:gosec // XEP-0114 §3 has no other; the id of the stream makes it fresh
	"crypto/subtle"
	"encoding/hex"
	"io"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// handshake is what a component proves its secret with. XEP-0114 §3.
func handshake(id, secret string) string {
	sum := sha1.Sum([]byte(id + secret)) //nolint:gosec // see the import
	return hex.EncodeToString(sum[:])
}

// ComponentServerConfig is shared by all streams of a listener and must not change while one lives.
type ComponentServerConfig struct {
	// Secret returns that of the component of a prepared domain; ok is false where there is no
	// such component. It is called from within Next, must not block, and an empty secret is
	// nobody's.
	Secret func(domain string) (secret string, ok bool)

	BeforeLogin  xmlstream.Limits // zero: 10,000 bytes, depth 8, 32 attributes, 200 elements
	AfterLogin   xmlstream.Limits // zero: 262,144 bytes, depth 100, 200 attributes, 5000 elements
	LoginTimeout time.Duration    // from NewComponentServer to Login; 0 is 30 s
	CloseTimeout time.Duration    // how long Close waits for the component's end tag; 0 is 5 s
	Rand         io.Reader        // for stream ids; nil is crypto/rand
}

// ComponentServer is the server's side of the stream of an external component (XEP-0114,
// jabber:component:accept). It is a machine as [Server] is, with the events Login, Element and End.
// Login says that the component has proved to be JID, a domain; the caller answers with Admit, or
// with Close and an error, before it calls Next again.
type ComponentServer struct {
	wire
	config  *ComponentServerConfig
	id      string
	domain  string
	secret  string // "" once it is not needed any more
	judging bool   // Login is reported, Admit is to come
}

// NewComponentServer returns one for a connection accepted at now.
func NewComponentServer(c *ComponentServerConfig, now time.Time) *ComponentServer {
	limits := limitsOr(c.BeforeLogin, xmlstream.Limits{ElementBytes: 10_000, Depth: 8, Attributes: 32, Children: 200})
	s := &ComponentServer{config: c}
	s.parser = xmlstream.NewParser(xmlstream.Stream, NSComponent, limits)
	s.ahead = limits.ElementBytes
	s.deadline = now.Add(durationOr(c.LoginTimeout, 30*time.Second))
	return s
}

// Domain is the component's, "" before its header.
func (s *ComponentServer) Domain() string { return s.domain }

// Next returns the next event.
func (s *ComponentServer) Next() Event {
	for s.state != Closed {
		if s.judging {
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

// header takes the component's header, which names the component itself.
func (s *ComponentServer) header(h header) {
	if h.content != NSComponent {
		s.fail(&Error{Condition: InvalidNamespace, Text: "the content namespace must be " + NSComponent})
		return
	}
	j, err := jid.Parse(h.to)
	if h.to == "" || err != nil || j != j.Host() {
		s.fail(&Error{Condition: ImproperAddressing, Text: "'to' must be the component's domain"})
		return
	}
	secret, ok := s.config.Secret(j.Domain())
	if !ok || secret == "" {
		s.fail(&Error{Condition: HostUnknown})
		return
	}
	s.domain, s.secret = j.Domain(), secret
	s.sendHeader()
}

func (s *ComponentServer) sendHeader() {
	s.id = randomID(s.config.Rand)
	h := header{from: s.domain, id: s.id, content: NSComponent}
	s.wrote(h.appendXML(s.out(), false))
	s.opened = true
}

// element takes one element its way.
func (s *ComponentServer) element(e *xmlstream.Element) Event {
	switch {
	case string(e.Space) == NS && string(e.Local) == "error":
		s.sendEnd()
		s.end(readError(e.Raw))
	case s.state == Bound:
		return Event{Kind: Element, Element: e}
	case s.closing:
	case string(e.Space) == NSComponent && string(e.Local) == "handshake":
		return s.shake(xmlstream.NewReader(e.Raw, NSComponent).Text())
	default:
		s.fail(&Error{Condition: NotAuthorized, Text: "a handshake comes first"})
	}
	return Event{}
}

// shake judges the handshake. There is one try: XEP-0114 §3 wants the stream closed.
func (s *ComponentServer) shake(proof string) Event {
	want := handshake(s.id, s.secret)
	if subtle.ConstantTimeCompare([]byte(proof), []byte(want)) != 1 {
		s.fail(&Error{Condition: NotAuthorized})
		return Event{}
	}
	s.judging, s.secret = true, ""
	j, _ := jid.New("", s.domain, "") // header has parsed it
	return Event{Kind: Login, JID: j}
}

// Admit lets in the component of which Login told: stanzas flow. Out has the answer.
func (s *ComponentServer) Admit() {
	if !s.judging || s.state == Closed {
		return
	}
	s.judging = false
	s.send("<handshake/>")
	limits := limitsOr(s.config.AfterLogin, xmlstream.Limits{ElementBytes: 262_144, Depth: 100, Attributes: 200, Children: 5000})
	s.parser.SetLimits(limits)
	s.ahead = limits.ElementBytes
	s.state, s.deadline = Bound, time.Time{}
}

// fail sends a stream error, behind a header (XEP-0114 §3), and ends the stream.
func (s *ComponentServer) fail(e *Error) {
	if !s.opened {
		s.sendHeader()
	}
	s.sendError(e)
	s.sendEnd()
	s.end(e)
}

// Close ends the stream. With an error the error is sent and the stream is over; with nil the end
// tag is sent, elements still arrive until the component's end tag or until CloseTimeout after now.
// e is given away.
func (s *ComponentServer) Close(e *Error, now time.Time) {
	s.judging = false
	switch {
	case s.state == Closed:
	case e != nil:
		s.fail(e)
	case !s.opened:
		s.end(nil)
	case !s.closing:
		s.sendEnd()
		s.deadline = now.Add(durationOr(s.config.CloseTimeout, 5*time.Second))
	}
}

// Expire ends the stream if its deadline has passed.
func (s *ComponentServer) Expire(now time.Time) {
	switch {
	case s.deadline.IsZero() || now.Before(s.deadline):
	case s.closing:
		s.end(ErrTimeout)
	default:
		s.fail(&Error{Condition: ConnectionTimeout, Text: "no handshake in time"})
	}
}
