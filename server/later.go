// SPDX-License-Identifier: Apache-2.0

package server

import (
	"bytes"
	"errors"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/stream"
)

// later is what a session has read and handles later. A client that uses stream management and asks for much at once, many pages of
// an archive say, has the answers in its window until it acks them, and its acks stand behind what it has asked. So a request that
// comes while half of the window is full waits, with all that comes behind it, and the stream is read on: what the client acks makes
// room. What others send it does not wait.
//
//	the client's stream  ▶ query query query message <a/> <r/>
//	                         │     └─────┴──────┴── later, in this order
//	                         └── answered            └────┴── handled at once
//
// Nothing is counted as received before it is handled: where the stream is lost meanwhile the client sends it again, as it does with what
// never came. Where it closes the stream it has given up the answers; the rest is handled first, though it is told of that no more (Finish).
//
// One goroutine or timer at a time sees to it: awaitRoom, catchUp, or whoever takes back the last of its pauses.
type later struct {
	session *Session
	stream  Stream
	list    []unhandled // guarded by handling, as the next two
	bytes   int
	paused  bool         // the stream is not read, since no more may wait
	quiet   lull         // of awaitRoom
	pauses  atomic.Int32 // of the sender: one of catchUp, the others for what modules and the disk want
	closed  atomic.Bool  // by the client: behind what waits the session ends
}

// unhandled is one stanza, and what is wrong with it.
type unhandled struct {
	s       *stanza.Stanza
	size    int
	invalid error
}

// postpone keeps a stanza for later, if it has to wait. The caller holds handling.
func (se *Session) postpone(t *Turn, st Stream, s *stanza.Stanza, invalid error) bool {
	l := se.later
	if l == nil || l.stream != st {
		if s.Kind != stanza.IQ || !s.Type.IsRequest() || !se.Managed() {
			return false
		}
		if _, _, full := se.out.full(); !full {
			return false
		}
		l = &later{session: se, stream: st}
		se.later = l
		se.server.metrics.answersWait.Inc()
		l.awaitRoom()
	}
	kept := &stanza.Stanza{Kind: s.Kind, Type: s.Type, To: s.To.Clone(), ID: bytes.Clone(s.ID)} // enough to refuse it
	if invalid == nil {
		kept = s.Retain()
	}
	l.list = append(l.list, unhandled{kept, kept.Size(), invalid})
	l.bytes += kept.Size()
	limits := se.server.limits.Load()
	if !l.paused && (len(l.list) >= limits.UnackedStanzas || l.bytes >= limits.QueueBytes) {
		l.paused = true
		st.Pause()
	}
	t.suspended = t.suspended || l.paused
	return true
}

// awaitRoom has what waits handled when less than half is queued and unacked of what may be. Where nothing of that is read or acked for
// a minute it drops the stream, as an Outbox does that has a pace.
func (l *later) awaitRoom() {
	out := &l.session.out
	if waits, acked, full := out.full(); full && out.serves() == l.stream && !l.closed.Load() {
		if l.quiet.over(waits, acked) {
			l.quiet = lull{}
			out.drop()
		}
		time.AfterFunc(paceInterval, l.awaitRoom)
		return
	}
	l.quiet = lull{}
	l.session.server.workers.do(l.catchUp)
}

// catchUp handles what waits, in order, while there is room and nothing pauses the sender.
func (l *later) catchUp() {
	for more := true; more; {
		l.pauses.Store(1) // its own: who takes the last one back goes on
		more = l.handleNext() && l.pauses.Add(-1) == 0
	}
}

// Pause implements Reader, for the turns in which what waits is handled.
func (l *later) Pause() { l.pauses.Add(1) }

// Resume implements Reader.
func (l *later) Resume() {
	if l.pauses.Add(-1) == 0 {
		l.session.server.workers.do(l.catchUp)
	}
}

// handleNext handles the oldest. It reports false where there is none, or no room: then catchUp will be called again.
func (l *later) handleNext() bool {
	se := l.session
	t := se.server.NewTurn()
	defer t.End()
	se.handling.Lock()
	mine, closed := se.out.serves() == l.stream && !se.server.stopping.Load(), l.closed.Load()
	if !mine || len(l.list) == 0 {
		if se.later == l {
			se.later = nil
		}
		l.readOn()
		se.handling.Unlock()
		if mine && closed {
			se.End(t, nil)
		}
		return false
	}
	if _, _, full := se.out.full(); full && !closed {
		se.handling.Unlock()
		l.awaitRoom()
		return false
	}
	x := l.list[0]
	l.list[0] = unhandled{}
	l.list = l.list[1:]
	l.bytes -= x.size
	limits := se.server.limits.Load()
	if len(l.list) <= limits.UnackedStanzas/2 && l.bytes <= limits.QueueBytes/2 {
		l.readOn()
	}
	t.Origin, t.stream, t.mayWait = se, l, true
	t.receipt = se.in.receive()
	se.handling.Unlock()
	var e *stream.Error
	if errors.As(se.handleLate(t, x), &e) {
		t.Flush() // what it was sent goes first
		se.End(t, e)
	}
	if se.in.unsafe() > limits.UnackedStanzas {
		se.server.metrics.backPressure.Inc()
		t.pauseFor(backPressurePause)
	}
	return true
}

// handleLate is handle where no driver stands below: a panic ends the session, with a receipt that is never released.
func (se *Session) handleLate(t *Turn, x unhandled) (err error) {
	defer func() {
		if r := recover(); r != nil {
			se.server.complain("session ended after a panic", "jid", se.JID.String(), "panic", r, "stack", string(debug.Stack()))
			err = &stream.Error{Condition: stream.InternalServerError}
		}
	}()
	return se.handle(t, x.s, x.invalid)
}

// readOn resumes the stream, if it is paused. The caller holds handling.
func (l *later) readOn() {
	if l.paused {
		l.paused = false
		l.stream.Resume()
	}
}

// postponed is how many stanzas wait. The caller holds handling.
func (se *Session) postponed() int {
	if se.later == nil {
		return 0
	}
	return len(se.later.list)
}

// Finish ends the session, whose client has closed the stream in order: behind what waits and is no request, or at once where that is
// nothing. What must have its answer is awaited before a stream is closed.
func (se *Session) Finish(t *Turn) {
	se.handling.Lock()
	l := se.later
	waits := false
	if l != nil && l.stream == se.out.serves() {
		l.list = slices.DeleteFunc(l.list, func(x unhandled) bool { return x.s.Kind == stanza.IQ && x.s.Type.IsRequest() })
		waits = len(l.list) > 0
		l.closed.Store(waits)
	}
	se.handling.Unlock()
	if !waits {
		se.End(t, nil)
	}
}
