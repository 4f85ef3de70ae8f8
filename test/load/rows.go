// SPDX-License-Identifier: Apache-2.0

package main

// The rows of the table: each is one workload over all servers, with the goals
// that our server is to meet in it.

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stonechat-im/stonechat/internal/bench"
)

// row is one workload.
type row struct {
	name, title string
	group       string                         // sessions, places, federation or things
	memory      bool                           // wants fresh servers
	anew        bool                           // all sessions log in anew in each round
	once        bool                           // one round is long
	archive     bool                           // the servers keep what accounts send and receive
	federated   bool                           // the servers talk to others
	twins       bool                           // there are two of each
	lacks       string                         // what the others have nothing like; the raw relay takes no part then
	share       func(options) int              // what is divided for the others: they would take hours; nil: nothing
	takes       func(bench.Target) bool        // the targets that take part
	accounts    func(o options, share int) int // that it uses, where it is divided by share
	command     func(options) string           // with which anybody can repeat it
	run         func(context.Context, *bench.Run, []bench.Target, options) (*bench.Report, error)
	goals       []goal
}

// goal is what our server is to reach in one figure of a row.
type goal struct {
	what   string
	target string     // of ours
	figure string     // by name
	over   bench.Kind // as a ratio to the first target of this kind; empty: the figure itself
	limit  float64
}

const (
	pairs  = 100
	body   = 150
	record = 16_300 // bytes of a message, which make a full TLS record with its envelope
)

// rounds is how often a row is measured.
func (r *row) rounds(o options) int {
	switch {
	case r.once:
		return 1
	case r.anew:
		return o.memory
	}
	return o.rounds
}

// isFor reports whether a server takes part.
func (r *row) isFor(s *server) bool { return slices.ContainsFunc(s.targets(s), r.takes) }

// shareOf is what the row is divided by for a target.
func (r *row) shareOf(t bench.Target, o options) int {
	if r.share == nil || strings.HasPrefix(t.Name, ours) {
		return 1
	}
	return r.share(o)
}

const ours = "stonechat"

func encrypted(t bench.Target) bool { return t.Security != bench.Plain }

func rowNames() []string {
	var names []string
	for _, r := range rows() {
		names = append(names, r.name)
	}
	return names
}

// rows is THE list of what is measured, in order.
func rows() []row {
	all := append(relayRows(), placeRows()...)
	all = append(append(all, restRows()...), federationRows()...)
	return append(all, thingRows()...)
}

