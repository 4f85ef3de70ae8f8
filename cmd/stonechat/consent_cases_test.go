// SPDX-License-Identifier: Apache-2.0

package main

// How to read this file: single cases of consent, on the home of consent_test.go: what is reduced, whose a thing is, what its owner is
// asked and says, and what things ask.

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// What is refused in part is reduced to what may be had, in every way that can be.
func TestReduced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHome(t, "")
		h.Account("romeo@d")
		romeo := h.online("romeo@d/r")
		for _, rule := range []string{"allow romeo@d to read meter t h", "allow romeo@d to control meter on", "forbid romeo@d to read meter secret"} {
			h.tells(h.juliet, rule, "revoke")
		}
		h.meter.Got()
		for _, test := range []struct{ xml, has, not string }{
			{iqTo("get", readAll), "name='t' name='h'", "secret"},
			{iqTo("get", strings.Replace(readT, "<field name='t'/>", "<field name='t'/><field name='secret'/><field name='p'/>", 1)), "name='t'", "secret"},
		} {
			romeo.Send(test.xml)
			got := strings.Join(h.meter.Got(), "")
			if !matches(got, test.has) || strings.Contains(got, test.not) {
				t.Errorf("of %s the thing has %s", test.xml, got)
			}
		}
		// A command is done whole or not at all, for what is left of it would be answered as the whole; what hides in a form is a part of it.
		for _, xml := range []string{
			iqTo("set", "<set xmlns='urn:xmpp:iot:control'><boolean name='on' value='true'/><int name='level' value='3'/></set>"),
			iqTo("set", "<set xmlns='urn:xmpp:iot:control'><x xmlns='jabber:x:data' type='submit'><field var='on'><value>1</value></field><field var='level'><value>3</value></field></x></set>"),
			iqTo("set", "<set xmlns='urn:xmpp:iot:control'><x xmlns='jabber:x:data' type='submit'><field var='on'><value>1</value></field><field type='hidden' var='level'><value>3</value></field></x></set>"),
			"<message to='meter@d/x'><set xmlns='urn:xmpp:iot:control'><boolean name='on' value='true'/><int name='level' value='3'/></set></message>",
		} {
			romeo.Got()
			romeo.Send(xml)
			if got := h.meter.Got(); len(got) > 0 {
				t.Errorf("the thing has %s", got)
			}
			if got := strings.Join(romeo.Got(), ""); !matches(got, "forbidden <paramError var='level'") || strings.Contains(got, "var='on'") {
				t.Errorf("of %s: %s", xml, got)
			}
		}
		if n := h.Metric("stonechat_consent_reduced_total"); n != "2" {
			t.Errorf("%s requests were reduced", n)
		}
		// Everything but something cannot be asked for.
		h.tells(h.juliet, "allow romeo@d to read meter", "revoke")
		romeo.Got()
		romeo.Send(iqTo("get", readAll))
		if got := strings.Join(romeo.Got(), ""); !strings.Contains(got, "forbidden") || !strings.Contains(got, "by name") || !strings.Contains(got, "<rejected xmlns='urn:xmpp:iot:sensordata' seqnr='1'><error>") || len(h.meter.Got()) > 0 {
			t.Errorf("everything but one: %s", got)
		}
	})
}

// Of what is behind one address each has its owner, and its rules; a request gets what it may have of it.
func TestNodesOfThings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHome(t, "")
		for _, name := range []string{"nurse@d", "romeo@d", "paris@d"} {
			h.Account(name)
		}
		nurse, romeo, paris := h.online("nurse@d/r"), h.online("romeo@d/r"), h.online("paris@d/r")
		h.adopt("meter@d", "nurse@d", "two")
		h.meter.Got()
		h.tells(nurse, "allow romeo@d to read meter@d#two t", "romeo@d may read t of two")
		h.tells(h.juliet, "allow paris@d to read meter@d", "revoke")
		h.tells(h.juliet, "allow romeo@d to read meter@d#two", "no thing called")
		ask := func(ids ...string) string {
			nodes := ""
			for _, id := range ids {
				nodes += "<node nodeId='" + id + "'/>"
			}
			return iqTo("get", "<req xmlns='urn:xmpp:iot:sensordata' seqnr='1'>"+nodes+"</req>")
		}
		for _, test := range []struct {
			p   *peer
			ids []string
			has string // parts of what the thing has; "": nothing
			not string
		}{
			{romeo, []string{"two"}, "nodeId='two' name='t'", "one"},
			{romeo, []string{"one", "two"}, "nodeId='two' name='t'", "one"},
			{romeo, nil, "nodeId='two' name='t'", "one"},
			{romeo, []string{"one"}, "", ""},
			{paris, []string{"one"}, "nodeId='one'", "name="},
			{paris, []string{"two"}, "", ""},
			{paris, []string{"one", "two"}, "nodeId='one'", "two"},
			{nurse, []string{"two"}, "nodeId='two'", "name="},
			{nurse, []string{"one"}, "", ""},
			{nurse, nil, "", ""},
			{h.juliet, []string{"one"}, "nodeId='one'", "name="},
			{h.juliet, []string{"two"}, "", ""},
		} {
			test.p.Send(ask(test.ids...))
			test.p.Got()
			got := strings.Join(h.meter.Got(), "")
			if (test.has == "") != (got == "") || !matches(got, test.has) || test.not != "" && strings.Contains(got, test.not) {
				t.Errorf("%s asks for %v: the meter has %q, want %q", test.p.Session.JID, test.ids, got, test.has)
			}
		}
	})
}

