// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

var verOf = regexp.MustCompile(`\bver='([^']*)'`)

// asks sends a roster request with a version and returns the answer and the pushes behind it.
func (p *peer) asks(ver string) (answer string, pushes []string) {
	p.b.t.Helper()
	p.Send("<iq type='get' id='v'><query xmlns='jabber:iq:roster' ver='" + ver + "'/></iq>")
	got := p.Got()
	if len(got) == 0 || !matches(got[0], "<iq type='result' id='v'") {
		p.b.t.Fatalf("no answer, or not first: %s", got)
	}
	return got[0], got[1:]
}

func setItem(n int, name string) string {
	return fmt.Sprintf("<iq type='set' id='s'><query xmlns='jabber:iq:roster'><item jid='c%d@x' name='%s'/></query></iq>", n, name)
}

// TestRosterVersions is RFC 6121 §2.6.
func TestRosterVersions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, "")
		alice := b.Account("alice@d")
		p := b.bind("alice@d/a")
		for i := range 6 {
			p.Send(setItem(i, "old"))
		}
		p.Got()
		whole, _ := p.asks("")
		old := verOf.FindStringSubmatch(whole)[1]
		if strings.Count(whole, "<item") != 6 {
			t.Errorf("the whole roster: %s", whole)
		}

		// What is current is answered by nothing.
		if answer, pushes := p.asks(old); strings.Contains(answer, "<query") || len(pushes) > 0 {
			t.Errorf("current: %s %s", answer, pushes)
		}
		// A live push has the version that is current then.
		p.Send(setItem(4, "new"))
		live := p.Got()
		if len(live) != 2 {
			t.Fatalf("%s", live)
		}
		p.Send(setItem(1, "never seen") + setItem(1, "new"))
		p.Got()

		// The other resource was away since old: two items have changed, in this order.
		other := b.bind("alice@d/b")
		answer, pushes := other.asks(old)
		if strings.Contains(answer, "<query") || len(pushes) != 2 ||
			!matches(pushes[0], "type='set' jid='c4@x' name='new'") || !matches(pushes[1], "type='set' jid='c1@x' name='new'") {
			t.Errorf("behind: %s %s", answer, pushes)
		}
		if mid := verOf.FindStringSubmatch(pushes[0])[1]; !strings.Contains(strings.Join(live, ""), "ver='"+mid+"'") {
			t.Errorf("the live push %s and the later one %s differ", live, pushes[0])
		} else if _, rest := other.asks(mid); len(rest) != 1 {
			t.Errorf("between the two: %s", rest)
		}
		current := verOf.FindStringSubmatch(pushes[1])[1]
		if answer, rest := other.asks(current); strings.Contains(answer, "<query") || len(rest) > 0 {
			t.Errorf("after the last push: %s %s", answer, rest)
		}

		// More changes than the roster is long are the whole roster; so is what nobody has given.
		for i := range 5 {
			p.Send(setItem(i, "newer"))
		}
		p.Got()
		other.Got()
		for _, ver := range []string{old, "0", "", "x", "-5", "99999999999999999", "9223372036854775808"} {
			if answer, rest := other.asks(ver); strings.Count(answer, "<item") != 6 || len(rest) > 0 {
				t.Errorf("version %q: %s %s", ver, answer, rest)
			}
		}

		// A request that waits is not in the roster that clients see.
		answer, _ = other.asks("")
		now := verOf.FindStringSubmatch(answer)[1]
		b.Account("bob@e")
		b.from("<presence xmlns='jabber:client' type='subscribe' from='bob@e' to='alice@d'/>")
		if answer, rest := other.asks(now); strings.Contains(answer, "<query") || len(rest) > 0 {
			t.Errorf("after a request: %s %s", answer, rest)
		}
		b.from("<presence xmlns='jabber:client' type='unsubscribe' from='bob@e' to='alice@d'/>")
		other.gets("<presence type='unsubscribe'")
		if answer, rest := other.asks(now); strings.Contains(answer, "<query") || len(rest) > 0 {
			t.Errorf("after it was withdrawn: %s %s", answer, rest)
		}
		// What is removed is known only by the whole roster.
		p.Send("<iq type='set' id='s'><query xmlns='jabber:iq:roster'><item jid='c0@x' subscription='remove'/></query></iq>")
		other.Got()
		if answer, rest := other.asks(now); strings.Count(answer, "<item") != 5 || len(rest) > 0 {
			t.Errorf("after a removal: %s %s", answer, rest)
		}

		// An account of the same name is another account.
		answer, _ = other.asks("")
		last := verOf.FindStringSubmatch(answer)[1]
		if err := b.DeleteAccount(t.Context(), alice, nil); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		b.Account("alice@d")
		again := b.bind("alice@d/a")
		if answer, _ := again.asks(last); !strings.Contains(answer, "<query") {
			t.Errorf("a new account: %s", answer)
		}
		again.Send(setItem(0, "another"))
		again.Got()
		if answer, rest := again.asks(last); strings.Count(answer, "<item") != 1 || len(rest) > 0 {
			t.Errorf("a new account with a contact: %s %s", answer, rest)
		}
	})
}

