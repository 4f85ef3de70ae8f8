// SPDX-License-Identifier: Apache-2.0

package tokens_test

// How to read this file: a bed is a server that lets somebody register who has shown a token; registration itself, which is another
// module's, is what join does.

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stonechat-im/stonechat/internal/servertest"
	"github.com/stonechat-im/stonechat/module/tokens"
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

type bed struct {
	*servertest.Server
	m       *tokens.Module
	adopted []store.Thing
}

// Adopt implements tokens.Things.
func (b *bed) Adopt(_ context.Context, x store.Thing, ops ...store.Op) (*store.Pending, error) {
	b.adopted = append(b.adopted, x)
	return b.Disk.Commit(ops...), nil
}

// joiner takes registrations.
type joiner struct{ *bed }

func (joiner) Name() string { return "joiner" }

func (j joiner) Init(h *server.Host) error {
	h.IQ(server.IQHandler{At: server.AtHost, Type: stanza.Set, Name: xmlstream.Name{Space: "x", Local: "join"}, Blocking: true, BeforeLogin: true,
		Do: func(_ *server.Turn, q *server.Query) (stanza.Payload, error) {
			if j.m.Invited(q) != (j.m.Commit(q, jid.JID{}) != nil) {
				j.T.Error("invited, and yet not, or the reverse")
			}
			account := jid.MustParse(string(q.ID) + "@" + q.To.Domain())
			commit := j.m.Commit(q, account)
			if commit == nil {
				return nil, stanza.NotAllowed.Err("")
			}
			p, err := commit(context.Background(), store.CreateAccount{Account: store.Account{JID: account, Created: time.Now()}})
			if err == nil {
				err = p.Wait(context.Background())
			}
			if errors.Is(err, store.ErrNotFound) {
				return nil, stanza.Gone.Err("")
			}
			return nil, err
		}})
	return nil
}

func newBed(t *testing.T, c tokens.Config, o tokens.Options, list ...store.Token) *bed {
	t.Helper()
	b := new(bed)
	b.Server = servertest.Start(t, servertest.Options{Domains: []string{"d", "e"}, Modules: func() []server.Module {
		b.m = tokens.New(c, o, b)
		return []server.Module{b.m, joiner{b}}
	}})
	for _, x := range list {
		x.Digest = sha256.Sum256([]byte(x.Note))
		if x.Domain == "" {
			x.Domain = "d"
		}
		if err := b.Disk.Commit(store.AddToken{Token: x}).Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

const (
	valid   = "type='result'"
	refused = "<item-not-found"
	limited = "<resource-constraint"
)

// shows shows a token to the host d, and compares the answer.
func (b *bed) shows(c *servertest.Early, token, want string) {
	b.T.Helper()
	b.showsAt(c, "d", token, want)
}

func (b *bed) showsAt(c *servertest.Early, host, token, want string) {
	b.T.Helper()
	got := c.Ask(host, "<iq type='set' id='t'><preauth xmlns='urn:xmpp:pars:0' token='"+token+"'/></iq>")
	if !strings.Contains(got, want) {
		b.T.Errorf("%s at %s: %s, want %s", token, host, got, want)
	}
}

func joins(c *servertest.Early, name string) string {
	return c.Ask("d", "<iq type='set' id='"+name+"'><join xmlns='x'/></iq>")
}

// TestShown: what a token that is good for something opens, and what every other one does not; all refusals are alike.
func TestShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, tokens.Config{FailuresPerMinute: 100}, tokens.Options{On: true},
			store.Token{Note: "good", Uses: 2, Thing: true, Groups: []string{"hall 1"}, Tags: []store.ThingTag{{Name: "MAN", Str: "acme"}}},
			store.Token{Note: "person", Uses: 5}, store.Token{Note: "short", Uses: 5, Expires: time.Now().Add(time.Hour)},
			store.Token{Note: "spent", Uses: 1, Used: 1}, store.Token{Note: "elsewhere", Uses: 5, Domain: "e"})
		client := func() *servertest.Early { return b.Early("192.0.2.1:1") }

		if got := joins(client(), "nobody"); !strings.Contains(got, "<not-allowed") {
			t.Errorf("without a token: %s", got)
		}
		refusals := map[string]bool{}
		for _, token := range []string{"wrong", "spent", "elsewhere", "GOOD", "good "} {
			c := client()
			got := c.Ask("d", "<iq type='set' id='t'><preauth xmlns='urn:xmpp:pars:0' token='"+token+"'/></iq>")
			refusals[got] = true
			if !strings.Contains(got, refused) {
				t.Errorf("%s: %s", token, got)
			}
			if got := joins(c, "x"); !strings.Contains(got, "<not-allowed") {
				t.Errorf("with %s: %s", token, got)
			}
		}
		if len(refusals) != 1 {
			t.Errorf("they tell what was guessed: %v", refusals)
		}
		for _, bad := range []string{"<preauth xmlns='urn:xmpp:pars:0'/>", "<preauth xmlns='urn:xmpp:pars:0' token=''/>",
			"<preauth xmlns='urn:xmpp:pars:0' token='" + strings.Repeat("x", 300) + "'/>"} {
			if got := client().Ask("d", "<iq type='set' id='t'>"+bad+"</iq>"); !strings.Contains(got, "type='error'") || strings.Contains(got, valid) {
				t.Errorf("%s: %s", bad, got)
			}
		}
		b.showsAt(client(), "e", "elsewhere", valid)
		b.showsAt(client(), "e", "good", refused)

		// Each account is one use; what was shown by more than may register fails then.
		first, second, third := client(), client(), client()
		for _, c := range []*servertest.Early{first, second, third} {
			b.shows(c, "good", valid)
		}
		if got := joins(first, "lamp"); !strings.Contains(got, valid) {
			t.Error(got)
		}
		if got := joins(second, "door"); !strings.Contains(got, valid) {
			t.Error(got)
		}
		if got := joins(third, "late"); !strings.Contains(got, "<gone") {
			t.Errorf("a third use of two: %s", got)
		}
		b.shows(client(), "good", refused)
		if len(b.adopted) != 3 || b.adopted[0].JID.String() != "lamp@d" || b.adopted[0].Groups[0] != "hall 1" || b.adopted[0].Tags[0].Str != "acme" {
			t.Errorf("%+v", b.adopted)
		}
		if _, err := b.Disk.Account(t.Context(), jid.MustParse("late@d")); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("it has an account: %v", err)
		}
		// An account for a person is no thing.
		c := client()
		b.shows(c, "person", valid)
		if got := joins(c, "romeo"); !strings.Contains(got, valid) || len(b.adopted) != 3 {
			t.Error(got, len(b.adopted))
		}
		// What expires after it was shown still does; what has expired does not.
		c = client()
		b.shows(c, "short", valid)
		<-time.After(time.Hour)
		if got := joins(c, "slow"); !strings.Contains(got, valid) {
			t.Error(got)
		}
		b.shows(client(), "short", refused)
		// A second token in the place of the first.
		c = client()
		b.shows(c, "person", valid)
		b.shows(c, "wrong", refused)
		if got := joins(c, "tybalt"); !strings.Contains(got, valid) {
			t.Error(got)
		}
		for result, want := range map[string]string{"valid": "7", "refused": "9"} {
			if got := b.Metric(`stonechat_tokens_shown_total{result="` + result + `"}`); got != want {
				t.Errorf("%s %s, want %s", got, result, want)
			}
		}
	})
}

