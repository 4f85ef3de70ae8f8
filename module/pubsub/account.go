// SPDX-License-Identifier: Apache-2.0

package pubsub

// How to read this file: what other modules of this server use: the nodes of accounts (module pep), and nodes in process.
// All of it may wait for the store, but for Appeared.

import (
	"context"
	"slices"
	"sync"

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
	made := ops != nil
	p, err := m.put(ctx, t, n, ops, []store.Item{item})
	switch {
	case err != nil && made:
		n.unmake()
		r.count(-1)
		return store.Resolved(err)
	case err != nil:
		return store.Resolved(err)
	case p == nil:
		t.Later(running{n})
		return store.Resolved(nil)
	}
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

// Appeared sends the last items of owner's nodes that are sent with presence to a resource that has just become
// available, as far as it may see them. wants says for which nodes its client asks, and is called on another goroutine. It
// returns at once; when too many wait, the latest are passed over.
func (m *Module) Appeared(owner, to jid.JID, wants func(node string) bool) {
	a := &m.arrivals
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.list) >= maxArrivals {
		m.metrics.limited.Inc()
		return
	}
	a.list = append(a.list, arrival{owner.Bare().Clone(), to.Clone(), wants})
	if !a.running {
		a.running = true
		go m.greet()
	}
}

// maxArrivals is how many resources wait for last items.
const maxArrivals = 200_000

// arrivals are the resources that wait for last items, and those who send them: one goroutine.
type arrivals struct {
	mu      sync.Mutex
	list    []arrival
	running bool
}

type arrival struct {
	owner, to jid.JID
	wants     func(node string) bool
}

func (m *Module) greet() {
	a := &m.arrivals
	for {
		a.mu.Lock()
		list := a.list
		a.list = nil
		if len(list) == 0 {
			a.running = false
			a.mu.Unlock()
			return
		}
		a.mu.Unlock()
		for _, x := range list {
			if err := m.sendLast(context.Background(), x); err != nil {
				m.log.Error("last items not sent", "jid", x.owner.String(), "err", err)
			}
		}
	}
}

// sendLast sends the last items of an account's nodes. Of accounts without nodes, which are most, it knows that by heart.
func (m *Module) sendLast(ctx context.Context, x arrival) error {
	names, err := m.names(ctx, x.owner)
	if err != nil {
		return err
	}
	for _, name := range names {
		if !x.wants(name) {
			continue
		}
		if err := m.sendLastOf(ctx, store.NodeName{JID: x.owner, Node: name}, x.to); err != nil {
			return err
		}
	}
	return nil
}

func (m *Module) sendLastOf(ctx context.Context, name store.NodeName, to jid.JID) error {
	n, release, err := m.hold(ctx, name, false)
	if err != nil {
		return err
	}
	defer release()
	if n.there() != nil {
		return nil
	}
	s := n.standingOf(to.Bare())
	if s.config.SendLast != pubsub.SendOnPresence || !m.mayHear(ctx, &s) {
		return nil
	}
	t := m.server.NewTurn()
	n.mu.Lock()
	if n.exists {
		if msg := m.lastItem(n); msg != nil {
			m.tellOne(t, n, to, msg)
		}
	}
	n.mu.Unlock()
	n.out.Run(t)
	t.End()
	return nil
}

// names are those of an account's nodes, which are remembered until one is made or deleted.
func (m *Module) names(ctx context.Context, owner jid.JID) ([]string, error) {
	size, err := m.sizeOf(ctx, owner)
	if err != nil || size.nodes.Load() == 0 {
		return nil, err
	}
	if known := size.names.Load(); known != nil {
		return *known, nil
	}
	changes := size.changes.Load()
	var names []string
	for {
		after := ""
		if len(names) > 0 {
			after = names[len(names)-1]
		}
		page, err := m.store.Nodes(ctx, owner, after, 0)
		if err != nil {
			return nil, err
		}
		if len(page) == 0 {
			break
		}
		for _, x := range page {
			names = append(names, x.Name.Node)
		}
	}
	size.names.Store(&names)
	if size.changes.Load() != changes { // one was made meanwhile
		size.names.Store(nil)
	}
	return names, nil
}
