// SPDX-License-Identifier: Apache-2.0

package c2s

import "testing"

func TestGuests(t *testing.T) {
	g := guests{perAddress: 2, total: 5}
	for i, c := range []struct {
		from string
		in   bool
	}{
		{"10.0.0.1", true},
		{"10.0.0.1", true},
		{"10.0.0.1", false},
		{"10.0.0.2", true},
		{"2001:db8::1", true},
		{"2001:db8::2", true}, // the fifth, and the second of its network
		{"10.0.0.3", false},
	} {
		if in := g.enter(from("%s", c.from)); in != c.in {
			t.Errorf("%d, %s: %v", i, c.from, in)
		}
	}
	g.leave(from("2001:db8::1"))
	if !g.enter(from("10.0.0.3")) || g.count() != 5 {
		t.Errorf("no room where one has left: %d", g.count())
	}
	for _, at := range []string{"10.0.0.1", "10.0.0.1", "10.0.0.2", "10.0.0.3", "2001:db8::2"} {
		g.leave(from("%s", at))
	}
	if g.count() != 0 || len(g.addresses) != 0 {
		t.Errorf("%d are left, at %v", g.count(), g.addresses)
	}
	var none guests
	for range 10_000 {
		if !none.enter(from("10.0.0.1")) {
			t.Fatal("no limit, and refused")
		}
	}
}
