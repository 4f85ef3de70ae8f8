// SPDX-License-Identifier: Apache-2.0

package s2s

// How to read this file: what a route is, then the coming and going of its connection, then what happens by the clock.
// put.go has what is put into it.

import (
	"sync"
	"time"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// route is the way from a domain of ours, or of a place of ours, to another's. What it holds leaves in this
// order:
//
//	sent, not confirmed │  head: to be   │  cold: on the   │  tail: waits  │
//	(window of its out) │  sent again    │  disk alone     │  in memory    │  ◀─ put
//
// While a connection works and nothing waits, what is put leaves at once, unless what is not confirmed has half of the memory.
type route struct {
	rs    *routes
	key   store.Route
	owner string // of key.To, see ownerOf
	alarm alarm

	mu      sync.Mutex
	retired bool // forgotten: nothing is put here any more
	out     *out // nil: there is no connection
	spare   *out // another one, should that break; it may be over
	flying  int  // entries in the window of out
	head    []*entry
	careful int // entries of head that leave one by one, each when the one before is confirmed
	cold    cold
	tail    []*entry
	latest  map[pair]*entry // presence in tail
	stale   int             // entries in tail that others have taken the place of
	mem     int             // bytes of all entries that are in memory
	keeps   int             // entries that survive: in memory or on the disk
	gone    []int64         // rows to be deleted
	again   []*entry        // the disk has refused them
	disk    time.Time       // before which it is not asked again
	used    time.Time

	dial    dialState
	tries   int // without success
	lastTry time.Time
	nextTry time.Time
	opened  time.Time
	proved  bool    // the present connection has confirmed something
	outage  *outage // the last one, until the next success
	verdict *outage // a worker answers what is on the disk with it
	working bool
	ping    *stanza.Stanza // the fence that is just being asked
	fence   *fence
}

// outage is why there is no connection.
type outage struct {
	Err       *stanza.Error // for those whose stanzas cannot be sent
	Permanent bool          // all that waits is answered with Err now, and what comes in the next half minute
	Cause     error         // for the log
}

// Bounds of patience with what was sent.
const (
	requestWait = 30 * time.Second // for a connection, of what is not kept
	maxSends    = 5                // of an entry, on connections that broke before it was confirmed
	maxFaults   = 3                // of an entry, on streams that the peer has ended with an error while it was in front
	deleteAfter = 50 * time.Millisecond
)

func (r *route) clock() *alarm { return &r.alarm }

// grow counts bytes in memory. The caller holds mu.
func (r *route) grow(n int) {
	r.mem += n
	r.rs.bytes.Add(int64(n))
}

// drop is the end of e, whose row goes if it has one. The caller holds mu.
func (r *route) drop(e *entry) {
	e.done = true
	if e.kind == kept {
		r.keeps--
		if e.row != noRow {
			r.gone = append(r.gone, e.id)
		}
	}
}

// end has e, which is in memory, answered with why. The caller holds mu.
func (r *route) end(sw *sweep, e *entry, why *outage) {
	r.grow(-len(e.b))
	r.drop(e)
	sw.ends = append(sw.ends, verdict{e, why, e.receipt})
	e.receipt = server.Receipt{}
}

// behind reports whether something waits that has to leave first. The caller holds mu.
func (r *route) behind() bool { return len(r.head) > 0 || len(r.tail) > 0 || r.cold.any() }

// empty reports whether nothing waits and nothing is unconfirmed. The caller holds mu.
func (r *route) empty() bool { return !r.behind() && r.flying == 0 }

// idle reports whether the route may be forgotten. The caller holds mu.
func (r *route) idle() bool {
	return r.out == nil && r.dial == notDialing && r.empty() && len(r.gone) == 0 && len(r.again) == 0 && !r.working
}

// open says that a dial of r has succeeded: its pair is verified on o's connection, which may carry the route from now on.
// o.begin was called before. The caller holds no lock that a Turn could want.
func (r *route) open(o *out) {
	sw := r.rs.newSweep()
	defer sw.end()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dialed()
	if !r.admit(sw, o) {
		r.tries++
		r.nextTry = sw.now.Add(backoff(r.tries))
		r.connect(sw.now)
	}
}

// offer says the same of a connection that the other server has made, in both directions. A dial goes on.
func (r *route) offer(o *out) {
	sw := r.rs.newSweep()
	defer sw.end()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.admit(sw, o)
}

// admit has o's connection carry the route, or stand by where another does. It reports false where it is over. The caller holds
// mu.
func (r *route) admit(sw *sweep, o *out) bool {
	if r.out != nil && r.out != o && r.out.ended() {
		r.lose(sw, r.out)
	}
	switch {
	case r.out == o || r.retired || r.rs.closed.Load():
	case !o.join(r):
		return false
	case r.out != nil:
		r.spare = o
	default:
		r.use(sw, o)
	}
	return true
}

// use sends all that waits by o, which r has joined. The caller holds mu.
func (r *route) use(sw *sweep, o *out) {
	r.out, r.opened, r.proved, r.outage, r.used = o, sw.now, false, nil, sw.now
	r.goOn(sw.t)
	r.settle(sw.now)
}

// dialed notes that a dial is over. The caller holds mu.
func (r *route) dialed() {
	if r.dial == dialing {
		r.rs.dials.done(r)
	}
	r.dial = notDialing
}

// goOn sends what waits, where there is a connection. The caller holds mu.
func (r *route) goOn(t *server.Turn) {
	r.sendHead(t)
	if r.cold.any() {
		r.work()
	} else {
		r.sendTail(t)
	}
}

// sendHead sends what goes again, where there is a connection. The caller holds mu.
func (r *route) sendHead(t *server.Turn) {
	for r.careful > 0 && len(r.head) > 0 {
		if r.out == nil || r.flying > 0 || len(r.send(t, r.head[:1])) > 0 {
			return
		}
		r.head[0], r.head = nil, r.head[1:]
		r.careful--
	}
	if r.careful = 0; r.out != nil {
		r.head = r.send(t, r.head)
	}
}

// sendTail sends what waits in memory, where there is a connection. The caller holds mu.
func (r *route) sendTail(t *server.Turn) {
	if r.out == nil || len(r.head) > 0 {
		return
	}
	if r.tail = r.send(t, r.tail); len(r.tail) == 0 {
		r.latest = nil
	}
}

// send sends entries in order, and returns those that the connection does not take any more. The caller holds
// mu.
func (r *route) send(t *server.Turn, list []*entry) (rest []*entry) {
	for i, e := range list {
		if e.done {
			continue
		}
		sent, followed := r.out.push(t, e)
		switch {
		case !sent:
			return list[i:]
		case followed:
			r.flying++
		default:
			r.grow(-len(e.b))
			r.drop(e)
		}
	}
	return nil
}

// failed says that a dial is over without a connection. The caller holds no lock that a Turn could want.
func (r *route) failed(why outage) {
	sw := r.rs.newSweep()
	defer sw.end()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dialed()
	if r.out != nil || r.rs.closed.Load() {
		return
	}
	r.outage = &why
	r.tries++
	r.lastTry, r.nextTry = sw.now, sw.now.Add(backoff(r.tries))
	keep := func(list []*entry) []*entry {
		rest := list[:0]
		for _, e := range list {
			switch {
			case e.done:
			case e.kind == kept && !why.Permanent:
				rest = append(rest, e)
			default:
				r.end(sw, e, &why)
			}
		}
		clear(list[len(rest):])
		return rest
	}
	r.head, r.tail, r.latest = keep(r.head), keep(r.tail), nil
	if why.Permanent && r.cold.any() {
		r.verdict = &why
		r.work()
	}
	r.drops(sw)
	r.settle(sw.now)
}

// without has r go on without o.
func (r *route) without(sw *sweep, o *out) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.spare == o {
		r.spare = nil
	}
	if r.out == o {
		r.lose(sw, o)
	}
}

