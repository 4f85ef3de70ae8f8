// SPDX-License-Identifier: Apache-2.0

package registry_test

// How to read this file: a thing's life by the requests of XEP-0347, in the order in which it lives; then what is refused.

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stonechat-im/stonechat/module/registry"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

func TestLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t)
		lamp, juliet, romeo := b.peer("lamp@d/l"), b.peer("juliet@d/j"), b.peer("romeo@d/r")
		if b.things.Known(jid.MustParse("lamp@d")) {
			t.Error("known before it has registered")
		}
		asks(lamp, "set", register(lampTags), ok)
		b.saw()
		if !b.things.Known(jid.MustParse("lamp@d/x")) || b.things.Known(jid.MustParse("juliet@d")) {
			t.Error("which accounts are things")
		}
		if owner, label, err := b.things.Thing(t.Context(), jid.MustParse("lamp@d"), store.ThingNode{ID: "a node"}); !owner.IsZero() || label != "lamp" || err != nil {
			t.Error(owner, label, err)
		}
		if x := b.kept("lamp@d", ""); len(x.Tags) != 3 || strings.Contains(fmt.Sprintf("%s%+v", x.Key, x), "secret") {
			t.Errorf("kept: %+v", x)
		}

		// Exactly the same, in any order and however numbers and names are written.
		asks(juliet, "set", mine("<str name='key' value='secret-key-1'/><num name='v' value='1.2'/><str name='man' value='acme.example'/><str name='SN' value='1'/>"),
			"type='result'.*<claimed xmlns='urn:xmpp:iot:discovery' jid='lamp@d'/>")
		b.saw("lamp@d+juliet@d", "lamp@d:>juliet@d")
		if got := noted(lamp); !strings.Contains(got, "from='things.d'") || !strings.Contains(got, "<claimed xmlns='urn:xmpp:iot:discovery' jid='juliet@d'/>") {
			t.Errorf("told %q", got)
		}
		synctest.Wait()
		if x := b.kept("lamp@d", ""); x.Notice != "" || x.Owner != jid.MustParse("juliet@d") || !x.Public {
			t.Errorf("kept: %+v", x)
		}
		asks(juliet, "set", mine(lampTags), "type='result'.*<claimed .*jid='lamp@d'") // the answer may have been lost
		asks(romeo, "set", mine(lampTags), notFound)
		b.saw()
		asks(lamp, "set", register(lampTags), "type='result'.*<claimed xmlns='urn:xmpp:iot:discovery' jid='juliet@d'/>")

		asks(lamp, "set", "<update "+ns+"><str name='KEY' value=''/><str name='MAN' value=''/><str name='CLASS' value='PLC'/></update>", ok)
		asks(juliet, "set", "<update "+ns+" jid='lamp@d'><str name='ROOM' value='hall'/></update>", ok)
		search := "<search " + ns + "><strEq name='ROOM' value='hall'/></search>"
		asks(romeo, "get", search, "type='result'.*<found xmlns='urn:xmpp:iot:discovery'><thing owner='things.d' jid='lamp@d'>"+
			"<str name='CLASS' value='PLC'/><str name='ROOM' value='hall'/><str name='SN' value='1'/><num name='V' value='1.2'/></thing></found>")

		asks(romeo, "set", "<remove "+ns+" jid='lamp@d'/>", notFound)
		asks(juliet, "set", "<remove "+ns+" jid='lamp@d'/>", ok)
		if got := noted(lamp); !strings.Contains(got, "<removed "+ns+"/>") {
			t.Errorf("told %q", got)
		}
		asks(juliet, "set", "<remove "+ns+" jid='lamp@d'/>", notFound)
		asks(romeo, "get", search, "<found xmlns='urn:xmpp:iot:discovery'/>")
		asks(lamp, "set", "<update "+ns+"><str name='A' value='b'/></update>", notFound)
		asks(juliet, "set", "<update "+ns+" jid='lamp@d'><str name='A' value='b'/></update>", notFound)

		asks(romeo, "set", "<disown "+ns+" jid='lamp@d'/>", notFound)
		b.saw()
		asks(juliet, "set", "<disown "+ns+" jid='lamp@d'/>", ok)
		b.saw("lamp@d-juliet@d", "lamp@d:juliet@d>")
		if got := noted(lamp); !strings.Contains(got, "<disowned "+ns+"/>") {
			t.Errorf("told %q", got)
		}
		asks(lamp, "set", "<update "+ns+"><str name='A' value='b'/></update>", "type='result'.*<disowned "+ns+"/>")
		asks(juliet, "set", mine(lampTags), notFound) // nobody can, before it has registered again
		if x := b.kept("lamp@d", ""); len(x.Tags) != 0 || x.Key != nil {
			t.Errorf("kept: %+v", x)
		}
		asks(lamp, "set", register(strings.Replace(lampTags, "secret-key-1", "secret-key-2", 1)), ok)
		asks(romeo, "set", mine(lampTags), notFound)
		asks(romeo, "set", mine(strings.Replace(lampTags, "secret-key-1", "secret-key-2", 1)), "type='result'.*jid='lamp@d'")
		b.saw("lamp@d+romeo@d", "lamp@d:>romeo@d")
		noted(lamp)
		asks(lamp, "set", "<unregister "+ns+"/>", ok)
		b.saw("lamp@d-romeo@d", "lamp@d:romeo@d>")
		asks(lamp, "set", "<unregister "+ns+"/>", ok)
		asks(lamp, "set", "<update "+ns+"/>", notFound)
		if _, _, err := b.things.Thing(t.Context(), jid.MustParse("lamp@d"), store.ThingNode{}); !errors.Is(err, store.ErrNotFound) {
			t.Error(err)
		}
	})
}

