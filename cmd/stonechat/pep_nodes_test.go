// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// eventBed is a bed with the nodes of module pubsub, whose clients ask for everything.
type eventBed struct {
	*pepBed
	caps string // of such a client that asks for tune and mood
}

func newEventBed(t *testing.T) *eventBed {
	t.Helper()
	b := newBed(t, "")
	b.Account("teacher@d")
	e := &eventBed{pepBed: &pepBed{bed: b, learner: newLearner(b)}}
	e.caps = e.teach("tune", "mood")
	return e
}

// eager binds a client that is available and asks for tune and mood; what it is sent is forgotten.
func (b *eventBed) eager(address string) *peer {
	b.t.Helper()
	p := b.bind(address)
	p.Send("<presence>" + b.caps + "</presence>")
	p.Got()
	return p
}

// publish publishes an item, with options as pairs, and takes the answer.
func (p *peer) publish(node, id, text string, options ...string) string {
	p.b.t.Helper()
	var with strings.Builder
	if len(options) > 0 {
		with.WriteString("<publish-options><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>http://jabber.org/protocol/pubsub#publish-options</value></field>")
		for i := 0; i < len(options); i += 2 {
			fmt.Fprintf(&with, "<field var='pubsub#%s'><value>%s</value></field>", options[i], options[i+1])
		}
		with.WriteString("</x></publish-options>")
	}
	p.Send(fmt.Sprintf("<iq type='set' id='pub'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='%s'><item id='%s'><x xmlns='urn:x'>%s</x></item></publish>%s</pubsub></iq>", node, id, text, with.String()))
	return p.answer("pub")
}

// answer takes the answer to a request out of what the client was sent; the rest stays.
func (p *peer) answer(id string) (answer string) {
	p.b.t.Helper()
	var rest []string
	for _, xml := range p.Got() {
		if strings.HasPrefix(xml, "<iq ") && strings.Contains(xml, "id='"+id+"'") {
			answer = xml
		} else {
			rest = append(rest, xml)
		}
	}
	p.Stream.PutBack(rest...)
	return answer
}

func event(node, id, text string) string {
	return fmt.Sprintf("<message type='headline' from='alice@d' pubsub#event <items <item node='%s' id='%s' >%s", node, id, text)
}

