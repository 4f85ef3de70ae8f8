// SPDX-License-Identifier: Apache-2.0

package muc

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/xmpp/command"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

const cave = "cave@rooms.d"

// Nobody who may not see an address gets one: not in presence, messages, history, lists, requests, refusals or what the
// room says of itself.
func TestAddressesStaySecret(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, usual(), "boss duke maid page spy far guest")
		boss, duke, maid, page := b.bind("boss/secret1"), b.bind("duke/secret2"), b.bind("maid/secret3"), b.bind("page/secret4")
		page2, spy, far := b.bind("page/secret5"), b.bind("spy/r"), b.bind("far/r")
		boss.room(cave, "a", fieldPersistent, "1")
		spy.Send(enter(cave, "spy"))
		for _, p := range []struct {
			p    *peer
			nick string
		}{{duke, "b"}, {maid, "c"}, {page, "d"}, {page2, "d"}} {
			p.p.Send(enter(cave, p.nick))
		}
		everything := []string{}
		note := func() {
			for _, p := range []*peer{spy, far} {
				everything = append(everything, p.Got()...)
			}
		}
		boss.must("set", cave, affiliation("duke@d", "admin"))
		boss.must("set", cave, affiliation("maid@d", "member"))
		boss.must("set", cave, affiliation("guest@d", "member"))
		duke.must("set", cave, admin("<item nick='c' role='visitor'><reason>x</reason></item>"))
		duke.must("set", cave, role("c", "participant"))
		boss.must("set", cave, role("c", "moderator"))
		boss.must("set", cave, role("c", "participant"))
		note()
		page.Send("<presence to='cave@rooms.d/e'><show>away</show></presence>")
		page.Send("<message type='groupchat' to='cave@rooms.d' id='1'><body>hi</body></message>",
			"<message type='groupchat' to='cave@rooms.d'><subject>s</subject></message>",
			"<message type='chat' to='cave@rooms.d/spy'><body>psst</body></message>",
			"<message to='cave@rooms.d'><x xmlns='http://jabber.org/protocol/muc#user'><invite to='far@d'/></x></message>",
			"<iq type='get' id='2' to='cave@rooms.d/spy'><q xmlns='u:q'/></iq>")
		got := spy.Got()
		everything = append(everything, got...)
		var asked string
		for _, x := range got {
			if m := regexp.MustCompile(`^<iq from='cave@rooms.d/e' to='spy@d/r' id='([^']+)'`).FindStringSubmatch(x); m != nil {
				asked = m[1]
			}
		}
		if asked == "" {
			t.Fatalf("no request in %s", strings.Join(got, "\n"))
		}
		page.Got()
		spy.Send("<iq type='result' id='" + asked + "' to='cave@rooms.d/e'><q xmlns='u:q'>spy@d/r</q></iq>")
		page.Gets("<iq from='cave@rooms.d/spy' to='page@d/secret4' id='2' type='result'>")
		// The other way: an answer, and an error that names its sender.
		spy.Send("<iq type='get' id='3' to='cave@rooms.d/e'><q xmlns='u:q'/></iq>", "<iq type='get' id='4' to='cave@rooms.d/e'><q xmlns='u:q'/></iq>")
		var ids []string
		for _, p := range []*peer{page, page2} {
			for _, x := range p.Got() {
				if m := regexp.MustCompile(`<iq from='cave@rooms.d/spy' to='page@d/secret.' id='([^']+)' type='get'`).FindStringSubmatch(x); m != nil {
					ids = append(ids, m[1])
					if len(ids) == 1 {
						p.Send("<iq type='result' id='" + m[1] + "' to='cave@rooms.d/spy'/>")
					} else {
						p.Send("<iq type='error' id='" + m[1] + "' to='cave@rooms.d/spy'><error type='cancel' by='page@d/secret4'><forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>")
					}
				}
			}
		}
		if len(ids) != 2 {
			t.Fatalf("%d requests came", len(ids))
		}
		spy.Send("<message type='chat' to='cave@rooms.d/e' id='5'><body>x</body></message>")
		page.Send("<message type='error' to='cave@rooms.d/spy' id='5'><error type='cancel' by='page@d/secret4'><not-allowed xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>")
		note()
		if !strings.Contains(strings.Join(everything, ""), "not-allowed") {
			t.Error("the refusal of a private message does not come back")
		}
		for _, x := range []string{
			"<query xmlns='http://jabber.org/protocol/disco#info'/>", "<query xmlns='http://jabber.org/protocol/disco#items'/>",
			admin("<item affiliation='member'/>"), admin("<item affiliation='owner'/>"), admin("<item role='participant'/>"),
			"<query xmlns='http://jabber.org/protocol/muc#owner'/>", "<query xmlns='jabber:iq:register'/>", "<vCard xmlns='vcard-temp'/>",
		} {
			spy.Send("<iq type='get' id='6' to='cave@rooms.d'>" + x + "</iq>")
			far.Send("<iq type='get' id='6' to='cave@rooms.d'>" + x + "</iq>")
			note()
		}
		spy.Send(leave(cave, "spy"))
		spy.Send(enter(cave, "spy"))
		note()
		boss.must("set", cave, configuration(fieldModerated, "1"))
		boss.must("set", cave, role("spy", "visitor"))
		boss.must("set", cave, role("e", "none"))
		boss.must("set", cave, affiliation("maid@d", "outcast"))
		boss.must("set", cave, affiliation("duke@d", "none"))
		boss.must("set", cave, configuration(fieldMembersOnly, "1"))
		note()
		boss.must("set", cave, "<query xmlns='http://jabber.org/protocol/muc#owner'><destroy/></query>")
		note()
		secret := regexp.MustCompile(`(boss|duke|maid|page|guest)@d|secret\d`)
		for _, x := range everything {
			if secret.MatchString(x) {
				t.Errorf("tells an address: %s", x)
			}
		}
		if len(everything) < 40 {
			t.Errorf("only %d stanzas were looked at", len(everything))
		}
	})
}

