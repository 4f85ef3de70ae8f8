// SPDX-License-Identifier: Apache-2.0

package drive

import (
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// How to read this file: first what a connection is and what it asks of its driver, then the way
// of bytes from the socket to the machine. All of that runs on the driver's goroutine, which is
// the one that calls the machine; other goroutines have it do something by post.
//
//	socket ─▶ take ─▶ (open: TLS) ─▶ Machine.Input ─▶ after
//	                └▶ feed: handshake

// conn is a connection of either driver.
//
// Two locks, taken in this order: mu puts what is queued and sealed into one order, wire what goes
// to the socket. TLS needs both, because reading makes it write by itself (a key update, an
// alert) while another goroutine may be sealing.
type conn struct {
	*common
	sock    socket
	machine Machine
	remote  netip.AddrPort

	// Of the driver's goroutine.
	wantTLS *tls.Config // a handshake to begin
	shake   *shake      // the one under way
	cipher  *buffer     // read from the socket and not taken by TLS yet, where it cannot be lent (slim.go)
	over    bool        // the machine has been called for the last time
	calls   bool        // TLS as the client

	// Guarded by mu. What is small stands together: there are many connections.
	hold   bool // a handshake is to come or under way: nothing is sent
	shut   bool // nothing more is taken
	mu     sync.Mutex
	paused int32     // guarded by wire, and here because here is room
	plain  *buffer   // queued and not sealed yet
	tls    *tls.Conn // written by the driver's goroutine, which may therefore read it unlocked

	// Guarded by wire.
	wire     sync.Mutex
	pending  *buffer // sealed, and not taken by the socket
	full     bool    // the socket takes no more at present
	corked   bool    // what TLS writes is collected, to leave with one write
	closing  bool    // our direction ends when all is sent; nothing is heard any more
	closed   bool    // the descriptor is not ours any more
	ended    bool    // the peer has ended its direction
	choked   bool    // the handshake has enough to work on
	resuming bool    // resumed is posted
	timed    bool    // the loop of the epoll driver watches the deadlines, or is about to
	since    instant // while full: when the socket last took something
	deadline instant // the machine's
	limit    instant // the driver's: for the handshake under way, or for the end
	broken   error   // why a write failed, or ErrAborted; sticky
	lost     int     // bytes that will never leave
	served   *tls.Certificate
}

// socket is what a connection asks of its driver.
type socket interface {
	// write takes what the system takes at once, perhaps nothing. It never waits. It, finish,
	// sever, changed and watch are called with wire held, free with both locks.
	write(p []byte) (int, error)
	// finish ends our direction, sever both; free gives up the descriptor, at the latest when the
	// machine is gone.
	finish()
	sever()
	free()
	// changed says that listens or full may have changed, watch that nextDeadline has.
	changed()
	watch()
	// post has f run on the driver's goroutine, soon, unless the connection is over.
	post(f func(*work))
}

// common is what all connections of a driver share.
type common struct {
	log   *slog.Logger
	slots slots
	times times
	began time.Time
	wg    sync.WaitGroup           // goroutines
	took  atomic.Pointer[Observer] // of batches
}

// Time implements Driver.
func (d *common) Time(o Observer) { d.took.Store(&o) }

// tellTime tells how long a batch took that began then.
func (d *common) tellTime(began time.Time) {
	if o := d.took.Load(); o != nil {
		(*o).Observe(time.Since(began).Seconds())
	}
}

func newCommon(log *slog.Logger) *common {
	return &common{log: log, slots: newSlots(), times: defaultTimes(), began: time.Now()}
}

// instant is nanoseconds since the driver began: a time in 8 bytes, whatever the clock on the
// wall does. 0 is none.
type instant int64

func (d *common) now() instant { return d.instant(time.Now()) }

func (d *common) instant(t time.Time) instant {
	if t.IsZero() {
		return 0
	}
	return max(1, instant(t.Sub(d.began)))
}

// earlier is the earlier one of those that there are.
func earlier(a, b instant) instant {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// work is what a driver's goroutine works with between two waits.
type work struct {
	Batch
	read  [64 << 10]byte // from one socket
	plain [32 << 10]byte // what TLS made of it
}

// begin makes the machine and, with direct TLS, begins its handshake.
func (c *conn) begin(start func(Conn) Machine) {
	c.machine = start(c)
	c.after()
}

// take gives bytes from the socket to whoever waits for them. data is w's.
func (c *conn) take(w *work, data []byte) {
	c.wire.Lock()
	closing := c.closing
	c.wire.Unlock()
	switch {
	case closing:
	case c.shake != nil:
		c.feed(data)
	case c.tls != nil:
		c.open(w, data)
	default:
		c.input(w, data)
	}
	poison(data)
}

// input calls the machine and does what it asks for.
func (c *conn) input(w *work, data []byte) {
	c.machine.Input(&w.Batch, data)
	c.after()
}

func (c *conn) after() {
	if cfg := c.wantTLS; cfg != nil {
		c.wantTLS = nil
		c.handshake(cfg)
	}
}

// open gives data to TLS, behind what it has not taken yet, and what comes of it to the machine.
func (c *conn) open(w *work, data []byte) {
	if len(data) == 0 {
		data = w.read[:0] // TLS has something to read into, were it nothing
	}
	if !lend(c.tls, data) {
		c.cipher = c.cipher.add(data)
	}
	for c.hears() {
		n, err := c.decrypt(w.plain[:])
		if n > 0 {
			c.input(w, w.plain[:n])
			poison(w.plain[:n])
		}
		if err != nil {
			if !isWouldBlock(err) {
				c.hangUp(err)
			}
			break
		}
	}
	slim(c.tls)
	if len(c.cipher.rest()) == 0 {
		c.cipher.giveBack()
		c.cipher = nil
	}
}

// decrypt makes p full of plaintext, from as many records as there are.
func (c *conn) decrypt(p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		var k int
		k, err = c.tls.Read(p[n:])
		n += k
	}
	return n, err
}

// hears reports whether the machine is to be given input.
func (c *conn) hears() bool {
	c.wire.Lock()
	defer c.wire.Unlock()
	return c.paused == 0 && !c.closing && !c.closed
}

// listens reports whether the driver is to read the socket. The caller holds wire.
func (c *conn) listens() bool {
	return (c.paused == 0 || c.closing) && !c.ended && !c.choked
}

// resumed goes on after a pause.
func (c *conn) resumed(w *work) {
	c.wire.Lock()
	c.resuming = false
	c.wire.Unlock()
	if !c.hears() {
		return
	}
	c.input(w, nil)
	if c.tls != nil && c.shake == nil {
		c.open(w, nil) // what TLS has read already makes no new readiness
	}
}

// hangUp is the end of what can be read: io.EOF, or what broke the connection.
func (c *conn) hangUp(err error) {
	c.wire.Lock()
	wait := err == io.EOF && c.closing && c.pending != nil //nolint:errorlint // never wrapped
	if wait {
		c.ended = true // the peer may still take what is queued
		c.sock.changed()
	}
	c.wire.Unlock()
	switch {
	case wait:
	case err == io.EOF && c.shake != nil: //nolint:errorlint // never wrapped
		c.starve() // its last bytes may complete the handshake
	default:
		c.end(err)
	}
}

// end is the end of the connection.
func (c *conn) end(err error) {
	if c.over {
		return
	}
	c.over = true
	if c.shake != nil {
		c.shake.end()
	}
	c.mu.Lock()
	c.wire.Lock()
	if err == io.EOF && c.broken != nil { //nolint:errorlint // never wrapped
		err = c.broken
	}
	c.shut, c.closed = true, true
	c.lost += len(c.plain.rest()) + len(c.pending.rest())
	c.plain.giveBack()
	c.pending.giveBack()
	c.cipher.giveBack()
	c.plain, c.pending, c.cipher = nil, nil, nil
	c.sock.free()
	c.wire.Unlock()
	c.mu.Unlock()
	if c.machine != nil {
		c.calm(func() { c.machine.Gone(err) })
	}
}

// guard runs what calls the machine. A panic costs the connection, no other.
func (c *conn) guard(f func()) {
	if !c.calm(f) {
		c.end(ErrPanic)
	}
}

// calm runs f and reports whether it returned.
func (d *common) calm(f func()) (ok bool) {
	defer func() {
		if r := recover(); r != nil {
			d.log.Error("connection dropped after a panic", "panic", r, "stack", string(debug.Stack()))
		}
	}()
	f()
	return true
}

// nextDeadline is when due must be called next; 0 is never. The caller holds wire.
func (c *conn) nextDeadline() instant {
	d := c.limit
	if !c.closing {
		d = earlier(d, c.deadline)
	}
	if c.full {
		d = earlier(d, c.since+instant(c.times.stall))
	}
	return d
}

// due does what it is time for.
func (c *conn) due(w *work) {
	c.wire.Lock()
	now := c.now()
	var err error
	expired := false
	switch d := c.nextDeadline(); {
	case d == 0 || now < d:
	case c.closing && now >= c.limit:
		err = io.EOF
	case c.full && now >= c.since+instant(c.times.stall):
		err = ErrStalled
	case c.limit != 0:
		err = errSlowHandshake
	default:
		c.deadline, expired = 0, true
	}
	c.sock.watch()
	c.wire.Unlock()
	switch {
	case err != nil:
		c.end(err)
	case expired:
		c.machine.Expired(&w.Batch)
		c.after()
	}
}

// post has f run on the driver's goroutine while the connection lives.
func (c *conn) post(f func(*work)) {
	c.sock.post(func(w *work) {
		if !c.over {
			c.guard(func() { f(w) })
		}
	})
}

// addrPort is a's, or nothing where a is no internet address.
func addrPort(a net.Addr) netip.AddrPort {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := t.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}
