// SPDX-License-Identifier: Apache-2.0

// Package fifo is a first-in first-out list that costs nothing while it is empty.
package fifo

// Queue is a first-in first-out list, oldest first. Its zero value is empty and holds no memory. It is used by one
// goroutine at a time.
//
// What is popped stays in front of the rest until it is as much as that; then the rest moves
// down over it. So each entry is moved at most once on average, however many wait behind it, and a
// busy session allocates nothing.
type Queue[T any] struct{ items *items[T] }

type items[T any] struct {
	list []T
	head int // what is before it has been popped, and is zero
}

// keepCap is how long a list stays when it is empty: an idle session holds next to nothing. It begins shorter: most sessions
// are idle, and have one entry.
const keepCap = 8

// Len is how many entries there are.
func (q *Queue[T]) Len() int {
	if q.items == nil {
		return 0
	}
	return len(q.items.list) - q.items.head
}

// All are the entries, valid until the next Push or Pop.
func (q *Queue[T]) All() []T {
	if q.items == nil {
		return nil
	}
	return q.items.list[q.items.head:]
}

// Push adds the newest.
func (q *Queue[T]) Push(v T) {
	i := q.items
	if i == nil {
		i = new(items[T])
		q.items = i
	}
	if len(i.list) == cap(i.list) && i.head > 0 && i.head >= len(i.list)/2 {
		rest := copy(i.list, i.list[i.head:])
		clear(i.list[rest:])
		i.list, i.head = i.list[:rest], 0
	}
	i.list = append(i.list, v)
}

// Pop drops the oldest n, which there are.
func (q *Queue[T]) Pop(n int) {
	i := q.items
	if n == 0 {
		return
	}
	clear(i.list[i.head : i.head+n])
	if i.head += n; i.head < len(i.list) {
		return
	}
	if i.list, i.head = i.list[:0], 0; cap(i.list) > keepCap {
		q.items = nil
	}
}
