// SPDX-License-Identifier: Apache-2.0

package mam

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stonechat-im/stonechat/config"
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/retract"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// outside is a place whose people ask our archives.
type outside struct{ got []string }

func (p *outside) Take(_ *server.Turn, s *stanza.Stanza) error {
	p.got = append(p.got, string(s.Append(nil, "")))
	return nil
}
func (*outside) Present() bool { return true }

// ask has somebody from elsewhere ask an archive, and returns the messages and the answer.
func (b *bench) ask(t *testing.T, a store.ArchiveName, rest string, see func(*stanza.Stanza) bool) (messages []string, fin string) {
	t.Helper()
	p := new(outside)
	detach, err := b.Attach("elsewhere", p)
	if err != nil {
		t.Fatal(err)
	}
	defer detach()
	s, err := stanza.Parse([]byte("<iq xmlns='jabber:client' type='set' id='1' from='x@elsewhere/y' to='" + a.JID.String() + "'><query xmlns='urn:xmpp:mam:2'>" + rest + "</query></iq>"))
	if err != nil {
		t.Fatal(err)
	}
	turn := b.NewTurn()
	defer turn.End()
	answer, err := b.m.Answer(turn, &server.Query{Stanza: s}, a, see)
	for _, m := range p.got {
		messages = append(messages, found.FindStringSubmatch(m[strings.Index(m, "<forwarded"):])[1])
	}
	if err != nil {
		return messages, err.Error()
	}
	return messages, string(answer.AppendXML(nil))
}

func TestRooms(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, usual(), "a")
		room, other := store.ArchiveName{JID: jid.MustParse("room@rooms.d")}, store.ArchiveName{JID: jid.MustParse("room@rooms.d"), Node: "urn:x"}
		var rows []string
		for _, id := range []string{"1", "2", "3"} {
			row, p := b.add(room, id)
			if err := p.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
			rows = append(rows, row)
			time.Sleep(time.Minute) // of the bubble's clock
		}
		if messages, fin := b.ask(t, room, "", nil); strings.Join(messages, " ") != "1 2 3" || !strings.Contains(fin, "<last>"+rows[2]) {
			t.Errorf("%s, %s", messages, fin)
		}
		if messages, _ := b.ask(t, room, fields("with", "a@d"), nil); len(messages) != 3 {
			t.Errorf("with their author: %s", messages)
		}
		if messages, _ := b.ask(t, room, fields("with", "b@d"), nil); len(messages) != 0 {
			t.Errorf("with another: %s", messages)
		}
		if messages, _ := b.ask(t, other, "", nil); len(messages) != 0 {
			t.Errorf("of a node: %s", messages)
		}
		if _, err := b.ask(t, other, set("<after>"+rows[0]+"</after>"), nil); !strings.Contains(err, "item-not-found") {
			t.Errorf("a row of another archive: %s", err)
		}

		last := func(since time.Time, max int) (ids string) {
			t.Helper()
			list, err := b.m.Last(t.Context(), room, since, max)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range list {
				ids += string(m.Stanza.ID)
				if got := b.m.ids.id(room, m.At.UnixMicro()); got != m.ID {
					t.Errorf("%s has the id %s", m.ID, got)
				}
			}
			return ids
		}
		if got := last(time.Time{}, 2); got != "23" {
			t.Errorf("the last two: %s", got)
		}
		if got := last(time.Now().Add(-2*time.Minute), 10); got != "23" {
			t.Errorf("of two minutes: %s", got)
		}
		if got := last(time.Time{}, 0); got != "" {
			t.Errorf("none: %s", got)
		}

		m, err := b.m.Find(t.Context(), room, rows[1])
		if err != nil || string(m.Stanza.ID) != "2" || m.ID != rows[1] {
			t.Errorf("found %+v, %v", m, err)
		}
		for _, id := range []string{"", "x", rows[1] + "x", "AAAAAAAAAAAAAAAAAAAAAA"} {
			if _, err := b.m.Find(t.Context(), room, id); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("%q: %v", id, err)
			}
		}
		if _, err := b.m.Find(t.Context(), other, rows[1]); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("in another archive: %v", err)
		}
		tomb := stanza.New(stanza.Message, stanza.Groupchat, jid.JID{}, &retract.Retracted{Stamp: time.Now()})
		tomb.ID = []byte("2")
		if err := b.m.Replace(room, rows[1], tomb).Wait(t.Context()); err != nil {
			t.Error(err)
		}
		if err := b.m.Replace(room, "nothing", tomb).Wait(t.Context()); err != nil {
			t.Error(err)
		}
		if m, err := b.m.Find(t.Context(), room, rows[1]); err != nil || !m.Stanza.Has(retract.NS, "retracted") || m.Stanza.Has(stanza.NSClient, "body") {
			t.Errorf("a tombstone: %+v, %v", m, err)
		}
		if err := b.m.Forget(room).Wait(t.Context()); err != nil {
			t.Error(err)
		}
		if messages, _ := b.ask(t, room, "", nil); len(messages) != 0 {
			t.Errorf("forgotten: %s", messages)
		}
		if row, p := b.add(room, "4"); p.Wait(t.Context()) != nil || row == rows[0] {
			t.Error("a new room of its name")
		}
	})
}