// A room says who is in it before who one is, then what was said, then the subject; what happens meanwhile comes behind
// that, in order, however long it takes.
func TestCatchesUpInOrder(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := usual()
		c.MaxOccupants, c.MaxHistory, c.Default.History = 1000, 50, 50
		b := newBench(t, c, "boss late")
		boss := b.bind("boss/r")
		boss.room(cave, "boss")
		if _, err := b.Attach(server.Elsewhere, nowhere{}); err != nil {
			t.Fatal(err)
		}
		const guests = 60 // more would be dealt with off the loop, so that the test could not tell when
		for i := range guests {
			b.guest(fmt.Sprintf("g%d@far.example/r", i), enter(cave, fmt.Sprint("g", i)))
		}
		for i := range 30 {
			boss.Send(fmt.Sprintf("<message type='groupchat' to='cave@rooms.d' id='old%d'><body>x</body></message>", i))
		}
		late := b.bind("late/r")
		// One batch: the room gets the rest while the newcomer is still being told of the crowd.
		late.Try(enter(cave, "late"))
		var more []string
		for i := range 20 {
			more = append(more, fmt.Sprintf("<message type='groupchat' to='cave@rooms.d' id='new%d'><body>x</body></message>", i))
		}
		boss.Try(more...)
		var order []string
		for _, x := range late.Got() {
			switch {
			case strings.HasPrefix(x, "<presence") && strings.Contains(x, "code='110'"):
				order = append(order, "self")
			case strings.HasPrefix(x, "<presence"):
				order = append(order, "presence")
			case strings.Contains(x, "<subject>"):
				order = append(order, "subject")
			default:
				order = append(order, regexp.MustCompile(`id='(\w+)'`).FindStringSubmatch(x)[1])
			}
		}
		var want []string
		for range guests + 1 {
			want = append(want, "presence")
		}
		want = append(want, "self")
		for i := range 30 {
			want = append(want, fmt.Sprint("old", i))
		}
		want = append(want, "subject")
		for i := range 20 {
			want = append(want, fmt.Sprint("new", i))
		}
		if got := strings.Join(order, " "); got != strings.Join(want, " ") {
			t.Errorf("got  %s\nwant %s", got, strings.Join(want, " "))
		}
		// From now on it is told by the room's own outbox.
		boss.Send("<message type='groupchat' to='cave@rooms.d' id='last'><body>x</body></message>")
		late.Gets("id='last'")
	})
}

// nowhere takes what is for others.
type nowhere struct{}

func (nowhere) Take(*server.Turn, *stanza.Stanza) error { return nil }
func (nowhere) Present() bool                           { return false }

