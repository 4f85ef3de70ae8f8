// SPDX-License-Identifier: Apache-2.0

package drive

import (
	"crypto/tls"
	"net"
	"sync"
	"syscall"
	"time"
)

// wire is the side of a connection that faces the socket: the net.Conn under crypto/tls, or
// under nothing. Its Write never blocks and never fails for want of room, because a failed
// write would break a tls.Conn for good: what the socket refuses is queued and a goroutine,
// which lives as long as there is something to send, waits for the socket.
type wire struct {
	net.Conn
	slots *slots // during the handshake: computing is let go while waiting for bytes

	mu       sync.Mutex
	pending  []byte // refused by the socket, or held while corked
	flying   int    // bytes that the drainer holds
	corked   bool   // Write only queues; uncork sends all with one write
	draining bool   // the drainer runs
	closing  bool   // close when all is sent
	err      error  // of the first write that failed; sticky
	lost     int    // bytes that will never leave, besides those pending when err came
	served   *tls.Certificate

	raw     syscall.RawConn // nil: no non-blocking write on this platform
	tryBuf  []byte          // argument and result of try, which is made once
	tryN    int
	tryFunc func(fd uintptr) bool
}

func newWire(nc net.Conn) *wire {
	w := &wire{Conn: nc}
	if sc, ok := nc.(syscall.Conn); ok && canTry {
		if raw, err := sc.SyscallConn(); err == nil {
			w.raw = raw
			w.tryFunc = func(fd uintptr) bool {
				w.tryN = tryWrite(fd, w.tryBuf)
				return true // do not wait for the socket
			}
		}
	}
	return w
}

// SetServed implements Leafer.
func (w *wire) SetServed(c *tls.Certificate) {
	w.mu.Lock()
	w.served = c
	w.mu.Unlock()
}

// Read lets go of the computing slot while it waits, during a handshake.
func (w *wire) Read(p []byte) (int, error) {
	if s := w.slots; s != nil {
		s.release()
		defer s.acquire()
	}
	return w.Conn.Read(p)
}

// Write takes all of p, always.
func (w *wire) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		w.lost += len(p)
		return 0, w.err
	}
	w.pending = grow(w.pending, p)
	if !w.corked {
		w.push()
	}
	return len(p), nil
}

func (w *wire) cork() {
	w.mu.Lock()
	w.corked = true
	w.mu.Unlock()
}

func (w *wire) uncork() {
	w.mu.Lock()
	w.corked = false
	w.push()
	w.mu.Unlock()
}

// send is Write without the copy where the socket takes p whole.
func (w *wire) send(p []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		w.lost += len(p)
		return
	}
	if len(w.pending) == 0 {
		p = p[w.try(p):]
	}
	if len(p) > 0 {
		w.pending = grow(w.pending, p)
		w.drain()
	}
}

// push tries to send what is pending. The caller holds mu.
func (w *wire) push() {
	if len(w.pending) == 0 || w.draining || w.err != nil {
		return
	}
	n := w.try(w.pending)
	if n == len(w.pending) {
		giveBack(w.pending)
		w.pending = nil
		return
	}
	w.pending = append(w.pending[:0], w.pending[n:]...)
	w.drain()
}

// try writes what the socket takes now, and returns how much that was.
func (w *wire) try(p []byte) int {
	if w.raw == nil || w.draining {
		return 0
	}
	w.tryBuf, w.tryN = p, 0
	if err := w.raw.Write(w.tryFunc); err != nil {
		w.err = err
	}
	w.tryBuf = nil
	return w.tryN
}

// drain starts the goroutine that waits for the socket. The caller holds mu.
func (w *wire) drain() {
	if w.draining || w.err != nil {
		return
	}
	w.draining = true
	go w.drainer()
}

func (w *wire) drainer() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.pending) > 0 && w.err == nil {
		chunk := w.pending
		w.pending = nil
		for len(chunk) > 0 && w.err == nil {
			w.flying = len(chunk)
			if !w.closing { // then the deadline is close's
				_ = w.Conn.SetWriteDeadline(time.Now().Add(stallTime))
			}
			w.mu.Unlock()
			// Each piece has its own time, so that a slow reader is not taken for a dead one.
			n, err := w.Conn.Write(chunk[:min(len(chunk), 16<<10)])
			w.mu.Lock()
			chunk = chunk[n:]
			if err != nil {
				w.err = err
				_ = w.Conn.Close()
			}
			if w.err != nil {
				w.lost += len(chunk)
			}
		}
	}
	w.flying = 0
	w.draining = false
	if w.closing {
		w.shut()
	}
}

// queued is how many bytes the socket has not taken.
func (w *wire) queued() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.pending) + w.flying + w.lost
}

// abort closes the socket; nothing leaves any more, but for what the drainer is writing just now.
func (w *wire) abort() {
	w.mu.Lock()
	if w.err == nil {
		w.err = ErrAborted
	}
	w.mu.Unlock()
	_ = w.Conn.Close()
}

// finish closes the socket for writing when all is sent, and altogether after lingerTime.
func (w *wire) finish() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closing {
		return
	}
	w.closing = true
	_ = w.Conn.SetDeadline(time.Now().Add(lingerTime))
	if !w.draining {
		w.shut()
	}
}

// shut ends our direction. The reader sees the peer's end, or the deadline, and closes. The
// caller holds mu.
func (w *wire) shut() {
	if cw, ok := w.Conn.(interface{ CloseWrite() error }); ok {
		_ = cw.CloseWrite()
		return
	}
	_ = w.Conn.Close()
}

func (w *wire) isClosing() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.closing
}
