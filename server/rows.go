// SPDX-License-Identifier: Apache-2.0

package server

import (
	"errors"
	"sync"
	"time"

	"github.com/stonechat-im/stonechat/store"
)

// rows is what is known of an account's rows in the spool: how many there are, and which of them
// nobody may drain. A row without a state is there for whoever drains it.
type rows struct {
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

// add counts a new row, held by whoever made it.
func (r *rows) add(row int64) {
	r.mu.Lock()
	r.all++
	r.set(row, rowHeld)
	r.mu.Unlock()
}

func (r *rows) set(row int64, s rowState) {
	if r.held == nil {
		r.held = make(map[int64]rowState)
	}
	r.held[row] = s
}

// take holds a row that nobody holds.
func (r *rows) take(row int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.held[row] != 0 {
		return false
	}
	r.set(row, rowHeld)
	return true
}

// letGo undoes take: the row is there for the next session.
func (r *rows) letGo(row int64) {
	r.mu.Lock()
	delete(r.held, row)
	r.mu.Unlock()
}

// remove says that there is no such row, and was none.
func (r *rows) remove(row int64) {
	r.mu.Lock()
	delete(r.held, row)
	r.all--
	r.mu.Unlock()
}

// beginRead and endRead stand around the reading and taking of a page.
func (r *rows) beginRead() {
	r.mu.Lock()
	r.reading++
	r.mu.Unlock()
}

func (r *rows) endRead() {
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

func (r *rows) len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.all
}

// gone says that delivered rows are not on the disk any more.
func (r *rows) gone(ids []int64) {
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

// refused says that the disk did not delete them.
func (r *rows) refused(ids []int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, row := range ids {
		r.set(row, rowRefused)
	}
}

// again returns the rows that the disk did not delete, to be tried once more.
func (r *rows) again() (ids []int64) {
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

// retryDelete is how long the deletion of rows waits where the disk refused it.
const retryDelete = time.Second

// forget deletes a row that was delivered. A disk that refuses is asked again; as long as the
// account is in use nobody takes the row meanwhile.
func (u *User) forget(row int64) {
	u.rows.mu.Lock()
	u.rows.all--
	u.rows.mu.Unlock()
	u.deleteRows([]int64{row})
}

func (u *User) deleteRows(ids []int64) {
	u.Commit(store.DeleteSpool{User: u.JID, IDs: ids}).OnDone(func(err error) {
		if err == nil || errors.Is(err, store.ErrClosed) {
			u.rows.gone(ids)
			return
		}
		u.server.complain("spooled message not deleted yet", "jid", u.JID.String(), "err", err)
		u.rows.refused(ids)
		u.server.users.acquire(u.JID)
		time.AfterFunc(retryDelete, func() {
			// Whichever comes first deletes what all were to delete.
			for again := u.rows.again(); len(again) > 0; {
				n := min(len(again), store.MaxPage)
				u.deleteRows(again[:n])
				again = again[n:]
			}
			u.server.users.release(u)
		})
	})
}
