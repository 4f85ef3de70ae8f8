// SPDX-License-Identifier: Apache-2.0

package main

// The rows of rooms, nodes and archives. What would take the others hours is
// divided by a share for them; the tables say what they had.

import (
	"context"
	"fmt"
	"time"

	"github.com/stonechat-im/stonechat/internal/bench"
)

// sizes are how much there is of everything in these rows.
type sizes struct {
	fans          int // of one room or node
	crowd         int // subscribers of a great node
	occupants     int // that join at once
	messages      int // of an archive
	nodes         int
	subscriptions int // to them
	subscribers   int // that have these
	resting       int // rooms or nodes
	share         int // of the others
	pages         int // share of the others of the archive
}

func (o *options) sizes() sizes {
	if o.quick {
		return sizes{fans: 20, crowd: 100, occupants: 30, messages: 2000, nodes: 60, subscriptions: 800, subscribers: 40, resting: 60, share: 2, pages: 4}
	}
	return sizes{fans: 300, crowd: 10_000, occupants: 1000, messages: 1_000_000, nodes: 15_000, subscriptions: 200_000, subscribers: 1000,
		resting: 2000, share: 10, pages: 200}
}

func shareOfCrowd(o options) int { return o.sizes().share }

// people are targets with accounts, rooms and nodes.
func people(t bench.Target) bool { return encrypted(t) && t.Kind == bench.XMPP }

// placeRows are about what goes through a room, a node or an archive.
func placeRows() []row {
	one := func(o options, share int) int { return o.sizes().fans/share + 1 }
	return []row{
		fanRow("room", "Fan-out in a room", people, one, func(o options) bench.FanOptions {
			return fanOptions(o, bench.Room, o.sizes().fans, 8)
		}, goal{"fan-out to 300 in a room, TLS, µs per copy", ours, bench.CPUPerCopy, "", 2.5}),
		fanRow("node", "Fan-out of a node", encrypted, one, func(o options) bench.FanOptions {
			return fanOptions(o, bench.Node, o.sizes().fans, 8)
		}, goal{"fan-out to 300 subscribers of a node, TLS, µs per copy", ours, bench.CPUPerCopy, "", 2.5}),
		{
			name: "archived", group: "places", title: "Relay with an archive of both, stream management on both sides", archive: true, lacks: "no archive",
			takes: people, accounts: relayAccounts,
			command: func(o options) string { return relayCommand(relayOptions(o, 8, true)) },
			run: func(ctx context.Context, r *bench.Run, t []bench.Target, o options) (*bench.Report, error) {
				return r.Relay(ctx, t, relayOptions(o, 8, true))
			},
			goals: []goal{{"archived for both, stream management, µs per message", ours, bench.CPUPerMessage, "", 40}},
		},
		{
			name: "page", group: "places", title: "Pages of an archive", archive: true, lacks: "no archive",
			takes: people, share: func(o options) int { return o.sizes().pages }, accounts: func(options, int) int { return 2 },
			command: func(o options) string {
				p := pageOptions(o)
				return fmt.Sprintf("stonechat bench page --messages %d --page %d --body %d --window %d --duration %s", p.Messages, p.Page, p.Body, p.Window, p.Duration)
			},
			run: func(ctx context.Context, r *bench.Run, t []bench.Target, o options) (*bench.Report, error) {
				return r.Page(ctx, t, pageOptions(o))
			},
			goals: []goal{
				{"the latest 50 of an archive of 1,000,000 messages, ms", ours, bench.LatestP50, "", 3},
				{"the 50 before those, ms", ours, bench.DeeperP50, "", 3},
				{"50 from some time on, ms", ours, bench.ByTimeP50, "", 3},
			},
		},
		{
			name: "join", group: "places", title: "Many join a room at once", lacks: "no rooms",
			takes: people, share: shareOfCrowd, accounts: func(o options, share int) int { return o.sizes().occupants/share + 2 },
			command: func(o options) string {
				return fmt.Sprintf("stonechat bench join --occupants %d --patience %s --bystanders 1", o.sizes().occupants, joinOptions(o).Patience)
			},
			run: func(ctx context.Context, r *bench.Run, t []bench.Target, o options) (*bench.Report, error) {
				return r.Join(ctx, t, joinOptions(o))
			},
			goals: []goal{{"bystanders' p99 while 1,000 join a room, ms", ours, bench.BystanderP99, "", 10}},
		},
		fanRow("great", "A node with very many subscribers, and bystanders", people, func(o options, share int) int { return o.sizes().crowd/share + 3 },
			func(o options) bench.FanOptions {
				f := fanOptions(o, bench.Node, o.sizes().crowd, 1)
				f.Live = bystander()
				return f
			}, goal{"bystanders' p99 during a fan-out of 10,000 copies, ms", ours, bench.BystanderP99, "", 10}).sharing(shareOfCrowd),
		fanRow("publish", "Very many nodes", people, func(o options, share int) int { return o.sizes().subscribers/share + 1 },
			func(o options) bench.FanOptions {
				f := fanOptions(o, bench.Node, o.sizes().subscribers, 8)
				f.Channels, f.Subscriptions, f.Kept = o.sizes().nodes, o.sizes().subscriptions, true
				return f
			},
			goal{"15,000 nodes with 200,000 subscriptions, CPU ms per publish to 13, transient", ours, bench.CPUPerPublish, "", 0.1},
			goal{"the same, kept", ours, bench.CPUPerKept, "", 0.3}).sharing(shareOfCrowd),
	}
}

