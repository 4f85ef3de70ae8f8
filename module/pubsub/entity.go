// SPDX-License-Identifier: Apache-2.0

package pubsub

// How to read this file: retrieving items, all or by pages, comes first; then what somebody is to
// the nodes of an address.

import (
	"errors"
	"slices"
	"time"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/pubsub"
	"github.com/stonechat-im/stonechat/xmpp/rsm"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// answerBytes is about how many bytes of payloads an answer has at most; the rest is another page.
const answerBytes = 256 << 10

// items retrieves (§6.5), the oldest first, as they were published. Where not all fit, the newest are returned and the
// answer says that there are more.
func (r *request) items(x *pubsub.Items, page *rsm.Set) (stanza.Payload, error) {
	for _, f := range r.readers {
		if err := f(r.ctx, r.at, x.Node); err != nil {
			return nil, err
		}
	}
	n, release, err := r.look(x.Node, false)
	if err != nil {
		return nil, err
	}
	defer release()
	s := n.standingOf(r.bare)
	if err := r.mayRetrieve(r.ctx, &s); err != nil {
		return nil, r.denied(r.ctx, &s, err)
	}
	answer := &pubsub.Request{Items: &pubsub.Items{Node: x.Node}}
	if !s.config.Persist {
		return answer, r.transient(n, s.config, x, answer.Items)
	}
	if err := n.settle(r.ctx); err != nil {
		return nil, err
	}
	if len(x.Items) > 0 {
		return answer, r.byID(n, s.config, x.Items, answer.Items)
	}
	limit := r.config.Load().Page
	if x.Max != nil {
		limit = min(limit, *x.Max)
	}
	list, set, err := r.pageOf(n.name, page, limit)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	for i := range list {
		if !expired(s.config, &list[i], now) {
			answer.Items.Items = append(answer.Items.Items, n.item(s.config, &list[i]))
		}
	}
	answer.Page = set
	return answer, nil
}

// transient returns the last item of a node that keeps none (§6.5.5).
func (r *request) transient(n *node, c *pubsub.Config, x, answer *pubsub.Items) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	last := n.last
	if last == nil || !c.DeliverPayloads {
		return pubsub.ErrUnsupported("persistent-items")
	}
	if len(x.Items) == 0 || slices.ContainsFunc(x.Items, func(i pubsub.Item) bool { return i.ID == last.ID }) {
		answer.Items = append(answer.Items, n.item(c, last))
	}
	return nil
}

func (r *request) byID(n *node, c *pubsub.Config, wanted []pubsub.Item, answer *pubsub.Items) error {
	if len(wanted) > r.config.Load().Page {
		return stanza.NotAcceptable.Err("too many items are asked for at once")
	}
	q := store.ItemQuery{IDs: []string{}}
	for _, i := range wanted {
		q.IDs = append(q.IDs, i.ID)
	}
	list, err := r.store.Items(r.ctx, n.name, q)
	if err != nil {
		return err
	}
	now, size := time.Now(), 0
	for i := range list {
		size += len(list[i].Payload)
		if !expired(c, &list[i], now) {
			answer.Items = append(answer.Items, n.item(c, &list[i]))
		}
	}
	if size < store.MaxPageBytes {
		return nil // what is not there is left out. §6.5.9.12
	}
	more, err := r.store.Items(r.ctx, n.name, store.ItemQuery{IDs: behind(q.IDs, list), Bare: true}) // the store has stopped there
	if err == nil && len(more) > 0 {
		err = stanza.NotAcceptable.Err("what is asked for is too much at once")
	}
	return err
}

// behind are the ids behind that of the last item, of those that a list was read by.
func behind(ids []string, list []store.Item) []string {
	for len(ids) > 0 && len(list) > 0 {
		if ids[0] == list[0].ID {
			list = list[1:]
		}
		ids = ids[1:]
	}
	return ids
}

// pageOf reads a page of items, in the order of their publication, and says where it is in the whole. set is nil where
// the page is all and nobody has asked for pages. XEP-0059
func (r *request) pageOf(name store.NodeName, page *rsm.Set, limit int) (list []store.Item, set *rsm.Set, err error) {
	total, err := r.store.ItemCount(r.ctx, name)
	if err != nil {
		return nil, nil, err
	}
	q := store.ItemQuery{Newest: page == nil, Limit: limit}
	if page != nil {
		q.Limit = page.Limit(limit, limit)
		q.After = page.After
		if page.Before != nil {
			q.Before, q.Newest = *page.Before, true
		}
		if page.Index != nil {
			q.Skip = *page.Index
		}
	}
	if q.Limit > 0 {
		list, err = r.store.Items(r.ctx, name, q)
		if errors.Is(err, store.ErrNotFound) {
			return nil, nil, stanza.ItemNotFound.Err("there is no such item to begin the page at")
		}
		if err != nil {
			return nil, nil, err
		}
	}
	bytes := 0
	for i := range list {
		if bytes += len(list[i].Payload); bytes > answerBytes && i > 0 {
			list = list[:i]
			break
		}
	}
	if q.Newest {
		slices.Reverse(list)
	}
	if page == nil && len(list) == min(total, limit) && len(list) == total {
		return list, nil, nil
	}
	set = &rsm.Set{Count: &total}
	if len(list) > 0 {
		set.First, set.Last = list[0].ID, list[len(list)-1].ID
		place, err := r.store.ItemPlace(r.ctx, name, set.First)
		if err == nil {
			set.FirstIndex = &place
		}
	}
	return list, set, nil
}