// Smack changes things by requests of type get.
func TestOfTypeGet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t)
		lamp, juliet := b.peer("lamp@d/l"), b.peer("juliet@d/j")
		asks(lamp, "get", register(lampTags), ok)
		asks(juliet, "get", mine(lampTags), "<claimed .*jid='lamp@d'")
		noted(lamp)
		asks(juliet, "get", "<disown "+ns+" jid='lamp@d'/>", ok)
		noted(lamp)
		asks(lamp, "get", "<unregister "+ns+"/>", ok)
	})
}

func TestSelfOwned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t)
		lamp, juliet := b.peer("lamp@d/l"), b.peer("juliet@d/j")
		asks(lamp, "set", "<register "+ns+" selfOwned='true'>"+lampTags+"</register>", ok)
		b.saw("lamp@d:>lamp@d")
		asks(juliet, "get", "<search "+ns+"><strEq name='SN' value='1'/></search>", "<thing owner='things.d' jid='lamp@d'>")
		asks(juliet, "set", mine(lampTags), notFound)
		asks(lamp, "set", "<update "+ns+"><str name='SN' value='2'/></update>", ok)
		asks(lamp, "set", "<update "+ns+" jid='lamp@d'><str name='SN' value='3'/></update>", ok)
		asks(lamp, "set", register(lampTags), "<claimed .*jid='lamp@d'")
		if x := b.kept("lamp@d", ""); x.Tags[1].Str != "3" {
			t.Errorf("%+v", x.Tags)
		}
	})
}

func TestNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t)
		rack, juliet, romeo := b.peer("rack@d/r"), b.peer("juliet@d/j"), b.peer("romeo@d/r")
		node := "nodeId='n1' sourceId='s' cacheType='c'"
		for i, attrs := range []string{"", node, "nodeId='n2'"} {
			asks(rack, "set", fmt.Sprintf("<register %s %s><str name='KEY' value='secret-%d'/></register>", ns, attrs, i), ok)
		}
		asks(juliet, "set", "<mine "+ns+" nodeId='other'><str name='KEY' value='secret-1'/></mine>", notFound)
		asks(juliet, "set", mine("<str name='KEY' value='secret-1'/>"), "<claimed xmlns='urn:xmpp:iot:discovery' jid='rack@d' nodeId='n1' sourceId='s' cacheType='c'/>")
		if got := noted(rack); !strings.Contains(got, "jid='juliet@d' nodeId='n1' sourceId='s' cacheType='c'/>") {
			t.Errorf("told %q", got)
		}
		asks(juliet, "set", mine("<str name='KEY' value='secret-0'/>"), "<claimed xmlns='urn:xmpp:iot:discovery' jid='rack@d'/>")
		noted(rack)
		asks(romeo, "set", mine("<str name='KEY' value='secret-2'/>"), "jid='rack@d' nodeId='n2'/>")
		noted(rack)
		b.saw("rack@d+juliet@d", "rack@d+juliet@d", "rack@d+romeo@d", "rack@dn1:>juliet@d", "rack@d:>juliet@d", "rack@dn2:>romeo@d")
		asks(juliet, "set", "<update "+ns+" jid='rack@d' nodeId='n2'><str name='A' value='b'/></update>", notFound)
		asks(juliet, "set", "<update "+ns+" jid='rack@d' "+node+"><str name='A' value='b'/></update>", ok)
		asks(romeo, "get", "<search "+ns+"><strEq name='A' value='b'/></search>", "<thing owner='things.d' jid='rack@d' nodeId='n1' sourceId='s' cacheType='c'><str name='A' value='b'/></thing>")
		for name, want := range map[store.ThingNode]string{{}: "juliet@d", {ID: "n2"}: "romeo@d", {ID: "n9"}: "juliet@d", {ID: "n1", Source: "s", Cache: "c"}: "juliet@d"} {
			if owner, _, err := b.things.Thing(t.Context(), jid.MustParse("rack@d"), name); owner.String() != want || err != nil {
				t.Errorf("%v belongs to %s, want %s (%v)", name, owner, want, err)
			}
		}
		// Whoever owns another thing of the account stays its friend.
		asks(juliet, "set", "<disown "+ns+" jid='rack@d'/>", ok)
		b.saw("rack@d:juliet@d>")
		asks(juliet, "set", "<disown "+ns+" jid='rack@d' "+node+"/>", ok)
		b.saw("rack@d-juliet@d", "rack@dn1:juliet@d>")
	})
}

// What a thing has not answered to it is told each time when it comes, also after a restart.
func TestToldAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t)
		lamp, juliet := b.peer("lamp@d/l"), b.peer("juliet@d/j")
		asks(lamp, "set", register(lampTags), ok)
		lamp.End()
		asks(juliet, "set", "<mine "+ns+" public='false'>"+lampTags+"</mine>", "<claimed")
		claimed := "<claimed xmlns='urn:xmpp:iot:discovery' jid='juliet@d' public='false'/>"
		if n := b.Metric("stonechat_registry_untold"); n != "1" {
			t.Errorf("%s untold", n)
		}
		lamp = b.peer("lamp@d/l")
		lamp.Gets(claimed)
		time.Sleep(time.Minute) // it does not answer
		lamp.Gets()
		time.Sleep(10 * time.Minute)
		lamp.Gets(claimed)
		lamp.End()
		lamp = b.peer("lamp@d/l")
		got := lamp.Gets(claimed)
		id, _, _ := strings.Cut(got[0][strings.Index(got[0], "id='")+4:], "'")
		lamp.Send("<iq type='error' to='things.d' id='" + id + "'><error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>")
		b.Restart()
		lamp = b.peer("lamp@d/l")
		if got := noted(lamp); !strings.Contains(got, claimed) {
			t.Errorf("told %q", got)
		}
		lamp.End()
		if n := b.Metric("stonechat_registry_untold"); n != "0" {
			t.Errorf("%s untold", n)
		}
		lamp = b.peer("lamp@d/l")
		lamp.Gets()
	})
}

func TestDeletedAccounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t)
		lamp, juliet := b.peer("lamp@d/l"), b.peer("juliet@d/j")
		asks(lamp, "set", register(lampTags), ok)
		asks(juliet, "set", mine(lampTags), "<claimed")
		noted(lamp)
		b.saw("lamp@d+juliet@d", "lamp@d:>juliet@d")
		if err := b.DeleteAccount(t.Context(), jid.MustParse("juliet@d"), nil); err != nil {
			t.Fatal(err)
		}
		if got := noted(lamp); !strings.Contains(got, "<disowned "+ns+"/>") {
			t.Errorf("told %q", got)
		}
		b.saw("lamp@d:>") // what others keep of the owner goes
		if x := b.kept("lamp@d", ""); !x.Owner.IsZero() {
			t.Errorf("%+v", x)
		}
		if err := b.DeleteAccount(t.Context(), jid.MustParse("lamp@d"), nil); err != nil {
			t.Fatal(err)
		}
		if n, err := b.Disk.CountThings(t.Context(), store.ThingFilter{}); n != 0 || err != nil {
			t.Error(n, err)
		}
		lamp = b.peer("lamp@d/l") // another account of that name
		lamp.Gets()
	})
}

