// SPDX-License-Identifier: Apache-2.0

package testserver

import (
	"net"
	"sync"
	"time"
)

// buffered is an end of a net.Pipe whose writes do not wait for the reader, as a network's do not.
type buffered struct {
	net.Conn
	mu     sync.Mutex
	queue  []byte
	closed bool
	woken  chan struct{} // holds one
}

func newBuffered(conn net.Conn) *buffered {
	b := &buffered{Conn: conn, woken: make(chan struct{}, 1)}
	go b.drain()
	return b
}

func (b *buffered) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return 0, net.ErrClosed
	}
	b.queue = append(b.queue, p...)
	b.wake()
	return len(p), nil
}

// SetWriteDeadline does nothing: no write waits, and what is queued may lie as long as in a network's buffers.
func (b *buffered) SetWriteDeadline(time.Time) error { return nil }

// SetDeadline is for reading alone.
func (b *buffered) SetDeadline(at time.Time) error { return b.Conn.SetReadDeadline(at) }

func (b *buffered) wake() {
	select {
	case b.woken <- struct{}{}:
	default:
	}
}

// drain writes what is queued, until Close.
func (b *buffered) drain() {
	for range b.woken {
		b.mu.Lock()
		p, closed := b.queue, b.closed
		b.queue = nil
		b.mu.Unlock()
		var err error
		if len(p) > 0 {
			_, err = b.Conn.Write(p)
		}
		if err != nil || closed {
			_ = b.Conn.Close()
			return
		}
	}
}

// Close gives the reader a second to take what is queued.
func (b *buffered) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	_ = b.Conn.SetWriteDeadline(time.Now().Add(time.Second))
	b.wake()
	return nil
}

// kill breaks the connection, whatever is queued.
func (b *buffered) kill() {
	_ = b.Conn.Close()
	_ = b.Close()
}
