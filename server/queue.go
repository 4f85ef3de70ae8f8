// SPDX-License-Identifier: Apache-2.0

package server

// queue is a first-in first-out list, oldest first. What is popped is moved down over: a busy
// session allocates nothing for it, and an idle one holds next to nothing.
type queue[T any] []T

// keepCap is how long a list stays when it is empty.
const keepCap = 8

// pop drops the oldest n.
func (q *queue[T]) pop(n int) {
	rest := copy(*q, (*q)[n:])
	clear((*q)[rest:])
	if *q = (*q)[:rest]; rest == 0 && cap(*q) > keepCap {
		*q = nil
	}
}
