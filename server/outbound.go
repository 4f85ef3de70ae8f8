// SPDX-License-Identifier: Apache-2.0

package server

import (
	"bytes"
	"slices"
	"sync"

	"github.com/stonechat-im/stonechat/internal/fifo"
	"github.com/stonechat-im/stonechat/internal/trace"
	"github.com/stonechat-im/stonechat/xmpp/sm"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// outbound is the half of a session that faces its client: what is queued, what is sent and not
// acked, and the stream that writes it. All of it is under one mutex, and it is called from any
// goroutine. Whoever makes it dirty flushes it at the end of its turn.
//
// With stream management, window holds what the client has not acked:
//
//	acked             sent
//	  │                │
//	  ├──┬──┬──┬──┬──┬─┤ held ▶
//	  └──┴──┴──┴──┴──┴─┘
//	       window          what arrived while the session drains its spool
//
// Copies of messages that went out without it and whose fate somebody must know are in leaving,
// until their bytes have left for the socket.
type outbound struct {
	mu     sync.Mutex
	se     *Session
	stream Stream // nil while the session is detached
	over   bool   // the session has ended: nothing is taken any more
	dirty  bool   // some turn will flush
	armed  bool   // the sweeper watches

	managed  bool   // stream management is on
	acked    uint32 // h of the client
	window   fifo.Queue[sent]
	leaving  fifo.Queue[sent] // copies that nobody will ack
	bytes    int              // in window, leaving and held
	queued   uint64           // bytes ever queued on stream
	spared   spared
	asked    uint32 // sent count at our last <r/>
	ackDue   bool   // the client is to be told our h
	draining bool   // live stanzas wait in held behind what is drained
	starved  bool   // draining waits until the client has taken more
	dropped  bool   // the stream is aborted because its client does not read
	held     fifo.Queue[sent]
	mark     uint32 // bytes that waited when unread looked; 0: few
	moved    uint32 // unix seconds, as many as fit, when they were last fewer than before
}

// sent is one stanza on its way to the client.
type sent struct {
	b       []byte
	d       *delivery // the message it is a copy of, where somebody must know its fate
	end     uint64    // outbound.queued behind it
	at      uint32    // unix milliseconds when it was queued, as many as fit
	request bool      // an IQ that must be answered
	answer  bool      // to a request of the client's own
}

// age is how many milliseconds ago it was queued, up to 24 days; less than none where the clock was ahead.
func (e *sent) age(now int64) int64 { return int64(int32(uint32(now) - e.at)) }

// put queues one stanza. e.b is copied where it must be kept, unless e.d keeps it. It reports
// whether the session took it.
func (o *outbound) put(t *Turn, e sent) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.over {
		return false
	}
	e.at = uint32(t.Now.UnixMilli())
	if e.d != nil {
		e.d.copied()
	}
	if o.draining {
		if e.d == nil {
			e.b = bytes.Clone(e.b)
		}
		t.noteQueued(o.se, "behind what waited on the disk")
		o.held.Push(e)
		o.spare(e)
		o.grow(t, len(e.b))
		o.follow(e)
		return true
	}
	t.noteQueued(o.se, "")
	o.push(t, e)
	return true
}

// putDrained queues one message from the spool, ahead of what is held, but for messages that were
// given to the account before it (D1).
func (o *outbound) putDrained(t *Turn, d *delivery) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.over {
		return false
	}
	older := 0
	for i, e := range o.held.All() {
		if e.d != nil && e.d.id > d.id {
			break
		}
		if e.d != nil {
			older = i + 1
		}
	}
	o.release(t, older)
	d.copied()
	t.noteQueued(o.se, "")
	o.push(t, sent{b: d.bytes, d: d, at: uint32(t.Now.UnixMilli())})
	return true
}

// release lets the oldest n go that are held. The caller holds mu.
func (o *outbound) release(t *Turn, n int) {
	for range n {
		e := o.held.All()[0]
		o.held.Pop(1)
		o.bytes -= len(e.b) // push counts it again
		o.push(t, e)
	}
}

// answers reports whether the fate of what was put will be known soon, if the client lives: it is
// acked, or it leaves.
func (o *outbound) answers() bool { return o.serves() != nil }

// starve reports whether the client has enough to take for now; then makeRoom goes on with the draining.
func (o *outbound) starve() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.starved = !o.over && (o.window.Len()+o.leaving.Len() > drainPage || o.waits() > o.drainBytes())
	if o.starved {
		o.arm()
	}
	return o.starved
}

// waits is how much the network has not taken. The caller holds mu.
func (o *outbound) waits() int {
	if o.stream == nil {
		return 0
	}
	return o.stream.Queued()
}

// drainBytes may wait while the spool is drained: a client that reads is not to run into the bound for those that do not.
func (o *outbound) drainBytes() int { return o.se.server.limits.Load().QueueBytes / 2 }

// behind reports whether so much waits that the draining has to stop.
func (o *outbound) behind() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.waits() > o.drainBytes()
}

