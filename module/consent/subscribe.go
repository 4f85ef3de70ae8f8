// SPDX-License-Identifier: Apache-2.0

package consent

import (
	"context"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// subscription decides about a request to see a thing's presence. What its owner allows is approved in the thing's name, which need not
// be here, and need not know of it: whatever it asks and answers for itself comes to the same. What is forbidden is declined. Where
// nothing is decided the request waits, as any does that nobody has answered, and the owner is asked.
func (m *Module) subscription(t *server.Turn, u *server.User, s *stanza.Stanza, st *standing) error {
	w := &want{way: wayPresence, right: store.RightFriend}
	d := st.decide(store.ThingNode{}, store.RightFriend, nil)
	switch d.Verdict {
	case All, Some:
		t.OffLoop(u, s, func(t *server.Turn, s *stanza.Stanza) { m.approve(t, u, s) })
		return server.Handled
	case None:
		if !st.owners.of(store.ThingNode{}).owner.IsZero() {
			no := stanza.New(stanza.Presence, stanza.Unsubscribed, s.From.Bare())
			no.From = u.JID
			t.Route(no)
		}
	}
	_ = m.refuse(t, u.JID, s, w, st, d)
	return server.Handled
}

// approve makes the thing's roster say that the request is approved before it comes (RFC 6121 §3.4), and lets it come.
func (m *Module) approve(t *server.Turn, u *server.User, s *stanza.Stanza) {
	p, err := m.roster.Update(u, s.From.Bare().Clone(), func(it *store.RosterItem) bool {
		if it.Approved || it.Subscription&store.SubscriptionFrom != 0 {
			return false
		}
		it.Approved, it.Hidden, it.In = true, false, nil
		return true
	})
	if err == nil && p != nil {
		err = p.Wait(context.Background())
	}
	if err != nil {
		m.log.Error("a subscription to a thing was not approved", "jid", u.JID.String(), "err", err)
		t.Refuse(s, stanza.ResourceConstraint.Err(""))
		return
	}
	m.pass(t, s)
}
