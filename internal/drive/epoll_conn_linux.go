// SPDX-License-Identifier: Apache-2.0

package drive

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// econn is one connection of the epoll driver. What is read belongs to the loop. What is written
// passes two locks, in this order: mu orders what is queued and sealed, wire what goes to the
// socket. TLS needs both, because reading makes it write by itself (a key update, an alert).
type econn struct {
	fd      int
	loop    *loop
	machine Machine
	remote  netip.AddrPort
	wantTLS *tls.Config // a handshake to begin; the loop's
	left    []byte      // read from the socket and not taken yet: the connection was paused; the loop's
	shake   *shake      // while a handshake is under way; the loop's
	under   *under      // of tls

	mu    sync.Mutex
	plain []byte    // queued and not sealed yet
	tls   *tls.Conn // set by the loop under mu, so that either may read it

	wire     sync.Mutex
	pending  []byte    // sealed, refused by the socket
	since    time.Time // when the socket last took something, while pending
	deadline time.Time
	served   *tls.Certificate
	paused   int
	events   uint32 // as epoll has them
	closing  bool   // shut our direction when all is sent
	closed   bool   // the descriptor is not ours any more
	broken   bool   // a write failed, and reading tells why; or aborted
	lost     int    // bytes that will never leave
}

// interest is what the loop wants to hear of now. The caller holds wire, or has not shared c yet.
func (c *econn) interest() uint32 {
	var e uint32
	if c.paused == 0 {
		e |= unix.EPOLLIN
	}
	if len(c.pending) > 0 {
		e |= unix.EPOLLOUT
	}
	c.events = e
	return e
}

// update tells epoll if the interest has changed. The caller holds wire.
func (c *econn) update() {
	if was := c.events; !c.closed && was != gone && c.interest() != was {
		_ = c.loop.control(unix.EPOLL_CTL_MOD, c.fd, c.events)
	}
}

// ready handles what epoll says. It runs on the loop.
func (c *econn) ready(events uint32) {
	if events&unix.EPOLLOUT != 0 {
		c.wire.Lock()
		c.push()
		c.wire.Unlock()
	}
	if events&(unix.EPOLLIN|unix.EPOLLHUP|unix.EPOLLERR) == 0 {
		return
	}
	c.wire.Lock()
	paused := c.paused > 0
	if paused && events&(unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		// Level-triggered, it would be told again and again: resumed looks for itself.
		_ = c.loop.control(unix.EPOLL_CTL_DEL, c.fd, 0)
		c.events = gone
	}
	c.wire.Unlock()
	if !paused {
		c.input()
	}
}

// gone in econn.events says that epoll does not watch the descriptor.
const gone = 1 << 31

// input reads once and gives what came to the machine, through TLS if it is on.
func (c *econn) input() {
	l := c.loop
	n, err := read(c.fd, l.read)
	switch {
	case err == unix.EAGAIN:
		return
	case err != nil:
		l.remove(c, fmt.Errorf("drive: read: %w", err))
		return
	case n == 0:
		c.end()
		return
	}
	c.take(l.read[:n])
	poison(l.read[:n])
}

func read(fd int, p []byte) (int, error) {
	for {
		n, err := unix.Read(fd, p)
		if err != unix.EINTR {
			return n, err
		}
	}
}

// end is the peer's end of the connection.
func (c *econn) end() {
	if c.shake != nil {
		c.shake.end() // the handshake fails, and tells
		return
	}
	c.loop.remove(c, io.EOF)
}

// take gives bytes from the socket to whoever waits for them.
func (c *econn) take(data []byte) {
	switch {
	case c.shake != nil:
		c.shake.feed(data)
	case c.tls != nil:
		c.open(data)
	default:
		c.machine.Input(&c.loop.batch, data)
		c.after()
	}
}

// after does what the machine asked for in Input.
func (c *econn) after() {
	if c.wantTLS != nil {
		c.handshake()
	}
}

// resumed goes on reading, on the loop.
func (c *econn) resumed() {
	c.wire.Lock()
	if c.closed || c.paused > 0 {
		c.wire.Unlock()
		return
	}
	if c.events == gone {
		_ = c.loop.control(unix.EPOLL_CTL_ADD, c.fd, c.interest())
	} else {
		c.update()
	}
	c.wire.Unlock()
	c.machine.Input(&c.loop.batch, nil)
	c.after()
	if c.tls != nil && c.shake == nil && !c.stopped() {
		c.open(nil) // what TLS has read already makes no new readiness
	}
}

// stopped reports whether the loop is to give the machine nothing more now.
func (c *econn) stopped() bool {
	c.wire.Lock()
	defer c.wire.Unlock()
	return c.paused > 0 || c.closed
}

func (c *econn) expired() {
	c.wire.Lock()
	stalled := len(c.pending) > 0 && time.Since(c.since) >= stallTime
	over := c.closing && time.Since(c.deadline) >= 0
	if !stalled {
		c.deadline = time.Time{}
	}
	c.wire.Unlock()
	switch {
	case over:
		c.loop.remove(c, io.EOF)
	case stalled:
		c.loop.remove(c, errStalled)
	default:
		c.machine.Expired(&c.loop.batch)
		c.after()
	}
}

var errStalled = errors.New("drive: the peer does not read")

