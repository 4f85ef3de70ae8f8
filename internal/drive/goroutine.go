// SPDX-License-Identifier: Apache-2.0

package drive

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// How to read the goroutine driver: each connection has a goroutine, which waits in gconn.next
// (paused), or in gconn.read for its socket; poke gets it out of both. What the socket
// refuses is sent by a second one, gconn.drain, that lives as long as there is something to send.
// No buffer waits with them: reading borrows one when there is something to read.

// Goroutines is the portable driver.
type Goroutines struct {
	*common
	works sync.Pool // of *work

	mu     sync.Mutex
	closed bool
	conns  map[*gconn]struct{}
}

// NewGoroutines makes a driver.
func NewGoroutines(log *slog.Logger) *Goroutines {
	return &Goroutines{
		common: newCommon(log),
		works:  sync.Pool{New: func() any { return new(work) }},
		conns:  make(map[*gconn]struct{}),
	}
}

// Serve implements Driver.
func (d *Goroutines) Serve(nc net.Conn, direct *tls.Config, start func(Conn) Machine) bool {
	c := &gconn{driver: d, nc: nc, reading: true}
	c.conn = conn{common: d.common, sock: c, remote: addrPort(nc.RemoteAddr()), wantTLS: direct, hold: direct != nil}
	c.awake.L = &c.tasks
	if sc, ok := nc.(syscall.Conn); ok && canTry {
		c.raw, _ = sc.SyscallConn()
		c.tryRead, c.tryWrite = c.tryReading, c.tryWriting
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		_ = nc.Close()
		return false
	}
	d.conns[c] = struct{}{}
	d.wg.Go(func() { c.run(start) })
	return true
}

// Close implements Driver.
func (d *Goroutines) Close(ctx context.Context) {
	d.mu.Lock()
	d.closed = true
	for c := range d.conns {
		c.Close()
	}
	d.mu.Unlock()
	defer context.AfterFunc(ctx, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		for c := range d.conns {
			c.Abort()
		}
	})()
	d.wg.Wait()
}

// gconn is a connection of the goroutine driver.
type gconn struct {
	conn
	driver *Goroutines
	nc     net.Conn
	raw    syscall.RawConn // nil: the socket must be waited for with a buffer

	tryRead, tryWrite func(fd uintptr) (done bool) // of raw
	got               got
	put               put // guarded by wire

	draining bool        // drain runs; guarded by wire
	timer    *time.Timer // of nextDeadline; guarded by wire

	tasks   sync.Mutex
	posted  []func(*work)
	reading bool // the socket is to be read
	poked   bool // the read was told to return
	done    bool // nothing is run any more
	awake   sync.Cond
}

func (c *gconn) run(start func(Conn) Machine) {
	c.guard(func() { c.begin(start) })
	for !c.over {
		if posted := c.next(); posted != nil {
			w := c.driver.works.Get().(*work)
			for _, f := range posted {
				f(w)
			}
			c.finishWork(w)
		}
		if !c.over && c.isReading() { // also where something is posted all the time
			c.turn(c.read())
		}
	}
	_ = c.nc.Close() // without a lock: it waits for drain, which takes wire
	c.tasks.Lock()
	c.done, c.posted = true, nil
	c.tasks.Unlock()
	c.driver.mu.Lock()
	delete(c.driver.conns, c)
	c.driver.mu.Unlock()
}

// next waits until something is to be done, and returns what was posted, or nil to read.
func (c *gconn) next() (posted []func(*work)) {
	c.tasks.Lock()
	defer c.tasks.Unlock()
	for len(c.posted) == 0 && !c.reading {
		c.awake.Wait()
	}
	posted, c.posted = c.posted, nil
	if c.poked {
		c.poked = false
		_ = c.nc.SetReadDeadline(time.Time{})
	}
	return posted
}

func (c *gconn) isReading() bool {
	c.tasks.Lock()
	defer c.tasks.Unlock()
	return c.reading
}

// poke makes run look again. The caller holds tasks.
func (c *gconn) poke() {
	if !c.poked {
		c.poked = true
		_ = c.nc.SetReadDeadline(time.Unix(1, 0))
	}
	c.awake.Signal()
}

// turn handles the outcome of one read.
func (c *gconn) turn(w *work, n int, err error) {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = nil // poked
	}
	if w == nil {
		if err == nil {
			return
		}
		w = c.driver.works.Get().(*work)
	}
	began := time.Now()
	c.guard(func() {
		if n > 0 {
			c.take(w, w.read[:n])
		}
		if err != nil && !c.over {
			c.hangUp(err)
		}
	})
	c.finishWork(w)
	c.tellTime(began)
}