// A thing that is nobody's refuses everybody, the one who will have it included; whoever gives it back may do nothing any more.
func TestUnclaimedAndFormerOwner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHome(t, "")
		h.Account("lamp@d")
		h.Account("romeo@d")
		h.adopt("lamp@d", "", "")
		lamp, romeo := h.online("lamp@d/x"), h.online("romeo@d/r")
		try := func(p *peer, to, want string) {
			t.Helper()
			p.Got()
			p.Send(strings.ReplaceAll(iqTo("get", readT), "meter@d/x", to))
			p.Send("<presence to='" + jid.MustParse(to).Bare().String() + "' type='subscribe'/>")
			p.Send("<message to='" + to + "'><body>help</body></message>")
			if got := strings.Join(p.Got(), ""); strings.Count(got, "<"+want) != 2 {
				t.Errorf("%s at %s: %s, want %s twice", p.Session.JID, to, got, want)
			}
		}
		try(romeo, "lamp@d/x", "service-unavailable")
		try(h.juliet, "lamp@d/x", "service-unavailable")
		if got := lamp.Got(); len(got) > 0 {
			t.Errorf("the lamp has %s", got)
		}
		h.tells(h.juliet, "allow romeo@d to read meter", "revoke")
		if err := h.Disk.Commit().Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		romeo.Send(iqTo("get", readT))
		if got := strings.Join(h.meter.Got(), ""); !strings.Contains(got, "sensordata") {
			t.Fatalf("the meter has %s", got)
		}
		// juliet is deleted: what she has decided is gone, and the meter is nobody's.
		if err := h.DeleteAccount(t.Context(), jid.MustParse("juliet@d"), nil); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		h.meter.Got()
		try(romeo, "meter@d/x", "service-unavailable")
		if got := h.meter.Got(); len(got) > 0 {
			t.Errorf("the meter has %s", got)
		}
	})
}

