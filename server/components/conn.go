// SPDX-License-Identifier: Apache-2.0

package components

import (
	"container/list"
	"crypto/tls"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/stonechat-im/stonechat/internal/drive"
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/stream"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// conn is one component's connection: a drive.Machine to its driver. What it sends is handled by
// the driver; what it is sent is outbound, which any goroutine may use.
type conn struct {
	service *Service
	drive.Conn
	place *list.Element // in waiting, whose mutex guards it

	in        sync.Mutex // held while the machine is used
	machine   *stream.ComponentServer
	inlet     *server.Inlet
	component *external // nil before login; guarded by in
	addresses jid.Cache
	received  stanza.Stanza // memory of the one being handled
	deadline  time.Time     // as the driver has it

	out outbound
}

func (s *Service) newConn(dc drive.Conn) *conn {
	c := &conn{service: s, Conn: dc}
	c.machine = stream.NewComponentServer(s.live.Load(), time.Now())
	c.inlet = s.Server.NewInlet(dc)
	c.setDeadline()
	if evicted := s.waiting.enter(c); evicted != nil {
		s.metrics.evicted.Inc()
		evicted.Abort()
	}
	return c
}

// Input implements drive.Machine.
func (c *conn) Input(b *drive.Batch, data []byte) {
	c.in.Lock()
	defer c.in.Unlock()
	if c.machine.State() == stream.Closed {
		return
	}
	if len(data) > 0 {
		c.machine.Feed(data)
	}
	c.run(c.service.Server.TurnOf(&b.Turn))
	c.setDeadline()
}

// run takes events until there are none, or until somebody must answer first. The caller holds in.
func (c *conn) run(t *server.Turn) {
	for more := true; more; {
		e := c.machine.Next()
		if out := c.machine.Out(); len(out) > 0 {
			c.Queue(out)
			c.Flush()
		}
		switch e.Kind {
		case stream.None:
			more = false
		case stream.Login:
			c.login(t, e.JID)
		case stream.Element:
			more = c.element(t, e.Element)
		case stream.End:
			c.over(e.Err)
			return
		}
	}
	c.machine.Keep()
}

// login lets the component in, unless it is there already: the connection that works stays, for the
// new one may be a mistake, and the death of the old one shows by itself (limits.dead_after).
func (c *conn) login(t *server.Turn, address jid.JID) {
	x := c.service.components[address.Domain()]
	if !c.out.begin(c, x) {
		c.machine.Close(&stream.Error{Condition: stream.Conflict, Text: "the component is connected already"}, t.Now)
		return
	}
	c.component = x
	c.service.waiting.leave(c)
	c.service.metrics.logins.Inc()
	c.service.Log.Info("component connected", "jid", address.String(), "peer", c.Remote().String())
	c.service.Server.Joined(t, address)
}

// element takes one stanza, and reports whether to read on at once. XEP-0114 §3, RFC 6120 §4.9.3.7
// and §4.9.3.9.
func (c *conn) element(t *server.Turn, e *xmlstream.Element) (more bool) {
	s := &c.received
	err := s.FromElement(e, &c.addresses)
	var refused *stream.Error
	switch {
	case err == stanza.ErrNotStanza, string(e.Space) == stanza.NSServer: //nolint:errorlint // it is never wrapped
		// COMPAT(slixmpp, 2020): a stanza that declares jabber:client is taken, as other servers do, from
		// components that pass on what clients have written.
		refused = &stream.Error{Condition: stream.UnsupportedStanzaType}
	case s.From.IsZero():
		refused = &stream.Error{Condition: stream.ImproperAddressing, Text: "a stanza needs an address in 'from'"}
	case s.From.Domain() != c.component.address.Domain():
		refused = &stream.Error{Condition: stream.InvalidFrom, Text: "a component speaks for its own domain"}
	case err != nil:
		e, _ := stanza.AsError(err)
		c.inlet.Refuse(t, s, e)
		return true
	case s.To.IsZero():
		refused = &stream.Error{Condition: stream.ImproperAddressing, Text: "a stanza needs an address in 'to'"}
	default:
		return c.inlet.Receive(t, s)
	}
	t.Flush() // what the component was sent goes first
	c.machine.Close(refused, t.Now)
	return true // Next tells the end
}

// over is the stream's end as the machine tells it. Its last bytes are queued.
func (c *conn) over(err error) {
	var sent *stream.Error
	if errors.As(err, &sent) && !sent.Received {
		c.service.metrics.ended.WithLabelValues(string(sent.Condition)).Inc()
		c.service.complain("component refused", "jid", c.machine.Domain(), "peer", c.Remote().String(), "err", err)
	}
	c.leave()
	c.Close()
}

// leave makes room for the component's next connection. Nothing more is sent on this one.
func (c *conn) leave() {
	c.service.waiting.leave(c)
	c.out.close()
	if x := c.component; x != nil && x.conn.CompareAndSwap(c, nil) {
		c.service.Log.Info("component gone", "jid", x.address.String(), "peer", c.Remote().String())
	}
}

// end ends the stream from another goroutine than the driver's.
func (c *conn) end(e *stream.Error) {
	if !c.out.close() {
		return
	}
	c.service.metrics.ended.WithLabelValues(string(e.Condition)).Inc()
	c.Queue(stream.AppendEnd(stream.AppendError(nil, e, false), false))
	c.Close()
}

// Secured implements drive.Machine: there is no TLS.
func (*conn) Secured(tls.ConnectionState) {}

// Expired implements drive.Machine.
func (c *conn) Expired(b *drive.Batch) {
	c.in.Lock()
	defer c.in.Unlock()
	if c.machine.State() == stream.Closed {
		return
	}
	t := c.service.Server.TurnOf(&b.Turn)
	c.machine.Expire(t.Now)
	c.run(t)
	c.setDeadline()
}

// Gone implements drive.Machine.
func (c *conn) Gone(err error) {
	c.in.Lock()
	defer c.in.Unlock()
	c.leave()
	if c.component != nil && !errors.Is(err, io.EOF) {
		c.service.Log.Warn("component's connection broke", "jid", c.component.address.String(), "peer", c.Remote().String(), "err", err)
	}
	t := c.service.Server.NewTurn()
	c.out.giveBack(t)
	t.End()
}

// setDeadline tells the driver when the machine wants to expire. The caller holds in, or has
// not shared c yet.
func (c *conn) setDeadline() {
	if d := c.machine.Deadline(); !d.Equal(c.deadline) {
		c.deadline = d
		c.SetDeadline(d)
	}
}
