// SPDX-License-Identifier: Apache-2.0

package mam

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// commits counts those of the store.
func commits(b *bench) func() int64 {
	last := b.Disk.Commits.Load()
	return func() int64 {
		now := b.Disk.Commits.Load()
		defer func() { last = now }()
		return now - last
	}
}

// What several send one after the other, each one message, is committed together; the first of it at once.
func TestGathers(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, usual(), "a b c")
		x, y, z := b.managed("a/1"), b.managed("b/1"), b.online("c/1")
		time.Sleep(time.Second)
		made := commits(b)
		for round := range 3 {
			x.Send(chat("c@d", "first"))
			if n := made(); n != 1 {
				t.Fatalf("round %d: the first made %d commits", round, n)
			}
			x.Send(chat("c@d", "x") + ask)
			y.Send(chat("c@d", "y") + ask)
			x.Send(chat("c@d", "x2") + ask)
			z.Gets("first", "text x", "text y", "text x2") // who receives waits for nothing
			if n := made(); n != 0 {
				t.Fatalf("round %d: %d commits before their time", round, n)
			}
			time.Sleep(gatherFor)
			synctest.Wait()
			if n := made(); n != 1 {
				t.Fatalf("round %d: %d commits for three messages", round, n)
			}
			time.Sleep(gatherFor)
		}
		x.acked("10")
		y.acked("4")
		z.wants("", "first x y x2 first x y x2 first x y x2")
	})
}

// Who asks does not wait for that.
func TestGatheredIsRead(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, usual(), "a b")
		x, y := b.online("a/1"), b.online("b/1")
		x.Send(chat("b@d", "1"))
		x.Send(chat("b@d", "2"))
		y.wants("", "1 2")
		y.wants("", "1 2")
		for _, p := range []*peer{x, y} {
			name := store.ArchiveName{JID: p.Session.User.JID}
			if rows, _, err := b.Disk.Archived(t.Context(), name, store.ArchiveQuery{Limit: 10}); err != nil || len(rows) != 2 {
				t.Errorf("%d rows, %v", len(rows), err)
			}
		}
	})
}

// Who waits for each ack before the next message waits seldom: that brings nobody.
func TestAlone(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, usual(), "a b")
		x := b.managed("a/1")
		b.online("b/1")
		time.Sleep(time.Second)
		waited := 0
		for range 100 {
			x.Got()
			x.Send(chat("b@d", "1") + ask)
			if len(x.Got()) == 0 {
				waited++
				time.Sleep(gatherFor)
				if len(x.Got()) == 0 {
					t.Fatal("not acked")
				}
			}
		}
		if waited == 0 || waited > 10 {
			t.Errorf("%d of 100 waited", waited)
		}
	})
}

// When the server stops nothing waits any more, and what has waited is there.
func TestGatheredAtTheEnd(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, usual(), "a b")
		x := b.managed("a/1")
		b.online("b/1")
		x.Send(chat("b@d", "1"))
		x.Send(chat("b@d", "2") + ask)
		if err := b.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		rows, _, err := b.Disk.Archived(t.Context(), store.ArchiveName{JID: account("b")}, store.ArchiveQuery{Limit: 10})
		if err != nil || len(rows) != 2 {
			t.Errorf("%d rows, %v", len(rows), err)
		}
	})
}

// Nobody waits longer than that, however long ago his turn began.
func TestGathersNoLonger(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, usual(), "a b")
		x := b.online("a/1")
		b.online("b/1")
		time.Sleep(time.Second)
		x.Send(chat("b@d", "first"))
		made := commits(b)
		turn := b.NewTurn()
		turn.Now = turn.Now.Add(-3 * time.Second) // it has waited for the store
		s := stanza.New(stanza.Message, stanza.Chat, account("b"))
		s.From = jid.MustParse("somebody@elsewhere")
		s.Add(stanza.Body("late"))
		turn.Route(s)
		turn.End()
		synctest.Wait()
		if n := made(); n != 0 {
			t.Fatalf("%d commits before their time", n)
		}
		time.Sleep(gatherFor)
		synctest.Wait()
		if n := made(); n != 1 {
			t.Errorf("%d commits in their time", n)
		}
	})
}

// Who waits is known to wait before what was gathered is handed over: what comes in between is not gathered.
func TestWaitsFirst(t *testing.T) {
	f := new(fence)
	period, handed := f.enter(), false
	err := f.wait(t.Context(), func() {
		handed = true
		if !f.awaited() {
			t.Error("nobody is known to wait")
		}
		f.leave(period)
	})
	if err != nil || !handed {
		t.Error(err, handed)
	}
}
