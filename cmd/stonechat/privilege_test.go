// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stonechat-im/stonechat/config"
	"github.com/stonechat-im/stonechat/module/privilege"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// components of the tests: all has every privilege at d, some has one half of each, none has nothing, and the
// accounts of e are for other.
const privileged = `components:
  all.d:
    secret: x
    privilege: {roster: both, message: outgoing, presence: roster, iq: {"jabber:iq:private": both, "urn:xmpp:ping": get, "http://jabber.org/protocol/pubsub": both}}
  some.d:
    secret: x
    privilege: {roster: get, push: false, presence: managed_entity, iq: {"jabber:iq:private": get}}
  none.d: {secret: x}
  other.e:
    secret: x
    privilege: {roster: both, message: outgoing, iq: {"jabber:iq:private": both}}
`

func (b *bed) joined(domain string) *gateway {
	b.t.Helper()
	g := b.gateway(domain)
	t := b.NewTurn()
	b.Joined(t, jid.MustParse(domain))
	t.End()
	synctest.Wait()
	return g
}

func forwardedMessage(component, host, from, more string) string {
	return "<message xmlns='jabber:client' from='" + component + "' to='" + host + "' id='m'><privilege xmlns='urn:xmpp:privilege:2'>" +
		"<forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' from='" + from + "' " + more + "</message></forwarded></privilege></message>"
}

func privilegedIQ(component, to, typ, inner string) string {
	return "<iq xmlns='jabber:client' from='" + component + "' to='" + to + "' type='" + typ + "' id='q'>" +
		"<privileged_iq xmlns='urn:xmpp:privilege:2'>" + inner + "</privileged_iq></iq>"
}

const privateXML = "<query xmlns='jabber:iq:private'><a xmlns='u:a'/></query>"

