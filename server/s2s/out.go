// SPDX-License-Identifier: Apache-2.0

package s2s

import (
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/stonechat-im/stonechat/internal/drive"
	"github.com/stonechat-im/stonechat/internal/link"
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/xmpp/sm"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/stream"
)

// out is the sending half of one connection, for all routes that it carries. All methods may be called from any
// goroutine, with no lock held that a Turn could want. It implements server.Flusher.
//
// With stream management every stanza is in the window until the peer has acked it. Without, only what somebody
// must know the fate of is, until a fence is answered (fence.go).
type out struct {
	rs    *routes
	alarm alarm

	mu       sync.Mutex
	conn     drive.Conn
	over     bool
	failed   error
	dirty    bool // some turn will flush
	routes   []*route
	window   window
	managed  bool   // stream management is on
	before   int    // slots of what was sent before that
	h        uint32 // acked
	asks     bool   // something was sent that somebody waits for, and no ack is asked for
	replayed int    // bytes that were sent at once when a route was opened, more than which may wait
	used     time.Time
	stored   uint64 // slots before this one are stored, or need not be
	front    *entry // the oldest that is not confirmed, where the peer has ended the stream with an error that may be about it

	doubted  time.Time // when the connection is dropped, unless the peer confirms anything before; zero: it is trusted
	fence    *fence
	fenceAt  time.Time // when the next is due, where anything is unfenced
	unfenced int       // slots behind the last fence that need one
	unsure   int       // stanzas sent behind the last fence of which nobody keeps anything
	scratch  []byte
}

// Why a connection is dropped from here.
var (
	errStalled = errors.New("s2s: the peer does not read")
	errSilent  = errors.New("s2s: the peer does not confirm what it is sent")
)

func (o *out) clock() *alarm { return &o.alarm }

// begin makes c the connection. It is called once, before all others.
func (o *out) begin(rs *routes, c drive.Conn) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.rs, o.conn, o.used = rs, c, time.Now()
}

// control sends whole elements that are no stanzas (dialback, features, acks) at once, behind what is
// queued; also before any route is open. A peer that does not read them is dropped: one that has no route, a stranger
// whose questions are answered say, at limits.unread_bytes.
func (o *out) control(b []byte) {
	o.mu.Lock()
	o.conn.Queue(b)
	o.conn.Flush()
	l := o.rs.limits.Load()
	most := l.UnreadBytes
	if len(o.routes) > 0 {
		most = l.QueueBytes + o.replayed
	}
	stuck := o.failed == nil && o.conn.Queued() > most
	if stuck {
		o.failed = errStalled
		o.rs.metrics.stalled.Inc()
	}
	o.mu.Unlock()
	if stuck {
		o.conn.Abort() // whoever calls may hold what stop wants: Gone follows
	}
}

// counting says that stream management is on for what we send: the stanzas from now on count. It is called when
// our <enabled/> leaves (we accepted the stream) or, where we have asked for it, when <enable/> leaves or the
// peer's <enabled/> has come: no route may be open between the two. enabled, which may be nil, is sent first.
func (o *out) counting(enabled []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(enabled) > 0 {
		o.conn.Queue(enabled)
		o.conn.Flush()
	}
	o.managed, o.before, o.fence, o.unfenced, o.doubted = true, o.window.len(), nil, 0, time.Time{}
	o.asks = o.before > 0
}

// acked takes the peer's <a h=…/>. The error is a stream error, where h acks what was never sent.
func (o *out) acked(t *server.Turn, h uint32) error {
	o.mu.Lock()
	n, sent := h-o.h, uint32(o.window.len()-o.before)
	if n > sent {
		o.mu.Unlock()
		return &stream.Error{
			Condition: stream.UndefinedCondition, Text: "more stanzas acknowledged than sent",
			App: (&sm.TooHigh{H: h, SendCount: o.h + sent}).AppendXML(nil),
		}
	}
	// Whoever acks has read what was sent before the counting began.
	gone := o.window.pop(o.before+int(n), nil)
	o.h, o.before, o.doubted = h, 0, time.Time{}
	o.mu.Unlock()
	for _, e := range gone {
		e.confirmed(t)
	}
	return nil
}

