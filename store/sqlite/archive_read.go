// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"slices"
	"strings"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// How to read this file: pages come three ways, each in the order of an index: rows of an archive, rows of a
// conversation, and texts. archive_plan_test.go holds SQLite to that.

// messageOf joins a row with its message.
const messageOf = ` JOIN archive_message m ON m.id = r.seq - r.back`

const (
	pageOfArchive = `SELECT r.seq, m.stanza FROM archive_row r` + messageOf +
		` WHERE r.archive = ?1 AND r.seq > ?2 AND r.seq < ?3 ORDER BY r.seq`
	pageOfPeer = `SELECT r.seq, m.stanza FROM archive_row r INDEXED BY archive_row_peer` + messageOf +
		` WHERE r.peer = ?1 AND r.seq > ?2 AND r.seq < ?3 ORDER BY r.seq`
	// The texts come in the order of their messages, which may be a little other than that of the rows.
	pageOfText = `SELECT t.rowid, r.seq, m.stanza FROM archive_text t
		CROSS JOIN archive_row r ON r.archive = ?1 AND r.seq >= t.rowid AND r.seq < t.rowid + ?5 AND r.seq - r.back = t.rowid
		CROSS JOIN archive_message m ON m.id = t.rowid
		WHERE t.archive_text MATCH ?4 AND t.rowid > ?2 AND t.rowid < ?3 AND (?6 = 0 OR r.peer = ?6) ORDER BY t.rowid`
	countOfArchive = `SELECT count(*), coalesce(sum(seq < ?4), 0) FROM archive_row WHERE archive = ?1 AND seq > ?2 AND seq < ?3`
	countOfPeer    = `SELECT count(*), coalesce(sum(seq < ?4), 0) FROM archive_row INDEXED BY archive_row_peer
		WHERE peer = ?1 AND seq > ?2 AND seq < ?3`
	backward = ` DESC`
)

// endOfTime is greater than every seq.
const endOfTime = 1 << 62

// place is what a query comes down to: an archive, and a peer in it.
type place struct{ archive, peer int64 }

// place looks both up; found is false where nothing can match.
func (c *conn) place(a store.ArchiveName, with jid.JID) (p place, found bool, err error) {
	found, err = c.row(`SELECT id FROM archive WHERE jid = ? AND node = ?`, []any{a.JID.String(), a.Node}, &p.archive)
	if err != nil || !found || with.IsZero() {
		return p, found, err
	}
	const peer = `SELECT p.id FROM archive_peer p WHERE p.archive = ? AND p.address = (SELECT id FROM address WHERE jid = ?)`
	found, err = c.row(peer, []any{p.archive, with.String()}, &p.peer)
	return p, found, err
}

// exist fails with ErrNotFound unless the archive has all those rows.
func (c *conn) exist(archive int64, seqs []int64) error {
	for _, seq := range seqs {
		var there int
		found, err := c.row(`SELECT 1 FROM archive_row WHERE archive = ? AND seq = ?`, []any{archive, seq}, &there)
		if err != nil {
			return err
		}
		if !found {
			return store.ErrNotFound
		}
	}
	return nil
}

// archiveRead runs f where everything it reads is of one commit.
func (s *Store) archiveRead(ctx context.Context, a store.ArchiveName, f func(*conn) error) error {
	if err := store.CheckArchive(a); err != nil {
		return err
	}
	return s.read(ctx, "archive of "+a.JID.String(), func(c *conn) error {
		return c.snapshot(func() error { return f(c) })
	})
}

// Archived implements [store.Archives].
func (s *Store) Archived(ctx context.Context, a store.ArchiveName, q store.ArchiveQuery) (page []store.ArchivedMessage, whole bool, err error) {
	if q.Before <= 0 {
		q.Before = endOfTime
	}
	q.Limit = store.PageLimit(q.Limit)
	if q.Bytes <= 0 || q.Bytes > store.MaxPageBytes {
		q.Bytes = store.MaxPageBytes
	}
	whole = true
	err = s.archiveRead(ctx, a, func(c *conn) error {
		p, found, err := c.place(a, q.With)
		if err != nil {
			return err
		}
		if len(q.Exist) > 0 {
			if err := c.exist(p.archive, q.Exist); err != nil {
				return err
			}
		}
		if !found {
			return nil
		}
		if q.Text != "" {
			page, whole, err = c.textPage(p, q)
		} else {
			page, whole, err = c.page(p, q)
		}
		return err
	})
	if err != nil {
		return nil, false, err
	}
	if q.Backward {
		slices.Reverse(page)
	}
	return page, whole, nil
}

