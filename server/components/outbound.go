// SPDX-License-Identifier: Apache-2.0

package components

import (
	"sync"
	"time"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// outbound is what a component is sent. There are no acks on its stream: a message counts as kept
// when its bytes have left for the socket. Until then there is a copy, and when the connection is
// gone before, the stanza goes back to its sender with an error. What was on its way to a component
// that dies is lost with it: that window is the one of XEP-0114.
//
//	kept     │ message │ iq │ message │     copies, oldest first
//	parcels  │    ·    │ ·  │    ·    │
//	         left ─▶             ◀─ put
type outbound struct {
	mu      sync.Mutex
	conn    *conn // nil before login
	over    bool  // nothing is taken any more
	dirty   bool  // some turn will flush
	watched bool  // a timer looks after what has not left
	queued  uint64
	parcels []parcel
	kept    []byte
	from    int // where in kept the oldest parcel begins
}

// parcel is a stanza that must be answered for until it has left.
type parcel struct {
	size    int            // of its copy
	end     uint64         // outbound.queued behind it
	receipt server.Receipt // held
}

// watchEvery is how often is looked whether a slow component has taken what it was sent.
const watchEvery = 20 * time.Millisecond

// begin makes c the connection of x, and lets the component know, ahead of any stanza. It reports
// false where there is another connection.
func (o *outbound) begin(c *conn, x *external) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.over || !x.conn.CompareAndSwap(nil, c) {
		return false
	}
	o.conn = c
	c.machine.Admit()
	answer := c.machine.Out()
	c.Conn.Queue(answer)
	o.queued += uint64(len(answer))
	c.Conn.Flush()
	return true
}

// put queues s. It reports whether it was taken.
func (o *outbound) put(t *server.Turn, s *stanza.Stanza) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.over {
		return false
	}
	start := len(o.kept)
	o.kept = s.Append(o.kept, "")
	size := len(o.kept) - start
	o.conn.Queue(o.kept[start:])
	o.queued += uint64(size)
	if answers(s) {
		p := parcel{size: size, end: o.queued}
		if s.Kind == stanza.Message { // the safety of a request is its answer
			p.receipt = t.Receipt()
			p.receipt.Hold()
		}
		o.parcels = append(o.parcels, p)
	} else {
		o.kept = o.kept[:start]
	}
	if !o.dirty {
		o.dirty = true
		t.Later(o)
	}
	return true
}

// answers reports whether somebody must be told when s gets lost.
func answers(s *stanza.Stanza) bool {
	switch {
	case s.Type == stanza.TypeError, s.Kind == stanza.IQ && s.Type == stanza.Result:
		return false
	case s.Kind == stanza.Presence:
		return s.Type != stanza.Available && s.Type != stanza.Unavailable && s.Type != stanza.Probe
	}
	return true
}

// Flush implements server.Flusher.
func (o *outbound) Flush(t *server.Turn) {
	o.mu.Lock()
	o.dirty = false
	o.conn.Conn.Flush()
	service := o.conn.service
	stuck := !o.over && int64(o.conn.Queued()) > service.queueBytes.Load()
	if stuck {
		o.over = true
		service.metrics.stalled.Inc()
	}
	gone := o.left()
	o.watch()
	o.mu.Unlock()
	if stuck {
		o.conn.Abort() // Gone follows, and gives back what has not left
	}
	release(t, gone)
}

// left takes from the copies what has left for the socket. The caller holds mu, and releases what
// is returned without it.
func (o *outbound) left() (gone []parcel) {
	n, at := 0, o.queued-min(o.queued, uint64(o.conn.Queued()))
	for n < len(o.parcels) && o.parcels[n].end <= at {
		o.from += o.parcels[n].size
		n++
	}
	gone = o.parcels[:n:n]
	switch o.parcels = o.parcels[n:]; {
	case len(o.parcels) == 0:
		// The memory is for the next batch, unless there is much of it.
		o.parcels = nil
		if o.from, o.kept = 0, o.kept[:0]; cap(o.kept) > 64<<10 {
			o.kept = nil
		}
	case o.from > len(o.kept)/2:
		o.kept = o.kept[:copy(o.kept, o.kept[o.from:])]
		o.from = 0
	}
	return gone
}

func release(t *server.Turn, gone []parcel) {
	for _, p := range gone {
		p.receipt.Release(t)
	}
}

// watch has a timer look again while something has not left. The caller holds mu.
func (o *outbound) watch() {
	if o.watched || o.over || len(o.parcels) == 0 {
		return
	}
	o.watched = true
	time.AfterFunc(watchEvery, func() {
		t := o.conn.service.Server.NewTurn()
		o.mu.Lock()
		o.watched = false
		gone := o.left()
		o.watch()
		o.mu.Unlock()
		release(t, gone)
		t.End()
	})
}

// close stops taking stanzas, and reports whether it was the first to.
func (o *outbound) close() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	first := !o.over
	o.over = true
	return first
}

// giveBack returns what has not left to its senders. The connection is gone.
func (o *outbound) giveBack(t *server.Turn) {
	o.mu.Lock()
	if o.conn == nil {
		o.mu.Unlock()
		return
	}
	gone := o.left()
	rest, kept := o.parcels, o.kept[o.from:]
	o.parcels, o.kept, o.from = nil, nil, 0
	o.mu.Unlock()
	release(t, gone)
	for _, p := range rest {
		s, err := stanza.Parse(stanza.Standalone(kept[:p.size]))
		kept = kept[p.size:]
		if err == nil {
			o.conn.service.metrics.returned.Inc()
			t.Refuse(s, away())
		}
		p.receipt.Release(t)
	}
}
