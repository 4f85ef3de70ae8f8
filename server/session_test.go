// SPDX-License-Identifier: Apache-2.0

package server

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/stream"
)

func TestResume(t *testing.T) {
	t.Run("what was not acked comes again, in order, then what came since", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			b := newBench(t, DefaultLimits(), "a b")
			a, r := b.online("a/1"), b.managed("b/1")
			a.send(chat("b@d/1", "1") + chat("b@d/1", "2"))
			r.lose()
			a.send(chat("b@d/1", "3"))
			n, err := r.resume(1)
			if err != nil {
				t.Fatal(err)
			}
			a.send(chat("b@d/1", "4"))
			n.gets("<resumed", "id='2'", "id='3'", "id='4'")
			if n.st.isPaused() {
				t.Error("still paused")
			}
			n.send(ack("4"))
			n.end()
			if got := b.spooled("b"); got != 0 {
				t.Errorf("%d rows", got)
			}
		})
	})
	t.Run("waits until what was received is safe", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			b := newBench(t, DefaultLimits(), "a b")
			a, r := b.managed("a/1"), b.managed("b/1")
			a.send(chat("b@d/1", "1"))
			a.lose()
			n, err := a.resume(0)
			if err != nil {
				t.Fatal(err)
			}
			n.gets()
			if !n.st.isPaused() {
				t.Error("not paused")
			}
			r.send(ack("1"))
			n.gets("h='2'")
			n.send(chat("b@d/1", "2"))
			r.gets("id='1'", asks, "id='2'", asks)
		})
	})
	t.Run("while a worker has a stanza", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			b := newBench(t, DefaultLimits(), "a b")
			a := b.managed("a/1")
			release := b.store.stall()
			if err := a.batch(chat("b@d", "1") + chat("b@d", "2")); err != nil { // the first goes to a worker
				t.Fatal(err)
			}
			a.lose()
			n, err := a.resume(0)
			if err != nil {
				t.Fatal(err)
			}
			if err := a.goOn(); err != nil { // the second: too late, it is not counted
				t.Fatal(err)
			}
			n.gets()
			release()
			n.gets("h='2'")
			if got := b.spooled("b"); got != 1 {
				t.Errorf("%d rows", got)
			}
			n.send(chat("b@d", "2") + ask)
			if got := n.got(); len(got) == 0 || !strings.Contains(strings.Join(got, ""), "h='3'") {
				t.Errorf("%q", got)
			}
		})
	})
	t.Run("from a stream that lives", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			b := newBench(t, DefaultLimits(), "a")
			a := b.managed("a/1")
			n, err := a.resume(0)
			if err != nil {
				t.Fatal(err)
			}
			n.gets("<resumed")
			if a.st.ended == nil || a.st.ended.Condition != stream.Conflict {
				t.Errorf("the old stream ended with %v", a.st.ended)
			}
			a.lose() // its driver says so: nothing happens
			if !a.se.Attached() {
				t.Error("detached by the stream that is not its own")
			}
		})
	})
	t.Run("with an h too high", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			b := newBench(t, DefaultLimits(), "a")
			a := b.managed("a/1")
			a.lose()
			var e *stream.Error
			if _, err := a.resume(1); !errors.As(err, &e) || !strings.Contains(string(e.App), "handled-count-too-high") {
				t.Error(err)
			}
			if n, err := a.resume(0); err != nil {
				t.Error("the session was hurt", err)
			} else {
				n.gets("<resumed")
			}
		})
	})
	t.Run("ends meanwhile", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			b := newBench(t, DefaultLimits(), "a b")
			a, r := b.managed("a/1"), b.managed("b/1")
			a.send(chat("b@d/1", "1"))
			n, err := a.resume(0)
			if err != nil {
				t.Fatal(err)
			}
			a.end()
			r.send(ack("1"))
			n.gets("<failed")
			if n.st.isPaused() || n.st.bound() != nil {
				t.Error("paused, or bound")
			}
		})
	})
	t.Run("on a stream that dies", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			b := newBench(t, DefaultLimits(), "a")
			a := b.managed("a/1")
			a.lose()
			n := b.dial("a")
			n.st.dead = true
			tn := b.NewTurn()
			if err := a.se.Resume(tn, n.st, 0, func(uint32, bool) []byte { return nil }); err != nil {
				t.Fatal(err)
			}
			tn.End()
			synctest.Wait()
			if a.se.Attached() || !a.se.User.Online() {
				t.Error("attached or over")
			}
			time.Sleep(2 * time.Minute)
			if a.se.User.Online() {
				t.Error("it never expires")
			}
		})
	})
	t.Run("expires", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			b := newBench(t, DefaultLimits(), "a b")
			a, r := b.managed("a/1"), b.managed("b/1")
			r.lose()
			a.send(chat("b@d", "1") + ask)
			a.gets("h='1'", "h='2'") // detached: spooled at once
			time.Sleep(59 * time.Second)
			if !r.se.User.Online() {
				t.Error("gone too early")
			}
			time.Sleep(2 * time.Second)
			if r.se.User.Online() || b.spooled("b") != 1 {
				t.Errorf("online %v, %d rows", r.se.User.Online(), b.spooled("b"))
			}
			b.online("b/2").gets("<delay")
		})
	})
}

