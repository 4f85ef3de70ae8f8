// SPDX-License-Identifier: Apache-2.0

package c2s

import (
	"fmt"
	"net/netip"
	"testing"
)

func from(format string, args ...any) netip.Prefix {
	return prefix(netip.MustParseAddr(fmt.Sprintf(format, args...)))
}

// The oldest of an address goes where that has too many.
func TestAdmissionPerAddress(t *testing.T) {
	a := admission{perAddress: 3, total: 100}
	var conns []*conn
	for i := range 10 {
		conns = append(conns, new(conn))
		at, evicted := a.enter(conns[i], from("10.0.0.1"))
		conns[i].place = at
		if i < 3 && evicted != nil || i >= 3 && evicted != aborter(conns[i-3]) {
			t.Fatalf("connection %d: evicted %p of %v", i, evicted, conns)
		}
	}
	if _, evicted := a.enter(new(conn), from("10.0.0.2")); evicted != nil {
		t.Error("another address had to go")
	}
	for _, c := range conns {
		a.leave(c.place)
		a.leave(c.place)
	}
	if n := a.count(); n != 1 || len(a.addresses) != 1 {
		t.Errorf("%d are left of %d addresses, want 1 of 1", n, len(a.addresses))
	}
}

// IPv6 addresses of one network are one.
func TestAdmissionNetwork(t *testing.T) {
	a := admission{perAddress: 1, total: 100}
	first := new(conn)
	a.enter(first, from("2001:db8::1"))
	if _, evicted := a.enter(new(conn), from("2001:db8:0:1::1")); evicted != nil {
		t.Error("the next network had to go")
	}
	if _, evicted := a.enter(new(conn), from("2001:db8::ffff:1")); evicted != aborter(first) {
		t.Error("one network has two places")
	}
}

// In all, the oldest of the fullest address goes; where all have one, the oldest of all.
func TestAdmissionTotal(t *testing.T) {
	a := admission{perAddress: 100, total: 10}
	var lone, crowd []*conn
	enter := func(list *[]*conn, address netip.Prefix) aborter {
		c := new(conn)
		*list = append(*list, c)
		at, evicted := a.enter(c, address)
		c.place = at
		return evicted
	}
	for i := range 5 {
		enter(&lone, from("10.0.0.%d", i))
		enter(&crowd, from("10.1.0.0"))
	}
	for i := range 4 { // crowd shrinks to one
		if evicted := enter(&lone, from("10.0.1.%d", i)); evicted != crowd[i] {
			t.Fatalf("newcomer %d: evicted %p, want the crowd's %p", i, evicted, crowd[i])
		}
	}
	for i := range 5 { // each has one now
		if evicted := enter(&lone, from("10.0.2.%d", i)); evicted != lone[i] {
			t.Fatalf("newcomer %d: evicted %p, want the oldest, %p", i, evicted, lone[i])
		}
	}
	if n := a.count(); n != 10 {
		t.Errorf("%d are left, want 10", n)
	}
}

// A storm from many addresses costs no look at each of them.
func BenchmarkAdmissionStorm(b *testing.B) {
	a := admission{perAddress: 1000, total: 10_000}
	for i := 0; b.Loop(); i++ {
		a.enter(new(conn), prefix(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})))
	}
}
