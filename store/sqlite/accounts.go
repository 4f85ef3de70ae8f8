// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"fmt"
	"time"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/sasl"
)

var accounts = topic{
	name: "accounts",
	migrations: []string{
		// AUTOINCREMENT: the id of an account is never given again, so nothing of a deleted one can come to a new one.
		// created counts microseconds since 1970.
		`CREATE TABLE account (
			id       INTEGER PRIMARY KEY AUTOINCREMENT,
			domain   TEXT NOT NULL,
			local    TEXT NOT NULL,
			created  INTEGER NOT NULL,
			disabled INTEGER NOT NULL,
			UNIQUE (domain, local)
		);
		CREATE TABLE account_key (
			account    INTEGER NOT NULL REFERENCES account ON DELETE CASCADE,
			hash       TEXT NOT NULL,
			salt       BLOB,
			iterations INTEGER NOT NULL,
			stored_key BLOB,
			server_key BLOB,
			PRIMARY KEY (account, hash)
		) WITHOUT ROWID`,
	},
	apply: applyAccounts,
}

// accountID is the id of an account in a read; its arguments are domain and local part.
const accountID = `(SELECT id FROM account WHERE domain = ? AND local = ?)`

func applyAccounts(t *tx, op store.Op) error {
	switch op := op.(type) {
	case store.CreateAccount:
		return createAccount(t, op.Account)
	case store.SetKeys:
		return setKeys(t, op.User, op.Keys)
	case store.SetDisabled:
		id, err := t.user(op.User)
		if err == nil {
			_, err = t.exec(`UPDATE account SET disabled = ? WHERE id = ?`, op.Disabled, id)
		}
		return err
	case store.DeleteAccount:
		return deleteAccount(t, op.User)
	}
	return errUnknownOp
}

func createAccount(t *tx, a store.Account) error {
	const insert = `INSERT INTO account (domain, local, created, disabled) VALUES (?, ?, ?, ?)
		ON CONFLICT DO NOTHING RETURNING id`
	var id int64
	made, err := t.returning(insert,
		[]any{a.JID.Domain(), a.JID.Local(), a.Created.UnixMicro(), a.Disabled}, &id)
	if err != nil {
		return err
	}
	if !made {
		return fmt.Errorf("account %s: %w", a.JID, store.ErrExists)
	}
	t.users.put(a.JID.String(), id)
	return addKeys(t, id, a.Keys)
}

func setKeys(t *tx, user jid.JID, keys []sasl.Key) error {
	id, err := t.user(user)
	if err != nil {
		return err
	}
	if _, err := t.exec(`DELETE FROM account_key WHERE account = ?`, id); err != nil {
		return err
	}
	return addKeys(t, id, keys)
}

func addKeys(t *tx, id int64, keys []sasl.Key) error {
	for _, k := range keys {
		_, err := t.exec(`INSERT INTO account_key (account, hash, salt, iterations, stored_key, server_key)
			VALUES (?, ?, ?, ?, ?, ?)`, id, k.Hash, k.Salt, k.Iterations, k.StoredKey, k.ServerKey)
		if err != nil {
			return err
		}
	}
	return nil
}

func deleteAccount(t *tx, user jid.JID) error {
	id, err := t.user(user)
	if err != nil {
		return err
	}
	for _, topic := range t.topics {
		if topic.forget == nil {
			continue
		}
		if err := topic.forget(t, id); err != nil {
			return err
		}
	}
	t.users.forget(user.String())
	_, err = t.exec(`DELETE FROM account WHERE id = ?`, id)
	return err
}

// Account implements [store.Accounts].
func (s *Store) Account(ctx context.Context, user jid.JID) (store.Account, error) {
	if err := store.CheckUser(user); err != nil {
		return store.Account{}, err
	}
	a := store.Account{JID: user}
	err := s.read(ctx, "account "+user.String(), func(c *conn) error {
		return c.snapshot(func() error { return readAccount(c, &a) })
	})
	if err != nil {
		return store.Account{}, err
	}
	return a, nil
}

func readAccount(c *conn, a *store.Account) error {
	var id, created int64
	found, err := c.row(`SELECT id, created, disabled FROM account WHERE domain = ? AND local = ?`,
		[]any{a.JID.Domain(), a.JID.Local()}, &id, &created, &a.Disabled)
	if err != nil {
		return err
	}
	if !found {
		return store.ErrNotFound
	}
	a.Created = time.UnixMicro(created).UTC()
	const keys = `SELECT hash, salt, iterations, stored_key, server_key FROM account_key WHERE account = ?`
	return c.each(keys, []any{id}, func(scan func(...any) error) (bool, error) {
		var k sasl.Key
		err := scan(&k.Hash, &k.Salt, &k.Iterations, &k.StoredKey, &k.ServerKey)
		a.Keys = append(a.Keys, k)
		return true, err
	})
}

// Accounts implements [store.Accounts].
func (s *Store) Accounts(ctx context.Context, domain, after string, limit int) ([]store.Account, error) {
	var page []store.Account
	err := s.read(ctx, "accounts of "+domain, func(c *conn) error {
		const list = `SELECT local, created, disabled FROM account WHERE domain = ? AND local > ? ORDER BY local LIMIT ?`
		args := []any{domain, after, store.PageLimit(limit)}
		return c.each(list, args, func(scan func(...any) error) (bool, error) {
			var local string
			var created int64
			var a store.Account
			err := scan(&local, &created, &a.Disabled)
			if err != nil {
				return false, err
			}
			a.JID, err = jid.Parse(local + "@" + domain)
			a.Created = time.UnixMicro(created).UTC()
			page = append(page, a)
			return true, err
		})
	})
	if err != nil {
		return nil, err
	}
	return page, nil
}

// CountAccounts implements [store.Accounts].
func (s *Store) CountAccounts(ctx context.Context, domain string) (n int, err error) {
	err = s.read(ctx, "number of accounts", func(c *conn) error {
		if domain == "" {
			_, err := c.row(`SELECT count(*) FROM account`, nil, &n)
			return err
		}
		_, err := c.row(`SELECT count(*) FROM account WHERE domain = ?`, []any{domain}, &n)
		return err
	})
	return n, err
}

// accountJID is the address of an account, by its id.
func (t *tx) accountJID(id int64) (j jid.JID, found bool, err error) {
	var domain, local string
	if found, err = t.row(`SELECT domain, local FROM account WHERE id = ?`, []any{id}, &domain, &local); err == nil && found {
		j, err = jid.New(local, domain, "")
	}
	return j, found, err
}
