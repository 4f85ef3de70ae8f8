// SPDX-License-Identifier: Apache-2.0

package c2s

import (
	"container/list"
	"net/netip"
	"sync"
)

// admission holds the connections that have not logged in. There is always room for one more:
// where there are too many the oldest of its address, or of the fullest address, has to go. A
// client that logs in is through long before its turn; one that only holds its place is not.
type admission struct {
	perAddress, total int

	mu        sync.Mutex
	n         int
	addresses map[netip.Prefix]*address
	byCount   []*list.List // of *address: those with i+1 connections, in the order in which they came to have them
}

// aborter is a connection that may have to go.
type aborter interface{ Abort() }

// address is one that has connections in admission.
type address struct {
	prefix netip.Prefix
	conns  list.List     // of *place, oldest first
	place  *list.Element // in byCount
}

// place is a connection's place in admission.
type place struct {
	conn    aborter
	address *address
	element *list.Element // nil once it has left
}

// enter gives c a place, and returns the connection that has to go for it, or nil.
func (a *admission) enter(c aborter, from netip.Prefix) (_ *place, evicted aborter) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.addresses == nil {
		a.addresses = make(map[netip.Prefix]*address)
	}
	at := a.addresses[from]
	if at == nil {
		at = &address{prefix: from}
		a.addresses[from] = at
	}
	a.n++
	p := &place{conn: c, address: at}
	p.element = at.conns.PushBack(p)
	a.recount(at, at.conns.Len()-1)
	switch {
	case a.perAddress > 0 && at.conns.Len() > a.perAddress:
		return p, a.evict(at)
	case a.total > 0 && a.n > a.total:
		return p, a.evict(a.fullest())
	}
	return p, nil
}

// recount puts an address, which had that many connections, where it belongs now. The caller
// holds mu.
func (a *admission) recount(at *address, had int) {
	if had > 0 {
		a.byCount[had-1].Remove(at.place)
	}
	has := at.conns.Len()
	if has == 0 {
		delete(a.addresses, at.prefix)
		return
	}
	if has > len(a.byCount) {
		a.byCount = append(a.byCount, list.New())
	}
	at.place = a.byCount[has-1].PushBack(at)
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

// evict takes the oldest connection of an address. The caller holds mu.
func (a *admission) evict(at *address) aborter {
	p := at.conns.Front().Value.(*place)
	a.remove(p)
	return p.conn
}

// leave gives up a place; giving it up twice does nothing.
func (a *admission) leave(p *place) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.remove(p)
}

func (a *admission) remove(p *place) {
	if p == nil || p.element == nil {
		return
	}
	had := p.address.conns.Len()
	p.address.conns.Remove(p.element)
	p.element = nil
	a.n--
	a.recount(p.address, had)
}

func (a *admission) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.n
}
