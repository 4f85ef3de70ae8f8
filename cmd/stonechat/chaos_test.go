// SPDX-License-Identifier: Apache-2.0

package main

// How to read this file: hostile is a network between clients and server that does to connections
// what networks do; TestHostileNetwork sends messages both ways over it.

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/client"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// fate is what becomes of a connection.
type fate int

const (
	cut        fate = iota // both ends are closed
	reset                  // both ends are reset
	halfUp                 // the server hears the end, the client does not
	halfDown               // the client hears the end, the server does not
	stall                  // nothing passes for a while, then all does
	swallow                // nothing passes any more, and nobody is told
	swallowOne             // nothing passes in one direction
	fates
)

func (f fate) String() string {
	return [...]string{"cut", "reset", "half-closed to the server", "half-closed to the client", "stalled",
		"black-holed", "black-holed one way"}[f]
}

// hostile is a TCP proxy.
type hostile struct {
	listener net.Listener
	to       string
	on       atomic.Bool
	met      [fates]atomic.Int32
	work     sync.WaitGroup
	over     chan struct{}
}

func newHostile(t *testing.T, to string) *hostile {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &hostile{listener: l, to: to, over: make(chan struct{})}
	h.work.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			h.work.Go(func() { h.carry(conn.(*net.TCPConn)) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		close(h.over)
		h.work.Wait()
	})
	return h
}

// route is one connection through the proxy.
type route struct {
	h          *hostile
	near, far  *net.TCPConn   // the client's and the server's end
	left       atomic.Int64   // bytes before its fate, in both directions
	swallowing [2]atomic.Bool // by direction: up, down

	mu      sync.Mutex
	fate    fate
	struck  bool
	stalled chan struct{} // closed when the last stall is over; nil before one
}

// draw draws the fate of a connection, and the bytes before it. A login, of some 6,000, takes its
// time to find out that nothing passes: most are let through.
func (r *route) draw() {
	r.fate = fate(rand.IntN(int(fates)))
	r.left.Store(rand.Int64N(16_000))
	if r.fate == swallow || r.fate == swallowOne {
		r.left.Store(9000 + rand.Int64N(8000))
	}
}

func (h *hostile) carry(near *net.TCPConn) {
	defer near.Close()
	conn, err := net.Dial("tcp", h.to)
	if err != nil {
		return
	}
	far := conn.(*net.TCPConn)
	defer far.Close()
	r := &route{h: h, near: near, far: far}
	r.draw()
	var both sync.WaitGroup
	both.Go(func() { r.copy(0, far, near) })
	both.Go(func() { r.copy(1, near, far) })
	ended := make(chan struct{})
	go func() {
		both.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-h.over:
		_ = near.Close()
		_ = far.Close()
		<-ended
	}
}

// copy carries bytes one way, in pieces of any size.
func (r *route) copy(way int, to, from *net.TCPConn) {
	b := make([]byte, 1<<12)
	for {
		n, err := from.Read(b[:1+rand.IntN(len(b))])
		if err != nil {
			if !r.swallowing[way].Load() {
				_ = to.CloseWrite()
			}
			return
		}
		if r.left.Add(-int64(n)) < 0 && r.h.on.Load() {
			r.strike()
		}
		r.mu.Lock()
		stalled := r.stalled
		r.mu.Unlock()
		if stalled != nil {
			select {
			case <-stalled:
			case <-r.h.over:
				return
			}
		}
		if r.swallowing[way].Load() {
			continue
		}
		if _, err := to.Write(b[:n]); err != nil {
			_, _ = io.Copy(io.Discard, from) // half a connection may go on
			return
		}
	}
}

