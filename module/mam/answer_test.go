// SPDX-License-Identifier: Apache-2.0

package mam

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// talk has a write 1 to n, to b and c in turn, a minute apart.
func talk(b *bench, n int) *peer {
	x := b.online("a/1")
	for i := 1; i <= n; i++ {
		x.Send(chat([]string{"c@d/2", "b@d"}[i%2], fmt.Sprint(i)))
		<-time.After(time.Minute) // of the bubble's clock
	}
	return x
}

func TestPages(t *testing.T) {
	c := usual()
	c.Page = 6
	inBubble(t, func(t *testing.T) {
		b := newBench(t, c, "a b c")
		x := talk(b, 10)
		rows := append(x.wants("", "1 2 3 4 5 6"), x.wants(set("<before/>"), "5 6 7 8 9 10")[2:]...)
		id := func(i int) string { return rows[i-1] }
		for _, q := range []struct {
			rest, want string
			complete   bool
		}{
			{set("<max>3</max>"), "1 2 3", false},
			{set("<max>100</max>"), "1 2 3 4 5 6", false},
			{set("<max>3</max><after>" + id(3) + "</after>"), "4 5 6", false},
			{set("<max>3</max><after>" + id(7) + "</after>"), "8 9 10", true},
			{set("<max>3</max><after>" + id(10) + "</after>"), "", true},
			{set("<max>3</max><before>" + id(8) + "</before>"), "5 6 7", false},
			{set("<max>3</max><before>" + id(3) + "</before>"), "1 2", true},
			{set("<max>3</max><before/>"), "8 9 10", false},
			{set("<max>3</max><before/>") + "<flip-page/>", "10 9 8", false},
			{set("<max>3</max><after>"+id(3)+"</after>") + "<flip-page/>", "6 5 4", false},
			{set("<max>3</max><after>" + id(2) + "</after><before>" + id(8) + "</before>"), "5 6 7", false},
			{fields("with", "b@d"), "1 3 5 7 9", true},
			{fields("with", "c@d"), "2 4 6 8 10", true},
			{fields("with", "c@d") + set("<max>2</max><before/>"), "8 10", false},
			{fields("with", "c@d/2") + set("<max>2</max><before/>"), "8 10", false},
			{fields("with", "c@d/2") + set("<max>2</max>"), "2 4", false},
			{fields("with", "c@d/3"), "", true},
			{fields("with", "a@d"), "", true},
			{fields("with", "nobody@d"), "", true},
			{fields("start", "2000-01-01T00:08:00Z"), "9 10", true},
			{fields("start", "2000-01-01T00:08:00.000001Z"), "10", true},
			{fields("end", "2000-01-01T00:01:00Z"), "1 2", true},
			{fields("end", "2000-01-01T01:00:59.999999+01:00"), "1", true},
			{fields("end", "1999-01-01T00:00:00Z"), "", true},
			{fields("start", "2000-01-01T00:02:00Z", "end", "2000-01-01T00:04:00Z", "with", "b@d"), "3 5", true},
			{fields("after-id", id(8)), "9 10", true},
			{fields("before-id", id(3)), "1 2", true},
			{fields("after-id", id(2), "before-id", id(6)), "3 4 5", true},
			{fields("after-id", id(2), "before-id", id(6)) + set("<max>1</max><before/>"), "5", false},
			{fields("after-id", id(6), "before-id", id(2)), "", true},
			{fields("ids", id(4)+"</value><value>"+id(2)), "2 4", true},
			{fields("ids", id(4)+"</value><value>"+id(2), "with", "b@d"), "", true},
			{fields("ids", id(4)+"</value><value>"+id(3)+"</value><value>"+id(2)) + set("<max>1</max><before/>"), "4", false},
			{fields("include-groupchat", "true") + set("<max>1</max>"), "1", false},
		} {
			messages, got, fin := x.page(q.rest)
			if strings.Join(messages, " ") != q.want || strings.Contains(fin, "complete='true'") != q.complete {
				t.Errorf("%s\nfound %q, want %q; complete %v; %s", q.rest, messages, q.want, q.complete, fin)
			}
			first, last := "", ""
			if len(got) > 0 {
				first, last = got[0], got[len(got)-1]
				if strings.Contains(q.rest, "flip") {
					first, last = last, first
				}
			}
			if len(got) > 0 && (!strings.Contains(fin, ">"+first+"</first>") || !strings.Contains(fin, "<last>"+last+"</last>")) ||
				len(got) == 0 && strings.Contains(fin, "<first") {
				t.Errorf("%s: %s of %s to %s", q.rest, fin, first, last)
			}
		}
		for rest, count := range map[string]string{
			set("<max>0</max>"):                              "10",
			fields("with", "b@d") + set("<max>0</max>"):      "5",
			fields("with", "c@d/2") + set("<max>0</max>"):    "5",
			fields("with", "nobody@d") + set("<max>0</max>"): "0",
			fields("after-id", id(3)) + set("<max>0</max>"):  "7",
			fields("start", "2000-01-01T00:08:00Z"):          "2",
		} {
			if messages, _, fin := x.page(rest); len(messages) > 0 && strings.Contains(rest, "<max>0") || !strings.Contains(fin, "<count>"+count+"</count>") {
				t.Errorf("%s: %s, %s; want %s", rest, messages, fin, count)
			}
		}
	})
}

