// SPDX-License-Identifier: Apache-2.0

package server

import (
	"runtime"
	"sync"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// Outbox sends stanzas to many receivers, in order. A place that has many to tell the same thing (a
// room, a node) has one. Its zero value is ready, and costs nothing while nothing is sent.
//
// The order is that of the calls of Add, which are made under a lock of the owner's. Nothing may be
// routed under such a lock: Route may come back to the owner in the same call, with the error of a
// receiver that has gone. So Run is called when it is let go; one goroutine runs an outbox at a time,
// and sends what others have added as well.
//
//	owner's lock { change state; Add; Add }  Run ─▶ a few copies at once
//	                                          └──▶ many in slices, on a goroutine, from slice to slice
//
// What is for the same many (AddTogether) is sent together where several wait: to the first receivers all of
// it, then to the next, so that one write has for a receiver what came for him meanwhile. Writing is
// what sending to many costs most.
//
// A slice is small, so that no loop waits for it longer than a millisecond; few slices of all
// outboxes run at one time. A copy that has to wait for the store stops this outbox and no other.
type Outbox struct {
	mu       sync.Mutex
	server   *Server
	queue    []copies
	waiting  int  // copies in queue
	running  bool // by somebody, or stopped for the store
	together int  // entries at the head of queue that are sent together; 0: not yet decided
	row      int  // which of them is next
	lead     int  // the first of them that has receivers left
	anew     bool // the next copy is for others than those who were sent to
	until    int  // up to which receiver each of them is sent now
	later    bool // a turn that is not over will have the outbox run
	stopped  int  // Pauses without their Resume
	parked   bool // nobody runs it until it is resumed
	pace     *Session
	lull     lull // of pace
}

// copies are what one call of Add has added.
type copies struct {
	to      any // who they are for, where others are for the same
	n, next int
	make    func(i int) *stanza.Stanza
	receipt Receipt
}

const (
	inlineCopies   = 64  // sent by Run itself
	turnCopies     = 128 // sent by Run itself, of all outboxes, in one turn
	sliceCopies    = 512 // sent at most before others may use the processor
	sliceReceivers = 64  // that are sent to before that
	mostTogether   = 16  // stanzas for the same receivers
	paceInterval   = 10 * time.Millisecond
	paceTime       = time.Minute // without reading, after which a paced session's stream is dropped
)

// Add queues n copies. copy makes the i-th, with From and To set, or nil to leave it out. It is called
// once for each i, in order, by one goroutine at a time, perhaps later, and may return the same stanza
// with another To each time: what hooks add to one copy is not in the next. The stanza must borrow
// nothing. The sender's ack of the stanza that t handles waits until the last copy was handed to its
// receiver's session.
func (o *Outbox) Add(t *Turn, n int, copy func(i int) *stanza.Stanza) { o.AddTogether(t, nil, n, copy) }

// AddTogether is Add for copies that go to the same receivers, one by one, as others with an equal to: those with a
// greater n to more of them. nil is equal to nothing.
func (o *Outbox) AddTogether(t *Turn, to any, n int, copy func(i int) *stanza.Stanza) {
	if n <= 0 {
		return
	}
	t.receipt.Hold()
	o.mu.Lock()
	o.server = t.server
	o.queue = append(o.queue, copies{to: to, n: n, make: copy, receipt: t.receipt})
	o.waiting += n
	o.mu.Unlock()
}

// Pace makes the outbox wait, now and then, for se, which alone is sent to, to read what it was sent:
// for what one session gets in bulk, such as who is in a large room. One that reads nothing for a
// minute, or for which too much waits (limits.fanout_copies), loses its stream.
func (o *Outbox) Pace(se *Session) {
	o.mu.Lock()
	o.pace = se
	o.mu.Unlock()
}

// Empty reports whether nothing waits.
func (o *Outbox) Empty() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.waiting == 0 && !o.running
}

