// SPDX-License-Identifier: Apache-2.0

// Package trace tells whoever watches an account what becomes of its stanzas.
//
// A [Tracer] watches one account. A stanza from or to it gets a [Way] when it enters the server, which goes with it and with
// all that comes of it; whoever does something with the stanza notes it there. Without tracers all ways are nil, and the
// price is one atomic load for each stanza.
package trace

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// Event is one thing that happened to a stanza. It tells nothing of what people say: of the
// content of a stanza it has the names of its children alone.
type Event struct {
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
	Received = "received" // from a session, or made by the server
	Passed   = "passed"   // a hook let it go on; told only where it was asked for
	Handled  = "handled"  // a hook took charge of it
	Refused  = "refused"  // by a hook; Detail says why
	Asked    = "asked"    // a module answers the request
	Queued   = "queued"   // for a session
	Spooling = "spooling" // on its way to the disk
	Spooled  = "spooled"  // on the disk
	Failed   = "failed"   // the disk did not take it
	Returned = "returned" // to its sender, with an error; Detail says which
	Drained  = "drained"  // from the disk, for a session
	Expired  = "expired"  // on the disk, and dropped: it has waited too long
	Acked    = "acked"    // by its client
	Left     = "left"     // for the socket of a client that does not ack
)

// Bounds of tracing.
const (
	MaxTracers = 16   // at one time
	Queue      = 1000 // events that wait for who reads a Tracer; more are lost, and counted
)

// ErrTracers says that there are MaxTracers already.
var ErrTracers = errors.New("trace: too many traces run")

// Tracer hears what happens to the stanzas of one account.
type Tracer struct {
	account jid.JID
	passed  bool
	events  chan Event
	lost    atomic.Int64
}

// Events is what happens from now on. Who does not read in time loses some.
func (t *Tracer) Events() <-chan Event { return t.events }

// Lost is how many events were lost since it was last called.
func (t *Tracer) Lost() int64 { return t.lost.Swap(0) }

// Tracers are those that run. Its zero value is none.
type Tracers struct {
	list atomic.Pointer[[]*Tracer] // nil: none
	ways atomic.Int64

	mu sync.Mutex // one change at a time
}

// Any reports whether anybody watches anything.
func (x *Tracers) Any() bool { return x.list.Load() != nil }

// Begin begins to watch an account, in use or not; passed says that hooks which let a stanza go on
// are told of, too. It ends with End.
func (x *Tracers) Begin(account jid.JID, passed bool) (*Tracer, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	var list []*Tracer
	if old := x.list.Load(); old != nil {
		list = slices.Clone(*old)
	}
	if len(list) >= MaxTracers {
		return nil, ErrTracers
	}
	t := &Tracer{account: account.Bare(), passed: passed, events: make(chan Event, Queue)}
	list = append(list, t)
	x.list.Store(&list)
	return t, nil
}

// End ends what Begin has begun.
func (x *Tracers) End(t *Tracer) {
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

// Way is that of one stanza through the server, as far as somebody watches. nil: nobody does.
type Way struct {
	n  int64
	to []*Tracer
}

// Enter makes the way of a stanza that is sent between two addresses, if somebody watches one of them, and notes how it
// has entered, with the names of what it carries.
func (x *Tracers) Enter(from, to jid.JID, event string, s *stanza.Stanza) *Way {
	list := x.list.Load()
	if list == nil {
		return nil
	}
	var w *Way
	for _, t := range *list {
		if from.Bare() != t.account && to.Bare() != t.account {
			continue
		}
		if w == nil {
			w = &Way{n: x.ways.Add(1)}
		}
		w.to = append(w.to, t)
	}
	if w == nil {
		return nil
	}
	e := Event{Event: event}
	for i := range s.Len() {
		space, local, _ := s.Child(i)
		e.Children = append(e.Children, "{"+string(space)+"}"+string(local))
	}
	w.Tell(e, s)
	return w
}

// Note notes an event.
func (w *Way) Note(event, detail string) { w.Tell(Event{Event: event, Detail: detail}, nil) }

// Tell tells the tracers; s may be nil where the way alone says which stanza it is.
func (w *Way) Tell(e Event, s *stanza.Stanza) {
	if w == nil {
		return
	}
	e.Time, e.Way = time.Now(), w.n
	if s != nil {
		e.Kind, e.Type, e.ID, e.From, e.To = s.Kind.String(), s.Type.String(), string(s.ID), s.From.String(), s.To.String()
	}
	for _, t := range w.to {
		if e.Event == Passed && !t.passed {
			continue
		}
		select {
		case t.events <- e:
		default:
			t.lost.Add(1)
		}
	}
}
