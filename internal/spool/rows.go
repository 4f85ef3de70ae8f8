// SPDX-License-Identifier: Apache-2.0

// Package spool knows of each account which rows of its spool are whose: one session's that has sent them and waits for acks,
// or nobody's, so that they can be drained.
package spool

import "sync"

// Rows is what is known of an account's rows: how many there are, and which of them nobody may
// drain. A row without a state is there for whoever drains it. It may be used from any goroutine; its zero value has no rows.
type Rows struct {
	mu      sync.Mutex
	all     int // rows there are, committed or on their way
	held    map[int64]rowState
	reading int32 // pages being drained, which may show rows deleted since they were read
	deleted int32 // rows in that state
}

type rowState uint8

const (
	rowHeld    rowState = iota + 1 // in some window, or delivered and not deleted yet
	rowDeleted                     // deleted while pages were being drained
	rowRefused                     // delivered, and to be deleted again: the disk refused it
)

// Count counts n more, that were there before the account was in use, or fewer.
func (r *Rows) Count(n int) {
	r.mu.Lock()
	r.all += n
	r.mu.Unlock()
}

// Add counts a new row, held by whoever made it.
func (r *Rows) Add(row int64) {
	r.mu.Lock()
	r.all++
	r.set(row, rowHeld)
	r.mu.Unlock()
}

func (r *Rows) set(row int64, s rowState) {
	if r.held == nil {
		r.held = make(map[int64]rowState)
	}
	r.held[row] = s
}

// Take holds a row that nobody holds.
func (r *Rows) Take(row int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.held[row] != 0 {
		return false
	}
	r.set(row, rowHeld)
	return true
}

// LetGo undoes Take: the row is there for the next session.
func (r *Rows) LetGo(row int64) {
	r.mu.Lock()
	delete(r.held, row)
	r.mu.Unlock()
}

// Remove says that there is no such row, and was none.
func (r *Rows) Remove(row int64) {
	r.mu.Lock()
	delete(r.held, row)
	r.all--
	r.mu.Unlock()
}

// BeginRead and EndRead stand around the reading and taking of a page.
func (r *Rows) BeginRead() {
	r.mu.Lock()
	r.reading++
	r.mu.Unlock()
}

// EndRead: rows that were deleted meanwhile can be forgotten when nobody reads any more.
func (r *Rows) EndRead() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.reading--; r.reading > 0 || r.deleted == 0 {
		return
	}
	r.deleted = 0
	for row, s := range r.held {
		if s == rowDeleted {
			delete(r.held, row)
		}
	}
}

// Len is how many rows there are.
func (r *Rows) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.all
}

// Gone says that delivered rows are not on the disk any more.
func (r *Rows) Gone(ids []int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, row := range ids {
		if r.reading == 0 {
			delete(r.held, row)
			continue
		}
		r.set(row, rowDeleted)
		r.deleted++
	}
}

// Refused says that the disk did not delete them.
func (r *Rows) Refused(ids []int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, row := range ids {
		r.set(row, rowRefused)
	}
}

// Again returns the rows that the disk did not delete, to be tried once more.
func (r *Rows) Again() (ids []int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for row, s := range r.held {
		if s == rowRefused {
			ids = append(ids, row)
			r.held[row] = rowHeld
		}
	}
	return ids
}

// Held is how many rows nobody may drain.
func (r *Rows) Held() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.held)
}
