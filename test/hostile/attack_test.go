// SPDX-License-Identifier: Apache-2.0

//go:build linux

package hostile

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// attack is one row.
type attack struct {
	name string
	do   func(t *testing.T, s *server)
	// counts are by how much metrics rise, by their short names: "c2s_stream_errors{bad-format}" is
	// stonechat_c2s_stream_errors_total{condition="bad-format"}. Those that count trouble and are not named must
	// not rise. "a 1, b 20+" is a by one and b by 20 or more.
	counts string
}

// rise is by how much a metric rises.
type rise struct {
	by     int
	orMore bool
}

// want reads counts.
func (a *attack) want(t *testing.T) map[string]rise {
	t.Helper()
	want := map[string]rise{}
	for part := range strings.SplitSeq(a.counts, ", ") {
		if part == "" {
			continue
		}
		name, number, _ := strings.Cut(part, " ")
		number, orMore := strings.CutSuffix(number, "+")
		n, err := strconv.Atoi(number)
		if err != nil {
			t.Fatalf("%q: %v", a.counts, err)
		}
		want[name] = rise{n, orMore}
	}
	return want
}

// run does one row beside the bystanders.
func (a *attack) run(t *testing.T, s *server, by *bystanders) {
	t.Helper()
	t.Run(a.name, func(t *testing.T) {
		want := a.want(t)
		before := s.metrics(t)
		a.do(t, s)
		by.unharmed(t)
		// The end of a connection is counted a moment after its peer has seen it.
		var got map[string]int
		for deadline := time.Now().Add(patience); ; {
			got = s.rise(t, before, want)
			if agree(got, want) || time.Now().After(deadline) {
				break
			}
			<-time.After(20 * time.Millisecond)
		}
		if !agree(got, want) {
			t.Errorf("the metrics rose by %v, not by %s", got, a.counts)
		}
		if len(want) > 0 {
			t.Logf("counted: %v", got)
		}
		select {
		case <-s.Ended:
			t.Fatalf("the server has ended: %v", s.Err)
		default:
		}
	})
}

func agree(got map[string]int, want map[string]rise) bool {
	for name := range got {
		if _, ok := want[name]; !ok {
			return false
		}
	}
	for name, w := range want {
		if n := got[name]; n < w.by || n > w.by && !w.orMore {
			return false
		}
	}
	return true
}

// limits of TestAttacks' server.
const (
	loginTimeout  = 4 * time.Second
	windowStanzas = 300
	limits        = "limits:\n  login_timeout: 4s\n  window_stanzas: 300\n  queue_bytes: 256KiB\n" +
		"  registrations_per_hour: none\n  failed_logins_per_minute: none\n  federation_connections_per_address: 20\n"
)

func TestAttacks(t *testing.T) {
	s := start(t, limits+components+federation+places)
	s.register(t, "mallory")
	s.register(t, "iago")
	by := s.bystanders(t)
	names := map[string]bool{}
	for _, a := range slices.Concat(xmlAttacks(), tlsAttacks(), loginAttacks(), sessionAttacks(), componentAttacks(), federationAttacks(), placeAttacks(), slowAttacks()) {
		if names[a.name] {
			t.Fatalf("two rows are called %q", a.name)
		}
		names[a.name] = true
		a.run(t, s, by)
	}
	t.Logf("%d rows", len(slices.Collect(maps.Keys(names))))
}
