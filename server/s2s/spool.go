// SPDX-License-Identifier: Apache-2.0

package s2s

// How to read this file: rows are written and deleted for many routes at once (commit, remove); what is on the disk alone is
// sent or answered, oldest first, by one worker at a time for each route (work).

import (
	"context"
	"slices"
	"time"

	"github.com/stonechat-im/stonechat/internal/trace"
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// retryDisk is how long what the disk refused waits.
const retryDisk = time.Second

// commit gives entries rows; row is rowWritten, set under their routes' mutexes.
func (rs *routes) commit(list []*entry) *store.Pending {
	ops := make([]store.Op, len(list))
	for i, e := range list {
		e.way.Note(trace.Spooling, e.r.key.To.Domain())
		ops[i] = store.AddOutgoing{Route: e.r.key, Entry: store.SpoolEntry{ID: e.id, At: e.at, Stanza: stanza.Standalone(e.b)}}
	}
	p := rs.Store.Commit(ops...)
	rs.Server.After(p, func(t *server.Turn, err error) {
		if err != nil {
			rs.metrics.spoolFailures.Inc()
			rs.complain("stanzas for other servers not stored", "err", err)
		} else {
			rs.metrics.spooled.Add(float64(len(list)))
		}
		for _, e := range list {
			e.written(t, err)
		}
	})
	return p
}

// written is the outcome of commit.
func (e *entry) written(t *server.Turn, err error) {
	r := e.r
	r.mu.Lock()
	if err != nil {
		e.way.Note(trace.Failed, "")
		if e.row = noRow; !e.done {
			r.again = append(r.again, e)
			r.disk = t.Now.Add(retryDisk)
			r.rs.sweeper.arm(r, r.disk)
		}
		r.mu.Unlock()
		return
	}
	e.row = rowKept
	receipt := e.receipt
	e.receipt = server.Receipt{}
	r.pageOut()
	r.mu.Unlock()
	e.way.Note(trace.Spooled, "")
	receipt.Release(t)
}

// pageOut lets go of what waits longest in memory and is on the disk, where memory is short. The caller holds mu.
func (r *route) pageOut() {
	if r.mem <= r.room(r.rs.limits.Load())/2 {
		return
	}
	n := 0
	for n < len(r.tail) && r.tail[n].kind == kept && r.tail[n].row == rowKept {
		e := r.tail[n]
		if !r.cold.any() {
			r.cold = cold{from: e.id - 1, oldest: e.at}
		}
		r.cold.to = e.id
		r.grow(-len(e.b))
		n++
	}
	r.tail = slices.Delete(r.tail, 0, n)
	if r.out != nil {
		r.work()
	}
}

// cold is what of a route is on the disk alone: its rows with from < id <= to. They stand behind what goes
// again (route.head), and before what waits in memory (route.tail).
type cold struct {
	from, to int64
	oldest   time.Time
}

func (c cold) any() bool { return c.from < c.to }

// remove deletes rows.
func (rs *routes) remove(ops []store.Op) *store.Pending {
	p := rs.Store.Commit(ops...)
	rs.Server.After(p, func(t *server.Turn, err error) {
		if err == nil {
			return
		}
		rs.complain("stanzas for other servers not deleted yet", "err", err)
		for _, op := range ops {
			op := op.(store.DeleteOutgoing)
			// The route may be forgotten meanwhile: the next one takes over.
			if r := rs.make(op.Route); r != nil {
				r.mu.Lock()
				r.gone = append(r.gone, op.IDs...)
				r.mu.Unlock()
				rs.sweeper.arm(r, t.Now.Add(retryDisk))
			}
		}
	})
	return p
}

// drops has the rows of what is confirmed deleted. The caller holds mu.
func (r *route) drops(sw *sweep) {
	for len(r.gone) > 0 {
		n := min(len(r.gone), store.MaxPage)
		sw.drops = append(sw.drops, store.DeleteOutgoing{Route: r.key, IDs: slices.Clone(r.gone[:n])})
		r.gone = r.gone[n:]
	}
	r.gone = nil
}

// answer tells the senders of entries that these cannot be sent. The caller holds no lock.
func (rs *routes) answer(t *server.Turn, list []verdict) {
	for _, v := range list {
		v.tell(rs, t)
		v.receipt.Release(t)
	}
}

func (v verdict) tell(rs *routes, t *server.Turn) {
	if !v.e.kind.answers() {
		rs.metrics.dropped.Inc()
		return
	}
	s, err := stanza.Parse(stanza.Standalone(v.e.b))
	if err != nil {
		rs.Log.Error("stanza for another server not readable", "peer", v.e.r.key.To.String(), "err", err)
		return
	}
	rs.metrics.bounced.WithLabelValues(string(v.why.Err.Condition)).Inc()
	v.e.way.Note(trace.Returned, string(v.why.Err.Condition))
	t.Refuse(s, v.why.Err)
}

// Pages of the disk: how much is read at one time, and how much of a route may be sent and not confirmed meanwhile.
const (
	page     = 64
	workers  = 8 // routes whose pages are read at one time
	drainGap = 50 * time.Millisecond
)

// work has a worker look after what is on the disk alone. The caller holds mu.
func (r *route) work() {
	if r.working || !r.cold.any() || r.rs.closed.Load() {
		return
	}
	if _, ok := r.task(time.Now()); !ok {
		return
	}
	r.working = true
	rs := r.rs
	rs.working.Go(func() {
		rs.slots <- struct{}{}
		defer func() { <-rs.slots }()
		for r.workOn() {
		}
	})
}

// task is what a worker does with rows.
type task struct {
	all *outage // answers all of them
	out *out    // sends them
}

// task is what is to be done now; ok is false where nothing is. The caller holds mu.
func (r *route) task(now time.Time) (x task, ok bool) {
	switch {
	case !r.cold.any(), r.rs.closed.Load():
	case r.verdict != nil:
		return task{all: r.verdict}, true
	case r.out != nil:
		if len(r.head) > 0 {
			return task{}, false
		}
		if r.flying > page || r.out.slow() {
			r.rs.sweeper.arm(r, now.Add(drainGap))
			return task{}, false
		}
		return task{out: r.out}, true
	case r.rs.tooOld(r.cold.oldest, now):
		return task{}, true
	}
	return task{}, false
}

// workOn takes one page, and reports whether to go on.
func (r *route) workOn() bool {
	rs := r.rs
	sw := rs.newSweep()
	defer sw.end()
	r.mu.Lock()
	x, ok := r.task(sw.now)
	if !ok {
		r.working = false
		r.settle(sw.now)
		r.mu.Unlock()
		return false
	}
	from := r.cold.from
	r.mu.Unlock()
	rows, err := rs.Store.Outgoing(context.Background(), r.key, from, page)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		rs.complain("stanzas for other servers not read", "peer", r.key.To.String(), "err", err)
		r.working = false
		rs.sweeper.arm(r, sw.now.Add(retryDisk))
		return false
	}
	more := true
	for _, row := range rows {
		if row.ID > r.cold.to {
			r.cold.from = r.cold.to // the others have gone
			break
		}
		if more = r.row(sw, x, row); !more {
			break
		}
		r.cold.from = row.ID
	}
	if len(rows) == 0 || r.cold.from >= r.cold.to {
		r.cold, r.verdict = cold{}, nil
		r.sendTail(sw.t)
	}
	r.drops(sw)
	more = more || r.out != x.out // there is another connection
	r.working = more
	r.settle(sw.now)
	return more
}

// row handles one row, and reports whether to go on. The caller holds mu.
func (r *route) row(sw *sweep, x task, row store.SpoolEntry) bool {
	e := &entry{r: r, b: bareOf(row.Stanza), kind: kept, at: row.At, id: row.ID, row: rowKept, old: true}
	why := x.all
	if why == nil && r.rs.tooOld(row.At, sw.now) {
		why = timeout("the other server could not be reached")
	}
	switch {
	case why != nil:
		sw.ends = append(sw.ends, verdict{e: e, why: why})
		r.drop(e)
		return true
	case x.out == nil:
		r.cold.oldest = row.At // the first that may wait on
		return false
	}
	r.grow(len(e.b))
	if r.out == x.out {
		if sent, _ := x.out.push(sw.t, e); sent {
			r.flying++
			return true
		}
	}
	r.grow(-len(e.b))
	return false
}
