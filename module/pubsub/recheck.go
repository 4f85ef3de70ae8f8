// SPDX-License-Identifier: Apache-2.0

package pubsub

import (
	"context"
	"errors"
	"slices"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/pubsub"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// Recheck ends the subscriptions of a contact to nodes of an account that it may not have any more, because the account's
// roster has changed (XEP-0163 §7.1). Nothing is sent to it meanwhile: that is looked at with each event. It waits for the
// store.
func (m *Module) Recheck(ctx context.Context, owner, contact jid.JID) error {
	var errs []error
	for after := ""; ; {
		page, err := m.store.Memberships(ctx, owner, contact, after, 0)
		if err != nil || len(page) == 0 {
			return errors.Join(append(errs, err)...)
		}
		for _, x := range page {
			after = x.Node
			if len(x.Subscriptions) > 0 {
				errs = append(errs, m.recheck(ctx, store.NodeName{JID: owner, Node: x.Node}, contact))
			}
		}
	}
}

// RecheckAll is Recheck of everybody who is subscribed.
func (m *Module) RecheckAll(ctx context.Context, owner jid.JID) error {
	var errs []error
	for after := ""; ; {
		page, err := m.store.Nodes(ctx, owner, after, 0)
		if err != nil || len(page) == 0 {
			return errors.Join(append(errs, err)...)
		}
		for i := range page {
			after = page[i].Name.Node
			errs = append(errs, m.recheck(ctx, page[i].Name))
		}
	}
}

// recheck looks at one node, for those addresses, or where there are none for everybody.
func (m *Module) recheck(ctx context.Context, name store.NodeName, who ...jid.JID) error {
	n, release, err := m.hold(ctx, name, true)
	if err != nil {
		return err
	}
	defer release()
	if n.there() != nil {
		return nil
	}
	n.mu.Lock()
	access := n.config.Access
	if len(who) == 0 {
		who = n.subscribed()
	}
	n.mu.Unlock()
	if access != pubsub.AccessPresence && access != pubsub.AccessRoster && !m.decided(name.JID) {
		return nil
	}
	var ended []jid.JID
	for _, j := range who {
		s := n.standingOf(j)
		if err = m.access(ctx, &s); err == nil {
			continue
		}
		if e, refused := stanza.AsError(err); !refused || e.Type == stanza.Wait {
			break // what he may cannot be said now
		}
		err = nil
		n.mu.Lock()
		for _, sub := range n.of(j) {
			n.remove(sub.jid)
			ended = append(ended, sub.jid)
		}
		n.mu.Unlock()
	}
	for some := range slices.Chunk(ended, store.MaxCallOps) {
		m.unsubscribed(ctx, n, some)
	}
	return err
}

// unsubscribed stores and tells the end of subscriptions that are not in memory any more. n.work is held.
func (m *Module) unsubscribed(ctx context.Context, n *node, who []jid.JID) {
	ops := make([]store.Op, len(who))
	for i, j := range who {
		ops[i] = store.DeleteSubscription{Name: n.name, JID: j}
	}
	r := &request{Module: m, ctx: ctx, at: n.name.JID}
	r.countSubscriptions(-len(who))
	m.runAfter(n, m.commit(n, func(t *server.Turn) {
		for _, j := range who {
			m.tellOne(t, n, j, m.told(n, j, pubsub.StateNone))
		}
	}, ops...))
}
