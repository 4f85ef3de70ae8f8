// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"errors"
	"io"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/sasl"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// Why a [Client] gives up, besides *[Error] (the server's or ours), *[SASLError],
// *[BindError] and the errors of package sasl.
var (
	ErrNoTLS    = errors.New("stream: the server offers no STARTTLS")
	ErrTLS      = errors.New("stream: the server failed to start TLS")
	ErrInjected = errors.New("stream: data followed <proceed/>")
	ErrNoLogin  = errors.New("stream: the server offers no login")
	ErrNoBind   = errors.New("stream: the server offers no resource binding")
	ErrTimeout  = errors.New("stream: the server did not answer in time")
)

// SASLError is a login that the server refused. RFC 6120 §6.5.
type SASLError struct {
	Mechanism string
	Condition string
	Text      string
}

func (e *SASLError) Error() string { panic("unwritten") }

// BindError is a resource that the server refused to bind. RFC 6120 §7.6.2, §7.7.2.
type BindError struct {
	Condition string // RFC 6120 §8.3.3
	Text      string
}

func (e *BindError) Error() string { panic("unwritten") }

// ClientConfig says how a [Client] logs in. It may be shared and must not change.
type ClientConfig struct {
	Account jid.JID // bare
	Lang    string  // xml:lang of our header; "" is none

	// SASL is the model of the exchange's configuration; Mechanisms, Bindings and
	// OfferedBindings are filled in.
	SASL sasl.ClientConfig
	// WithoutTLS logs in also where STARTTLS is not offered. For test beds only.
	WithoutTLS bool
	// HoldLogin reports the features before login too (in-band registration); Login goes on.
	HoldLogin bool
	Framed    bool // RFC 7395

	BeforeLogin  xmlstream.Limits // zero: 65,536 bytes, depth 16, 64 attributes
	AfterLogin   xmlstream.Limits // zero: 1,048,576 bytes, depth 100, 200 attributes
	LoginTimeout time.Duration    // from NewClient to Ready; 0 is 30 s
	CloseTimeout time.Duration    // how long Close waits for the server's end tag; 0 is 5 s
	Rand         io.Reader        // for ids; nil is crypto/rand
}

// Client is the initiating side of a client's stream. Use one per connection; it
// is not safe for concurrent use.
//
// After login it reports Features and waits. The caller binds a resource with
// Bind, or sends something by itself, like XEP-0198's <resume/>, and reads the
// answer as Element; then it calls Resumed, or Bind after all.
type Client struct{}

// NewClient returns a Client for a connection made at now. Call Start, or, when TLS
// is already on (direct TLS, XEP-0368), TLSStarted.
func NewClient(c *ClientConfig, now time.Time) *Client { panic("unwritten") }

// Start puts the header into Out.
func (c *Client) Start() { panic("unwritten") }

// Feed gives the machine what the connection read (in Framed mode one message).
// data must stay unchanged until Next returns None.
func (c *Client) Feed(data []byte) { panic("unwritten") }

// Next returns the next event.
func (c *Client) Next() Event { panic("unwritten") }

// Keep copies what is not consumed yet, so that the buffer given to Feed may be
// reused although Next has not returned None.
func (c *Client) Keep() { panic("unwritten") }

// Out returns the bytes to send and gives them away; nil if there are none. In
// Framed mode it returns one message at a time.
func (c *Client) Out() []byte { panic("unwritten") }

// TLSStarted says that TLS is on and the server's certificate is verified, with
// these channel bindings to choose from. The stream starts anew.
func (c *Client) TLSStarted(bindings []sasl.ChannelBinding) { panic("unwritten") }

// Login goes on with the login that HoldLogin held.
func (c *Client) Login() { panic("unwritten") }

// Bind asks for a resource; "" leaves the choice to the server. Ready follows.
func (c *Client) Bind(resource string) { panic("unwritten") }

// Resumed says that the stream is bound as full without resource binding.
func (c *Client) Resumed(full jid.JID) { panic("unwritten") }

// Close ends the stream. With an error the error is sent and the stream is over;
// with nil the end tag is sent, elements still arrive until the server's end tag
// or until CloseTimeout after now.
func (c *Client) Close(e *Error, now time.Time) { panic("unwritten") }

// Deadline returns when Expire wants to be called, zero if never.
func (c *Client) Deadline() time.Time { panic("unwritten") }

// Expire ends the stream if its deadline has passed.
func (c *Client) Expire(now time.Time) { panic("unwritten") }

// State returns how far the stream has come.
func (c *Client) State() State { panic("unwritten") }

// Secure reports whether TLS is on.
func (c *Client) Secure() bool { panic("unwritten") }

// Mechanism returns the SASL mechanism in use, "" before it is chosen and after Ready.
func (c *Client) Mechanism() string { panic("unwritten") }

// JID returns our address: the account before Ready, then the full JID.
func (c *Client) JID() jid.JID { panic("unwritten") }