// TestPrivilegesRefused holds each permission against each component and each thing it could do.
func TestPrivilegesRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, privileged)
		b.Account("alice@d")
		b.Account("bob@d")
		b.Account("eve@e")
		b.Account("mallory@e")
		a, mallory := b.online("alice@d/1"), b.online("mallory@e/1")
		all := []string{"all.d", "some.d", "none.d", "other.e"}
		gates := map[string]*gateway{}
		for _, name := range all {
			gates[name] = b.joined(name)
			gates[name].got()
		}
		inner := func(typ, from, payload string) string {
			return "<iq xmlns='jabber:client' type='" + typ + "' id='i'" + from + ">" + payload + "</iq>"
		}
		for _, x := range []struct {
			what, xml string // %s is the component
			may       string // the components that may
		}{
			{"roster get", "<iq xmlns='jabber:client' from='%s' to='alice@d' type='get' id='q'><query xmlns='jabber:iq:roster'/></iq>", "all.d some.d"},
			{"roster get, no account", "<iq xmlns='jabber:client' from='%s' to='nobody@d' type='get' id='q'><query xmlns='jabber:iq:roster'/></iq>", ""},
			{"roster set", "<iq xmlns='jabber:client' from='%s' to='alice@d' type='set' id='q'><query xmlns='jabber:iq:roster'><item jid='x@y'/></query></iq>", "all.d"},
			{"roster get of another domain", "<iq xmlns='jabber:client' from='%s' to='eve@e' type='get' id='q'><query xmlns='jabber:iq:roster'/></iq>", "other.e"},
			{"request get", privilegedIQ("%s", "alice@d", "get", inner("get", "", privateXML)), "all.d some.d"},
			{"request set", privilegedIQ("%s", "alice@d", "set", inner("set", "", privateXML)), "all.d"},
			{"request of another namespace", privilegedIQ("%s", "alice@d", "get", inner("get", "", "<query xmlns='jabber:iq:version'/>")), ""},
			{"request of the roster", privilegedIQ("%s", "alice@d", "get", inner("get", "", "<query xmlns='jabber:iq:roster'/>")), ""},
			{"request named", privilegedIQ("%s", "alice@d", "get", inner("get", " from='alice@d'", privateXML)), "all.d some.d"},
			{"request as another", privilegedIQ("%s", "alice@d", "get", inner("get", " from='bob@d'", privateXML)), ""},
			{"request as a session", privilegedIQ("%s", "alice@d", "get", inner("get", " from='alice@d/1'", privateXML)), ""},
			{"request of another type", privilegedIQ("%s", "alice@d", "get", inner("set", "", privateXML)), ""},
			{"request of no namespace", privilegedIQ("%s", "alice@d", "get", "<iq type='get' id='i'>"+privateXML+"</iq>"), ""},
			{"request to a session", privilegedIQ("%s", "alice@d/1", "get", inner("get", "", privateXML)), ""},
			{"request to a domain", privilegedIQ("%s", "d", "get", inner("get", "", privateXML)), ""},
			{"request to nobody", privilegedIQ("%s", "nobody@d", "get", inner("get", "", privateXML)), ""},
			{"request at another domain", privilegedIQ("%s", "eve@e", "get", inner("get", "", privateXML)), "other.e"},
			{"request within a request", privilegedIQ("%s", "alice@d", "get", inner("get", "", "<privileged_iq xmlns='urn:xmpp:privilege:2'/>")), ""},
			{"message", forwardedMessage("%s", "d", "alice@d", "to='bob@d' type='chat'><body>x</body>"), "all.d"},
			{"message of the domain", forwardedMessage("%s", "d", "d", "to='bob@d' type='chat'><body>x</body>"), "all.d"},
			{"message as nobody", forwardedMessage("%s", "d", "nobody@d", "to='bob@d'><body>x</body>"), ""},
			{"message as a session", forwardedMessage("%s", "d", "alice@d/1", "to='bob@d'><body>x</body>"), ""},
			{"message as one of another domain", forwardedMessage("%s", "d", "eve@e", "to='bob@d'><body>x</body>"), ""},
			{"message by another domain", forwardedMessage("%s", "e", "eve@e", "to='bob@d'><body>x</body>"), "other.e"},
			{"message as a component", forwardedMessage("%s", "d", "all.d", "to='bob@d'><body>x</body>"), ""},
			{"message as somebody elsewhere", forwardedMessage("%s", "d", "x@elsewhere", "to='bob@d'><body>x</body>"), ""},
		} {
			for _, name := range append(all, "x@all.d", "all.d/r", "elsewhere", "mallory@e/1") {
				from := b.bystander(gates, name)
				b.from(fmt.Sprintf(x.xml, name))
				got := strings.Join(append(from.got(), mallory.Got()...), "\n")
				refused := strings.Contains(got, "<forbidden") || strings.Contains(got, "<service-unavailable")
				if may := strings.Contains(" "+x.may+" ", " "+name+" "); may == refused || !may && strings.Contains(got, "result") {
					t.Errorf("%s by %s: %s", x.what, name, got)
				}
				a.Got()
			}
		}
	})
}

// got takes all that the gateway was sent.
func (g *gateway) got() []string {
	synctest.Wait()
	g.mu.Lock()
	defer g.mu.Unlock()
	all := g.took
	g.took = nil
	return all
}

// bystander is where what an address is answered comes to.
func (b *bed) bystander(gates map[string]*gateway, name string) *gateway {
	domain := jid.MustParse(name).Domain()
	if gates[domain] == nil && !b.Serves(domain) {
		gates[domain] = b.gateway(domain)
	}
	if g := gates[domain]; g != nil {
		g.got()
		return g
	}
	return new(gateway)
}

