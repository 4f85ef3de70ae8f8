// SPDX-License-Identifier: Apache-2.0

//go:build linux

package interop

import (
	"testing"
	"time"
)

// TestTalk lets two people with different clients play the whole story: each client with the next.
func TestTalk(t *testing.T) {
	for i, c := range clients {
		pair := [2]client{c, clients[(i+1)%len(clients)]}
		t.Run(pair[0].name+"+"+pair[1].name, func(t *testing.T) {
			t.Parallel()
			need(t, pair[:]...)
			s := start(t)
			talk(pair[0].person(s, s.name("romeo"), s.authority), pair[1].person(s, s.name("juliet"), s.authority))
		})
	}
}

// talk is the story.
func talk(romeo, juliet person) {
	romeo.arrive()
	juliet.arrive()

	befriend(romeo, juliet)

	// They talk, with all that XML and UTF-8 have in store.
	for _, text := range []string{"wherefore art thou?", `<b>"1" & '2'</b> ]]> &amp;`, "Grüße, Ἰουλιέττα! 🌹", "  a  b"} {
		romeo.say(juliet.address(), text)
		juliet.hears(romeo.address(), text)
		juliet.say(romeo.address(), text)
		romeo.hears(juliet.address(), text)
	}

	romeo.away("under the balcony")
	juliet.sees(romeo.address(), "away")

	// Each goes away, is missed, and reads later what the other had to say meanwhile (XEP-0160).
	separate(romeo, juliet)
	separate(juliet, romeo)

	romeo.heardAll()
	juliet.heardAll()
	romeo.leave()
	juliet.sees(romeo.address(), "unavailable")
	juliet.leave()
}

// befriend lets two get to know each other (RFC 6121 §3).
func befriend(a, b person) {
	a.ask(b.address())
	b.accept(a.address())
	b.ask(a.address())
	a.accept(b.address())
	a.sees(b.address(), "available")
	b.sees(a.address(), "available")
}

// separate sends one away and back, while the other stays.
func separate(stays, goes person) {
	goes.heardAll()
	goes.leave()
	stays.sees(goes.address(), "unavailable")

	at := span{from: time.Now()}
	texts := []string{"parting is such sweet sorrow", "goodnight, goodnight 🌙", "till it be morrow"}
	for _, text := range texts {
		stays.say(goes.address(), text)
	}
	stays.settle()
	at.to = time.Now()

	goes.arrive()
	for _, text := range texts {
		goes.hearsLate(stays.address(), text, at)
	}
	stays.sees(goes.address(), "available")
	goes.say(stays.address(), "I am here again")
	stays.hears(goes.address(), "I am here again")
}
