// SPDX-License-Identifier: Apache-2.0

package pubsub

// How to read this file: the table of nodes, how one is read from the store, and the changes of its fields; subscription.go has
// those of its subscribers. N1 says in which order things happen.

import (
	"container/list"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"
	"unique"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/form"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/pubsub"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// node is one in memory, or the knowledge that there is none of the name.
type node struct {
	name store.NodeName
	at   unique.Handle[jid.JID] // of name.JID: as long as one has it, all nodes there have it in the same memory

	refs    int           // of table.mu
	idle    *list.Element // of table.mu; in the list of those without refs
	since   time.Time     // of table.mu; of being there
	dropped bool          // of table.mu: out of the table

	work sync.Mutex // N1
	out  server.Outbox

	mu            sync.Mutex // never held while anything waits or is routed
	loaded        bool
	exists        bool
	moved         string
	created       time.Time
	creator       jid.JID
	orphan        int64          // as store.Node has it, or orphanUnread
	config        *pubsub.Config // replaced whole
	affiliations  map[jid.JID]store.Affiliation
	subscriptions map[jid.JID]*subscription
	resources     map[jid.JID]int // how many subscriptions full addresses below a bare one have
	list          []*subscription // of subscriptions, replaced whole; nil: to be made
	special       bool            // some of list have options, by which it depends whether they are told
	heard         []*subscription // those of list that were told last where that depends; replaced whole
	items         int             // at least so many are kept, when what is pending is done
	kept          []string        // their ids, the oldest first; nil: not known
	last          *store.Item
	moment        uint64         // of its publication, since the node was loaded
	stale         bool           // last is to be read again
	lastAt        time.Time      // of the last item ever
	pending       *store.Pending // the last change, or nil
}

// table is the nodes in memory: those in use, and up to modules.pubsub.cached_nodes that were not long ago (cached_for).
type table struct {
	m    *Module
	mu   sync.Mutex
	by   map[store.NodeName]*node
	idle list.List // *node, the one used last first
}

func (t *table) init(m *Module) { t.m, t.by = m, make(map[store.NodeName]*node) }

func (t *table) size() float64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return float64(len(t.by))
}

func (t *table) all() (list []*node) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, n := range t.by {
		list = append(list, n)
	}
	return list
}

// hold returns the node of that name, not to be thrown out until it is let go.
func (t *table) hold(name store.NodeName) *node {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.by[name]
	if n == nil {
		at := unique.Make(name.JID)
		name = store.NodeName{JID: at.Value(), Node: strings.Clone(name.Node)} // which were part of a request
		n = &node{name: name, at: at}
		t.by[name] = n
	}
	t.use(n)
	return n
}

// use takes a node off the idle ones. t.mu is held.
func (t *table) use(n *node) {
	if n.idle != nil {
		t.idle.Remove(n.idle)
		n.idle = nil
	}
	n.refs++
}

func (t *table) let(n *node) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n.refs--; n.refs > 0 || n.dropped {
		return
	}
	n.mu.Lock()
	exists := n.exists || n.moved != ""
	n.mu.Unlock()
	if !exists && n.settled() {
		delete(t.by, n.name)
		n.dropped = true
		return
	}
	n.idle, n.since = t.idle.PushFront(n), time.Now()
	t.evict(time.Time{})
}

// evict keeps the number of idle nodes, and throws out those that have been idle since before until, unless what they have is nowhere
// else; a node that still sends or commits stays until it is looked at again.
func (t *table) evict(until time.Time) {
	over := t.idle.Len() - t.m.config.Load().CachedNodes
	for e := t.idle.Back(); e != nil; over-- {
		n, before := e.Value.(*node), e.Prev()
		if over <= 0 && !n.since.Before(until) {
			return
		}
		if n.settled() && (over > 0 || !n.onlyHere()) {
			t.idle.Remove(e)
			n.idle, n.dropped = nil, true
			delete(t.by, n.name)
		}
		e = before
	}
}

func (t *table) trim() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.evict(time.Now().Add(-t.m.config.Load().CachedFor))
}

// drop throws a node out: what is in memory may not be true. Who holds it now is the last to see it.
func (t *table) drop(n *node) {
	t.mu.Lock()
	if !n.dropped && t.by[n.name] == n {
		delete(t.by, n.name)
		n.dropped = true
		if n.idle != nil {
			t.idle.Remove(n.idle)
			n.idle = nil
		}
	}
	t.mu.Unlock()
	n.mu.Lock()
	for _, s := range n.subscriptions {
		s.gone.Store(true)
	}
	n.mu.Unlock()
}

// onlyHere reports whether the last item is in memory alone, because the node keeps none.
func (n *node) onlyHere() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.exists && !n.config.Persist && n.last != nil
}

// settled reports whether nothing is under way.
func (n *node) settled() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return (n.pending == nil || n.pending.Done()) && n.out.Empty()
}

// load reads the node if it is not at hand. n.work is held.
func (m *Module) load(ctx context.Context, n *node) error {
	n.mu.Lock()
	loaded := n.loaded
	n.mu.Unlock()
	if loaded {
		return m.reload(ctx, n)
	}
	var state store.NodeState
	missing := false
	for again := true; again; {
		deletions := m.deletions.Load()
		var err error
		if state, err = m.store.Node(ctx, n.name); err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		missing = err != nil
		n.mu.Lock()
		if again = m.deletions.Load() != deletions; again {
			n.mu.Unlock()
		}
	}
	defer n.mu.Unlock()
	n.loaded = true
	if missing {
		return nil
	}
	if err := n.take(&state); err != nil {
		return err
	}
	m.presences.mark(n.name, n.exists && n.config.PurgeOffline)
	for j, s := range n.subscriptions {
		if s.options().Temporary {
			m.presences.watch(n.name, j)
		}
	}
	return nil
}

