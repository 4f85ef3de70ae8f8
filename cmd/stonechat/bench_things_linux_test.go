// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/internal/bench"
)

// The workloads of things are measured on a server that runs: nothing is lost, all is answered, every robot stops.
func TestBenchThings(t *testing.T) {
	server := run(t, t.TempDir(), `registration: open
limits: {registrations_per_hour: none, unauthenticated_connections_per_address: none}
modules: {registry: {messages_per_minute: 1000}}
`)
	target := bench.Target{Name: "ours", Kind: bench.XMPP, Security: bench.StartTLS, Addr: server.address["client"], Domain: "localhost",
		PID: server.cmd.Process.Pid, Accounts: bench.Accounts{Pattern: "bench%d", Password: "bench-secret", Register: true}}
	r := &bench.Run{Rounds: 1, Self: []string{"stonechat", "bench"}, Log: t.Logf}
	things := bench.ThingsOptions{Things: 12, Owners: 3, Every: 2 * time.Second, Publish: true, Ask: true, Duration: 6 * time.Second}
	for _, tt := range []struct {
		name  string
		run   func() (*bench.Report, error)
		above []string // figures that are more than nothing
		none  []string // figures that are nothing
	}{
		{"things", func() (*bench.Report, error) { return r.Things(t.Context(), []bench.Target{target}, things) },
			[]string{bench.Claims, bench.ReadingsSent, bench.ReadingsArrived, bench.LatencyP50, bench.ThingBytes, bench.CommandP99},
			[]string{bench.ReadingsLost, bench.ReadingsDoubled, bench.ReadingsLate, bench.Reconnects}},
		{"things that are somebody's already", func() (*bench.Report, error) {
			o := things
			o.Ask, o.Publish = false, false
			return r.Things(t.Context(), []bench.Target{target}, o)
		}, []string{bench.ReadingsArrived}, []string{bench.ReadingsLost, bench.ReadingsDoubled, bench.ReadingsLate}},
		{"robots", func() (*bench.Report, error) {
			return r.Robots(t.Context(), []bench.Target{target}, bench.RobotsOptions{Robots: 5, First: 15, Every: time.Second, Stops: 3})
		}, []string{bench.LatencyP50, bench.LastP50, bench.LastMax}, nil},
		{"guard", func() (*bench.Report, error) {
			return r.Guard(t.Context(), []bench.Target{target}, bench.GuardOptions{Pairs: 2, First: 21, Window: 2, Duration: 500 * time.Millisecond})
		}, []string{bench.GuardedP99, bench.UnguardedP99}, nil},
	} {
		rep, err := tt.run()
		if err != nil {
			t.Errorf("%s: %v: %+v", tt.name, err, rep)
			continue
		}
		got := &rep.Results[0]
		for _, name := range tt.above {
			if f := got.Figure(name); f == nil || f.Median <= 0 {
				t.Errorf("%s: %s is %+v", tt.name, name, f)
			}
		}
		for _, name := range tt.none {
			if f := got.Figure(name); f == nil || f.Median != 0 {
				t.Errorf("%s: %s is %+v", tt.name, name, f)
			}
		}
	}
}

// What cannot be measured is refused before anything is started.
func TestBenchThingsRefused(t *testing.T) {
	r := new(bench.Run)
	for _, o := range []bench.ThingsOptions{
		{}, {Things: 1, Owners: 2, Every: time.Second, Duration: time.Second}, {Things: 2, Owners: 1, Every: time.Minute, Duration: time.Second},
		{Things: 100_000, Owners: 1, Every: time.Second, Duration: time.Second},
	} {
		if rep, err := r.Things(t.Context(), nil, o); err == nil || rep != nil {
			t.Errorf("%+v is measured", o)
		}
	}
	for _, o := range []bench.RobotsOptions{{}, {Robots: 1, Stops: 1}, {Robots: 10_000, Stops: 1, Every: time.Second}} {
		if rep, err := r.Robots(t.Context(), nil, o); err == nil || rep != nil {
			t.Errorf("%+v is measured", o)
		}
	}
	for _, o := range []bench.GuardOptions{{}, {Pairs: 1, Window: 0, Duration: time.Second}} {
		if rep, err := r.Guard(t.Context(), nil, o); err == nil || rep != nil {
			t.Errorf("%+v is measured", o)
		}
	}
}
