// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"fmt"
	"strings"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/sasl"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// features is what the server offers that concerns negotiation itself.
type features struct {
	startTLS   bool
	mechanisms []string
	bindings   []string // types of channel binding; nil if not announced
	bind       bool
	session    bool // and not optional
}

// readFeatures reads <stream:features/>. RFC 6120 §4.3.2.
func readFeatures(raw []byte) (f features) {
	r := xmlstream.NewReader(raw, content)
	for n := range r.Children() {
		switch n {
		case xmlstream.Name{Space: NSTLS, Local: "starttls"}:
			f.startTLS = true
		case xmlstream.Name{Space: NSSASL, Local: "mechanisms"}:
			for n := range r.Children() {
				if n.Space == NSSASL && n.Local == "mechanism" {
					f.mechanisms = append(f.mechanisms, r.Text())
				}
			}
		case xmlstream.Name{Space: NSBinding, Local: "sasl-channel-binding"}:
			f.bindings = []string{}
			for n := range r.Children() {
				if n.Space == NSBinding && n.Local == "channel-binding" {
					f.bindings = append(f.bindings, r.Attr("type"))
				}
			}
		case xmlstream.Name{Space: NSBind, Local: "bind"}:
			f.bind = true
		case xmlstream.Name{Space: NSSession, Local: "session"}:
			f.session = true
			for n := range r.Children() {
				if n.Local == "optional" {
					f.session = false
				}
			}
		}
	}
	return f
}

// header takes the server's header. Its `from` is judged with the features: what
// comes instead of them may be the error that explains it.
func (c *Client) header(h header) {
	if c.login == nil || c.login.step != atHeader {
		c.fail(&Error{Condition: BadFormat, Text: "unexpected header"})
		return
	}
	if err := h.checkContent(); err != nil {
		c.fail(err)
		return
	}
	if err := h.checkVersion(); err != nil {
		c.fail(err)
		return
	}
	c.login.from = h.from
	c.login.step = atFeatures
}

