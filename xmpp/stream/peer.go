// SPDX-License-Identifier: Apache-2.0

package stream

// How to read the streams of servers: this file has what both sides share, receiving.go the side
// that accepted the connection, initiating.go the one that made it. Who may send what is decided by
// the caller: dialback (XEP-0220) and bidirectional streams (XEP-0288) are elements to a machine.

import (
	"io"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// NSServer qualifies the stanzas of servers' streams.
const NSServer = stanza.NSServer

// The namespaces of bidirectional streams: of the element that asks for one, and of the feature. XEP-0288
const (
	NSBidi        = "urn:xmpp:bidi"
	NSBidiFeature = "urn:xmpp:features:bidi"
)

// dialback is declared on every header: without it no server says which prefix it means
// (XEP-0220 §2).
const (
	nsDialback     = "jabber:server:dialback"
	prefixDialback = "xmlns:db"
)

// PeerConfig is shared by the streams of one direction and must not change while one lives. Its functions
// are called from within Next or TLSStarted and must not block.
type PeerConfig struct {
	// Serves reports whether the prepared domain is ours (receiving side).
	Serves func(domain string) bool
	// Certified reports whether the peer's certificate, which TLS has shown, proves that it is from, a
	// domain: EXTERNAL is offered only then (receiving side). XEP-0178 §3, RFC 6120 §13.7.2.
	Certified func(s *ReceivingServer, from jid.JID) bool
	// Features appends what is offered beside TLS and SASL, over TLS alone (receiving side).
	Features func(s *ReceivingServer, dst []byte) []byte
	// Bidi asks for a stream of both directions where it is offered, ahead of the login (initiating side). XEP-0288 §2.
	Bidi bool
	// WithoutTLS offers and accepts streams in the clear. For test beds only.
	WithoutTLS bool

	BeforeLogin  xmlstream.Limits // zero: 10,000 bytes, depth 8, 32 attributes, 200 elements (initiating: 65,536 bytes, 16, 64, 2000)
	AfterLogin   xmlstream.Limits // zero: 262,144 bytes, depth 100, 200 attributes, 5000 elements
	LoginTimeout time.Duration    // until Trust; 0 is 30 s
	CloseTimeout time.Duration    // how long Close waits for the peer's end tag; 0 is 5 s
	Rand         io.Reader        // for stream ids; nil is crypto/rand
}

// peer is what the machines of both sides have in common.
type peer struct {
	wire
	config *PeerConfig
	id     string // of the stream: the receiving side's header has it
}

// ID is the stream's: what dialback keys are made for. It changes with each restart.
func (p *peer) ID() string { return p.id }

// Trust says that the peer is known now, by EXTERNAL or by dialback: larger stanzas are taken and the
// deadline is gone.
func (p *peer) Trust() {
	if p.state == Closed || p.closing {
		return
	}
	limits := limitsOr(p.config.AfterLogin, xmlstream.Limits{ElementBytes: 262_144, Depth: 100, Attributes: 200, Children: 5000})
	p.parser.SetLimits(limits)
	p.ahead = limits.ElementBytes
	p.state, p.deadline = Bound, time.Time{}
}

// fail ends the stream with e, if it is ours.
func (p *peer) fail(e *Error) {
	if !e.Received {
		p.sendError(e)
	}
	p.sendEnd()
	p.end(e)
}

// close is Close of both sides.
func (p *peer) close(e *Error, now time.Time) {
	switch {
	case p.state == Closed:
	case e != nil:
		p.fail(e)
	case !p.opened || p.mute:
		p.end(nil)
	case !p.closing:
		p.sendEnd()
		p.waiting = false
		p.deadline = now.Add(durationOr(p.config.CloseTimeout, 5*time.Second))
	}
}

// expire is Expire of both sides.
func (p *peer) expire(now time.Time) {
	switch {
	case p.deadline.IsZero() || now.Before(p.deadline):
	case p.closing:
		p.end(ErrTimeout)
	default:
		p.fail(&Error{Condition: ConnectionTimeout, Text: "not known in time"})
	}
}

// domainOf reads a header's address, which is a domain or nothing.
func domainOf(text string) (j jid.JID, ok bool) {
	if text == "" {
		return jid.JID{}, true
	}
	j, err := jid.Parse(text)
	if err != nil || j != j.Host() {
		return jid.JID{}, false
	}
	return j, true
}

// checkServer refuses what is no stream of a server.
func (h *header) checkServer() *Error {
	if h.content != NSServer {
		return &Error{Condition: InvalidNamespace, Text: "the content namespace must be " + NSServer}
	}
	return h.checkVersion()
}
