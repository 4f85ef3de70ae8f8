// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/stonechat-im/stonechat/internal/spool"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// User is an account while somebody deals with it: while it has sessions, and while a stanza to
// it is being handled.
//
// Locks are taken in this order: User.mu, outbound.mu, then those of rows, receipts and
// deliveries, which hold nothing else.
type User struct {
	JID    jid.JID // bare
	server *Server
	slots  []atomic.Value // of modules
	rows   spool.Rows
	refs   atomic.Int32 // raised under the shard's lock; see users.release

	ready   sync.Mutex  // held while the account is read for the first time
	known   bool        // exists is read; guarded by ready
	counted bool        // so are rows; guarded by ready
	loaded  bool        // hooks Load have run; guarded by ready
	guest   atomic.Bool // see guest.go
	deleted atomic.Bool
	exists  atomic.Bool

	mu       sync.Mutex
	sessions []*Session // in the order in which they were bound
	drainer  *Session   // whose worker reads the spool now: D2
}

// Exists reports whether there is such an account.
func (u *User) Exists() bool { return u.exists.Load() && !u.deleted.Load() }

// Online reports whether the account has a session, attached or waiting to be resumed.
func (u *User) Online() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.sessions) > 0
}

// Sessions appends the account's sessions to dst, in the order in which they were bound.
func (u *User) Sessions(dst []*Session) []*Session {
	u.mu.Lock()
	defer u.mu.Unlock()
	return append(dst, u.sessions...)
}

// Takers are the sessions that get messages to the bare address: available, with a priority
// that is not negative (RFC 6121 §8.5.2.1.1). They are valid until the turn's next call of
// Takers, Available or Named.
func (t *Turn) Takers(u *User) []*Session { return t.pick(u, Presence.takesMessages) }

// Available are the sessions that have sent presence.
func (t *Turn) Available(u *User) []*Session {
	return t.pick(u, func(p Presence) bool { return p.Available })
}

func (t *Turn) pick(u *User, want func(Presence) bool) []*Session {
	u.mu.Lock()
	defer u.mu.Unlock()
	t.to = t.to[:0]
	for _, se := range u.sessions {
		if want(se.presence) {
			t.to = append(t.to, se)
		}
	}
	return t.to
}

// Named is the session bound to that resource, alone, or none.
func (t *Turn) Named(u *User, resource string) []*Session {
	t.to = t.to[:0]
	if se := u.Session(resource); se != nil {
		t.to = append(t.to, se)
	}
	return t.to
}

// Commit is the store's, with u held until it is done: as long as a change is under way, what
// modules know of the account stays, so that nobody reads the state before the change.
func (u *User) Commit(ops ...store.Op) *store.Pending {
	u.server.users.acquire(u.JID)
	p := u.server.store.Commit(ops...)
	p.OnDone(func(error) { u.server.users.release(u) })
	return p
}

// Session returns the session bound to that resource, or nil.
func (u *User) Session(resource string) *Session {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.session(resource)
}

func (u *User) session(resource string) *Session {
	for _, se := range u.sessions {
		if se.JID.Resource() == resource {
			return se
		}
	}
	return nil
}

// know reads whether the account exists, once. It may wait for the store.
func (u *User) know(ctx context.Context) error {
	u.ready.Lock()
	defer u.ready.Unlock()
	if u.known {
		return nil
	}
	a, err := u.server.store.Account(ctx, u.JID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		u.exists.Store(false)
		u.known = true
		return nil
	case err != nil:
		return fmt.Errorf("server: account %s: %w", u.JID, err)
	}
	if !u.counted { // once: from then on every change is counted here
		n, _, err := u.server.store.SpoolSize(ctx, u.JID)
		if err != nil {
			return fmt.Errorf("server: spool of %s: %w", u.JID, err)
		}
		u.rows.Count(n)
		u.counted = true
	}
	u.exists.Store(!a.Disabled)
	u.known = true
	return nil
}

// load runs the modules' Load hooks, once while the account is online.
func (u *User) load(ctx context.Context) error {
	if err := u.know(ctx); err != nil {
		return err
	}
	u.ready.Lock()
	defer u.ready.Unlock()
	if u.loaded {
		return nil
	}
	for _, f := range u.server.table.load {
		if err := f(ctx, u); err != nil {
			return err
		}
	}
	u.loaded = true
	return nil
}

// Loaded reports whether the Load hooks have run for this account.
func (u *User) Loaded() bool {
	u.ready.Lock()
	defer u.ready.Unlock()
	return u.loaded
}

// users is the table of accounts that somebody deals with, in shards so that sessions on
// different processors do not wait for each other.
type users struct {
	server *Server
	shards [64]userShard
}

type userShard struct {
	mu sync.RWMutex
	m  map[string]*User
}

func (t *users) shard(bare string) *userShard {
	h := uint32(2166136261) // FNV-1a
	for i := range len(bare) {
		h = (h ^ uint32(bare[i])) * 16777619
	}
	return &t.shards[h%uint32(len(t.shards))]
}

// get returns the account if it is in the table, held there until release; nil otherwise.
func (t *users) get(bare jid.JID) *User {
	sh := t.shard(bare.String())
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	u := sh.m[bare.String()]
	if u != nil {
		u.refs.Add(1)
	}
	return u
}

// acquire returns the account, put into the table if need be, held there until release.
func (t *users) acquire(bare jid.JID) *User {
	if u := t.get(bare); u != nil {
		return u
	}
	sh := t.shard(bare.String())
	sh.mu.Lock()
	defer sh.mu.Unlock()
	u := sh.m[bare.String()]
	if u == nil {
		u = &User{JID: bare, server: t.server, slots: make([]atomic.Value, t.server.userSlots)}
		if sh.m == nil {
			sh.m = make(map[string]*User)
		}
		sh.m[bare.String()] = u
	}
	u.refs.Add(1)
	return u
}

// release undoes one get or acquire. U1: there is never more than one User of an account that
// somebody uses, because the last release and the removal are one step under the shard's lock.
func (t *users) release(u *User) {
	if u.refs.Add(-1) > 0 {
		return
	}
	sh := t.shard(u.JID.String())
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if u.refs.Load() == 0 && sh.m[u.JID.String()] == u {
		delete(sh.m, u.JID.String())
	}
}

// drop takes a deleted account from the table: who makes an account of that name again must not
// find what was known of this one.
func (t *users) drop(u *User) {
	sh := t.shard(u.JID.String())
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.m[u.JID.String()] == u {
		delete(sh.m, u.JID.String())
	}
}

// each calls f for every account in the table at some time, outside its locks.
func (t *users) each(f func(*User)) {
	for i := range t.shards {
		sh := &t.shards[i]
		sh.mu.RLock()
		us := make([]*User, 0, len(sh.m))
		for _, u := range sh.m {
			us = append(us, u)
		}
		sh.mu.RUnlock()
		for _, u := range us {
			f(u)
		}
	}
}

// remove takes se from the account's sessions. The caller holds u.mu.
func (u *User) remove(se *Session) {
	if i := slices.Index(u.sessions, se); i >= 0 {
		u.sessions = slices.Delete(u.sessions, i, i+1)
	}
}
