// SPDX-License-Identifier: Apache-2.0

package pubsub_test

// How to read this file: what a publisher may want of a node, what is wrong with requests, bounds, approval, and what
// follows from presence and errors.

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	ps "github.com/stonechat-im/stonechat/xmpp/pubsub"
)

// TestPublishOptions: each field is a precondition, and makes the node where an account has none.
func TestPublishOptions(t *testing.T) {
	for field, values := range map[string][2]string{ // as the node has it, and otherwise
		"pubsub#title": {"A", "B"}, "pubsub#description": {"A", "B"}, "pubsub#type": {"A", "B"}, "pubsub#language": {"cs", "en"},
		"pubsub#contact": {"a@b", "c@d"}, "pubsub#access_model": {"whitelist", "open"}, "pubsub#roster_groups_allowed": {"A", "B"},
		"pubsub#publish_model": {"open", "publishers"}, "pubsub#subscribe": {"0", "1"}, "pubsub#max_items": {"max", "7"},
		"pubsub#item_expire": {"60", "61"}, "pubsub#max_payload_size": {"100", "200"}, "pubsub#publish_node_full": {"reject", "discard-oldest"},
		"pubsub#deliver_notifications": {"false", "1"}, "pubsub#notification_type": {"normal", "headline"}, "pubsub#notify_config": {"true", "0"},
		"pubsub#notify_delete": {"0", "1"}, "pubsub#notify_retract": {"1", "0"}, "pubsub#notify_sub": {"1", "0"},
		"pubsub#presence_based_delivery": {"1", "0"}, "pubsub#send_last_published_item": {"never", "on_sub"}, "pubsub#purge_offline": {"1", "0"},
		"pubsub#tempsub": {"1", "0"}, "pubsub#itemreply": {"none", "publisher"}, "pubsub#persist_items": {"1", "0"},
		"pubsub#deliver_payloads": {"1", "0"}, "x-pubsub#archive": {"1", "0"}, "pubsub#node_type": {"leaf", "collection"},
	} {
		t.Run(field, func(t *testing.T) {
			bubble(t, defaults(), new(friends), func(w *world) {
				w.account("juliet")
				with := func(value string) string {
					return w.ask("juliet@d/chamber", "juliet@d", "set", "<pubsub xmlns='"+ps.NS+"'>"+publish("n", "a")+
						"<publish-options>"+form("publish-options", field, value)+"</publish-options></pubsub>")
				}
				w.must(with(values[0]))
				w.must(with(values[0]))
				w.want(with(values[1]), "cancel conflict precondition-not-met")
				config := w.ask("juliet@d/chamber", "juliet@d", "get", "<pubsub xmlns='"+ps.NSOwner+"'><configure node='n'/></pubsub>")
				want := strings.NewReplacer("true", "1", "false", "0").Replace(values[0])
				if _, rest, ok := strings.Cut(config, "<field var='"+field+"'"); !ok || !strings.Contains(strings.SplitN(rest, "</field>", 2)[0], "<value>"+want+"</value>") {
					t.Errorf("the node has not %s: %s", want, config)
				}
			})
		})
	}
	bubble(t, defaults(), new(friends), func(w *world) {
		w.account("juliet")
		at := func(who, options string) string {
			return w.ask(who, "juliet@d", "set", "<pubsub xmlns='"+ps.NS+"'>"+publish("n", "a")+"<publish-options>"+options+"</publish-options></pubsub>")
		}
		w.want(at("juliet@d/chamber", form("publish-options", "pubsub#new", "1")), "modify not-acceptable")
		w.want(at("juliet@d/chamber", form("node_config", "pubsub#title", "1")), "modify bad-request")
		w.want(at(romeo, form("publish-options", "pubsub#title", "1")), "cancel item-not-found")
	})
}