// Busy reports whether more waits than limits.fanout_copies. Whoever sends from a stream is slowed by
// Run; an owner refuses other new work.
func (o *Outbox) Busy() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.busy()
}

func (o *Outbox) busy() bool {
	return o.server != nil && o.waiting > o.server.limits.Load().FanoutCopies
}

// Slow makes whoever has sent the stanza that t handles pause, as Run does, where more waits than
// limits.fanout_copies: for an owner that has the outbox run in another turn.
func (o *Outbox) Slow(t *Turn) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.busy() && o.pace == nil && t.stream != nil && !t.suspended {
		t.server.metrics.fanoutWaits.Inc()
		t.pauseFor(backPressurePause)
	}
}

// Run sends what waits, unless somebody does already: a little now, much on a goroutine. The caller
// holds no lock.
func (o *Outbox) Run(t *Turn) {
	o.Slow(t)
	o.mu.Lock()
	var stuck *Session
	if o.busy() {
		stuck, o.pace = o.pace, nil
	}
	mine := !o.running && o.waiting > 0
	late := mine && (o.waiting > inlineCopies || t.fanned+o.waiting > turnCopies)
	if mine && !late {
		t.fanned += o.waiting
	}
	if late && !o.later { // more of the same may come in this turn
		o.later = true
		t.Later(o)
	}
	if late {
		mine = false
	}
	o.running = o.running || mine
	o.mu.Unlock()
	if stuck != nil {
		stuck.out.drop()
	}
	if !mine {
		return
	}

	origin, stream, receipt, way, suspended := t.Origin, t.stream, t.receipt, t.way, t.suspended
	t.Origin, t.stream, t.way, t.suspended = nil, o, nil, false
	more := o.send(t, inlineCopies)
	t.Origin, t.stream, t.receipt, t.way, t.suspended = origin, stream, receipt, way, suspended
	if more {
		go o.pump(t.server)
	}
}

// Flush implements Flusher: what was much is sent now.
func (o *Outbox) Flush(t *Turn) {
	o.mu.Lock()
	o.later = false
	mine := !o.running && o.waiting > 0
	o.running = o.running || mine
	o.mu.Unlock()
	if mine {
		go o.pump(t.server)
	}
}

// send sends up to n copies, and reports whether the caller has to see to more. If not, nobody runs the
// outbox any more, or Resume will have it run.
func (o *Outbox) send(t *Turn, n int) (more bool) {
	var one stanza.Stanza // hooks may change what they are given, and the owner may return it again
	for receivers := 0; n > 0; n-- {
		s, receipt, last, first := o.take()
		if first {
			receivers++
		}
		if s != nil {
			t.receipt, t.suspended = receipt, false
			one = *s
			one.Clip()
			t.Route(&one)
		}
		if last {
			receipt.Release(t)
		}
		switch idle, anew := o.idle(); {
		case idle:
			return false
		case anew && receivers >= sliceReceivers:
			return true // those who were sent to have all of it, to be written to once
		}
	}
	return true
}

// take makes the next copy. last says that its receipt is to be released when it was routed, first that its
// receiver is one more than were sent to.
func (o *Outbox) take() (s *stanza.Stanza, r Receipt, last, first bool) {
	o.mu.Lock()
	if o.together == 0 {
		o.together, o.row, o.lead, o.until = o.group(), 0, 0, sliceReceivers
	}
	c := &o.queue[o.row]
	first, o.anew = o.row == o.lead, false
	i, mk := c.next, c.make
	r, last = c.receipt, i+1 == c.n
	c.next++
	if last || c.next == o.until {
		o.nextRow()
	}
	o.waiting--
	o.mu.Unlock()
	return mk(i), r, last, first
}

