// SPDX-License-Identifier: Apache-2.0

package s2s

import (
	"context"
	"log/slog"
	"time"

	"github.com/stonechat-im/stonechat/internal/metrics"
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// routesConfig is what a table of routes needs.
type routesConfig struct {
	Server  *server.Server
	Store   store.Store
	Dialer  dialer
	Kept    func(*stanza.Stanza) bool // whether a message must survive (module/message.Kept)
	Limits  routeLimits               // at first; see setLimits
	Log     *slog.Logger
	Metrics *metrics.Registry
}

// routeLimits bound what waits for others' servers; 0 or less is "none", for test beds.
type routeLimits struct {
	Routes       int           // in the table (limits.federation_routes)
	QueueBytes   int           // in memory, of a route; and not read, on a connection (limits.federation_queue_bytes)
	SpoolStanzas int           // on the disk, of a route (limits.federation_spool_stanzas)
	Dials        int           // at one time (limits.federation_dials)
	SpoolAfter   time.Duration // sm.spool_after
	GiveUp       time.Duration // federation.give_up
	Idle         time.Duration // federation.idle
	FenceStanzas int           // federation.fence_stanzas
	FenceAfter   time.Duration // federation.fence_after
}

// defaultRouteLimits are those of a server without configuration.
func defaultRouteLimits() routeLimits {
	return routeLimits{
		Routes: 10_000, QueueBytes: 4 << 20, SpoolStanzas: 10_000, Dials: 100,
		SpoolAfter: 100 * time.Millisecond, GiveUp: 15 * time.Minute, Idle: 10 * time.Minute,
		FenceStanzas: 32, FenceAfter: 50 * time.Millisecond,
	}
}

// dialer makes connections for routes.
type dialer interface {
	// dial begins to connect r and returns at once. Exactly one of r.open and r.failed follows, from any
	// goroutine, perhaps before dial returns; until then dial is not called again for r. It must be bounded
	// in time. Where r has got a way out meanwhile (bidi), the dial may be ended by either.
	dial(r *route)
}

// routes is the table of routes. It is bounded, and forgets those that are idle.
type routes struct{ routesConfig }

// newRoutes makes the table. Nothing is dialed before load.
func newRoutes(c routesConfig) (*routes, error) { return &routes{c}, nil }

// setLimits makes l the limits from now on.
func (rs *routes) setLimits(l routeLimits) {}

// take sends s to another's server: now, or when there is a connection. The caller has checked that the pair
// of its domains may talk. An error refuses s (server.Place.Take).
func (rs *routes) take(t *server.Turn, s *stanza.Stanza) error { return nil }

// get is the route of that key, nil where there is none.
func (rs *routes) get(key store.Route) *route { return nil }

// make is get, and makes the route where there is none; nil where the table is full.
func (rs *routes) make(key store.Route) *route { return nil }

// load reads which routes have something on the disk; they begin to connect, those that have waited longest
// first. It is called once, before the first take.
func (rs *routes) load(ctx context.Context) error { return nil }

// drain is the end: what waits or is not confirmed is committed, what cannot be kept is answered. Connections
// are over already, or will not be used any more. It returns when all is on the disk or ctx ends.
func (rs *routes) drain(ctx context.Context) error { return nil }
