// SPDX-License-Identifier: Apache-2.0

package pubsub

// How to read this file: what the operator does about nodes, whoever he is to them (admin.Nodes). It goes the way of an owner's
// requests, behind the question whether he is one.

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/stonechat-im/stonechat/server/admin"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/form"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/pubsub"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// NodeServices implements admin.Nodes.
func (m *Module) NodeServices() (list []string) {
	for _, domain := range m.server.Domains() {
		list = append(list, m.config.Load().Host+"."+domain)
	}
	return list
}

// ListNodes implements admin.Nodes.
func (m *Module) ListNodes(ctx context.Context, q store.NodeQuery) ([]admin.Node, error) {
	if m.services[q.At] == nil && (q.At.IsDomain() || !m.server.Serves(q.At.Domain())) {
		return nil, stanza.ItemNotFound.Err("there is no such service or account here: " + q.At.String())
	}
	if err := m.store.Commit().Wait(ctx); err != nil { // what was changed a moment ago
		return nil, err
	}
	found, err := m.store.FindNodes(ctx, q)
	if err != nil {
		return nil, err
	}
	page := []admin.Node{}
	for _, x := range found {
		c, err := parseConfig(x.Config)
		if err != nil {
			return nil, err
		}
		page = append(page, admin.Node{
			JID: q.At.String(), Node: x.Name.Node, Title: c.Title, Creator: x.Creator.String(), Created: x.Created, Access: string(c.Access),
			Owners: x.Owners, Subscriptions: x.Subscriptions, Items: x.Items,
		})
	}
	return page, nil
}

// operate finds a node for the operator: as look does, and nobody is asked whether he may.
func (m *Module) operate(ctx context.Context, name store.NodeName, change bool) (r *request, n *node, done func(), err error) {
	t := m.server.NewTurn()
	r = &request{Module: m, ctx: ctx, t: t, at: name.JID, bare: name.JID, from: name.JID}
	n, release, err := r.look(name.Node, change)
	if err != nil {
		t.End()
		return nil, nil, nil, err
	}
	return r, n, func() { release(); t.End() }, nil
}

// ShowNode implements admin.Nodes.
func (m *Module) ShowNode(ctx context.Context, name store.NodeName) (*admin.NodeInfo, error) {
	_, n, done, err := m.operate(ctx, name, false)
	if err != nil {
		return nil, err
	}
	defer done()
	if err := n.settle(ctx); err != nil {
		return nil, err
	}
	items, err := m.store.ItemCount(ctx, name)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.exists {
		return nil, stanza.ItemNotFound.Err("")
	}
	c := n.config
	x := &admin.NodeInfo{Node: admin.Node{
		JID: name.JID.String(), Node: name.Node, Title: c.Title, Creator: n.creator.String(), Created: n.created, Access: string(c.Access), Items: items,
	}, Options: make(map[string][]string)}
	for _, a := range n.affiliations {
		if a == store.AffiliationOwner {
			x.Owners++
		}
	}
	for _, s := range n.subscriptions {
		x.Subscriptions++
		if s.pending {
			x.Pending++
		}
	}
	for _, f := range c.Form(form.Result).Fields {
		if option, ours := strings.CutPrefix(f.Var, "pubsub#"); ours && f.First() != "" {
			x.Options[option] = f.Values
		}
	}
	return x, nil
}

// NodeItems implements admin.Nodes.
func (m *Module) NodeItems(ctx context.Context, name store.NodeName, before string, limit int) ([]admin.NodeItem, error) {
	for _, f := range m.readers {
		if err := f(ctx, name.JID, name.Node); err != nil {
			return nil, err
		}
	}
	_, n, done, err := m.operate(ctx, name, false)
	if err != nil {
		return nil, err
	}
	defer done()
	if err := n.settle(ctx); err != nil {
		return nil, err
	}
	found, err := m.store.Items(ctx, name, store.ItemQuery{Newest: true, Before: before, Limit: limit})
	if err != nil {
		return nil, err
	}
	list := []admin.NodeItem{}
	for _, i := range found {
		list = append(list, admin.NodeItem{ID: i.ID, Publisher: i.Publisher.String(), At: i.At, Payload: string(i.Payload)})
	}
	return list, nil
}

// DeleteNode implements admin.Nodes.
func (m *Module) DeleteNode(ctx context.Context, name store.NodeName, moved string) error {
	if len(moved) > maxText {
		return stanza.NotAcceptable.Err("the address of the other node is too long")
	}
	return m.alter(ctx, name, func(r *request, n *node) (*store.Pending, error) { return r.end(n, moved), nil })
}

// PurgeNode implements admin.Nodes.
func (m *Module) PurgeNode(ctx context.Context, name store.NodeName) error {
	return m.alter(ctx, name, (*request).empty)
}

// alter changes a node, and waits until that is stored.
func (m *Module) alter(ctx context.Context, name store.NodeName, change func(*request, *node) (*store.Pending, error)) error {
	r, n, done, err := m.operate(ctx, name, true)
	if err != nil {
		return err
	}
	p, err := change(r, n)
	if err == nil {
		m.runAfter(n, p)
	}
	done()
	if err != nil {
		return err
	}
	return p.Wait(ctx)
}

// NodeAffiliations implements admin.Nodes.
func (m *Module) NodeAffiliations(ctx context.Context, name store.NodeName) ([]admin.Affiliation, error) {
	_, n, done, err := m.operate(ctx, name, false)
	if err != nil {
		return nil, err
	}
	defer done()
	n.mu.Lock()
	defer n.mu.Unlock()
	list := []admin.Affiliation{}
	for _, j := range sortedJIDs(n.affiliations) {
		list = append(list, admin.Affiliation{JID: j.String(), Affiliation: string(affiliationName(n.affiliations[j]))})
	}
	slices.SortStableFunc(list, func(a, b admin.Affiliation) int {
		return cmp.Compare(affiliationOf(pubsub.Affiliation(b.Affiliation)), affiliationOf(pubsub.Affiliation(a.Affiliation)))
	})
	return list, nil
}

// AffiliateNode implements admin.Nodes.
func (m *Module) AffiliateNode(ctx context.Context, name store.NodeName, a admin.Affiliation) error {
	who, err := jid.Parse(a.JID)
	if err != nil {
		return stanza.BadRequest.Err("that is no address: " + a.JID)
	}
	return m.alter(ctx, name, func(r *request, n *node) (*store.Pending, error) {
		return r.affiliate(n, []pubsub.AffiliationOf{{JID: who, Affiliation: pubsub.Affiliation(a.Affiliation)}})
	})
}