// nextRow goes to the next of the group that has receivers left among those who are sent to now; behind the last of
// them to further receivers; behind those to the next group. The caller holds mu.
func (o *Outbox) nextRow() {
	for row := o.row + 1; row < o.together; row++ {
		if c := &o.queue[row]; c.next < min(c.n, o.until) {
			o.row = row
			return
		}
	}
	o.anew = true
	o.until += sliceReceivers
	for row := range o.together {
		if c := &o.queue[row]; c.next < c.n {
			o.row, o.lead = row, row
			return
		}
	}
	clear(o.queue[:o.together])
	o.queue, o.together = o.queue[o.together:], 0
}

// group is how many of the queue can be sent together. The caller holds mu.
func (o *Outbox) group() int {
	to, k := o.queue[0].to, 1
	for to != nil && k < min(len(o.queue), mostTogether) && o.queue[k].to == to {
		k++
	}
	return k
}

// idle ends the run where nothing waits, or parks it where the last copy waits for the store. anew says that
// the next copy is for others than those that were sent to.
func (o *Outbox) idle() (idle, anew bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.stopped > 0:
		o.parked = true
		return true, false
	case o.waiting == 0:
		o.queue, o.together, o.running = nil, 0, false
		return true, false
	}
	return false, o.anew
}

// Pause implements Reader, for the turns of the outbox itself: a copy has gone to a worker.
func (o *Outbox) Pause() {
	o.mu.Lock()
	o.stopped++
	o.mu.Unlock()
}

// Resume implements Reader.
func (o *Outbox) Resume() {
	o.mu.Lock()
	o.stopped--
	again := o.stopped == 0 && o.parked
	if again {
		o.parked = false
	}
	s := o.server
	o.mu.Unlock()
	if again {
		go o.pump(s)
	}
}

// pump sends slices until nobody has to. It is entered with running set.
func (o *Outbox) pump(s *Server) {
	if idle, _ := o.idle(); idle {
		return
	}
	for more := true; more; {
		for o.paced() {
			time.Sleep(paceInterval)
		}
		s.fanout.slots <- struct{}{}
		t := s.NewTurn()
		t.stream = o
		more = o.send(t, sliceCopies)
		t.End()
		<-s.fanout.slots
		runtime.Gosched() // a loop that has become ready goes first
	}
}

// paced reports whether to wait for the session, and drops its stream where it does not read.
func (o *Outbox) paced() bool {
	o.mu.Lock()
	se := o.pace
	o.mu.Unlock()
	if se == nil {
		return false
	}
	waits, acked, full := se.out.full()
	o.mu.Lock()
	if !full {
		o.lull = lull{}
	}
	stuck := full && o.lull.over(waits, acked)
	if stuck {
		o.pace = nil
	}
	o.mu.Unlock()
	if stuck {
		se.out.drop()
	}
	return full && !stuck
}

// lull is how long a client has read and acked nothing.
type lull struct {
	since time.Time
	waits int    // bytes that it had to read then
	acked uint32 // its h then
}

// over reports whether that is too long, now that so many bytes wait. Where others go on sending, an ack alone tells that it reads.
func (l *lull) over(waits int, acked uint32) bool {
	if l.since.IsZero() || waits < l.waits || acked != l.acked {
		l.since, l.waits, l.acked = time.Now(), waits, acked
	}
	return time.Since(l.since) > paceTime
}

// full reports whether a client that reads has enough to take for now, how many bytes wait, and its h.
func (o *outbound) full() (waits int, acked uint32, full bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.over || o.stream == nil {
		return 0, 0, false // queued for nobody, or for the resumption: bounded elsewhere
	}
	l := o.se.server.limits.Load()
	return o.waits() + o.bytes, o.acked, o.waits() > l.QueueBytes/2 || o.bytes > l.WindowBytes/2 || o.window.Len() > l.WindowStanzas/2
}

// drop aborts the stream, as where a client does not read.
func (o *outbound) drop() {
	o.mu.Lock()
	st := o.stream
	o.dropped = true
	o.mu.Unlock()
	if st != nil {
		o.se.server.metrics.stalled.Inc()
		st.Abort()
	}
}
