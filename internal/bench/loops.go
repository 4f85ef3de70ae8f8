// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// loopMetric is how long each turn of our server's loops took: so long all others on the same loop have waited.
const loopMetric = "stonechat_loop_batch_seconds_bucket{le=\""

// buckets is a histogram as it is told: how many there were up to each bound, all included in the last, which is infinite.
type buckets struct {
	bounds []float64
	counts []float64
}

// loops reads how long the target's loops have taken so far; nothing when it does not tell.
func (t *Target) loops(ctx context.Context) (buckets, error) {
	if t.Metrics == "" {
		return buckets{}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, versionTimeout)
	defer cancel()
	ask, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+t.Metrics+"/metrics", nil)
	if err != nil {
		return buckets{}, err
	}
	answer, err := http.DefaultClient.Do(ask)
	if err != nil {
		return buckets{}, fmt.Errorf("bench: %s: metrics: %w", t, err)
	}
	b, err := readBuckets(answer.Body)
	if err = errors.Join(err, answer.Body.Close()); err != nil {
		return buckets{}, fmt.Errorf("bench: %s: metrics: %w", t, err)
	}
	return b, nil
}

func readBuckets(text io.Reader) (b buckets, err error) {
	lines := bufio.NewScanner(text)
	for lines.Scan() {
		rest, ours := strings.CutPrefix(lines.Text(), loopMetric)
		if !ours {
			continue
		}
		bound, count, _ := strings.Cut(rest, "\"} ")
		le, err1 := strconv.ParseFloat(bound, 64)
		n, err2 := strconv.ParseFloat(count, 64)
		if err := errors.Join(err1, err2); err != nil {
			return b, err
		}
		b.bounds, b.counts = append(b.bounds, le), append(b.counts, n)
	}
	if err := lines.Err(); err != nil {
		return b, err
	}
	if len(b.bounds) < 2 {
		return b, errors.New("there is no stonechat_loop_batch_seconds")
	}
	return b, nil
}

// since is what has come after an earlier reading.
func (b buckets) since(before buckets) (d buckets, err error) {
	if !slices.Equal(b.bounds, before.bounds) {
		return d, errors.New("bench: the buckets of a histogram have changed")
	}
	d.bounds = b.bounds
	for i, n := range b.counts {
		d.counts = append(d.counts, n-before.counts[i])
	}
	return d, nil
}

// quantile is exact to the bucket, even within it. What is above all bounds is said to be the last of these.
func (b buckets) quantile(q float64) (time.Duration, bool) {
	if len(b.counts) < 2 || b.counts[len(b.counts)-1] <= 0 {
		return 0, false
	}
	rank := q * b.counts[len(b.counts)-1]
	low, below := 0.0, 0.0
	for i, n := range b.counts[:len(b.counts)-1] {
		if n >= rank {
			return time.Duration((low + (b.bounds[i]-low)*(rank-below)/max(n-below, 1)) * float64(time.Second)), true
		}
		low, below = b.bounds[i], n
	}
	return time.Duration(low * float64(time.Second)), true
}

// lag puts how long the loops took since an earlier reading into a sample, where the target tells.
func (t *Target) lag(ctx context.Context, sample *Sample, before buckets) error {
	now, err := t.loops(ctx)
	if err != nil {
		return err
	}
	if now, err = now.since(before); err != nil {
		return err
	}
	if p99, any := now.quantile(.99); any {
		sample.set(LoopP99, "ms", micros(p99)/1000, false)
	}
	return nil
}
