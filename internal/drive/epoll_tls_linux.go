// SPDX-License-Identifier: Apache-2.0

package drive

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// crypto/tls wants to block in a handshake and does not mind not blocking afterwards: a read
// error whose Temporary() is true leaves a tls.Conn as it was. So the handshake runs on a
// goroutine of its own, fed by the loop (shake), and then the loop reads until would-block.

// shake is a handshake under way: the loop puts in what the socket brings, the goroutine of the
// handshake takes it out, holding a computing slot only while it has something to work on.
type shake struct {
	slots *slots

	mu    sync.Mutex
	more  sync.Cond
	bytes []byte
	over  bool // nothing more comes
}

// maxShake is more than any handshake is long.
const maxShake = 128 << 10

func (s *shake) feed(data []byte) {
	s.mu.Lock()
	s.bytes = append(s.bytes, data...)
	if len(s.bytes) > maxShake {
		s.over = true
	}
	s.mu.Unlock()
	s.more.Signal()
}

func (s *shake) end() {
	s.mu.Lock()
	s.over = true
	s.mu.Unlock()
	s.more.Signal()
}

// read waits for bytes.
func (s *shake) read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.bytes) == 0 && !s.over {
		s.slots.release()
		for len(s.bytes) == 0 && !s.over {
			s.more.Wait()
		}
		s.mu.Unlock()
		s.slots.acquire()
		s.mu.Lock()
	}
	if len(s.bytes) == 0 {
		return 0, io.ErrUnexpectedEOF
	}
	n := copy(p, s.bytes)
	s.bytes = s.bytes[n:]
	return n, nil
}

// under is the net.Conn that crypto/tls has under it.
type under struct {
	*econn
	cipher []byte // what the loop has read, while it opens records
}

// errWouldBlock is a net.Error for which Temporary is true: crypto/tls then keeps its state.
type errWouldBlock struct{}

func (errWouldBlock) Error() string   { return "drive: no more bytes now" }
func (errWouldBlock) Timeout() bool   { return true }
func (errWouldBlock) Temporary() bool { return true }

func (u *under) Read(p []byte) (int, error) {
	if s := u.shake; s != nil {
		return s.read(p)
	}
	if len(u.cipher) == 0 {
		return 0, errWouldBlock{}
	}
	n := copy(p, u.cipher)
	u.cipher = u.cipher[n:]
	return n, nil
}

// Write takes everything: a write error would stick to the tls.Conn.
func (u *under) Write(p []byte) (int, error) {
	u.send(p)
	return len(p), nil
}

// SetServed implements Leafer.
func (u *under) SetServed(cert *tls.Certificate) {
	u.wire.Lock()
	u.served = cert
	u.wire.Unlock()
}

func (u *under) Close() error                     { return nil } // the loop closes
func (u *under) LocalAddr() net.Addr              { return nil }
func (u *under) RemoteAddr() net.Addr             { return net.TCPAddrFromAddrPort(u.remote) }
func (u *under) SetDeadline(time.Time) error      { return nil }
func (u *under) SetReadDeadline(time.Time) error  { return nil }
func (u *under) SetWriteDeadline(time.Time) error { return nil }

var errSlowHandshake = errors.New("drive: handshake took too long")

// handshake begins one as the server. It runs on the loop.
func (c *econn) handshake() {
	cfg := c.wantTLS
	c.wantTLS = nil
	c.Flush()
	l := c.loop
	s := &shake{slots: l.driver.slots}
	s.more.L = &s.mu
	c.shake = s
	u := &under{econn: c}
	t := tls.Server(u, cfg)
	late := time.AfterFunc(handshakeTime, func() {
		l.post(func() {
			if c.shake == s {
				l.remove(c, fmt.Errorf("%w: %w", ErrHandshake, errSlowHandshake))
			}
		})
	})
	go func() {
		s.slots.acquire()
		err := t.Handshake()
		s.slots.release()
		late.Stop()
		l.post(func() { l.guard(c, func() { c.shaken(t, u, err) }) })
	}()
}

// shaken is the end of a handshake, on the loop.
func (c *econn) shaken(t *tls.Conn, u *under, err error) {
	s := c.shake
	if s == nil || c.loop.conns[int32(c.fd)] != c {
		return
	}
	c.shake = nil
	if err != nil {
		c.loop.remove(c, fmt.Errorf("%w: %w", ErrHandshake, err))
		return
	}
	c.mu.Lock()
	c.tls, c.under = t, u
	c.mu.Unlock()
	c.machine.Secured(t.ConnectionState())
	c.open(s.bytes) // what came right behind the handshake
}

// open gives records to TLS and what comes of them to the machine.
func (c *econn) open(data []byte) {
	u, l := c.under, c.loop
	if len(c.left) > 0 {
		data = append(c.left, data...)
		c.left = nil
	}
	u.cipher = data
	for !c.stopped() {
		n, err := c.tls.Read(l.plain)
		if n > 0 {
			c.machine.Input(&l.batch, l.plain[:n])
			poison(l.plain[:n])
			c.after()
		}
		switch {
		case err == nil:
		case isWouldBlock(err):
			u.cipher = nil
			return
		default:
			u.cipher = nil
			l.remove(c, err)
			return
		}
	}
	if len(u.cipher) > 0 { // paused, or closed
		c.left = append([]byte(nil), u.cipher...)
	}
	u.cipher = nil
}

func isWouldBlock(err error) bool {
	_, ok := errors.AsType[errWouldBlock](err)
	return ok
}
