// SPDX-License-Identifier: Apache-2.0

package pubsub_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	ps "github.com/stonechat-im/stonechat/xmpp/pubsub"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// TestQuick: no worker is asked where nothing has to be read to publish; the answers are the same.
func TestQuick(t *testing.T) {
	folder := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, folder, defaults(), nil)
		w.node("kept")
		w.node("one", "pubsub#max_items", "1")
		w.node("full", "pubsub#max_items", "2")
		w.node("event", "pubsub#persist_items", "0")
		w.node("bare", "pubsub#persist_items", "0", "pubsub#deliver_payloads", "0")
		w.node("open", "pubsub#publish_model", "open", "pubsub#persist_items", "0")
		w.node("openkept", "pubsub#publish_model", "open")
		w.node("choosy")
		for _, node := range []string{"kept", "one", "full", "event", "bare", "open", "openkept"} {
			w.must(w.set(juliet, subscribe(node, bare(juliet))))
		}
		w.must(w.set(juliet, "<subscribe node='choosy' jid='juliet@people'/><options>"+form("subscribe_options", "pubsub#deliver", "0")+"</options>"))
		w.must(w.own(romeo, "set", "<affiliations node='open'><affiliation jid='nurse@people' affiliation='outcast'/></affiliations>"))
		for _, id := range []string{"a", "b"} {
			w.must(w.set(romeo, publish("full", id)))
			w.must(w.set(romeo, publish("one", id)))
		}
		w.got(bare(juliet))

		for _, x := range []struct {
			what, from, payload, answer string
			quick                       bool
			hears                       []string
		}{
			{"an item that is kept", romeo, publish("kept", "a"), "", true, []string{items("kept", "a")}},
			{"the next of one", romeo, publish("one", "c"), "", true, []string{"<items node='one'><retract id='b'/></items>", items("one", "c")}},
			{"the same again", romeo, publish("one", "c"), "", true, []string{items("one", "c")}},
			{"something has to go", romeo, publish("full", "c"), "", false, []string{"<items node='full'><retract id='a'/></items>", items("full", "c")}},
			{"nothing is kept", romeo, publish("event", "a"), "", true, []string{items("event", "a")}},
			{"an event alone", romeo, "<publish node='bare'/>", "", true, []string{"<items node='bare'/>"}},
			{"an item where none may be", romeo, publish("bare", "a"), "modify bad-request item-forbidden", true, nil},
			{"no item where one must be", romeo, "<publish node='event'/>", "modify bad-request item-required", true, nil},
			{"a stranger where all may", stranger, publish("open", "a"), "", true, []string{items("open", "a")}},
			{"an outcast there", nurse, publish("open", "a"), "auth forbidden", true, nil},
			{"a stranger where one may not", stranger, publish("event", "a"), "auth forbidden", true, nil},
			{"a stranger's item, which may be another's", stranger, publish("openkept", "a"), "", false, []string{items("openkept", "a")}},
			{"subscriptions with options", romeo, publish("choosy", "a"), "", false, nil},
			{"no such node", romeo, publish("none", "a"), "cancel item-not-found", false, nil},
			{"no node at all", romeo, "<publish><item id='a'/></publish>", "modify bad-request nodeid-required", false, nil},
			{"another configuration", romeo, publish("event", "a") + "<publish-options>" + form("publish-options", "pubsub#persist_items", "1") + "</publish-options>", "cancel conflict precondition-not-met", true, nil},
			{"another form", romeo, publish("event", "a") + "<publish-options>" + form("node_config", "pubsub#persist_items", "0") + "</publish-options>", "modify bad-request", true, nil},
			{"something else", romeo, "<retract node='kept'><item id='a'/></retract>", "", false, nil},
		} {
			before := w.pauses.Load()
			if got := w.set(x.from, x.payload); got != x.answer {
				t.Errorf("%s: %q, want %q", x.what, got, x.answer)
			}
			if quick := w.pauses.Load() == before; quick != x.quick {
				t.Errorf("%s: quick is %v", x.what, quick)
			}
			if got := w.got(bare(juliet)); len(x.hears) > 0 || x.quick {
				w.mu.Lock()
				w.inbox[bare(juliet)] = got
				w.mu.Unlock()
				w.hears(bare(juliet), x.hears...)
			}
		}
		w.end()

		// What is not in memory is read by a worker, once.
		w = newWorld(t, folder, defaults(), nil)
		for i := range 2 {
			before := w.pauses.Load()
			w.want(w.set(romeo, publish("kept", "z")), "")
			if quick := w.pauses.Load() == before; quick != (i > 0) {
				t.Errorf("publication %d after a restart: quick is %v", i+1, quick)
			}
		}
	})
}