// What nobody has decided its owner is asked, once, by a message that he answers in words; from then on it holds.
func TestQuestions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHome(t, "")
		h.Account("romeo@d")
		romeo := h.online("romeo@d/r")
		ask := func() string {
			romeo.Send(iqTo("get", strings.Replace(readT, "<field name='t'/>", "<field name='t'/><field name='h'/>", 1)))
			return strings.Join(romeo.Got(), "")
		}
		ask()
		h.juliet.gets("<message from='registry@things.d' to='juliet@d romeo@d wants read t, h meter@d yes 1 no")
		ask()
		if got := h.juliet.Got(); len(got) > 0 {
			t.Errorf("asked again: %s", got)
		}
		h.tells(h.juliet, "questions", "1: romeo@d wants to read t, h of")
		h.tells(romeo, "questions", "Nobody asks")
		h.tells(romeo, "yes 1", "no question 1")
		h.meter.Got()
		h.tells(h.juliet, "yes 1 t", "romeo@d may read t of", "revoke 1")
		ask()
		if got := strings.Join(h.meter.Got(), ""); !strings.Contains(got, "name='t'") || strings.Contains(got, "name='h'") {
			t.Errorf("the meter has %s", got)
		}
		h.juliet.gets("romeo@d wants read h meter@d yes 2") // the rest is a question of its own
		h.tells(h.juliet, "rules 2", "2 is a question. romeo@d wants to read h", "no 2")
		h.tells(h.juliet, "no 2", "romeo@d may not read h")
		h.tells(h.juliet, "yes 1", "no question 1")
		ask()
		h.meter.Got()
		if got := h.juliet.Got(); len(got) > 0 {
			t.Errorf("asked what was answered: %s", got)
		}
		h.tells(h.juliet, "rules", "1: romeo@d may read t", "2: romeo@d may not read h")
		h.tells(h.juliet, "rules meter", "1: romeo@d")
		h.tells(h.juliet, "rules 1", "1: romeo@d may read t", "You said so at 20", "revoke 1")
		h.tells(h.juliet, "rules 99", "There is no rule, nor a question, 99.")
		h.tells(h.juliet, "rules 0", "You have no thing called 0")
		h.tells(romeo, "rules 1", "There is no rule, nor a question, 1.")
		h.tells(romeo, "rules meter", "no thing called meter")
		h.tells(romeo, "revoke 1", "no rule 1")
		h.tells(h.juliet, "revoke 1", "Rule 1 is gone")
		if got := ask(); !strings.Contains(got, "<service-unavailable") {
			t.Errorf("after all was revoked: %s", got)
		}
		if got := h.meter.Got(); len(got) > 0 {
			t.Errorf("the meter has %s", got)
		}
		h.tells(h.juliet, "refusals", "romeo@d at meter", "by readout")
		h.tells(romeo, "refusals", "Nobody was refused")
		// For a whole domain.
		h.juliet.Got()
		h.tells(h.juliet, "questions", "romeo@d wants to read t of")
		n := strings.Fields(h.say(h.juliet, "questions"))[0]
		h.tells(h.juliet, "yes "+strings.TrimSuffix(n, ":")+" for domain", "Everybody at d may read t")
		h.tells(h.juliet, "yes", "It is said so")
		h.tells(h.juliet, "allow x y", "It is said so")
		h.tells(h.juliet, "allow romeo@d to eat meter", "It is said so")
		h.tells(h.juliet, "allow romeo@d to read nothing", "no thing called nothing")
		h.tells(romeo, "allow romeo@d to read meter@d", "no thing called")
	})
}

// A subscription is approved in the thing's name where its owner has said so, also when he says so afterwards; a revocation ends it.
func TestFriends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHome(t, "")
		for _, name := range []string{"romeo@d", "paris@d", "nurse@d"} {
			h.Account(name)
		}
		romeo, paris, nurse := h.online("romeo@d/r"), h.online("paris@d/r"), h.online("nurse@d/r")
		h.tells(h.juliet, "allow romeo@d to see meter", "may see whether")
		h.tells(h.juliet, "forbid paris@d to see meter", "may not see whether")
		subscribe := "<presence to='meter@d' type='subscribe'/>"
		has := func(p *peer, want ...string) {
			t.Helper()
			got := strings.Join(p.Got(), "")
			for _, w := range want {
				if !strings.Contains(got, w) {
					t.Errorf("%s got %s without %s", p.Session.JID, got, w)
				}
			}
		}
		romeo.Send(subscribe)
		has(romeo, "type='subscribed'", "<presence from='meter@d/x'")
		paris.Send(subscribe)
		has(paris, "type='unsubscribed'")
		nurse.Send(subscribe)
		for _, xml := range nurse.Got() {
			if strings.HasPrefix(xml, "<presence") {
				t.Errorf("nurse got %s", xml)
			}
		}
		for _, xml := range h.meter.Got() {
			if strings.Contains(xml, "type='subscribe'") || strings.Contains(xml, "paris") || strings.Contains(xml, "nurse") {
				t.Errorf("the meter got %s", xml)
			}
		}
		h.juliet.gets("nurse@d wants see whether meter yes 3")
		h.tells(h.juliet, "yes 3", "nurse@d may see")
		has(nurse, "type='subscribed'", "<presence from='meter@d/x'")
		if it := h.item(jid.MustParse("meter@d"), jid.MustParse("nurse@d")); it.Subscription != store.SubscriptionFrom {
			t.Errorf("in the meter's roster: %+v", it)
		}
		h.tells(h.juliet, "revoke 1", "is gone")
		has(romeo, "type='unavailable'")
		if it := h.item(jid.MustParse("meter@d"), jid.MustParse("romeo@d")); it.Subscription != store.SubscriptionNone {
			t.Errorf("in the meter's roster: %+v", it)
		}
		if it := h.item(jid.MustParse("meter@d"), jid.MustParse("nurse@d")); it.Subscription != store.SubscriptionFrom {
			t.Errorf("another's subscription: %+v", it)
		}
	})
}

