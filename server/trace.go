// SPDX-License-Identifier: Apache-2.0

package server

// How to read this file: a Tracer watches one account. A stanza from or to it gets a way when it
// enters the core (Server.enter), which the turn carries, and each delivery it makes; whoever does
// something with the stanza notes it on the way (Turn.note, way.note). Without tracers all ways are
// nil, and the price is one atomic load for each stanza and each copy.

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// TraceEvent is one thing that happened to a stanza. It tells nothing of what people say: of the
// content of a stanza it has the names of its children alone.
type TraceEvent struct {
	Time  time.Time `json:"time"`
	Way   int64     `json:"way"` // the same for all that happens to one stanza and because of it
	Event string    `json:"event"`

	Kind     string   `json:"kind,omitempty"` // message, presence, iq
	Type     string   `json:"type,omitempty"`
	ID       string   `json:"id,omitempty"`
	From     string   `json:"from,omitempty"`
	To       string   `json:"to,omitempty"`
	Children []string `json:"children,omitempty"` // {namespace}name

	Module  string `json:"module,omitempty"`  // whose hook or handler it was
	Phase   string `json:"phase,omitempty"`   // of the hook
	Session string `json:"session,omitempty"` // the one it was given to
	Detail  string `json:"detail,omitempty"`  // an error's condition
}

// The events of a stanza's way, in the order in which most come.
const (
	TraceReceived = "received" // from a session, or made by the server
	TracePassed   = "passed"   // a hook let it go on; told only where it was asked for
	TraceHandled  = "handled"  // a hook took charge of it
	TraceRefused  = "refused"  // by a hook; Detail says why
	TraceAsked    = "asked"    // a module answers the request
	TraceQueued   = "queued"   // for a session
	TraceSpooling = "spooling" // on its way to the disk
	TraceSpooled  = "spooled"  // on the disk
	TraceFailed   = "failed"   // the disk did not take it
	TraceReturned = "returned" // to its sender, with an error; Detail says which
	TraceDrained  = "drained"  // from the disk, for a session
	TraceExpired  = "expired"  // on the disk, and dropped: it has waited too long
	TraceAcked    = "acked"    // by its client
	TraceLeft     = "left"     // for the socket of a client that does not ack
)

// Bounds of tracing.
const (
	MaxTracers  = 16   // at one time
	tracerQueue = 1000 // events that wait for who reads a Tracer; more are lost, and counted
)

// ErrTracers says that there are MaxTracers already.
var ErrTracers = errors.New("server: too many traces run")

// Tracer hears what happens to the stanzas of one account.
type Tracer struct {
	account jid.JID
	passed  bool
	events  chan TraceEvent
	lost    atomic.Int64
}

// Events is what happens from now on. Who does not read in time loses some.
func (t *Tracer) Events() <-chan TraceEvent { return t.events }

// Lost is how many events were lost since it was last called.
func (t *Tracer) Lost() int64 { return t.lost.Swap(0) }

// tracers are those that run.
type tracers struct {
	list atomic.Pointer[[]*Tracer] // nil: none
	ways atomic.Int64

	mu sync.Mutex // one change at a time
}

// Trace begins to watch an account, in use or not; passed says that hooks which let a stanza go on
// are told of, too. It ends with EndTrace.
func (s *Server) Trace(account jid.JID, passed bool) (*Tracer, error) {
	x := &s.tracers
	x.mu.Lock()
	defer x.mu.Unlock()
	var list []*Tracer
	if old := x.list.Load(); old != nil {
		list = slices.Clone(*old)
	}
	if len(list) >= MaxTracers {
		return nil, ErrTracers
	}
	t := &Tracer{account: account.Bare(), passed: passed, events: make(chan TraceEvent, tracerQueue)}
	list = append(list, t)
	x.list.Store(&list)
	return t, nil
}

