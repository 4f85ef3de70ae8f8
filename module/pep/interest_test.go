// SPDX-License-Identifier: Apache-2.0

package pep

import "testing"

// TestOnce: what is published while a client comes to ask for it is sent once, as it comes or as what was published last,
// whatever happens in between.
func TestOnce(t *testing.T) {
	clock := uint64(0)
	moment := func() uint64 { clock++; return clock }
	const old, fresh = "urn:x:old", "urn:x:fresh"
	first, both := []string{old + notify}, []string{fresh + notify, old + notify}
	publish := func(x *interest, node string, between func()) (times int) {
		at := moment()
		between()
		if x.wanted(node, at) {
			times++
		}
		if asks(x.features, node) && !asks(x.served, node) && at <= x.asked {
			times++ // as Appeared sends it
		}
		return times
	}
	for _, c := range []struct {
		what, node string
		before     func(x *interest)
		between    func(x *interest)
		want       int
	}{
		{"asks before", fresh, func(x *interest) { x.learned(both, moment) }, func(*interest) {}, 1},
		{"asks meanwhile", fresh, func(*interest) {}, func(x *interest) { x.learned(both, moment) }, 1},
		{"does not ask", fresh, func(*interest) {}, func(*interest) {}, 0},
		{"asks for more meanwhile", old, func(*interest) {}, func(x *interest) { x.learned(both, moment) }, 1},
		{"was told of the last", old, func(*interest) {}, func(*interest) {}, 1},
		{"has gone", fresh, func(x *interest) { x.learned(both, moment) }, func(x *interest) { x.leave() }, 0},
	} {
		x := &interest{available: true}
		if !x.learned(first, moment) {
			t.Fatal("it is not to be told of the last")
		}
		x.served, x.queued = x.features, false // as serve does
		c.before(x)
		if got := publish(x, c.node, func() { c.between(x) }); got != c.want {
			t.Errorf("%s: sent %d times, want %d", c.what, got, c.want)
		}
	}
}