func (c *gconn) finishWork(w *work) {
	if !c.calm(w.End) {
		w.Batch = Batch{}
	}
	c.driver.works.Put(w)
}

// read waits for something to read.
func (c *gconn) read() (w *work, n int, err error) {
	if c.raw == nil {
		w = c.driver.works.Get().(*work)
		n, err = c.nc.Read(w.read[:])
		return w, n, err
	}
	c.got = got{}
	err = c.raw.Read(c.tryRead)
	if errors.Is(err, os.ErrDeadlineExceeded) && c.isReading() {
		// Whoever pokes all the time does not keep the socket from being read.
		err = c.raw.Control(func(fd uintptr) { c.tryReading(fd) })
	}
	if err == nil {
		err = c.got.err
	}
	return c.got.w, c.got.n, err
}

// got is the outcome of a tryRead.
type got struct {
	w   *work
	n   int
	err error
}

// tryReading is the callback of RawConn.Read. It must try before it waits: readiness that came
// earlier is not told again.
func (c *gconn) tryReading(fd uintptr) (done bool) {
	w := c.driver.works.Get().(*work)
	n, done, err := tryRead(fd, w.read[:])
	if !done {
		c.driver.works.Put(w)
		return false
	}
	c.got = got{w, n, err}
	return true
}

// post implements socket.
func (c *gconn) post(f func(*work)) {
	c.tasks.Lock()
	defer c.tasks.Unlock()
	if !c.done {
		c.posted = append(c.posted, f)
		c.poke()
	}
}

// changed implements socket.
func (c *gconn) changed() {
	if c.full && !c.draining {
		c.draining = true
		c.wg.Go(c.drain)
	}
	reading := c.listens()
	c.tasks.Lock()
	defer c.tasks.Unlock()
	if c.reading != reading {
		c.reading = reading
		c.poke()
	}
}

// watch implements socket.
func (c *gconn) watch() {
	d := c.nextDeadline()
	if d == 0 {
		if c.timer != nil {
			c.timer.Stop()
			c.timer = nil
		}
		return
	}
	after := time.Duration(d - c.now())
	if c.timer == nil {
		c.timer = time.AfterFunc(after, func() { c.conn.post(c.due) })
	} else {
		c.timer.Reset(after)
	}
}

// write implements socket.
func (c *gconn) write(p []byte) (int, error) {
	if c.raw == nil || c.draining {
		return 0, nil // drain does it
	}
	c.put = put{p: p}
	err := c.raw.Write(c.tryWrite)
	n := c.put.n
	if err == nil {
		err = c.put.err
	}
	c.put = put{}
	return n, err
}

// put is what a tryWrite is to write, and the outcome.
type put struct {
	p   []byte
	n   int
	err error
}

// tryWriting is the callback of RawConn.Write, which does not wait.
func (c *gconn) tryWriting(fd uintptr) (done bool) {
	c.put.n, c.put.err = tryWrite(fd, c.put.p)
	return true
}

// drain sends what is pending until nothing is.
func (c *gconn) drain() {
	if c.raw == nil {
		c.drainWaiting()
		return
	}
	err := c.raw.Write(func(fd uintptr) bool {
		c.wire.Lock()
		defer c.wire.Unlock()
		c.push(func(p []byte) (int, error) { return tryWrite(fd, p) })
		if c.full {
			return false
		}
		c.draining = false
		return true
	})
	if err != nil { // closed
		c.wire.Lock()
		c.draining = false
		c.wire.Unlock()
	}
}

// drainWaiting is drain where writes wait.
func (c *gconn) drainWaiting() {
	var piece [4 << 10]byte // a piece is progress: a slow reader is not taken for a dead one
	for {
		c.wire.Lock()
		p := piece[:copy(piece[:], c.pending.rest())]
		if c.draining = len(p) > 0; !c.draining {
			c.wire.Unlock()
			return
		}
		c.wire.Unlock()
		n, err := c.nc.Write(p)
		c.wire.Lock()
		c.push(func([]byte) (int, error) { return n, err })
		c.wire.Unlock()
	}
}

// finish implements socket.
func (c *gconn) finish() {
	if cw, ok := c.nc.(interface{ CloseWrite() error }); ok {
		_ = cw.CloseWrite()
		return
	}
	_ = c.nc.Close()
}

// sever implements socket.
func (c *gconn) sever() {
	c.finish()
	if cr, ok := c.nc.(interface{ CloseRead() error }); ok {
		_ = cr.CloseRead()
	}
}

// free implements socket. run closes.
func (c *gconn) free() {
	if c.timer != nil {
		c.timer.Stop()
	}
}