// A component hears what it may do when it connects, and what of that has changed. XEP-0356 §4.2, §6.2
func TestPrivilegesAnnounced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, privileged)
		all, none := b.joined("all.d"), b.joined("none.d")
		none.gets(t)
		all.gets(t, "<message from='d' to='all.d' <privilege xmlns='urn:xmpp:privilege:2'> access='roster' type='both' push='true' "+
			"access='message' type='outgoing' ns='urn:xmpp:ping' type='get' access='presence' type='roster' <privilege xmlns='urn:xmpp:privilege:1'>")
		for _, m := range b.mods {
			if p, ok := m.(*privilege.Module); ok {
				next := privilege.Grants{
					"all.d":  {Domains: []string{"d"}, Privilege: config.Privilege{Roster: "get", Push: true, IQ: map[string]string{"urn:xmpp:ping": "get"}}},
					"none.d": {Domains: []string{"d"}, Privilege: config.Privilege{Message: "outgoing"}},
				}
				p.Reload(privilege.New(privilege.Config{}, next))
				p.Reload(privilege.New(privilege.Config{}, next)) // tells nobody anything new
			}
		}
		all.gets(t, "access='roster' type='get' access='message' type='none' ns='http://jabber.org/protocol/pubsub' type='none' ns='urn:xmpp:ping' type='get' access='presence' type='none'")
		none.gets(t, "access='message' type='outgoing'")
		b.Account("alice@d")
		b.from(forwardedMessage("all.d", "d", "alice@d", "to='alice@d'><body>x</body>"))
		all.gets(t, "type='error' <forbidden")
	})
}

// What a component sends in the name of an account is archived and copied as what its client sends. XEP-0356 §5.3
func TestPrivilegedMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, privileged+"modules: {mam: {default: always}}\n")
		b.Account("alice@d")
		b.Account("bob@d")
		all := b.joined("all.d")
		all.got()
		bob := b.online("bob@d/1")
		all.got()
		// She is away: it is archived for her all the same.
		b.from(forwardedMessage("all.d", "d", "alice@d", "to='bob@d' type='chat' id='1'><body>one</body>"))
		bob.gets("from='alice@d' id='1' one")
		a := b.online("alice@d/1")
		a.Send("<iq type='set' id='c'><enable xmlns='urn:xmpp:carbons:2'/></iq>")
		all.got()
		a.Got()
		b.from(forwardedMessage("all.d", "d", "alice@d", "to='x@all.d' type='chat' id='2'><body>two</body><stanza-id xmlns='urn:xmpp:sid:0' by='alice@d' id='forged'/>"))
		all.gets(t, "<message from='alice@d' to='x@all.d' id='2' two")
		copies := a.Got()
		if len(copies) != 1 || !matches(copies[0], "<sent <forwarded from='alice@d' to='x@all.d' two") || !matches(copies[0], "<stanza-id by='alice@d'") || strings.Contains(copies[0], "forged") {
			t.Errorf("copies: %s", copies)
		}
		a.Send("<iq type='set' id='q'><query xmlns='urn:xmpp:mam:2'/></iq>")
		if got := strings.Join(a.Got(), "\n"); !strings.Contains(got, "one") || !strings.Contains(got, "two") {
			t.Errorf("archive: %s", got)
		}
		// An error of it comes to the account, not to the component.
		b.from(forwardedMessage("all.d", "d", "alice@d", "to='nobody@d' type='chat' id='3'><body>three</body>"))
		all.gets(t)
		// The domain's own, and the older namespace.
		b.from(strings.ReplaceAll(forwardedMessage("all.d", "d", "d", "to='bob@d' id='4'><body>four</body>"), "privilege:2", "privilege:1"))
		bob.gets("from='d' four")
		// What is no message, and nothing.
		b.from(strings.ReplaceAll(strings.ReplaceAll(forwardedMessage("all.d", "d", "alice@d", "to='bob@d'>"), "<message xmlns='jabber:client' from='alice", "<presence xmlns='jabber:client' from='alice"), "</message></f", "</presence></f"))
		all.gets(t, "type='error' <bad-request")
		b.from("<message xmlns='jabber:client' from='all.d' to='d' id='5'><privilege xmlns='urn:xmpp:privilege:2'/></message>")
		all.gets(t, "type='error' <bad-request")
	})
}

