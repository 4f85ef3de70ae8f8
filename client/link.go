// SPDX-License-Identifier: Apache-2.0

package client

// How to read this file: one goroutine, the supervisor's, reads (next, serve, element); another
// writes what outbox and inbox have to say (write, batch), woken by kick. Silence is judged where
// the reader's deadline passes (arm, silence). The end comes from outside by farewell, or from
// the server, or by an error.

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/sm"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/stream"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

const (
	readSize  = 4096
	writeSize = 16 << 10         // a batch, about
	writeTime = 60 * time.Second // for the network to take one
	lastTime  = 2 * time.Second  // to hear why, after a write has failed, or to tell why
)

// link is one connection.
type link struct {
	c         *Client
	conn      net.Conn
	machine   *stream.Client // the reader's
	buf       []byte
	addresses jid.Cache
	mechanism string
	full      jid.JID // of the session
	managed   bool    // stream management is on
	live      bool    // the reader's: negotiation is over

	kicked  chan struct{} // the writer has something to do; holds one
	bye     chan struct{} // closed: the writer is to end the stream
	done    chan struct{} // closed: the reader is through
	leaving sync.Once
	owes    atomic.Bool // the server is to be told what we have handled
	writing atomic.Bool // a write is under way
	quiet   atomic.Bool // the end is that of the connection alone: see hush

	mu     sync.Mutex
	limit  time.Time // when reading ends, whatever comes; zero: when the server is silent
	broken error     // of the first write that failed
}

func newLink(c *Client, conn net.Conn, config *stream.ClientConfig) *link {
	return &link{
		c: c, conn: conn, machine: stream.NewClient(config, time.Now()), buf: make([]byte, readSize),
		kicked: make(chan struct{}, 1), bye: make(chan struct{}), done: make(chan struct{}),
	}
}

// next moves bytes until the machine has an event.
func (l *link) next() (stream.Event, error) {
	for {
		e := l.machine.Next()
		if !l.live {
			if err := l.send(l.machine.Out()); err != nil {
				return e, err
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

// send writes while nobody else does.
func (l *link) send(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	_, err := l.conn.Write(b)
	return err
}

// timeout names the error of a deadline.
func timeout(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return ErrSilent
	}
	return err
}

// serve keeps the session going until the connection is over, and says why it is.
func (l *link) serve() error {
	c := l.c
	defer context.AfterFunc(c.life, func() { _ = l.conn.Close() })()
	l.live = true
	l.kick()
	var writer sync.WaitGroup
	writer.Go(l.write)
	err := l.read()
	c.leave()
	c.out.detach(l)
	close(l.done)
	if b := l.machine.Out(); len(b) > 0 && !l.closing() && !l.writing.Load() {
		// Our half of the end: the answer to theirs, or what they did wrong.
		_ = l.conn.SetWriteDeadline(time.Now().Add(lastTime))
		_, _ = l.conn.Write(b)
	}
	_ = l.conn.Close()
	writer.Wait()
	c.out.blame(err)
	return fmt.Errorf("client: %w", err)
}

// read takes what arrives.
func (l *link) read() error {
	judged := false // it was us who ended the stream, for what an element says
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
			if err := l.element(e.Element); err != nil {
				judged = true
				l.machine.Close(err, time.Now())
			}
		case stream.End:
			if bad := (*stream.Error)(nil); errors.As(e.Err, &bad) && !bad.Received && !judged && l.managed {
				l.c.in.unreadable()
			}
			return ended(e.Err)
		}
	}
}

// element takes one element. The error ends the stream.
func (l *link) element(e *xmlstream.Element) *stream.Error {
	c := l.c
	switch {
	case sm.IsAck(e):
		h, ok := sm.HOf(e)
		if !ok {
			return &stream.Error{Condition: stream.BadFormat, Text: "an <a/> needs a number h"}
		}
		if err := c.out.ack(h); err != nil {
			return err
		}
	case sm.IsRequest(e):
		l.owes.Store(true)
		l.kick()
	case string(e.Space) == stanza.NSClient:
		l.arrived(e)
	}
	return nil
}

// arrived takes a stanza.
func (l *link) arrived(e *xmlstream.Element) {
	c := l.c
	s, err := l.stanza(e)
	switch {
	case l.closing():
		// What arrives behind our end tag stays the server's.
	case err != nil:
		c.in.skip(l.managed)
		c.log.Debug("stanza not understood", "err", err)
		if refused := (*stanza.Error)(nil); errors.As(err, &refused) && s.Type.IsRequest() && len(s.ID) > 0 {
			c.reply(s.Refuse(refused))
		}
	case s.Kind == stanza.IQ && !s.Type.IsRequest():
		c.in.skip(l.managed) // first, so that whoever waits finds it counted
		c.answered(s)
	case c.in.wait(l.bye, c.life.Done()):
		c.table.glance(s)
		c.in.push(arrival{stanza: s, counted: l.managed})
	}
}

// stanza copies the stanza that e is. With a *stanza.Error it is what could be read of it.
func (l *link) stanza(e *xmlstream.Element) (*stanza.Stanza, error) {
	s := new(stanza.Stanza)
	if err := s.FromElement(e, &l.addresses); err != nil {
		return s, err
	}
	return s.Retain(), nil
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
			b = l.batch(b[:0])
			if l.quiet.Load() && l.managed {
				l.put(b)
				_ = l.conn.Close()
				return
			}
			l.put(append(b, "</stream:stream>"...))
			return
		}
		for b = l.batch(b[:0]); len(b) > 0; b = l.batch(b[:0]) {
			if !l.put(b) {
				return
			}
			l.arm()
		}
		if cap(b) > 2*writeSize {
			b = nil
		}
	}
}

// batch appends what is to be sent now.
func (l *link) batch(b []byte) []byte {
	if l.owes.Swap(false) {
		b = (&sm.Ack{H: l.c.in.handled()}).AppendXML(b)
	}
	return l.c.out.take(b)
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
	switch {
	case over || l.c.out.isAsked() && !l.writing.Load():
		return ErrSilent
	default:
		l.c.out.ask()
		l.kick()
		return nil
	}
}

// farewell ends the stream, and returns when it is over or ctx is.
func (l *link) farewell(ctx context.Context) {
	l.leaving.Do(func() {
		l.mu.Lock()
		l.limit = time.Now().Add(l.c.config.CloseTime)
		_ = l.conn.SetReadDeadline(l.limit)
		l.mu.Unlock()
		l.owes.Store(l.managed) // what is handled need not come again
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
