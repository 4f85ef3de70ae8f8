// SPDX-License-Identifier: Apache-2.0

package roster

import (
	"context"
	"strconv"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/roster"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// get answers a client's request for its roster (RFC 6121 §2.1.3). From then on the session is
// told of changes.
func (m *Module) get(t *server.Turn, q *server.Query) (stanza.Payload, error) {
	b, err := m.book(context.Background(), q.User)
	if err != nil {
		return nil, err
	}
	if t.Origin != nil {
		m.asked.Set(t.Origin, &struct{}{})
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	answer := &roster.Query{Ver: strconv.FormatInt(b.version, 10), Versioned: true}
	for _, it := range b.items {
		if !it.Hidden {
			answer.Items = append(answer.Items, wire(it))
		}
	}
	return answer, nil
}

// set adds, changes or removes one contact (RFC 6121 §2.3 to §2.5).
func (m *Module) set(t *server.Turn, q *server.Query) (stanza.Payload, error) {
	var ask roster.Query
	if _, err := q.Decode(&ask); err != nil {
		return nil, err
	}
	c := m.config.Load()
	item, err := ask.Change(roster.Limits{Name: c.NameBytes, Group: c.NameBytes, Groups: c.Groups})
	if err != nil {
		return nil, err
	}
	b, err := m.book(context.Background(), q.User)
	if err != nil {
		return nil, err
	}
	contact := item.JID.Bare()
	if item.Subscription == roster.Remove {
		return m.remove(t, q, b, contact)
	}
	p, err := m.update(q.User, b, contact, true, func(it *store.RosterItem) bool {
		it.Hidden = false
		it.Name, it.Groups = item.Name, item.Groups
		return true
	})
	if err != nil {
		return nil, err
	}
	return q.After(t, p, func(*server.Turn) (stanza.Payload, error) { return nil, nil })
}

// remove deletes a contact and the subscriptions both ways (RFC 6121 §2.5.2).
func (m *Module) remove(t *server.Turn, q *server.Query, b *book, contact jid.JID) (stanza.Payload, error) {
	var was store.RosterItem
	p, err := m.update(q.User, b, contact, true, func(it *store.RosterItem) bool {
		was = *it
		*it = store.RosterItem{Contact: contact, Hidden: true}
		return !was.Hidden
	})
	if err != nil {
		return nil, err
	}
	if p == nil {
		return nil, stanza.ItemNotFound.Err("") // §2.5.3
	}
	account := q.User.JID
	return q.After(t, p, func(t *server.Turn) (stanza.Payload, error) {
		cancel(t, account, was)
		if m.lost != nil && was.Subscription&store.SubscriptionFrom != 0 {
			m.lost(t, account, contact)
		}
		return nil, nil
	})
}

// cancel ends the subscriptions between an account and a contact, both ways.
func cancel(t *server.Turn, account jid.JID, it store.RosterItem) {
	if it.Subscription&store.SubscriptionTo != 0 || it.Ask {
		t.Route(subscription(stanza.Unsubscribe, account, it.Contact))
	}
	if it.Subscription&store.SubscriptionFrom != 0 || it.In != nil {
		t.Route(subscription(stanza.Unsubscribed, account, it.Contact))
	}
}

// deleted cancels the subscriptions of an account that is gone (XEP-0077 §3.2).
func (m *Module) deleted(t *server.Turn, u *server.User) {
	for _, it := range m.Each(u) {
		cancel(t, u.JID, it)
	}
}

func subscription(typ stanza.Type, from, to jid.JID) *stanza.Stanza {
	s := stanza.New(stanza.Presence, typ, to)
	s.From = from
	return s
}
