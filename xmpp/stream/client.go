// SPDX-License-Identifier: Apache-2.0

package stream

// How to read the client's side. This file: configuration, errors, the calls of the
// driver and the way of an element. client_open.go: the header, the features and
// STARTTLS. client_login.go: SASL. client_bind.go: what follows it. What both sides
// share is in wire.go, header.go, error.go and base64.go.

import (
	"errors"
	"io"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/sasl"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// Why a stream ended, besides *[Error]; for a [Client] also *[SASLError],
// *[BindError] and the errors of package sasl.
var (
	ErrNoTLS    = errors.New("stream: the server offers no STARTTLS")
	ErrTLS      = errors.New("stream: STARTTLS failed")
	ErrInjected = errors.New("stream: data followed <proceed/>")
	ErrNoLogin  = errors.New("stream: the server offers no login")
	ErrNoBind   = errors.New("stream: the server offers no resource binding")
	ErrTimeout  = errors.New("stream: the peer did not answer in time")
)

// SASLError is a login that the server refused. RFC 6120 §6.5.
type SASLError struct {
	Mechanism string
	Condition string
	Text      string
}

func (e *SASLError) Error() string {
	return "stream: login by " + e.Mechanism + " failed: " + withText(e.Condition, e.Text)
}

// BindError is a resource, or a session, that the server refused. RFC 6120 §7.6.2, §7.7.2.
type BindError struct {
	Condition string // RFC 6120 §8.3.3
	Text      string
}

func (e *BindError) Error() string {
	return "stream: binding a resource failed: " + withText(e.Condition, e.Text)
}

func withText(condition, text string) string {
	if text == "" {
		return condition
	}
	return condition + ": " + text
}

// ClientConfig says how a [Client] logs in. It may be shared and must not change.
type ClientConfig struct {
	Account jid.JID // bare
	Lang    string  // xml:lang of our header; "" is none

	// SASL is the model of the exchange's configuration. Mechanisms, Bindings and
	// OfferedBindings are filled in, Username too if it is empty; AllowPlain and
	// External count only over TLS.
	SASL sasl.ClientConfig
	// WithoutTLS logs in also where STARTTLS is not offered. For test beds only.
	WithoutTLS bool
	// HoldLogin reports the features before login too (in-band registration), and hands
	// over what comes before Login goes on.
	HoldLogin bool
	Framed    bool // RFC 7395

	BeforeLogin  xmlstream.Limits // zero: 65,536 bytes, depth 16, 64 attributes, 2000 elements
	AfterLogin   xmlstream.Limits // zero: 1,048,576 bytes, depth 100, 200 attributes, 100,000 elements
	LoginTimeout time.Duration    // from NewClient to Ready; 0 is 30 s
	CloseTimeout time.Duration    // how long Close waits for the server's end tag; 0 is 5 s
	Rand         io.Reader        // for ids; nil is crypto/rand
}

// Client is the initiating side of a client's stream. Use one per connection; it
// is not safe for concurrent use.
//
// After login it reports Features and waits. The caller binds a resource with
// Bind, or sends something by itself, like XEP-0198's <resume/>, and reads the
// answer as Element; then it calls Resume, or Bind after all.
type Client struct {
	wire
	config *ClientConfig
	login  *approach // nil from Bound on
	jid    jid.JID
}

// step is what a Client waits for.
type step uint8

const (
	atStart    step = iota // Start or TLSStarted
	atHeader               // the server's header
	atFeatures             // its features
	atProceed              // leave to start TLS
	atHold                 // our caller's Login
	atSASL                 // a challenge or the outcome
	atChoice               // our caller's Bind or Resume
	atBind                 // the answer to the request for a resource
	atSession              // the answer to the request for a session
)

// approach is what a Client needs until a resource is bound.
type approach struct {
	step     step
	from     string // of the server's header
	bindings []sasl.ChannelBinding
	offer    features
	exchange *sasl.Client
	id       string  // of the request under way
	full     jid.JID // bound, while a session is awaited
}

// NewClient returns a Client for a connection made at now. Call Start, or, when TLS
// is already on (direct TLS, XEP-0368), TLSStarted.
func NewClient(config *ClientConfig, now time.Time) *Client {
	c := &Client{config: config, login: &approach{}, jid: config.Account}
	c.framed = config.Framed
	c.parser = xmlstream.NewParser(c.mode(), content,
		limitsOr(config.BeforeLogin, xmlstream.Limits{ElementBytes: 65_536, Depth: 16, Attributes: 64, Children: 2000}))
	c.deadline = now.Add(durationOr(config.LoginTimeout, 30*time.Second))
	return c
}

// Start puts the header into Out.
func (c *Client) Start() {
	if c.state != Closed && c.login != nil && c.login.step == atStart {
		c.open()
	}
}

// TLSStarted says that TLS is on and the server's certificate is verified, with
// these channel bindings to choose from. The stream starts anew.
func (c *Client) TLSStarted(bindings []sasl.ChannelBinding) {
	if c.state != Negotiating {
		return
	}
	c.restart()
	c.login = &approach{bindings: bindings}
	c.secure, c.mute, c.waiting = true, false, false
	c.state = Secured
	c.open()
}

// open sends our header. Before TLS it does not tell who we are. RFC 6120 §4.7.
func (c *Client) open() {
	h := header{to: c.config.Account.Domain(), lang: c.config.Lang}
	if c.secure {
		h.from = c.config.Account.String()
	}
	c.wrote(h.appendXML(c.out(), c.framed))
	c.opened = true
	c.login.step = atHeader
}

// Next returns the next event.
func (c *Client) Next() Event {
	for c.state != Closed {
		if c.waiting {
			if !c.pause() {
				return Event{}
			}
			c.end(ErrInjected)
			break
		}
		event, done, err := c.take(c)
		switch {
		case err != nil:
			c.fail(err)
		case done:
			return event
		}
	}
	return c.last()
}

// element takes one element its way.
func (c *Client) element(e *xmlstream.Element) Event {
	switch {
	case string(e.Space) == NS && string(e.Local) == "error":
		c.fail(readError(e.Raw))
	case c.framed && isFraming(e, "close"):
		c.closeFrame(e)
	case c.framed && isFraming(e, "open"):
		c.header(headerOfOpen(e))
	case c.state == Bound:
		return Event{Kind: Element, Element: e}
	case c.closing:
	default:
		return c.negotiate(e)
	}
	return Event{}
}

// closeFrame takes <close/>, which may send us elsewhere. RFC 7395 §3.6.1.
func (c *Client) closeFrame(e *xmlstream.Element) {
	for _, a := range e.Attrs {
		if len(a.Space) == 0 && string(a.Local) == "see-other-uri" {
			c.fail(&Error{Condition: SeeOtherHost, Host: string(a.Value), Received: true})
			return
		}
	}
	c.peerClosed()
}

// negotiate takes an element before Bound.
func (c *Client) negotiate(e *xmlstream.Element) Event {
	l := c.login
	switch {
	case l.step == atFeatures && string(e.Space) == NS && string(e.Local) == "features":
		return c.features(e)
	case l.step == atProceed && string(e.Space) == NSTLS:
		return c.proceed(e)
	case l.step == atSASL && string(e.Space) == NSSASL:
		return c.sasl(e)
	case l.step == atBind || l.step == atSession:
		if isAnswer(e, l.id) {
			return c.answer(e)
		}
		return Event{Kind: Element, Element: e}
	case l.step == atHold || l.step == atChoice:
		return Event{Kind: Element, Element: e}
	}
	c.fail(&Error{Condition: UnsupportedStanzaType, Text: "unexpected in negotiation"})
	return Event{}
}

// fail ends the stream with a stream error if err is one, in silence otherwise.
func (c *Client) fail(err error) {
	if e := (*Error)(nil); errors.As(err, &e) && !e.Received && c.opened {
		c.sendError(e)
	}
	c.sendEnd()
	c.end(err)
}

// Close ends the stream. With an error the error is sent and the stream is over;
// with nil the end tag is sent, elements still arrive until the server's end tag
// or until CloseTimeout after now. e is given away.
func (c *Client) Close(e *Error, now time.Time) {
	switch {
	case c.state == Closed:
	case e != nil:
		c.fail(e)
	case !c.opened || c.mute:
		c.end(nil)
	case !c.closing:
		c.sendEnd()
		c.deadline = now.Add(durationOr(c.config.CloseTimeout, 5*time.Second))
	}
}

// Expire ends the stream if its deadline has passed.
func (c *Client) Expire(now time.Time) {
	if !c.deadline.IsZero() && !now.Before(c.deadline) {
		c.fail(ErrTimeout)
	}
}

// Mechanism returns the SASL mechanism in use, "" before it is chosen and from
// Ready on.
func (c *Client) Mechanism() string {
	if c.login == nil || c.login.exchange == nil {
		return ""
	}
	return c.login.exchange.Mechanism()
}

// JID returns our address: the account before Ready, then the full JID.
func (c *Client) JID() jid.JID { return c.jid }
