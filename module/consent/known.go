// SPDX-License-Identifier: Apache-2.0

package consent

// How to read this file: what was decided about things in use is in memory; get takes it from there, load reads what is missing.
// K1: what is committed is what counts from then on: forget drops what is known of a thing as soon as a change of it is, and what was
// read before that is not put back.

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// known is the table.
type known struct {
	mu     sync.RWMutex
	turns  [64]uint64 // by thing: it rises with every change
	things map[jid.JID]*entry
	owning map[jid.JID]map[jid.JID]struct{} // by owner: his things with rules for groups
}

// entry is what is known of an account that is, or has, things. The table's lock guards it.
type entry struct {
	rules   []store.Rule // not to be changed
	stale   int64        // what it remembers of decisions, until it has said that it does not
	person  bool         // the address only looked like that of a thing
	grouped bool         // some rule is for a group
	owners  owners
	groups  map[jid.JID][]membership // of the owner's roster that callers are in; with grouped alone
	used    atomic.Bool              // since the last eviction
}

// Bounds of one entry; it is emptied where it would have more.
const (
	maxNodes   = 4096
	maxCallers = 1024
)

func (k *known) init() {
	k.things = make(map[jid.JID]*entry)
	k.owning = make(map[jid.JID]map[jid.JID]struct{})
}

func (k *known) len() int {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return len(k.things)
}

// get is what a caller is to a thing, where that is at hand.
func (k *known) get(thing jid.JID, nodes []store.ThingNode, caller jid.JID) (*standing, bool) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	e := k.things[thing]
	if e == nil {
		return nil, false
	}
	e.used.Store(true)
	return e.standing(nodes, caller)
}

func (e *entry) standing(nodes []store.ThingNode, caller jid.JID) (*standing, bool) {
	s := &standing{caller: caller, rules: e.rules, person: e.person, owners: e.owners}
	if e.person {
		return s, true
	}
	if e.grouped {
		groups, ok := e.groups[caller]
		if !ok {
			return nil, false
		}
		s.groups = groups
	}
	whole, ok := e.owners[store.ThingNode{}]
	if !ok {
		return nil, false
	}
	// A copy: the entry's changes. The nodes that rules speak of were read with them.
	s.owners = make(owners, 1+len(nodes))
	s.owners[store.ThingNode{}] = whole
	for _, list := range [2][]store.ThingNode{nodes, ruled(e.rules)} {
		for _, n := range list {
			if s.owners[n], ok = e.owners[n]; !ok {
				return nil, false
			}
		}
	}
	return s, true
}

// ruled are the nodes that rules speak of.
func ruled(rules []store.Rule) (list []store.ThingNode) {
	for i := range rules {
		if n := rules[i].Thing.ThingNode; n != (store.ThingNode{}) {
			list = append(list, n)
		}
	}
	return list
}

// stale is what the thing has to forget, 0 for nothing or where nothing is known.
func (k *known) stale(thing jid.JID) int64 {
	k.mu.RLock()
	defer k.mu.RUnlock()
	if e := k.things[thing]; e != nil {
		return e.stale
	}
	return 0
}

// forget drops what is known of a thing, because something of it has changed.
func (k *known) forget(thing jid.JID) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.turns[shard(thing)]++
	k.drop(thing)
}

// shard is one of 64.
func shard(thing jid.JID) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(thing.String()))
	return int(h.Sum32() % 64)
}

// drop is forget for one who holds mu.
func (k *known) drop(thing jid.JID) {
	e := k.things[thing]
	if e == nil {
		return
	}
	delete(k.things, thing)
	for _, o := range e.owners {
		if list := k.owning[o.owner]; list != nil {
			if delete(list, thing); len(list) == 0 {
				delete(k.owning, o.owner)
			}
		}
	}
}

