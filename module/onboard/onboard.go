// SPDX-License-Identifier: Apache-2.0

// Package onboard makes the accounts of things that come with a certificate of their fleet: the
// authorities of tls.client_ca say who a thing is, and that it may have an account. It is one that logs in by
// its certificate alone.
package onboard

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stonechat-im/stonechat/internal/metrics"
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// Config is the key modules.onboard.
type Config struct {
	// What becomes of a client whose certificate is believed (tls.client_ca) and names an account of ours that is not
	// there: it is refused, or the account is made and registered as a thing.
	Certificates string `yaml:"certificates" default:"refuse" oneof:"refuse create" live:"yes"`
	// Groups into which such things come.
	Groups []string `yaml:"groups" default:"[]" live:"yes"`
	// PerHour is how many accounts are made so in an hour; the logins of more fail until the next.
	PerHour int `yaml:"per_hour" default:"10000" live:"yes"`
}

// Things registers accounts as things. Module registry does.
type Things interface {
	// Adopt registers a thing in one commit with ops, which come first and make its account. It may wait.
	Adopt(ctx context.Context, x store.Thing, ops ...store.Op) (*store.Pending, error)
}

// Module makes accounts of certificates.
type Module struct {
	config atomic.Pointer[Config]
	server *server.Server
	things Things
	made   metrics.CounterVec

	mu   sync.Mutex
	hour int64
	n    int // made in it
}

// New makes the module. things may be nil: then the accounts are no things.
func New(c Config, things Things) *Module {
	m := &Module{things: things}
	m.config.Store(&c)
	return m
}

// Name implements server.Module.
func (*Module) Name() string { return "onboard" }

// Reload implements server.Reloader.
func (m *Module) Reload(next server.Module) { m.config.Store(next.(*Module).config.Load()) }

// Init implements server.Module.
func (m *Module) Init(h *server.Host) error {
	m.server = h.Server
	m.made = h.Metrics.CounterVec("stonechat_onboard_certificates_total",
		"Accounts of certificates that were not there: made, limited (modules.onboard.per_hour), failed.", "result")
	return nil
}

// Enrol makes the account that a certificate names, which was verified, and reports whether it is there. It may wait.
func (m *Module) Enrol(ctx context.Context, account jid.JID) (made bool, err error) {
	c := m.config.Load()
	if c.Certificates != "create" {
		return false, nil
	}
	if !m.admit(time.Now(), c.PerHour) {
		m.made.WithLabelValues("limited").Inc()
		return false, nil
	}
	n := server.NewAccount{JID: account, Password: rand.Text(), Random: true} // that nobody hears of
	if m.things != nil {
		n.Commit = func(ctx context.Context, create store.Op) (*store.Pending, error) {
			return m.things.Adopt(ctx, store.Thing{ThingName: store.ThingName{JID: account}, Groups: c.Groups}, create)
		}
	}
	switch err = m.server.Create(ctx, n); {
	case errors.Is(err, store.ErrExists): // made meanwhile, for another connection of the same thing
		return true, nil
	case err != nil:
		m.made.WithLabelValues("failed").Inc()
		return false, err
	}
	m.made.WithLabelValues("made").Inc()
	return true, nil
}

// admit counts one account, if there is room for it in this hour.
func (m *Module) admit(now time.Time, most int) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if h := now.Unix() / 3600; h != m.hour {
		m.hour, m.n = h, 0
	}
	if m.n >= most {
		return false
	}
	m.n++
	return true
}
