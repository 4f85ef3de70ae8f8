// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"fmt"
	"time"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

var keyTokens = topic{
	name: "keytokens",
	migrations: []string{
		`CREATE TABLE keytoken (
			token   TEXT NOT NULL UNIQUE,
			account INTEGER NOT NULL REFERENCES account ON DELETE CASCADE,
			key     BLOB NOT NULL,
			name    TEXT NOT NULL,
			created INTEGER NOT NULL,
			expires INTEGER NOT NULL,
			UNIQUE (account, key)
		);
		CREATE INDEX keytoken_expires ON keytoken (expires)`,
	},
	apply: applyKeyTokens,
}

func applyKeyTokens(t *tx, op store.Op) error {
	switch op := op.(type) {
	case store.SetKeyToken:
		return setKeyToken(t, &op.Token, op.Most)
	case store.RemoveKeyToken:
		account, err := t.user(op.Account)
		if err != nil {
			return err
		}
		n, err := t.exec(`DELETE FROM keytoken WHERE token = ? AND account = ?`, op.Token, account)
		if err == nil && n == 0 {
			err = fmt.Errorf("token of %s: %w", op.Account, store.ErrNotFound)
		}
		return err
	case store.ExpireKeyTokens:
		_, err := t.exec(`DELETE FROM keytoken WHERE token IN (SELECT token FROM keytoken WHERE expires < ? LIMIT ?)`, op.Before.UnixMicro(), op.Limit)
		return err
	}
	return errUnknownOp
}

func setKeyToken(t *tx, x *store.KeyToken, most int) error {
	account, err := t.user(x.Account)
	if err != nil {
		return err
	}
	created := x.Created.UnixMicro()
	var others, taken int
	const count = `SELECT count(*), coalesce(sum(key = ?), 0) FROM keytoken WHERE account = ? AND token <> ? AND expires > ?`
	if _, err := t.row(count, []any{x.Key, account, x.Token, created}, &others, &taken); err != nil {
		return err
	}
	switch {
	case taken > 0:
		return fmt.Errorf("another token of %s for that key: %w", x.Account, store.ErrExists)
	case others >= most:
		return fmt.Errorf("%d tokens of %s: %w", others+1, x.Account, store.ErrTooLarge)
	}
	var owner int64
	if found, err := t.row(`SELECT account FROM keytoken WHERE token = ?`, []any{x.Token}, &owner); err != nil {
		return err
	} else if found && owner != account {
		return fmt.Errorf("token of another than %s: %w", x.Account, store.ErrExists)
	}
	if _, err := t.exec(`DELETE FROM keytoken WHERE account = ? AND token <> ? AND expires <= ?`, account, x.Token, created); err != nil {
		return err
	}
	_, err = t.exec(`INSERT INTO keytoken (token, account, key, name, created, expires) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (token) DO UPDATE SET name = excluded.name, expires = excluded.expires`,
		x.Token, account, x.Key, x.Name, created, x.Expires.UnixMicro())
	return err
}

func readKeyTokens(c *conn, query string, args ...any) (list []store.KeyToken, err error) {
	const columns = `SELECT token, domain, local, key, name, keytoken.created, expires FROM keytoken JOIN account ON account.id = account `
	err = c.each(columns+query, args, func(scan func(...any) error) (bool, error) {
		var x store.KeyToken
		var domain, local string
		var created, expires int64
		err := scan(&x.Token, &domain, &local, &x.Key, &x.Name, &created, &expires)
		if err == nil {
			x.Account, err = jid.New(local, domain, "")
		}
		x.Created, x.Expires = time.UnixMicro(created).UTC(), time.UnixMicro(expires).UTC()
		list = append(list, x)
		return true, err
	})
	return list, err
}

// KeyToken implements [store.KeyTokens].
func (s *Store) KeyToken(ctx context.Context, token string) (x store.KeyToken, err error) {
	err = s.read(ctx, "token of a key", func(c *conn) error {
		list, err := readKeyTokens(c, `WHERE token = ?`, token)
		switch {
		case err != nil:
			return err
		case len(list) == 0:
			return store.ErrNotFound
		}
		x = list[0]
		return nil
	})
	return x, err
}

// AccountKeyTokens implements [store.KeyTokens].
func (s *Store) AccountKeyTokens(ctx context.Context, account jid.JID) (list []store.KeyToken, err error) {
	if err := store.CheckUser(account); err != nil {
		return nil, err
	}
	err = s.read(ctx, "tokens of "+account.String(), func(c *conn) (err error) {
		list, err = readKeyTokens(c, `WHERE domain = ? AND local = ? ORDER BY keytoken.created, token LIMIT ?`, account.Domain(), account.Local(), store.MaxPage)
		return err
	})
	return list, err
}