// TestRetracted: what its sender takes back is a tombstone in both archives; nobody else takes it back.
func TestRetracted(t *testing.T) {
	take := func(to, id, by string) string {
		return "<message to='" + to + "' type='chat' id='" + by + "'><retract id='" + id + "' xmlns='urn:xmpp:message-retract:1'/></message>"
	}
	inBubble(t, func(t *testing.T) {
		b := newBench(t, usual(), "a b c")
		x, y, z := b.online("a/1"), b.online("b/1"), b.online("c/1")
		x.Send(chat("b@d", "1") + chat("b@d", "2") + chat("c@d", "1"))
		y.Got()
		y.Send(take("a@d", "2", "9")) // not hers
		z.Send(take("b@d", "2", "8"))
		x.Send(take("b@d/1", "1", "7"))
		x.Send(strings.Replace(take("c@d", "1", "6"), "id='6'", "", 1)) // without an id that a tombstone could name
		synctest.Wait()
		for _, p := range []*peer{x, y} {
			p.Got()
			p.Send(query("1", fields("with", map[*peer]string{x: "b@d", y: "a@d"}[p])))
			p.Gets(`<message xmlns='jabber:client' from='a@d/1' to='b@d' id='1' type='chat'><retracted xmlns='urn:xmpp:message-retract:1' id='7' stamp='2000-01-01T00:00:00Z'/></message>`,
				"text 2", "<retract id='2'", "<retract id='1'", "fin")
		}
		z.Got()
		z.Send(query("1", ""))
		z.Gets("text 1", "<retract id='2'", "<retract id='1'", "fin")
		if !b.Counts("stonechat_archive_retractions_missed_total 4") {
			t.Error("what was not found is not counted")
		}
	})
}

// TestRetractedInPrivate: what an occupant of a room has said in private, another of its occupants does not take back.
func TestRetractedInPrivate(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, usual(), "a")
		x := b.online("a/1")
		from := func(nick, id, payload string) {
			s, err := stanza.Parse([]byte("<message xmlns='jabber:client' from='cave@rooms.example/" + nick + "' to='a@d/1' type='chat' id='" + id + "'>" + payload +
				"<x xmlns='http://jabber.org/protocol/muc#user'/></message>"))
			if err != nil {
				t.Fatal(err)
			}
			turn := b.NewTurn()
			turn.Route(s)
			turn.End()
			synctest.Wait()
		}
		const take = "<retract id='1' xmlns='urn:xmpp:message-retract:1'/>"
		from("alice", "1", "<body>hello</body>")
		from("mallory", "2", take)
		x.Got()
		x.Send(query("1", ""))
		x.Gets("hello", "mallory.*<retract id='1'", "fin")
		from("alice", "3", take)
		x.Got()
		x.Send(query("1", ""))
		x.Gets("<retracted .*id='3'", "mallory", "alice.*<retract id='1'", "fin")
	})
}

