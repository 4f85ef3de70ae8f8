// SPDX-License-Identifier: Apache-2.0

package mam

import (
	"strings"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/store"
)

// stamp is what a message bears that is in the archive of that account.
func stamp(account string) string {
	return `<stanza-id xmlns='urn:xmpp:sid:0' by='` + account + `' id='[A-Za-z0-9_-]{22}'/>`
}

func TestBothSides(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, usual(), "a b c")
		x, y := b.online("a/1"), b.online("b/1")
		x.Send(chat("b@d", "1") + chat("b@d/1", "2") + "<message to='b@d' id='3'><body>text</body></message>")
		y.Gets(stamp("b@d"), stamp("b@d"), stamp("b@d"))
		x.Gets()
		y.Send(chat("a@d/1", "4"))
		x.Gets(stamp("a@d"))
		for _, p := range []*peer{x, y} {
			p.wants("", "1 2 3 4")
			p.wants(set("<before/><max>2</max>"), "3 4")
		}
		b.online("c/1").wants("", "")
		// What is shared is there once.
		if rows, err := b.Disk.Unindexed(t.Context(), 1<<62, 0); err != nil || len(rows) != 4 {
			t.Errorf("%d messages, %v; want 4", len(rows), err)
		}
	})
}

func TestWhileAway(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, usual(), "a b")
		x := b.managed("a/1")
		x.Send(chat("b@d", "1") + chat("b@d", "2") + ask)
		time.Sleep(gatherFor)
		x.acked("3")
		x.wants("", "1 2")
		if rows, err := b.Disk.Unindexed(t.Context(), 1<<62, 0); err != nil || len(rows) != 2 {
			t.Errorf("%d messages, %v; want 2, each shared", len(rows), err)
		}
		b.online("b/1").Gets(`(?s)text 1.*`+stamp("b@d"), "text 2")
	})
}

func TestWhatIsKept(t *testing.T) {
	const retract = "<retract id='0' xmlns='urn:xmpp:message-retract:1'/>"
	inBubble(t, func(t *testing.T) {
		b := newBench(t, usual(), "a b")
		x, y := b.online("a/1"), b.online("b/1")
		for i, c := range []struct {
			attrs, inside string
			kept          bool
		}{
			{"type='chat'", "<body>x</body>", true},
			{"", "<body/>", true},
			{"type='headline'", "<body>x</body>", false},
			{"type='groupchat'", "<body>x</body>", false},
			{"type='error'", "<body>x</body>", false},
			{"type='chat'", "", false},
			{"type='chat'", "<subject>x</subject>", false},
			{"type='chat'", "<composing xmlns='http://jabber.org/protocol/chatstates'/>", false},
			{"type='chat'", "<body>x</body><no-store xmlns='urn:xmpp:hints'/>", false},
			{"type='chat'", "<no-permanent-store xmlns='urn:xmpp:hints'/><store xmlns='urn:xmpp:hints'/><body>x</body>", false},
			{"type='chat'", "<body>x</body><no-copy xmlns='urn:xmpp:hints'/>", true},
			{"type='chat'", "<x xmlns='urn:example:x'/><store xmlns='urn:xmpp:hints'/>", true},
			{"type='error'", "<store xmlns='urn:xmpp:hints'/>", false},
			{"type='chat'", retract, true},
			{"type='chat'", "<received xmlns='urn:xmpp:receipts' id='1'/>", true},
			{"type='chat'", "<request xmlns='urn:xmpp:receipts'/>", false},
			{"type='chat'", "<displayed xmlns='urn:xmpp:chat-markers:0' id='1'/>", true},
			{"type='chat'", "<markable xmlns='urn:xmpp:chat-markers:0'/>", false},
			{"type='chat'", "<encrypted xmlns='urn:xmpp:omemo:2'/>", true},
			{"", "<x xmlns='jabber:x:conference' jid='room@x'/>", true},
			{"", "<event xmlns='http://jabber.org/protocol/pubsub#event'/>", false},
		} {
			before, _, _ := y.page("")
			x.Send("<message to='b@d' id='m' " + c.attrs + ">" + c.inside + "</message>")
			y.Got()
			after, _, _ := y.page("")
			if kept := len(after) > len(before); kept != c.kept {
				t.Errorf("%d, %s %s: kept %v, want %v", i, c.attrs, c.inside, kept, c.kept)
			}
			theirs, _, _ := x.page("")
			if len(theirs) != len(after) {
				t.Errorf("%d, %s %s: its sender has %d, its receiver %d", i, c.attrs, c.inside, len(theirs), len(after))
			}
		}
	})
}

// TestForged: what a sender writes in the name of an archive is gone, also where nothing is archived.
func TestForged(t *testing.T) {
	const forged = "<stanza-id xmlns='urn:xmpp:sid:0' by='a@d' id='forged'/><stanza-id xmlns='urn:xmpp:sid:0' by='b@d' id='forged'/>" +
		"<stanza-id xmlns='urn:xmpp:sid:0' by='B@d' id='forged'/><stanza-id xmlns='urn:xmpp:sid:0' by='c@d' id='other'/>"
	inBubble(t, func(t *testing.T) {
		b := newBench(t, usual(), "a b")
		x, y := b.online("a/1"), b.online("b/1")
		for _, m := range []string{
			"<message to='b@d' type='chat'><body>x</body>" + forged + "</message>",
			"<message to='b@d' type='headline'>" + forged + "</message>",
			"<message to='b@d' type='groupchat'><body>x</body>" + forged + "</message>",
		} {
			x.Send(m)
			if got := y.Gets("other")[0]; strings.Contains(got, "forged") || strings.Contains(got, "by='a@d'") {
				t.Errorf("it got %s", got)
			}
		}
		y.Send(query("1", ""))
		if got := strings.Join(y.Got(), ""); strings.Contains(got, "forged") || !strings.Contains(got, "other") {
			t.Errorf("the archive has %s", got)
		}
	})
}

