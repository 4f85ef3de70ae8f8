// SPDX-License-Identifier: Apache-2.0

// Package stream negotiates XML streams between a client and its server: both
// sides of the header, STARTTLS, SASL, resource binding and the close handshake,
// for whoever moves the bytes.
//
// A [Server] or [Client] is a state machine that does no I/O. Bytes go in with
// Feed, [Event] values come out of Next, bytes to send come out of Out. It has no
// goroutine, lock or clock: times are values that the caller passes, and the
// caller serialises all calls on one machine. The turn of a driver is
//
//	s.Feed(data)
//	for e := s.Next(); e.Kind != stream.None; e = s.Next() {
//		… // act on e; answer questions (Lookup, Bind) now or later
//	}
//	send(s.Out())
//
// Next returns None when all input is consumed, so that the buffer given to Feed
// may be reused, or while the machine waits for an answer, having copied the rest.
// Once an answer is given the driver turns again, without Feed; until then it had
// better read no more, for little of it is kept, and in Framed mode nothing.
//
// After binding a machine is small (under 200 bytes and its parser): what
// negotiation needed is dropped, elements pass through it, and it only watches
// for the stream's end. The caller writes stanzas to its connection by itself.
//
// RFC 6120 §4–7, §9
//
// RFC 7395 §3
//
// XEP-0440 (complete, 1.0.0)
//
// An external component and its server need less than that: see [ComponentServer] and
// [ComponentClient].
package stream

import (
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// The namespaces of negotiation.
const (
	NS        = "http://etherx.jabber.org/streams"
	NSErrors  = "urn:ietf:params:xml:ns:xmpp-streams"
	NSTLS     = "urn:ietf:params:xml:ns:xmpp-tls"
	NSSASL    = "urn:ietf:params:xml:ns:xmpp-sasl"
	NSBinding = "urn:xmpp:sasl-cb:0"
	NSBind    = "urn:ietf:params:xml:ns:xmpp-bind"
	NSSession = "urn:ietf:params:xml:ns:xmpp-session"
	NSFraming = "urn:ietf:params:xml:ns:xmpp-framing"

	NSComponent = stanza.NSComponent // XEP-0114
)

// State is how far a stream has come.
type State uint8

const (
	Negotiating   State = iota // no TLS yet, not logged in
	Secured                    // TLS, not logged in
	Authenticated              // logged in, no resource bound
	Bound                      // stanzas flow
	Closed                     // nothing more is sent or accepted
)

// Kind says what an [Event] means.
type Kind uint8

const (
	// None: feed more, or answer the last question first.
	None Kind = iota
	// StartTLS: send Out, do the TLS handshake, call TLSStarted. Nothing may be fed
	// in between.
	StartTLS
	// Lookup (server): the credentials of account JID are wanted: call Resolve.
	Lookup
	// Login: the stream is authenticated as JID. A [ComponentServer] waits for Admit.
	Login
	// Features (client): Element holds what the server offers; see [Client].
	Features
	// Bind (server): the client asks for a resource. JID is bare, or full if it named
	// one. Call Bind or RefuseBind.
	Bind
	// Ready (client): the server has bound JID, a full JID.
	Ready
	// Element: the caller's to handle; valid until the next call of Next.
	Element
	// End: the stream is over; send Out, then close the connection. Err is nil when
	// both sides closed their stream. It is the last event.
	End
	// Stranger (server): a client without an account wants to log in, as JID, which is nobody's
	// name: call Resolve with nil, or with the *sasl.Failure that it gets. XEP-0175.
	Stranger
)

// Event is one thing the caller has to know or do. Which fields are set depends on Kind.
type Event struct {
	Kind    Kind
	Element *xmlstream.Element // Element, Features
	JID     jid.JID            // Lookup, Login, Bind, Ready
	Err     error              // End
}