// doubt has the connection that carries r asked whether it works, unless it is newer: there the other server has proved its name just
// now, as one does that has lost the older.
func (r *route) doubt(newer *out) {
	r.mu.Lock()
	o := r.out
	r.mu.Unlock()
	if o == nil || o == newer {
		return
	}
	sw := r.rs.newSweep()
	o.doubt(sw.t, r)
	sw.end()
}

// lose takes back what o has not confirmed. The caller holds mu.
func (r *route) lose(sw *sweep, o *out) {
	back, managed, front := o.takeBack(r)
	again, careful := back[:0], front != nil
	for _, e := range back {
		r.flying--
		switch front {
		case nil:
		case e:
			e.faults++
		default:
			e.excused++
		}
		sends := e.sends - e.excused
		switch {
		case e.done:
		case e.kind != kept && sw.now.Sub(e.at) >= requestWait:
			r.end(sw, e, timeout("the other server was silent"))
		case e.faults >= maxFaults:
			r.end(sw, e, &outage{Err: stanza.NotAcceptable.Err("the other server ends the stream when it is sent this")})
		case e.kind == kept && sends < maxSends, (e.kind == reply || e.kind != kept && managed) && sends < 2:
			again = append(again, e)
			careful = careful || sends > maxSends/2
		default:
			r.end(sw, e, timeout("the connection to the other server broke"))
		}
	}
	r.head = append(again, r.head...)
	if careful {
		r.careful = len(r.head)
	} else if r.careful > 0 {
		r.careful += len(again)
	}
	if r.out != o {
		return
	}
	r.out = nil
	r.tries++
	if r.proved || sw.now.Sub(r.opened) > retrySoon {
		r.tries = 0
	}
	r.nextTry = sw.now
	if r.tries > 0 {
		r.nextTry = sw.now.Add(backoff(r.tries))
	}
	r.drops(sw)
	if spare := r.spare; spare != nil && !r.rs.closed.Load() && spare.join(r) {
		r.spare = nil
		r.use(sw, spare)
		return
	}
	r.spare = nil
	r.connect(sw.now)
	r.settle(sw.now)
}

