// SPDX-License-Identifier: Apache-2.0

package main

// How to read this file: consent where time passes: what a thing publishes and who hears of it, things that ask for themselves and
// remember the answers, and what has waited for a thing.

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stonechat-im/stonechat/store"
	xcaps "github.com/stonechat-im/stonechat/xmpp/caps"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// announce has a client become available and say what it can do; what else it is sent stays.
func (h *home) announce(p *peer, features ...string) {
	h.t.Helper()
	info := infoOf(features...)
	c := capsOf(h.t, xcaps.SHA1, info)
	p.Send(fmt.Sprintf("<presence>%s</presence>", c.AppendXML(nil)))
	h.answerDisco(p, features...)
}

// answerDisco answers what a client is asked it can do.
func (h *home) answerDisco(p *peer, features ...string) {
	h.t.Helper()
	info := infoOf(features...)
	var rest []string
	for _, xml := range p.Got() {
		if strings.HasPrefix(xml, "<iq ") && strings.Contains(xml, "disco#info") {
			_, id, _ := strings.Cut(xml, " id='")
			id, _, _ = strings.Cut(id, "'")
			from, to := "", p.Session.JID.Bare().String()
			if _, asks, ok := strings.Cut(xml, " from='"); ok {
				from, _, _ = strings.Cut(asks, "'")
				to = from
			}
			p.Send(fmt.Sprintf("<iq to='%s' type='result' id='%s'>%s</iq>", to, id, info.AppendXML(nil)))
			continue
		}
		rest = append(rest, xml)
	}
	p.Stream.PutBack(rest...)
}

// publish has the meter publish a value of a field.
func (h *home) publish(field, value string) {
	h.t.Helper()
	h.meter.Send("<iq type='set' id='pub'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='urn:ietf:params:xml:ns:senml#" +
		field + "'><item id='1'><x xmlns='urn:x'>" + value + "</x></item></publish></pubsub></iq>")
	if got := h.meter.answer("pub"); !strings.Contains(got, "type='result'") {
		h.t.Fatalf("not published: %s", got)
	}
}

// Who sees a thing hears of the fields that he may read, and of no others: as they are published, when he comes, as a subscriber; and
// of none when that is taken back.
func TestPublishedByThings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHome(t, "")
		const node = "urn:ietf:params:xml:ns:senml#"
		people := make(map[string]*peer)
		for _, name := range []string{"friend@d", "reader@d", "all@d", "apart@d", "stranger@d"} {
			h.Account(name)
			people[name] = h.online(name + "/r")
		}
		for _, rule := range []string{
			"allow friend@d to see meter", "allow reader@d to see meter", "allow all@d to see meter",
			"allow reader@d to read meter t", "allow all@d to read meter", "allow apart@d to read meter h", "allow friend@d to control meter",
		} {
			h.tells(h.juliet, rule, "revoke")
		}
		for _, p := range people {
			p.Send("<presence to='meter@d' type='subscribe'/>")
			h.announce(p, node+"t+notify", node+"h+notify")
		}
		h.publish("t", "first")
		h.publish("h", "first")
		for _, p := range people {
			p.Got()
		}
		subscribe := "<iq to='meter@d' type='set' id='s'><pubsub xmlns='http://jabber.org/protocol/pubsub'><subscribe node='" + node + "h' jid='apart@d'/></pubsub></iq>"
		people["apart@d"].Send(subscribe)
		if got := people["apart@d"].answer("s"); !strings.Contains(got, "subscribed") {
			t.Errorf("apart's subscription: %s", got)
		}
		people["apart@d"].Got()
		hears := func(when, want string) {
			t.Helper()
			var got []string
			for _, name := range []string{"friend@d", "reader@d", "all@d", "apart@d", "stranger@d"} {
				all := strings.Join(people[name].Got(), "")
				for _, field := range []string{"t", "h"} {
					if strings.Contains(all, "<items node='"+node+field+"'") {
						got = append(got, strings.TrimSuffix(name, "@d")+":"+field)
					}
				}
			}
			if s := strings.Join(got, " "); s != want {
				t.Errorf("%s: %s, want %s", when, s, want)
			}
		}
		h.publish("t", "second")
		h.publish("h", "second")
		hears("published", "reader:t all:t all:h apart:h")
		for name, p := range people {
			p.End()
			synctest.Wait()
			people[name] = h.bind(name + "/r")
			h.announce(people[name], node+"t+notify", node+"h+notify")
		}
		hears("when they come", "reader:t all:t all:h")
		h.tells(h.juliet, "forbid reader@d to read meter t", "may not")
		h.tells(h.juliet, "forbid apart@d to read meter", "may not")
		h.publish("t", "third")
		h.publish("h", "third")
		for _, p := range people {
			h.Account("x" + p.Session.JID.Local() + "@d") // something else that is committed
		}
		hears("taken back", "all:t all:h")
		list, err := h.Disk.Memberships(t.Context(), jid.MustParse("meter@d"), jid.MustParse("apart@d"), "", 0)
		if err != nil || len(list) > 0 && len(list[0].Subscriptions) > 0 {
			t.Errorf("a subscription of one who may not read any more: %+v, %v", list, err)
		}
	})
}