// TestFailures: so many tokens that are not valid may an address show in a minute, and no more; others, and the next minute, are not
// concerned; nor is a valid one counted.
func TestFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, tokens.Config{FailuresPerMinute: 3}, tokens.Options{On: true}, store.Token{Note: "good", Uses: 100})
		fails := func(from string, n int) {
			t.Helper()
			for i := range n {
				b.shows(b.Early(from), fmt.Sprint("wrong", i), refused)
			}
		}
		for range 10 {
			b.shows(b.Early("192.0.2.1:1"), "good", valid)
		}
		fails("192.0.2.1:1", 3)
		b.shows(b.Early("192.0.2.1:2"), "wrong", limited) // another port
		b.shows(b.Early("192.0.2.1:1"), "good", limited)
		b.shows(b.Early("[::ffff:192.0.2.1]:1"), "wrong", limited) // the same, as IPv6 has it
		fails("192.0.2.2:1", 1)
		fails("[2001:db8:1:2::1]:1", 3)
		b.shows(b.Early("[2001:db8:1:2:3:4:5:6]:1"), "wrong", limited) // the same network
		fails("[2001:db8:1:3::1]:1", 1)
		fails("nonsense", 2)
		fails("", 1) // they are one together
		b.shows(b.Early("what?"), "wrong", limited)
		if got := b.Metric(`stonechat_tokens_shown_total{result="limited"}`); got != "5" {
			t.Errorf("%s were limited", got)
		}
		<-time.After(time.Minute)
		fails("192.0.2.1:1", 3)
		b.shows(b.Early("192.0.2.1:1"), "good", limited)
		// The bound follows the configuration.
		b.m.Reload(tokens.New(tokens.Config{FailuresPerMinute: 4}, tokens.Options{On: true}, b))
		b.shows(b.Early("192.0.2.1:1"), "good", valid)
		fails("192.0.2.1:1", 1)
		b.shows(b.Early("192.0.2.1:1"), "good", limited)
	})
}

// TestClosed: where registration is closed there is nothing to be shown, nothing is announced, and what was shown before is worth nothing.
func TestClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, tokens.Config{FailuresPerMinute: 3}, tokens.Options{On: true}, store.Token{Note: "good", Uses: 100})
		c := b.Early("192.0.2.1:1")
		b.shows(c, "good", valid)
		b.m.Reload(tokens.New(tokens.Config{FailuresPerMinute: 3}, tokens.Options{}, b))
		if got := joins(c, "lamp"); !strings.Contains(got, "<not-allowed") {
			t.Error(got)
		}
		for range 5 { // none of which is a guess
			b.shows(b.Early("192.0.2.1:1"), "good", "<not-allowed")
		}
		b.m.Reload(tokens.New(tokens.Config{FailuresPerMinute: 3}, tokens.Options{On: true}, b))
		if got := joins(c, "lamp"); !strings.Contains(got, valid) {
			t.Error(got)
		}
		// Who has an account needs none.
		b.Account("juliet@d")
		juliet := b.Client("juliet@d/j")
		juliet.Send("<iq type='set' id='t' to='d'><preauth xmlns='urn:xmpp:pars:0' token='good'/></iq>")
		juliet.Gets("<unexpected-request")
	})
}

// TestNotRead: a token that cannot be looked up is not refused as one that is not valid, nor counted as a guess.
func TestNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, tokens.Config{FailuresPerMinute: 1}, tokens.Options{On: true}, store.Token{Note: "good", Uses: 100})
		c := b.Early("192.0.2.1:1")
		b.shows(c, "good", valid)
		b.Disk.Failing.Store(true)
		if got := joins(c, "lamp"); strings.Contains(got, valid) {
			t.Errorf("the disk took nothing: %s", got)
		}
		b.Disk.Failing.Store(false)
		if got := joins(c, "lamp"); !strings.Contains(got, valid) {
			t.Error(got)
		}
	})
}