// TestWrong: requests that are wrong in themselves.
func TestWrong(t *testing.T) {
	bubble(t, defaults(), nil, func(w *world) {
		w.node("n")
		w.must(w.set(romeo, publish("n", "a")))
		w.must(w.set(juliet, subscribe("n", juliet)))
		big := "<x xmlns='u:x'>" + strings.Repeat("x", 10_001) + "</x>"
		for _, c := range []struct{ space, typ, payload, want string }{
			{ps.NS, "set", "<publish/>", "modify bad-request nodeid-required"},
			{ps.NS, "set", "<publish node='n'/>", "modify bad-request item-required"},
			{ps.NS, "set", "<publish node='n'><item/></publish>", "modify bad-request payload-required"},
			{ps.NS, "set", "<publish node='n'><item><a xmlns='u:a'/><b xmlns='u:b'/></item></publish>", "modify bad-request invalid-payload"},
			{ps.NS, "set", "<publish node='n'><item>" + big + "</item></publish>", "modify not-acceptable payload-too-big"},
			{ps.NS, "set", publish("no", "a"), "cancel item-not-found"},
			{ps.NS, "set", "<retract/>", "modify bad-request nodeid-required"},
			{ps.NS, "set", "<retract node='n'/>", "modify bad-request item-required"},
			{ps.NS, "set", "<retract node='n'><item/></retract>", "modify bad-request item-required"},
			{ps.NS, "set", "<retract node='n'><item id='no'/></retract>", "cancel item-not-found"},
			{ps.NS, "set", "<create node='n'/>", "cancel conflict"},
			{ps.NS, "set", "<create node='m'/><configure>" + form("node_config", "pubsub#access_model", "presence") + "</configure>", "modify not-acceptable unsupported-access-model"},
			{ps.NS, "set", "<create node='m'/><configure>" + form("node_config", "pubsub#max_items", "101") + "</configure>", "modify not-acceptable"},
			{ps.NS, "set", "<create node='" + strings.Repeat("x", 1024) + "'/>", "modify not-acceptable"},
			{ps.NS, "set", "<subscribe node='n'/>", "modify bad-request invalid-jid"},
			{ps.NS, "set", "<subscribe jid='romeo@people'/>", "modify bad-request nodeid-required"},
			{ps.NS, "set", "<subscribe node='no' jid='romeo@people'/>", "cancel item-not-found"},
			{ps.NS, "set", "<subscribe node='n' jid='romeo@people'/><options node='n'/>", "modify bad-request"},
			{ps.NS, "set", "<unsubscribe node='n'/>", "modify bad-request jid-required"},
			{ps.NS, "set", "<unsubscribe node='n' jid='romeo@people'/>", "cancel unexpected-request not-subscribed"},
			{ps.NS, "get", "<options node='n'/>", "modify bad-request jid-required"},
			{ps.NS, "get", "<options node='n' jid='romeo@people'/>", "cancel unexpected-request not-subscribed"},
			{ps.NS, "get", "<items/>", "modify bad-request nodeid-required"},
			{ps.NS, "get", "<items node='n'><item id='no'/></items>", "<pubsub xmlns='" + ps.NS + "'><items node='n'/></pubsub>"},
			{ps.NS, "get", "<items node='n'/><set xmlns='http://jabber.org/protocol/rsm'><after>no</after></set>", "cancel item-not-found"},
			{ps.NS, "get", "<default node='no'/>", "cancel item-not-found"},
			{ps.NS, "get", "", "modify bad-request"},
			{ps.NS, "get", publish("n", "a"), "modify bad-request"},
			{ps.NSOwner, "get", "<configure/>", "modify bad-request nodeid-required"},
			{ps.NSOwner, "set", "<configure node='n'/>", "modify bad-request"},
			{ps.NSOwner, "set", "<configure node='n'>" + form("subscribe_options") + "</configure>", "modify not-acceptable"},
			{ps.NSOwner, "set", "<delete node='no'/>", "cancel item-not-found"},
			{ps.NSOwner, "get", "<purge node='n'/>", "modify bad-request"},
			{ps.NSOwner, "set", "<affiliations node='n'><affiliation jid='romeo@people' affiliation='none'/></affiliations>", "modify not-acceptable"},
			{ps.NSOwner, "set", "<affiliations node='n'><affiliation jid='x@people' affiliation='king'/></affiliations>", "modify not-acceptable"},
			{ps.NSOwner, "set", "<affiliations node='n'><affiliation jid='x@people' affiliation='member'/><affiliation jid='x@people' affiliation='owner'/></affiliations>", "modify bad-request"},
			{ps.NSOwner, "set", "<affiliations node='n'/>", "modify bad-request"},
			{ps.NSOwner, "set", "<subscriptions node='n'><subscription jid='x@people' subscription='unconfigured'/></subscriptions>", "modify not-acceptable"},
			{ps.NSOwner, "set", "<subscriptions node='n'><subscription subscription='none'/></subscriptions>", "modify bad-request jid-required"},
		} {
			if got := w.ask(romeo, service, c.typ, "<pubsub xmlns='"+c.space+"'>"+c.payload+"</pubsub>"); got != c.want {
				t.Errorf("%.200s: %s, want %s", c.payload, got, c.want)
			}
		}
		w.want(w.set(juliet, "<options node='n' jid='"+juliet+"'>"+form("subscribe_options", "pubsub#digest", "1")+"</options>"), "modify bad-request invalid-options")
		w.want(w.get(romeo, "<items node='n'/>"), "<pubsub xmlns='"+ps.NS+"'>"+items("n", "a")+"</pubsub>")
	})
}

