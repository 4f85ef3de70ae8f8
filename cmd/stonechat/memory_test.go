// SPDX-License-Identifier: Apache-2.0

package main

import "testing"

func TestPercentFor(t *testing.T) {
	for live, want := range map[uint64]int{0: 800, 1 << 20: 400, 2 << 20: 200, 4 << 20: 100, 8 << 20: 50, 1 << 30: 50} {
		if got := percentFor(live, live); got != want {
			t.Errorf("%d MB: %d, want %d", live>>20, got, want)
		}
		if got := percentFor(live, live*9/10); live > 0 && got != want/2 {
			t.Errorf("%d MB, more than before: %d, want %d", live>>20, got, want/2)
		}
	}
}

// TestIsLeft: what a storm has left goes back when it is over; what is said now and then is not worth a collection of many sessions.
func TestIsLeft(t *testing.T) {
	for _, c := range []struct {
		name                string
		lately, since, live uint64 // MB
		want                bool
	}{
		{"nothing was done", 0, 0, 0, false},
		{"a few logins", 1, 2, 1, true},
		{"a storm goes on", 50, 500, 100, false},
		{"a storm is over", 1, 500, 100, true},
		{"10,000 things tell a reading a minute", 1, 3, 100, false},
		{"and have for minutes", 1, 25, 100, true},
	} {
		if got := isLeft(c.lately<<20, c.since<<20, c.live<<20); got != c.want {
			t.Errorf("%s: %t, want %t", c.name, got, c.want)
		}
	}
}
