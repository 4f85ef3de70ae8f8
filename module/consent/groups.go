// SPDX-License-Identifier: Apache-2.0

package consent

// How to read this file: a rule for a group of the owner's gives a contact what it gives by where that stands in his roster. regrouped
// hears of it; regroup ends what rests on it, as a change of the rule itself would.

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

// moves has it looked at what follows from a move, out of these groups.
func (x *asking) moves(of move, was []string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.moved == nil {
		x.moved = make(map[move][]string)
	}
	if _, waits := x.moved[of]; !waits { // else those that were looked at last
		x.moved[of] = was
	}
}

// regroup has the owner's things that have rules for the groups which a contact has left, or come into, forget what they remember, and
// ends its subscriptions that rested on one.
func (m *Module) regroup(ctx context.Context, of move, was []string) error {
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
			if r.Subject.Kind == store.SubjectGroup && slices.Contains(was, r.Subject.Name) != slices.Contains(is, r.Subject.Name) {
				things[r.Thing.JID] = true
			}
		}
	}
	for thing := range things {
		if err := m.regroupAt(ctx, thing, of, was, is); err != nil {
			return err
		}
	}
	return nil
}

// regroupAt is regroup for one thing.
func (m *Module) regroupAt(ctx context.Context, thing jid.JID, of move, was, is []string) error {
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
	befriends := func(groups []string) bool {
		st := standing{caller: of.contact, owners: owners{{}: {owner: owner}}, rules: rules}
		for _, g := range groups {
			st.groups = append(st.groups, membership{of.owner, g})
		}
		return st.decide(store.ThingNode{}, store.RightFriend, nil).Verdict == All
	}
	ends := befriends(was) && !befriends(is)
	outdate := store.Outdate{Thing: thing}
	var p *store.Pending
	if ends {
		p, err = m.roster.Part(ctx, thing, of.contact, outdate)
	} else {
		p, err = m.store.Commit(outdate), nil
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
		m.part(thing, []jid.JID{of.contact})
	}
	if m.nodes == nil {
		return nil
	}
	return m.nodes.Recheck(ctx, thing, of.contact)
}
