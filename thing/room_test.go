// SPDX-License-Identifier: Apache-2.0

package thing_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stonechat-im/stonechat/thing"
)

// occupant is the presence of somebody in the room.
func occupant(nick, real, role string) string {
	return fmt.Sprintf("<presence from='robots@rooms.example.org/%s'><x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='%s' jid='%s/x'/></x></presence>",
		nick, role, real)
}

// gone is the presence of somebody who has left the room.
func gone(nick string) string {
	return fmt.Sprintf("<presence type='unavailable' from='robots@rooms.example.org/%s'><x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='none'/></x></presence>", nick)
}

func said(nick, words string) string {
	return fmt.Sprintf("<message from='robots@rooms.example.org/%s' type='groupchat'><body>%s</body></message>", nick, words)
}

// In a room nobody is obeyed who has not the role: not when he speaks, and not any more when his turn comes; nor by the name of another.
func TestRoomRefusals(t *testing.T) {
	const words = "@juliet set lamp on"
	busy := []string{said("masked", "@juliet walk")} // what comes behind it waits
	for _, test := range []struct {
		name     string
		before   []string
		say      string
		thinking []string // comes while the service thinks about it
		waiting  []string // comes while it waits for its turn
	}{
		{name: "a participant", say: said("guest", words)},
		{name: "a visitor", before: []string{occupant("viewer", "viewer@example.org", "visitor")}, say: said("viewer", words)},
		{name: "nobody", say: said("nobody", words)},
		{name: "the room", say: "<message from='robots@rooms.example.org' type='groupchat'><body>" + words + "</body></message>"},
		{name: "one who has left", before: []string{gone("boss")}, say: said("boss", words)},
		{name: "one who was moderator", before: []string{occupant("boss", "boss@example.org", "participant")}, say: said("boss", words)},
		{name: "one who is moderator no more when it is decided", say: said("boss", words), thinking: []string{occupant("boss", "boss@example.org", "participant")}},
		{name: "one who is gone when it is decided", say: said("boss", words), thinking: []string{gone("boss")}},
		{name: "one who has come again when it is decided", say: said("boss", words), thinking: []string{gone("boss"), occupant("boss", "boss@example.org", "moderator")}},
		{name: "one who was moderator when he spoke", before: busy, say: said("boss", words), waiting: []string{occupant("boss", "boss@example.org", "participant")}},
		{name: "one who is moderator later", before: busy, say: said("guest", words), waiting: []string{occupant("guest", "guest@example.org", "moderator")}},
		{name: "a moderator with the name of who spoke", before: busy, say: said("guest", words), waiting: []string{gone("guest"), occupant("guest", "boss@example.org", "moderator")}},
		{name: "a moderator in the place of who spoke", before: busy, say: said("guest", words), waiting: []string{occupant("guest", "boss@example.org", "moderator")}},
		{name: "another one with a moderator's name", before: append([]string{gone("boss"), occupant("boss", "guest@example.org", "participant")}, busy...), say: said("boss", words)},
		{name: "a participant, aside", say: "<message from='robots@rooms.example.org/guest' type='chat'><body>set lamp on</body></message>"},
		{name: "one who has left, aside", before: []string{gone("boss")}, say: "<message from='robots@rooms.example.org/boss' type='chat'><body>set lamp on</body></message>"},
		{name: "in a room where it is not", say: "<message from='others@rooms.example.org/boss' type='groupchat'><body>" + words + "</body></message>"},
	} {
		t.Run(test.name, func(t *testing.T) {
			inLab(t, func(t *testing.T, l *lab) {
				set := home(l)
				free := make(chan struct{})
				l.config.Commands = append(l.config.Commands, thing.Command{Name: "walk", Do: func(context.Context, map[string]thing.Value) (string, error) {
					<-free
					return "walked", nil
				}})
				p := l.start(t)
				inHome(p)
				for _, x := range test.before {
					p.Say("%s", x)
				}
				p.Say("%s", test.say)
				synctest.Wait()
				if len(test.thinking) > 0 {
					id := p.Expect("<iq to='things.example.org' id='([^']+)' type='get'><canControl .*jid='boss@example.org'.*")[1]
					for _, x := range test.thinking {
						p.Say("%s", x)
					}
					synctest.Wait()
					p.Say("<iq from='things.example.org' id='%s' type='result'><canControlResponse xmlns='urn:xmpp:iot:provisioning' jid='boss@example.org' result='true'/></iq>", id)
				}
				for _, x := range test.waiting {
					p.Say("%s", x)
				}
				synctest.Wait()
				close(free)
				synctest.Wait()
				p.Say("<iq %s id='fence' type='get'><ping xmlns='urn:xmpp:ping'/></iq>", fromOwner)
				yes := func(question string) (string, string) {
					if len(test.thinking) == 0 {
						t.Errorf("the service is asked: %s", question)
					}
					return "true", "" // whoever should not be asked about may
				}
				for got := ""; !strings.Contains(got, "id='fence'"); {
					if got = hear(p, yes); strings.Contains(got, "done") {
						t.Errorf("answered: %s", got)
					}
				}
				if set.Load() > 0 {
					t.Error("it was obeyed")
				}
				go func() { _ = p.End() }()
			})
		})
	}
}

// Where the service does not know now who may do what, a moderator is told that, and is obeyed when it knows again.
func TestRoomUndecided(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		set := home(l)
		p := l.start(t)
		inHome(p)
		ask := func(answer string) {
			t.Helper()
			p.Say("%s", said("boss", "@juliet set lamp on"))
			id := p.Expect("<iq to='things.example.org' id='([^']+)' type='get'><canControl .*jid='boss@example.org'.*")[1]
			p.Say("<iq from='things.example.org' id='%s' %s</iq>", id, answer)
		}
		ask("type='error'><error type='wait'><internal-server-error xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>")
		told := func(want string) {
			t.Helper()
			if got := hear(p, func(string) (string, string) { return "false", "" }); !strings.Contains(got, want) {
				t.Errorf("told %s, want %s", got, want)
			}
		}
		told("cannot be looked up now")
		if set.Load() > 0 {
			t.Error("obeyed without a decision")
		}
		<-time.After(20 * time.Second)
		ask("type='result'><canControlResponse xmlns='urn:xmpp:iot:provisioning' jid='boss@example.org' result='true'/>")
		told("done: lamp on")
		go func() { _ = p.End() }()
	})
}