// makeRoom goes on with draining once the client has taken enough. The caller holds mu.
func (o *outbound) makeRoom() {
	if o.starved && o.window.Len()+o.leaving.Len() <= drainPage/2 && o.waits() <= o.drainBytes()/2 {
		o.starved = false
		o.se.server.workers.do(o.se.drainPages)
	}
}

// push sends e, or keeps it for the stream to come. The caller holds mu.
func (o *outbound) push(t *Turn, e sent) {
	o.spare(e)
	if o.stream != nil {
		o.stream.Queue(e.b)
		o.queued += uint64(len(e.b))
		o.soil(t)
	}
	switch {
	case o.managed:
		if e.d == nil {
			e.b = bytes.Clone(e.b)
		}
		o.window.Push(e)
		o.grow(t, len(e.b))
	case e.d != nil:
		e.end = o.queued
		o.leaving.Push(e)
		o.grow(t, len(e.b))
	}
	o.follow(e)
}

// follow makes the sweeper look after e, if somebody must know its fate. The caller holds mu.
func (o *outbound) follow(e sent) {
	if e.d != nil {
		o.arm()
	}
}

// arm makes the sweeper look after the session. The caller holds mu.
func (o *outbound) arm() {
	if !o.armed {
		o.armed = true
		o.se.server.sweeper.watch(o.se)
	}
}

// grow counts n bytes more, and gives up a session that is over its bound: what it has not
// acked goes to the spool. The caller holds mu.
func (o *outbound) grow(t *Turn, n int) {
	o.bytes += n
	l := o.se.server.limits.Load()
	over := o.bytes > l.WindowBytes+o.unacked(l) || o.window.Len()+o.leaving.Len()+o.held.Len() > l.WindowStanzas
	if over && !slices.Contains(t.doomed, o.se) {
		t.server.metrics.overflow.Inc()
		t.doomed = append(t.doomed, o.se)
	}
}

// flush sends what is queued.
func (o *outbound) flush(t *Turn) {
	o.mu.Lock()
	o.dirty = false
	st := o.stream
	if st == nil {
		o.mu.Unlock()
		return
	}
	if o.ackDue {
		o.ackDue = false
		o.control((&sm.Ack{H: o.se.in.answer()}).AppendXML(t.scratch()))
	}
	if o.managed && (o.sentCount()-o.asked >= ackEvery || o.longUnasked() || o.lone()) {
		o.ask()
	}
	st.Flush()
	waits, most := st.Queued(), o.se.server.limits.Load().QueueBytes
	if waits <= most {
		o.spared.queued = 0
	}
	stuck := !o.dropped && waits > most+int(o.spared.queued)
	if stuck {
		o.dropped = true // more may be queued before it is gone
		// A reader that does not read: the connection goes without the stream's end, so
		// that a managed session may be resumed.
		o.se.server.metrics.stalled.Inc()
	}
	gone := o.left(t.gone[:0])
	o.mu.Unlock()
	if stuck {
		st.Abort()
	}
	t.reached(gone, trace.Left)
}

// ackEvery is after how many stanzas the client is asked for an ack at once. Fewer wait for the
// sweeper, but a lone message.
const ackEvery = 8

func (o *outbound) sentCount() uint32 { return o.acked + uint32(o.window.Len()) }

// ask queues <r/>. The caller holds mu.
func (o *outbound) ask() {
	o.asked = o.sentCount()
	o.control([]byte(sm.RequestXML))
}

// askLast asks, once, for an ack of all that was sent, and reports whether one is to be expected.
func (o *outbound) askLast(t *Turn) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.managed || o.stream == nil || o.window.Len() == 0 {
		return false
	}
	if o.asked != o.sentCount() {
		o.ask()
		o.soil(t)
	}
	return true
}

// soil makes the turn flush. The caller holds mu.
func (o *outbound) soil(t *Turn) {
	if !o.dirty && o.stream != nil {
		o.dirty = true
		t.dirty = append(t.dirty, o.se)
	}
}

// control queues an element that is not counted. The caller holds mu.
func (o *outbound) control(b []byte) {
	o.stream.Queue(b)
	o.queued += uint64(len(b))
}

// owe makes the turn tell the client our h.
func (o *outbound) owe(t *Turn) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ackDue = true
	o.soil(t)
}

// left takes what has left for the socket from leaving. The caller holds mu, and calls
// delivery.acked on what is returned without it.
func (o *outbound) left(gone []*delivery) []*delivery {
	if o.leaving.Len() == 0 || o.stream == nil {
		return gone
	}
	// Queued counts sealed bytes too: more than their plaintext, so that this is never early.
	at := o.queued - min(o.queued, uint64(o.stream.Queued()))
	n := 0
	for _, e := range o.leaving.All() {
		if e.end > at {
			break
		}
		gone = append(gone, e.d)
		n++
	}
	o.pop(&o.leaving, n)
	o.makeRoom()
	return gone
}

