// SPDX-License-Identifier: Apache-2.0

// Package pep makes every account a publish-subscribe service of its own: who sees an account's
// presence hears of what it publishes, if his client asks for it, and is told the last of it when he
// comes. Nodes and items are module pubsub's; this is who may see them and who hears of them.
//
// XEP-0163 (partial, 1.2.2): without subscriptions to the account as a collection, and without
// the address of the resource that published (XEP-0033)
//
// XEP-0222 (complete, 1.0), XEP-0223 (complete, 1.1.1)
//
// How to read this package: this file has what others ask of an account's nodes; audience.go who hears
// of them; interest.go what a client asks for; appear.go sends what was published last to who comes,
// and sight.go what he may see of it; elsewhere.go are the clients of contacts that are not accounts of ours.
package pep

import (
	"context"
	"log/slog"
	"sync/atomic"

	"github.com/stonechat-im/stonechat/internal/metrics"
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/caps"
	"github.com/stonechat-im/stonechat/xmpp/disco"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/pubsub"
	"github.com/stonechat-im/stonechat/xmpp/rsm"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// Roster is what this module needs of module roster.
type Roster interface {
	// Item is one contact; Contacts appends those with that subscription. Both may wait for the
	// store unless the account is online.
	Item(u *server.User, contact jid.JID) (store.RosterItem, error)
	Contacts(u *server.User, dst []jid.JID, with store.Subscription) ([]jid.JID, error)
	// OnChange has f told of each committed change of a contact.
	OnChange(f func(u *server.User, was, is store.RosterItem))
}

// Caps is what this module needs of module caps: what a client can do, nil where nobody knows. See
// there.
type Caps interface {
	Learn(t *server.Turn, c *caps.Caps, by, who jid.JID, tell func(t *server.Turn, features []string))
}

// Disco is what this module needs of module disco.
type Disco interface {
	// Identify adds to what the server, and accounts, say that they are.
	Identify(at server.Where, id disco.Identity)
	// Nodes sets who answers for the nodes of accounts.
	Nodes(info func(context.Context, *server.Query, string) (*disco.Info, error), items func(context.Context, *server.Query, *disco.Items) (*disco.Items, error))
}

// Engine is what this module needs of module pubsub: the nodes of accounts.
type Engine interface {
	// Account answers a request to the nodes of q.User.
	Account(t *server.Turn, q *server.Query) (stanza.Payload, error)
	// Moment is a number greater than those before, for Appeared.
	Moment() uint64
	// Appeared sends what was published last at those of the owners' nodes that are wanted to the full
	// address to, as far as it may see it, but for what came after that Moment. It waits for the store, and returns
	// when all is sent.
	Appeared(ctx context.Context, owners []jid.JID, to jid.JID, since uint64, wants func(node string) bool)
	// Recheck ends subscriptions of a contact to nodes of the owner that it may not have any more. It waits for
	// the store.
	Recheck(ctx context.Context, owner, contact jid.JID) error
	// AccountInfo and AccountItems describe a node of the owner, and list them or a node's items: what the
	// viewer may see.
	AccountInfo(ctx context.Context, owner, viewer jid.JID, node string) (*disco.Info, error)
	AccountItems(ctx context.Context, owner, viewer jid.JID, node string, page *rsm.Set) (*disco.Items, error)
	// AccountFeatures are those of the specification that accounts have.
	AccountFeatures() []string
}

// Config is the key modules.pep.
type Config struct {
	// Resources of one contact at another server, or behind a component, that are remembered, with what
	// they ask for. Others hear of nothing.
	Resources int `yaml:"resources" default:"20" live:"yes"`
	// Elsewhere is how many such resources of all contacts are remembered.
	Elsewhere int `yaml:"elsewhere" default:"100000" live:"yes"`
	// Rechecks is how many contacts may wait to be looked at who may have lost access to what they are subscribed to. The
	// subscriptions of others end when there are news.
	Rechecks int `yaml:"rechecks" default:"10000" live:"yes"`
}

// Module is personal eventing.
type Module struct {
	config  atomic.Pointer[Config]
	roster  Roster
	caps    Caps
	disco   Disco
	engine  Engine
	server  *server.Server
	store   store.Store
	log     *slog.Logger
	clients server.SessionSlot[interest] // what sessions ask for
	others  elsewhere
	coming  queue
	sights  sights
	metrics struct{ forgotten, rechecks metrics.Counter }
}

// New makes the module.
func New(c Config, r Roster, k Caps, d Disco) *Module {
	m := &Module{roster: r, caps: k, disco: d}
	m.coming.wake = make(chan struct{}, 1)
	m.config.Store(&c)
	return m
}

// Over sets, before Init, whose the nodes are.
func (m *Module) Over(e Engine) { m.engine = e }

// Name implements server.Module.
func (*Module) Name() string { return "pep" }

// Reload implements server.Reloader.
func (m *Module) Reload(next server.Module) { m.config.Store(next.(*Module).config.Load()) }

// Init implements server.Module.
func (m *Module) Init(h *server.Host) error {
	m.server, m.store, m.log = h.Server, h.Store, h.Log
	m.clients = server.NewSessionSlot[interest](h)
	m.metrics.forgotten = h.Metrics.Counter("stonechat_pep_resources_forgotten_total", "Resources of contacts at other servers that are not told of news, because there are too many (modules.pep.resources, modules.pep.elsewhere).")
	m.metrics.rechecks = h.Metrics.Counter("stonechat_pep_rechecks_left_total", "Contacts who may have lost access and whose subscriptions were not looked at, because too many waited (modules.pep.rechecks).")
	h.Metrics.GaugeFunc("stonechat_pep_resources_elsewhere", "Resources of contacts at other servers that are told of news.", func() float64 { return float64(m.others.len()) })
	// What answers at the server's own address is said there too (XEP-0222 §5, XEP-0223 §5).
	m.disco.Identify(server.AtHost|server.AtAccount, disco.Identity{Category: "pubsub", Type: "pep"})
	for _, f := range m.engine.AccountFeatures() {
		h.Feature(server.AtHost|server.AtAccount, f)
	}
	m.disco.Nodes(m.info, m.items)
	for _, space := range []string{pubsub.NS, pubsub.NSOwner} {
		name := xmlstream.Name{Space: space, Local: "pubsub"}
		for _, typ := range []stanza.Type{stanza.Get, stanza.Set} {
			h.IQ(server.IQHandler{At: server.AtAccount, Others: true, Type: typ, Name: name, Blocking: true, Do: m.answer})
		}
	}
	m.roster.OnChange(m.changed)
	h.PresenceChanged = m.presenceChanged
	h.Ended = func(_ *server.Turn, se *server.Session, _ server.Presence) { m.clients.Of(se).leave() }
	h.OnArriving(server.Observe, m.arriving)
	h.Deleted = func(_ *server.Turn, u *server.User) {
		m.others.drop(u.JID)
		m.sights.forgetAll()
	}
	return nil
}

// answer hands a request to the engine. Who does not see the account's presence is not told of what is
// not there: as little as that there is such an account (RFC 6121 §8.5.1, §13.4).
func (m *Module) answer(t *server.Turn, q *server.Query) (stanza.Payload, error) {
	if q.User.Guest() {
		return nil, stanza.ServiceUnavailable.Err("a guest keeps nothing")
	}
	p, err := m.engine.Account(t, q)
	return p, m.veil(context.Background(), q, err)
}

// info describes a node, for module disco.
func (m *Module) info(ctx context.Context, q *server.Query, node string) (*disco.Info, error) {
	info, err := m.engine.AccountInfo(ctx, q.User.JID, q.From, node)
	return info, m.veil(ctx, q, err)
}

// items lists the nodes that who asks may see, or the items of one.
func (m *Module) items(ctx context.Context, q *server.Query, ask *disco.Items) (*disco.Items, error) {
	items, err := m.engine.AccountItems(ctx, q.User.JID, q.From, ask.Node, ask.Page)
	if err == nil && len(items.Items) == 0 {
		err = m.veil(ctx, q, stanza.ItemNotFound.Err(""))
		if e, _ := stanza.AsError(err); e.Condition == stanza.ItemNotFound {
			return items, nil
		}
	}
	return items, m.veil(ctx, q, err)
}

// veil makes item-not-found what an account that does not exist would answer, unless the account's
// presence is known to who asks.
func (m *Module) veil(ctx context.Context, q *server.Query, err error) error {
	if err == nil {
		return nil
	}
	if e, told := stanza.AsError(err); !told || e.Condition != stanza.ItemNotFound {
		return err
	}
	sees, failed := m.Sees(ctx, q.User.JID, q.From)
	switch {
	case failed != nil:
		return failed
	case sees:
		return err
	}
	return stanza.ServiceUnavailable.Err("")
}
