// SPDX-License-Identifier: Apache-2.0

package registry_test

// How to read this file: what people say to the registry, and what they do by its commands; the harness has what they say it
// with. What all ways share is tested with the requests.

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stonechat-im/stonechat/internal/servertest"
	"github.com/stonechat-im/stonechat/module/registry"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// claimed makes a bed with a lamp that is juliet's, and nodes behind a rack.
func claimed(t *testing.T, change ...func(*registry.Config)) (b *bed, juliet, romeo *servertest.Peer) {
	b = start(t, change...)
	lamp, rack := b.peer("lamp@d/l"), b.peer("rack@d/l")
	juliet, romeo = b.peer("juliet@d/j"), b.peer("romeo@d/r")
	asks(lamp, "set", register(lampTags), ok)
	if got := says(juliet, "claim "+lampCode); got != "lamp (lamp@d) is yours." {
		t.Fatal(got)
	}
	noted(lamp)
	for i := range 2 {
		asks(rack, "set", fmt.Sprintf("<register %s nodeId='n%d'><str name='NAME' value='meter'/><str name='KEY' value='secret-%d'/></register>", ns, i, i), ok)
		if got := says(juliet, fmt.Sprintf("claim iotdisco:NAME=meter;KEY=secret-%d", i)); got != fmt.Sprintf("meter (rack@d#n%d) is yours.", i) {
			t.Fatal(got)
		}
		noted(rack)
	}
	b.saw("lamp@d+juliet@d", "rack@d+juliet@d", "rack@d+juliet@d", "lamp@d:>juliet@d", "rack@dn0:>juliet@d", "rack@dn1:>juliet@d")
	return b, juliet, romeo
}

func TestWords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, juliet, romeo := claimed(t)
		for _, test := range []struct {
			who        *servertest.Peer
			text, want string
		}{
			{juliet, "things", "You have 3 things:\n• lamp (lamp@d)\n• meter (rack@d#n0)\n• meter (rack@d#n1)"},
			{romeo, "things", "You have no things."},
			{juliet, "name lamp@d Reading  lamp", "lamp@d is called Reading lamp now."},
			{juliet, "name meter X", "Several of your things are called so; say which by its address:\n• meter (rack@d#n0)\n• meter (rack@d#n1)."},
			{juliet, "name rack@d#n1 “Second meter”", "rack@d is called Second meter now."},
			{juliet, "group “reading LAMP” hall “second floor” hall", "Reading lamp (lamp@d) is in hall, second floor, hall now."},
			{juliet, "group lamp hall \"second floor\"", "Reading lamp (lamp@d) is in hall, second floor now."},
			{juliet, "things hall", "You have one thing in that group:\n• Reading lamp (lamp@d), in hall, second floor"},
			{juliet, "things second floor", "You have one thing in that group:\n• Reading lamp (lamp@d), in hall, second floor"},
			{juliet, "things cellar", "You have no things in that group."},
			{juliet, "about lamp", "Reading lamp (lamp@d)\n• MAN: acme.example\n• SN: 1\n• V: 1.2\nIt is yours since 1 January 2000. It is in hall, second floor."},
			{romeo, "about lamp@d", "You have no thing that is called lamp@d."},
			{romeo, "find sn=1", "There is none that you can find."},
			{romeo, "show lamp@d", "You have no thing that is called lamp@d."},
			{juliet, "show lamp", "Everybody can find Reading lamp (lamp@d) now."},
			{romeo, "find sn=1 v=1.2 MAN=acme*", "• lamp (lamp@d) MAN=acme.example SN=1 V=1.2"},
			{romeo, "find #sn=1", "There is none that you can find."},
			{romeo, "find key=secret-key-1", "There is none that you can find."},
			{romeo, "find sn", "It is said so: find TAG=VALUE…"},
			{romeo, "find v=x", "It is said so: find TAG=VALUE…"},
			{juliet, "hide lamp", "Nobody can find Reading lamp (lamp@d) now."},
			{romeo, "find sn=1", "There is none that you can find."},
			{juliet, "group lamp", "Reading lamp (lamp@d) is in no group now."},
			{romeo, "disown lamp@d", "You have no thing that is called lamp@d."},
			{juliet, "disown", "It is said so: disown THING"},
			{juliet, "disown lamp", "Reading lamp (lamp@d) is not yours any more."},
			{juliet, "disown lamp", "You have no thing that is called lamp."},
			{romeo, "claim " + lampCode, "Nothing can be claimed by that code."},
			{romeo, "claim", "It is said so: claim CODE"},
			{romeo, "claim nonsense", "A code begins with IoTDisco; or iotdisco:."},
			{romeo, "claim IoTDisco;SN:1", "There is no KEY in that code, by which things are claimed."},
			{romeo, "claim IoTDisco;KEY:x;R:things.elsewhere", "That thing is registered at things.elsewhere: tell that."},
		} {
			if got := says(test.who, test.text); got != test.want {
				t.Errorf("%s\n got %q\nwant %q", test.text, got, test.want)
			}
		}
		if got := says(juliet, "help"); !strings.Contains(got, "• give THING to ADDRESS: ") || strings.Count(got, "\n") != 12 {
			t.Errorf("help: %q", got)
		}
	})
}