// page reads in the order asked for: backward, the last comes first.
func (c *conn) page(p place, q store.ArchiveQuery) (page []store.ArchivedMessage, whole bool, err error) {
	query, id := pageOfArchive, p.archive
	if p.peer != 0 {
		query, id = pageOfPeer, p.peer
	}
	if q.Backward {
		query += backward
	}
	whole, bytes := true, 0
	err = c.each(query+` LIMIT ?4`, []any{id, q.After, q.Before, q.Limit + 1}, func(scan func(...any) error) (bool, error) {
		if len(page) == q.Limit || bytes >= q.Bytes {
			whole = false
			return false, nil
		}
		var m store.ArchivedMessage
		err := scan(&m.Seq, &m.Stanza)
		page = append(page, m)
		bytes += len(m.Stanza)
		return true, err
	})
	return page, whole, err
}

// textPage is page for a query with words. Texts come by their messages; a row is up to MaxArchiveSpan behind its message.
// So reading goes on behind the end of the page until nothing that belongs into it can come.
func (c *conn) textPage(p place, q store.ArchiveQuery) (page []store.ArchivedMessage, whole bool, err error) {
	query, after := pageOfText, q.After-store.MaxArchiveSpan
	if q.Backward {
		query, after = query+backward, q.After-store.MaxArchiveSpan
	}
	sign := int64(1)
	if q.Backward {
		sign = -1
	}
	order := func(a, b store.ArchivedMessage) int { return int(sign) * compareSeq(a.Seq, b.Seq) }
	whole = true
	args := []any{p.archive, after, q.Before, matching(p.archive, q.Text), int64(store.MaxArchiveSpan), p.peer}
	err = c.each(query, args, func(scan func(...any) error) (bool, error) {
		var m store.ArchivedMessage
		var message int64
		if err := scan(&message, &m.Seq, &m.Stanza); err != nil {
			return false, err
		}
		if len(page) > q.Limit {
			slices.SortFunc(page, order)
			page = page[:q.Limit+1]
			last := page[q.Limit].Seq
			if !q.Backward && message > last || q.Backward && message+store.MaxArchiveSpan <= last {
				return false, nil
			}
		}
		if m.Seq > q.After && m.Seq < q.Before {
			page = append(page, m)
		}
		return true, nil
	})
	slices.SortFunc(page, order)
	bytes := 0
	for i := range page {
		if i == q.Limit || bytes >= q.Bytes {
			return page[:i], false, err
		}
		bytes += len(page[i].Stanza)
	}
	return page, whole, err
}

