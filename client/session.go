// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"time"

	"github.com/stonechat-im/stonechat/internal/link"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/sm"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/stream"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// session is one connection, and the session that goes on over it. It is a link.Way and a link.Owner.
type session struct {
	*link.Conn
	c         *Client
	machine   *stream.Client // the reader's
	addresses jid.Cache
	mechanism string
	managed   bool        // stream management is on
	owes      atomic.Bool // the server is to be told what we have handled
	quiet     atomic.Bool // the end is that of the connection alone: see hush
}

func newSession(c *Client, conn net.Conn, config *stream.ClientConfig) *session {
	l := &session{c: c, machine: stream.NewClient(config, time.Now())}
	l.Conn = link.NewConn(&c.link, conn, l.machine, l)
	return l
}

// Serve implements link.Way.
func (l *session) Serve() error {
	l.c.mu.Lock()
	if l.c.asleep != nil {
		l.hush()
	}
	l.c.mu.Unlock()
	err := l.Conn.Serve()
	if l.quiet.Load() && !isFinal(err, true) {
		return nil
	}
	return err
}

// Element implements link.Owner.
func (l *session) Element(e *xmlstream.Element) *stream.Error {
	switch {
	case sm.IsAck(e):
		h, ok := sm.HOf(e)
		if !ok {
			return &stream.Error{Condition: stream.BadFormat, Text: "an <a/> needs a number h"}
		}
		return l.c.link.Out.Acked(h)
	case sm.IsRequest(e):
		if l.c.in.ask() {
			l.owes.Store(true)
			l.Kick()
		}
	case string(e.Space) == stanza.NSClient:
		l.arrived(e)
	}
	return nil
}

// arrived takes a stanza.
func (l *session) arrived(e *xmlstream.Element) {
	c := l.c
	s, err := l.stanza(e)
	switch {
	case l.Leaving():
		// What arrives behind our end tag stays the server's.
	case err != nil:
		c.in.skip(l.managed)
		c.log.Debug("stanza not understood", "err", err)
		if refused := (*stanza.Error)(nil); errors.As(err, &refused) && s.Type.IsRequest() && len(s.ID) > 0 {
			c.link.Reply(s.Refuse(refused))
		}
	case s.Kind == stanza.IQ && !s.Type.IsRequest():
		c.in.skip(l.managed) // first, so that whoever waits finds it counted
		if !c.link.Out.Returned(s) {
			c.link.Requests.Answered(s)
		}
	case c.in.wait(l.Left(), c.link.Life().Done()):
		c.glance(s)
		c.in.push(arrival{stanza: s, counted: l.managed})
	}
}

// stanza copies the stanza that e is. With a *stanza.Error it is what could be read of it.
func (l *session) stanza(e *xmlstream.Element) (*stanza.Stanza, error) {
	s := new(stanza.Stanza)
	if err := s.FromElement(e, &l.addresses); err != nil {
		return s, err
	}
	return s.Retain(), nil
}

// Batch implements link.Owner.
func (l *session) Batch(b []byte) []byte {
	if l.owes.Swap(false) {
		b = (&sm.Ack{H: l.c.in.handled()}).AppendXML(b)
	}
	return l.c.link.Out.Take(b)
}

// Unreadable implements link.Owner.
func (l *session) Unreadable() {
	if l.managed {
		l.c.in.unreadable()
	}
}

// Farewell implements link.Way.
func (l *session) Farewell(ctx context.Context) {
	l.owes.Store(l.managed) // what is handled need not come again
	l.Conn.Farewell(ctx)
}

// hush ends the connection without ending the stream, so that the session can be resumed.
func (l *session) hush() {
	l.quiet.Store(true)
	l.owes.Store(l.managed)
	l.Leave(l.managed)
}
