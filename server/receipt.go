// SPDX-License-Identifier: Apache-2.0

package server

import (
	"sync"

	"github.com/stonechat-im/stonechat/internal/fifo"
)

// inbound counts what a session, or another server, sent and what of it is safe, for stream management.
//
//	     base (h)                  next
//	      │                          │
//	──────┼───┬───┬───┬───┬───┬───┬──┼────▶ stanzas received
//	safe  │ 2 │ 0 │ 0 │ 1 │ 0 │ 0 │  │
//	      └───┴───┴───┴───┴───┴───┴──┘ open: holds on each; base passes zeros
//
// A stanza is safe when nothing holds it any more: its handling is over, and each thing that
// would be lost with the server (a copy that its receiver has not acked, a change that is not
// committed) has let go. RFC 6120 has no acks; without stream management nothing is counted.
type inbound struct {
	mu    sync.Mutex
	on    bool
	base  uint32
	open  fifo.Queue[uint16] // holds of stanza base+i
	asked uint32             // what had been received when the client last asked
	told  uint32             // the h it was told last
	calm  func()             // called once when all is safe
	peer  acker              // who is told
}

// acker tells the peer, before the turn is over, how much is safe. It is called with no lock held.
type acker interface{ owe(t *Turn) }

// Receipt is one stanza's place in its sender's count. Its zero value belongs to a sender that
// gets no acks: holds on it cost nothing.
type Receipt struct {
	in *inbound
	n  uint32
}

func (r Receipt) wanted() bool { return r.in != nil }

// receive counts one stanza and returns its receipt, held once for its handling.
func (in *inbound) receive() Receipt {
	in.mu.Lock()
	defer in.mu.Unlock()
	if !in.on {
		return Receipt{}
	}
	n := in.base + uint32(in.open.Len())
	in.open.Push(1)
	return Receipt{in, n}
}

// Hold keeps the stanza from being safe until one more Release.
func (r Receipt) Hold() {
	in := r.in
	if in == nil {
		return
	}
	in.mu.Lock()
	in.open.All()[r.n-in.base]++ // R1: held at least once, so not passed yet
	in.mu.Unlock()
}

// Release undoes one Hold. The caller must hold no lock of a session or user.
func (r Receipt) Release(t *Turn) {
	in := r.in
	if in == nil {
		return
	}
	in.mu.Lock()
	open := in.open.All()
	open[r.n-in.base]--
	passed := 0
	for passed < len(open) && open[passed] == 0 {
		passed++
	}
	if passed > 0 {
		in.base += uint32(passed)
		in.open.Pop(passed)
	}
	// Whoever asked for more than was safe then is told now (XEP-0198 §4).
	due := passed > 0 && int32(in.asked-in.told) > 0
	var calm func()
	if in.open.Len() == 0 {
		calm, in.calm = in.calm, nil
	}
	in.mu.Unlock()
	if due {
		in.peer.owe(t)
	}
	if calm != nil {
		calm()
	}
}

// whenSafe calls f once, when nothing received is unsafe any more: perhaps at once, perhaps on
// another goroutine. A later call takes the place of an earlier one that still waits.
func (in *inbound) whenSafe(f func()) {
	in.mu.Lock()
	if in.open.Len() > 0 {
		in.calm = f
		in.mu.Unlock()
		return
	}
	in.mu.Unlock()
	f()
}

// unsafe is how many stanzas are received and not safe.
func (in *inbound) unsafe() int {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.open.Len()
}

// request notes that the client asked for an ack; the answer leaves with the turn.
func (in *inbound) request() {
	in.mu.Lock()
	in.asked = in.base + uint32(in.open.Len())
	in.mu.Unlock()
}

// answer returns the h to tell now.
func (in *inbound) answer() uint32 {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.told = in.base
	return in.base
}
