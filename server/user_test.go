// SPDX-License-Identifier: Apache-2.0

package server

import (
	"errors"
	"sync"
	"testing"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stream"
)

// TestAccountsComeAndGo: a changed password counts nothing twice; whoever makes a deleted account
// again finds nothing of it.
func TestAccountsComeAndGo(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, DefaultLimits(), "a b")
		a := b.online("a/1")
		a.send(chat("b@d", "1"))
		r := b.bind("b/1") // takes no messages yet
		account := jid.MustParse("b@d")
		if err := b.SetPassword(t.Context(), account, "secret"); err != nil {
			t.Fatal(err)
		}
		b.bind("b/2")
		if n := r.se.User.rows.Len(); n != 1 {
			t.Errorf("%d rows are counted, there is 1", n)
		}
		if err := b.CreateAccount(t.Context(), account, "secret"); !errors.Is(err, store.ErrExists) {
			t.Error(err)
		}
		old, release := r.se.User, b.users.acquire(account)
		if err := b.DeleteAccount(t.Context(), account, nil); err != nil {
			t.Fatal(err)
		}
		if r.st.ended == nil || r.st.ended.Condition != stream.NotAuthorized || old.Exists() {
			t.Errorf("%v, exists %v", r.st.ended, old.Exists())
		}
		a.send(chat("b@d", "2"))
		a.gets("service-unavailable")
		if err := b.CreateAccount(t.Context(), account, "secret"); err != nil {
			t.Fatal(err)
		}
		if n := b.online("b/1"); n.se.User == old || !n.se.User.Exists() {
			t.Error("the account of old")
		} else {
			n.gets()
		}
		b.users.release(release)
		if err := b.DeleteAccount(t.Context(), jid.MustParse("x@d"), nil); !errors.Is(err, store.ErrNotFound) {
			t.Error(err)
		}
	})
}

// TestUsersTable is U1.
func TestUsersTable(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, DefaultLimits(), "")
		account := jid.MustParse("a@d")
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 2000 {
					u := b.users.acquire(account)
					if v := b.users.get(account); v != u {
						t.Error("two accounts of one name in use")
					} else {
						b.users.release(v)
					}
					b.users.release(u)
				}
			})
		}
		wg.Wait()
		if u := b.users.get(account); u != nil {
			t.Error("left in the table")
		}
	})
}
