// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"fmt"
	"time"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// How to read this file: the tables, then what changes them, a function for each operation, then what reads them.
// An address that a change may have left without anybody who refers to it is released.

var rooms = topic{
	name: "rooms",
	migrations: []string{
		`CREATE TABLE room (
			id      INTEGER PRIMARY KEY,
			domain  TEXT NOT NULL,
			local   TEXT NOT NULL,
			creator INTEGER NOT NULL REFERENCES address,
			created INTEGER NOT NULL,
			name    TEXT NOT NULL,
			public  INTEGER NOT NULL,
			config  BLOB NOT NULL,
			UNIQUE (domain, local)
		);
		CREATE INDEX room_creator ON room (creator);
		CREATE TABLE room_affiliation (
			room        INTEGER NOT NULL REFERENCES room ON DELETE CASCADE,
			user        INTEGER NOT NULL REFERENCES address,
			affiliation TEXT NOT NULL,
			nick        TEXT NOT NULL,
			reason      TEXT NOT NULL,
			PRIMARY KEY (room, user)
		) WITHOUT ROWID;
		CREATE INDEX room_affiliation_user ON room_affiliation (user);
		CREATE TABLE room_extra (
			room  INTEGER NOT NULL REFERENCES room ON DELETE CASCADE,
			name  TEXT NOT NULL,
			value BLOB NOT NULL,
			PRIMARY KEY (room, name)
		) WITHOUT ROWID`,
	},
	apply:  applyRooms,
	forget: forgetRooms,
}

func applyRooms(t *tx, op store.Op) error {
	switch op := op.(type) {
	case store.SetRoom:
		return setRoom(t, op.Room)
	case store.SetRoomAffiliation:
		return setRoomAffiliation(t, op)
	case store.SetRoomExtra:
		id, err := t.room(op.Room)
		if err != nil {
			return err
		}
		if op.Value == nil {
			_, err = t.exec(`DELETE FROM room_extra WHERE room = ? AND name = ?`, id, op.Name)
			return err
		}
		_, err = t.exec(`INSERT OR REPLACE INTO room_extra (room, name, value) VALUES (?, ?, ?)`, id, op.Name, op.Value)
		return err
	case store.DeleteRoom:
		return deleteRoom(t, op.Room)
	}
	return errUnknownOp
}

// room returns the id of a room, or store.ErrNotFound.
func (t *tx) room(j jid.JID) (id int64, err error) {
	found, err := t.row(`SELECT id FROM room WHERE domain = ? AND local = ?`, []any{j.Domain(), j.Local()}, &id)
	if err == nil && !found {
		err = fmt.Errorf("room %s: %w", j, store.ErrNotFound)
	}
	return id, err
}

func setRoom(t *tx, r store.Room) error {
	creator, err := t.address(r.Creator)
	if err != nil {
		return err
	}
	config := r.Config
	if config == nil {
		config = []byte{}
	}
	_, err = t.exec(`INSERT INTO room (domain, local, creator, created, name, public, config) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (domain, local) DO UPDATE SET name = excluded.name, public = excluded.public, config = excluded.config`,
		r.JID.Domain(), r.JID.Local(), creator, r.Created.UnixMicro(), r.Name, r.Public, config)
	if err != nil {
		return err
	}
	return t.release(creator) // of a room that has another creator already
}

func setRoomAffiliation(t *tx, op store.SetRoomAffiliation) error {
	room, err := t.room(op.Room)
	if err != nil {
		return err
	}
	a := op.Affiliation
	if a.Affiliation == "none" && a.Nick == "" {
		user, err := t.knownAddress(a.User)
		if err != nil || user == 0 {
			return err
		}
		n, err := t.exec(`DELETE FROM room_affiliation WHERE room = ? AND user = ?`, room, user)
		if err != nil || n == 0 {
			return err
		}
		return t.release(user)
	}
	user, err := t.address(a.User)
	if err != nil {
		return err
	}
	_, err = t.exec(`INSERT OR REPLACE INTO room_affiliation (room, user, affiliation, nick, reason) VALUES (?, ?, ?, ?, ?)`,
		room, user, a.Affiliation, a.Nick, a.Reason)
	return err
}

func deleteRoom(t *tx, j jid.JID) error {
	var id, creator int64
	found, err := t.row(`SELECT id, creator FROM room WHERE domain = ? AND local = ?`, []any{j.Domain(), j.Local()}, &id, &creator)
	if err != nil || !found {
		return err
	}
	users := []int64{creator}
	err = t.each(`SELECT user FROM room_affiliation WHERE room = ?`, []any{id}, func(scan func(...any) error) (bool, error) {
		var user int64
		err := scan(&user)
		users = append(users, user)
		return true, err
	})
	if err != nil {
		return err
	}
	if _, err := t.exec(`DELETE FROM room WHERE id = ?`, id); err != nil {
		return err
	}
	for _, user := range users {
		if err := t.release(user); err != nil {
			return err
		}
	}
	return nil
}

// forgetRooms removes what an account is in rooms: another account of that name is nobody there.
func forgetRooms(t *tx, account int64) error {
	j, found, err := t.accountJID(account)
	if err != nil || !found {
		return err
	}
	user, err := t.knownAddress(j)
	if err != nil || user == 0 {
		return err
	}
	n, err := t.exec(`DELETE FROM room_affiliation WHERE user = ?`, user)
	if err != nil || n == 0 {
		return err
	}
	return t.release(user)
}

