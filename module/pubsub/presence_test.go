// SPDX-License-Identifier: Apache-2.0

package pubsub_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	ps "github.com/stonechat-im/stonechat/xmpp/pubsub"
)

// TestTemporaryRestart: a temporary subscription ends with the server for accounts here, whose sessions have ended with it, though
// nobody asks for the node; that of somebody elsewhere ends when he says that he goes.
func TestTemporaryRestart(t *testing.T) {
	folder := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, folder, defaults(), nil)
		w.account("tybalt")
		w.account("benvolio")
		temporary := "<options>" + form("subscribe_options", "pubsub#expire", "presence") + "</options>"
		for _, node := range []string{"a", "b"} {
			w.node(node)
			for _, who := range []string{"tybalt@d/x", juliet, nurse} {
				w.must(w.set(who, subscribe(node, bare(who))+temporary))
			}
			w.must(w.set("tybalt@d/x", subscribe(node, "tybalt@d/x")+temporary))
			w.must(w.set("benvolio@d/x", subscribe(node, "benvolio@d")))
		}
		w.end()

		w = newWorld(t, folder, defaults(), nil)
		synctest.Wait()
		w.send(juliet, service, "<presence xmlns='jabber:client' type='unavailable'/>")
		stored := func(who string) (n int) {
			page, err := w.store.Memberships(t.Context(), jid.MustParse(service), jid.MustParse(who), "", 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, x := range page {
				n += len(x.Subscriptions)
			}
			return n
		}
		for who, want := range map[string]int{"tybalt@d": 0, "benvolio@d": 2, bare(juliet): 0, bare(nurse): 2} {
			if n := stored(who); n != want {
				t.Errorf("%s has %d subscriptions, want %d", who, n, want)
			}
		}
		if got := w.must(w.own(romeo, "get", "<subscriptions node='a'/>")); strings.Count(got, "<subscription ") != 2 || !strings.Contains(got, ps.NSOwner) {
			t.Errorf("in memory: %s", got)
		}
	})
}

// TestElsewhere: so many are known to be available as may be, and those stay so.
func TestElsewhere(t *testing.T) {
	bubble(t, defaults(), nil, func(w *world) {
		w.node("news")
		w.must(w.set(romeo, publish("news", "a")))
		for i, want := range []bool{true, true, true, false, false} {
			who := fmt.Sprintf("p%d@people/r", i)
			w.must(w.set(who, subscribe("news", who)))
			w.got(who)
			for range 2 { // the second time he is there already
				w.send(who, service, "<presence xmlns='jabber:client'/>")
				if want {
					w.hears(who, items("news", "a"))
				} else {
					w.hears(who)
				}
				want = false
			}
		}
		if got := w.metric("stonechat_pubsub_resources_forgotten_total"); got != "4" {
			t.Errorf("the metric says %q", got)
		}
		w.send("p0@people/r", service, "<presence xmlns='jabber:client' type='unavailable'/>")
		w.send("p3@people/r", service, "<presence xmlns='jabber:client'/>")
		w.hears("p3@people/r", items("news", "a"))
	})
}

// TestResourcesElsewhere: somebody elsewhere is available as long as one of his resources is, whichever goes first.
func TestResourcesElsewhere(t *testing.T) {
	c := defaults()
	c.Elsewhere = 10
	bubble(t, c, nil, func(w *world) {
		w.node("news", "pubsub#presence_based_delivery", "1")
		w.must(w.set(juliet, subscribe("news", "juliet@people")))
		is := func(resource, how string) {
			w.send("juliet@people/"+resource, service, "<presence xmlns='jabber:client'"+how)
			w.got("juliet@people/" + resource)
		}
		hears := func(want bool) {
			t.Helper()
			w.must(w.set(romeo, publish("news", "a")))
			if got := w.got("juliet@people"); len(got) > 0 != want {
				t.Errorf("hears %q, want %v", got, want)
			}
		}
		const there, gone = "/>", " type='unavailable'/>"
		for _, order := range []string{"abc", "acb", "bac", "bca", "cab", "cba"} {
			hears(false)
			for _, r := range "abc" {
				is(string(r), there)
			}
			is("b", "><show>away</show></presence>")
			for _, r := range order {
				hears(true)
				is(string(r), gone)
				is(string(r), gone) // once more
			}
		}
		hears(false)
	})
}

// TestComes: whoever sends his presence to the service is sent the last items of what he is subscribed to, once as long as he
// is there, and nobody is sent what he may not have or does not want.
func TestComes(t *testing.T) {
	bubble(t, defaults(), nil, func(w *world) {
		presence := func(who, text string) {
			t.Helper()
			w.send(who, service, "<presence xmlns='jabber:client'"+text)
		}
		for _, x := range []struct {
			node   string
			fields []string
			before func()
			hears  bool
		}{
			{node: "bare", hears: true, before: func() { w.must(w.set(juliet, subscribe("bare", bare(juliet)))) }},
			{node: "full", hears: true, before: func() { w.must(w.set(juliet, subscribe("full", juliet))) }},
			{node: "other", before: func() { w.must(w.set(juliet, subscribe("other", bare(juliet)+"/chamber"))) }},
			{node: "none"},
			{node: "onsub", fields: []string{"pubsub#send_last_published_item", "on_sub"}, before: func() { w.must(w.set(juliet, subscribe("onsub", bare(juliet)))) }},
			{node: "never", fields: []string{"pubsub#send_last_published_item", "never"}, before: func() { w.must(w.set(juliet, subscribe("never", bare(juliet)))) }},
			{node: "pending", fields: []string{"pubsub#access_model", "authorize"}, before: func() { w.must(w.set(juliet, subscribe("pending", bare(juliet)))) }},
			{node: "outcast", before: func() {
				w.must(w.set(juliet, subscribe("outcast", bare(juliet))))
				w.must(w.own(romeo, "set", "<affiliations node='outcast'><affiliation jid='"+bare(juliet)+"' affiliation='outcast'/></affiliations>"))
			}},
			{node: "unwanted", before: func() {
				w.must(w.set(juliet, "<subscribe node='unwanted' jid='"+bare(juliet)+"'/><options>"+form("subscribe_options", "pubsub#deliver", "0")+"</options>"))
			}},
			{node: "away", before: func() {
				w.must(w.set(juliet, "<subscribe node='away' jid='"+bare(juliet)+"'/><options>"+form("subscribe_options", "pubsub#show-values", "dnd")+"</options>"))
			}},
			{node: "silent", fields: []string{"pubsub#deliver_notifications", "0"}, before: func() { w.must(w.set(juliet, subscribe("silent", bare(juliet)))) }},
		} {
			w.node(x.node, x.fields...)
			if x.before != nil {
				x.before()
			}
			w.must(w.set(romeo, publish(x.node, "a")))
			w.got(bare(juliet))
			w.got(juliet)
			w.got(bare(juliet) + "/chamber")

			presence(juliet, "/>")
			var want []string
			if x.hears {
				want = []string{items(x.node, "a")}
			}
			w.hears(juliet, want...)
			presence(juliet, "><status>still here</status></presence>")
			presence(juliet, " type='probe'/>")
			w.hears(juliet)
			w.hears(bare(juliet))
			w.hears(bare(juliet) + "/chamber")
			presence(juliet, " type='unavailable'/>")
			presence(juliet, "/>")
			w.hears(juliet, want...)
			presence(juliet, " type='unavailable'/>")
			w.must(w.own(romeo, "set", "<delete node='"+x.node+"'/>"))
			w.got(bare(juliet))
			w.got(juliet)
			w.got(bare(juliet) + "/chamber")
		}
	})
}