// TestPersonalEvents: what somebody publishes comes to his own clients and to contacts who see his presence, as
// it is published and when they come, and to nobody else (XEP-0163).
func TestPersonalEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newEventBed(t)
		b.Account("alice@d", rosterItem("bob@e", store.SubscriptionBoth, "Friends"), rosterItem("carol@d", store.SubscriptionBoth),
			rosterItem("to@d", store.SubscriptionTo))
		for name, sub := range map[string]store.Subscription{"bob@e": store.SubscriptionBoth, "carol@d": store.SubscriptionBoth, "to@d": store.SubscriptionFrom, "stranger@d": store.SubscriptionNone} {
			b.Account(name, rosterItem("alice@d", sub))
		}
		a, bob, carol, to, stranger := b.eager("alice@d/1"), b.eager("bob@e/1"), b.eager("carol@d/1"), b.eager("to@d/1"), b.eager("stranger@d/1")
		all := []*peer{a, bob, carol, to, stranger}
		settle := func() {
			for _, p := range all {
				p.Got()
			}
		}
		settle()
		none := func(who ...*peer) {
			t.Helper()
			for _, p := range who {
				p.gets()
			}
		}
		if answer := a.publish("tune", "1", "one"); !matches(answer, "type='result'") {
			t.Fatal(answer)
		}
		for _, p := range []*peer{a, bob, carol} {
			p.gets(event("tune", "1", "one") + " to='" + p.Session.JID.String() + "'")
		}
		none(to, stranger)
		a.publish("weather", "1", "nobody asks for it")
		none(all...)

		// A whitelist is for oneself; a group for its members.
		a.publish("mood", "1", "secret", "access_model", "whitelist")
		a.gets(event("mood", "1", "secret"))
		none(bob, carol, to, stranger)
		a.Send("<iq type='set' id='c'><pubsub xmlns='http://jabber.org/protocol/pubsub#owner'><configure node='mood'><x xmlns='jabber:x:data' type='submit'>" +
			"<field var='FORM_TYPE'><value>http://jabber.org/protocol/pubsub#node_config</value></field><field var='pubsub#access_model'><value>roster</value></field>" +
			"<field var='pubsub#roster_groups_allowed'><value>Friends</value></field></x></configure></pubsub></iq>")
		if answer := a.answer("c"); !matches(answer, "type='result'") {
			t.Fatal(answer)
		}
		settle()
		a.publish("mood", "2", "for friends")
		a.gets(event("mood", "2", "for friends"))
		bob.gets(event("mood", "2", "for friends"))
		none(carol, to, stranger)

		// Who comes is told the last of what he may see.
		for _, name := range []string{"alice@d/2", "bob@e/2", "carol@d/2", "to@d/2", "stranger@d/2"} {
			p := b.bind(name)
			p.Send("<presence>" + b.caps + "</presence>")
			var events []string
			for _, xml := range p.Got() {
				if strings.HasPrefix(xml, "<message") {
					events = append(events, xml)
				}
			}
			want := map[string]int{"alice@d": 2, "bob@e": 2, "carol@d": 1}[p.Session.User.JID.String()]
			if len(events) != want {
				t.Errorf("%s is told %q", name, events)
			}
			for _, xml := range events {
				if !matches(xml, "<delay xmlns='urn:xmpp:delay'") || !matches(xml, event("tune", "1", "one")) && !matches(xml, event("mood", "2", "for friends")) {
					t.Errorf("%s is told %s", name, xml)
				}
			}
			p.End()
		}
		settle()

		// The subscription ends: nothing more, neither by itself nor for the asking.
		a.Send("<presence type='unsubscribed' to='carol@d'/><iq type='set' id='g'><query xmlns='jabber:iq:roster'><item jid='bob@e'/></query></iq>")
		settle()
		a.publish("tune", "2", "two")
		a.publish("mood", "3", "three")
		a.gets(event("tune", "2", "two"), event("mood", "3", "three"))
		bob.gets(event("tune", "2", "two")) // he is no friend any more
		none(carol, to, stranger)
		for _, x := range []struct {
			p    *peer
			node string
			want string
		}{
			{bob, "tune", "type='result'"}, {bob, "mood", "<not-authorized <not-in-roster-group"},
			{carol, "tune", "<not-authorized <presence-subscription-required"}, {carol, "none", "<service-unavailable"},
			{stranger, "tune", "<not-authorized <presence-subscription-required"}, {to, "mood", "<not-authorized <not-in-roster-group"},
		} {
			x.p.Send("<iq type='get' id='i' to='alice@d'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='" + x.node + "'/></pubsub></iq>")
			x.p.gets(x.want)
			x.p.Send("<iq type='set' id='i' to='alice@d'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='" + x.node + "'><item/></publish></pubsub></iq>")
			if got := x.p.answer("i"); matches(got, "type='result'") {
				t.Errorf("%s publishes at %s", x.p.Session.JID, x.node)
			}
			settle()
		}

		// Alice goes; what she has published stays.
		a.End()
		settle()
		again := b.bind("bob@e/3")
		again.Send("<presence>" + b.caps + "</presence>")
		if got := again.Got(); !matches(got[len(got)-1], event("tune", "2", "two")) {
			t.Errorf("of somebody who is away: %q", got)
		}
		// So does her account: nothing remains.
		if err := b.DeleteAccount(t.Context(), jid.MustParse("alice@d"), nil); err != nil {
			t.Fatal(err)
		}
		b.Account("alice@d", rosterItem("bob@e", store.SubscriptionFrom))
		again.Send("<presence type='unavailable'/><presence>" + b.caps + "</presence>")
		for _, xml := range again.Got() {
			if strings.HasPrefix(xml, "<message") {
				t.Errorf("of an account that was deleted: %s", xml)
			}
		}
	})
}

