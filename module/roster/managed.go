// SPDX-License-Identifier: Apache-2.0

package roster

import (
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/roster"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// Managers are who reads and changes rosters beside the accounts themselves: components with that
// privilege (XEP-0356).
type Managers interface {
	// AdmitRoster admits a request of somebody else by returning nil. It must not wait.
	AdmitRoster(s *stanza.Stanza) error
	// RosterChanged tells them of one item, as clients are told. It must not wait.
	RosterChanged(t *server.Turn, account jid.JID, q *roster.Query)
}

// Manage sets, before Init, who else manages rosters.
func (m *Module) Manage(by Managers) { m.managers = by }

// OnGained sets, before Init, who is told that a contact sees the account's presence because a manager has
// said so. f must not wait.
func (m *Module) OnGained(f func(t *server.Turn, u *server.User, contact jid.JID)) { m.gained = f }

func (m *Module) admit(s *stanza.Stanza) error {
	if m.managers == nil {
		return stanza.ServiceUnavailable.Err("")
	}
	return m.managers.AdmitRoster(s)
}

// subscribed is the subscription that a manager's request gives a contact, 0 if it says none: of contacts
// at the manager's own domain, whose side of it is the manager's. Of all others it can say as little as a
// client (RFC 6121 §2.1.2.5).
func subscribed(q *server.Query, contact jid.JID, ask *roster.Query) store.Subscription {
	sub := ask.Items[0].Subscription
	if q.Own() || contact.Domain() != q.From.Domain() || sub > roster.Both {
		return 0
	}
	return store.Subscription(sub)
}
