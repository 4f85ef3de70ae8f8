// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"io"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/sasl"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// ServerConfig is shared by all streams of a listener and must not change while
// one lives. Its functions are called from within Next or TLSStarted, must not
// block, and must call no method of the Server but the ones that only report.
type ServerConfig struct {
	// Serves reports whether domain, a prepared domainpart, is served here.
	Serves func(domain string) bool
	// DefaultDomain is meant by a client whose header names no domain. "" refuses it.
	DefaultDomain string
	Lang          string // xml:lang of our header; "" is "en"

	TLS         bool // STARTTLS is offered on a stream that has no TLS
	TLSRequired bool // and nobody logs in without TLS
	Framed      bool // RFC 7395: <open/>, <close/>, an element per WebSocket message

	// SASL is the model of each exchange's configuration; Domain, Bindings and
	// AdvertisedMechanisms are filled in.
	SASL sasl.ServerConfig
	// MaxFailures is how many failed exchanges end the stream. RFC 6120 §6.4.5
	// wants three to six. 0 is 3.
	MaxFailures int

	// Features appends what else is offered in the Server's current State. nil: nothing.
	Features func(s *Server, dst []byte) []byte
	// Admit reports whether an element that is not part of negotiation may pass to the
	// caller before Bound: an IQ of jabber:iq:register before login, say. What it refuses
	// ends the stream: stanzas with not-authorized, others with unsupported-stanza-type.
	// nil refuses stanzas, and before login all else; after login elements that are not
	// stanzas (XEP-0198's <resume/>) pass.
	Admit func(s *Server, e *xmlstream.Element) bool

	BeforeLogin  xmlstream.Limits // zero: 10,000 bytes, depth 8, 32 attributes
	AfterLogin   xmlstream.Limits // zero: 262,144 bytes, depth 100, 200 attributes
	LoginTimeout time.Duration    // from NewServer to Bound; 0 is 30 s
	CloseTimeout time.Duration    // how long Close waits for the client's end tag; 0 is 5 s
	Rand         io.Reader        // for stream ids; nil is crypto/rand
}

// Server is the receiving side of a client's stream, up to a bound resource and
// through its end. Use one per connection; it is not safe for concurrent use.
type Server struct{}

// NewServer returns a Server for a connection accepted at now. If TLS is already
// on (direct TLS, XEP-0368; https), call TLSStarted before Feed.
func NewServer(c *ServerConfig, now time.Time) *Server { panic("unwritten") }

// Feed gives the machine what the connection read (in Framed mode one message).
// data must stay unchanged until Next returns None.
func (s *Server) Feed(data []byte) { panic("unwritten") }

// Next returns the next event.
func (s *Server) Next() Event { panic("unwritten") }

// Keep copies what is not consumed yet, so that the buffer given to Feed may be
// reused although Next has not returned None: the caller pauses. Next goes on later.
func (s *Server) Keep() { panic("unwritten") }

// Out returns the bytes to send and gives them away; nil if there are none. In
// Framed mode it returns one message at a time.
func (s *Server) Out() []byte { panic("unwritten") }

// TLSStarted says that TLS is on, with these channel bindings for the client to
// choose from (none behind a proxy). The stream starts anew.
func (s *Server) TLSStarted(bindings []sasl.ChannelBinding) { panic("unwritten") }

// Resolve answers Lookup: the account's keys, none for an unknown account, or why
// they cannot be had: a *sasl.Failure is sent as it is (account-disabled), any
// other error as temporary-auth-failure.
func (s *Server) Resolve(keys []sasl.Key, err error) { panic("unwritten") }

// Bind answers Bind with the full JID that is bound. The stream is Bound.
func (s *Server) Bind(full jid.JID) { panic("unwritten") }

// RefuseBind answers Bind with a complete <error/> element. The client may try again.
func (s *Server) RefuseBind(stanzaError []byte) { panic("unwritten") }

// Resume makes an Authenticated stream Bound as full without resource binding, which
// it does not answer: the caller has handled an element, like XEP-0198's <resume/>.
func (s *Server) Resume(full jid.JID) { panic("unwritten") }

// Close ends the stream. With an error the error is sent and the stream is over;
// with nil the end tag is sent, elements still arrive until the client's end tag
// or until CloseTimeout after now.
func (s *Server) Close(e *Error, now time.Time) { panic("unwritten") }

// Deadline returns when Expire wants to be called, zero if never. It changes only
// by the calls above.
func (s *Server) Deadline() time.Time { panic("unwritten") }

// Expire ends the stream if its deadline has passed.
func (s *Server) Expire(now time.Time) { panic("unwritten") }

// State returns how far the stream has come.
func (s *Server) State() State { panic("unwritten") }

// Secure reports whether TLS is on.
func (s *Server) Secure() bool { panic("unwritten") }

// JID returns whom the stream is authenticated as: zero before login, bare before
// Bound, then full.
func (s *Server) JID() jid.JID { panic("unwritten") }

// Domain returns the domain the client's header named, "" before the header.
func (s *Server) Domain() string { panic("unwritten") }

// Lang returns the xml:lang of the client's header: the default for its stanzas.
func (s *Server) Lang() string { panic("unwritten") }
