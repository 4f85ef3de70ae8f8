// SPDX-License-Identifier: Apache-2.0

package client

// How to read this file. The outbox is one list:
//
//	acknowledged    sent              len(list)
//	      │           │                   │
//	──────┼──┬──┬──┬──┼──┬──┬──┬──┬──┬──┬─┤
//	      │ on the    │ not written yet   │
//	      │ wire      │                   │
//	      └─ h is what the server counts here
//
// put appends, the writer takes, acknowledgements cut off the front. A connection that resumes
// the session (attach) writes what is left again; so does one with a new session (renew), without
// what made sense in the old one only. Where the server has no stream management, the answer to
// a ping takes the place of its count.
//
// B1: no callback is called with the lock held.

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/delay"
	"github.com/stonechat-im/stonechat/xmpp/ping"
	"github.com/stonechat-im/stonechat/xmpp/sm"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/stream"
)

// outbox is what was sent and is not acknowledged.
type outbox struct {
	config *Config

	mu       sync.Mutex
	list     []item
	sent     int    // list[:sent] are written on the present connection
	next     uint64 // the number of the next item
	bytes    int
	moved    chan struct{} // closed when the list gets shorter; nil: nobody waits
	err      error         // why nothing more is taken
	over     bool          // and nothing is sent any more
	presence []byte        // what was announced to all last, for a new session; nil: nothing

	link    *link // nil while offline
	managed bool
	h       uint32 // the server's count at the list's front
	asked   bool   // and not answered
	askDue  bool
	covered int    // list[:covered] are acknowledged by that answer, without stream management
	fence   string // the id of the ping that asks

	blamed uint64 // the item at the front when the server last ended a stream for what we sent
	faults int    // how often it was that one
}

// item is one stanza.
type item struct {
	b     []byte
	n     uint64
	at    time.Time   // when it was queued
	stamp bool        // it is to bear <delay/> if it is late
	all   bool        // presence to all: of these only the last counts
	acked func(error) // may be nil
	call  *call       // the request that it is, or nil
}

// maxFaults is how often the server may end a stream with the same stanza in front.
const maxFaults = 3

func (o *outbox) init(c *Config) { o.config = c }

// newItem checks and serialises s.
func newItem(s *stanza.Stanza, most int) (item, error) {
	if len(s.ID) == 0 {
		s.ID = []byte(rand.Text()[:16])
	}
	it := item{b: s.Append(make([]byte, 0, s.Size()), "")}
	if len(it.b) > most {
		return it, fmt.Errorf("%w: %d bytes, and %d are allowed", ErrSize, len(it.b), most)
	}
	// What a program has put together by hand must not cost it the stream, again and again.
	if _, err := stanza.Parse(s.Append(nil, stanza.NSClient)); err != nil {
		return it, fmt.Errorf("client: the stanza is not valid: %w", err)
	}
	it.stamp = s.Kind == stanza.Message && s.Type != stanza.TypeError && !s.Has(delay.NS, "delay")
	it.all = s.Kind == stanza.Presence && s.To.IsZero() && (s.Type == stanza.Available || s.Type == stanza.Unavailable)
	return it, nil
}

// put queues an item as soon as there is room.
func (o *outbox) put(ctx context.Context, it item) error {
	for {
		o.mu.Lock()
		if o.err != nil {
			defer o.mu.Unlock()
			return o.err
		}
		if len(o.list) < o.config.QueueStanzas && o.bytes+len(it.b) <= o.config.QueueBytes || len(o.list) == 0 {
			o.append(it)
			o.mu.Unlock()
			return nil
		}
		moved := o.await()
		o.mu.Unlock()
		if inHandler(ctx) {
			return ErrFull
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ErrFull, context.Cause(ctx))
		}
	}
}

// answer queues what answers a request, beyond the bounds of what a program may send, but for twice
// as much at most: a server that asks and asks and acknowledges nothing gets no more answers.
func (o *outbox) answer(it item) (queued bool) {
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

// force queues an item whatever there is: what the client itself has to say.
func (o *outbox) force(it item) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err == nil {
		o.append(it)
	}
}

