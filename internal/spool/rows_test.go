// SPDX-License-Identifier: Apache-2.0

package spool

import (
	"slices"
	"testing"
)

// A page that was read before a row was deleted shows it still: it is not taken until nobody reads any more.
func TestDeletedWhileRead(t *testing.T) {
	var r Rows
	r.Add(1)
	r.Add(2)
	r.LetGo(2)
	r.BeginRead()
	r.BeginRead()
	r.Count(-1)
	r.Gone([]int64{1})
	if r.Take(1) || !r.Take(2) || r.Take(2) {
		t.Error("a row that is deleted is taken, or one that is free is not, or twice")
	}
	r.EndRead()
	if r.Take(1) {
		t.Error("another page that was read before shows it")
	}
	r.EndRead()
	if r.Held() != 1 || r.Len() != 1 {
		t.Errorf("%d held of %d", r.Held(), r.Len())
	}
}

// What the disk did not delete is held, and tried again once by whoever comes first.
func TestRefused(t *testing.T) {
	var r Rows
	r.Add(7)
	r.Refused([]int64{7})
	if r.Take(7) {
		t.Error("a row that was delivered is taken")
	}
	if again := r.Again(); !slices.Equal(again, []int64{7}) {
		t.Errorf("%v", again)
	}
	if again := r.Again(); len(again) != 0 {
		t.Errorf("%v twice", again)
	}
	if r.Gone([]int64{7}); r.Held() != 0 {
		t.Error("a row that is gone is held")
	}
}