// TestTogether: what is published in one go reaches each of many subscribers whole and in order, and none who has left.
func TestTogether(t *testing.T) {
	for _, persist := range []string{"0", "1"} {
		bubble(t, defaults(), nil, func(w *world) {
			const many, news = 300, 20
			w.node("news", "pubsub#persist_items", persist, "pubsub#max_items", "100", "pubsub#send_last_published_item", "never")
			who := func(i int) string { return fmt.Sprintf("fan%d@people", i) }
			for i := range many {
				w.must(w.set(who(i)+"/x", subscribe("news", who(i))))
			}
			w.must(w.set(who(7)+"/x", "<unsubscribe node='news' jid='"+who(7)+"'/>"))
			turn := w.NewTurn()
			for n := range news {
				s, err := stanza.Parse(fmt.Appendf(nil, "<iq xmlns='jabber:client' type='set' id='p%d'><pubsub xmlns='%s'>%s</pubsub></iq>", n, ps.NS, publish("news", fmt.Sprint(n))))
				if err != nil {
					t.Fatal(err)
				}
				s.From, s.To = jid.MustParse(romeo), jid.MustParse(service)
				w.inlet.Receive(turn, s)
			}
			turn.End()
			synctest.Wait()
			if got := w.got(romeo); len(got) != news || strings.Contains(strings.Join(got, ""), "error") {
				t.Errorf("the publisher was answered %d times: %q", len(got), got)
			}
			var all []string
			for n := range news {
				all = append(all, items("news", fmt.Sprint(n)))
			}
			for i := range many {
				if i == 7 {
					w.hears(who(i))
				} else {
					w.hears(who(i), all...)
				}
			}
		})
	}
}

// TestFullTells: a node that is full tells which items go; whatever is done to it, what it tells is what the store does. It knows
// that without asking the store but once, or once for each publication where it does not know its items.
func TestFullTells(t *testing.T) {
	t.Run("known", func(t *testing.T) { testFullTells(t, 0) })
	t.Run("unknown", func(t *testing.T) { testFullTells(t, 10, "pubsub#item_expire", "604800") })
}

