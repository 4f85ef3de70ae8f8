// SPDX-License-Identifier: Apache-2.0

package s2s

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stonechat-im/stonechat/internal/metrics"
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// How to read this file: what a table of routes is given and who dials for it, then the table, then its beginning and its
// end. What a route does is in route.go.

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
	UnreadBytes  int           // of what is no stanza, where there is no route (limits.unread_bytes)
	SpoolStanzas int           // on the disk, of a route (limits.federation_spool_stanzas)
	Dials        int           // at one time (limits.federation_dials)
	SpoolAfter   time.Duration // sm.spool_after
	GiveUp       time.Duration // federation.give_up
	Idle         time.Duration // federation.idle
	FenceStanzas int           // federation.fence_stanzas
	FenceAfter   time.Duration // federation.fence_after
	Confirm      time.Duration // federation.confirm_within
}

// defaultRouteLimits are those of a server without configuration.
func defaultRouteLimits() routeLimits {
	return routeLimits{
		Routes: 10_000, QueueBytes: 4 << 20, UnreadBytes: 64 << 10, SpoolStanzas: 10_000, Dials: 100,
		SpoolAfter: 100 * time.Millisecond, GiveUp: 15 * time.Minute, Idle: 10 * time.Minute,
		FenceStanzas: 32, FenceAfter: 50 * time.Millisecond, Confirm: 2 * time.Minute,
	}
}

// dialer makes connections for routes.
type dialer interface {
	// dial begins to connect r and returns at once. Exactly one of r.open and r.failed follows, from any
	// goroutine, perhaps before dial returns; until then dial is not called again for r. It must be bounded
	// in time.
	dial(r *route)
}

// filled puts none where a limit is off.
func (l routeLimits) filled() *routeLimits {
	const none = 1 << 30
	for _, p := range []*int{&l.Routes, &l.QueueBytes, &l.UnreadBytes, &l.SpoolStanzas, &l.Dials, &l.FenceStanzas} {
		if *p <= 0 {
			*p = none
		}
	}
	if l.Confirm <= 0 {
		l.Confirm = 1 << 62 // for ever
	}
	return &l
}

// routes is the table of routes. It is bounded, and forgets those that are idle.
//
// Locks in this order: routes.mu, route.mu, out.mu, then the sweeper's and the dials'. None is held while anything is
// routed or a receipt released.
type routes struct {
	routesConfig
	limits  atomic.Pointer[routeLimits]
	lastID  atomic.Int64 // of rows
	closed  atomic.Bool  // drain has begun
	bytes   atomic.Int64 // in memory
	cleared atomic.Int64 // the second in which room was made last
	metrics routesMetrics
	sweeper sweeper
	dials   dials
	working sync.WaitGroup
	slots   chan struct{} // of workers

	mu    sync.RWMutex
	table map[store.Route]*route

	complaints sync.Mutex
	complained map[string]time.Time
}

// newRoutes makes the table. Nothing is dialed before load.
func newRoutes(c routesConfig) (*routes, error) {
	rs := &routes{routesConfig: c, table: make(map[store.Route]*route), slots: make(chan struct{}, workers), complained: make(map[string]time.Time)}
	rs.dials = dials{rs: rs, owners: make(map[string]int)}
	rs.setLimits(c.Limits)
	last, err := c.Store.LastOutgoingID(context.Background())
	if err != nil {
		return nil, fmt.Errorf("s2s: last row of what is outgoing: %w", err)
	}
	rs.lastID.Store(last)
	rs.sweeper = sweeper{rs: rs, sooner: make(chan struct{}, 1)}
	rs.metrics.register(c.Metrics, rs)
	return rs, nil
}

// setLimits makes l the limits from now on. What is over a bound already is not undone.
func (rs *routes) setLimits(l routeLimits) {
	rs.limits.Store(l.filled())
	rs.dials.more()
}

// take sends s to another's server: now, or when there is a connection. The caller has checked that the pair
// of its domains may talk. An error refuses s (server.Place.Take).
func (rs *routes) take(t *server.Turn, s *stanza.Stanza) error {
	key := store.Route{From: s.From.Host(), To: s.To.Host()}
	for {
		r := rs.make(key)
		if r == nil {
			rs.metrics.full.Inc()
			return stanza.ResourceConstraint.Err("too many other servers are waited for")
		}
		if taken, err := r.put(t, s); taken {
			return err
		}
		rs.forget(r) // it was being forgotten
	}
}

// get is the route of that key, nil where there is none.
func (rs *routes) get(key store.Route) *route {
	rs.mu.RLock()
	defer rs.mu.RUnlock()
	return rs.table[key]
}

// make is get, and makes the route where there is none; nil where the table is full.
func (rs *routes) make(key store.Route) *route {
	if r := rs.get(key); r != nil {
		return r
	}
	most := rs.limits.Load().Routes
	if now := time.Now().Unix(); rs.count() >= most && rs.cleared.Swap(now) != now {
		rs.forgetIdle()
	}
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if r := rs.table[key]; r != nil {
		return r
	}
	if len(rs.table) >= most {
		return nil
	}
	return rs.add(key)
}

