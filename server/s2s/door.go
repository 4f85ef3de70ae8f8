// SPDX-License-Identifier: Apache-2.0

package s2s

import (
	"container/list"
	"net/netip"
	"sync"
)

// door bounds the connections that others make: those of one address, and all. Where there are too many, the
// oldest one goes that has not proved who it is: of that address, or of the one that has most. Who is known
// stays; where all are, who comes has to go.
type door struct {
	mu         sync.Mutex
	perAddress int // 0 or less: no limit
	most       int
	all        int
	waiting    int
	addresses  map[netip.Prefix]*visitors
}

// visitors are the connections of one address.
type visitors struct {
	all     int
	waiting list.List // of *conn, oldest first
}

// visit is a connection's place in the door, guarded by its mutex.
type visit struct {
	from    netip.Prefix
	waits   *list.Element // nil once it is known
	entered bool
}

func (d *door) limit(perAddress, most int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.perAddress, d.most = perAddress, most
}

// enter gives c a place, perhaps that of another one, which has to go. It reports false where there is none.
func (d *door) enter(c *conn) (evicted *conn, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	at := prefix(c.Remote().Addr())
	v := d.addresses[at]
	switch {
	case d.perAddress > 0 && v != nil && v.all >= d.perAddress:
		evicted = d.evict(v)
	case d.most > 0 && d.all >= d.most:
		evicted = d.evict(d.fullest())
	default:
		ok = true
	}
	if !ok && evicted == nil {
		return nil, false
	}
	if v = d.addresses[at]; v == nil { // the one evicted may have been its last
		if d.addresses == nil {
			d.addresses = make(map[netip.Prefix]*visitors)
		}
		v = new(visitors)
		d.addresses[at] = v
	}
	v.all++
	d.all++
	d.waiting++
	c.visit = visit{from: at, waits: v.waiting.PushBack(c), entered: true}
	return evicted, true
}

// enterCall counts a connection that we make.
func (d *door) enterCall(c *conn) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.most > 0 && d.all >= d.most {
		return false
	}
	d.all++
	c.visit = visit{entered: true}
	return true
}

// fullest is the address with most connections that wait.
func (d *door) fullest() (full *visitors) {
	for _, v := range d.addresses {
		if v.waiting.Len() > 0 && (full == nil || v.waiting.Len() > full.waiting.Len()) {
			full = v
		}
	}
	return full
}

// evict takes the place of the oldest that waits.
func (d *door) evict(v *visitors) *conn {
	if v == nil || v.waiting.Len() == 0 {
		return nil
	}
	c := v.waiting.Front().Value.(*conn)
	d.remove(c)
	return c
}

// known says that c has proved who it is.
func (d *door) known(c *conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if c.visit.waits != nil {
		d.addresses[c.visit.from].waiting.Remove(c.visit.waits)
		c.visit.waits = nil
		d.waiting--
	}
}

// leave gives up c's place; giving it up twice does nothing.
func (d *door) leave(c *conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.remove(c)
}

func (d *door) remove(c *conn) {
	if !c.visit.entered {
		return
	}
	c.visit.entered = false
	d.all--
	v := d.addresses[c.visit.from]
	if v == nil {
		return // a call
	}
	if c.visit.waits != nil {
		v.waiting.Remove(c.visit.waits)
		c.visit.waits = nil
		d.waiting--
	}
	if v.all--; v.all == 0 {
		delete(d.addresses, c.visit.from)
	}
}

func (d *door) counts() (all, waiting int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.all, d.waiting
}

// prefix is what counts as one address: an IPv4 address, or an IPv6 network of 64 bits, which is what one
// customer has.
func prefix(a netip.Addr) netip.Prefix {
	a = a.Unmap()
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits)
	return p
}
