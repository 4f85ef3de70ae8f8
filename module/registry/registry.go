// SPDX-License-Identifier: Apache-2.0

// Package registry knows which accounts are things, and whose they are. It is a service at HOST.DOMAIN, the one place at which
// things and their owners, and people who talk to it with words, find what modules have to offer about things.
//
// XEP-0347 (partial, 0.5.1): no search for a server by DHCP, mDNS or UPnP; things have accounts of this server, their owners may
// be anywhere
//
// Deviation: a search does not tell owners; where the schema requires one, the service's own address stands. A thing that is
// offline can be disowned: it is told when it comes back, and cannot be claimed before it has registered again. What is
// removed from the registry stays its owner's, and is not found.
//
// How to read this package: registry.go has the configuration and what other modules use; service.go the place and what it
// takes, voice.go the address that people see it at; owner.go how things are registered, claimed, given away and disowned, whatever way that was asked for: by request.go,
// verbs.go or commands.go; search.go how they are found; news.go how they are told what has become of them.
//
// T1: a change of who owns a thing is one commit, with the rosters of both sides and what other modules keep for the owner
// (OnOwner). Changes of one account's things are made one after the other, under Module.working, which is held while the
// store is waited for, on workers only.
package registry

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stonechat-im/stonechat/config"
	"github.com/stonechat-im/stonechat/internal/metrics"
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/server/adhoc"
	"github.com/stonechat-im/stonechat/server/chat"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/caps"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// Config is the key modules.registry.
type Config struct {
	// The service of example.org is at this name below it: things.example.org.
	Host string `yaml:"host" default:"things"`
	// ThingsPerAccount is how many things one account may have registered: itself, and nodes behind it. One more is refused
	// with resource-constraint.
	ThingsPerAccount int `yaml:"things_per_account" default:"5000" live:"yes"`
	// ThingsPerOwner is how many things one address may own. One more is refused with resource-constraint. They are all in the
	// owner's roster, where they are not counted among other contacts: modules.roster.related bounds them, too.
	ThingsPerOwner int `yaml:"things_per_owner" default:"5000" live:"yes"`
	// Tags of one thing; one more is refused with policy-violation. No more than 64 are ever read.
	Tags int `yaml:"tags" default:"64" live:"yes"`
	// KeyLength is how many characters the KEY must have by which a thing can be claimed; a shorter one is refused with
	// not-acceptable.
	KeyLength int `yaml:"key_length" default:"16" live:"yes"`
	// Groups that one thing may be in.
	Groups int `yaml:"groups" default:"20" live:"yes"`
	// NameBytes of what its owner calls a thing, and of the name of a group.
	NameBytes config.Bytes `yaml:"name_bytes" default:"128" live:"yes"`
	// Page is how many things one answer to a search holds at most.
	Page int `yaml:"page" default:"100" live:"yes"`
	// Operators that one search may have; more are refused with policy-violation. No more than 32 are ever read.
	Operators int `yaml:"operators" default:"12" live:"yes"`
	// Offset is how far into its results a search may ask. Beyond it is refused with policy-violation.
	Offset int `yaml:"offset" default:"10000" live:"yes"`
	// Scan is how many things a search by regular expressions looks at. If that is not enough it is refused with
	// policy-violation.
	Scan int `yaml:"scan" default:"10000" live:"yes"`
	// AnswerWithin is how long a thing has to answer when it is told that it was claimed, removed or disowned.
	AnswerWithin time.Duration `yaml:"answer_within" default:"30s" none:"no" live:"yes"`
	// TellEvery is how often a thing that is there is told so again until it has answered; it is told each time when it comes, too.
	TellEvery time.Duration `yaml:"tell_every" default:"10m" live:"yes"`
	// ClaimsPerHour is how many claims of one address may fail in an hour. Then all fail with policy-violation.
	ClaimsPerHour int `yaml:"claims_per_hour" default:"30" live:"yes"`
	// GiveExpire is how long whoever is given a thing has time to claim it.
	GiveExpire time.Duration `yaml:"give_expire" default:"168h" none:"no" live:"yes"`
	// MessageBytes of a message to the service that is read.
	MessageBytes config.Bytes `yaml:"message_bytes" default:"4096" live:"yes"`
	// AnswerBytes of an answer in words; what is beyond is left out.
	AnswerBytes config.Bytes `yaml:"answer_bytes" default:"16384" live:"yes"`
	// MessagesPerMinute are how many messages of one address are answered.
	MessagesPerMinute int `yaml:"messages_per_minute" default:"30" live:"yes"`
}

