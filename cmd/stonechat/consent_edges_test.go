// SPDX-License-Identifier: Apache-2.0

package main

// How to read this file: what somebody might have of a thing by a way that nobody thought of, on the home of consent_test.go: what rides
// on a message that is an error, what groups have given that are left, what an account leaves to the next of its name.

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// A thing that does not look at types is told nothing by a message that is an error but that it is one, and by a request of another type
// no more than by one of the right type.
func TestTypesAreNoWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHome(t, "")
		h.Account("reads-h@d")
		reader := h.online("reads-h@d/r")
		h.tells(h.juliet, "allow reads-h@d to read meter h", "revoke")
		h.meter.Got()
		for _, c := range []*caller{{h: h, jid: "stranger@x.example/r"}, {h: h, jid: "reads-h@d/r", peer: reader}} {
			c.send("<message to='meter@d/x' type='error' id='e'><body>set on true</body>" + setOn + "<error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>")
			got := strings.Join(h.meter.Got(), "")
			if !matches(got, "<message id='e' <error <gone") || strings.Contains(got, "control") || strings.Contains(got, "body") {
				t.Errorf("by an error of %s the thing has %s", c.jid, got)
			}
		}
		reader.Send(iqTo("set", readAll))
		if got := strings.Join(h.meter.Got(), ""); got != "" && !strings.Contains(got, "<field name='h'/>") {
			t.Errorf("by a request of type set the thing has %s", got)
		}
	})
}

// Of two forms in one command nobody knows which a thing looks at.
func TestTwoForms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHome(t, "")
		h.Account("romeo@d")
		romeo := h.online("romeo@d/r")
		h.tells(h.juliet, "allow romeo@d to control meter on", "revoke")
		form := func(name string) string {
			return "<x xmlns='jabber:x:data' type='submit'><field var='" + name + "'><value>1</value></field></x>"
		}
		for _, test := range []struct {
			xml string
			has bool
		}{
			{toCommand("set", form("on")), true}, {toCommand("set", form("on")+form("off")), false}, {toCommand("set", "<x xmlns='jabber:x:data' type='submit'/>"+form("off")), false},
			{toCommand("set/on", form("on")), true}, {toCommand("set/on", form("on")+form("off")), false},
		} {
			h.meter.Got()
			romeo.Send(test.xml)
			if got := strings.Join(h.meter.Got(), ""); (got != "") != test.has {
				t.Errorf("of %s the thing has %s; he has %s", test.xml, got, romeo.Got())
			}
		}
	})
}

func rosterGroup(contact, group string) string {
	if group != "" {
		group = "<group>" + group + "</group>"
	}
	return "<iq type='set' id='g'><query xmlns='jabber:iq:roster'><item jid='" + contact + "'>" + group + "</item></query></iq>"
}

