// SPDX-License-Identifier: Apache-2.0

package roster_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stonechat-im/stonechat/internal/servertest"
	"github.com/stonechat-im/stonechat/module/roster"
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// witness has been told who sees whom, by goroutines of the store's and of requests.
type witness struct {
	*roster.Module
	mu  sync.Mutex
	saw []string
}

func (w *witness) note(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.saw = append(w.saw, what)
}

func (w *witness) gained(_ *server.Turn, u *server.User, contact jid.JID) {
	w.note(contact.String() + " sees " + u.JID.String())
}

func (w *witness) lost(_ *server.Turn, account, contact jid.JID) {
	w.note(contact.String() + " lost " + account.String())
}

// sees compares what it has been told since.
func (w *witness) sees(t *testing.T, want ...string) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if !slices.Equal(w.saw, want) {
		t.Errorf("told %q, want %q", w.saw, want)
	}
	w.saw = nil
}

// ending has the other side of a subscription that has ended hear of it, as module presence does.
type ending struct{ *roster.Module }

func (ending) Name() string { return "ending" }

func (e ending) Init(h *server.Host) error {
	h.OnArriving(server.Handle, func(t *server.Turn, u *server.User, s *stanza.Stanza) error {
		t.OffLoop(u, s, func(_ *server.Turn, s *stanza.Stanza) {
			p, err := e.Update(u, s.From.Bare(), func(it *store.RosterItem) bool {
				gone := store.SubscriptionTo
				if s.Type == stanza.Unsubscribe {
					gone = store.SubscriptionFrom
				}
				had := it.Subscription & gone
				it.Subscription &^= gone
				return had != 0
			})
			if err == nil && p != nil {
				err = p.Wait(context.Background())
			}
			if err != nil {
				panic(err)
			}
		})
		return server.Handled
	})
	return nil
}

// related is a server with rosters.
func related(t *testing.T, items int) (*servertest.Server, *witness) {
	w := new(witness)
	s := servertest.Start(t, servertest.Options{Modules: func() []server.Module {
		w.Module = roster.New(roster.Config{Items: items, Related: items, Requests: 10, Groups: 10, NameBytes: 100})
		w.OnLost(w.lost)
		w.OnGained(w.gained)
		return []server.Module{w.Module, ending{w.Module}}
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
		juliet := s.Account("juliet@d", store.RosterItem{Contact: jid.MustParse("meter@d"), Subscription: store.SubscriptionBoth, Related: true})
		lamp := s.Account("lamp@d")
		_, err := ros.Befriend(t.Context(), lamp, juliet, store.SetDisabled{User: lamp, Disabled: true})
		if e, ok := stanza.AsError(err); !ok || e.Condition != stanza.ResourceConstraint {
			t.Fatal(err)
		}
		if a, err := s.Disk.Account(t.Context(), lamp); err != nil || a.Disabled {
			t.Error("the other operation was carried out", err)
		}
		if !s.Counts(`stonechat_roster_limited_total{key="related"} 1`) {
			t.Error("not counted:", s.Metric("stonechat_roster_limited_total"))
		}
		// Nobody is locked out by that.
		if p, err := ros.Part(t.Context(), lamp, juliet); err != nil || p.Wait(t.Context()) != nil {
			t.Error(err)
		}
	})
}

// What somebody owns takes no place of the people he knows, and they none of it; what he makes a contact himself is one of his own.
func TestRelatedApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, ros := related(t, 2)
		juliet, lamp, door, third := s.Account("juliet@d"), s.Account("lamp@d"), s.Account("door@d"), s.Account("third@d")
		j := s.Client("juliet@d/j")
		set := func(contact, more, want string) {
			t.Helper()
			j.Send("<iq type='set' id='s'><query xmlns='jabber:iq:roster'><item jid='" + contact + "'" + more + "/></query></iq>")
			got := j.Got()
			if len(got) == 0 || !strings.Contains(got[len(got)-1], want) {
				t.Errorf("%s: %s, want %s", contact, got, want)
			}
		}
		own := func(thing jid.JID, want error) {
			t.Helper()
			p, err := ros.Befriend(t.Context(), thing, juliet)
			if err == nil {
				err = p.Wait(t.Context())
			}
			if e, _ := stanza.AsError(err); (err == nil) != (want == nil) || want != nil && e.Condition != stanza.ResourceConstraint {
				t.Errorf("%s: %v, want %v", thing, err, want)
			}
		}
		set("lamp@d", " name='My lamp'", "type='result'") // before it is hers
		own(lamp, nil)
		own(door, nil)
		own(third, errors.New("full"))
		set("romeo@d", "", "type='result'")
		set("nurse@d", "", "type='result'") // the lamp has made room
		set("tybalt@d", "", "resource-constraint")
		set("lamp@d", " name='Lamp'", "type='result'") // changed, and what it was
		set("third@d", "", "resource-constraint")

		// It is so when she comes back after a restart.
		s.Restart()
		j = s.Client("juliet@d/j")
		set("tybalt@d", "", "resource-constraint")
		own(third, errors.New("full"))
		set("door@d", " subscription='remove'", "type='result'")
		own(third, nil)
		set("nurse@d", " subscription='remove'", "type='result'")
		set("door@d", "", "type='result'") // again, of her own
		set("nurse@d", "", "resource-constraint")

		// A contact whose account is deleted is not a thing of hers any more.
		if err := s.Disk.Commit(store.DeleteAccount{User: third}).Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		if it, err := s.Disk.RosterItem(t.Context(), juliet, third); err != nil || it.Related {
			t.Errorf("%+v %v", it, err)
		}
	})
}

