// SPDX-License-Identifier: Apache-2.0

package muc

import (
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/xmpp/muc"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// throng is a domain of very many people, who count what they get.
type throng struct {
	presences, messages, refusals, gone atomic.Int64
	why                                 atomic.Value // of the last refusal
}

func (c *throng) refused() string {
	why, _ := c.why.Load().(string)
	return why
}

func (*throng) Present() bool { return true }

func (c *throng) Take(_ *server.Turn, s *stanza.Stanza) error {
	switch {
	case s.Type == stanza.TypeError:
		c.refusals.Add(1)
		c.why.Store(string(s.Refusal().Condition))
	case s.Kind == stanza.Presence && s.Type == stanza.Unavailable:
		c.gone.Add(1)
	case s.Kind == stanza.Presence:
		c.presences.Add(1)
	case s.Has(stanza.NSClient, "body"):
		c.messages.Add(1)
	}
	return nil
}

// TestRefusedElsewhere: people of other servers and components are told why they are not let in, as those here are.
func TestRefusedElsewhere(t *testing.T) {
	const join = "<x xmlns='" + muc.NS + "'/></presence>"
	for _, c := range []struct{ name, to, want string }{
		{"a password", "secret@rooms.d/n", "not-authorized"},
		{"members only", "closed@rooms.d/n", "registration-required"},
		{"banned", "open@rooms.d/n", "forbidden"},
		{"not yet open", "locked@rooms.d/n", "item-not-found"},
		{"a nick that is taken", "free@rooms.d/chair", "conflict"},
		{"no nick", "free@rooms.d", "jid-malformed"},
		{"a long nick", "free@rooms.d/" + strings.Repeat("n", 40), "not-acceptable"},
		{"no room may be made", "none@rooms.d/n", "not-allowed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				conf := usual()
				conf.Create = "local"
				b := newBench(t, conf, "chair")
				var crowd throng
				if _, err := b.Attach("crowd", &crowd); err != nil {
					t.Fatal(err)
				}
				chair := b.bind("chair/r")
				chair.room("secret@rooms.d", "chair", fieldProtected, "1", fieldPassword, "sesame")
				chair.room("closed@rooms.d", "chair", fieldMembersOnly, "1")
				chair.room("open@rooms.d", "chair")
				chair.room("free@rooms.d", "chair")
				chair.must("set", "open@rooms.d", affiliation("u@crowd", "outcast"))
				chair.Send(enter("locked@rooms.d", "chair"))
				b.guest("u@crowd/r", "<presence to='"+c.to+"'>"+join)
				if got := crowd.refused(); got != c.want || crowd.presences.Load() > 0 {
					t.Errorf("told %q, and %d presences; want %q", got, crowd.presences.Load(), c.want)
				}
			})
		})
	}
}

// TestGreatRoom: 5,000 are in one room that shows the presence of its moderators alone. Who enters is told of these and itself,
// the last as the first, and nobody of him; what is said reaches all; one more is refused; and each takes little memory.
func TestGreatRoom(t *testing.T) {
	const room, most, each = "hall@rooms.d", 5000, 6000
	inBubble(t, func(t *testing.T) {
		c := usual()
		c.MaxOccupants = most
		b := newBench(t, c, "chair")
		var crowd throng
		if _, err := b.Attach("crowd", &crowd); err != nil {
			t.Fatal(err)
		}
		chair := b.bind("chair/r")
		chair.room(room, "chair", fieldBroadcast, "moderator", fieldMaxUsers, fmt.Sprint(most), fieldHistory, "0")
		heap := func() uint64 {
			var m runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&m)
			return m.HeapAlloc
		}
		// An owner may enter beyond the bound: that others may not is seen with the room full of them.
		before := heap()
		in := b.NewInlet(idle{})
		for i := 0; i < most-1; { // many at once
			turn := b.NewTurn()
			for range min(200, most-1-i) {
				in.Receive(turn, b.elsewhere(fmt.Sprintf("u%d@crowd/r", i), enter(room, fmt.Sprint("n", i))))
				i++
			}
			turn.End()
			synctest.Wait()
		}
		if n := crowd.presences.Load(); n != 2*(most-1) {
			t.Errorf("%d presences for %d who have entered, want the chair's and his own for each", n, most-1)
		}
		if got := strings.Join(chair.Got(), ""); strings.Contains(got, "/n") {
			t.Errorf("the chair is told of those who are not shown: %.200s", got)
		}
		if n := (int64(heap()) - int64(before)) / (most - 1); n > each { // there may be less than before
			t.Errorf("an occupant takes %d bytes, want at most %d", n, each)
		} else {
			t.Logf("an occupant takes %d bytes", n)
		}

		b.guest("late@crowd/r", enter(room, "late"))
		if n := crowd.refusals.Load(); n != 1 {
			t.Errorf("%d were refused, want the one for whom there is no room", n)
		}
		chair.Send("<message type='groupchat' to='" + room + "'><body>order</body></message>")
		if n := crowd.messages.Load(); n != most-1 {
			t.Errorf("%d have heard the chair, want %d", n, most-1)
		}
		chair.Got()
		b.guest("u7@crowd/r", "<presence type='unavailable' to='"+room+"/n7'/>")
		if n := crowd.gone.Load(); n != 1 {
			t.Errorf("%d are told that one has left, want himself", n)
		}
		b.guest("late@crowd/r", enter(room, "late"))
		if n := crowd.presences.Load(); n != 2*most {
			t.Errorf("%d presences when one has entered in his place, want two more than %d", n, 2*(most-1))
		}
	})
}
