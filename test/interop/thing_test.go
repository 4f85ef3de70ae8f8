// SPDX-License-Identifier: Apache-2.0

//go:build linux

package interop

import (
	"slices"
	"strings"
	"testing"
)

// ours runs a command of stonechat's, with our SDK under it, on a string.
func ours(s *server, name string, args ...string) *agent {
	s.t.Helper()
	own := name + "@" + domain
	return startAgent(s.t, "stonechat-"+strings.Join(args[:1], "-")+"-"+name, own, s.as(own), append([]string{stonechat.MustPath(s.t)}, args...)...)
}

// as is what our commands are told of who they are.
func (s *server) as(own string) []string {
	return []string{"STONECHAT_JID=" + own, "STONECHAT_PASSWORD=" + password, "STONECHAT_ADDRESS=" + s.client.String(), "STONECHAT_CA=" + s.authority.file}
}

// TestThing lets a thing of our SDK tell slixmpp its readings, and obey it.
func TestThing(t *testing.T) {
	t.Parallel()
	need(t, slixmpp)
	s := start(t)
	owner := newSlixmpp(s, s.name("owner"), s.authority, "starttls")
	owner.arrive()
	thing := ours(s, s.name("sensor"), "thing", "run", "--owner", owner.own, "--stdin", "--field", "temperature", "--unit", "Cel", "--set", "lamp=boolean")
	thing.do("21.5")
	if told := owner.expect("message " + thing.own); !strings.Contains(told, "21.5") {
		t.Errorf("the owner was told %q", told)
	}
	owner.say(thing.own, "set lamp true")
	thing.expect("lamp on")
	owner.expect("message " + thing.own + " done: lamp on")
	owner.say(thing.own, "read")
	if told := owner.expect("message " + thing.own); !strings.Contains(told, "21.5") {
		t.Errorf("asked to read, it said %q", told)
	}
}

// TestCommands sends and listens with our commands, to and from slixmpp.
func TestCommands(t *testing.T) {
	t.Parallel()
	need(t, slixmpp)
	s := start(t)
	juliet := newSlixmpp(s, s.name("juliet"), s.authority, "direct")
	juliet.arrive()
	ours(s, s.name("romeo"), "send", juliet.own, "wherefore <art> thou? 🌹")
	juliet.hears("romeo@"+domain, "wherefore <art> thou? 🌹")

	juliet.say("romeo@"+domain, "too late & yet")
	juliet.settle()
	romeo := ours(s, "romeo", "listen", "--json")
	for _, part := range []string{`"delayed":true`, `too late`} {
		romeo.await("no "+part, func() bool {
			return slices.ContainsFunc(romeo.lines, func(l line) bool { return strings.Contains(l.text, part) })
		})
	}
}
