// SPDX-License-Identifier: Apache-2.0

package pep

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// queue is who is to be told what was published last: each client once, so that it is no longer than the list of
// clients, however many come at once and whatever they say. It is also who may have lost access to nodes.
type queue struct {
	mu   sync.Mutex
	list []*interest
	lost []pair
	wake chan struct{}
}

func (q *queue) push(x *interest) {
	q.mu.Lock()
	q.list = append(q.list, x)
	q.mu.Unlock()
	q.awake()
}

// lose adds to those who may have lost access, unless most wait already.
func (q *queue) lose(p pair, most int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.lost) >= most {
		return false
	}
	q.lost = append(q.lost, p)
	q.awake()
	return true
}

func (q *queue) awake() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// take returns all that wait.
func (q *queue) take() (list []*interest, lost []pair) {
	q.mu.Lock()
	defer q.mu.Unlock()
	list, lost = q.list, q.lost
	q.list, q.lost = nil, nil
	return list, lost
}

// comeTo says that a client, nil for none, has come to see an owner's presence.
func (m *Module) comeTo(x *interest, owner jid.JID) {
	if x == nil {
		return
	}
	x.mu.Lock()
	if !x.available || x.features == nil || slices.Contains(x.new, owner) {
		x.mu.Unlock()
		return
	}
	x.new, x.gained = append(x.new, owner), m.engine.Moment()
	push := !x.queued
	x.queued = true
	x.mu.Unlock()
	if push {
		m.coming.push(x)
	}
}

// more reports whether features ask for a node that served do not ask for.
func more(features, served []string) bool {
	for _, f := range features {
		if node, ok := strings.CutSuffix(f, notify); ok && !asks(served, node) {
			return true
		}
	}
	return false
}

// Run implements server.Runner: it sends those who come what was published last. One at a time: that
// many log in at once is no reason to ask the store for all at once.
func (m *Module) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-m.coming.wake:
		}
		list, lost := m.coming.take()
		for _, p := range lost {
			if err := m.engine.Recheck(ctx, p.owner, p.contact); err != nil && ctx.Err() == nil {
				m.log.Error("subscriptions not ended", "jid", p.owner.String(), "err", err)
			}
		}
		for _, x := range list {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			m.serve(ctx, x)
		}
	}
}

// serve sends one client what it has not been told.
func (m *Module) serve(ctx context.Context, x *interest) {
	x.mu.Lock()
	features, served, gained, available := x.features, x.served, x.new, x.available
	asked, since := x.asked, x.gained
	x.queued, x.served, x.new = false, features, nil
	x.mu.Unlock()
	if !available {
		return
	}
	if x.owner.IsZero() {
		m.sights.expect(x.who.Bare())
	}
	if more(features, served) {
		wants := func(node string) bool { return asks(features, node) && !asks(served, node) && x.wants(node) }
		m.engine.Appeared(ctx, m.owners(x), x.who, asked, wants)
	}
	if len(gained) > 0 && served != nil { // else all there are have been told of just now
		m.engine.Appeared(ctx, gained, x.who, since, func(node string) bool { return asks(served, node) && x.wants(node) })
	}
}

// owners are the accounts of ours whose presence a client sees, its own first.
func (m *Module) owners(x *interest) []jid.JID {
	if !x.owner.IsZero() {
		return []jid.JID{x.owner}
	}
	account := x.who.Bare()
	u, release, ok := m.server.Lookup(account)
	if !ok {
		return nil // gone already
	}
	defer release()
	list, err := m.roster.Contacts(u, []jid.JID{account}, store.SubscriptionTo)
	if err != nil {
		m.log.Error("contacts not read, and what they published not sent", "jid", account.String(), "err", err)
	}
	ours := list[:1]
	for _, contact := range list[1:] {
		if m.server.Serves(contact.Domain()) {
			ours = append(ours, contact)
		}
	}
	return ours
}
