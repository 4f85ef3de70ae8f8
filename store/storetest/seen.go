// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

var seen = topic{
	name: "seen",
	test: testSeen,
	give: func(user jid.JID) []store.Op {
		return []store.Op{store.SetSeen{User: user, Seen: store.Seen{State: store.Online, Since: time.UnixMicro(1)}}}
	},
	has: func(ctx context.Context, s store.Store, user jid.JID) (int, error) {
		_, err := s.Seen(ctx, user)
		if errors.Is(err, store.ErrNotFound) {
			return 0, nil
		}
		return 1, err
	},
}

func testSeen(t *testing.T, e Engine) {
	at := func(minute int) time.Time { return time.Date(2026, 5, 1, 12, minute, 0, 1000, time.UTC) }
	t.Run("what was written is read", func(t *testing.T) {
		s := e.open(t, "juliet", "nurse")
		if _, err := s.Seen(t.Context(), user("juliet")); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("never seen: %v", err)
		}
		for _, want := range []store.Seen{
			{State: store.Online, Since: at(1), Last: at(1)},
			{State: store.Sleeping, Since: at(2), Until: at(9), Last: at(2), Reason: "lost", Status: "gute Nacht – ж"},
			{State: store.Offline, Since: at(3), Last: at(3), Reason: "closed"},
			{State: store.Unsteady, Since: at(4), Last: at(4)},
		} {
			commit(t, s, store.SetSeen{User: user("juliet"), Seen: want})
			if got := must[store.Seen](t)(s.Seen(t.Context(), user("juliet"))); got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		}
		want := must[store.Seen](t)(s.Seen(t.Context(), user("juliet")))
		s = e.reopen(t, s)
		if got := must[store.Seen](t)(s.Seen(t.Context(), user("juliet"))); got != want {
			t.Errorf("reopened: %+v, want %+v", got, want)
		}
	})
	t.Run("a server that has ended", func(t *testing.T) {
		s := e.open(t, "a", "b", "c", "d")
		commit(t, s,
			store.SetSeen{User: user("a"), Seen: store.Seen{State: store.Online, Since: at(1), Last: at(1), Status: "x"}},
			store.SetSeen{User: user("b"), Seen: store.Seen{State: store.Unsteady, Since: at(8), Last: at(8)}},
			store.SetSeen{User: user("c"), Seen: store.Seen{State: store.Offline, Since: at(2), Last: at(2), Reason: "lost"}},
			store.SetSeen{User: user("d"), Seen: store.Seen{State: store.Sleeping, Since: at(2), Until: at(30), Last: at(2)}},
			store.LoseSeen{At: at(5), Reason: "server"})
		for name, want := range map[string]store.Seen{
			"a": {State: store.Offline, Since: at(5), Last: at(5), Reason: "server"},
			"b": {State: store.Offline, Since: at(8), Last: at(8), Reason: "server"},
			"c": {State: store.Offline, Since: at(2), Last: at(2), Reason: "lost"},
			"d": {State: store.Sleeping, Since: at(2), Until: at(30), Last: at(2)},
		} {
			if got := must[store.Seen](t)(s.Seen(t.Context(), user(name))); got != want {
				t.Errorf("%s: %+v, want %+v", name, got, want)
			}
		}
	})
	t.Run("overslept", func(t *testing.T) {
		s := e.open(t, "a", "b", "c")
		for i, name := range []string{"c", "b", "a"} {
			commit(t, s, store.SetSeen{User: user(name), Seen: store.Seen{State: store.Sleeping, Until: at(10 + i)}})
		}
		late := func(before time.Time, limit int, want ...string) {
			t.Helper()
			got := must[[]jid.JID](t)(s.Overslept(t.Context(), before, limit))
			var names []string
			for _, j := range got {
				names = append(names, j.Local())
			}
			if !slices.Equal(names, want) {
				t.Errorf("before %s: %q, want %q", before, names, want)
			}
		}
		late(at(10), 0)
		late(at(11), 0, "c")
		late(at(20), 2, "c", "b")
		commit(t, s, store.SetSeen{User: user("c"), Seen: store.Seen{State: store.Offline, Until: at(10)}})
		late(at(20), 0, "b", "a")
	})
	t.Run("errors", func(t *testing.T) {
		s := e.open(t, "juliet")
		for name, c := range map[string]struct {
			op   store.Op
			want error
		}{
			"no account":  {store.SetSeen{User: user("nobody"), Seen: store.Seen{State: store.Online}}, store.ErrNotFound},
			"no state":    {store.SetSeen{User: user("juliet")}, store.ErrInvalid},
			"no user":     {store.SetSeen{User: jid.MustParse("capulet.example"), Seen: store.Seen{State: store.Online}}, store.ErrInvalid},
			"long status": {store.SetSeen{User: user("juliet"), Seen: store.Seen{State: store.Online, Status: strings.Repeat("x", 300)}}, store.ErrInvalid},
			"long reason": {store.LoseSeen{Reason: strings.Repeat("x", 300)}, store.ErrInvalid},
		} {
			if err := outcome(t, s.Commit(c.op)); !errors.Is(err, c.want) {
				t.Errorf("%s: %v, want %v", name, err, c.want)
			}
		}
		if _, err := s.Seen(t.Context(), jid.MustParse("capulet.example")); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("state of a domain: %v", err)
		}
	})
}
