// SPDX-License-Identifier: Apache-2.0

//go:build linux

package federation

import (
	"sync"
	"time"
)

// board guards what some note and others wait for.
type board struct {
	mu      sync.Mutex
	changed chan struct{} // closed and made anew with each change
}

func newBoard() board { return board{changed: make(chan struct{})} }

func (b *board) change(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f()
	close(b.changed)
	b.changed = make(chan struct{})
}

// until waits for something to be so, and reports whether it is. so is called with mu held.
func (b *board) until(d time.Duration, so func() bool) bool {
	for deadline := time.After(d); ; {
		b.mu.Lock()
		ok, changed := so(), b.changed
		b.mu.Unlock()
		if ok {
			return true
		}
		select {
		case <-changed:
		case <-deadline:
			return false
		}
	}
}
