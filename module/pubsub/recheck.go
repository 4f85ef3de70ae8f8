// SPDX-License-Identifier: Apache-2.0

package pubsub

import (
	"context"
	"errors"

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

func (m *Module) recheck(ctx context.Context, name store.NodeName, contact jid.JID) error {
	n, release, err := m.hold(ctx, name, true)
	if err != nil {
		return err
	}
	defer release()
	if n.there() != nil {
		return nil
	}
	s := n.standingOf(contact)
	if s.config.Access != pubsub.AccessPresence && s.config.Access != pubsub.AccessRoster && !m.decided(name.JID) {
		return nil
	}
	err = m.access(ctx, &s)
	if err == nil {
		return nil
	}
	if _, refused := stanza.AsError(err); !refused {
		return err
	}
	n.mu.Lock()
	ended := n.of(contact)
	var ops []store.Op
	for _, sub := range ended {
		n.remove(sub.jid)
		ops = append(ops, store.DeleteSubscription{Name: name, JID: sub.jid})
	}
	n.mu.Unlock()
	r := &request{Module: m, ctx: ctx, at: name.JID}
	r.countSubscriptions(-len(ended))
	m.runAfter(n, m.commit(n, func(t *server.Turn) {
		for _, sub := range ended {
			m.tellOne(t, n, sub.jid, m.told(n, sub.jid, pubsub.StateNone))
		}
	}, ops...))
	return nil
}