// A persistent room is there again after a restart, with all that it was; another one is not.
func TestRestart(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, usual(), "boss maid knave")
		boss := b.bind("boss/r")
		boss.room(cave, "boss", fieldPersistent, "1", fieldName, "Cave", fieldModerated, "1", fieldWhois, "anyone", fieldPassword, "p", fieldBroadcast, "moderator participant")
		boss.room("temporary@rooms.d", "boss")
		boss.must("set", cave, admin("<item jid='maid@d' affiliation='member' nick='Maid'/><item jid='knave@d' affiliation='outcast'><reason>theft</reason></item>"))
		boss.Send("<message type='groupchat' to='cave@rooms.d'><subject>s &lt; t</subject></message>")
		boss.must("set", cave, "<vCard xmlns='vcard-temp'><PHOTO><BINVAL>QUJD</BINVAL></PHOTO></vCard>")
		boss.must("set", cave, newHat("urn:x:maid"))
		boss.must("set", cave, wear("maid@d", "urn:x:maid"))
		form := func(p *peer) string {
			p.Got()
			p.Send("<iq type='get' id='f' to='cave@rooms.d'><query xmlns='http://jabber.org/protocol/muc#owner'/></iq>")
			return strings.Join(p.Got(), "")
		}
		before := form(boss)
		b.Restart()
		boss = b.bind("boss/r")
		maid := b.bind("maid/r")
		if after := form(boss); after != before {
			t.Errorf("the configuration was\n%s\nis\n%s", before, after)
		}
		if wrong := boss.ask("get", "temporary@rooms.d", "<query xmlns='http://jabber.org/protocol/muc#owner'/>"); wrong != "item-not-found" {
			t.Errorf("a temporary room: %q", wrong)
		}
		maid.Send("<presence to='cave@rooms.d/Maid'><x xmlns='http://jabber.org/protocol/muc'><password>p</password></x></presence>")
		maid.Gets("affiliation='member' & role='participant' & code='110' & code='100' & <hat title='A hat' uri='urn:x:maid'/>", "<subject>s &lt; t</subject> & <delay")
		boss.Send("<iq type='get' id='1' to='cave@rooms.d'><query xmlns='http://jabber.org/protocol/muc#admin'><item affiliation='outcast'/></query></iq>",
			"<iq type='get' id='2' to='cave@rooms.d'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>")
		boss.Gets("jid='knave@d' & <reason>theft</reason>", "name='Cave' & 3c01bdbb26f358bab27f267924aa2c9a03fcfdb8 & muc_passwordprotected")
		if wrong := boss.tell("<presence to='cave@rooms.d/maid'><x xmlns='http://jabber.org/protocol/muc'><password>p</password></x></presence>"); wrong != "conflict" {
			t.Errorf("a reserved nick: %q", wrong)
		}
		maid.Send(leave(cave, "Maid"))
		if n := b.m.table.count(); n != 0 {
			t.Errorf("%d rooms are in memory that nobody is in", n)
		}
	})
}

// What cannot be stored is refused, and changes nothing.
func TestDiskFull(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, usual(), "boss maid")
		boss, maid := b.bind("boss/r"), b.bind("maid/r")
		boss.room(cave, "boss", fieldPersistent, "1")
		maid.Send(enter(cave, "maid"))
		b.Disk.Failing.Store(true)
		boss.Got()
		maid.Got()
		for _, x := range []string{
			affiliation("maid@d", "outcast"), configuration(fieldName, "x"), "<vCard xmlns='vcard-temp'><FN>x</FN></vCard>",
			"<query xmlns='http://jabber.org/protocol/muc#owner'><destroy/></query>",
		} {
			if wrong := boss.ask("set", cave, x); wrong != "resource-constraint" {
				t.Errorf("%s: %q", x, wrong)
			}
		}
		maid.Gets()
		b.Disk.Failing.Store(false)
		maid.Send("<message type='groupchat' to='cave@rooms.d' id='1'><body>still here</body></message>")
		maid.Gets("still here")
	})
}

