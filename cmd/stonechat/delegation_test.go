// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stonechat-im/stonechat/module/delegation"
	"github.com/stonechat-im/stonechat/xmpp/caps"
	"github.com/stonechat-im/stonechat/xmpp/disco"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

const delegating = `components:
  nodes.d:
    secret: x
    delegation: {"http://jabber.org/protocol/pubsub": [], "urn:xmpp:mam:2": [node], "u:feature": [], "urn:xmpp:delegation:2:bare:disco#info:*": [], "urn:xmpp:delegation:2:bare:disco#items:*": []}
`

// forwarded takes the one request that the gateway was handed on, and returns the id to answer it by.
func (g *gateway) forwarded(t *testing.T, parts string) (id string) {
	t.Helper()
	got := g.got()
	if len(got) != 1 || !matches(got[0], "<iq from='d' to='nodes.d' type='set' <delegation <forwarded "+parts) {
		t.Fatalf("the gateway got %s", got)
	}
	_, id, _ = strings.Cut(got[0], " id='")
	id, _, _ = strings.Cut(id, "'")
	return id
}

func delegatedAnswer(id, inner string) string {
	return "<iq xmlns='jabber:client' from='nodes.d' to='d' type='result' id='" + id + "'><delegation xmlns='urn:xmpp:delegation:2'>" +
		"<forwarded xmlns='urn:xmpp:forward:0'>" + inner + "</forwarded></delegation></iq>"
}

// describe answers what a component is asked about itself when it connects.
func (b *bed) describe(g *gateway, features map[string]string) {
	for _, ask := range g.got() {
		_, id, _ := strings.Cut(ask, " id='")
		id, _, _ = strings.Cut(id, "'")
		_, node, _ := strings.Cut(ask, " node='")
		node, _, _ = strings.Cut(node, "'")
		if strings.HasPrefix(ask, "<iq") {
			b.from("<iq xmlns='jabber:client' from='nodes.d' to='d' type='result' id='" + id + "'><query xmlns='http://jabber.org/protocol/disco#info'>" + features[node] + "</query></iq>")
		}
	}
}

// Requests of delegated namespaces, and no others, are answered by the component. XEP-0355 §4.3
func TestDelegation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, delegating)
		b.Account("alice@d")
		b.Account("bob@d")
		b.Account("eve@e")
		a, e := b.online("alice@d/1"), b.online("eve@e/1")
		const items = "<pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='n'/></pubsub>"
		a.Send("<iq type='get' id='0'>" + items + "</iq>")
		a.gets("id='0' type='error' <service-unavailable") // it is not connected
		g := b.joined("nodes.d")
		announced := g.got()
		if len(announced) == 0 || !matches(announced[0], "<message from='d' to='nodes.d' <delegation namespace='http://jabber.org/protocol/pubsub' namespace='urn:xmpp:mam:2' <attribute name='node'") {
			t.Errorf("%s", announced)
		}
		answer := func(id, to, more string) string {
			return "<iq xmlns='jabber:client' to='" + to + "' type='result' id='" + id + "'" + more + "><pubsub xmlns='http://jabber.org/protocol/pubsub'/></iq>"
		}
		for _, x := range []struct{ what, to, from string }{
			{"no address", "", "alice@d"}, {"own account", " to='alice@d'", "alice@d"}, {"an account", " to='bob@d'", "bob@d"},
			{"nobody", " to='nobody@d'", "nobody@d"}, {"the domain", " to='d'", "d"},
		} {
			a.Send("<iq type='get' id='1'" + x.to + ">" + items + "</iq>")
			id := g.forwarded(t, "xmlns='jabber:client' from='alice@d/1' id='1' type='get' node='n'")
			b.from(delegatedAnswer(id, answer("1", "alice@d/1", "")))
			a.gets("from='" + x.from + "' id='1' type='result' <pubsub")
		}
		// Somebody elsewhere asks.
		e.Send("<iq type='get' id='2' to='alice@d'>" + items + "</iq>")
		b.from(delegatedAnswer(g.forwarded(t, "from='eve@e/1' to='alice@d'"), answer("2", "eve@e/1", " from='alice@d'")))
		e.gets("from='alice@d' type='result' id='2'")
		// What may not be the answer.
		for what, inner := range map[string]string{
			"to":   answer("3", "eve@e/1", ""),
			"from": answer("3", "alice@d/1", " from='bob@d'"),
			"id":   answer("4", "alice@d/1", ""),
			"type": strings.Replace(answer("3", "alice@d/1", ""), "'result'", "'set'", 1),
			"kind": "<message xmlns='jabber:client' to='alice@d/1' id='3'/>",
		} {
			a.Send("<iq type='get' id='3'>" + items + "</iq>")
			b.from(delegatedAnswer(g.forwarded(t, "id='3'"), inner))
			if got := a.Got(); len(got) != 1 || !matches(got[0], "id='3' type='error' <service-unavailable") {
				t.Errorf("wrong %s: %s", what, got)
			}
		}
		for _, whole := range []string{
			"<iq xmlns='jabber:client' from='nodes.d' to='d' type='error' id='%'><error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>",
			"<iq xmlns='jabber:client' from='nodes.d' to='d' type='result' id='%'/>",
		} {
			a.Send("<iq type='get' id='3'>" + items + "</iq>")
			b.from(strings.Replace(whole, "%", g.forwarded(t, "id='3'"), 1))
			a.gets("id='3' type='error' <service-unavailable")
		}
		// By somebody else, or never.
		a.Send("<iq type='get' id='5'>" + items + "</iq>")
		id := g.forwarded(t, "id='5'")
		b.from(strings.Replace(delegatedAnswer(id, answer("5", "alice@d/1", "")), "from='nodes.d'", "from='bob@d/x'", 1))
		if got := a.Got(); len(got) != 0 {
			t.Errorf("%s", got)
		}
		<-time.After(time.Minute)
		a.gets("id='5' type='error' <service-unavailable")
		// Not delegated: without the attribute, of another domain, to a session, by the component itself.
		a.Send("<iq type='set' id='6'><query xmlns='urn:xmpp:mam:2'/></iq>")
		e.Send("<iq type='get' id='7'>" + items + "</iq>")
		b.from("<iq xmlns='jabber:client' from='nodes.d' to='alice@d' type='get' id='8'>" + items + "</iq>")
		g.gets(t, "from='alice@d' id='8'")
		if got := strings.Join(a.Got(), ""); !matches(got, "id='6' <fin") {
			t.Errorf("%s", got)
		}
		e.gets("id='7'")
		a.Send("<iq type='set' id='9'><query xmlns='urn:xmpp:mam:2' node='n'/></iq>")
		g.forwarded(t, "id='9'")
	})
}

