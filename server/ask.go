// SPDX-License-Identifier: Apache-2.0

package server

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// questions are the requests that the server itself has made and that are not answered.
type questions struct {
	open atomic.Int64
	mu   sync.Mutex
	byID map[string]*question
}

type question struct {
	from, to jid.JID
	answered func(*Turn, *stanza.Stanza)
	expiry   *time.Timer
}

// Ask sends iq, a request of the server's own: From is a domain, an account or a place of ours, and ID is
// given here. f is called once, with the result or error, which it borrows, or with nil when there was none
// in that time, or at once where limits.questions are open. An answer counts if it comes from whom
// was asked. f may be called before Ask returns, and on any goroutine; it must not wait, and the caller
// holds no lock that f wants.
func (s *Server) Ask(t *Turn, iq *stanza.Stanza, wait time.Duration, f func(t *Turn, answer *stanza.Stanza)) {
	x := &s.questions
	id := newID()
	q := &question{from: iq.From, to: iq.To, answered: f}
	x.mu.Lock()
	if len(x.byID) >= s.limits.Load().Questions {
		x.mu.Unlock()
		s.metrics.questionsFull.Inc()
		f(t, nil)
		return
	}
	if x.byID == nil {
		x.byID = make(map[string]*question)
	}
	x.byID[id] = q
	x.open.Add(1)
	q.expiry = time.AfterFunc(wait, func() {
		if x.take(id, q) {
			t := s.NewTurn()
			f(t, nil)
			t.End()
		}
	})
	x.mu.Unlock()
	iq.ID = []byte(id)
	t.Route(iq)
}

// take removes q, and reports whether it was still there: then its answer is the caller's to give.
func (x *questions) take(id string, q *question) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.byID[id] != q {
		return false
	}
	delete(x.byID, id)
	x.open.Add(-1)
	q.expiry.Stop()
	return true
}

// answer takes st if it answers a question of ours.
func (x *questions) answer(t *Turn, st *stanza.Stanza) bool {
	if x.open.Load() == 0 || st.Type.IsRequest() {
		return false
	}
	x.mu.Lock()
	q := x.byID[string(st.ID)]
	x.mu.Unlock()
	if q == nil || st.To != q.from || st.From != q.to || !x.take(string(st.ID), q) {
		return false
	}
	q.answered(t, st)
	return true
}
