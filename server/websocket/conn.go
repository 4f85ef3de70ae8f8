// SPDX-License-Identifier: Apache-2.0

package websocket

// How to read this file: what any goroutine may call, which is drive.Conn. Writing never waits: below
// the WebSocket, and below its TLS, is a drive.Outlet, which takes everything. So a batch of messages
// is written at once, by whoever flushes, corked, to leave with one write.
//
//	Queue ─▶ queue ─▶ Flush ─▶ frames ─▶ (TLS) ─▶ Outlet ─▶ socket

import (
	"context"
	"crypto/tls"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/stonechat-im/stonechat/internal/drive"
	"github.com/stonechat-im/stonechat/server/httpd"
)

// conn is one client's WebSocket.
type conn struct {
	service *Service
	ws      *websocket.Conn
	socket  *drive.Outlet
	remote  netip.AddrPort
	machine drive.Framed

	messages chan message  // what is read, one at a time
	taken    chan struct{} // the machine is done with it
	over     chan struct{} // closed when nothing is taken any more
	awake    chan struct{} // something has changed; capacity 1
	heard    atomic.Int64  // when the peer last said anything, in unix nanoseconds
	pinged   int64         // what heard was when the last ping was sent; the loop's

	mu       sync.Mutex
	queue    []byte
	ends     []int // of the messages in queue
	lost     int   // bytes that will never leave
	shut     bool  // nothing more is taken
	closing  bool
	aborted  bool
	paused   int
	resumed  bool      // Input is due
	deadline time.Time // the machine's
}

// message is what one read brought.
type message struct {
	data []byte
	err  error
}

func newConn(s *Service, ws *websocket.Conn, peer *httpd.Peer) *conn {
	c := &conn{
		service: s, ws: ws, socket: peer.Socket, remote: peer.Address,
		messages: make(chan message), taken: make(chan struct{}), over: make(chan struct{}),
		awake: make(chan struct{}, 1),
	}
	c.heard.Store(time.Now().UnixNano())
	return c
}

// wake makes the loop look again.
func (c *conn) wake() {
	select {
	case c.awake <- struct{}{}:
	default:
	}
}

// Queue implements drive.Conn: p is one message.
func (c *conn) Queue(p []byte) {
	if len(p) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.shut {
		c.lost += len(p)
		return
	}
	c.queue = append(c.queue, p...)
	c.ends = append(c.ends, len(c.queue))
}

// Flush implements drive.Conn.
func (c *conn) Flush() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.flush()
}

// flush frames what is queued. The caller holds mu.
func (c *conn) flush() {
	if len(c.ends) == 0 {
		return
	}
	c.socket.Cork()
	start := 0
	for _, end := range c.ends {
		if err := c.ws.Write(context.Background(), websocket.MessageText, c.queue[start:end]); err != nil {
			c.lost += len(c.queue) - start // the reader comes to its end, too
			break
		}
		start = end
	}
	c.socket.Uncork()
	c.queue, c.ends = nil, nil
}

// Queued implements drive.Conn. What the socket has not taken is counted with all that is around it.
func (c *conn) Queued() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.queue) + c.lost + c.socket.Pending()
}

// StartTLS implements drive.Conn; there is none within a WebSocket (RFC 7395 §3.9), and the machine
// does not ask for it.
func (c *conn) StartTLS(*tls.Config) { c.Abort() }

// ConnectTLS implements drive.Conn, as StartTLS does.
func (c *conn) ConnectTLS(*tls.Config) { c.Abort() }

// SetDeadline implements drive.Conn.
func (c *conn) SetDeadline(t time.Time) {
	c.mu.Lock()
	c.deadline = t
	c.mu.Unlock()
	c.wake()
}

// Pause implements drive.Conn.
func (c *conn) Pause() {
	c.mu.Lock()
	c.paused++
	c.mu.Unlock()
}

// Resume implements drive.Conn.
func (c *conn) Resume() {
	c.mu.Lock()
	c.paused--
	c.resumed = c.resumed || c.paused == 0
	c.mu.Unlock()
	c.wake()
}

// Close implements drive.Conn.
func (c *conn) Close() {
	c.mu.Lock()
	if !c.shut {
		c.flush()
		c.shut, c.closing = true, true
	}
	c.mu.Unlock()
	c.wake()
}

// Abort implements drive.Conn.
func (c *conn) Abort() {
	c.socket.Abort()
	c.mu.Lock()
	c.shut, c.aborted = true, true
	c.mu.Unlock()
	c.wake()
}

// Remote implements drive.Conn.
func (c *conn) Remote() netip.AddrPort { return c.remote }

// Served implements drive.Conn.
func (c *conn) Served() *tls.Certificate { return c.socket.Served() }