// restRows are about rooms and nodes that nobody uses.
func restRows() (out []row) {
	for _, place := range []bench.Place{bench.Room, bench.Node} {
		load := func(o options) bench.RestOptions {
			return bench.RestOptions{Place: place, Count: o.sizes().resting, Rest: o.rest}
		}
		out = append(out, row{
			name: "rest-" + string(place), group: "places", title: capital(string(place)) + "s at rest", memory: true, lacks: "no " + string(place) + "s",
			takes: people, accounts: func(o options, _ int) int { return 4 },
			command: func(o options) string {
				r := load(o)
				return fmt.Sprintf("stonechat bench rest --place %s --count %d --rest %s", r.Place, r.Count, r.Rest)
			},
			run: func(ctx context.Context, r *bench.Run, t []bench.Target, o options) (*bench.Report, error) {
				r.Rounds = 1 // the first says most
				return r.Rest(ctx, t, load(o))
			},
		})
	}
	return out
}

// fanRow is a row of the fan-out workload.
func fanRow(name, title string, takes func(bench.Target) bool, accounts func(options, int) int, load func(options) bench.FanOptions, goals ...goal) row {
	return row{
		name: name, group: "places", title: title, lacks: "no " + string(load(options{}).Place) + "s", takes: takes, accounts: accounts, goals: goals,
		command: func(o options) string { return fanCommand(load(o)) },
		run: func(ctx context.Context, r *bench.Run, t []bench.Target, o options) (*bench.Report, error) {
			return r.Fan(ctx, t, load(o))
		},
	}
}

func (r row) sharing(share func(options) int) row {
	r.share = share
	return r
}

func fanOptions(o options, place bench.Place, receivers, window int) bench.FanOptions {
	return bench.FanOptions{Place: place, Receivers: receivers, Window: window, Body: body, Warmup: 500 * time.Millisecond, Duration: o.duration}
}

func bystander() bench.RelayOptions {
	return bench.RelayOptions{Pairs: 1, Window: 1, Body: body, Duration: time.Second}
}

func fanCommand(f bench.FanOptions) string {
	c := fmt.Sprintf("stonechat bench fan --place %s --receivers %d", f.Place, f.Receivers)
	if f.Channels > 1 {
		c += fmt.Sprintf(" --nodes %d --subscriptions %d", f.Channels, f.Subscriptions)
	}
	if f.Kept {
		c += " --kept"
	}
	c += fmt.Sprintf(" --window %d --body %d --duration %s", f.Window, f.Body, f.Duration)
	if f.Live.Pairs > 0 {
		c += fmt.Sprintf(" --bystanders %d", f.Live.Pairs)
	}
	return c
}

func pageOptions(o options) bench.PageOptions {
	return bench.PageOptions{Messages: o.sizes().messages, Page: 50, Body: body, Window: 256, Duration: o.duration}
}

func joinOptions(o options) bench.JoinOptions {
	return bench.JoinOptions{Occupants: o.sizes().occupants, Patience: 2 * time.Minute, Live: bystander()}
}