// regrouped follows a change of an owner's roster.
func (k *known) regrouped(owner, contact jid.JID) {
	k.mu.RLock()
	any := len(k.owning[owner]) > 0
	k.mu.RUnlock()
	if !any {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for thing := range k.owning[owner] {
		k.turns[shard(thing)]++ // what is being read now may be what was before
		if e := k.things[thing]; e != nil {
			delete(e.groups, contact)
		}
	}
}

// forgetAccount drops what is known of things that an account which was deleted has decided about, or is in the rules of, and returns
// which those are. Of all others it is in no group any more.
func (k *known) forgetAccount(account jid.JID) (things []jid.JID) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i := range k.turns {
		k.turns[i]++
	}
	for thing, e := range k.things {
		if thing == account || e.mentions(account) {
			things = append(things, thing)
			k.drop(thing)
			continue
		}
		delete(e.groups, account)
	}
	return things
}

// mentions reports whether an account owns something of it, or is who a rule is of or for.
func (e *entry) mentions(account jid.JID) bool {
	for _, o := range e.owners {
		if o.owner == account {
			return true
		}
	}
	return slices.ContainsFunc(e.rules, func(r store.Rule) bool {
		return r.Owner == account || r.Subject.Kind == store.SubjectCaller && r.Subject.Name == account.String()
	})
}

func (k *known) turn(thing jid.JID) uint64 {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.turns[shard(thing)]
}

// own says that changes of an owner's roster are changes for a thing, before that is read.
func (k *known) own(owner, thing jid.JID) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.owning[owner] == nil {
		k.owning[owner] = make(map[jid.JID]struct{})
	}
	k.owning[owner][thing.Clone()] = struct{}{}
}

// put adds what was read, unless something has changed since that turn: then it reports false.
func (k *known) put(turn uint64, thing jid.JID, read *entry, most int) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.turns[shard(thing)] != turn {
		return false
	}
	e := k.things[thing]
	if e == nil {
		e = read
		k.evict(most)
		k.things[thing.Clone()] = e
	} else {
		if len(e.owners)+len(read.owners) > maxNodes {
			e.owners = make(owners)
		}
		if len(e.groups) >= maxCallers {
			e.groups = nil
		}
		maps.Copy(e.owners, read.owners)
		if e.groups == nil {
			e.groups = read.groups
		} else {
			maps.Copy(e.groups, read.groups)
		}
	}
	e.used.Store(true)
	return true
}

// evict makes room for one more: what was not used lately goes. The caller holds mu.
func (k *known) evict(most int) {
	for looked := 0; len(k.things) >= max(most, 1); {
		for thing, e := range k.things { // in no order
			if looked++; e.used.Swap(false) && looked < 64 {
				continue
			}
			k.turns[shard(thing)]++ // who reads it just now must ask anew to be told of changes of groups
			k.drop(thing)
			break
		}
	}
}

// load is recall for a request, which is refused where that fails or takes too long: a disk that stalls is a no, and no wait. What hangs
// then holds one of the store's few connections, and ends when that does. For a moment it is not tried again: a node may have a thousand
// followers.
func (m *Module) load(ctx context.Context, thing jid.JID, nodes []store.ThingNode, caller jid.JID) (*standing, error) {
	if s, ok := m.known.get(thing, nodes, caller); ok {
		return s, nil
	}
	return readWithin(ctx, m, thing, func(ctx context.Context) (*standing, error) { return m.recall(ctx, thing, nodes, caller) })
}

// tryAgain is how long after a stall nothing is read of things of one shard.
const tryAgain = time.Second

// readWithin reads what is needed to decide about a thing, within modules.consent.read_within. The error is what its caller is told. What
// read has changed when it took too long is nobody's: it goes on by itself.
func readWithin[T any](ctx context.Context, m *Module, thing jid.JID, read func(context.Context) (T, error)) (x T, err error) {
	until := &m.stalled[shard(thing)]
	if time.Now().UnixNano() < until.Load() {
		m.metrics.failed.Inc()
		return x, unread()
	}
	type result struct {
		x   T
		err error
	}
	within, cancel := context.WithTimeoutCause(ctx, time.Duration(m.config.Load().ReadWithin), errSlow)
	defer cancel()
	done := make(chan result, 1)
	go func() {
		x, err := read(within)
		done <- result{x, err}
	}()
	select {
	case r := <-done:
		x, err = r.x, r.err
	case <-within.Done():
		err = context.Cause(within)
	}
	if err == nil {
		return x, nil
	}
	if errors.Is(err, errSlow) {
		until.Store(time.Now().Add(tryAgain).UnixNano())
	}
	m.metrics.failed.Inc()
	if !errors.Is(err, store.ErrClosed) { // else the server ends
		m.log.Error("a thing's rules, or a token, were not read, and what was wanted of it is refused", "jid", thing.String(), "err", err)
	}
	var none T
	return none, unread()
}

