// SPDX-License-Identifier: Apache-2.0

package server

import (
	"testing"
	"time"
)

// An answer that would tell its client nothing new waits until there is something, for a time.
func TestAnswerWaitsForNews(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		limits := DefaultLimits()
		b := newBench(t, limits, "a b")
		a, r := b.managed("a/1"), b.managed("b/1")
		a.send(ask)
		a.gets("h='1'") // all is safe: the presence
		a.send(ask)
		a.gets("h='1'")
		a.send(chat("b@d/1", "1") + ask)
		a.gets()
		r.send(ack("1"))
		a.gets("h='2'") // once
		time.Sleep(time.Second)
		a.gets()

		// Where nothing becomes safe it is told just that, each time that it asks.
		release := b.store.stall()
		a.send(chat("b@d/1", "2"))
		for range 3 {
			a.send(ask)
			a.gets()
			time.Sleep(limits.SpoolAfter / 2)
			a.gets()
			a.send(ask) // does not make it wait anew
			time.Sleep(limits.SpoolAfter/2 + 2*sweepEvery)
			a.gets("h='2'")
		}
		release()
		a.gets("h='3'")

		// However long a receiver may take by the configuration, and also where a connection breaks meanwhile.
		limits.SpoolAfter = time.Hour
		b.SetLimits(limits)
		a.send(chat("b@d/1", "3") + ask)
		a.gets()
		time.Sleep(longestWait*time.Millisecond - sweepEvery)
		a.gets()
		time.Sleep(3 * sweepEvery)
		a.gets("h='3'")
		a.send(ask)
		a.lose()
		time.Sleep(2 * longestWait * time.Millisecond)
		r.send(ack("3"))
		n, err := a.resume(0)
		if err != nil {
			t.Fatal(err)
		}
		n.gets("h='4'")
		n.send(ask)
		n.gets("h='4'")
	})
}