// A rule that goes, or one that comes, ends the subscriptions that it let be, or forbids, whomever it is for and whichever right it is
// of; also those of people elsewhere, who are told. All others stay. When its owner gives the thing up all of them end.
func TestSubscriptionsEndWithRules(t *testing.T) {
	const reading, other = "urn:ietf:params:xml:ns:senml#t", "urn:x:other"
	for name, x := range map[string]struct{ node, allow, end string }{ // no end: it is revoked
		"address":         {reading, "allow far@x.example to read meter", ""},
		"domain":          {reading, "allow x.example to read meter", ""},
		"domain, forbids": {reading, "allow x.example to use meter", "forbid x.example to read meter t"},
		"group":           {reading, "allow group:Far to read meter t", ""},
		"all":             {reading, "allow all to read meter", ""},
		"any right":       {other, "allow x.example to control meter", ""},
		"to see it":       {other, "allow all to see meter", ""},
		"disowned":        {reading, "allow x.example to read meter", "disown meter"}, // all of his rules go
	} {
		stays := 1
		if strings.HasPrefix(x.end, "disown") {
			stays = 0
		}
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHome(t, "")
				h.juliet.Send("<iq type='set' id='g'><query xmlns='jabber:iq:roster'><item jid='far@x.example'><group>Far</group></item></query></iq>")
				h.meter.Send("<iq type='set' id='pub'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='" + x.node + "'><item id='1'><x xmlns='urn:x'>1</x></item></publish>" +
					"<publish-options><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>http://jabber.org/protocol/pubsub#publish-options</value></field>" +
					"<field var='pubsub#access_model'><value>open</value></field></x></publish-options></pubsub></iq>")
				if got := h.meter.answer("pub"); !strings.Contains(got, "type='result'") {
					t.Fatal(got)
				}
				h.tells(h.juliet, "allow stays@y.example to use meter", "revoke")
				rule := h.say(h.juliet, x.allow)
				var number int
				if _, after, ok := strings.Cut(rule, "\"revoke "); !ok {
					t.Fatal(rule)
				} else if _, err := fmt.Sscan(strings.TrimSuffix(after, "\" takes that back."), &number); err != nil {
					t.Fatal(rule, err)
				}
				for _, who := range []string{"stays@y.example", "far@x.example"} {
					c := &caller{h, who + "/r", nil}
					got := strings.Join(c.send("<iq to='meter@d' type='set' id='s'><pubsub xmlns='http://jabber.org/protocol/pubsub'><subscribe node='"+x.node+"' jid='"+who+"'/></pubsub></iq>"), "")
					if !strings.Contains(got, "subscription='subscribed'") {
						t.Fatalf("%s: %s", who, got)
					}
				}
				h.outside.take()
				end := x.end
				if end == "" {
					end = fmt.Sprintf("revoke %d", number)
				}
				h.say(h.juliet, end)
				told := strings.Join(h.outside.take(), "")
				if !strings.Contains(told, "to='far@x.example'") || strings.Count(told, "subscription='none'") != 2-stays || strings.Contains(told, "to='stays@y.example'") != (stays == 0) {
					t.Errorf("told %s", told)
				}
				for who, want := range map[string]int{"stays@y.example": stays, "far@x.example": 0} {
					list, err := h.Disk.Memberships(t.Context(), jid.MustParse("meter@d"), jid.MustParse(who), "", 0)
					n := 0
					for _, m := range list {
						n += len(m.Subscriptions)
					}
					if err != nil || n != want {
						t.Errorf("%s has %d subscriptions, want %d: %v", who, n, want, err)
					}
				}
			})
		})
	}
}

