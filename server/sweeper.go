// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"sync"
	"time"

	"github.com/stonechat-im/stonechat/internal/trace"
)

// sweeper looks after sessions that have copies of messages out which somebody waits for: it
// asks their clients for acks, and spools what they do not ack in time; and after sessions that wait
// for an ack themselves. It watches only those sessions, and sleeps while there are none.
type sweeper struct {
	server *Server
	wake   chan struct{}

	mu      sync.Mutex
	watched []*Session
}

// sweepEvery is how often the sweeper looks. Acks are asked for at half of the time after which
// a message is spooled, so that an ack in time saves the commit.
const sweepEvery = 20 * time.Millisecond

// sweepFirst is how long it leaves those alone who are the first to be watched: until then nothing is due by the defaults, most have
// acked, and waking up costs more than looking.
const sweepFirst = 50 * time.Millisecond

// watch makes the sweeper look after se; called under its outbound's mutex.
func (w *sweeper) watch(se *Session) {
	w.mu.Lock()
	w.watched = append(w.watched, se)
	first := len(w.watched) == 1
	w.mu.Unlock()
	if first {
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
}

func (w *sweeper) run(ctx context.Context) {
	var look []*Session
	timer := time.NewTimer(0)
	defer timer.Stop()
	<-timer.C
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.wake:
		}
		timer.Reset(max(sweepEvery, min(sweepFirst, w.server.limits.Load().SpoolAfter/2)))
		for ; ; timer.Reset(sweepEvery) {
			select {
			case <-ctx.Done():
				return
			case <-timer.C:
			}
			w.mu.Lock()
			look, w.watched = w.watched, look[:0]
			w.mu.Unlock()
			t := w.server.NewTurn()
			for i, se := range look {
				look[i] = nil
				se.sweep(t)
			}
			t.End()
			w.mu.Lock()
			idle := len(w.watched) == 0
			w.mu.Unlock()
			if idle {
				break
			}
		}
	}
}

// sweep looks after one session.
func (se *Session) sweep(t *Turn) {
	o, now := &se.out, t.Now.UnixMilli()
	spoolAfter := se.server.limits.Load().SpoolAfter.Milliseconds()
	u := se.User
	u.mu.Lock()
	o.mu.Lock()
	var late []*delivery
	waits := o.leaving.Len() > 0
	for _, list := range [][]sent{o.leaving.All(), o.window.All(), o.held.All()} {
		for i := range list {
			e := &list[i]
			if e.d == nil {
				continue
			}
			waiting, may := e.d.waits(now)
			waits = waits || waiting // also while its commit is under way: that may fail
			if waiting && may && (e.age(now) >= spoolAfter || o.stream == nil) {
				late = append(late, e.d)
			}
		}
	}
	if o.managed && o.stream != nil && o.window.Len() > 0 && o.asked != o.sentCount() && o.window.All()[0].age(now) >= spoolAfter/2 {
		o.ask()
		o.soil(t)
	}
	// What was never asked for is never acked, and would come again after the session's end.
	waits = waits || o.managed && o.stream != nil && o.window.Len() > 0 && o.asked != o.sentCount()
	if asks, late := se.in.overdue(now, spoolAfter); asks && o.stream != nil {
		waits = true
		if late {
			o.ackDue = true
			o.soil(t)
		}
	}
	gone := o.left(t.gone[:0])
	// A draining that stopped because of what nobody follows goes on when that has left.
	o.makeRoom()
	waits = waits || o.starved && o.stream != nil
	o.armed = !o.over && waits
	if o.armed {
		se.server.sweeper.watch(se)
	}
	o.mu.Unlock()
	for _, d := range late {
		d.spool(t)
	}
	u.mu.Unlock()
	t.reached(gone, trace.Left)
}
