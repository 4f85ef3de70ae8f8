// SPDX-License-Identifier: Apache-2.0

package roster

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// How to read this file: Relate is what other modules call; bond is one such change of several rosters, as it goes from
// Relate to the store's goroutine.

// Relation is what is to be between two addresses, at least one of which is an account of ours.
type Relation struct {
	A, B jid.JID // bare
	// Friends see each other's presence and are in each other's roster. Where one of them is elsewhere, the other's roster has it
	// as approved: it sees his presence when it asks for that. Those that are no friends are in no roster of the other.
	Friends bool
	// Service has A be a service of this server, which B sees and which does not see B.
	Service bool
	// Name is what A is called in B's roster, if it is not there yet.
	Name string
}

// Befriend makes two addresses friends, in one commit with ops. It is Relate for one relation.
func (m *Module) Befriend(ctx context.Context, a, b jid.JID, ops ...store.Op) (*store.Pending, error) {
	return m.Relate(ctx, []Relation{{A: a, B: b, Friends: true}}, ops...)
}

// Part ends what is between two addresses, in one commit with ops. It is Relate for one relation.
func (m *Module) Part(ctx context.Context, a, b jid.JID, ops ...store.Op) (*store.Pending, error) {
	return m.Relate(ctx, []Relation{{A: a, B: b}}, ops...)
}

// Relate makes relations what they are to be, on both sides and in one commit with ops, which come first: after a crash there
// is all of it or nothing. Who sees it is told by pushes and presence when it is committed. It may wait for the store. The
// error, before anything is done, is a *stanza.Error where a roster is full.
func (m *Module) Relate(ctx context.Context, relations []Relation, ops ...store.Op) (*store.Pending, error) {
	x := &bond{m: m, ops: ops}
	if err := x.hold(ctx, relations); err != nil {
		x.release()
		return nil, err
	}
	for _, p := range x.parties { // in the order of their addresses
		p.book.asking.Lock()
	}
	for _, p := range x.parties {
		p.book.mu.Lock()
	}
	err := x.room(relations)
	if err == nil {
		x.change(relations, time.Now())
	}
	var pending *store.Pending
	if err == nil {
		pending = m.store.Commit(x.ops...)
		pending.OnDone(x.committed) // under the locks: pushes come in the order of the versions
	}
	for _, p := range x.parties {
		p.book.mu.Unlock()
	}
	if err != nil {
		x.done()
		return nil, err
	}
	pending.OnDone(x.tell)
	return pending, nil
}

// bond is a change of several rosters.
type bond struct {
	m       *Module
	ops     []store.Op
	parties []party
	changes []bondChange
}

type party struct {
	user *server.User
	book *book
	free func()
}

type bondChange struct {
	party
	was, is store.RosterItem
}

// hold puts the accounts in use, with their books.
func (x *bond) hold(ctx context.Context, relations []Relation) error {
	var all []jid.JID
	for _, r := range relations {
		for _, j := range []jid.JID{r.A, r.B} {
			if x.m.server.Serves(j.Domain()) && !j.IsDomain() {
				all = append(all, j)
			}
		}
	}
	slices.SortFunc(all, func(a, b jid.JID) int { return strings.Compare(a.String(), b.String()) })
	for _, j := range slices.Compact(all) {
		u, free := x.m.server.Hold(j)
		p := party{user: u, free: free}
		var err error
		p.book, err = x.m.book(ctx, u)
		x.parties = append(x.parties, p)
		if err != nil {
			return err
		}
	}
	return nil
}

// release lets go of the accounts.
func (x *bond) release() {
	for _, p := range x.parties {
		p.free()
	}
}

func (x *bond) party(j jid.JID) (party, bool) {
	i := slices.IndexFunc(x.parties, func(p party) bool { return p.user.JID == j })
	if i < 0 {
		return party{}, false
	}
	return x.parties[i], true
}

