// SPDX-License-Identifier: Apache-2.0

package c2s

import (
	"container/list"
	"net/netip"
	"sync"
	"time"
)

// admission gives places to connections that have not logged in. An address (prefix) has so many;
// who comes when they are taken waits its turn, first come first served, so that ten thousand
// things which come back at once log in one after the other and none has to begin again. A
// connection that has made no progress for a while loses its place to one that waits; that is
// rationed, so that a busy server, which makes all of them slow, does not throw out those that it is
// serving. Where there are too many in all, the fullest address pays.
type admission struct {
	perAddress, total int // 0 or less: no limit

	mu        sync.Mutex
	n         int // with a place or waiting
	waiting   int
	addresses map[netip.Prefix]*address
	byCount   []*list.List // of *address: those with i+1 connections, in the order in which they came to have them
	evicted   int
	dropped   int
}

const (
	// idlest is how long a connection may make no progress while others of its address wait.
	idlest = time.Second
	// renewal is the time in which an address may lose all of its places to those that wait.
	renewal = 10 * time.Second
)

// address is one that has connections in admission.
type address struct {
	prefix  netip.Prefix
	places  list.List     // of *place, longest without progress first
	waiting list.List     // of *newcomer, first come first
	rank    *list.Element // in byCount
	last    time.Time     // when one had to go
	timer   *time.Timer   // until the next one may have to; nil while nobody waits
}

// newcomer is a connection that asks for a place.
type newcomer struct {
	begin func(*place) // with its place; on any goroutine
	drop  func()       // instead: there is no room
}

// aborter is a connection that may have to go.
type aborter interface{ Abort() }

// place is a connection's place in admission.
type place struct {
	admission *admission
	address   *address
	element   *list.Element // nil once it is given up or lost
	conn      aborter
	progress  time.Time
}

// limit sets how many there may be. Those that wait and now may go on do; where there are too many,
// they go one by one as others come.
func (a *admission) limit(perAddress, total int) {
	a.mu.Lock()
	a.perAddress, a.total = perAddress, total
	var t todo
	now := time.Now()
	for _, at := range a.addresses {
		t = a.seat(t, at, now)
	}
	a.mu.Unlock()
	t.do()
}

// todo is what is to be done outside of the lock: begin, drop, abort.
type todo []func()

func (t todo) do() {
	for _, f := range t {
		f()
	}
}

// enter asks for a place. begin or drop is called, here or later.
func (a *admission) enter(from netip.Prefix, now time.Time, begin func(*place), drop func()) {
	a.mu.Lock()
	if a.addresses == nil {
		a.addresses = make(map[netip.Prefix]*address)
	}
	at := a.addresses[from]
	if at == nil {
		at = &address{prefix: from}
		a.addresses[from] = at
	}
	var t todo
	had := at.count()
	at.waiting.PushBack(&newcomer{begin, drop})
	a.n++
	a.waiting++
	a.recount(at, had)
	t = a.seat(t, at, now)
	if a.total > 0 && a.n > a.total {
		t = a.relieve(t, now)
	}
	a.mu.Unlock()
	t.do()
}

// own says whose place it is. It reports false if the place is lost already.
func (p *place) own(c aborter) bool {
	p.admission.mu.Lock()
	defer p.admission.mu.Unlock()
	p.conn = c
	return p.element != nil
}

// advance notes that the login goes on.
func (p *place) advance(now time.Time) {
	if p == nil {
		return
	}
	p.admission.mu.Lock()
	defer p.admission.mu.Unlock()
	if p.element != nil {
		p.progress = now
		p.address.places.MoveToBack(p.element)
	}
}

// leave gives the place up, for the one that waits first; doing it twice, or for nil, does nothing.
func (p *place) leave() {
	if p == nil {
		return
	}
	a := p.admission
	a.mu.Lock()
	var t todo
	if p.element != nil {
		a.remove(p)
		t = a.seat(t, p.address, time.Now())
	}
	a.mu.Unlock()
	t.do()
}

