// SPDX-License-Identifier: Apache-2.0

package server

import (
	"bytes"
	"errors"
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
// never came. Where it closes the stream it has given up the answers, and is not told that the rest was taken.
type later struct {
	stream Stream
	list   []unhandled
	bytes  int
	paused bool // the stream is not read, since no more may wait
	quiet  lull // of awaitRoom
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
		if _, full := se.out.full(); !full {
			return false
		}
		l = &later{stream: st}
		se.later = l
		se.server.metrics.answersWait.Inc()
		se.awaitRoom(l)
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

// awaitRoom has what waits handled when less than half is queued and unacked of what may be. Where nothing of that is read for a
// minute it drops the stream, as an Outbox does that has a pace.
func (se *Session) awaitRoom(l *later) {
	if waits, full := se.out.full(); full && se.out.serves() == l.stream {
		if l.quiet.over(waits) {
			l.quiet = lull{}
			se.out.drop()
		}
		time.AfterFunc(paceInterval, func() { se.awaitRoom(l) })
		return
	}
	l.quiet = lull{}
	se.server.workers.do(func() { se.catchUp(l) })
}

// catchUp handles what waits, in order, while there is room.
func (se *Session) catchUp(l *later) {
	for se.handleNext(l) {
		if _, full := se.out.full(); full {
			se.awaitRoom(l)
			return
		}
	}
}

// handleNext handles the oldest, and reports whether there are more. It stays in the list meanwhile, so that nothing overtakes it.
func (se *Session) handleNext(l *later) (more bool) {
	t := se.server.NewTurn()
	se.handling.Lock()
	if se.out.serves() != l.stream || se.server.stopping.Load() {
		if se.later == l {
			se.later = nil
		}
		l.readOn()
		se.handling.Unlock()
		t.End()
		return false
	}
	x := l.list[0]
	t.Origin, t.stream, t.mayWait = se, l.stream, true
	t.receipt = se.in.receive()
	se.handling.Unlock()
	var e *stream.Error
	if err := se.handle(t, x.s, x.invalid); errors.As(err, &e) {
		t.Flush() // what it was sent goes first
		se.End(t, e)
	}
	t.End()
	se.handling.Lock()
	defer se.handling.Unlock()
	l.list[0] = unhandled{}
	l.list = l.list[1:]
	l.bytes -= x.size
	if limits := se.server.limits.Load(); len(l.list) <= limits.UnackedStanzas/2 && l.bytes <= limits.QueueBytes/2 {
		l.readOn()
	}
	if len(l.list) == 0 && se.later == l {
		se.later = nil
	}
	return len(l.list) > 0
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
