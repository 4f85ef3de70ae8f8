// SPDX-License-Identifier: Apache-2.0

package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"

	"github.com/stonechat-im/stonechat/internal/trace"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// Q1: every request that the server answers for itself or for an account is answered exactly
// once. dispatch and Query.finish are the only writers of answers.

// iqs finds who answers a request.
type iqs struct {
	handlers map[iqKey]*IQHandler
	err      error // of the registration
}

type iqKey struct {
	at   Where
	typ  stanza.Type
	name xmlstream.Name
}

func (x *iqs) add(h IQHandler) {
	for _, at := range []Where{AtHost, AtAccount} {
		if h.At&at == 0 {
			continue
		}
		k := iqKey{at, h.Type, h.Name}
		if x.handlers[k] != nil {
			x.err = errors.Join(x.err, fmt.Errorf("two modules answer %s %s", h.Type, h.Name))
		}
		x.handlers[k] = &h
	}
}

// Query is one request being answered.
type Query struct {
	*stanza.Stanza
	// User is the account asked, nil at a host. Its Exists is known.
	User *User

	// Address is the peer's before login, Notes are those of its stream.
	Address string
	Notes   *sync.Map

	reply    func(*stanza.Stanza) // before login: to a stream that has no session
	answered bool
}

// LoggedIn reports whether the request came from an account (IQHandler.BeforeLogin).
func (q *Query) LoggedIn() bool { return q.reply == nil }

// Own reports whether an account asks itself.
func (q *Query) Own() bool { return q.User != nil && q.From.Bare() == q.User.JID }

// dispatch answers a request, and drops results and errors that nobody here asked for.
func (s *Server) dispatch(t *Turn, at Where, st *stanza.Stanza) {
	if !st.Type.IsRequest() {
		return
	}
	for _, f := range s.table.requested {
		if f(t, st) {
			return
		}
	}
	h := s.iqs.find(at, st)
	if h == nil {
		t.Refuse(st, stanza.ServiceUnavailable.Err(""))
		return
	}
	if at == AtAccount && !h.Others && st.From.Bare() != st.To.Bare() {
		if err := h.admit(st); err != nil {
			t.refuse(st, err)
			return
		}
	}
	if !h.Blocking && (at == AtHost || st.From.Bare() == st.To.Bare()) {
		q := &Query{Stanza: st}
		if at == AtAccount {
			q.User = s.users.get(st.To.Bare())
		}
		// Without a User the session that asks has ended in the meantime, or somebody asks in the name of
		// an account that is away.
		if at == AtHost || q.User != nil {
			if q.User != nil {
				defer s.users.release(q.User)
			}
			s.answer(t, h, q)
			return
		}
	}
	t.offLoop(st, func(t *Turn, st *stanza.Stanza) {
		q := &Query{Stanza: st}
		if at == AtAccount {
			q.User = s.users.acquire(st.To.Bare())
			defer s.users.release(q.User)
			if err := q.User.know(context.Background()); err != nil {
				q.finish(t, nil, err)
				return
			}
			if !q.User.Exists() {
				q.finish(t, nil, stanza.ServiceUnavailable.Err(""))
				return
			}
		}
		s.answer(t, h, q)
	})
}

func (x *iqs) find(at Where, st *stanza.Stanza) *IQHandler {
	i := st.First()
	if i < 0 {
		return nil
	}
	space, local, _ := st.Child(i)
	return x.handlers[iqKey{at, st.Type, xmlstream.Name{Space: string(space), Local: string(local)}}]
}

func (s *Server) answer(t *Turn, h *IQHandler, q *Query) {
	defer q.survive(t)
	if t.way != nil {
		t.way.Tell(trace.Event{Event: trace.Asked, Module: h.module}, q.Stanza)
	}
	p, err := h.Do(t, q)
	if err != errLater { //nolint:errorlint // a verdict of ours, never wrapped
		q.finish(t, p, err)
	}
}

// answerNow has Quick answer, and reports false where Do must.
func (s *Server) answerNow(t *Turn, h *IQHandler, q *Query) (answered bool) {
	defer q.survive(t)
	answered = true // also by a panic
	p, err := h.Quick(t, q)
	if err == ErrWaits { //nolint:errorlint // a verdict, never wrapped
		return false
	}
	if t.way != nil {
		t.way.Tell(trace.Event{Event: trace.Asked, Module: h.module}, q.Stanza)
	}
	if err != errLater { //nolint:errorlint // likewise
		q.finish(t, p, err)
	}
	return true
}

// ErrWaits is what IQHandler.Quick returns where it would have to wait.
var ErrWaits = errors.New("server: to be answered by a worker")

// survive is deferred around a handler: one that panics is answered for, since the peer must
// have an answer (RFC 6120 §8.2.3), and its session goes on.
func (q *Query) survive(t *Turn) {
	r := recover()
	if r == nil {
		return
	}
	t.server.complain("request handler panicked", "jid", q.From.String(), "panic", r, "stack", string(debug.Stack()))
	if !q.answered {
		q.finish(t, nil, stanza.InternalServerError.Err(""))
	}
}