// A thing that was here before it was one is known to ask for itself, too.
func TestBecomesThing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHome(t, "")
		h.Account("lamp@d")
		h.Account("romeo@d")
		romeo, lamp := h.online("romeo@d/r"), h.bind("lamp@d/x")
		h.announce(lamp, provisions)
		h.adopt("lamp@d", "juliet@d", "")
		h.answerDisco(lamp, provisions)
		h.tells(h.juliet, "allow romeo@d to read lamp t", "revoke")
		lamp.Got()
		romeo.Send("<message to='lamp@d' type='chat'><body>read t</body></message>")
		if got := strings.Join(lamp.Got(), ""); !strings.Contains(got, "read t") {
			t.Errorf("the lamp has %s; romeo %s", got, romeo.Got())
		}
	})
}

const provisions = "urn:xmpp:iot:provisioning"

// A thing that asks for itself has words from whoever has any right, and is told to forget when rules change: until it has answered.
func TestThingsThatAsk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHome(t, "")
		h.Account("romeo@d")
		h.Account("stranger@d")
		romeo, stranger := h.online("romeo@d/r"), h.online("stranger@d/r")
		h.tells(h.juliet, "allow romeo@d to read meter t", "revoke")
		words := "<message to='meter@d' type='chat'><body>read t</body></message>"
		had := func(want bool) {
			t.Helper()
			if got := strings.Join(h.meter.Got(), ""); strings.Contains(got, "read t") != want {
				t.Errorf("the meter has %q, words %v", got, want)
			}
		}
		romeo.Send(words)
		had(false)
		h.announce(h.meter, provisions)
		cleared := func(want int) (ids []string) {
			t.Helper()
			for _, xml := range h.meter.Got() {
				if strings.Contains(xml, "<clearCache") {
					_, id, _ := strings.Cut(xml, " id='")
					id, _, _ = strings.Cut(id, "'")
					ids = append(ids, id)
				}
			}
			if len(ids) != want {
				t.Errorf("told to forget %d times, want %d", len(ids), want)
			}
			return ids
		}
		cleared(1) // a rule has changed since it was made a thing
		romeo.Send(words)
		had(true)
		stranger.Send(words)
		had(false)
		h.tells(h.juliet, "allow romeo@d to control meter on", "revoke")
		ids := cleared(1)
		h.meter.Send("<iq to='things.d' type='result' id='" + ids[0] + "'><clearCacheResponse xmlns='" + provisions + "'/></iq>")
		again := func(want int) {
			t.Helper()
			h.meter.Send("<presence type='unavailable'/>")
			h.announce(h.meter, provisions)
			cleared(want)
		}
		again(0)
		h.tells(h.juliet, "revoke 1", "is gone")
		cleared(1)
		again(1) // it has not answered
		// Asleep, it is spoken to as when it was here last.
		h.meter.End()
		synctest.Wait()
		romeo.Got()
		romeo.Send(words)
		if got := strings.Join(romeo.Got(), ""); strings.Contains(got, "error") {
			t.Errorf("words to a thing that sleeps: %s", got)
		}
	})
}

// What has waited for a thing is looked at again when it comes.
func TestWaitedForThings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHome(t, "")
		var who []*peer
		for _, name := range []string{"romeo@d", "nurse@d"} {
			h.Account(name)
			who = append(who, h.online(name+"/r"))
			h.tells(h.juliet, "allow "+name+" to read meter", "revoke")
			h.tells(h.juliet, "allow "+name+" to control meter", "revoke")
		}
		h.meter.End()
		synctest.Wait()
		for _, p := range who {
			p.Send("<message to='meter@d' type='chat'><body>from " + p.Session.JID.Local() + "</body></message>")
			if got := strings.Join(p.Got(), ""); strings.Contains(got, "error") {
				t.Errorf("%s: %s", p.Session.JID, got)
			}
		}
		if n := h.waiting(jid.MustParse("meter@d")); n != 2 {
			t.Fatalf("%d messages wait", n)
		}
		h.tells(h.juliet, "forbid romeo@d to control meter", "may not")
		h.meter = h.bind("meter@d/x")
		h.meter.Send("<presence/>")
		got := strings.Join(h.meter.Got(), "")
		if strings.Contains(got, "from romeo") || !strings.Contains(got, "from nurse") {
			t.Errorf("the meter has %s", got)
		}
		if list := strings.Join(h.refusals(), " "); !strings.Contains(list, "romeo@d:chat") {
			t.Errorf("refusals: %s", list)
		}
		if n := h.waiting(jid.MustParse("meter@d")); n > 1 { // one until its client has acked it
			t.Errorf("%d messages wait still", n)
		}
	})
}

