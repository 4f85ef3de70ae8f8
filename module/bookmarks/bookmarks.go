// SPDX-License-Identifier: Apache-2.0

// Package bookmarks shows all clients of an account the same rooms, whether they keep bookmarks one
// by one (XEP-0402), in one list at a node (XEP-0048) or in one list in private XML (XEP-0049).
//
// XEP-0402 (complete, 1.2.0), XEP-0048 (complete, 1.2)
//
// How to read this package: what is true is the items of the node of XEP-0402. The one item of the
// node of XEP-0048 is made of them, and holds besides what they cannot: bookmarks of URLs. Private
// XML has nothing of its own: it is read from, and written to, both. bookmarks.go has the module,
// what wakes it and the requests of private XML, sync.go how the nodes are made to agree.
//
// B1: a list says what its client knew when it published it. What was published one by one since then
// is neither changed nor removed by it, and what was removed since then does not come back.
//
// B2: nothing is copied from a node that only its owner sees to one that others may see.
package bookmarks

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stonechat-im/stonechat/internal/metrics"
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/bookmarks"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/pubsub"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// Config is the key modules.bookmarks.
type Config struct {
	// Rooms of one account that are made into a list for older clients; at most 1000. Of an account with
	// more they see the newest, and change nothing: a list of theirs is refused with resource-constraint.
	Rooms int `yaml:"rooms" default:"500" live:"yes"`
}

// Nodes are those of accounts: module pubsub's. All may wait for the store.
type Nodes interface {
	// Items returns the newest items of a node, at most max, the oldest of them first.
	Items(ctx context.Context, owner jid.JID, node string, max int) ([]store.Item, error)
	// Publish publishes an item, and makes the node, as configure says, where there is none.
	Publish(t *server.Turn, owner jid.JID, node string, item store.Item, configure func(*pubsub.Config)) *store.Pending
	// Retract removes an item.
	Retract(t *server.Turn, owner jid.JID, node, id string, notify bool) *store.Pending
	// Private reports whether nobody but the owner sees what is in the node, or would if it were made.
	Private(ctx context.Context, owner jid.JID, node string) (bool, error)
}

// Module keeps bookmarks in agreement.
type Module struct {
	config  atomic.Pointer[Config]
	nodes   Nodes
	server  *server.Server
	store   store.Store
	log     *slog.Logger
	limited metrics.Counter

	mu       sync.Mutex
	accounts map[jid.JID]*account // those at work, or with work waiting
	waiting  []jid.JID            // each once
	wake     chan struct{}
}

// account is one whose nodes are to be made to agree.
type account struct {
	turn    chan struct{} // full while they are
	refs    int           // who holds it or waits for it; guarded by Module.mu
	waits   bool          // it is in waiting; guarded by Module.mu
	removed []removal     // since they agreed; guarded by Module.mu
}

// removal is when an item was removed; an empty id stands for all.
type removal struct {
	id string
	at time.Time
}

// New makes the module.
func New(c Config, n Nodes) *Module {
	m := &Module{nodes: n, accounts: make(map[jid.JID]*account), wake: make(chan struct{}, 1)}
	m.config.Store(&c)
	return m
}

// Name implements server.Module.
func (*Module) Name() string { return "bookmarks" }

// Reload implements server.Reloader.
func (m *Module) Reload(next server.Module) { m.config.Store(next.(*Module).config.Load()) }

// Init implements server.Module.
func (m *Module) Init(h *server.Host) error {
	m.server, m.store, m.log = h.Server, h.Store, h.Log
	m.limited = h.Metrics.Counter("stonechat_bookmarks_limited_total", "Lists of bookmarks that were not taken because an account has too many (modules.bookmarks.rooms).")
	h.Feature(server.AtAccount, bookmarks.NSCompat)
	h.Feature(server.AtAccount, bookmarks.NSCompatPEP)
	return nil
}

// Kept is the element of private XML that Get and Set are for.
func Kept() xmlstream.Name { return (*bookmarks.Storage)(nil).XMLName() }

// Published says that an item was published. It does not wait.
func (m *Module) Published(_ *server.Turn, owner jid.JID, node string, item store.Item) {
	if node != bookmarks.NS && node != bookmarks.NSStorage || item.Publisher == owner.Host() {
		return // none of ours, or ours: then they agree already
	}
	m.enqueue(owner)
}

