// SPDX-License-Identifier: Apache-2.0

package component

// How to read this file: connect makes a connection on which stanzas flow. One goroutine, the
// supervisor's, reads (next, read, element); another writes what the outbox has to say (write), woken by
// kick. Silence is judged where the reader's deadline passes (arm, silence). The end comes from outside
// by farewell, or from the server, or by an error.

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/stream"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

const (
	readSize  = 16 << 10
	writeSize = 16 << 10         // a batch, about
	writeTime = 60 * time.Second // for the network to take one
	lastTime  = 2 * time.Second  // to hear why, after a write has failed, or to tell why
)

// link is one connection.
type link struct {
	c         *Component
	conn      net.Conn
	machine   *stream.ComponentClient // the reader's
	buf       []byte
	addresses jid.Cache
	live      bool // the reader's: stanzas flow

	kicked  chan struct{} // the writer has something to do; holds one
	bye     chan struct{} // closed: the writer is to end the stream
	done    chan struct{} // closed: the reader is through
	leaving sync.Once
	writing atomic.Bool // a write is under way

	mu     sync.Mutex
	limit  time.Time // when reading ends, whatever comes; zero: when the server is silent
	broken error     // of the first write that failed
}

// connect makes a connection on which stanzas flow.
func (c *Component) connect(ctx context.Context) (way, error) {
	ctx, cancel := context.WithTimeout(ctx, c.config.LoginTime)
	defer cancel()
	defer context.AfterFunc(c.life, cancel)()
	conn, err := c.dial(ctx)
	if err != nil {
		return nil, fmt.Errorf("component: cannot connect to %s: %w", c.config.Address, err)
	}
	l := &link{
		c: c, conn: conn, buf: make([]byte, readSize),
		kicked: make(chan struct{}, 1), bye: make(chan struct{}), done: make(chan struct{}),
	}
	l.machine = stream.NewComponentClient(&stream.ComponentClientConfig{
		Domain: c.config.Domain, Secret: c.config.Secret, LoginTimeout: c.config.LoginTime,
	}, time.Now())
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
func (l *link) login() error {
	l.machine.Start()
	for {
		e, err := l.next()
		switch {
		case err != nil:
			return err
		case e.Kind == stream.Login:
			return nil
		case e.Kind == stream.End:
			return ended(e.Err)
		}
	}
}

// ended is why a stream is over.
func ended(err error) error {
	if err == nil {
		return errors.New("the server has closed the stream")
	}
	return err
}

// next moves bytes until the machine has an event.
func (l *link) next() (stream.Event, error) {
	for {
		e := l.machine.Next()
		if !l.live {
			if out := l.machine.Out(); len(out) > 0 {
				if _, err := l.conn.Write(out); err != nil && e.Kind == stream.None {
					return e, err
				}
			}
		}
		if e.Kind != stream.None {
			return e, nil
		}
		if l.live {
			l.arm()
		}
		n, err := l.conn.Read(l.buf)
		switch {
		case n > 0:
			l.machine.Feed(l.buf[:n]) // an error will come again
		case errors.Is(err, os.ErrDeadlineExceeded) && l.live:
			if err := l.silence(); err != nil {
				return e, err
			}
		case errors.Is(err, io.EOF):
			return e, errors.New("the server has dropped the connection")
		case err != nil:
			return e, err
		}
	}
}

// serve implements way.
func (l *link) serve() error {
	c := l.c
	defer context.AfterFunc(c.life, func() { _ = l.conn.Close() })()
	_ = l.conn.SetDeadline(time.Time{})
	l.live = true
	c.out.renew(l.kick)
	c.calls.renew(&c.out)
	_ = c.in.push(jid.JID{}, job{run: c.table.ready}) // refused only at the end
	l.kick()
	var writer sync.WaitGroup
	writer.Go(l.write)
	err := l.read()
	close(l.done)
	if b := l.machine.Out(); len(b) > 0 && !l.closing() && !l.writing.Load() {
		// Our half of the end: the answer to theirs, or what they did wrong.
		_ = l.conn.SetWriteDeadline(time.Now().Add(lastTime))
		_, _ = l.conn.Write(b)
	}
	_ = l.conn.Close()
	writer.Wait()
	c.out.blame(err)
	c.out.broke()
	return fmt.Errorf("component: %w", err)
}

// read takes what arrives.
func (l *link) read() error {
	for {
		e, err := l.next()
		if err != nil {
			l.mu.Lock()
			defer l.mu.Unlock()
			if l.broken != nil {
				return l.broken
			}
			return err
		}
		switch e.Kind {
		case stream.Element:
			l.element(e.Element)
		case stream.End:
			return ended(e.Err)
		}
	}
}

// element takes a stanza. What is none is ignored.
func (l *link) element(e *xmlstream.Element) {
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
			c.in.wait(l.bye)
		}
		s = s.Retain()
		if e := c.arrive(s); e != nil {
			c.refused(s, e)
		}
	}
}

