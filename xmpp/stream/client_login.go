// SPDX-License-Identifier: Apache-2.0

package stream

// How to read this file: features and the header first, then element, which deals
// with one element of the server by what the client waits for; Login and below are SASL.

import (
	"fmt"
	"strings"

	"github.com/stonechat-im/stonechat/xmpp/sasl"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

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
	s.External = s.External && c.secure
	if s.Username == "" {
		s.Username = c.config.Account.Local()
	}
	return sasl.NewClient(s)
}

func (c *Client) begin(exchange *sasl.Client) {
	c.login.exchange, c.login.step = exchange, atSASL
	c.wrote(appendSASL(c.out(), "auth", exchange.Mechanism(), exchange.Start()))
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
	c.wrote(appendSASL(c.out(), "response", "", data))
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
	c.parser.SetLimits(limitsOr(c.config.AfterLogin, xmlstream.Limits{ElementBytes: 1 << 20, Depth: 100, Attributes: 200, Children: 100_000}))
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
