// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stonechat-im/stonechat/xmpp/senml"
)

// What is published of a node behind a thing is read by who may read that of the node: its own owner, whoever has the rule, and nobody who
// has one for another node, or writes the name of the place another way.
func TestPublishedByNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHome(t, "")
		people := make(map[string]*peer)
		for _, name := range []string{"nurse@d", "romeo@d", "paris@d", "rosaline@d", "stranger@d"} {
			h.Account(name)
			people[name] = h.online(name + "/r")
		}
		h.adopt("meter@d", "nurse@d", "two")
		h.meter.Got()
		h.tells(people["nurse@d"], "allow romeo@d to read meter@d#two t", "romeo@d may read t of two")
		h.tells(h.juliet, "allow paris@d to read meter@d", "revoke")      // the meter and what has no owner of its own behind it
		h.tells(h.juliet, "allow rosaline@d to read meter@d t", "revoke") // that field
		places := []string{"#t", "#h", "/one#t", "/one#h", "/two#t", "/two#h", "/two/#t", "/tw%6F#t", "", "#"}
		for _, place := range places {
			h.meter.Send("<iq type='set' id='pub'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='" + senml.NS + place + "'><item id='1'><x xmlns='urn:x'>21</x></item></publish></pubsub></iq>")
			if got := h.meter.answer("pub"); !strings.Contains(got, "type='result'") {
				t.Fatalf("not published: %s", got)
			}
		}
		for name, want := range map[string]string{
			"nurse@d":    "/two#t /two#h",
			"romeo@d":    "/two#t",
			"paris@d":    "#t #h /one#t /one#h /two/#t /tw%6F#t  #",
			"rosaline@d": "#t /one#t",
			"stranger@d": "",
		} {
			var may []string
			for _, place := range places {
				people[name].Send(pubsubItems(senml.NS + place))
				if got := strings.Join(people[name].Got(), ""); strings.Contains(got, "<item id='1'") {
					may = append(may, place)
				} else if !strings.Contains(got, "<forbidden") && !strings.Contains(got, "<service-unavailable") {
					t.Errorf("%s at %q: %s", name, place, got)
				}
			}
			if got := strings.Join(may, " "); got != want {
				t.Errorf("%s reads %q, want %q", name, got, want)
			}
		}
		// The owner of the node is asked about it, and the owner of the thing is not.
		h.tells(people["nurse@d"], "questions", "stranger@d wants to read", "of two (two of meter@d)")
		if got := h.say(h.juliet, "questions"); strings.Contains(got, "two") {
			t.Errorf("juliet is asked about what is not hers: %s", got)
		}
		// What is forbidden at a node is not had by following everything.
		h.tells(h.juliet, "forbid paris@d to read meter@d h", "may not")
		people["paris@d"].Send(pubsubItems(senml.NS + "/one#h"))
		if got := strings.Join(people["paris@d"].Got(), ""); !strings.Contains(got, "<forbidden") {
			t.Errorf("what is forbidden is read: %s", got)
		}
		people["paris@d"].Send(pubsubItems(senml.NS))
		if got := strings.Join(people["paris@d"].Got(), ""); !strings.Contains(got, "<forbidden") {
			t.Errorf("everything is read by who may not read something: %s", got)
		}
	})
}

// To hear of what changes among nodes takes the right to read one of them, and no right to control any.
func TestSubscribesToNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHome(t, "")
		people := make(map[string]*peer)
		for _, name := range []string{"romeo@d", "paris@d", "stranger@d"} {
			h.Account(name)
			people[name] = h.online(name + "/r")
		}
		h.tells(h.juliet, "allow romeo@d to read meter t", "revoke")
		h.tells(h.juliet, "allow paris@d to control meter", "revoke")
		for _, what := range []string{"subscribe", "unsubscribe"} {
			for name, passes := range map[string]bool{"romeo@d": true, "paris@d": false, "stranger@d": false} {
				h.meter.Got()
				people[name].Got()
				people[name].Send(iqTo("set", "<"+what+" xmlns='urn:xmpp:iot:concentrators' sourceId='MeteringTopology'/>"))
				got, refused := strings.Join(h.meter.Got(), ""), strings.Join(people[name].Got(), "")
				if strings.Contains(got, "<"+what) != passes || strings.Contains(refused, "type='error'") == passes {
					t.Errorf("%s of %s: the meter has %q, and he %q", what, name, got, refused)
				}
			}
		}
	})
}
