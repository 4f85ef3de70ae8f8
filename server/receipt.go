// SPDX-License-Identifier: Apache-2.0

package server

import (
	"sync"
	"time"

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
	waits bool   // its peer has asked, and the answer would tell it nothing new
	since uint16 // when it began to wait: the last bits of unix milliseconds
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

// news reports whether more is safe than the peer was told.
func (in *inbound) news() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.on && in.told != in.base
}

// request notes that the peer asked for an ack, also of so many that wait to be received (behind), and reports whether it is
// to be told at once. An h that it knows already would not help it: that answer waits for more to be safe, which is told then, or
// until it is overdue.
func (in *inbound) request(now time.Time, behind int) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.asked = in.base + uint32(in.open.Len()+behind)
	if in.open.Len() == 0 || in.told != in.base {
		return true
	}
	if !in.waits {
		in.waits, in.since = true, uint16(now.UnixMilli())
	}
	return false
}

// longestWait is how long an answer waits at most, in milliseconds, whatever sm.spool_after is.
const longestWait = 5000

// overdue reports whether the peer waits for an answer, and whether it has for most, in milliseconds: an answer may be withheld
// for a time, and for nothing else (XEP-0198 §4). Who waits is looked at often.
func (in *inbound) overdue(now, most int64) (waits, late bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.waits, in.waits && int64(uint16(now)-in.since) >= min(most, longestWait)
}

// answer returns the h to tell now.
func (in *inbound) answer() uint32 {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.told, in.waits = in.base, false
	return in.base
}
