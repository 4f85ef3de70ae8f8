// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"encoding/json"
	"fmt"
	"math/bits"
	"slices"
	"time"
)

const subBuckets = 32 // per power of two: a quantile is at most 3 % too high

// histogram counts durations in logarithmic buckets. The zero value is ready;
// it is not safe for concurrent use.
type histogram struct {
	counts [64 * subBuckets]uint64
	n      uint64
	max    time.Duration
}

func (h *histogram) add(d time.Duration) {
	h.counts[bucket(d)]++
	h.n++
	h.max = max(h.max, d)
}

func (h *histogram) reset() { *h = histogram{} }

func (h *histogram) merge(o *histogram) {
	for i, c := range o.counts {
		h.counts[i] += c
	}
	h.n += o.n
	h.max = max(h.max, o.max)
}

// quantile returns the upper edge of the bucket that holds the q-th part, 0
// when nothing was counted.
func (h *histogram) quantile(q float64) time.Duration {
	if h.n == 0 {
		return 0
	}
	rank := uint64(q * float64(h.n-1))
	var seen uint64
	for i, c := range h.counts {
		if seen += c; seen > rank {
			return min(edge(i), h.max)
		}
	}
	return h.max
}

// bucket is the value itself below subBuckets, and above it the position of
// the leading bit and the five bits behind it.
func bucket(d time.Duration) int {
	v := uint64(max(d, 0))
	if v < subBuckets {
		return int(v)
	}
	shift := bits.Len64(v) - 6 // leaves six bits: 32..63
	return (shift+1)*subBuckets + int(v>>shift) - subBuckets
}

// edge is the greatest value of bucket i.
func edge(i int) time.Duration {
	if i < subBuckets {
		return time.Duration(i)
	}
	shift := i/subBuckets - 1
	return time.Duration((uint64(i%subBuckets+subBuckets)+1)<<shift - 1)
}

// MarshalJSON writes the buckets in use, for the pipe between worker and parent.
func (h *histogram) MarshalJSON() ([]byte, error) {
	used := make(map[int]uint64)
	for i, c := range h.counts {
		if c > 0 {
			used[i] = c
		}
	}
	return json.Marshal(struct {
		Counts map[int]uint64
		Max    time.Duration
	}{used, h.max})
}

func (h *histogram) UnmarshalJSON(data []byte) error {
	var v struct {
		Counts map[int]uint64
		Max    time.Duration
	}
	if err := json.Unmarshal(data, &v); err != nil {
		return err
	}
	h.reset()
	h.max = v.Max
	for i, c := range v.Counts {
		if i < 0 || i >= len(h.counts) {
			return fmt.Errorf("bench: histogram bucket %d", i)
		}
		h.counts[i] = c
		h.n += c
	}
	return nil
}

// median of values, 0 of none; it does not change them.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	v := slices.Sorted(slices.Values(values))
	m := len(v) / 2
	if len(v)%2 == 1 {
		return v[m]
	}
	return (v[m-1] + v[m]) / 2
}