// A room in which a thing is speaks to it; who has not been let in cannot pretend to be one.
func TestRoomsOfThings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHome(t, "")
		h.Account("romeo@d")
		romeo := h.online("romeo@d/r")
		enter := func(p *peer) {
			p.Send("<presence to='hall@conference.d/" + p.Session.JID.Local() + "'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
			p.Got()
		}
		enter(romeo)
		romeo.Send("<iq to='hall@conference.d' type='set' id='o'><query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'/></query></iq>")
		romeo.Send("<message to='meter@d/x' type='groupchat'><body>stop</body></message>")
		if got := h.meter.Got(); len(got) > 0 {
			t.Errorf("before it is in a room: %s", got)
		}
		enter(h.meter)
		romeo.Send("<message to='hall@conference.d' type='groupchat'><body>all stop</body></message>")
		if got := strings.Join(h.meter.Got(), ""); !strings.Contains(got, "all stop") {
			t.Errorf("in the room it has %s", got)
		}
		// An occupant has by the room what is said to all, and nothing else: neither aside nor by a request, whatever his role.
		occupant := "hall@conference.d/romeo"
		// He is told that it is forbidden, and it stays in the room.
		for _, test := range []struct{ name, xml, caller, way string }{
			{"past the room", "<message to='meter@d/x' type='groupchat'><body>stop</body></message>", "romeo@d", "chat"},
			{"aside", "<message to='hall@conference.d/meter' type='chat'><body>set on true</body></message>", occupant, "chat"},
			{"0325 by message", "<message to='hall@conference.d/meter' type='chat'>" + setOn + "</message>", occupant, "chat"}, // the room says beside it that it is aside
			{"0323", strings.ReplaceAll(iqTo("get", readT), "meter@d/x", "hall@conference.d/meter"), occupant, "readout"},
			{"0325", strings.ReplaceAll(iqTo("set", setOn), "meter@d/x", "hall@conference.d/meter"), occupant, "control"},
			{"0050", strings.ReplaceAll(toCommand("set/on", ""), "meter@d/x", "hall@conference.d/meter"), occupant, "command"},
		} {
			romeo.Got()
			romeo.Send(test.xml)
			want := "<service-unavailable"
			if test.caller == occupant {
				want = "<forbidden"
			}
			if got := strings.Join(romeo.Got(), ""); !strings.Contains(got, "type='error'") || !strings.Contains(got, want) || strings.Contains(got, "unavailable'") {
				t.Errorf("%s: he is told %s, want %s", test.name, got, want)
			}
			if got := h.meter.Got(); len(got) > 0 {
				t.Errorf("%s: it has %s", test.name, got)
			}
			if list := h.refusals(); !slices.Contains(list, jid.MustParse(test.caller).Bare().String()+":"+test.way) {
				t.Errorf("%s: refusals: %s", test.name, list)
			}
		}
		// Rooms that it is not in, or not any more.
		h.from("<message xmlns='jabber:client' from='hall@rooms.x.example/boss' to='meter@d/x' type='groupchat'><body>stop</body></message>")
		if got := h.meter.Got(); len(got) > 0 {
			t.Errorf("of a room elsewhere: %s", got)
		}
		// To one elsewhere that it is in nothing is said that would put it out.
		h.meter.Send("<presence to='hall@rooms.x.example/meter'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
		h.outside.take()
		h.from("<message xmlns='jabber:client' from='hall@rooms.x.example/boss' to='meter@d/x' type='chat'><body>set on true</body></message>")
		if got := strings.Join(h.outside.take(), ""); !strings.Contains(got, "<forbidden") || strings.Contains(got, "service-unavailable") {
			t.Errorf("to a room elsewhere: %s", got)
		}
		if got := h.meter.Got(); len(got) > 0 {
			t.Errorf("aside in a room elsewhere: %s", got)
		}
		h.meter.Send("<presence to='hall@conference.d/meter' type='unavailable'/>")
		h.meter.Got()
		romeo.Send("<message to='hall@conference.d' type='groupchat'><body>all stop</body></message>")
		h.from("<message xmlns='jabber:client' from='hall@conference.d/romeo' to='meter@d/x' type='groupchat'><body>stop</body></message>")
		if got := h.meter.Got(); len(got) > 0 {
			t.Errorf("of a room that it has left: %s", got)
		}
	})
}

