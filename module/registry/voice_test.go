// SPDX-License-Identifier: Apache-2.0

package registry_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stonechat-im/stonechat/internal/servertest"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/caps"
	"github.com/stonechat-im/stonechat/xmpp/disco"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

const voice = "registry@things.d"

// talks says something to an address of the service's and returns what comes back.
func talks(p *servertest.Peer, to, text string) string {
	p.Server.T.Helper()
	p.Send("<message type='chat' to='" + to + "'><body>" + text + "</body></message>")
	return strings.Join(p.Got(), "\n")
}

// TestVoice: at the address with a local part there is the same service, and nobody at any other.
func TestVoice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, juliet, romeo := claimed(t)
		juliet.Got()
		for who, want := range map[string]bool{
			"things.d": true, "things.e": true, voice: true, "registry@things.e": true, "d": false, "registry@d": false, "other@things.d": false,
			voice + "/stonechat": false, "things.d/x": false, "registry@things.x": false,
		} {
			if got := b.things.Speaks(jid.MustParse(who)); got != want {
				t.Errorf("%s speaks for it: %v", who, got)
			}
		}
		for to, want := range map[string]string{
			voice:                  "<message from='registry@things.d' to='juliet@d' ",
			voice + "/stonechat":   "<message from='registry@things.d' to='juliet@d' ",
			"things.d":             "<message from='things.d' to='juliet@d' ",
			"things.d/stonechat":   "<item-not-found",
			voice + "/other":       "<item-not-found",
			"other@things.d":       "<item-not-found",
			"registry@things.e":    "<message from='registry@things.e' to='juliet@d'",
			"registry@x.things.d":  "<remote-server-not-found",
			"registry@things.d.d2": "<remote-server-not-found",
		} {
			if got := talks(juliet, to, "things"); !strings.Contains(got, want) {
				t.Errorf("%s: %s\nwant %s", to, got, want)
			}
		}
		if got := talks(romeo, voice, "claim "+lampCode+";R:things.d"); !strings.Contains(got, "Nothing can be claimed by that code.") {
			t.Error(got)
		}
		for _, r := range []string{"registry@things.e", "other@things.d", "d"} {
			if got := talks(juliet, voice, "claim IoTDisco;KEY:x;R:"+r); !strings.Contains(got, "That thing is registered at "+r) {
				t.Error(got)
			}
		}
		tells(juliet, voice, "get", "<query xmlns='http://jabber.org/protocol/disco#info'/>", "<identity category='client' type='bot' name='Things'/>.*urn:xmpp:iot:discovery")
		tells(juliet, "things.d", "get", "<query xmlns='http://jabber.org/protocol/disco#items'/>", "<item jid='registry@things.d' name='Things'/>")
		tells(juliet, voice+"/stonechat", "get", "<query xmlns='http://jabber.org/protocol/disco#items' node='http://jabber.org/protocol/commands'/>", "stonechat:claim")
		tells(juliet, voice, "set", "<command xmlns='http://jabber.org/protocol/commands' node='stonechat:things'/>", "<value>lamp@d</value>")
		tells(juliet, voice, "get", "<query xmlns='jabber:iq:version'/>", "<service-unavailable")
	})
}

// TestVoicePresence: it is there for who asks, says no more of itself than what everybody may ask, and wants to see nobody.
func TestVoicePresence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t)
		b.watched = true
		juliet := b.peer("juliet@d/j")
		juliet.Got()
		here := "^<presence from='registry@things.d/stonechat' to='juliet@d'><status>Say help</status>" +
			"<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='https://stonechat.im/things' ver='[^']+'/></presence>$"
		for _, test := range []struct {
			send string
			want []string
		}{
			{"<presence type='subscribe' to='registry@things.d'/>", []string{"^<presence from='registry@things.d' to='juliet@d' type='subscribed'/>$", here}},
			{"<presence type='probe' to='registry@things.d'/>", []string{strings.Replace(here, "juliet@d", "juliet@d/j", 1)}},
			{"<presence type='unsubscribe' to='registry@things.d'/>", []string{"^<presence from='registry@things.d' to='juliet@d' type='unsubscribed'/>$"}},
			{"<presence type='subscribe' to='things.d'/>", []string{"type='subscribed'", "^<presence from='things.d' to='juliet@d'/>$"}},
			{"<presence type='subscribed' to='registry@things.d'/>", nil},
			{"<presence type='unsubscribed' to='registry@things.d'/>", nil},
			{"<presence to='registry@things.d'/>", nil},
			{"<presence type='unavailable' to='registry@things.d/stonechat'/>", nil},
			{"<presence type='subscribe' to='other@things.d'/>", []string{"<item-not-found"}},
		} {
			juliet.Send(test.send)
			juliet.Gets(test.want...)
		}
		juliet.Send("<presence type='probe' to='registry@things.d'/>")
		ver := regexp.MustCompile(`ver='([^']+)'`).FindStringSubmatch(juliet.Got()[0])[1]
		about := tells(juliet, voice+"/stonechat", "get", "<query xmlns='http://jabber.org/protocol/disco#info' node='https://stonechat.im/things#"+ver+"'/>", "node='https://stonechat.im/things#")
		s, err := stanza.Parse([]byte(strings.Replace(about, "<iq ", "<iq xmlns='jabber:client' ", 1)))
		if err != nil {
			t.Fatal(err)
		}
		var info disco.Info
		if _, err := s.Decode(&info); err != nil {
			t.Fatal(err)
		}
		if err := (&caps.Caps{Hash: caps.SHA1, Node: "https://stonechat.im/things", Ver: ver}).Verify(&info); err != nil {
			t.Error(err, about)
		}
		tells(juliet, "things.d", "get", "<query xmlns='http://jabber.org/protocol/disco#info' node='https://stonechat.im/things#"+ver+"'/>", notFound)
	})
}

// TestIntroduced: whoever owns a thing for the first time has the service among his contacts, and sees it; once, and not where his
// account is elsewhere.
func TestIntroduced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t)
		b.watched = true
		adopt := func(thing, owner string) {
			t.Helper()
			b.Account(thing)
			p, err := b.things.Adopt(t.Context(), store.Thing{ThingName: store.ThingName{JID: jid.MustParse(thing)}, Owner: jid.MustParse(owner)})
			if err != nil || p.Wait(t.Context()) != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		juliet := b.peer("juliet@d/j")
		juliet.Got()
		adopt("lamp@d", "juliet@d")
		juliet.Gets("^<presence from='registry@things.d/stonechat' to='juliet@d'>")
		adopt("door@d", "juliet@d")
		adopt("meter@d", "romeo@elsewhere")
		adopt("self@d", "self@d")
		juliet.Gets()
		if want := []string{"registry@things.d juliet@d"}; !slices.Equal(b.met, want) {
			t.Errorf("met %q, want %q", b.met, want)
		}
		// The commit that fails introduces nobody.
		b.Account("last@d")
		p, err := b.things.Adopt(t.Context(), store.Thing{ThingName: store.ThingName{JID: jid.MustParse("last@d")}, Owner: jid.MustParse("nurse@d")},
			store.SetDisabled{User: jid.MustParse("nobody@d")})
		nurse := b.peer("nurse@d/n")
		nurse.Got()
		if err != nil || p.Wait(t.Context()) == nil {
			t.Error("it was adopted", err)
		}
		nurse.Gets()
	})
}