// Whoever leaves a group leaves what he had by it: what he sees, and what things remember that he may.
func TestLeavesGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHome(t, "")
		meter := jid.MustParse("meter@d")
		for _, name := range []string{"romeo@d", "nurse@d"} {
			h.Account(name)
		}
		romeo, nurse := h.online("romeo@d/r"), h.online("nurse@d/r")
		h.announce(h.meter, provisions)
		h.juliet.Send(rosterGroup("romeo@d", "Family"))
		h.juliet.Send(rosterGroup("nurse@d", "Family"))
		h.juliet.Got()
		h.tells(h.juliet, "allow group:Family to see meter", "Your group")
		h.tells(h.juliet, "allow group:Family to control meter", "Your group")
		h.tells(h.juliet, "allow nurse@d to see meter", "revoke")
		for _, p := range []*peer{romeo, nurse} {
			p.Send("<presence to='meter@d' type='subscribe'/>")
			if got := strings.Join(p.Got(), ""); !strings.Contains(got, "type='subscribed'") {
				t.Fatalf("%s is told %s", p.Session.JID, got)
			}
		}
		forgets := func(want bool) {
			t.Helper()
			forgot := false
			for _, xml := range h.meter.Got() {
				if strings.Contains(xml, "<clearCache") {
					forgot = true
					_, id, _ := strings.Cut(xml, " id='")
					id, _, _ = strings.Cut(id, "'")
					h.meter.Send("<iq to='things.d' type='result' id='" + id + "'><clearCacheResponse xmlns='" + provisions + "'/></iq>")
				}
			}
			if forgot != want {
				t.Errorf("the meter is told to forget: %v, want %v", forgot, want)
			}
		}
		forgets(true)
		h.juliet.Send(rosterGroup("romeo@d", "Work"), rosterGroup("nurse@d", ""))
		forgets(true)
		if got := strings.Join(romeo.Got(), ""); !strings.Contains(got, "type='unavailable'") {
			t.Errorf("who has left the group sees the meter: %s", got)
		}
		for who, want := range map[string]store.Subscription{"romeo@d": store.SubscriptionNone, "nurse@d": store.SubscriptionFrom} {
			if it := h.item(meter, jid.MustParse(who)); it.Subscription != want {
				t.Errorf("the meter's contact %s: %+v", who, it)
			}
		}
		h.juliet.Send(rosterGroup("romeo@d", "Friends")) // of which no rule speaks
		forgets(false)
		h.juliet.Send(rosterGroup("romeo@d", "Family"))
		forgets(true)
		// Asleep, it is told when it wakes.
		h.meter.End()
		synctest.Wait()
		h.juliet.Send(rosterGroup("romeo@d", "Work"))
		synctest.Wait()
		h.meter = h.bind("meter@d/x")
		h.announce(h.meter, provisions)
		forgets(true)
	})
}

// Who gets the address of a deleted account gets nothing of what that was allowed, be it as one of a group; and things that remember
// are told.
func TestNextOfTheName(t *testing.T) {
	for name, here := range map[string]bool{"owner here": true, "owner away": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHome(t, "")
				h.Account("romeo@d")
				romeo := h.online("romeo@d/r")
				h.announce(h.meter, provisions)
				h.juliet.Send(rosterGroup("romeo@d", "Family"))
				h.juliet.Got()
				h.tells(h.juliet, "allow group:Family to read meter", "Your group")
				h.tells(h.juliet, "allow romeo@d to control meter", "revoke")
				h.meter.Got()
				romeo.Send(iqTo("get", readT))
				if got := h.meter.Got(); len(got) == 0 {
					t.Fatalf("as one of the group he is told %s", romeo.Got())
				}
				if !here {
					h.juliet.End()
				}
				if err := h.DeleteAccount(t.Context(), jid.MustParse("romeo@d"), nil); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				if got := strings.Join(h.meter.Got(), ""); !strings.Contains(got, "<clearCache") {
					t.Errorf("the meter is not told to forget: %s", got)
				}
				h.Account("romeo@d")
				romeo = h.online("romeo@d/r")
				romeo.Send(iqTo("get", readT), iqTo("set", setOn))
				if got := strings.Join(romeo.Got(), ""); strings.Count(got, "<service-unavailable") != 2 {
					t.Errorf("the next romeo is told %s", got)
				}
				if got := h.meter.Got(); len(got) > 0 {
					t.Errorf("the meter has %s", got)
				}
			})
		})
	}
}

// Nor does he see whoever had approved that before it asked.
func TestNextOfTheNameIsNotApproved(t *testing.T) {
	for name, here := range map[string]bool{"here": true, "away": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHome(t, "")
				h.Account("romeo@d")
				h.juliet.Send("<presence to='romeo@d' type='subscribed'/>")
				h.juliet.Got()
				if it := h.item(jid.MustParse("juliet@d"), jid.MustParse("romeo@d")); !it.Approved {
					t.Fatalf("not approved: %+v", it)
				}
				if !here {
					h.juliet.End()
				}
				if err := h.DeleteAccount(t.Context(), jid.MustParse("romeo@d"), nil); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				h.Account("romeo@d")
				romeo := h.online("romeo@d/r")
				romeo.Send("<presence to='juliet@d' type='subscribe'/>")
				if got := strings.Join(romeo.Got(), ""); strings.Contains(got, "subscribed") {
					t.Errorf("the next romeo is told %s", got)
				}
			})
		})
	}
}
