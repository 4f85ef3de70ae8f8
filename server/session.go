// SPDX-License-Identifier: Apache-2.0

package server

import (
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stonechat-im/stonechat/internal/bucket"
	"github.com/stonechat-im/stonechat/internal/trace"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/stream"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// Session is one bound resource. It outlives its stream while it may be resumed (XEP-0198): then
// it is detached, and what it is sent waits in its window.
//
// What comes in is handled one by one: by the driver of its stream (Receive), or, where it had to wait, by a worker (later).
// What goes out is outbound, which any goroutine may use.
type Session struct {
	JID  jid.JID // full
	User *User

	server *Server
	slots  []atomic.Value // of modules

	handling  sync.Mutex    // held while input is taken, and while the driver handles it: so resuming counts all of it
	addresses jid.Cache     // guarded by handling
	lang      string        // default language of its stanzas
	rate      bucket.Bucket // guarded by handling
	later     *later        // guarded by handling; nil: nothing waits

	in  inbound
	out outbound

	// Guarded by User.mu.
	presence   Presence
	drainFrom  int64       // up to this row all is sent; the draining worker's
	expiry     *time.Timer // of a detached session
	ended      bool
	drains     bool // the spool is being drained to this session
	drainAgain bool // and there is more since
	drainWaits bool // until another session of the account has read what it takes

	resume  atomic.Int32 // milliseconds that a lost stream may be resumed; 0: it may not
	managed atomic.Bool
	why     atomic.Int32 // a Why
}

// Presence is what a session last said of itself.
type Presence struct {
	Available bool
	Priority  int8
	Stanza    []byte // as broadcast, without 'to', standing alone; nil while unavailable
}

// Presence returns the session's presence.
func (se *Session) Presence() Presence {
	se.User.mu.Lock()
	defer se.User.mu.Unlock()
	return se.presence
}

// SetPresence changes it and runs the PresenceChanged hooks. A session that becomes able to take
// messages (available, priority not negative) is sent what is spooled for the account. It reports
// false, and does nothing, where the session has ended.
func (se *Session) SetPresence(t *Turn, p Presence) bool {
	u := se.User
	u.mu.Lock()
	was := se.presence
	if se.ended {
		u.mu.Unlock()
		return false
	}
	se.presence = p
	if p.takesMessages() && !was.takesMessages() {
		se.drain()
	}
	u.mu.Unlock()
	for _, f := range se.server.table.presence {
		f(t, se, was)
	}
	return true
}

// takesMessages: RFC 6121 §8.5.2.1.
func (p Presence) takesMessages() bool { return p.Available && p.Priority >= 0 }

// Managed reports whether the session uses stream management.
func (se *Session) Managed() bool { return se.managed.Load() }

// Manage turns stream management on, from the next stanza in each direction. A stream that is
// lost may be resumed for so long, in whole milliseconds; 0 is never. It is called from an element handler of the session.
func (se *Session) Manage(resume time.Duration) {
	se.in.mu.Lock()
	se.in.on, se.in.peer = true, &se.out
	se.in.mu.Unlock()
	se.out.manage()
	se.managed.Store(true)
	if !se.User.Guest() {
		se.resume.Store(int32(min(resume.Milliseconds(), math.MaxInt32)))
	}
}

// Requested answers the client's <r/> as soon as the turn ends, or where that would tell it nothing new when more is safe, at
// the latest after sm.spool_after; and tells it what becomes safe later by itself (XEP-0198 §4).
func (se *Session) Requested(t *Turn) {
	if se.in.request(t.Now, se.postponed()) {
		se.out.owe(t)
		return
	}
	se.out.mu.Lock()
	se.out.arm()
	se.out.mu.Unlock()
}

// Acked takes the client's <a h=”/>. The error ends the stream.
func (se *Session) Acked(t *Turn, h uint32) error {
	if count, ok := se.out.ackedTo(t, h); !ok {
		return handledTooHigh(h, count)
	}
	return nil
}

// Received is the h to tell the client: how many of its stanzas are safe.
func (se *Session) Received() uint32 { return se.in.answer() }

// Send queues s for this session alone, to be lost with it. It reports whether it was taken.
func (se *Session) Send(t *Turn, s *stanza.Stanza) bool {
	before := t.follow(se.User, trace.Received, s)
	defer func() { t.way = before }()
	iq := s.Kind == stanza.IQ
	return se.out.put(t, sent{b: t.write(s), request: iq && s.Type.IsRequest(), answer: iq && !s.Type.IsRequest() && t.Origin == se})
}

// Attached reports whether the session has a stream.
func (se *Session) Attached() bool { return se.out.serves() != nil }

// Receive handles one element that st read. The caller ends t when Receive reports false, and
// gives it nothing more before st is resumed: a worker has the stanza. The error ends the stream.
func (se *Session) Receive(t *Turn, st Stream, e *xmlstream.Element) (more bool, err error) {
	se.handling.Lock()
	defer se.handling.Unlock()
	if se.out.serves() != st {
		return true, nil // resumed on another stream; what comes here now is not counted
	}
	t.Origin, t.stream, t.way = se, st, nil
	s := &t.received
	switch err := s.FromElement(e, &se.addresses); {
	case err == stanza.ErrNotStanza: //nolint:errorlint // it is never wrapped
		return true, se.server.element(t, st, se, e)
	case se.server.stopping.Load():
		return true, nil // not counted either, so that it is not acked
	case se.postpone(t, st, s, err):
	default:
		t.receipt = se.in.receive()
		if err := se.handle(t, s, err); err != nil {
			return true, err
		}
	}
	if d := se.rate.Take(t.Now, se.server.limits.Load().StanzasPerSecond); d > 0 {
		se.server.metrics.throttled.Inc()
		t.pauseFor(d)
	}
	if s.Kind == stanza.IQ && !t.suspended {
		if behind, _ := se.out.unread(st); behind {
			st.Pause()
			t.suspended = true
			se.readFirst(st, backPressurePause)
		}
	}
	if se.in.unsafe() > se.server.limits.Load().UnackedStanzas {
		// The disk is slower than the sender: it waits, nobody else does.
		se.server.metrics.backPressure.Inc()
		t.pauseFor(backPressurePause)
	}
	more, t.suspended = !t.suspended, false
	return more, nil
}

// handle handles one stanza whose receipt the turn has; invalid says what is wrong with it. The error ends the stream.
func (se *Session) handle(t *Turn, s *stanza.Stanza, invalid error) (err error) {
	if invalid == nil {
		err = se.server.sent(t, se, s)
	} else {
		refuse, _ := stanza.AsError(invalid)
		if s.From = se.JID; s.To.IsZero() {
			s.To = se.User.JID
		}
		t.Refuse(s, refuse)
	}
	t.receipt.Release(t)
	t.receipt, t.way = Receipt{}, nil
	return err
}

// backPressurePause is how long a sender with too many unsafe stanzas is not read.
const backPressurePause = 20 * time.Millisecond

// readFirst resumes st, which pauses behind a request, when its client, who asks faster than it reads the answers (pages of
// an archive, say), has read enough: it is looked at again after that long. Where nothing leaves any more it is read on, slowly:
// that tells whether the connection is broken, and a client that never reads comes to limits.queue_bytes.
func (se *Session) readFirst(st Reader, pause time.Duration) {
	behind, still := se.out.unread(st)
	if !behind {
		st.Resume()
		return
	}
	se.server.metrics.answersWait.Inc()
	if still {
		time.AfterFunc(backPressurePause, st.Resume)
		return
	}
	time.AfterFunc(pause, func() { se.readFirst(st, min(2*pause, time.Second/2)) })
}

// unread reports whether so much waits on st, where that is the session's, that a request more is to wait: less than that leaves
// room in limits.queue_bytes for what is sent on one, a page say; and whether none of it has left for three seconds.
func (o *outbound) unread(st Reader) (behind, still bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	waits := uint32(o.waits())
	if o.stream != st || int(waits) <= o.drainBytes()/2 {
		o.mark = 0
		return false, false
	}
	now := uint32(time.Now().Unix())
	if o.mark == 0 || waits < o.mark {
		o.moved = now
	}
	o.mark = waits
	return true, now-o.moved > 2
}

// serves is the stream that is the session's now.
func (o *outbound) serves() Stream {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.stream
}

// Lost says that st is gone without its end. The session ends, unless it may be resumed.
func (se *Session) Lost(t *Turn, st Stream) {
	se.handling.Lock()
	mine, whole := se.out.detach(t, st)
	stays := whole && se.resume.Load() > 0
	if stays {
		se.await()
		se.server.metrics.detached.Inc()
	}
	se.handling.Unlock()
	switch {
	case mine && !stays:
		se.End(t, nil)
	case mine:
		se.turned(t, false)
	}
}

// turned runs the hooks Attached.
func (se *Session) turned(t *Turn, on bool) {
	for _, f := range se.server.table.attached {
		f(t, se, on)
	}
}

// Because notes how the session's stream ends, which Why tells then.
func (se *Session) Because(w Why) { se.why.Store(int32(w)) }

// Why is how its stream has ended last.
func (se *Session) Why() Why { return Why(se.why.Load()) }

// Why is how a stream has ended: in order, by a broken connection, by a network that is gone, with an error.
type Why int32

const Closed, Lost, TimedOut, Failed Why = 0, 1, 2, 3

// Resume makes st the session's stream; h is what its client has had. answer makes what st is
// told, with the h that is its turn to hear, or, with ok false, that the session has ended in
// the meantime. It is called from an element handler on st, which is logged in as the session's
// account. The error is Acked's, and leaves the session as it was.
//
// The answer waits until all is safe that the session received. The client sends again whatever
// the answer's h does not cover, so h must cover everything, and it may cover only what is safe.
// That is at most the time of sm.spool_after and one commit.
func (se *Session) Resume(t *Turn, st Stream, h uint32, answer func(h uint32, ok bool) []byte) error {
	se.handling.Lock()
	defer se.handling.Unlock()
	if count, ok := se.out.ackedTo(t, h); !ok {
		return handledTooHigh(h, count)
	}
	se.User.mu.Lock()
	se.stopExpiry()
	se.User.mu.Unlock()
	// From here nothing that the old stream still brings is handled.
	old, whole := se.out.displace(t)
	if old != nil {
		old.End(&stream.Error{Condition: stream.Conflict, Text: "the session was resumed on another stream"})
	}
	if !whole {
		se.End(t, nil)
	}
	st.Pause()
	t.suspended = true
	se.in.whenSafe(func() {
		// On a goroutine of its own: whoever made it safe, perhaps this very input, holds locks.
		se.server.workers.do(func() {
			t := se.server.NewTurn()
			if !se.resumed(t, st, answer) {
				st.Queue(answer(0, false))
				st.Flush()
			}
			t.End()
			st.Resume()
		})
	})
	return nil
}

func (se *Session) resumed(t *Turn, st Stream, answer func(uint32, bool) []byte) bool {
	se.handling.Lock()
	defer se.handling.Unlock()
	if !se.out.attach(t, st, answer(se.in.answer(), true)) {
		return false
	}
	if !st.Adopt(se) { // gone already
		se.out.detach(t, st)
		se.await()
		return true
	}
	se.turned(t, true)
	return true
}

// await gives a detached session its time to be resumed. The caller holds handling.
func (se *Session) await() {
	se.User.mu.Lock()
	defer se.User.mu.Unlock()
	if se.ended {
		return
	}
	se.expiry = time.AfterFunc(time.Duration(se.resume.Load())*time.Millisecond, func() {
		t := se.server.NewTurn()
		if !se.Attached() {
			se.End(t, nil)
		}
		t.End()
	})
}

// stopExpiry undoes await: a timer would hold the session until it fires. The caller holds User.mu.
func (se *Session) stopExpiry() {
	if se.expiry != nil {
		se.expiry.Stop()
		se.expiry = nil
	}
}

// End ends the session for good: its stream is closed with e (or nothing), it leaves all tables,
// what it has not acked goes to the spool or to other sessions of the account, its contacts are
// told. Ending twice does nothing. The caller holds no lock.
func (se *Session) End(t *Turn, e *stream.Error) {
	u := se.User
	u.mu.Lock()
	if se.ended {
		u.mu.Unlock()
		return
	}
	se.ended = true
	se.stopExpiry()
	was := se.presence
	se.presence = Presence{}
	u.remove(se)
	st, gone, rest := se.out.close()
	se.settle(t, rest)
	u.drainToTaker()
	u.mu.Unlock()
	t.reached(gone, trace.Left)
	if e != nil {
		se.Because(Failed)
	}
	if st != nil {
		st.End(e)
	}
	se.server.sessions.Add(-1)
	for _, x := range rest {
		if x.request {
			se.unanswered(t, x.b)
		}
	}
	for _, f := range se.server.table.ended {
		f(t, se, was)
	}
	if u.Guest() {
		u.leave()
	}
	se.server.users.release(u)
}

// settle puts messages that no other session has into the spool. The caller holds u.mu.
func (se *Session) settle(t *Turn, rest []sent) {
	for _, x := range rest {
		d := x.d
		if d == nil {
			continue
		}
		d.mu.Lock()
		d.copies--
		last := d.copies == 0 && !d.done
		d.mu.Unlock()
		if !last {
			continue
		}
		d.spool(t)
		se.User.rows.LetGo(d.id)
	}
}

// unanswered answers a request that the client will not (RFC 6120 §8.2.3).
func (se *Session) unanswered(t *Turn, b []byte) {
	s, err := stanza.Parse(stanza.Standalone(b))
	if err != nil {
		return
	}
	origin := t.Origin
	t.Origin = nil
	t.Refuse(s, stanza.RecipientUnavailable.Err("the client has gone"))
	t.Origin = origin
}
