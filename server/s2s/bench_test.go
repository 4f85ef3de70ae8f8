// SPDX-License-Identifier: Apache-2.0

package s2s

import (
	"testing"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// BenchmarkTake is the way of a stanza to a connection that works, sixteen in each turn.
func BenchmarkTake(b *testing.B) {
	for _, c := range []struct {
		name    string
		managed bool
		s       *stanza.Stanza
	}{
		{"message, acked", true, stanza.Text(stanza.Chat, jid.MustParse("a@x"), "what people say to each other all day")},
		{"message, fenced", false, stanza.Text(stanza.Chat, jid.MustParse("a@x"), "what people say to each other all day")},
		{"presence, acked", true, stanza.New(stanza.Presence, stanza.Available, jid.MustParse("a@x"))},
		{"presence", false, stanza.New(stanza.Presence, stanza.Available, jid.MustParse("a@x"))},
	} {
		b.Run(c.name, func(b *testing.B) {
			d := newDepot(b, nil)
			c.s.From = jid.MustParse("m@p.d/r")
			d.send(chat("a@x", "1"))
			r := d.make(routeKey("p.d", "x"))
			l := d.line(c.managed)
			l.discards = true
			r.open(&l.o)
			sent := uint32(1)
			b.ReportAllocs()
			for b.Loop() {
				t := d.server.NewTurn()
				for range 16 {
					if err := d.take(t, c.s); err != nil {
						b.Fatal(err)
					}
				}
				sent += 16
				t.End()
				if c.managed && sent%512 == 1 {
					t := d.server.NewTurn()
					if err := l.o.acked(t, sent); err != nil {
						b.Fatal(err)
					}
					t.End()
				}
				if !c.managed && sent%512 == 1 {
					t := d.server.NewTurn()
					l.o.mu.Lock()
					f := l.o.fence
					l.o.mu.Unlock()
					if f != nil {
						f.answered(t, c.s)
					}
					t.End()
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/16, "ns/stanza")
		})
	}
}

// BenchmarkWant is what one domain more costs, and one that is done with, while very many of one owner wait to be dialed.
func BenchmarkWant(b *testing.B) {
	d := newDepot(b, nil)
	d.swarm(10_000 - 2)
	b.Run("want", func(b *testing.B) {
		r := d.make(routeKey("p.d", "y.slow.example"))
		b.ReportAllocs()
		for b.Loop() {
			d.queue(r)
			d.dials.mu.Lock()
			d.dials.queue = d.dials.queue[:len(d.dials.queue)-1]
			d.dials.mu.Unlock()
		}
	})
	b.Run("done", func(b *testing.B) { // of one for whose owner nobody waits: all are looked at
		r := d.make(routeKey("p.d", "good.example"))
		b.ReportAllocs()
		for b.Loop() {
			d.dials.mu.Lock()
			d.dials.running++
			d.dials.owners["good.example"]++
			d.dials.mu.Unlock()
			d.dials.done(r)
		}
	})
}