func (c *Config) bounds() chat.Bounds {
	return chat.Bounds{Bytes: int(c.MessageBytes), Answer: int(c.AnswerBytes), PerMinute: c.MessagesPerMinute}
}

// searches are how many go on at one time; others wait, and with them who asked.
const searches = 2

// Contacts are the rosters of accounts. Module roster has them.
type Contacts interface {
	// Relate makes addresses friends, or ends that, in one commit with ops. It may wait.
	Relate(ctx context.Context, relations []Relation, ops ...store.Op) (*store.Pending, error)
}

// Relation is what is to be between a thing and somebody.
type Relation struct {
	Thing, Other jid.JID
	Friends      bool
	Service      bool   // Thing is the registry's own address, which is seen and sees nobody
	Name         string // of the thing, in the other's roster
}

// Module is the service.
type Module struct {
	config   atomic.Pointer[Config]
	contacts Contacts
	caps     func() (*caps.Caps, error) // computed when they are first shown: then all modules are there
	leader   *adhoc.Leader              // nil: there are no commands
	server   *server.Server
	store    store.Store
	log      *slog.Logger
	desk     *server.Desk
	handlers []server.IQHandler
	features []string
	verbs    []chat.Verb
	chat     *chat.Table
	commands []adhoc.Command
	owners   []func(thing jid.JID, node store.ThingNode, old, new jid.JID) []store.Op
	changes  []func(thing jid.JID)
	partings []func(ctx context.Context, thing, next jid.JID) ([]jid.JID, error)
	hosts    map[string]jid.JID // the service's address, by the domain it is of

	known   known
	news    news
	working [64]sync.Mutex
	looking chan struct{} // held by searches: a few at a time, so that they leave the store to others
	failed  failures
	metrics struct {
		limited metrics.CounterVec // by key
		claims  metrics.CounterVec // by outcome
	}
}

// New makes the module. People are led through commands by leader, which may be nil.
func New(c Config, contacts Contacts, leader *adhoc.Leader) *Module {
	m := &Module{contacts: contacts, leader: leader, hosts: make(map[string]jid.JID)}
	m.config.Store(&c)
	m.known.seed = maphash.MakeSeed()
	m.looking = make(chan struct{}, searches)
	m.caps = sync.OnceValues(m.capabilities)
	m.news.init()
	m.addVerbs()
	m.addCommands()
	return m
}

// Name implements server.Module.
func (*Module) Name() string { return "registry" }

// Reload implements server.Reloader.
func (m *Module) Reload(next server.Module) {
	c := next.(*Module).config.Load()
	m.config.Store(c)
	m.chat.Bound(c.bounds())
}

// Init implements server.Module.
func (m *Module) Init(h *server.Host) error {
	m.server, m.store, m.log = h.Server, h.Store, h.Log
	m.metrics.limited = h.Metrics.CounterVec("stonechat_registry_limited_total",
		"What a bound of the registry has refused (modules.registry.things_per_account, modules.registry.things_per_owner, "+
			"modules.registry.claims_per_hour, modules.registry.messages_per_minute, modules.registry.tags, modules.registry.key_length, "+
			"modules.registry.groups, modules.registry.name_bytes, modules.registry.operators, modules.registry.offset, modules.registry.scan).", "key")
	m.metrics.claims = h.Metrics.CounterVec("stonechat_registry_claims_total", "Claims of things, by how they ended: claimed, refused, failed.", "outcome")
	h.Metrics.GaugeFunc("stonechat_registry_accounts", "Accounts that are known as things.", func() float64 { return float64(m.known.count.Load()) })
	m.chat = chat.New(m.config.Load().bounds(), h.Log, func() { m.metrics.limited.WithLabelValues("messages_per_minute").Inc() })
	for _, v := range m.verbs {
		m.chat.Add(v)
	}
	h.Metrics.GaugeFunc("stonechat_registry_untold", "Accounts that have not answered yet to what has become of them as things.", func() float64 { return float64(m.news.len()) })
	h.PresenceChanged, h.Deleted = m.changed, m.deleted
	m.desk = h.NewDesk()
	m.answers()
	for _, x := range m.handlers {
		m.desk.IQ(x)
	}
	for _, domain := range h.Server.Domains() {
		at, err := jid.New("", m.config.Load().Host+"."+domain, "")
		if err != nil {
			return fmt.Errorf("modules.registry.host: %w", err)
		}
		if _, err := h.Server.Attach(at.Domain(), &service{m, at, domain}); err != nil {
			return fmt.Errorf("modules.registry.host: %w", err)
		}
		m.hosts[domain] = at
	}
	return nil
}