// TestPageOfBytes: a page ends where it is large enough, and goes on with the next.
func TestPageOfBytes(t *testing.T) {
	c := usual()
	c.PageBytes = 400
	inBubble(t, func(t *testing.T) {
		b := newBench(t, c, "a b c")
		x := talk(b, 10)
		rows := x.wants("", "1 2 3 4")
		x.wants(set("<after>"+rows[3]+"</after>"), "5 6 7 8")
		x.wants(fields("with", "c@d/2"), "2 4 6 8")
		all := append(rows, x.wants(set("<after>"+rows[3]+"</after>"), "5 6 7 8")...)
		all = append(all, x.wants(set("<after>"+all[7]+"</after>"), "9 10")...)
		ids := fields("ids", strings.Join(all, "</value><value>"))
		for _, q := range []struct {
			rest, want string
			complete   bool
		}{
			{ids, "1 2 3 4", false},
			{ids + set("<after>"+all[5]+"</after>"), "7 8 9 10", true},
			{ids + set("<before/>"), "7 8 9 10", false},
			{ids + set("<before>"+all[2]+"</before>"), "1 2", true},
		} {
			messages, _, fin := x.page(q.rest)
			if got := strings.Join(messages, " "); got != q.want || strings.Contains(fin, "complete='true'") != q.complete {
				t.Errorf("%s: %s, want %s; complete %v; %s", q.rest, got, q.want, q.complete, fin)
			}
		}
	})
}

// TestCountHoldsNothing: who only counts messages that have to be looked at does not have them all in memory.
func TestCountHoldsNothing(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, usual(), "a b c")
		rows := talk(b, 10).wants("", "1 2 3 4 5 6 7 8 9 10")
		a := store.ArchiveName{JID: account("a")}
		var only []int64
		for _, row := range rows {
			seq, _ := b.m.ids.seq(a, row)
			only = append(only, seq)
		}
		for name, x := range map[string]search{"of a resource": {full: jid.MustParse("c@d/2")}, "by their ids": {full: jid.MustParse("c@d/2"), only: only}} {
			x.m, x.name, x.limit, x.countOnly = b.m, a, 1000, true
			page, err := x.all(t.Context())
			if err != nil || len(page) != 5 {
				t.Errorf("%s: %d, %v", name, len(page), err)
			}
			for _, row := range page {
				if row.Stanza != nil {
					t.Errorf("%s: %d bytes are held", name, len(row.Stanza))
				}
			}
		}
	})
}

