// SPDX-License-Identifier: Apache-2.0

package main

import "testing"

func TestPercentFor(t *testing.T) {
	for live, want := range map[uint64]int{0: 800, 1 << 20: 400, 2 << 20: 200, 4 << 20: 100, 8 << 20: 50, 1 << 30: 50} {
		if got := percentFor(live); got != want {
			t.Errorf("%d MB: %d, want %d", live>>20, got, want)
		}
	}
}