// deadlineAt is when the loop has to look: at the machine's deadline, or when a peer that does
// not read has had its time.
func (c *econn) deadlineAt() time.Time {
	c.wire.Lock()
	defer c.wire.Unlock()
	d := c.deadline
	if len(c.pending) > 0 {
		if s := c.since.Add(stallTime); d.IsZero() || s.Before(d) {
			d = s
		}
	}
	return d
}

// closedFD closes the descriptor, and reports whether it was closed already.
func (c *econn) closedFD() (already bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wire.Lock()
	defer c.wire.Unlock()
	if c.closed {
		return true
	}
	c.closed = true
	if c.shake != nil {
		c.shake.end()
	}
	c.lost += len(c.plain) + len(c.pending)
	giveBack(c.plain)
	giveBack(c.pending)
	c.plain, c.pending, c.left = nil, nil, nil
	_ = unix.Close(c.fd)
	return false
}

// Queue implements Conn.
func (c *econn) Queue(p []byte) {
	c.mu.Lock()
	c.plain = grow(c.plain, p)
	c.mu.Unlock()
}

// Flush implements Conn.
func (c *econn) Flush() {
	c.mu.Lock()
	c.flush()
	c.mu.Unlock()
}

// flush seals and sends what is queued. The caller holds mu.
func (c *econn) flush() {
	p := c.plain
	if p == nil {
		return
	}
	c.plain = nil
	if c.tls != nil {
		if n, err := c.tls.Write(p); err != nil { // send takes everything: our direction is closed
			c.wire.Lock()
			c.lost += len(p) - n
			c.wire.Unlock()
		}
	} else {
		c.send(p)
	}
	giveBack(p)
}

// send writes what the socket takes and keeps the rest.
func (c *econn) send(p []byte) {
	c.wire.Lock()
	defer c.wire.Unlock()
	if c.broken || c.closed {
		c.lost += len(p)
		return
	}
	if len(c.pending) == 0 {
		n := c.write(p)
		if n == len(p) {
			return
		}
		p = p[n:]
		c.since = time.Now()
		c.watch()
	}
	c.pending = grow(c.pending, p)
	c.update()
}

// write returns how much the socket took. The caller holds wire.
func (c *econn) write(p []byte) int {
	for {
		n, err := unix.Write(c.fd, p)
		switch err {
		case nil:
			return n
		case unix.EINTR:
			continue
		case unix.EAGAIN:
			return 0
		}
		// The reader hears of it too, and ends the connection.
		c.broken = true
		_ = unix.Shutdown(c.fd, unix.SHUT_RDWR)
		return 0
	}
}

// push sends what was refused before. The caller holds wire.
func (c *econn) push() {
	if c.closed || c.broken || len(c.pending) == 0 {
		return
	}
	n := c.write(c.pending)
	if n > 0 {
		c.since = time.Now()
	}
	if c.broken || n == len(c.pending) {
		c.lost += len(c.pending) - n
		giveBack(c.pending)
		c.pending = nil
		if c.closing {
			_ = unix.Shutdown(c.fd, unix.SHUT_WR)
		}
	} else {
		c.pending = append(c.pending[:0], c.pending[n:]...)
	}
	c.update()
}

// Queued implements Conn.
func (c *econn) Queued() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wire.Lock()
	defer c.wire.Unlock()
	return len(c.plain) + len(c.pending) + c.lost
}

// StartTLS implements Conn.
func (c *econn) StartTLS(cfg *tls.Config) { c.wantTLS = cfg }

// SetDeadline implements Conn.
func (c *econn) SetDeadline(t time.Time) {
	c.wire.Lock()
	c.deadline = t
	c.wire.Unlock()
	if !t.IsZero() {
		c.watch()
	}
}

// watch makes the loop look at deadlineAt until it is zero.
func (c *econn) watch() {
	c.loop.post(func() {
		if c.loop.conns[int32(c.fd)] == c {
			c.loop.timed[c] = struct{}{}
		}
	})
}

// Pause implements Conn.
func (c *econn) Pause() {
	c.wire.Lock()
	c.paused++
	c.update()
	c.wire.Unlock()
}

// Resume implements Conn.
func (c *econn) Resume() {
	c.wire.Lock()
	c.paused--
	last := c.paused == 0
	c.wire.Unlock()
	if last {
		c.loop.post(func() { c.loop.guard(c, c.resumed) })
	}
}

// Close implements Conn.
func (c *econn) Close() {
	c.mu.Lock()
	c.flush()
	if c.tls != nil {
		_ = c.tls.CloseWrite() // close_notify, behind what is queued
	}
	c.mu.Unlock()
	c.wire.Lock()
	defer c.wire.Unlock()
	if c.closed || c.closing {
		return
	}
	c.closing = true
	if len(c.pending) == 0 {
		_ = unix.Shutdown(c.fd, unix.SHUT_WR)
	}
	c.deadline = time.Now().Add(lingerTime)
	c.watch()
}

// Abort implements Conn.
func (c *econn) Abort() {
	c.wire.Lock()
	c.broken = true
	c.wire.Unlock()
	c.loop.post(func() { c.loop.remove(c, ErrAborted) })
}

// Remote implements Conn.
func (c *econn) Remote() netip.AddrPort { return c.remote }

// Served implements Conn.
func (c *econn) Served() *tls.Certificate {
	c.wire.Lock()
	defer c.wire.Unlock()
	return c.served
}