// While the rules cannot be read nothing is let through, and when they can again it is.
func TestRestartAndGroups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHome(t, "")
		h.Account("romeo@d")
		romeo := h.online("romeo@d/r")
		h.tells(h.juliet, "allow group:Family to read meter", "Your group")
		try := func(want bool) {
			t.Helper()
			romeo.Send(iqTo("get", readT))
			romeo.Got()
			if got := len(h.meter.Got()) > 0; got != want {
				t.Errorf("at the thing: %v, want %v", got, want)
			}
		}
		try(false)
		h.juliet.Send("<iq type='set' id='g'><query xmlns='jabber:iq:roster'><item jid='romeo@d'><group>Family</group></item></query></iq>")
		try(true)
		h.juliet.Send("<iq type='set' id='g'><query xmlns='jabber:iq:roster'><item jid='romeo@d'><group>Work</group></item></query></iq>")
		try(false)
		h.juliet.Send("<iq type='set' id='g'><query xmlns='jabber:iq:roster'><item jid='romeo@d'><group>Family</group></item></query></iq>")
		try(true)
		h.juliet.End() // her roster is read from the store
		synctest.Wait()
		try(true)
	})
}

// Whatever is asked of a thing that asks for itself (XEP-0324): the answer is the same as the guard's, and only to itself.
func TestThingsAsk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHome(t, "")
		h.Account("romeo@d")
		romeo := h.online("romeo@d/r")
		for _, rule := range []string{"allow romeo@d to read meter t", "allow domain.example to control meter", "forbid bad@domain.example to control meter on", "allow romeo@d to see meter"} {
			h.tells(h.juliet, rule, "revoke")
		}
		ask := func(p *peer, payload string) string {
			p.Got()
			p.Send("<iq to='things.d' type='get' id='q'>" + payload + "</iq>")
			return p.answer("q")
		}
		const ns = "xmlns='urn:xmpp:iot:provisioning'"
		for _, test := range []struct{ payload, has string }{
			{"<isFriend " + ns + " jid='romeo@d'/>", "isFriendResponse jid='romeo@d' result='true'"},
			{"<isFriend " + ns + " jid='romeo@d/r'/>", "result='true'"},
			{"<isFriend " + ns + " jid='paris@d'/>", "result='false'"},
			{"<isFriend " + ns + " jid='juliet@d'/>", "result='true'"},
			{"<canRead " + ns + " jid='romeo@d' momentary='true'><field name='t'/><field name='h'/></canRead>", "result='true' momentary='true' <field name='t'/>"},
			{"<canRead " + ns + " jid='romeo@d' all='true'/>", "result='true' <field name='t'/>"},
			{"<canRead " + ns + " jid='romeo@d'><field name='h'/></canRead>", "result='false'"},
			{"<canRead " + ns + " jid='juliet@d'/>", "result='true'"},
			{"<canControl " + ns + " jid='a@domain.example'><parameter name='on'/></canControl>", "result='true'"},
			{"<canControl " + ns + " jid='bad@domain.example'><parameter name='on'/><parameter name='off'/></canControl>", "result='true' <parameter name='off'/>"},
			{"<canControl " + ns + " jid='bad@domain.example'><parameter name='on'/></canControl>", "result='false'"},
			{"<canControl " + ns + " jid='romeo@d'/>", "result='false'"},
		} {
			if got := ask(h.meter, test.payload); !matches(got, test.has) || strings.Contains(got, "name='h'") && strings.Contains(test.payload, "'t'") {
				t.Errorf("%s: %s, want %s", test.payload, got, test.has)
			}
		}
		// Others ask about themselves alone, and who is no thing has no friends here.
		if got := ask(romeo, "<isFriend "+ns+" jid='romeo@d'/>"); !strings.Contains(got, "result='false'") {
			t.Errorf("of one who is no thing: %s", got)
		}
		if got := ask(h.meter, "<canRead "+ns+"/>"); !strings.Contains(got, "type='error'") {
			t.Errorf("about nobody: %s", got)
		}
		// What users of other services may is not said here, whoever they are said to be.
		for _, payload := range []string{
			"<canAccess " + ns + " serviceToken='s'><jid value='juliet@d'/></canAccess>", "<hasPrivilege " + ns + " serviceToken='s' userToken='u' privilegeId='Sensors.View'/>",
			"<downloadPrivileges " + ns + " serviceToken='s' userToken='u'/>",
		} {
			if got := ask(h.meter, payload); !matches(got, "type='error' <service-unavailable") {
				t.Errorf("%s: %s", payload, got)
			}
		}
	})
}