// TestWriteOver: in a node to which everybody publishes nobody writes over another's item.
func TestWriteOver(t *testing.T) {
	bubble(t, defaults(), nil, func(w *world) {
		w.node("n", "pubsub#publish_model", "open")
		w.must(w.set(juliet, publish("n", "a")))
		w.want(w.set(nurse, publish("n", "a")), "auth forbidden")
		w.must(w.set(nurse, publish("n", "b")))
		w.must(w.set(juliet, publish("n", "a")))
		w.must(w.set(romeo, publish("n", "a"))) // the owner may
		w.want(w.set(juliet, publish("n", "a")), "auth forbidden")
		w.want(w.set(juliet, "<retract node='n'><item id='b'/></retract>"), "auth forbidden")
	})
}

// TestBounds: one more than there may be is refused, and one less makes room.
func TestBounds(t *testing.T) {
	c := defaults()
	c.Nodes, c.NodesPerOwner, c.Subscriptions, c.SubscriptionsPerNode, c.Affiliations = 3, 2, 4, 2, 3
	bubble(t, c, nil, func(w *world) {
		const full = "wait resource-constraint max-nodes-exceeded"
		w.node("a")
		w.node("b")
		w.want(w.set(romeo, "<create node='c'/>"), full) // of one owner
		w.must(w.set(juliet, "<create node='c'/>"))
		w.want(w.set(nurse, "<create node='d'/>"), full) // of the service
		w.must(w.own(romeo, "set", "<delete node='a'/>"))
		w.node("a")

		const many = "modify policy-violation too-many-subscriptions"
		w.must(w.set(juliet, subscribe("a", juliet)))
		w.must(w.set(nurse, subscribe("a", nurse)))
		w.want(w.set(stranger, subscribe("a", stranger)), many) // of one node
		w.must(w.set(juliet, subscribe("b", juliet)))
		w.must(w.set(nurse, subscribe("b", nurse)))
		w.want(w.set(stranger, subscribe("c", stranger)), many) // of the service
		w.must(w.set(nurse, "<unsubscribe node='b' jid='"+nurse+"'/>"))
		w.must(w.set(stranger, subscribe("c", stranger)))

		affiliate := func(who string) string {
			return w.own(romeo, "set", "<affiliations node='a'><affiliation jid='"+who+"' affiliation='member'/></affiliations>")
		}
		w.must(affiliate("x@people"))
		w.must(affiliate("y@people"))
		w.want(affiliate("z@people"), "wait resource-constraint")
		w.must(affiliate("y@people"))
	})
	c = defaults()
	c.Create = "accounts"
	bubble(t, c, nil, func(w *world) {
		w.account("juliet")
		w.want(w.set(romeo, "<create node='a'/>"), "auth forbidden")
		w.must(w.set("juliet@d/chamber", "<create node='a'/>"))
	})
}