func TestPreferences(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, usual(), "a b c")
		x, y, z := b.online("a/1"), b.online("b/1"), b.online("c/1")
		get := "<iq type='get' id='1'><prefs xmlns='urn:xmpp:mam:2'/></iq>"
		change := func(p *peer, prefs string) {
			t.Helper()
			p.Got()
			p.Send("<iq type='set' id='1'>" + prefs + "</iq>")
			if got := p.Got(); len(got) != 1 || !strings.Contains(got[0], "type='result'") || !strings.Contains(got[0], "<prefs xmlns='urn:xmpp:mam:2' default=") {
				t.Fatalf("set: %s", got)
			}
		}
		x.Send(get)
		x.Gets("<prefs xmlns='urn:xmpp:mam:2' default='always'><always></always><never></never></prefs>")
		change(x, "<prefs xmlns='urn:xmpp:mam:2' default='never'><always><jid>c@d</jid></always></prefs>")
		x.Send(chat("b@d", "1") + chat("c@d", "2"))
		x.wants("", "2")
		y.wants("", "1") // what she keeps is hers to say
		change(x, "<prefs xmlns='urn:xmpp:mam:2' default='roster'><never><jid>c@d/1</jid></never></prefs>")
		b.contacts["a@d c@d"] = true
		x.Send(chat("b@d", "3") + chat("c@d", "4") + chat("c@d/1", "5") + chat("a@d", "6"))
		x.Got()
		x.wants("", "2 4 6")
		// Who is away is asked on the disk.
		change(y, "<prefs xmlns='urn:xmpp:mam:2' default='never'/>")
		y.End()
		x.Send(chat("b@d", "7"))
		y = b.online("b/1")
		y.wants("", "1 3")
		z.Got()
		for prefs, want := range map[string]string{
			"<prefs xmlns='urn:xmpp:mam:2'/>":                                                                                    "bad-request",
			"<prefs xmlns='urn:xmpp:mam:2' default='sometimes'/>":                                                                "bad-request",
			"<prefs xmlns='urn:xmpp:mam:2' default='always'><never><jid>@</jid></never></prefs>":                                 "jid-malformed",
			"<prefs xmlns='urn:xmpp:mam:2' default='always'><never>" + strings.Repeat("<jid>a@b</jid>", 11) + "</never></prefs>": "policy-violation",
		} {
			z.Send("<iq type='set' id='1'>" + prefs + "</iq>")
			if got := z.Got(); len(got) != 1 || !strings.Contains(got[0], "<"+want) {
				t.Errorf("%s: %s", prefs, got)
			}
		}
		if !b.Counts("stonechat_archive_preferences_refused_total 1") {
			t.Error("not counted")
		}
		x.End()
		b.restart(usual())
		x = b.online("a/1")
		x.Send(get)
		x.Gets("default='roster'><always></always><never><jid>c@d/1</jid></never>")
	})
}

// TestSpool: who has read a message in the archive is not sent it again from the spool; of what she has not read nothing is lost.
func TestSpool(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, usual(), "a b")
		x := b.online("a/1")
		x.Send(chat("b@d", "1") + chat("b@d", "2") + "<message to='b@d' id='3'><x xmlns='urn:example:x'/></message>" + chat("b@d", "4"))
		y := b.bind("b/1")
		y.wants(set("<max>2</max>"), "1 2")
		y.Send("<presence/>")
		y.Gets("id='3'", "text 4")
		y.End()
		y = b.online("b/1")
		y.Gets()
	})
}

// TestRemembered: of what a session has read beyond what is remembered, it gets again what has waited.
func TestRemembered(t *testing.T) {
	c := usual()
	c.Remembered = 2
	inBubble(t, func(t *testing.T) {
		b := newBench(t, c, "a b")
		x := b.online("a/1")
		x.Send(chat("b@d", "1") + chat("b@d", "2") + chat("b@d", "3"))
		y := b.bind("b/1")
		y.wants("", "1 2 3") // the newest are remembered
		y.wants(set("<max>2</max>"), "1 2")
		y.Send("<presence/>")
		y.Gets("text 1")
		if !b.Counts(`stonechat_archive_queries_limited_total{key="remembered"} 2`) {
			t.Error("not counted")
		}
	})
}

// TestManyIDs: a query may name so many ids, and the specification's own bound counts as well.
func TestManyIDs(t *testing.T) {
	c := usual()
	c.QueryIDs = 1
	ids := func(n int) string {
		return "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>urn:xmpp:mam:2</value></field><field var='ids'>" +
			strings.Repeat("<value>x</value>", n) + "</field></x>"
	}
	inBubble(t, func(t *testing.T) {
		b := newBench(t, c, "a")
		x := b.online("a/1")
		for n, want := range map[int]string{1: "item-not-found", 2: "policy-violation", 251: "policy-violation"} {
			x.Send(query("1", ids(n)))
			x.Gets(want)
		}
		if !b.Counts(`stonechat_archive_queries_limited_total{key="query_ids"} 2`) {
			t.Error("not counted")
		}
	})
}

// TestManyRetractions: what is taken back while too much waits for its tombstone stays as it was, and nobody waits for it.
func TestManyRetractions(t *testing.T) {
	c := usual()
	c.Retractions = 2
	inBubble(t, func(t *testing.T) {
		b := newBench(t, c, "a b")
		x := b.online("a/1")
		for n := range 6 {
			x.Send(chat("b@d", fmt.Sprint(n)))
		}
		x.Got()
		release := b.Disk.Stall()
		for n := range 6 {
			x.Send(fmt.Sprintf("<message to='b@d' type='chat' id='r%d'><retract id='%d' xmlns='urn:xmpp:message-retract:1'/></message>", n, n))
		}
		release()
		synctest.Wait()
		x.Send(query("1", ""))
		if n := strings.Count(strings.Join(x.Got(), ""), "<retracted "); n != 2 && n != 3 { // one may have been on its way
			t.Errorf("%d have tombstones", n)
		}
		if !b.Counts("stonechat_archive_retractions_missed_total 9") && !b.Counts("stonechat_archive_retractions_missed_total 10") {
			t.Error("not counted") // of six, in two archives
		}
	})
}