// strike is what has to come.
func (r *route) strike() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.struck {
		return
	}
	r.h.met[r.fate].Add(1)
	r.struck = r.fate != stall
	switch r.fate {
	case reset:
		_ = r.near.SetLinger(0)
		_ = r.far.SetLinger(0)
		fallthrough
	case cut:
		_ = r.near.Close()
		_ = r.far.Close()
	case halfUp:
		_ = r.far.CloseWrite()
		r.swallowing[0].Store(true)
	case halfDown:
		_ = r.near.CloseWrite()
		r.swallowing[1].Store(true)
	case stall:
		over := make(chan struct{})
		r.stalled = over
		time.AfterFunc(rand.N(200*time.Millisecond), func() { close(over) })
		r.draw()
	case swallow:
		r.swallowing[0].Store(true)
		r.swallowing[1].Store(true)
	case swallowOne:
		r.swallowing[rand.IntN(2)].Store(true)
	}
}

// Whatever a network does, each message arrives once, and in order, both ways; the programs at its
// ends do nothing for it.
func TestHostileNetwork(t *testing.T) {
	messages := 2000
	if testing.Short() {
		messages = 300
	}
	in := startServer(t)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	network := newHostile(t, in.address("client"))
	network.on.Store(true)
	type end struct {
		*client.Client
		name     string
		arrived  chan string
		sessions atomic.Int32
	}
	login := func(name string) *end {
		t.Helper()
		account := jid.MustParse(name + "@localhost")
		if err := in.server.CreateAccount(ctx, account, "secret"); err != nil {
			t.Fatal(err)
		}
		config := client.Config{
			Account: account, Password: "secret", Address: network.listener.Addr().String(),
			BackoffMin: time.Millisecond, BackoffMax: 20 * time.Millisecond,
			Keepalive: 300 * time.Millisecond, AnswerTime: 500 * time.Millisecond, LoginTime: 3 * time.Second,
		}
		if err := config.Trust(filepath.Join(in.config.Data, "tls", "self-signed.crt")); err != nil {
			t.Fatal(err)
		}
		c, err := client.New(config)
		if err != nil {
			t.Fatal(err)
		}
		e := &end{Client: c, name: name, arrived: make(chan string, 2*messages)}
		c.Handle(stanza.Message, xmlstream.Name{}, func(_ context.Context, s *stanza.Stanza) { e.arrived <- stanza.BodyOf(s) })
		c.HandleErrors(func(_ context.Context, s *stanza.Stanza) { e.arrived <- "error: " + s.Refusal().Error() })
		c.HandleSession(func(context.Context) { e.sessions.Add(1) })
		if err := c.Announce(ctx, client.Availability{}); err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		if err := c.Sync(ctx); err != nil {
			t.Fatal(err)
		}
		return e
	}
	juliet, romeo := login("juliet"), login("romeo")
	var work sync.WaitGroup
	for _, pair := range [][2]*end{{juliet, romeo}, {romeo, juliet}} {
		from, to := pair[0], pair[1]
		work.Go(func() {
			for i := range messages {
				if err := from.Send(ctx, stanza.Text(stanza.Chat, jid.MustParse(to.name+"@localhost"), fmt.Sprint(i))); err != nil {
					t.Error(err)
					return
				}
			}
			if err := from.Sync(ctx); err != nil {
				t.Error(err)
			}
		})
		work.Go(func() {
			for i := range messages {
				select {
				case body := <-to.arrived:
					if body != fmt.Sprint(i) {
						t.Errorf("to %s: message %d is %s", to.name, i, body)
						cancel()
						return
					}
				case <-ctx.Done():
					t.Errorf("to %s: message %d does not arrive", to.name, i)
					return
				}
			}
		})
	}
	work.Wait()
	network.on.Store(false)
	for _, e := range []*end{juliet, romeo} {
		if err := e.Sync(ctx); err != nil {
			t.Error(err)
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
		if len(e.arrived) > 0 {
			t.Errorf("to %s: %s arrived beside", e.name, <-e.arrived)
		}
		if n := e.sessions.Load(); n != 1 {
			t.Errorf("%s had %d sessions", e.name, n)
		}
	}
	struck := 0
	for f := range network.met {
		struck += int(network.met[f].Load())
		t.Logf("%d connections were %s", network.met[f].Load(), fate(f))
	}
	if struck < messages/200 {
		t.Errorf("only %d connections met their fate", struck)
	}
}
