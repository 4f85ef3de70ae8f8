// SPDX-License-Identifier: Apache-2.0

package server

import (
	"testing"
	"time"
)

// The tests of this file are what test/crash has found, as small as it can be told.

// TestOwedWhileFlushing: what leaves to one client makes a stanza of another one safe, which is
// owed its ack in the same flush.
func TestOwedWhileFlushing(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, DefaultLimits(), "a b c")
		a, c, r := b.managed("a/1"), b.online("c/1"), b.online("b/1")
		release := b.store.stall() // nothing but its leaving makes the message safe
		defer release()
		r.st.mu.Lock()
		r.st.stuck = true
		r.st.mu.Unlock()
		a.send(chat("b@d", "1") + ask)
		a.gets("h='1'")
		r.st.mu.Lock()
		r.st.stuck = false
		r.st.mu.Unlock()
		c.send(chat("b@d", "2"))
		r.gets("id='1'", "id='2'")
		a.gets("h='2'")
		for range 3 { // and it is not deaf from now on
			a.send(ask)
			a.gets("h='2'")
			time.Sleep(time.Second)
		}
	})
}
