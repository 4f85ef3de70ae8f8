// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"strconv"
	"testing"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

var private = topic{
	name: "private",
	test: testPrivate,
	give: func(user jid.JID) []store.Op {
		return []store.Op{
			store.SetPrivate{User: user, Name: store.PrivateName{Space: "u:a", Local: "a"}, XML: []byte("<a/>")},
			store.SetPrivate{User: user, Name: store.PrivateName{Space: "u:a", Local: "b"}, XML: []byte("<b/>")},
		}
	},
	has: func(ctx context.Context, s store.Store, user jid.JID) (int, error) {
		sizes, err := s.PrivateSizes(ctx, user)
		return len(sizes), err
	},
}

func testPrivate(t *testing.T, e Engine) {
	a, b := store.PrivateName{Space: "u:a", Local: "x"}, store.PrivateName{Space: "u:b", Local: "x"}
	c := store.PrivateName{Space: "u:a", Local: "ж"}
	t.Run("what was written is read", func(t *testing.T) {
		s := e.open(t, "juliet", "nurse")
		want := func(s store.Store, name string, all map[store.PrivateName]string) {
			t.Helper()
			sizes := map[store.PrivateName]int{}
			for n, xml := range all {
				sizes[n] = len(xml)
				if got, err := s.Private(t.Context(), user(name), n); err != nil || string(got) != xml {
					t.Errorf("%s of %s: %q, %v, want %q", n, name, got, err, xml)
				}
			}
			if got, err := s.PrivateSizes(t.Context(), user(name)); err != nil || !maps.Equal(got, sizes) {
				t.Errorf("sizes of %s: %v, %v, want %v", name, got, err, sizes)
			}
			for _, n := range []store.PrivateName{a, b, c} {
				if _, err := s.Private(t.Context(), user(name), n); all[n] == "" && !errors.Is(err, store.ErrNotFound) {
					t.Errorf("%s of %s: %v, want %v", n, name, err, store.ErrNotFound)
				}
			}
		}
		set := func(name string, n store.PrivateName, xml []byte) store.Op {
			return store.SetPrivate{User: user(name), Name: n, XML: xml}
		}
		long := bytes.Repeat([]byte("long "), 50_000)
		want(s, "juliet", nil)
		commit(t, s, set("juliet", a, []byte("<x/>")), set("juliet", b, long), set("juliet", c, []byte("<ж/>")), set("nurse", a, []byte("<y/>")))
		want(s, "juliet", map[store.PrivateName]string{a: "<x/>", b: string(long), c: "<ж/>"})
		want(s, "nurse", map[store.PrivateName]string{a: "<y/>"})
		want(s, "nobody", nil)
		commit(t, s, set("juliet", a, []byte("<x>again</x>")), set("juliet", b, nil), set("nurse", b, nil))
		want(s, "juliet", map[store.PrivateName]string{a: "<x>again</x>", c: "<ж/>"})
		again := e.reopen(t, s)
		want(again, "juliet", map[store.PrivateName]string{a: "<x>again</x>", c: "<ж/>"})
		want(again, "nurse", map[store.PrivateName]string{a: "<y/>"})
	})
	t.Run("errors", func(t *testing.T) {
		s := e.open(t, "juliet")
		for name, test := range map[string]struct {
			op   store.SetPrivate
			want error
		}{
			"no account":    {store.SetPrivate{User: user("nobody"), Name: a, XML: []byte("x")}, store.ErrNotFound},
			"no user":       {store.SetPrivate{User: jid.MustParse("capulet.example"), Name: a}, store.ErrInvalid},
			"no namespace":  {store.SetPrivate{User: user("juliet"), Name: store.PrivateName{Local: "x"}}, store.ErrInvalid},
			"no local name": {store.SetPrivate{User: user("juliet"), Name: store.PrivateName{Space: "x"}}, store.ErrInvalid},
			"too long":      {store.SetPrivate{User: user("juliet"), Name: a, XML: make([]byte, store.MaxOpBytes)}, store.ErrTooLarge},
		} {
			if err := outcome(t, s.Commit(test.op)); !errors.Is(err, test.want) {
				t.Errorf("%s: %v, want %v", name, err, test.want)
			}
		}
		domain := jid.MustParse("capulet.example")
		if _, err := s.Private(t.Context(), domain, a); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("XML of a domain: %v", err)
		}
		if _, err := s.PrivateSizes(t.Context(), domain); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("sizes of a domain: %v", err)
		}
	})
	t.Run("so many names and no more", func(t *testing.T) {
		s := e.open(t, "juliet")
		var ops []store.Op
		for i := range store.MaxPrivate {
			ops = append(ops, store.SetPrivate{User: user("juliet"), Name: store.PrivateName{Space: "u:a", Local: "x" + strconv.Itoa(i)}, XML: []byte("<x/>")})
		}
		commit(t, s, ops...)
		if err := outcome(t, s.Commit(store.SetPrivate{User: user("juliet"), Name: b, XML: []byte("<x/>")})); !errors.Is(err, store.ErrTooLarge) {
			t.Errorf("one name more: %v", err)
		}
		commit(t, s, ops[0], store.SetPrivate{User: user("juliet"), Name: b})
		if sizes, err := s.PrivateSizes(t.Context(), user("juliet")); err != nil || len(sizes) != store.MaxPrivate {
			t.Errorf("%d names, %v", len(sizes), err)
		}
	})
}
