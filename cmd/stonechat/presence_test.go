// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"regexp"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// TestPresenceConverges: whatever happens at the same time, what a client has seen last of another
// is what it may see, and true (P1 in module presence).
func TestPresenceConverges(t *testing.T) {
	both := func(j jid.JID) store.RosterItem {
		return store.RosterItem{Contact: j, Subscription: store.SubscriptionBoth}
	}
	alice, bob := jid.MustParse("alice@d"), jid.MustParse("bob@e")
	// What alice does while bob, and carol who is no contact, come and watch.
	for name, act := range map[string]func(b *bed, a *peer){
		"updates": func(_ *bed, a *peer) {
			for i := range 5 {
				a.Feed(fmt.Sprintf("<presence><status>%d</status></presence>", i))
			}
		},
		"goes": func(_ *bed, a *peer) {
			a.Feed("<presence><status>last</status></presence><presence type='unavailable'/>")
		},
		"is ended": func(_ *bed, a *peer) { a.End() },
		"says and is ended": func(_ *bed, a *peer) {
			var all sync.WaitGroup
			all.Go(func() { a.Feed("<presence><status>last</status></presence><presence to='carol@d'/>") })
			all.Go(a.End)
			all.Wait()
		},
		"cancels": func(_ *bed, a *peer) {
			a.Feed("<presence type='unsubscribed' to='bob@e'/><presence><status>secret</status></presence>")
		},
		"cancels elsewhere": func(b *bed, a *peer) {
			other := b.bind("alice@d/other")
			var all sync.WaitGroup
			all.Go(func() { a.Feed("<presence><status>1</status></presence><presence><status>2</status></presence>") })
			all.Go(func() { other.Feed("<presence type='unsubscribed' to='bob@e'/>") })
			all.Wait()
			synctest.Wait()
			other.End()
		},
		"removes": func(b *bed, a *peer) {
			other := b.bind("alice@d/other")
			var all sync.WaitGroup
			all.Go(func() { a.Feed("<presence><status>1</status></presence><presence><status>2</status></presence>") })
			all.Go(func() {
				other.Feed("<iq type='set' id='x'><query xmlns='jabber:iq:roster'><item jid='bob@e' subscription='remove'/></query></iq>")
			})
			all.Wait()
			synctest.Wait()
			other.End()
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBed(t, "")
				b.Account("alice@d", append(crowd(), both(bob))...)
				b.Account("bob@e", both(alice))
				b.Account("carol@d")
				for range rounds(60) {
					// Each round begins with what may have been cancelled.
					restore(b, alice, both(bob))
					restore(b, bob, both(alice))
					a, c := b.online("alice@d/r"), b.online("carol@d/r")
					a.Send("<presence to='carol@d/r'/>")
					w := b.bind("bob@e/r")
					var all sync.WaitGroup
					all.Go(func() { act(b, a) })
					all.Go(func() { w.Feed("<presence/>") })
					all.Wait()
					synctest.Wait()
					now := a.Session.Presence()
					may := b.item(alice, bob).Subscription&store.SubscriptionFrom != 0
					seen := last(w.Got(), "alice@d/r")
					switch shown := seen != "" && !matches(seen, "type='unavailable'"); {
					case shown && (!now.Available || !may):
						t.Fatalf("bob sees %s; available %v, may see it %v", seen, now.Available, may)
					case shown && statusOf(seen) != statusOf(string(now.Stanza)):
						t.Fatalf("bob sees %s; it is %s", seen, now.Stanza)
					case !shown && now.Available && may:
						t.Fatalf("bob does not see %s: %s", now.Stanza, seen)
					}
					if seen := last(c.Got(), "alice@d/r"); !now.Available && !matches(seen, "type='unavailable'") {
						t.Fatalf("carol sees %s", seen)
					}
					for _, p := range []*peer{a, c, w} {
						p.End()
					}
					synctest.Wait()
				}
			})
		})
	}
}

// crowd are contacts who are never there: telling them takes a while in which much can happen.
func crowd() (all []store.RosterItem) {
	for i := range 150 {
		all = append(all, store.RosterItem{Contact: jid.MustParse(fmt.Sprintf("c%d@d", i)), Subscription: store.SubscriptionFrom})
	}
	return all
}