// A service is seen, and sees nobody; what was between it and somebody before stays.
func TestRelateService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, ros := related(t, 2)
		at := jid.MustParse("registry@things.d")
		juliet := s.Account("juliet@d")
		nurse := s.Account("nurse@d", store.RosterItem{Contact: at, Name: "Mine", Subscription: store.SubscriptionFrom, Ask: true})
		for _, test := range []struct {
			who, want string
		}{
			{"juliet@d", "type='set' & jid='registry@things.d' & name='Things' & subscription='to'"},
			{"nurse@d", "type='set' & jid='registry@things.d' & name='Mine' & subscription='both'"},
		} {
			c := s.Client(test.who + "/c")
			c.Send(askRoster)
			c.Got()
			p, err := ros.Relate(t.Context(), []roster.Relation{{A: at, B: jid.MustParse(test.who), Friends: true, Service: true, Name: "Things"}})
			if err != nil || p.Wait(t.Context()) != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			c.Gets(test.want)
		}
		ros.sees(t)
		for _, who := range []jid.JID{juliet, nurse} {
			if it, err := s.Disk.RosterItem(t.Context(), who, at); err != nil || !it.Related || it.Approved || it.Ask {
				t.Errorf("%+v %v", it, err)
			}
		}
	})
}

// Changes of the same accounts, from both sides at once, come to an end, and both rosters agree: what Relate makes is not half undone
// by a client that removes the contact meanwhile.
func TestRelateRace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, ros := related(t, 100)
		lamp, juliet := s.Account("lamp@d"), s.Account("juliet@d")
		j := s.Client("juliet@d/j")
		relate := func(r roster.Relation) error {
			p, err := ros.Relate(t.Context(), []roster.Relation{r})
			if err != nil {
				return err
			}
			return p.Wait(t.Context())
		}
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
		for round := range 30 {
			if err := relate(roster.Relation{A: lamp, B: juliet, Friends: true}); err != nil {
				t.Fatal(err)
			}
			done := make(chan error)
			go j.Feed("<iq type='set' id='1'><query xmlns='jabber:iq:roster'><item jid='lamp@d' subscription='remove'/></query></iq>")
			changes := 1 + round%6
			for i := range changes {
				r := roster.Relation{A: lamp, B: juliet, Friends: i%2 == 0}
				if i%3 == 0 {
					r.A, r.B = r.B, r.A
				}
				go func() { done <- relate(r) }()
			}
			for range changes {
				if err := <-done; err != nil {
					t.Error(err)
				}
			}
			synctest.Wait()
			if a, b := has(lamp), has(juliet); a != b || a != store.SubscriptionNone && a != store.SubscriptionBoth {
				t.Errorf("%d here, %d there", a, b)
			}
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
