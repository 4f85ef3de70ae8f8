// SPDX-License-Identifier: Apache-2.0

package pubsub

// How to read this file: what a service, an account and their nodes say of themselves, to whom they do. A node is shown
// to those who may retrieve its items, or subscribe to ask for that; others are told that there is none.

import (
	"context"
	"strconv"
	"time"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/server/adhoc"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/command"
	"github.com/stonechat-im/stonechat/xmpp/datetime"
	"github.com/stonechat-im/stonechat/xmpp/disco"
	"github.com/stonechat-im/stonechat/xmpp/form"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/pubsub"
	"github.com/stonechat-im/stonechat/xmpp/rsm"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// featureNames are what the engine does, as features of service discovery without their namespace. §11
func featureNames() []string {
	return []string{
		"config-node", "config-node-max", "create-and-configure", "create-nodes", "delete-items", "delete-nodes",
		"instant-nodes", "item-ids", "last-published", "manage-subscriptions", "member-affiliation", "meta-data", "modify-affiliations",
		"multi-items", "outcast-affiliation", "persistent-items", "presence-notifications", "publish", "publish-node-full",
		"publish-only-affiliation", "publish-options", "publisher-affiliation", "purge-nodes", "retract-items",
		"retrieve-affiliations", "retrieve-default", "retrieve-default-sub", "retrieve-items", "retrieve-subscriptions",
		"rsm", "subscribe", "subscription-notifications", "subscription-options",
	}
}

// AccountFeatures are the features of an account that has nodes.
func (*Module) AccountFeatures() []string {
	return features("access-authorize", "access-open", "access-presence", "access-roster", "access-whitelist", "auto-create", "auto-subscribe", "filtered-notifications", "presence-subscribe", "pubsub-on-a-jid")
}

func features(more ...string) []string {
	list := []string{pubsub.NS}
	for _, f := range append(featureNames(), more...) {
		list = append(list, pubsub.NS+"#"+f)
	}
	return list
}

func (m *Module) serviceInfo(_ *server.Turn, q *server.Query) (stanza.Payload, error) {
	var ask disco.Info
	if _, err := q.Decode(&ask); err != nil {
		return nil, err
	}
	if adhoc.Has(m.commands, ask.Node) {
		info, err := m.leader.Info(q, m.commands, ask.Node)
		if err != nil {
			return nil, err
		}
		return info, nil
	}
	if ask.Node != "" {
		return m.nodeInfo(context.Background(), store.NodeName{JID: q.To.Clone(), Node: ask.Node}, q.From.Bare())
	}
	all := append(features("access-authorize", "access-open", "access-presence", "access-roster", "access-whitelist"), m.archiveFeatures()...)
	if m.leader != nil {
		all = append(all, pubsub.NS+"#get-pending", command.NS)
	}
	return &disco.Info{
		Identities: []disco.Identity{{Category: "pubsub", Type: "service", Name: "Publish-subscribe"}},
		Features:   append(all, disco.NSInfo, disco.NSItems),
	}, nil
}

// AccountInfo is what a node of an account says of itself.
func (m *Module) AccountInfo(ctx context.Context, owner, viewer jid.JID, node string) (*disco.Info, error) {
	return m.nodeInfo(ctx, store.NodeName{JID: owner, Node: node}, viewer.Bare())
}

// visible finds a node that a bare address may see.
func (m *Module) visible(ctx context.Context, name store.NodeName, viewer jid.JID) (*node, *standing, func(), error) {
	n, release, err := m.hold(ctx, name, false)
	if err != nil {
		return nil, nil, nil, err
	}
	if err := n.there(); err != nil {
		release()
		return nil, nil, nil, err
	}
	s := n.standingOf(viewer)
	if err := m.access(ctx, &s); err != nil {
		release()
		if _, ok := stanza.AsError(err); ok {
			err = stanza.ItemNotFound.Err("")
		}
		return nil, nil, nil, err
	}
	return n, &s, release, nil
}

// nodeInfo handles §5.3 and §5.4.
func (m *Module) nodeInfo(ctx context.Context, name store.NodeName, viewer jid.JID) (*disco.Info, error) {
	n, s, release, err := m.visible(ctx, name, viewer)
	if err != nil {
		return nil, err
	}
	defer release()
	c := s.config
	f := form.New(form.Result, pubsub.FormMetadata)
	add := func(name string, typ form.FieldType, values ...string) {
		if len(values) > 0 && values[0] != "" {
			f.Fields = append(f.Fields, form.Field{Var: "pubsub#" + name, Type: typ, Values: values})
		}
	}
	n.mu.Lock()
	add("type", form.TextSingle, c.Type)
	add("creator", form.JIDSingle, n.creator.String())
	add("creation_date", form.TextSingle, datetime.Format(n.created))
	add("title", form.TextSingle, c.Title)
	add("description", form.TextSingle, c.Description)
	add("language", form.ListSingle, c.Language)
	add("contact", form.JIDMulti, c.Contact...)
	add("access_model", form.ListSingle, string(c.Access))
	add("publish_model", form.ListSingle, string(c.Publish))
	add("max_items", form.TextSingle, strconv.Itoa(m.most(c)))
	add("num_subscribers", form.TextSingle, strconv.Itoa(len(n.subscribers())))
	var owners, publishers []string
	for _, j := range sortedJIDs(n.affiliations) {
		switch n.affiliations[j] {
		case store.AffiliationOwner:
			owners = append(owners, j.String())
		case store.AffiliationPublisher:
			publishers = append(publishers, j.String())
		}
	}
	n.mu.Unlock()
	add("owner", form.JIDMulti, owners...)
	add("publisher", form.JIDMulti, publishers...)
	return &disco.Info{
		Node:       name.Node,
		Identities: []disco.Identity{{Category: "pubsub", Type: "leaf", Name: c.Title}},
		Features:   append(features(), disco.NSInfo, disco.NSItems),
		Forms:      []*form.Form{f},
	}, nil
}

func (m *Module) serviceItems(_ *server.Turn, q *server.Query) (stanza.Payload, error) {
	var ask disco.Items
	if _, err := q.Decode(&ask); err != nil {
		return nil, err
	}
	at := q.To.Clone()
	if adhoc.Has(m.commands, ask.Node) {
		items, err := m.leader.Items(q, m.commands, ask.Node)
		if err != nil {
			return nil, err
		}
		return items, nil
	}
	if ask.Node != "" {
		return m.nodeItems(context.Background(), store.NodeName{JID: at, Node: ask.Node}, q.From.Bare(), ask.Page)
	}
	return m.nodesOf(context.Background(), at, q.From.Bare(), ask.Page)
}

// AccountItems lists the nodes of an account that viewer may see, or, where node names one, its items.
func (m *Module) AccountItems(ctx context.Context, owner, viewer jid.JID, node string, page *rsm.Set) (*disco.Items, error) {
	if node != "" {
		return m.nodeItems(ctx, store.NodeName{JID: owner, Node: node}, viewer.Bare(), page)
	}
	return m.nodesOf(ctx, owner, viewer.Bare(), page)
}

// nodesOf handles §5.2: a page of the nodes by their names. What a page has left of nodes that may be seen may be few.
func (m *Module) nodesOf(ctx context.Context, at, viewer jid.JID, page *rsm.Set) (*disco.Items, error) {
	limit := m.config.Load().Page
	list, err := m.store.Nodes(ctx, at, afterOf(page), page.Limit(limit, limit)+1)
	if err != nil {
		return nil, err
	}
	more := len(list) > page.Limit(limit, limit)
	if more {
		list = list[:len(list)-1]
	}
	answer := new(disco.Items)
	for _, x := range list {
		c, err := parseConfig(x.Config)
		if err != nil {
			return nil, err
		}
		if c.Access != pubsub.AccessOpen || viewer != at {
			_, _, release, err := m.visible(ctx, x.Name, viewer)
			if err != nil {
				if _, ok := stanza.AsError(err); ok {
					continue
				}
				return nil, err
			}
			release()
		}
		answer.Items = append(answer.Items, disco.Item{JID: at, Node: x.Name.Node, Name: c.Title})
	}
	if more || page != nil {
		answer.Page = new(rsm.Set)
		if len(list) > 0 {
			answer.Page.First, answer.Page.Last = list[0].Name.Node, list[len(list)-1].Name.Node
		}
	}
	return answer, nil
}

func afterOf(page *rsm.Set) string {
	if page == nil {
		return ""
	}
	return page.After
}

// nodeItems handles §5.5.
func (m *Module) nodeItems(ctx context.Context, name store.NodeName, viewer jid.JID, page *rsm.Set) (*disco.Items, error) {
	n, s, release, err := m.visible(ctx, name, viewer)
	if err != nil {
		return nil, err
	}
	defer release()
	if err := m.mayRetrieve(ctx, s); err != nil {
		return nil, err
	}
	answer := &disco.Items{Node: name.Node}
	if !s.config.Persist {
		return answer, nil
	}
	if err := n.settle(ctx); err != nil {
		return nil, err
	}
	r := &request{Module: m, ctx: ctx}
	list, set, err := r.pageOf(name, page, m.config.Load().Page)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	for i := range list {
		if !expired(s.config, &list[i], now) {
			answer.Items = append(answer.Items, disco.Item{JID: name.JID, Name: list[i].ID})
		}
	}
	answer.Page = set
	return answer, nil
}
