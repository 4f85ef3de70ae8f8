// SPDX-License-Identifier: Apache-2.0

package drive

// How to read this file: first what any goroutine may call (the methods of Conn), then the way of
// bytes to the socket.
//
//	Queue ─▶ plain ─▶ Flush ─▶ (TLS, corked) ─▶ send ─▶ socket
//	                                             └▶ pending ─▶ push, when the socket has room

import (
	"crypto/tls"
	"io"
	"net/netip"
	"time"
)

// Queue implements Conn.
func (c *conn) Queue(p []byte) {
	if len(p) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.shut {
		c.plain = c.plain.add(p)
		return
	}
	c.wire.Lock()
	c.lost += len(p)
	c.wire.Unlock()
}

// Flush implements Conn.
func (c *conn) Flush() {
	c.mu.Lock()
	c.flush()
	c.mu.Unlock()
}

// flush seals and sends what is queued. The caller holds mu.
func (c *conn) flush() {
	p := c.plain
	if p == nil || c.hold {
		return
	}
	c.plain = nil
	c.wire.Lock()
	if c.tls == nil {
		c.send(p.rest())
	} else {
		c.corked = true
		c.wire.Unlock()
		n, _ := c.tls.Write(p.rest()) // into under.Write, which takes everything, unless TLS has ended
		c.wire.Lock()
		c.lost += len(p.rest()) - n
		c.corked = false
		if !c.full {
			c.push(c.sock.write)
		}
	}
	c.wire.Unlock()
	p.giveBack()
}

// Queued implements Conn.
func (c *conn) Queued() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wire.Lock()
	defer c.wire.Unlock()
	return len(c.plain.rest()) + len(c.pending.rest()) + c.lost
}

// StartTLS implements Conn.
func (c *conn) StartTLS(cfg *tls.Config) { c.wantTLS = cfg }

// ConnectTLS implements Conn.
func (c *conn) ConnectTLS(cfg *tls.Config) { c.wantTLS, c.calls = cfg, true }

// SetDeadline implements Conn.
func (c *conn) SetDeadline(t time.Time) {
	c.wire.Lock()
	defer c.wire.Unlock()
	c.deadline = c.instant(t)
	if !c.closed {
		c.sock.watch()
	}
}

// Pause implements Conn.
func (c *conn) Pause() {
	c.wire.Lock()
	defer c.wire.Unlock()
	c.paused++
	if !c.closed {
		c.sock.changed()
	}
}

// Resume implements Conn.
func (c *conn) Resume() {
	c.wire.Lock()
	defer c.wire.Unlock()
	c.paused--
	if c.paused > 0 || c.closed {
		return
	}
	if !c.resuming {
		c.resuming = true
		c.post(c.resumed)
	}
	c.sock.changed()
}

// Close implements Conn.
func (c *conn) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.shut:
		return
	case c.hold:
		c.Abort() // there is no way to say anything
		return
	}
	c.flush()
	c.shut = true
	if c.tls != nil {
		_ = c.tls.CloseWrite() // close_notify, behind what is queued
	}
	c.wire.Lock()
	defer c.wire.Unlock()
	c.closing = true
	c.limit = c.now() + instant(c.times.linger)
	if c.pending == nil {
		c.sock.finish()
	}
	c.sock.changed()
	c.sock.watch()
}

// Abort implements Conn.
func (c *conn) Abort() {
	c.wire.Lock()
	if !c.closed && c.broken == nil {
		c.fail(ErrAborted)
	}
	c.wire.Unlock()
	c.post(func(*work) { c.end(ErrAborted) })
}

// Remote implements Conn.
func (c *conn) Remote() netip.AddrPort { return c.remote }

// Served implements Conn.
func (c *conn) Served() *tls.Certificate {
	c.wire.Lock()
	defer c.wire.Unlock()
	return c.served
}

// send writes p, as much as the socket takes, and keeps the rest. The caller holds wire.
func (c *conn) send(p []byte) {
	if c.closed || c.broken != nil {
		c.lost += len(p)
		return
	}
	if c.pending == nil && !c.corked {
		n, err := c.sock.write(p)
		if err != nil {
			c.lost += len(p)
			c.fail(err)
			return
		}
		if p = p[n:]; len(p) == 0 {
			return
		}
	}
	c.pending = c.pending.add(p)
	if !c.corked && !c.full {
		c.fill()
	}
}

// fill waits for room in the socket. The caller holds wire.
func (c *conn) fill() {
	c.full, c.since = true, c.now()
	c.sock.changed()
	c.sock.watch()
}

// push sends what is pending with write. The caller holds wire.
func (c *conn) push(write func([]byte) (int, error)) {
	if c.closed || c.pending == nil {
		return
	}
	n, err := write(c.pending.rest())
	if err != nil {
		c.fail(err)
		return
	}
	c.pending.sent += n
	switch {
	case len(c.pending.rest()) == 0:
		c.emptied()
	case !c.full:
		c.fill()
	case n > 0:
		c.since = c.now()
	}
}

// emptied notes that nothing is pending any more. The caller holds wire.
func (c *conn) emptied() {
	c.pending.giveBack()
	c.pending = nil
	if c.full {
		c.full = false
		c.sock.changed()
		c.sock.watch()
	}
	if c.closing {
		c.sock.finish()
	}
	if c.ended {
		c.post(func(*work) { c.end(io.EOF) })
	}
}

// fail notes that nothing can be sent any more. The reader takes what there is to read, comes to
// the end and tells the machine. The caller holds wire.
func (c *conn) fail(err error) {
	c.broken = err
	c.lost += len(c.pending.rest())
	c.sock.sever()
	c.emptied()
}