// Service discovery says what the component can do, and asks it about nodes. XEP-0355 §7.2
func TestDelegationDisco(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, delegating)
		b.Account("alice@d")
		a := b.online("alice@d/1")
		const info = "<query xmlns='http://jabber.org/protocol/disco#info'/>"
		a.Send("<iq type='get' id='1'>" + info + "</iq>")
		if got := strings.Join(a.Got(), ""); strings.Contains(got, "pubsub") {
			t.Errorf("it is not there, and its features are: %s", got)
		}
		g := b.joined("nodes.d")
		b.describe(g, map[string]string{
			"urn:xmpp:delegation:2::u:feature":                             "<feature var='u:feature'/>",
			"urn:xmpp:delegation:2:bare:http://jabber.org/protocol/pubsub": "<identity category='pubsub' type='pep'/><feature var='http://jabber.org/protocol/pubsub#special'/>",
			"urn:xmpp:delegation:2::urn:xmpp:mam:2":                        strings.Repeat("<feature var='u:long'/>", 1000),
		})
		a.Send("<iq type='get' id='2' to='alice@d'>" + info + "</iq><iq type='get' id='3' to='d'>" + info + "</iq>")
		got := a.Got()
		if len(got) != 2 {
			t.Fatalf("%s", got)
		}
		if !matches(got[0], "category='account' category='pubsub' pubsub#special") || strings.Count(got[0], "pubsub#") != 1 || strings.Contains(got[0], "u:feature") {
			t.Errorf("account: %s", got[0])
		}
		if !matches(got[1], "var='urn:xmpp:delegation:2' var='u:feature'") || strings.Contains(got[1], "u:long") || strings.Contains(got[1], "urn:xmpp:mam:2'") {
			t.Errorf("server: %s", got[1])
		}
		a.Send("<iq type='get' id='4' to='alice@d'><query xmlns='http://jabber.org/protocol/disco#info' node='n'/></iq>")
		g.forwarded(t, "id='4'")
		a.Send("<iq type='get' id='5' to='alice@d'><query xmlns='http://jabber.org/protocol/disco#items'/></iq>")
		g.forwarded(t, "id='5'")
		// The hash that the server announces stands for that, and is another at a domain where nothing is delegated.
		b.Account("eve@e")
		e := b.online("eve@e/1")
		hashes := map[string]string{}
		for to, p := range map[string]*peer{"d": a, "e": e} {
			p.Send("<iq type='get' id='h' to='" + to + "'>" + info + "</iq>")
			hashes[to] = hashOf(t, p.Got())
			for _, node := range []string{hashes[to], "unknown"} {
				p.Send("<iq type='get' id='n' to='" + to + "'><query xmlns='http://jabber.org/protocol/disco#info' node='https://stonechat.im#" + node + "'/></iq>")
				got := p.Got()
				if node == "unknown" {
					if len(got) != 1 || !matches(got[0], "type='error' <item-not-found") {
						t.Errorf("%s", got)
					}
				} else if again := hashOf(t, got); again != node {
					t.Errorf("at %s the node %s has the hash %s", to, node, again)
				}
			}
		}
		if hashes["d"] == hashes["e"] {
			t.Errorf("both domains have the hash %s", hashes["d"])
		}
		// What is taken away is the server's again.
		for _, m := range b.mods {
			if d, ok := m.(*delegation.Module); ok {
				d.Reload(delegation.New(delegation.Config{}, delegation.Grants{"nodes.d": {Domains: []string{"d"}}}))
			}
		}
		g.gets(t, "<message from='d' to='nodes.d' <delegation")
		a.Send("<iq type='get' id='6' to='alice@d'>" + info + "</iq>")
		if got := strings.Join(a.Got(), ""); strings.Contains(got, "pubsub#special") || !strings.Contains(got, "pubsub#publish") {
			t.Errorf("%s", got)
		}
	})
}

// hashOf is that of what service discovery has answered. XEP-0115 §5.1
func hashOf(t *testing.T, got []string) string {
	t.Helper()
	if len(got) != 1 {
		t.Fatalf("%s", got)
	}
	s, err := stanza.Parse(stanza.Standalone([]byte(got[0])))
	if err != nil {
		t.Fatal(err)
	}
	var info disco.Info
	if found, err := s.Decode(&info); !found || err != nil {
		t.Fatalf("%s: %v", got, err)
	}
	ver, err := caps.Ver(caps.SHA1, &info)
	if err != nil {
		t.Fatal(err)
	}
	return ver
}
