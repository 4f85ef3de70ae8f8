// SPDX-License-Identifier: Apache-2.0

//go:build linux

package interop

import (
	"testing"
	"time"
)

// person is a client with somebody in front of it. What it does not manage within patience fails the test.
type person interface {
	address() string // without resource

	arrive()            // logs in and is available
	leave()             // ends its stream properly
	away(status string) // is there, but away

	ask(contact string)            // to see the contact's presence
	accept(contact string)         // waits until the contact asks, and says yes
	sees(contact, presence string) // waits until it shows the contact as available, away or unavailable

	say(to, text string)
	settle()                              // waits until the server has dealt with all that was sent
	hears(from, text string)              // waits for a message that comes as it is sent
	hearsLate(from, text string, at span) // waits for one that says it was sent then
	heardAll()                            // there is no message but those it was to hear

	refused() // arrives, or rather not, for the server's certificate is none to trust
}

// span is a time between two others.
type span struct{ from, to time.Time }

// contains tells whether t may be a stamp of that time, which is cut to seconds by some.
func (s span) contains(t time.Time) bool {
	return !t.Before(s.from.Truncate(time.Second)) && !t.After(s.to)
}

// client is a kind of software.
type client struct {
	name string
	// available installs what is missing, as far as that needs no root, or tells why it cannot.
	available func() error
	// person sits down in front of one, who has an account already and trusts the authority.
	person func(s *server, name string, trusted *authority) person
}

// clients are all that may talk to each other.
var clients = []client{profanity, slixmpp, libstrophe, libstropheDirect, xmppjs, xmppjsWeb}

// need skips the test if a client is not here. In continuous integration that fails the build.
func need(t *testing.T, clients ...client) {
	t.Helper()
	for _, c := range clients {
		if err := c.available(); err != nil {
			t.Skipf("%s: %v", c.name, err)
		}
	}
}
