// SPDX-License-Identifier: Apache-2.0

package c2s

import (
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func from(format string, args ...any) netip.Prefix {
	return prefix(netip.MustParseAddr(fmt.Sprintf(format, args...)))
}

// guest is a connection in admission.
type guest struct {
	mu               sync.Mutex
	place            *place
	dropped, evicted bool
}

func (g *guest) Abort() {
	g.mu.Lock()
	g.evicted = true
	g.mu.Unlock()
}

func (g *guest) String() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.dropped:
		return "dropped"
	case g.evicted:
		return "evicted"
	case g.place != nil:
		return "in"
	}
	return "waiting"
}

func enter(a *admission, from netip.Prefix) *guest {
	g := new(guest)
	a.enter(from, time.Now(), func(p *place) {
		g.mu.Lock()
		g.place = p
		g.mu.Unlock()
		p.own(g)
	}, func() { g.dropped = true })
	return g
}

func enterN(a *admission, n int, from netip.Prefix) (gs []*guest) {
	for range n {
		gs = append(gs, enter(a, from))
	}
	return gs
}

// want says what has become of guests, in order, as "in in waiting".
func want(t *testing.T, what string, gs []*guest, want string) {
	t.Helper()
	got := ""
	for i, g := range gs {
		if i > 0 {
			got += " "
		}
		got += g.String()
	}
	if got != want {
		t.Errorf("%s: %s; want %s", what, got, want)
	}
}

// Who comes to a full address waits until one there has logged in; nobody has to go while the logins
// go on.
func TestAdmissionInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &admission{perAddress: 2, total: 100}
		gs := enterN(a, 5, from("10.0.0.1"))
		want(t, "all at once", gs, "in in waiting waiting waiting")
		want(t, "another address", enterN(a, 1, from("10.0.0.2")), "in")
		gs[1].place.leave()
		gs[1].place.leave()
		want(t, "one has left", gs, "in in in waiting waiting")
		time.Sleep(idlest / 2)
		gs[0].place.advance(time.Now())
		gs[2].place.advance(time.Now())
		time.Sleep(idlest * 3 / 4)
		synctest.Wait()
		want(t, "they go on", gs, "in in in waiting waiting")
		gs[0].place.leave()
		gs[2].place.leave()
		want(t, "both have left", gs, "in in in in in")
		if c := a.counts(); c != (admissionCounts{places: 3}) { // two of the five, and the other address
			t.Errorf("%+v", c)
		}
	})
}

// A connection that makes no progress loses its place to one that waits, the longest idle first, and
// not all of them at once.
func TestAdmissionOfTheIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &admission{perAddress: 4, total: 100}
		stalled := enterN(a, 4, from("10.0.0.1"))
		time.Sleep(2 * idlest)
		stalled[0].place.advance(time.Now())
		gs := enterN(a, 2, from("10.0.0.1"))
		want(t, "the stalled", stalled, "in evicted in in")
		want(t, "newcomers", gs, "in waiting")
		time.Sleep(renewal/4 - time.Millisecond)
		gs[0].place.advance(time.Now())
		synctest.Wait()
		want(t, "the second, too soon", gs, "in waiting")
		time.Sleep(2 * time.Millisecond)
		synctest.Wait()
		want(t, "the second, later", gs, "in in")
		want(t, "the stalled at last", stalled, "in evicted evicted in")
		if c := a.counts(); c != (admissionCounts{places: 4, evicted: 2}) {
			t.Errorf("%+v", c)
		}
	})
}

// A place may be lost before the connection knows of it.
func TestAdmissionLostEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &admission{perAddress: 1, total: 100}
		var p *place
		a.enter(from("10.0.0.1"), time.Now(), func(q *place) { p = q }, nil)
		time.Sleep(2 * idlest)
		want(t, "the next", enterN(a, 1, from("10.0.0.1")), "in")
		if p.own(new(guest)) {
			t.Error("the place is still there")
		}
	})
}

// IPv6 addresses of one network are one.
func TestAdmissionNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &admission{perAddress: 1, total: 100}
		want(t, "the first", enterN(a, 1, from("2001:db8::1")), "in")
		want(t, "the next network", enterN(a, 1, from("2001:db8:0:1::1")), "in")
		want(t, "the first network", enterN(a, 1, from("2001:db8::ffff:1")), "waiting")
		a.close()
	})
}

// In all, the fullest address pays: with who waits there, else with its longest idle; where all have
// one, the longest idle of all goes.
func TestAdmissionTotal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &admission{perAddress: 4, total: 10}
		var lone []*guest
		alone := func(n int) *guest {
			g := enter(a, from("10.0.0.%d", n))
			lone = append(lone, g)
			return g
		}
		crowd := enterN(a, 6, from("10.1.0.0"))
		for i := range 4 {
			alone(i)
		}
		want(t, "the crowd", crowd, "in in in in waiting waiting")
		alone(4)
		want(t, "one more", crowd, "in in in in waiting dropped")
		alone(5)
		want(t, "and one", crowd, "in in in in dropped dropped")
		for i := range 3 { // the crowd shrinks to one
			alone(6 + i)
			if !crowd[i].evicted {
				t.Errorf("newcomer %d: the crowd is %v", i, crowd)
			}
		}
		for i := range 5 { // each has one now
			alone(20 + i)
			if !lone[i].evicted && i > 0 {
				t.Errorf("newcomer %d: %v", i, lone)
			}
		}
		if c := a.counts(); c.places != 10 || c.waiting != 0 || c.dropped != 2 {
			t.Errorf("%+v", c)
		}
	})
}

// The end drops those that wait.
func TestAdmissionClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &admission{perAddress: 1, total: 100}
		gs := enterN(a, 3, from("10.0.0.1"))
		a.close()
		want(t, "all", gs, "in dropped dropped")
	})
}

// No limit is no limit.
func TestAdmissionUnlimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := new(admission)
		want(t, "all", enterN(a, 3, from("10.0.0.1")), "in in in")
	})
}

// A storm from many addresses costs no look at each of them.
func BenchmarkAdmissionStorm(b *testing.B) {
	a := &admission{perAddress: 1000, total: 10_000}
	for i := 0; b.Loop(); i++ {
		a.enter(prefix(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})), time.Now(), func(*place) {}, func() {})
	}
}

// Where there may be more, those that wait go on at once; where there may be fewer, nobody is hurt.
func TestAdmissionLimitChanges(t *testing.T) {
	a := admission{perAddress: 1, total: 100}
	began := 0
	now := time.Now()
	for range 4 {
		a.enter(from("10.0.0.1"), now, func(*place) { began++ }, func() { t.Error("dropped") })
	}
	if began != 1 {
		t.Fatalf("%d have a place of 1", began)
	}
	for _, step := range []struct{ perAddress, began int }{{3, 3}, {1, 3}, {0, 4}} {
		if a.limit(step.perAddress, 100); began != step.began {
			t.Errorf("with %d places %d have one, want %d", step.perAddress, began, step.began)
		}
	}
	a.limit(1, 1)
	if n := a.counts(); n.evicted != 0 || n.places != 4 {
		t.Errorf("%+v", n)
	}
	a.close()
}