// orphanUnread is of a node whose creator's account was deleted since it was loaded.
const orphanUnread = -1

// reload reads the last item again where it went with its publisher, and what is to be read where the creator's account has gone.
// n.work is held.
func (m *Module) reload(ctx context.Context, n *node) error {
	n.mu.Lock()
	stale, orphan := n.stale, n.orphan
	n.mu.Unlock()
	if orphan == orphanUnread {
		state, err := m.store.Node(ctx, n.name)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		n.mu.Lock()
		n.orphan = state.Orphan
		n.mu.Unlock()
	}
	if !stale {
		return nil
	}
	if err := m.store.Commit().Wait(ctx); err != nil {
		return err
	}
	list, err := m.store.Items(ctx, n.name, store.ItemQuery{Newest: true, Limit: 1})
	if err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.stale, n.last = false, nil
	if len(list) > 0 {
		n.last = &list[0]
	}
	return nil
}

// take fills the fields. n.mu is held.
func (n *node) take(state *store.NodeState) error {
	n.created, n.creator, n.moved, n.items, n.last = state.Created, state.Creator, state.Moved, state.Items, state.Last
	n.orphan, n.kept = state.Orphan, nil
	if n.moved != "" {
		return nil
	}
	config, err := parseConfig(state.Config)
	if err != nil {
		return err
	}
	n.exists, n.config = true, config
	if n.last != nil {
		n.lastAt = n.last.At
	}
	n.affiliations = make(map[jid.JID]store.Affiliation, len(state.Affiliations))
	for _, a := range state.Affiliations {
		n.affiliations[a.JID] = a.Affiliation
	}
	n.subscriptions = make(map[jid.JID]*subscription, len(state.Subscriptions))
	n.resources = nil
	for _, s := range state.Subscriptions {
		sub := &subscription{jid: s.JID, pending: s.Pending}
		if s.Options != nil {
			o, err := parseOptions(s.Options)
			if err != nil {
				return err
			}
			sub.given = &given{o, s.Options}
		}
		n.put(sub)
	}
	return nil
}

// next is the time of the next item. n.mu is held.
func (n *node) next(now time.Time) time.Time {
	at := now.UTC().Truncate(time.Microsecond)
	if !at.After(n.lastAt) {
		at = n.lastAt.Add(time.Microsecond)
	}
	n.lastAt = at
	return at
}

// commit stores a change of the node that is in its fields already; then is called when it is stored, on the store's
// goroutine: it must be quick, and n.mu is held. Nodes that are made were counted already. n.work is held.
func (m *Module) commit(n *node, then func(t *server.Turn), ops ...store.Op) *store.Pending {
	var made int64
	for _, op := range ops {
		switch op.(type) {
		case store.CreateNode:
			made++
		case store.DeleteNode:
			made--
		}
	}
	var size *size
	if made != 0 {
		size = m.sizes.at(n.name.JID)
	}
	p := m.store.Commit(ops...)
	n.mu.Lock()
	n.pending = p
	n.mu.Unlock()
	p.OnDone(func(err error) {
		if made != 0 {
			m.names.forget(n.name.JID)
			size.changed(made, err == nil)
		}
		if made > 0 {
			m.names.stored(n.name)
		}
		if err != nil {
			m.owned.forgetAll()
			m.nodes.drop(n)
			return
		}
		m.tellRemoved(n, ops)
		if then == nil {
			return
		}
		t := m.server.NewTurn()
		n.mu.Lock()
		then(t)
		n.mu.Unlock()
		t.End()
	})
	return p
}

// tellRemoved tells other modules which items are gone.
func (m *Module) tellRemoved(n *node, ops []store.Op) {
	if len(m.removers) == 0 {
		return
	}
	for _, op := range ops {
		var ids []string
		switch op := op.(type) {
		case store.RetractItems:
			ids = op.IDs
		case store.PurgeNode, store.DeleteNode:
		default:
			continue
		}
		for _, f := range m.removers {
			f(n.name.JID, n.name.Node, ids)
		}
	}
}

// settle waits until what was changed can be read in the store.
func (n *node) settle(ctx context.Context) error {
	n.mu.Lock()
	p := n.pending
	n.mu.Unlock()
	if p == nil || p.Done() {
		return nil
	}
	return p.Wait(ctx)
}

// running sends what a node's outbox has at the end of a turn: all that came in it together. The answer to whoever caused it is
// queued before and leaves after: what he writes to one of those who are told, once he has read it, comes behind what he published.
type running struct{ n *node }

// Flush implements server.Flusher.
func (r running) Flush(t *server.Turn) { r.n.out.Run(t) }

// parseConfig reads what formatConfig has written.
func parseConfig(b []byte) (*pubsub.Config, error) {
	f, err := parseForm(b)
	if err != nil {
		return nil, err
	}
	c := &pubsub.Config{}
	defaults(c)
	return c, c.Apply(f, false)
}

func formatConfig(c *pubsub.Config) []byte { return c.Form(form.Submit).AppendXML(nil) }

func parseForm(b []byte) (*form.Form, error) {
	f := new(form.Form)
	r := xmlstream.NewReader(b, stanza.NSClient)
	return f, f.DecodeXML(r)
}

// sortedJIDs are the keys, sorted.
func sortedJIDs[V any](s map[jid.JID]V) []jid.JID {
	out := make([]jid.JID, 0, len(s))
	for j := range s {
		out = append(out, j)
	}
	slices.SortFunc(out, func(a, b jid.JID) int { return strings.Compare(a.String(), b.String()) })
	return out
}