// Removed says that items were removed from a node; ids is nil where all were. It does not wait.
func (m *Module) Removed(owner jid.JID, node string, ids []string) {
	if node != bookmarks.NS {
		return
	}
	if ids == nil {
		ids = []string{""}
	}
	now := time.Now()
	gone := make([]removal, len(ids))
	for i, id := range ids {
		gone[i] = removal{id, now}
	}
	m.enqueue(owner, gone...)
}

func (m *Module) enqueue(owner jid.JID, removed ...removal) {
	m.mu.Lock()
	defer m.mu.Unlock()
	a := m.account(owner)
	a.removed = append(a.removed, removed...)
	if a.waits {
		return
	}
	a.waits = true
	a.refs++
	m.waiting = append(m.waiting, owner)
	m.signal()
}

func (m *Module) signal() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// atOnce is how many accounts are brought into agreement at one time.
const atOnce = 4

// Run makes the nodes of accounts agree after they were changed.
func (m *Module) Run(ctx context.Context) error {
	var all sync.WaitGroup
	for range atOnce {
		all.Go(func() { m.work(ctx) })
	}
	all.Wait()
	return context.Cause(ctx)
}

func (m *Module) work(ctx context.Context) {
	for {
		owner, ok := m.take()
		if !ok {
			select {
			case <-ctx.Done():
				return
			case <-m.wake:
			}
			continue
		}
		a := m.lock(owner)
		t := m.server.NewTurn()
		if _, err := m.agree(ctx, t, owner, nil); err != nil && ctx.Err() == nil {
			m.log.Error("bookmarks not brought into agreement", "jid", owner.String(), "err", err)
		}
		t.End()
		m.unlock(owner, a)
		m.unref(owner, a)
	}
}

// take takes an account that waits.
func (m *Module) take() (owner jid.JID, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.waiting) == 0 {
		m.waiting = nil
		return jid.JID{}, false
	}
	owner, m.waiting = m.waiting[0], m.waiting[1:]
	m.accounts[owner].waits = false
	if len(m.waiting) > 0 {
		m.signal() // another goroutine
	}
	return owner, true
}

// lock takes an account for itself.
func (m *Module) lock(owner jid.JID) *account {
	m.mu.Lock()
	a := m.account(owner)
	a.refs++
	m.mu.Unlock()
	a.turn <- struct{}{}
	return a
}

// account is the caller's, who holds mu.
func (m *Module) account(owner jid.JID) *account {
	a := m.accounts[owner]
	if a == nil {
		a = &account{turn: make(chan struct{}, 1)}
		m.accounts[owner] = a
	}
	return a
}

func (m *Module) unlock(owner jid.JID, a *account) {
	<-a.turn
	m.unref(owner, a)
}

func (m *Module) unref(owner jid.JID, a *account) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if a.refs--; a.refs == 0 && m.accounts[owner] == a {
		delete(m.accounts, owner)
	}
}

// Settle waits until the nodes of an account agree, if it is one of them that is to be read.
func (m *Module) Settle(ctx context.Context, owner jid.JID, node string) error {
	if node != bookmarks.NS && node != bookmarks.NSStorage {
		return nil
	}
	m.mu.Lock()
	busy := m.accounts[owner] != nil
	m.mu.Unlock()
	if !busy {
		return nil
	}
	a := m.lock(owner)
	defer m.unlock(owner, a)
	t := m.server.NewTurn()
	defer t.End()
	_, err := m.agree(ctx, t, owner, nil)
	return err
}

// Get returns the list, for private XML.
func (m *Module) Get(ctx context.Context, u *server.User) ([]byte, error) {
	a := m.lock(u.JID)
	defer m.unlock(u.JID, a)
	t := m.server.NewTurn()
	defer t.End()
	list, err := m.agree(ctx, t, u.JID, nil)
	if err != nil || len(list.Rooms)+len(list.Others) == 0 {
		return nil, err
	}
	return list.AppendXML(nil), nil
}

// Set takes a list of private XML: when it returns, all is stored.
func (m *Module) Set(t *server.Turn, u *server.User, element []byte) (*store.Pending, error) {
	list := new(bookmarks.Storage)
	if err := list.DecodeXML(xmlstream.NewReader(element, stanza.NSClient)); err != nil {
		return nil, stanza.BadRequest.Err("these are no bookmarks")
	}
	a := m.lock(u.JID)
	defer m.unlock(u.JID, a)
	_, err := m.agree(context.Background(), t, u.JID, list)
	var refused *stanza.Error
	if errors.As(err, &refused) {
		return nil, err
	}
	return store.Resolved(err), nil
}