// The last item of a node is a thing of rights, too, where its own access model is open to all.
func TestOpenNodesOfThings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHome(t, "")
		h.Account("stranger@d")
		h.Account("friend@d")
		stranger, friend := h.online("stranger@d/r"), h.online("friend@d/r")
		h.tells(h.juliet, "allow friend@d to see meter", "revoke")
		for _, node := range []string{senmlT, "urn:x:about"} {
			if got := h.meter.publish(node, "1", "x", "access_model", "open"); !strings.Contains(got, "result") {
				t.Fatal(got)
			}
		}
		for _, test := range []struct {
			p    *peer
			node string
			has  string
		}{
			{stranger, senmlT, "service-unavailable"}, {stranger, "urn:x:about", "service-unavailable"}, {stranger, "urn:x:none", "service-unavailable"},
			{friend, senmlT, "forbidden"}, {friend, "urn:x:about", "<item id='1'"}, {h.juliet, senmlT, "<item id='1'"},
		} {
			test.p.Got()
			test.p.Send(pubsubItems(test.node))
			if got := test.p.answer("q"); !strings.Contains(got, test.has) {
				t.Errorf("%s at %s: %s, want %s", test.p.Session.JID, test.node, got, test.has)
			}
		}
		// An account that is no thing is as it was.
		h.Account("nurse@d", rosterItem("friend@d", store.SubscriptionNone))
		nurse := h.online("nurse@d/r")
		nurse.publish(senmlT, "1", "x", "access_model", "open")
		stranger.Send(strings.ReplaceAll(pubsubItems(senmlT), "meter@d", "nurse@d"))
		if got := stranger.answer("q"); !strings.Contains(got, "<item id='1'") {
			t.Errorf("an open node of a person: %s", got)
		}
	})
}

// With the next owner nobody sees a thing any more whom the last one has let see it, and nothing of his rules is left.
func TestNextOwner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHome(t, "")
		for _, name := range []string{"romeo@d", "nurse@d"} {
			h.Account(name)
		}
		romeo, nurse := h.online("romeo@d/r"), h.online("nurse@d/r")
		for _, rule := range []string{"allow romeo@d to see meter", "allow romeo@d to read meter"} {
			h.tells(h.juliet, rule, "revoke")
		}
		romeo.Send("<presence to='meter@d' type='subscribe'/>")
		h.tells(h.juliet, "give meter to nurse@d", "")
		code := ""
		for _, xml := range nurse.Got() {
			if _, after, ok := strings.Cut(xml, "claim IoTDisco"); ok {
				code, _, _ = strings.Cut("claim IoTDisco"+after, "<")
			}
		}
		romeo.Got()
		h.tells(nurse, code, "is yours")
		synctest.Wait()
		if got := strings.Join(romeo.Got(), ""); !strings.Contains(got, "type='unavailable'") {
			t.Errorf("romeo is told %s", got)
		}
		meter := jid.MustParse("meter@d")
		for who, want := range map[string]store.Subscription{"romeo@d": store.SubscriptionNone, "juliet@d": store.SubscriptionNone, "nurse@d": store.SubscriptionBoth} {
			if it := h.item(meter, jid.MustParse(who)); it.Subscription != want {
				t.Errorf("the meter's contact %s: %+v", who, it)
			}
		}
		h.meter.Got()
		for _, p := range []*peer{romeo, h.juliet} {
			p.Send(iqTo("get", readT))
			if got := strings.Join(p.Got(), ""); !strings.Contains(got, "<service-unavailable") {
				t.Errorf("%s is told %s", p.Session.JID, got)
			}
		}
		if got := h.meter.Got(); len(got) > 0 {
			t.Errorf("the meter has %s", got)
		}
		h.tells(h.juliet, "rules", "There are no rules")
		h.tells(h.juliet, "allow romeo@d to read meter@d", "no thing called")
		nurse.Got()
		nurse.Send(iqTo("get", readT))
		if got := strings.Join(h.meter.Got(), ""); !strings.Contains(got, "sensordata") {
			t.Errorf("of its new owner the meter has %s", got)
		}
	})
}
