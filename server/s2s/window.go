// SPDX-License-Identifier: Apache-2.0

package s2s

// window is what a connection has sent and the peer has not confirmed, oldest first.
//
//	  base                       next
//	   │                          │
//	───┼───┬───┬───┬───┬───┬───┬──┼──▶ slots
//	   │ e │ e │   │ e │   │ e │  │
//	   └───┴───┴───┴───┴───┴───┴──┘
//
// A slot is empty where the route has taken its stanza back, or where nobody asks what became of it and only its
// being counted matters. What is popped is in front of the rest until it is half of all; then the rest
// moves down, so that each slot is moved once on average.
type window struct {
	base  uint64 // slots ever popped
	slots []*entry
	head  int
}

func (w *window) len() int { return len(w.slots) - w.head }

func (w *window) next() uint64 { return w.base + uint64(w.len()) }

// all are the slots, valid until the next push or pop.
func (w *window) all() []*entry { return w.slots[w.head:] }

func (w *window) push(e *entry) {
	if len(w.slots) == cap(w.slots) && w.head > 0 && w.head >= len(w.slots)/2 {
		rest := copy(w.slots, w.slots[w.head:])
		clear(w.slots[rest:])
		w.slots, w.head = w.slots[:rest], 0
	}
	w.slots = append(w.slots, e)
}

// windowCap is how long an empty window's memory may stay.
const windowCap = 64

// pop drops the oldest n, and appends those that were not empty to gone.
func (w *window) pop(n int, gone []*entry) []*entry {
	for i, e := range w.all()[:n] {
		if e != nil {
			gone = append(gone, e)
		}
		w.slots[w.head+i] = nil
	}
	w.base += uint64(n)
	if w.head += n; w.head == len(w.slots) {
		w.slots, w.head = w.slots[:0], 0
		if cap(w.slots) > windowCap {
			w.slots = nil
		}
	}
	return gone
}