// restore writes a contact as it was; the account is not in use.
func restore(b *bed, account jid.JID, it store.RosterItem) {
	b.t.Helper()
	r, err := b.Disk.Roster(b.t.Context(), account)
	if err != nil {
		b.t.Fatal(err)
	}
	it.Version = r.Version + 1
	if err := b.Disk.Commit(store.SetRosterItem{User: account, Item: it}).Wait(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
}

// last is the last presence from an address.
func last(got []string, from string) (xml string) {
	for _, x := range got {
		if matches(x, "<presence from='"+from+"'") {
			xml = x
		}
	}
	return xml
}

var status = regexp.MustCompile(`<status>(.*)</status>`)

func statusOf(xml string) string {
	if m := status.FindStringSubmatch(xml); m != nil {
		return m[1]
	}
	return ""
}

// TestPresenceMeetsChanges lets things happen in the midst of a broadcast, before bob is told or after:
// contacts are told in no order.
func TestPresenceMeetsChanges(t *testing.T) {
	contact := func(j string, s store.Subscription) store.RosterItem {
		return store.RosterItem{Contact: jid.MustParse(j), Subscription: s}
	}
	for name, happens := range map[string]func(a, other *peer){
		"bob is not to see it any more": func(_, other *peer) { other.Feed("<presence type='unsubscribed' to='bob@e'/>") },
		"bob is removed": func(_, other *peer) {
			other.Feed("<iq type='set' id='x'><query xmlns='jabber:iq:roster'><item jid='bob@e' subscription='remove'/></query></iq>")
		},
		"the session ends": func(a, _ *peer) {
			go a.End() // it comes to wait for carol's account
			for a.Session.Presence().Available {
				runtime.Gosched()
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBed(t, "")
				alice := b.Account("alice@d", contact("carol@d", store.SubscriptionFrom))
				bob := b.Account("bob@e")
				b.Account("carol@d")
				for range rounds(30) {
					restore(b, alice, contact("bob@e", store.SubscriptionFrom))
					restore(b, bob, contact("alice@d", store.SubscriptionTo))
					a, other, c, w := b.online("alice@d/r"), b.bind("alice@d/other"), b.online("carol@d/r"), b.online("bob@e/r")
					var once sync.Once
					c.Stream.OnQueue = func(xml string) {
						if statusOf(xml) != "secret" {
							return
						}
						once.Do(func() { happens(a, other) })
					}
					a.Send("<presence><status>secret</status></presence>")
					if seen := last(w.Got(), "alice@d/r"); !matches(seen, "type='unavailable'") {
						t.Fatalf("bob sees %s", seen)
					}
					for _, p := range []*peer{a, other, c, w} {
						p.End()
					}
					synctest.Wait()
				}
			})
		})
	}
}

// TestBindingSessionSeesPresence: presence to a session that is just bound comes, whoever is first.
func TestBindingSessionSeesPresence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, "")
		b.Account("alice@d")
		b.Account("bob@e")
		for range rounds(50) {
			a := b.online("alice@d/r")
			var w *peer
			var all sync.WaitGroup
			all.Go(func() { a.Feed("<presence to='bob@e/r'><status>1</status></presence>") })
			all.Go(func() { w = b.bind("bob@e/r") })
			all.Wait()
			synctest.Wait()
			first := last(w.Got(), "alice@d/r")
			a.Send("<presence to='bob@e/r'><status>2</status></presence>")
			w.gets("<status>2</status>")
			a.End()
			w.gets("type='unavailable' from='alice@d/r'")
			if first != "" && statusOf(first) != "1" {
				t.Errorf("%s", first)
			}
			w.End()
			synctest.Wait()
		}
	})
}

// TestProbes is RFC 6121 §4.3.2.
func TestProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, "")
		seen := func(j string) store.RosterItem {
			return store.RosterItem{Contact: jid.MustParse(j), Subscription: store.SubscriptionFrom}
		}
		b.Account("juliet@d", seen("romeo@e"), seen("nobody@far"))
		b.Account("romeo@e")
		b.Account("mercutio@e")
		romeo, mercutio := b.online("romeo@e/r"), b.online("mercutio@e/r")
		const no = "<presence type='unsubscribed' from='juliet@d' to='mercutio@e'"
		for _, step := range []struct {
			to    string
			romeo []string
		}{
			{"juliet@d", []string{"type='unavailable' from='juliet@d' to='romeo@e/r'"}},
			{"juliet@d/a", []string{"type='unavailable' from='juliet@d/a' to='romeo@e/r'"}},
			{"nobody@d", nil}, // "unsubscribed", which changes nothing
		} {
			romeo.Send("<presence type='probe' to='" + step.to + "'/>")
			romeo.gets(step.romeo...)
		}
		a, quiet := b.online("juliet@d/a"), b.bind("juliet@d/quiet")
		c := b.bind("juliet@d/c")
		c.Send("<presence><priority>-1</priority></presence>")
		romeo.Got()
		b.spy.forget()
		for to, want := range map[string][]string{
			"juliet@d":       {"from='juliet@d/a' to='romeo@e/r'", "from='juliet@d/c' <priority>-1"},
			"juliet@d/c":     {"from='juliet@d/c' to='romeo@e/r' <priority>-1"},
			"juliet@d/quiet": {"type='unavailable' from='juliet@d/quiet' to='romeo@e/r'"},
		} {
			romeo.Send("<presence type='probe' to='" + to + "'/>")
			romeo.gets(want...)
			mercutio.Send("<presence type='probe' to='" + to + "'/>")
			mercutio.gets()
			if !b.spy.saw(no) {
				t.Errorf("no answer to a stranger's probe of %s", to)
			}
			b.spy.forget()
		}
		for _, p := range []*peer{a, quiet, c} {
			for _, xml := range p.Got() {
				if matches(xml, "type='probe'") {
					t.Errorf("%s got %s", p.Session.JID, xml)
				}
			}
		}
		// One's own resources see each other.
		quiet.Send("<presence type='probe' to='juliet@d/a'/>")
		quiet.gets("from='juliet@d/a' to='juliet@d/quiet'")
	})
}
