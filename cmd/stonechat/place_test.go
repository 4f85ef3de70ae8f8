// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// gateway is a place that notes what it takes, as a component would be sent it.
type gateway struct {
	mu   sync.Mutex
	took []string
}

func (*gateway) Present() bool { return true }

func (g *gateway) Take(_ *server.Turn, s *stanza.Stanza) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.took = append(g.took, string(s.Append(nil, "")))
	return nil
}

// gets compares what the gateway took, in order, each by parts of it that spaces separate.
func (g *gateway) gets(t *testing.T, wants ...string) {
	t.Helper()
	synctest.Wait()
	g.mu.Lock()
	got := g.took
	g.took = nil
	g.mu.Unlock()
	ok := len(got) == len(wants)
	for i := 0; ok && i < len(wants); i++ {
		ok = matches(got[i], wants[i])
	}
	if !ok {
		t.Errorf("the gateway got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(wants, "\n\t"))
	}
}

func (b *bed) gateway(domain string) *gateway {
	b.t.Helper()
	g := new(gateway)
	if _, err := b.Attach(domain, g); err != nil {
		b.t.Fatal(err)
	}
	return g
}

// TestGatewayContact: to an account a contact at a component is one as any other (RFC 6121 §3, §4).
func TestGatewayContact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, "")
		g := b.gateway("sms.d")
		alice, phone := b.Account("alice@d"), jid.MustParse("49123@sms.d")
		a := b.online("alice@d/1")

		a.Send("<presence to='49123@sms.d/x' type='subscribe'/>")
		g.gets(t, "<presence from='alice@d' to='49123@sms.d' type='subscribe'")
		a.gets("ask='subscribe'")
		b.from("<presence xmlns='jabber:client' from='49123@sms.d' to='alice@d' type='subscribed'/>")
		a.gets("type='subscribed' from='49123@sms.d'", "subscription='to'")
		b.from("<presence xmlns='jabber:client' from='49123@sms.d/gw' to='alice@d'><status>here</status></presence>")
		a.gets("from='49123@sms.d/gw' here")

		b.from("<presence xmlns='jabber:client' from='49123@sms.d' to='alice@d' type='subscribe'/>")
		a.gets("type='subscribe' from='49123@sms.d'")
		a.Send("<presence to='49123@sms.d' type='subscribed'/>")
		g.gets(t, "from='alice@d' type='subscribed'", "<presence from='alice@d/1' to='49123@sms.d'")
		a.gets("subscription='both'")
		if it := b.item(alice, phone); it.Subscription != store.SubscriptionBoth {
			t.Errorf("%+v", it)
		}

		// What alice says of herself comes to it; her next session asks how it is.
		a.Send("<presence><status>lunch</status></presence>")
		g.gets(t, "from='alice@d/1' to='49123@sms.d' lunch")
		b.from("<presence xmlns='jabber:client' from='49123@sms.d' to='alice@d' type='probe'/>")
		g.gets(t, "from='alice@d/1' to='49123@sms.d' lunch")
		a.Got()
		second := b.online("alice@d/2")
		g.gets(t, "from='alice@d/2' to='49123@sms.d'", "from='alice@d/2' type='probe'")
		second.End()
		g.gets(t, "from='alice@d/2' type='unavailable'")
		a.End()
		g.gets(t, "from='alice@d/1' type='unavailable'")
		b.from("<presence xmlns='jabber:client' from='49123@sms.d' to='alice@d' type='probe'/>")
		g.gets(t, "<presence from='alice@d' to='49123@sms.d' type='unavailable'")

		// Who may not see her learns nothing.
		b.from("<presence xmlns='jabber:client' from='stranger@sms.d' to='alice@d' type='probe'/>")
		g.gets(t, "type='unsubscribed' from='alice@d' to='stranger@sms.d'")

		a = b.online("alice@d/1")
		g.gets(t, "from='alice@d/1'", "type='probe'")
		a.Send("<iq type='set' id='x'><query xmlns='jabber:iq:roster'><item jid='49123@sms.d' subscription='remove'/></query></iq>")
		g.mu.Lock()
		all := strings.Join(g.took, "\n")
		g.mu.Unlock()
		for _, want := range []string{"type='unsubscribe'", "type='unsubscribed'", "type='unavailable'"} {
			if !strings.Contains(all, want) {
				t.Errorf("at removal no %s in %s", want, all)
			}
		}
	})
}