// relayRows are about sessions and what they send each other.
func relayRows() []row {
	// The others have no plain sessions in earnest, and logging them in takes long.
	plain := func(t bench.Target) bool {
		return t.Security == bench.Plain && (strings.HasPrefix(t.Name, ours) || t.Kind == bench.MQTT)
	}
	// Beside what the goals need, our server and the broker without TLS.
	relaying := func(t bench.Target) bool {
		return encrypted(t) || strings.HasPrefix(t.Name, ours) || t.Kind == bench.MQTT
	}
	return []row{
		{
			name: "relay", group: "sessions", title: "Relay, 8 in flight", takes: relaying, accounts: relayAccounts,
			command: func(o options) string { return relayCommand(relayOptions(o, 8, false)) },
			run: func(ctx context.Context, r *bench.Run, t []bench.Target, o options) (*bench.Report, error) {
				return r.Relay(ctx, t, relayOptions(o, 8, false))
			},
			goals: []goal{
				{"relay, TLS, 8 in flight", ours, bench.CPUPerMessage, bench.Raw, 2.0},
				{"the same", ours, bench.CPUPerMessage, bench.MQTT, 0.4},
				{"bytes on the wire per message, both hops", ours, bench.WirePerMessage, "", 540},
			},
		},
		{
			name: "sm", group: "sessions", title: "Relay, 8 in flight, stream management on both sides", takes: relaying, accounts: relayAccounts,
			command: func(o options) string { return relayCommand(relayOptions(o, 8, true)) },
			run: func(ctx context.Context, r *bench.Run, t []bench.Target, o options) (*bench.Report, error) {
				return r.Relay(ctx, t, relayOptions(o, 8, true))
			},
			goals: []goal{{"relay, TLS, 8 in flight, stream management, `<r/>` every 8", ours, bench.CPUPerMessage, bench.Raw, 3.0}},
		},
		{
			name: "one", group: "sessions", title: "Relay, 1 in flight", takes: relaying, accounts: relayAccounts,
			command: func(o options) string { return relayCommand(relayOptions(o, 1, false)) },
			run: func(ctx context.Context, r *bench.Run, t []bench.Target, o options) (*bench.Report, error) {
				return r.Relay(ctx, t, relayOptions(o, 1, false))
			},
			goals: []goal{{"relay, TLS, 1 in flight", ours, bench.CPUPerMessage, bench.Raw, 1.5}},
		},
		{
			name: "login", group: "sessions", title: "Login over a new TLS connection", takes: encrypted, accounts: func(options, int) int { return loginOptions(options{}).Accounts },
			command: func(o options) string {
				l := loginOptions(o)
				return fmt.Sprintf("stonechat bench login --parallel %d --accounts %d --duration %s", l.Parallel, l.Accounts, l.Duration)
			},
			run: func(ctx context.Context, r *bench.Run, t []bench.Target, o options) (*bench.Report, error) {
				return r.Login(ctx, t, loginOptions(o))
			},
			goals: []goal{{"CPU ms per SCRAM login over a new TLS connection", ours, bench.CPUPerLogin, "", 1.2}},
		},
		{
			name: "idle", group: "sessions", title: "Idle sessions over TLS", memory: true, anew: true, takes: encrypted, accounts: idleAccounts,
			command: func(o options) string { return idleCommand(o) + fmt.Sprintf(" --record %d", record) },
			run: func(ctx context.Context, r *bench.Run, t []bench.Target, o options) (*bench.Report, error) {
				return r.Idle(ctx, t, idleOptions(o, record))
			},
			goals: []goal{
				{"resident bytes per idle TLS session, roster and stream management", ours, bench.BytesPerIdle, "", 12_000},
				{"the same after each client sent one record of 16 KB", ours, bench.BytesAfterRecord, "", 12_000},
			},
		},
		{
			name: "idle-plain", group: "sessions", title: "Idle sessions without encryption", memory: true, anew: true, takes: plain, accounts: idleAccounts,
			command: idleCommand,
			run: func(ctx context.Context, r *bench.Run, t []bench.Target, o options) (*bench.Report, error) {
				return r.Idle(ctx, t, idleOptions(o, 0))
			},
			goals: []goal{{"resident bytes per idle plain session", ours + " plain", bench.BytesPerIdle, "", 3_000}},
		},
		{
			name: "growth", group: "sessions", title: "Growth to many sessions", memory: true, takes: encrypted,
			accounts: func(o options, _ int) int { return 2*pairs + o.grow },
			command: func(o options) string {
				return fmt.Sprintf("stonechat bench growth --idle %d --rest %s", o.grow, o.rest)
			},
			run: func(ctx context.Context, r *bench.Run, t []bench.Target, o options) (*bench.Report, error) {
				return r.Growth(ctx, t, bench.GrowthOptions{Relay: relayOptions(o, 8, false), Idle: o.grow, Session: silent(), Rest: o.rest})
			},
			goals: []goal{
				{"growth: CPU per message among many sessions over that among 200", ours, bench.Growth, "", 1.3},
				{"resident bytes per idle TLS session, all of these", ours, bench.BytesPerIdle, "", 12_000},
			},
		},
	}
}

func relayAccounts(options, int) int    { return 2 * pairs }
func idleAccounts(o options, _ int) int { return o.idle }

func silent() bench.Session { return bench.Session{SM: true, Roster: true} }

func relayOptions(o options, window int, sm bool) bench.RelayOptions {
	r := bench.RelayOptions{Pairs: pairs, Window: window, Body: body, SM: sm, AckEvery: 8, Warmup: 500 * time.Millisecond, Duration: o.duration}
	if sm {
		r.QoS = 1 // what MQTT has in place of it
	}
	return r
}

func relayCommand(r bench.RelayOptions) string {
	c := fmt.Sprintf("stonechat bench relay --pairs %d --window %d --body %d --duration %s", r.Pairs, r.Window, r.Body, r.Duration)
	if r.SM {
		c += fmt.Sprintf(" --sm --ack %d --qos %d", r.AckEvery, r.QoS)
	}
	return c
}

func loginOptions(o options) bench.LoginOptions {
	return bench.LoginOptions{Parallel: 8, Accounts: 96, Duration: o.duration}
}

func idleOptions(o options, record int) bench.IdleOptions {
	return bench.IdleOptions{Sessions: o.idle, Session: silent(), Record: record, Rest: o.rest}
}

func idleCommand(o options) string {
	return fmt.Sprintf("stonechat bench idle --sessions %d --rest %s", o.idle, o.rest)
}
