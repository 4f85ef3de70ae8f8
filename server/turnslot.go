// SPDX-License-Identifier: Apache-2.0

package server

import (
	"time"

	"github.com/stonechat-im/stonechat/store"
)

// TurnSlot gives a module one value per turn, for what it gathers to be done when the turn ends (Turn.Later). Slots are
// made in Init. A value is gone with its turn.
type TurnSlot[T any] struct{ i int }

// NewTurnSlot makes a slot.
func NewTurnSlot[T any](h *Host) TurnSlot[T] {
	h.Server.turnSlots++
	return TurnSlot[T]{h.Server.turnSlots - 1}
}

// Of returns the module's value for t, nil where none was set.
func (s TurnSlot[T]) Of(t *Turn) *T {
	if s.i >= len(t.slots) {
		return nil
	}
	v, _ := t.slots[s.i].(*T)
	return v
}

// Set sets it; nil is as if it was never set.
func (s TurnSlot[T]) Set(t *Turn, v *T) {
	for len(t.slots) <= s.i {
		t.slots = append(t.slots, nil)
	}
	t.slots[s.i] = v
}

// PauseSender stops reading from whoever has sent the stanza being handled, until resume is called, once and from any
// goroutine. ok is false where it is not read anyway.
func (t *Turn) PauseSender() (resume func(), ok bool) {
	if t.stream == nil || t.suspended {
		return nil, false
	}
	t.stream.Pause()
	t.suspended = true
	return t.stream.Resume, true
}

// pauseFor stops reading from the sender for so long.
func (t *Turn) pauseFor(d time.Duration) {
	t.stream.Pause()
	t.suspended = true
	time.AfterFunc(d, t.stream.Resume)
}

// After has f called when p is done, in the order of commits, off the store's goroutine and in a turn that has no origin. f
// must not wait. Receipts that the caller holds until then are released in that turn.
func (s *Server) After(p *store.Pending, f func(t *Turn, err error)) { s.after(p, f) }
