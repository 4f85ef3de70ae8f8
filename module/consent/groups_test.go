// SPDX-License-Identifier: Apache-2.0

package consent

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// parts looks whose sight of a thing was ended.
func (b *bed) parts(want ...string) {
	b.T.Helper()
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	slices.Sort(b.parted)
	if !slices.Equal(b.parted, want) {
		b.T.Errorf("ended: %q, want %q", b.parted, want)
	}
	b.parted = nil
}

// friends lets a group of the owner's see a thing.
func (b *bed) friends(kind store.SubjectKind, name string) {
	b.T.Helper()
	r := store.Rule{
		Owner: jid.MustParse("owner@d"), Thing: store.ThingName{JID: jid.MustParse("thing@d")},
		Subject: store.Subject{Kind: kind, Name: name}, Right: store.RightFriend, Allow: true,
	}
	if _, _, err := b.m.decree(b.T.Context(), r, 0); err != nil {
		b.T.Fatal(err)
	}
}

// grouped is a bed where some see a thing: romeo is in group C of its owner's, nurse in group A; friar owns what is behind it.
func grouped(t *testing.T) *bed {
	b := newBed(t, usual(), "thing@d", "owner@d", "romeo@d", "nurse@d", "friar@d", "tybalt@e")
	thing, owner := jid.MustParse("thing@d"), jid.MustParse("owner@d")
	ops := []store.Op{
		store.SetRosterItem{User: owner, Item: store.RosterItem{Contact: jid.MustParse("romeo@d"), Groups: []string{"C"}, Version: 1}},
		store.SetRosterItem{User: owner, Item: store.RosterItem{Contact: jid.MustParse("nurse@d"), Groups: []string{"A"}, Version: 2}},
		store.RegisterThing{Thing: store.Thing{ThingName: store.ThingName{JID: thing, ThingNode: store.ThingNode{ID: "n"}}, Owner: jid.MustParse("friar@d")}},
	}
	for i, name := range []string{"owner@d", "romeo@d", "nurse@d", "friar@d", "tybalt@e"} {
		ops = append(ops, store.SetRosterItem{User: thing, Item: store.RosterItem{Contact: jid.MustParse(name), Subscription: store.SubscriptionFrom, Version: int64(i + 1)}})
	}
	if err := b.Disk.Commit(ops...).Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.friends(store.SubjectDomain, "e")
	return b
}

// Who has left a group before the server was killed is not seen as one of it when it starts again.
func TestGroupsAfterCrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := grouped(t)
		b.Restart()
		b.parts() // no rule is for a group
		b.friends(store.SubjectGroup, "A")
		b.parts()
		b.Restart()
		b.parts("thing@d romeo@d")
	})
}

// What follows from a move is done before the server ends.
func TestGroupsAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := grouped(t)
		b.friends(store.SubjectGroup, "A")
		m := b.m
		m.asking.moves(move{jid.MustParse("owner@d"), jid.MustParse("romeo@d")}, []string{"A"})
		if err := b.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.parts("thing@d romeo@d")
	})
}

// Out of whatever groups a contact was moved while that could not be looked at, what rested on each of them ends.
func TestMovedAgain(t *testing.T) {
	for _, group := range []string{"A", "B"} {
		t.Run(group, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := grouped(t)
				b.friends(store.SubjectGroup, group)
				of := move{jid.MustParse("owner@d"), jid.MustParse("romeo@d")}
				stalls := make(chan struct{})
				b.stalls.Store(&stalls)
				b.m.asking.moves(of, []string{"A"})
				awake(b.m.asking.wake)
				synctest.Wait()
				b.m.asking.moves(of, []string{"B"}) // and on to C, while that is looked at
				b.failing.Store(true)
				b.stalls.Store(nil)
				close(stalls)
				b.parts()
				b.failing.Store(false)
				<-time.After(expireEvery)
				b.parts("thing@d romeo@d")
			})
		})
	}
}

// More moves than are told apart are out of any group.
func TestManyMoves(t *testing.T) {
	var x asking
	x.init()
	of := move{jid.MustParse("owner@d"), jid.MustParse("romeo@d")}
	for range mostMoves - 1 {
		x.moves(of, []string{"A"})
	}
	if was := x.moved[of]; differs("B", was, nil) || !differs("A", was, nil) || differs("A", was, []string{"A"}) {
		t.Errorf("%q", was)
	}
	x.moves(of, []string{"A"})
	x.moves(of, []string{"A"})
	if was := x.moved[of]; len(was) != mostMoves || !differs("B", was, nil) {
		t.Errorf("%q", was)
	}
}