// Each bound refuses by its error, and is counted.
func TestBounds(t *testing.T) {
	long := strings.Repeat("x", 5000)
	for _, c := range []struct {
		key, want string
		change    func(*Config)
		do        func(b *bench, boss, page *peer) string
	}{
		{"max_rooms", "resource-constraint", func(c *Config) { c.MaxRooms = 1 }, func(_ *bench, _, page *peer) string { return page.tell(enter("other@rooms.d", "x")) }},
		{"max_rooms_per_creator", "resource-constraint", func(c *Config) { c.MaxRoomsPerCreator = 1 }, func(_ *bench, boss, page *peer) string {
			page.room("other@rooms.d", "x", fieldPersistent, "1")
			if wrong := page.tell(enter("third@rooms.d", "x")); wrong != "resource-constraint" {
				return wrong
			}
			return boss.tell(enter("third@rooms.d", "x"))
		}},
		{"max_occupants", "service-unavailable", func(c *Config) { c.MaxOccupants = 1 }, func(_ *bench, _, page *peer) string { return page.tell(enter(cave, "x")) }},
		{"max_affiliations", "resource-constraint", func(c *Config) { c.MaxAffiliations = 2 }, func(_ *bench, boss, _ *peer) string {
			boss.must("set", cave, affiliation("a@d", "member"))
			return boss.ask("set", cave, affiliation("b@d", "member"))
		}},
		{"message_bytes", "policy-violation", func(*Config) {}, func(_ *bench, boss, _ *peer) string {
			return boss.tell("<message type='groupchat' to='cave@rooms.d'><body>" + long + "</body></message>")
		}},
		{"presence_bytes", "policy-violation", func(*Config) {}, func(_ *bench, boss, _ *peer) string {
			return boss.tell("<presence to='cave@rooms.d/boss'><status>" + long + "</status></presence>")
		}},
		{"nick_bytes", "not-acceptable", func(*Config) {}, func(_ *bench, _, page *peer) string { return page.tell(enter(cave, long[:31])) }},
		{"vcard_bytes", "policy-violation", func(*Config) {}, func(_ *bench, boss, _ *peer) string {
			return boss.ask("set", cave, "<vCard xmlns='vcard-temp'><FN>"+long+"</FN></vCard>")
		}},
		{"max_hats", "resource-constraint", func(c *Config) { c.MaxHats = 1 }, func(_ *bench, boss, _ *peer) string {
			boss.must("set", cave, newHat("urn:x:1"))
			boss.must("set", cave, newHat("urn:x:1")) // another title for the same
			return boss.ask("set", cave, newHat("urn:x:2"))
		}},
		{"presence_bytes", "resource-constraint", func(*Config) {}, func(_ *bench, boss, _ *peer) string {
			return boss.ask("set", cave, newHat("urn:x:"+long[:1000]))
		}},
		{"text_bytes", "policy-violation", func(*Config) {}, func(_ *bench, boss, _ *peer) string {
			return boss.ask("set", cave, configuration(fieldName, long[:301]))
		}},
		{"text_bytes", "policy-violation", func(*Config) {}, func(_ *bench, boss, _ *peer) string {
			return boss.ask("set", cave, admin("<item jid='a@d' affiliation='outcast'><reason>"+long[:301]+"</reason></item>"))
		}},
		{"text_bytes", "policy-violation", func(*Config) {}, func(_ *bench, boss, page *peer) string {
			page.Send(enter(cave, "page"))
			return boss.ask("set", cave, admin("<item nick='page' role='none'><reason>"+long[:301]+"</reason></item>"))
		}},
		{"text_bytes", "policy-violation", func(*Config) {}, func(_ *bench, boss, _ *peer) string {
			return boss.ask("set", cave, "<query xmlns='http://jabber.org/protocol/muc#owner'><destroy><reason>"+long[:301]+"</reason></destroy></query>")
		}},
		{"max_questions", "resource-constraint", func(c *Config) { c.MaxQuestions = 1 }, func(_ *bench, _, page *peer) string {
			page.Send(enter(cave, "page"), "<iq type='get' id='1' to='cave@rooms.d/boss'><q xmlns='u:q'/></iq>")
			return page.ask("get", cave+"/boss", "<q xmlns='u:q'/>")
		}},
		{"max_requests", "resource-constraint", func(c *Config) { c.MaxRequests = 0 }, func(_ *bench, boss, page *peer) string {
			boss.must("set", cave, configuration(fieldMembersOnly, "1"))
			return page.ask("set", cave, "<query xmlns='jabber:iq:register'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#register</value></field><field var='muc#register_roomnick'><value>x</value></field></x></query>")
		}},
	} {
		t.Run(c.key, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				config := usual()
				c.change(&config)
				b := newBench(t, config, "boss page")
				boss, page := b.bind("boss/r"), b.bind("page/r")
				boss.room(cave, "boss", fieldPersistent, "1")
				if got := c.do(b, boss, page); got != c.want {
					t.Errorf("%q, want %q", got, c.want)
				}
				if !b.Counts(`stonechat_rooms_limited_total{key="`+c.key+`"} 1`) && !b.Counts(`stonechat_rooms_limited_total{key="`+c.key+`"} 2`) {
					t.Error("it is not counted")
				}
			})
		})
	}
	t.Run("history", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			b := newBench(t, usual(), "boss page")
			boss, page := b.bind("boss/r"), b.bind("page/r")
			boss.room(cave, "boss", fieldHistory, "1000")
			for i := range 20 {
				boss.Send(fmt.Sprintf("<message type='groupchat' to='cave@rooms.d' id='%d'><body>x</body></message>", i))
			}
			page.Send(enter(cave, "page"))
			n := 0
			for _, x := range page.Got() {
				if strings.Contains(x, "<body>") {
					n++
				}
			}
			if n != b.m.config.Load().MaxHistory {
				t.Errorf("%d messages, want %d", n, b.m.config.Load().MaxHistory)
			}
		})
	})
}

