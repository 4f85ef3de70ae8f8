// SPDX-License-Identifier: Apache-2.0

package consent

// How to read this file: what things ask the service, each about itself alone (XEP-0324 §3.2 to §3.4). Who is no thing, or nobody's, is
// told no, and nobody is asked because of it.

import (
	"context"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/provisioning"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

func (m *Module) answerThings() {
	for p, do := range map[stanza.Payload]func(*server.Turn, *server.Query) (stanza.Payload, error){
		(*provisioning.IsFriend)(nil): m.isFriend, (*provisioning.CanRead)(nil): m.canRead, (*provisioning.CanControl)(nil): m.canControl,
	} {
		m.service.Handle(server.IQHandler{Type: stanza.Get, Name: p.XMLName(), Blocking: true, Do: do})
	}
	// COMPAT(older things, 2013): there these were of type set.
	m.service.Handle(server.IQHandler{Type: stanza.Set, Name: (*provisioning.IsFriend)(nil).XMLName(), Blocking: true, Do: m.isFriend}, provisioning.NS)
}

func (m *Module) isFriend(_ *server.Turn, q *server.Query) (stanza.Payload, error) {
	var ask provisioning.IsFriend
	if _, err := q.Decode(&ask); err != nil {
		return nil, err
	}
	w := &want{way: wayPresence, right: store.RightFriend}
	g, err := m.grant(q, ask.JID, w)
	return &provisioning.IsFriendResponse{JID: ask.JID, Result: g.Allowed}, err
}

func (m *Module) canRead(_ *server.Turn, q *server.Query) (stanza.Payload, error) {
	var ask provisioning.CanRead
	if _, err := q.Decode(&ask); err != nil {
		return nil, err
	}
	g, err := m.grant(q, ask.JID, scoped(wayReadout, store.RightRead, &ask.Scope))
	g.Scope.Categories = ask.Scope.Categories
	return &provisioning.CanReadResponse{JID: ask.JID, Grant: g}, err
}

func (m *Module) canControl(_ *server.Turn, q *server.Query) (stanza.Payload, error) {
	var ask provisioning.CanControl
	if _, err := q.Decode(&ask); err != nil {
		return nil, err
	}
	g, err := m.grant(q, ask.JID, scoped(wayControl, store.RightControl, &ask.Scope))
	return &provisioning.CanControlResponse{JID: ask.JID, Grant: g}, err
}

// scoped is what a thing asks about.
func scoped(way string, right store.Right, of *provisioning.Scope) *want {
	w := &want{way: way, right: right, names: of.Names}
	for _, n := range of.Nodes {
		w.nodes = append(w.nodes, store.ThingNode{ID: n.ID, Source: n.Source, Cache: n.Cache})
	}
	return w
}

// grant is what the caller may of what is wanted of the thing that asks.
func (m *Module) grant(q *server.Query, caller jid.JID, w *want) (provisioning.Grant, error) {
	thing, none := q.From.Bare(), provisioning.Grant{}
	caller = caller.Bare()
	if !m.things.Known(thing) || caller.IsZero() {
		return none, nil
	}
	if caller == thing {
		return whole(w.nodes, w.names), nil
	}
	st, err := m.load(context.Background(), thing, w.nodes, caller)
	if err != nil {
		return none, err
	}
	if st.person {
		return none, nil
	}
	d := st.decideAll(w.nodes, w.right, w.names)
	var nodes []store.ThingNode
	var names []string
	switch {
	case d.whole():
		return whole(w.nodes, w.names), nil
	case d.Verdict == Some:
		if len(d.Unknown) > 0 {
			m.ask(thing, w, st, false)
		}
		return whole(w.nodes, d.Names), nil
	default:
		nodes, names = st.part(w.nodes, w.right, w.names)
	}
	if len(nodes) > 0 {
		if names == nil {
			names = w.names
		}
		return whole(nodes, names), nil
	}
	if d.Verdict == Unknown {
		m.ask(thing, w, st, false)
	}
	m.note(thing, w, caller)
	return none, nil
}

// whole grants all of these; none of one kind are all of it.
func whole(nodes []store.ThingNode, names []string) provisioning.Grant {
	g := provisioning.Everything()
	for _, n := range nodes {
		g.Scope.Nodes = append(g.Scope.Nodes, provisioning.Node{ID: n.ID, Source: n.Source, Cache: n.Cache})
	}
	g.Scope.Names = names
	return g
}
