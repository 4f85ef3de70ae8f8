// SPDX-License-Identifier: Apache-2.0

package muc

// How to read this file: what people try who mean a room no good, or do what nobody thought of; each test is one of them.

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// registering is a request for a nick.
func registering(nick string) string {
	return "<query xmlns='jabber:iq:register'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#register</value></field>" +
		"<field var='muc#register_roomnick'><value>" + nick + "</value></field></x></query>"
}

// Who registers with a room that needs a password belongs to it when an admin agrees, or he could read there without it.
func TestRegistrationIsNoPassword(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBenchWith(t, usual(), new(shelf), "boss page")
		boss, page := b.bind("boss/r"), b.bind("page/r")
		boss.room(cave, "boss", fieldPassword, "secret")
		boss.Got()
		page.must("set", cave, registering("page"))
		if wrong := page.ask("set", cave, readArchive); wrong != "forbidden" {
			t.Errorf("he reads: %q", wrong)
		}
		boss.Gets("muc#register_jid & page@d & muc#register_allow")
	})
}

// As many as like may register, but there is room for those whom admins choose and ban.
func TestRegistrationsLeaveRoom(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := usual()
		c.MaxAffiliations = 20
		b := newBench(t, c, "boss")
		boss := b.bind("boss/r")
		boss.room(cave, "boss", fieldPersistent, "1")
		registered := 1 // the owner
		for i := range 25 {
			name := fmt.Sprint("g", i)
			b.Account(name + "@d")
			g := b.bind(name + "/r")
			switch wrong := g.ask("set", cave, registering(name)); wrong {
			case "":
				registered++
			case "resource-constraint":
			default:
				t.Fatal(wrong)
			}
		}
		if registered != 18 {
			t.Errorf("%d belong to the room, want 18", registered)
		}
		boss.must("set", cave, affiliation("elsewhere.example", "outcast"))
		boss.must("set", cave, affiliation("other.example", "outcast"))
		if wrong := boss.ask("set", cave, affiliation("third.example", "outcast")); wrong != "resource-constraint" {
			t.Errorf("one more: %q", wrong)
		}
		g := b.bind("g0/other")
		g.must("set", cave, registering("another")) // he belongs to it already
	})
}

// Nobody is in the room who could remember who wants to become a member: the admin's answer says it.
func TestAsksAnEmptyRoom(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, usual(), "boss page")
		boss, page := b.bind("boss/r"), b.bind("page/r")
		boss.room(cave, "boss", fieldPersistent, "1", fieldMembersOnly, "1")
		boss.Send(leave(cave, "boss"))
		boss.Got()
		page.must("set", cave, registering("Page"))
		boss.Gets("muc#register_jid & page@d & <value>Page</value>")
		decide := func(nick, allow string) string {
			return "<message to='cave@rooms.d'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#register</value></field>" +
				"<field var='muc#register_jid'><value>page@d</value></field><field var='muc#register_roomnick'><value>" + nick + "</value></field>" +
				"<field var='muc#register_allow'><value>" + allow + "</value></field></x></message>"
		}
		for _, c := range []struct {
			who               *peer
			nick, allow, want string
		}{
			{page, "Page", "1", "forbidden"}, {boss, "", "1", "item-not-found"}, {boss, " ", "1", "not-acceptable"},
			{boss, strings.Repeat("x", 31), "1", "not-acceptable"}, {boss, "Page", "0", ""},
		} {
			if wrong := c.who.tell(decide(c.nick, c.allow)); wrong != c.want {
				t.Errorf("%s decides %s about %q: %q, want %q", c.who.Session.JID, c.allow, c.nick, wrong, c.want)
			}
		}
		if wrong := page.tell(enter(cave, "Page")); wrong != "registration-required" {
			t.Errorf("he enters: %q", wrong)
		}
		if wrong := boss.tell(decide("Page", "1")); wrong != "" {
			t.Errorf("allowed: %q", wrong)
		}
		if wrong := page.tell(enter(cave, "Page")); wrong != "" {
			t.Errorf("a member does not enter: %q", wrong)
		}
		if wrong := boss.tell(enter(cave, "page")); wrong != "conflict" {
			t.Errorf("the nick is not his: %q", wrong)
		}
	})
}

