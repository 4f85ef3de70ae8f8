// SPDX-License-Identifier: Apache-2.0

package link

// How to read this file. The outbox is one list:
//
//	taken              covered    sent            len(list)
//	      │               │         │                 │
//	──────┼──┬──┬──┬──┬──┬┼─┬──┬──┬─┼──┬──┬──┬──┬──┬──┤
//	      │ the server is │ on the  │ not written yet │
//	      │ asked for it  │ wire    │                 │
//	      └─ h is what the server counts here, if it counts
//
// put appends, the writer takes (Take), and what the server is known to have is cut off the front. There are three ways to
// know:
//
//   - It counts, and says so (stream management, XEP-0198: Resume, Renew, Acked).
//   - It answers a ping, the fence: servers route in order, so that all that was sent before it has been routed
//     (Returned). A component sends it to itself.
//   - It is in this process, and says what it takes (First, Done).
//
// A new connection writes what is left again; one with a new session without what made sense in the old one only. blame.go
// keeps one stanza from holding up all.
//
// B1: no callback is called with the lock held.

import (
	"context"
	"crypto/rand"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/ping"
	"github.com/stonechat-im/stonechat/xmpp/sm"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/stream"
)

// Outbox is what was sent and is not known to be taken by the server.
type Outbox struct {
	config *Config

	mu       sync.Mutex
	list     []Item
	sent     int    // list[:sent] are written on the present connection
	covered  int    // list[:covered] are taken when the server has answered
	next     uint64 // the number of the next item
	bytes    int
	moved    chan struct{} // closed when the list gets shorter; nil: nobody waits
	hurry    int           // who waits for that, so that no question waits for more to cover
	err      error         // why nothing more is taken
	over     bool          // and nothing is sent any more
	presence *Item         // what was announced to all last, for a new session; nil: nothing

	kick    func() // wakes the writer; nil while there is no connection
	managed bool   // the server counts
	h       uint32 // its count at the list's front
	asked   bool   // and not answered
	askedAt time.Time
	due     bool   // it is to be asked although there may be nothing to cover
	fence   string // the id of the ping that asks
	timer   *time.Timer

	careful int // so many of the first leave alone: one of them has made the server end the stream
}

// put queues an item as soon as there is room.
func (o *Outbox) put(ctx context.Context, it Item) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	for {
		if o.err != nil {
			return o.err
		}
		if len(o.list) < o.config.QueueStanzas && o.bytes+len(it.b) <= o.config.QueueBytes || len(o.list) == 0 {
			o.append(it)
			return nil
		}
		if o.config.HandlersFail && InHandler(ctx) {
			return o.config.Full
		}
		if err := o.await(ctx); err != nil {
			return fmt.Errorf("%w: %w", o.config.Full, err)
		}
	}
}

// await waits until the list gets shorter, or ctx is over. The caller holds mu, which is let go of
// meanwhile.
func (o *Outbox) await(ctx context.Context) error {
	if o.moved == nil {
		o.moved = make(chan struct{})
	}
	moved := o.moved
	o.hurry++
	o.wakeWriter()
	o.mu.Unlock()
	done := Lend(ctx)
	var err error
	select {
	case <-moved:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	done()
	o.mu.Lock()
	o.hurry--
	return err
}

// answer queues what answers a request, beyond the bounds of what a program may send, but for twice
// as much at most: a server that asks and asks and takes nothing gets no more answers.
func (o *Outbox) answer(it Item) (queued bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.list) >= 2*o.config.QueueStanzas || o.bytes+len(it.b) > 2*o.config.QueueBytes+o.config.MaxStanza {
		return false
	}
	if o.err == nil {
		o.append(it)
	}
	return true
}

// Force queues an item whatever there is: what the entity itself has to say.
func (o *Outbox) Force(it Item) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err == nil {
		o.append(it)
	}
}

// append queues an item. The caller holds mu.
func (o *Outbox) append(it Item) {
	it.n, it.at = o.next, time.Now()
	o.next++
	if it.all {
		o.presence = &Item{b: it.b, all: true}
		for i := o.sent; i < len(o.list); i++ {
			if o.list[i].all && o.list[i].taken == nil {
				o.drop(i)
				break
			}
		}
	}
	o.list = append(o.list, it)
	o.bytes += len(it.b)
	o.wakeWriter()
}

