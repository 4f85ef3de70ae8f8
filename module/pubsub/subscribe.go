// SPDX-License-Identifier: Apache-2.0

package pubsub

// How to read this file: subscribing and what follows from it come first, then leaving, then
// what a subscriber decides, its options.

import (
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/form"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/pubsub"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// subscribe handles §6.1, with options §6.3.7.
func (r *request) subscribe(x *pubsub.Subscription, o *pubsub.Options) (stanza.Payload, error) {
	switch {
	case x.JID.IsZero() || x.JID.Bare() != r.bare:
		return nil, pubsub.Err(stanza.BadRequest, pubsub.InvalidJID, "")
	case o != nil && (o.Node != "" || !o.JID.IsZero()):
		return nil, stanza.BadRequest.Err("options behind subscribe name neither node nor jid")
	}
	n, release, err := r.look(x.Node, true)
	if err != nil {
		return nil, err
	}
	defer release()
	j := x.JID.Clone()
	s := n.standingOf(r.bare)
	n.mu.Lock()
	old := n.subscriptions[j]
	n.mu.Unlock()
	switch {
	case s.affiliation == store.AffiliationOutcast:
		return nil, stanza.Forbidden.Err("")
	case !s.config.Subscribe:
		return nil, pubsub.ErrUnsupported("subscribe")
	case old != nil && old.pending:
		return nil, pubsub.Err(stanza.NotAuthorized, pubsub.PendingSubscription, "")
	}
	if err := r.access(r.ctx, &s); err != nil {
		return nil, r.denied(r.ctx, &s, err)
	}
	sub := &subscription{jid: j}
	if old != nil {
		sub.given = old.given
	}
	options := sub.options()
	if o != nil && o.Form != nil {
		if err := options.Apply(o.Form); err != nil {
			return nil, err
		}
		sub.given = give(options)
	}
	if s.config.TempSub && !options.Temporary {
		options.Temporary = true
		sub.given = give(options)
	}
	sub.pending = old == nil && s.config.Access == pubsub.AccessAuthorize && !s.trusted()
	answer := &pubsub.Request{Subscription: &pubsub.Subscription{
		Node: x.Node, JID: j, State: state(sub.pending), Options: true,
	}}
	if o != nil && o.Form != nil {
		answer.Options = &pubsub.Options{Form: options.Form(form.Result)}
	}
	if old != nil && (o == nil || o.Form == nil) {
		return answer, nil // as if it was approved just now. §6.1.6
	}
	if old == nil {
		n.mu.Lock()
		resources := n.resources[r.bare]
		n.mu.Unlock()
		if j.IsFull() && resources >= r.config.Load().SubscriptionsPerAddress {
			return nil, r.tooMany()
		}
		if err := r.roomFor(n); err != nil {
			return nil, err
		}
	}
	return r.after(n, r.admit(n, sub, old == nil), answer)
}

// roomFor refuses a subscription where there are as many as there may be, else it counts one. n.work is held.
func (r *request) roomFor(n *node) error {
	limits := r.config.Load()
	n.mu.Lock()
	held := len(n.subscriptions)
	n.mu.Unlock()
	if held >= limits.SubscriptionsPerNode {
		return r.tooMany()
	}
	may, err := r.mayHaveMore(r.ctx, r.at, subscriptionsOf, limits.Subscriptions)
	if err == nil && !may {
		err = r.tooMany()
	}
	return err
}

func (m *Module) tooMany() error {
	return m.limited(pubsub.Err(stanza.PolicyViolation, pubsub.TooManySubscriptions, ""))
}

// admit makes or changes a subscription, and tells the owners of a new one; its subscriber gets the last item. n.work is
// held.
func (r *request) admit(n *node, sub *subscription, fresh bool) *store.Pending {
	n.mu.Lock()
	c := n.config
	n.put(sub)
	owners := n.owners()
	n.mu.Unlock()
	if sub.options().Temporary {
		r.presences.watch(n.name, sub.jid)
	}
	return r.commit(n, func(t *server.Turn) {
		switch {
		case !fresh:
		case sub.pending:
			r.askOwners(t, n, sub.jid, owners)
		default:
			r.welcome(t, n, c, sub)
			r.tellOwners(t, n, c, sub.jid, pubsub.Subscribed, owners)
		}
	}, store.SetSubscription{Name: n.name, NodeSubscription: sub.stored()})
}

// welcome sends the last item to a new subscriber (§6.1.7). n.mu is held.
func (m *Module) welcome(t *server.Turn, n *node, c *pubsub.Config, sub *subscription) {
	if c.SendLast == pubsub.SendNever || !sub.options().Deliver || sub.ended() {
		return
	}
	if s := m.lastItem(n); s != nil {
		m.tellOne(t, n, sub.jid, s)
	}
}

// tellOwners tells them of a subscriber who came or went, where they want that (pubsub#notify_sub). n.mu is held.
func (m *Module) tellOwners(t *server.Turn, n *node, c *pubsub.Config, j jid.JID, s pubsub.State, owners []jid.JID) {
	if !c.NotifySub {
		return
	}
	for _, o := range owners {
		if o != j.Bare() {
			m.tellOne(t, n, o, m.told(n, j, s))
		}
	}
}

// askOwners asks them to let somebody subscribe (§8.6). n.mu is held.
func (m *Module) askOwners(t *server.Turn, n *node, j jid.JID, owners []jid.JID) {
	question := pubsub.Authorization{Node: n.name.Node, Subscriber: j.String()}.Form()
	for _, o := range owners {
		s := stanza.New(stanza.Message, stanza.Normal, o, stanza.Body(j.String()+" asks to subscribe to "+n.name.Node), question)
		s.From, s.ID = n.name.JID, m.id()
		m.tellOne(t, n, o, s)
	}
}

// subscribed finds the subscription that a request is about, for its subscriber or an owner. n is locked by nobody.
func (r *request) subscribed(n *node, j jid.JID) (*subscription, error) {
	if j.IsZero() {
		return nil, pubsub.Err(stanza.BadRequest, pubsub.JIDRequired, "")
	}
	if j.Bare() != r.bare {
		return nil, stanza.Forbidden.Err("")
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	s := n.subscriptions[j]
	if s == nil {
		e := pubsub.Err(stanza.UnexpectedRequest, pubsub.NotSubscribed, "")
		e.Type = stanza.Cancel
		return nil, e
	}
	return s, nil
}

// unsubscribe handles §6.2.
func (r *request) unsubscribe(x *pubsub.Subscription) (stanza.Payload, error) {
	n, release, err := r.look(x.Node, true)
	if err != nil {
		return nil, err
	}
	defer release()
	s, err := r.subscribed(n, x.JID)
	if err != nil {
		return nil, err
	}
	p := r.leave(n, s, false)
	return r.after(n, p, &pubsub.Request{Subscription: &pubsub.Subscription{Node: x.Node, JID: s.jid, State: pubsub.StateNone}})
}

// leave ends a subscription; tell says whether the subscriber hears of it. n.work is held.
func (r *request) leave(n *node, s *subscription, tell bool) *store.Pending {
	n.mu.Lock()
	c, owners := n.config, n.owners()
	n.remove(s.jid)
	n.mu.Unlock()
	r.countSubscriptions(-1)
	return r.commit(n, func(t *server.Turn) {
		if tell {
			r.tellOne(t, n, s.jid, r.told(n, s.jid, pubsub.StateNone))
		}
		if !s.pending {
			r.tellOwners(t, n, c, s.jid, pubsub.StateNone, owners)
		}
	}, store.DeleteSubscription{Name: n.name, JID: s.jid})
}

// options handles §6.3.2.
func (r *request) options(x *pubsub.Options) (stanza.Payload, error) {
	n, release, err := r.look(x.Node, false)
	if err != nil {
		return nil, err
	}
	defer release()
	s, err := r.subscribed(n, x.JID)
	if err != nil {
		return nil, err
	}
	return &pubsub.Request{Options: &pubsub.Options{Node: x.Node, JID: s.jid, Form: s.options().Form(form.Ask)}}, nil
}

// setOptions handles §6.3.5.
func (r *request) setOptions(x *pubsub.Options) (stanza.Payload, error) {
	n, release, err := r.look(x.Node, true)
	if err != nil {
		return nil, err
	}
	defer release()
	s, err := r.subscribed(n, x.JID)
	switch {
	case err != nil:
		return nil, err
	case x.Form == nil:
		return nil, pubsub.Err(stanza.BadRequest, pubsub.InvalidOptions, "")
	case x.Form.Type == form.Cancel:
		return nil, nil
	}
	options := s.options()
	if err := options.Apply(x.Form); err != nil {
		return nil, err
	}
	next := &subscription{jid: s.jid, pending: s.pending, given: give(options)}
	return r.after(n, r.admit(n, next, false), nil)
}

// defaultOptions handles §6.4.
func (r *request) defaultOptions(x *pubsub.NodeForm) (stanza.Payload, error) {
	if x.Node != "" {
		_, release, err := r.look(x.Node, false)
		if err != nil {
			return nil, err
		}
		release()
	}
	f := pubsub.DefaultOptions().Form(form.Result)
	return &pubsub.Request{Default: &pubsub.NodeForm{Node: x.Node, Form: f}}, nil
}
