// SPDX-License-Identifier: Apache-2.0

package server

import (
	"sync"
	"sync/atomic"

	"github.com/stonechat-im/stonechat/internal/bucket"
	"github.com/stonechat-im/stonechat/internal/trace"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// Reader is where input comes from: Pause stops reading, Resume undoes one Pause. Both may be
// called from any goroutine.
type Reader interface {
	Pause()
	Resume()
}

// Inlet is where stanzas come in from a peer who is no session and speaks for more than one
// address: a component, another server. It is used by one goroutine at a time.
type Inlet struct {
	server  *Server
	reader  Reader
	pace    *bucket.Shared
	in      inbound
	acks    func(h uint32)
	owes    atomic.Bool // some turn will flush
	telling sync.Mutex  // holds while an ack is made and queued, so that they leave in order
}

// NewInlet makes one for the peer that r reads.
func (s *Server) NewInlet(r Reader) *Inlet {
	return &Inlet{server: s, reader: r, pace: new(bucket.Shared)}
}

// Share has the inlet count with others of the same peer.
func (in *Inlet) Share(p *bucket.Shared) { in.pace = p }

// Manage turns stream management on (XEP-0198), from the next stanza on: acks tells the peer how many of
// its stanzas are safe, in the sense that a session's are (receipt.go). It may be called from any goroutine
// and must not wait.
func (in *Inlet) Manage(acks func(h uint32)) {
	in.acks = acks
	in.in.mu.Lock()
	in.in.on, in.in.peer = true, in
	in.in.mu.Unlock()
}

// Requested answers the peer's <r/> when the turn ends, and again by itself when more is safe.
func (in *Inlet) Requested(t *Turn) {
	in.in.request(t.Now, 0)
	in.owe(t)
}

func (in *Inlet) owe(t *Turn) {
	if !in.owes.Swap(true) {
		t.Later(in)
	}
}

// Flush implements Flusher.
func (in *Inlet) Flush(*Turn) {
	in.owes.Store(false)
	// Stanzas become safe on many goroutines; a smaller h behind a greater one would be taken for one that is far too great.
	in.telling.Lock()
	defer in.telling.Unlock()
	in.acks(in.in.answer())
}

// Receive routes s, whose sender the caller has checked. It reports whether to read on at once: if
// not, the reader is paused, and resumed when there may be more. A peer without stream management is told
// of a stanza an error, or nothing.
func (in *Inlet) Receive(t *Turn, s *stanza.Stanza) (more bool) {
	srv := in.server
	if !in.begin(t, s) {
		return true
	}
	if srv.tracers.Any() {
		t.way = srv.tracers.Enter(s.From, s.To, trace.Received, s)
	}
	t.Route(s)
	t.way = nil
	in.end(t)
	limits := srv.limits.Load()
	if d := in.pace.Take(t.Now, limits.StanzasPerSecond); d > 0 {
		srv.metrics.throttled.Inc()
		t.pauseFor(d)
	}
	if in.in.unsafe() > limits.UnackedStanzas {
		srv.metrics.backPressure.Inc()
		t.pauseFor(backPressurePause)
	}
	more, t.suspended, t.stream = !t.suspended, false, nil
	return more
}

// begin counts s, and reports whether it is to be handled.
func (in *Inlet) begin(t *Turn, s *stanza.Stanza) bool {
	t.Origin, t.stream, t.receipt, t.way = nil, in.reader, Receipt{}, nil
	in.server.metrics.received[s.Kind].Inc()
	if in.server.stopping.Load() {
		// Nothing more is kept. With stream management it is not counted, so that the peer sends it again.
		managed := in.managed()
		if managed || s.Kind == stanza.Message {
			if !managed {
				t.Refuse(s, stanza.ResourceConstraint.Err("the server is stopping"))
			}
			t.stream = nil
			return false
		}
	}
	t.receipt = in.in.receive()
	return true
}

func (in *Inlet) managed() bool {
	in.in.mu.Lock()
	defer in.in.mu.Unlock()
	return in.in.on
}

func (in *Inlet) end(t *Turn) {
	t.receipt.Release(t)
	t.receipt = Receipt{}
}

// Refuse answers s, which could not even be read to its end, with e.
func (in *Inlet) Refuse(t *Turn, s *stanza.Stanza, e *stanza.Error) {
	if in.begin(t, s) {
		t.Refuse(s, e)
		in.end(t)
	}
	t.stream = nil
}
