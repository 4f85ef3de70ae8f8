// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

var spool = topic{
	name: "spool",
	migrations: []string{
		// New entries go to the end of the table and the reader of a page finds them through the index, which alone
		// tells the size of a spool. AUTOINCREMENT remembers the highest id that ever was, deleted or not.
		`CREATE TABLE spool (
			id      INTEGER PRIMARY KEY AUTOINCREMENT,
			account INTEGER NOT NULL REFERENCES account ON DELETE CASCADE,
			at      INTEGER NOT NULL,
			bytes   INTEGER NOT NULL,
			stanza  BLOB NOT NULL
		);
		CREATE INDEX spool_account ON spool (account, id, bytes)`,
	},
	apply: applySpool,
}

func applySpool(t *tx, op store.Op) error {
	switch op := op.(type) {
	case store.AddSpool:
		id, err := t.user(op.User)
		if err != nil {
			return err
		}
		e := op.Entry
		n, err := t.exec(`INSERT INTO spool (id, account, at, bytes, stanza) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
			e.ID, id, e.At.UnixMicro(), len(e.Stanza), e.Stanza)
		if err == nil && n == 0 {
			err = fmt.Errorf("spool entry %d: %w", e.ID, store.ErrExists)
		}
		return err
	case store.DeleteSpool:
		return deleteSpool(t, op)
	}
	return errUnknownOp
}

func deleteSpool(t *tx, op store.DeleteSpool) error {
	account, err := t.user(op.User)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, id := range op.IDs {
		if _, err := t.exec(`DELETE FROM spool WHERE id = ? AND account = ?`, id, account); err != nil {
			return err
		}
	}
	return nil
}

// Spool implements [store.Spools].
func (s *Store) Spool(ctx context.Context, user jid.JID, after int64, limit int) ([]store.SpoolEntry, error) {
	if err := store.CheckUser(user); err != nil {
		return nil, err
	}
	var page []store.SpoolEntry
	err := s.read(ctx, "spool of "+user.String(), func(c *conn) error {
		const list = `SELECT id, at, stanza FROM spool WHERE account = ` + accountID + ` AND id > ? ORDER BY id LIMIT ?`
		args := []any{user.Domain(), user.Local(), after, store.PageLimit(limit)}
		return c.each(list, args, entriesTo(&page))
	})
	if err != nil {
		return nil, err
	}
	return page, nil
}

// entriesTo appends to a page what rows of id, at and stanza have, until it has enough.
func entriesTo(page *[]store.SpoolEntry) func(scan func(...any) error) (bool, error) {
	bytes := 0
	return func(scan func(...any) error) (bool, error) {
		var e store.SpoolEntry
		var at int64
		err := scan(&e.ID, &at, &e.Stanza)
		e.At = time.UnixMicro(at).UTC()
		*page = append(*page, e)
		bytes += len(e.Stanza)
		return bytes < store.MaxPageBytes, err
	}
}

// SpoolSize implements [store.Spools].
func (s *Store) SpoolSize(ctx context.Context, user jid.JID) (n int, bytes int64, err error) {
	if err := store.CheckUser(user); err != nil {
		return 0, 0, err
	}
	err = s.read(ctx, "size of the spool of "+user.String(), func(c *conn) error {
		const size = `SELECT count(*), coalesce(sum(bytes), 0) FROM spool WHERE account = ` + accountID
		_, err := c.row(size, []any{user.Domain(), user.Local()}, &n, &bytes)
		return err
	})
	return n, bytes, err
}

// LastSpoolID implements [store.Spools].
func (s *Store) LastSpoolID(ctx context.Context) (id int64, err error) {
	err = s.read(ctx, "last id of the spool", func(c *conn) error {
		_, err := c.row(`SELECT seq FROM sqlite_sequence WHERE name = 'spool'`, nil, &id)
		return err
	})
	return id, err
}
