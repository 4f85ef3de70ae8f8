// SPDX-License-Identifier: Apache-2.0

package roster_test

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/stonechat-im/stonechat/internal/servertest"
	"github.com/stonechat-im/stonechat/module/roster"
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// witness has been told who sees whom.
type witness struct {
	*roster.Module
	saw []string
}

func (w *witness) gained(_ *server.Turn, u *server.User, contact jid.JID) {
	w.saw = append(w.saw, contact.String()+" sees "+u.JID.String())
}

func (w *witness) lost(_ *server.Turn, account, contact jid.JID) {
	w.saw = append(w.saw, contact.String()+" lost "+account.String())
}

// sees compares what it has been told since.
func (w *witness) sees(t *testing.T, want ...string) {
	t.Helper()
	if !slices.Equal(w.saw, want) {
		t.Errorf("told %q, want %q", w.saw, want)
	}
	w.saw = nil
}

// related is a server with rosters.
func related(t *testing.T, items int) (*servertest.Server, *witness) {
	w := new(witness)
	s := servertest.Start(t, servertest.Options{Modules: func() []server.Module {
		w.Module = roster.New(roster.Config{Items: items, Requests: 10, Groups: 10, NameBytes: 100})
		w.OnLost(w.lost)
		w.OnGained(w.gained)
		return []server.Module{w.Module}
	}})
	return s, w
}

const askRoster = "<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>"

func TestRelate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, ros := related(t, 10)
		lamp, juliet := s.Account("lamp@d"), s.Account("juliet@d")
		l, j := s.Client("lamp@d/l"), s.Client("juliet@d/j")
		for _, c := range []*servertest.Peer{l, j} {
			c.Send(askRoster)
			c.Got()
		}
		relate := func(r roster.Relation, ops ...store.Op) error {
			p, err := ros.Relate(t.Context(), []roster.Relation{r}, ops...)
			if err != nil {
				return err
			}
			err = p.Wait(t.Context())
			synctest.Wait()
			return err
		}
		// With another operation, all or nothing.
		if err := relate(roster.Relation{A: lamp, B: juliet, Friends: true}, store.SetDisabled{User: jid.MustParse("nobody@d")}); !errors.Is(err, store.ErrNotFound) {
			t.Fatal(err)
		}
		l.Gets()
		j.Gets()
		friends := roster.Relation{A: lamp, B: juliet, Friends: true, Name: "Lamp"}
		if err := relate(friends, store.SetDisabled{User: lamp}); err != nil {
			t.Fatal(err)
		}
		l.Gets("type='set' & jid='juliet@d' & subscription='both'")
		j.Gets("type='set' & jid='lamp@d' & name='Lamp' & subscription='both'")
		ros.sees(t, "juliet@d sees lamp@d", "lamp@d sees juliet@d")
		if err := relate(friends); err != nil { // they are
			t.Fatal(err)
		}
		l.Gets()
		j.Gets()
		s.Restart()
		l, j = s.Client("lamp@d/l"), s.Client("juliet@d/j")
		for _, c := range []*servertest.Peer{l, j} {
			c.Send(askRoster)
		}
		l.Gets("juliet@d' subscription='both'")
		j.Gets("lamp@d' name='Lamp' subscription='both'")

		if err := relate(roster.Relation{A: lamp, B: juliet}); err != nil {
			t.Fatal(err)
		}
		l.Gets("juliet@d' subscription='remove'")
		j.Gets("lamp@d' subscription='remove'")
		ros.sees(t, "juliet@d lost lamp@d", "lamp@d lost juliet@d")
		if err := relate(roster.Relation{A: lamp, B: juliet}); err != nil {
			t.Fatal(err)
		}
		for _, who := range []jid.JID{lamp, juliet} {
			if kept, err := s.Disk.Roster(t.Context(), who); err != nil || len(kept.Items) != 0 {
				t.Errorf("%s: %v %v", who, kept, err)
			}
		}
	})
}

