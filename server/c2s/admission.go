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
	addresses map[netip.Prefix]*list.List // of *conn, oldest first
}

// place is a connection's place in admission.
type place struct {
	address netip.Prefix
	element *list.Element // nil once it has left
}

// enter gives c a place, and returns the connection that has to go for it, or nil.
func (a *admission) enter(c *conn, address netip.Prefix) (evicted *conn) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.addresses == nil {
		a.addresses = make(map[netip.Prefix]*list.List)
	}
	l := a.addresses[address]
	if l == nil {
		l = list.New()
		a.addresses[address] = l
	}
	c.place = &place{address, l.PushBack(c)}
	a.n++
	switch {
	case a.perAddress > 0 && l.Len() > a.perAddress:
		evicted = a.evict(l)
	case a.total > 0 && a.n > a.total:
		for _, other := range a.addresses {
			if other.Len() > l.Len() {
				l = other
			}
		}
		evicted = a.evict(l)
	}
	return evicted
}

// evict takes the oldest of one address. The caller holds mu.
func (a *admission) evict(l *list.List) *conn {
	c := l.Front().Value.(*conn)
	a.remove(c.place)
	return c
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
	l := a.addresses[p.address]
	l.Remove(p.element)
	p.element = nil
	a.n--
	if l.Len() == 0 {
		delete(a.addresses, p.address)
	}
}

func (a *admission) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.n
}