// TestManyResources: one address does not take all the room that a node has for subscribers; its owner may give it more.
func TestManyResources(t *testing.T) {
	c := defaults()
	c.SubscriptionsPerAddress = 2
	bubble(t, c, nil, func(w *world) {
		w.node("a")
		const many = "modify policy-violation too-many-subscriptions"
		for i, want := range []string{"", "", many} {
			who := fmt.Sprintf("juliet@people/%d", i)
			if got := w.set(who, subscribe("a", who)); want == "" && !strings.HasPrefix(got, "<") || want != "" && got != want {
				t.Errorf("%s: %s", who, got)
			}
		}
		w.must(w.set(juliet, subscribe("a", "juliet@people")))
		w.must(w.set(nurse, subscribe("a", nurse)))
		w.must(w.own(romeo, "set", "<subscriptions node='a'><subscription jid='"+juliet+"' subscription='subscribed'/></subscriptions>"))
		w.must(w.set("juliet@people/0", subscribe("a", "juliet@people/0"))) // he is
		for _, resource := range []string{"0", "1"} {
			w.must(w.set(juliet, "<unsubscribe node='a' jid='juliet@people/"+resource+"'/>"))
		}
		w.must(w.set("juliet@people/3", subscribe("a", "juliet@people/3")))
		w.want(w.metric("stonechat_pubsub_limited_total"), "1")
	})
}

// TestDeletedMakesRoom: the subscriptions of an account that was deleted count no more.
func TestDeletedMakesRoom(t *testing.T) {
	c := defaults()
	c.Subscriptions = 1
	bubble(t, c, nil, func(w *world) {
		w.node("a")
		w.account("paris")
		w.must(w.set("paris@d/square", subscribe("a", "paris@d")))
		w.want(w.set(juliet, subscribe("a", juliet)), "modify policy-violation too-many-subscriptions")
		if err := w.DeleteAccount(context.Background(), jid.MustParse("paris@d"), nil); err != nil {
			t.Fatal(err)
		}
		w.must(w.set(juliet, subscribe("a", juliet)))
	})
}

// TestTooMuchByID: items that are there and do not fit into an answer are not left out as if they were not.
func TestTooMuchByID(t *testing.T) {
	c := defaults()
	c.ItemBytes = 200_000
	bubble(t, c, nil, func(w *world) {
		w.node("a")
		ask := ""
		for i := range 7 {
			w.must(w.set(romeo, fmt.Sprintf("<publish node='a'><item id='%d'><x xmlns='u:x'>%s</x></item></publish>", i, strings.Repeat("x", 190_000))))
			ask += fmt.Sprintf("<item id='%d'/>", i)
		}
		w.want(w.get(juliet, "<items node='a'>"+ask+"</items>"), "modify not-acceptable")
		fits := strings.TrimSuffix(ask, "<item id='6'/>") // with the last of them the page is full, and nothing that is there is behind it
		if got := w.get(juliet, "<items node='a'>"+fits+"<item id='none'/></items>"); strings.Count(got, "<item ") != 6 {
			t.Errorf("%d items of all that fit: %.100s", strings.Count(got, "<item "), got)
		}
		if got := w.get(juliet, "<items node='a'><item id='0'/><item id='6'/><item id='none'/></items>"); strings.Count(got, "<item ") != 2 {
			t.Errorf("%d items", strings.Count(got, "<item "))
		}
	})
}

// TestHowMany: a page of no subscriptions says how many there are.
func TestHowMany(t *testing.T) {
	bubble(t, defaults(), nil, func(w *world) {
		for _, node := range []string{"a", "b"} {
			w.node(node)
			w.must(w.set(juliet, subscribe(node, juliet)))
		}
		got := w.get(juliet, "<subscriptions/><set xmlns='http://jabber.org/protocol/rsm'><max>0</max></set>")
		if strings.Contains(got, "<subscription ") || !strings.Contains(got, "<count>2</count>") {
			t.Error(got)
		}
	})
}

