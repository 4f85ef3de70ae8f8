// SPDX-License-Identifier: Apache-2.0

package pubsub

// How to read this file: receivers finds who is to be told, and may wait; tell queues the same message for all of them.
// The message is made once; copies differ in their address.

import (
	"context"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/delay"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/pubsub"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// receivers are who is told of an event.
type receivers struct {
	subscribed []*subscription // not to be changed
	interested []jid.JID       // full addresses that have no subscription
}

// anyMoment is for what is not sent again as the last item.
const anyMoment = math.MaxUint64

// receivers finds who hears of what happens at a node now, at that Moment. n.work is held.
func (m *Module) receivers(ctx context.Context, n *node, moment uint64) (r receivers) {
	n.mu.Lock()
	c := n.config
	list, special := n.subscribers(), n.special
	n.mu.Unlock()
	if !c.DeliverNotifications {
		return r
	}
	r.subscribed = list // whoever loses the right to hear is removed
	if special || c.PresenceBased || c.Access == pubsub.AccessPresence || c.Access == pubsub.AccessRoster || m.decided(n.name.JID) {
		r.subscribed = m.hearing(ctx, n, c, list)
	}
	if m.audience == nil || n.name.JID.IsDomain() {
		return r
	}
	var hears, split map[*subscription]bool // who is told as a subscriber, and whom of these at his resources
	for _, j := range m.audience.Interested(nil, n.name.JID, n.name.Node, moment) {
		n.mu.Lock()
		s := n.standing(j.Bare())
		full, bare := n.subscriptions[j], n.subscriptions[j.Bare()]
		n.mu.Unlock()
		if bare != nil && hears == nil {
			hears, split = make(map[*subscription]bool, len(r.subscribed)), make(map[*subscription]bool)
			for _, x := range r.subscribed {
				hears[x] = true
			}
		}
		if full != nil || bare != nil && !hears[bare] || !m.mayHear(ctx, &s) {
			continue
		}
		r.interested = append(r.interested, j)
		if bare != nil {
			split[bare] = true
		}
	}
	if len(split) > 0 { // not at his bare address too. XEP-0163 §4.3.2
		r.subscribed = slices.DeleteFunc(slices.Clone(r.subscribed), func(x *subscription) bool { return split[x] })
	}
	return r
}

// hearing leaves out those of list who may not hear of the node now, or do not want to. n.work is held.
func (m *Module) hearing(ctx context.Context, n *node, c *pubsub.Config, list []*subscription) []*subscription {
	var out []*subscription
	now := time.Now()
	for _, s := range list {
		if m.hears(ctx, n, c, s, now) {
			out = append(out, s)
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if !slices.Equal(out, n.heard) {
		n.heard = out
	}
	return n.heard // the same list for the same receivers: see tell
}

// hears reports whether a subscriber may hear of the node now, and wants to.
func (m *Module) hears(ctx context.Context, n *node, c *pubsub.Config, s *subscription, now time.Time) bool {
	o := s.options()
	if !o.Deliver || !o.Expire.IsZero() && now.After(o.Expire) {
		return false
	}
	if (c.PresenceBased || len(o.Show) > 0 || o.Temporary) && !m.available(s.jid, o.Show) {
		return false
	}
	if c.Access == pubsub.AccessPresence || c.Access == pubsub.AccessRoster || m.decided(n.name.JID) {
		st := n.standingOf(s.jid.Bare())
		return m.mayHear(ctx, &st)
	}
	return true
}

// message makes the message of an event, without its receiver.
func (m *Module) message(n *node, c *pubsub.Config, e *pubsub.Event) *stanza.Stanza {
	typ := stanza.Normal
	if c.Notification == pubsub.NotifyHeadline {
		typ = stanza.Headline
	}
	s := stanza.New(stanza.Message, typ, jid.JID{}, e)
	s.From, s.ID = n.name.JID, m.id()
	return s
}

// id is that of one notification. §13.4
func (m *Module) id() []byte { return strconv.AppendUint([]byte("ps"), m.lastID.Add(1), 36) }

// tell queues s for all of r. n.mu is held; the outbox is run when it is not.
func (m *Module) tell(t *server.Turn, n *node, r receivers, s *stanza.Stanza) {
	if k := len(r.subscribed); k > 0 {
		m.metrics.notifications.Add(float64(k))
		// Lists are replaced whole, so that where one begins tells it from others.
		n.out.AddTogether(t, &r.subscribed[0], k, func(i int) *stanza.Stanza {
			sub := r.subscribed[i]
			if sub.ended() {
				return nil
			}
			s.From, s.To = n.name.JID, sub.jid
			return s
		})
	}
	if k := len(r.interested); k > 0 {
		m.metrics.notifications.Add(float64(k))
		n.out.Add(t, k, func(i int) *stanza.Stanza {
			s.From, s.To = n.name.JID, r.interested[i]
			return s
		})
	}
}

// tellOne queues s for one address. n.mu is held.
func (m *Module) tellOne(t *server.Turn, n *node, to jid.JID, s *stanza.Stanza) {
	m.metrics.notifications.Inc()
	s.To = to
	n.out.Add(t, 1, func(int) *stanza.Stanza { return s })
}

// event is what is told of items; payloads are left out where the node does not deliver them.
func (n *node) event(c *pubsub.Config, items ...store.Item) *pubsub.Event {
	e := &pubsub.EventItems{Node: n.name.Node}
	for i := range items {
		if !c.DeliverPayloads && !c.Persist {
			break // there was no item, only an event. §4.3
		}
		x := n.item(c, &items[i])
		if !c.DeliverPayloads {
			x.Payload = nil
		}
		e.Items = append(e.Items, x)
	}
	return &pubsub.Event{Items: e}
}

// item writes one, with the address that the node wants there (§13.17).
func (n *node) item(c *pubsub.Config, i *store.Item) pubsub.Item {
	x := pubsub.Item{ID: i.ID, Payload: i.Payload}
	switch c.ItemReply {
	case pubsub.ReplyPublisher:
		x.Publisher = i.Publisher.String()
	case pubsub.ReplyOwner:
		x.Publisher = n.creator.String()
	}
	return x
}

// expired reports whether an item is older than the node allows.
func expired(c *pubsub.Config, i *store.Item, now time.Time) bool {
	return c.Expire > 0 && now.Sub(i.At) > time.Duration(c.Expire)*time.Second
}

// lastItem is the message with the last item, or nil where there is none (§6.1.7). n.mu is held.
func (m *Module) lastItem(n *node) *stanza.Stanza {
	c := n.config
	if n.last == nil || expired(c, n.last, time.Now()) || !c.DeliverNotifications {
		return nil
	}
	s := m.message(n, c, n.event(c, *n.last))
	s.Add(&delay.Delay{From: n.name.JID, Stamp: n.last.At})
	return s
}

// told is the message about the state of a subscription (§13.14).
func (m *Module) told(n *node, j jid.JID, state pubsub.State) *stanza.Stanza {
	s := stanza.New(stanza.Message, stanza.Headline, j, &pubsub.Event{
		Subscription: &pubsub.Subscription{Node: n.name.Node, JID: j, State: state},
	})
	s.From, s.ID = n.name.JID, m.id()
	return s
}
