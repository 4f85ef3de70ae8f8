// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"time"

	"github.com/stonechat-im/stonechat/store"
)

var tokens = topic{
	name: "tokens",
	migrations: []string{
		// given is what a registering thing is given, as JSON: it is only ever read whole. created and expires
		// count microseconds since 1970; expires is 0 for never.
		`CREATE TABLE token (
			id      TEXT PRIMARY KEY,
			digest  BLOB NOT NULL,
			domain  TEXT NOT NULL,
			uses    INTEGER NOT NULL,
			used    INTEGER NOT NULL,
			created INTEGER NOT NULL,
			expires INTEGER NOT NULL,
			thing   INTEGER NOT NULL,
			note    TEXT NOT NULL,
			given   TEXT NOT NULL
		) WITHOUT ROWID`,
	},
	apply: applyTokens,
}

// tokenGiven is the column given.
type tokenGiven struct {
	Groups []string         `json:"groups,omitempty"`
	Tags   []store.ThingTag `json:"tags,omitempty"`
}

func applyTokens(t *tx, op store.Op) error {
	switch op := op.(type) {
	case store.AddToken:
		return addToken(t, &op.Token)
	case store.UseToken:
		return useToken(t, op)
	case store.RemoveToken:
		n, err := t.exec(`DELETE FROM token WHERE id = ?`, op.ID)
		if err == nil && n == 0 {
			return fmt.Errorf("token %s: %w", op.ID, store.ErrNotFound)
		}
		return err
	}
	return errUnknownOp
}

func addToken(t *tx, x *store.Token) error {
	var n int
	if _, err := t.row(`SELECT count(*) FROM token`, nil, &n); err != nil {
		return err
	}
	if n >= store.MaxTokens {
		return fmt.Errorf("%d tokens: %w", n+1, store.ErrTooLarge)
	}
	given, err := json.Marshal(tokenGiven{x.Groups, x.Tags})
	if err != nil {
		return err
	}
	expires := int64(0)
	if !x.Expires.IsZero() {
		expires = x.Expires.UnixMicro()
	}
	n64, err := t.exec(`INSERT INTO token (id, digest, domain, uses, used, created, expires, thing, note, given)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
		x.ID(), x.Digest[:], x.Domain, x.Uses, x.Used, x.Created.UnixMicro(), expires, x.Thing, x.Note, string(given))
	if err == nil && n64 == 0 {
		return fmt.Errorf("token %s: %w", x.ID(), store.ErrExists)
	}
	return err
}

func useToken(t *tx, op store.UseToken) error {
	id := (&store.Token{Digest: op.Digest}).ID()
	n, err := t.exec(`UPDATE token SET used = used + 1 WHERE id = ? AND digest = ? AND domain = ? AND used < uses`, id, op.Digest[:], op.Domain)
	if err != nil || n == 1 {
		return err
	}
	var one int
	found, err := t.row(`SELECT 1 FROM token WHERE id = ? AND digest = ? AND domain = ?`, []any{id, op.Digest[:], op.Domain}, &one)
	switch {
	case err != nil:
		return err
	case found:
		return fmt.Errorf("token %s: %w", id, store.ErrSpent)
	}
	return fmt.Errorf("token %s: %w", id, store.ErrNotFound)
}

const tokenColumns = `SELECT digest, domain, uses, used, created, expires, thing, note, given FROM token `

func scanToken(scan func(...any) error) (x store.Token, err error) {
	var digest []byte
	var created, expires int64
	var given string
	if err := scan(&digest, &x.Domain, &x.Uses, &x.Used, &created, &expires, &x.Thing, &x.Note, &given); err != nil {
		return x, err
	}
	if copy(x.Digest[:], digest) != sha256.Size {
		return x, fmt.Errorf("digest of a token of %d bytes: %w", len(digest), store.ErrCorrupt)
	}
	var g tokenGiven
	if err := json.Unmarshal([]byte(given), &g); err != nil {
		return x, fmt.Errorf("token %s: %w: %w", x.ID(), store.ErrCorrupt, err)
	}
	x.Groups, x.Tags, x.Created = g.Groups, g.Tags, time.UnixMicro(created).UTC()
	if expires != 0 {
		x.Expires = time.UnixMicro(expires).UTC()
	}
	return x, nil
}

// Token implements [store.Tokens].
func (s *Store) Token(ctx context.Context, digest [sha256.Size]byte) (store.Token, error) {
	x := store.Token{Digest: digest}
	err := s.read(ctx, "token "+x.ID(), func(c *conn) error {
		found := false
		err := c.each(tokenColumns+`WHERE id = ? AND digest = ?`, []any{x.ID(), digest[:]}, func(scan func(...any) error) (bool, error) {
			var err error
			found = true
			x, err = scanToken(scan)
			return false, err
		})
		if err == nil && !found {
			err = store.ErrNotFound
		}
		return err
	})
	if err != nil {
		return store.Token{}, err
	}
	return x, nil
}

// ListTokens implements [store.Tokens].
func (s *Store) ListTokens(ctx context.Context, after string, limit int) (page []store.Token, err error) {
	err = s.read(ctx, "tokens", func(c *conn) error {
		args := []any{after, store.PageLimit(limit)}
		return c.each(tokenColumns+`WHERE id > ? ORDER BY id LIMIT ?`, args, func(scan func(...any) error) (bool, error) {
			x, err := scanToken(scan)
			page = append(page, x)
			return true, err
		})
	})
	if err != nil {
		return nil, err
	}
	return page, nil
}