// seat gives places to those that wait, as far as there are any. The caller holds mu.
func (a *admission) seat(t todo, at *address, now time.Time) todo {
	for at.waiting.Len() > 0 {
		if a.perAddress > 0 && at.places.Len() >= a.perAddress {
			if at.nextEviction(a.perAddress).After(now) {
				break
			}
			at.last = now
			t = a.evict(t, at)
		}
		w := at.waiting.Remove(at.waiting.Front()).(*newcomer)
		a.waiting--
		p := &place{admission: a, address: at, progress: now}
		p.element = at.places.PushBack(p)
		t = append(t, func() { w.begin(p) })
	}
	at.wake(a, now)
	return t
}

// nextEviction is when a place may be taken away.
func (at *address) nextEviction(places int) time.Time {
	idle := at.places.Front().Value.(*place).progress.Add(idlest)
	if ration := at.last.Add(renewal / time.Duration(places)); ration.After(idle) {
		return ration
	}
	return idle
}

// wake has those that wait looked at again when a place may be taken away. The caller holds mu.
func (at *address) wake(a *admission, now time.Time) {
	if at.timer != nil {
		at.timer.Stop()
		at.timer = nil
	}
	if at.waiting.Len() == 0 {
		return
	}
	at.timer = time.AfterFunc(at.nextEviction(a.perAddress).Sub(now), func() {
		a.mu.Lock()
		t := a.seat(nil, at, time.Now())
		a.mu.Unlock()
		t.do()
	})
}

// relieve makes the fullest address lose one: the one that came last of those that wait, or else
// the one with a place that has made no progress for the longest time. The caller holds mu.
func (a *admission) relieve(t todo, now time.Time) todo {
	at := a.fullest()
	if at.waiting.Len() == 0 {
		return a.evict(t, at)
	}
	had := at.count()
	w := at.waiting.Remove(at.waiting.Back()).(*newcomer)
	a.waiting--
	a.n--
	a.dropped++
	a.recount(at, had)
	at.wake(a, now)
	return append(t, w.drop)
}

// evict takes the place of the connection that has made no progress for the longest time. The
// caller holds mu.
func (a *admission) evict(t todo, at *address) todo {
	p := at.places.Front().Value.(*place)
	a.remove(p)
	a.evicted++
	if p.conn == nil {
		return t // whoever begins it finds out (own)
	}
	return append(t, p.conn.Abort)
}

// remove takes a place away. The caller holds mu.
func (a *admission) remove(p *place) {
	at := p.address
	had := at.count()
	at.places.Remove(p.element)
	p.element = nil
	a.n--
	a.recount(at, had)
}

func (at *address) count() int { return at.places.Len() + at.waiting.Len() }

// recount puts an address, which had that many connections, where it belongs now. The caller
// holds mu.
func (a *admission) recount(at *address, had int) {
	if had > 0 {
		a.byCount[had-1].Remove(at.rank)
	}
	has := at.count()
	if has == 0 {
		delete(a.addresses, at.prefix)
		return
	}
	if has > len(a.byCount) {
		a.byCount = append(a.byCount, list.New())
	}
	at.rank = a.byCount[has-1].PushBack(at)
}

// fullest is the address with the most connections, of several the one that has had so many
// for the longest time. There is one. The caller holds mu.
func (a *admission) fullest() *address {
	i := len(a.byCount) - 1
	for a.byCount[i].Len() == 0 {
		i--
	}
	a.byCount = a.byCount[:i+1]
	return a.byCount[i].Front().Value.(*address)
}

// close drops all that wait.
func (a *admission) close() {
	a.mu.Lock()
	var t todo
	for _, at := range a.addresses {
		for at.waiting.Len() > 0 {
			had := at.count()
			w := at.waiting.Remove(at.waiting.Front()).(*newcomer)
			a.waiting--
			a.n--
			a.recount(at, had)
			t = append(t, w.drop)
		}
		at.wake(a, time.Time{})
	}
	a.mu.Unlock()
	t.do()
}

// admissionCounts are for metrics.
type admissionCounts struct{ places, waiting, evicted, dropped int }

func (a *admission) counts() admissionCounts {
	a.mu.Lock()
	defer a.mu.Unlock()
	return admissionCounts{a.n - a.waiting, a.waiting, a.evicted, a.dropped}
}
