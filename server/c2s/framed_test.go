// SPDX-License-Identifier: Apache-2.0

package c2s

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// A connection that is not one of XMPP yet waits like any other; one that leaves before its turn
// takes no place from those behind it.
func TestAdmit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(Service)
		s.admission = admission{perAddress: 1, total: 3}
		at := netip.MustParseAddr("10.0.0.1")
		var a, b, c, d guest
		inA, leaveA := s.Admit(&a, at)
		inB, leaveB := s.Admit(&b, at)
		inC, leaveC := s.Admit(&c, at)
		if !isClosed(inA) || isClosed(inB) || isClosed(inC) {
			t.Fatal("not the first alone is in")
		}
		inD, leaveD := s.Admit(&d, at)
		if !isClosed(inD) || d.String() != "evicted" {
			t.Errorf("one too many: %v", &d)
		}
		leaveD()
		leaveB()
		leaveA()
		if !isClosed(inB) || !isClosed(inC) {
			t.Error("the one behind who left is not in")
		}
		time.Sleep(2 * idlest)
		got := make(chan *place)
		go func() { got <- s.await(at) }()
		if p := <-got; p == nil || c.String() != "evicted" {
			t.Errorf("the idle one is %v", &c)
		}
		leaveC()
		if n := s.admission.counts(); n.places != 1 || n.waiting != 0 {
			t.Errorf("%+v", n)
		}
	})
}