// pop drops the oldest n of one of the queues. The caller holds mu.
func (o *outbound) pop(q *fifo.Queue[sent], n int) {
	if n == 0 {
		return
	}
	for _, e := range q.All()[:n] {
		o.bytes -= len(e.b)
	}
	q.Pop(n)
}

// ackedTo takes the client's h. ok is false where it acks what was never sent; count is what was
// (XEP-0198 §4).
func (o *outbound) ackedTo(t *Turn, h uint32) (count uint32, ok bool) {
	o.mu.Lock()
	n := h - o.acked
	if count = o.sentCount(); n > uint32(o.window.Len()) {
		o.mu.Unlock()
		return count, false
	}
	gone := t.gone[:0]
	for _, e := range o.window.All()[:n] {
		if e.d != nil {
			gone = append(gone, e.d)
		}
	}
	o.pop(&o.window, int(n))
	o.acked = h
	o.makeRoom()
	o.mu.Unlock()
	t.reached(gone, trace.Acked)
	return count, true
}

// manage turns stream management on: counting begins with the next stanza.
func (o *outbound) manage() {
	o.mu.Lock()
	o.managed = true
	o.mu.Unlock()
}

// detach lets go of the stream st, which is dead. mine reports whether st was the session's, and
// whole whether the session can be resumed: all that was sent outside of its counting has left.
func (o *outbound) detach(t *Turn, st Stream) (mine, whole bool) {
	o.mu.Lock()
	if o.stream != st {
		o.mu.Unlock()
		return false, false
	}
	gone := o.left(t.gone[:0])
	o.stream = nil
	whole = o.leaving.Len() == 0
	o.mu.Unlock()
	t.reached(gone, trace.Left)
	return true, whole
}

// displace takes the session's stream, if it has one, for another one to come. whole is detach's.
func (o *outbound) displace(t *Turn) (old Stream, whole bool) {
	o.mu.Lock()
	old = o.stream
	gone := o.cut(t.gone[:0])
	o.stream = nil
	whole = o.leaving.Len() == 0
	o.mu.Unlock()
	t.reached(gone, trace.Left)
	return old, whole
}

// attach makes st the session's stream; first is queued on it, then again what the client has
// not acked. It reports whether the session lives.
func (o *outbound) attach(t *Turn, st Stream, first []byte) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.over {
		return false
	}
	o.stream = st
	o.queued, o.ackDue, o.dropped = 0, false, false
	o.asked = o.acked
	st.Queue(first)
	replayed := len(first)
	for _, e := range o.window.All() {
		st.Queue(e.b)
		replayed += len(e.b)
	}
	o.spared.queued = uint32(replayed)
	o.dirty = true
	t.dirty = append(t.dirty, o.se)
	return true
}

// drain makes live stanzas wait; drained lets them go.
func (o *outbound) drain() {
	o.mu.Lock()
	o.draining = true
	o.mu.Unlock()
}

func (o *outbound) drained(t *Turn) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.draining {
		return
	}
	o.draining = false
	if !o.over {
		o.release(t, o.held.Len())
	}
	o.held = fifo.Queue[sent]{} // its memory, too
}

// undrained is drained where draining has stopped before its end: messages stand behind what was
// not drained, so that they are returned, to be settled.
func (o *outbound) undrained(t *Turn) (rest []sent) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.draining || o.over {
		return nil
	}
	o.draining = false
	held := o.held.All()
	o.held = fifo.Queue[sent]{}
	for _, e := range held {
		o.bytes -= len(e.b)
		if e.d != nil {
			rest = append(rest, e)
		} else {
			o.push(t, e)
		}
	}
	return rest
}

// cut makes sure that what is in leaving from now on never leaves, and returns what has left. The
// caller holds mu.
func (o *outbound) cut(gone []*delivery) []*delivery {
	if o.leaving.Len() == 0 || o.stream == nil {
		return gone
	}
	o.stream.Flush()
	if gone = o.left(gone); o.leaving.Len() > 0 {
		o.stream.Abort()
		gone = o.left(gone)
	}
	return gone
}

// close ends the outbound half. It returns the stream, what has left, and in order all else that
// was not acked.
func (o *outbound) close() (st Stream, gone []*delivery, rest []sent) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.over = true
	gone = o.cut(nil)
	rest = slices.Concat(o.leaving.All(), o.window.All(), o.held.All())
	st, o.bytes = o.stream, 0
	o.window, o.leaving, o.held = fifo.Queue[sent]{}, fifo.Queue[sent]{}, fifo.Queue[sent]{}
	o.stream = nil
	return st, gone, rest
}

// scratch is memory for a few bytes that the turn will copy at once.
func (t *Turn) scratch() []byte { return t.buf[:0] }

// write serialises s for a stream of our own content namespace.
func (t *Turn) write(s *stanza.Stanza) []byte {
	t.buf = s.Append(t.buf[:0], "")
	return t.buf
}
