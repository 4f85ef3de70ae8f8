// SPDX-License-Identifier: Apache-2.0

package jid_test

import (
	"fmt"
	"testing"

	"github.com/stonechat-im/stonechat/xmpp/jid"
)

func allocs(t *testing.T, name string, want float64, f func()) {
	t.Helper()
	if got := testing.AllocsPerRun(100, f); got != want {
		t.Errorf("%s: %v allocations; want %v", name, got, want)
	}
}

var sink jid.JID

func TestAllocations(t *testing.T) {
	const canonical = "juliet@capulet.example/balcony"
	raw, capitals := []byte(canonical), []byte("Juliet@Capulet.example/Balcony")
	capitalString := string(capitals)
	var c jid.Cache
	full := jid.MustParse(canonical)
	for _, run := range []struct {
		name string
		want float64
		f    func()
	}{
		{"Parse", 0, func() { sink, _ = jid.Parse(canonical) }},
		{"Parse of a domain", 0, func() { sink, _ = jid.Parse("capulet.example") }},
		{"Parse of capitals", 1, func() { sink, _ = jid.Parse(capitalString) }},
		{"ParseBytes", 1, func() { sink, _ = jid.ParseBytes(raw) }},
		{"ParseBytes of capitals", 1, func() { sink, _ = jid.ParseBytes(capitals) }},
		{"Cache hit", 0, func() { sink, _ = c.Parse(raw) }},
		{"Bare", 0, func() { sink = full.Bare() }},
		{"Host", 0, func() { sink = full.Host() }},
		{"WithResource", 1, func() { sink, _ = full.WithResource("orchard") }},
		{"New", 1, func() { sink, _ = jid.New("juliet", "capulet.example", "balcony") }},
	} {
		allocs(t, run.name, run.want, run.f)
	}
}

func TestCacheOrder(t *testing.T) {
	var c jid.Cache
	var parsed []string
	parse := func(s string) {
		sink, _ = c.Parse([]byte(s))
		parsed = append(parsed, s)
	}
	// AllocsPerRun runs once more than it counts: each turn looks at a cache that has parsed the same.
	hit := func(s string) bool {
		b := []byte(s)
		var copies [2]jid.Cache
		for i := range copies {
			for _, p := range parsed {
				sink, _ = copies[i].Parse([]byte(p))
			}
		}
		n := 0
		return testing.AllocsPerRun(1, func() { sink, _ = copies[n].Parse(b); n++ }) == 0
	}
	for i := range 4 {
		parse(fmt.Sprintf("user%d@example.org", i))
	}
	parse("user0@example.org") // is now the most recent: 0 3 2 1
	parse("user4@example.org") // 4 0 3 2
	for i, want := range []bool{true, false, true, true, true} {
		if s := fmt.Sprintf("user%d@example.org", i); hit(s) != want {
			t.Errorf("%s: hit %t; want %t", s, !want, want)
		}
	}
	parse("USER2@example.org") // a spelling of one it has: 2 4 0 3
	parse("user5@example.org") // 5 2 4 0
	if !hit("user2@example.org") || !hit("user0@example.org") || hit("user3@example.org") {
		t.Error("another spelling did not count as a use")
	}
	for _, s := range []string{"@", ""} {
		if _, err := c.Parse([]byte(s)); err == nil {
			t.Errorf("bad address %q taken", s)
		}
		parse(s)
	}
	if !hit("user5@example.org") {
		t.Error("a bad address displaced a good one")
	}
}
