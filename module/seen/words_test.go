// SPDX-License-Identifier: Apache-2.0

package seen_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stonechat-im/stonechat/internal/servertest"
	"github.com/stonechat-im/stonechat/module/seen"
	"github.com/stonechat-im/stonechat/server/chat"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// own makes things of juliet's that were never there.
func (b *bed) own(n int, group string) {
	b.T.Helper()
	var ops []store.Op
	for i := range n {
		j := b.Account(fmt.Sprintf("%s%d@d", group, i))
		ops = append(ops, store.RegisterThing{Thing: store.Thing{ThingName: store.ThingName{JID: j}, Owner: jid.MustParse("juliet@d"), Groups: []string{group}}})
	}
	if err := b.Disk.Commit(ops...).Wait(b.T.Context()); err != nil {
		b.T.Fatal(err)
	}
}

// leads takes a step of the command, and returns the answer and its session.
func leads(p *servertest.Peer, session, action, fields string) (answer, id string) {
	p.Server.T.Helper()
	if fields != "" {
		fields = "<x xmlns='jabber:x:data' type='submit'>" + fields + "</x>"
	}
	if session != "" {
		session = " sessionid='" + session + "'"
	}
	p.Send("<iq type='set' id='c' to='things.d'><command xmlns='http://jabber.org/protocol/commands' node='" + seen.NodeOffline + "'" + session +
		" action='" + action + "'>" + fields + "</command></iq>")
	got := strings.Join(p.Got(), "")
	if m := regexp.MustCompile(`sessionid='([^']+)'`).FindStringSubmatch(got); m != nil {
		id = m[1]
	}
	return got, id
}

const inGroup = "<field var='group'><value>%s</value></field>"

// TestTable: the table has what is known of those of hers that are away, in pages, back and forth.
func TestTable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, usual())
		b.Account("juliet@d")
		b.Account("romeo@d")
		b.own(120, "hall")
		b.own(1, "roof")
		juliet, romeo := b.Client("juliet@d/j"), b.Client("romeo@d/r")
		lamp := b.Client("hall7@d/x")
		hall8 := b.Client("hall8@d/x")
		<-time.After(10 * time.Second)
		hall8.Send("<presence type='unavailable'><status>battery</status></presence>")
		hall8.End()
		<-time.After(10 * time.Second)

		got, id := leads(juliet, "", "execute", "")
		if !strings.Contains(got, "<field var='group' type='text-single'") || strings.Contains(got, "<required/>") {
			t.Error(got)
		}
		rows := func(want int, more ...string) {
			t.Helper()
			if n := strings.Count(got, "<item>"); n != want {
				t.Errorf("%d rows, want %d", n, want)
			}
			for _, w := range more {
				if !strings.Contains(got, w) {
					t.Errorf("no %s in %.2000s", w, got)
				}
			}
		}
		got, _ = leads(juliet, id, "complete", fmt.Sprintf(inGroup, "hall"))
		rows(50, "status='executing'", "<title>119 of 120 are not there</title>", "Page 1 of 3", "<next/>",
			"<value>hall8</value>", "<value>offline</value>", "<value>2000-01-01 00:00:10Z</value>", "<value>closed: battery</value>", "<value>never seen</value>")
		if strings.Contains(got, "<value>hall7</value>") {
			t.Error("what is there is shown")
		}
		got, _ = leads(juliet, id, "next", "")
		rows(50, "Page 2 of 3")
		got, _ = leads(juliet, id, "prev", "")
		rows(50, "Page 1 of 3", "<value>hall0</value>")
		leads(juliet, id, "next", "")
		got, _ = leads(juliet, id, "next", "")
		rows(19, "status='completed'", "Page 3 of 3", "<value>hall119</value>")

		// Enough after a page.
		_, id = leads(juliet, "", "execute", "")
		leads(juliet, id, "complete", fmt.Sprintf(inGroup, "hall"))
		if got, _ = leads(juliet, id, "complete", ""); !strings.Contains(got, "status='completed'") || strings.Contains(got, "<item>") {
			t.Error(got)
		}
		// Who knows the command asks at once; nothing is told of what is somebody else's.
		got, _ = leads(juliet, "", "execute", fmt.Sprintf(inGroup, "roof"))
		rows(1, "status='completed'", "1 of 1 are not there")
		got, _ = leads(romeo, "", "execute", fmt.Sprintf(inGroup, "hall"))
		rows(0, "You have no such things.")
		got, _ = leads(juliet, "", "execute", fmt.Sprintf(inGroup, "cellar"))
		rows(0, "You have no such things.")
		lamp.End()
	})
}

// TestOffline: the same in words, which are no more than somebody reads.
func TestOffline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, usual())
		b.Account("juliet@d")
		b.own(101, "hall")
		b.own(2, "roof")
		b.Client("roof0@d/x")
		b.Client("roof1@d/x")
		<-time.After(10 * time.Second)
		say := func(args ...string) string {
			t.Helper()
			turn := b.NewTurn()
			defer turn.End()
			text, err := b.m.Verb().Do(turn, &chat.Message{From: jid.MustParse("juliet@d/j")}, args)
			if err != nil {
				return err.Error()
			}
			return text
		}
		if got := say("hall"); !strings.HasPrefix(got, "101 of 101 are not there:\nhall0: never seen\n") || !strings.HasSuffix(got, "\nhall99: never seen\n… and 1 more") {
			t.Error(got)
		}
		if got := say(); !strings.HasPrefix(got, "101 of 103 are not there:\n") {
			t.Error(got)
		}
		for group, want := range map[string]string{"roof": "All 2 are there.", "cellar": "You have no such things."} {
			if got := say(group); got != want {
				t.Errorf("%s: %s, want %s", group, got, want)
			}
		}
		if got := say("hall", "roof"); got != chat.ErrUsage.Error() {
			t.Error(got)
		}
	})
}

func TestWords(t *testing.T) {
	at := func(hour int) time.Time { return time.Date(2030, 1, 2, hour, 0, 0, 0, time.UTC) }
	for _, test := range []struct {
		s    store.Seen
		want string
	}{
		{store.Seen{}, "never seen"},
		{store.Seen{State: store.Online, Since: at(1)}, "online since 2030-01-02 01:00:00Z"},
		{store.Seen{State: store.Unsteady, Since: at(1)}, "unsteady since 2030-01-02 01:00:00Z"},
		{store.Seen{State: store.Sleeping, Since: at(1), Until: at(13)}, "asleep until 2030-01-02 13:00:00Z"},
		{store.Seen{State: store.Sleeping, Since: at(1), Until: at(11)}, "asleep, and should have woken at 2030-01-02 11:00:00Z"},
		{store.Seen{State: store.Offline, Since: at(1)}, "offline since 2030-01-02 01:00:00Z"},
		{store.Seen{State: store.Offline, Since: at(1), Reason: "lost"}, "offline since 2030-01-02 01:00:00Z (lost)"},
	} {
		if got := seen.Words(test.s, at(12)); got != test.want {
			t.Errorf("%+v: %s, want %s", test.s, got, test.want)
		}
	}
}
