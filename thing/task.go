// SPDX-License-Identifier: Apache-2.0

package thing

import (
	"context"
	"sync"
)

// task is something that is done whenever there is something to do, on a goroutine that is there as long as that takes: most things
// have nothing to do most of the time.
type task struct {
	mu    sync.Mutex
	busy  bool
	again bool // there is more to do than it may have seen
}

// wake has f, which does all that there is to do, run once more. Before Run it does nothing.
func (t *Thing) wake(w *task, f func(context.Context)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.busy:
		w.again = true
	case t.running.Load():
		w.busy = t.background(func() { t.perform(w, f) })
	}
}

func (t *Thing) perform(w *task, f func(context.Context)) {
	for {
		f(t.life)
		w.mu.Lock()
		if !w.again || t.life.Err() != nil {
			w.busy = false
			w.mu.Unlock()
			return
		}
		w.again = false
		w.mu.Unlock()
	}
}

// start is background for who holds mu.
func (e *errands) start(f func()) bool {
	if !e.over {
		e.work.Go(f)
	}
	return !e.over
}
