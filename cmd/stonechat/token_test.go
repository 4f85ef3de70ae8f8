// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/client"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// at is the configuration of a client of a server that was started.
func (in *instance) at(t *testing.T, name string) client.Config {
	t.Helper()
	c := client.Config{Account: jid.MustParse(name), Password: "made by the thing", Address: in.address("client"),
		LoginTime: 3 * time.Minute, AnswerTime: 3 * time.Minute} // for many at once
	if err := c.Trust(filepath.Join(in.config.Data, "tls", "self-signed.crt")); err != nil {
		t.Fatal(err)
	}
	return c
}

func (in *instance) token(t *testing.T, text string, change func(*store.Token)) {
	t.Helper()
	x := store.Token{Digest: sha256.Sum256([]byte(text)), Domain: "d.test", Uses: 10, Created: time.Now()}
	change(&x)
	if err := in.store.Commit(store.AddToken{Token: x}).Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestRegisterByToken: whoever shows a token gets an account, and whoever's token does not do gets none.
func TestRegisterByToken(t *testing.T) {
	in := started(t, "registration: invite\n")
	in.token(t, "good", func(*store.Token) {})
	in.token(t, "once", func(x *store.Token) { x.Uses = 1 })
	in.token(t, "spent", func(x *store.Token) { x.Used = 10 })
	in.token(t, "expired", func(x *store.Token) { x.Expires = time.Now().Add(-time.Second) })
	in.token(t, "elsewhere", func(x *store.Token) { x.Domain = "e.test" })
	in.token(t, "revoked", func(*store.Token) {})
	digest := sha256.Sum256([]byte("revoked"))
	if err := in.store.Commit(store.RemoveToken{ID: (&store.Token{Digest: digest}).ID()}).Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		account, token string
		want           stanza.Condition // "": the account is made
	}{
		{"a@d.test", "good", ""},
		{"a@d.test", "good", stanza.Conflict},
		{"b@d.test", "once", ""},
		{"c@d.test", "once", stanza.ItemNotFound},
		{"c@d.test", "spent", stanza.ItemNotFound},
		{"c@d.test", "expired", stanza.ItemNotFound},
		{"c@d.test", "elsewhere", stanza.ItemNotFound},
		{"c@d.test", "revoked", stanza.ItemNotFound},
		{"c@d.test", "never made", stanza.ItemNotFound},
	} {
		config := in.at(t, c.account)
		err := client.Register(t.Context(), config, c.token)
		var refused *stanza.Error
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s by %q: %v", c.account, c.token, err)
		case c.want == "":
			cl, err := client.Dial(t.Context(), config)
			if err != nil {
				t.Fatalf("%s cannot log in: %v", c.account, err)
			}
			_ = cl.Close()
		case !errors.As(err, &refused) || refused.Condition != c.want:
			t.Errorf("%s by %q: %v, want %s", c.account, c.token, err, c.want)
		}
	}
	if err := client.Register(t.Context(), in.at(t, "c@d.test"), ""); !errors.Is(err, client.ErrNoRegistration) {
		t.Errorf("without a token: %v", err)
	}
	if _, err := in.store.Account(t.Context(), jid.MustParse("c@d.test")); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a refused account is there: %v", err)
	}
	if x, err := in.store.Token(t.Context(), sha256.Sum256([]byte("good"))); err != nil || x.Used != 1 {
		t.Errorf("used %d times, %v: a name that is taken uses nothing", x.Used, err)
	}
}

// TestRegisterClosed: where registration is closed no token opens it, and where it is open none is needed.
func TestRegisterClosed(t *testing.T) {
	for mode, want := range map[string]error{"closed": client.ErrNoRegistration, "open": nil} {
		in := started(t, "registration: "+mode+"\n")
		in.token(t, "good", func(*store.Token) {})
		for i, token := range []string{"good", ""} {
			if err := client.Register(t.Context(), in.at(t, fmt.Sprintf("a%d@d.test", i)), token); !errors.Is(err, want) {
				t.Errorf("%s, by %q: %v", mode, token, err)
			}
		}
	}
	if err := client.Register(t.Context(), client.Config{Account: jid.MustParse("a@d.test")}, "x"); err == nil {
		t.Error("registered without a password")
	}
}

// TestTokenRace: two hundred things at once, of which a token lets a hundred in.
func TestTokenRace(t *testing.T) {
	in := started(t, "registration: invite\nlimits: {registrations_per_hour: 1}\n")
	n := rounds(200)
	in.token(t, "x", func(x *store.Token) { x.Uses = n / 2 })
	var made, refused atomic.Int64
	var work sync.WaitGroup
	for i := range n {
		work.Go(func() {
			switch err := client.Register(t.Context(), in.at(t, fmt.Sprintf("a%d@d.test", i)), "x"); {
			case err == nil:
				made.Add(1)
			case errors.As(err, new(*stanza.Error)):
				refused.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	work.Wait()
	there, err := in.store.CountAccounts(t.Context(), "")
	if err != nil || made.Load() != int64(n/2) || refused.Load() != int64(n-n/2) || there != n/2 {
		t.Errorf("%d made, %d refused, %d there, %v", made.Load(), refused.Load(), there, err)
	}
}

// TestTokenGuesses: who shows tokens that are not valid is not listened to for the rest of the minute.
func TestTokenGuesses(t *testing.T) {
	in := started(t, "registration: invite\nmodules: {tokens: {failures_per_minute: 3}}\n")
	in.token(t, "good", func(*store.Token) {})
	conditions := map[stanza.Condition]int{}
	for i := range 6 {
		var refused *stanza.Error
		if err := client.Register(t.Context(), in.at(t, "a@d.test"), fmt.Sprint("guess ", i)); errors.As(err, &refused) {
			conditions[refused.Condition]++
		}
	}
	// A new minute may have begun in between.
	if conditions[stanza.ItemNotFound] < 3 || conditions[stanza.ItemNotFound]+conditions[stanza.ResourceConstraint] != 6 {
		t.Errorf("guesses were answered %v", conditions)
	}
}
