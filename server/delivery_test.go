// SPDX-License-Identifier: Apache-2.0

package server

import (
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestReceipts(t *testing.T) {
	t.Run("an ack of the receiver lets the sender's pass", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			b := newBench(t, DefaultLimits(), "a b")
			a, r := b.managed("a/1"), b.managed("b/1")
			a.send(chat("b@d/1", "1") + ask)
			a.gets("<a xmlns='urn:xmpp:sm:3' h='1'") // presence alone: answered at once
			r.gets("id='1'", asks)                   // a lone message: asked for at once
			r.send(ack("1"))
			a.gets("h='2'") // unsolicited
			time.Sleep(time.Second)
			if n := b.spooled("b"); n != 0 {
				t.Errorf("%d rows of an acked message", n)
			}
			a.gets() // and once only
		})
	})
	t.Run("a commit does, where the receiver does not ack in time", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			b := newBench(t, DefaultLimits(), "a b")
			a, r := b.managed("a/1"), b.managed("b/1")
			a.send(chat("b@d/1", "1") + ask)
			a.gets("h='1'")
			time.Sleep(60 * time.Millisecond)
			r.gets("id='1'", asks)
			if n := b.spooled("b"); n != 0 {
				t.Errorf("spooled %d before its time", n)
			}
			time.Sleep(100 * time.Millisecond)
			a.gets("h='2'")
			if n := b.spooled("b"); n != 1 {
				t.Errorf("%d rows", n)
			}
			r.send(ack("1"))
			if n := b.spooled("b"); n != 0 {
				t.Errorf("%d rows after the ack", n)
			}
		})
	})
	t.Run("h never passes an unsafe stanza", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			b := newBench(t, DefaultLimits(), "a b c")
			a, r1, r2 := b.managed("a/1"), b.managed("b/1"), b.managed("c/1")
			a.send(chat("b@d/1", "1") + chat("c@d/1", "2") + "<iq type='get' id='3' to='d'><x xmlns='u:x'/></iq>" + ask)
			a.gets("service-unavailable", "h='1'")
			r2.send(ack("1"))
			a.gets() // the second and third are safe, the first is not
			a.send(ask)
			a.gets() // that would be no news
			r1.send(ack("1"))
			a.gets("h='4'")
		})
	})
	t.Run("without stream management nothing is counted", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			b := newBench(t, DefaultLimits(), "a b")
			a, r := b.online("a/1"), b.online("b/1")
			a.send(chat("b@d/1", "1"))
			r.gets("id='1'")
			if a.se.in.unsafe() != 0 || a.se.in.answer() != 0 || b.spooled("b") != 0 {
				t.Error("counted")
			}
		})
	})
	t.Run("offline: at the commit", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			b := newBench(t, DefaultLimits(), "a b")
			a := b.managed("a/1")
			release := b.store.stall()
			if err := a.batch(chat("b@d", "1") + ask); err != nil {
				t.Fatal(err)
			}
			a.settle()
			for a.in.Buffered() > 0 {
				a.st.awaitResume()
				if err := a.goOn(); err != nil {
					t.Fatal(err)
				}
			}
			a.gets("h='1'")
			release()
			a.gets("h='2'")
		})
	})
}

func TestCountsWrap(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, DefaultLimits(), "a b")
		a, r := b.managed("a/1"), b.managed("b/1")
		const near = 1<<32 - 2
		a.se.in.mu.Lock()
		a.se.in.base, a.se.in.asked, a.se.in.told = near, near, near
		a.se.in.mu.Unlock()
		r.se.out.mu.Lock()
		r.se.out.acked, r.se.out.asked = near, near
		r.se.out.mu.Unlock()
		a.send(chat("b@d/1", "1") + chat("b@d/1", "2") + chat("b@d/1", "3") + ask)
		a.gets()
		r.gets("id='1'", "id='2'", "id='3'")
		r.send(ack("4294967295"))
		a.gets("h='4294967295'")
		r.send(ack("0"))
		a.gets("h='0'")
		r.send(ack("1"))
		a.gets("h='1'")
		if err := r.batch(ack("2")); err == nil {
			t.Error("an ack of what was never sent")
		}
		if err := r.batch(ack("0")); err == nil {
			t.Error("an ack that goes back")
		}
	})
}

