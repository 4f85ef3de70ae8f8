// SPDX-License-Identifier: Apache-2.0

package c2s

import (
	"net/netip"
	"sync"
	"time"

	"github.com/stonechat-im/stonechat/internal/drive"
	"github.com/stonechat-im/stonechat/xmpp/stream"
)

// Framed makes the machine of a connection on which each element is a message of its own
// (RFC 7395 §3.3). proxied says that TLS is on and ends at a proxy that is trusted; there is nothing
// to bind a login to then. dc.Remote is the client's address, not the proxy's. It may wait until
// others of that address have logged in.
func (s *Service) Framed(dc drive.Conn, proxied bool) drive.Framed {
	s.metrics.accepted.Inc()
	c := s.newConn(dc, s.framed.Load(), s.await(dc.Remote().Addr()))
	if proxied {
		c.proxied = true
		c.machine.TLSStarted(nil)
		c.state.Store(int32(c.machine.State()))
	}
	return c
}

// MessageBytes implements drive.Framed.
func (c *conn) MessageBytes() int {
	if c.State() < stream.Authenticated {
		return c.config.BeforeLogin.ElementBytes
	}
	return c.config.AfterLogin.ElementBytes
}

// Admit asks for a place, among those that have not logged in, for a connection that cannot log in
// as it is, and may become one that can: HTTP. Nothing is to be read from it before admitted is
// closed. c.Abort is called when it has to go; leave gives up its place.
func (s *Service) Admit(c interface{ Abort() }, from netip.Addr) (admitted <-chan struct{}, leave func()) {
	t := &ticket{conn: c, ready: make(chan struct{})}
	s.admission.enter(prefix(from), time.Now(), t.begin, t.drop)
	return t.ready, t.leave
}

// ticket is a connection of Admit's that waits for its place, or has it.
type ticket struct {
	conn  aborter
	ready chan struct{}

	mu    sync.Mutex
	place *place
	left  bool
}

func (t *ticket) begin(p *place) {
	t.mu.Lock()
	t.place = p
	left := t.left
	t.mu.Unlock()
	switch {
	case left:
		p.leave()
	case !p.own(t.conn):
		t.conn.Abort()
	}
	close(t.ready)
}

func (t *ticket) drop() {
	t.conn.Abort()
	close(t.ready)
}

func (t *ticket) leave() {
	t.mu.Lock()
	t.left = true
	p := t.place
	t.mu.Unlock()
	p.leave()
}

// await waits for a place; nil says that there is none.
func (s *Service) await(from netip.Addr) *place {
	c := make(chan *place, 1)
	s.admission.enter(prefix(from), time.Now(), func(p *place) { c <- p }, func() { c <- nil })
	return <-c
}