// TestRoomAsks: whoever enters a room is asked by all that are in it, as they are resources of
// one address, and where the room is a place of this server by all that speak through it; nobody
// else learns whether a session exists (XEP-0045 §7.2, RFC 6121 §8.5.3.1).
func TestRoomAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, "")
		g, far := b.gateway("irc.d"), b.gateway(server.Elsewhere)
		b.gateway("sms.d")
		b.Account("alice@d")
		b.Account("bob@d")
		a := b.online("alice@d/1")
		n := 0
		asks := func(from string) (reached bool) {
			n++
			b.from(fmt.Sprintf("<iq xmlns='jabber:client' from='%s' to='alice@d/1' type='get' id='%d'><ping xmlns='urn:xmpp:ping'/></iq>", from, n))
			got := a.Got()
			g.mu.Lock()
			defer g.mu.Unlock()
			g.took = nil
			return len(got) == 1
		}
		if asks("room@irc.d/bob") {
			t.Error("a room that alice is not in reaches her")
		}
		a.Send("<presence to='room@irc.d/alice'/><presence to='room@example.net/alice'/>")
		g.gets(t, "from='alice@d/1' to='room@irc.d/alice'")
		far.gets(t, "from='alice@d/1' to='room@example.net/alice'")
		a.Got()
		for from, want := range map[string]bool{
			"room@irc.d/bob": true, "room@irc.d/alice": true, "room@irc.d": true, "bob%room@irc.d": true, "irc.d": true,
			"room@example.net/bob": true, "room@example.net": true, "bob@example.net": false, "example.net": false,
			"sms.d": false, "room@sms.d/bob": false, "room@example.com/bob": false, "bob@d/1": false,
		} {
			if got := asks(from); got != want {
				t.Errorf("%s reaches her: %v", from, got)
			}
		}
		a.Send("<presence to='room@irc.d/alice' type='unavailable'/>")
		a.Got()
		if asks("room@irc.d/bob") {
			t.Error("a room that alice has left reaches her")
		}
		// An account is no room.
		a.Send("<presence to='bob@d/1'/>")
		a.Got()
		if asks("bob@d/2") || !asks("bob@d/1") {
			t.Error("presence to one session lets another ask")
		}
	})
}

// TestGuests: what somebody without an account may do, and may not (XEP-0175 §3).
func TestGuests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, "")
		room := b.gateway("rooms.d")
		b.gateway("away.d")
		far := b.gateway(server.Elsewhere)
		alice := b.Account("alice@d")
		a := b.online("alice@d/1")

		g := &peer{b.Guest("guest@d/r"), b}
		g.Send("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq><presence/>")
		g.gets("type='result' id='r'", "from='guest@d/r'")

		for _, c := range []struct{ sent, told string }{
			{"<message to='alice@d' id='m'><body>hi</body></message>", ""},
			{"<message to='alice@e' id='m'><body>hi</body></message>", "service-unavailable"},
			{"<message to='room@rooms.d' type='groupchat' id='m'><body>hi</body></message>", ""},
			{"<presence to='room@rooms.d/guest' id='p'/>", ""},
			{"<iq type='set' to='room@rooms.d' id='i'><q xmlns='u:q'/></iq>", ""},
			{"<message to='alice@example.net' id='m'><body>hi</body></message>", "forbidden"},
			{"<presence to='alice@example.net' id='p'/>", "forbidden"},
			{"<iq type='get' to='example.net' id='i'><q xmlns='u:q'/></iq>", "forbidden"},
			{"<presence to='alice@d' type='subscribe' id='p'/>", "not-allowed"},
			{"<presence to='alice@d' type='subscribed' id='p'/>", "not-allowed"},
			{"<presence to='alice@d' type='unsubscribe' id='p'/>", "not-allowed"},
			{"<presence to='alice@d' type='unsubscribed' id='p'/>", "not-allowed"},
			{"<presence to='room@rooms.d' type='subscribe' id='p'/>", "not-allowed"},
			{"<iq type='set' id='i'><query xmlns='jabber:iq:roster'><item jid='alice@d'/></query></iq>", "not-allowed"},
			{"<iq type='set' to='guest@d' id='i'><query xmlns='jabber:iq:roster'><item jid='alice@d'/></query></iq>", "not-allowed"},
			{"<iq type='set' to='d' id='i'><query xmlns='jabber:iq:register'><remove/></query></iq>", "not-allowed"},
			{"<iq type='set' to='d' id='i'><query xmlns='jabber:iq:register'><username>guest</username><password>x</password></query></iq>", "not-allowed"},
			{"<iq type='set' to='alice@d' id='i'><q xmlns='u:q'/></iq>", "not-allowed"},
			{"<iq type='get' to='d' id='i'><ping xmlns='urn:xmpp:ping'/></iq>", "type='result'"},
		} {
			g.Send(c.sent)
			got := strings.Join(g.Got(), "")
			if c.told == "" && got != "" || !strings.Contains(got, c.told) {
				t.Errorf("%s: told %q, want %q", c.sent, got, c.told)
			}
		}
		a.gets("from='guest@d/r' hi")
		room.gets(t, "groupchat", "<presence", "<iq")
		far.gets(t)

		// Nobody has a guest for a contact.
		a.Send("<presence to='guest@d' type='subscribe'/>")
		a.gets("ask='subscribe'", "type='unsubscribed' from='guest@d'", "subscription='none'")
		b.from("<presence xmlns='jabber:client' from='alice@d' to='guest@d' type='subscribed'/>")
		g.gets()
		if it := b.item(alice, jid.MustParse("guest@d")); it.Subscription != store.SubscriptionNone || it.Ask {
			t.Errorf("%+v", it)
		}
		g.End()
		room.gets(t, "from='guest@d/r' to='room@rooms.d/guest' type='unavailable'")
		a.Send("<message to='guest@d' type='chat' id='late'><body>hi</body></message>")
		a.gets("id='late' service-unavailable")
	})
}
