// SPDX-License-Identifier: Apache-2.0

//go:build !race

// The race detector makes sync.Pool forget what it holds: there the parser allocates.

package stream

import "testing"

// A stanza goes through a bound machine without allocation.
func TestBoundAllocations(t *testing.T) {
	s := boundServer(t, sizeConfig())
	stanza := []byte("<message to='juliet@example.org/balcony' type='chat' id='m1'><body>Wherefore art thou?</body></message>")
	allocations := testing.AllocsPerRun(1000, func() {
		s.Feed(stanza)
		if e := s.Next(); e.Kind != Element {
			t.Fatalf("event %d", e.Kind)
		}
		if e := s.Next(); e.Kind != None || s.Out() != nil {
			t.Fatalf("event %d", e.Kind)
		}
	})
	if allocations > 0 {
		t.Errorf("%v allocations", allocations)
	}
}

func BenchmarkBound(b *testing.B) {
	s := boundServer(b, sizeConfig())
	stanza := []byte("<message to='juliet@example.org/balcony' type='chat' id='m1'><body>Wherefore art thou?</body></message>")
	b.ReportAllocs()
	b.SetBytes(int64(len(stanza)))
	for b.Loop() {
		s.Feed(stanza)
		for e := s.Next(); e.Kind != None; e = s.Next() {
		}
		s.Out()
	}
}

// A login without what SASL and the parser cost: see their benchmarks.
func BenchmarkNegotiation(b *testing.B) {
	config := sizeConfig()
	b.ReportAllocs()
	for b.Loop() {
		boundServer(b, config)
	}
}