// TestRosterAnswerAndPushes: a client that applies the answer and the pushes in their order has the
// roster, and its version, however many changes are under way when it asks.
func TestRosterAnswerAndPushes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, "")
		alice := b.Account("alice@d")
		item := regexp.MustCompile(`<item jid='(c\d+@x)'(?: name='(\d+)')? subscription='(\w+)'`)
		for round := range rounds(30) {
			writer, reader := b.bind("alice@d/w"), b.bind("alice@d/r")
			var all sync.WaitGroup
			all.Go(func() {
				for i := range 20 {
					if i%5 == 4 {
						writer.Feed(fmt.Sprintf("<iq type='set' id='s'><query xmlns='jabber:iq:roster'><item jid='c%d@x' subscription='remove'/></query></iq>", i%3))
					} else {
						writer.Feed(setItem(i%3, fmt.Sprint(round*100+i)))
					}
				}
			})
			all.Go(func() { reader.Feed("<iq type='get' id='v'><query xmlns='jabber:iq:roster' ver=''/></iq>") })
			all.Wait()
			has, version := map[string]string{}, ""
			for i, xml := range reader.Got() {
				if (i == 0) != matches(xml, "id='v'") {
					t.Errorf("round %d: element %d is %s", round, i, xml)
				}
				ver := verOf.FindStringSubmatch(xml)[1]
				if len(ver) < len(version) || len(ver) == len(version) && ver <= version {
					t.Errorf("round %d: version %s behind %s", round, ver, version)
				}
				version = ver
				for _, m := range item.FindAllStringSubmatch(xml, -1) {
					if has[m[1]] = m[2]; m[3] == "remove" {
						delete(has, m[1])
					}
				}
			}
			kept, err := b.Disk.Roster(t.Context(), alice)
			if err != nil {
				t.Fatal(err)
			}
			if fmt.Sprint(kept.Version) != version || len(kept.Items) != len(has) {
				t.Errorf("round %d: the client has %s of version %s, stored is %+v", round, has, version, kept)
			}
			for _, it := range kept.Items {
				if has[it.Contact.String()] != it.Name {
					t.Errorf("round %d: the client has %s, stored is %+v", round, has, it)
				}
			}
			writer.End()
			reader.End()
			synctest.Wait()
		}
	})
}

// TestRosterWaitsForTheDisk: a version is told when it is stored, and not before: after a crash it
// might be given again.
func TestRosterWaitsForTheDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, "")
		alice := b.Account("alice@d")
		writer, reader := b.bind("alice@d/w"), b.bind("alice@d/r")
		release := b.Disk.Stall()
		writer.Send(setItem(1, "new"))
		go reader.Feed("<iq type='get' id='v'><query xmlns='jabber:iq:roster' ver=''/></iq>")
		reader.gets()
		writer.gets()
		release()
		synctest.Wait()
		kept, err := b.Disk.Roster(t.Context(), alice)
		if err != nil {
			t.Fatal(err)
		}
		reader.gets(fmt.Sprintf("id='v' ver='%d' jid='c1@x'", kept.Version))
		writer.gets("id='s' type='result'")
	})
}

// TestRemovalIsStoredOnBothSides: a removal is answered when the contact's side is stored, too.
func TestRemovalIsStoredOnBothSides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, "")
		alice, bob := jid.MustParse("alice@d"), jid.MustParse("bob@e")
		b.Account("alice@d", store.RosterItem{Contact: bob, Subscription: store.SubscriptionBoth})
		b.Account("bob@e", store.RosterItem{Contact: alice, Subscription: store.SubscriptionBoth})
		p := b.bind("alice@d/r")
		p.Stream.OnQueue = func(xml string) {
			if !matches(xml, "id='x' type='result'") {
				return
			}
			if it := b.item(bob, alice); it.Subscription != store.SubscriptionNone {
				t.Errorf("answered while the other side is %+v", it)
			}
		}
		p.Send("<iq type='set' id='x'><query xmlns='jabber:iq:roster'><item jid='bob@e' subscription='remove'/></query></iq>")
		p.gets("id='x' type='result'")
	})
}

