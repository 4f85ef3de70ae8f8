// SPDX-License-Identifier: Apache-2.0

package main

// The rows of servers that talk to each other, by TLS and with certificates that an authority stands for.

import (
	"context"
	"time"

	"github.com/stonechat-im/stonechat/internal/bench"
)

const (
	federatedPairs = 20
	firstDomains   = 40      // of a round
	echoName       = "echo." // in front of a server's domain: that of its component
)

// remote is how many other domains there are in the row about these.
func (o *options) remote() int {
	if o.quick {
		return 100
	}
	return 1000
}

// federationRows are about what goes to other servers.
func federationRows() []row {
	return []row{
		{
			name: "federated", group: "federation", title: "From one server to another", federated: true, twins: true, lacks: "no other servers",
			takes: people, accounts: func(options, int) int { return 2 * federatedPairs },
			command: func(options) string { return "go run ./test/load -rows federated" },
			run: func(ctx context.Context, r *bench.Run, t []bench.Target, o options) (*bench.Report, error) {
				return r.Relay(ctx, t, bench.RelayOptions{Pairs: federatedPairs, Window: 8, Body: body, Warmup: time.Second, Duration: o.duration})
			},
		},
		{
			name: "first", group: "federation", title: "The first message to a new domain", federated: true, lacks: "no other servers",
			takes: people, accounts: func(options, int) int { return 1 },
			command: func(options) string { return "go run ./test/load -rows first" },
			run: func(ctx context.Context, r *bench.Run, t []bench.Target, o options) (*bench.Report, error) {
				return r.First(ctx, t, bench.ReachOptions{Sink: o.sink, Domain: sinkDomain, Domains: firstDomains})
			},
		},
		{
			name: "domains", group: "federation", title: "Very many other domains", federated: true, memory: true, anew: true, lacks: "no other servers",
			takes: people, accounts: func(options, int) int { return 1 },
			command: func(options) string { return "go run ./test/load -rows domains" },
			run: func(ctx context.Context, r *bench.Run, t []bench.Target, o options) (*bench.Report, error) {
				return r.Domains(ctx, t, bench.ReachOptions{Sink: o.sink, Domain: sinkDomain, Domains: o.remote(), Rest: o.rest})
			},
		},
		{
			name: "component", group: "federation", title: "To a component and back", lacks: "no components",
			takes: people, accounts: func(options, int) int { return federatedPairs },
			command: func(options) string { return "go run ./test/load -rows component" },
			run: func(ctx context.Context, r *bench.Run, t []bench.Target, o options) (*bench.Report, error) {
				return r.Component(ctx, t, bench.ComponentOptions{Sessions: federatedPairs, Window: 8, Body: body, Duration: o.duration, Secret: password,
					Domain: func(t *bench.Target) string { return echoName + t.Domain }})
			},
		},
	}
}