func TestAckAfterEight(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, DefaultLimits(), "a b")
		a, r := b.online("a/1"), b.managed("b/1")
		for i := range 1 + ackEvery {
			a.send(chat("b@d/1", strconv.Itoa(i)))
		}
		got := r.got() // the first is asked for alone
		if len(got) != 1+ackEvery+2 || !strings.HasPrefix(got[1], asks) || !strings.HasPrefix(got[2+ackEvery], asks) {
			t.Errorf("%q", got)
		}
	})
}

func TestSpoolRow(t *testing.T) {
	t.Run("goes when the bytes have left", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			b := newBench(t, DefaultLimits(), "a b")
			a, r := b.managed("a/1"), b.online("b/1")
			r.st.stick()
			a.send(chat("b@d/1", "1") + ask)
			a.gets("h='1'")
			time.Sleep(200 * time.Millisecond)
			a.gets("h='2'")
			if n := b.spooled("b"); n != 1 {
				t.Errorf("%d rows while the reader does not read", n)
			}
			r.st.unstick()
			time.Sleep(time.Second)
			r.gets("id='1'")
			if n := b.spooled("b"); n != 0 {
				t.Errorf("%d rows when the bytes have left", n)
			}
		})
	})
	t.Run("offline, drained in order, then gone", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			b := newBench(t, DefaultLimits(), "a b")
			a := b.online("a/1")
			const n = 3*drainPage + 5
			for i := range n {
				a.send(chat("b@d", strconv.Itoa(i)))
			}
			if got := b.spooled("b"); got != n {
				t.Fatalf("%d rows", got)
			}
			r := b.bind("b/1")
			r.se.Manage(time.Minute)
			r.send("<presence/>")
			// Live messages stand behind what is drained, though the client is slow to ack.
			a.send(chat("b@d", "live1"))
			a.send(chat("b@d/1", "live2"))
			next, acked := 0, 0
			for range n {
				for _, s := range r.got() {
					switch {
					case strings.HasPrefix(s, asks):
						continue
					case next < n:
						if !strings.Contains(s, "id='"+strconv.Itoa(next)+"'") || !strings.Contains(s, "<delay") || !strings.Contains(s, "from='d'") {
							t.Fatalf("%s instead of %d", s, next)
						}
					case !strings.Contains(s, "id='live"+strconv.Itoa(next-n+1)+"'") || strings.Contains(s, "<delay"):
						t.Fatalf("%s behind the drained", s)
					}
					next++
				}
				if acked == next {
					break
				}
				acked = next
				r.send(ack(strconv.Itoa(acked)))
			}
			if next != n+2 {
				t.Errorf("%d of %d", next, n+2)
			}
			if got := b.spooled("b"); got != 0 {
				t.Errorf("%d rows left", got)
			}
		})
	})
	t.Run("drained to a session without stream management", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			b := newBench(t, DefaultLimits(), "a b")
			a := b.online("a/1")
			const n = 2*drainPage + 1
			for i := range n {
				a.send(chat("b@d", strconv.Itoa(i)))
			}
			r := b.bind("b/1")
			r.st.mu.Lock()
			r.st.stuck = true
			r.st.mu.Unlock()
			r.send("<presence/>")
			if got := b.spooled("b"); got != n {
				t.Errorf("%d rows, nothing has left", got)
			}
			for range 10 {
				r.st.unstick()
				time.Sleep(100 * time.Millisecond)
			}
			if got := len(r.got()); got != n || b.spooled("b") != 0 {
				t.Errorf("%d, %d rows", got, b.spooled("b"))
			}
		})
	})
}

