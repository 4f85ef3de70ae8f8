// SPDX-License-Identifier: Apache-2.0

package main

// The workloads of rooms, nodes and archives; bench.go has what all have in common.

import (
	"context"
	"time"

	"github.com/stonechat-im/stonechat/internal/bench"
)

// benchBystanders is traffic beside a load.
type benchBystanders struct {
	Bystanders int `default:"0" help:"Pairs that send each other one message after the other meanwhile; their latency is measured with the load and before."`
}

func (b *benchBystanders) options() bench.RelayOptions {
	return bench.RelayOptions{Pairs: b.Bystanders, Window: 1, Body: 150, Duration: time.Second}
}

// BenchFan measures what a copy costs when one message goes to many.
type BenchFan struct {
	benchRun
	benchRounds
	benchBystanders
	Place         string        `default:"room" enum:"room,node" help:"Through a room, or through nodes of publish-subscribe (topics of a broker)."`
	Receivers     int           `default:"300" help:"Occupants of the room, or subscribers."`
	Nodes         int           `default:"1" help:"Nodes, published to in turn."`
	Subscriptions int           `help:"To all nodes together; every receiver to every node by default."`
	Kept          bool          `help:"Let every second node keep its item, and measure those apart."`
	Window        int           `default:"8" help:"Publishes under way."`
	Body          int           `default:"150" help:"Bytes of a body."`
	Warmup        time.Duration `default:"500ms" help:"Before measuring."`
}

// Run implements the command.
func (b *BenchFan) Run() error {
	return b.run(b.Rounds, func(ctx context.Context, r *bench.Run, t []bench.Target) (*bench.Report, error) {
		return r.Fan(ctx, t, bench.FanOptions{Place: bench.Place(b.Place), Receivers: b.Receivers, Channels: b.Nodes, Subscriptions: b.Subscriptions,
			Kept: b.Kept, Window: b.Window, Body: b.Body, Warmup: b.Warmup, Duration: b.Duration, Live: b.options()})
	})
}

// BenchJoin measures a room that many join at once.
type BenchJoin struct {
	benchRun
	benchBystanders
	Occupants int           `default:"1000" help:"Of the room."`
	Patience  time.Duration `default:"5m" help:"Until all know of all."`
	Rounds    int           `default:"3" help:"How often, each time another room."`
}

// Run implements the command.
func (b *BenchJoin) Run() error {
	return b.run(b.Rounds, func(ctx context.Context, r *bench.Run, t []bench.Target) (*bench.Report, error) {
		return r.Join(ctx, t, bench.JoinOptions{Occupants: b.Occupants, Patience: b.Patience, Live: b.options()})
	})
}

// BenchPage measures an archive.
type BenchPage struct {
	benchRun
	benchRounds
	Messages int `default:"1000000" help:"In the archive."`
	Page     int `default:"50" help:"Messages of a page."`
	Body     int `default:"150" help:"Bytes of a body."`
	Window   int `default:"256" help:"Messages under way while the archive is filled."`
}

// Run implements the command.
func (b *BenchPage) Run() error {
	return b.run(b.Rounds, func(ctx context.Context, r *bench.Run, t []bench.Target) (*bench.Report, error) {
		return r.Page(ctx, t, bench.PageOptions{Messages: b.Messages, Page: b.Page, Body: b.Body, Window: b.Window, Duration: b.Duration})
	})
}

// BenchRest measures rooms or nodes that nobody uses.
type BenchRest struct {
	benchRun
	Place  string        `default:"room" enum:"room,node" help:"Persistent rooms that everybody has left, or nodes with an item."`
	Count  int           `default:"2000" help:"Of them."`
	Rest   time.Duration `default:"1m" help:"Between the last and measuring."`
	Rounds int           `default:"1" help:"Rounds; a server keeps memory of the first."`
}

// Run implements the command.
func (b *BenchRest) Run() error {
	return b.run(b.Rounds, func(ctx context.Context, r *bench.Run, t []bench.Target) (*bench.Report, error) {
		return r.Rest(ctx, t, bench.RestOptions{Place: bench.Place(b.Place), Count: b.Count, Rest: b.Rest})
	})
}