// element takes one element its way.
func (c *Client) element(e *xmlstream.Element) Event {
	switch {
	case string(e.Space) == NS && string(e.Local) == "error":
		c.fail(readError(e.Raw))
	case c.framed && isFraming(e, "close"):
		c.serverClosed()
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

// features decides what to negotiate next.
func (c *Client) features(e *xmlstream.Element) Event {
	l := c.login
	if l.from != "" {
		if from, err := jid.Parse(l.from); err != nil || from != c.config.Account.Host() {
			c.fail(&Error{Condition: InvalidFrom, Text: "the stream is from another domain"})
			return Event{}
		}
	}
	l.offer = readFeatures(e.Raw)
	switch {
	case c.state == Authenticated:
		l.step = atChoice
		return Event{Kind: Features, Element: e}
	case !c.secure && l.offer.startTLS && !c.framed:
		c.send("<starttls xmlns='" + NSTLS + "'/>")
		l.step = atProceed
	case !c.secure && !c.config.WithoutTLS:
		c.fail(ErrNoTLS)
	case c.config.HoldLogin:
		l.step = atHold
		return Event{Kind: Features, Element: e}
	default:
		c.startLogin()
	}
	return Event{}
}

// proceed takes the server's leave to start TLS. What follows it in the clear is
// not the server's: RFC 6120 §5.4.3.3.
func (c *Client) proceed(e *xmlstream.Element) Event {
	switch {
	case string(e.Local) != "proceed":
		c.fail(ErrTLS)
		return Event{}
	case c.parser.Buffered() > 0:
		c.mute = true
		c.end(ErrInjected)
		return Event{}
	}
	c.waiting, c.mute = true, true
	return Event{Kind: StartTLS}
}

// Login goes on with the login that HoldLogin held.
func (c *Client) Login() {
	if c.state != Closed && !c.closing && c.login != nil && c.login.step == atHold {
		c.startLogin()
	}
}

// startLogin picks a mechanism and begins. RFC 6120 §6.4.2.
func (c *Client) startLogin() {
	if len(c.login.offer.mechanisms) == 0 {
		c.fail(ErrNoLogin)
		return
	}
	exchange, err := c.newExchange(c.login.bindings)
	if err != nil {
		c.fail(fmt.Errorf("stream: choosing a login: %w", err))
		return
	}
	c.begin(exchange)
}

func (c *Client) newExchange(bindings []sasl.ChannelBinding) (*sasl.Client, error) {
	s := c.config.SASL
	s.Mechanisms, s.OfferedBindings, s.Bindings = c.login.offer.mechanisms, c.login.offer.bindings, bindings
	s.AllowPlain = s.AllowPlain && c.secure
	if s.Username == "" {
		s.Username = c.config.Account.Local()
	}
	return sasl.NewClient(s)
}

func (c *Client) begin(exchange *sasl.Client) {
	c.login.exchange, c.login.step = exchange, atSASL
	c.wrote(appendSASL(c.out, "auth", exchange.Mechanism(), exchange.Start()))
}

// sasl takes the server's side of the exchange. RFC 6120 §6.4.3 to §6.4.6.
func (c *Client) sasl(e *xmlstream.Element) Event {
	r := xmlstream.NewReader(e.Raw, NSSASL)
	switch string(e.Local) {
	case "challenge":
		c.challenge(r.Text())
	case "success":
		return c.success(r.Text())
	case "failure":
		c.refused(c.readFailure(r))
	default:
		c.fail(&Error{Condition: UnsupportedStanzaType})
	}
	return Event{}
}

func (c *Client) challenge(text string) {
	data, err := decodeSASL(text)
	if err == nil {
		if data == nil {
			data = []byte{}
		}
		data, err = c.login.exchange.Step(data)
	}
	if err != nil {
		c.send("<abort xmlns='" + NSSASL + "'/>")
		c.fail(fmt.Errorf("stream: logging in: %w", err))
		return
	}
	if len(data) == 0 {
		data = nil
	}
	c.wrote(appendSASL(c.out, "response", "", data))
}

// success believes the server once it has proved that it knows the keys too.
func (c *Client) success(text string) Event {
	data, err := decodeSASL(text)
	if err == nil {
		err = c.login.exchange.Finish(data)
	}
	if err != nil {
		c.fail(fmt.Errorf("stream: logging in: %w", err))
		return Event{}
	}
	c.restart()
	c.parser.SetLimits(limitsOr(c.config.AfterLogin, xmlstream.Limits{ElementBytes: 1 << 20, Depth: 100, Attributes: 200}))
	c.state = Authenticated
	c.login = &approach{exchange: c.login.exchange}
	c.open()
	return Event{Kind: Login, JID: c.jid}
}

// refused ends the stream, but for one case.
//
// COMPAT(ejabberd 23.01, 2023): it offers mechanisms with channel binding whatever the
// version of TLS, knows tls-unique alone, and does not announce that by XEP-0440. A login
// that may have failed for this is tried once more without channel binding, if the
// caller has not pinned it. Where servers have XEP-0474 nobody in between gains by it.
func (c *Client) refused(e *SASLError) {
	l := c.login
	guessed := strings.HasSuffix(e.Mechanism, "-PLUS") && l.offer.bindings == nil
	if guessed && (e.Condition == sasl.NotAuthorized || e.Condition == sasl.MalformedRequest) {
		if exchange, err := c.newExchange(nil); err == nil {
			c.begin(exchange)
			return
		}
	}
	c.fail(e)
}

func (c *Client) readFailure(r *xmlstream.Reader) *SASLError {
	e := &SASLError{Mechanism: c.Mechanism(), Condition: "unknown"}
	for n := range r.Children() {
		switch {
		case n.Space != NSSASL:
		case n.Local == "text":
			e.Text = r.Text()
		default:
			e.Condition = n.Local
		}
	}
	return e
}