// What a stock client that scans the code has in its place.
func TestClaimLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t)
		lamp, juliet := b.peer("lamp@d/l"), b.peer("juliet@d/j")
		asks(lamp, "set", register("<str name='SN' value='a;b'/><str name='KEY' value='a secret; key'/>"), ok)
		if got := says(juliet, "claim xmpp:things.d?message;body=claim%20IoTDisco%3BSN%3Aa%5C%3Bb%3BKEY%3Aa%20secret%5C%3B%20key"); got != "lamp (lamp@d) is yours." {
			t.Error(got)
		}
		if x := b.kept("lamp@d", ""); x.Public {
			t.Error("what is claimed by words is found by everybody")
		}
	})
}

// What somebody calls a thing is no line of its own in what the registry says to others, nor turns one around.
func TestNamesInLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, juliet, romeo := claimed(t, func(c *registry.Config) { c.NameBytes = 128 })
		const trap = "lamp.&#10;&#10;Say: allow mallory@d to use door&#x2028;x&#x202e;y"
		says(juliet, "name lamp \""+trap+"\"")
		says(juliet, "give lamp to romeo@d")
		got := strings.Join(romeo.Got(), "")
		if !strings.Contains(got, "juliet@d gives you lamp.  Say: allow mallory@d to use door x y. It is yours") {
			t.Errorf("who is given it is told %q", got)
		}
		bulb := b.peer("bulb@d/l") // tags have no such characters, but those that turn a line around
		asks(bulb, "set", register("<str name='NAME' value='bulb&#x202e;x'/><str name='KEY' value='secret-of-bulb'/>"), ok)
		if got := says(romeo, "claim iotdisco:NAME=bulb%E2%80%AEx;KEY=secret-of-bulb"); got != "bulb x (bulb@d) is yours." {
			t.Errorf("claimed: %q", got)
		}
	})
}

func TestGive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, juliet, romeo := claimed(t)
		nurse := b.peer("nurse@e/n")
		lamp := b.peer("lamp@d/again")
		noted(lamp)
		key := func(p *servertest.Peer) string {
			t.Helper()
			for _, got := range p.Got() {
				if m := regexp.MustCompile(`from='registry@things\.d'.*juliet@d gives you lamp\. It is yours when you have said this to registry@things\.d:\n\nclaim (IoTDisco;KEY:\w{26})</body>`).FindStringSubmatch(got); m != nil {
					return m[1]
				}
			}
			t.Fatal("nothing came")
			return ""
		}
		if got := says(romeo, "give lamp@d to romeo@d"); got != "You have no thing that is called lamp@d." {
			t.Error(got)
		}
		for text, want := range map[string]string{
			"give lamp to juliet@d": "It is given to somebody else.",
			"give lamp to lamp@d":   "It is given to somebody else.",
			"give lamp to d":        "D is no address.",
			"give lamp":             "It is said so: give THING to ADDRESS",
			"give lamp to":          "To is no address.",
		} {
			if got := says(juliet, text); got != want {
				t.Errorf("%s: %q, want %q", text, got, want)
			}
		}
		if got := says(juliet, "give lamp to romeo@d"); !strings.HasPrefix(got, "romeo@d has a message") {
			t.Error(got)
		}
		code := key(romeo)
		// It is hers until he has claimed it; and nobody but him can.
		if got := says(juliet, "about lamp"); !strings.Contains(got, "It is given to romeo@d, who has not claimed it.") {
			t.Error(got)
		}
		if got := says(juliet, "claim "+code); got != "Nothing can be claimed by that code." {
			t.Error(got)
		}
		// It can be given to somebody else instead, also elsewhere; then the first key is worth nothing.
		if got := says(juliet, "give lamp nurse@e"); !strings.HasPrefix(got, "nurse@e has a message") {
			t.Error(got)
		}
		if got := says(romeo, "claim "+code); got != "Nothing can be claimed by that code." {
			t.Error(got)
		}
		code = key(nurse)
		if got := says(romeo, "claim "+code); got != "Nothing can be claimed by that code." {
			t.Error(got)
		}
		b.saw()
		tells(nurse, "things.d", "set", mine("<str name='KEY' value='"+strings.TrimPrefix(code, "IoTDisco;KEY:")+"'/>"), "<claimed .*jid='lamp@d'/>")
		b.saw("lamp@d-juliet@d", "lamp@d+nurse@e", "lamp@d:juliet@d>nurse@e")
		if got := noted(lamp); !strings.Contains(got, "<claimed xmlns='urn:xmpp:iot:discovery' jid='nurse@e'/>") {
			t.Errorf("told %q", got)
		}
		if got := says(juliet, "disown lamp@d"); got != "You have no thing that is called lamp@d." {
			t.Error(got)
		}
		if got := says(juliet, "claim "+lampCode); got != "Nothing can be claimed by that code." { // her old key
			t.Error(got)
		}
	})
}

func TestGiveTakenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, juliet, romeo := claimed(t)
		give := func() (code string) {
			says(juliet, "give lamp to romeo@d")
			_, code, _ = strings.Cut(strings.Join(romeo.Got(), ""), "claim ")
			code, _, _ = strings.Cut(code, "</body>")
			return code
		}
		code := give()
		if got := says(juliet, "keep lamp"); got != "lamp (lamp@d) stays yours." {
			t.Error(got)
		}
		if got := says(romeo, "claim "+code); got != "Nothing can be claimed by that code." {
			t.Error(got)
		}
		code = give()
		time.Sleep(time.Hour) // modules.registry.give_expire
		if got := says(romeo, "claim "+code); got != "Nothing can be claimed by that code." {
			t.Error(got)
		}
		code = give()
		says(juliet, "disown lamp") // what is nobody's is nobody's to give
		if got := says(romeo, "claim "+code); got != "Nothing can be claimed by that code." {
			t.Error(got)
		}
		if x := b.kept("lamp@d", ""); !x.Owner.IsZero() {
			t.Errorf("%+v", x)
		}
	})
}

func TestNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, juliet, _ := claimed(t)
		long := strings.Repeat("x", 41)
		for text, want := range map[string]string{
			"name lamp " + long:  "The name is too long.",
			"group lamp " + long: "The name of a group is too long.",
			"group lamp a b c d": "A thing is in up to 3 groups.",
		} {
			if got := says(juliet, text); got != want {
				t.Errorf("%s: %q, want %q", text, got, want)
			}
		}
		for key, n := range map[string]string{"name_bytes": "2", "groups": "1"} {
			if !b.Counts(fmt.Sprintf("stonechat_registry_limited_total{key=%q} %s", key, n)) {
				t.Errorf("%s is not counted", key)
			}
		}
		if got := says(juliet, strings.Repeat("x", 2001)); got != "That is too long: I read up to 2000 bytes." {
			t.Error(got)
		}
		for word, want := range map[string]string{
			"LAMP": "lamp@d", "Lamp@D": "lamp@d", "xmpp:lamp@d": "lamp@d", "lamp@d/x": "lamp@d", "rack@d#n1": "rack@d#n1",
			"rack@d": "", "d": "", "@": "", "#n1": "", "rack@d#": "", "n1": "",
		} {
			x, err := b.things.Find(t.Context(), jid.MustParse("juliet@d"), word)
			got := ""
			if err == nil {
				got = strings.TrimSuffix(x.JID.String()+"#"+x.ID, "#")
			}
			if got != want {
				t.Errorf("%q: %q, want %q (%v)", word, got, want, err)
			}
		}
	})
}

func TestMessagesPerMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, func(c *registry.Config) { c.MessagesPerMinute = 2 })
		juliet := b.peer("juliet@d/j")
		for range 2 {
			if says(juliet, "help") == "" {
				t.Error("no answer")
			}
		}
		if says(juliet, "help") != "" || !b.Counts(`stonechat_registry_limited_total{key="messages_per_minute"} 1`) {
			t.Error("answered too often")
		}
		time.Sleep(time.Minute)
		if says(juliet, "help") == "" {
			t.Error("no answer")
		}
	})
}

func TestReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t)
		juliet := b.peer("juliet@d/j")
		c := b.config
		c.MessageBytes, c.ClaimsPerHour = 5, 0
		b.things.Reload(registry.New(c, b, nil))
		if got := says(juliet, "claim x"); got != "That is too long: I read up to 5 bytes." {
			t.Error(got)
		}
		asks(juliet, "set", mine(lampTags), "type='error'.*policy-violation")
	})
}

