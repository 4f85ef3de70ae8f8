// SPDX-License-Identifier: Apache-2.0

package component

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/stonechat-im/stonechat/internal/link"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/stream"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// session is one connection. It is a link.Way and a link.Owner.
type session struct {
	*link.Conn
	c         *Component
	machine   *stream.ComponentClient // the reader's
	addresses jid.Cache
}

// connect makes a connection on which stanzas flow.
func (c *Component) connect(ctx context.Context) (link.Way, error) {
	ctx, cancel := context.WithTimeout(ctx, c.config.LoginTime)
	defer cancel()
	defer context.AfterFunc(c.link.Life(), cancel)()
	conn, err := c.dial(ctx)
	if err != nil {
		return nil, fmt.Errorf("component: cannot connect to %s: %w", c.config.Address, err)
	}
	l := &session{c: c, machine: stream.NewComponentClient(&stream.ComponentClientConfig{
		Domain: c.config.Domain, Secret: c.config.Secret, LoginTimeout: c.config.LoginTime,
	}, time.Now())}
	l.Conn = link.NewConn(&c.link, conn, l.machine, l)
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	err = l.login()
	if !stop() {
		err = context.Cause(ctx)
	}
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("component: cannot log in at %s: %w", c.config.Address, err)
	}
	return l, nil
}

// dial connects, and encrypts where that is asked for.
func (c *Component) dial(ctx context.Context) (net.Conn, error) {
	dial := c.config.Dial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	conn, err := dial(ctx, "tcp", c.config.Address)
	if err != nil {
		return nil, err
	}
	if c.config.TLS == nil {
		if at, ok := conn.RemoteAddr().(*net.TCPAddr); ok && !at.IP.IsLoopback() && !c.config.Plaintext {
			_ = conn.Close()
			return nil, fmt.Errorf("%w: %s", ErrPlaintext, at)
		}
		return conn, nil
	}
	over := tls.Client(conn, c.config.TLS)
	if err := over.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("starting TLS: %w", err)
	}
	return over, nil
}

// login shakes hands. XEP-0114 §3
func (l *session) login() error {
	l.machine.Start()
	for {
		e, err := l.Next()
		switch {
		case err != nil:
			return err
		case e.Kind == stream.Login:
			return nil
		case e.Kind == stream.End:
			return link.Ended(e.Err)
		}
	}
}

// Serve implements link.Way.
func (l *session) Serve() error {
	c := l.c
	_ = l.Net.SetDeadline(time.Time{})
	c.begin(l.Kick)
	return l.Conn.Serve()
}

// Element implements link.Owner: it takes a stanza. What is none is ignored.
func (l *session) Element(e *xmlstream.Element) *stream.Error {
	c := l.c
	s := new(stanza.Stanza)
	err := s.FromElement(e, &l.addresses)
	var refused *stanza.Error
	switch {
	case errors.As(err, &refused):
		c.log.Debug("stanza not understood", "err", err)
		if !s.From.IsZero() && c.own(s.To) && len(s.ID) > 0 {
			c.refused(s, refused)
		}
	case err != nil:
		c.log.Debug("element ignored", "err", err)
	default:
		if needsRoom(s) {
			c.in.wait(l.Left())
		}
		s = s.Retain()
		if e := c.arrive(s); e != nil {
			c.refused(s, e)
		}
	}
	return nil
}

// needsRoom reports whether s goes to a handler. Answers, and the domain's ping to itself, must never wait
// for what waits for them.
func needsRoom(s *stanza.Stanza) bool {
	return s.Kind != stanza.IQ || s.Type.IsRequest() && s.From != s.To
}

// Batch implements link.Owner.
func (l *session) Batch(b []byte) []byte { return l.c.link.Out.Take(b) }

// Unreadable implements link.Owner. Nothing comes again by itself.
func (l *session) Unreadable() {}
