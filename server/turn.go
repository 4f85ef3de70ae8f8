// SPDX-License-Identifier: Apache-2.0

package server

import (
	"sync"
	"time"

	"github.com/stonechat-im/stonechat/internal/trace"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// Turn is one batch of work: what one read brought, one committed change, one tick. Whatever is
// sent in it leaves when it ends, with one write per receiver. A Turn belongs to one goroutine
// and ends with End; it must not be kept.
type Turn struct {
	// Origin is the session whose stanza is being handled; nil for the server's own work and
	// before login.
	Origin *Session
	Now    time.Time

	server    *Server
	stream    Reader     // the one whose input is being handled, paused where work leaves the loop
	receipt   Receipt    // of the stanza being handled
	way       *trace.Way // of that stanza, where somebody watches
	mayWait   bool       // this turn runs on a worker
	fanned    int        // copies that outboxes have sent in it
	suspended bool       // the stanza went to a worker: handle no more input in this turn
	dirty     []*Session
	later     []Flusher
	to        []*Session  // memory of Takers and Named
	took      []*Session  // by whom the stanza being handled was taken
	delivered *delivery   // of the stanza being handled, if it is followed
	doomed    []*Session  // over a bound: ended with the turn
	gone      []*delivery // memory of reached
	commits   []spooling  // to be followed with the turn
	slots     []any       // of modules
	buf       []byte
	received  stanza.Stanza // memory of the one being handled
}

var turns = sync.Pool{New: func() any { return new(Turn) }} // no state, only memory

// NewTurn begins a turn.
func (s *Server) NewTurn() *Turn {
	t := turns.Get().(*Turn)
	t.server, t.Now = s, time.Now()
	return t
}

// TurnOf is the turn of a driver's batch, which ends it.
func (s *Server) TurnOf(batch *interface{ End() }) *Turn {
	t, ok := (*batch).(*Turn)
	if !ok {
		t = s.NewTurn()
		*batch = t
	}
	return t
}

// End sends what the turn queued and frees the turn.
func (t *Turn) End() {
	t.Flush()
	buf := t.buf
	if cap(buf) > 64<<10 {
		buf = nil
	}
	clear(t.took)
	clear(t.slots)
	*t = Turn{
		took: t.took[:0], dirty: t.dirty[:0], later: t.later[:0], to: t.to[:0], doomed: t.doomed[:0],
		gone: t.gone[:0], commits: t.commits[:0], buf: buf[:0], slots: t.slots[:0],
	}
	turns.Put(t)
}

// reached says that copies have reached their clients: how is trace.Acked or trace.Left. The caller holds no lock, and fills the list.
func (t *Turn) reached(gone []*delivery, how string) {
	for i, d := range gone {
		gone[i] = nil
		d.acked(t, how)
	}
	t.gone = gone[:0]
}

// Flush sends what the turn queued so far.
func (t *Turn) Flush() {
	for len(t.dirty)+len(t.later)+len(t.doomed)+len(t.commits) > 0 {
		for i, x := range t.commits {
			t.commits[i] = spooling{}
			x.follow()
		}
		t.commits = t.commits[:0]
		for i := 0; i < len(t.later); i++ { // first, so that an answer does not leave before what it told others is queued
			f := t.later[i]
			t.later[i] = nil
			f.Flush(t)
		}
		t.later = t.later[:0]
		for i := 0; i < len(t.dirty); i++ { // flushing one may owe another its ack
			se := t.dirty[i]
			t.dirty[i] = nil
			se.out.flush(t)
		}
		t.dirty = t.dirty[:0]
		for i := 0; i < len(t.doomed); i++ { // ending a session may doom another
			se := t.doomed[i]
			t.doomed[i] = nil
			se.End(t, nil)
		}
		t.doomed = t.doomed[:0]
	}
}

// Await holds the sender's ack of s, the stanza being handled, until p is done; nobody else waits. If p fails, s is refused.
func (t *Turn) Await(p *store.Pending, s *stanza.Stanza) {
	r, srv, way := t.receipt, t.server, t.way
	refusal := s.Refuse(stanza.ResourceConstraint.Err("the change could not be stored now")).Retain()
	r.Hold()
	srv.after(p, func(done *Turn, err error) {
		if err != nil {
			done.way = way
			srv.complain("change not stored", "stanza", refusal.Kind.String(), "err", err)
			done.Route(refusal)
			done.way = nil
		}
		r.Release(done)
	})
}

// Keep holds the sender's acknowledgement of the stanza being handled until p is done; nobody else
// waits. Unlike Await it refuses nothing: if p fails, that is logged and counted.
func (t *Turn) Keep(p *store.Pending) {
	r, srv := t.receipt, t.server
	r.Hold()
	srv.after(p, func(done *Turn, err error) {
		if err != nil {
			srv.metrics.notKept.Inc()
			srv.complain("not stored", "err", err)
		}
		r.Release(done)
	})
}

// aftermath is what is to be done after commits. It is done off the store's goroutine, which goes on
// with the next commit, and in one turn for all that one commit has done, so that a sender of many
// stanzas is told once.
type aftermath struct {
	mu      sync.Mutex
	list    []outcome
	running bool
}

type outcome struct {
	err  error
	then func(*Turn, error)
}

// after has f called when p is done, in the order of commits, in a turn that has no origin. f must not
// wait.
func (s *Server) after(p *store.Pending, f func(t *Turn, err error)) {
	p.OnDone(func(err error) {
		x := &s.aftermath
		x.mu.Lock()
		x.list = append(x.list, outcome{err, f})
		start := !x.running
		x.running = true
		x.mu.Unlock()
		if start {
			go s.runAftermath()
		}
	})
}

func (s *Server) runAftermath() {
	x := &s.aftermath
	var list []outcome
	for {
		clear(list)
		x.mu.Lock()
		list, x.list = x.list, list[:0]
		if len(list) == 0 {
			x.list, x.running = nil, false
			x.mu.Unlock()
			return
		}
		x.mu.Unlock()
		t := s.NewTurn()
		for _, o := range list {
			o.then(t, o.err)
		}
		t.End()
	}
}

// Took are the sessions that were given the stanza being handled, for hooks on arriving stanzas of
// phase Observe. They are valid until the hook returns.
func (t *Turn) Took() []*Session { return t.took }

// offLoop runs f where it may wait: here, if this turn is a worker's, else on a worker while
// the stream whose input is handled pauses. f's s borrows nothing.
func (t *Turn) offLoop(s *stanza.Stanza, f func(*Turn, *stanza.Stanza)) {
	if t.mayWait {
		f(t, s)
		return
	}
	kept, origin, stream, receipt, way, srv := s.Retain(), t.Origin, t.stream, t.receipt, t.way, t.server
	receipt.Hold()
	if stream != nil {
		stream.Pause()
		t.suspended = true
	}
	srv.workers.do(func() {
		w := srv.NewTurn()
		w.Origin, w.stream, w.receipt, w.way, w.mayWait = origin, stream, receipt, way, true
		f(w, kept)
		receipt.Release(w)
		w.End()
		switch {
		case stream == nil:
		case origin != nil && kept.Kind == stanza.IQ:
			origin.readFirst(stream, backPressurePause)
		default:
			stream.Resume()
		}
	})
}

// OffLoop runs f where it may wait for the store, with u held, nil for none: here, if this turn may
// wait, else on a worker while the sender pauses. A hook that calls it returns Handled, a place nil.
func (t *Turn) OffLoop(u *User, s *stanza.Stanza, f func(*Turn, *stanza.Stanza)) {
	if t.mayWait || u == nil {
		t.offLoop(s, f)
		return
	}
	users := &t.server.users
	users.acquire(u.JID)
	t.offLoop(s, func(t *Turn, s *stanza.Stanza) {
		defer users.release(u)
		f(t, s)
	})
}

// workers bounds how many handlers wait for the store at one time. Each session waits for at most one: that bounds the queue.
type workers struct{ slots chan struct{} }

func (w workers) do(f func()) {
	go func() {
		w.slots <- struct{}{}
		defer func() { <-w.slots }()
		f()
	}()
}
