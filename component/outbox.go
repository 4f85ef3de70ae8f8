// SPDX-License-Identifier: Apache-2.0

package component

// How to read this file. The outbox is one list:
//
//	taken              covered    sent            len(list)
//	      │               │         │                 │
//	──────┼──┬──┬──┬──┬──┬┼─┬──┬──┬─┼──┬──┬──┬──┬──┬──┤
//	      │ behind them   │ on the  │ not written yet │
//	      │ is a fence    │ wire    │                 │
//
// put appends, the writer takes. The fence is a ping from the domain to itself: the server routes in
// order, so when it comes back all that was sent before it has been routed, and the list is cut there. A
// new connection writes what is left again. A server in this process says itself what it has taken.
//
// No callback is called with the lock held.

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/delay"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/ping"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/stream"
)

// outbox is what was sent and is not known to be taken by the server.
type outbox struct {
	config *Config

	mu    sync.Mutex
	list  []item
	sent  int    // list[:sent] are written on the present connection
	next  uint64 // the number of the next item
	bytes int
	moved chan struct{} // closed when the list gets shorter; nil: nobody waits
	hurry int           // who waits for that, so that no fence waits for more to cover
	err   error         // why nothing more is taken
	over  bool          // and nothing is sent any more

	kick    func() // wakes the writer; nil while there is no connection
	fence   string // the id of the ping under way; "" for none
	covered int    // list[:covered] are taken when it comes back
	ask     bool   // it is to be sent although there may be nothing to cover
	timer   *time.Timer

	careful int // so many of the first leave alone: one of them has made the server end the stream
	faults  int // how often the first one did
}

// item is one stanza.
type item struct {
	b     []byte
	n     uint64
	at    time.Time   // when it was queued
	stamp bool        // it is to bear <delay/> if it is late
	taken func(error) // may be nil
	call  *call       // the request that it is, or nil
}

// maxFaults is how often the server may end a stream with the same stanza in front.
const maxFaults = 3

func (o *outbox) init(c *Config) { o.config = c }

// newItem checks and serialises s.
func (c *Component) newItem(s *stanza.Stanza) (item, error) {
	from := s.From
	if from.IsZero() {
		from = c.config.Domain
	}
	switch {
	case from.Domain() != c.config.Domain.Domain():
		return item{}, fmt.Errorf("%w: %s is not of %s", ErrAddress, s.From, c.config.Domain)
	case s.To.IsZero():
		return item{}, fmt.Errorf("%w: there is no receiver", ErrAddress)
	}
	envelope := *s
	envelope.From = from
	if len(envelope.ID) == 0 {
		envelope.ID = []byte(rand.Text()[:16])
	}
	it := item{b: envelope.Append(make([]byte, 0, envelope.Size()), "")}
	if len(it.b) > c.config.MaxStanza {
		return it, fmt.Errorf("%w: %d bytes, and %d are allowed", ErrSize, len(it.b), c.config.MaxStanza)
	}
	// What a program has put together by hand must not cost it the stream, again and again.
	if _, err := stanza.Parse(stanza.Standalone(it.b)); err != nil {
		return it, fmt.Errorf("component: the stanza is not valid: %w", err)
	}
	it.stamp = s.Kind == stanza.Message && s.Type != stanza.TypeError && !s.Has(delay.NS, "delay")
	return it, nil
}

// put queues an item as soon as there is room.
func (o *outbox) put(ctx context.Context, it item) error {
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
		if err := o.await(ctx); err != nil {
			return fmt.Errorf("%w: %w", ErrFull, err)
		}
	}
}

// await waits until the list gets shorter, or ctx is over. The caller holds mu, which is let go of
// meanwhile.
func (o *outbox) await(ctx context.Context) error {
	if o.moved == nil {
		o.moved = make(chan struct{})
	}
	moved := o.moved
	o.hurry++
	o.wakeWriter()
	o.mu.Unlock()
	done := lend(ctx)
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

// force queues an item whatever there is.
func (o *outbox) force(it item) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err == nil {
		o.append(it)
	}
}

// append queues an item. The caller holds mu.
func (o *outbox) append(it item) {
	it.n, it.at = o.next, time.Now()
	o.next++
	o.list = append(o.list, it)
	o.bytes += len(it.b)
	o.wakeWriter()
}

func (o *outbox) wakeWriter() {
	if o.kick != nil {
		o.kick()
	}
}

// wake tells those who wait for the list to get shorter. The caller holds mu.
func (o *outbox) wake() {
	if o.moved != nil {
		close(o.moved)
		o.moved = nil
	}
}

// take appends what is to be written next, and a fence behind it when one is due.
func (o *outbox) take(b []byte) []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	for ; o.sent < len(o.list) && len(b) < writeSize && o.sent-o.covered < o.window(); o.sent++ {
		b = o.list[o.sent].append(b, now, o.config.StampAfter)
	}
	switch {
	case o.fence != "": // one at a time: its return brings the next
		return b
	case o.ask, o.sent >= o.config.FenceStanzas, o.sent > 0 && (o.hurry > 0 || o.careful > 0),
		o.sent > 0 && now.Sub(o.list[0].at) >= o.config.FenceAfter:
	case o.sent > 0:
		o.later(o.list[0].at.Add(o.config.FenceAfter).Sub(now))
		return b
	default:
		return b
	}
	o.ask, o.covered, o.fence = false, o.sent, rand.Text()
	q := stanza.New(stanza.IQ, stanza.Get, o.config.Domain, &ping.Ping{})
	q.From, q.ID = o.config.Domain, []byte(o.fence)
	return q.Append(b, "")
}

