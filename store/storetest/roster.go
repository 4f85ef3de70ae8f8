// SPDX-License-Identifier: Apache-2.0

package storetest

// How to read this file: testRoster has what a roster keeps, its versions and its errors;
// testCommonContacts what engines that write an address once must not get wrong.

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

var roster = topic{
	name:  "roster",
	test:  testRoster,
	bench: benchRoster,
	give: func(user jid.JID) []store.Op {
		return []store.Op{ // one contact all have, and one of its own
			store.SetRosterItem{User: user, Item: store.RosterItem{Contact: contact("nurse"), Version: 1}},
			store.SetRosterItem{User: user, Item: store.RosterItem{Contact: contact(user.Local()), Version: 2}},
		}
	},
	has: func(ctx context.Context, s store.Store, user jid.JID) (int, error) {
		r, err := s.Roster(ctx, user)
		return len(r.Items) + int(r.Version), err
	},
}

func contact(name string) jid.JID { return jid.MustParse(name + "@montague.example") }

func testRoster(t *testing.T, e Engine) {
	items := []store.RosterItem{
		{Contact: contact("romeo"), Name: "Romeo & co", Groups: []string{"Friends", "a\nb", "ж", "Friends"},
			Subscription: store.SubscriptionBoth, Version: 1},
		{Contact: contact("mercutio"), Subscription: store.SubscriptionTo, Ask: true, Version: 2},
		{Contact: contact("tybalt"), Subscription: store.SubscriptionFrom, Approved: true, Related: true, Version: 3},
		{Contact: contact("paris"), Hidden: true, In: []byte("<presence type='subscribe'/>"), Version: 4},
		{Contact: jid.MustParse("montague.example"), Name: "a domain", Version: 5},
		{Contact: jid.MustParse("romeo@montague.example/orchard"), Name: "a resource", Version: 6},
	}
	fill := func(t *testing.T) store.Store {
		s := e.open(t, "juliet", "nurse")
		for _, item := range items {
			commit(t, s, store.SetRosterItem{User: user("juliet"), Item: item})
		}
		return s
	}
	t.Run("what was written is read", func(t *testing.T) {
		s := fill(t)
		wantRoster(t, s, "juliet", 6, items...)
		wantRoster(t, s, "nurse", 0)
		wantRoster(t, s, "nobody", 0)
		for _, want := range items {
			got := must[store.RosterItem](t)(s.RosterItem(t.Context(), user("juliet"), want.Contact))
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got %+v, want %+v", got, want)
			}
		}
		wantRoster(t, e.reopen(t, s), "juliet", 6, items...)
	})
	t.Run("replace", func(t *testing.T) {
		s := fill(t)
		changed := slices.Clone(items)
		changed[0] = store.RosterItem{Contact: items[0].Contact, Version: 7}
		changed[3] = store.RosterItem{Contact: items[3].Contact, Subscription: store.SubscriptionFrom, Version: 8}
		commit(t, s, store.SetRosterItem{User: user("juliet"), Item: changed[0]},
			store.SetRosterItem{User: user("juliet"), Item: changed[3]})
		wantRoster(t, s, "juliet", 8, changed...)
	})
	t.Run("delete", func(t *testing.T) {
		s := fill(t)
		commit(t, s, store.DeleteRosterItem{User: user("juliet"), Contact: contact("romeo"), Version: 7})
		wantRoster(t, s, "juliet", 7, items[1:]...)
		if _, err := s.RosterItem(t.Context(), user("juliet"), contact("romeo")); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("a deleted item: %v, want %v", err, store.ErrNotFound)
		}
		// What is not there is no error, and the version moves on.
		commit(t, s, store.DeleteRosterItem{User: user("juliet"), Contact: contact("romeo"), Version: 8})
		commit(t, s, store.DeleteRosterItem{User: user("nurse"), Contact: contact("stranger"), Version: 1})
		wantRoster(t, s, "juliet", 8, items[1:]...)
		wantRoster(t, s, "nurse", 1)
		commit(t, s, store.SetRosterItem{User: user("juliet"), Item: items[0]}) // an old version does not bring it back
		wantRoster(t, s, "juliet", 8, items...)
	})
	t.Run("removed", func(t *testing.T) {
		s := e.open(t, "juliet")
		set := func(name string, hidden bool, version int64) store.Op {
			return store.SetRosterItem{User: user("juliet"), Item: store.RosterItem{Contact: contact(name), Hidden: hidden, Version: version}}
		}
		remove := func(name string, version int64) store.Op {
			return store.DeleteRosterItem{User: user("juliet"), Contact: contact(name), Version: version}
		}
		for i, step := range []struct {
			op      store.Op
			removed int64
		}{
			{set("romeo", false, 5), 5}, // before the first there may have been another account of that name
			{set("paris", true, 6), 5},
			{remove("paris", 7), 5}, // nobody has seen it
			{remove("nobody", 8), 5},
			{remove("romeo", 9), 9},
			{remove("romeo", 10), 9},
			{set("romeo", false, 11), 9},
			{store.DeleteAccount{User: user("juliet")}, 0},
			{create("juliet"), 0},
			{remove("romeo", 12), 12},
		} {
			commit(t, s, step.op)
			if r := must[store.Roster](t)(s.Roster(t.Context(), user("juliet"))); r.Removed != step.removed {
				t.Errorf("step %d: removed %d, want %d", i, r.Removed, step.removed)
			}
		}
		s = e.reopen(t, s)
		if r := must[store.Roster](t)(s.Roster(t.Context(), user("juliet"))); r.Removed != 12 || r.Version != 12 {
			t.Errorf("after a restart: %+v", r)
		}
	})
	t.Run("seen by", func(t *testing.T) {
		s := e.open(t, "juliet", "nurse", "peter", "gregory", "paris")
		romeo := contact("romeo")
		for i, sub := range []store.Subscription{store.SubscriptionFrom, store.SubscriptionBoth, store.SubscriptionTo, store.SubscriptionNone, store.SubscriptionFrom} {
			who := user([]string{"juliet", "nurse", "peter", "gregory", "paris"}[i])
			commit(t, s, store.SetRosterItem{User: who, Item: store.RosterItem{Contact: romeo, Subscription: sub, Version: 1}},
				store.SetRosterItem{User: who, Item: store.RosterItem{Contact: contact("nobody"), Subscription: store.SubscriptionBoth &^ sub, Version: 2}})
		}
		seen := func(by jid.JID, want ...string) {
			t.Helper()
			for limit := range 4 {
				var got []string
				for after, page := (jid.JID{}), []jid.JID{{}}; len(page) > 0; {
					page = must[[]jid.JID](t)(s.SeenBy(t.Context(), by, after, limit))
					for _, j := range page {
						got = append(got, j.Local())
						after = j
					}
					if limit > 0 && len(page) > limit {
						t.Errorf("a page of %d for %d", len(page), limit)
					}
				}
				slices.Sort(got)
				if !slices.Equal(got, want) {
					t.Errorf("by %s, in pages of %d: %q, want %q", by, limit, got, want)
				}
			}
		}
		seen(romeo, "juliet", "nurse", "paris")
		seen(contact("nobody"), "gregory", "peter")
		seen(contact("stranger"))
		seen(jid.MustParse("romeo@montague.example/orchard"))
		commit(t, s, store.DeleteRosterItem{User: user("nurse"), Contact: romeo, Version: 3}, store.DeleteAccount{User: user("juliet")})
		seen(romeo, "paris")
	})
	t.Run("of a deleted account", func(t *testing.T) {
		s := e.open(t, "juliet", "nurse", "peter", "gregory")
		juliet := user("juliet")
		commit(t, s,
			store.SetRosterItem{User: user("nurse"), Item: store.RosterItem{Contact: juliet, Name: "My lady", Groups: []string{"Family"},
				Subscription: store.SubscriptionBoth, Ask: true, In: []byte("<presence/>"), Version: 1}},
			store.SetRosterItem{User: user("nurse"), Item: store.RosterItem{Contact: contact("romeo"), Subscription: store.SubscriptionBoth, Version: 2}},
			store.SetRosterItem{User: user("peter"), Item: store.RosterItem{Contact: juliet, Hidden: true, In: []byte("<presence/>"), Version: 3}},
			store.SetRosterItem{User: user("gregory"), Item: store.RosterItem{Contact: juliet, Approved: true, Version: 4}},
			store.SetRosterItem{User: juliet, Item: store.RosterItem{Contact: user("nurse"), Subscription: store.SubscriptionBoth, Version: 5}})
		commit(t, s, store.DeleteAccount{User: juliet}, create("juliet"))
		s = e.reopen(t, s)
		wantRoster(t, s, "nurse", 3,
			store.RosterItem{Contact: juliet, Name: "My lady", Version: 3},
			store.RosterItem{Contact: contact("romeo"), Subscription: store.SubscriptionBoth, Version: 2})
		wantRoster(t, s, "peter", 3)
		wantRoster(t, s, "gregory", 5, store.RosterItem{Contact: juliet, Version: 5})
		wantRoster(t, s, "juliet", 0)
	})
	t.Run("contacts in common", func(t *testing.T) { testCommonContacts(t, e) })
	t.Run("errors", func(t *testing.T) {
		s := e.open(t, "juliet")
		set := func(j jid.JID, item store.RosterItem) store.Op { return store.SetRosterItem{User: j, Item: item} }
		romeo := contact("romeo")
		tests := []struct {
			op   store.Op
			want error
		}{
			{set(user("nobody"), store.RosterItem{Contact: romeo}), store.ErrNotFound},
			{store.DeleteRosterItem{User: user("nobody"), Contact: romeo}, store.ErrNotFound},
			{set(jid.JID{}, store.RosterItem{Contact: romeo}), store.ErrInvalid},
			{set(user("juliet"), store.RosterItem{}), store.ErrInvalid},
			{set(user("juliet"), store.RosterItem{Contact: romeo, Subscription: 4}), store.ErrInvalid},
			{set(user("juliet"), store.RosterItem{Contact: romeo, Groups: []string{""}}), store.ErrInvalid},
			{set(user("juliet"), store.RosterItem{Contact: romeo, Groups: []string{"a\x00b"}}), store.ErrInvalid},
			{set(user("juliet"), store.RosterItem{Contact: romeo, Name: strings.Repeat("x", store.MaxOpBytes)}), store.ErrTooLarge},
			{store.DeleteRosterItem{User: user("juliet")}, store.ErrInvalid},
		}
		for i, test := range tests {
			if err := outcome(t, s.Commit(test.op)); !errors.Is(err, test.want) {
				t.Errorf("%d, %T: %v, want %v", i, test.op, err, test.want)
			}
		}
		wantRoster(t, s, "juliet", 0)
		if _, err := s.Roster(t.Context(), jid.JID{}); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("roster of nobody: %v, want %v", err, store.ErrInvalid)
		}
	})
}