// room reports whether there is room for new contacts, which have a bound of their own. The caller holds all books.
func (x *bond) room(relations []Relation) error {
	most, more := x.m.config.Load().Related, make(map[*book]int)
	for _, r := range relations {
		for _, side := range [][2]jid.JID{{r.A, r.B}, {r.B, r.A}} {
			p, ours := x.party(side[0])
			if !ours || !r.Friends {
				continue
			}
			if p.book.items[side[1]].Related {
				continue
			}
			if more[p.book]++; int(p.book.related)+more[p.book] > most {
				return x.m.full("related", "the roster of "+side[0].String()+" is full")
			}
		}
	}
	return nil
}

// change makes the operations, and the books what they will be. The caller holds all books.
func (x *bond) change(relations []Relation, now time.Time) {
	for _, r := range relations {
		a, ourA := x.party(r.A)
		b, ourB := x.party(r.B)
		sub, granted := store.SubscriptionBoth, r.Friends
		switch {
		case r.Service:
			sub, granted = store.SubscriptionTo, false
		case !ourA || !ourB: // the other side has to ask
			sub = 0
		}
		if ourA {
			x.side(a, side{contact: r.B, friends: r.Friends, sub: sub, approved: granted}, now)
		}
		if ourB {
			x.side(b, side{contact: r.A, friends: r.Friends, sub: sub, approved: granted, name: r.Name}, now)
		}
	}
}

// side is what a relation makes of one roster.
type side struct {
	contact  jid.JID
	friends  bool
	sub      store.Subscription // that there is at least; 0: what there is
	approved bool               // what is not granted yet is approved before it is asked for
	name     string             // of the contact, where it is new
}

// side changes one roster.
func (x *bond) side(p party, s side, now time.Time) {
	contact := s.contact
	was := p.book.item(contact)
	_, known := p.book.items[contact]
	it := was
	if s.friends {
		if was.Hidden && it.Name == "" {
			it.Name = s.name
		}
		it.Hidden, it.Related = false, true
		it.Subscription |= s.sub
		if it.Subscription&store.SubscriptionTo != 0 {
			it.Ask = false
		}
		granted := it.Subscription&store.SubscriptionFrom != 0
		if granted {
			it.In = nil
		}
		it.Approved = (s.approved || it.Approved) && !granted
		if known && looksLike(was, it) && was.In == nil && was.Related {
			return
		}
	} else {
		if !known {
			return
		}
		it = store.RosterItem{Contact: contact, Hidden: true}
	}
	it.Version = p.book.next(now)
	if s.friends {
		x.ops = append(x.ops, store.SetRosterItem{User: p.user.JID, Item: it})
	} else {
		x.ops = append(x.ops, store.DeleteRosterItem{User: p.user.JID, Contact: contact, Version: it.Version})
	}
	p.book.put(was, it, !s.friends)
	p.book.begin()
	x.changes = append(x.changes, bondChange{p, was, it})
}

// committed pushes, as Module.update does. It runs on the store's goroutine.
func (x *bond) committed(err error) {
	for _, c := range x.changes {
		if err == nil && !looksLike(c.was, c.is) {
			x.m.push(c.user, c.is)
		}
		if err == nil && x.m.change != nil {
			x.m.change(c.user, c.was, c.is)
		}
		if c.book.end(c.is.Version, err) {
			m, user, book := x.m, c.user, c.book
			go func() { _ = m.restore(user, book) }()
		}
	}
}

// tell has those that see each other from now on, or do so no more, told. It runs behind committed.
func (x *bond) tell(err error) {
	if err == nil {
		t := x.m.server.NewTurn()
		for _, c := range x.changes {
			saw, sees := c.was.Subscription&store.SubscriptionFrom != 0, c.is.Subscription&store.SubscriptionFrom != 0
			contact := c.is.Contact
			if saw && !sees && x.m.lost != nil {
				x.m.lost(t, c.user.JID, contact)
			}
			if !saw && sees && x.m.gained != nil {
				x.m.gained(t, c.user, contact)
			}
			if _, ours := x.party(contact); !ours && c.is.Hidden {
				cancel(t, c.user.JID, c.was)
			}
		}
		t.End()
	}
	x.done()
}

// done lets others ask for subscriptions again.
func (x *bond) done() {
	for _, p := range x.parties {
		p.book.asking.Unlock()
	}
	x.release()
}