// TestLoneMessageIsAskedFor: a client that is never asked does not ack, and what it has not acked
// when it goes comes again.
func TestLoneMessageIsAskedFor(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, DefaultLimits(), "a b")
		a := b.online("a/1")
		a.send(chat("b@d", "1"))
		r := b.managed("b/1")
		time.Sleep(time.Second)
		r.gets("id='1'", asks) // drained
		r.send(ack("1"))
		a.send(chat("b@d/1", "2"))
		time.Sleep(time.Second)
		r.gets("id='2'", asks) // from a sender who does not wait
		r.send(ack("2"))
		r.end()
		b.online("b/2").gets()
		if n := b.spooled("b"); n != 0 {
			t.Errorf("%d rows", n)
		}
	})
}

func TestCopies(t *testing.T) {
	t.Run("one acks: kept, and never repeated", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			b := newBench(t, DefaultLimits(), "a b")
			a, r1, r2 := b.managed("a/1"), b.managed("b/1"), b.managed("b/2")
			a.send(chat("b@d", "1") + ask)
			a.gets("h='1'")
			r1.gets("id='1'", asks)
			r2.gets("id='1'", asks)
			r1.send(ack("1"))
			a.gets("h='2'")
			r2.end()
			r1.end()
			r3 := b.online("b/3")
			r3.gets()
			if n := b.spooled("b"); n != 0 {
				t.Errorf("%d rows", n)
			}
		})
	})
	t.Run("the last one dies unacked: spooled once", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			b := newBench(t, DefaultLimits(), "a b")
			a, r1, r2 := b.managed("a/1"), b.managed("b/1"), b.managed("b/2")
			a.send(chat("b@d", "1") + ask)
			a.gets("h='1'")
			r1.end()
			if n := b.spooled("b"); n != 0 {
				t.Errorf("spooled %d while another has a copy", n)
			}
			a.gets()
			r2.end()
			if n := b.spooled("b"); n != 1 {
				t.Errorf("%d rows", n)
			}
			a.gets("h='2'")
			r3 := b.managed("b/3")
			r3.gets("<delay", asks)
			r3.send(ack("1"))
			r4 := b.online("b/4")
			r4.gets()
			if n := b.spooled("b"); n != 0 {
				t.Errorf("%d rows", n)
			}
		})
	})
	t.Run("the session that is left takes over", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			b := newBench(t, DefaultLimits(), "a b")
			a, r1, r2 := b.managed("a/1"), b.managed("b/1"), b.online("b/2")
			a.send(chat("b@d/1", "1"))
			r1.end()
			r2.gets("<delay")
			if n := b.spooled("b"); n != 0 {
				t.Errorf("%d rows", n)
			}
		})
	})
	t.Run("a spooled copy in a window is not drained to another session", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			b := newBench(t, DefaultLimits(), "a b")
			a, r1 := b.managed("a/1"), b.managed("b/1")
			a.send(chat("b@d/1", "1"))
			time.Sleep(time.Second)
			if n := b.spooled("b"); n != 1 {
				t.Fatalf("%d rows", n)
			}
			r2 := b.online("b/2")
			r2.gets()
			// The row is deleted after a third session has read it and before it takes it.
			read := func() {
				if err := r1.batch(ack("1")); err != nil {
					t.Error(err)
				}
				if err := b.store.Store.Commit().Wait(t.Context()); err != nil {
					t.Error(err)
				}
			}
			b.store.read.Store(&read)
			b.online("b/3").gets()
			if n := b.spooled("b"); n != 0 || r1.se.User.rows.Held() != 0 {
				t.Errorf("%d rows, %d held", n, r1.se.User.rows.Held())
			}
		})
	})
	t.Run("a request that nobody will answer is answered", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			b := newBench(t, DefaultLimits(), "a b")
			a, r := b.online("a/1"), b.managed("b/1")
			a.send("<iq type='get' id='q' to='b@d/1'><x xmlns='u:x'/></iq>")
			r.gets("id='q'")
			r.end()
			a.gets("recipient-unavailable")
		})
	})
}