// TestFull: what becomes of the oldest item of a node that is full.
func TestFull(t *testing.T) {
	for _, c := range []struct {
		full, max, notify string
		hears             []string // when a third, or with a maximum of one a second, item is published
		refused           string
	}{
		{"retract-oldest", "2", "1", []string{"<items node='n'><retract id='a'/></items>", items("n", "c")}, ""},
		{"retract-oldest", "2", "0", []string{items("n", "c")}, ""},
		{"retract-oldest", "1", "1", []string{"<items node='n'><retract id='b'/></items>", items("n", "c")}, ""},
		{"discard-oldest", "2", "1", []string{items("n", "c")}, ""},
		{"reject", "2", "1", nil, "cancel conflict node-full"},
	} {
		t.Run(c.full+" "+c.max+" "+c.notify, func(t *testing.T) {
			bubble(t, defaults(), nil, func(w *world) {
				w.node("n", "pubsub#publish_node_full", c.full, "pubsub#max_items", c.max, "pubsub#notify_retract", c.notify)
				w.must(w.set(romeo, publish("n", "a")))
				w.must(w.set(romeo, publish("n", "b")))
				w.must(w.set(juliet, subscribe("n", juliet)))
				w.got(juliet)
				w.must(w.set(romeo, publish("n", "b"))) // in place of itself
				w.hears(juliet, items("n", "b"))
				w.want(w.set(romeo, publish("n", "c")), c.refused)
				w.hears(juliet, c.hears...)
			})
		})
	}
}

// TestPages: items by pages, and what does not fit into one answer.
func TestPages(t *testing.T) {
	c := defaults()
	c.Page = 3
	bubble(t, c, nil, func(w *world) {
		w.node("n", "pubsub#max_items", "max")
		for _, id := range strings.Fields("a b c d e") {
			w.must(w.set(romeo, publish("n", id)))
		}
		const rsm = "http://jabber.org/protocol/rsm"
		page := func(set string, ids ...string) {
			t.Helper()
			ask := "<items node='n'/>"
			if set != "" {
				ask += "<set xmlns='" + rsm + "'>" + set + "</set>"
			}
			got := w.get(juliet, ask)
			if want := items("n", ids...); !strings.Contains(got, want) {
				t.Errorf("%s: %s, want %s", set, got, want)
			}
			if !strings.Contains(got, "<count>5</count>") {
				t.Errorf("%s: nothing says that there are more: %s", set, got)
			}
		}
		page("", "c", "d", "e")
		page("<max>2</max>", "a", "b")
		page("<max>2</max><after>b</after>", "c", "d")
		page("<max>2</max><before/>", "d", "e")
		page("<max>2</max><before>d</before>", "b", "c")
		page("<max>9</max>", "a", "b", "c")
		if got := w.get(juliet, "<items node='n' max_items='2'/>"); !strings.Contains(got, items("n", "d", "e")) {
			t.Errorf("the newest two: %s", got)
		}
		if got := w.get(juliet, "<items node='n'/><set xmlns='"+rsm+"'><max>0</max></set>"); !strings.Contains(got, "<count>5</count>") {
			t.Errorf("a count alone: %s", got)
		}
		if got := w.get(juliet, "<items node='n'><item id='d'/><item id='a'/></items>"); !strings.Contains(got, items("n", "d", "a")) {
			t.Errorf("two items: %s", got)
		}
		if got := w.ask(juliet, service, "get", "<query xmlns='http://jabber.org/protocol/disco#items' node='n'/>"); !strings.Contains(got, "<item jid='pubsub.d' name='e'/>") {
			t.Errorf("items by service discovery: %s", got)
		}
	})
}

