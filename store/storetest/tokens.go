// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/store"
)

var tokens = topic{name: "tokens", test: testTokens}

func token(text string, uses int) store.Token {
	return store.Token{
		Digest: sha256.Sum256([]byte(text)), Domain: "capulet.example", Uses: uses,
		Created: time.Date(2026, 5, 1, 12, 0, 0, 1000, time.UTC),
	}
}

func testTokens(t *testing.T, e Engine) {
	t.Run("what was written is read", func(t *testing.T) {
		s := e.open(t)
		full := token("full", 500)
		full.Thing, full.Note, full.Groups = true, "batch 7 – ж", []string{"hall 1", "a;b"}
		full.Tags = []store.ThingTag{{Name: "MAN", Str: "example.org"}, {Name: "ж"}, {Name: "V", Num: 1.5, Numeric: true}}
		full.Expires = full.Created.Add(time.Hour)
		bare := token("bare", 1)
		commit(t, s, store.AddToken{Token: full}, store.AddToken{Token: bare})
		want := []store.Token{full, bare}
		slices.SortFunc(want, func(a, b store.Token) int { return strings.Compare(a.ID(), b.ID()) })
		check := func(s store.Store) {
			t.Helper()
			for _, x := range want {
				if got, err := s.Token(t.Context(), x.Digest); err != nil || !reflect.DeepEqual(got, x) {
					t.Errorf("got %+v, %v, want %+v", got, err, x)
				}
			}
			if got := must[[]store.Token](t)(s.ListTokens(t.Context(), "", 0)); !reflect.DeepEqual(got, want) {
				t.Errorf("list: %+v, want %+v", got, want)
			}
		}
		check(s)
		check(e.reopen(t, s))
	})
	t.Run("uses", func(t *testing.T) {
		s := e.open(t)
		x := token("x", 2)
		commit(t, s, store.AddToken{Token: x})
		use := store.UseToken{Digest: x.Digest, Domain: x.Domain}
		if err := outcome(t, s.Commit(store.UseToken{Digest: x.Digest, Domain: "montague.example"})); !errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrSpent) {
			t.Errorf("at another domain: %v", err)
		}
		commit(t, s, create("a"), use)
		// An account that cannot be made uses nothing, and one without a use is not made.
		if err := outcome(t, s.Commit(use, create("a"))); !errors.Is(err, store.ErrExists) {
			t.Errorf("an account that is there: %v", err)
		}
		commit(t, s, create("b"), use)
		if err := outcome(t, s.Commit(create("c"), use)); !errors.Is(err, store.ErrSpent) {
			t.Errorf("used up: %v", err)
		}
		wantAccounts(t, s, "a", "b")
		got := must[store.Token](t)(s.Token(t.Context(), x.Digest))
		if got.Used != 2 || !errors.Is(got.Spent(time.Time{}), store.ErrSpent) {
			t.Errorf("%+v", got)
		}
		got.Used, got.Expires = 1, x.Created
		if err := got.Spent(x.Created.Add(-1)); err != nil {
			t.Errorf("before the end: %v", err)
		}
		if err := got.Spent(x.Created); !errors.Is(err, store.ErrExpired) {
			t.Errorf("at the end: %v", err)
		}
	})
	t.Run("many at once use it no more often than they may", func(t *testing.T) {
		s := e.open(t)
		x := token("x", 20)
		commit(t, s, store.AddToken{Token: x})
		var mu sync.Mutex
		var work sync.WaitGroup
		made := 0
		for i := range 60 {
			work.Go(func() {
				err := s.Commit(create(fmt.Sprint("n", i)), store.UseToken{Digest: x.Digest, Domain: x.Domain}).Wait(t.Context())
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					made++
				} else if !errors.Is(err, store.ErrSpent) {
					t.Error(err)
				}
			})
		}
		work.Wait()
		if n := must[int](t)(s.CountAccounts(t.Context(), "")); made != 20 || n != 20 {
			t.Errorf("%d made, %d there", made, n)
		}
	})
	t.Run("pages, removal", func(t *testing.T) {
		s := e.open(t)
		var ids []string
		for i := range 25 {
			x := token(fmt.Sprint(i), 1)
			ids = append(ids, x.ID())
			commit(t, s, store.AddToken{Token: x})
		}
		slices.Sort(ids)
		commit(t, s, store.RemoveToken{ID: ids[7]})
		gone := ids[7]
		ids = slices.Delete(ids, 7, 8)
		var got []string
		for after := ""; ; {
			page := must[[]store.Token](t)(s.ListTokens(t.Context(), after, 10))
			if len(page) == 0 {
				break
			}
			for i := range page {
				got = append(got, page[i].ID())
			}
			after = got[len(got)-1]
		}
		if !slices.Equal(got, ids) {
			t.Errorf("got %q, want %q", got, ids)
		}
		if err := outcome(t, s.Commit(store.RemoveToken{ID: gone})); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("removed twice: %v", err)
		}
	})
	t.Run("errors", func(t *testing.T) {
		s := e.open(t)
		x := token("x", 1)
		commit(t, s, store.AddToken{Token: x})
		change := func(f func(*store.Token)) store.Op {
			y := token("y", 1)
			f(&y)
			return store.AddToken{Token: y}
		}
		for name, test := range map[string]struct {
			op   store.Op
			want error
		}{
			"there already": {store.AddToken{Token: x}, store.ErrExists},
			"no uses":       {change(func(x *store.Token) { x.Uses = 0 }), store.ErrInvalid},
			"many uses":     {change(func(x *store.Token) { x.Uses = 2_000_000 }), store.ErrInvalid},
			"used more":     {change(func(x *store.Token) { x.Used = 2 }), store.ErrInvalid},
			"no domain":     {change(func(x *store.Token) { x.Domain = "" }), store.ErrInvalid},
			"no digest":     {change(func(x *store.Token) { x.Digest = [sha256.Size]byte{} }), store.ErrInvalid},
			"empty group":   {change(func(x *store.Token) { x.Groups = []string{""} }), store.ErrInvalid},
			"nameless tag":  {change(func(x *store.Token) { x.Tags = []store.ThingTag{{}} }), store.ErrInvalid},
			"long tag":      {change(func(x *store.Token) { x.Tags = []store.ThingTag{{Name: "x", Str: strings.Repeat("x", 2000)}} }), store.ErrInvalid},
			"many groups":   {change(func(x *store.Token) { x.Groups = make([]string, 101) }), store.ErrTooLarge},
			"long note":     {change(func(x *store.Token) { x.Note = strings.Repeat("x", 2000) }), store.ErrTooLarge},
			"unknown":       {store.UseToken{Digest: sha256.Sum256(nil), Domain: x.Domain}, store.ErrNotFound},
			"unknown ID":    {store.RemoveToken{ID: "000000000000"}, store.ErrNotFound},
			"no ID":         {store.RemoveToken{ID: "x"}, store.ErrInvalid},
		} {
			if err := outcome(t, s.Commit(test.op)); !errors.Is(err, test.want) {
				t.Errorf("%s: %v, want %v", name, err, test.want)
			}
		}
		if _, err := s.Token(t.Context(), sha256.Sum256(nil)); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("no such token: %v", err)
		}
	})
	t.Run("so many and no more", func(t *testing.T) {
		s := e.open(t)
		var ops []store.Op
		for i := range store.MaxTokens {
			ops = append(ops, store.AddToken{Token: token(fmt.Sprint(i), 1)})
			if len(ops) == store.MaxCallOps || i == store.MaxTokens-1 {
				commit(t, s, ops...)
				ops = nil
			}
		}
		if err := outcome(t, s.Commit(store.AddToken{Token: token("x", 1)})); !errors.Is(err, store.ErrTooLarge) {
			t.Errorf("one more: %v", err)
		}
	})
}
