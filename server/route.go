// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"errors"

	"github.com/stonechat-im/stonechat/internal/trace"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/stream"
)

// sent is where a session's stanza begins its way: it is stamped with its sender's address,
// shown to the Sent hooks and routed. The error ends the sender's stream.
func (s *Server) sent(t *Turn, se *Session, st *stanza.Stanza) error {
	s.metrics.received[st.Kind].Inc()
	// RFC 6120 §8.1.2.1: a client may name itself, nobody else.
	if !st.From.IsZero() && st.From != se.JID && st.From != se.JID.Bare() {
		return &stream.Error{Condition: "invalid-from"}
	}
	st.From = se.JID
	if s.tracers.Any() {
		t.way = s.tracers.Enter(se.JID, st.To, trace.Received, st)
	}
	if st.Lang == nil && se.lang != "" {
		st.Lang = []byte(se.lang) // RFC 6120 §4.7.4
	}
	handled, err := s.table.sent.run(t, nil, st)
	switch {
	case err != nil:
		t.refuse(st, err)
	case !handled:
		t.Route(st)
	}
	return nil
}

// Route sends s to where its address says (RFC 6120 §10, RFC 6121 §8). s is stamped already;
// it is borrowed.
func (t *Turn) Route(s *stanza.Stanza) {
	srv := t.server
	if s.To.IsZero() {
		// RFC 6120 §10.3: what has no address is for the sender's own account.
		s.To = s.From.Bare()
	}
	if s.Kind == stanza.IQ && srv.questions.answer(t, s) {
		return
	}
	switch {
	case !srv.Serves(s.To.Domain()):
		srv.toPlace(t, s)
	case s.To.IsDomain():
		srv.toHost(t, s)
	default:
		srv.toAccount(t, s)
	}
}

// toHost handles what is addressed to a domain of ours (RFC 6120 §10.5.2).
func (s *Server) toHost(t *Turn, st *stanza.Stanza) {
	if st.Kind == stanza.IQ && st.To.IsBare() {
		s.dispatch(t, AtHost, st)
		return
	}
	if st.Kind == stanza.Presence && st.Type != stanza.TypeError {
		return // nobody at a host takes presence: ignored, as if unavailable
	}
	for i := 0; i < len(s.table.host) && st.Kind == stanza.Message; i++ {
		if err := s.table.host[i](t, st); err == Handled { //nolint:errorlint // a verdict is never wrapped
			return
		} else if err != nil {
			t.refuse(st, err)
			return
		}
	}
	t.Refuse(st, stanza.ServiceUnavailable.Err(""))
}

// toAccount handles what is addressed to an account of ours. The table has those that are
// online; whether another one exists takes a read, off the loop.
func (s *Server) toAccount(t *Turn, st *stanza.Stanza) {
	if st.Kind == stanza.IQ && st.To.IsBare() {
		s.dispatch(t, AtAccount, st)
		return
	}
	if u := s.users.get(st.To.Bare()); u != nil {
		defer s.users.release(u)
		if u.Online() {
			s.arrive(t, u, st)
			return
		}
	}
	if st.Kind == stanza.Message && st.Type == stanza.Headline {
		return // RFC 6121 §8.5.1, §8.5.2.2.1: dropped, whether or not there is such an account
	}
	t.offLoop(st, func(t *Turn, st *stanza.Stanza) {
		u := s.users.acquire(st.To.Bare())
		defer s.users.release(u)
		if err := u.know(context.Background()); err != nil {
			t.refuse(st, err)
			return
		}
		s.arrive(t, u, st)
	})
}

// arrive runs the Arriving hooks. What nobody takes charge of is refused, where it may be.
func (s *Server) arrive(t *Turn, u *User, st *stanza.Stanza) {
	t.took, t.delivered = t.took[:0], nil
	handled, err := s.table.arriving.run(t, u, st)
	switch {
	case err != nil:
		t.refuse(st, err)
	case handled:
	case st.Kind == stanza.IQ:
		s.toResource(t, u, st)
	case st.Kind == stanza.Message && st.Type != stanza.Headline:
		t.Refuse(st, stanza.ServiceUnavailable.Err(""))
	}
}

// toResource gives an IQ to the session it names (RFC 6121 §8.5.3.1, §8.5.3.2.3).
func (s *Server) toResource(t *Turn, u *User, st *stanza.Stanza) {
	if se := u.Session(st.To.Resource()); se != nil && se.Send(t, st) {
		return
	}
	t.Refuse(st, stanza.ServiceUnavailable.Err(""))
}

// refuse answers s with what err says, or logs it where it is none of the peer's business.
func (t *Turn) refuse(s *stanza.Stanza, err error) {
	e, told := stanza.AsError(err)
	if !told && !errors.Is(err, store.ErrClosed) { // else the server ends: its sender has no ack, and sends it again
		t.server.complain("stanza failed", "jid", s.From.String(), "stanza", s.Kind.String(), "err", err)
	}
	t.Refuse(s, e)
}

// Refuse answers s with an error. Errors and results are never answered (RFC 6120 §8.3.1), nor
// is presence without a type that asks for something. What goes beside the error is for those who do not read that.
func (t *Turn) Refuse(s *stanza.Stanza, e *stanza.Error, beside ...stanza.Payload) {
	switch {
	case s.Type == stanza.TypeError, s.Kind == stanza.IQ && s.Type == stanza.Result:
		return
	case s.Kind == stanza.Presence && (s.Type == stanza.Available || s.Type == stanza.Unavailable):
		if s.From != originJID(t) {
			return
		}
	}
	t.server.metrics.refused.WithLabelValues(string(e.Condition)).Inc()
	t.note(trace.Returned, string(e.Condition), s)
	r := s.Refuse(e, beside...)
	if se := t.Origin; se != nil && s.From == se.JID {
		// Straight back, whatever address of its own the client used, and whatever hooks would
		// make of it: those that observe see it.
		if se.Send(t, r) && r.Kind == stanza.Message {
			t.took, t.delivered = append(t.took[:0], se), nil
			t.server.table.arriving.observe(t, se.User, r)
		}
		return
	}
	if r.To.IsZero() {
		return
	}
	t.Route(r)
}

func originJID(t *Turn) (j jid.JID) {
	if t.Origin != nil {
		j = t.Origin.JID
	}
	return j
}