// testCommonContacts: engines that write an address once must keep it while anybody has it, and undo it with the call.
func testCommonContacts(t *testing.T, e Engine) {
	s := e.open(t, "juliet", "nurse")
	item := func(name string, version int64) store.RosterItem {
		return store.RosterItem{Contact: contact(name), Name: name, Version: version}
	}
	set := func(who, name string, version int64) store.Op {
		return store.SetRosterItem{User: user(who), Item: item(name, version)}
	}
	remove := func(who, name string, version int64) store.Op {
		return store.DeleteRosterItem{User: user(who), Contact: contact(name), Version: version}
	}
	commit(t, s, set("juliet", "romeo", 1), set("nurse", "romeo", 1))
	commit(t, s, remove("juliet", "romeo", 2))
	wantRoster(t, s, "nurse", 1, item("romeo", 1))
	commit(t, s, remove("nurse", "romeo", 2))
	commit(t, s, set("juliet", "romeo", 3))
	wantRoster(t, s, "juliet", 3, item("romeo", 3))

	// A call that fails leaves neither its new address nor the end of an old one.
	fails := create("nurse")
	for i, ops := range [][]store.Op{
		{set("juliet", "peter", 4), fails},
		{remove("juliet", "romeo", 4), fails},
		{remove("juliet", "romeo", 4), set("juliet", "romeo", 5), set("juliet", "peter", 6), fails},
		{store.DeleteAccount{User: user("juliet")}, create("juliet"), set("juliet", "gregory", 1), fails},
	} {
		if err := outcome(t, s.Commit(ops...)); !errors.Is(err, store.ErrExists) {
			t.Errorf("call %d: %v, want %v", i, err, store.ErrExists)
		}
		wantRoster(t, s, "juliet", 3, item("romeo", 3))
	}
	commit(t, s, set("nurse", "sampson", 3), set("nurse", "peter", 4), set("juliet", "gregory", 4))
	wantRoster(t, s, "nurse", 4, item("peter", 4), item("sampson", 3))
	wantRoster(t, s, "juliet", 4, item("gregory", 4), item("romeo", 3))

	// The same within one batch behind a slow disk.
	resume := e.Stall(s)
	s.Commit(set("nurse", "balthasar", 5))
	for i := range int64(20) {
		s.Commit(set("nurse", fmt.Sprint("extra", i), 6+i), fails)
		s.Commit(remove("nurse", "balthasar", 30+2*i))
		s.Commit(set("nurse", "balthasar", 31+2*i))
	}
	resume()
	commit(t, s)
	wantRoster(t, s, "nurse", 69, item("balthasar", 69), item("peter", 4), item("sampson", 3))
	wantRoster(t, e.reopen(t, s), "nurse", 69, item("balthasar", 69), item("peter", 4), item("sampson", 3))
}

func wantRoster(t *testing.T, s store.Store, who string, version int64, items ...store.RosterItem) {
	t.Helper()
	r := must[store.Roster](t)(s.Roster(t.Context(), user(who)))
	got, v := r.Items, r.Version
	order := func(a, b store.RosterItem) int { return strings.Compare(a.Contact.String(), b.Contact.String()) }
	slices.SortFunc(got, order)
	want := slices.SortedFunc(slices.Values(items), order)
	if v != version || len(got) != len(want) || len(want) > 0 && !reflect.DeepEqual(got, want) {
		t.Errorf("roster of %s: version %d, %+v; want version %d, %+v", who, v, got, version, want)
	}
}

func benchRoster(b *testing.B, e Engine) {
	s := e.open(b, "juliet")
	for i := range int64(50) {
		item := store.RosterItem{Contact: contact(fmt.Sprint("thing", i)), Name: "a thing", Groups: []string{"Things"}, Version: i}
		s.Commit(store.SetRosterItem{User: user("juliet"), Item: item})
	}
	commit(b, s)
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		if _, err := s.Roster(context.Background(), user("juliet")); err != nil {
			b.Fatal(err)
		}
	}
}
