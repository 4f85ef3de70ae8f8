// SPDX-License-Identifier: Apache-2.0

package pubsub

// How to read this file: what other modules of this server use: the nodes of accounts (module pep), and nodes in process.
// All of it may wait for the store. Appeared is in appear.go.

import (
	"context"
	"slices"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/pubsub"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// Options say how a node that Publish makes is to be.
type Options struct {
	// Configure changes the defaults of the address; nil: nothing.
	Configure func(*pubsub.Config)
}

// Account answers a request to the nodes of an account, from whomever. Its handler is Blocking.
func (m *Module) Account(t *server.Turn, q *server.Query) (stanza.Payload, error) {
	return m.serve(t, q, q.User.JID)
}

// Items returns the newest items of a node, at most max, the oldest of them first; none where there is no such node.
func (m *Module) Items(ctx context.Context, owner jid.JID, node string, max int) ([]store.Item, error) {
	n, release, err := m.hold(ctx, store.NodeName{JID: owner, Node: node}, false)
	if err != nil {
		return nil, err
	}
	defer release()
	if err := n.settle(ctx); err != nil {
		return nil, err
	}
	list, err := m.store.Items(ctx, n.name, store.ItemQuery{Newest: true, Limit: max})
	slices.Reverse(list)
	return list, err
}

// Private reports whether only the owner sees what is at a node, or there is no such node. It may wait.
func (m *Module) Private(ctx context.Context, owner jid.JID, node string) (bool, error) {
	n, release, err := m.hold(ctx, store.NodeName{JID: owner, Node: node}, false)
	if err != nil {
		return false, err
	}
	defer release()
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.exists {
		return true, nil
	}
	for who, affiliation := range n.affiliations {
		if who != owner && affiliation != store.AffiliationOutcast {
			return false, nil
		}
	}
	return n.config.Access == pubsub.AccessWhitelist, nil
}

// Publish publishes an item of the owner's, as its client would; the node is made where it is missing. Subscribers are
// told when the Pending is done.
func (m *Module) Publish(t *server.Turn, owner jid.JID, node string, item store.Item, o Options) *store.Pending {
	ctx := context.Background()
	r := &request{Module: m, ctx: ctx, t: t, at: owner, bare: owner.Bare(), from: owner}
	n, release, err := m.hold(ctx, store.NodeName{JID: owner, Node: node}, true)
	if err != nil {
		return store.Resolved(err)
	}
	defer release()
	var ops []store.Op
	if n.there() != nil {
		c := r.newConfig()
		if o.Configure != nil {
			o.Configure(c)
		}
		if ops, err = r.make(n, c, owner.Bare()); err != nil {
			return store.Resolved(err)
		}
	}
	if item.ID == "" {
		item.ID = newID()
	}
	if item.Publisher.IsZero() {
		item.Publisher = owner.Bare()
	}
	items := []store.Item{item}
	var p *store.Pending
	paid, err := r.charge(n, ops, items)
	if err == nil {
		if p, err = m.put(ctx, t, n, ops, items); err != nil {
			paid.settled(false)
		}
	}
	switch {
	case err != nil:
		if ops != nil {
			m.unmake(n)
			r.count(-1)
		}
		return store.Resolved(err)
	case p == nil:
		t.Later(running{n})
		return store.Resolved(nil)
	}
	paid.follow(p)
	m.runAfter(n, p)
	return p
}

// Retract removes an item of a node, if both are there.
func (m *Module) Retract(t *server.Turn, owner jid.JID, node string, id string, notify bool) *store.Pending {
	ctx := context.Background()
	n, release, err := m.hold(ctx, store.NodeName{JID: owner, Node: node}, true)
	if err != nil {
		return store.Resolved(err)
	}
	defer release()
	if n.there() != nil {
		return store.Resolved(nil)
	}
	if err := n.settle(ctx); err != nil {
		return store.Resolved(err)
	}
	list, err := m.store.Items(ctx, n.name, store.ItemQuery{IDs: []string{id}, Bare: true})
	if err != nil || len(list) == 0 {
		return store.Resolved(err)
	}
	p, err := m.remove(ctx, n, []string{id}, notify)
	if err != nil {
		return store.Resolved(err)
	}
	m.runAfter(n, p)
	return p
}