// A request in the name of an account is answered to whoever made it, whoever answers. XEP-0356 §6.3
func TestPrivilegedRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, privileged)
		b.Account("alice@d")
		all := b.joined("all.d")
		all.got()
		elsewhere := b.gateway("elsewhere")
		set := "<iq xmlns='jabber:client' type='set' id='s'><query xmlns='jabber:iq:private'><a xmlns='u:a'>kept</a></query></iq>"
		get := "<iq xmlns='jabber:client' type='get' id='g'>" + privateXML + "</iq>"
		b.from(privilegedIQ("all.d", "alice@d", "set", set)) // she is away
		all.gets(t, "type='result' from='alice@d' to='all.d' id='q' <privilege <forwarded id='s' type='result'")
		b.from(privilegedIQ("all.d", "alice@d", "get", get))
		all.gets(t, "type='result' id='q' <privilege id='g' type='result' kept")
		pub := "<iq xmlns='jabber:client' type='set' id='p'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='u:n'><item id='1'><x xmlns='u:x'/></item></publish></pubsub></iq>"
		b.from(privilegedIQ("all.d", "alice@d", "set", pub))
		all.gets(t, "type='result' id='q' <privilege id='p' type='result'")
		// Elsewhere, and its error.
		b.from(privilegedIQ("all.d", "alice@d", "get", "<iq xmlns='jabber:client' to='x@elsewhere' type='get' id='e'><ping xmlns='urn:xmpp:ping'/></iq>"))
		asked := elsewhere.got()
		if len(asked) != 1 || !matches(asked[0], "from='alice@d' to='x@elsewhere' urn:xmpp:ping") {
			t.Fatalf("%s", asked)
		}
		_, id, _ := strings.Cut(asked[0], " id='")
		id, _, _ = strings.Cut(id, "'")
		b.from("<iq xmlns='jabber:client' from='x@elsewhere' to='alice@d' type='error' id='" + id + "'><error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>")
		all.gets(t, "type='error' from='alice@d' id='q' <privilege id='e' item-not-found </privilege> <error item-not-found")
		// Nobody answers.
		b.from(privilegedIQ("all.d", "alice@d", "get", "<iq xmlns='jabber:client' to='x@elsewhere' type='get' id='e'><ping xmlns='urn:xmpp:ping'/></iq>"))
		all.gets(t)
		<-time.After(time.Minute)
		all.gets(t, "type='error' from='alice@d' id='q' remote-server-timeout")
		// What is no request.
		b.from(privilegedIQ("all.d", "alice@d", "get", ""))
		all.gets(t, "type='error' <bad-request")
		b.from(privilegedIQ("all.d", "alice@d", "get", "<iq xmlns='jabber:client' type='get' id='e'/>"))
		all.gets(t, "type='error' <bad-request")
	})
}

// A component reads, changes and hears of rosters; of its own contacts it says who sees whom. XEP-0356 §4
func TestPrivilegedRoster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, privileged)
		alice := b.Account("alice@d", store.RosterItem{Contact: jid.MustParse("bob@d"), Name: "Bob"})
		a := b.online("alice@d/1")
		all, some := b.joined("all.d"), b.joined("some.d")
		all.got()
		some.got()
		b.from("<iq xmlns='jabber:client' from='some.d' to='alice@d' type='get' id='1'><query xmlns='jabber:iq:roster'/></iq>")
		some.gets(t, "type='result' from='alice@d' id='1' jid='bob@d' name='Bob'")
		b.from("<iq xmlns='jabber:client' from='all.d' to='alice@d' type='set' id='2'><query xmlns='jabber:iq:roster'><item jid='x@all.d' name='X' subscription='both'><group>G</group></item></query></iq>")
		a.gets("jid='x@all.d' name='X' subscription='both' <group>G")
		all.gets(t, "type='set' from='alice@d' jid='x@all.d' subscription='both'", "<presence from='alice@d/1' to='x@all.d'", "type='result' id='2'")
		some.gets(t)
		// Not so of others' contacts.
		b.from("<iq xmlns='jabber:client' from='all.d' to='alice@d' type='set' id='3'><query xmlns='jabber:iq:roster'><item jid='y@elsewhere' subscription='both'/></query></iq>")
		a.gets("jid='y@elsewhere' subscription='none'")
		all.got()
		if it := b.item(alice, jid.MustParse("y@elsewhere")); it.Subscription != 0 {
			t.Errorf("%+v", it)
		}
		// Nor by the account itself.
		a.Send("<iq type='set' id='4'><query xmlns='jabber:iq:roster'><item jid='z@all.d' subscription='both'/></query></iq>")
		all.gets(t, "type='set' from='alice@d' jid='z@all.d' subscription='none'")
		a.Got()
		// A change of somebody who is away is told, too.
		a.End()
		all.got()
		b.from("<iq xmlns='jabber:client' from='all.d' to='alice@d' type='set' id='5'><query xmlns='jabber:iq:roster'><item jid='x@all.d' subscription='remove'/></query></iq>")
		if got := strings.Join(all.got(), "\n"); !matches(got, "jid='x@all.d' subscription='remove'") || !strings.Contains(got, "id='5'") {
			t.Errorf("%s", got)
		}
	})
}

