// SPDX-License-Identifier: Apache-2.0

package server

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestQueue compares a queue with a slice.
func TestQueue(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 1))
		var q queue[uint16]
		var want []uint16
		for i := range 2000 {
			if r.IntN(5) < 2 && len(want) > 0 {
				n := 1 + r.IntN(len(want))
				if r.IntN(3) > 0 {
					n = 1
				}
				q.pop(&openLists, n)
				want = want[n:]
			} else {
				q.push(&openLists, uint16(i))
				want = append(want, uint16(i))
			}
			if q.len() != len(want) || len(want) > 0 && *q.at(len(want) - 1) != want[len(want)-1] || !slices.Equal(q.all(), want) {
				t.Fatalf("seed %d, step %d: %v, want %v", seed, i, q.all(), want)
			}
		}
		q.pop(&openLists, q.len())
		if cap(q.list) > short {
			t.Errorf("an empty queue holds room for %d", cap(q.list))
		}
	}
}
