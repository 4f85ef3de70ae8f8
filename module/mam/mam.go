// SPDX-License-Identifier: Apache-2.0

// Package mam keeps archives: what an account has sent and received, what was said in a room, what was published at a node.
// Accounts say what of theirs is kept, ask for it page by page, and search it for words.
//
// XEP-0313 (complete, 1.1.3), XEP-0359 (complete, 0.7.0), XEP-0424 (complete, 0.4.2), XEP-0431 (complete, 0.2.0),
// XEP-0441 (complete, 0.2.0)
//
// How to read this package: what.go says which messages are kept, keep.go gives them their ids and has them committed,
// gather.go those of several turns together, answer.go answers queries, named.go those by ids, others.go is for rooms and nodes,
// prefs.go has preferences, retain.go removes what is too old, text.go keeps the index of words, retract.go puts tombstones in the
// place of what was taken back. id.go has numbers and ids.
//
// M1: an id is given before a message is delivered and its row committed when it was, so that rows of one account may be
// committed in another order than that of their numbers. A query waits until all rows with a lower number than its own are on
// the disk (fence.go): who has seen one row of an archive can ask for what is behind it and misses nothing.
package mam

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"

	"github.com/stonechat-im/stonechat/config"
	"github.com/stonechat-im/stonechat/internal/metrics"
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/mam"
	"github.com/stonechat-im/stonechat/xmpp/retract"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/stanzaid"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// Config is the key modules.mam.
type Config struct {
	// Default says whose messages are archived for accounts that have set no preferences: everybody's (always), those of
	// contacts (roster), or nobody's (never). What an account writes to itself counts as a contact's.
	Default string `yaml:"default" default:"roster" oneof:"always roster never" live:"yes"`
	// Age of what is archived for an account; what is older goes, in the course of an hour.
	Age config.Duration `yaml:"age" default:"730d" live:"yes"`
	// Messages of one account's archive; beyond them the oldest go, in the course of an hour.
	Messages config.Limit `yaml:"messages" default:"1000000" live:"yes"`
	// Bytes of one account's archive; beyond them the oldest messages go, in the course of an hour.
	Bytes config.Bytes `yaml:"bytes" default:"1GiB" live:"yes"`
	// RoomAge is Age of rooms and nodes.
	RoomAge config.Duration `yaml:"room_age" default:"730d" live:"yes"`
	// RoomMessages is Messages of one room or node.
	RoomMessages config.Limit `yaml:"room_messages" default:"1000000" live:"yes"`
	// RoomBytes is Bytes of one room or node.
	RoomBytes config.Bytes `yaml:"room_bytes" default:"1GiB" live:"yes"`
	// Page is how many messages one query gets at most.
	Page int `yaml:"page" default:"250" live:"yes"`
	// PageBytes is how much one query gets at most: a page ends with the message that reaches it.
	PageBytes config.Bytes `yaml:"page_bytes" default:"256KiB" live:"yes"`
	// ScanRows is through how many messages one query goes that asks for a resource, or is asked in a room that shows not
	// everything to everybody. Such a query is refused with policy-violation where more would be needed.
	ScanRows int `yaml:"scan_rows" default:"20000" live:"yes"`
	// QueueBytes may wait to be archived. Then messages that would have to be are refused with resource-constraint; from half
	// of it on those who have sent most of it are slowed down.
	QueueBytes config.Bytes `yaml:"queue_bytes" default:"64MiB" live:"yes"`
	// Preferences is how many addresses an account may name in its preferences. One more is refused with policy-violation.
	Preferences int `yaml:"preferences" default:"1000" live:"yes"`
	// FullText lets accounts search for words. The index takes one and a half times as much of the disk as what people write,
	// and is behind by some seconds.
	FullText bool `yaml:"full_text" default:"true"`
	// RetractWithin is how many messages back in a conversation a message may be that is taken back, so that a tombstone takes
	// its place.
	RetractWithin int `yaml:"retract_within" default:"1000" live:"yes"`
	// Retractions may wait at one time for their tombstone. What is taken back beyond that, by those who take back most, is archived as it
	// was.
	Retractions int `yaml:"retractions" default:"1024" live:"yes"`
	// QueryWords is for how many words one query may look. More are refused with policy-violation.
	QueryWords int `yaml:"query_words" default:"32" live:"yes"`
	// QueryIDs is for how many messages one query may ask by their ids; 250 at most. More are refused with policy-violation.
	QueryIDs int `yaml:"query_ids" default:"250" live:"yes"`
	// Remembered is of how many messages a session reads in its archive, before it takes messages, it is remembered that it
	// has them. Of those beyond it is sent again what has waited for it.
	Remembered int `yaml:"remembered" default:"10000" live:"yes"`
}

// Roster says who is a contact. It may wait unless Ready.
type Roster interface {
	Ready(u *server.User) bool
	Item(u *server.User, contact jid.JID) (store.RosterItem, error)
}

// Module keeps archives.
type Module struct {
	config  atomic.Pointer[Config]
	roster  Roster
	server  *server.Server
	store   store.Store
	log     *slog.Logger
	metrics counters

	numbers   numbers
	ids       ids // since Open
	fence     fence
	gathering gathering
	queued    atomic.Int64 // bytes on their way to the disk
	paused    paused

	batches server.TurnSlot[batch]
	sent    server.SessionSlot[sent]
	given   server.SessionSlot[given]
	prefs   server.UserSlot[prefs]
	nodes   func(t *server.Turn, q *server.Query, node string) (stanza.Payload, error)

	burials burials
}

