// SPDX-License-Identifier: Apache-2.0

package consent

// How to read this file: what things ask the service, each about itself alone (XEP-0324 §3.2 to §3.4). Who is no thing, or nobody's, is
// told no, and nobody is asked because of it.

import (
	"context"
	"slices"
	"time"

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
	g, _, err := m.grant(q.From.Bare(), ask.JID.Bare(), w, true)
	return &provisioning.IsFriendResponse{JID: ask.JID, Result: g.Allowed}, err
}

func (m *Module) canRead(t *server.Turn, q *server.Query) (stanza.Payload, error) {
	var ask provisioning.CanRead
	if _, err := q.Decode(&ask); err != nil {
		return nil, err
	}
	w := scoped(wayReadout, store.RightRead, &ask.Scope)
	w.tokens = tokensOf(ask.Tokens)
	return m.granted(t, q, ask.JID, w, func(g provisioning.Grant) stanza.Payload {
		g.Scope.Categories = ask.Scope.Categories
		return &provisioning.CanReadResponse{JID: ask.JID, Grant: g}
	})
}

func (m *Module) canControl(t *server.Turn, q *server.Query) (stanza.Payload, error) {
	var ask provisioning.CanControl
	if _, err := q.Decode(&ask); err != nil {
		return nil, err
	}
	w := scoped(wayControl, store.RightControl, &ask.Scope)
	w.tokens = tokensOf(ask.Tokens)
	return m.granted(t, q, ask.JID, w, func(g provisioning.Grant) stanza.Payload {
		return &provisioning.CanControlResponse{JID: ask.JID, Grant: g}
	})
}

// granted answers a thing with what the caller may; where that takes the proof of a token, when the thing has had it proven by whoever
// has shown the token to it.
func (m *Module) granted(t *server.Turn, q *server.Query, caller jid.JID, w *want, answer func(provisioning.Grant) stanza.Payload) (stanza.Payload, error) {
	thing, caller := q.From.Bare().Clone(), caller.Bare()
	g, open, err := m.grant(thing, caller, w, false)
	if len(open) == 0 {
		return answer(g), err
	}
	done, asked := new(store.Pending), q.Retain()
	challenge(t, open, q.From, q.To, func(t *server.Turn) {
		t.OffLoop(nil, asked, func(*server.Turn, *stanza.Stanza) {
			w.unproven = false
			g, _, err = m.grant(thing, caller, w, true)
			done.Resolve(nil)
		})
	})
	return q.After(t, done, func(*server.Turn) (stanza.Payload, error) { return answer(g), err })
}

// scoped is what a thing asks about.
func scoped(way string, right store.Right, of *provisioning.Scope) *want {
	w := &want{way: way, right: right, names: of.Names}
	for _, n := range of.Nodes {
		w.nodes = append(w.nodes, store.ThingNode{ID: n.ID, Source: n.Source, Cache: n.Cache})
	}
	return w
}

// grant is what the caller may of what is wanted of the thing that asks. Unless who has shown a token was asked for a proof already, it
// is not decided while that would count: open are the tokens that are to be proven.
func (m *Module) grant(thing, caller jid.JID, w *want, asked bool) (g provisioning.Grant, open []proof, err error) {
	none := provisioning.Grant{}
	if !m.things.Known(thing) || caller.IsZero() {
		return none, nil, nil
	}
	if caller == thing {
		return whole(w.nodes, w.names), nil, nil
	}
	st, err := m.load(context.Background(), thing, w.nodes, caller)
	if err != nil {
		return none, nil, err
	}
	if st.person {
		return none, nil, nil
	}
	if open, err = m.vouch(context.Background(), thing, st, w); err != nil || len(open) > 0 && !asked {
		return none, open, err
	}
	byTheWay := m.isByTheWay(thing, w, st)
	d := st.decideAll(w.nodes, w.right, w.names)
	var nodes []store.ThingNode
	var names []string
	switch {
	case d.whole():
		return whole(w.nodes, w.names), nil, nil
	case d.Verdict == Some:
		if len(d.Unknown) > 0 && !byTheWay {
			m.ask(thing, w, st, false)
		}
		return whole(w.nodes, d.Names), nil, nil
	default:
		nodes, names = st.part(w.nodes, w.right, w.names)
	}
	if len(nodes) > 0 {
		if names == nil {
			names = w.names
		}
		return whole(nodes, names), nil, nil
	}
	if d.Verdict == Unknown && !byTheWay {
		m.ask(thing, w, st, false)
	}
	m.note(thing, w, caller)
	return none, nil, nil
}

// isByTheWay reports whether a thing asks to know what to say, and not because somebody wants that: whether he may control anything at
// all, when his words wanted nothing of the kind, as for a list of what he can say; or anything at all right behind what he wanted.
func (m *Module) isByTheWay(thing jid.JID, w *want, st *standing) bool {
	if len(w.names) > 0 || w.right == store.RightFriend {
		return false
	}
	now := time.Now()
	if w.right == store.RightControl && m.asking.curious(thing, st.caller, now) {
		return true
	}
	nodes := w.nodes
	if len(nodes) == 0 {
		nodes = []store.ThingNode{{}}
	}
	return slices.ContainsFunc(nodes, func(n store.ThingNode) bool {
		return m.asking.lately(store.ThingName{JID: thing, ThingNode: n}, st.caller, now)
	})
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