// drop takes item i out. The caller holds mu.
func (o *Outbox) drop(i int) Item {
	it := o.list[i]
	o.bytes -= len(it.b)
	o.list = slices.Delete(o.list, i, i+1)
	for _, before := range []*int{&o.sent, &o.covered, &o.careful} {
		if i < *before {
			*before--
		}
	}
	o.wake()
	return it
}

// wake tells those who wait for the list to get shorter. The caller holds mu.
func (o *Outbox) wake() {
	if o.moved != nil {
		close(o.moved)
		o.moved = nil
	}
}

func (o *Outbox) wakeWriter() {
	if o.kick != nil {
		o.kick()
	}
}

// Take appends what is to be written next, and a question behind it when one is due.
func (o *Outbox) Take(b []byte) []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	for window := o.window(); o.sent < len(o.list) && len(b) < writeSize && o.sent-o.covered < window; o.sent++ {
		b = o.list[o.sent].append(b, now, o.config.StampAfter)
	}
	uncovered := o.sent - o.covered
	switch {
	case o.asked: // one question at a time: its answer brings the next
		return b
	case o.due:
	case uncovered == 0:
		return b
	case uncovered >= o.config.FenceStanzas, o.hurry > 0, o.careful > 0:
	default:
		if wait := o.list[o.covered].at.Add(o.config.FenceAfter).Sub(now); wait > 0 {
			o.later(wait)
			return b
		}
	}
	o.asked, o.askedAt, o.due, o.covered = true, now, false, o.sent
	if o.managed {
		return append(b, sm.RequestXML...)
	}
	o.fence = rand.Text()
	q := stanza.New(stanza.IQ, stanza.Get, o.config.JID.Host(), &ping.Ping{})
	q.ID = []byte(o.fence)
	if !o.config.Stamped {
		q.From = o.config.JID
	}
	return q.Append(b, "")
}

// window is how much may be on the wire behind what the server is asked for. The caller holds mu.
func (o *Outbox) window() int {
	switch {
	case o.careful > 0:
		return 1 - o.covered
	case o.config.FenceStanzas == 0:
		return math.MaxInt
	}
	return o.config.FenceStanzas
}

// later wakes the writer when a question is due. The caller holds mu.
func (o *Outbox) later(d time.Duration) {
	if o.timer == nil {
		o.timer = time.AfterFunc(d, func() {
			o.mu.Lock()
			defer o.mu.Unlock()
			o.wakeWriter()
		})
		return
	}
	o.timer.Reset(d)
}

// ask has the server asked, although there may be nothing to take.
func (o *Outbox) ask() {
	o.mu.Lock()
	o.due = true
	o.mu.Unlock()
}

// waits reports whether the server has not answered a question, and whether it had its time: the deadline that has passed may
// be one from before.
func (o *Outbox) waits() (asked, overdue bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.asked, o.asked && time.Since(o.askedAt) >= o.config.AnswerTime
}

// patience is how long the server may be silent now.
func (o *Outbox) patience() time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.asked:
		return o.config.AnswerTime
	case o.sent > 0: // it has answered, but not for all
		return min(5*time.Second, o.config.Keepalive)
	}
	return o.config.Keepalive
}

// Acked takes the server's count. XEP-0198 §4, §6
func (o *Outbox) Acked(h uint32) *stream.Error {
	o.mu.Lock()
	n := h - o.h
	if !o.managed || n > uint32(o.sent) {
		defer o.mu.Unlock()
		return o.tooHigh(h)
	}
	gone := o.pop(int(n))
	o.h = h
	o.answered()
	o.mu.Unlock()
	tell(gone, nil)
	return nil
}

// tooHigh refuses a count. The caller holds mu.
func (o *Outbox) tooHigh(h uint32) *stream.Error {
	return &stream.Error{
		Condition: stream.UndefinedCondition, Text: "more is acknowledged than was sent",
		App: (&sm.TooHigh{H: h, SendCount: o.h + uint32(o.sent)}).AppendXML(nil),
	}
}

// Returned takes what may be the answer to a fence, or a fence that has come back, and reports whether it is.
func (o *Outbox) Returned(s *stanza.Stanza) bool {
	o.mu.Lock()
	if o.fence == "" || string(s.ID) != o.fence || s.From != o.config.JID.Host() {
		o.mu.Unlock()
		return false
	}
	gone := o.pop(o.covered)
	o.fence = ""
	o.answered()
	o.mu.Unlock()
	tell(gone, nil)
	return true
}

