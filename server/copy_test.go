// SPDX-License-Identifier: Apache-2.0

package server

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// copier copies what one session of an account was given to the others, as module carbons does.
type copier struct{}

func (copier) Name() string { return "copier" }

func (copier) Init(h *Host) error {
	h.OnArriving(Observe, func(t *Turn, u *User, s *stanza.Stanza) error {
		took := slices.Clone(t.Took())
		for _, se := range u.Sessions(nil) {
			if !slices.Contains(took, se) {
				t.Copy(se, stanza.Text(s.Type, se.JID, "copy of "+string(s.ID)))
			}
		}
		return nil
	})
	return nil
}

// TestCopy: a message to a session that has broken comes by its copy, and not again; who has not acked the copy has
// not had it.
func TestCopy(t *testing.T) {
	for _, c := range []struct {
		name  string
		acked bool
		again int // messages for the next session
	}{
		{"had", true, 0},
		{"not had", false, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				b := newBench(t, DefaultLimits(), "a b", copier{})
				a, one, other := b.managed("a/1"), b.managed("b/1"), b.managed("b/2")
				one.lose()
				a.send(chat("b@d/1", "1") + ask)
				other.gets("copy of 1", asks)
				if c.acked {
					other.send(ack("1"))
				}
				a.gets("h='1'", "h='2'") // its presence, and the message: acked, or on the disk
				time.Sleep(time.Second)
				if got := b.spooled("b"); got != c.again {
					t.Errorf("%d spooled", got)
				}
				time.Sleep(2 * time.Minute) // b/1 is not resumed
				if got := strings.Join(other.got(), ""); strings.Contains(got, "<message") {
					t.Errorf("again: %s", got)
				}
				other.end()
				next := b.online("b/3")
				if c.again > 0 {
					next.gets("id='1'")
				}
				next.gets()
			})
		})
	}
}

// TestCopyIsNoReason: a message that nobody takes waits for a session that does, whoever has had a copy.
func TestCopyIsNoReason(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, DefaultLimits(), "a b", copier{})
		a, robot := b.managed("a/1"), b.managed("b/robot")
		robot.send("<presence><priority>-1</priority></presence>")
		a.send(chat("b@d", "1") + ask)
		robot.gets("copy of 1")
		robot.send(ack("1"))
		a.gets("h='1'", "h='2'")
		if got := b.spooled("b"); got != 1 {
			t.Errorf("%d spooled", got)
		}
		b.online("b/phone").gets("id='1'")
	})
}
