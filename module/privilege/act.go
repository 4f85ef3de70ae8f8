// SPDX-License-Identifier: Apache-2.0

package privilege

import (
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/xmpp/forward"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/privilege"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// message takes what a component sends in the name of an account, or of its domain. XEP-0356 §5
func (m *Module) message(t *server.Turn, s *stanza.Stanza) error {
	ask := privilege.Privilege{Old: !s.Has(privilege.NS, "privilege")}
	found, err := s.Decode(&ask)
	switch {
	case !found, s.Type == stanza.TypeError:
		return nil
	case err != nil:
		return err
	case ask.Forwarded == nil:
		return stanza.BadRequest.Err("nothing is forwarded")
	}
	domain := s.To.Domain()
	if g, ok := m.grant(s.From, domain); !ok || typ(g.Message) != privilege.Outgoing {
		return m.forbid(s, privilege.Message, "messages in the name of others are not yours to send")
	}
	inner, err := ask.Forwarded.Parse()
	switch {
	case err != nil:
		e, _ := stanza.AsError(err)
		return e
	case inner.Kind != stanza.Message:
		return stanza.BadRequest.Err("it is no message")
	case inner.From.IsZero(), inner.From != inner.From.Bare(), inner.From.Domain() != domain:
		return m.forbid(s, privilege.Message, "'from' must be the bare address of an account of this domain")
	}
	if inner.From.IsDomain() {
		t.Route(inner)
		return server.Handled
	}
	t.As(inner.From, s, func(t *server.Turn, u *server.User, s *stanza.Stanza) {
		if u == nil {
			t.Refuse(s, refusal(m.forbid(s, privilege.Message, "'from' must be the bare address of an account of this domain")))
			return
		}
		if err := t.SendAs(u, inner); err != nil {
			t.Refuse(s, refusal(err))
		}
	})
	return server.Handled
}

func refusal(err error) *stanza.Error {
	e, _ := stanza.AsError(err)
	return e
}

// isRequest reports whether s asks for something in the name of an account.
func isRequest(s *stanza.Stanza) bool {
	if s.Kind != stanza.IQ || !s.Type.IsRequest() {
		return false
	}
	i := s.First()
	if i < 0 {
		return false
	}
	space, local, _ := s.Child(i)
	n := (*privilege.Request)(nil).XMLName()
	return string(space) == n.Space && string(local) == n.Local
}

// guard keeps such requests from clients: they are for bare addresses alone. XEP-0356 §6.3
func (m *Module) guard(_ *server.Turn, _ *server.User, s *stanza.Stanza) error {
	if isRequest(s) {
		return m.forbid(s, privilege.IQ, "'to' must be the bare address of an account")
	}
	return nil
}

// requested takes a request in the name of an account. XEP-0356 §6
func (m *Module) requested(t *server.Turn, s *stanza.Stanza) (taken bool) {
	if !isRequest(s) {
		return false
	}
	inner, err := m.request(s)
	if err != nil {
		t.Refuse(s, refusal(err))
		return true
	}
	t.As(s.To, s, func(t *server.Turn, u *server.User, s *stanza.Stanza) {
		if u == nil {
			t.Refuse(s, refusal(m.forbid(s, privilege.IQ, "'to' must be the bare address of an account")))
			return
		}
		m.ask(t, u.JID, s, inner)
	})
	return true
}

// request is what is asked for, if it may be. XEP-0356 §6.3
func (m *Module) request(s *stanza.Stanza) (*stanza.Stanza, error) {
	if s.To.IsDomain() {
		return nil, m.forbid(s, privilege.IQ, "'to' must be the bare address of an account")
	}
	g, ok := m.grant(s.From, s.To.Domain())
	if !ok {
		return nil, m.forbid(s, privilege.IQ, "requests in the name of others are not yours to make")
	}
	var ask privilege.Request
	if _, err := s.Decode(&ask); err != nil {
		if refusal(err).Condition == stanza.Forbidden {
			return nil, m.forbid(s, privilege.IQ, refusal(err).Text)
		}
		return nil, err
	}
	inner, err := stanza.Parse(ask.Stanza)
	if err != nil {
		return nil, refusal(err)
	}
	switch {
	case inner.Kind != stanza.IQ || inner.First() < 0:
		return nil, stanza.BadRequest.Err("it is no request")
	case inner.Type != s.Type:
		return nil, m.forbid(s, privilege.IQ, "the types of both requests must be the same")
	case !inner.From.IsZero() && inner.From != s.To:
		return nil, m.forbid(s, privilege.IQ, "'from' must be the account that the request is sent to, or nothing")
	}
	space, _, _ := inner.Child(inner.First())
	if !typ(g.IQ[string(space)]).Allows(inner.Type) {
		return nil, m.forbid(s, privilege.IQ, "requests of this namespace are not yours to make")
	}
	return inner, nil
}

// ask makes the request, and answers s with what comes of it.
func (m *Module) ask(t *server.Turn, account jid.JID, s, inner *stanza.Stanza) {
	id := inner.ID
	inner.From = account
	if inner.To.IsZero() {
		inner.To = account
	}
	s = s.Retain()
	m.server.Ask(t, inner, m.granted.Load().config.Timeout.D(), func(t *server.Turn, answer *stanza.Stanza) {
		if answer == nil {
			t.Refuse(s, stanza.RemoteServerTimeout.Err("nobody has answered"))
			return
		}
		answer = answer.Retain()
		answer.ID = id
		r := stanza.New(stanza.IQ, stanza.Result, s.From, &privilege.Privilege{Forwarded: forward.New(answer, nil)})
		r.From, r.ID = s.To, s.ID
		if answer.Type == stanza.TypeError {
			// Components look at the outer stanza first, and find the whole of the answer all the same.
			r.Type = stanza.TypeError
			r.Add(answer.Refusal())
		}
		t.Route(r)
	})
}