func testFullTells(t *testing.T, reads int64, fields ...string) {
	bubble(t, defaults(), nil, func(w *world) {
		w.node("news", append(fields, "pubsub#max_items", "4")...)
		w.must(w.set(juliet, subscribe("news", juliet)))
		var kept []string // the model
		drop := func(id string) bool {
			i := slices.Index(kept, id)
			if i >= 0 {
				kept = slices.Delete(kept, i, i+1)
			}
			return i >= 0
		}
		random := rand.New(rand.NewPCG(1, 2))
		for step := range 300 {
			id := fmt.Sprint("i", random.IntN(9))
			var want []string
			switch n := random.IntN(20); {
			case n == 0:
				w.must(w.own(romeo, "set", "<purge node='news'/>"))
				kept, want = nil, []string{"<purge node='news'/>"}
			case n == 1:
				w.must(w.own(romeo, "set", "<configure node='news'>"+form("node_config", "pubsub#max_items", "4")+"</configure>"))
				want = []string{"<configuration node='news'>"}
			case n < 5:
				if there := drop(id); there {
					w.must(w.set(romeo, "<retract node='news'><item id='"+id+"'/></retract>"))
					want = []string{"<items node='news'><retract id='" + id + "'/></items>"}
				}
			default:
				if drop(id); len(kept) == 4 {
					want = []string{"<items node='news'><retract id='" + kept[0] + "'/></items>"}
					kept = kept[1:]
				}
				kept = append(kept, id)
				w.must(w.set(romeo, publish("news", id)))
				want = append(want, items("news", id))
			}
			got := w.got(juliet)
			ok := len(got) == len(want)
			for i := 0; ok && i < len(got); i++ {
				ok = strings.Contains(got[i], want[i])
			}
			if !ok && !strings.Contains(strings.Join(want, ""), "configuration") {
				t.Fatalf("step %d: juliet hears %q, want %q", step, got, want)
			}
			w.want(w.get(juliet, "<items node='news'/>"), "<pubsub xmlns='"+ps.NS+"'>"+strings.Replace(items("news", kept...), "'></items>", "'/>", 1)+"</pubsub>")
		}
		w.must(w.own(romeo, "set", "<purge node='news'/>"))
		for i := range 20 {
			if i == 10 {
				w.store.reads.Store(0)
			}
			w.must(w.set(romeo, publish("news", fmt.Sprint(i))))
		}
		if n := w.store.reads.Load(); n != reads {
			t.Errorf("%d reads for ten items at a node that is full, want %d", n, reads)
		}
	})
}

// TestNodesRest: a node that nobody has used for cached_for is held in memory no more; who publishes to it then tells as before.
func TestNodesRest(t *testing.T) {
	c := defaults()
	c.CachedFor = 10 * time.Minute
	bubble(t, c, nil, func(w *world) {
		const loaded = "stonechat_pubsub_nodes_loaded"
		for _, node := range []string{"busy", "resting"} {
			w.node(node)
			w.must(w.set(juliet, subscribe(node, bare(juliet))))
			w.must(w.set(romeo, publish(node, "a")))
		}
		w.got(bare(juliet))
		for range 2 {
			<-time.After(4 * time.Minute)
			if n := w.metric(loaded); n != "2" {
				t.Fatalf("%s nodes are loaded, and 2 were used", n)
			}
			w.must(w.set(romeo, publish("busy", "a")))
			w.hears(bare(juliet), items("busy", "a"))
		}
		<-time.After(5 * time.Minute)
		if n := w.metric(loaded); n != "1" {
			t.Errorf("%s nodes are loaded, and 1 is used", n)
		}
		w.must(w.set(romeo, publish("resting", "b")))
		w.hears(bare(juliet), items("resting", "b"))
		if n := w.metric(loaded); n != "2" {
			t.Errorf("%s nodes are loaded, and 2 are used", n)
		}
	})
}

// TestLastStays: the last item of a node that keeps none is there as long as there is room in memory.
func TestLastStays(t *testing.T) {
	c := defaults()
	c.CachedFor, c.CachedNodes = 10*time.Minute, 1
	bubble(t, c, nil, func(w *world) {
		const loaded = "stonechat_pubsub_nodes_loaded"
		w.node("door", "pubsub#persist_items", "0")
		w.must(w.set(romeo, publish("door", "open")))
		<-time.After(time.Hour)
		if n := w.metric(loaded); n != "1" {
			t.Errorf("%s nodes are loaded", n)
		}
		w.want(w.get(juliet, "<items node='door'/>"), "<pubsub xmlns='http://jabber.org/protocol/pubsub'>"+items("door", "open")+"</pubsub>")
		w.must(w.set(juliet, subscribe("door", bare(juliet))))
		w.hears(bare(juliet), items("door", "open"))
		for _, node := range []string{"a", "b"} {
			w.node(node)
			w.must(w.set(romeo, publish(node, "a")))
		}
		if n := w.metric(loaded); n != "1" {
			t.Errorf("%s nodes are loaded, of one that may be", n)
		}
	})
}