// An account that is deleted is nobody any more, in memory and on the disk: neither is another one of its name.
func TestDeletedAccount(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, usual(), "boss maid")
		boss, maid := b.bind("boss/r"), b.bind("maid/r")
		boss.room(cave, "boss", fieldPersistent, "1")
		boss.must("set", cave, affiliation("maid@d", "owner"))
		boss.must("set", cave, newHat("urn:x:maid"))
		boss.must("set", cave, wear("maid@d", "urn:x:maid"))
		maid.Send(enter(cave, "maid"))
		if err := b.DeleteAccount(t.Context(), maid.Session.JID.Bare(), nil); err != nil {
			t.Fatal(err)
		}
		for _, again := range []bool{false, true} {
			if again {
				b.Restart()
				boss = b.bind("boss/r")
			}
			boss.Got()
			boss.Send("<iq type='get' id='1' to='cave@rooms.d'><query xmlns='http://jabber.org/protocol/muc#admin'><item affiliation='owner'/></query></iq>")
			if got := strings.Join(boss.Got(), ""); !strings.Contains(got, "boss@d") || strings.Contains(got, "maid@d") {
				t.Errorf("after a restart: %v: %s", again, got)
			}
			boss.Send("<iq type='set' id='2' to='cave@rooms.d'><command xmlns='" + command.NS + "' node='" + hatAssigned + "'/></iq>")
			if got := strings.Join(boss.Got(), ""); !strings.Contains(got, "completed") || strings.Contains(got, "maid@d") {
				t.Errorf("hats after a restart: %v: %s", again, got)
			}
		}
	})
}

// Hats of an account that was deleted while the room was not in memory are not those of another one of its name.
func TestHatsOfDeletedAccount(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, usual(), "boss maid page")
		boss := b.bind("boss/r")
		<-time.After(time.Second)
		boss.room(cave, "boss", fieldPersistent, "1")
		boss.must("set", cave, newHat("urn:x:hat"))
		for _, user := range []string{"maid@d", "page@d", "fool@elsewhere"} {
			boss.must("set", cave, wear(user, "urn:x:hat"))
		}
		boss.Send(leave(cave, "boss"))
		if n := b.m.table.count(); n != 0 {
			t.Fatalf("%d rooms are in memory", n)
		}
		assigned := func() string {
			boss.Got()
			boss.Send("<iq type='set' id='2' to='cave@rooms.d'><command xmlns='" + command.NS + "' node='" + hatAssigned + "'/></iq>")
			return strings.Join(regexp.MustCompile(`\w+@(d|elsewhere)</value>`).FindAllString(strings.Join(boss.Got(), ""), -1), " ")
		}
		for _, step := range []struct {
			what string
			do   func()
			want string
		}{
			{"nobody has gone", func() {}, "fool@elsewhere</value> maid@d</value> page@d</value>"},
			{"deleted", func() {
				if err := b.DeleteAccount(t.Context(), jid.MustParse("maid@d"), nil); err != nil {
					t.Fatal(err)
				}
			}, "fool@elsewhere</value> page@d</value>"},
			{"made anew", func() { <-time.After(time.Second); b.Account("maid@d") }, "fool@elsewhere</value> page@d</value>"},
			{"given again", func() { <-time.After(time.Second); boss.must("set", cave, wear("maid@d", "urn:x:hat")) }, "fool@elsewhere</value> maid@d</value> page@d</value>"},
		} {
			step.do()
			if got := assigned(); got != step.want {
				t.Errorf("%s: %s, want %s", step.what, got, step.want)
			}
		}
		maid := b.bind("maid/r")
		maid.Send(enter(cave, "maid"))
		maid.Gets("code='110' & <hat & urn:x:hat", "subject")
	})
}

// When the server ends everybody is told, once.
func TestShutdown(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, usual(), "boss maid")
		boss, maid := b.bind("boss/r"), b.bind("maid/r")
		boss.room(cave, "boss")
		maid.Send(enter(cave, "maid"))
		boss.Got()
		maid.Got()
		b.Restart()
		boss.Gets("type='unavailable' & code='332' & code='110' & from='cave@rooms.d/boss'")
		maid.Gets("type='unavailable' & code='332' & code='110' & from='cave@rooms.d/maid'")
	})
}