func TestBadQueries(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, usual(), "a b c")
		x := talk(b, 2)
		mine := x.wants("", "1 2")[0]
		b.bind("b/1").wants("", "1")
		y := b.bind("c/9")
		others := y.wants("", "2")[0]
		for _, c := range []struct{ rest, want string }{
			{set("<after>nothing</after>"), "item-not-found"},
			{set("<before>" + others + "</before>"), "item-not-found"},
			{set("<after>" + strings.ToLower(mine) + "</after>"), "item-not-found"},
			{set("<after>" + mine + "A</after>"), "item-not-found"},
			{set("<max>0</max><after>" + others + "</after>"), "item-not-found"},
			{fields("after-id", others), "item-not-found"},
			{fields("before-id", "AAAAAAAAAAAAAAAAAAAAAA"), "item-not-found"},
			{fields("ids", mine+"</value><value>"+others), "item-not-found"},
			{fields("ids", others), "item-not-found"},
			{set("<index>3</index>"), "feature-not-implemented"},
			{fields("colour", "red"), "feature-not-implemented"},
			{fields("start", "now"), "bad-request"},
			{fields("with", "@"), "jid-malformed"},
			{set("<max>x</max>"), "bad-request"},
			{"<x xmlns='jabber:x:data' type='submit'/>", "bad-request"},
		} {
			x.Got()
			x.Send(query("1", c.rest))
			if got := x.Got(); len(got) != 1 || !strings.Contains(got[0], "<"+c.want) {
				t.Errorf("%s: %s, want %s", c.rest, got, c.want)
			}
		}
	})
}

// TestStrangers: nobody reads or sets what is another's, whatever he asks.
func TestStrangers(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, usual(), "a b c")
		talk(b, 2)
		y := b.online("b/1")
		y.Got()
		for _, inside := range []string{
			"set'><query xmlns='urn:xmpp:mam:2'/>", "get'><query xmlns='urn:xmpp:mam:2'/>", "get'><metadata xmlns='urn:xmpp:mam:2'/>",
			"get'><prefs xmlns='urn:xmpp:mam:2'/>", "set'><prefs xmlns='urn:xmpp:mam:2' default='never'/>",
			"set'><query xmlns='urn:xmpp:mam:2' node='urn:x'/>",
		} {
			for _, to := range []string{"a@d", "nobody@d", "d"} {
				y.Send("<iq id='1' to='" + to + "' type='" + inside + "</iq>")
				if got := y.Got(); len(got) != 1 || !strings.Contains(got[0], "service-unavailable") {
					t.Errorf("%s to %s: %s", inside, to, got)
				}
			}
		}
		y.Send("<iq id='1' type='set'><query xmlns='urn:xmpp:mam:2' node='urn:x'/></iq>")
		y.Gets("item-not-found")
	})
}

func TestMetadataAndForm(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, usual(), "a b c")
		x := b.online("a/1")
		x.Send("<iq type='get' id='1'><metadata xmlns='urn:xmpp:mam:2'/></iq>")
		x.Gets("<metadata xmlns='urn:xmpp:mam:2'/>")
		x.End()
		x = talk(b, 3)
		rows := x.wants("", "1 2 3")
		x.Send("<iq type='get' id='1'><metadata xmlns='urn:xmpp:mam:2'/></iq>")
		x.Gets("<start id='" + rows[0] + "' timestamp='2000-01-01T00:00:00Z'/><end id='" + rows[2] + "' timestamp='2000-01-01T00:02:00Z'/>")
		x.Send("<iq type='get' id='1'><query xmlns='urn:xmpp:mam:2'/></iq>")
		got := x.Got()[0]
		for _, field := range []string{"with", "start", "end", "before-id", "after-id", "ids", "include-groupchat", "{urn:xmpp:fulltext:0}fulltext"} {
			if !strings.Contains(got, "<field var='"+field+"'") {
				t.Errorf("no field %s in %s", field, got)
			}
		}
	})
}

// TestIDs: ids stay what they are over a restart, none comes twice, and nothing can be told from them.
func TestIDs(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, usual(), "a b c")
		x := talk(b, 3)
		rows := x.wants("", "1 2 3")
		last := b.m.numbers.last.Load()
		x.End()
		b.restart(usual())
		if now := b.m.numbers.last.Load(); now < last {
			t.Errorf("numbers go on from %d, the last was %d", now, last)
		}
		x = b.online("a/1")
		x.Send(chat("b@d", "4"))
		again := x.wants("", "1 2 3 4")
		if strings.Join(again[:3], " ") != strings.Join(rows, " ") {
			t.Errorf("ids %s became %s", rows, again)
		}
		x.wants(set("<after>"+rows[1]+"</after>"), "3 4")
	})
}

