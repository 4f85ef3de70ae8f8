// SPDX-License-Identifier: Apache-2.0

package main

// The workloads of things; bench.go has what all have in common. They need a server with a registry, as ours has.

import (
	"context"
	"time"

	"github.com/stonechat-im/stonechat/internal/bench"
)

// BenchThings measures things that tell readings.
type BenchThings struct {
	benchRun
	Things   int           `default:"1000" help:"Things, of the accounts from 0 on. They are claimed: use accounts for this alone."`
	Owners   int           `default:"100" help:"Their owners, of the accounts behind those."`
	Every    time.Duration `default:"1m" help:"From one reading of a thing to its next."`
	Publish  bool          `help:"Publish the readings, too (XMPP)."`
	Ask      bool          `help:"Read each thing once in the measured time, and tell it to do something once (XMPP)."`
	Duration time.Duration `default:"5m" help:"Of measuring."`
	Rounds   int           `default:"1" help:"Rounds; a server keeps memory of the first."`
}

// Run implements the command.
func (b *BenchThings) Run() error {
	return b.run(b.Rounds, func(ctx context.Context, r *bench.Run, t []bench.Target) (*bench.Report, error) {
		return r.Things(ctx, t, bench.ThingsOptions{Things: b.Things, Owners: b.Owners, Every: b.Every, Publish: b.Publish, Ask: b.Ask, Duration: b.Duration})
	})
}

// BenchRobots measures an emergency stop.
type BenchRobots struct {
	benchRun
	Robots int           `default:"100" help:"In one room."`
	First  int           `help:"Number of the first account."`
	Every  time.Duration `default:"1s" help:"From one reading of a robot to its next, told to the foreman meanwhile."`
	Stops  int           `default:"50" help:"Of a round."`
	Rounds int           `default:"5" help:"Rounds."`
}

// Run implements the command.
func (b *BenchRobots) Run() error {
	return b.run(b.Rounds, func(ctx context.Context, r *bench.Run, t []bench.Target) (*bench.Report, error) {
		return r.Robots(ctx, t, bench.RobotsOptions{Robots: b.Robots, First: b.First, Every: b.Every, Stops: b.Stops})
	})
}

// BenchGuard measures what a decision of consent costs.
type BenchGuard struct {
	benchRun
	benchRounds
	Pairs  int           `default:"100" help:"Pairs of a caller and a thing. The things are claimed: use accounts for this alone. So many messages a minute the server has to answer the owner (modules.registry.messages_per_minute)."`
	First  int           `help:"Number of the first account; there are three for each pair, and one."`
	Window int           `default:"8" help:"Requests in flight per pair."`
	Warmup time.Duration `default:"500ms" help:"Before measuring."`
}

// Run implements the command.
func (b *BenchGuard) Run() error {
	return b.run(b.Rounds, func(ctx context.Context, r *bench.Run, t []bench.Target) (*bench.Report, error) {
		return r.Guard(ctx, t, bench.GuardOptions{Pairs: b.Pairs, First: b.First, Window: b.Window, Warmup: b.Warmup, Duration: b.Duration})
	})
}
