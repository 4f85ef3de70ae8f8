// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"

	"github.com/stonechat-im/stonechat/store"
)

var settings = topic{
	name: "settings",
	migrations: []string{
		`CREATE TABLE setting (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID`,
	},
	apply: applySettings,
}

func applySettings(t *tx, op store.Op) error {
	set, ok := op.(store.SetSetting)
	if !ok {
		return errUnknownOp
	}
	if set.Value == nil {
		_, err := t.exec(`DELETE FROM setting WHERE name = ?`, set.Name)
		return err
	}
	_, err := t.exec(`INSERT OR REPLACE INTO setting (name, value) VALUES (?, ?)`, set.Name, set.Value)
	return err
}

// Setting implements [store.Settings].
func (s *Store) Setting(ctx context.Context, name string) (value []byte, err error) {
	err = s.read(ctx, "setting "+name, func(c *conn) error {
		found, err := c.row(`SELECT value FROM setting WHERE name = ?`, []any{name}, &value)
		if err == nil && !found {
			err = store.ErrNotFound
		}
		return err
	})
	return value, err
}
