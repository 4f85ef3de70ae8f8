// SPDX-License-Identifier: Apache-2.0

package s2s

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// passage is a way for one connection to a server, of which the other end may be lost.
type passage struct {
	net.Listener
	mu      sync.Mutex
	far     net.Conn // to the server
	lost    bool     // nothing passes any more, and who called is told nothing
	running sync.WaitGroup
}

// passage makes one that leads to address, for all who call.
func (w *world) passage(address string) *passage {
	w.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	p := &passage{Listener: l}
	p.running.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", address)
			if err != nil {
				_ = near.Close()
				continue
			}
			p.mu.Lock()
			p.far = far
			p.mu.Unlock()
			w.t.Cleanup(func() { _ = near.Close() })
			p.running.Go(func() { p.carry(far, near) })
			p.running.Go(func() { p.carry(near, far) })
		}
	})
	w.t.Cleanup(func() {
		_ = l.Close()
		p.lose()
	})
	return p
}

// carry passes on what comes, and that no more comes, until the passage is lost.
func (p *passage) carry(to, from net.Conn) {
	_, _ = io.Copy(to, from)
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.lost {
		_ = to.Close()
	}
}

// lose closes the far side, and leaves the near side open.
func (p *passage) lose() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lost = true
	if p.far != nil {
		_ = p.far.Close()
	}
}

// A server that has lost a connection, of which we were told nothing, comes on another: then the older one is dropped before long, and
// what was sent there goes by the new one.
func TestLostEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, m := w.town("capulet.example", setup{}), w.town("montague.example", setup{})
	p := w.passage(m.address)
	w.locate("xmpp-server", p.Addr().String(), m.domain, montague)
	a.send("juliet@"+montague, "m1")
	m.gets("id='m1'")
	for _, idle := a.all()[0].out.unused(); !idle; _, idle = a.all()[0].out.unused() {
		<-time.After(time.Millisecond)
	}
	p.lose()
	for m.count("connections") > 0 {
		m.logs("server gone")
	}
	a.send("juliet@"+montague, "m2")
	m.send("romeo@"+capulet, "m3")
	a.gets("id='m3'")
	m.gets("id='m2'", "<delay ")
	a.logs("server gone", "does not confirm")
	if n := a.count("connections_total"); n != 1 {
		t.Errorf("%v connections were made to it", n)
	}
}
