// SPDX-License-Identifier: Apache-2.0

// Package pubsub keeps nodes: entities publish to them, others subscribe and are told. One engine serves the nodes of
// the service pubsub.DOMAIN and those of accounts, which module pep offers; a policy says what differs.
//
// XEP-0060 (partial, 1.30.0): no collections (XEP-0248), several subscriptions of one address, or leases; the service
// asks nobody for his presence: it sends last items, when somebody comes, to those who send it to the service; several
// affiliations or subscriptions are changed all or none, without naming those that failed
//
// XEP-0442 (complete, 0.2.0)
//
// How to read this package: node.go has a node in memory and the table of them. A request comes in by Module.serve
// (request.go) and is handled in one of: entity.go (what everybody may ask), subscribe.go, publish.go, owner.go, members.go.
// access.go says who may do what, notify.go who is told. disco.go is service discovery, account.go what other modules
// of this server use, operator.go what the operator does, service.go the address of the service, kept.go how much all nodes of one maker keep.
//
// N1: changes of a node are made one after the other, under node.work, which may be held while the store is read.
// What was changed is in node.mu's fields at once and in the store by a commit; subscribers are told when that is done,
// in the order of the commits. A change that cannot be stored throws the node out of memory, so that the next who comes
// reads what is true.
package pubsub

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stonechat-im/stonechat/config"
	"github.com/stonechat-im/stonechat/internal/metrics"
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/server/adhoc"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// Config is the key modules.pubsub.
type Config struct {
	// The service is at HOST.DOMAIN, for each of the domains.
	Host string `yaml:"host" default:"pubsub"`
	// Who may make nodes at the service: accounts (of this server), everybody, or nobody.
	Create Creators `yaml:"create" default:"accounts" live:"yes"`
	// Nodes of the service of one domain. One more is refused with resource-constraint.
	Nodes int `yaml:"nodes" default:"100000" live:"yes"`
	// NodesPerOwner is how many nodes that one address has made there may be at the service, whoever owns them now, and how many an
	// account may have itself.
	// One more is refused with resource-constraint.
	NodesPerOwner int `yaml:"nodes_per_owner" default:"1000" live:"yes"`
	// BytesPerOwner is how much all nodes that one address has made may keep at the service, and how much those of an account: their items,
	// names and configurations, and 64 bytes for each node and item. What would be more is refused with resource-constraint.
	BytesPerOwner config.Bytes `yaml:"bytes_per_owner" default:"256MiB" live:"yes"`
	// Subscriptions to all nodes of one service or account. One more is refused with policy-violation.
	Subscriptions int `yaml:"subscriptions" default:"1000000" live:"yes"`
	// SubscriptionsPerNode is how many one node may have. One more is refused with policy-violation.
	SubscriptionsPerNode int `yaml:"subscriptions_per_node" default:"20000" live:"yes"`
	// SubscriptionsPerAddress is how many resources of one address may be subscribed to one node, if their account does that
	// itself. One more is refused with policy-violation.
	SubscriptionsPerAddress int `yaml:"subscriptions_per_address" default:"100" live:"yes"`
	// Affiliations that one node may have. One more is refused with resource-constraint.
	Affiliations int `yaml:"affiliations" default:"5000" live:"yes"`
	// Items that one node may keep: the meaning of max in pubsub#max_items.
	Items int `yaml:"items" default:"10000" live:"yes"`
	// ItemBytes that the payload of one item may have. A larger one is refused with not-acceptable.
	ItemBytes int `yaml:"item_bytes" default:"196608" live:"yes"`
	// Page is how many items, nodes or subscriptions one answer holds at most; the rest is asked for by pages (XEP-0059).
	Page int `yaml:"page" default:"200" live:"yes"`
	// CachedNodes are held in memory when nobody is using them. One more, and that which was used longest ago is not, nor is the last item
	// of one that keeps no items (pubsub#persist_items): who subscribes or comes after that is not sent it.
	CachedNodes int `yaml:"cached_nodes" default:"20000" live:"yes"`
	// CachedFor is how long they are, at most, and expire_every longer; those that have a last item and keep none, for longer than that.
	CachedFor time.Duration `yaml:"cached_for" default:"10m" live:"yes"`
	// CachedAccounts are those of which the names of their nodes are held in memory, to know what their contacts
	// are to be told when they come.
	CachedAccounts int `yaml:"cached_accounts" default:"50000" live:"yes"`
	// Elsewhere is of how many resources of other servers and components it is known that they are available, because they have sent
	// the service their presence, and of how many sessions here that they have. Others are not sent last items when they come.
	Elsewhere int `yaml:"elsewhere" default:"100000" live:"yes"`
	// ExpireEvery is how often items are looked for that are older than their nodes allow.
	ExpireEvery time.Duration `yaml:"expire_every" default:"1m" live:"yes"`
}

