// SPDX-License-Identifier: Apache-2.0

package server

import (
	"runtime"
	"strconv"
	"strings"
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

// TestDrainKeepsOrder: what a session is sent while it drains, and what comes while it does not
// want messages for a moment, are in the order in which they came.
func TestDrainKeepsOrder(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, DefaultLimits(), "a b")
		a, r := b.managed("a/1"), b.managed("b/1")
		r.send("<presence type='unavailable'/>")
		a.send(chat("b@d", "1"))
		release := b.store.stall() // the drain waits
		r.send("<presence/>")
		a.send(chat("b@d", "2")) // held
		r.send("<presence type='unavailable'/>")
		a.send(chat("b@d", "3"))
		r.send("<presence/>")
		a.send(chat("b@d", "4"))
		release()
		r.getsBesideAsks("id='1'", "id='2'", "id='3'", "id='4'")
	})
}

// TestOneDrainsAtATime: a session drains only when no other one's worker has rows that it may give back (D2).
func TestOneDrainsAtATime(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, DefaultLimits(), "a b")
		a := b.online("a/1")
		a.send(chat("b@d", "1") + chat("b@d", "2") + chat("b@d", "3"))
		r := b.bind("b/2")
		u, gone := r.se.User, new(Session)
		ids := func() (ids []int64) {
			rows, err := b.Server.store.Spool(t.Context(), u.JID, 0, 10)
			if err != nil {
				t.Fatal(err)
			}
			for _, row := range rows {
				ids = append(ids, row.ID)
			}
			return ids
		}()
		// As in a session that ends while its worker has just taken the first row.
		u.drainer = gone
		if len(ids) != 3 || !u.rows.Take(ids[0]) {
			t.Fatal("the rows are ", ids)
		}
		r.send("<presence/>")
		a.send(chat("b@d", "4"))
		r.gets()
		u.rows.LetGo(ids[0])
		u.mu.Lock()
		u.nextDrainer()
		u.mu.Unlock()
		r.gets("id='1'", "id='2'", "id='3'", "id='4'")
		if u.drainer != nil {
			t.Error("somebody still drains")
		}
	})
}

// TestDrainStops: a session that does not want messages any more gets no more of them, and what
// it was about to get comes behind what had been there before.
func TestDrainStops(t *testing.T) {
	for _, managed := range []bool{true, false} {
		inBubble(t, func(t *testing.T) {
			b := newBench(t, DefaultLimits(), "a b")
			a := b.online("a/1")
			r := b.bind("b/1")
			if managed {
				r.se.Manage(time.Minute)
			}
			a.send(chat("b@d", "1"))
			release := b.store.stall()
			r.send("<presence/>")
			a.send(chat("b@d", "2"))
			r.send("<presence type='unavailable'/>")
			release()
			r.gets()
			a.send(chat("b@d", "3"))
			r.end()
			b.online("b/2").gets("id='1'", "id='2'", "id='3'")
		})
	}
}

// TestDrainIsNoFlood: more is spooled than may wait for a client. One that reads gets all of it, as fast as it reads.
func TestDrainIsNoFlood(t *testing.T) {
	for _, managed := range []bool{true, false} {
		inBubble(t, func(t *testing.T) {
			b := newBench(t, Limits{QueueBytes: 1000, SpoolAfter: 100 * time.Millisecond}, "a b")
			a := b.online("a/1")
			const n = 20
			for i := range n {
				a.send(strings.Replace(chat("b@d", strconv.Itoa(i)), "hi", strings.Repeat("x", 200), 1))
			}
			r := b.bind("b/1")
			if managed {
				r.se.Manage(time.Minute)
			}
			r.st.stick()
			r.send("<presence/>")
			var got []string
			for range 2 * n {
				time.Sleep(time.Second)
				if waits := r.st.Queued(); r.st.aborted || waits > 1000 {
					t.Fatalf("%d bytes wait, aborted %v, with %d read", waits, r.st.aborted, len(got))
				}
				r.st.unstick()
				for _, e := range r.got() {
					if strings.Contains(e, "<message") {
						got = append(got, e)
					}
				}
				r.st.stick()
				if managed {
					r.send(ack(strconv.Itoa(len(got))))
				}
			}
			for i, e := range got {
				if !strings.Contains(e, "id='"+strconv.Itoa(i)+"'") {
					t.Fatalf("message %d is %s", i, e)
				}
			}
			if len(got) != n || b.spooled("b") != 0 {
				t.Errorf("%d messages arrived, %d rows are left", len(got), b.spooled("b"))
			}
		})
	}
}

