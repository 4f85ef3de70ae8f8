// SPDX-License-Identifier: Apache-2.0

// Package seen keeps what state accounts are in: online, sleeping until some time, offline since when and why, or
// unsteady; and tells it to whoever may see their presence. An account is online while one of its sessions has a
// connection: that a session could still be resumed does not make it so.
//
// XEP-0012 (partial, 2.0): of accounts and servers; a client is asked by itself. Whoever may not see an account's presence is
// answered as if it were not there, and not with forbidden.
//
// How to read this package: seen.go has the configuration, the hooks and what is asked; change.go how a change settles until
// it is kept and told; words.go what people can ask the service of things.
//
// S1: what is kept and told is what held for modules.seen.settle. Changes are noted by hooks, which do not wait, under
// Module.mu; one goroutine keeps and tells them, in the order of time for each account.
package seen

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/stonechat-im/stonechat/internal/metrics"
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/last"
	"github.com/stonechat-im/stonechat/xmpp/sleep"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// Config is the key modules.seen.
type Config struct {
	// Settle is how long a state lasts before it is kept and told; what is shorter is not.
	Settle time.Duration `yaml:"settle" default:"5s" live:"yes"`
	// FlapsPerMinute is how often an account may come and go in a minute; more often, and it is unsteady until it has
	// stayed, or stayed away, for a minute.
	FlapsPerMinute int `yaml:"flaps_per_minute" default:"6" live:"yes"`
	// LongestSleep is how long a thing may say that it sleeps; what is longer counts as this long.
	LongestSleep time.Duration `yaml:"longest_sleep" default:"720h" live:"yes"`
	// WakeLate is how much later than it said a sleeping thing may wake before it is offline.
	WakeLate time.Duration `yaml:"wake_late" default:"1m" live:"yes"`
}

// Module knows the state of accounts.
type Module struct {
	config  atomic.Pointer[Config]
	sees    func(u *server.User, viewer jid.JID) bool
	server  *server.Server
	store   store.Store
	log     *slog.Logger
	started time.Time
	told    []func(account jid.JID, was, is store.Seen)
	metrics struct {
		changes  metrics.CounterVec // by state
		unsteady metrics.Counter
		failed   metrics.Counter
	}

	stopping atomic.Bool
	mu       sync.Mutex
	changes  map[jid.JID]*change
}

// New makes the module. sees reports whether somebody may see an account's presence; it may wait.
func New(c Config, sees func(u *server.User, viewer jid.JID) bool) *Module {
	m := &Module{sees: sees, changes: make(map[jid.JID]*change)}
	m.config.Store(&c)
	return m
}

// Name implements server.Module.
func (*Module) Name() string { return "seen" }

// Reload implements server.Reloader.
func (m *Module) Reload(next server.Module) { m.config.Store(next.(*Module).config.Load()) }

// OnState has f told, when they are kept, of the states of accounts that have lasted. It is called before the server starts. f may
// wait, and holds up what is told of others. was has no State where the account was never seen.
func (m *Module) OnState(f func(account jid.JID, was, is store.Seen)) { m.told = append(m.told, f) }

// Init implements server.Module.
func (m *Module) Init(h *server.Host) error {
	m.server, m.store, m.log, m.started = h.Server, h.Store, h.Log, time.Now()
	m.metrics.changes = h.Metrics.CounterVec("stonechat_seen_changes_total", "States of accounts that have lasted and were kept: online, sleeping, offline, unsteady.", "state")
	m.metrics.unsteady = h.Metrics.Counter("stonechat_seen_unsteady_total", "Accounts that came and went too often to be told of each time (modules.seen.flaps_per_minute).")
	m.metrics.failed = h.Metrics.Counter("stonechat_seen_failed_total", "States that could not be kept; they are tried again.")
	h.Metrics.GaugeFunc("stonechat_seen_settling", "Accounts whose state has changed not long ago (modules.seen.settle).", func() float64 {
		m.mu.Lock()
		defer m.mu.Unlock()
		return float64(len(m.changes))
	})
	h.Bound = func(t *server.Turn, se *server.Session) { m.look(t, se) }
	h.Attached = func(t *server.Turn, se *server.Session, _ bool) { m.look(t, se) }
	h.Ended = func(t *server.Turn, se *server.Session, _ server.Presence) { m.look(t, se) }
	h.Stopping = func(*server.Turn) { m.stopping.Store(true) }
	h.Deleted = func(_ *server.Turn, u *server.User) { m.forget(u.JID) }
	h.OnSent(server.Observe, m.said)
	h.Feature(server.AtHost|server.AtAccount, last.NS)
	name := (*last.Query)(nil).XMLName()
	h.IQ(server.IQHandler{At: server.AtHost, Type: stanza.Get, Name: name, Do: m.uptime})
	h.IQ(server.IQHandler{At: server.AtAccount, Type: stanza.Get, Name: name, Others: true, Blocking: true, Do: m.lastActivity})
	return nil
}

