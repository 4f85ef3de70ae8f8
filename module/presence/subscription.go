// SPDX-License-Identifier: Apache-2.0

package presence

import (
	"strconv"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// A subscription has a side at each account. Either side is one roster item: whether the user
// sees the contact (To) or has asked to (Ask, "pending out"), and whether the contact sees the
// user (From) or has asked to (In, "pending in"). leave and enter are the tables of RFC 6121
// Appendix A.2 and A.3 as functions on it.

const (
	to   = store.SubscriptionTo
	from = store.SubscriptionFrom
)

// leave changes the user's item for a request the user sends. It reports whether the item
// changed, and whether the stanza goes to the contact.
func leave(typ stanza.Type, it *store.RosterItem) (changed, route bool) {
	switch typ {
	case stanza.Subscribe: // A.2.1
		if it.Subscription&to != 0 || it.Ask {
			return false, true
		}
		it.Ask, it.Hidden = true, false
		return true, true
	case stanza.Unsubscribe: // A.2.2
		changed = it.Subscription&to != 0 || it.Ask
		it.Subscription &^= to
		it.Ask = false
		return changed, true
	case stanza.Subscribed: // A.2.3
		if it.In != nil {
			it.In, it.Hidden, it.Approved = nil, false, false
			it.Subscription |= from
			return true, true
		}
		if it.Subscription&from != 0 || it.Approved {
			return false, false
		}
		it.Approved, it.Hidden = true, false // §3.4.2: approved before the request
		return true, false
	case stanza.Unsubscribed: // A.2.4
		route = it.In != nil || it.Subscription&from != 0
		changed = route || it.Approved
		it.In, it.Approved = nil, false
		it.Subscription &^= from
		return changed, route
	}
	return false, false
}

// enter changes the contact's item for a request that comes from the user. It reports whether
// the item changed, whether the contact's sessions get the stanza, and whether the contact's
// server answers "subscribed" by itself.
func enter(s *stanza.Stanza, it *store.RosterItem) (changed, deliver, grant bool) {
	switch s.Type {
	case stanza.Subscribe: // A.3.1
		switch {
		case it.Subscription&from != 0:
			return false, false, true
		case it.Approved:
			it.Subscription |= from
			it.Approved, it.In, it.Hidden = false, nil, false
			return true, false, true
		case it.In != nil:
			return false, false, false
		}
		it.In = s.Append(nil, stanza.NSClient)
		return true, true, false
	case stanza.Unsubscribe: // A.3.2
		changed = it.In != nil || it.Subscription&from != 0
		it.In = nil
		it.Subscription &^= from
		return changed, changed, false
	case stanza.Subscribed: // A.3.3
		if !it.Ask {
			return false, false, false
		}
		it.Ask = false
		it.Subscription |= to
		return true, true, false
	case stanza.Unsubscribed: // A.3.4
		changed = it.Ask || it.Subscription&to != 0
		it.Ask = false
		it.Subscription &^= to
		return changed, changed, false
	}
	return false, false, false
}

// ask takes a subscription stanza that a session of ours sends (RFC 6121 §3.1.2, §3.2, §3.3).
// Both sides wait for their commits here, off the loop, so that nothing that follows from a
// change is seen before the change itself: a client that is shown the presence of somebody who
// is not in its roster yet may ignore it.
func (m *Module) ask(t *server.Turn, s *stanza.Stanza) error {
	if s.To.IsZero() {
		return stanza.BadRequest.Err("a subscription needs an address")
	}
	u := t.Origin.User
	if s.To.Bare() == u.JID {
		return server.Handled // everybody sees their own presence
	}
	if err := m.tooLong(s); err != nil {
		return err
	}
	t.OffLoop(u, s, func(t *server.Turn, s *stanza.Stanza) { m.leaves(t, u, s) })
	return server.Handled
}

// leaves is ask where it may wait.
func (m *Module) leaves(t *server.Turn, u *server.User, s *stanza.Stanza) {
	contact := s.To.Bare()
	done, err := m.roster.Asking(u)
	if err != nil {
		committed(t, s, nil, err)
		return
	}
	defer done()
	var route, lost, gained bool
	p, err := m.roster.Update(u, contact, func(it *store.RosterItem) (changed bool) {
		saw := it.Subscription & from
		changed, route = leave(s.Type, it)
		gained, lost = saw == 0 && it.Subscription&from != 0, saw != 0 && it.Subscription&from == 0
		return changed
	})
	if !committed(t, s, p, err) {
		return
	}
	s.From, s.To = u.JID, contact
	if lost {
		m.Lost(t, u.JID, contact) // before "unsubscribed", while the contact still listens
	}
	if route {
		t.Route(s)
	}
	if gained {
		m.showAll(t, u, contact) // §3.1.5
	}
}

// committed waits until a change is stored and pushed. If it cannot be, s is refused.
func committed(t *server.Turn, s *stanza.Stanza, p *store.Pending, err error) bool {
	if err != nil {
		e, _ := stanza.AsError(err)
		t.Refuse(s, e)
		return false
	}
	if p == nil {
		return true
	}
	t.Await(p, s)
	done := make(chan error, 1)
	p.OnDone(func(err error) { done <- err }) // behind the push, which was asked for first
	return <-done == nil
}

// asked takes a subscription stanza that arrives for an account of ours (RFC 6121 §3.1.3, §3.2.3,
// §3.3.3).
func (m *Module) asked(t *server.Turn, u *server.User, s *stanza.Stanza) {
	if err := m.tooLong(s); err != nil {
		t.Refuse(s, err)
		return
	}
	t.OffLoop(u, s, func(t *server.Turn, s *stanza.Stanza) { m.enters(t, u, s) })
}

// tooLong refuses a request that is not worth keeping. It says the same whether or not there is
// somebody to ask.
func (m *Module) tooLong(s *stanza.Stanza) *stanza.Error {
	if most := int(m.config.Load().RequestBytes); s.Type == stanza.Subscribe && s.Size() > most {
		return stanza.PolicyViolation.Err("a subscription request may have " + strconv.Itoa(most) + " bytes")
	}
	return nil
}

// enters is asked where it may wait.
func (m *Module) enters(t *server.Turn, u *server.User, s *stanza.Stanza) {
	s.From, s.To = s.From.Bare(), u.JID
	if !u.Exists() {
		return // RFC 6121 §8.5.1: not even that nobody is there
	}
	var deliver, grant, lost, gained bool
	p, err := m.roster.Update(u, s.From, func(it *store.RosterItem) (changed bool) {
		saw := it.Subscription & from
		changed, deliver, grant = enter(s, it)
		gained, lost = saw == 0 && it.Subscription&from != 0, saw != 0 && it.Subscription&from == 0
		if deliver && s.Type != stanza.Subscribe {
			m.hand(t, u, s) // an answer comes before the push that follows from it (§3.1.6)
		}
		return changed
	})
	if !committed(t, s, p, err) {
		return
	}
	if deliver && s.Type == stanza.Subscribe {
		m.hand(t, u, s)
	}
	if grant {
		yes := stanza.New(stanza.Presence, stanza.Subscribed, s.From)
		yes.From = u.JID
		t.Route(yes)
	}
	if gained {
		m.showAll(t, u, s.From)
	}
	if lost {
		m.Lost(t, u.JID, s.From)
	}
}

// hand gives a subscription stanza to sessions: a request to all that are available, where it
// waits for one if there is none; an answer to those that asked for the roster.
func (m *Module) hand(t *server.Turn, u *server.User, s *stanza.Stanza) {
	to := t.Available(u)
	if s.Type != stanza.Subscribe {
		to = m.roster.Interested(u, to[:0])
	}
	if len(to) > 0 {
		t.Deliver(u, to, s, false)
	}
}

// Gained tells a contact that sees the account from now on what its sessions say.
func (m *Module) Gained(t *server.Turn, u *server.User, contact jid.JID) { m.showAll(t, u, contact) }

// Lost tells a contact that does not see the account any more that its sessions are gone (RFC
// 6121 §3.2.3, §3.3.3).
func (m *Module) Lost(t *server.Turn, account, contact jid.JID) {
	u, release, ok := m.server.Lookup(account)
	if !ok {
		return
	}
	defer release()
	for _, se := range u.Sessions(nil) {
		if !se.Presence().Available {
			continue
		}
		m.notify(t, gone(se), contact)
	}
}
