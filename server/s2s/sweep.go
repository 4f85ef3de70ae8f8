// SPDX-License-Identifier: Apache-2.0

package s2s

import (
	"container/heap"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
)

// sweeper is the one goroutine by whose clock routes and connections do what is due: commit what is late, fence,
// try again, give up, forget. It runs while anything is due at some time, and looks at what is.
type sweeper struct {
	rs *routes

	mu      sync.Mutex
	due     alarms
	running bool
	closed  bool
	sooner  chan struct{} // something is due before what it waits for
	over    sync.WaitGroup
}

// watched has itself looked at.
type watched interface {
	clock() *alarm
	// look does what is due, and arms again what is not. It is called with no lock held.
	look(sw *sweep)
}

// alarm is when something is to be looked at. Guarded by the sweeper's mutex.
type alarm struct {
	at    atomic.Int64 // unix nanoseconds; 0: never
	index int          // in the heap
	of    watched
}

// together is how much may pass before what is due is looked at, so that what is due soon after is as well.
const together = 10 * time.Millisecond

// arm has w looked at when at has come, unless it will be before.
func (x *sweeper) arm(w watched, at time.Time) {
	a, ns := w.clock(), at.UnixNano()
	if now := a.at.Load(); now != 0 && now <= ns {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	switch now := a.at.Load(); {
	case x.closed, now != 0 && now <= ns:
		return
	case now != 0:
		a.at.Store(ns)
		heap.Fix(&x.due, a.index)
	default:
		a.at.Store(ns)
		a.of = w
		heap.Push(&x.due, a)
	}
	switch {
	case !x.running:
		x.running = true
		x.over.Go(x.run)
	case x.due[0] == a:
		select {
		case x.sooner <- struct{}{}:
		default:
		}
	}
}

// disarm has w not looked at.
func (x *sweeper) disarm(w watched) {
	a := w.clock()
	x.mu.Lock()
	defer x.mu.Unlock()
	if a.at.Load() != 0 {
		heap.Remove(&x.due, a.index)
	}
}

func (x *sweeper) run() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var look []watched
	for {
		x.mu.Lock()
		if x.closed || len(x.due) == 0 {
			x.running = false
			x.mu.Unlock()
			return
		}
		wait := time.Until(time.Unix(0, x.due[0].at.Load()))
		x.mu.Unlock()
		if wait > 0 {
			timer.Reset(max(wait, together))
			select {
			case <-timer.C:
			case <-x.sooner:
			}
		}
		x.mu.Lock()
		now := time.Now().UnixNano()
		for len(x.due) > 0 && x.due[0].at.Load() <= now {
			look = append(look, heap.Pop(&x.due).(*alarm).of)
		}
		x.mu.Unlock()
		if len(look) == 0 {
			continue
		}
		sw := x.rs.newSweep()
		for i, w := range look {
			look[i] = nil
			w.look(sw)
		}
		look = look[:0]
		sw.end()
	}
}

// close ends the sweeper.
func (x *sweeper) close() {
	x.mu.Lock()
	x.closed = true
	x.mu.Unlock()
	select {
	case x.sooner <- struct{}{}:
	default:
	}
	x.over.Wait()
}

// alarms is a heap, soonest first.
type alarms []*alarm

func (a alarms) Len() int           { return len(a) }
func (a alarms) Less(i, j int) bool { return a[i].at.Load() < a[j].at.Load() }
func (a alarms) Swap(i, j int) {
	a[i], a[j] = a[j], a[i]
	a[i].index, a[j].index = i, j
}

func (a *alarms) Push(x any) {
	x.(*alarm).index = len(*a)
	*a = append(*a, x.(*alarm))
}

func (a *alarms) Pop() any {
	last := len(*a) - 1
	x := (*a)[last]
	(*a)[last] = nil
	*a = (*a)[:last]
	x.at.Store(0)
	return x
}

// sweep is one round of work: a turn, and what is to be committed with it.
type sweep struct {
	rs    *routes
	t     *server.Turn
	now   time.Time
	adds  []*entry
	drops []store.Op
	ends  []verdict
}

// verdict is an entry that is answered, and with what.
type verdict struct {
	e       *entry
	why     *outage
	receipt server.Receipt
}

func (rs *routes) newSweep() *sweep {
	t := rs.Server.NewTurn()
	return &sweep{rs: rs, t: t, now: t.Now}
}

// end commits, answers, and sends what that has brought about. The caller holds no lock. What it returns are the
// commits that were made.
func (sw *sweep) end() (pending []*store.Pending) {
	for len(sw.adds) > 0 {
		n := min(len(sw.adds), store.MaxCallOps)
		pending = append(pending, sw.rs.commit(sw.adds[:n:n]))
		sw.adds = sw.adds[n:]
	}
	sw.rs.answer(sw.t, sw.ends)
	for len(sw.drops) > 0 {
		n := min(len(sw.drops), store.MaxCallOps)
		pending = append(pending, sw.rs.remove(sw.drops[:n:n]))
		sw.drops = sw.drops[n:]
	}
	sw.t.End()
	return pending
}