// stop says that the connection is over, or may not be used any more: what was not confirmed goes back to
// its routes, ahead of what waits there, and they dial where anything waits. Stopping twice does nothing.
func (o *out) stop(err error) {
	o.mu.Lock()
	if o.over || o.rs == nil {
		o.mu.Unlock()
		return
	}
	var why *stream.Error
	if errors.As(err, &why) && why != nil && why.Received && link.IsFault(why.Condition) {
		for _, e := range o.window.all() {
			if o.front = e; e != nil {
				break
			}
		}
	}
	o.leave()
}

// rest is stop for a connection that has carried nothing out since that time, all of which is confirmed. It reports whether
// it is one.
func (o *out) rest(since time.Time) bool {
	o.mu.Lock()
	if o.over || o.window.len() > 0 || o.used.After(since) {
		o.mu.Unlock()
		return false
	}
	o.leave()
	return true
}

// leave makes an end of it. The caller holds mu, which is given back.
func (o *out) leave() {
	o.over, o.fence = true, nil
	if !o.managed {
		o.rs.metrics.unconfirmed.Add(float64(o.unsure))
	}
	routes := slices.Clone(o.routes)
	o.mu.Unlock()
	o.rs.sweeper.disarm(o)
	sw := o.rs.newSweep()
	for _, r := range routes {
		r.without(sw, o)
	}
	sw.end()
}

// fail drops the connection.
func (o *out) fail(err error) {
	o.mu.Lock()
	o.failed = err
	o.mu.Unlock()
	o.conn.Abort()
	o.stop(err)
}

// unused is since when the connection carried nothing out; ok is false while anything is not confirmed or waits.
func (o *out) unused() (since time.Time, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.used, o.window.len() == 0
}

// failure is why the connection was dropped from here, or nil.
func (o *out) failure() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.failed
}

func (o *out) ended() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.over
}

// join makes r one of those that the connection carries, if it still carries any.
func (o *out) join(r *route) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.over && !slices.Contains(o.routes, r) {
		o.routes = append(o.routes, r)
	}
	return !o.over
}

// takeBack gives r back, in order, what of it was not confirmed; managed says how that was to be, front what the peer may have
// ended the stream for, of whichever route. The caller holds r.mu.
func (o *out) takeBack(r *route) (list []*entry, managed bool, front *entry) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i, e := range o.window.all() {
		if e != nil && e.r == r {
			list = append(list, e)
			o.window.all()[i] = nil
		}
	}
	o.routes = slices.DeleteFunc(o.routes, func(other *route) bool { return other == r })
	return list, o.managed, o.front
}

// slow reports whether so much waits to be read that no more should be read from the disk.
func (o *out) slow() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.conn.Queued() > o.rs.limits.Load().QueueBytes/2
}

// send sends s, as r's. followed says that it is in the window. The caller holds r.mu.
func (o *out) send(t *server.Turn, r *route, s *stanza.Stanza, k kind) (sent, followed bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.over:
		return false, false
	case o.managed, k.followed():
		e := r.entry(t, s, k)
		e.sends = 1
		o.write(t, e.b)
		o.follow(t, e)
		return true, true
	}
	o.scratch = s.Append(o.scratch[:0], "")
	o.write(t, o.scratch)
	o.unsure++
	return true, false
}

// push is send for what has waited. The caller holds its route's mutex.
func (o *out) push(t *server.Turn, e *entry) (sent, followed bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.over {
		return false, false
	}
	b := e.wire(t.Now)
	o.replayed += len(b)
	o.write(t, b)
	if e.sends++; e.sends > 1 {
		o.rs.metrics.resent.Inc()
	}
	if !o.managed && !e.kind.followed() {
		o.unsure++
		return true, false
	}
	o.follow(t, e)
	return true, true
}