func TestSpoolWhileSessionComes(t *testing.T) {
	// A message that found no session while one became available goes to that session.
	inBubble(t, func(t *testing.T) {
		b := newBench(t, DefaultLimits(), "a b", &hooked{"late", func(h *Host) {
			h.OnArriving(Handle, func(tn *Turn, u *User, s *stanzaOf) error {
				if string(s.ID) != "late" {
					return nil
				}
				return errOr(tn.Spool(u, s), Handled) // as if there had been nobody
			})
		}})
		a, r := b.managed("a/1"), b.online("b/1")
		a.send(chat("b@d", "late"))
		r.gets("id='late'")
		time.Sleep(time.Second)
		if n := b.spooled("b"); n != 0 {
			t.Errorf("%d rows", n)
		}
	})
}

func TestHeldWhileDrainingIsSpooled(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, DefaultLimits(), "a b c")
		c := b.online("c/1")
		const n = 2*drainPage + 1
		for i := range n {
			c.send(chat("b@d", strconv.Itoa(i)))
		}
		a, r := b.managed("a/1"), b.managed("b/1")
		time.Sleep(time.Second) // r has drained what it may without an ack
		a.send(chat("b@d/1", "live") + ask)
		a.gets("h='1'")
		time.Sleep(time.Second)
		a.gets("h='2'") // it waits behind what is drained, so it must be on the disk
		if got := b.spooled("b"); got != n+1 {
			t.Errorf("%d rows", got)
		}
		r.end()
		r2 := b.online("b/2")
		time.Sleep(time.Second)
		if got := len(r2.got()); got != n+1 {
			t.Errorf("%d drained", got)
		}
	})
}

func TestFailingDisk(t *testing.T) {
	t.Run("offline: the sender is told", func(t *testing.T) {
		for _, atOnce := range []bool{false, true} {
			inBubble(t, func(t *testing.T) {
				b := newBench(t, DefaultLimits(), "a b")
				a := b.managed("a/1")
				b.store.failing.Store(!atOnce)
				b.store.refuses.Store(atOnce)
				a.send(chat("b@d", "1") + ask)
				a.send(chat("a@d/none", "2")) // to the sender's own account
				got := strings.Join(a.got(), "\n")
				if !strings.Contains(got, "resource-constraint") {
					t.Errorf("at once %v: %s", atOnce, got)
				}
				b.store.failing.Store(false)
				b.store.refuses.Store(false)
				a.send(chat("b@d", "3"))
				if n := b.spooled("b"); n != 1 {
					t.Errorf("%d rows", n)
				}
			})
		}
	})
	t.Run("online: acks wait, nothing else", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			b := newBench(t, DefaultLimits(), "a b")
			a, r := b.managed("a/1"), b.managed("b/1")
			b.store.failing.Store(true)
			a.send(chat("b@d/1", "1") + ask)
			time.Sleep(time.Second)
			a.gets("h='1'")
			if got := r.got(); len(got) == 0 || !strings.Contains(got[0], "id='1'") {
				t.Errorf("%q", got)
			}
			b.store.failing.Store(false)
			time.Sleep(time.Second)
			a.gets("h='2'")
			r.send(ack("1"))
			if n := b.spooled("b"); n != 0 {
				t.Errorf("%d rows", n)
			}
		})
	})
	t.Run("the last session ends: the sender is told", func(t *testing.T) {
		for _, atOnce := range []bool{false, true} {
			inBubble(t, func(t *testing.T) {
				b := newBench(t, DefaultLimits(), "a")
				a, r := b.managed("a/1"), b.managed("a/2")
				b.store.failing.Store(!atOnce)
				b.store.refuses.Store(atOnce)
				a.send(chat("a@d/2", "1") + ask)
				r.end()
				got := strings.Join(a.got(), "\n")
				if strings.Count(got, "resource-constraint") != 1 || !strings.Contains(got, "h='2'") || b.spooled("a") != 0 {
					t.Error(got)
				}
			})
		}
	})
}
