// SPDX-License-Identifier: Apache-2.0

package thing_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stonechat-im/stonechat/internal/testserver"
	"github.com/stonechat-im/stonechat/thing"
)

// pings waits for the question whether the thing is in the room still, and is its id.
func pings(p *testserver.Peer) string {
	p.T.Helper()
	return p.Expect("<iq to='robots@rooms.example.org/juliet' id='([^']+)' type='get'><ping xmlns='urn:xmpp:ping'/></iq>")[1]
}

const enters = "<presence to='robots@rooms.example.org/juliet' id='[^']+'><x xmlns='http://jabber.org/protocol/muc'><history maxstanzas='0'/></x></presence>"

// A thing that hears nothing from its room asks whether it is there still, enters it again where it is not, and obeys nobody in between.
func TestRoomLost(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.config.Client.Keepalive, l.config.Client.AnswerTime = 100*time.Hour, 100*time.Hour
		set := home(l)
		p := l.start(t)
		inHome(p)
		synctest.Wait()
		state := func(in bool, lost int) {
			t.Helper()
			synctest.Wait()
			got := l.thing.Rooms()
			if len(got) != 1 || got[0].JID != roomAddress || got[0].In != in || got[0].Lost != lost || got[0].Since.IsZero() {
				t.Errorf("in %v and lost %d times, but it says %+v", in, lost, got)
			}
		}
		state(true, 0)
		answer := func(id, condition string) {
			if condition == "" {
				p.Say("<iq from='robots@rooms.example.org/juliet' id='%s' type='result'/>", id)
				return
			}
			p.Say("<iq from='robots@rooms.example.org/juliet' id='%s' type='error'><error type='cancel'><%s xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>", id, condition)
		}

		// Nothing is asked before the room was silent for long.
		begun := time.Now()
		for range 3 {
			<-time.After(14 * time.Minute)
			p.Say("<message from='robots@rooms.example.org/guest' type='groupchat'><body>hello</body></message>")
			synctest.Wait()
		}
		for _, condition := range []string{"", "service-unavailable", "feature-not-implemented", "item-not-found"} {
			id := pings(p)
			if d := time.Since(begun); d < 15*time.Minute {
				t.Errorf("asked after %s", d)
			}
			begun = time.Now()
			answer(id, condition)
			state(true, 0)
		}
		// Where nobody can say, it is asked again, sooner.
		for _, condition := range []string{"remote-server-timeout", "remote-server-not-found"} {
			answer(pings(p), condition)
			state(true, 0)
		}
		pings(p) // of which there is no answer
		<-time.After(2 * time.Minute)
		state(true, 0)
		answer(pings(p), "not-acceptable")
		p.Expect(enters)
		state(false, 1)
		p.Say("<message from='robots@rooms.example.org/masked' type='groupchat'><body>@juliet set lamp on</body></message>")
		synctest.Wait()
		if set.Load() > 0 {
			t.Error("it obeys in a room that it is not in")
		}
		// No answer to that: it tries again.
		begun = time.Now()
		p.Expect(enters)
		if d := time.Since(begun); d < time.Minute || d > 2*time.Minute {
			t.Errorf("it tried again after %s", d)
		}
		p.Say("<presence from='robots@rooms.example.org/masked'><x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='participant'/></x></presence>")
		p.Say("<presence from='robots@rooms.example.org/juliet'><x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='participant'/><status code='110'/></x></presence>")
		state(true, 1)
		// Who was moderator before is obeyed no more: the role is what the room says now.
		p.Say("<message from='robots@rooms.example.org/masked' type='groupchat'><body>@juliet set lamp on</body></message>")
		synctest.Wait()
		if set.Load() > 0 {
			t.Error("it obeys by a role that it heard of before")
		}
		// What it says there comes back: it is found out at once.
		p.Say("<message from='robots@rooms.example.org' type='error'><body>x</body><error type='modify'><not-acceptable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>")
		p.Expect(enters)
		state(false, 2)
		go func() { _ = p.End() }()
	})
}

// A thing that people have sent out does not come back by itself, and does not ask.
func TestRoomSentOut(t *testing.T) {
	for what, status := range map[string]string{"kicked": "<status code='307'/>", "banned": "<status code='301'/>", "destroyed": "<destroy/>"} {
		t.Run(what, func(t *testing.T) {
			inLab(t, func(t *testing.T, l *lab) {
				l.config.Client.Keepalive, l.config.Client.AnswerTime = 100*time.Hour, 100*time.Hour
				home(l)
				p := l.start(t)
				inHome(p)
				p.Say("<presence type='unavailable' from='robots@rooms.example.org/juliet'><x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='none'/><status code='110'/>%s</x></presence>", status)
				<-time.After(2 * time.Hour)
				p.Say("<iq %s id='fence' type='get'><ping xmlns='urn:xmpp:ping'/></iq>", fromOwner)
				if got := p.Expect("(<(?:iq|presence).*)")[1]; !strings.Contains(got, "id='fence'") {
					t.Error(got)
				}
				if s := l.thing.Rooms()[0]; s.In || s.Lost != 1 {
					t.Errorf("%+v", s)
				}
				go func() { _ = p.End() }()
			})
		})
	}
}

// A room that is never asked about.
func TestRoomNotChecked(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.config.Client.Keepalive, l.config.Client.AnswerTime = 100*time.Hour, 100*time.Hour
		home(l)
		l.config.Rooms = []thing.Room{{JID: roomAddress, Check: -1}}
		p := l.start(t)
		inHome(p)
		// Nor where the room says something that has the thing look after it.
		p.Say("<presence type='error' from='robots@rooms.example.org/juliet'><error type='modify'><not-acceptable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>")
		<-time.After(24 * time.Hour)
		p.Say("<iq %s id='fence' type='get'><ping xmlns='urn:xmpp:ping'/></iq>", fromOwner)
		if got := p.Expect("(<(?:iq|presence).*)")[1]; !strings.Contains(got, "id='fence'") {
			t.Error(got, fmt.Sprint(l.thing.Rooms()))
		}
		go func() { _ = p.End() }()
	})
}
