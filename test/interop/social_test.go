// SPDX-License-Identifier: Apache-2.0

//go:build linux

package interop

import (
	"fmt"
	"path/filepath"
	"strconv"
	"testing"
)

// stanzaJS is the library stanza, for JavaScript, over WebSocket.
var stanzaJS = client{name: "stanza", available: xmppjs.available}

// social makes clients that go to rooms, read archives and have nodes. All understand the same words.
var social = map[string]func(s *server, name string) *agent{
	"slixmpp": func(s *server, name string) *agent {
		s.t.Helper()
		interpreter, err := python()
		if err != nil {
			s.t.Fatal(err)
		}
		own := name + "@" + domain
		return startAgent(s.t, "social-"+name, own, s.authority.environment(), interpreter, "-W", "ignore", "clients/slixmpp_social.py",
			own, password, s.client.IP.String(), strconv.Itoa(s.client.Port), "starttls")
	},
	"stanza": func(s *server, name string) *agent {
		s.t.Helper()
		folder, err := node()
		if err != nil {
			s.t.Fatal(err)
		}
		own := name + "@" + domain
		return startAgent(s.t, "stanza-"+name, own, s.authority.environment(), "node", filepath.Join(folder, "stanza_agent.mjs"),
			own, password, fmt.Sprintf("wss://%s:%d/xmpp-websocket", domain, s.https.Port), s.https.IP.String())
	},
}

// TestSocial lets each of two libraries begin what the other takes part in.
func TestSocial(t *testing.T) {
	for _, pair := range [][2]string{{"slixmpp", "stanza"}, {"stanza", "slixmpp"}} {
		t.Run(pair[0]+"+"+pair[1], func(t *testing.T) {
			t.Parallel()
			need(t, slixmpp, stanzaJS)
			s := start(t)
			romeo, juliet := s.name("romeo"), s.name("juliet")
			a, phone := social[pair[0]](s, romeo), social[pair[1]](s, romeo)
			b := social[pair[1]](s, juliet)
			for _, x := range []*agent{a, phone, b} {
				x.arrive()
			}
			befriend(a, b)
			meet(a, b)
			copies(a, phone, b)
			news(a, b)

			// stanza tells its own name; contacts who use it, too, hear of it (XEP-0163).
			speaks, hears := b, phone
			if pair[0] == "stanza" {
				speaks, hears = a, a
			}
			speaks.do("nick Jule & co")
			speaks.expect("published nick")
			hears.expect("nick " + speaks.own + " Jule & co")
		})
	}
}

// meet lets one make a room, and another come later, read what was said, and answer.
func meet(a, b *agent) {
	room := "garden@conference." + domain
	a.do("join %s Romeo", room)
	a.expect("joined " + room)
	a.do("unlock %s", room)
	a.expect("unlocked " + room)
	texts := []string{"But, soft!", "what light through yonder <window> breaks?", "It is the east 🌅"}
	for _, text := range texts {
		a.do("roomsay %s %s", room, text)
		a.expect("room " + room + "/Romeo " + text)
	}
	b.do("join %s Juliet", room)
	for _, text := range texts {
		b.expect("roomlate " + room + "/Romeo " + text)
	}
	b.expect("joined " + room)
	b.do("roomsay %s Ay me!", room)
	a.expect("room " + room + "/Juliet Ay me!")
	for _, x := range []*agent{a, b} {
		x.do("archive %s", room)
		for _, text := range texts {
			x.expect("kept " + room + " " + room + "/Romeo " + text)
		}
		x.expect("kept " + room + " " + room + "/Juliet Ay me!")
		if got := x.expect("archive " + room); got != "4" {
			x.t.Errorf("%s found %s messages", x.name, got)
		}
	}
}

// copies lets somebody talk on one device and follow on another, and find all of it in the archive.
func copies(a, phone, b *agent) {
	phone.do("copies")
	phone.expect("copying")
	a.say(b.own, "With love's light wings")
	b.hears(a.own, "With love's light wings")
	phone.expect("copy to " + b.own + " With love's light wings")
	b.say(a.own, "If they do see thee & know")
	a.hears(b.own, "If they do see thee & know")
	phone.hears(b.own, "If they do see thee & know") // for the account: it needs no copy
	for _, x := range []*agent{a, phone} {
		x.do("archive %s", a.own)
		x.expect("kept " + a.own)
		x.expect("archive " + a.own)
	}
}

// news lets one publish what another has subscribed to.
func news(a, b *agent) {
	service := "pubsub." + domain
	a.do("create %s verona", service)
	a.expect("created " + service + " verona")
	b.do("subscribe %s verona", service)
	b.expect("subscribed " + service + " verona")
	for i, text := range []string{"Two households", "both alike in <dignity>", "🌹"} {
		a.do("publish %s verona %d %s", service, i, text)
		a.expect(fmt.Sprintf("published %s verona %d", service, i))
		b.expect(fmt.Sprintf("item %s verona %d %s", service, i, text))
	}
	a.do("retract %s verona 1", service)
	a.expect("gone " + service + " verona 1")
	b.do("items %s verona", service)
	b.expect("has " + service + " verona 0 Two households")
	b.expect("has " + service + " verona 2 🌹")
	b.expect("items " + service + " verona")
	b.do("publish %s verona 3 forged", service)
	b.expect("error publish forbidden")
}
