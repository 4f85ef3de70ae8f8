// SPDX-License-Identifier: Apache-2.0

package drive

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// Outlet is a socket whose writes need not wait, for protocols of which a library moves the bytes:
// HTTP, and what becomes of it. Reading is the socket's own. TLS goes on top of it.
//
// It begins as any net.Conn. After Eager a Write takes everything: what the socket takes goes at
// once, the rest follows by itself, from a goroutine that lives as long as there is something to send.
// A peer that takes nothing for a minute loses the connection.
type Outlet struct {
	net.Conn
	times times
	raw   syscall.RawConn // nil: the system cannot be asked to write without waiting

	mu       sync.Mutex
	eager    bool
	corked   bool
	draining bool
	pending  *buffer
	broken   error // sticky: why nothing leaves any more
	served   *tls.Certificate
}

// NewOutlet makes an Outlet of an accepted connection, which it owns.
func NewOutlet(nc net.Conn) *Outlet {
	o := &Outlet{Conn: nc, times: defaultTimes()}
	if sc, ok := nc.(syscall.Conn); ok && canTry {
		o.raw, _ = sc.SyscallConn()
	}
	return o
}

// Eager makes every Write from now on return at once.
func (o *Outlet) Eager() {
	o.mu.Lock()
	o.eager = true
	o.mu.Unlock()
}

// Cork collects what is written, Uncork sends it with one write. Only after Eager.
func (o *Outlet) Cork() {
	o.mu.Lock()
	o.corked = true
	o.mu.Unlock()
}

// Uncork undoes Cork.
func (o *Outlet) Uncork() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.corked = false
	if o.draining || o.pending == nil || o.broken != nil {
		return
	}
	o.try()
}

// Pending is how many bytes have not left for the socket. Once the connection is broken or aborted
// it does not change any more.
func (o *Outlet) Pending() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.pending.rest())
}

// Write implements net.Conn.
func (o *Outlet) Write(p []byte) (int, error) {
	o.mu.Lock()
	if !o.eager {
		o.mu.Unlock()
		return o.Conn.Write(p)
	}
	defer o.mu.Unlock()
	if o.broken != nil {
		return 0, o.broken
	}
	o.pending = o.pending.add(p)
	if !o.corked && !o.draining {
		o.try()
	}
	return len(p), o.broken
}

// try sends what the socket takes now, and leaves the rest to drain. The caller holds mu.
func (o *Outlet) try() {
	if o.raw != nil {
		var n int
		var err error
		if e := o.raw.Write(func(fd uintptr) bool { n, err = tryWrite(fd, o.pending.rest()); return true }); e != nil {
			err = e
		}
		if err != nil {
			o.fail(err)
			return
		}
		o.pending.sent += n
	}
	if len(o.pending.rest()) == 0 {
		o.pending.giveBack()
		o.pending = nil
		return
	}
	o.draining = true
	go o.drain()
}

// drain sends what is pending until nothing is.
func (o *Outlet) drain() {
	var piece [4 << 10]byte // a piece is progress: a slow reader is not taken for a dead one
	for {
		o.mu.Lock()
		p := piece[:copy(piece[:], o.pending.rest())]
		if len(p) == 0 || o.broken != nil {
			o.draining = false
			if o.broken == nil {
				o.pending.giveBack()
				o.pending = nil
			}
			o.mu.Unlock()
			return
		}
		o.mu.Unlock()
		err := o.Conn.SetWriteDeadline(time.Now().Add(o.times.stall))
		n := 0
		if err == nil {
			n, err = o.Conn.Write(p)
		}
		o.mu.Lock()
		if o.broken == nil {
			o.pending.sent += n
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			err = ErrStalled
		}
		if err != nil {
			o.fail(err)
		}
		o.mu.Unlock()
	}
}

// Broken tells why nothing leaves any more: ErrStalled, ErrAborted, or what the system said; nil while it does.
func (o *Outlet) Broken() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.broken
}

// Abort closes at once; what is pending is lost.
func (o *Outlet) Abort() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.fail(ErrAborted)
}

// Close implements net.Conn. What is pending is lost.
func (o *Outlet) Close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.broken == nil {
		o.broken = fmt.Errorf("drive: %w", net.ErrClosed)
	}
	return o.Conn.Close()
}

// CloseWrite ends our direction, where the socket can: the peer still gets what was sent before.
func (o *Outlet) CloseWrite() error {
	if cw, ok := o.Conn.(interface{ CloseWrite() error }); ok {
		return cw.CloseWrite()
	}
	return nil
}

// fail breaks the connection; the reader comes to its end. The caller holds mu.
func (o *Outlet) fail(err error) {
	if o.broken == nil {
		o.broken = err
	}
	_ = o.Conn.Close()
}

// SetServed implements Leafer.
func (o *Outlet) SetServed(cert *tls.Certificate) {
	o.mu.Lock()
	o.served = cert
	o.mu.Unlock()
}

// Served is the certificate that the handshake above it sent; nil without.
func (o *Outlet) Served() *tls.Certificate {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.served
}
