// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stream"
)

// guest binds one.
func (b *bench) guest(address string) (*peer, error) {
	full := jid.MustParse(address)
	p := b.dial(full.Local())
	t := b.NewTurn()
	defer t.End()
	se, err := b.BindGuest(b.t.Context(), t, p.st, full, "")
	if err != nil {
		return nil, err
	}
	p.se = se
	p.st.mu.Lock()
	p.st.session, p.st.state = se, stream.Bound
	p.st.mu.Unlock()
	return p, nil
}

// A guest is there for as long as its session is, and nothing is kept for it.
func TestGuest(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, DefaultLimits(), "a")
		a := b.managed("a/1")
		g, err := b.guest("g@d/r")
		if err != nil {
			t.Fatal(err)
		}
		if u := g.se.User; !u.Guest() || !u.Exists() || a.se.User.Guest() {
			t.Error("who is a guest?")
		}
		if _, err := b.guest("g@d/s"); err == nil {
			t.Error("two guests of one name")
		}
		a.send(chat("g@d", "1") + chat("g@d/r", "2")) // who has not sent presence takes nothing for the bare address
		a.gets("service-unavailable")
		g.gets("id='2'")
		g.send("<presence/>" + chat("a@d", "3"))
		a.gets("from='g@d/r'")
		a.send(chat("g@d", "4"))
		g.gets("id='4'")
		g.end()
		if u := b.users.get(jid.MustParse("g@d")); u != nil {
			t.Error("the guest is still there")
		}
		a.send(chat("g@d", "5") + chat("g@d/r", "6") + ask)
		a.gets("service-unavailable", "service-unavailable", "h='6'")
	})
}

// What a guest has not had when it goes is refused, and its sender's acks go on: nothing waits
// in the store.
func TestGuestGone(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, DefaultLimits(), "a")
		a := b.managed("a/1")
		g, err := b.guest("g@d/r")
		if err != nil {
			t.Fatal(err)
		}
		g.se.Manage(time.Minute)
		g.send("<presence/>")
		a.send(chat("g@d", "1") + ask)
		g.gets("id='1'", asks)
		a.gets("h='1'")
		<-time.After(time.Second) // the sweeper has been here: there is nowhere to keep it
		a.settle()
		if n := b.spooled("g"); n != 0 {
			t.Errorf("%d rows of a guest", n)
		}
		g.lose() // and for good: it cannot be resumed
		a.gets("recipient-unavailable", "h='2'")
		if n := b.spooled("g"); n != 0 {
			t.Errorf("%d rows of a guest", n)
		}
		if b.users.get(jid.MustParse("g@d")) != nil {
			t.Error("the guest is still there")
		}
	})
}

// Nobody takes a guest's name while it is there; it has nothing that could be changed.
func TestGuestName(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, DefaultLimits(), "a")
		g, err := b.guest("g@d/r")
		if err != nil {
			t.Fatal(err)
		}
		name := jid.MustParse("g@d")
		ctx := context.Background()
		if err := b.CreateAccount(ctx, name, "secret"); !errors.Is(err, store.ErrExists) {
			t.Error(err)
		}
		if err := b.SetPassword(ctx, name, "secret"); !errors.Is(err, store.ErrNotFound) {
			t.Error(err)
		}
		if err := b.DeleteAccount(ctx, name, nil); !errors.Is(err, store.ErrNotFound) {
			t.Error(err)
		}
		if u := g.se.User; !u.Exists() {
			t.Error("the guest is gone")
		}
		a := b.online("a/1")
		if _, err := b.guest("a@d/r"); err == nil {
			t.Error("a guest has an account's name")
		}
		a.send(chat("a@d", "1"))
		a.gets("id='1'")
		g.end()
		if err := b.CreateAccount(ctx, name, "secret"); err != nil {
			t.Error(err)
		}
		b.online("g/r")
	})
}