// EndTrace ends what Trace has begun.
func (s *Server) EndTrace(t *Tracer) {
	x := &s.tracers
	x.mu.Lock()
	defer x.mu.Unlock()
	old := x.list.Load()
	if old == nil {
		return
	}
	list := slices.DeleteFunc(slices.Clone(*old), func(other *Tracer) bool { return other == t })
	if len(list) == 0 {
		x.list.Store(nil)
		return
	}
	x.list.Store(&list)
}

// way is that of one stanza through the server, as far as somebody watches. nil: nobody does.
type way struct {
	n  int64
	to []*Tracer
}

// Way is that of a stanza which a place keeps, to note on it what becomes of it; nil: nobody watches.
type Way = *way

// Way is that of the stanza being handled.
func (t *Turn) Way() Way { return t.way }

// Note notes an event (TraceQueued and so on).
func (w *way) Note(event, detail string) { w.note(TraceEvent{Event: event, Detail: detail}, nil) }

// enter makes the way of a stanza between two addresses, if somebody watches one of them.
func (s *Server) enter(from, to jid.JID) *way {
	list := s.tracers.list.Load()
	if list == nil {
		return nil
	}
	var w *way
	for _, t := range *list {
		if from.Bare() != t.account && to.Bare() != t.account {
			continue
		}
		if w == nil {
			w = &way{n: s.tracers.ways.Add(1)}
		}
		w.to = append(w.to, t)
	}
	return w
}

// note tells the tracers; s may be nil where the way alone says which stanza it is.
func (w *way) note(e TraceEvent, s *stanza.Stanza) {
	if w == nil {
		return
	}
	e.Time, e.Way = time.Now(), w.n
	if s != nil {
		e.Kind, e.Type, e.ID, e.From, e.To = s.Kind.String(), s.Type.String(), string(s.ID), s.From.String(), s.To.String()
	}
	for _, t := range w.to {
		if e.Event == TracePassed && !t.passed {
			continue
		}
		select {
		case t.events <- e:
		default:
			t.lost.Add(1)
		}
	}
}

// note is way.note for the stanza being handled.
func (t *Turn) note(event, detail string, s *stanza.Stanza) {
	t.way.note(TraceEvent{Event: event, Detail: detail}, s)
}

// noteEntry notes that a stanza has entered, with the names of what it carries.
func (w *way) noteEntry(event string, s *stanza.Stanza) {
	if w == nil {
		return
	}
	e := TraceEvent{Event: event}
	for i := range s.Len() {
		space, local, _ := s.Child(i)
		e.Children = append(e.Children, "{"+string(space)+"}"+string(local))
	}
	w.note(e, s)
}

// noteHook notes what a hook did.
func (t *Turn) noteHook(p Phase, module string, s *stanza.Stanza, err error) {
	e := TraceEvent{Event: TracePassed, Module: module, Phase: p.String()}
	switch {
	case err == nil:
	case err == Handled && p <= Handle: //nolint:errorlint // a verdict is never wrapped
		e.Event = TraceHandled
	default:
		refusal, _ := stanza.AsError(err)
		e.Event, e.Detail = TraceRefused, string(refusal.Condition)
	}
	t.way.note(e, s)
}

// follow gives the turn the way of a stanza that the server itself sends to an account, unless it
// has one, and returns what was there before.
func (t *Turn) follow(u *User, event string, s *stanza.Stanza) (before *way) {
	before = t.way
	if before == nil && t.server.tracers.list.Load() != nil {
		t.way = t.server.enter(s.From, u.JID)
		t.way.noteEntry(event, s)
	}
	return before
}

// noteQueued notes that a session takes the stanza.
func (t *Turn) noteQueued(se *Session, detail string) {
	if t.way != nil {
		t.way.note(TraceEvent{Event: TraceQueued, Session: se.JID.String(), Detail: detail}, nil)
	}
}

// note notes what becomes of a message that is followed.
func (d *delivery) note(event string) {
	d.way.note(TraceEvent{Event: event, To: d.user.JID.String()}, nil)
}
