// SPDX-License-Identifier: Apache-2.0

package pubsub

// How to read this file: most of what is published goes to a node of the service that is in memory, and nothing has to be
// read for it. Such a publication is answered where it was read, without a worker: then what a publisher sends in one
// go is told together, and its receivers are written to once.

import (
	"context"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/pubsub"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// quick answers a publication to a node of the service, or leaves the request to serve.
func (m *Module) quick(t *server.Turn, q *server.Query) (stanza.Payload, error) {
	at := q.To.Bare().Clone()
	x := new(pubsub.Request)
	if _, err := q.Decode(x); err != nil || x.Publish == nil {
		return nil, server.ErrWaits
	}
	n, release := m.nodes.grasp(store.NodeName{JID: at, Node: x.Publish.Node})
	if n == nil {
		return nil, server.ErrWaits
	}
	defer release()
	r := &request{Module: m, ctx: context.Background(), t: t, q: q, at: at, from: q.From.Clone(), bare: q.From.Bare().Clone(), page: x, quick: true}
	if !r.reads(n, len(x.Publish.Items)) {
		return r.publishTo(n, x.Publish, x.PublishOptions)
	}
	return nil, server.ErrWaits
}

// grasp is hold for who cannot wait: nil where the node is not in memory, or somebody changes it now.
func (t *table) grasp(name store.NodeName) (n *node, release func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n = t.by[name]; n == nil || !n.work.TryLock() {
		return nil, nil
	}
	t.use(n)
	return n, func() { n.work.Unlock(); t.let(n) }
}

// reads reports whether something may have to be read, or gone through, to publish so many items. n.work is held.
func (r *request) reads(n *node, items int) bool {
	n.mu.Lock()
	there := n.loaded && n.exists && !n.stale && n.orphan != orphanUnread
	listed := n.list != nil || len(n.subscriptions) <= quickList
	n.mu.Unlock()
	if !there || !listed {
		return true
	}
	s := n.standingOf(r.bare)
	c := s.config
	n.mu.Lock()
	n.subscribers()
	asks := n.special || c.PresenceBased || c.Access == pubsub.AccessPresence || c.Access == pubsub.AccessRoster
	n.mu.Unlock()
	if asks {
		return true
	}
	return c.Persist && (s.affiliation < store.AffiliationPublisher || !r.roomy(n, c, max(items, 1)))
}

// quickList is how many subscriptions are listed anew where nothing may take long.
const quickList = 500
