// SPDX-License-Identifier: Apache-2.0

package pubsub_test

import (
	"fmt"
	"testing"
)

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
