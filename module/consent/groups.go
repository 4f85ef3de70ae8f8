// SPDX-License-Identifier: Apache-2.0

package consent

// How to read this file: a rule for a group of the owner's gives a contact what it gives by where that stands in his roster. regrouped
// hears of it; regroup ends what rests on it, as a change of the rule itself would; review finds what was not ended before a crash.

import (
	"context"
	"errors"
	"slices"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// move is that an owner has put a contact into other groups. There are no more of them at a time than contacts.
type move struct{ owner, contact jid.JID }

// regrouped is told of each change of a contact. Decisions hold at once; what follows from them is done by Run.
func (m *Module) regrouped(u *server.User, was, is store.RosterItem) {
	m.known.regrouped(u.JID, is.Contact)
	if slices.Equal(was.Groups, is.Groups) {
		return
	}
	m.asking.moves(move{u.JID.Clone(), is.Contact.Bare().Clone()}, was.Groups)
	awake(m.asking.wake)
}

// mostMoves of one contact are told apart until they are looked at. Beyond, it may have been in any group.
const mostMoves = 8

// moves has it looked at what follows from moves, out of these groups.
func (x *asking) moves(of move, was ...[]string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.moved == nil {
		x.moved = make(map[move][][]string)
	}
	all := append(x.moved[of], was...)
	x.moved[of] = all[:min(len(all), mostMoves)]
}

// differs reports whether it may have come or gone with those moves whether the contact is in a group.
func differs(group string, was [][]string, is []string) bool {
	in := slices.Contains(is, group)
	return len(was) == mostMoves || slices.ContainsFunc(was, func(groups []string) bool { return slices.Contains(groups, group) != in })
}

// regroupAll does what follows from moves. What fails is tried again.
func (m *Module) regroupAll(ctx context.Context, moved map[move][][]string) {
	for of, was := range moved {
		err := m.regroup(ctx, of, was)
		if err == nil {
			continue
		}
		m.asking.moves(of, was...)
		if ctx.Err() == nil {
			m.log.Error("what a contact had by a group is not ended everywhere, and is tried again", "jid", of.owner.String(), "peer", of.contact.String(), "err", err)
		}
	}
}

// regroup has the owner's things that have rules for the groups which a contact has left, or come into, forget what they remember, and
// ends its subscriptions that rested on one.
func (m *Module) regroup(ctx context.Context, of move, was [][]string) error {
	is, err := m.groups(ctx, of.owner, of.contact)
	if err != nil {
		return err
	}
	things := make(map[jid.JID]bool)
	for after := int64(0); ; {
		page, err := m.store.OwnerRules(ctx, of.owner, after, 0)
		if err != nil {
			return err
		}
		if len(page) == 0 {
			break
		}
		for i := range page {
			r := &page[i]
			after = r.Number
			if r.Subject.Kind == store.SubjectGroup && differs(r.Subject.Name, was, is) {
				things[r.Thing.JID] = true
			}
		}
	}
	for thing := range things {
		if err := m.regroupAt(ctx, thing, of); err != nil {
			return err
		}
	}
	return nil
}

// regroupAt is regroup for one thing.
func (m *Module) regroupAt(ctx context.Context, thing jid.JID, of move) error {
	mu := m.work(thing)
	mu.Lock()
	defer mu.Unlock()
	rules, _, err := m.store.ThingRules(ctx, thing)
	if err != nil {
		return err
	}
	owner, _, err := m.things.Thing(ctx, thing, store.ThingNode{})
	if err != nil && !errors.Is(err, store.ErrNotFound) { // where only what is behind it is anybody's it is nobody's
		return err
	}
	ends := false
	if owner == of.owner {
		it, err := m.store.RosterItem(ctx, thing, of.contact)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if ends, err = m.overstays(ctx, thing, owner, it, rules); err != nil {
			return err
		}
	}
	return m.unsettle(ctx, thing, of.contact, ends)
}

// overstays reports whether a contact sees a thing's presence, and nothing lets him any more: no rule, and nothing that he owns there.
func (m *Module) overstays(ctx context.Context, thing, owner jid.JID, it store.RosterItem, rules []store.Rule) (bool, error) {
	if it.Subscription&store.SubscriptionFrom == 0 || it.Contact == thing || m.ours(it.Contact) {
		return false, nil
	}
	groups, err := m.groups(ctx, owner, it.Contact)
	if err != nil {
		return false, err
	}
	st := standing{caller: it.Contact, owners: owners{{}: {owner: owner}}, rules: rules}
	for _, g := range groups {
		st.groups = append(st.groups, membership{owner, g})
	}
	if st.decide(store.ThingNode{}, store.RightFriend, nil).Verdict == All {
		return false, nil
	}
	behind, err := m.behind(ctx, thing)
	return err == nil && !behind[it.Contact], err
}

// unsettle has a thing forget what it remembers of a contact, and ends that the contact sees it where that ends. The caller has work(thing).
func (m *Module) unsettle(ctx context.Context, thing, contact jid.JID, ends bool) (err error) {
	outdate := store.Outdate{Thing: thing}
	var p *store.Pending
	if ends {
		p, err = m.roster.Part(ctx, thing, contact, outdate)
	} else {
		p = m.store.Commit(outdate)
	}
	if err == nil {
		err = p.Wait(ctx)
	}
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil // it is gone
	case err != nil:
		return err
	}
	m.known.forget(thing)
	m.asking.refresh(thing)
	if ends {
		m.part(thing, []jid.JID{contact})
	}
	if m.nodes == nil {
		return nil
	}
	return m.nodes.Recheck(ctx, thing, contact)
}

// reviewSlice is how many things are looked at at a time.
const reviewSlice = 100

// review looks, once after each start, whether somebody still sees a thing by a group that he has left: a server that was killed did not come
// to end that. It looks at some of the things behind after, and returns the last of them, zero when there are no more.
func (m *Module) review(ctx context.Context, after jid.JID) (last jid.JID, err error) {
	page, err := m.store.ThingAccounts(ctx, after, reviewSlice)
	if err != nil || len(page) == 0 {
		return jid.JID{}, err
	}
	for _, thing := range page {
		if err := m.reviewAt(ctx, thing); err != nil && ctx.Err() == nil {
			m.log.Error("it was not looked at who sees a thing by a group that he has left", "jid", thing.String(), "err", err)
		}
	}
	return page[len(page)-1], nil
}

// reviewAt is review for one thing.
func (m *Module) reviewAt(ctx context.Context, thing jid.JID) error {
	mu := m.work(thing)
	mu.Lock()
	defer mu.Unlock()
	rules, _, err := m.store.ThingRules(ctx, thing)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(rules, func(r store.Rule) bool {
		return r.Subject.Kind == store.SubjectGroup && r.Right == store.RightFriend && r.Allow
	}) {
		return nil
	}
	owner, _, err := m.things.Thing(ctx, thing, store.ThingNode{})
	if errors.Is(err, store.ErrNotFound) || err == nil && !m.server.Serves(owner.Domain()) { // who has no roster here has no groups
		return nil
	}
	if err != nil {
		return err
	}
	contacts, err := m.store.Roster(ctx, thing)
	if err != nil {
		return err
	}
	for _, it := range contacts.Items {
		ends, err := m.overstays(ctx, thing, owner, it, rules)
		if err == nil && ends {
			err = m.unsettle(ctx, thing, it.Contact, true)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
