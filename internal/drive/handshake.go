// SPDX-License-Identifier: Apache-2.0

package drive

// How to read this file: crypto/tls wants to block in a handshake, and does not mind not
// blocking afterwards: a read error whose Temporary() is true leaves a tls.Conn as it was. So the
// handshake runs on a goroutine of its own, from its first byte to its end, fed by the
// driver's (shake); then the driver's goroutine reads until would-block (conn.open). Below both
// is under, the net.Conn that crypto/tls has.

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// shake is a handshake under way: the driver's goroutine puts in what the socket brings, the
// handshake's takes it out, holding a computing slot only while it has something to work on.
type shake struct {
	config *tls.Config
	begun  bool // the goroutine runs; the driver's

	mu    sync.Mutex
	more  sync.Cond
	bytes []byte
	ended bool // nothing more comes
}

// maxShake is after how many bytes ahead of the handshake the socket is not read.
const maxShake = 64 << 10

var errSlowHandshake = fmt.Errorf("%w: it took too long", ErrHandshake)

// handshake begins one.
func (c *conn) handshake(cfg *tls.Config) {
	c.mu.Lock()
	if c.shut || c.tls != nil {
		c.mu.Unlock()
		return
	}
	c.flush()
	c.hold = true // a direct one holds from the beginning
	c.mu.Unlock()
	c.shake = &shake{config: cfg}
	c.shake.more.L = &c.shake.mu
	c.wire.Lock()
	c.limit = c.now() + instant(c.times.handshake)
	c.sock.watch()
	c.wire.Unlock()
	if c.calls { // the client speaks first
		c.beginShake()
	}
}

// beginShake starts the goroutine of a handshake, once.
func (c *conn) beginShake() {
	if s := c.shake; !s.begun {
		s.begun = true
		c.wg.Go(func() { c.shakeHands(s) })
	}
}

// feed gives the handshake bytes.
func (c *conn) feed(data []byte) {
	s := c.shake
	s.mu.Lock()
	s.bytes = append(s.bytes, data...)
	if len(s.bytes) > maxShake {
		c.choke(true)
	}
	s.mu.Unlock()
	s.more.Signal()
	c.beginShake()
}

// starve says that nothing more comes, from the peer's side.
func (c *conn) starve() {
	if !c.shake.begun {
		c.end(fmt.Errorf("%w: %w", ErrHandshake, io.EOF))
		return
	}
	c.shake.end()
	c.choke(true) // shaken looks for the end again
}

// choke stops and restarts the reading of the socket.
func (c *conn) choke(on bool) {
	c.wire.Lock()
	defer c.wire.Unlock()
	if c.choked != on && !c.closed {
		c.choked = on
		c.sock.changed()
	}
}

// shakeHands is the goroutine of a handshake.
func (c *conn) shakeHands(s *shake) {
	c.slots.acquire()
	t := tls.Server(under{c}, s.config)
	if c.calls {
		t = tls.Client(under{c}, s.config)
	}
	err := t.Handshake()
	c.slots.release()
	c.post(func(w *work) { c.shaken(w, t, err) })
}

// shaken is the end of a handshake.
func (c *conn) shaken(w *work, t *tls.Conn, err error) {
	rest := c.shake.bytes
	c.shake = nil
	if err != nil {
		c.end(fmt.Errorf("%w: %w", ErrHandshake, err))
		return
	}
	c.mu.Lock()
	c.tls, c.hold = t, false
	c.mu.Unlock()
	c.wire.Lock()
	c.limit = 0
	c.sock.watch()
	c.wire.Unlock()
	c.machine.Secured(t.ConnectionState())
	c.Flush()
	c.open(w, rest) // what came right behind the handshake
	c.choke(false)
}

// readShake waits for bytes, on the handshake's goroutine.
func (c *conn) readShake(s *shake, p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.bytes) == 0 && !s.ended {
		c.slots.release()
		for len(s.bytes) == 0 && !s.ended {
			s.more.Wait()
		}
		s.mu.Unlock()
		c.slots.acquire()
		s.mu.Lock()
	}
	n := copy(p, s.bytes)
	if n == 0 {
		return 0, io.ErrUnexpectedEOF
	}
	if s.bytes = s.bytes[n:]; len(s.bytes) == 0 && !s.ended {
		c.choke(false)
	}
	return n, nil
}

func (s *shake) end() {
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	s.more.Signal()
}

// under is the net.Conn below crypto/tls.
type under struct{ c *conn }

// Read gives what the driver has read. The handshake waits for more, later readers do not.
func (u under) Read(p []byte) (int, error) {
	c := u.c
	if s := c.shake; s != nil {
		return c.readShake(s, p)
	}
	n := copy(p, c.cipher.rest())
	if n == 0 {
		return 0, errWouldBlock{}
	}
	c.cipher.sent += n
	return n, nil
}

// Write takes everything: a write error would stick to the tls.Conn.
func (u under) Write(p []byte) (int, error) {
	u.c.wire.Lock()
	u.c.send(p)
	u.c.wire.Unlock()
	return len(p), nil
}

// SetServed implements Leafer.
func (u under) SetServed(cert *tls.Certificate) {
	u.c.wire.Lock()
	u.c.served = cert
	u.c.wire.Unlock()
}

func (under) Close() error                     { return nil } // the driver closes
func (under) LocalAddr() net.Addr              { return nil }
func (u under) RemoteAddr() net.Addr           { return net.TCPAddrFromAddrPort(u.c.remote) }
func (under) SetDeadline(time.Time) error      { return nil }
func (under) SetReadDeadline(time.Time) error  { return nil }
func (under) SetWriteDeadline(time.Time) error { return nil }

// errWouldBlock is a net.Error for which Temporary is true: crypto/tls then keeps its state.
type errWouldBlock struct{}

func (errWouldBlock) Error() string   { return "drive: no more bytes now" }
func (errWouldBlock) Timeout() bool   { return true }
func (errWouldBlock) Temporary() bool { return true }

func isWouldBlock(err error) bool {
	_, ok := errors.AsType[errWouldBlock](err)
	return ok
}
