// SPDX-License-Identifier: Apache-2.0

// Package carbons copies what one session of an account sends and receives to its other sessions
// that have asked for it, so that all devices of a person show the whole of a conversation.
//
// XEP-0280 (complete, 1.0.1)
//
// How to read this package: eligible.go has the rules by which a message is copied, and what is
// remembered for its errors. Copies never pass a hook: nobody makes copies of copies.
//
// A received copy is one of the copies of its message (server.Turn.Copy): a session that has had
// it is not given the message again when the session that it was for has gone. A message that no
// session takes waits in the spool. Meanwhile it is copied to available sessions alone, whose
// negative priority says that they leave it to others; one that raises its priority later is given
// it like everybody.
package carbons

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/xmpp/carbons"
	"github.com/stonechat-im/stonechat/xmpp/forward"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/stanzaid"
)

// Module makes the copies.
type Module struct {
	accounts server.UserSlot[account]
	archived func(t *server.Turn, s *stanza.Stanza) string // nil: nothing is archived
}

// account is what is known of one with sessions that want copies.
type account struct {
	want   atomic.Pointer[[]*server.Session] // never changed: another one takes its place
	copied copied

	mu sync.Mutex // held while want is replaced
}

// New makes the module.
func New() *Module { return new(Module) }

// Archived sets, before Init, who knows the id in its sender's archive of the message that a turn handles, "" for none: copies
// for the sender's other sessions bear it (XEP-0313 §3.3).
func (m *Module) Archived(id func(t *server.Turn, s *stanza.Stanza) string) { m.archived = id }

// Name implements server.Module.
func (*Module) Name() string { return "carbons" }

// Init implements server.Module.
func (m *Module) Init(h *server.Host) error {
	m.accounts = server.NewUserSlot[account](h)
	h.Feature(server.AtHost, carbons.NS)
	h.Feature(server.AtHost, carbons.NSRules)
	// Others than the account itself are refused as at any account (XEP-0280 §4.1 recommends
	// not-allowed, which would tell strangers that there is one).
	for _, do := range []carbons.Switch{carbons.Enable, carbons.Disable} {
		h.IQ(server.IQHandler{At: server.AtAccount, Type: stanza.Set, Name: do.XMLName(), Do: m.turn(do == carbons.Enable)})
	}
	h.OnSent(server.Observe, m.sent)
	h.Behalf = func(t *server.Turn, u *server.User, s *stanza.Stanza) error {
		m.copySent(t, u, nil, s)
		return nil
	}
	h.OnArriving(server.Observe, m.received)
	h.Ended = func(_ *server.Turn, se *server.Session, _ server.Presence) { m.set(se, false) }
	return nil
}

// turn answers <enable/> and <disable/>, as often as they come (XEP-0280 §10.1).
func (m *Module) turn(on bool) func(*server.Turn, *server.Query) (stanza.Payload, error) {
	return func(_ *server.Turn, q *server.Query) (stanza.Payload, error) {
		se := q.User.Session(q.From.Resource())
		if se == nil {
			return nil, stanza.NotAllowed.Err("only a session of the account can be given copies")
		}
		m.set(se, on)
		if on && q.User.Session(q.From.Resource()) != se {
			m.set(se, false) // it has ended meanwhile, perhaps before it was here
		}
		return nil, nil //nolint:nilnil // an empty result
	}
}

// set adds a session to those that want copies, or removes it.
func (m *Module) set(se *server.Session, on bool) {
	a := m.accounts.Of(se.User)
	if a == nil {
		if !on {
			return
		}
		a = m.accounts.SetOnce(se.User, new(account))
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	is := a.wanting()
	at := slices.Index(is, se)
	if on == (at >= 0) {
		return
	}
	var want []*server.Session
	if on {
		want = append(slices.Clip(is), se)
	} else {
		want = slices.Concat(is[:at], is[at+1:])
	}
	a.want.Store(&want)
}

// wanting are the sessions that want copies. They are not to be changed.
func (a *account) wanting() []*server.Session {
	if a == nil {
		return nil
	}
	if p := a.want.Load(); p != nil {
		return *p
	}
	return nil
}

// sent copies what a session sends to the others of its account (XEP-0280 §8).
func (m *Module) sent(t *server.Turn, s *stanza.Stanza) error {
	m.copySent(t, t.Origin.User, t.Origin, s)
	return nil
}

// copySent copies what an account sends to its sessions but the one that has sent it, which is nil if
// somebody else has sent it in the name of the account.
func (m *Module) copySent(t *server.Turn, u *server.User, from *server.Session, s *stanza.Stanza) {
	a := m.accounts.Of(u)
	want := a.wanting()
	if s.Kind != stanza.Message || len(want) == 0 || (len(want) == 1 && want[0] == from) {
		return
	}
	to := s.To
	if to.IsZero() {
		to = u.JID
	}
	// To its own account: the sessions that do not get it are given copies as of any message
	// that it receives.
	if to.Bare() == u.JID || !a.copied.eligible(s, to, true) {
		return
	}
	if m.archived != nil {
		if id := m.archived(t, s); id != "" {
			s.Add(&stanzaid.ID{By: u.JID, ID: id})
			defer s.Cut(s.Len() - 1) // it is nobody else's business
		}
	}
	var copies maker
	for _, se := range want {
		if se != from {
			se.Send(t, copies.next(s, se, true))
		}
	}
}

// received copies what an account receives to the sessions that it was not given (XEP-0280 §7).
func (m *Module) received(t *server.Turn, u *server.User, s *stanza.Stanza) error {
	a := m.accounts.Of(u)
	want := a.wanting()
	if s.Kind != stanza.Message || len(want) == 0 || !a.copied.eligible(s, s.From, false) {
		return nil
	}
	took := t.Took()
	var copies maker
	for _, se := range want {
		switch {
		case slices.Contains(took, se), se == t.Origin:
		case len(took) == 0 && !se.Presence().Available:
		default:
			t.Copy(se, copies.next(s, se, false))
		}
	}
	return nil
}

// maker makes the copies of one message, which differ by their receiver alone.
type maker struct{ wrapped *stanza.Stanza }

func (c *maker) next(s *stanza.Stanza, to *server.Session, sent bool) *stanza.Stanza {
	if c.wrapped == nil {
		c.wrapped = stanza.New(stanza.Message, s.Type, to.JID, &carbons.Copy{
			Sent: sent, Forwarded: *forward.New(s, nil),
		})
		c.wrapped.From = to.User.JID
	}
	c.wrapped.To = to.JID
	return c.wrapped
}
