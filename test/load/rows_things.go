// SPDX-License-Identifier: Apache-2.0

package main

// The rows of things, made with the SDK, and of sessions of a broker that do the same.

import (
	"context"
	"fmt"
	"time"

	"github.com/stonechat-im/stonechat/internal/bench"
)

const stopLimit = 250 // ms, until the last of a hundred robots has heard it

// thingsOptions are those of the row that is about everything that things do.
func thingsOptions(o options) bench.ThingsOptions {
	t := bench.ThingsOptions{Things: o.things, Owners: 100, Every: time.Minute, Publish: true, Ask: true, Duration: o.live}
	if o.quick {
		t.Owners, t.Every = 10, 2*time.Second
	}
	t.Owners = min(t.Owners, t.Things)
	return t
}

// tellingOptions are those of the row that compares with a broker: readings alone.
func tellingOptions(o options) bench.ThingsOptions {
	t := thingsOptions(o)
	t.Publish, t.Ask, t.Duration = false, false, max(t.Every, min(t.Duration, 3*time.Minute))
	return t
}

func thingsAccounts(o options, _ int) int {
	t := thingsOptions(o)
	return t.Things + t.Owners
}

func thingsCommand(t bench.ThingsOptions) string {
	c := fmt.Sprintf("stonechat bench things --things %d --owners %d --every %s --duration %s", t.Things, t.Owners, t.Every, t.Duration)
	if t.Publish {
		c += " --publish"
	}
	if t.Ask {
		c += " --ask"
	}
	return c
}

func robotsOptions(o options) bench.RobotsOptions {
	r := bench.RobotsOptions{Robots: 100, Every: time.Second, Stops: 50}
	if o.quick {
		r.Robots, r.Stops = 20, 3
	}
	r.First = thingsAccounts(o, 1) // those are things of other owners
	return r
}

func guardOptions(o options) bench.GuardOptions {
	g := bench.GuardOptions{Pairs: pairs, Window: 8, Warmup: 500 * time.Millisecond, Duration: o.duration}
	if o.quick {
		g.Pairs = 10
	}
	g.First = robotsOptions(o).First + robotsOptions(o).Robots + 1
	return g
}

// stonechats are ours alone: nobody else has what these rows need.
func stonechats(t bench.Target) bool { return people(t) && t.Name == ours }

// thingRows are about things.
func thingRows() []row {
	return []row{
		{
			name: "meters", group: "things", title: "Things that tell, publish, are read and obey", archive: true, once: true, memory: true, lacks: "no things",
			takes: stonechats, accounts: thingsAccounts,
			command: func(o options) string { return thingsCommand(thingsOptions(o)) },
			run: func(ctx context.Context, r *bench.Run, t []bench.Target, o options) (*bench.Report, error) {
				return r.Things(ctx, t, thingsOptions(o))
			},
			goals: []goal{
				{"10,000 things with their owners, readings lost", ours, bench.ReadingsLost, "", 0},
			},
		},
		{
			name: "telling", group: "things", title: "Things that tell, beside a broker", once: true, memory: true, lacks: "no things",
			takes: func(t bench.Target) bool { return stonechats(t) || t.Kind == bench.MQTT && encrypted(t) }, accounts: thingsAccounts,
			command: func(o options) string { return thingsCommand(tellingOptions(o)) },
			run: func(ctx context.Context, r *bench.Run, t []bench.Target, o options) (*bench.Report, error) {
				return r.Things(ctx, t, tellingOptions(o))
			},
		},
		{
			name: "robots", group: "things", title: "An emergency stop in a room of robots", lacks: "no things",
			takes: stonechats, accounts: func(o options, _ int) int { return robotsOptions(o).First + robotsOptions(o).Robots + 1 },
			command: func(o options) string {
				r := robotsOptions(o)
				return fmt.Sprintf("stonechat bench robots --robots %d --first %d --every %s --stops %d", r.Robots, r.First, r.Every, r.Stops)
			},
			run: func(ctx context.Context, r *bench.Run, t []bench.Target, o options) (*bench.Report, error) {
				return r.Robots(ctx, t, robotsOptions(o))
			},
			goals: []goal{{"emergency stop of 100 robots in a room, ms until the last one, longest of all", ours, bench.LastMax, "", stopLimit}},
		},
		{
			name: "guard", group: "things", title: "Deciding whether somebody may ask a thing", lacks: "no things",
			takes: stonechats, accounts: func(o options, _ int) int { return guardOptions(o).First + 3*guardOptions(o).Pairs + 1 },
			command: func(o options) string {
				g := guardOptions(o)
				return fmt.Sprintf("stonechat bench guard --pairs %d --first %d --window %d --duration %s", g.Pairs, g.First, g.Window, g.Duration)
			},
			run: func(ctx context.Context, r *bench.Run, t []bench.Target, o options) (*bench.Report, error) {
				return r.Guard(ctx, t, guardOptions(o))
			},
		},
	}
}