// append queues an item. The caller holds mu.
func (o *outbox) append(it item) {
	if it.all {
		o.presence = it.b
		for i := o.sent; i < len(o.list); i++ {
			if o.list[i].all && o.list[i].acked == nil {
				o.drop(i)
				break
			}
		}
	}
	it.n, it.at = o.next, time.Now()
	o.next++
	o.list = append(o.list, it)
	o.bytes += len(it.b)
	o.kick()
}

// drop takes item i out. The caller holds mu.
func (o *outbox) drop(i int) item {
	it := o.list[i]
	o.bytes -= len(it.b)
	o.list = slices.Delete(o.list, i, i+1)
	if i < o.sent {
		o.sent--
	}
	if i < o.covered {
		o.covered--
	}
	o.wake()
	return it
}

// wake tells those who wait for the list to get shorter. The caller holds mu.
func (o *outbox) wake() {
	if o.moved != nil {
		close(o.moved)
		o.moved = nil
	}
}

// await returns what is closed when the list gets shorter. The caller holds mu.
func (o *outbox) await() <-chan struct{} {
	if o.moved == nil {
		o.moved = make(chan struct{})
	}
	return o.moved
}

func (o *outbox) kick() {
	if o.link != nil {
		o.link.kick()
	}
}

// take appends what is to be written next, and asks for an acknowledgement behind it.
func (o *outbox) take(b []byte) []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	for ; o.sent < len(o.list) && len(b) < writeSize; o.sent++ {
		b = o.list[o.sent].append(b, now, o.config.StampAfter)
	}
	// One question at a time: its answer brings the next.
	if o.asked || o.sent == o.covered && !o.askDue {
		return b
	}
	o.asked, o.askDue, o.covered = true, false, o.sent
	if o.managed {
		return append(b, sm.RequestXML...)
	}
	o.fence = rand.Text()
	q := stanza.New(stanza.IQ, stanza.Get, o.config.Account.Host(), &ping.Ping{})
	q.ID = []byte(o.fence)
	return q.Append(b, "")
}

// append writes the item, stamped if it has waited here. XEP-0203 §2
func (it *item) append(b []byte, now time.Time, stampAfter time.Duration) []byte {
	const end = "</message>"
	if body, ok := bytes.CutSuffix(it.b, []byte(end)); ok && it.stamp && now.Sub(it.at) > stampAfter {
		b = append(b, body...)
		b = (&delay.Delay{Stamp: it.at}).AppendXML(b)
		return append(b, end...)
	}
	return append(b, it.b...)
}

// ask has the server asked, although there may be nothing to acknowledge.
func (o *outbox) ask() {
	o.mu.Lock()
	o.askDue = true
	o.mu.Unlock()
}

func (o *outbox) isAsked() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.asked
}