// TestApproval: who asks is in once an owner says so, and hears of it.
func TestApproval(t *testing.T) {
	answer := func(w *world, who, subscriber, allow string) {
		w.send(who, service, "<message xmlns='jabber:client'>"+form("subscribe_authorization", "pubsub#node", "n", "pubsub#subscriber_jid", subscriber, "pubsub#allow", allow)+"</message>")
	}
	bubble(t, defaults(), nil, func(w *world) {
		w.node("n", "pubsub#access_model", "authorize")
		w.must(w.set(romeo, publish("n", "a")))
		for _, who := range []string{juliet, nurse} {
			if got := w.must(w.set(who, subscribe("n", who))); !strings.Contains(got, "subscription='pending'") {
				t.Fatal(got)
			}
		}
		w.want(w.set(juliet, subscribe("n", juliet)), "auth not-authorized pending-subscription")
		if asked := w.got(bare(romeo)); len(asked) != 2 || !strings.Contains(asked[0], "<value>"+juliet+"</value>") {
			t.Errorf("the owner is asked %q", asked)
		}
		answer(w, stranger, juliet, "1")
		answer(w, juliet, juliet, "1")
		w.hears(juliet)

		const pending = ps.NS + "#get-pending"
		run := func(who, in string) string {
			return w.ask(who, service, "set", "<command xmlns='http://jabber.org/protocol/commands' node='"+pending+"' action='execute'>"+in+"</command>")
		}
		if got := run(romeo, ""); !strings.Contains(got, "<option><value>n</value></option>") {
			t.Errorf("nodes with requests: %s", got)
		}
		if got := run(juliet, ""); strings.Contains(got, "<option>") {
			t.Errorf("nodes of others: %s", got)
		}
		if got := run(juliet, form("subscribe_authorization", "pubsub#node", "n")); !strings.Contains(got, "Nobody waits.") {
			t.Errorf("another node: %s", got)
		}
		w.must(run(romeo, form("subscribe_authorization", "pubsub#node", "n")))
		if asked := w.got(bare(romeo)); len(asked) != 2 {
			t.Errorf("the owner is asked again %q", asked)
		}

		answer(w, romeo, juliet, "true")
		answer(w, romeo, nurse, "false")
		got := w.got(juliet)
		if len(got) != 2 || !strings.Contains(got[0], "subscription='subscribed'") || !strings.Contains(got[1], items("n", "a")) {
			t.Errorf("who is in hears %q", got)
		}
		w.hears(nurse, "<subscription node='n' jid='"+nurse+"' subscription='none'/>")
		w.must(w.set(romeo, publish("n", "b")))
		w.hears(juliet, items("n", "b"))
		w.hears(nurse)
	})
}

// TestBounce: an address that is no more is subscribed no more; one that is away is.
func TestBounce(t *testing.T) {
	bounce := func(condition string) string {
		return "<message xmlns='jabber:client' type='error'><error type='cancel'><" + condition + " xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>"
	}
	bubble(t, defaults(), nil, func(w *world) {
		w.node("n")
		for _, who := range []string{juliet, bare(nurse), stranger} {
			w.must(w.set(who, subscribe("n", who)))
			w.got(who)
		}
		w.send(juliet, service, bounce("service-unavailable"))
		w.send(bare(nurse), service, bounce("service-unavailable"))
		w.send(stranger, service, bounce("internal-server-error"))
		w.must(w.set(romeo, publish("n", "a")))
		w.hears(juliet)
		w.hears(bare(nurse), items("n", "a"))
		w.hears(stranger, items("n", "a"))
		w.send(bare(nurse), service, bounce("gone"))
		w.must(w.set(romeo, publish("n", "b")))
		w.hears(bare(nurse))
	})
}

