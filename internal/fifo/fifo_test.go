// SPDX-License-Identifier: Apache-2.0

package fifo

import (
	"slices"
	"testing"
)

// sent is as large as what a session has sent and its client has not acked.
type sent [9]uint64

func TestQueue(t *testing.T) {
	var q Queue[int]
	q.Pop(0)
	next, oldest := 1, 1
	for round := range 300 {
		for range round % 13 {
			q.Push(next)
			next++
		}
		n := min(q.Len(), round%7)
		q.Pop(n)
		oldest += n
		want := make([]int, 0, next-oldest)
		for v := oldest; v < next; v++ {
			want = append(want, v)
		}
		if !slices.Equal(q.All(), want) || q.Len() != len(want) {
			t.Fatalf("round %d: %v; want %v", round, q.All(), want)
		}
		if i := q.items; i != nil {
			list := i.list[:cap(i.list)]
			if dead := slices.Concat(list[:i.head], list[len(i.list):]); slices.Max(append(dead, 0)) != 0 {
				t.Fatalf("round %d: it holds on to what was popped: %v", round, dead)
			}
			if len(list) > 4*len(want)+4*keepCap {
				t.Fatalf("round %d: room for %d, %d used", round, len(list), len(want))
			}
		}
	}
	q.Pop(q.Len())
	if q.items != nil {
		t.Errorf("a queue that was long and is empty holds room for %d", cap(q.items.list))
	}
	q.Push(1)
	q.Pop(1)
	if q.items == nil {
		t.Error("a short queue gives up its memory whenever it is empty")
	}
}

// A client that acks little by little what waits in a long window.
func TestQueueCost(t *testing.T) {
	const long = 10_000
	var q Queue[sent]
	for range long {
		q.Push(sent{})
	}
	moved := 0
	allocs := testing.AllocsPerRun(10*long, func() {
		head := q.items.head
		q.Push(sent{})
		if q.items.head < head {
			moved += q.Len()
		}
		q.Pop(1)
	})
	if allocs > 0 {
		t.Errorf("%v allocations for each", allocs)
	}
	if moved == 0 || moved > 12*long {
		t.Errorf("%d entries were moved for %d pops", moved, 10*long)
	}
}

func BenchmarkQueue(b *testing.B) {
	for _, long := range []int{1, 100, 10_000} {
		b.Run(map[int]string{1: "1", 100: "100", 10_000: "10000"}[long], func(b *testing.B) {
			var q Queue[sent]
			for range long {
				q.Push(sent{})
			}
			b.ReportAllocs()
			for b.Loop() {
				q.Push(sent{})
				q.Pop(1)
			}
		})
	}
}
