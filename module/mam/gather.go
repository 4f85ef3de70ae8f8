// SPDX-License-Identifier: Apache-2.0

package mam

import (
	"sync"
	"sync/atomic"
	"time"
)

// gatherFor is for how long rows wait for others at most. Readers and receivers wait for nothing by it: only the sender's ack does.
const gatherFor = 20 * time.Millisecond

// gathering has the rows of turns that end shortly after others' committed together. A commit costs the same for one
// row as for ten, and many things that each tell seldom make many turns with one row each.
//
// A row waits only if some were handed over less than gatherFor ago: whoever writes now and then is archived at once. So is, mostly, who
// waits for each ack before he sends the next message: where waiting brought no other turn it is left out the next time, and twice as often
// the time after that.
type gathering struct {
	mu    sync.Mutex
	turns []int   // of each that has ended: its period of the fence
	rows  []entry // theirs
	bytes int
	last  time.Time // when some were handed over
	alone int       // how often in a row waiting brought nobody
	skip  int       // so many turns do not wait
	over  bool      // nothing waits any more
	timer *time.Timer
}

// mostAlone bounds gathering.alone: 16 turns that do not wait, then one that does.
const mostAlone = 4

// hand takes the rows of a turn to be committed.
func (m *Module) hand(now time.Time, rows []entry, period int) {
	if len(rows) == 0 {
		m.fence.leave(period)
		return
	}
	g := &m.gathering
	g.mu.Lock()
	defer g.mu.Unlock()
	g.turns, g.rows = append(g.turns, period), append(g.rows, rows...)
	for i := range rows {
		g.bytes += len(rows[i].bytes)
		m.queued.Add(rows[i].size())
	}
	wait := min(g.last.Add(gatherFor).Sub(now), gatherFor) // now is when the turn began: others may have handed over since
	if wait <= 0 || g.over || len(g.rows) >= maxRows || g.bytes >= maxBytes || m.fence.awaited() {
		m.release(now)
		return
	}
	switch {
	case len(g.turns) > 1: // the timer runs
	case g.skip > 0:
		g.skip--
		m.release(now)
	case g.timer == nil:
		g.timer = time.AfterFunc(wait, m.gathered)
	default:
		g.timer.Reset(wait)
	}
}

// gathered is called when nobody else is waited for any more.
func (m *Module) gathered() {
	g := &m.gathering
	g.mu.Lock()
	defer g.mu.Unlock()
	switch len(g.turns) {
	case 0:
	case 1:
		g.alone = min(g.alone+1, mostAlone)
		g.skip = 1 << g.alone
	default:
		g.alone = 0
	}
	m.release(time.Now())
}

// handOver has all committed that waits: somebody wants to read it.
func (m *Module) handOver() {
	m.gathering.mu.Lock()
	defer m.gathering.mu.Unlock()
	m.release(time.Now())
}

// release hands over what waits. The caller holds gathering.mu.
func (m *Module) release(now time.Time) {
	g := &m.gathering
	rows, h := g.rows, &handed{turns: g.turns}
	if len(rows) == 0 {
		return
	}
	g.rows, g.turns, g.bytes, g.last = nil, nil, 0, now
	h.left.Add(1)
	defer h.done(m)
	for len(rows) > 0 {
		n, size := 0, 0
		for n < len(rows) && n < maxRows && size < maxBytes {
			size += len(rows[n].bytes)
			n++
		}
		m.commit(rows[:n:n], h)
		rows = rows[n:]
	}
}

// handed are turns whose rows were handed over together.
type handed struct {
	turns []int
	left  atomic.Int32 // commits that are not done, one that has to be made anew included
}

// done notes that one is.
func (h *handed) done(m *Module) {
	if h.left.Add(-1) > 0 {
		return
	}
	for _, period := range h.turns {
		m.fence.leave(period)
	}
}
