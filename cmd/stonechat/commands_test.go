// SPDX-License-Identifier: Apache-2.0

package main

import (
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const endSessions = "<command xmlns='http://jabber.org/protocol/commands' node='stonechat:end-sessions'"

var sessionID = regexp.MustCompile(`sessionid='(\w+)'`)

// answered sends a request, and is what it is answered.
func (p *peer) answered(to, typ, payload string) string {
	p.b.t.Helper()
	p.Send("<iq type='" + typ + "' id='q' to='" + to + "'>" + payload + "</iq>")
	got := p.Got()
	if len(got) == 0 {
		p.b.t.Fatalf("%s is not answered", payload)
	}
	return got[len(got)-1]
}

// TestCommandBounds: commands under way are bounded in number, for one and for all, and in time.
func TestCommandBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, "modules: {commands: {sessions: 3, sessions_of_one: 2, expire: 1m}}\n")
		b.Account("alice@d")
		b.Account("bob@d")
		alice, bob := b.online("alice@d/r"), b.online("bob@d/r")
		b.online("alice@d/s")
		b.online("bob@d/s")
		begin := func(p *peer) string {
			t.Helper()
			got := p.answered(p.Session.JID.Bare().String(), "set", endSessions+"/>")
			if m := sessionID.FindStringSubmatch(got); m != nil {
				return m[1]
			}
			return got
		}
		goOn := func(p *peer, session, parts string) {
			t.Helper()
			if got := p.answered(p.Session.JID.Bare().String(), "set", endSessions+" sessionid='"+session+"' action='next'><x xmlns='jabber:x:data' type='submit'><field var='resource'><value>s</value></field></x></command>"); !matches(got, parts) {
				t.Errorf("goes on by %s, want %s", got, parts)
			}
		}
		first, second, third := begin(alice), begin(alice), begin(alice)
		goOn(alice, first, "type='error' type='cancel' <not-allowed <session-expired")
		if begin(bob); !matches(begin(bob), "type='error' type='wait' <resource-constraint") {
			t.Error("bob has begun more than there may be")
		}
		if got := b.Metric("stonechat_commands_ended_total"); got != "2" {
			t.Errorf("the metric says %q", got)
		}
		if got := b.Metric("stonechat_commands_under_way"); got != "3" {
			t.Errorf("the metric says %q", got)
		}
		time.Sleep(59 * time.Second)
		goOn(alice, second, "status='executing'")
		time.Sleep(time.Second)
		goOn(alice, third, "type='error' <session-expired")
		goOn(alice, second, "type='error' <bad-action") // it is at its last stage, and alive
		if got := begin(bob); strings.HasPrefix(got, "<") {
			t.Errorf("bob is answered %s", got)
		}
	})
}

// TestCommandsOff: a server without the module has no commands, and does not say so.
func TestCommandsOff(t *testing.T) {
	for more, want := range map[string]bool{"": true, "modules: {commands: false}\n": false} {
		synctest.Test(t, func(t *testing.T) {
			b := newBed(t, more)
			b.Account("alice@d")
			alice := b.online("alice@d/r")
			for _, to := range []string{"d", "alice@d", "pubsub.d"} {
				if got := alice.answered(to, "get", "<query xmlns='http://jabber.org/protocol/disco#info'/>"); strings.Contains(got, "protocol/commands'") != want {
					t.Errorf("%s says of itself %s", to, got)
				}
				got := alice.answered(to, "set", "<command xmlns='http://jabber.org/protocol/commands' node='fly'/>")
				if strings.Contains(got, "<item-not-found") != want || strings.Contains(got, "<service-unavailable") == want {
					t.Errorf("%s answers %s", to, got)
				}
			}
		})
	}
}