// Open implements server.Opener: it reads which accounts are things.
func (m *Module) Open(ctx context.Context) error {
	if err := m.chat.Err(); err != nil {
		return err
	}
	for after := (jid.JID{}); ; {
		page, err := m.store.ThingAccounts(ctx, after, 0)
		if err != nil {
			return fmt.Errorf("registry: %w", err)
		}
		if len(page) == 0 {
			return m.resume(ctx)
		}
		for _, j := range page {
			m.known.add(j)
		}
		after = page[len(page)-1]
	}
}

// Thing says whose a thing is, and what it is called: a node that is not registered belongs to whoever has its account. The
// owner is zero where it is nobody's. It is store.ErrNotFound where there is no such thing. It may wait.
func (m *Module) Thing(ctx context.Context, thing jid.JID, node store.ThingNode) (owner jid.JID, label string, err error) {
	name := store.ThingName{JID: thing.Bare(), ThingNode: node}
	x, err := m.store.Thing(ctx, name)
	if errors.Is(err, store.ErrNotFound) && node != (store.ThingNode{}) {
		x, err = m.store.Thing(ctx, store.ThingName{JID: name.JID})
	}
	if err != nil {
		return jid.JID{}, "", fmt.Errorf("registry: thing %s: %w", thing, err)
	}
	return x.Owner, called(&x), nil
}

// Known reports whether an account may be, or have, a thing. That it may be is to be found out by Thing; that it is not is
// certain. It does not wait.
func (m *Module) Known(account jid.JID) bool { return m.known.has(account) }

// Learn says, before it is committed, that an account becomes a thing.
func (m *Module) Learn(account jid.JID) { m.known.add(account.Bare()) }

// Handle adds, before the server starts, who answers one kind of request to the service. features are what service discovery
// says of it.
func (m *Module) Handle(h server.IQHandler, features ...string) {
	m.features = append(m.features, features...)
	if m.desk != nil {
		m.desk.IQ(h)
		return
	}
	m.handlers = append(m.handlers, h)
}

// Verb adds, before the server starts, something that people can say to the service.
func (m *Module) Verb(v chat.Verb) {
	if m.chat != nil {
		m.chat.Add(v)
		return
	}
	m.verbs = append(m.verbs, v)
}

// Lead adds, before the server starts, a command of the service.
func (m *Module) Lead(c adhoc.Command) { m.commands = append(m.commands, c) }

// Address is where the service of a domain is; zero where there is none.
func (m *Module) Address(domain string) jid.JID { return m.hosts[domain] }

// Speaks reports whether an address is that of the service, or that from where it speaks to people.
func (m *Module) Speaks(from jid.JID) bool {
	for _, at := range m.hosts {
		if at == from || voiceOf(at) == from {
			return true
		}
	}
	return false
}

// OnOwner has f asked, before the server starts, what else is to be committed when a thing gets another owner: none where one
// is zero. f must not wait. When the owner's account is deleted, f's operations are committed right after that, both owners zero;
// after a crash perhaps again. What belongs to the account of the thing goes with it, and f is not asked.
func (m *Module) OnOwner(f func(thing jid.JID, node store.ThingNode, old, new jid.JID) []store.Op) {
	m.owners = append(m.owners, f)
}

// limited counts what a bound has refused, and says so to the peer.
func (m *Module) limited(key string, err error) error {
	m.metrics.limited.WithLabelValues(key).Inc()
	return err
}

// known are hashes of the accounts that are things: a few too many, never one too few.
type known struct {
	seed   maphash.Seed
	count  atomic.Int64
	shards [64]struct {
		mu  sync.RWMutex
		set map[uint64]struct{}
	}
}

func (k *known) add(j jid.JID) {
	h := maphash.String(k.seed, j.String())
	s := &k.shards[h%uint64(len(k.shards))]
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, there := s.set[h]; there {
		return
	}
	if s.set == nil {
		s.set = make(map[uint64]struct{})
	}
	s.set[h] = struct{}{}
	k.count.Add(1)
}

func (k *known) has(j jid.JID) bool {
	if k.count.Load() == 0 {
		return false
	}
	h := maphash.String(k.seed, j.Bare().String())
	s := &k.shards[h%uint64(len(k.shards))]
	s.mu.RLock()
	defer s.mu.RUnlock()
	_, there := s.set[h]
	return there
}

// work lets one change of an account's things be made at a time.
func (m *Module) work(account jid.JID) (done func()) {
	mu := &m.working[maphash.String(m.known.seed, account.String())%uint64(len(m.working))]
	mu.Lock()
	return mu.Unlock
}
