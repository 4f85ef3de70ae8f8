// SPDX-License-Identifier: Apache-2.0

package pubsub

// How to read this file: making a node, its configuration, and its end, in this order. What owners
// do about others is in members.go.

import (
	"time"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/form"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/pubsub"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// create handles §8.1.
func (r *request) create(x *pubsub.NodeForm) (stanza.Payload, error) {
	if r.at.IsDomain() {
		if err := r.mayCreate(r.bare); err != nil {
			return nil, err
		}
	} else if r.at != r.bare {
		return nil, stanza.Forbidden.Err("")
	}
	c, name := r.newConfig(), x.Node
	if name == "" {
		name = newID()
	}
	if x.Form != nil {
		if err := r.submitted(c, x.Form); err != nil {
			return nil, err
		}
	}
	n, release, err := r.hold(r.ctx, store.NodeName{JID: r.at, Node: name}, true)
	if err != nil {
		return nil, err
	}
	defer release()
	n.mu.Lock()
	exists := n.exists
	n.mu.Unlock()
	if exists {
		return nil, stanza.Conflict.Err("there is a node of that name")
	}
	ops, err := r.make(n, c, r.bare)
	if err != nil {
		return nil, err
	}
	paid, err := r.charge(n, ops, nil)
	if err != nil {
		r.unmake(n)
		r.count(-1)
		return nil, err
	}
	p := r.commit(n, nil, ops...)
	paid.follow(p)
	return r.after(n, p, &pubsub.Request{Create: &pubsub.NodeForm{Node: name}})
}

// submitted applies a configuration that was sent.
func (r *request) submitted(c *pubsub.Config, f *form.Form) error {
	switch {
	case f.Type != form.Submit:
		return stanza.BadRequest.Err("the form is not submitted")
	case f.FormType() != "" && f.FormType() != pubsub.FormConfig:
		return stanza.NotAcceptable.Err("this is another form")
	}
	if err := c.Apply(f, false); err != nil {
		return err
	}
	return r.valid(c)
}

// valid says what of a configuration this service does not do.
func (m *Module) valid(c *pubsub.Config) error {
	limits := m.config.Load()
	switch {
	case c.MaxItems != pubsub.Max && c.MaxItems > limits.Items:
		return stanza.NotAcceptable.Err("a node keeps fewer items here; max is as many as may be")
	case c.MaxItems == 0:
		return stanza.NotAcceptable.Err("a node keeps at least one item; to keep none, do not persist them")
	case c.MaxPayload != pubsub.Max && c.MaxPayload > limits.ItemBytes:
		return stanza.NotAcceptable.Err("payloads are smaller here; max is as large as may be")
	}
	for _, s := range append([]string{c.Title, c.Description, c.Type, c.Language}, append(c.Contact, c.RosterGroups...)...) {
		if len(s) > maxText {
			return stanza.NotAcceptable.Err("a field of the configuration is too long")
		}
	}
	if len(c.Contact)+len(c.RosterGroups) > maxValues {
		return stanza.NotAcceptable.Err("a field of the configuration has too many values")
	}
	return m.reachable(c)
}

// Bounds of what a configuration says.
const (
	maxText   = 4096
	maxValues = 100
)

// make makes the node in memory; the operations store it. The caller commits them, or calls unmake and count(-1).
// n.work is held.
func (r *request) make(n *node, c *pubsub.Config, owner jid.JID) ([]store.Op, error) {
	if err := r.valid(c); err != nil {
		return nil, err
	}
	if len(n.name.Node) > maxID {
		return nil, stanza.NotAcceptable.Err("the name of the node is too long")
	}
	limits := r.config.Load()
	most := limits.Nodes
	if !r.at.IsDomain() {
		most = limits.NodesPerOwner
	} else {
		may, err := r.mayOwnMore(r.ctx, holding{r.at, owner}, limits.NodesPerOwner)
		if err != nil {
			return nil, err
		}
		if !may {
			return nil, r.limited(pubsub.Err(stanza.ResourceConstraint, pubsub.MaxNodesExceeded, "you have made as many nodes as one may"))
		}
	}
	may, err := r.mayHaveMore(r.ctx, r.at, nodesOf, most)
	if err != nil || !may {
		r.owned.change(holding{r.at, owner}, -1)
	}
	if err != nil {
		return nil, err
	}
	if !may {
		return nil, r.limited(pubsub.Err(stanza.ResourceConstraint, pubsub.MaxNodesExceeded, "there are as many nodes as there may be"))
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.exists, n.moved, n.created, n.creator, n.orphan, n.config = true, "", time.Now().UTC().Truncate(time.Microsecond), owner, 0, c
	n.affiliations = map[jid.JID]store.Affiliation{owner: store.AffiliationOwner}
	n.subscriptions, n.resources, n.list = make(map[jid.JID]*subscription), make(map[jid.JID]int), nil
	n.items, n.kept, n.last = 0, nil, nil
	r.presences.mark(n.name, c.PurgeOffline)
	r.names.making(n.name)
	return []store.Op{store.CreateNode{Node: n.stored(), Account: !r.at.IsDomain(), Owner: owner}}, nil
}

// unmake undoes make.
func (m *Module) unmake(n *node) {
	n.mu.Lock()
	n.exists = false
	m.disowned(n)
	n.mu.Unlock()
	m.names.stored(n.name)
}

// count counts nodes of the address.
func (r *request) count(nodes int64) {
	if size, err := r.sizeOf(r.ctx, r.at); err == nil {
		size.nodes.Add(nodes)
	}
}

// stored is what the store keeps of the node. n.mu is held.
func (n *node) stored() store.Node {
	x := store.Node{
		Name: n.name, Created: n.created, Creator: n.creator, Config: formatConfig(n.config),
		PurgeOffline: n.config.PurgeOffline,
	}
	if n.config.Expire > 0 {
		x.Expire = time.Duration(n.config.Expire) * time.Second
	}
	return x
}

// own finds a node of which whoever asks is an owner, to change it or to read it.
func (r *request) own(node string, change bool) (*node, func(), error) {
	n, release, err := r.look(node, change)
	if err != nil {
		return nil, nil, err
	}
	s := n.standingOf(r.bare)
	if err := s.mayOwn(); err != nil {
		release()
		return nil, nil, err
	}
	return n, release, nil
}

// configuration handles §8.2.1.
func (r *request) configuration(name string) (stanza.Payload, error) {
	n, release, err := r.own(name, false)
	if err != nil {
		return nil, err
	}
	defer release()
	n.mu.Lock()
	f := n.config.Form(form.Ask)
	n.mu.Unlock()
	return &pubsub.OwnerRequest{Configure: &pubsub.NodeForm{Node: name, Form: f}}, nil
}

// configure handles §8.2.4.
func (r *request) configure(x *pubsub.NodeForm) (stanza.Payload, error) {
	n, release, err := r.own(x.Node, true)
	if err != nil {
		return nil, err
	}
	defer release()
	switch {
	case x.Form == nil:
		return nil, stanza.BadRequest.Err("there is no form")
	case x.Form.Type == form.Cancel:
		return nil, nil
	}
	n.mu.Lock()
	was := *n.config
	n.mu.Unlock()
	next := was
	if err := r.submitted(&next, x.Form); err != nil {
		return nil, err
	}
	paid, err := r.chargeGrowth(n, int64(len(formatConfig(&next))-len(formatConfig(&was))))
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	n.config, n.kept = &next, nil
	node := n.stored()
	ended, ops := n.expel()
	n.mu.Unlock()
	r.presences.mark(n.name, next.PurgeOffline)
	who := r.receivers(r.ctx, n, anyMoment) // those who may hear of the node as it is now
	event := r.message(n, &next, &pubsub.Event{Configuration: &pubsub.NodeForm{Node: x.Node}})
	if next.DeliverPayloads {
		event = r.message(n, &next, &pubsub.Event{Configuration: &pubsub.NodeForm{Node: x.Node, Form: next.Form(form.Result)}})
	}
	keep := 0
	if next.Persist {
		keep = r.most(&next)
	}
	ops = append([]store.Op{store.SetNode{Node: node, Keep: keep}}, ops...)
	if !next.Persist && was.Persist {
		ops = append(ops, store.PurgeNode{Name: n.name})
		n.mu.Lock()
		n.items = 0
		n.mu.Unlock()
	}
	p := r.commit(n, func(t *server.Turn) {
		for _, s := range ended {
			r.tellOne(t, n, s.jid, r.told(n, s.jid, pubsub.StateNone))
		}
		if next.NotifyConfig {
			r.tell(t, n, who, event)
		}
	}, ops...)
	paid.follow(p)
	r.countSubscriptions(-len(ended))
	return r.after(n, p, nil)
}

// expel ends the subscriptions of those whom the access model shuts out now. Where it asks for presence or
// groups, that is looked at with each event. n.mu is held.
func (n *node) expel() (ended []*subscription, ops []store.Op) {
	for j, s := range n.subscriptions {
		st := standing{affiliation: n.affiliation(j.Bare()), config: n.config}
		if n.config.Access == pubsub.AccessWhitelist && !st.trusted() {
			ended = append(ended, s)
			ops = append(ops, store.DeleteSubscription{Name: n.name, JID: j})
		}
	}
	for _, s := range ended {
		n.remove(s.jid)
	}
	return ended, ops
}

// delete handles §8.4.
func (r *request) delete(x *pubsub.Delete) (stanza.Payload, error) {
	n, release, err := r.own(x.Node, true)
	if err != nil {
		return nil, err
	}
	defer release()
	if len(x.Redirect) > maxText {
		return nil, stanza.NotAcceptable.Err("the address of the other node is too long")
	}
	p := r.end(n, x.Redirect)
	return r.after(n, p, nil)
}

// end deletes a node. n.work is held.
func (r *request) end(n *node, moved string) *store.Pending {
	who := r.receivers(r.ctx, n, anyMoment)
	n.mu.Lock()
	c := n.config
	for _, s := range n.subscriptions {
		if s.pending {
			who.interested = append(who.interested, s.jid) // they hear of the end, too
		}
	}
	subscriptions := len(n.subscriptions)
	r.disowned(n)
	n.exists, n.moved, n.last, n.items = false, moved, nil, 0
	n.subscriptions, n.resources, n.list, n.affiliations = nil, nil, nil, nil
	n.mu.Unlock()
	r.presences.mark(n.name, false)
	event := r.message(n, c, &pubsub.Event{Delete: &pubsub.Delete{Node: n.name.Node, Redirect: moved}})
	r.countSubscriptions(-subscriptions)
	p := r.commit(n, func(t *server.Turn) {
		if c.NotifyDelete {
			r.tell(t, n, who, event)
		}
	}, store.DeleteNode{Name: n.name, Moved: moved})
	if r.archive != nil { // it may have been kept before
		r.archive.Forget(store.ArchiveName(n.name))
	}
	return p
}

// countSubscriptions counts those to nodes of the address.
func (r *request) countSubscriptions(n int) {
	if n == 0 {
		return
	}
	if size, err := r.sizeOf(r.ctx, r.at); err == nil {
		size.subscriptions.Add(int64(n))
	}
}

// purge handles §8.5.
func (r *request) purge(name string) (stanza.Payload, error) {
	n, release, err := r.own(name, true)
	if err != nil {
		return nil, err
	}
	defer release()
	p, err := r.empty(n)
	if err != nil {
		return nil, err
	}
	return r.after(n, p, nil)
}

// empty removes all items of a node. n.work is held.
func (r *request) empty(n *node) (*store.Pending, error) {
	n.mu.Lock()
	c := n.config
	n.mu.Unlock()
	if !c.Persist {
		return nil, pubsub.ErrUnsupported("persistent-items")
	}
	who := r.receivers(r.ctx, n, anyMoment)
	event := r.message(n, c, &pubsub.Event{Purge: &pubsub.Node{Node: n.name.Node}})
	n.mu.Lock()
	n.last, n.items, n.kept = nil, 0, nil
	n.mu.Unlock()
	return r.commit(n, func(t *server.Turn) {
		if c.NotifyRetract {
			r.tell(t, n, who, event)
		}
	}, store.PurgeNode{Name: n.name}), nil
}
