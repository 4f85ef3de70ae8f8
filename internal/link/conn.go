// SPDX-License-Identifier: Apache-2.0

package link

// How to read this file: one goroutine, the supervisor's, reads (Next, Serve, read); another writes what there is to
// say (write), woken by Kick. Silence is judged where the reader's deadline passes (arm, silence). The end comes from
// outside by Leave, or from the server, or by an error.

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

	"github.com/stonechat-im/stonechat/xmpp/stream"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

const (
	writeSize = 16 << 10         // a batch, about
	writeTime = 60 * time.Second // for the network to take one
)

// LastTime is for hearing why, after a write has failed, and for telling why.
const LastTime = 2 * time.Second

// Machine is our side of a stream: a stream.Client or stream.ComponentClient.
type Machine interface {
	Next() stream.Event
	Feed(b []byte)
	Out() []byte
	Close(err *stream.Error, now time.Time)
}

// Owner is who has a connection served.
type Owner interface {
	// Element takes an element, on the reader's goroutine. The error ends the stream.
	Element(e *xmlstream.Element) *stream.Error
	// Batch appends what is to be sent now, on the writer's.
	Batch(b []byte) []byte
	// Unreadable notes that what came next could not be read, and has ended the stream.
	Unreadable()
}

// Conn is one connection.
type Conn struct {
	Net     net.Conn
	entity  *Entity
	machine Machine // the reader's
	owner   Owner
	buf     []byte
	live    bool // the reader's: negotiation is over

	kicked  chan struct{} // the writer has something to do; holds one
	bye     chan struct{} // closed: the writer is to end the stream
	done    chan struct{} // closed: the reader is through
	leaving sync.Once
	abrupt  atomic.Bool // the end is that of the connection alone
	writing atomic.Bool // a write is under way

	mu     sync.Mutex
	limit  time.Time // when reading ends, whatever comes; zero: when the server is silent
	broken error     // of the first write that failed
}

// NewConn makes a connection of one that somebody has dialled.
func NewConn(e *Entity, conn net.Conn, machine Machine, owner Owner) *Conn {
	return &Conn{
		Net: conn, entity: e, machine: machine, owner: owner, buf: make([]byte, e.Config.ReadBytes),
		kicked: make(chan struct{}, 1), bye: make(chan struct{}), done: make(chan struct{}),
	}
}

// Next moves bytes until the machine has an event.
func (c *Conn) Next() (stream.Event, error) {
	for {
		e := c.machine.Next()
		if !c.live {
			// Where the server has said why it wants no more, that counts.
			if err := c.Send(c.machine.Out()); err != nil && e.Kind == stream.None {
				return e, err
			}
		}
		if e.Kind != stream.None {
			return e, nil
		}
		if c.live {
			c.arm()
		}
		n, err := c.Net.Read(c.buf)
		switch {
		case n > 0:
			c.machine.Feed(c.buf[:n]) // an error will come again
		case errors.Is(err, os.ErrDeadlineExceeded) && c.live:
			if err := c.silence(); err != nil {
				return e, err
			}
		case errors.Is(err, io.EOF):
			return e, errors.New("the server has dropped the connection")
		case err != nil:
			return e, err
		}
	}
}

// Send writes while nobody else does.
func (c *Conn) Send(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	_, err := c.Net.Write(b)
	return err
}

// Ended says why a stream is over that nobody here has closed.
func Ended(err error) error {
	if err == nil {
		return errors.New("the server has closed the stream")
	}
	return err
}

// Serve keeps the connection going until it is over, and says why it is.
func (c *Conn) Serve() error {
	e := c.entity
	defer context.AfterFunc(e.life, func() { _ = c.Net.Close() })()
	c.live = true
	c.Kick()
	var writer sync.WaitGroup
	writer.Go(c.write)
	err := c.read()
	e.leave()
	close(c.done)
	if b := c.machine.Out(); len(b) > 0 && !c.Leaving() && !c.writing.Load() {
		// Our half of the end: the answer to theirs, or what they did wrong.
		_ = c.Net.SetWriteDeadline(time.Now().Add(LastTime))
		_, _ = c.Net.Write(b)
	}
	_ = c.Net.Close()
	writer.Wait()
	e.Out.Broke(err)
	return fmt.Errorf("%s: %w", e.Config.Name, err)
}

