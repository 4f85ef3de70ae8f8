// SPDX-License-Identifier: Apache-2.0

package bucket_test

import (
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/internal/bucket"
)

// All ways of one sender count together, and its own rate goes before the usual one.
func TestShared(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	s := bucket.NewShared(10)
	for i := range 100 {
		if d := s.Take(now, 1); d != 0 {
			t.Fatalf("number %d waits %s", i, d)
		}
	}
	if d := s.Take(now, 1); d != 100*time.Millisecond {
		t.Errorf("one more waits %s", d)
	}
	later := now.Add(time.Hour)
	s.Set(0)
	for range 20 {
		if d := s.Take(later, 2); d != 0 {
			t.Fatalf("the usual rate: waits %s", d)
		}
	}
	if d := s.Take(later, 2); d != 500*time.Millisecond {
		t.Errorf("one more at the usual rate waits %s", d)
	}
}