func TestEnd(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var ended []string
		b := newBench(t, DefaultLimits(), "a b", &hooked{"x", func(h *Host) {
			h.Ended = func(_ *Turn, se *Session, was Presence) {
				ended = append(ended, fmt.Sprint(se.JID, was.Available))
			}
		}})
		a := b.managed("a/1")
		a.lose()
		expiry := a.se.expiry
		a.end()
		if expiry.Stop() {
			t.Error("its timer would have held it until it could not be resumed any more")
		}
		a.end()
		a.lose()
		tn := b.NewTurn()
		a.se.SetPresence(tn, Presence{Available: true})
		if a.se.Send(tn, stanza.Text(stanza.Chat, a.se.JID, "x")) {
			t.Error("an ended session takes a stanza")
		}
		tn.End()
		time.Sleep(time.Hour)
		if got := fmt.Sprint(ended); got != "[a@d/1 true]" || b.Server.sessions.Load() != 0 {
			t.Error(got, b.Server.sessions.Load())
		}
		if _, _, ok := b.Lookup(jid.MustParse("a@d")); ok {
			t.Error("its account is still in the table")
		}
	})
}

func TestConflict(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, DefaultLimits(), "a b")
		a1 := b.managed("a/1")
		b.online("b/1").send(chat("a@d/1", "1"))
		a1.gets("id='1'", asks)
		a2 := b.online("a/1")
		if a1.st.ended == nil || a1.st.ended.Condition != stream.Conflict {
			t.Errorf("ended with %v", a1.st.ended)
		}
		a2.gets("<delay") // what the first had not acked
		if n := len(a2.se.User.Sessions(nil)); n != 1 {
			t.Errorf("%d sessions", n)
		}
		other := b.bind("a")
		if other.se.JID.Resource() == "" || other.se.JID.Resource() == "1" {
			t.Error(other.se.JID)
		}
	})
}

func TestFromIsStamped(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, DefaultLimits(), "a b")
		a, r := b.online("a/1"), b.online("b/1")
		r.se.lang = "cs"
		for _, from := range []string{"", "from='a@d'", "from='a@d/1'"} {
			a.send("<message " + from + " to='b@d/1'/>")
			r.gets("<message from='a@d/1' to='b@d/1'/>")
		}
		r.send("<message to='a@d/1'/><message xml:lang='en' to='a@d/1'/>")
		a.gets("xml:lang='cs'", "xml:lang='en'")
		for _, from := range []string{"b@d", "a@d/2", "d"} {
			var e *stream.Error
			if err := a.batch("<message from='" + from + "' to='b@d/1'/>"); !errors.As(err, &e) || e.Condition != "invalid-from" {
				t.Error(from, err)
			}
		}
		a.send("<message to='@d' id='1'/>")
		a.gets("jid-malformed")
		var e *stream.Error
		if err := a.batch("<x xmlns='u:x'/>"); !errors.As(err, &e) || e.Condition != "unsupported-stanza-type" {
			t.Error(err)
		}
	})
}

