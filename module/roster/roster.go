// SPDX-License-Identifier: Apache-2.0

// Package roster keeps every account's contacts: it answers roster requests, pushes changes to
// the sessions that asked for the roster, and holds the state of subscriptions for module
// presence. A client that has kept an older version of its roster is sent what has changed.
//
// RFC 6121 §2
//
// How to read this package: book.go is one account's contacts in memory, while the account is in
// use; Module.update is the one way to change it. iq.go answers clients.
//
// V1: clients are told committed versions only, each once, and in their order: a session hears of
// a change by the answer to its request or by a push behind that answer. The version of a crashed
// server's last change is then never given to another state of the roster.
package roster

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/stonechat-im/stonechat/internal/metrics"
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/roster"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/stream"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// Config is the key modules.roster.
type Config struct {
	// Items that one account may have of its own. One more is refused with resource-constraint. The things that it owns are not
	// counted here, nor are the owners of a thing.
	Items int `yaml:"items" default:"5000" live:"yes"`
	// Related are the items that one account has besides: its things, or its owners. To claim one more is refused with
	// resource-constraint. modules.registry.things_per_owner bounds them, too.
	Related int `yaml:"related" default:"10000" live:"yes"`
	// NameBytes of a contact's or a group's name.
	NameBytes int `yaml:"name_bytes" default:"1023" live:"yes"`
	// Groups of one contact.
	Groups int `yaml:"groups" default:"50" live:"yes"`
	// Requests of others to see an account's presence that wait for its answer. One more is
	// refused with resource-constraint.
	Requests int `yaml:"requests" default:"100" live:"yes"`
}

// Module keeps rosters.
type Module struct {
	config atomic.Pointer[Config]
	server *server.Server
	store  store.Store
	log    *slog.Logger
	books  server.UserSlot[book]
	asked  server.SessionSlot[struct{}] // sessions that asked for the roster (RFC 6121 §2.2)
	limits metrics.CounterVec           // what they have refused, by key
	lost   func(t *server.Turn, account, contact jid.JID)
	change func(u *server.User, was, is store.RosterItem)

	deletions atomic.Int64 // of accounts

	managers Managers
	gained   func(t *server.Turn, u *server.User, contact jid.JID)
}

// OnLost sets who is told, before Init, that a contact does not see the account's presence any
// more because it was removed from the roster.
func (m *Module) OnLost(f func(t *server.Turn, account, contact jid.JID)) { m.lost = f }

// OnChange adds to those who are told, before the server starts, of each change of a contact that is committed: behind the push of
// it, and in the order of an account's changes. An item that is gone, or was not there, is Hidden. f
// must not wait, nor ask this module.
func (m *Module) OnChange(f func(u *server.User, was, is store.RosterItem)) {
	first := m.change
	if first == nil {
		m.change = f
		return
	}
	m.change = func(u *server.User, was, is store.RosterItem) { first(u, was, is); f(u, was, is) }
}

// New makes the module.
func New(c Config) *Module {
	m := new(Module)
	m.config.Store(&c)
	return m
}

// Name implements server.Module.
func (*Module) Name() string { return "roster" }

// Reload implements server.Reloader.
func (m *Module) Reload(next server.Module) { m.config.Store(next.(*Module).config.Load()) }

// Init implements server.Module.
func (m *Module) Init(h *server.Host) error {
	m.server, m.store, m.log = h.Server, h.Store, h.Log
	m.books = server.NewUserSlot[book](h)
	m.asked = server.NewSessionSlot[struct{}](h)
	h.Load = func(ctx context.Context, u *server.User) error {
		_, err := m.book(ctx, u)
		return err
	}
	m.limits = h.Metrics.CounterVec("stonechat_roster_limited_total",
		"Contacts and requests that a bound has refused (modules.roster.items, modules.roster.related, modules.roster.requests).", "key")
	name := xmlstream.Name{Space: roster.NS, Local: "query"}
	h.Deleted = m.deleted
	h.Features = features
	for typ, do := range map[stanza.Type]func(*server.Turn, *server.Query) (stanza.Payload, error){stanza.Get: m.get, stanza.Set: m.set} {
		h.IQ(server.IQHandler{At: server.AtAccount, Type: typ, Name: name, Blocking: true, Admit: m.admit, Do: do})
	}
	return nil
}