var errSlow = errors.New("the store has not answered in time (modules.consent.read_within)")

// unread is what everybody is told while nobody can be told anything else.
func unread() *stanza.Error {
	e := stanza.InternalServerError.Err("who may do this cannot be looked up now, and until then nobody may: try again later")
	e.Type = stanza.Wait // RFC 6120 §8.3.3.7
	return e
}

// recall is get, and reads what is not at hand.
func (m *Module) recall(ctx context.Context, thing jid.JID, nodes []store.ThingNode, caller jid.JID) (*standing, error) {
	for tries := 0; ; tries++ {
		if s, ok := m.known.get(thing, nodes, caller); ok {
			return s, nil
		}
		turn := m.known.turn(thing)
		e, err := m.read(ctx, thing, nodes, caller)
		if err != nil {
			return nil, fmt.Errorf("consent: rules of %s: %w", thing, err)
		}
		s, ok := e.standing(nodes, caller)
		if !ok {
			return nil, fmt.Errorf("consent: rules of %s: %w", thing, errIncomplete)
		}
		// What has changed while it was read is read again; where changes do not end, what was true at some moment
		// since the question has to do.
		if m.known.put(turn, thing, e, m.config.Load().CachedThings) || tries > 8 {
			return s, nil
		}
	}
}

var errIncomplete = errors.New("not all was read")

// read reads all that one question needs.
func (m *Module) read(ctx context.Context, thing jid.JID, nodes []store.ThingNode, caller jid.JID) (*entry, error) {
	e := &entry{owners: make(owners)}
	var err error
	if e.rules, e.stale, err = m.store.ThingRules(ctx, thing); err != nil {
		return nil, err
	}
	is := false
	list := append([]store.ThingNode{{}}, nodes...)
	for _, n := range append(list, ruled(e.rules)...) {
		if _, done := e.owners[n]; done {
			continue
		}
		owner, label, err := m.things.Thing(ctx, thing, n)
		switch {
		case err == nil:
			is = true
			e.owners[n] = owned{owner, label}
		case !errors.Is(err, store.ErrNotFound):
			return nil, err
		default:
			e.owners[n] = e.owners[store.ThingNode{}] // read first
		}
	}
	if !is {
		n, err := m.store.CountThings(ctx, store.ThingFilter{Account: thing})
		if err != nil {
			return nil, err
		}
		e.person = n == 0
	}
	for i := range e.rules {
		e.grouped = e.grouped || e.rules[i].Subject.Kind == store.SubjectGroup
	}
	if !e.grouped || caller.IsZero() {
		return e, nil
	}
	e.groups = make(map[jid.JID][]membership)
	seen := make(map[jid.JID]bool)
	var all []membership
	for _, o := range e.owners {
		if seen[o.owner] || !m.server.Serves(o.owner.Domain()) || o.owner.IsDomain() {
			continue
		}
		seen[o.owner] = true
		m.known.own(o.owner, thing)
		groups, err := m.groups(ctx, o.owner, caller)
		if err != nil {
			return nil, err
		}
		for _, g := range groups {
			all = append(all, membership{o.owner, g})
		}
	}
	e.groups[caller.Clone()] = all
	return e, nil
}

// groups are those of the owner's roster that a contact is in. While the account is in use module roster knows; while not, what
// is stored counts.
func (m *Module) groups(ctx context.Context, owner, contact jid.JID) ([]string, error) {
	if u, release, ok := m.server.Lookup(owner); ok {
		defer release()
		if m.roster.Ready(u) { // else nobody has changed it yet
			it, err := m.roster.Item(u, contact)
			return it.Groups, err
		}
	}
	it, err := m.store.RosterItem(ctx, owner, contact)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	return it.Groups, err
}