// offered is make for who offers itself: those fill no more than half of the table, or one who has many names would leave no room
// to those to whom there is something to send.
func (rs *routes) offered(key store.Route) *route {
	if rs.count() >= rs.limits.Load().Routes/2 {
		return rs.get(key)
	}
	return rs.make(key)
}

// add makes a route. The caller holds mu.
func (rs *routes) add(key store.Route) *route {
	key = store.Route{From: key.From.Clone(), To: key.To.Clone()} // what they were cut from is not to live as long
	r := &route{rs: rs, key: key, owner: ownerOf(key.To)}
	rs.table[key] = r
	return r
}

func (rs *routes) count() int {
	rs.mu.RLock()
	defer rs.mu.RUnlock()
	return len(rs.table)
}

// forget takes r, which is retired, from the table.
func (rs *routes) forget(r *route) {
	rs.mu.Lock()
	if rs.table[r.key] == r {
		delete(rs.table, r.key)
	}
	rs.mu.Unlock()
	rs.sweeper.disarm(r)
}

// each calls f with every route.
func (rs *routes) each(f func(*route)) {
	rs.mu.RLock()
	all := make([]*route, 0, len(rs.table))
	for _, r := range rs.table {
		all = append(all, r)
	}
	rs.mu.RUnlock()
	for _, r := range all {
		f(r)
	}
}

// forgetIdle makes room in a table that is full.
func (rs *routes) forgetIdle() {
	rs.each(func(r *route) {
		r.mu.Lock()
		idle := r.idle()
		r.retired = r.retired || idle
		r.mu.Unlock()
		if idle {
			rs.forget(r)
		}
	})
}

// load reads which routes have something on the disk; they begin to connect, those that have waited longest
// first. It is called once, before the first take.
func (rs *routes) load(ctx context.Context) error {
	type waiting struct {
		r  *route
		id int64
	}
	var all []waiting
	last := rs.lastID.Load()
	for after := (store.Route{}); ; {
		list, err := rs.Store.OutgoingRoutes(ctx, after, 0)
		if err != nil {
			return fmt.Errorf("s2s: what is outgoing: %w", err)
		}
		if len(list) == 0 {
			break
		}
		for _, size := range list {
			after = size.Route
			first, err := rs.Store.Outgoing(ctx, size.Route, 0, 1)
			if err != nil {
				return fmt.Errorf("s2s: what is outgoing to %s: %w", size.To, err)
			}
			if len(first) == 0 {
				continue
			}
			// What is on the disk has its route, however many there may be.
			rs.mu.Lock()
			r := rs.add(size.Route)
			rs.mu.Unlock()
			r.keeps, r.cold = size.Entries, cold{to: last, oldest: first[0].At}
			all = append(all, waiting{r, first[0].ID})
		}
	}
	slices.SortFunc(all, func(a, b waiting) int { return int(min(max(a.id-b.id, -1), 1)) })
	now := time.Now()
	for _, w := range all {
		w.r.mu.Lock()
		w.r.connect(now)
		w.r.settle(now)
		w.r.mu.Unlock()
	}
	return nil
}

// drain is the end: what waits or is not confirmed is committed, what cannot be kept is answered. Connections
// are over already, or will not be used any more. It returns when all is on the disk or ctx ends.
func (rs *routes) drain(ctx context.Context) error {
	rs.closed.Store(true)
	rs.dials.close()
	rs.sweeper.close()
	rs.each(func(r *route) {
		r.mu.Lock() // none is begun behind this
		r.verdict = nil
		r.mu.Unlock()
	})
	rs.working.Wait()
	sw := rs.newSweep()
	rs.each(func(r *route) { r.shut(sw) })
	err := errors.Join(waitAll(ctx, sw.end()), rs.Store.Commit().Wait(ctx))
	// The last receipts are released behind the commits.
	fence := make(chan struct{})
	rs.Server.After(rs.Store.Commit(), func(*server.Turn, error) { close(fence) })
	select {
	case <-fence:
	case <-ctx.Done():
	}
	return err
}

func waitAll(ctx context.Context, pending []*store.Pending) (err error) {
	for _, p := range pending {
		err = errors.Join(err, p.Wait(ctx))
	}
	return err
}

// tooOld reports whether what was taken at that time is given up.
func (rs *routes) tooOld(at, now time.Time) bool {
	age := rs.limits.Load().GiveUp
	return age > 0 && now.Sub(at) >= age
}

// complain logs msg, once a second at most.
func (rs *routes) complain(msg string, args ...any) {
	rs.complaints.Lock()
	now := time.Now()
	quiet := now.Sub(rs.complained[msg]) < time.Second
	if !quiet {
		rs.complained[msg] = now
	}
	rs.complaints.Unlock()
	if !quiet {
		rs.Log.Error(msg, args...)
	}
}

// timeout is what senders are told of a server that is known and cannot be reached (RFC 6120 §8.3.3.17).
func timeout(text string) *outage { return &outage{Err: stanza.RemoteServerTimeout.Err(text)} }