// TestPersistentData: XEP-0222 and XEP-0223 as clients do it, by publish-options.
func TestPersistentData(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newEventBed(t)
		b.Account("alice@d", rosterItem("bob@e", store.SubscriptionBoth))
		b.Account("bob@e", rosterItem("alice@d", store.SubscriptionBoth))
		a, second, bob := b.eager("alice@d/1"), b.eager("alice@d/2"), b.eager("bob@e/1")
		for _, p := range []*peer{a, second, bob} {
			p.Got()
		}
		// XEP-0222: kept, told when it changes, and not when somebody comes.
		public := []string{"persist_items", "true", "max_items", "max", "send_last_published_item", "never", "access_model", "presence"}
		for _, id := range []string{"1", "2"} {
			if got := a.publish("tune", id, "key "+id, public...); !matches(got, "type='result'") {
				t.Fatal(got)
			}
		}
		bob.gets(event("tune", "1", "key"), event("tune", "2", "key"))
		second.Got()
		a.Got()
		comes := b.bind("bob@e/2")
		comes.Send("<presence>" + b.caps + "</presence>")
		for _, xml := range comes.Got() {
			if strings.HasPrefix(xml, "<message") {
				t.Errorf("told who comes: %s", xml)
			}
		}
		bob.Got()
		bob.Send("<iq type='get' id='i' to='alice@d'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='tune'/></pubsub></iq>")
		bob.gets("type='result' <item id='1' id='2'")

		// XEP-0223: kept for oneself, told to one's own clients.
		private := []string{"persist_items", "true", "access_model", "whitelist"}
		if got := a.publish("mood", "current", "bookmarks", private...); !matches(got, "type='result'") {
			t.Fatal(got)
		}
		if got := second.Got(); !matches(got[len(got)-1], event("mood", "current", "bookmarks")) {
			t.Errorf("%q", got)
		}
		bob.gets()
		bob.Send("<iq type='get' id='i' to='alice@d'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='mood'/></pubsub></iq>")
		bob.gets("type='error' <not-allowed <closed-node")
		bob.Send("<iq type='get' id='i' to='alice@d'><query xmlns='http://jabber.org/protocol/disco#items'/></iq>")
		if got := bob.answer("i"); !matches(got, "node='tune'") || matches(got, "node='mood'") {
			t.Errorf("nodes that bob may see: %s", got)
		}
		a.Got()
		// A node that is otherwise is not published to.
		if got := a.publish("tune", "3", "x", private...); !matches(got, "type='error' <conflict <precondition-not-met") {
			t.Error(got)
		}
		bob.gets()
		// Who asks the server is told (§5 of both).
		a.Send("<iq type='get' id='i' to='d'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>")
		if got := a.answer("i"); !matches(got, "category='pubsub' type='pep' pubsub#publish-options'") {
			t.Error(got)
		}
	})
}

// TestSubscribersByPresence: who has subscribed with his bare address is told once at each of his clients that asks for the
// node, and at the bare address only where there is none (XEP-0163 §4.3.2).
func TestSubscribersByPresence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newEventBed(t)
		b.Account("alice@d", rosterItem("bob@e", store.SubscriptionBoth))
		b.Account("bob@e", rosterItem("alice@d", store.SubscriptionBoth))
		a := b.online("alice@d/1")
		a.publish("tune", "1", "one")
		one, two, plain := b.eager("bob@e/1"), b.eager("bob@e/2"), b.online("bob@e/plain")
		const subscribe = "<iq type='set' id='s' to='alice@d'><pubsub xmlns='http://jabber.org/protocol/pubsub'><subscribe node='tune' jid='%s'/></pubsub></iq>"
		one.Send(fmt.Sprintf(subscribe, "bob@e"))
		plain.Send(fmt.Sprintf(subscribe, "bob@e/plain"))
		all := []*peer{one, two, plain}
		for _, p := range all {
			p.Got()
		}
		a.publish("tune", "2", "two")
		for _, p := range all {
			p.gets(event("tune", "2", "two") + " to='" + p.Session.JID.String() + "'")
		}
		one.Send("<presence type='unavailable'/>")
		two.Send("<presence type='unavailable'/>")
		for _, p := range all {
			p.Got()
		}
		a.publish("tune", "3", "three")
		one.gets()
		two.gets()
		got := plain.Got() // of two subscribers, in no order
		slices.Sort(got)
		if len(got) != 2 || !matches(got[0], event("tune", "3", "three")+" to='bob@e'") || !matches(got[1], event("tune", "3", "three")+" to='bob@e/plain'") {
			t.Error(got)
		}
	})
}