func TestAdopt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t)
		b.peer("juliet@d/j")
		x := store.Thing{
			ThingName: store.ThingName{JID: jid.MustParse("lamp@d")}, Owner: jid.MustParse("juliet@d"),
			Groups: []string{"hall"}, Tags: []store.ThingTag{{Name: "SN", Str: "7", Given: true}, {Name: "V", Str: "1"}},
		}
		p, err := b.things.Adopt(t.Context(), x, store.CreateAccount{Account: store.Account{JID: x.JID}})
		if err != nil || p.Wait(t.Context()) != nil {
			t.Fatal(err)
		}
		b.saw("lamp@d+juliet@d", "lamp@d:>juliet@d")
		lamp := b.peer("lamp@d/l")
		if got := noted(lamp); !strings.Contains(got, "<claimed xmlns='urn:xmpp:iot:discovery' jid='juliet@d' public='false'/>") {
			t.Errorf("told %q", got)
		}
		if x := b.kept("lamp@d", ""); len(x.Groups) != 1 || !slices.Equal(x.Tags, []store.ThingTag{{Name: "SN", Str: "7", Given: true}, {Name: "V", Str: "1"}}) {
			t.Errorf("%+v", x)
		}
		if p, err = b.things.Adopt(t.Context(), x); err == nil {
			err = p.Wait(t.Context())
		}
		if !errors.Is(err, store.ErrExists) {
			t.Errorf("a second time: %v", err)
		}
	})
}

func TestSearch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, func(c *registry.Config) { c.ThingsPerOwner = 1 })
		juliet := b.peer("juliet@d/j")
		for i := range 7 {
			x := store.Thing{
				ThingName: store.ThingName{JID: jid.MustParse(fmt.Sprintf("m%d@d", i))}, Owner: jid.MustParse(fmt.Sprintf("m%d@d", i)), Public: true,
				Tags: []store.ThingTag{{Name: "MAN", Str: "acme"}, {Name: "SN", Str: fmt.Sprintf("n%d", i)}, {Name: "V", Num: float64(i), Numeric: true}},
			}
			p, err := b.things.Adopt(t.Context(), x, store.CreateAccount{Account: store.Account{JID: x.JID}})
			if err != nil || p.Wait(t.Context()) != nil {
				t.Fatal(err)
			}
		}
		for _, test := range []struct{ attrs, operators, want string }{
			{"", "<strEq name='SN' value='n3'/>", "3"},
			{"", "<strNEq name='SN' value='n3'/>", "01245+"},
			{"", "<strGt name='SN' value='n3'/>", "456"},
			{"", "<strGtEq name='SN' value='n3'/>", "3456"},
			{"", "<strLt name='SN' value='n3'/>", "012"},
			{"", "<strLtEq name='SN' value='n3'/>", "0123"},
			{"", "<strRange name='SN' min='n2' max='n4' maxIncluded='false'/>", "23"},
			{"", "<strNRange name='SN' min='n1' minIncluded='false' max='n6'/>", "01"},
			{"", "<strMask name='SN' value='%3' wildcard='%'/>", "3"},
			{"", "<strRegEx name='SN' value='n[2-4]'/>", "234"},
			{"offset='1' maxCount='1'", "<strRegEx name='SN' value='n[2-4]'/>", "3+"},
			{"", "<numEq name='V' value='3'/>", "3"},
			{"", "<numNEq name='v' value='3.0'/>", "01245+"},
			{"", "<numGt name='V' value='3'/>", "456"},
			{"", "<numGtEq name='V' value='3'/>", "3456"},
			{"", "<numLt name='V' value='3'/>", "012"},
			{"", "<numLtEq name='V' value='3'/>", "0123"},
			{"", "<numRange name='V' min='2' max='4'/>", "234"},
			{"", "<numNRange name='V' min='2' minIncluded='false' max='6'/>", "012"},
			{"", "<numGt name='V' value='1'/><strLt name='SN' value='n4'/>", "23"},
			{"maxCount='2'", "<strEq name='MAN' value='acme'/>", "01+"},
			{"offset='5'", "<strEq name='MAN' value='acme'/>", "56"},
			{"maxCount='1000000'", "<strEq name='MAN' value='acme'/>", "01234+"},
			{"", "<strEq name='NONE' value='acme'/>", ""},
			{"", "<strEq name='MAN' value='acme'/><strNEq name='key' value='x'/>", ""},
		} {
			got := asks(juliet, "get", "<search "+ns+" "+test.attrs+">"+test.operators+"</search>", "type='result'")
			list := ""
			for i := range 7 {
				if strings.Contains(got, fmt.Sprintf("jid='m%d@d'", i)) {
					list += fmt.Sprint(i)
				}
			}
			if strings.Contains(got, "more='true'") {
				list += "+"
			}
			if list != test.want {
				t.Errorf("%s: %q, want %q in %s", test.operators, list, test.want, got)
			}
		}
		for payload, want := range map[string]string{
			"offset='51'><strEq name='A' value='b'/>":               "policy-violation",
			"><strEqual name='A' value='b'/>":                       "feature-not-implemented",
			"maxCount='x'><strEq name='A' value='b'/>":              "bad-request",
			"><numEq name='A' value='b'/>":                          "bad-request",
			"><strRegEx name='A' value='('/>":                       "bad-request",
			">":                                                     "bad-request",
			">" + strings.Repeat("<strEq name='A' value='b'/>", 33): "policy-violation",
			">" + strings.Repeat("<strEq name='A' value='b'/>", 5):  "policy-violation",
		} {
			asks(juliet, "get", "<search "+ns+" "+payload+"</search>", "type='error'.*"+want)
		}
	})
}

