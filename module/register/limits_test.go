// SPDX-License-Identifier: Apache-2.0

package register

import (
	"testing"
	"time"
)

func TestAdmit(t *testing.T) {
	noon := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	m := New(Config{Open: true, PerHour: 2})
	for _, c := range []struct {
		address string
		at      time.Time
		want    bool
	}{
		{"192.0.2.1:1000", noon, true},
		{"192.0.2.1:1001", noon, true},
		{"192.0.2.1:1002", noon, false},
		{"192.0.2.2:1000", noon, true},
		{"[2001:db8:1:2::1]:1", noon, true},
		{"[2001:db8:1:2::2]:1", noon, true},
		{"[2001:db8:1:2:3::3]:1", noon, false}, // one network of 64 bits is one customer
		{"[2001:db8:1:3::1]:1", noon, true},
		{"[::ffff:192.0.2.1]:1000", noon, false}, // the same address
		{"192.0.2.1:1003", noon.Add(59 * time.Minute), false},
		{"192.0.2.1:1004", noon.Add(time.Hour), true},
		{"not an address", noon, false},
	} {
		if got := m.admit(c.address, c.at); got != c.want {
			t.Errorf("%s at %s: %v", c.address, c.at.Format(time.TimeOnly), got)
		}
	}
	unlimited := New(Config{Open: true})
	for range 100 {
		if !unlimited.admit("192.0.2.1:1000", noon) {
			t.Fatal("limited without a limit")
		}
	}
}
