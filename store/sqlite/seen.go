// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"time"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

var seen = topic{
	name: "seen",
	migrations: []string{
		// The times count microseconds since 1970; until is 0 but for those that sleep.
		`CREATE TABLE seen (
			account INTEGER PRIMARY KEY REFERENCES account ON DELETE CASCADE,
			state   TEXT NOT NULL,
			since   INTEGER NOT NULL,
			until   INTEGER NOT NULL,
			last    INTEGER NOT NULL,
			reason  TEXT NOT NULL,
			status  TEXT NOT NULL
		);
		CREATE INDEX seen_until ON seen (until) WHERE until > 0`,
	},
	apply: applySeen,
}

func applySeen(t *tx, op store.Op) error {
	switch op := op.(type) {
	case store.SetSeen:
		id, err := t.user(op.User)
		if err != nil {
			return err
		}
		s := &op.Seen
		until := int64(0)
		if s.State == store.Sleeping {
			until = s.Until.UnixMicro()
		}
		_, err = t.exec(`INSERT INTO seen (account, state, since, until, last, reason, status) VALUES (?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET state = excluded.state, since = excluded.since, until = excluded.until,
				last = excluded.last, reason = excluded.reason, status = excluded.status`,
			id, string(s.State), s.Since.UnixMicro(), until, s.Last.UnixMicro(), s.Reason, s.Status)
		return err
	case store.LoseSeen:
		at := op.At.UnixMicro()
		_, err := t.exec(`UPDATE seen SET state = ?, since = max(since, ?), last = max(last, since, ?), until = 0, reason = ?, status = ''
			WHERE state IN (?, ?)`, string(store.Offline), at, at, op.Reason, string(store.Online), string(store.Unsteady))
		return err
	}
	return errUnknownOp
}

// Seen implements [store.SeenAccounts].
func (s *Store) Seen(ctx context.Context, user jid.JID) (x store.Seen, err error) {
	if err := store.CheckUser(user); err != nil {
		return x, err
	}
	err = s.read(ctx, "state of "+user.String(), func(c *conn) error {
		var state string
		var since, until, last int64
		found, err := c.row(`SELECT state, since, until, last, reason, status FROM seen WHERE account = `+accountID,
			[]any{user.Domain(), user.Local()}, &state, &since, &until, &last, &x.Reason, &x.Status)
		if err == nil && !found {
			err = store.ErrNotFound
		}
		x.State, x.Since, x.Last = store.SeenState(state), time.UnixMicro(since).UTC(), time.UnixMicro(last).UTC()
		if until != 0 {
			x.Until = time.UnixMicro(until).UTC()
		}
		return err
	})
	if err != nil {
		return store.Seen{}, err
	}
	return x, nil
}

// Overslept implements [store.SeenAccounts].
func (s *Store) Overslept(ctx context.Context, before time.Time, limit int) (list []jid.JID, err error) {
	err = s.read(ctx, "who has overslept", func(c *conn) error {
		const late = `SELECT a.local, a.domain FROM seen s JOIN account a ON a.id = s.account
			WHERE s.until > 0 AND s.until < ? ORDER BY s.until LIMIT ?`
		return c.each(late, []any{before.UnixMicro(), store.PageLimit(limit)}, func(scan func(...any) error) (bool, error) {
			var local, domain string
			if err := scan(&local, &domain); err != nil {
				return false, err
			}
			j, err := jid.Parse(local + "@" + domain)
			list = append(list, j)
			return true, err
		})
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}