// counters are what the module counts.
type counters struct {
	archived, slowed, refused, failed, removed, scans, retractions, prefsFull metrics.Counter

	limited metrics.CounterVec // by key
}

// New makes the module. roster may be nil: then nobody has contacts.
func New(c Config, roster Roster) *Module {
	m := &Module{roster: roster}
	m.burials.wake = make(chan struct{}, 1)
	m.config.Store(&c)
	return m
}

// OnNode sets who answers queries to nodes of accounts, before Init; without one they are refused.
func (m *Module) OnNode(f func(t *server.Turn, q *server.Query, node string) (stanza.Payload, error)) {
	m.nodes = f
}

// Name implements server.Module.
func (*Module) Name() string { return "mam" }

// Reload implements server.Reloader.
func (m *Module) Reload(next server.Module) {
	c := *next.(*Module).config.Load()
	c.FullText = m.config.Load().FullText // with the next start
	m.config.Store(&c)
}

// Init implements server.Module.
func (m *Module) Init(h *server.Host) error {
	m.server, m.store, m.log = h.Server, h.Store, h.Log
	m.metrics.register(h.Metrics, m)
	m.batches = server.NewTurnSlot[batch](h)
	m.sent = server.NewSessionSlot[sent](h)
	m.given = server.NewSessionSlot[given](h)
	m.prefs = server.NewUserSlot[prefs](h)
	h.Load = func(ctx context.Context, u *server.User) error {
		_, err := m.preferences(ctx, u)
		return err
	}
	h.OnSent(server.Rewrite, m.sending)
	h.OnSent(server.Observe, m.sentOne)
	h.Behalf = m.sentFor
	h.OnArriving(server.Rewrite, m.arriving)
	h.OnArriving(server.Handle, m.keepUndelivered)
	h.OnArriving(server.Observe, m.arrived)
	h.Drains = m.drains
	h.Stopping = func(*server.Turn) {
		m.gathering.mu.Lock()
		m.gathering.over = true
		m.gathering.mu.Unlock()
		m.handOver()
	}
	for _, r := range []struct {
		typ   stanza.Type
		local string
		do    func(*server.Turn, *server.Query) (stanza.Payload, error)
	}{
		{stanza.Get, "query", m.account}, {stanza.Set, "query", m.account}, {stanza.Get, "metadata", m.account},
		{stanza.Get, "prefs", m.getPrefs}, {stanza.Set, "prefs", m.setPrefs},
	} {
		h.IQ(server.IQHandler{At: server.AtAccount, Type: r.typ, Name: xmlstream.Name{Space: mam.NS, Local: r.local}, Blocking: true, Do: r.do})
	}
	for _, ns := range m.Features() {
		h.Feature(server.AtAccount, ns)
	}
	h.Feature(server.AtAccount, retract.NS)
	h.Feature(server.AtAccount, retract.NSTombstone)
	h.Feature(server.AtHost, retract.NS)
	return nil
}

// Features are those of an address that has an archive here.
func (m *Module) Features() []string {
	list := []string{mam.NS, mam.NSExtended, mam.NSGroupchatField, stanzaid.NS}
	if m.config.Load().FullText {
		list = append(list, mam.NSFullText)
	}
	return list
}

// secretName is the setting with the secret of the ids: with another one all ids that clients know would be unknown.
const secretName = "archive secret"

// Open implements server.Opener.
func (m *Module) Open(ctx context.Context) error {
	secret, err := m.store.Setting(ctx, secretName)
	if errors.Is(err, store.ErrNotFound) {
		secret = make([]byte, secretBytes)
		_, _ = rand.Read(secret) // it never fails
		err = m.store.Commit(store.SetSetting{Name: secretName, Value: secret}).Wait(ctx)
	}
	if err == nil {
		m.ids, err = newIDs(secret)
	}
	if err != nil {
		return fmt.Errorf("mam: secret of the archives: %w", err)
	}
	last, err := m.store.LastArchived(ctx)
	if err != nil {
		return fmt.Errorf("mam: last number: %w", err)
	}
	m.numbers.last.Store(last)
	return nil
}

func (c *counters) register(r *metrics.Registry, m *Module) {
	c.archived = r.Counter("stonechat_archived_total", "Messages that were archived, once for each archive.")
	c.slowed = r.Counter("stonechat_archive_senders_slowed_total", "Pauses of senders because much waited to be archived (half of modules.mam.queue_bytes).")
	c.refused = r.Counter("stonechat_archive_refused_total", "Messages refused because too much waited to be archived (modules.mam.queue_bytes).")
	c.failed = r.Counter("stonechat_archive_lost_total", "Messages that were delivered and could not be archived, once for each archive.")
	c.removed = r.Counter("stonechat_archive_removed_total", "Messages removed from archives because they were too old or too many (modules.mam.age, .messages, .bytes, .room_age, .room_messages, .room_bytes).")
	c.scans = r.Counter("stonechat_archive_scans_refused_total", "Queries refused because they would have gone through too much (modules.mam.scan_rows).")
	c.retractions = r.Counter("stonechat_archive_retractions_missed_total", "Messages that were taken back and are archived as they were: not found (modules.mam.retract_within), or too many at once (modules.mam.retractions).")
	c.prefsFull = r.Counter("stonechat_archive_preferences_refused_total", "Preferences refused because they named too many addresses (modules.mam.preferences).")
	c.limited = r.CounterVec("stonechat_archive_queries_limited_total", "Queries refused, and messages that were read and are not remembered, by the key of modules.mam that says how many there may be.", "key")
	r.GaugeFunc("stonechat_archive_queue_bytes", "What waits to be archived.", func() float64 { return float64(m.queued.Load()) })
}
