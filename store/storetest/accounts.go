// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/sasl"
)

// How to read it: the topic and what all tests use of it, then its tests, then its benchmark.
// Accounts are the example of the tests that are the same in every topic.

var accounts = topic{
	name:  "accounts",
	test:  testAccounts,
	bench: benchAccount,
	give: func(user jid.JID) []store.Op {
		return []store.Op{store.SetKeys{User: user, Keys: []sasl.Key{key("SCRAM-SHA-256", 1)}}}
	},
	has: func(ctx context.Context, s store.Store, user jid.JID) (int, error) {
		a, err := s.Account(ctx, user)
		if errors.Is(err, store.ErrNotFound) {
			err = nil
		}
		return len(a.Keys), err
	},
}

// create makes an account of that name without keys.
func create(name string) store.Op {
	return store.CreateAccount{Account: store.Account{JID: user(name)}}
}

func key(hash string, seed byte) sasl.Key {
	return sasl.Key{Hash: hash, Salt: bytes.Repeat([]byte{seed}, 16), Iterations: 4096 + int(seed),
		StoredKey: bytes.Repeat([]byte{seed, 1}, 16), ServerKey: bytes.Repeat([]byte{seed, 2}, 16)}
}

// wantAccounts checks that there are accounts of exactly these names, which are in byte order.
func wantAccounts(t testing.TB, s store.Store, names ...string) {
	t.Helper()
	var got []string
	for page := 0; ; page++ {
		after := ""
		if len(got) > 0 {
			after = got[len(got)-1]
		}
		list := must[[]store.Account](t)(s.Accounts(t.Context(), "capulet.example", after, 0))
		if len(list) == 0 {
			break
		}
		for _, a := range list {
			got = append(got, a.JID.Local())
		}
	}
	if !slices.Equal(got, names) {
		t.Errorf("accounts: %q, want %q", got, names)
	}
}

func testAccounts(t *testing.T, e Engine) {
	t.Run("what was written is read", func(t *testing.T) {
		s := e.open(t)
		want := store.Account{
			JID:      user("juliet"),
			Keys:     []sasl.Key{key("SCRAM-SHA-1", 1), key("SCRAM-SHA-256", 2), key("SCRAM-SHA-512", 3)},
			Created:  time.Date(2026, 2, 3, 4, 5, 6, 789_012_345, time.FixedZone("", 3600)),
			Disabled: true,
		}
		commit(t, s, store.CreateAccount{Account: want})
		check := func(s store.Store) {
			t.Helper()
			got := must[store.Account](t)(s.Account(t.Context(), want.JID))
			if !got.Created.Equal(want.Created.Truncate(time.Microsecond)) || got.Created.Location() != time.UTC {
				t.Errorf("created %v, want %v", got.Created, want.Created)
			}
			if got.JID != want.JID || got.Disabled != want.Disabled || !sameKeys(got.Keys, want.Keys) {
				t.Errorf("got %+v, want %+v", got, want)
			}
		}
		check(s)
		check(e.reopen(t, s))
	})
	t.Run("keys are replaced", func(t *testing.T) {
		s := e.open(t, "juliet")
		for _, keys := range [][]sasl.Key{
			{key("SCRAM-SHA-1", 1), key("SCRAM-SHA-256", 2)}, {key("SCRAM-SHA-256", 9)}, nil,
		} {
			commit(t, s, store.SetKeys{User: user("juliet"), Keys: keys})
			if a := must[store.Account](t)(s.Account(t.Context(), user("juliet"))); !sameKeys(a.Keys, keys) {
				t.Errorf("keys %+v, want %+v", a.Keys, keys)
			}
		}
	})
	t.Run("errors", func(t *testing.T) {
		s := e.open(t, "juliet")
		two := []sasl.Key{key("SCRAM-SHA-1", 1), key("SCRAM-SHA-1", 2)}
		tests := []struct {
			op   store.Op
			want error
		}{
			{create("juliet"), store.ErrExists},
			{store.SetKeys{User: user("nobody")}, store.ErrNotFound},
			{store.SetDisabled{User: user("nobody")}, store.ErrNotFound},
			{store.DeleteAccount{User: user("nobody")}, store.ErrNotFound},
			{store.CreateAccount{Account: store.Account{JID: jid.MustParse("capulet.example")}}, store.ErrInvalid},
			{store.DeleteAccount{User: jid.MustParse("juliet@capulet.example/balcony")}, store.ErrInvalid},
			{store.SetKeys{User: user("juliet"), Keys: two}, store.ErrInvalid},
			{store.SetKeys{User: user("juliet"), Keys: []sasl.Key{{}}}, store.ErrInvalid},
			{store.SetKeys{User: user("juliet"), Keys: make([]sasl.Key, 1000)}, store.ErrTooLarge},
		}
		for _, test := range tests {
			if err := outcome(t, s.Commit(test.op)); !errors.Is(err, test.want) {
				t.Errorf("%+v: %v, want %v", test.op, err, test.want)
			}
		}
		if _, err := s.Account(t.Context(), user("nobody")); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("no such account: %v, want %v", err, store.ErrNotFound)
		}
		for _, j := range []jid.JID{{}, jid.MustParse("capulet.example"), jid.MustParse("a@capulet.example/b")} {
			if _, err := s.Account(t.Context(), j); !errors.Is(err, store.ErrInvalid) {
				t.Errorf("account %q: %v, want %v", j, err, store.ErrInvalid)
			}
		}
	})
	t.Run("disabled", func(t *testing.T) {
		s := e.open(t, "juliet")
		for _, disabled := range []bool{true, false} {
			commit(t, s, store.SetDisabled{User: user("juliet"), Disabled: disabled})
			if a := must[store.Account](t)(s.Account(t.Context(), user("juliet"))); a.Disabled != disabled {
				t.Errorf("disabled: %v, want %v", a.Disabled, disabled)
			}
		}
	})
	t.Run("pages", func(t *testing.T) { testAccountPages(t, e) })
}