// answered notes that the server has answered. The caller holds mu.
func (o *Outbox) answered() {
	o.asked = false
	if o.sent > o.covered || o.sent < len(o.list) {
		o.wakeWriter()
	}
}

// pop takes n items off the front. The caller holds mu, and hands them to tell without it.
func (o *Outbox) pop(n int) []Item {
	if n == 0 {
		return nil
	}
	gone := slices.Clone(o.list[:n])
	for i := range gone {
		o.bytes -= len(gone[i].b)
		if r := gone[i].request; r != nil {
			r.taken.Store(true)
		}
	}
	o.list = slices.Delete(o.list, 0, n)
	o.sent, o.covered, o.careful = max(o.sent-n, 0), max(o.covered-n, 0), max(o.careful-n, 0)
	o.wake()
	return gone
}

// Heard takes the count of a session that is not resumed.
func (o *Outbox) Heard(h uint32) {
	o.mu.Lock()
	var gone []Item
	if n := h - o.h; n <= uint32(o.sent) {
		gone = o.pop(int(n))
	}
	o.mu.Unlock()
	tell(gone, nil)
}

// Resume begins a connection that goes on with the session: the server has counted up to h. kick wakes its writer.
func (o *Outbox) Resume(kick func(), h uint32) error {
	o.mu.Lock()
	n := h - o.h
	if n > uint32(o.sent) {
		defer o.mu.Unlock()
		return o.tooHigh(h)
	}
	gone := o.pop(int(n))
	o.h = h
	o.begin(kick, true)
	o.mu.Unlock()
	tell(gone, nil)
	return nil
}

// Renew begins a connection with a new session, whose stanzas the server counts if managed.
func (o *Outbox) Renew(kick func(), managed bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.h = 0
	first := o.next // the number of what is in front
	if len(o.list) > 0 {
		first = o.list[0].n
	}
	for i := 0; i < len(o.list); {
		if o.list[i].all && o.list[i].taken == nil {
			o.drop(i)
			continue
		}
		i++
	}
	if o.presence != nil {
		it := *o.presence
		it.n, it.at = first, time.Now()
		o.next = max(o.next, first+1)
		o.list = slices.Insert(o.list, 0, it)
		o.bytes += len(it.b)
		if o.careful > 0 {
			o.careful++
		}
	}
	o.begin(kick, managed)
}

// begin starts a connection. The caller holds mu.
func (o *Outbox) begin(kick func(), managed bool) {
	o.kick, o.managed = kick, managed
	o.sent, o.covered, o.asked, o.due, o.fence = 0, 0, false, false, ""
}

// First returns up to n items from the front, for a server in this process; Done says that it has taken so
// many.
func (o *Outbox) First(n int) []Item {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.list[:min(n, len(o.list))])
}

// Done takes n items off the front.
func (o *Outbox) Done(n int) {
	o.mu.Lock()
	gone := o.pop(n)
	o.mu.Unlock()
	tell(gone, nil)
}

// withdraw takes the request back if it is not written yet.
func (o *Outbox) withdraw(r *request) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := o.sent; i < len(o.list); i++ {
		if o.list[i].request == r {
			o.drop(i)
			return
		}
	}
}

// Sync waits until all that is queued now is taken.
func (o *Outbox) Sync(ctx context.Context) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	for upTo := o.next; len(o.list) > 0 && o.list[0].n < upTo; {
		if err := o.await(ctx); err != nil {
			return fmt.Errorf("%s: waiting for the server: %w", o.config.Name, err)
		}
	}
	if o.over {
		return o.err
	}
	return nil
}

// Len is how much is not known to be taken.
func (o *Outbox) Len() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.list)
}

// Shut takes nothing more; end also gives up what is there, and returns how much that was.
func (o *Outbox) Shut() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err == nil {
		o.err = o.config.Closed
	}
	o.wake()
}

func (o *Outbox) end(cause error) int {
	o.mu.Lock()
	o.err, o.over = cause, true
	rest := o.list
	o.list, o.sent, o.covered, o.bytes = nil, 0, 0, 0
	if o.timer != nil {
		o.timer.Stop()
	}
	o.wake()
	o.mu.Unlock()
	tell(rest, cause)
	return len(rest)
}