// needsRoom reports whether s goes to a handler. Answers, and the domain's ping to itself, must never wait
// for what waits for them.
func needsRoom(s *stanza.Stanza) bool {
	return s.Kind != stanza.IQ || s.Type.IsRequest() && s.From != s.To
}

// kick wakes the writer.
func (l *link) kick() {
	select {
	case l.kicked <- struct{}{}:
	default:
	}
}

// write writes what there is to write, until the reader is through.
func (l *link) write() {
	var b []byte
	for {
		select {
		case <-l.done:
			return
		case <-l.kicked:
		case <-l.bye:
			l.put(append(l.c.out.take(b[:0]), "</stream:stream>"...))
			return
		}
		for b = l.c.out.take(b[:0]); len(b) > 0; b = l.c.out.take(b[:0]) {
			if !l.put(b) {
				return
			}
			l.arm()
		}
		if cap(b) > 4*writeSize {
			b = nil
		}
	}
}

// put writes b. If that fails, the reader has a moment to find out why.
func (l *link) put(b []byte) bool {
	l.writing.Store(true)
	defer l.writing.Store(false)
	for len(b) > 0 {
		_ = l.conn.SetWriteDeadline(time.Now().Add(writeTime))
		n, err := l.conn.Write(b[:min(len(b), writeSize)])
		if err != nil {
			l.mu.Lock()
			l.broken = err
			l.limit = time.Now().Add(lastTime)
			_ = l.conn.SetReadDeadline(l.limit)
			l.mu.Unlock()
			return false
		}
		b = b[n:]
	}
	return true
}

// arm sets the time by which the server must have said something.
func (l *link) arm() {
	l.mu.Lock()
	defer l.mu.Unlock()
	limit := l.limit
	if limit.IsZero() {
		limit = time.Now().Add(l.c.out.patience())
	}
	_ = l.conn.SetReadDeadline(limit)
}

// silence is called when that time has passed. The error ends the connection.
func (l *link) silence() error {
	l.mu.Lock()
	over := !l.limit.IsZero()
	l.mu.Unlock()
	if over || l.c.out.isAsked() && !l.writing.Load() {
		return ErrSilent
	}
	l.c.out.probe()
	l.kick()
	return nil
}

// farewell implements way: it ends the stream.
func (l *link) farewell(ctx context.Context) {
	l.leaving.Do(func() {
		l.mu.Lock()
		l.limit = time.Now().Add(l.c.config.CloseTime)
		_ = l.conn.SetReadDeadline(l.limit)
		l.mu.Unlock()
		close(l.bye)
	})
	select {
	case <-l.done:
	case <-ctx.Done():
		_ = l.conn.Close()
	}
}

func (l *link) closing() bool {
	select {
	case <-l.bye:
		return true
	default:
		return false
	}
}
