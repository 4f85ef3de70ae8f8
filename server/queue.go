// SPDX-License-Identifier: Apache-2.0

package server

import "sync"

// queue is a first-in first-out list that keeps its memory while it is used and gives it back
// when it is empty, so that a busy session allocates nothing for it and an idle one holds next to nothing.
type queue[T any] struct {
	list []T // the front is list[head]
	head int
}

func (q *queue[T]) len() int { return len(q.list) - q.head }

// at is the item i behind the front.
func (q *queue[T]) at(i int) *T { return &q.list[q.head+i] }

// all is the queue from its front on, valid until it changes.
func (q *queue[T]) all() []T { return q.list[q.head:] }

func (q *queue[T]) push(pool *sync.Pool, v T) {
	if len(q.list) == cap(q.list) {
		q.makeRoom(pool)
	}
	q.list = append(q.list, v)
}

// makeRoom moves the items to the front, or to a longer list. The first is short: a session that
// is sent little and does not ack it keeps it for long.
func (q *queue[T]) makeRoom(pool *sync.Pool) {
	switch {
	case q.list == nil:
		q.list = make([]T, 0, short)
	case 2*q.head >= len(q.list): // half of them: moving the others is paid for
		n := copy(q.list, q.all())
		clear(q.list[n:])
		q.list, q.head = q.list[:n], 0
	case cap(q.list) < pooled:
		q.list = append(*pool.Get().(*[]T), q.list...)
	}
}

// pop drops the oldest n.
func (q *queue[T]) pop(pool *sync.Pool, n int) {
	clear(q.list[q.head : q.head+n])
	if q.head += n; q.head < len(q.list) {
		return
	}
	switch n := cap(q.list); {
	case n <= short: // kept: one message after the other allocates nothing either
		*q = queue[T]{list: q.list[:0]}
		return
	case n >= pooled && n <= maxPooled:
		list := q.list[:0]
		pool.Put(&list)
	}
	*q = queue[T]{}
}

const (
	short     = 2   // items that the first list has room for
	pooled    = 32  // items that a fresh list has room for
	maxPooled = 512 // a longer one is left to the garbage collector
)

// Memory for queues; no state.
var (
	sentLists = sync.Pool{New: func() any { l := make([]sent, 0, pooled); return &l }}
	openLists = sync.Pool{New: func() any { l := make([]uint16, 0, pooled); return &l }}
)