// TestScan: a search by a regular expression looks at so many things.
func TestScan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, func(c *registry.Config) { c.Scan = 2 })
		lamp := b.peer("lamp@d/l")
		for i := range 3 {
			asks(lamp, "set", fmt.Sprintf("<register %s nodeId='%d' selfOwned='true'><str name='SN' value='x'/></register>", ns, i), ok)
		}
		asks(lamp, "get", "<search "+ns+"><strRegEx name='SN' value='y'/></search>", "type='error'.*policy-violation")
		asks(lamp, "get", "<search "+ns+" maxCount='1'><strRegEx name='SN' value='x'/></search>", "more='true'.*<thing")
	})
}

func TestRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t)
		lamp, juliet := b.peer("lamp@d/l"), b.peer("juliet@d/j")
		far := b.peer("far@e/f")
		long := strings.Repeat("x", 129)
		for _, test := range []struct{ payload, want string }{
			{register("<str name='SN' value='1'/>"), "not-acceptable"},                       // no KEY
			{register("<str name='KEY' value='short'/>"), "not-acceptable"},                  // too short
			{register("<str name='KEY' value='" + long + "'/>"), "policy-violation"},         // too long
			{register(lampTags + lampTags), "bad-request"},                                   // twice
			{register("<num name='A' value='x'/>"), "bad-request"},                           // no number
			{register(strings.Repeat("<str name='A' value='b'/>", 65)), "policy-violation"},  // too many
			{register("<str name='A:B' value='b'/>"), "bad-request"},                         // no name
			{"<register " + ns + " sourceId='s'>" + lampTags + "</register>", "bad-request"}, // no node
			{"<mine " + ns + "/>", "item-not-found"},
			{"<remove " + ns + "/>", "bad-request"},
			{"<disown " + ns + " jid='@'/>", "bad-request|jid-malformed"},
			{"<update " + ns + " jid='nobody@d'/>", "item-not-found"},
		} {
			asks(lamp, "set", test.payload, "type='error'.*("+test.want+")")
		}
		// Things of another domain are registered there.
		tells(far, "things.d", "set", register(lampTags), "type='error'.*not-allowed")
		asks(far, "set", register(lampTags), ok)
		tells(juliet, "things.d", "set", mine(lampTags), notFound)
		tells(juliet, "things.e", "set", mine(lampTags), "<claimed .*jid='far@e'")
		// Nobody claims himself.
		asks(lamp, "set", register(lampTags+"<str name='X' value='y'/>"), ok)
		asks(lamp, "set", mine(lampTags+"<str name='X' value='y'/>"), notFound)
		guest := b.Guest("guest@d/g")
		asks(guest, "set", mine(lampTags+"<str name='X' value='y'/>"), "type='error'.*forbidden")
		asks(guest, "set", register(lampTags), "type='error'.*not-allowed")
		// What is not for the service itself.
		juliet.Send("<iq type='get' id='1' to='somebody@things.d'><search "+ns+"/></iq>", "<message to='things.d/x'><body>help</body></message>", "<presence to='things.d'/>")
		juliet.Gets("id='1'.*item-not-found", "item-not-found")
	})
}

func TestBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, func(c *registry.Config) { c.ThingsPerAccount, c.ThingsPerOwner, c.Tags = 3, 2, 2 })
		lamp, juliet := b.peer("lamp@d/l"), b.peer("juliet@d/j")
		node := func(i int) string {
			return fmt.Sprintf("<register %s nodeId='%d'><str name='KEY' value='secret-%d'/></register>", ns, i, i)
		}
		for i := range 3 {
			asks(lamp, "set", node(i), ok)
		}
		asks(lamp, "set", node(3), "type='error'.*resource-constraint")
		asks(lamp, "set", node(2), ok) // it is there already
		for i := range 2 {
			asks(juliet, "set", mine(fmt.Sprintf("<str name='KEY' value='secret-%d'/>", i)), "<claimed")
		}
		asks(juliet, "set", mine("<str name='KEY' value='secret-2'/>"), "type='error'.*resource-constraint")
		noted(lamp)
		asks(lamp, "set", "<update "+ns+" nodeId='0'><str name='A' value='1'/><str name='B' value='1'/><str name='C' value='1'/></update>", "type='error'.*policy-violation")
		asks(lamp, "set", "<register "+ns+" nodeId='2'><str name='A' value='1'/><str name='B' value='1'/><str name='KEY' value='12345678'/></register>", "type='error'.*policy-violation")
		for range 5 {
			asks(juliet, "set", mine(lampTags), notFound)
		}
		asks(juliet, "set", mine(lampTags), "type='error'.*policy-violation")
		asks(lamp, "set", mine(lampTags), notFound) // each for himself
		time.Sleep(time.Hour)
		asks(juliet, "set", mine(lampTags), notFound)
		for key, n := range map[string]string{"things_per_account": "1", "things_per_owner": "1", "tags": "2", "claims_per_hour": "1"} {
			if !b.Counts(fmt.Sprintf("stonechat_registry_limited_total{key=%q} %s", key, n)) {
				t.Errorf("%s is not counted", key)
			}
		}
	})
}

// What cannot be stored has not happened.
func TestFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t)
		lamp, juliet := b.peer("lamp@d/l"), b.peer("juliet@d/j")
		b.Disk.Failing.Store(true)
		asks(lamp, "set", register(lampTags), "type='error'.*internal-server-error")
		b.Disk.Failing.Store(false)
		asks(lamp, "set", register(lampTags), ok)
		b.Disk.Failing.Store(true)
		asks(juliet, "set", mine(lampTags), "type='error'.*internal-server-error")
		lamp.Gets()
		b.Disk.Failing.Store(false)
		if x := b.kept("lamp@d", ""); !x.Owner.IsZero() {
			t.Errorf("%+v", x)
		}
		asks(juliet, "set", mine(lampTags), "<claimed")
	})
}

// Of many who claim one thing at once one gets it, and others cannot tell why not.
func TestRace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t)
		lamp := b.peer("lamp@d/l")
		asks(lamp, "set", register(lampTags), ok)
		var wait sync.WaitGroup
		for i := range 8 {
			p := b.peer(fmt.Sprintf("p%d@d/r", i))
			wait.Go(func() { p.Feed("<iq type='set' id='1' to='things.d'>" + mine(lampTags) + "</iq>") })
		}
		wait.Wait()
		synctest.Wait()
		x := b.kept("lamp@d", "")
		if x.Owner.IsZero() {
			t.Fatal("nobody's")
		}
		b.saw("lamp@d+"+x.Owner.String(), "lamp@d:>"+x.Owner.String())
	})
}