// TestHeldNobodyWaitsFor: a message between clients without stream management, held behind a
// drain, survives the session that drains.
func TestHeldNobodyWaitsFor(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, DefaultLimits(), "a b")
		a := b.online("a/1")
		a.send(chat("b@d", "1"))
		release := b.store.stall()
		r := b.online("b/1")
		a.send(chat("b@d", "2"))
		r.end()
		release()
		b.online("b/2").gets("id='1'", "id='2'")
	})
}

// TestLastAcks: who is there when the server stops is asked for its acks, so that nothing comes
// twice; new stanzas are not taken.
func TestLastAcks(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, DefaultLimits(), "a b c")
		a, r, silent := b.managed("a/1"), b.managed("b/1"), b.managed("c/1")
		a.send(chat("b@d", "1") + chat("b@d", "1b") + chat("c@d", "2"))
		r.gets("id='1'", "id='1b'") // they are two: the sweeper would ask
		silent.gets("id='2'", asks)
		stopped := make(chan error)
		go func() { stopped <- b.Stop(t.Context()) }()
		time.Sleep(30 * time.Millisecond)
		r.gets(asks, "<a xmlns='urn:xmpp:sm:3' h='1'/>")
		a.send(chat("b@d", "3") + ask)
		if _, err := b.tryBind("a/2"); err == nil {
			t.Error("bound while stopping")
		}
		r.send(ack("2"))
		if err := <-stopped; err != nil {
			t.Fatal(err)
		}
		if r.st.ended == nil || r.st.ended.Condition != "system-shutdown" {
			t.Errorf("ended with %v", r.st.ended)
		}
		if b, c := b.spooled("b"), b.spooled("c"); b != 0 || c != 1 {
			t.Errorf("%d rows of who acked, %d of who did not", b, c)
		}
		for _, e := range a.got() {
			if strings.Contains(e, "h='5'") {
				t.Error("acked what came while stopping")
			}
		}
	})
}

// TestLastNews: who is there when the server stops is told what is safe without having asked, or sends it again when the server is
// back; what is on its way to the disk is waited for.
func TestLastNews(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, DefaultLimits(), "a b")
		a := b.managed("a/1")
		release := b.store.stall()
		a.send(chat("b@d", "1"))
		stopped := make(chan error)
		go func() { stopped <- b.Stop(t.Context()) }()
		time.Sleep(30 * time.Millisecond)
		a.got() // that its presence has come, perhaps
		release()
		if err := <-stopped; err != nil {
			t.Fatal(err)
		}
		if a.gets("<a xmlns='urn:xmpp:sm:3' h='2'/>"); a.st.ended == nil {
			t.Error("not ended")
		}
	})
}

// TestLeavingCostsNoCommit: a message that leaves at once for a client without stream management
// is not written to the disk and deleted again.
func TestLeavingCostsNoCommit(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, DefaultLimits(), "a b")
		a, r := b.managed("a/1"), b.online("b/1")
		adding := func() { t.Error("spooled") }
		b.store.adding.Store(&adding)
		a.send(chat("b@d", "1") + ask)
		a.gets("h='2'")
		r.gets("id='1'")
		time.Sleep(time.Second)
		b.store.adding.Store(nil)
	})
}

// TestDeletedLater: where the disk refuses to delete a row, it is asked again, and nobody gets the
// message twice.
func TestDeletedLater(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, DefaultLimits(), "a b")
		a := b.managed("a/1")
		a.send(chat("b@d", "1") + chat("b@d", "2"))
		r := b.managed("b/1")
		r.gets("id='1'", "id='2'")
		b.store.failing.Store(true)
		r.send(ack("2"))
		r.end()
		b.online("b/2").gets()
		time.Sleep(10 * time.Second)
		if n := b.spooled("b"); n != 2 {
			t.Errorf("%d rows on a disk that refuses", n)
		}
		b.store.failing.Store(false)
		time.Sleep(2 * time.Second)
		if n := b.spooled("b"); n != 0 {
			t.Errorf("%d rows", n)
		}
	})
}
