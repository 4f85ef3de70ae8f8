// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"fmt"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

var private = topic{
	name: "private",
	migrations: []string{
		// Not without rowid: the XML may be long, and the names are read without it.
		`CREATE TABLE private (
			account INTEGER NOT NULL REFERENCES account ON DELETE CASCADE,
			space   TEXT NOT NULL,
			local   TEXT NOT NULL,
			xml     BLOB NOT NULL,
			UNIQUE (account, space, local)
		)`,
	},
	apply: applyPrivate,
}

func applyPrivate(t *tx, op store.Op) error {
	set, ok := op.(store.SetPrivate)
	if !ok {
		return errUnknownOp
	}
	account, err := t.user(set.User)
	if err != nil {
		return err
	}
	if set.XML == nil {
		_, err := t.exec(`DELETE FROM private WHERE account = ? AND space = ? AND local = ?`, account, set.Name.Space, set.Name.Local)
		return err
	}
	var others int
	const count = `SELECT count(*) FROM private WHERE account = ? AND NOT (space = ? AND local = ?)`
	if _, err := t.row(count, []any{account, set.Name.Space, set.Name.Local}, &others); err != nil {
		return err
	}
	if others >= store.MaxPrivate {
		return fmt.Errorf("%d names of private XML: %w", others+1, store.ErrTooLarge)
	}
	_, err = t.exec(`INSERT INTO private (account, space, local, xml) VALUES (?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET xml = excluded.xml`, account, set.Name.Space, set.Name.Local, set.XML)
	return err
}

// Private implements [store.Privates].
func (s *Store) Private(ctx context.Context, user jid.JID, name store.PrivateName) (xml []byte, err error) {
	if err := store.CheckUser(user); err != nil {
		return nil, err
	}
	err = s.read(ctx, "private XML of "+user.String(), func(c *conn) error {
		const one = `SELECT xml FROM private WHERE account = ` + accountID + ` AND space = ? AND local = ?`
		found, err := c.row(one, []any{user.Domain(), user.Local(), name.Space, name.Local}, &xml)
		if err == nil && !found {
			err = store.ErrNotFound
		}
		return err
	})
	return xml, err
}

// PrivateSizes implements [store.Privates].
func (s *Store) PrivateSizes(ctx context.Context, user jid.JID) (map[store.PrivateName]int, error) {
	if err := store.CheckUser(user); err != nil {
		return nil, err
	}
	sizes := map[store.PrivateName]int{}
	err := s.read(ctx, "sizes of the private XML of "+user.String(), func(c *conn) error {
		const all = `SELECT space, local, length(xml) FROM private WHERE account = ` + accountID
		return c.each(all, []any{user.Domain(), user.Local()}, func(scan func(...any) error) (bool, error) {
			var name store.PrivateName
			var n int
			err := scan(&name.Space, &name.Local, &n)
			sizes[name] = n
			return true, err
		})
	})
	if err != nil {
		return nil, err
	}
	return sizes, nil
}
