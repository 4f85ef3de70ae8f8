// SPDX-License-Identifier: Apache-2.0

package mam

import (
	"context"
	"sync"
)

// fence knows of the batches that have given ids and are not committed yet, by the period in which they began.
type fence struct {
	mu      sync.Mutex
	now     int         // the present period
	open    map[int]int // batches by period
	waiters []waiter
}

type waiter struct {
	upTo  int // periods
	ready chan struct{}
}

// enter says that a batch begins. The period is for leave.
func (f *fence) enter() (period int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.open == nil {
		f.open = make(map[int]int)
	}
	f.open[f.now]++
	return f.now
}

// leave says that the batch is committed, as far as that is possible.
func (f *fence) leave(period int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.open[period]--; f.open[period] > 0 {
		return
	}
	delete(f.open, period)
	kept := f.waiters[:0]
	for _, w := range f.waiters {
		if f.clear(w.upTo) {
			close(w.ready)
		} else {
			kept = append(kept, w)
		}
	}
	clear(f.waiters[len(kept):])
	f.waiters = kept
}

// clear reports whether no batch of these periods is open.
func (f *fence) clear(upTo int) bool {
	for period := range f.open {
		if period <= upTo {
			return false
		}
	}
	return true
}

// awaited reports whether somebody waits for batches to be committed.
func (f *fence) awaited() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.waiters) > 0
}

// wait returns when every batch that has begun before is committed. handOver is called when it is known that somebody waits: what is
// gathered after that waits for nothing.
func (f *fence) wait(ctx context.Context, handOver func()) error {
	f.mu.Lock()
	upTo := f.now
	f.now++
	if f.clear(upTo) {
		f.mu.Unlock()
		return nil
	}
	w := waiter{upTo, make(chan struct{})}
	f.waiters = append(f.waiters, w)
	f.mu.Unlock()
	handOver()
	select {
	case <-w.ready:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
