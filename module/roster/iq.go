// SPDX-License-Identifier: Apache-2.0

package roster

import (
	"cmp"
	"context"
	"slices"
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
	var ask roster.Query
	if _, err := q.Decode(&ask); err != nil {
		return nil, err
	}
	b, err := m.book(context.Background(), q.User)
	if err != nil {
		return nil, err
	}
	for {
		b.mu.Lock()
		pending, failed := b.state()
		if !pending && !failed {
			defer b.mu.Unlock() // until the answer is on its way: pushes come behind it
			return nil, m.answer(t, q, b, &ask)
		}
		b.mu.Unlock()
		if pending {
			err = m.store.Commit().Wait(context.Background()) // behind the changes under way
		} else {
			err = m.restore(q.User, b)
		}
		if err != nil {
			return nil, err
		}
	}
}

// answer sends the roster or, to a client that has an older version of it, the changes since then as
// pushes (RFC 6121 §2.6.3), unless these would be longer. The caller holds the book, which has no
// changes under way.
func (m *Module) answer(t *server.Turn, q *server.Query, b *book, ask *roster.Query) error {
	if t.Origin != nil {
		m.asked.Set(t.Origin, &struct{}{})
	}
	stored := b.committed()
	since, err := strconv.ParseInt(ask.Ver, 10, 64)
	known := t.Origin != nil && ask.Versioned && err == nil && b.removed <= since && since <= stored
	whole := &roster.Query{Ver: version(stored), Versioned: true}
	var changed []store.RosterItem
	for _, it := range b.items {
		if it.Hidden {
			continue
		}
		whole.Items = append(whole.Items, wire(it))
		if it.Version > since {
			changed = append(changed, it)
		}
	}
	if !known || 2*len(changed) > len(whole.Items) {
		return q.Answer(t, whole)
	}
	later := q.Answer(t, nil)
	slices.SortFunc(changed, func(a, b store.RosterItem) int { return cmp.Compare(a.Version, b.Version) })
	for _, it := range changed {
		tell(t, t.Origin, it)
	}
	return later
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
	sub, gained := subscribed(q, contact, &ask), false
	p, err := m.update(q.User, b, contact, told, func(it *store.RosterItem) bool {
		it.Hidden = false
		it.Name, it.Groups = item.Name, item.Groups
		if sub != 0 {
			gained = sub&^it.Subscription&store.SubscriptionFrom != 0
			it.Subscription = sub
			it.Ask = it.Ask && sub&store.SubscriptionTo == 0
			if sub&store.SubscriptionFrom != 0 {
				it.In = nil
			}
		}
		return true
	})
	if err != nil {
		return nil, err
	}
	u := q.User
	return q.After(t, p, func(t *server.Turn) (stanza.Payload, error) {
		if gained && m.gained != nil {
			m.gained(t, u, contact)
		}
		return nil, nil
	})
}

// remove deletes a contact and the subscriptions both ways (RFC 6121 §2.5.2).
func (m *Module) remove(t *server.Turn, q *server.Query, b *book, contact jid.JID) (stanza.Payload, error) {
	b.asking.Lock()
	defer b.asking.Unlock()
	var was store.RosterItem
	p, err := m.update(q.User, b, contact, told, func(it *store.RosterItem) bool {
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
	// The contact's side is changed, and stored, before the answer: an answer promises both.
	done := make(chan error, 1)
	p.OnDone(func(err error) { done <- err }) // behind the push, which was asked for first
	if <-done == nil {
		if m.lost != nil && was.Subscription&store.SubscriptionFrom != 0 {
			m.lost(t, q.User.JID, contact) // before "unsubscribed", while the contact still listens
		}
		cancel(t, q.User.JID, was)
	}
	return q.After(t, p, func(*server.Turn) (stanza.Payload, error) { return nil, nil })
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

// deleted cancels the subscriptions of an account that is gone (XEP-0077 §3.2). It is in nobody's groups any more, and approved by
// nobody: who gets its address later must not have what that allowed. In rosters that are not in use that ended when it was deleted;
// one that is being read is read again (deletions).
func (m *Module) deleted(t *server.Turn, u *server.User) {
	m.deletions.Add(1)
	for _, it := range m.Each(u) {
		cancel(t, u.JID, it)
	}
	m.server.Each(func(other *server.User) { m.parted(other.JID, u.JID) })
}

// parted takes an account that is gone out of the groups of another that is in use, and what that has approved back.
func (m *Module) parted(account, gone jid.JID) {
	u, release, ok := m.server.Lookup(account)
	if !ok {
		return
	}
	defer release()
	b := m.books.Of(u)
	if b == nil || account == gone {
		return
	}
	_, err := m.update(u, b, gone, ended, func(it *store.RosterItem) bool {
		had := len(it.Groups) > 0 || it.Approved
		it.Groups, it.Approved = nil, false
		return had
	})
	if err != nil {
		m.log.Error("a deleted account is somebody to others still", "jid", account.String(), "peer", gone.String(), "err", err)
	}
}

func subscription(typ stanza.Type, from, to jid.JID) *stanza.Stanza {
	s := stanza.New(stanza.Presence, typ, to)
	s.From = from
	return s
}
