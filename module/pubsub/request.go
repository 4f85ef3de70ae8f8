// SPDX-License-Identifier: Apache-2.0

package pubsub

import (
	"context"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/pubsub"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// request is one being handled, on a worker.
type request struct {
	*Module
	ctx  context.Context
	t    *server.Turn
	q    *server.Query
	at   jid.JID // whose nodes
	from jid.JID
	bare jid.JID // of from
	get  bool
	page *pubsub.Request // what was asked, by everybody

	quick bool // it may not wait
}

// serve handles a request of either namespace to the nodes of an address.
func (m *Module) serve(t *server.Turn, q *server.Query, at jid.JID) (stanza.Payload, error) {
	r := &request{
		Module: m, ctx: context.Background(), t: t, q: q, at: at,
		from: q.From.Clone(), bare: q.From.Bare().Clone(), get: q.Type == stanza.Get,
	}
	var owner pubsub.OwnerRequest
	switch found, err := q.Decode(&owner); {
	case err != nil:
		return nil, err
	case found:
		return r.owner(&owner)
	}
	r.page = new(pubsub.Request)
	if _, err := q.Decode(r.page); err != nil {
		return nil, err
	}
	return r.everybody(r.page)
}

// everybody handles what anybody may ask. Options come last: they stand beside others.
func (r *request) everybody(x *pubsub.Request) (stanza.Payload, error) {
	if err := r.undecided(r.ctx, r.at, r.bare); err != nil {
		return nil, err
	}
	switch {
	case r.get && x.Items != nil:
		return r.items(x.Items, x.Page)
	case r.get && x.Subscriptions != nil:
		return r.subscriptions(x.Subscriptions)
	case r.get && x.Affiliations != nil:
		return r.affiliations(x.Affiliations)
	case r.get && x.Options != nil:
		return r.options(x.Options)
	case r.get && x.Default != nil:
		return r.defaultOptions(x.Default)
	case r.get:
	case x.Publish != nil:
		return r.publish(x.Publish, x.PublishOptions)
	case x.Retract != nil:
		return r.retract(x.Retract)
	case x.Subscribe != nil:
		return r.subscribe(x.Subscribe, x.Options)
	case x.Unsubscribe != nil:
		return r.unsubscribe(x.Unsubscribe)
	case x.Create != nil:
		return r.create(x.Create)
	case x.Options != nil:
		return r.setOptions(x.Options)
	}
	return nil, stanza.BadRequest.Err("there is nothing of publish-subscribe to be done")
}

// owner handles what owners ask.
func (r *request) owner(x *pubsub.OwnerRequest) (stanza.Payload, error) {
	switch {
	case x.Configure != nil && r.get:
		return r.configuration(x.Configure.Node)
	case x.Configure != nil:
		return r.configure(x.Configure)
	case x.Default != nil && r.get:
		return &pubsub.OwnerRequest{Default: &pubsub.NodeForm{Form: r.newConfig().Form("form")}}, nil
	case x.Subscriptions != nil && r.get:
		return r.subscribers(x.Subscriptions.Node)
	case x.Subscriptions != nil:
		return r.setSubscribers(x.Subscriptions)
	case x.Affiliations != nil && r.get:
		return r.affiliated(x.Affiliations.Node)
	case x.Affiliations != nil:
		return r.setAffiliations(x.Affiliations)
	case x.Delete != nil && !r.get:
		return r.delete(x.Delete)
	case x.Purge != nil && !r.get:
		return r.purge(x.Purge.Node)
	}
	return nil, stanza.BadRequest.Err("there is nothing that owners of nodes do")
}

// newConfig is what a new node gets.
func (r *request) newConfig() *pubsub.Config { return defaultsOf(r.at) }

// hold returns the node of that name, loaded, and what to call when done. With change, nobody else changes it until then
// (N1). A node that does not exist is returned too.
func (m *Module) hold(ctx context.Context, name store.NodeName, change bool) (n *node, release func(), err error) {
	for {
		n = m.nodes.hold(name)
		n.work.Lock()
		m.nodes.mu.Lock()
		again := n.dropped
		m.nodes.mu.Unlock()
		if !again {
			break
		}
		n.work.Unlock()
		m.nodes.let(n)
	}
	if err := m.load(ctx, n); err != nil {
		n.work.Unlock()
		m.nodes.drop(n)
		m.nodes.let(n)
		return nil, nil, err
	}
	if !change {
		n.work.Unlock()
		return n, func() { m.nodes.let(n) }, nil
	}
	return n, func() { n.work.Unlock(); m.nodes.let(n) }, nil
}

// look finds a node that exists, to read it; change, to change it. The caller releases it.
func (r *request) look(node string, change bool) (*node, func(), error) {
	if node == "" {
		return nil, nil, pubsub.Err(stanza.BadRequest, pubsub.NodeIDRequired, "")
	}
	n, release, err := r.hold(r.ctx, store.NodeName{JID: r.at, Node: node}, change)
	if err != nil {
		return nil, nil, err
	}
	if err := n.there(); err != nil {
		release()
		return nil, nil, err
	}
	return n, release, nil
}

// there says that there is no such node, or where it is now (§6.1.3.11).
func (n *node) there() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case n.exists:
		return nil
	case n.moved != "":
		e := stanza.Gone.Err("")
		e.URI = n.moved
		return e
	}
	return stanza.ItemNotFound.Err("")
}

// standingOf is what a bare address is to n now.
func (n *node) standingOf(bare jid.JID) standing {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.exists { // it went while nobody held n.work
		return standing{who: bare, at: n.name, config: &pubsub.Config{Access: pubsub.AccessWhitelist}}
	}
	return n.standing(bare)
}

// after answers with p when a change is stored; what the node has to send is queued before the answer leaves (running).
func (r *request) after(n *node, commit *store.Pending, p stanza.Payload) (stanza.Payload, error) {
	return r.q.Following(r.t, commit, func(t *server.Turn) (stanza.Payload, error) {
		t.Later(running{n})
		return p, nil
	})
}

// limited counts and returns an error of a bound.
func (m *Module) limited(e *stanza.Error) error {
	m.metrics.limited.Inc()
	return e
}