// write queues a stanza. The caller holds mu.
func (o *out) write(t *server.Turn, b []byte) {
	o.conn.Queue(b)
	o.used = t.Now
	k := stanza.Message
	switch b[1] {
	case 'p':
		k = stanza.Presence
	case 'i':
		k = stanza.IQ
	}
	o.rs.metrics.sent[k].Inc()
	if !o.dirty {
		o.dirty = true
		t.Later(o)
	}
}

// requestFence is how long a request may be without a fence: most are answered before, which is as good.
const requestFence = time.Second

// follow puts e into the window. The caller holds mu.
func (o *out) follow(t *server.Turn, e *entry) {
	e.sent = t.Now
	o.window.push(e)
	l := o.rs.limits.Load()
	switch {
	case o.managed && e.kind.counts():
		o.asks = true
		o.rs.sweeper.arm(o, t.Now.Add(l.Confirm))
	case !o.managed:
		wait := l.FenceAfter
		if e.kind != kept {
			wait = requestFence
		}
		if at := t.Now.Add(wait); o.unfenced == 0 || at.Before(o.fenceAt) {
			o.fenceAt = at
		}
		o.unfenced++
		o.rs.sweeper.arm(o, o.fenceAt)
	}
	if e.kind == kept {
		o.rs.sweeper.arm(o, t.Now.Add(l.SpoolAfter))
	}
}

// Flush implements server.Flusher.
func (o *out) Flush(t *server.Turn) {
	l := o.rs.limits.Load()
	o.mu.Lock()
	o.dirty = false
	if o.over {
		o.mu.Unlock()
		return
	}
	if o.managed && o.asks {
		o.asks = false
		o.conn.Queue([]byte(sm.RequestXML))
	}
	o.conn.Flush()
	waits := o.conn.Queued()
	if waits <= l.QueueBytes {
		o.replayed = 0
	}
	stuck := waits > l.QueueBytes+o.replayed
	fence := !o.managed && o.fence == nil && o.unfenced >= l.FenceStanzas
	o.mu.Unlock()
	switch {
	case stuck:
		o.rs.metrics.stalled.Inc()
		o.fail(errStalled)
	case fence:
		o.askFence(t, nil)
	}
}

// look implements watched: it stores what the peer has not confirmed in time, and asks for fences.
func (o *out) look(sw *sweep) {
	l := o.rs.limits.Load()
	var late []*entry
	var due time.Time
	arm := func(at time.Time) {
		if due.IsZero() || at.Before(due) {
			due = at
		}
	}
	o.mu.Lock()
	if o.over {
		o.mu.Unlock()
		return
	}
	all := o.window.all()
	dead := !o.doubted.IsZero() && !sw.now.Before(o.doubted)
	for i, e := range all {
		switch {
		case e == nil || !e.kind.counts():
			continue
		case sw.now.Sub(e.sent) >= l.Confirm:
			dead = true
		case e.kind != kept || o.window.base+uint64(i) < o.stored:
			continue
		case sw.now.Sub(e.at) >= l.SpoolAfter:
			late = append(late, e)
			o.stored = o.window.base + uint64(i) + 1
			continue
		default:
			arm(e.at.Add(l.SpoolAfter))
		}
		break
	}
	if len(all) > 0 {
		arm(sw.now.Add(l.Confirm / 4))
	}
	if !o.doubted.IsZero() {
		arm(o.doubted)
	}
	fence := o.unfenced > 0 && o.fence == nil && !o.managed
	if fence && sw.now.Before(o.fenceAt) {
		fence = false
		arm(o.fenceAt)
	}
	o.mu.Unlock()
	if dead {
		o.rs.metrics.stalled.Inc()
		o.fail(errSilent)
		return
	}
	for _, e := range late {
		e.r.mu.Lock()
		e.r.store(sw, e)
		e.r.mu.Unlock()
	}
	if fence {
		o.askFence(sw.t, nil)
	}
	if !due.IsZero() {
		o.rs.sweeper.arm(o, due)
	}
}