// An operator changes what is somebody's, too.
func TestOperator(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, juliet, _ := claimed(t)
		name := store.ThingName{JID: jid.MustParse("lamp@d")}
		if err := b.things.Edit(t.Context(), name, func(x *store.Thing) error { x.Groups = []string{"ward"}; return nil }); err != nil {
			t.Fatal(err)
		}
		if got := says(juliet, "things ward"); !strings.Contains(got, "lamp@d") {
			t.Error(got)
		}
		if err := b.things.Disown(t.Context(), name); err != nil {
			t.Fatal(err)
		}
		b.saw("lamp@d-juliet@d", "lamp@d:juliet@d>")
		if err := b.things.Disown(t.Context(), name); err == nil {
			t.Error("nobody's thing was disowned")
		}
		if err := b.things.Edit(t.Context(), name, func(x *store.Thing) error { x.Groups = []string{"store"}; return nil }); err != nil {
			t.Fatal(err)
		}
		if x := b.kept("lamp@d", ""); len(x.Groups) != 1 {
			t.Errorf("%+v", x)
		}
	})
}

// command carries out a command of the service in two stages, the second of which fills in fields; it returns the answers.
func command(p *servertest.Peer, node string, fields ...string) (first, second string) {
	p.Server.T.Helper()
	first = asks(p, "set", "<command xmlns='http://jabber.org/protocol/commands' node='stonechat:"+node+"'/>", "")
	m := regexp.MustCompile(`sessionid='([^']+)'`).FindStringSubmatch(first)
	if m == nil || len(fields) == 0 {
		return first, ""
	}
	x := ""
	for i := 0; i+1 < len(fields); i += 2 {
		x += "<field var='" + fields[i] + "'><value>" + fields[i+1] + "</value></field>"
	}
	return first, asks(p, "set", "<command xmlns='http://jabber.org/protocol/commands' node='stonechat:"+node+"' sessionid='"+m[1]+"'>"+
		"<x xmlns='jabber:x:data' type='submit'>"+x+"</x></command>", "")
}

func TestCommands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, juliet, romeo := claimed(t)
		for _, test := range []struct {
			who    *servertest.Peer
			node   string
			fields []string
			want   string
		}{
			{romeo, "claim", []string{"code", lampCode}, "item-not-found.*nothing can be claimed by that code"},
			{romeo, "claim", []string{"code", "x"}, "bad-request"},
			{juliet, "name-thing", []string{"thing", "lamp@d", "name", "Light"}, "completed.*It is called so now"},
			{juliet, "name-thing", []string{"thing", "rack@d", "name", "Light"}, "bad-request"}, // it was not offered
			{juliet, "group-thing", []string{"thing", "lamp@d", "groups", "hall"}, "completed"},
			{romeo, "name-thing", []string{"thing", "lamp@d", "name", "Light"}, ""}, // completed at once: he has none
			{juliet, "give-thing", []string{"thing", "lamp@d", "to", "d"}, "not-acceptable"},
			{juliet, "give-thing", []string{"thing", "lamp@d", "to", "nurse@d/x"}, "completed.*nurse@d has a message"},
			{juliet, "disown-thing", []string{"thing", "rack@d#n0"}, "completed.*meter \\(rack@d#n0\\) is not yours any more"},
		} {
			first, got := command(test.who, test.node, test.fields...)
			if test.want == "" {
				got, test.want = first, "status='completed'.*You have no things"
			}
			if !regexp.MustCompile(test.want).MatchString(got) {
				t.Errorf("%s %q: %s", test.node, test.fields, got)
			}
		}
		list, _ := command(juliet, "things")
		for _, want := range []string{"<value>Light</value>", "<value>lamp@d</value>", "<value>hall</value>", "<value>rack@d#n1</value>"} {
			if !strings.Contains(list, want) {
				t.Errorf("no %s in %s", want, list)
			}
		}
		if strings.Contains(list, "rack@d#n0") {
			t.Errorf("still there: %s", list)
		}
		form, _ := command(juliet, "disown-thing")
		if !strings.Contains(form, "<option label='Light (lamp@d)'><value>lamp@d</value></option>") {
			t.Errorf("nothing to choose: %s", form)
		}
		guest := b.Guest("guest@d/g")
		if got, _ := command(guest, "claim"); !strings.Contains(got, "forbidden") {
			t.Errorf("a guest: %s", got)
		}
	})
}
