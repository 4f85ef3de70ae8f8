// SPDX-License-Identifier: Apache-2.0

package server

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// warden is a module that does to messages what their ids say.
type warden struct {
	resumes []func() // of those who are paused
	waited  []int    // how many stanzas of the sender waited then
	handled int
}

func (*warden) Name() string { return "warden" }

func (w *warden) Init(h *Host) error {
	h.OnSent(Guard, func(t *Turn, s *stanza.Stanza) error {
		switch {
		case s.Kind != stanza.Message:
			return nil
		case strings.HasPrefix(string(s.ID), "pause"):
			t.Origin.handling.Lock()
			w.waited = append(w.waited, t.Origin.postponed())
			t.Origin.handling.Unlock()
			if resume, ok := t.PauseSender(); ok {
				w.resumes = append(w.resumes, resume)
			}
		case string(s.ID) == "panic":
			panic("as a test wants it")
		}
		w.handled++
		return nil
	})
	return nil
}

// late is a client one of whose requests waits until it acks, and behind that all of behind; had is how many stanzas it was sent.
func late(t *testing.T, w *warden, behind ...string) (b *bench, a, other *peer, had int) {
	t.Helper()
	const request = "<iq type='get' to='d' id='page'><page xmlns='urn:page'/></iq>"
	b = newBench(t, Limits{WindowBytes: 6 * pageOf * lineOf, SpoolAfter: time.Hour}, "a b away", pager{}, w)
	a, other = b.managed("a/1"), b.online("b/1")
	a.got()
	other.got()
	a.send(strings.Repeat(request, 4) + strings.Join(behind, ""))
	for _, xml := range a.got() {
		if !strings.HasPrefix(xml, "<r ") && !strings.HasPrefix(xml, "<a ") {
			had++
		}
	}
	if n := a.se.postponed(); n != 1+len(behind) || w.handled != 0 {
		t.Fatalf("%d wait, %d are handled", n, w.handled)
	}
	return b, a, other, had
}

// TestSlowAcks: whose request waits is not dropped while it acks, though more comes for it than it acks.
func TestSlowAcks(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b, a, other, _ := late(t, new(warden))
		for i := range 12 {
			other.send(strings.Repeat("<message to='a@d/1' type='chat'><body>"+strings.Repeat("x", lineOf/2)+"</body></message>", 3))
			a.send(ack(strconv.Itoa(i + 1)))
			time.Sleep(paceTime / 6)
			if a.st.isAborted() {
				t.Fatalf("dropped after %d acks", i+1)
			}
		}
		time.Sleep(paceTime)
		synctest.Wait()
		if !a.st.isAborted() || !b.counts("stonechat_readers_stalled_total 1") {
			t.Error("it acks nothing more, and is waited for without end")
		}
	})
}

// TestLatePauses: what waits is handled no faster than what is read: modules pause its sender, and so does a slow disk.
func TestLatePauses(t *testing.T) {
	behind := make([]string, 5)
	for i := range behind {
		behind[i] = chat("b@d/1", fmt.Sprint("pause", i))
	}
	inBubble(t, func(t *testing.T) {
		w := new(warden)
		_, a, other, had := late(t, w, behind...)
		a.send(ack(strconv.Itoa(had)))
		for i := range behind {
			time.Sleep(time.Second)
			synctest.Wait()
			if w.handled != i+1 || len(w.resumes) != i+1 {
				t.Fatalf("%d are handled, their sender is paused %d times; want %d", w.handled, len(w.resumes), i+1)
			}
			if w.waited[i] != len(behind)-1-i {
				t.Errorf("%d waited behind the one of number %d", w.waited[i], i)
			}
			w.resumes[i]()
		}
		other.gets("pause0", "pause1", "pause2", "pause3", "pause4")
		a.send(chat("b@d/1", "on time"))
		if w.handled != len(behind)+1 || a.st.isPaused() {
			t.Errorf("%d are handled, paused %v", w.handled, a.st.isPaused())
		}
	})
	for i := range behind {
		behind[i] = chat("away@d", fmt.Sprint(i))
	}
	inBubble(t, func(t *testing.T) {
		w := new(warden)
		b, a, _, had := late(t, w, behind...)
		limits := *b.limits.Load()
		limits.UnackedStanzas = 2
		b.SetLimits(limits)
		release := b.store.stall()
		a.send(ack(strconv.Itoa(had)))
		time.Sleep(paceInterval)
		synctest.Wait()
		if w.handled != 3 || !b.counts("stonechat_sessions_waiting_for_disk_total 1") {
			t.Errorf("%d are handled while the disk is slow", w.handled)
		}
		release()
		time.Sleep(time.Second)
		synctest.Wait()
		if w.handled != len(behind) || b.spooled("away") != len(behind) {
			t.Errorf("%d are handled, %d kept", w.handled, b.spooled("away"))
		}
	})
}

// TestLatePanic: a panic in the handling of what waits costs the session, and nobody else.
func TestLatePanic(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		_, a, other, had := late(t, new(warden), chat("b@d/1", "before"), chat("b@d/1", "panic"), chat("b@d/1", "behind"))
		a.send(ack(strconv.Itoa(had)))
		time.Sleep(paceInterval)
		other.gets("before")
		if over, e := a.st.how(); !over || e == nil || e.Condition != "internal-server-error" {
			t.Errorf("ended %v: %v", over, e)
		}
		other.send(chat("b@d/1", "to itself"))
		other.gets("to itself")
	})
}

// TestLateEnd: who closes its stream gives up the answers that wait, and nothing else that does.
func TestLateEnd(t *testing.T) {
	request := "<iq type='get' to='b@d/1' id='asks'><query xmlns='jabber:iq:version'/></iq>"
	for _, c := range []struct {
		name   string
		behind []string
		late   bool // the session ends behind what waits
		want   []string
	}{
		{"nothing", nil, false, nil},
		{"requests", []string{request, request}, false, nil},
		{"messages", []string{chat("b@d/1", "one"), request, chat("b@d/1", "two")}, true, []string{"one", "two"}},
		{"paused", []string{chat("b@d/1", "pause"), chat("b@d/1", "two")}, true, []string{"pause", "two"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				w := new(warden)
				b, a, other, _ := late(t, w, c.behind...)
				turn := b.NewTurn()
				a.se.Finish(turn)
				turn.End()
				synctest.Wait()
				if over, _ := a.st.how(); over == c.late {
					t.Fatalf("the session has ended: %v", over)
				}
				time.Sleep(time.Second)
				synctest.Wait()
				for _, resume := range w.resumes {
					resume()
				}
				other.gets(c.want...)
				if over, e := a.st.how(); !over || e != nil || len(other.se.User.Sessions(nil)) != 1 {
					t.Errorf("ended %v: %v", over, e)
				}
				if n := b.sessions.Load(); n != 1 {
					t.Errorf("%d sessions", n)
				}
			})
		})
	}
	inBubble(t, func(t *testing.T) { // resumed in spite of that: it lives on, and what waits is the client's to send again
		b, a, other, had := late(t, new(warden), chat("b@d/1", "one"))
		turn := b.NewTurn()
		a.se.Finish(turn)
		turn.End()
		again, err := a.resume(uint32(had))
		if err != nil {
			t.Fatal(err)
		}
		again.gets("<resumed")
		time.Sleep(time.Second)
		again.send(chat("b@d/1", "again"))
		other.gets("again")
	})
}