// connect has a connection made, where something waits and it is time. What comes long after a failure does not
// wait for the end of the backoff. The caller holds mu.
func (r *route) connect(now time.Time) {
	if r.out != nil || r.dial != notDialing || r.rs.closed.Load() || !r.behind() {
		return
	}
	if now.Before(r.nextTry) && now.Before(r.lastTry.Add(retrySoon)) {
		r.rs.sweeper.arm(r, r.nextTry)
		return
	}
	r.dial = dialQueued
	r.rs.dials.want(r)
}

// look implements watched.
func (r *route) look(sw *sweep) {
	r.mu.Lock()
	if !sw.now.Before(r.disk) {
		for _, e := range r.again {
			r.store(sw, e)
		}
		r.again = nil
	}
	r.head, r.tail = r.sift(sw, r.head), r.sift(sw, r.tail)
	r.drops(sw)
	r.work()
	if !sw.now.Before(r.nextTry) {
		r.connect(sw.now)
	}
	forget := r.idle() && sw.now.Sub(r.used) >= r.rs.limits.Load().Idle
	r.retired = r.retired || forget
	if !forget {
		r.settle(sw.now)
	}
	r.mu.Unlock()
	if forget {
		r.rs.forget(r)
	}
}

// sift answers what has waited too long, and stores what is to be stored. The caller holds mu.
func (r *route) sift(sw *sweep, list []*entry) []*entry {
	l := r.rs.limits.Load()
	rest := list[:0]
	for _, e := range list {
		age := sw.now.Sub(e.at)
		switch {
		case e.done:
			continue
		case e.kind == kept && r.rs.tooOld(e.at, sw.now), e.kind != kept && age >= requestWait:
			why := r.outage
			if why == nil {
				why = timeout("the other server could not be reached")
			}
			r.end(sw, e, why)
			continue
		case e.kind == kept && (age >= l.SpoolAfter || r.mem > r.room(l)/2):
			r.store(sw, e)
		}
		rest = append(rest, e)
	}
	clear(list[len(rest):])
	return rest
}

// store gives e a row, unless it has one or needs none. The caller holds mu.
func (r *route) store(sw *sweep, e *entry) {
	if !e.done && e.kind == kept && e.row == noRow && !sw.now.Before(r.disk) {
		e.row = rowWritten
		sw.adds = append(sw.adds, e)
	}
}

// settle arms the clock for what is due next. The caller holds mu.
func (r *route) settle(now time.Time) {
	l := r.rs.limits.Load()
	due := now.Add(max(l.Idle, time.Second))
	sooner := func(at time.Time) {
		if at.Before(due) {
			due = at
		}
	}
	if len(r.gone) > 0 {
		sooner(now.Add(deleteAfter))
	}
	if len(r.again) > 0 {
		sooner(r.disk)
	}
	for _, list := range [][]*entry{r.head, r.tail} {
		for _, e := range list {
			switch {
			case e.kind != kept:
				sooner(e.at.Add(requestWait))
			case e.row == noRow && r.disk.After(now):
				sooner(r.disk)
			case e.row == noRow:
				sooner(e.at.Add(l.SpoolAfter))
			case l.GiveUp > 0:
				sooner(e.at.Add(l.GiveUp))
			}
		}
	}
	if r.cold.any() && r.out == nil && l.GiveUp > 0 && !r.working {
		sooner(r.cold.oldest.Add(l.GiveUp))
	}
	if r.behind() && r.out == nil && r.dial == notDialing {
		sooner(r.nextTry)
	}
	if soon := now.Add(together); due.Before(soon) {
		due = soon
	}
	r.rs.sweeper.arm(r, due)
}

// shut is the end of the service: what is kept is committed, what is not is answered.
func (r *route) shut(sw *sweep) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.out != nil {
		r.lose(sw, r.out)
	}
	r.disk = time.Time{}
	for _, list := range [][]*entry{r.head, r.tail, r.again} {
		for _, e := range list {
			switch {
			case e.done:
			case e.kind == kept:
				r.store(sw, e)
			default:
				r.end(sw, e, timeout("the server is stopping"))
			}
		}
	}
	r.head, r.tail, r.again, r.latest = nil, nil, nil, nil
	r.drops(sw)
}
