// SPDX-License-Identifier: Apache-2.0

package muc

import (
	"strings"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// TestAsksAgain: who asks again and again for what others decide on has them written to once in a time, whatever he says and wherever he is
// meanwhile, and whether or not anybody is in the room.
func TestAsksAgain(t *testing.T) {
	const voice = "<message to='cave@rooms.d'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#request</value></field>" +
		"<field var='muc#role'><value>participant</value></field></x></message>"
	inBubble(t, func(t *testing.T) {
		b := newBench(t, usual(), "boss page fool")
		boss, page, fool := b.bind("boss/r"), b.bind("page/r"), b.bind("fool/r")
		boss.room(cave, "boss", fieldPersistent, "1", fieldModerated, "1")
		told := func(form string, want int) {
			t.Helper()
			if n := strings.Count(strings.Join(boss.Got(), ""), "<value>http://jabber.org/protocol/muc#"+form+"<"); n != want {
				t.Errorf("%d forms for %s, want %d", n, form, want)
			}
		}
		asks := func(p *peer, want string) {
			t.Helper()
			if got := p.tell(voice); got != want {
				t.Errorf("asks for voice: %q, want %q", got, want)
			}
		}
		page.Send(enter(cave, "page"))
		fool.Send(enter(cave, "fool"))
		boss.Got()
		asks(page, "")
		asks(page, "resource-constraint")
		page.Send(leave(cave, "page"), enter(cave, "Page"))
		asks(page, "resource-constraint")
		asks(fool, "") // he has not
		told("request", 2)
		time.Sleep(usual().RequestAgain)
		asks(page, "")
		told("request", 1)

		page.Send(leave(cave, "Page"))
		fool.Send(leave(cave, "fool"))
		boss.Send(leave(cave, "boss"))
		boss.Got()
		registers := func(p *peer, nick, want string) {
			t.Helper()
			if got := p.ask("set", cave, registering(nick)); got != want {
				t.Errorf("asks to be %s: %q, want %q", nick, got, want)
			}
		}
		registers(page, "Page", "")
		for range 5 {
			registers(page, "Page", "resource-constraint")
			registers(page, "another", "resource-constraint")
		}
		registers(fool, "Fool", "")
		told("register", 2)
		if !b.Counts(`stonechat_rooms_limited_total{key="request_again"} 12`) {
			t.Error("not counted")
		}
		time.Sleep(usual().RequestAgain)
		registers(page, "Page", "")
		told("register", 1)
	})
}

// TestAskedIsBounded: of those who asked as many are remembered as there may be rooms, first of all those who may not ask again yet, and
// nobody who is deleted.
func TestAskedIsBounded(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := usual()
		c.MaxRooms = 3
		b := newBench(t, c, "")
		r := b.m.newRoom(jid.MustParse(cave), jid.MustParse("boss@d"), time.Now())
		may := func(user string, want bool) {
			t.Helper()
			if err := r.mayAsk(jid.MustParse(user), "f"); (err == nil) != want {
				t.Errorf("%s: %v", user, err)
			}
		}
		may("a@d", true)
		may("b@d", true)
		time.Sleep(c.RequestAgain / 2)
		may("c@d", true)
		time.Sleep(c.RequestAgain / 2)
		may("d@d", true) // a and b are forgotten
		may("c@d", false)
		b.m.asked.forget(jid.MustParse("c@d"))
		may("c@d", true)
		may("e@d", true)
		may("f@d", true) // there is no room
		may("c@d", true)
		if n := len(b.m.asked.last); n != 2 {
			t.Errorf("%d are remembered", n)
		}
	})
}