// TestLarge: a message that is too large to be remembered is in both archives all the same.
func TestLarge(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, usual(), "a b")
		x, y := b.online("a/1"), b.online("b/1")
		x.Send("<message to='b@d' id='1' type='chat'><body>" + strings.Repeat("x", maxShared) + "</body></message>")
		y.Gets(stamp("b@d"))
		x.wants("", "1")
		y.wants("", "1")
	})
}

func TestToOneself(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, usual(), "a b")
		x := b.online("a/1")
		x.Send(chat("a@d", "1") + chat("a@d/1", "2") + chat("b@d", "3"))
		x.Gets(stamp("a@d"), stamp("a@d"))
		x.wants("", "1 2 3")
		x.wants(fields("with", "a@d"), "1 2")
	})
}

// TestRefused: what an account does not take is not in its archive.
func TestRefused(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, usual(), "a b")
		x, y := b.online("a/1"), b.online("b/1")
		x.Send("<message to='b@d/gone' id='1'><body>x</body></message>" + chat("b@d", "2") + chat("nobody@d", "3"))
		x.Gets("service-unavailable", "service-unavailable")
		y.Gets("text 2")
		y.wants("", "2")
		x.wants("", "1 2 3")
	})
}

// TestBehindRefused: what comes behind a refused message, in the same memory, is not taken for it.
func TestBehindRefused(t *testing.T) {
	const refused = "<message to='b@d/gone' id='1'><body>x</body></message>"
	inBubble(t, func(t *testing.T) {
		b := newBench(t, usual(), "a b")
		x, y := b.online("a/1"), b.online("b/1")
		x.Send(refused, "<iq type='result' to='b@d/1' id='2'/>", "<message to='b@d' type='headline' id='3'><body>y</body></message>")
		x.Gets("service-unavailable")
		y.Gets("<iq .*id='2'", "id='3'")
		y.wants("", "")
		x.wants("", "1")
	})
}

// TestSlowDisk: nobody waits for the disk but the acks.
func TestSlowDisk(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, usual(), "a b")
		x, y := b.managed("a/1"), b.online("b/1")
		release := b.Disk.Stall()
		x.Send(chat("b@d", "1") + ask)
		y.Gets("text 1")
		x.Gets(`h='1'`) // the presence
		release()
		x.Gets(`h='2'`)
		y.wants("", "1")
	})
}

// TestFailingDisk: what was delivered stays delivered, and it is counted that it is not archived.
func TestFailingDisk(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, usual(), "a b")
		x, y := b.managed("a/1"), b.online("b/1")
		b.Disk.Failing.Store(true)
		x.Send(chat("b@d", "1") + ask)
		x.acked("2")
		y.Gets("text 1")
		if !b.Counts("stonechat_archive_lost_total 2") {
			t.Error("not counted")
		}
		b.Disk.Failing.Store(false)
		x.Send(chat("b@d", "2"))
		y.Gets("text 2")
		y.wants("", "2")
	})
}

// TestFull: where much waits for the disk senders are slowed down; where too much does, messages are refused before anybody has
// them.
func TestFull(t *testing.T) {
	c := usual()
	c.QueueBytes = 1000
	inBubble(t, func(t *testing.T) {
		b := newBench(t, c, "a b c")
		x, y, z := b.online("a/1"), b.online("b/1"), b.online("c/1")
		release := b.Disk.Stall()
		if x.Try(chat("b@d", "1")) {
			t.Error("paused for one message")
		}
		if !x.Try(chat("b@d", "2")) {
			t.Error("not paused")
		}
		y.Gets("text 1", "text 2")
		z.Try(chat("b@d", "3") + "<message to='b@d' type='headline' id='4'><body>news</body></message>")
		z.Gets(`id='3'.*<error type='wait'><resource-constraint`)
		y.Gets("news")
		turn := b.NewTurn()
		if id, p := b.m.Add(turn, store.ArchiveName{JID: account("room")}, account("a"), nil); id != "" || !p.Done() {
			t.Error("a room's message was taken")
		}
		turn.End()
		if !b.Counts("stonechat_archive_refused_total 2") || !b.Counts("stonechat_archive_senders_slowed_total 1") {
			t.Error("not counted")
		}
		release()
		x.Stream.AwaitResume()
		x.Send(chat("b@d", "5"))
		y.Gets("text 5")
		y.wants("", "1 2 5")
	})
}

// TestDeleted: an account that goes does not take what others have with it.
func TestDeleted(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, usual(), "a b")
		x, y := b.online("a/1"), b.online("b/1")
		x.Send(chat("b@d", "1"))
		y.Gets("text 1")
		release := b.Disk.Stall()
		gone := b.Disk.Commit(store.DeleteAccount{User: account("b")})
		x.Send(chat("b@d", "2") + chat("a@d", "3"))
		x.Gets("text 3")
		release()
		if err := gone.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		x.wants("", "1 2 3")
	})
}