// TestSubscriptionsEnd: who may not see a node any more has no subscription to it either, and is told so; when he may
// again, he has to subscribe again (XEP-0163 §7.1).
func TestSubscriptionsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newEventBed(t)
		b.Account("alice@d", rosterItem("bob@e", store.SubscriptionBoth, "Friends"), rosterItem("carol@d", store.SubscriptionBoth, "Friends"))
		for _, name := range []string{"bob@e", "carol@d"} {
			b.Account(name, rosterItem("alice@d", store.SubscriptionBoth))
		}
		a, bob, carol := b.online("alice@d/1"), b.online("bob@e/1"), b.online("carol@d/1")
		a.publish("weather", "1", "sun")
		a.publish("news", "1", "none", "access_model", "roster", "roster_groups_allowed", "Friends")
		a.publish("open", "1", "x", "access_model", "open")
		for _, p := range []*peer{bob, carol} {
			for _, node := range []string{"weather", "news", "open"} {
				p.Send(fmt.Sprintf("<iq type='set' id='s' to='alice@d'><pubsub xmlns='http://jabber.org/protocol/pubsub'><subscribe node='%s' jid='%s'/></pubsub></iq>", node, p.Session.User.JID))
				if got := p.answer("s"); !matches(got, "subscription='subscribed'") {
					t.Fatal(got)
				}
			}
			p.Got()
		}
		subscribed := func(p *peer, wants ...string) {
			t.Helper()
			p.Got()
			p.Send("<iq type='get' id='s' to='alice@d'><pubsub xmlns='http://jabber.org/protocol/pubsub'><subscriptions/></pubsub></iq>")
			got := p.answer("s")
			if n := strings.Count(got, "<subscription "); n != len(wants) {
				t.Errorf("%s has %d subscriptions: %s", p.Session.JID, n, got)
			}
			for _, node := range wants {
				if !matches(got, "node='"+node+"'") {
					t.Errorf("%s is not subscribed to %s: %s", p.Session.JID, node, got)
				}
			}
		}
		subscribed(bob, "weather", "news", "open")
		a.Got()
		a.Send("<presence type='unsubscribed' to='bob@e'/>")
		told := 0
		for _, xml := range bob.Got() {
			if matches(xml, "pubsub#event <subscription node='weather' subscription='none'") {
				told++
			}
		}
		if told != 1 {
			t.Errorf("told %d times that the subscription has ended", told)
		}
		subscribed(bob, "news", "open") // a group is not presence
		a.Send("<iq type='set' id='g'><query xmlns='jabber:iq:roster'><item jid='carol@d'><group>Foes</group></item></query></iq>")
		subscribed(carol, "weather", "open")
		a.Send("<iq type='set' id='g'><query xmlns='jabber:iq:roster'><item jid='bob@e' subscription='remove'/></query></iq>")
		subscribed(bob, "open")
		a.Send("<iq type='set' id='g'><query xmlns='jabber:iq:roster'><item jid='carol@d'><group>Friends</group></item></query></iq>")
		a.publish("news", "2", "more")
		for _, xml := range carol.Got() {
			if strings.HasPrefix(xml, "<message") {
				t.Errorf("told without a subscription: %s", xml)
			}
		}
	})
}

// TestRechecks: where too many wait to be looked at, a subscription lasts until there are news, which it does not get.
func TestRechecks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, "modules: {pep: {rechecks: 0}}\n")
		b.Account("alice@d", rosterItem("bob@e", store.SubscriptionBoth))
		b.Account("bob@e", rosterItem("alice@d", store.SubscriptionBoth))
		a, bob := b.online("alice@d/1"), b.online("bob@e/1")
		a.publish("weather", "1", "sun")
		bob.Send("<iq type='set' id='s' to='alice@d'><pubsub xmlns='http://jabber.org/protocol/pubsub'><subscribe node='weather' jid='bob@e'/></pubsub></iq>")
		if got := bob.answer("s"); !matches(got, "subscription='subscribed'") {
			t.Fatal(got)
		}
		a.Send("<presence type='unsubscribed' to='bob@e'/>")
		for _, xml := range bob.Got() {
			if matches(xml, "pubsub#event <subscription ") {
				t.Errorf("looked at: %s", xml)
			}
		}
		if got := b.Metric("stonechat_pep_rechecks_left_total"); got != "1" {
			t.Errorf("counted: %q", got)
		}
		a.publish("weather", "2", "rain")
		for _, xml := range bob.Got() {
			if matches(xml, "rain") {
				t.Errorf("told what it may not see: %s", xml)
			}
		}
	})
}

// TestWithoutNodes: a server without nodes, or without those of accounts, says nothing of them and refuses requests.
func TestWithoutNodes(t *testing.T) {
	for _, off := range []string{"pubsub", "pep", "caps"} {
		t.Run(off, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBed(t, "modules: {"+off+": false}\n")
				b.Account("alice@d")
				a := b.online("alice@d/r")
				a.Send("<presence><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='n' ver='v'/></presence>")
				a.Got()
				a.Send("<iq type='get' id='1'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>")
				if got := a.answer("1"); !matches(got, "category='account'") || strings.Contains(got, "type='pep'") != (off == "caps") {
					t.Error(got)
				}
				a.Got()
				want := "type='error' <service-unavailable"
				if off == "caps" {
					want = "type='result'"
				}
				if got := a.publish("tune", "1", "x"); !matches(got, want) {
					t.Error(got)
				}
			})
		})
	}
}
