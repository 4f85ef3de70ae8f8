// SPDX-License-Identifier: Apache-2.0

package server

import (
	"sync"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stream"
)

// fakeStream is a connection in memory.
type fakeStream struct {
	notes   sync.Map
	mu      sync.Mutex
	account jid.JID
	state   stream.State
	session *Session
	queue   []byte
	out     []byte
	flushes int
	stuck   bool // the socket takes nothing
	discard bool
	paused  int
	resumed sync.Cond
	ended   *stream.Error
	over    bool
	aborted bool
	dead    bool   // refuses to be adopted
	leaving func() // called before what is queued leaves
}

func (s *fakeStream) bound() *Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.session
}

func (s *fakeStream) Queue(b []byte) {
	s.mu.Lock()
	if !s.over || s.aborted {
		s.queue = append(s.queue, b...)
	}
	s.mu.Unlock()
}

func (s *fakeStream) Flush() {
	if s.leaving != nil {
		s.leaving()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flushes++
	switch {
	case s.stuck, s.aborted:
		return
	case !s.discard:
		s.out = append(s.out, s.queue...)
	}
	s.queue = s.queue[:0]
}

func (s *fakeStream) stick() {
	s.mu.Lock()
	s.stuck = true
	s.mu.Unlock()
}

func (s *fakeStream) unstick() {
	s.mu.Lock()
	s.stuck = false
	s.mu.Unlock()
	s.Flush()
}

func (s *fakeStream) Queued() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.queue)
}

func (s *fakeStream) Pause() {
	s.mu.Lock()
	s.paused++
	s.mu.Unlock()
}

func (s *fakeStream) Resume() {
	s.mu.Lock()
	s.paused--
	s.resumed.Broadcast()
	s.mu.Unlock()
}

func (s *fakeStream) awaitResume() {
	s.mu.Lock()
	for s.paused > 0 {
		s.resumed.Wait()
	}
	s.mu.Unlock()
}

func (s *fakeStream) isPaused() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.paused > 0
}

func (s *fakeStream) isAborted() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.aborted
}

func (s *fakeStream) End(e *stream.Error) {
	s.Flush()
	s.mu.Lock()
	if !s.over {
		s.over, s.ended = true, e
	}
	s.mu.Unlock()
}

// how reports whether the stream is over, and by which error.
func (s *fakeStream) how() (over bool, e *stream.Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.over, s.ended
}

func (s *fakeStream) Abort() {
	s.mu.Lock()
	was := s.aborted
	s.aborted, s.over = true, true
	se := s.session
	s.mu.Unlock()
	if !was && se != nil {
		go func() { // as a driver says it, from its own goroutine
			t := se.server.NewTurn()
			se.Lost(t, s)
			t.End()
		}()
	}
}

func (s *fakeStream) State() stream.State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

func (s *fakeStream) Account() jid.JID { return s.account }
func (s *fakeStream) Secure() bool     { return true }
func (s *fakeStream) Address() string  { return "127.0.0.1:1" }

func (s *fakeStream) Notes() *sync.Map { return &s.notes }

func (s *fakeStream) Adopt(se *Session) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead {
		return false
	}
	s.session, s.state = se, stream.Bound
	return true
}