// read takes what arrives.
func (c *Conn) read() error {
	judged := false // it was us who ended the stream, for what an element says
	for {
		e, err := c.Next()
		if err != nil {
			c.mu.Lock()
			defer c.mu.Unlock()
			if c.broken != nil {
				return c.broken
			}
			return err
		}
		switch e.Kind {
		case stream.Element:
			if err := c.owner.Element(e.Element); err != nil {
				judged = true
				c.machine.Close(err, time.Now())
			}
		case stream.End:
			if bad := (*stream.Error)(nil); errors.As(e.Err, &bad) && !bad.Received && !judged {
				c.owner.Unreadable()
			}
			return Ended(e.Err)
		}
	}
}

// Kick wakes the writer.
func (c *Conn) Kick() {
	select {
	case c.kicked <- struct{}{}:
	default:
	}
}

// write writes what there is to write, until the reader is through.
func (c *Conn) write() {
	var b []byte
	for {
		select {
		case <-c.done:
			return
		case <-c.kicked:
		case <-c.bye:
			b = c.owner.Batch(b[:0])
			if c.abrupt.Load() {
				c.put(b)
				_ = c.Net.Close()
				return
			}
			c.put(append(b, "</stream:stream>"...))
			return
		}
		for b = c.owner.Batch(b[:0]); len(b) > 0; b = c.owner.Batch(b[:0]) {
			if !c.put(b) {
				return
			}
			c.arm()
		}
		if cap(b) > 2*writeSize {
			b = nil
		}
	}
}

// put writes b. If that fails, the reader has a moment to find out why.
func (c *Conn) put(b []byte) bool {
	c.writing.Store(true)
	defer c.writing.Store(false)
	for len(b) > 0 {
		_ = c.Net.SetWriteDeadline(time.Now().Add(writeTime))
		n, err := c.Net.Write(b[:min(len(b), writeSize)])
		if err != nil {
			c.mu.Lock()
			c.broken = err
			c.until(LastTime)
			c.mu.Unlock()
			return false
		}
		b = b[n:]
	}
	return true
}

// until ends reading after d, whatever comes. The caller holds mu.
func (c *Conn) until(d time.Duration) {
	c.limit = time.Now().Add(d)
	_ = c.Net.SetReadDeadline(c.limit)
}

// arm sets the time by which the server must have said something.
func (c *Conn) arm() {
	c.mu.Lock()
	defer c.mu.Unlock()
	limit := c.limit
	if limit.IsZero() {
		limit = time.Now().Add(c.entity.Out.patience())
	}
	_ = c.Net.SetReadDeadline(limit)
}

// silence is called when that time has passed. The error ends the connection.
func (c *Conn) silence() error {
	c.mu.Lock()
	over := !c.limit.IsZero()
	c.mu.Unlock()
	asked, overdue := c.entity.Out.waits()
	switch {
	case over || overdue && !c.writing.Load():
		return c.entity.Config.Silent
	case asked && !overdue:
		return nil
	}
	c.entity.Out.ask()
	c.Kick()
	return nil
}

// Leave has the stream ended, or, abruptly, the connection alone, so that the session can be resumed.
func (c *Conn) Leave(abruptly bool) {
	c.leaving.Do(func() {
		c.abrupt.Store(abruptly)
		c.mu.Lock()
		c.until(c.entity.Config.CloseTime)
		c.mu.Unlock()
		close(c.bye)
	})
}

// Farewell ends the stream, and returns when it is over or ctx is.
func (c *Conn) Farewell(ctx context.Context) {
	c.Leave(false)
	select {
	case <-c.done:
	case <-ctx.Done():
		_ = c.Net.Close()
	}
}

// Left is closed by Leave.
func (c *Conn) Left() <-chan struct{} { return c.bye }

// Leaving reports whether it is.
func (c *Conn) Leaving() bool {
	select {
	case <-c.bye:
		return true
	default:
		return false
	}
}

// Done is closed when nothing is read any more.
func (c *Conn) Done() <-chan struct{} { return c.done }
