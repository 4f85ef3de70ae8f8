// SPDX-License-Identifier: Apache-2.0

package pubsub

// How to read this file: a publication is checked (check), the node made if it is an account's (§7.1.4), room is made
// (room), and then it is stored, or not, and told (put). Retractions are below.

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"slices"
	"time"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/form"
	"github.com/stonechat-im/stonechat/xmpp/pubsub"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// publish handles §7.1.
func (r *request) publish(x *pubsub.Items, options *form.Form) (stanza.Payload, error) {
	if x.Node == "" {
		return nil, pubsub.Err(stanza.BadRequest, pubsub.NodeIDRequired, "")
	}
	n, release, err := r.hold(r.ctx, store.NodeName{JID: r.at, Node: x.Node}, true)
	if err != nil {
		return nil, err
	}
	defer release()
	return r.publishTo(n, x, options)
}

// publishTo is publish, with n.work held.
func (r *request) publishTo(n *node, x *pubsub.Items, options *form.Form) (stanza.Payload, error) {
	var ops []store.Op
	var err error
	if options != nil && (options.Type != form.Submit || options.FormType() != pubsub.FormPublish) {
		return nil, stanza.BadRequest.Err("publish-options hold a form of that type")
	}
	switch err := n.there(); {
	case err == nil:
		if err := n.meets(options); err != nil {
			return nil, err
		}
	case r.at.IsDomain() || r.at != r.bare:
		return nil, err
	default:
		if ops, err = r.autoCreate(n, options); err != nil {
			return nil, err
		}
		// What is wrong with the items is found before anything is stored: the node is made with them or not at all.
		defer func() {
			if ops != nil {
				r.unmake(n)
				r.count(-1)
			}
		}()
	}
	s := n.standingOf(r.bare)
	if err := s.mayPublish(); err != nil {
		return nil, err
	}
	items, named, err := r.check(s.config, x.Items)
	if err != nil {
		return nil, err
	}
	if err := r.writeOver(n, &s, x.Items); err != nil {
		return nil, err
	}
	paid, err := r.charge(n, ops, items)
	if err != nil {
		return nil, err
	}
	p, err := r.put(r.ctx, r.t, n, ops, items)
	if err != nil {
		paid.settled(false)
		return nil, err
	}
	ops = nil
	paid.follow(p)
	n.out.Slow(r.t)
	var answer stanza.Payload
	if !named && len(items) > 0 {
		answer = &pubsub.Request{Publish: &pubsub.Items{Node: x.Node, Items: ids(items)}}
	}
	if p == nil {
		r.t.Later(running{n})
		return answer, nil
	}
	return r.after(n, p, answer)
}

// writeOver refuses those who are no publishers by name, but may publish all the same, to write over items of others.
// n.work is held.
func (r *request) writeOver(n *node, s *standing, items []pubsub.Item) error {
	if s.affiliation >= store.AffiliationPublisher || !s.config.Persist {
		return nil
	}
	q := store.ItemQuery{IDs: []string{}, Bare: true}
	for _, i := range items {
		if i.ID != "" {
			q.IDs = append(q.IDs, i.ID)
		}
	}
	if len(q.IDs) == 0 {
		return nil
	}
	if err := n.settle(r.ctx); err != nil {
		return err
	}
	list, err := r.store.Items(r.ctx, n.name, q)
	if err != nil {
		return err
	}
	for i := range list {
		if err := s.mayRemove(&list[i]); err != nil {
			return err
		}
	}
	return nil
}

func ids(items []store.Item) (list []pubsub.Item) {
	for _, i := range items {
		list = append(list, pubsub.Item{ID: i.ID})
	}
	return list
}

