// SPDX-License-Identifier: Apache-2.0

package pep

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// Sees reports whether the viewer sees the owner's presence: then he may see what nodes of access
// model presence have. It may wait for the store.
func (m *Module) Sees(ctx context.Context, owner, viewer jid.JID) (bool, error) {
	if viewer.Bare() == owner {
		return true, nil
	}
	if u, release, ok := m.server.Lookup(owner); ok {
		defer release()
		it, err := m.roster.Item(u, viewer.Bare())
		return it.Subscription&store.SubscriptionFrom != 0, err
	}
	if sees, known, err := m.seenBy(ctx, owner, viewer.Bare()); known || err != nil {
		return sees, err
	}
	it, err := m.contact(ctx, owner, viewer.Bare())
	return it.Subscription&store.SubscriptionFrom != 0, err
}

// Groups are the groups of the owner's roster that the viewer is in, for access model roster. It may
// wait for the store.
func (m *Module) Groups(ctx context.Context, owner, viewer jid.JID) ([]string, error) {
	it, err := m.contact(ctx, owner, viewer.Bare())
	return it.Groups, err
}

// contact is an item of the owner's roster, its zero value where there is none. While the account is in
// use, module roster has what counts; while not, no change is under way (U1 of package server), and
// it is what is stored.
func (m *Module) contact(ctx context.Context, owner, contact jid.JID) (store.RosterItem, error) {
	if u, release, ok := m.server.Lookup(owner); ok {
		defer release()
		return m.roster.Item(u, contact)
	}
	it, err := m.store.RosterItem(ctx, owner, contact)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return store.RosterItem{}, nil
	case err != nil:
		return store.RosterItem{}, fmt.Errorf("pep: contact of %s: %w", owner, err)
	}
	return it, nil
}

// viewers appends who sees the owner's presence.
func (m *Module) viewers(dst []jid.JID, owner jid.JID) ([]jid.JID, error) {
	if u, release, ok := m.server.Lookup(owner); ok {
		defer release()
		return m.roster.Contacts(u, dst, store.SubscriptionFrom)
	}
	r, err := m.store.Roster(context.Background(), owner)
	if err != nil {
		return dst, fmt.Errorf("pep: contacts of %s: %w", owner, err)
	}
	for _, it := range r.Items {
		if it.Subscription&store.SubscriptionFrom != 0 {
			dst = append(dst, it.Contact)
		}
	}
	return dst, nil
}

// Interested appends the full addresses of available clients that ask for a node of the owner: his
// own, and those of contacts that see his presence (XEP-0163 §4.1, §4.2). A contact at another server
// must also share its own, or nothing is known of its clients. Clients that have asked since that Moment are left out: they are
// sent the last item. It may wait for the store where the owner is not online.
func (m *Module) Interested(dst []jid.JID, owner jid.JID, node string, moment uint64) []jid.JID {
	dst = m.interestedAt(dst, owner, node, moment)
	contacts, err := m.viewers(nil, owner)
	if err != nil {
		m.log.Error("contacts not read, and not told of what was published", "jid", owner.String(), "err", err)
	}
	for _, contact := range contacts {
		if m.server.Serves(contact.Domain()) {
			dst = m.interestedAt(dst, contact, node, moment)
		} else {
			dst = m.others.interested(dst, owner, contact, node, moment)
		}
	}
	return dst
}

// interestedAt appends the sessions of an account of ours.
func (m *Module) interestedAt(dst []jid.JID, account jid.JID, node string, moment uint64) []jid.JID {
	u, release, ok := m.server.Lookup(account)
	if !ok {
		return dst
	}
	defer release()
	for _, se := range u.Sessions(nil) {
		if m.clients.Of(se).wanted(node, moment) {
			dst = append(dst, se.JID)
		}
	}
	return dst
}

// changed follows a change of a contact: who sees somebody's presence from now on is told what that one
// has published last, once (XEP-0163 §4.3.4). Who has lost it, or a group, loses his subscriptions (§7.1); news
// are not sent to him any more before that, since who may see a node is looked up whenever something is sent.
func (m *Module) changed(u *server.User, was, is store.RosterItem) {
	if (was.Subscription^is.Subscription)&store.SubscriptionFrom != 0 {
		m.sights.forget(is.Contact)
	}
	if was.Subscription&^is.Subscription&store.SubscriptionFrom != 0 || !slices.Equal(was.Groups, is.Groups) {
		if !m.coming.lose(pair{u.JID, is.Contact}, m.config.Load().Rechecks) {
			m.metrics.rechecks.Inc()
		}
	}
	gained := is.Subscription &^ was.Subscription
	switch ours := m.server.Serves(is.Contact.Domain()); {
	case ours && gained&store.SubscriptionTo != 0:
		for _, se := range u.Sessions(nil) {
			m.comeTo(m.clients.Of(se), is.Contact)
		}
	case !ours && gained&store.SubscriptionFrom != 0:
		for _, x := range m.others.of(u.JID, is.Contact) {
			m.comeTo(x, u.JID)
		}
	case !ours && is.Subscription == store.SubscriptionNone:
		m.others.forget(u.JID, is.Contact)
	}
}

// arriving sees the presence of contacts that are no accounts of ours.
func (m *Module) arriving(t *server.Turn, u *server.User, s *stanza.Stanza) error {
	if s.Kind != stanza.Presence || s.From.IsZero() || m.server.Serves(s.From.Domain()) || u.Guest() {
		return nil
	}
	switch s.Type {
	case stanza.Unavailable, stanza.TypeError:
		m.others.leave(u.JID, s.From)
		return nil
	case stanza.Available:
	default:
		return nil
	}
	c := announced(s)
	if c == nil && m.others.get(u.JID, s.From) == nil {
		return nil // a client that asks for nothing
	}
	it, err := m.roster.Item(u, s.From.Bare()) // at hand, or this is a worker
	if err != nil || it.Subscription == store.SubscriptionNone {
		return err
	}
	limits := m.config.Load()
	x, isNew := m.others.join(u.JID.Clone(), s.From.Clone(), limits.Resources, limits.Elsewhere)
	if x == nil {
		m.metrics.forgotten.Inc()
		return nil
	}
	m.says(t, x, isNew, c)
	return nil
}
