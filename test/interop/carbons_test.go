// SPDX-License-Identifier: Apache-2.0

//go:build linux

package interop

import "testing"

// TestCopies: what is said to an account, and by one of its devices, is on the screens of both (XEP-0280).
func TestCopies(t *testing.T) {
	t.Parallel()
	need(t, profanity)
	s := start(t)
	name, other := s.name("romeo"), s.name("juliet")
	desk, phone := newProfanityOn(s, name, "desk", s.authority), newProfanityOn(s, name, "phone", s.authority)
	juliet := newProfanityOn(s, other, "balcony", s.authority)
	for _, p := range []*profane{desk, phone, juliet} {
		p.arrive()
	}
	befriend(desk, juliet)

	// Of what one device says the other has a copy, under the same contact, as one's own words.
	desk.say(juliet.address(), "from the desk")
	juliet.hears(desk.address(), "from the desk")
	phone.chat(juliet.address())
	phone.until("what the desk has said", contains("me: from the desk"))

	// An answer goes to the device that has spoken; the other one shows it, too.
	juliet.say(desk.address(), "to the desk")
	desk.hears(juliet.address(), "to the desk")
	phone.hears(juliet.address(), "to the desk")

	// And the other way about.
	phone.say(juliet.address(), "from the phone")
	juliet.hears(desk.address(), "from the phone")
	desk.chat(juliet.address())
	desk.until("what the phone has said", contains("me: from the phone"))
	for _, p := range []*profane{desk, phone, juliet} {
		p.heardAll()
	}
}