// A component sees who comes and goes, and with roster also what their contacts say. XEP-0356 §7, §8
func TestPrivilegedPresence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, privileged)
		friend := store.RosterItem{Contact: jid.MustParse("romeo@elsewhere"), Subscription: store.SubscriptionBoth}
		b.Account("alice@d", friend, store.RosterItem{Contact: jid.MustParse("bob@d"), Subscription: store.SubscriptionTo})
		b.Account("bob@d", friend, store.RosterItem{Contact: jid.MustParse("alice@d"), Subscription: store.SubscriptionFrom})
		b.Account("eve@e", friend)
		b.gateway("elsewhere")
		all, some := b.joined("all.d"), b.joined("some.d")
		all.got()
		some.got()
		a := b.online("alice@d/1")
		for _, g := range []*gateway{all, some} {
			g.gets(t, "<presence from='alice@d/1'")
		}
		a.Send("<presence><show>away</show></presence>")
		all.gets(t) // nobody here sees her
		some.gets(t)
		b.from("<presence xmlns='jabber:client' from='romeo@elsewhere/1' to='alice@d'><show>dnd</show></presence>")
		b.from("<presence xmlns='jabber:client' from='romeo@elsewhere/1' to='bob@d'><show>dnd</show></presence>") // who is away
		b.from("<presence xmlns='jabber:client' from='romeo@elsewhere/1' to='eve@e'><show>xa</show></presence>")
		b.from("<presence xmlns='jabber:client' from='stranger@elsewhere/1' to='alice@d'/>")
		all.gets(t, "<presence from='romeo@elsewhere/1' to='all.d' dnd")
		some.gets(t)
		bob := b.online("bob@d/1")
		all.gets(t, "<presence from='bob@d/1' to='all.d'")
		some.gets(t, "<presence from='bob@d/1' to='some.d'")
		bob.Send("<presence><show>chat</show></presence>")
		all.gets(t, "<presence from='bob@d/1' to='all.d' chat")
		some.gets(t)
		// Who comes later is told all of it.
		turn := b.NewTurn()
		b.Joined(turn, jid.MustParse("all.d"))
		turn.End()
		got := strings.Join(all.got(), "\n")
		for _, want := range []string{"from='alice@d/1' away", "from='bob@d/1' chat", "from='romeo@elsewhere/1' dnd"} {
			if !matches(got, want) {
				t.Errorf("no %s in %s", want, got)
			}
		}
		a.Send("<presence type='unavailable'/>")
		bob.End()
		b.from("<presence xmlns='jabber:client' from='romeo@elsewhere/1' to='alice@d' type='unavailable'/>")
		b.from("<presence xmlns='jabber:client' from='romeo@elsewhere/1' to='bob@d' type='unavailable'/>")
		all.gets(t, "from='alice@d/1' type='unavailable'", "from='bob@d/1' type='unavailable'", "from='romeo@elsewhere/1' type='unavailable'")
		some.gets(t, "from='alice@d/1' type='unavailable'", "from='bob@d/1' type='unavailable'")
	})
}
