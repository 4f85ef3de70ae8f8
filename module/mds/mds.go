// SPDX-License-Identifier: Apache-2.0

// Package mds lets a client tell the devices of its account, in the message by which it tells the other side,
// up to where it has displayed a conversation: what is for the devices is taken out of the message and
// published at the account.
//
// XEP-0490 (complete, 1.0.1)
//
// Of one conversation only the last word counts: while one waits to be stored a newer one takes its place.
package mds

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/stonechat-im/stonechat/internal/metrics"
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/mds"
	"github.com/stonechat-im/stonechat/xmpp/pubsub"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// Config is the key modules.mds.
type Config struct {
	// Waiting is of how many conversations of one account the displayed state may wait to be stored. A message with
	// one more is refused with resource-constraint.
	Waiting int `yaml:"waiting" default:"100" live:"yes"`
}

// Nodes are those of accounts: module pubsub's.
type Nodes interface {
	// Publish publishes an item, and makes the node, as configure says, where there is none. It may wait.
	Publish(t *server.Turn, owner jid.JID, node string, item store.Item, configure func(*pubsub.Config)) *store.Pending
}

// Module publishes displayed states.
type Module struct {
	config  atomic.Pointer[Config]
	nodes   Nodes
	server  *server.Server
	limited metrics.Counter

	mu       sync.Mutex
	accounts map[jid.JID]*account // that have states which wait, or are being published
	waiting  []jid.JID            // each once
	wake     chan struct{}
}

// account is one at a time's, so that the last word is published last.
type account struct {
	states []*state
	last   *store.Pending // of those that wait, and those that are being published
}

// state is the last word of one conversation.
type state struct {
	id      string // of the item: whom the conversation is with
	payload []byte
	kept    *store.Pending // of this word, and of those that it took the place of
}

// New makes the module.
func New(c Config, n Nodes) *Module {
	m := &Module{nodes: n, accounts: make(map[jid.JID]*account), wake: make(chan struct{}, 1)}
	m.config.Store(&c)
	return m
}

// Name implements server.Module.
func (*Module) Name() string { return "mds" }

// Reload implements server.Reloader.
func (m *Module) Reload(next server.Module) { m.config.Store(next.(*Module).config.Load()) }

// Init implements server.Module.
func (m *Module) Init(h *server.Host) error {
	m.server = h.Server
	m.limited = h.Metrics.Counter("stonechat_mds_limited_total", "Messages refused because too many displayed states of their account wait to be stored (modules.mds.waiting).")
	h.Feature(server.AtAccount, mds.NSAssist)
	h.OnSent(server.Rewrite, m.sent)
	return nil
}

// sent takes the displayed state out of a message, before anybody else sees it (XEP-0490 §3.4.3, §4.2).
func (m *Module) sent(t *server.Turn, s *stanza.Stanza) error {
	if s.Kind != stanza.Message {
		return nil
	}
	name := (*mds.Displayed)(nil).XMLName()
	i := s.Find(name.Space, name.Local)
	if i < 0 {
		return nil
	}
	payload := s.Reader(i).Raw()
	for ; i >= 0; i = s.Find(name.Space, name.Local) {
		s.Cut(i)
	}
	u := t.Origin.User
	if payload == "" || s.Type == stanza.TypeError || u.Guest() {
		return nil
	}
	id := s.To.String()
	if s.To.IsZero() {
		id = u.JID.String()
	}
	kept := m.add(u.JID, id, []byte(payload))
	if kept == nil {
		m.limited.Inc()
		return stanza.ResourceConstraint.Err("too many displayed states wait to be stored")
	}
	t.Keep(kept)
	return nil
}

// add puts a state where it waits, or returns nil where there is no room.
func (m *Module) add(owner jid.JID, id string, payload []byte) *store.Pending {
	m.mu.Lock()
	defer m.mu.Unlock()
	a := m.accounts[owner]
	if a == nil {
		a = new(account)
		m.accounts[owner] = a
		m.waiting = append(m.waiting, owner)
		m.signal()
	}
	for _, x := range a.states {
		if x.id == id {
			x.payload = payload
			return x.kept
		}
	}
	if len(a.states) >= max(m.config.Load().Waiting, 1) {
		return nil
	}
	x := &state{id, payload, new(store.Pending)}
	a.states, a.last = append(a.states, x), x.kept
	return x.kept
}

// Settle waits until what an account has displayed can be read, if that is the node to be read.
func (m *Module) Settle(ctx context.Context, owner jid.JID, node string) error {
	if node != mds.NS {
		return nil
	}
	m.mu.Lock()
	var last *store.Pending
	if a := m.accounts[owner]; a != nil {
		last = a.last
	}
	m.mu.Unlock()
	if last == nil {
		return nil
	}
	_ = last.Wait(ctx) // who waits for the state has been told if it was not stored
	return nil
}

func (m *Module) signal() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// atOnce is of how many accounts states are published at one time.
const atOnce = 4

// Run publishes what waits; what is left when ctx ends is published still.
func (m *Module) Run(ctx context.Context) error {
	var all sync.WaitGroup
	for range atOnce {
		all.Go(func() {
			for more := true; more; {
				for m.publishNext() {
				}
				select {
				case <-ctx.Done():
					more = false
				case <-m.wake:
				}
			}
		})
	}
	all.Wait()
	for m.publishNext() {
	}
	return context.Cause(ctx)
}

// publishNext publishes what waits of one account.
func (m *Module) publishNext() bool {
	m.mu.Lock()
	if len(m.waiting) == 0 {
		m.waiting = nil
		m.mu.Unlock()
		return false
	}
	owner := m.waiting[0]
	if m.waiting = m.waiting[1:]; len(m.waiting) > 0 {
		m.signal() // another goroutine
	}
	a := m.accounts[owner]
	list := a.states
	a.states = nil
	m.mu.Unlock()
	t := m.server.NewTurn()
	for _, x := range list {
		m.nodes.Publish(t, owner, mds.NS, store.Item{ID: x.id, Payload: x.payload}, configure).OnDone(x.kept.Resolve)
	}
	t.End()
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(a.states) == 0 {
		delete(m.accounts, owner)
		return true
	}
	m.waiting = append(m.waiting, owner)
	return true
}

// configure is how XEP-0490 §3.1 wants the node.
func configure(c *pubsub.Config) {
	c.Persist, c.Access = true, pubsub.AccessWhitelist
	c.MaxItems, c.SendLast = pubsub.Max, pubsub.SendNever
}