// window is how much may be on the wire behind the fence that is under way. The caller holds mu.
func (o *outbox) window() int {
	if o.careful > 0 {
		return 1 - o.covered
	}
	return o.config.FenceStanzas
}

// later wakes the writer when a fence is due. The caller holds mu.
func (o *outbox) later(d time.Duration) {
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

// append writes the item, stamped if it has waited here. XEP-0203 §2
func (it *item) append(b []byte, now time.Time, stampAfter time.Duration) []byte {
	if !it.stamp || now.Sub(it.at) <= stampAfter {
		return append(b, it.b...)
	}
	const end = "</message>"
	if body, ok := bytes.CutSuffix(it.b, []byte(end)); ok {
		b = append(b, body...)
		b = (&delay.Delay{Stamp: it.at}).AppendXML(b)
		return append(b, end...)
	}
	return append(b, it.b...)
}

// returned takes a ping of the domain to itself, and reports whether it is the fence.
func (o *outbox) returned(s *stanza.Stanza) bool {
	o.mu.Lock()
	if o.fence == "" || string(s.ID) != o.fence || s.From != o.config.Domain {
		o.mu.Unlock()
		return false
	}
	gone := o.pop(o.covered)
	o.fence, o.covered = "", 0
	if o.sent > 0 {
		o.wakeWriter()
	}
	o.mu.Unlock()
	tell(gone, nil)
	return true
}

// pop takes n items off the front. The caller holds mu, and hands them to tell without it.
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
	o.sent = max(o.sent-n, 0)
	o.covered = max(o.covered-n, 0)
	o.careful, o.faults = max(o.careful-n, 0), 0
	o.wake()
	return gone
}

func tell(gone []item, err error) {
	for i := range gone {
		if f := gone[i].taken; f != nil {
			f(err)
		}
		if k := gone[i].call; k != nil && err != nil {
			k.reply(nil, err)
		}
	}
}

// renew begins a connection: all that is left is to be written. kick wakes its writer.
func (o *outbox) renew(kick func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.kick = kick
	o.sent, o.covered, o.fence, o.ask = 0, 0, "", false
}

// broke lets go of the connection.
func (o *outbox) broke() {
	o.mu.Lock()
	o.kick = nil
	var gone []item
	if o.config.AtMostOnce {
		gone = o.pop(o.sent)
	}
	o.mu.Unlock()
	tell(gone, ErrUnsure)
}

// first returns up to n items from the front, for a server in this process; done says that it has taken so
// many.
func (o *outbox) first(n int) []item {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.list[:min(n, len(o.list))])
}

func (o *outbox) done(n int) {
	o.mu.Lock()
	gone := o.pop(n)
	o.mu.Unlock()
	tell(gone, nil)
}

// probe has the server asked whether it lives; isAsked says that it has been.
func (o *outbox) probe() {
	o.mu.Lock()
	o.ask = true
	o.mu.Unlock()
}

func (o *outbox) isAsked() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.fence != ""
}

// patience is how long the server may be silent now.
func (o *outbox) patience() time.Duration {
	if o.isAsked() {
		return o.config.AnswerTime
	}
	return o.config.Keepalive
}

// withdraw takes the request back if it is not written yet.
func (o *outbox) withdraw(k *call) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := o.sent; i < len(o.list); i++ {
		if o.list[i].call == k {
			o.bytes -= len(o.list[i].b)
			o.list = slices.Delete(o.list, i, i+1)
			o.wake()
			return
		}
	}
}

// flush waits until all that is queued now is taken.
func (o *outbox) flush(ctx context.Context) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	for upTo := o.next; len(o.list) > 0 && o.list[0].n < upTo; {
		if o.over {
			return o.err
		}
		if err := o.await(ctx); err != nil {
			return fmt.Errorf("component: waiting for the server: %w", err)
		}
	}
	if o.over {
		return o.err
	}
	return nil
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
	if o.timer != nil {
		o.timer.Stop()
	}
	o.wake()
	o.mu.Unlock()
	tell(rest, cause)
	return len(rest)
}

// blame looks for the stanza because of which the server has ended the stream, if that is why. What was on
// its way then leaves one by one, so that the others get through; the one that does not is given up.
func (o *outbox) blame(err error) {
	var e *stream.Error
	if !errors.As(err, &e) || !e.Received || !isFault(e.Condition) {
		return
	}
	o.mu.Lock()
	var gone []item
	switch {
	case o.sent == 0:
	case o.sent > 1:
		o.careful = o.sent
	case o.faults+1 < maxFaults:
		o.faults++
	default:
		gone = o.pop(1)
	}
	o.mu.Unlock()
	tell(gone, fmt.Errorf("%w: %w", ErrRejected, err))
}

// isFault reports whether a stream error may be about one stanza. RFC 6120 §4.9.3
func isFault(c stream.Condition) bool {
	switch c {
	case stream.BadFormat, stream.BadNamespacePrefix, stream.ImproperAddressing, stream.InvalidFrom,
		stream.InvalidNamespace, stream.InvalidXML, stream.NotWellFormed, stream.PolicyViolation,
		stream.RestrictedXML, stream.UndefinedCondition, stream.UnsupportedStanzaType:
		return true
	}
	return false
}

// own reports whether an address is of the component's domain.
func (c *Component) own(j jid.JID) bool { return j.Domain() == c.config.Domain.Domain() }
