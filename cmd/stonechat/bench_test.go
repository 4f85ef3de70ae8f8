// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"github.com/stonechat-im/stonechat/internal/bench"
)

func parseBench(t *testing.T, args ...string) (*Bench, *kong.Context) {
	t.Helper()
	var b Bench
	k, err := kong.New(&b)
	if err != nil {
		t.Fatal(err)
	}
	ctx, err := k.Parse(args)
	if err != nil {
		t.Fatalf("%q: %v", args, err)
	}
	return &b, ctx
}

func TestBenchFlags(t *testing.T) {
	b, _ := parseBench(t, "relay", "--window", "1", "--sm", "--rate", "500", "--duration", "1s", "raw")
	want := bench.RelayOptions{Pairs: 100, Window: 1, Rate: 500, Body: 150, SM: true, AckEvery: 8, Warmup: 500 * time.Millisecond, Duration: time.Second}
	if got := b.Relay.options(b.Relay.Duration); got != want {
		t.Errorf("relay: %+v; want %+v", got, want)
	}
	b, _ = parseBench(t, "idle", "--no-roster", "--presence", "raw")
	if got := b.Idle.options(); got != (bench.Session{SM: true, Presence: true}) {
		t.Errorf("idle: %+v", got)
	}
	for _, workload := range []string{"login", "growth", "storm"} {
		parseBench(t, workload, "raw")
	}
}

func TestBenchRefusesTarget(t *testing.T) {
	for _, workload := range []string{"relay", "idle", "login", "growth", "storm"} {
		_, ctx := parseBench(t, workload, "http://example.org:80/")
		if err := ctx.Run(); err == nil || !strings.Contains(err.Error(), "unknown scheme") {
			t.Errorf("%s: error %v", workload, err)
		}
	}
}