// patience is how long the server may be silent now.
func (o *outbox) patience() time.Duration {
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

// ack takes the server's count. XEP-0198 §4, §6
func (o *outbox) ack(h uint32) *stream.Error {
	o.mu.Lock()
	n := h - o.h
	if !o.managed || n > uint32(o.sent) {
		count := o.h + uint32(o.sent)
		o.mu.Unlock()
		return tooHigh(h, count)
	}
	gone := o.pop(int(n))
	o.h = h
	o.answered()
	o.mu.Unlock()
	acknowledged(gone)
	return nil
}

func tooHigh(h, count uint32) *stream.Error {
	return &stream.Error{
		Condition: stream.UndefinedCondition, Text: "more is acknowledged than was sent",
		App: (&sm.TooHigh{H: h, SendCount: count}).AppendXML(nil),
	}
}

// pong takes the answer to a ping, and reports whether it is one of ours.
func (o *outbox) pong(s *stanza.Stanza) bool {
	o.mu.Lock()
	if o.fence == "" || string(s.ID) != o.fence || s.From != o.config.Account.Host() {
		o.mu.Unlock()
		return false
	}
	gone := o.pop(o.covered)
	o.fence = ""
	o.answered()
	o.mu.Unlock()
	acknowledged(gone)
	return true
}

// answered notes that the server has answered. The caller holds mu.
func (o *outbox) answered() {
	o.asked = false
	if o.sent > o.covered {
		o.kick()
	}
}

// pop takes n items off the front. The caller holds mu, and hands them to acknowledged without it.
func (o *outbox) pop(n int) []item {
	if n == 0 {
		return nil
	}
	gone := slices.Clone(o.list[:n])
	for i := range gone {
		o.bytes -= len(gone[i].b)
		if call := gone[i].call; call != nil {
			call.taken.Store(true)
		}
	}
	o.list = slices.Delete(o.list, 0, n)
	o.sent -= n
	o.covered = max(o.covered-n, 0)
	o.wake()
	return gone
}

func acknowledged(gone []item) {
	for i := range gone {
		if f := gone[i].acked; f != nil {
			f(nil)
		}
	}
}

// attach makes l, which has resumed the session, the connection: the server has counted up to h.
func (o *outbox) attach(l *link, h uint32) error {
	o.mu.Lock()
	n := h - o.h
	if n > uint32(o.sent) {
		defer o.mu.Unlock()
		return tooHigh(h, o.h+uint32(o.sent))
	}
	gone := o.pop(int(n))
	o.h = h
	o.begin(l)
	o.mu.Unlock()
	acknowledged(gone)
	return nil
}

// heard takes the count of a session that is not resumed.
func (o *outbox) heard(h uint32) {
	o.mu.Lock()
	var gone []item
	if n := h - o.h; n <= uint32(o.sent) {
		gone = o.pop(int(n))
	}
	o.mu.Unlock()
	acknowledged(gone)
}

// renew makes l, which has a new session, the connection.
func (o *outbox) renew(l *link) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.h = 0
	var gone []item
	for i := 0; i < len(o.list); {
		if o.list[i].all && o.list[i].acked == nil {
			gone = append(gone, o.drop(i))
			continue
		}
		i++
	}
	if o.presence != nil {
		it := item{b: o.presence, all: true, at: time.Now()}
		switch {
		case len(o.list) > 0:
			it.n = o.list[0].n
		case len(gone) > 0:
			it.n = gone[0].n
		default:
			it.n = o.next
			o.next++
		}
		o.list = slices.Insert(o.list, 0, it)
		o.bytes += len(it.b)
	}
	o.begin(l)
}

// begin starts a connection. The caller holds mu.
func (o *outbox) begin(l *link) {
	o.link, o.managed = l, l.managed
	o.sent, o.covered, o.asked, o.askDue, o.fence = 0, 0, false, false, ""
}

// detach lets go of the connection.
func (o *outbox) detach(l *link) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.link == l {
		o.link = nil
	}
}

// withdraw takes the request back if it is not written yet.
func (o *outbox) withdraw(c *call) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := o.sent; i < len(o.list); i++ {
		if o.list[i].call == c {
			o.drop(i)
			return
		}
	}
}

// sync waits until all that is queued now is acknowledged.
func (o *outbox) sync(ctx context.Context) error {
	o.mu.Lock()
	upTo := o.next
	for {
		if len(o.list) == 0 || o.list[0].n >= upTo {
			o.mu.Unlock()
			return nil
		}
		if o.over {
			defer o.mu.Unlock()
			return o.err
		}
		moved := o.await()
		o.mu.Unlock()
		select {
		case <-moved:
		case <-ctx.Done():
			return fmt.Errorf("client: waiting for the server's acknowledgement: %w", context.Cause(ctx))
		}
		o.mu.Lock()
	}
}

func (o *outbox) len() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.list)
}

// shut takes nothing more; end also gives up what is there, and returns how much that was.
func (o *outbox) shut() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err == nil {
		o.err = ErrClosed
	}
	o.wake()
}

func (o *outbox) end(cause error) int {
	o.mu.Lock()
	o.err, o.over = cause, true
	rest := o.list
	o.list, o.sent, o.covered, o.bytes = nil, 0, 0, 0
	o.wake()
	o.mu.Unlock()
	for i := range rest {
		if f := rest[i].acked; f != nil {
			f(cause)
		}
	}
	return len(rest)
}
