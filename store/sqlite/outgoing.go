// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"fmt"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

var outgoing = topic{
	name: "outgoing",
	migrations: []string{
		// As the spool's: new entries go to the end of the table, and the index alone tells which routes there are, what
		// they hold, and where a page is.
		`CREATE TABLE outgoing (
			id     INTEGER PRIMARY KEY AUTOINCREMENT,
			origin TEXT NOT NULL,
			target TEXT NOT NULL,
			at     INTEGER NOT NULL,
			bytes  INTEGER NOT NULL,
			stanza BLOB NOT NULL
		);
		CREATE INDEX outgoing_route ON outgoing (target, origin, id, bytes)`,
	},
	apply: applyOutgoing,
}

func applyOutgoing(t *tx, op store.Op) error {
	switch op := op.(type) {
	case store.AddOutgoing:
		e := op.Entry
		const insert = `INSERT INTO outgoing (id, origin, target, at, bytes, stanza) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`
		n, err := t.exec(insert, e.ID, op.From.Domain(), op.To.Domain(), e.At.UnixMicro(), len(e.Stanza), e.Stanza)
		if err == nil && n == 0 {
			err = fmt.Errorf("outgoing entry %d: %w", e.ID, store.ErrExists)
		}
		return err
	case store.DeleteOutgoing:
		for _, id := range op.IDs {
			const remove = `DELETE FROM outgoing WHERE id = ? AND origin = ? AND target = ?`
			if _, err := t.exec(remove, id, op.From.Domain(), op.To.Domain()); err != nil {
				return err
			}
		}
		return nil
	}
	return errUnknownOp
}

// Outgoing implements [store.Outgoings].
func (s *Store) Outgoing(ctx context.Context, r store.Route, after int64, limit int) ([]store.SpoolEntry, error) {
	if err := store.CheckRoute(r); err != nil {
		return nil, err
	}
	var page []store.SpoolEntry
	err := s.read(ctx, "what is outgoing to "+r.To.String(), func(c *conn) error {
		const list = `SELECT id, at, stanza FROM outgoing WHERE target = ? AND origin = ? AND id > ? ORDER BY id LIMIT ?`
		args := []any{r.To.Domain(), r.From.Domain(), after, store.PageLimit(limit)}
		return c.each(list, args, entriesTo(&page))
	})
	if err != nil {
		return nil, err
	}
	return page, nil
}

// OutgoingRoutes implements [store.Outgoings].
func (s *Store) OutgoingRoutes(ctx context.Context, after store.Route, limit int) ([]store.RouteSize, error) {
	var page []store.RouteSize
	err := s.read(ctx, "outgoing routes", func(c *conn) error {
		const list = `SELECT origin, target, count(*), sum(bytes) FROM outgoing WHERE (target, origin) > (?, ?)
			GROUP BY target, origin ORDER BY target, origin LIMIT ?`
		args := []any{after.To.Domain(), after.From.Domain(), store.PageLimit(limit)}
		return c.each(list, args, func(scan func(...any) error) (bool, error) {
			var r store.RouteSize
			var from, to string
			err := scan(&from, &to, &r.Entries, &r.Bytes)
			if err == nil {
				r.From, err = jid.New("", from, "")
			}
			if err == nil {
				r.To, err = jid.New("", to, "")
			}
			page = append(page, r)
			return true, err
		})
	})
	if err != nil {
		return nil, err
	}
	return page, nil
}

// LastOutgoingID implements [store.Outgoings].
func (s *Store) LastOutgoingID(ctx context.Context) (id int64, err error) {
	err = s.read(ctx, "last id of what was outgoing", func(c *conn) error {
		_, err := c.row(`SELECT seq FROM sqlite_sequence WHERE name = 'outgoing'`, nil, &id)
		return err
	})
	return id, err
}