// Somebody elsewhere asks by himself, and is approved.
func TestRelateElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, ros := related(t, 10)
		lamp, far := s.Account("lamp@d"), jid.MustParse("romeo@elsewhere")
		place := new(elsewhere)
		if _, err := s.Attach("elsewhere", place); err != nil {
			t.Fatal(err)
		}
		p, err := ros.Befriend(t.Context(), lamp, far)
		if err != nil || p.Wait(t.Context()) != nil {
			t.Fatal(err)
		}
		kept, err := s.Disk.Roster(t.Context(), lamp)
		if err != nil || len(kept.Items) != 1 || !kept.Items[0].Approved || kept.Items[0].Subscription != store.SubscriptionNone {
			t.Errorf("%v %v", kept, err)
		}
		set := store.RosterItem{Contact: far, Subscription: store.SubscriptionBoth}
		if p, err = ros.Update(hold(s, lamp), far, func(it *store.RosterItem) bool { *it = set; return true }); err != nil || p.Wait(t.Context()) != nil {
			t.Fatal(err)
		}
		p, err = ros.Part(t.Context(), lamp, far)
		if err != nil || p.Wait(t.Context()) != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if want := []string{"unsubscribe", "unsubscribed"}; !slices.Equal(place.got, want) {
			t.Errorf("told %q, want %q", place.got, want)
		}
		if kept, err = s.Disk.Roster(t.Context(), lamp); err != nil || len(kept.Items) != 0 {
			t.Errorf("%v %v", kept, err)
		}
	})
}

func TestRelateFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, ros := related(t, 1)
		juliet := s.Account("juliet@d", store.RosterItem{Contact: jid.MustParse("nurse@d")})
		lamp := s.Account("lamp@d")
		_, err := ros.Befriend(t.Context(), lamp, juliet, store.SetDisabled{User: lamp, Disabled: true})
		if e, ok := stanza.AsError(err); !ok || e.Condition != stanza.ResourceConstraint {
			t.Fatal(err)
		}
		if a, err := s.Disk.Account(t.Context(), lamp); err != nil || a.Disabled {
			t.Error("the other operation was carried out", err)
		}
		// Nobody is locked out by that.
		if p, err := ros.Part(t.Context(), lamp, juliet); err != nil || p.Wait(t.Context()) != nil {
			t.Error(err)
		}
	})
}

// Changes of the same accounts, from both sides at once, come to an end, and both rosters agree.
func TestRelateRace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, ros := related(t, 100)
		lamp, juliet := s.Account("lamp@d"), s.Account("juliet@d")
		j := s.Client("juliet@d/j")
		done := make(chan error)
		for i := range 20 {
			go func() {
				r := roster.Relation{A: lamp, B: juliet, Friends: i%2 == 0}
				if i%3 == 0 {
					r.A, r.B = r.B, r.A
				}
				p, err := ros.Relate(t.Context(), []roster.Relation{r})
				if err == nil {
					err = p.Wait(t.Context())
				}
				done <- err
			}()
		}
		go j.Feed("<iq type='set' id='1'><query xmlns='jabber:iq:roster'><item jid='lamp@d' subscription='remove'/></query></iq>")
		for range 20 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		synctest.Wait()
		has := func(who jid.JID) (sub store.Subscription) {
			kept, err := s.Disk.Roster(t.Context(), who)
			if err != nil {
				t.Fatal(err)
			}
			for _, it := range kept.Items {
				sub = it.Subscription
			}
			return sub
		}
		if a, b := has(lamp), has(juliet); a != b || a != store.SubscriptionNone && a != store.SubscriptionBoth {
			t.Errorf("%d here, %d there", a, b)
		}
	})
}

// elsewhere is another server.
type elsewhere struct{ got []string }

func (*elsewhere) Present() bool { return true }

func (e *elsewhere) Take(_ *server.Turn, s *stanza.Stanza) error {
	e.got = append(e.got, s.Type.String())
	return nil
}

// hold keeps an account in use for the rest of the test.
func hold(s *servertest.Server, account jid.JID) *server.User {
	u, release := s.Hold(account)
	s.T.Cleanup(release)
	return u
}
