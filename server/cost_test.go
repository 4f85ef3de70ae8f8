// SPDX-License-Identifier: Apache-2.0

package server

// How to read this file: the hot functions' allocations and the sizes of what every session
// has, with today's figures as upper bounds. They may fall; they rise for a reason.

import (
	"strconv"
	"testing"
	"time"
	"unsafe"

	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

func TestSizes(t *testing.T) {
	for _, c := range []struct {
		name     string
		is, most uintptr
	}{
		{"Session", unsafe.Sizeof(Session{}), 352}, // one byte more takes 32 more
		{"outbound", unsafe.Sizeof(outbound{}), 104},
		{"sent", unsafe.Sizeof(sent{}), 48},
		{"User", unsafe.Sizeof(User{}), 160},
	} {
		if c.is > c.most {
			t.Errorf("a %s takes %d bytes, more than %d", c.name, c.is, c.most)
		}
	}
}

// quiet is a server whose sweeper finds nothing to do.
func quiet(t testing.TB) *bench {
	l := DefaultLimits()
	l.SpoolAfter, l.StanzasPerSecond = time.Hour, 0
	b := newBench(t, l, "a b")
	return b
}

// loud is a peer whose output is not kept.
func loud(b *bench, address string, managed bool) *peer {
	p := b.bind(address)
	p.st.discard = true
	if managed {
		p.se.Manage(time.Minute)
	}
	if err := p.batch("<presence/>"); err != nil {
		b.t.Fatal(err)
	}
	return p
}

// relay returns what handles one chat message to an online receiver, in a turn of its own.
func relay(b *bench, from *peer) func() {
	from.in.Feed([]byte(chat("b@d/1", "1")))
	if ev, err := from.in.Next(); ev != xmlstream.EventElement || err != nil {
		b.t.Fatal(ev, err)
	}
	e := from.in.Element()
	return func() {
		t := b.NewTurn()
		if more, err := from.se.Receive(t, from.st, e); !more || err != nil {
			b.t.Fatal(more, err)
		}
		t.End()
	}
}

func TestCost(t *testing.T) {
	if raceDetector {
		t.Log("allocations are not counted under -race")
		return
	}
	t.Run("Receive without stream management", func(t *testing.T) {
		b := quiet(t)
		a := loud(b, "a/1", false)
		loud(b, "b/1", false)
		bound(t, 0, testing.AllocsPerRun(1000, relay(b, a)))
	})
	for _, every := range []uint32{1, 8} {
		t.Run("Receive with stream management on both sides, acked every "+strconv.Itoa(int(every)), func(t *testing.T) {
			b := quiet(t)
			a, r := loud(b, "a/1", true), loud(b, "b/1", true)
			one := relay(b, a)
			var h uint32
			bound(t, 3, testing.AllocsPerRun(800, func() {
				one()
				if h++; h%every == 0 {
					t := b.NewTurn()
					if err := r.se.Acked(t, h); err != nil {
						b.t.Fatal(err)
					}
					t.End()
				}
			}))
		})
	}
	t.Run("Deliver to ten sessions", func(t *testing.T) {
		b := quiet(t)
		u := loud(b, "b/1", false).se.User
		for i := range 9 {
			loud(b, "b/x"+strconv.Itoa(i), false)
		}
		s := stanza.Text(stanza.Chat, u.JID, "hi")
		bound(t, 0, testing.AllocsPerRun(1000, func() {
			t := b.NewTurn()
			t.Deliver(u, t.Takers(u), s, true)
			t.End()
		}))
	})
}

func bound(t *testing.T, most, got float64) {
	t.Helper()
	t.Logf("%v allocations", got)
	if got > most {
		t.Errorf("%v allocations a message, more than %v", got, most)
	}
}

func BenchmarkRelay(b *testing.B) {
	for _, managed := range []bool{false, true} {
		b.Run("managed="+strconv.FormatBool(managed), func(b *testing.B) {
			q := quiet(b)
			a, r := loud(q, "a/1", managed), loud(q, "b/1", managed)
			one := relay(q, a)
			b.ReportAllocs()
			var h uint32
			for b.Loop() {
				one()
				if h++; managed && h%8 == 0 {
					t := q.NewTurn()
					if err := r.se.Acked(t, h); err != nil {
						b.Fatal(err)
					}
					t.End()
				}
			}
		})
	}
}