// Whoever declines an invitation does not learn from it who is in the room.
func TestDeclineTellsNothing(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, usual(), "boss page spy")
		boss, page, spy := b.bind("boss/r"), b.bind("page/r"), b.bind("spy/r")
		boss.room(cave, "boss", fieldPublic, "0")
		page.Send(enter(cave, "page"))
		page.Got()
		decline := func(to string) string {
			return "<message to='cave@rooms.d'><x xmlns='http://jabber.org/protocol/muc#user'><decline to='" + to + "'><reason>no</reason></decline></x></message>"
		}
		for _, to := range []string{"page@d", "page@d/r", "nobody@d", cave + "/page", cave + "/nobody"} {
			if wrong := spy.tell(decline(to)); wrong != "" {
				t.Errorf("%s: %q", to, wrong)
			}
		}
		page.Gets("<decline & no", "<decline & no", "<decline & no")
		boss.must("set", cave, affiliation("spy@d", "outcast"))
		if wrong := spy.tell(decline("page@d")); wrong != "forbidden" {
			t.Errorf("an outcast: %q", wrong)
		}
		page.Gets()
	})
}

// A room that waits to be configured is there as long as an owner is in it, under whatever nick.
func TestLockedRoomOfTwoNicks(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, usual(), "boss")
		one, two := b.bind("boss/1"), b.bind("boss/2")
		one.Send(enter(cave, "one"))
		two.Send(enter(cave, "two"))
		one.Send(leave(cave, "one"))
		two.must("set", cave, configuration())
		two.Send("<message type='groupchat' to='cave@rooms.d'><body>here</body></message>")
		two.Gets("here")
	})
}

// Who is named twice in one request is what is said of him last; that leaves a room with an owner, and the store with what is true.
func TestNamedTwice(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, usual(), "boss maid")
		boss := b.bind("boss/r")
		boss.room(cave, "boss", fieldPersistent, "1")
		x := admin("<item jid='maid@d' affiliation='owner'/><item jid='maid@d' affiliation='none'/><item jid='boss@d' affiliation='none'/>")
		if wrong := boss.ask("set", cave, x); wrong != "conflict" {
			t.Errorf("no owner is left: %q", wrong)
		}
		boss.must("set", cave, admin("<item jid='maid@d' affiliation='member' nick='Maid'/><item jid='maid@d' affiliation='admin'/>"))
		for _, again := range []bool{false, true} {
			if again {
				b.Restart()
				boss = b.bind("boss/r")
			}
			if wrong := boss.tell(enter(cave, "maid")); wrong != "conflict" {
				t.Errorf("her nick, after a restart: %v: %q", again, wrong)
			}
		}
	})
}

// Nobody passes for another by spaces or by capitals; his own nick anybody may write in another way.
func TestNicksThatLookTheSame(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, usual(), "boss page spy")
		boss, page, spy := b.bind("boss/r"), b.bind("page/r"), b.bind("spy/r")
		boss.room(cave, "boss")
		page.Send(enter(cave, "the page"))
		for _, nick := range []string{"The Page", "the  page", "the page ", " the page"} {
			if wrong := spy.tell(enter(cave, nick)); wrong != "conflict" {
				t.Errorf("%q: %q", nick, wrong)
			}
		}
		boss.Got()
		if wrong := page.tell("<presence to='cave@rooms.d/The Page'/>"); wrong != "" {
			t.Errorf("his own: %q", wrong)
		}
		boss.Gets("from='cave@rooms.d/the page' & type='unavailable' & code='303' & nick='The Page'", "from='cave@rooms.d/The Page'")
		if wrong := boss.tell("<presence to='cave@rooms.d/the page'/>"); wrong != "conflict" {
			t.Errorf("another's: %q", wrong)
		}
	})
}

// The owner's list of admins is the list of all: who is in neither list is none.
func TestOwnerInNoList(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, usual(), "boss duke maid")
		boss := b.bind("boss/r")
		boss.room(cave, "boss")
		who := func(a string) string {
			boss.Got()
			boss.Send("<iq type='get' id='1' to='cave@rooms.d'>" + admin("<item affiliation='"+a+"'/>") + "</iq>")
			return strings.Join(regexp.MustCompile(`jid='(\w+)@d'`).FindAllString(strings.Join(boss.Got(), ""), -1), " ")
		}
		boss.must("set", cave, admin("<item jid='duke@d' affiliation='owner'/><item jid='maid@d' affiliation='owner'/>"))
		boss.must("set", cave, configuration(fieldOwners, "boss@d", fieldAdmins, "maid@d"))
		for a, want := range map[string]string{"owner": "jid='boss@d'", "admin": "jid='maid@d'", "member": "jid='duke@d'"} {
			if got := who(a); got != want {
				t.Errorf("%s: %s, want %s", a, got, want)
			}
		}
	})
}

