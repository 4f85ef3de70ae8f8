// SPDX-License-Identifier: Apache-2.0

package server

import (
	"slices"
	"testing"
)

func TestQueue(t *testing.T) {
	var q queue[int]
	next, oldest := 0, 0
	for round := range 100 {
		for range round % 13 {
			q = append(q, next)
			next++
		}
		n := min(len(q), round%7)
		q.pop(n)
		oldest += n
		want := make([]int, 0, next-oldest)
		for v := oldest; v < next; v++ {
			want = append(want, v)
		}
		if !slices.Equal(q, queue[int](want)) {
			t.Fatalf("round %d: %v; want %v", round, q, want)
		}
	}
	q.pop(len(q))
	if cap(q) > keepCap {
		t.Errorf("an empty queue holds room for %d", cap(q))
	}
}