// Bounds: so many rules, questions and refusals and no more, and what is beyond is counted.
func TestConsentBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHome(t, "modules: {consent: {rules: 2, names: 2, questions_per_thing: 2, questions_per_caller: 1, refusals_per_thing: 3}}\n")
		h.tells(h.juliet, "allow a@d to read meter x y", "revoke")
		h.tells(h.juliet, "allow a@d to read meter z", "rule may have 2 names")
		h.tells(h.juliet, "allow b@d to read meter", "revoke")
		h.tells(h.juliet, "allow c@d to read meter", "revoke one first")
		h.tells(h.juliet, "allow a@d to read meter x", "revoke") // what there is may be said again
		h.juliet.Got()
		for i := range 5 {
			c := &caller{h: h, jid: fmt.Sprintf("p%d@x.example/r", i)}
			c.send(iqTo("get", readT))
			c.send(iqTo("set", setOn))
		}
		h.refusals()
		if got := h.juliet.Got(); len(got) != 2 {
			t.Errorf("asked %d times: %s", len(got), got)
		}
		if got := h.refusals(); len(got) != 3 {
			t.Errorf("refusals: %s", got)
		}
		for name, want := range map[string]string{"stonechat_consent_asked_total": "2", "stonechat_consent_not_asked_total": "8", `stonechat_consent_refused_total{way="readout"}`: "5"} {
			if got := h.Metric(name); got != want {
				t.Errorf("%s is %s, want %s", name, got, want)
			}
		}
	})
}

// The commands do what the words do.
func TestConsentCommands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHome(t, "")
		h.Account("romeo@d")
		romeo := h.online("romeo@d/r")
		do := func(p *peer, node string, fields map[string]string) string {
			t.Helper()
			p.Got()
			p.Send("<iq to='things.d' type='set' id='c'><command xmlns='http://jabber.org/protocol/commands' node='" + node + "'/></iq>")
			got := p.answer("c")
			_, id, _ := strings.Cut(got, "sessionid='")
			id, _, _ = strings.Cut(id, "'")
			if fields == nil || !strings.Contains(got, "status='executing'") {
				return got
			}
			form := "<x xmlns='jabber:x:data' type='submit'>"
			for _, name := range slices.Sorted(maps.Keys(fields)) {
				form += "<field var='" + name + "'><value>" + fields[name] + "</value></field>"
			}
			p.Send("<iq to='things.d' type='set' id='c'><command xmlns='http://jabber.org/protocol/commands' action='complete' node='" + node + "' sessionid='" + id + "'>" + form + "</x></command></iq>")
			return p.answer("c")
		}
		const pre = "stonechat:consent:"
		romeo.Send(iqTo("get", readT))
		for _, test := range []struct {
			who    *peer
			node   string
			fields map[string]string
			has    string
		}{
			{romeo, "questions", map[string]string{"question": "1", "answer": "yes"}, "Nobody asks"},
			{romeo, "allow", map[string]string{}, "You have no things"},
			{romeo, "revoke", map[string]string{}, "There are no rules"},
			{romeo, "rules", nil, "There are no rules"},
			{romeo, "refusals", nil, "Nobody was refused"},
			{h.juliet, "questions", nil, "romeo@d wants to read t of"},
			{h.juliet, "questions", map[string]string{"question": "7", "answer": "yes"}, "error"},
			{h.juliet, "questions", map[string]string{"question": "1", "answer": "yes", "for": "domain", "names": "t"}, "Everybody at d may read t"},
			{h.juliet, "rules", nil, "Everybody at d may read t"},
			{h.juliet, "allow", map[string]string{"thing": "meter@d", "subject": "nurse@d", "may": "forbid", "right": "control", "names": "on"}, "nurse@d may not control on"},
			{h.juliet, "allow", map[string]string{"thing": "meter@d", "subject": "@", "may": "allow", "right": "read"}, "is no address"},
			{h.juliet, "revoke", map[string]string{"rule": "1"}, "Rule 1 is gone"},
			{h.juliet, "refusals", nil, "romeo@d"},
		} {
			if got := do(test.who, pre+test.node, test.fields); !strings.Contains(got, test.has) {
				t.Errorf("%s %v: %s, want %s", test.node, test.fields, got, test.has)
			}
		}
	})
}