// meets compares the configuration with what a publisher wants it to be (§7.1.5).
func (n *node) meets(options *form.Form) error {
	if options == nil {
		return nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	want := *n.config
	if err := want.Apply(options, true); err != nil || !want.Equal(n.config) {
		return pubsub.Err(stanza.Conflict, pubsub.PreconditionNotMet, "")
	}
	return nil
}

// check makes items of what was sent, and says what is wrong with it (§7.1.3). named says that all had an id.
func (r *request) check(c *pubsub.Config, sent []pubsub.Item) (items []store.Item, named bool, err error) {
	bad := func(condition string) error { return pubsub.Err(stanza.BadRequest, condition, "") }
	switch {
	case !c.Persist && !c.DeliverPayloads && len(sent) > 0:
		return nil, false, bad(pubsub.ItemForbidden)
	case !c.Persist && !c.DeliverPayloads:
		return []store.Item{{ID: newID(), Publisher: r.bare}}, true, nil // an event and no more
	case len(sent) == 0:
		return nil, false, bad(pubsub.ItemRequired)
	case c.Persist && len(sent) > r.most(c):
		return nil, false, pubsub.Err(stanza.NotAllowed, pubsub.MaxItemsExceeded, "")
	}
	named = true
	for _, x := range sent {
		if err := r.checkPayload(c, &x); err != nil {
			return nil, false, err
		}
		if x.ID == "" {
			x.ID, named = newID(), false
		}
		items = append(items, store.Item{ID: x.ID, Publisher: r.bare, Payload: x.Payload})
	}
	return items, named, nil
}

func (m *Module) checkPayload(c *pubsub.Config, x *pubsub.Item) error {
	most := m.config.Load().ItemBytes
	if c.MaxPayload != pubsub.Max {
		most = min(most, c.MaxPayload)
	}
	switch {
	case x.Elements > 1:
		return pubsub.Err(stanza.BadRequest, pubsub.InvalidPayload, "")
	case x.Elements == 0 && c.DeliverPayloads:
		return pubsub.Err(stanza.BadRequest, pubsub.PayloadRequired, "")
	case len(x.Payload) > most:
		return m.limited(pubsub.Err(stanza.NotAcceptable, pubsub.PayloadTooBig, ""))
	case len(x.ID) > maxID:
		return stanza.NotAcceptable.Err("the id of the item is too long")
	}
	return nil
}

// maxID bounds names of nodes and ids of items.
const maxID = 1023

// most is how many items a node keeps.
func (m *Module) most(c *pubsub.Config) int {
	most := m.config.Load().Items
	if c.MaxItems != pubsub.Max {
		most = min(most, c.MaxItems)
	}
	return max(most, 1)
}

func newID() string {
	var b [12]byte
	_, _ = rand.Read(b[:]) // it never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// put publishes items that were checked: it stores them, after ops, and has them told when they are stored. The Pending
// is nil where nothing is stored. n.work is held.
func (m *Module) put(ctx context.Context, t *server.Turn, n *node, ops []store.Op, items []store.Item) (*store.Pending, error) {
	n.mu.Lock()
	c := n.config
	n.mu.Unlock()
	var old []string
	if c.Persist && len(ops) == 0 {
		var err error
		if old, err = m.room(ctx, n, c, items); err != nil {
			return nil, err
		}
	}
	moment := m.Moment() // before it is known who hears of it: who comes later is sent it as the last item
	n.mu.Lock()
	for i := range items {
		items[i].At = n.next(time.Now())
	}
	n.mu.Unlock()
	who := m.receivers(ctx, n, moment)
	event := m.message(n, c, n.event(c, items...))
	var retract *stanza.Stanza
	if len(old) > 0 {
		retract = m.message(n, c, &pubsub.Event{Items: &pubsub.EventItems{Node: n.name.Node, Retract: old}})
	}
	if err := m.keep(t, n, c, event); err != nil {
		return nil, err
	}
	m.metrics.items.Add(float64(len(items)))
	told := func(t *server.Turn) {
		if retract != nil {
			m.tell(t, n, who, retract)
		}
		m.tell(t, n, who, event)
	}
	n.mu.Lock()
	n.last, n.moment = &items[len(items)-1], moment
	if !c.Persist && len(ops) == 0 {
		told(t)
		n.mu.Unlock()
		m.published(t, n, items)
		return nil, nil
	}
	if c.Persist {
		n.items += len(items)
		n.keep(items, m.most(c))
	}
	n.mu.Unlock()
	if c.Persist {
		for _, i := range items {
			ops = append(ops, store.PublishItem{Name: n.name, Item: i, Keep: m.most(c)})
		}
	}
	p := m.commit(n, told, ops...)
	if len(m.watchers) > 0 {
		p.OnDone(func(err error) {
			if err == nil {
				t := m.server.NewTurn()
				m.published(t, n, items)
				t.End()
			}
		})
	}
	return p, nil
}

// published tells other modules of items. No lock is held but perhaps n.work.
func (m *Module) published(t *server.Turn, n *node, items []store.Item) {
	for _, f := range m.watchers {
		for _, i := range items {
			f(t, n.name.JID, n.name.Node, i)
		}
	}
}

// roomy reports whether room has nothing to read for so many items more.
func (m *Module) roomy(n *node, c *pubsub.Config, more int) bool {
	most := m.most(c)
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case n.items+more <= most, c.NodeFull == pubsub.DiscardOldest, n.kept != nil:
		return true
	}
	return c.NodeFull == pubsub.RetractOldest && (!c.NotifyRetract || most == 1)
}

// room returns the ids of the items that have to go so that items can be kept and whose going is told, or refuses where
// the node is to stay as it is when it is full (§7.1.2.5). The store removes them by itself.
func (m *Module) room(ctx context.Context, n *node, c *pubsub.Config, items []store.Item) ([]string, error) {
	most := m.most(c)
	if m.roomy(n, c, len(items)) {
		n.mu.Lock()
		defer n.mu.Unlock()
		if n.kept != nil && c.NodeFull != pubsub.DiscardOldest {
			return n.goes(c, items, most)
		}
		full := n.items+len(items) > most && c.NodeFull == pubsub.RetractOldest && c.NotifyRetract
		if full && n.last != nil && n.last.ID != items[0].ID {
			return []string{n.last.ID}, nil // of one
		}
		return nil, nil
	}
	if err := n.settle(ctx); err != nil {
		return nil, err
	}
	if most <= maxListed && c.Expire == 0 && !c.PurgeOffline {
		list, err := m.store.Items(ctx, n.name, store.ItemQuery{Limit: most + 1, Bare: true})
		if err != nil {
			return nil, err
		}
		if len(list) <= most { // else the bound was greater
			n.mu.Lock()
			defer n.mu.Unlock()
			n.kept = make([]string, 0, most+1)
			for _, i := range list {
				n.kept = append(n.kept, i.ID)
			}
			n.items = len(list)
			return n.goes(c, items, most)
		}
	}
	ids := make([]string, 0, len(items))
	for _, i := range items {
		ids = append(ids, i.ID)
	}
	held, over, err := m.store.ItemsOver(ctx, n.name, ids, most)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	n.items = held
	n.mu.Unlock()
	if len(over) > 0 && c.NodeFull == pubsub.Reject {
		return nil, pubsub.Err(stanza.Conflict, pubsub.NodeIsFull, "")
	}
	return over, nil
}

// maxListed is of how many items at most a node knows the ids once it is full. Of those that go by themselves it knows nothing.
const maxListed = 100

// goes are those of n.kept for which there is no room beside new items. n.mu is held.
func (n *node) goes(c *pubsub.Config, items []store.Item, most int) ([]string, error) {
	isNew := func(id string) bool { return slices.ContainsFunc(items, func(i store.Item) bool { return i.ID == id }) }
	left := slices.DeleteFunc(slices.Clone(n.kept), isNew)
	over := len(left) + len(items) - most
	switch {
	case over <= 0:
		return nil, nil
	case c.NodeFull == pubsub.Reject:
		return nil, pubsub.Err(stanza.Conflict, pubsub.NodeIsFull, "")
	case !c.NotifyRetract:
		return nil, nil
	}
	return left[:min(over, len(left))], nil
}

// keep notes what is kept, where that is known. n.mu is held.
func (n *node) keep(items []store.Item, most int) {
	if n.kept == nil {
		return
	}
	for _, i := range items {
		n.drop(i.ID)
		n.kept = append(n.kept, i.ID)
	}
	if over := len(n.kept) - most; over > 0 {
		n.kept = slices.Delete(n.kept, 0, over)
	}
	n.items = len(n.kept)
}

// drop notes that an item is not kept any more. n.mu is held.
func (n *node) drop(id string) {
	if i := slices.Index(n.kept, id); i >= 0 {
		n.kept = slices.Delete(n.kept, i, i+1)
	}
}

// retract handles §7.2.
func (r *request) retract(x *pubsub.Items) (stanza.Payload, error) {
	n, release, err := r.look(x.Node, true)
	if err != nil {
		return nil, err
	}
	defer release()
	s := n.standingOf(r.bare)
	switch {
	case s.affiliation == store.AffiliationOutcast:
		return nil, stanza.Forbidden.Err("")
	case len(x.Items) == 0 || x.Items[0].ID == "":
		return nil, pubsub.Err(stanza.BadRequest, pubsub.ItemRequired, "")
	case !s.config.Persist:
		return nil, pubsub.ErrUnsupported("persistent-items")
	case len(x.Items) > r.config.Load().Page:
		return nil, stanza.NotAcceptable.Err("too many items at once")
	}
	var ids []string
	for _, i := range x.Items {
		ids = append(ids, i.ID)
	}
	if err := n.settle(r.ctx); err != nil {
		return nil, err
	}
	list, err := r.store.Items(r.ctx, n.name, store.ItemQuery{IDs: ids, Bare: true})
	if err != nil {
		return nil, err
	}
	for i := range list {
		if err := s.mayRemove(&list[i]); err != nil {
			return nil, err
		}
	}
	switch {
	case s.affiliation != store.AffiliationOwner && s.mayPublish() != nil:
		return nil, stanza.Forbidden.Err("")
	case len(list) < len(ids):
		return nil, stanza.ItemNotFound.Err("")
	}
	p, err := r.remove(r.ctx, n, ids, x.Notify)
	if err != nil {
		return nil, err
	}
	return r.after(n, p, nil)
}

// remove takes items out of a node. n.work is held.
func (m *Module) remove(ctx context.Context, n *node, ids []string, notify bool) (*store.Pending, error) {
	n.mu.Lock()
	c, last := n.config, n.last
	n.mu.Unlock()
	var who receivers
	if notify || c.NotifyRetract {
		who = m.receivers(ctx, n, anyMoment)
	}
	if last != nil && slices.Contains(ids, last.ID) { // the one before is the last now
		list, err := m.store.Items(ctx, n.name, store.ItemQuery{Newest: true, Limit: len(ids) + 1})
		if err != nil {
			return nil, err
		}
		last = nil
		for i := range list {
			if !slices.Contains(ids, list[i].ID) {
				last = &list[i]
				break
			}
		}
	}
	event := m.message(n, c, &pubsub.Event{Items: &pubsub.EventItems{Node: n.name.Node, Retract: ids}})
	n.mu.Lock()
	n.last = last
	for _, id := range ids {
		n.drop(id)
	}
	n.mu.Unlock()
	return m.commit(n, func(t *server.Turn) { m.tell(t, n, who, event) }, store.RetractItems{Name: n.name, IDs: ids}), nil
}

// autoCreate makes the node of an account to which it publishes (§7.1.4), in memory; the operations store it.
func (r *request) autoCreate(n *node, options *form.Form) ([]store.Op, error) {
	c := r.newConfig()
	if options != nil {
		if err := c.Apply(options, true); err != nil {
			return nil, err
		}
	}
	return r.make(n, c, r.bare)
}
