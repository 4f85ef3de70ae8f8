// SPDX-License-Identifier: Apache-2.0

package server

import (
	"runtime"
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
		r.st.stick()
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

// TestSpooledInOrder: what came after a connection broke is spooled at once, what came just before
// it a little later; both are drained in the order in which they came.
func TestSpooledInOrder(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, DefaultLimits(), "a b")
		a, r := b.managed("a/1"), b.managed("b/1")
		a.send(chat("b@d", "1"))
		r.lose()
		a.send(chat("b@d", "2"))
		time.Sleep(2 * time.Minute) // spooled; then the session expires
		a.send(chat("b@d", "3"))
		b.online("b/2").gets("id='1'", "id='2'", "id='3'")
	})
}

// TestLeftOrSpooled: to a client without stream management a message either leaves or waits for
// the next session, never both and never neither.
func TestLeftOrSpooled(t *testing.T) {
	for _, c := range []struct {
		name  string
		stuck bool
		ends  func(r *peer)
		taken bool // by the session that ends
	}{
		{"queued in another turn, then closed", false, (*peer).end, true},
		{"not read, then closed", true, (*peer).end, false},
		{"not read, then lost", true, func(r *peer) { r.st.Abort() }, false},
		{"lost before it was queued", false, func(r *peer) { r.st.Abort() }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				b := newBench(t, DefaultLimits(), "a b")
				a, r := b.managed("a/1"), b.online("b/1")
				if c.stuck {
					r.st.stick()
				}
				if c.name == "lost before it was queued" {
					r.st.mu.Lock()
					r.st.aborted = true // and nobody has told the session yet
					r.st.mu.Unlock()
					a.send(chat("b@d", "1"))
					r.st.mu.Lock()
					r.st.aborted = false
					r.st.mu.Unlock()
					c.ends(r)
				} else {
					turn := b.NewTurn()
					a.in.Feed([]byte(chat("b@d", "1")))
					if _, err := a.in.Next(); err != nil {
						t.Fatal(err)
					}
					if _, err := a.se.Receive(turn, a.st, a.in.Element()); err != nil {
						t.Fatal(err)
					}
					c.ends(r)
					turn.End()
				}
				if c.taken {
					r.gets("id='1'")
				}
				r.st.unstick()
				r.gets()
				next := b.online("b/2")
				if c.taken {
					next.gets()
				} else {
					next.gets("<delay ")
				}
				a.send(ask)
				a.gets("h='2'")
			})
		})
	}
}

// TestNothingToResume: what had not left when stream management was turned on is not counted, so
// that a resumption could not bring it.
func TestNothingToResume(t *testing.T) {
	for _, lost := range []bool{true, false} {
		inBubble(t, func(t *testing.T) {
			b := newBench(t, DefaultLimits(), "a b")
			a, r := b.managed("a/1"), b.online("b/1")
			r.st.stick()
			a.send(chat("b@d", "1"))
			r.se.Manage(time.Minute)
			a.send(chat("b@d", "2"))
			if lost {
				r.st.Abort()
				r.settle()
			}
			n, err := r.resume(0)
			if err != nil {
				t.Fatal(err)
			}
			n.gets("<failed")
			b.online("b/2").gets("id='1'", "id='2'")
		})
	}
}

// TestAckedWhileSpooling: a row whose message is acked just when it is spooled is deleted behind
// its making, not before.
func TestAckedWhileSpooling(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, DefaultLimits(), "a b")
		a, r := b.managed("a/1"), b.managed("b/1")
		acked := func() {
			go func() {
				if err := r.batch(ack("1")); err != nil {
					t.Error(err)
				}
			}()
			for range 1000 {
				runtime.Gosched()
			}
		}
		b.store.adding.Store(&acked)
		a.send(chat("b@d", "1"))
		time.Sleep(time.Second)
		if n := b.spooled("b"); n != 0 {
			t.Errorf("%d rows of an acked message", n)
		}
		b.store.adding.Store(nil)
	})
}