// Creators says who may make nodes.
type Creators string

// Who may.
const (
	Accounts  Creators = "accounts"
	Everybody Creators = "everybody"
	Nobody    Creators = "nobody"
)

// UnmarshalText refuses what is none of them.
func (c *Creators) UnmarshalText(text []byte) error {
	switch *c = Creators(text); *c {
	case Accounts, Everybody, Nobody:
		return nil
	}
	return fmt.Errorf("%q is none of accounts, everybody, nobody", text)
}

// Audience knows who of an account's contacts may hear of its nodes. Module pep is one.
type Audience interface {
	// Sees reports whether viewer sees the presence of owner (access model presence). It may wait for the store.
	Sees(ctx context.Context, owner, viewer jid.JID) (bool, error)
	// Groups are the groups of owner's roster that viewer is in (access model roster). It may wait for the store.
	Groups(ctx context.Context, owner, viewer jid.JID) ([]string, error)
	// Interested appends the full addresses of available resources, the owner's own and those of contacts that see the
	// owner's presence, whose client asked for the notifications of node before that Moment: who has asked since then is sent
	// the last item.
	Interested(dst []jid.JID, owner jid.JID, node string, moment uint64) []jid.JID
}

// Archive keeps what is published (XEP-0442). Module mam is one.
type Archive interface {
	// Add keeps s, of that author or of nobody, and returns its id there. Where p has failed already nothing is kept.
	Add(t *server.Turn, a store.ArchiveName, with jid.JID, s *stanza.Stanza) (id string, p *store.Pending)
	// Answer answers q, a request to that archive, from somebody who may read it. It may wait.
	Answer(t *server.Turn, q *server.Query, a store.ArchiveName, see func(s *stanza.Stanza) bool) (stanza.Payload, error)
	// Forget drops an archive.
	Forget(a store.ArchiveName) *store.Pending
	// Features are those of an address that has archives.
	Features() []string
}

// Module is publish-subscribe.
type Module struct {
	config    atomic.Pointer[Config]
	audience  Audience      // nil: accounts have no nodes
	archive   Archive       // nil: none
	others    Readers       // nil: access models alone decide
	leader    *adhoc.Leader // nil: there are no commands
	commands  []adhoc.Command
	server    *server.Server
	store     store.Store
	log       *slog.Logger
	nodes     table
	desk      *server.Desk
	services  map[jid.JID]*service
	sizes     sizes
	owned     owned
	kept      kept
	names     names
	presences presences
	lastID    atomic.Uint64 // of notifications
	watchers  []func(t *server.Turn, owner jid.JID, node string, item store.Item)
	readers   []func(ctx context.Context, owner jid.JID, node string) error
	moments   atomic.Uint64 // see Moment
	deletions atomic.Int64  // of accounts
	removers  []func(owner jid.JID, node string, ids []string)
	metrics   struct {
		notifications, items, limited, forgotten metrics.Counter
	}
}

// New makes the module.
func New(c Config) *Module {
	m := new(Module)
	m.config.Store(&c)
	return m
}

// Hear sets who may hear of accounts' nodes, before Init.
func (m *Module) Hear(a Audience) { m.audience = a }

// Keep sets where archives are, before Init.
func (m *Module) Keep(a Archive) { m.archive = a }

// Let sets who decides about nodes of some accounts, before Init.
func (m *Module) Let(r Readers) { m.others = r }

