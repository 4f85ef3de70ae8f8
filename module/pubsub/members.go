// SPDX-License-Identifier: Apache-2.0

package pubsub

// How to read this file: what owners do about others: subscriptions, affiliations, and the answers to those who ask to
// subscribe.
//
// Deviation: a request to change several is carried out whole or, with the error of the first that is wrong, not at all.

import (
	"context"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/form"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/pubsub"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// maxChanges is how many subscriptions or affiliations one request changes.
const maxChanges = 500

// subscribers handles §8.8.1.
func (r *request) subscribers(name string) (stanza.Payload, error) {
	n, release, err := r.own(name, false)
	if err != nil {
		return nil, err
	}
	defer release()
	answer := &pubsub.Subscriptions{Node: name}
	n.mu.Lock()
	for _, j := range sortedJIDs(n.subscriptions) {
		if !n.subscriptions[j].pending {
			answer.List = append(answer.List, pubsub.Subscription{JID: j, State: pubsub.Subscribed})
		}
	}
	n.mu.Unlock()
	return &pubsub.OwnerRequest{Subscriptions: answer}, nil
}

// setSubscribers handles §8.8.2.
func (r *request) setSubscribers(x *pubsub.Subscriptions) (stanza.Payload, error) {
	n, release, err := r.own(x.Node, true)
	if err != nil {
		return nil, err
	}
	defer release()
	if len(x.List) == 0 || len(x.List) > maxChanges {
		return nil, stanza.BadRequest.Err("one request changes some subscriptions, but not too many")
	}
	seen := make(map[jid.JID]bool)
	for _, s := range x.List {
		switch {
		case s.JID.IsZero():
			return nil, pubsub.Err(stanza.BadRequest, pubsub.JIDRequired, "")
		case seen[s.JID]:
			return nil, stanza.BadRequest.Err("a subscription is there twice")
		case s.State != pubsub.StateNone && s.State != pubsub.Subscribed && s.State != pubsub.Pending:
			return nil, stanza.NotAcceptable.Err("a subscription cannot be put into that state")
		}
		seen[s.JID] = true
		st := n.standingOf(s.JID.Bare())
		if st.affiliation == store.AffiliationOutcast && s.State != pubsub.StateNone {
			return nil, stanza.NotAcceptable.Err("an outcast cannot be subscribed")
		}
	}
	return r.changeSubscribers(n, x.List)
}

func (r *request) changeSubscribers(n *node, list []pubsub.Subscription) (stanza.Payload, error) {
	var ops []store.Op
	var told []pubsub.Subscription
	var welcome []*subscription
	for _, s := range list {
		j := s.JID.Clone()
		n.mu.Lock()
		old := n.subscriptions[j]
		n.mu.Unlock()
		switch {
		case s.State == pubsub.StateNone && old != nil:
			n.mu.Lock()
			n.remove(j)
			n.mu.Unlock()
			r.countSubscriptions(-1)
			ops = append(ops, store.DeleteSubscription{Name: n.name, JID: j})
		case s.State == pubsub.StateNone, old != nil && state(old.pending) == s.State:
			continue
		default:
			sub := &subscription{jid: j, pending: s.State == pubsub.Pending}
			if old != nil {
				sub.given = old.given
			} else if err := r.roomFor(n); err != nil {
				r.nodes.drop(n) // what came before it in the list is in memory, and is not stored
				return nil, err
			}
			n.mu.Lock()
			n.put(sub)
			n.mu.Unlock()
			if !sub.pending {
				welcome = append(welcome, sub)
			}
			ops = append(ops, store.SetSubscription{Name: n.name, NodeSubscription: sub.stored()})
		}
		told = append(told, pubsub.Subscription{JID: j, State: s.State})
	}
	n.mu.Lock()
	c := n.config
	n.mu.Unlock()
	p := r.commit(n, func(t *server.Turn) {
		for _, s := range told {
			r.tellOne(t, n, s.JID, r.told(n, s.JID, s.State))
		}
		for _, sub := range welcome {
			r.welcome(t, n, c, sub)
		}
	}, ops...)
	return r.after(n, p, nil)
}

// affiliated handles §8.9.1.
func (r *request) affiliated(name string) (stanza.Payload, error) {
	n, release, err := r.own(name, false)
	if err != nil {
		return nil, err
	}
	defer release()
	answer := &pubsub.Affiliations{Node: name}
	n.mu.Lock()
	for _, j := range sortedJIDs(n.affiliations) {
		answer.List = append(answer.List, pubsub.AffiliationOf{JID: j, Affiliation: affiliationName(n.affiliations[j])})
	}
	n.mu.Unlock()
	return &pubsub.OwnerRequest{Affiliations: answer}, nil
}

// setAffiliations handles §8.9.2.
func (r *request) setAffiliations(x *pubsub.Affiliations) (stanza.Payload, error) {
	n, release, err := r.own(x.Node, true)
	if err != nil {
		return nil, err
	}
	defer release()
	if len(x.List) == 0 || len(x.List) > maxChanges {
		return nil, stanza.BadRequest.Err("one request changes some affiliations, but not too many")
	}
	p, err := r.affiliate(n, x.List)
	if err != nil {
		return nil, err
	}
	return r.after(n, p, nil)
}

// affiliate changes affiliations, all of the list or none. n.work is held.
func (r *request) affiliate(n *node, list []pubsub.AffiliationOf) (*store.Pending, error) {
	next := make(map[jid.JID]store.Affiliation)
	for _, a := range list {
		j := a.JID.Bare().Clone()
		_, twice := next[j]
		switch {
		case j.IsZero():
			return nil, pubsub.Err(stanza.BadRequest, pubsub.JIDRequired, "")
		case twice:
			return nil, stanza.BadRequest.Err("an entity is there twice")
		case !a.Affiliation.Known():
			return nil, stanza.NotAcceptable.Err("there is no such affiliation")
		case j == n.name.JID && a.Affiliation != pubsub.Owner:
			return nil, stanza.NotAcceptable.Err("an account owns its nodes")
		}
		next[j] = affiliationOf(a.Affiliation)
	}
	n.mu.Lock()
	owners, had, held := 0, 0, len(n.affiliations)
	for j, a := range n.affiliations {
		if a == store.AffiliationOwner {
			had++
		}
		if b, ok := next[j]; ok {
			a = b
			held--
		}
		if a == store.AffiliationOwner {
			owners++
		}
	}
	for j, a := range next {
		if a != store.AffiliationNone {
			held++
		}
		if _, ok := n.affiliations[j]; !ok && a == store.AffiliationOwner {
			owners++
		}
	}
	n.mu.Unlock()
	switch {
	case owners == 0 && had > 0: // else the account of the last one was deleted
		return nil, stanza.NotAcceptable.Err("a node has an owner")
	case held > r.config.Load().Affiliations:
		return nil, r.limited(stanza.ResourceConstraint.Err("the node has as many affiliations as it may have"))
	}
	return r.changeAffiliations(n, next), nil
}

// changeAffiliations sets them, and lets subscriptions follow: outcasts lose theirs, those who wait for an owner's word
// and are trusted now have it (§8.7.4).
func (r *request) changeAffiliations(n *node, next map[jid.JID]store.Affiliation) *store.Pending {
	var ops []store.Op
	var told []pubsub.Subscription
	var welcome []*subscription
	n.mu.Lock()
	c := n.config
	for _, j := range sortedJIDs(next) {
		a := next[j]
		if a == store.AffiliationNone {
			delete(n.affiliations, j)
		} else {
			n.affiliations[j] = a
		}
		ops = append(ops, store.SetAffiliation{Name: n.name, NodeAffiliation: store.NodeAffiliation{JID: j, Affiliation: a}})
		st := n.standing(j)
		for _, s := range n.of(j) {
			switch {
			case a == store.AffiliationOutcast, a == store.AffiliationPublishOnly, c.Access == pubsub.AccessWhitelist && !st.trusted():
				n.remove(s.jid)
				ops = append(ops, store.DeleteSubscription{Name: n.name, JID: s.jid})
				told = append(told, pubsub.Subscription{JID: s.jid, State: pubsub.StateNone})
			case s.pending && st.trusted():
				sub := &subscription{jid: s.jid, given: s.given}
				n.put(sub)
				welcome = append(welcome, sub)
				ops = append(ops, store.SetSubscription{Name: n.name, NodeSubscription: sub.stored()})
				told = append(told, pubsub.Subscription{JID: s.jid, State: pubsub.Subscribed})
			}
		}
	}
	n.mu.Unlock()
	r.countSubscriptions(len(welcome) - len(told))
	return r.commit(n, func(t *server.Turn) {
		for _, s := range told {
			r.tellOne(t, n, s.JID, r.told(n, s.JID, s.State))
		}
		for _, sub := range welcome {
			r.welcome(t, n, c, sub)
		}
	}, ops...)
}

// decide carries out what an owner has answered to somebody who asks to subscribe (§8.6). What is not an answer to such a
// question of ours counts for nothing. It may wait for the store.
func (m *Module) decide(t *server.Turn, at, from jid.JID, f *form.Form) {
	a, ok := pubsub.AuthorizationOf(f)
	if !ok || a.Node == "" {
		return
	}
	j, err := jid.Parse(a.Subscriber)
	if err != nil {
		return
	}
	ctx := context.Background()
	n, release, err := m.hold(ctx, store.NodeName{JID: at, Node: a.Node}, true)
	if err != nil {
		m.log.Error("approval not handled", "err", err)
		return
	}
	defer release()
	s := n.standingOf(from.Bare())
	if s.mayOwn() != nil {
		return
	}
	n.mu.Lock()
	c, sub := n.config, n.subscriptions[j]
	n.mu.Unlock()
	if sub == nil || !sub.pending {
		return // another owner was first
	}
	op, next := store.Op(store.DeleteSubscription{Name: n.name, JID: j}), pubsub.StateNone
	fresh := &subscription{jid: j, given: sub.given}
	n.mu.Lock()
	if a.Allow {
		op = store.SetSubscription{Name: n.name, NodeSubscription: fresh.stored()}
		next = pubsub.Subscribed
		n.put(fresh)
	} else {
		n.remove(j)
	}
	n.mu.Unlock()
	if !a.Allow {
		if size, err := m.sizeOf(ctx, at); err == nil {
			size.subscriptions.Add(-1)
		}
	}
	p := m.commit(n, func(t *server.Turn) {
		m.tellOne(t, n, j, m.told(n, j, next))
		if a.Allow {
			m.welcome(t, n, c, fresh)
		}
	}, op)
	t.Keep(p)
	m.runAfter(n, p)
}

// runAfter sends what a node has to send when p is done, where nobody waits for an answer.
func (m *Module) runAfter(n *node, p *store.Pending) {
	m.server.After(p, func(t *server.Turn, err error) {
		if err == nil {
			t.Later(running{n})
		}
	})
}
