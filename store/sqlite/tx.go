// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"fmt"

	sqlite3 "modernc.org/sqlite/lib"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// tx is the transaction of one batch, as topics write through it. There is one, used again and again by the writer's
// goroutine.
type tx struct {
	*conn
	topics     map[string]topic // the list, by name
	releaseSQL string
	users      *ids // accounts by their addresses
	addresses  *ids
	names      *ids // of what topics name by themselves, the topic's name in front
	writes     int  // statements that have changed something
}

func newTx(c *conn, releaseSQL string) *tx {
	t := &tx{conn: c, releaseSQL: releaseSQL, users: newIDs(), addresses: newIDs(), names: newIDs(), topics: map[string]topic{}}
	for _, topic := range topics {
		t.topics[topic.name] = topic
	}
	return t
}

// exec runs an INSERT, UPDATE or DELETE and returns how many rows it changed.
func (t *tx) exec(query string, args ...any) (int64, error) {
	n, err := t.conn.exec(query, args...)
	if n > 0 {
		t.writes++
	}
	return n, err
}

// returning runs one with a RETURNING clause on at most one row, to its end, and reads that row.
func (t *tx) returning(query string, args []any, dest ...any) (changed bool, err error) {
	err = t.each(query, args, func(scan func(...any) error) (bool, error) {
		changed = true
		t.writes++
		return true, scan(dest...)
	})
	return changed, err
}

// user returns the id of an account, or store.ErrNotFound.
func (t *tx) user(user jid.JID) (int64, error) {
	if id, ok := t.users.get(user.String()); ok {
		return id, nil
	}
	var id int64
	found, err := t.row(`SELECT id FROM account WHERE domain = ? AND local = ?`,
		[]any{user.Domain(), user.Local()}, &id)
	if err != nil {
		return 0, err
	}
	if !found {
		return 0, fmt.Errorf("account %s: %w", user, store.ErrNotFound)
	}
	t.users.put(user.String(), id)
	return id, nil
}

// begin starts the transaction. One that an error has left open is ended first.
func (t *tx) begin() error {
	_, err := t.conn.exec(`BEGIN IMMEDIATE`)
	if code(err) == sqlite3.SQLITE_ERROR {
		t.rollback()
		_, err = t.conn.exec(`BEGIN IMMEDIATE`)
	}
	return err
}

func (t *tx) commit() error {
	_, err := t.conn.exec(`COMMIT`)
	if err == nil {
		t.users.settle()
		t.addresses.settle()
		t.names.settle()
	}
	return err
}

// rollback undoes all. SQLite may have done so itself, for instance when the disk is full: then the statement fails,
// which says nothing.
func (t *tx) rollback() {
	t.conn.exec(`ROLLBACK`)
	t.users.unlearn(0)
	t.addresses.unlearn(0)
	t.names.unlearn(0)
}

// savepoint is a place in the transaction to which it can be undone.
type savepoint struct{ users, addresses, names int }

func (t *tx) save() (savepoint, error) {
	_, err := t.conn.exec(`SAVEPOINT call`)
	return savepoint{len(t.users.learned), len(t.addresses.learned), len(t.names.learned)}, err
}

// undo goes back to p, which stays until it is dropped.
func (t *tx) undo(p savepoint) error {
	t.users.unlearn(p.users)
	t.addresses.unlearn(p.addresses)
	t.names.unlearn(p.names)
	_, err := t.conn.exec(`ROLLBACK TO call`)
	return err
}

// drop forgets the savepoint and keeps what was done since.
func (t *tx) drop() error {
	_, err := t.conn.exec(`RELEASE call`)
	return err
}

// apply carries out the operations of one call in order, up to the first error.
func (t *tx) apply(ops []store.Op) error {
	for _, op := range ops {
		topic, ok := t.topics[op.Topic()]
		if !ok || topic.apply == nil {
			return fmt.Errorf("sqlite: %T: %w", op, errUnknownOp)
		}
		if err := topic.apply(t, op); err != nil {
			return fmt.Errorf("sqlite: %T: %w", op, err)
		}
	}
	return nil
}
