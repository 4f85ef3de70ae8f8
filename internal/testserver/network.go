// SPDX-License-Identifier: Apache-2.0

package testserver

import (
	"errors"
	"net"
	"sync"
	"testing"
)

// Network makes the connections of one client and hands their other ends to the test.
type Network struct {
	T       testing.TB
	Options Options
	Tight   bool // what the client writes waits until the peer reads it
	ends    chan net.Conn

	mu    sync.Mutex
	conns []*buffered
}

// NewNetwork makes one whose peers know Password.
func NewNetwork(t testing.TB, o Options) *Network {
	if o.Keys == nil {
		o.Keys = Keys()
	}
	return &Network{T: t, Options: o, ends: make(chan net.Conn)}
}

// Dial is for client.Config.
func (n *Network) Dial(done <-chan struct{}) (net.Conn, error) {
	a, b := net.Pipe()
	ours, theirs := newBuffered(a), newBuffered(b)
	n.mu.Lock()
	n.conns = append(n.conns, ours, theirs)
	n.mu.Unlock()
	var client net.Conn = theirs
	if n.Tight {
		client = b
	}
	select {
	case n.ends <- ours:
		return client, nil
	case <-done:
		return nil, errors.New("testserver: nobody accepts")
	}
}

// Accept waits for the client's next connection.
func (n *Network) Accept() *Peer { return NewPeer(n.T, <-n.ends, n.Options) }

// Serve runs serve, on a goroutine of its own, on the client's next connection if there is one
// before done.
func (n *Network) Serve(done <-chan struct{}, serve func(*Peer)) {
	go func() {
		select {
		case conn := <-n.ends:
			serve(NewPeer(n.T, conn, n.Options))
		case <-done:
		}
	}()
}

// Close breaks all connections.
func (n *Network) Close() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, conn := range n.conns {
		conn.kill()
	}
}

// Refuse breaks the client's next connection at once.
func (n *Network) Refuse() { _ = (<-n.ends).Close() }
