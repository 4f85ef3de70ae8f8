// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"errors"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// ComponentClientConfig says as whom a [ComponentClient] logs in. It may be shared and must not change.
type ComponentClientConfig struct {
	Domain jid.JID // the component's own
	Secret string

	Limits       xmlstream.Limits // zero: 1,048,576 bytes, depth 100, 200 attributes, 100,000 elements
	LoginTimeout time.Duration    // from NewComponentClient to Login; 0 is 30 s
	CloseTimeout time.Duration    // how long Close waits for the server's end tag; 0 is 5 s
}

// ErrHandshake is a server's header that a component cannot answer.
var ErrHandshake = errors.New("stream: the server's header has no id")

// ComponentClient is an external component's own side of its stream (XEP-0114,
// jabber:component:accept). It is a machine as [Client] is, with the events Login (the server has
// let us in, stanzas flow), Element and End. The stanzas that it is sent, and sends, are in
// [NSComponent], and have both addresses.
type ComponentClient struct {
	wire
	config *ComponentClientConfig
	asked  bool // the handshake is sent
}

// NewComponentClient returns one for a connection made at now. Call Start.
func NewComponentClient(config *ComponentClientConfig, now time.Time) *ComponentClient {
	c := &ComponentClient{config: config}
	limits := limitsOr(config.Limits, xmlstream.Limits{ElementBytes: 1_048_576, Depth: 100, Attributes: 200, Children: 100_000})
	c.parser = xmlstream.NewParser(xmlstream.Stream, NSComponent, limits)
	c.ahead = limits.ElementBytes
	c.deadline = now.Add(durationOr(config.LoginTimeout, 30*time.Second))
	return c
}

// Start puts the header into Out.
func (c *ComponentClient) Start() {
	if c.state == Closed || c.opened {
		return
	}
	h := header{to: c.config.Domain.Domain(), content: NSComponent}
	c.wrote(h.appendXML(c.out(), false))
	c.opened = true
}

// Next returns the next event.
func (c *ComponentClient) Next() Event {
	for c.state != Closed {
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

// header answers the server's header with the handshake. An error of the server may follow it
// instead, so that a header without id is no error by itself.
func (c *ComponentClient) header(h header) {
	if h.id == "" {
		return
	}
	c.asked = true
	c.send("<handshake>" + handshake(h.id, c.config.Secret) + "</handshake>")
}

// element takes one element its way.
func (c *ComponentClient) element(e *xmlstream.Element) Event {
	switch {
	case string(e.Space) == NS && string(e.Local) == "error":
		c.sendEnd()
		c.end(readError(e.Raw))
	case c.state == Bound:
		return Event{Kind: Element, Element: e}
	case c.closing:
	case string(e.Space) == NSComponent && string(e.Local) == "handshake" && c.asked:
		c.state, c.deadline = Bound, time.Time{}
		return Event{Kind: Login, JID: c.config.Domain}
	case !c.asked:
		c.fail(ErrHandshake)
	default:
		c.fail(&Error{Condition: UnsupportedStanzaType, Text: "unexpected before the handshake's answer"})
	}
	return Event{}
}

// fail ends the stream with a stream error if err is one, in silence otherwise.
func (c *ComponentClient) fail(err error) {
	if e := (*Error)(nil); errors.As(err, &e) && c.opened {
		c.sendError(e)
	}
	c.sendEnd()
	c.end(err)
}

// Close ends the stream as [Client.Close] does.
func (c *ComponentClient) Close(e *Error, now time.Time) {
	switch {
	case c.state == Closed:
	case e != nil:
		c.fail(e)
	case !c.opened:
		c.end(nil)
	case !c.closing:
		c.sendEnd()
		c.deadline = now.Add(durationOr(c.config.CloseTimeout, 5*time.Second))
	}
}

// Expire ends the stream if its deadline has passed.
func (c *ComponentClient) Expire(now time.Time) {
	if !c.deadline.IsZero() && !now.Before(c.deadline) {
		c.fail(ErrTimeout)
	}
}
