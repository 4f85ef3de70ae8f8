// SPDX-License-Identifier: Apache-2.0

package roster_test

import (
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stonechat-im/stonechat/internal/metrics"
	"github.com/stonechat-im/stonechat/module/roster"
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/store/sqlite"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// flaky is a store whose commits fail while failing is set: at once, or later.
type flaky struct {
	store.Store
	failing, atOnce bool
}

func (f *flaky) Commit(ops ...store.Op) *store.Pending {
	switch {
	case f.failing && f.atOnce:
		return store.Resolved(store.ErrOverloaded)
	case f.failing:
		p := new(store.Pending)
		f.Store.Commit().OnDone(func(error) { p.Resolve(store.ErrNoSpace) })
		return p
	}
	return f.Store.Commit(ops...)
}

// stream is one that takes what it is sent.
type stream struct{ server.Stream }

func (stream) Queue([]byte) {}
func (stream) Flush()       {}
func (stream) Queued() int  { return 0 }

var alice = jid.MustParse("alice@d")

// open gives a module with an account that is online.
func open(t *testing.T, c roster.Config) (*roster.Module, *server.User, *flaky) {
	t.Helper()
	db, err := sqlite.Open(sqlite.Options{Folder: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	op := store.CreateAccount{Account: store.Account{JID: alice, Created: time.Now()}}
	if err := db.Commit(op).Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	f := &flaky{Store: db}
	m := roster.New(c)
	s, err := server.New(server.Config{
		Domains: []string{"d"}, Limits: server.DefaultLimits(), Store: f,
		Log: slog.New(slog.DiscardHandler), Metrics: metrics.New(),
	}, []server.Module{m})
	if err != nil {
		t.Fatal(err)
	}
	turn := s.NewTurn()
	se, err := s.Bind(t.Context(), turn, stream{}, alice, "")
	turn.End()
	if err != nil {
		t.Fatal(err)
	}
	return m, se.User, f
}

func set(name string) func(*store.RosterItem) bool {
	return func(it *store.RosterItem) bool {
		it.Hidden, it.Name = false, name
		return true
	}
}

func TestFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, u, _ := open(t, roster.Config{Items: 2})
		for _, c := range []struct {
			contact string
			full    bool
		}{{"a@d", false}, {"b@d", false}, {"c@d", true}, {"a@d", false}} {
			_, err := m.Update(u, jid.MustParse(c.contact), set("x"))
			var e *stanza.Error
			if full := errors.As(err, &e) && e.Condition == stanza.ResourceConstraint; full != c.full {
				t.Errorf("%s: %v", c.contact, err)
			}
		}
		// A hidden item counts too: a stranger's request takes its room.
		if _, err := m.Update(u, jid.MustParse("d@d"), func(it *store.RosterItem) bool {
			it.In = []byte("<presence xmlns='jabber:client' type='subscribe'/>")
			return true
		}); err == nil {
			t.Error("a request beyond the bound")
		}
		if p, err := m.Update(u, jid.MustParse("a@d"), func(it *store.RosterItem) bool {
			it.Hidden = true
			return true
		}); err != nil || p.Wait(t.Context()) != nil {
			t.Error(err)
		}
		if _, err := m.Update(u, jid.MustParse("c@d"), set("x")); err != nil {
			t.Errorf("no room after one was removed: %v", err)
		}
		synctest.Wait()
	})
}

func TestFailedCommit(t *testing.T) {
	for _, atOnce := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			m, u, f := open(t, roster.Config{Items: 10})
			a, b := jid.MustParse("a@d"), jid.MustParse("b@d")
			if _, err := m.Update(u, a, set("before")); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			f.failing, f.atOnce = true, atOnce
			var last *store.Pending
			for _, contact := range []jid.JID{a, b, a} {
				p, err := m.Update(u, contact, set("never"))
				if err != nil {
					t.Fatal(err)
				}
				last = p
			}
			synctest.Wait()
			f.failing = false
			if !last.Done() || last.Wait(t.Context()) == nil {
				t.Error("the change did not fail")
			}
			check := func(want map[string]string) {
				t.Helper()
				stored, err := f.Roster(t.Context(), alice)
				if err != nil {
					t.Fatal(err)
				}
				for where, items := range map[string][]store.RosterItem{"memory": m.Each(u), "store": stored.Items} {
					if len(items) != len(want) {
						t.Errorf("at once %v, %s: %+v", atOnce, where, items)
					}
					for _, it := range items {
						if want[it.Contact.String()] != it.Name {
							t.Errorf("at once %v, %s: %+v", atOnce, where, it)
						}
					}
				}
			}
			if !m.Ready(u) {
				t.Error("the roster is not at hand")
			}
			check(map[string]string{"a@d": "before"})
			for _, contact := range []jid.JID{b, a} {
				if _, err := m.Update(u, contact, set("after")); err != nil {
					t.Fatal(err)
				}
			}
			synctest.Wait()
			check(map[string]string{"a@d": "after", "b@d": "after"})
		})
	}
}