// TestPresence: delivery by presence, and what ends with it.
func TestPresence(t *testing.T) {
	bubble(t, defaults(), nil, func(w *world) {
		w.node("n", "pubsub#presence_based_delivery", "1")
		w.node("temp", "pubsub#tempsub", "1")
		available := func(show string) {
			w.send(juliet, service, "<presence xmlns='jabber:client'>"+show+"</presence>")
		}
		available("")
		for _, node := range []string{"n", "temp"} {
			w.must(w.set(juliet, subscribe(node, juliet)))
		}
		w.got(juliet)
		w.must(w.set(romeo, publish("n", "a")))
		w.must(w.set(romeo, publish("temp", "a")))
		w.hears(juliet, items("n", "a"), items("temp", "a"))
		w.must(w.set(juliet, "<options node='n' jid='"+juliet+"'>"+form("subscribe_options", "pubsub#show-values", "chat")+"</options>"))
		w.must(w.set(romeo, publish("n", "b")))
		w.hears(juliet)
		available("<show>chat</show>")
		w.must(w.set(romeo, publish("n", "c")))
		w.hears(juliet, items("n", "c"))
		w.send(juliet, service, "<presence xmlns='jabber:client' type='unavailable'/>")
		w.must(w.set(romeo, publish("n", "d")))
		w.must(w.set(romeo, publish("temp", "d")))
		w.hears(juliet)
		available("<show>chat</show>")
		w.hears(juliet, items("n", "d")) // the last one
		w.must(w.set(romeo, publish("n", "e")))
		w.must(w.set(romeo, publish("temp", "e")))
		w.hears(juliet, items("n", "e"))
	})
}

// TestPurgeOffline: items go with their publisher, those of others stay.
func TestPurgeOffline(t *testing.T) {
	bubble(t, defaults(), nil, func(w *world) {
		w.node("n", "pubsub#purge_offline", "1", "pubsub#publish_model", "open")
		w.send(juliet, service, "<presence xmlns='jabber:client'/>")
		w.must(w.set(nurse, publish("n", "a")))
		w.must(w.set(juliet, publish("n", "b")))
		w.send(juliet, service, "<presence xmlns='jabber:client' type='unavailable'/>")
		w.want(w.get(romeo, "<items node='n'/>"), "<pubsub xmlns='"+ps.NS+"'>"+items("n", "a")+"</pubsub>")
		w.must(w.set(stranger, subscribe("n", stranger)))
		if got := w.got(stranger); len(got) != 1 || !strings.Contains(got[0], items("n", "a")) {
			t.Errorf("the last item: %q", got)
		}
	})
}

// TestPurgeOfflineAfterRestart: items go with their publisher though nobody has used the node since the server started.
func TestPurgeOfflineAfterRestart(t *testing.T) {
	folder := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, folder, defaults(), nil)
		w.node("n", "pubsub#purge_offline", "1", "pubsub#publish_model", "open")
		w.node("keeps", "pubsub#publish_model", "open")
		for _, node := range []string{"n", "keeps"} {
			w.must(w.set(nurse, publish(node, "a")))
			w.must(w.set(juliet, publish(node, "b")))
		}
		w.end()
		w = newWorld(t, folder, defaults(), nil)
		w.send(juliet, service, "<presence xmlns='jabber:client'/>")
		w.send(juliet, service, "<presence xmlns='jabber:client' type='unavailable'/>")
		w.want(w.get(romeo, "<items node='n'/>"), "<pubsub xmlns='"+ps.NS+"'>"+items("n", "a")+"</pubsub>")
		w.want(w.get(romeo, "<items node='keeps'/>"), "<pubsub xmlns='"+ps.NS+"'>"+items("keeps", "a", "b")+"</pubsub>")
		w.must(w.set(stranger, subscribe("n", stranger)))
		if got := w.got(stranger); len(got) != 1 || !strings.Contains(got[0], items("n", "a")) {
			t.Errorf("the last item: %q", got)
		}
	})
}

// TestExpiry: items that are too old are not shown, and then gone.
func TestExpiry(t *testing.T) {
	folder := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, folder, defaults(), nil)
		w.node("n", "pubsub#item_expire", "90")
		w.must(w.set(romeo, publish("n", "a")))
		time.Sleep(80 * time.Second)
		w.must(w.set(romeo, publish("n", "b")))
		time.Sleep(11 * time.Second)
		w.want(w.get(romeo, "<items node='n'/>"), "<pubsub xmlns='"+ps.NS+"'>"+items("n", "b")+"</pubsub>")
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		w.want(w.get(romeo, "<items node='n'/>"), "<pubsub xmlns='"+ps.NS+"'><items node='n'/></pubsub>")
		w.must(w.set(juliet, subscribe("n", juliet)))
		w.hears(juliet)
	})
}