// features announces versions (RFC 6121 §2.6.1).
func features(dst []byte, st server.Stream) []byte {
	if st.State() != stream.Authenticated {
		return dst
	}
	return append(dst, "<ver xmlns='"+roster.NSVersioning+"'/>"...)
}

// book returns the account's contacts, reading them if they are not at hand.
func (m *Module) book(ctx context.Context, u *server.User) (*book, error) {
	if b := m.books.Of(u); b != nil {
		return b, nil
	}
	deletions := m.deletions.Load()
	kept, err := m.store.Roster(ctx, u.JID)
	if err != nil {
		return nil, fmt.Errorf("roster of %s: %w", u.JID, err)
	}
	b := m.books.SetOnce(u, newBook(kept))
	if m.deletions.Load() == deletions {
		return b, nil
	}
	b.distrust() // somebody in it may be nobody now
	return b, m.restore(u, b)
}

// Ready reports whether the account's contacts are at hand, so that Item, Each and Update need
// not wait for the store.
func (m *Module) Ready(u *server.User) bool { return m.books.Of(u) != nil }

// Item returns one contact; its zero value, with the address, where there is none. It may wait
// for the store unless Ready.
func (m *Module) Item(u *server.User, contact jid.JID) (store.RosterItem, error) {
	b, err := m.book(context.Background(), u)
	if err != nil {
		return store.RosterItem{}, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.item(contact), nil
}

// Each returns the account's contacts, hidden ones included, in no order. u is online.
func (m *Module) Each(u *server.User) []store.RosterItem {
	b := m.books.Of(u)
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	all := make([]store.RosterItem, 0, len(b.items))
	for _, it := range b.items {
		all = append(all, it)
	}
	return all
}

// Contacts appends the addresses of contacts with that subscription, to or from. It may wait for the
// store unless Ready.
func (m *Module) Contacts(u *server.User, dst []jid.JID, with store.Subscription) ([]jid.JID, error) {
	b, err := m.book(context.Background(), u)
	if err != nil {
		return dst, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for contact, it := range b.items {
		if it.Subscription&with != 0 {
			dst = append(dst, contact)
		}
	}
	return dst, nil
}

// Asking lets one change of a subscription that the account makes be told to the contact before the
// next one is made, until done is called: of two resources, one of which asks and one takes it
// back, the contact hears in the order in which the roster was changed. It may wait for the store.
func (m *Module) Asking(u *server.User) (done func(), err error) {
	b, err := m.book(context.Background(), u)
	if err != nil {
		return nil, err
	}
	b.asking.Lock()
	return b.asking.Unlock, nil
}

// Count is how many contacts Each returns.
func (m *Module) Count(u *server.User) int {
	b := m.books.Of(u)
	if b == nil {
		return 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.items)
}

// Update changes one contact: change gets it as it is (zero but for the address where there is
// none) and says whether anything is to be stored. What the user may see is pushed once it is
// committed. An item that is hidden and waits for nothing is removed. Update may wait for the
// store unless Ready; the Pending is nil where nothing changed. The error is a *stanza.Error.
func (m *Module) Update(u *server.User, contact jid.JID, change func(*store.RosterItem) bool) (*store.Pending, error) {
	b, err := m.book(context.Background(), u)
	if err != nil {
		return nil, err
	}
	return m.update(u, b, contact, quiet, change)
}

// full says that a bound is reached.
func (m *Module) full(key, text string) error {
	m.limits.WithLabelValues(key).Inc()
	return stanza.ResourceConstraint.Err(text)
}

// manner is what is special about a change.
type manner uint8

const (
	quiet manner = iota // nothing
	told                // sessions hear of it even if they see no difference
	ended               // the contact's account is gone: what was between the two has ended in the store
)

// update is Update for a book at hand.
func (m *Module) update(u *server.User, b *book, contact jid.JID, how manner, change func(*store.RosterItem) bool) (*store.Pending, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	was := b.item(contact)
	_, existed := b.items[contact]
	it := was
	if !change(&it) {
		return nil, nil //nolint:nilnil // documented: nothing changed
	}
	it.Related = it.Related && (it.Subscription != store.SubscriptionNone || it.Approved) // else nothing is left of what it was there for
	gone := it.Hidden && it.In == nil && !it.Approved
	if !existed && !gone && b.own() >= m.config.Load().Items {
		return nil, m.full("items", "the roster is full")
	}
	if gone && !existed {
		return nil, nil //nolint:nilnil // it was not there
	}
	if it.In != nil && was.In == nil && int(b.requests) >= m.config.Load().Requests {
		return nil, m.full("requests", "too many requests wait for an answer")
	}
	it.Version = b.next(time.Now())
	row := it
	if how == ended { // in memory until the stanzas that say so have come: clients are told by them
		row.Subscription, row.Ask, row.In, row.Related = store.SubscriptionNone, false, nil, false
	}
	var op store.Op = store.SetRosterItem{User: u.JID, Item: row}
	if gone {
		op = store.DeleteRosterItem{User: u.JID, Contact: contact, Version: it.Version}
	}
	b.put(was, it, gone)
	// Committed under the lock: commits come in the order of the versions.
	b.begin()
	p := u.Commit(op)
	p.OnDone(func(err error) {
		if err == nil && (how == told || !looksLike(was, it)) {
			m.push(u, it)
		}
		if err == nil && m.change != nil {
			m.change(u, was, it)
		}
		if b.end(it.Version, err) { // behind the push: V1
			go func() { _ = m.restore(u, b) }() // one of a book at a time, as long as one read
		}
	})
	return p, nil
}

// restore makes a book what is stored, after a commit that failed, or where it was read too early. Who asks waits meanwhile.
func (m *Module) restore(u *server.User, b *book) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if pending, failed := b.state(); pending || !failed {
		return nil
	}
	kept, err := m.store.Roster(context.Background(), u.JID)
	if err != nil {
		m.log.Error("roster not read again after a commit failed", "jid", u.JID.String(), "err", err)
		return err // the end of the next commit tries again
	}
	b.fill(kept)
	return nil
}

// looksLike reports whether clients see no difference between two states of an item.
func looksLike(a, b store.RosterItem) bool {
	if a.Hidden || b.Hidden {
		return a.Hidden == b.Hidden
	}
	return a.Name == b.Name && slices.Equal(a.Groups, b.Groups) && a.Subscription == b.Subscription &&
		a.Ask == b.Ask && a.Approved == b.Approved
}

// push tells the sessions that asked for the roster of one item (RFC 6121 §2.1.6). It runs on the
// store's goroutine, so that pushes come in the order of the versions.
func (m *Module) push(u *server.User, it store.RosterItem) {
	t := m.server.NewTurn()
	defer t.End()
	for _, se := range m.Interested(u, nil) {
		tell(t, se, it)
	}
	if m.managers != nil {
		m.managers.RosterChanged(t, u.JID, pushed(it))
	}
}

// pushed is what a push says.
func pushed(it store.RosterItem) *roster.Query {
	q := &roster.Query{Ver: version(it.Version), Versioned: true, Items: []roster.Item{wire(it)}}
	if it.Hidden {
		q.Items[0] = roster.Item{JID: it.Contact, Subscription: roster.Remove}
	}
	return q
}

// tell pushes one item to one session.
func tell(t *server.Turn, se *server.Session, it store.RosterItem) {
	q := pushed(it)
	s := stanza.New(stanza.IQ, stanza.Set, se.JID, q)
	s.ID = []byte("push" + q.Ver)
	se.Send(t, s)
}

// version is how clients see it.
func version(v int64) string { return strconv.FormatInt(v, 10) }

// Interested appends the account's sessions that asked for the roster (RFC 6121 §2.2).
func (m *Module) Interested(u *server.User, dst []*server.Session) []*server.Session {
	for _, se := range u.Sessions(nil) {
		if m.asked.Of(se) != nil {
			dst = append(dst, se)
		}
	}
	return dst
}

// wire is an item as clients see it.
func wire(it store.RosterItem) roster.Item {
	return roster.Item{
		JID: it.Contact, Name: it.Name, Groups: it.Groups,
		Subscription: roster.Subscription(it.Subscription), Ask: it.Ask, Approved: it.Approved,
	}
}