// subscriptions lists those of whoever asks (§5.6).
func (r *request) subscriptions(x *pubsub.Subscriptions) (stanza.Payload, error) {
	answer := &pubsub.Subscriptions{Node: x.Node}
	add := func(node string, j jid.JID, pending bool) {
		answer.List = append(answer.List, pubsub.Subscription{Node: node, JID: j, State: state(pending)})
	}
	if x.Node != "" {
		n, release, err := r.look(x.Node, false)
		if err != nil {
			return nil, err
		}
		defer release()
		n.mu.Lock()
		for _, s := range n.of(r.bare) {
			add(x.Node, s.jid, s.pending)
		}
		n.mu.Unlock()
		return &pubsub.Request{Subscriptions: answer}, nil
	}
	list, set, err := r.memberships()
	for _, m := range list {
		for _, s := range m.Subscriptions {
			add(m.Node, s.JID, s.Pending)
		}
	}
	return &pubsub.Request{Subscriptions: answer, Page: set}, err
}

func state(pending bool) pubsub.State {
	if pending {
		return pubsub.Pending
	}
	return pubsub.Subscribed
}

// affiliations lists those of whoever asks (§5.7).
func (r *request) affiliations(x *pubsub.Affiliations) (stanza.Payload, error) {
	answer := &pubsub.Affiliations{Node: x.Node}
	if x.Node != "" {
		n, release, err := r.look(x.Node, false)
		if err != nil {
			return nil, err
		}
		defer release()
		n.mu.Lock()
		if a := n.affiliation(r.bare); a != store.AffiliationNone {
			answer.List = append(answer.List, pubsub.AffiliationOf{Node: x.Node, Affiliation: affiliationName(a)})
		}
		n.mu.Unlock()
		return &pubsub.Request{Affiliations: answer}, nil
	}
	list, set, err := r.memberships()
	for _, m := range list {
		if m.Affiliation != store.AffiliationNone {
			answer.List = append(answer.List, pubsub.AffiliationOf{Node: m.Node, Affiliation: affiliationName(m.Affiliation)})
		}
	}
	return &pubsub.Request{Affiliations: answer, Page: set}, err
}

// memberships is what whoever asks is to all nodes of the address, a page of it. What was changed a moment ago is waited for.
func (r *request) memberships() ([]store.Membership, *rsm.Set, error) {
	if err := r.store.Commit().Wait(r.ctx); err != nil {
		return nil, nil, err
	}
	page := r.page.Page
	limit, after := r.config.Load().Page, ""
	if page != nil {
		limit, after = page.Limit(limit, limit), page.After
	}
	list, err := r.store.Memberships(r.ctx, r.at, r.bare, after, limit)
	if err != nil {
		return nil, nil, err
	}
	if limit == 0 { // how many there are, if they are no more than the store reads at once. XEP-0059 §2.7
		return nil, &rsm.Set{Count: new(len(list))}, nil
	}
	if page == nil && len(list) < limit {
		return list, nil, nil
	}
	set := new(rsm.Set)
	if len(list) > 0 {
		set.First, set.Last = list[0].Node, list[len(list)-1].Node
	}
	return list, set, nil
}

func affiliationName(a store.Affiliation) pubsub.Affiliation {
	switch a {
	case store.AffiliationOutcast:
		return pubsub.Outcast
	case store.AffiliationMember:
		return pubsub.Member
	case store.AffiliationPublishOnly:
		return pubsub.PublishOnly
	case store.AffiliationPublisher:
		return pubsub.Publisher
	case store.AffiliationOwner:
		return pubsub.Owner
	}
	return pubsub.AffiliationNone
}

func affiliationOf(a pubsub.Affiliation) store.Affiliation {
	for x := store.AffiliationNone; x <= store.AffiliationOwner; x++ {
		if affiliationName(x) == a {
			return x
		}
	}
	return store.AffiliationNone
}
