// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"encoding/json"
	"math"
	"testing"
	"time"
)

func TestHistogram(t *testing.T) {
	var h histogram
	if h.quantile(.5) != 0 {
		t.Error("the median of nothing is not 0")
	}
	for i := range 10_000 {
		h.add(time.Duration(i+1) * time.Microsecond)
	}
	for _, q := range []float64{0, .01, .5, .99, .999, 1} {
		want := math.Max(1, q*10_000) * 1e3
		if got := float64(h.quantile(q)); got < want*0.999 || got > want*1.04 {
			t.Errorf("quantile %v is %v; want %v or up to 4 %% more", q, got, want)
		}
	}
	data, err := json.Marshal(&h)
	if err != nil {
		t.Fatal(err)
	}
	var other histogram
	if err := json.Unmarshal(data, &other); err != nil || other != h {
		t.Errorf("JSON changes it: %v", err)
	}
	other.merge(&h)
	if other.n != 2*h.n || other.quantile(.5) != h.quantile(.5) {
		t.Error("merging itself moves the median")
	}
	if json.Unmarshal([]byte(`{"Counts":{"99999":1}}`), &other) == nil {
		t.Error("a bucket that does not exist was taken")
	}
}

// Buckets lie side by side, in order, and hold what is put into them.
func TestBuckets(t *testing.T) {
	last := 0
	for d := time.Duration(0); d < time.Hour; d += 1 + d/50 {
		b := bucket(d)
		if b < last || edge(b) < d || b > 0 && edge(b-1) >= d {
			t.Fatalf("%d ns in bucket %d, which ends at %d, after bucket %d", d, b, edge(b), last)
		}
		last = b
	}
	if b := bucket(math.MaxInt64); b >= len(histogram{}.counts) {
		t.Errorf("the longest duration is in bucket %d", b)
	}
	if bucket(-1) != 0 {
		t.Error("a negative duration is not in the first bucket")
	}
}

func TestMedian(t *testing.T) {
	for _, tt := range []struct {
		values []float64
		want   float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{3, 1, 2}, 2}, {[]float64{4, 1, 3, 2}, 2.5}} {
		if got := median(tt.values); got != tt.want {
			t.Errorf("median of %v is %v; want %v", tt.values, got, tt.want)
		}
	}
}