// A room that is over is no obstacle to another one at its address, whoever still deals with it.
func TestEnteredAgain(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, usual(), "boss page")
		boss := b.bind("boss/r")
		boss.room(cave, "boss")
		r := b.m.table.acquire(jid.MustParse(cave)) // as one who reads its archive
		boss.Send(leave(cave, "boss"))
		boss.Got()
		boss.Send(enter(cave, "boss"))
		boss.Gets("code='201'", "subject")
		b.m.release(nil, r)
		boss.must("set", cave, configuration())
	})
}

// What may be asked at one time may be asked again when it is answered.
func TestQuestionsEnd(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := usual()
		c.MaxQuestions = 1
		b := newBench(t, c, "boss page")
		boss, page := b.bind("boss/r"), b.bind("page/r")
		boss.room(cave, "boss")
		page.Send(enter(cave, "page"))
		for range 3 {
			boss.Got()
			page.Got()
			page.Send("<iq type='get' id='1' to='cave@rooms.d/boss'><q xmlns='u:q'/></iq>")
			m := regexp.MustCompile(`<iq from='cave@rooms.d/page' to='boss@d/r' id='([^']+)'`).FindStringSubmatch(strings.Join(boss.Got(), ""))
			if m == nil {
				t.Fatalf("nobody is asked: %s", page.Got())
			}
			boss.Send("<iq type='result' id='" + m[1] + "' to='cave@rooms.d/page'/>")
			page.Gets("<iq from='cave@rooms.d/boss' & id='1' type='result'")
		}
	})
}

// All hats that may be worn are read again.
func TestHatsAreReadAgain(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, usual(), "boss")
		b.m.config.Load().MaxAffiliations = 1 << 20
		boss := b.bind("boss/r")
		boss.room(cave, "boss", fieldPersistent, "1")
		boss.must("set", cave, newHat("urn:x:hat"))
		room := jid.MustParse(cave)
		r := b.m.table.acquire(room)
		defer b.m.release(nil, r)
		full := r.wardrobe.with()
		full.worn = make(map[jid.JID][]worn)
		for i := range maxWorn - 1 {
			full.worn[jid.MustParse(fmt.Sprintf("g%d@elsewhere", i))] = []worn{{uri: "urn:x:hat", given: r.created}}
		}
		r.wardrobe = full
		boss.must("set", cave, wear("last@elsewhere", "urn:x:hat"))
		if wrong := boss.ask("set", cave, wear("more@elsewhere", "urn:x:hat")); wrong != "resource-constraint" {
			t.Errorf("one more: %q", wrong)
		}
		kept, err := b.Disk.Room(context.Background(), room)
		if err != nil {
			t.Fatal(err)
		}
		w, err := decodeWardrobe(kept.Extras[extraHats], kept.Extras[extraWorn])
		if err != nil || len(w.worn) != maxWorn {
			t.Errorf("%d are read, want %d: %v", len(w.worn), maxWorn, err)
		}
	})
}

// What a moderator has taken back its author does not take back once more, as if nobody else had.
func TestModeratedStays(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a := new(shelf)
		b := newBenchWith(t, usual(), a, "boss page")
		boss, page := b.bind("boss/r"), b.bind("page/r")
		boss.room(cave, "boss")
		page.Send(enter(cave, "page"), "<message type='groupchat' to='cave@rooms.d' id='1'><body>bad</body></message>")
		if wrong := boss.ask("set", cave, strings.Replace(moderate, "<reason>", "<reason>"+strings.Repeat("x", 300), 1)); wrong != "policy-violation" {
			t.Errorf("a long reason: %q", wrong)
		}
		boss.must("set", cave, moderate)
		before := a.text()
		if !strings.Contains(before, "<moderated") || strings.Contains(before, "bad") {
			t.Fatalf("not moderated: %s", before)
		}
		page.Send("<message type='groupchat' to='cave@rooms.d' id='2'><retract xmlns='urn:xmpp:message-retract:1' id='id1'/><body>x</body></message>")
		if after := a.text(); !strings.HasPrefix(after, before) || !strings.Contains(after, "id='2'") {
			t.Errorf("was\n%s\nis\n%s", before, after)
		}
	})
}