// TestClockBack: a clock that is put back gives no number twice and keeps the order.
func TestClockBack(t *testing.T) {
	var n numbers
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	last := n.next(at)
	for i := range 1000 {
		next := n.next(at.Add(-time.Duration(i) * time.Hour))
		if next <= last {
			t.Fatalf("%d after %d", next, last)
		}
		last = next
	}
}

// TestFence: a query sees all that was given a number before it, in whatever order it is committed.
func TestFence(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, usual(), "a b c")
		x, y := b.online("a/1"), b.online("b/1")
		first := b.NewTurn() // one loop is in the middle of its batch
		e := entry{message: b.m.numbers.next(time.Now()), bytes: []byte("<message xmlns='jabber:client' id='1'><body/></message>")}
		e.row = store.ArchiveRow{Archive: store.ArchiveName{JID: account("b")}, Account: true, Seq: e.message}
		b.m.batch(first).add(first, e)
		x.Send(chat("b@d", "2")) // another one is done
		y.Got()
		go y.Try(query("p", ""))
		synctest.Wait()
		if got := y.Got(); len(got) > 0 {
			t.Fatalf("it did not wait: %s", got)
		}
		first.End()
		y.Gets("id='1'", "text 2", "fin")
	})
}

// TestSee: what a reader may not see is not sent, counted or named; the page is full all the same.
func TestSee(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, usual(), "a b c")
		room := store.ArchiveName{JID: jid.MustParse("room@rooms.d")}
		for i := 1; i <= 30; i++ {
			b.add(room, fmt.Sprint(i))
		}
		third := func(s *stanza.Stanza) bool {
			i := s.Find(stanza.NSClient, "body")
			s.Cut(i)
			return len(s.ID) > 0 && s.ID[len(s.ID)-1] == '3'
		}
		for _, c := range []struct {
			rest, want string
			complete   bool
		}{
			{"", "3 13 23", true},
			{set("<max>2</max>"), "3 13", false},
			{set("<max>2</max><before/>"), "13 23", false},
			{set("<max>0</max>"), "", false},
		} {
			messages, fin := b.ask(t, room, c.rest, third)
			if strings.Join(messages, " ") != c.want || strings.Contains(fin, "complete='true'") != c.complete || strings.Contains(fin, "text") {
				t.Errorf("%s: %s, %s; want %s", c.rest, messages, fin, c.want)
			}
		}
		none := func(*stanza.Stanza) bool { return false }
		if _, fin := b.ask(t, room, "", none); !strings.Contains(fin, "complete='true'") {
			t.Errorf("nothing to see: %s", fin)
		}
	})
}

func TestScanIsBounded(t *testing.T) {
	c := usual()
	c.ScanRows = 100
	inBubble(t, func(t *testing.T) {
		b := newBench(t, c, "a b c")
		room := store.ArchiveName{JID: jid.MustParse("room@rooms.d")}
		for i := 1; i <= 301; i++ {
			b.add(room, fmt.Sprint(i))
		}
		if _, fin := b.ask(t, room, "", func(*stanza.Stanza) bool { return false }); !strings.Contains(fin, "policy-violation") {
			t.Errorf("it went through all: %s", fin)
		}
		if !b.Counts("stonechat_archive_scans_refused_total 1") {
			t.Error("not counted")
		}
	})
}

// add has a room's message archived.
func (b *bench) add(a store.ArchiveName, id string) (row string, p *store.Pending) {
	s := stanza.Text(stanza.Groupchat, account("room"), "text "+id)
	s.From, s.ID = account("room"), []byte(id)
	t := b.NewTurn()
	defer t.End()
	return b.m.Add(t, a, account("a"), s)
}

var found = regexp.MustCompile(`<message [^>]*id='(\w+)'`)