// finish writes the answer.
func (q *Query) finish(t *Turn, p stanza.Payload, err error) {
	if q.answered {
		panic("server: Q1 broken: a request answered twice")
	}
	q.answered = true
	if err != nil && q.reply == nil {
		t.refuse(q.Stanza, err)
		return
	}
	r := q.Result(p)
	if err != nil {
		e, _ := stanza.AsError(err)
		r = q.Refuse(e)
	}
	if q.reply != nil {
		q.reply(r)
		return
	}
	if t.Origin != nil && r.To == t.Origin.JID {
		t.Origin.Send(t, r)
		return
	}
	t.Route(r)
}

// Answer answers the query now, with p. The handler returns what Answer returned.
func (q *Query) Answer(t *Turn, p stanza.Payload) error {
	q.finish(t, p, nil)
	return errLater
}

// errLater says that what a handler returned is not the answer.
var errLater = errors.New("server: not answered by the return")

// After answers the query when p is done: with what then returns, which runs on the store's
// goroutine and must not wait, or with an error where p failed. The handler returns After's
// result. The sender's ack waits for the answer.
func (q *Query) After(t *Turn, p *store.Pending, then func(t *Turn) (stanza.Payload, error)) (stanza.Payload, error) {
	s, answer := t.server, q.keep(t, then)
	p.OnDone(func(err error) {
		t := s.NewTurn()
		answer(t, err)
		t.End()
	})
	return nil, errLater
}

// Following is After off the store's goroutine, behind what was told on it, in one turn with all that follows
// from the same commit: whoever is sent more of that is written to once.
func (q *Query) Following(t *Turn, p *store.Pending, then func(t *Turn) (stanza.Payload, error)) (stanza.Payload, error) {
	t.server.after(p, q.keep(t, then))
	return nil, errLater
}

// keep returns what answers the query later, in some turn.
func (q *Query) keep(t *Turn, then func(t *Turn) (stanza.Payload, error)) func(*Turn, error) {
	asked := &stanza.Stanza{Kind: q.Kind, Type: q.Type, To: q.To.Clone(), From: q.From.Clone(), ID: bytes.Clone(q.ID)}
	kept := &Query{Stanza: asked, User: q.User, reply: q.reply}
	q.answered = true // by kept
	s, origin, receipt, way := t.server, t.Origin, t.receipt, t.way
	receipt.Hold()
	if kept.User != nil {
		s.users.acquire(kept.User.JID)
	}
	return func(t *Turn, err error) {
		t.Origin, t.way = origin, way
		if err != nil {
			kept.finish(t, nil, commitError(s, err))
		} else {
			kept.answerBy(t, then)
		}
		t.Origin, t.way = nil, nil
		receipt.Release(t)
		if kept.User != nil {
			s.users.release(kept.User)
		}
	}
}

func (q *Query) answerBy(t *Turn, then func(*Turn) (stanza.Payload, error)) {
	defer q.survive(t)
	p, err := then(t)
	q.finish(t, p, err)
}

// commitError is what a client is told of a change that was not committed.
func commitError(s *Server, err error) error {
	switch {
	case errors.Is(err, store.ErrNotFound):
		return stanza.ItemNotFound.Err("")
	case errors.Is(err, store.ErrExists):
		return stanza.Conflict.Err("")
	}
	s.complain("change not stored", "err", err)
	return stanza.ResourceConstraint.Err("the change could not be stored now")
}

// AnswersBeforeLogin reports whether e is a request that BeforeLogin takes.
func (s *Server) AnswersBeforeLogin(e *xmlstream.Element) bool {
	if string(e.Local) != "iq" || len(e.Children) == 0 {
		return false
	}
	name := xmlstream.Name{Space: string(e.Children[0].Space), Local: string(e.Children[0].Local)}
	for _, t := range []stanza.Type{stanza.Get, stanza.Set} {
		if h := s.iqs.handlers[iqKey{AtHost, t, name}]; h != nil && h.BeforeLogin {
			return true
		}
	}
	return false
}

// BeforeLogin answers a request that came before login, if a handler takes such: reply gets the
// answer, perhaps later and on another goroutine, and must flush it. e is borrowed.
func (s *Server) BeforeLogin(peer Stream, host jid.JID, e *xmlstream.Element, reply func(*stanza.Stanza)) bool {
	st := new(stanza.Stanza)
	if err := st.FromElement(e, new(jid.Cache)); err != nil || st.Kind != stanza.IQ || !st.Type.IsRequest() {
		return false
	}
	h := s.iqs.find(AtHost, st)
	if h == nil || !h.BeforeLogin {
		return false
	}
	st = st.Retain()
	st.To, st.From = host, jid.JID{}
	s.workers.do(func() {
		t := s.NewTurn()
		t.mayWait = true
		s.answer(t, h, &Query{Stanza: st, Address: peer.Address(), Notes: peer.Notes(), reply: reply})
		t.End()
	})
	return true
}