func testAccountPages(t *testing.T, e Engine) {
	s := e.open(t)
	var want []string
	for i := range 25 {
		want = append(want, fmt.Sprintf("thing-%02d", i))
	}
	want = append(want, "ümlaut", "ж", "\U00010380") // by bytes, not by a language
	ops := []store.Op{}
	for i := range want {
		ops = append(ops, create(want[len(want)-1-i]))
	}
	elsewhere := jid.MustParse("thing-10@montague.example")
	ops = append(ops, store.CreateAccount{Account: store.Account{JID: elsewhere, Disabled: true}})
	commit(t, s, ops...)

	var got []string
	for after := ""; ; {
		page := must[[]store.Account](t)(s.Accounts(t.Context(), "capulet.example", after, 10))
		if len(page) == 0 {
			break
		}
		if len(page) > 10 {
			t.Fatalf("a page of %d", len(page))
		}
		for _, a := range page {
			got = append(got, a.JID.Local())
		}
		after = got[len(got)-1]
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	wantAccounts(t, s, want...)
	for domain, n := range map[string]int{"": len(want) + 1, "capulet.example": len(want), "montague.example": 1, "x": 0} {
		if got := must[int](t)(s.CountAccounts(t.Context(), domain)); got != n {
			t.Errorf("%d accounts of %q, want %d", got, domain, n)
		}
	}
	page := must[[]store.Account](t)(s.Accounts(t.Context(), "montague.example", "", 1))
	if len(page) != 1 || page[0].JID != elsewhere || !page[0].Disabled {
		t.Errorf("accounts of the other domain: %+v", page)
	}
}

func sameKeys(a, b []sasl.Key) bool {
	order := func(a, b sasl.Key) int { return strings.Compare(a.Hash, b.Hash) }
	a, b = slices.SortedFunc(slices.Values(a), order), slices.SortedFunc(slices.Values(b), order)
	return slices.EqualFunc(a, b, func(a, b sasl.Key) bool {
		return a.Hash == b.Hash && a.Iterations == b.Iterations && bytes.Equal(a.Salt, b.Salt) &&
			bytes.Equal(a.StoredKey, b.StoredKey) && bytes.Equal(a.ServerKey, b.ServerKey)
	})
}

func benchAccount(b *testing.B, e Engine) {
	s := e.open(b)
	const n = 1000
	for i := range n {
		a := store.Account{JID: user(fmt.Sprint("thing", i))}
		a.Keys = append(a.Keys, key("SCRAM-SHA-1", 1), key("SCRAM-SHA-256", 2), key("SCRAM-SHA-512", 3))
		s.Commit(store.CreateAccount{Account: a})
	}
	commit(b, s)
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		if _, err := s.Account(context.Background(), user(fmt.Sprint("thing", i%n))); err != nil {
			b.Fatal(err)
		}
	}
}