// When something was said only the room says, however its name is spelled.
func TestForgedDelay(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, usual(), "boss page")
		boss, page := b.bind("boss/r"), b.bind("page/r")
		boss.room(cave, "boss")
		page.Send(enter(cave, "page"))
		boss.Got()
		for _, from := range []string{cave, "Cave@Rooms.D", "cave@rooms.d."} {
			page.Send("<message type='groupchat' to='cave@rooms.d'><body>x</body><delay xmlns='urn:xmpp:delay' from='" + from + "' stamp='2001-01-01T00:00:00Z'/></message>")
			if got := strings.Join(boss.Got(), ""); !strings.Contains(got, "<body>x") || strings.Contains(got, "2001") {
				t.Errorf("%s: %s", from, got)
			}
		}
	})
}

// Rooms are listed by pages that can be read, however long their names are; how many there are is told to whoever asks for that alone.
func TestLongNames(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := usual()
		c.TextBytes = 100_000
		b := newBench(t, c, "boss")
		boss := b.bind("boss/r")
		for i := range 3 {
			boss.room(fmt.Sprintf("cave%d@rooms.d", i), "boss", fieldPersistent, fmt.Sprint(i%2), fieldName, strings.Repeat("n", 60_000))
		}
		boss.room("hidden@rooms.d", "boss", fieldPublic, "0")
		list := func(set string) string {
			boss.Got()
			boss.Send("<iq type='get' id='1' to='rooms.d'><query xmlns='http://jabber.org/protocol/disco#items'>" + set + "</query></iq>")
			got := strings.Join(boss.Got(), "")
			return strings.ReplaceAll(strings.Join(regexp.MustCompile(`jid='[^']+'|<(last|count)>\w+`).FindAllString(got, -1), " "), "@rooms.d", "")
		}
		const page = "<set xmlns='http://jabber.org/protocol/rsm'>"
		for set, want := range map[string]string{
			"":                                  "jid='cave0' jid='cave1' <last>cave1",
			page + "<after>cave1</after></set>": "jid='cave2' <last>cave2",
			page + "<max>0</max></set>":         "<count>3",
		} {
			if got := list(set); got != want {
				t.Errorf("%s: %s, want %s", set, got, want)
			}
		}
	})
}

// Who enters once more is told of a crowd at the pace at which it reads, as the first time, and misses nothing of what comes meanwhile.
func TestEntersOnceMore(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := usual()
		c.MaxOccupants = 1000
		b := newBench(t, c, "boss late")
		boss, late := b.bind("boss/r"), b.bind("late/r")
		boss.room(cave, "boss")
		if _, err := b.Attach(server.Elsewhere, nowhere{}); err != nil {
			t.Fatal(err)
		}
		const guests = 300
		for i := range guests {
			b.guest(fmt.Sprintf("g%d@far.example/r", i), enter(cave, fmt.Sprint("g", i)))
		}
		late.Send(enter(cave, "late"))
		late.Got()
		limits := server.DefaultLimits()
		limits.QueueBytes = 40_000
		b.SetLimits(limits)
		late.Stream.Slow()
		late.Send(enter(cave, "late"))
		boss.Send("<message type='groupchat' to='cave@rooms.d'><body>meanwhile</body></message>")
		if n := len(late.Got()); n == 0 || n > guests/2 {
			t.Errorf("%d of %d are told of while nothing is read", n, guests)
		}
		var rest []string
		for range 100 {
			late.Stream.Read(1 << 20)
			<-time.After(time.Second) // of the bubble
			rest = append(rest, late.Got()...)
		}
		if late.Stream.Aborted() {
			t.Fatal("its stream is dropped")
		}
		if n := len(rest); n < 3 || !strings.Contains(rest[n-3], "code='110'") || !strings.Contains(rest[n-2], "<subject") || !strings.Contains(rest[n-1], "meanwhile") {
			t.Errorf("it ends with %q", rest[max(0, n-3):])
		}
	})
}

// A lower bound of the history holds for rooms that were there before.
func TestHistoryOfNow(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, usual(), "boss page")
		boss, page := b.bind("boss/r"), b.bind("page/r")
		boss.room(cave, "boss")
		for i := range 5 {
			boss.Send(fmt.Sprintf("<message type='groupchat' to='cave@rooms.d'><body>%d</body></message>", i))
		}
		c := usual()
		c.MaxHistory = 2
		b.m.Reload(New(c, nil, nil))
		page.Send(enter(cave, "page"))
		page.Gets("cave@rooms.d/boss", "code='110'", "<body>3", "<body>4", "subject")
	})
}