// Room implements [store.Rooms].
func (s *Store) Room(ctx context.Context, room jid.JID) (store.Room, error) {
	r := store.Room{JID: room}
	if err := store.CheckUser(room); err != nil {
		return store.Room{}, err
	}
	err := s.read(ctx, "room "+room.String(), func(c *conn) error {
		var id, created int64
		var creator string
		const one = `SELECT room.id, address.jid, created, name, public, config FROM room JOIN address ON address.id = creator
			WHERE domain = ? AND local = ?`
		found, err := c.row(one, []any{room.Domain(), room.Local()}, &id, &creator, &created, &r.Name, &r.Public, &r.Config)
		if err == nil && !found {
			err = store.ErrNotFound
		}
		if err != nil {
			return err
		}
		r.Created = time.UnixMicro(created).UTC()
		if r.Creator, err = jid.Parse(creator); err != nil {
			return err
		}
		const affiliations = `SELECT jid, affiliation, nick, reason FROM room_affiliation JOIN address ON address.id = user WHERE room = ?`
		err = c.each(affiliations, []any{id}, func(scan func(...any) error) (bool, error) {
			var a store.RoomAffiliation
			var user string
			if err := scan(&user, &a.Affiliation, &a.Nick, &a.Reason); err != nil {
				return false, err
			}
			var err error
			a.User, err = jid.Parse(user)
			r.Affiliations = append(r.Affiliations, a)
			return true, err
		})
		if err != nil {
			return err
		}
		return c.each(`SELECT name, value FROM room_extra WHERE room = ?`, []any{id}, func(scan func(...any) error) (bool, error) {
			var name string
			var value []byte
			err := scan(&name, &value)
			if r.Extras == nil {
				r.Extras = make(map[string][]byte)
			}
			r.Extras[name] = append([]byte{}, value...) // never nil
			return true, err
		})
	})
	if err != nil {
		return store.Room{}, err
	}
	return r, nil
}

// PublicRooms implements [store.Rooms].
func (s *Store) PublicRooms(ctx context.Context, service, after string, limit int) (page []store.RoomName, err error) {
	err = s.read(ctx, "rooms of "+service, func(c *conn) error {
		const list = `SELECT local, name FROM room WHERE domain = ? AND local > ? AND public ORDER BY local LIMIT ?`
		return c.each(list, []any{service, after, store.PageLimit(limit)}, func(scan func(...any) error) (bool, error) {
			var local string
			var r store.RoomName
			if err := scan(&local, &r.Name); err != nil {
				return false, err
			}
			var err error
			r.JID, err = jid.New(local, service, "")
			page = append(page, r)
			return true, err
		})
	})
	return page, err
}

// RoomCount implements [store.Rooms].
func (s *Store) RoomCount(ctx context.Context, service string) (n int, err error) {
	err = s.read(ctx, "number of rooms of "+service, func(c *conn) error {
		_, err := c.row(`SELECT count(*) FROM room WHERE domain = ?`, []any{service}, &n)
		return err
	})
	return n, err
}

// RoomsOf implements [store.Rooms].
func (s *Store) RoomsOf(ctx context.Context, service string, creator jid.JID) (n int, err error) {
	err = s.read(ctx, "number of rooms of "+creator.String(), func(c *conn) error {
		const count = `SELECT count(*) FROM room WHERE domain = ? AND creator = (SELECT id FROM address WHERE jid = ?)`
		_, err := c.row(count, []any{service, creator.String()}, &n)
		return err
	})
	return n, err
}

// FindRooms implements [store.Rooms].
func (s *Store) FindRooms(ctx context.Context, q store.RoomQuery) (page []store.RoomEntry, err error) {
	err = s.read(ctx, "rooms of "+q.Service, func(c *conn) error {
		const list = `SELECT local, name, address.jid, created, public,
			(SELECT count(*) FROM room_affiliation WHERE room = room.id AND affiliation = 'owner') AS owners,
			(SELECT count(*) FROM room_affiliation WHERE room = room.id AND affiliation <> 'none')
			FROM room JOIN address ON address.id = creator WHERE domain = ?1 AND local > ?2
			AND (?3 = '' OR instr(lower(local), lower(?3)) OR instr(lower(name), lower(?3))) AND (NOT ?4 OR owners = 0)
			ORDER BY local LIMIT ?5`
		args := []any{q.Service, q.After, q.Find, q.Ownerless, store.PageLimit(q.Limit)}
		return c.each(list, args, func(scan func(...any) error) (bool, error) {
			var r store.RoomEntry
			var local, creator string
			var created int64
			if err := scan(&local, &r.Name, &creator, &created, &r.Public, &r.Owners, &r.Affiliations); err != nil {
				return false, err
			}
			r.Created = time.UnixMicro(created).UTC()
			var err error
			if r.JID, err = jid.New(local, q.Service, ""); err == nil {
				r.Creator, err = jid.Parse(creator)
			}
			page = append(page, r)
			return true, err
		})
	})
	return page, err
}