// TestRetention removes what is too old or too many, and only from the oldest end.
func TestRetention(t *testing.T) {
	c := usual()
	c.Age = 0
	inBubble(t, func(t *testing.T) {
		b := newBench(t, c, "a b c")
		x := talk(b, 10)
		retain := func(change func(*Config)) {
			t.Helper()
			c := *b.m.config.Load()
			change(&c)
			b.m.config.Store(&c)
			if err := b.m.retain(t.Context(), time.Now()); err != nil {
				t.Fatal(err)
			}
		}
		retain(func(*Config) {})
		x.wants("", "1 2 3 4 5 6 7 8 9 10")
		retain(func(c *Config) { c.Messages = 8 })
		x.wants("", "3 4 5 6 7 8 9 10")
		b.bind("b/1").wants("", "1 3 5 7 9")
		retain(func(c *Config) { c.Bytes = 500 })
		left, _, _ := x.page("")
		if len(left) < 3 || len(left) > 5 || left[len(left)-1] != "10" {
			t.Errorf("of 500 bytes are left %s", left)
		}
		retain(func(c *Config) { c.Messages, c.Bytes, c.Age = 0, 0, config.Duration(150*time.Second) })
		x.wants("", "9 10")
		b.bind("b/2").wants("", "9")
		if !b.Counts("stonechat_archive_removed_total 16") {
			t.Error("not counted")
		}
		retain(func(c *Config) { c.RoomMessages = 1 })
		x.wants("", "9 10")
		room := store.ArchiveName{JID: jid.MustParse("room@rooms.d")}
		for _, id := range []string{"1", "2", "3"} {
			b.add(room, id)
		}
		time.Sleep(2 * time.Minute) // of the bubble's clock: what is very young is not counted yet
		retain(func(*Config) {})
		if messages, _ := b.ask(t, room, "", nil); strings.Join(messages, " ") != "3" {
			t.Errorf("the room has %s", messages)
		}
		b.m.Forget(room)
		retain(func(*Config) {})
		if n, err := b.Disk.ForgottenArchives(t.Context()); n != 0 || err != nil {
			t.Errorf("%d forgotten, %v", n, err)
		}
	})
}

// TestText: words are found when they are some seconds old, also those that came before a restart.
func TestText(t *testing.T) {
	words := func(s string) string { return fields("{urn:xmpp:fulltext:0}fulltext", s) }
	inBubble(t, func(t *testing.T) {
		b := newBench(t, usual(), "a b")
		x := b.online("a/1")
		b.online("b/1")
		x.Send("<message to='b@d' id='1' type='chat'><body>Thus with a kiss I die</body></message>" +
			"<message to='b@d' id='2' type='chat'><subject>kiss</subject><body>&lt;b&gt;</body><x xmlns='urn:x'>rose</x></message>" + chat("b@d", "3"))
		x.End()
		b.restart(usual())
		time.Sleep(2 * time.Minute) // of the bubble's clock
		x = b.online("a/1")
		y := b.online("b/1")
		for _, p := range []*peer{x, y} {
			p.wants(words("kiss"), "1 2")
			p.wants(words("Kiss die"), "1")
			p.wants(words("rose"), "")
			p.wants(words("text"), "3")
			p.wants(words("kiss")+set("<max>1</max><before/>"), "2")
			p.wants(words(""), "1 2 3")
		}
		x.wants(fields("{urn:xmpp:fulltext:0}fulltext", "kiss", "with", "c@d"), "")
		x.wants(words(strings.Repeat("kiss ", usual().QueryWords)), "1 2")
		x.wants(words("kiss \" ( OR * -"), "")
		x.Send(query("1", words(strings.Repeat("kiss ", usual().QueryWords+1))))
		x.Gets("policy-violation")
		if !b.Counts(`stonechat_archive_queries_limited_total{key="query_words"} 1`) {
			t.Error("not counted")
		}
		x.End()
		y.End()
		c := usual()
		c.FullText = false
		b.restart(c)
		x = b.online("a/1")
		x.Send(query("1", words("kiss")))
		x.Gets("feature-not-implemented")
	})
}
