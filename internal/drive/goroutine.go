// SPDX-License-Identifier: Apache-2.0

package drive

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// Goroutines is the portable driver: each connection is read by a goroutine of its own. It is
// ready as its zero value with a Log.
type Goroutines struct {
	Log *slog.Logger

	once  sync.Once
	slots *slots

	mu    sync.Mutex
	conns map[*conn]struct{}
	wg    sync.WaitGroup
}

// Serve drives nc until it ends, on a goroutine of its own. With direct set, the connection
// begins with a TLS handshake. start makes the machine; it is called before Serve returns.
func (g *Goroutines) Serve(nc net.Conn, direct *tls.Config, start func(Conn) Machine) {
	g.once.Do(func() { g.slots = newSlots() })
	c := &conn{driver: g, wire: newWire(nc), wantTLS: direct}
	c.resumed.L = &c.mu
	c.machine = start(c)
	g.mu.Lock()
	if g.conns == nil {
		g.conns = make(map[*conn]struct{})
	}
	g.conns[c] = struct{}{}
	g.mu.Unlock()
	g.wg.Go(c.run)
}

// Close aborts all connections and returns when their machines are gone.
func (g *Goroutines) Close() {
	g.mu.Lock()
	for c := range g.conns {
		c.Abort()
	}
	g.mu.Unlock()
	g.wg.Wait()
}

// conn is one connection of the goroutine driver.
type conn struct {
	driver  *Goroutines
	machine Machine
	wire    *wire
	wantTLS *tls.Config // a handshake to make before the next read; the driver's goroutine's
	tls     atomic.Pointer[tls.Conn]

	mu      sync.Mutex
	plain   []byte // queued and not sealed yet
	lost    int    // bytes that TLS did not take any more
	paused  int
	resumed sync.Cond
	aborted bool

	reading sync.Mutex // orders SetDeadline against the handshake's own deadline
	limit   time.Time
}

func (c *conn) run() {
	err := c.loop()
	_ = c.wire.Conn.Close()
	c.mu.Lock()
	if c.aborted {
		err = ErrAborted
	}
	c.mu.Unlock()
	c.guard(func() { c.machine.Gone(err) })
	c.driver.mu.Lock()
	delete(c.driver.conns, c)
	c.driver.mu.Unlock()
}

// loop reads until the connection is over and says why it is.
func (c *conn) loop() error {
	buf := make([]byte, 4096)
	for {
		if cfg := c.wantTLS; cfg != nil {
			c.wantTLS = nil
			if err := c.handshake(cfg); err != nil {
				return fmt.Errorf("%w: %w", ErrHandshake, err)
			}
			continue
		}
		n, err := c.reader().Read(buf)
		if n > 0 {
			if !c.batch(func(b *Batch) { c.machine.Input(b, buf[:n]) }) {
				return errPanic
			}
			poison(buf[:n])
		}
		if c.awaitResume() {
			return errPanic
		}
		switch {
		case err == nil:
		case errors.Is(err, os.ErrDeadlineExceeded):
			if c.wire.isClosing() {
				return io.EOF
			}
			_ = c.wire.Conn.SetReadDeadline(time.Time{})
			if !c.batch(c.machine.Expired) {
				return errPanic
			}
		default:
			return err
		}
	}
}

var errPanic = errors.New("drive: the connection's machine panicked")

// guard runs one call into the machine. A panic costs the connection that caused it, no other.
func (c *conn) guard(f func()) (ok bool) {
	defer func() {
		if r := recover(); r != nil {
			c.driver.Log.Error("connection dropped after a panic", "peer", c.Remote(), "panic", r, "stack", string(debug.Stack()))
		}
	}()
	f()
	return true
}

// batch runs one call with a batch of its own.
func (c *conn) batch(f func(*Batch)) (ok bool) {
	var b Batch
	return c.guard(func() {
		f(&b)
		b.end()
	})
}

// awaitResume waits while the connection is paused and lets the machine go on with what it
// kept. It reports whether the machine panicked.
func (c *conn) awaitResume() (panicked bool) {
	for {
		c.mu.Lock()
		if c.paused == 0 || c.aborted {
			c.mu.Unlock()
			return false
		}
		for c.paused > 0 && !c.aborted {
			c.resumed.Wait()
		}
		c.mu.Unlock()
		if !c.batch(func(b *Batch) { c.machine.Input(b, nil) }) {
			return true
		}
	}
}

func (c *conn) reader() io.Reader {
	if t := c.tls.Load(); t != nil {
		return t
	}
	return c.wire.Conn
}

func (c *conn) handshake(cfg *tls.Config) error {
	c.Flush()
	s := c.driver.slots
	c.reading.Lock()
	c.wire.slots = s
	_ = c.wire.Conn.SetReadDeadline(time.Now().Add(handshakeTime))
	c.reading.Unlock()

	s.acquire()
	t := tls.Server(c.wire, cfg)
	err := t.Handshake()
	s.release()

	c.reading.Lock()
	c.wire.slots = nil
	_ = c.wire.Conn.SetReadDeadline(c.limit)
	c.reading.Unlock()
	if err != nil {
		return err
	}
	c.tls.Store(t)
	if !c.guard(func() { c.machine.Secured(t.ConnectionState()) }) {
		return errPanic
	}
	return nil
}

func (c *conn) Queue(p []byte) {
	c.mu.Lock()
	c.plain = grow(c.plain, p)
	c.mu.Unlock()
}

func (c *conn) Flush() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.plain) == 0 {
		return
	}
	if t := c.tls.Load(); t != nil {
		// Corked, all records of the batch leave with one write.
		c.wire.cork()
		if n, err := t.Write(c.plain); err != nil { // the wire never fails but for good; then the reader ends
			c.lost += len(c.plain) - n
		}
		c.wire.uncork()
	} else {
		c.wire.send(c.plain)
	}
	giveBack(c.plain)
	c.plain = nil
}

func (c *conn) Queued() int {
	c.mu.Lock()
	n := len(c.plain) + c.lost
	c.mu.Unlock()
	return n + c.wire.queued()
}

func (c *conn) StartTLS(cfg *tls.Config) { c.wantTLS = cfg }

func (c *conn) SetDeadline(t time.Time) {
	c.reading.Lock()
	defer c.reading.Unlock()
	c.limit = t
	if c.wire.slots == nil && !c.wire.isClosing() {
		_ = c.wire.Conn.SetReadDeadline(t)
	}
}

func (c *conn) Pause() {
	c.mu.Lock()
	c.paused++
	c.mu.Unlock()
}

func (c *conn) Resume() {
	c.mu.Lock()
	c.paused--
	if c.paused == 0 {
		c.resumed.Signal()
	}
	c.mu.Unlock()
}

func (c *conn) Close() {
	c.Flush()
	c.mu.Lock()
	if t := c.tls.Load(); t != nil {
		_ = t.CloseWrite() // close_notify, behind what is queued
	}
	c.mu.Unlock()
	c.wire.finish()
}

func (c *conn) Abort() {
	c.mu.Lock()
	c.aborted = true
	c.resumed.Signal()
	c.mu.Unlock()
	c.wire.abort()
}

func (c *conn) Remote() netip.AddrPort {
	a, _ := netip.ParseAddrPort(c.wire.Conn.RemoteAddr().String())
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

func (c *conn) Served() *tls.Certificate {
	c.wire.mu.Lock()
	defer c.wire.mu.Unlock()
	return c.wire.served
}