func TestLimits(t *testing.T) {
	var e *stanza.Error
	t.Run("SessionsPerAccount", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			b := newBench(t, Limits{SessionsPerAccount: 2}, "a b")
			b.bind("a/1")
			b.bind("a/2")
			b.bind("a/2") // takes the place of the other
			if _, err := b.tryBind("a/3"); !errors.As(err, &e) || e.Condition != stanza.ResourceConstraint {
				t.Error(err)
			}
			b.bind("b/1")
		})
	})
	t.Run("Sessions", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			b := newBench(t, Limits{Sessions: 1}, "a b")
			p := b.bind("a/1")
			if _, err := b.tryBind("b/1"); !errors.As(err, &e) || e.Condition != stanza.ResourceConstraint {
				t.Error(err)
			}
			p.end()
			b.bind("b/1")
		})
	})
	t.Run("no such account", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			b := newBench(t, DefaultLimits(), "a")
			if _, err := b.tryBind("x/1"); !errors.As(err, &e) || e.Condition != stanza.NotAuthorized {
				t.Error(err)
			}
		})
	})
	t.Run("WindowStanzas and WindowBytes", func(t *testing.T) {
		for name, l := range map[string]Limits{
			"stanzas": {WindowStanzas: 5, SpoolAfter: time.Hour}, "bytes": {WindowBytes: 400, SpoolAfter: time.Hour},
		} {
			inBubble(t, func(t *testing.T) {
				b := newBench(t, l, "a b")
				a, r := b.managed("a/1"), b.managed("b/1")
				const n = 8
				var all string
				for i := range n {
					all += chat("b@d/1", strconv.Itoa(i))
				}
				a.send(all)
				if !r.st.over || r.se.User.Online() {
					t.Errorf("%s: the session goes on", name)
				}
				if !b.counts("stonechat_windows_overflowed_total 1") {
					t.Errorf("%s: not counted, or more than once", name)
				}
				if got := b.spooled("b"); got != n {
					t.Errorf("%s: %d rows", name, got)
				}
				a.send(ask)
				a.gets("h='9'") // presence and all messages
			})
		}
	})
	t.Run("QueueBytes", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			b := newBench(t, Limits{QueueBytes: 100, SpoolAfter: time.Hour}, "a b")
			a, r := b.managed("a/1"), b.managed("b/1")
			r.st.stuck = true
			a.send(chat("b@d/1", "1") + chat("b@d/1", "2"))
			if !r.st.aborted || r.se.Attached() || !r.se.User.Online() {
				t.Error("not detached")
			}
			n, err := r.resume(0)
			if err != nil {
				t.Fatal(err)
			}
			n.gets("<resumed", "id='1'", "id='2'")
		})
	})
	t.Run("QueueBytes, and a window that is larger", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			b := newBench(t, Limits{QueueBytes: 100, SpoolAfter: time.Hour}, "a b")
			a, r := b.managed("a/1"), b.managed("b/1")
			a.send(chat("b@d/1", "1"))
			a.send(chat("b@d/1", "2"))
			r.lose()
			n := b.dial("b")
			n.st.stuck = true
			if err := r.resumeOn(n, 0); err != nil {
				t.Fatal(err)
			}
			a.send(chat("b@d/1", "3"))
			if n.st.aborted {
				t.Fatal("what a resumption brings is too much for it")
			}
			n.st.unstick()
			a.send(chat("b@d/1", "4"))
			n.gets("<resumed", "id='1'", "id='2'", "id='3'", "id='4'")
			n.st.stick()
			a.send(chat("b@d/1", "5") + chat("b@d/1", "6"))
			if !n.st.aborted {
				t.Error("more than limits.queue_bytes wait")
			}
		})
	})
	t.Run("UnackedStanzas", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			b := newBench(t, Limits{UnackedStanzas: 3, SpoolAfter: 100 * time.Millisecond}, "a b")
			a, r := b.managed("a/1"), b.managed("b/1")
			var all string
			for i := range 6 {
				all += chat("b@d/1", strconv.Itoa(i))
			}
			if err := a.batch(all); err != nil {
				t.Fatal(err)
			}
			if got := r.got(); len(got) != 4 || !a.st.isPaused() {
				t.Errorf("%d, paused %v", len(got), a.st.isPaused())
			}
			a.send("")
			time.Sleep(time.Second)
			if got := r.got(); len(got) < 2 {
				t.Errorf("%q", got)
			}
		})
	})
	t.Run("StanzasPerSecond", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			b := newBench(t, Limits{StanzasPerSecond: 2}, "a b")
			a, r := b.online("a/1"), b.online("b/1")
			start := time.Now()
			for range 40 {
				a.send("<message to='b@d/1'/>")
				a.st.awaitResume()
			}
			if took := time.Since(start); took < 9*time.Second || took > 12*time.Second {
				t.Errorf("40 stanzas at 2 a second, 20 ahead: %v", took)
			}
			if got := r.got(); len(got) != 40 {
				t.Errorf("%d arrived", len(got))
			}
		})
	})
	t.Run("SpoolMessages", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			b := newBench(t, Limits{SpoolMessages: 2}, "a b")
			a := b.online("a/1")
			a.send(chat("b@d", "1") + chat("b@d", "2") + chat("b@d", "3"))
			a.gets("service-unavailable")
			r := b.online("b/1")
			r.gets("id='1'", "id='2'")
			r.end()
			a.send(chat("b@d", "4"))
			a.gets()
			if got := b.spooled("b"); got != 1 {
				t.Errorf("%d rows", got)
			}
		})
	})
	t.Run("SpoolAge", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			b := newBench(t, Limits{SpoolMessages: 2, SpoolAge: time.Hour}, "a b")
			a := b.online("a/1")
			a.send(chat("b@d", "1"))
			time.Sleep(time.Hour)
			a.send(chat("b@d", "2") + chat("b@d", "3"))
			a.gets("service-unavailable") // what is too old counts until it is dropped
			time.Sleep(time.Minute)
			r := b.online("b/1")
			r.gets("id='2'")
			if !b.counts("stonechat_spool_expired_total 1") {
				t.Error("not counted")
			}
			r.end()
			if got := b.spooled("b"); got != 0 {
				t.Errorf("%d rows", got)
			}
			a.send(chat("b@d", "4") + chat("b@d", "5"))
			a.gets()
		})
	})
}