func compareSeq(a, b int64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// matching is what the index is asked for: all words, in texts that an archive has.
func matching(archive int64, text string) string {
	b := strings.Builder{}
	b.WriteString(`owner : "` + ownerToken(archive) + `"`)
	for word := range strings.FieldsSeq(text) {
		b.WriteString(` AND body : "` + strings.ReplaceAll(word, `"`, `""`) + `"`)
	}
	return b.String()
}

// ArchivedRows implements [store.Archives].
func (s *Store) ArchivedRows(ctx context.Context, a store.ArchiveName, seqs []int64) (rows []store.ArchivedMessage, err error) {
	seqs = slices.Clone(seqs[:min(len(seqs), store.MaxPage)])
	slices.Sort(seqs)
	err = s.archiveRead(ctx, a, func(c *conn) error {
		p, found, err := c.place(a, jid.JID{})
		if err != nil || !found {
			return err
		}
		const one = `SELECT m.stanza FROM archive_row r` + messageOf + ` WHERE r.archive = ? AND r.seq = ?`
		for _, seq := range slices.Compact(seqs) {
			m := store.ArchivedMessage{Seq: seq}
			found, err := c.row(one, []any{p.archive, seq}, &m.Stanza)
			if err != nil {
				return err
			}
			if found {
				rows = append(rows, m)
			}
		}
		return nil
	})
	return rows, err
}

// CountArchived implements [store.Archives].
func (s *Store) CountArchived(ctx context.Context, a store.ArchiveName, q store.ArchiveQuery) (all, before int, err error) {
	if q.Before <= 0 {
		q.Before = endOfTime
	}
	err = s.archiveRead(ctx, a, func(c *conn) error {
		p, found, err := c.place(a, q.With)
		switch {
		case err != nil || !found:
			return err
		case q.Text != "":
			const count = `SELECT count(*), coalesce(sum(r.seq < ?7), 0) FROM archive_text t
				CROSS JOIN archive_row r ON r.archive = ?1 AND r.seq >= t.rowid AND r.seq < t.rowid + ?5 AND r.seq - r.back = t.rowid
				WHERE t.archive_text MATCH ?4 AND t.rowid > ?2 - ?5 AND t.rowid < ?3 AND r.seq > ?2 AND r.seq < ?3 AND (?6 = 0 OR r.peer = ?6)`
			_, err = c.row(count, []any{p.archive, q.After, q.Before, matching(p.archive, q.Text), int64(store.MaxArchiveSpan), p.peer, q.Index},
				&all, &before)
		case p.peer != 0:
			_, err = c.row(countOfPeer, []any{p.peer, q.After, q.Before, q.Index}, &all, &before)
		default:
			_, err = c.row(countOfArchive, []any{p.archive, q.After, q.Before, q.Index}, &all, &before)
		}
		return err
	})
	return all, before, err
}

// ArchiveEnds implements [store.Archives].
func (s *Store) ArchiveEnds(ctx context.Context, a store.ArchiveName) (first, last int64, err error) {
	err = s.archiveRead(ctx, a, func(c *conn) error {
		p, found, err := c.place(a, jid.JID{})
		if err != nil || !found {
			return err
		}
		const ends = `SELECT coalesce((SELECT seq FROM archive_row WHERE archive = ?1 ORDER BY seq LIMIT 1), 0),
			coalesce((SELECT seq FROM archive_row WHERE archive = ?1 ORDER BY seq DESC LIMIT 1), 0)`
		_, err = c.row(ends, []any{p.archive}, &first, &last)
		return err
	})
	return first, last, err
}

// Archives implements [store.Archives].
func (s *Store) Archives(ctx context.Context, after int64, limit int) (page []store.Archive, err error) {
	err = s.read(ctx, "archives", func(c *conn) error {
		const list = `SELECT id, account IS NOT NULL, jid, node, messages, bytes, counted,
			coalesce((SELECT seq FROM archive_row WHERE archive = archive.id ORDER BY seq LIMIT 1), 0),
			coalesce((SELECT seq FROM archive_row WHERE archive = archive.id ORDER BY seq DESC LIMIT 1), 0)
			FROM archive WHERE id > ? AND jid <> '' ORDER BY id LIMIT ?`
		return c.each(list, []any{after, store.PageLimit(limit)}, func(scan func(...any) error) (bool, error) {
			var a store.Archive
			var name string
			err := scan(&a.ID, &a.Account, &name, &a.Name.Node, &a.Messages, &a.Bytes, &a.Counted, &a.First, &a.Last)
			if err != nil {
				return false, err
			}
			a.Name.JID, err = jid.Parse(name)
			page = append(page, a)
			return true, err
		})
	})
	return page, err
}

// ForgottenArchives implements [store.Archives].
func (s *Store) ForgottenArchives(ctx context.Context) (n int, err error) {
	err = s.read(ctx, "forgotten archives", func(c *conn) error {
		_, err := c.row(`SELECT count(*) FROM archive WHERE jid = ''`, nil, &n)
		return err
	})
	return n, err
}

// ArchivePreferences implements [store.Archives].
func (s *Store) ArchivePreferences(ctx context.Context, user jid.JID) (b []byte, err error) {
	if err := store.CheckUser(user); err != nil {
		return nil, err
	}
	err = s.read(ctx, "archive preferences of "+user.String(), func(c *conn) error {
		const get = `SELECT preferences FROM archive_preferences WHERE account = ` + accountID
		_, err := c.row(get, []any{user.Domain(), user.Local()}, &b)
		return err
	})
	return b, err
}

// LastArchived implements [store.Archives].
func (s *Store) LastArchived(ctx context.Context) (seq int64, err error) {
	err = s.read(ctx, "last number of the archive", func(c *conn) error {
		// No row is so far behind its message.
		const last = `SELECT max(last, coalesce((SELECT max(id) + ? FROM archive_message), 0)) FROM archive_mark`
		_, err := c.row(last, []any{store.MaxArchiveSpan}, &seq)
		return err
	})
	return seq, err
}

// Unindexed implements [store.Archives].
func (s *Store) Unindexed(ctx context.Context, before int64, limit int) (page []store.ArchivedMessage, err error) {
	bytes := 0
	err = s.read(ctx, "texts that are not in the index", func(c *conn) error {
		const list = `SELECT id, stanza FROM archive_message WHERE id > (SELECT indexed FROM archive_mark) AND id < ? ORDER BY id LIMIT ?`
		return c.each(list, []any{before, store.PageLimit(limit)}, func(scan func(...any) error) (bool, error) {
			var m store.ArchivedMessage
			err := scan(&m.Seq, &m.Stanza)
			page = append(page, m)
			bytes += len(m.Stanza)
			return bytes < store.MaxPageBytes, err
		})
	})
	return page, err
}