// OnPublish has f called, before Init, for each item that was published, on goroutines that must not wait.
func (m *Module) OnPublish(f func(t *server.Turn, owner jid.JID, node string, item store.Item)) {
	m.watchers = append(m.watchers, f)
}

// OnRead has f called, before Init, when somebody is about to read items, so that what is made of other things is there. It may
// wait; an error refuses the request.
func (m *Module) OnRead(f func(ctx context.Context, owner jid.JID, node string) error) {
	m.readers = append(m.readers, f)
}

// OnRemove has f called, before Init, when items were removed from a node on purpose, on goroutines that must not wait:
// ids is nil where all were.
func (m *Module) OnRemove(f func(owner jid.JID, node string, ids []string)) {
	m.removers = append(m.removers, f)
}

// Name implements server.Module.
func (*Module) Name() string { return "pubsub" }

// Reload implements server.Reloader.
func (m *Module) Reload(next server.Module) {
	m.config.Store(next.(*Module).config.Load())
	m.nodes.trim()
	for _, n := range m.nodes.all() { // as many as were kept may not be kept any more
		n.mu.Lock()
		n.kept = nil
		n.mu.Unlock()
	}
}

// Init implements server.Module.
func (m *Module) Init(h *server.Host) error {
	m.server, m.store, m.log = h.Server, h.Store, h.Log
	m.nodes.init(m)
	m.lastID.Store(uint64(time.Now().UnixNano()))
	m.metrics.notifications = h.Metrics.Counter("stonechat_pubsub_notifications_total", "Notifications sent to subscribers of nodes.")
	m.metrics.items = h.Metrics.Counter("stonechat_pubsub_items_total", "Items published.")
	m.metrics.limited = h.Metrics.Counter("stonechat_pubsub_limited_total",
		"Requests refused for a bound of modules.pubsub: nodes, nodes_per_owner, bytes_per_owner, subscriptions, subscriptions_per_node, subscriptions_per_address, affiliations, items, item_bytes.")
	m.metrics.forgotten = h.Metrics.Counter("stonechat_pubsub_resources_forgotten_total", "Presence sent to a service by those whom it does not remember, because there are too many (modules.pubsub.elsewhere).")
	h.Metrics.GaugeFunc("stonechat_pubsub_nodes_loaded", "Nodes held in memory (modules.pubsub.cached_nodes).", m.nodes.size)
	m.presences.init()
	var err error
	if m.presences.stored, err = m.store.PurgesOffline(context.Background()); err != nil {
		return fmt.Errorf("pubsub: %w", err)
	}
	h.Deleted, h.PresenceChanged, h.Ended = m.deleted, m.changed, m.ended
	return m.serveHosts(h)
}

// Run removes items that are too old, and what goes with people's presence.
func (m *Module) Run(ctx context.Context) error {
	var leaving sync.WaitGroup
	defer leaving.Wait()
	leaving.Go(func() { m.leave(ctx) })
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(max(m.config.Load().ExpireEvery, time.Second)):
		}
		if err := m.store.Commit(store.ExpireItems{Now: time.Now(), Limit: expireSlice}).Wait(ctx); err != nil && ctx.Err() == nil {
			m.log.Error("items not expired", "err", err)
		}
		m.nodes.trim()
	}
}

// expireSlice is how many items of a node, of how many nodes, one commit removes.
const expireSlice = 100

// deleted forgets what an account was to nodes. The store has done so.
func (m *Module) deleted(_ *server.Turn, u *server.User) {
	m.deletions.Add(1) // who reads a node now reads it again
	m.sizes.forget(u.JID)
	m.owned.forgetAll() // the account owns nothing any more, and its name may be somebody's again
	m.names.forget(u.JID)
	for _, n := range m.nodes.all() {
		if n.name.JID == u.JID {
			m.nodes.drop(n)
			continue
		}
		n.mu.Lock()
		delete(n.affiliations, u.JID)
		if n.creator == u.JID && n.orphan == 0 {
			n.orphan = orphanUnread
		}
		for _, s := range n.of(u.JID) {
			n.remove(s.jid)
		}
		n.mu.Unlock()
	}
}
