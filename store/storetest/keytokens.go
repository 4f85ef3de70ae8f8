// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

var keyTokens = topic{
	name: "keytokens",
	test: testKeyTokens,
	give: func(user jid.JID) []store.Op {
		return []store.Op{named(user, "of-"+user.Local(), "key", 9)}
	},
	has: func(ctx context.Context, s store.Store, user jid.JID) (int, error) {
		list, err := s.AccountKeyTokens(ctx, user)
		return len(list), err
	},
}

// named gives an account a token for a key, for an hour from dawn.
func named(account jid.JID, token, key string, most int) store.SetKeyToken {
	return store.SetKeyToken{Most: most, Token: store.KeyToken{
		Token: token, Account: account, Key: []byte(key), Name: "лампа", Created: dawn, Expires: dawn.Add(time.Hour),
	}}
}

func testKeyTokens(t *testing.T, e Engine) {
	a, b := user("juliet"), user("nurse")
	t.Run("what was written is read", func(t *testing.T) {
		s := e.open(t, "juliet", "nurse")
		one, two := named(a, "one", "k1\x00ж", 9), named(a, "two", "k2", 9)
		two.Token.Created = dawn.Add(time.Minute)
		other := named(b, "three", "k1\x00ж", 9)
		want := func(s store.Store) {
			t.Helper()
			for _, op := range []store.SetKeyToken{one, two, other} {
				if got, err := s.KeyToken(t.Context(), op.Token.Token); err != nil || !reflect.DeepEqual(got, op.Token) {
					t.Errorf("got %+v, %v, want %+v", got, err, op.Token)
				}
			}
			if got := must[[]store.KeyToken](t)(s.AccountKeyTokens(t.Context(), a)); !reflect.DeepEqual(got, []store.KeyToken{one.Token, two.Token}) {
				t.Errorf("of %s: %+v", a, got)
			}
		}
		commit(t, s, two, one, other)
		want(s)
		one.Token.Name, one.Token.Expires = "", dawn.Add(24*time.Hour)
		commit(t, s, one)
		want(s)
		s = e.reopen(t, s)
		want(s)
		if _, err := s.KeyToken(t.Context(), "four"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("one that there is not: %v", err)
		}
	})
	t.Run("what cannot be", func(t *testing.T) {
		s := e.open(t, "juliet", "nurse")
		commit(t, s, named(a, "one", "k1", 2))
		for name, c := range map[string]struct {
			op   store.Op
			want error
		}{
			"of nobody":           {named(user("romeo"), "x", "k", 2), store.ErrNotFound},
			"another's":           {named(b, "one", "k", 2), store.ErrExists},
			"another for the key": {named(a, "x", "k1", 2), store.ErrExists},
			"one too many":        {named(a, "x", "k2", 1), store.ErrTooLarge},
			"taken from another":  {store.RemoveKeyToken{Account: b, Token: "one"}, store.ErrNotFound},
			"taken from nobody":   {store.RemoveKeyToken{Account: user("romeo"), Token: "one"}, store.ErrNotFound},
			"taken, and is none":  {store.RemoveKeyToken{Account: a, Token: "x"}, store.ErrNotFound},
			"without an end":      {store.SetKeyToken{Most: 2, Token: store.KeyToken{Token: "x", Account: a, Key: []byte("k")}}, store.ErrInvalid},
			"without a key":       {named(a, "x", "", 2), store.ErrInvalid},
			"without a name":      {named(a, "", "k", 2), store.ErrInvalid},
			"two words":           {named(a, "x y", "k", 2), store.ErrInvalid},
			"too long":            {named(a, strings.Repeat("x", store.MaxKeyToken+1), "k", 2), store.ErrTooLarge},
			"too long a key":      {named(a, "x", strings.Repeat("k", store.MaxKeyTokenKey+1), 2), store.ErrTooLarge},
			"of a domain":         {named(jid.MustParse("montague.example"), "x", "k", 2), store.ErrInvalid},
			"expiring none":       {store.ExpireKeyTokens{Before: dawn}, store.ErrInvalid},
		} {
			if err := outcome(t, s.Commit(c.op)); !errors.Is(err, c.want) {
				t.Errorf("%s: %v, want %v", name, err, c.want)
			}
		}
		if list := must[[]store.KeyToken](t)(s.AccountKeyTokens(t.Context(), a)); len(list) != 1 {
			t.Errorf("left: %+v", list)
		}
		// The same again is no more.
		commit(t, s, named(a, "one", "k1", 1))
		commit(t, s, store.RemoveKeyToken{Account: a, Token: "one"})
		if _, err := s.KeyToken(t.Context(), "one"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("what was taken back: %v", err)
		}
	})
	t.Run("expiry", func(t *testing.T) {
		s := e.open(t, "juliet", "nurse")
		commit(t, s, named(a, "one", "k1", 1), named(b, "two", "k1", 1))
		late := named(a, "three", "k1", 1) // in the place of one that has expired, for the same key
		late.Token.Created, late.Token.Expires = dawn.Add(time.Hour), dawn.Add(2*time.Hour)
		commit(t, s, late)
		if list := must[[]store.KeyToken](t)(s.AccountKeyTokens(t.Context(), a)); len(list) != 1 || list[0].Token != "three" {
			t.Errorf("of %s: %+v", a, list)
		}
		commit(t, s, store.ExpireKeyTokens{Before: dawn.Add(time.Hour), Limit: 9})
		must[store.KeyToken](t)(s.KeyToken(t.Context(), "two"))
		commit(t, s, store.ExpireKeyTokens{Before: dawn.Add(time.Hour + 1000), Limit: 9})
		if _, err := s.KeyToken(t.Context(), "two"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("expired: %v", err)
		}
		must[store.KeyToken](t)(s.KeyToken(t.Context(), "three"))
	})
}