// TestSubscriptionSidesAgree: whatever two resources do at the same time, the contact has the other
// side of what the account has.
func TestSubscriptionSidesAgree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, "")
		alice, bob := b.Account("alice@d"), b.Account("bob@e")
		actions := []string{
			"<presence type='subscribe' to='bob@e'/>",
			"<presence type='unsubscribe' to='bob@e'/>",
			"<presence type='subscribed' to='bob@e'/>",
			"<presence type='unsubscribed' to='bob@e'/>",
			"<iq type='set' id='x'><query xmlns='jabber:iq:roster'><item jid='bob@e' subscription='remove'/></query></iq>",
		}
		one, two := b.online("alice@d/1"), b.online("alice@d/2")
		for i := range rounds(100) {
			if i%3 == 0 { // bob asks, too
				bobs := b.online("bob@e/r")
				bobs.Send("<presence type='subscribe' to='alice@d'/>")
				bobs.End()
				synctest.Wait()
			}
			var all sync.WaitGroup
			for k, p := range []*peer{one, two} {
				all.Go(func() {
					p.Feed(actions[(i+k)%len(actions)] + actions[(i*3+k*2)%len(actions)])
				})
			}
			all.Wait()
			synctest.Wait()
			hers, his := b.item(alice, bob), b.item(bob, alice)
			if got, want := nameOf(his), stateOf(hers).mirror().name; got != want {
				t.Fatalf("round %d: she has %s, he has %s, want %s", i, nameOf(hers), got, want)
			}
		}
	})
}

// TestDirectedIsBounded: RFC 6121 §4.6 without an end to it.
func TestDirectedIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, "modules:\n  presence: {directed: 2}\n")
		b.Account("alice@d")
		p := b.bind("alice@d/r")
		p.Send("<presence to='a@d'/><presence to='b@d/r'/><presence to='a@d'><show>away</show></presence>")
		p.gets()
		p.Send("<presence to='c@d' id='c'/>")
		p.gets("<presence type='error' id='c' from='c@d' resource-constraint")
		p.Send("<presence to='a@d' type='unavailable'/><presence to='c@d' id='c'/>")
		p.gets()
		p.Send("<presence type='unavailable'/><presence to='d@d'/><presence to='e@d'/>") // nobody is left
		p.gets()
	})
}

// TestRequestsAreBounded: what strangers may leave with an account that does not answer.
func TestRequestsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, "modules:\n  roster: {requests: 2}\n  presence: {request_bytes: 500}\n")
		b.Account("alice@d")
		long := "<status>" + strings.Repeat("x", 500) + "</status>"
		ask := func(who, content string, wants ...string) *peer {
			t.Helper()
			b.Account(who + "@e")
			p := b.online(who + "@e/r")
			p.Send("<presence type='subscribe' to='alice@d' id='q'>" + content + "</presence>")
			p.gets(wants...)
			return p
		}
		const asked = "<iq ask='subscribe'"
		ask("a", "", asked)
		ask("b", long, "<presence type='error' id='q' policy-violation from='alice@d'")
		b.from("<presence xmlns='jabber:client' type='subscribe' from='b@e' to='alice@d'>" + long + "</presence>") // as from elsewhere
		if it := b.item(jid.MustParse("alice@d"), jid.MustParse("b@e")); it.In != nil {
			t.Errorf("kept: %+v", it)
		}
		c := ask("c", "", asked)
		ask("d", "", asked, "<presence type='error' resource-constraint from='alice@d'")
		c.Send("<presence type='unsubscribe' to='alice@d'/>")
		c.gets("<iq subscription='none'")
		ask("f", "", asked)

		alice := b.bind("alice@d/r")
		alice.Send("<presence/>")
		got := alice.Got()
		for _, want := range []string{"type='subscribe' from='a@e'", "type='subscribe' from='f@e'"} {
			if !slices.ContainsFunc(got, func(xml string) bool { return matches(xml, want) }) {
				t.Errorf("no %s in %s", want, got)
			}
		}
		if len(got) != 3 { // and her own presence
			t.Errorf("%s", got)
		}
	})
}

// TestSubscriptionsHeal: the two sides of a subscription are two changes, and a crash may come
// between them. The side that is left over ends at the next login (RFC 6121 §4.3.2).
func TestSubscriptionsHeal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, "")
		alice, bob := jid.MustParse("alice@d"), jid.MustParse("bob@e")
		b.Account("bob@e")
		b.Account("alice@d", store.RosterItem{Contact: bob, Subscription: store.SubscriptionBoth})
		b.online("bob@e/r")
		p := b.bind("alice@d/r")
		p.Send("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>")
		p.gets("id='r' subscription='both'")
		p.Send("<presence/>")
		p.gets("<presence from='alice@d/r'", "<presence type='unsubscribed' from='bob@e'", "<iq jid='bob@e' subscription='from'")
		if it := b.item(alice, bob); it.Subscription != store.SubscriptionFrom {
			t.Errorf("%+v", it)
		}
	})
}
