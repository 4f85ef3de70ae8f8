// SPDX-License-Identifier: Apache-2.0

package pubsub_test

import (
	"strings"
	"testing"
	"testing/synctest"

	ps "github.com/stonechat-im/stonechat/xmpp/pubsub"
)

// TestNode is the life of a node, from its owner's and a subscriber's side.
func TestNode(t *testing.T) {
	bubble(t, defaults(), nil, func(w *world) {
		w.node("news", "pubsub#title", "News", "pubsub#notify_config", "1")
		w.want(w.set(juliet, subscribe("news", bare(juliet))),
			"<pubsub xmlns='"+ps.NS+"'><subscription node='news' jid='juliet@people' subscription='subscribed'><subscribe-options/></subscription></pubsub>")
		w.hears(bare(juliet))
		w.want(w.set(romeo, publish("news", "a")), "")
		w.hears(bare(juliet), items("news", "a"))
		w.want(w.get(stranger, "<items node='news'/>"), "<pubsub xmlns='"+ps.NS+"'>"+items("news", "a")+"</pubsub>")

		answer := w.set(romeo, "<publish node='news'><item><x xmlns='u:x'/></item></publish>")
		if !strings.Contains(answer, "<publish node='news'><item id='") {
			t.Errorf("no id was told: %s", answer)
		}
		w.got(bare(juliet))

		// The last item comes to whoever subscribes, marked as old.
		w.set(romeo, publish("news", "b"))
		w.must(w.set(nurse, subscribe("news", nurse)))
		if got := w.got(nurse); len(got) != 1 || !strings.Contains(got[0], items("news", "b")) || !strings.Contains(got[0], "<delay xmlns='urn:xmpp:delay' from='pubsub.d'") {
			t.Errorf("the last item: %q", got)
		}
		w.hears(bare(juliet), items("news", "b"))

		w.must(w.own(romeo, "set", "<configure node='news'>"+form("node_config", "pubsub#title", "Old", "pubsub#deliver_payloads", "0")+"</configure>"))
		w.hears(bare(juliet), "<configuration node='news'/>")
		w.set(romeo, publish("news", "c"))
		w.hears(bare(juliet), "<items node='news'><item id='c'/></items>")

		w.want(w.set(romeo, "<retract node='news'><item id='c'/></retract>"), "")
		w.hears(bare(juliet), "<items node='news'><retract id='c'/></items>")
		w.want(w.own(romeo, "set", "<purge node='news'/>"), "")
		w.hears(bare(juliet), "<purge node='news'/>")
		w.want(w.get(juliet, "<items node='news'/>"), "<pubsub xmlns='"+ps.NS+"'><items node='news'/></pubsub>")

		w.want(w.set(juliet, "<unsubscribe node='news' jid='juliet@people'/>"),
			"<pubsub xmlns='"+ps.NS+"'><subscription node='news' jid='juliet@people' subscription='none'/></pubsub>")
		w.set(romeo, publish("news", "d"))
		w.hears(bare(juliet))
		w.got(nurse)
		w.want(w.own(romeo, "set", "<delete node='news'><redirect uri='xmpp:elsewhere'/></delete>"), "")
		w.hears(nurse, "<delete node='news'><redirect uri='xmpp:elsewhere'/></delete>")
		w.want(w.set(juliet, subscribe("news", juliet)), "cancel gone xmpp:elsewhere")
		w.node("news")
		w.want(w.get(juliet, "<items node='news'/>"), "<pubsub xmlns='"+ps.NS+"'><items node='news'/></pubsub>")
	})
}

// TestKept: what was answered is there after a restart.
func TestKept(t *testing.T) {
	folder := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, folder, defaults(), nil)
		w.node("news", "pubsub#access_model", "authorize", "pubsub#max_items", "2")
		w.must(w.set(juliet, subscribe("news", juliet)))
		w.must(w.own(romeo, "set", "<affiliations node='news'><affiliation jid='nurse@people' affiliation='publisher'/></affiliations>"))
		for _, id := range []string{"a", "b", "c"} {
			w.must(w.set(nurse, publish("news", id)))
		}
		w.end()
		w = newWorld(t, folder, defaults(), nil)
		w.want(w.get(nurse, "<items node='news'/>"), "<pubsub xmlns='"+ps.NS+"'>"+items("news", "b", "c")+"</pubsub>")
		w.want(w.get(juliet, "<subscriptions/>"),
			"<pubsub xmlns='"+ps.NS+"'><subscriptions><subscription node='news' jid='juliet@people/balcony' subscription='pending'/></subscriptions></pubsub>")
		w.want(w.get(nurse, "<affiliations/>"), "<pubsub xmlns='"+ps.NS+"'><affiliations><affiliation node='news' affiliation='publisher'/></affiliations></pubsub>")
		w.want(w.get(juliet, "<items node='news'/>"), "auth not-authorized not-subscribed")
	})
}

// TestDiskFull: what could not be stored has not happened, and nobody has heard of it.
func TestDiskFull(t *testing.T) {
	bubble(t, defaults(), nil, func(w *world) {
		w.node("news")
		w.must(w.set(juliet, subscribe("news", juliet)))
		w.must(w.set(romeo, publish("news", "a")))
		w.hears(juliet, items("news", "a"))
		w.store.full.Store(true)
		const refused = "wait resource-constraint"
		w.want(w.set(romeo, publish("news", "b")), refused)
		w.want(w.set(nurse, subscribe("news", nurse)), refused)
		w.want(w.own(romeo, "set", "<delete node='news'/>"), refused)
		w.want(w.set(romeo, "<create node='other'/>"), refused)
		w.store.full.Store(false)
		w.hears(juliet)
		w.want(w.get(nurse, "<items node='news'/>"), "<pubsub xmlns='"+ps.NS+"'>"+items("news", "a")+"</pubsub>")
		w.want(w.get(nurse, "<subscriptions/>"), "<pubsub xmlns='"+ps.NS+"'><subscriptions/></pubsub>")
		w.must(w.set(romeo, "<create node='other'/>"))
		w.must(w.set(romeo, publish("news", "c")))
		w.hears(juliet, items("news", "c"))
	})
}

// TestTransient: a node that keeps nothing delivers all the same, and has the last item at hand.
func TestTransient(t *testing.T) {
	bubble(t, defaults(), nil, func(w *world) {
		w.node("wind", "pubsub#persist_items", "0")
		w.node("bell", "pubsub#persist_items", "0", "pubsub#deliver_payloads", "0")
		for _, node := range []string{"wind", "bell"} {
			w.must(w.set(juliet, subscribe(node, juliet)))
		}
		w.want(w.get(juliet, "<items node='wind'/>"), "cancel feature-not-implemented unsupported persistent-items")
		w.store.full.Store(true) // nothing is to be stored
		w.must(w.set(romeo, publish("wind", "a")))
		w.hears(juliet, items("wind", "a"))
		w.want(w.get(juliet, "<items node='wind'/>"), "<pubsub xmlns='"+ps.NS+"'>"+items("wind", "a")+"</pubsub>")
		w.want(w.set(romeo, "<publish node='bell'/>"), "")
		w.hears(juliet, "<items node='bell'/>")
		w.want(w.set(romeo, publish("bell", "a")), "modify bad-request item-forbidden")
		w.want(w.set(romeo, "<retract node='wind'><item id='a'/></retract>"), "cancel feature-not-implemented unsupported persistent-items")
		w.want(w.own(romeo, "set", "<purge node='wind'/>"), "cancel feature-not-implemented unsupported persistent-items")
	})
}
