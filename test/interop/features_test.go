// SPDX-License-Identifier: Apache-2.0

//go:build linux

package interop

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestRegister makes an account with a client, and logs in to it with another (XEP-0077).
func TestRegister(t *testing.T) {
	t.Parallel()
	need(t, slixmpp)
	s := start(t)
	for _, transport := range []string{"starttls", "direct"} {
		romeo := newSlixmpp(s, "romeo-"+transport, s.authority, transport)
		romeo.do("register")
		romeo.expect("registered")
		romeo.expect("online " + romeo.own)
		romeo.leave()

		again := newSlixmpp(s, "romeo-"+transport, s.authority, transport)
		again.arrive()
		again.leave()

		// Somebody who wants the same name is told that it is taken, and may log in if it is theirs.
		again.do("register")
		again.expect("refused conflict")
		again.expect("online " + romeo.own)
		again.leave()
	}
}

// TestWrongPassword sees that a login fails where it should.
func TestWrongPassword(t *testing.T) {
	t.Parallel()
	need(t, slixmpp)
	s := start(t)
	romeo := newSlixmpp(s, s.name("romeo"), s.authority, "starttls")
	romeo.do("password wrong")
	romeo.do("connect")
	romeo.expect("failed auth")
	romeo.expect("disconnected")
	romeo.do("password %s", password)
	romeo.arrive()
}

// TestQuestions asks the server what clients ask it.
func TestQuestions(t *testing.T) {
	t.Parallel()
	need(t, slixmpp)
	s := start(t)
	juliet := newSlixmpp(s, s.name("juliet"), s.authority, "starttls")
	juliet.arrive()
	juliet.do("ping %s", domain)
	juliet.expect("pong " + domain)
	juliet.do("version %s", domain)
	juliet.expect("version " + domain + " Stonechat")
	juliet.do("disco %s", domain)
	juliet.expect("identity " + domain + " server/im")
	for _, feature := range []string{"http://jabber.org/protocol/disco#info", "http://jabber.org/protocol/disco#items",
		"jabber:iq:register", "jabber:iq:version", "urn:xmpp:ping", "urn:xmpp:time", "msgoffline"} {
		juliet.expect("feature " + domain + " " + feature)
	}
	juliet.do("time %s", domain)
	told, err := time.Parse(time.RFC3339, juliet.expect("time "+domain))
	if off := time.Since(told); err != nil || off < -time.Second || off > patience {
		t.Errorf("the time is %v: %v", told, err)
	}
	juliet.do("ping nowhere.test")
	juliet.expect("error ping remote-server-not-found")
}

// TestRoster changes contacts with one client and sees it with another of the same account (RFC 6121 §2).
func TestRoster(t *testing.T) {
	t.Parallel()
	need(t, slixmpp)
	s := start(t)
	name := s.name("juliet")
	here, there := newSlixmpp(s, name, s.authority, "starttls"), newSlixmpp(s, name, s.authority, "direct")
	here.arrive()
	there.arrive()
	here.do("name nurse@%s Nurse Ängelica <3", domain)
	here.expect("named")
	there.expect("contact nurse@" + domain + " none Nurse Ängelica <3")
	there.leave()
	here.do("name romeo@%s Romeo", domain)
	here.expect("named")
	there.arrive() // with the version that it has
	there.do("roster")
	there.expect("contact nurse@" + domain + " none Nurse")
	there.expect("contact romeo@" + domain + " none Romeo")
	here.do("remove nurse@%s", domain)
	here.expect("removed")
	there.expect("contact nurse@" + domain + " remove")
}

// TestResume cuts connections in the middle of a conversation: nothing is lost, and nothing comes
// twice, in either direction (XEP-0198).
func TestResume(t *testing.T) {
	t.Parallel()
	need(t, slixmpp)
	s := start(t)
	romeo := newSlixmpp(s, s.name("romeo"), s.authority, "starttls")
	juliet := newSlixmpp(s, s.name("juliet"), s.authority, "direct")
	romeo.arrive()
	romeo.expect("managed True")
	juliet.arrive()
	juliet.expect("managed True")
	befriend(romeo, juliet)

	// COMPAT(slixmpp, 2026): what is said while it is not connected overtakes what it sends again after
	// a resumption, so juliet says nothing then.
	n, said := 0, 0
	for round := range 5 {
		for range 10 {
			n++
			said++
			romeo.say(juliet.own, fmt.Sprint("to juliet ", n))
			juliet.say(romeo.own, fmt.Sprint("to romeo ", said))
		}
		if round%2 == 0 {
			juliet.do("cut")
			juliet.expect("disconnected")
			for range 10 { // nobody is there to read this
				n++
				romeo.say(juliet.own, fmt.Sprint("to juliet ", n))
			}
			romeo.settle()
		} else {
			juliet.do("cut") // with all in flight
			juliet.expect("disconnected")
		}
		juliet.do("connect")
		juliet.expect("resumed")
	}
	for i := range n {
		juliet.hears(romeo.own, fmt.Sprint("to juliet ", i+1))
	}
	for i := range said {
		romeo.hears(juliet.own, fmt.Sprint("to romeo ", i+1))
	}
	romeo.settle()
	juliet.settle()
	for _, a := range []*agent{romeo, juliet} {
		a.heardAll()
		a.inOrder()
	}
	if strings.Contains(romeo.transcript(), "presence "+juliet.own+" unavailable") {
		t.Error("romeo saw juliet leave, who was resuming")
	}
	if got := strings.Count(juliet.transcript(), "online "); got != 1 {
		t.Errorf("juliet logged in anew, %d times", got)
	}
}

// TestLost sees a contact go away whose connection broke and who manages no stream.
func TestLost(t *testing.T) {
	t.Parallel()
	need(t, slixmpp)
	s := start(t)
	romeo := newSlixmpp(s, s.name("romeo"), s.authority, "starttls")
	juliet := newSlixmpp(s, s.name("juliet"), s.authority, "starttls")
	juliet.do("unmanaged")
	romeo.arrive()
	juliet.arrive()
	befriend(romeo, juliet)
	juliet.do("cut")
	romeo.sees(juliet.own, "unavailable")
	at := span{from: time.Now()}
	romeo.say(juliet.own, "come back")
	romeo.settle()
	at.to = time.Now()
	juliet.arrive()
	romeo.sees(juliet.own, "available")
	juliet.hearsLate(romeo.own, "come back", at)
	juliet.heardAll()
}
