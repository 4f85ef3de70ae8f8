// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"fmt"
	"log/slog"
	"strings"

	"github.com/stonechat-im/stonechat/store"
)

// topic is how one topic of package store is kept. Its reads are methods of Store beside it.
//
// Tables follow two rules, from which the rest comes by itself. A row that belongs to an account has a column that
// REFERENCES account ON DELETE CASCADE: deleting the account removes it, even in a program that was built without the
// topic. A column with the id of somebody else's address REFERENCES address and is indexed: tx.release finds it there.
type topic struct {
	name string
	// migrations bring the tables from nothing to what the code expects, in order; the number of them that have run
	// is the topic's version in the file. They are forward only. What has been released is never edited: a change is
	// a new line.
	migrations []string
	// apply carries out one operation of the topic. An error before its first write needs no undoing; after it, the
	// whole call is undone.
	apply func(*tx, store.Op) error
	// forget runs before an account is removed, for what the cascade cannot do; nil: nothing to do.
	forget func(t *tx, account int64) error
}

// topics is the list. A topic may refer to tables of those above it.
var topics = []topic{
	addresses,
	accounts,
	roster,
	spool,
	outgoing,
	settings,
	archive,
	rooms,
	pubsub,
	private,
	tokens,
	seen,
	things,
	consent,
	keyTokens,
}

// The versions are kept per topic, so that a topic is added and removed alone. A migration tool would number them in
// one row and bring a dialect of comments; this is all that is needed here.
const versionTable = `CREATE TABLE IF NOT EXISTS topic (name TEXT PRIMARY KEY, version INTEGER NOT NULL) WITHOUT ROWID`

// versions reads the version of each topic in the file. There are none in a file that was just made.
func versions(c *conn) (map[string]int, error) {
	v := map[string]int{}
	var tables int
	_, err := c.row(`SELECT count(*) FROM sqlite_schema WHERE name = 'topic'`, nil, &tables)
	if err != nil || tables == 0 {
		return v, err
	}
	err = c.each(`SELECT name, version FROM topic`, nil, func(scan func(...any) error) (bool, error) {
		var name string
		var version int
		err := scan(&name, &version)
		v[name] = version
		return true, err
	})
	return v, err
}

// checkVersions refuses a file in which a topic is newer than this program. Topics it does not know it lets be.
func checkVersions(c *conn, list []topic) error {
	have, err := versions(c)
	if err != nil {
		return err
	}
	for _, t := range list {
		if v := have[t.name]; v > len(t.migrations) {
			return fmt.Errorf("sqlite: %s has version %d, this program knows %d: %w",
				t.name, v, len(t.migrations), store.ErrNewer)
		}
	}
	return nil
}

// migrate brings all tables up to date in one transaction: after a crash or an error, the file is as it was.
func migrate(c *conn, list []topic, log *slog.Logger) error {
	if _, err := c.exec(`BEGIN IMMEDIATE`); err != nil {
		return err
	}
	if err := runMigrations(c, list, log); err != nil {
		c.exec(`ROLLBACK`)
		return err
	}
	_, err := c.exec(`COMMIT`)
	return err
}

func runMigrations(c *conn, list []topic, log *slog.Logger) error {
	if err := c.script(fmt.Sprintf(`PRAGMA application_id = %d; %s`, applicationID, versionTable)); err != nil {
		return err
	}
	have, err := versions(c)
	if err != nil {
		return err
	}
	for _, t := range list {
		if v, n := have[t.name], len(t.migrations); len(have) > 0 && v < n {
			log.Info("store: tables are brought up to date, which may take a while", "topic", t.name, "from", v, "to", n)
		}
		for i := have[t.name]; i < len(t.migrations); i++ {
			if err := c.script(t.migrations[i]); err != nil {
				return fmt.Errorf("sqlite: bringing %s from version %d to %d: %w", t.name, i, i+1, err)
			}
		}
		if have[t.name] < len(t.migrations) {
			_, err := c.exec(`INSERT INTO topic VALUES (?, ?) ON CONFLICT DO UPDATE SET version = excluded.version`,
				t.name, len(t.migrations))
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// releaseStatement deletes an address unless a column anywhere refers to it. It is made from the schema, so that the
// tables of topics which this program was built without count too.
func releaseStatement(c *conn) (string, error) {
	b := strings.Builder{}
	b.WriteString(`DELETE FROM address WHERE id = ?1`)
	const referring = `SELECT t.name, k."from" FROM sqlite_schema t, pragma_foreign_key_list(t.name) k
		WHERE t.type = 'table' AND k."table" = 'address' ORDER BY 1, 2`
	err := c.each(referring, nil, func(scan func(...any) error) (bool, error) {
		var table, column string
		err := scan(&table, &column)
		fmt.Fprintf(&b, ` AND NOT EXISTS (SELECT 1 FROM %s WHERE %s = ?1)`, table, column)
		return true, err
	})
	b.WriteString(` RETURNING jid`)
	return b.String(), err
}
