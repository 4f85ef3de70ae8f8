// SPDX-License-Identifier: Apache-2.0

package muc

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/muc"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// table has the rooms in memory: those that somebody is in or deals with. A room leaves it when nobody is
// in it and nobody holds it; a persistent one is loaded again when it is wanted, another one is over.
type table struct {
	mu    sync.Mutex
	rooms map[jid.JID]*room
	// opening is held, by the room's address, while a room is looked for in the store: two must not load
	// it, nor one what another has just changed.
	opening [64]sync.Mutex
}

func (t *table) count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.rooms)
}

// acquire returns the room, held until release, or nil where it is not in memory.
func (t *table) acquire(j jid.JID) *room {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.rooms[j]
	if r != nil {
		r.refs++
	}
	return r
}

// hold holds r, which is held, once more.
func (t *table) hold(r *room) {
	t.mu.Lock()
	r.refs++
	t.mu.Unlock()
}

// add makes r known, held.
func (t *table) add(r *room) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r.refs++
	t.rooms[r.jid] = r
}

// drop makes a room that is over unknown: another one may be made at its address.
func (t *table) drop(r *room) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.rooms[r.jid] == r {
		delete(t.rooms, r.jid)
	}
}

// all are the rooms in memory, held.
func (t *table) all() (all []*room) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range t.rooms {
		r.refs++
		all = append(all, r)
	}
	return all
}

// release lets go of r. The last to do so, when nobody is in the room, takes it out of memory.
func (m *Module) release(_ *server.Turn, r *room) {
	r.mu.Lock()
	empty := len(r.list) == 0
	r.mu.Unlock()
	t := &m.table
	t.mu.Lock()
	defer t.mu.Unlock()
	r.refs--
	if r.refs == 0 && empty && t.rooms[r.jid] == r {
		delete(t.rooms, r.jid)
	}
}

func (t *table) lock(j jid.JID) *sync.Mutex {
	h := uint64(14695981039346656037)
	for _, c := range []byte(j.String()) {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return &t.opening[h%uint64(len(t.opening))]
}

// errNoRoom is what there is to say of a room that does not exist.
func errNoRoom() *stanza.Error { return stanza.ItemNotFound.Err("there is no such room") }

// open returns a room, held, that is in memory or in the store. It may wait.
func (m *Module) open(j jid.JID) (*room, error) {
	if j.IsDomain() {
		return nil, errNoRoom()
	}
	l := m.table.lock(j)
	l.Lock()
	defer l.Unlock()
	return m.load(j)
}

// load is open; the caller holds the lock of opening.
func (m *Module) load(j jid.JID) (*room, error) {
	if r := m.table.acquire(j); r != nil {
		return r, nil
	}
	for {
		deletions := m.deletions.Load()
		r, err := m.read(j)
		if err != nil {
			return nil, err
		}
		m.table.add(r)
		if m.deletions.Load() == deletions {
			return r, nil
		}
		m.table.drop(r) // somebody whose account has gone meanwhile may be something in it
	}
}

// read makes the room of what the store has.
func (m *Module) read(j jid.JID) (*room, error) {
	kept, err := m.store.Room(context.Background(), j)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, errNoRoom()
	case err != nil:
		return nil, fmt.Errorf("muc: room %s: %w", j, err)
	}
	if err := m.knowSecret(); err != nil {
		return nil, err
	}
	r, err := m.restore(kept)
	if err != nil {
		return nil, err
	}
	return r, m.remembered(r)
}

// openOrCreate is open for whoever enters: a room that does not exist is made, and is locked until its
// owner has configured it (§10.1). It may wait.
func (m *Module) openOrCreate(s *stanza.Stanza) (*room, error) {
	j, creator := s.To.Bare(), s.From.Bare()
	l := m.table.lock(j)
	l.Lock()
	defer l.Unlock()
	r, err := m.load(j)
	if e, ok := stanza.AsError(err); err == nil || !ok || e.Condition != stanza.ItemNotFound {
		return r, err
	}
	c := m.config.Load()
	if c.Create == "nobody" || c.Create == "local" && !m.local(creator) {
		return nil, stanza.NotAllowed.Err("you may not make rooms here")
	}
	if err := m.mayMake(j.Domain(), creator, c); err != nil {
		return nil, err
	}
	if err := m.knowSecret(); err != nil {
		return nil, err
	}
	if m.archive != nil { // of a temporary room that ended with the server
		m.archive.Forget(store.ArchiveName{JID: j})
	}
	r = m.newRoom(j.Clone(), creator.Clone(), time.Now().UTC())
	r.options = m.defaults()
	r.locked = true
	r.people[r.creator] = person{affiliation: muc.Owner}
	m.table.add(r)
	return r, nil
}

// mayMake holds a new room to the bounds: those of the rooms in the store, and those in memory that are
// not there.
func (m *Module) mayMake(service string, creator jid.JID, c *Config) error {
	ctx := context.Background()
	all, err := m.store.RoomCount(ctx, service)
	if err != nil {
		return fmt.Errorf("muc: rooms of %s: %w", service, err)
	}
	own, err := m.store.RoomsOf(ctx, service, creator)
	if err != nil {
		return fmt.Errorf("muc: rooms of %s: %w", creator, err)
	}
	t := &m.table
	t.mu.Lock()
	for _, r := range t.rooms {
		if r.jid.Domain() == service && !r.kept.Load() {
			all++
			if r.creator == creator {
				own++
			}
		}
	}
	t.mu.Unlock()
	switch {
	case all >= c.MaxRooms:
		return m.limited("max_rooms", stanza.ResourceConstraint.Err("there are too many rooms"))
	case own >= c.MaxRoomsPerCreator:
		return m.limited("max_rooms_per_creator", stanza.ResourceConstraint.Err("you have made too many rooms"))
	}
	return nil
}

// secretName is the setting in which the secret of occupant ids is kept.
const secretName = "occupant id secret"

// knowSecret reads the secret of occupant ids, or makes it the first time. It may wait.
func (m *Module) knowSecret() error {
	if m.secret.Load() != nil {
		return nil
	}
	m.making.Lock()
	defer m.making.Unlock()
	if m.secret.Load() != nil {
		return nil
	}
	ctx := context.Background()
	secret, err := m.store.Setting(ctx, secretName)
	if errors.Is(err, store.ErrNotFound) {
		secret = make([]byte, 32)
		_, _ = rand.Read(secret) // it never fails
		err = m.store.Commit(store.SetSetting{Name: secretName, Value: secret}).Wait(ctx)
	}
	if err != nil {
		return fmt.Errorf("muc: secret of occupant ids: %w", err)
	}
	m.secret.Store(&secret)
	return nil
}

// occupantID tells users of a room apart and says nothing else of them (XEP-0421 §4.1).
func (m *Module) occupantID(room, user jid.JID) muc.OccupantID {
	h := hmac.New(sha256.New, *m.secret.Load())
	h.Write([]byte(room.String()))
	h.Write([]byte{0})
	h.Write([]byte(user.String()))
	return muc.OccupantID(base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:24]))
}