// TestStress: sessions of one account come and go, detach and resume, while messages stream in:
// nothing deadlocks, and (with -race) nothing races. What was sent arrives or is spooled.
func TestStress(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, DefaultLimits(), "a b")
		var wg sync.WaitGroup
		for i := range 2 {
			wg.Go(func() {
				p := b.bind("a/" + strconv.Itoa(i))
				p.se.Manage(time.Minute)
				for j := range 100 {
					if err := p.batch(chat("b@d", fmt.Sprint(i, "-", j))); err != nil {
						t.Error(err)
					}
					p.st.awaitResume()
					time.Sleep(time.Millisecond)
				}
			})
		}
		for i := range 3 {
			wg.Go(func() {
				for j := range 20 {
					p := b.bind("b/" + strconv.Itoa(i))
					if j%2 == 0 {
						p.se.Manage(time.Second)
					}
					if err := p.batch("<presence/>"); err != nil {
						t.Error(err)
					}
					time.Sleep(time.Duration(3+i) * time.Millisecond)
					tn := b.NewTurn()
					p.se.Lost(tn, p.st)
					tn.End()
				}
			})
		}
		wg.Wait()
		time.Sleep(time.Hour)
		for _, se := range b.users.acquire(jid.MustParse("a@d")).Sessions(nil) {
			if n := se.in.unsafe(); n != 0 {
				t.Errorf("%s: %d are never safe", se.JID, n)
			}
		}
	})
}