// setting is under what the store keeps when the server was last known to run, in text (RFC 3339).
const setting = "seen alive"

// Open implements server.Opener: whoever was online when the server ended is not any more.
func (m *Module) Open(ctx context.Context) error {
	at := time.Now()
	switch b, err := m.store.Setting(ctx, setting); {
	case err == nil:
		if t, err := time.Parse(time.RFC3339, string(b)); err == nil && t.Before(at) {
			at = t
		}
	case !errors.Is(err, store.ErrNotFound):
		return fmt.Errorf("seen: %w", err)
	}
	if err := m.store.Commit(store.LoseSeen{At: at, Reason: "server"}).Wait(ctx); err != nil {
		return fmt.Errorf("seen: %w", err)
	}
	return nil
}

// said notes what a session says last: that it sleeps, or a word for people. XEP-0012 §3
func (m *Module) said(t *server.Turn, s *stanza.Stanza) error {
	if s.Kind != stanza.Presence || !s.To.IsZero() || t.Origin.User.Guest() {
		return nil
	}
	if s.Type == stanza.Available {
		m.mu.Lock()
		defer m.mu.Unlock()
		if c := m.changes[t.Origin.User.JID]; c != nil && c.left != nil {
			c.left.until, c.left.status = time.Time{}, "" // it stays after all
		}
		return nil
	}
	if s.Type != stanza.Unavailable {
		return nil
	}
	until, sleeps := sleep.Of(s)
	status := ""
	if i := s.Find(stanza.NSClient, "status"); i >= 0 {
		status = shorten(s.Reader(i).Text())
	}
	if !sleeps && status == "" {
		return nil
	}
	if latest := t.Now.Add(m.config.Load().LongestSleep); until.After(latest) {
		until = latest
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.changing(t.Origin.User.JID, true, t.Now).leaving()
	c.until, c.status = until, status
	return nil
}

// shorten makes a status fit.
func shorten(s string) string {
	for len(s) > store.MaxSeenText {
		_, n := utf8.DecodeLastRuneInString(s[:store.MaxSeenText+1])
		s = s[:max(store.MaxSeenText+1-max(n, 1), 0)]
	}
	return s
}

// uptime is how long the server has run. XEP-0012 §5
func (m *Module) uptime(t *server.Turn, _ *server.Query) (stanza.Payload, error) {
	return &last.Query{Known: true, Ago: t.Now.Sub(m.started)}, nil
}

// lastActivity is how long an account has been away. XEP-0012 §3
//
// Deviation: whoever may not see its presence is not told forbidden, but what he would be told if nobody lived there
// (RFC 6121 §8.5.1): an account is not to be found out.
func (m *Module) lastActivity(t *server.Turn, q *server.Query) (stanza.Payload, error) {
	if !m.sees(q.User, q.From.Bare()) {
		return nil, stanza.ServiceUnavailable.Err("")
	}
	for _, se := range q.User.Sessions(nil) {
		if se.Presence().Available || se.Attached() {
			return &last.Query{Known: true}, nil
		}
	}
	x, err := m.Now(context.Background(), q.User.JID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, stanza.ItemNotFound.Err("the account has never been there")
	case err != nil:
		return nil, err
	}
	return &last.Query{Known: true, Ago: t.Now.Sub(x.Last), Status: x.Status}, nil
}
