// SPDX-License-Identifier: Apache-2.0

package bucket_test

import (
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/internal/bucket"
)

func TestTake(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	var b bucket.Bucket
	for i := range 100 { // ten seconds' worth at once
		if d := b.Take(now, 10); d != 0 {
			t.Fatalf("number %d waits %s", i, d)
		}
	}
	if d := b.Take(now, 10); d != 100*time.Millisecond {
		t.Errorf("one more waits %s", d)
	}
	if d := b.Take(now.Add(time.Second), 10); d != 0 {
		t.Errorf("a second later: %s", d)
	}
	if d := b.Take(now.Add(time.Hour), 10); d != 0 {
		t.Errorf("an hour later: %s", d)
	}
	now = now.Add(time.Hour)
	for range 99 {
		b.Take(now, 10)
	}
	if d := b.Take(now.Add(-time.Hour), 10); d != 100*time.Millisecond {
		t.Errorf("number 101, when the clock was set back, waits %s", d)
	}
	var free bucket.Bucket
	for range 10_000 {
		if d := free.Take(now, 0); d != 0 {
			t.Fatal("limited without a limit")
		}
	}
}
