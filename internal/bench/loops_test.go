// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

const bucketsBefore = `# TYPE stonechat_loop_batch_seconds histogram
stonechat_loop_batch_seconds_bucket{le="0.001"} 10
stonechat_loop_batch_seconds_bucket{le="0.01"} 10
stonechat_loop_batch_seconds_bucket{le="+Inf"} 10
stonechat_loop_batch_seconds_sum 0.001
stonechat_loop_batch_seconds_count 10
`

const bucketsAfter = `stonechat_loop_batch_seconds_bucket{le="0.001"} 108
stonechat_loop_batch_seconds_bucket{le="0.01"} 110
stonechat_loop_batch_seconds_bucket{le="+Inf"} 110
`

func TestLoops(t *testing.T) {
	page := bucketsBefore
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(page)) }))
	defer s.Close()
	target := &Target{Name: "ours", Metrics: strings.TrimPrefix(s.URL, "http://")}
	before, err := target.loops(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var sample Sample
	if err := target.lag(t.Context(), &sample, before); err != nil || len(sample.Values) != 0 {
		t.Errorf("%v, %v; want nothing of no turns", sample, err)
	}
	page = bucketsAfter
	if err := target.lag(t.Context(), &sample, before); err != nil || len(sample.Values) != 1 || sample.Values[0].Value != 5.5 {
		t.Errorf("%v, %v; want 5.5 ms: 98 of 100 within 1 ms, the 99th halfway to 10 ms", sample, err)
	}
	page = "nothing"
	if _, err := target.loops(t.Context()); err == nil {
		t.Error("a page without the metric was taken")
	}
	// Others do not tell.
	if err := new(Target).lag(t.Context(), &sample, buckets{}); err != nil || len(sample.Values) != 1 {
		t.Errorf("%v, %v", sample, err)
	}
}

func TestQuantileAboveAllBounds(t *testing.T) {
	b := buckets{bounds: []float64{.001, .01, 1e9}, counts: []float64{1, 2, 100}}
	if got, ok := b.quantile(.99); !ok || got != 10*time.Millisecond {
		t.Errorf("%v, %v; want the last bound", got, ok)
	}
}
