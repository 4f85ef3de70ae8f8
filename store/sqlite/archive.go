// SPDX-License-Identifier: Apache-2.0

package sqlite

// How to read this file: the tables, then the operations. archive_read.go has the reads.
//
//	archive ──< archive_row >── archive_message        a message is there once, however many archives have it
//	   └──< archive_peer >── address                   with whom, so that a row names archive and peer by one integer
//
// A row's message is the one whose id is back before its seq: the seq of the first row of that message. What is written for
// a message are its row at the end of archive_message, and for each archive a row where that archive ends in archive_row
// and an entry where the conversation ends in the index. Nothing is ever updated while messages come in.

import (
	"fmt"
	"strconv"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

var archive = topic{
	name: "archive",
	migrations: []string{
		// archive: jid is '' in one that was forgotten, whose rows wait to be removed; its node then makes it unique.
		// messages, bytes: of the rows up to counted. AUTOINCREMENT: rows do not refer to archive with a constraint,
		// which would cost each of them a look-up; so an id must never come again.
		// archive_message: a, b are the archives that have it, 0 for none.
		// archive_mark: last is no less than the seq of any row that is gone; indexed that of the last message which
		// was looked at for archive_text.
		`CREATE TABLE archive (
			id       INTEGER PRIMARY KEY AUTOINCREMENT,
			account  INTEGER REFERENCES account ON DELETE CASCADE,
			jid      TEXT NOT NULL,
			node     TEXT NOT NULL,
			messages INTEGER NOT NULL DEFAULT 0,
			bytes    INTEGER NOT NULL DEFAULT 0,
			counted  INTEGER NOT NULL DEFAULT 0,
			UNIQUE (jid, node)
		);
		CREATE INDEX archive_account ON archive (account) WHERE account IS NOT NULL;
		CREATE TABLE archive_peer (
			id      INTEGER PRIMARY KEY AUTOINCREMENT,
			archive INTEGER NOT NULL,
			address INTEGER NOT NULL REFERENCES address,
			UNIQUE (archive, address)
		);
		CREATE INDEX archive_peer_address ON archive_peer (address);
		CREATE TABLE archive_message (
			id     INTEGER PRIMARY KEY,
			a      INTEGER NOT NULL,
			b      INTEGER NOT NULL,
			stanza BLOB NOT NULL
		);
		CREATE TABLE archive_row (
			archive INTEGER NOT NULL,
			seq     INTEGER NOT NULL,
			peer    INTEGER NOT NULL,
			back    INTEGER NOT NULL,
			bytes   INTEGER NOT NULL,
			PRIMARY KEY (archive, seq)
		) WITHOUT ROWID;
		CREATE INDEX archive_row_peer ON archive_row (peer, seq, back);
		CREATE TABLE archive_mark (last INTEGER NOT NULL, indexed INTEGER NOT NULL);
		INSERT INTO archive_mark VALUES (0, 0);
		CREATE VIRTUAL TABLE archive_text USING fts5 (owner, body, content = '', contentless_delete = 1,
			tokenize = 'unicode61 remove_diacritics 2')`,
		`CREATE TABLE archive_preferences (
			account     INTEGER PRIMARY KEY REFERENCES account ON DELETE CASCADE,
			preferences BLOB NOT NULL
		)`,
	},
	apply:  applyArchive,
	forget: forgetArchives,
}

func applyArchive(t *tx, op store.Op) error {
	switch op := op.(type) {
	case store.AddArchived:
		return addArchived(t, op)
	case store.ReplaceArchived:
		return replaceArchived(t, op)
	case store.CountArchive:
		return countArchive(t, op)
	case store.TrimArchive:
		id, err := t.archiveID(op.Archive)
		if err == nil && id != 0 {
			_, err = removeRows(t, id, op.Before, op.Rows)
		}
		return err
	case store.ForgetArchive:
		id, err := t.archiveID(op.Archive)
		if err == nil && id != 0 {
			err = detachArchive(t, id, op.Archive.JID.String(), op.Archive.Node)
		}
		return err
	case store.PurgeArchives:
		return purgeArchives(t, op.Rows)
	case store.SetArchivePreferences:
		return setArchivePreferences(t, op)
	case store.IndexArchived:
		return indexArchived(t, op)
	}
	return errUnknownOp
}

func archiveKey(jid, node string) string { return "archive\x00" + jid + "\x00" + node }

// archiveID returns the id of an archive, or 0 when there is none.
func (t *tx) archiveID(a store.ArchiveName) (int64, error) {
	key := archiveKey(a.JID.String(), a.Node)
	if id, ok := t.names.get(key); ok {
		return id, nil
	}
	var id int64
	found, err := t.row(`SELECT id FROM archive WHERE jid = ? AND node = ?`, []any{a.JID.String(), a.Node}, &id)
	if err == nil && found {
		t.names.put(key, id)
	}
	return id, err
}

// archiveOf returns the id of the archive of a row that is added, which it makes if it is the first.
func (t *tx) archiveOf(r *store.ArchiveRow) (int64, error) {
	id, err := t.archiveID(r.Archive)
	if err != nil || id != 0 {
		return id, err
	}
	var account any // NULL
	if r.Account {
		if account, err = t.user(r.Archive.JID); err != nil {
			return 0, err
		}
	}
	const insert = `INSERT INTO archive (account, jid, node) VALUES (?, ?, ?) RETURNING id`
	if _, err = t.returning(insert, []any{account, r.Archive.JID.String(), r.Archive.Node}, &id); err != nil {
		return 0, err
	}
	t.names.put(archiveKey(r.Archive.JID.String(), r.Archive.Node), id)
	return id, nil
}

// peerOf returns the id of a correspondent of an archive, which it makes if it is new; 0 stands for none.
func (t *tx) peerOf(archive int64, with jid.JID) (int64, error) {
	if with.IsZero() {
		return 0, nil
	}
	key := peerKey(archive, with.String())
	if id, ok := t.names.get(key); ok {
		return id, nil
	}
	address, err := t.address(with)
	if err != nil {
		return 0, err
	}
	var id int64
	found, err := t.row(`SELECT id FROM archive_peer WHERE archive = ? AND address = ?`, []any{archive, address}, &id)
	if err == nil && !found {
		const insert = `INSERT INTO archive_peer (archive, address) VALUES (?, ?) RETURNING id`
		_, err = t.returning(insert, []any{archive, address}, &id)
	}
	if err != nil {
		return 0, err
	}
	t.names.put(key, id)
	return id, nil
}

func peerKey(archive int64, with string) string {
	b := make([]byte, 0, 96)
	b = append(b, "peer\x00"...)
	b = strconv.AppendInt(b, archive, 36)
	return string(append(append(b, 0), with...))
}

func addArchived(t *tx, op store.AddArchived) error {
	var ids, peers [2]int64
	for i := range op.Rows {
		var err error
		if ids[i], err = t.archiveOf(&op.Rows[i]); err != nil {
			return err
		}
		if peers[i], err = t.peerOf(ids[i], op.Rows[i].With); err != nil {
			return err
		}
	}
	message, err := addMessage(t, op, ids)
	if err != nil {
		return err
	}
	args := make([]any, 0, 10)
	for i := range op.Rows {
		r := &op.Rows[i]
		args = append(args, ids[i], r.Seq, peers[i], r.Seq-message, len(op.Stanza))
	}
	query := `INSERT INTO archive_row (archive, seq, peer, back, bytes) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`
	if len(op.Rows) == 2 {
		query = `INSERT INTO archive_row (archive, seq, peer, back, bytes) VALUES (?, ?, ?, ?, ?), (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`
	}
	n, err := t.exec(query, args...)
	if err == nil && n < int64(len(op.Rows)) {
		err = fmt.Errorf("archived message %d: %w", op.Message, store.ErrExists)
	}
	return err
}

// addMessage writes the message, or one more archive to one that is there, and returns its id.
func addMessage(t *tx, op store.AddArchived, ids [2]int64) (int64, error) {
	const insert = `INSERT INTO archive_message (id, a, b, stanza) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING`
	n, err := t.exec(insert, op.Message, ids[0], ids[1], op.Stanza)
	if err != nil || n == 1 {
		return op.Message, err
	}
	exists := fmt.Errorf("archived message %d: %w", op.Message, store.ErrExists)
	if len(op.Rows) != 1 {
		return 0, exists
	}
	// It shares what an earlier call has written, unless that is in the index already, under one archive alone. The row that
	// gave the message its number may be told of after the other, which is to be seen by the message.
	own := op.Rows[0].Seq
	const share = `UPDATE archive_message SET b = ?1 WHERE id = ?2 AND b = 0 AND a <> ?1 AND id > (SELECT indexed FROM archive_mark)
		AND (?3 OR stanza = ?4)`
	if n, err = t.exec(share, ids[0], op.Message, own > op.Message, op.Stanza); err != nil || n == 1 {
		return op.Message, err
	}
	if own == op.Message {
		return 0, exists
	}
	n, err = t.exec(insert, own, ids[0], int64(0), op.Stanza)
	if err == nil && n == 0 {
		err = fmt.Errorf("archived message %d: %w", own, store.ErrExists)
	}
	return own, err
}

func replaceArchived(t *tx, op store.ReplaceArchived) error {
	id, err := t.archiveID(op.Archive)
	if err != nil || id == 0 {
		return err
	}
	var message int64
	found, err := t.row(`SELECT seq - back FROM archive_row WHERE archive = ? AND seq = ?`, []any{id, op.Seq}, &message)
	if err != nil || !found {
		return err
	}
	if _, err := t.exec(`UPDATE archive_message SET stanza = ? WHERE id = ?`, op.Stanza, message); err != nil {
		return err
	}
	return unindex(t, message)
}

// unindex takes a message's text out of the index, if it is there.
func unindex(t *tx, message int64) error {
	_, err := t.exec(`DELETE FROM archive_text WHERE rowid = ? AND rowid <= (SELECT indexed FROM archive_mark)`, message)
	return err
}

func countArchive(t *tx, op store.CountArchive) error {
	id, err := t.archiveID(op.Archive)
	if err != nil || id == 0 {
		return err
	}
	var n, bytes, last int64
	const count = `SELECT count(*), coalesce(sum(bytes), 0), coalesce(max(seq), 0) FROM (SELECT seq, bytes FROM archive_row
		WHERE archive = ?1 AND seq > (SELECT counted FROM archive WHERE id = ?1) AND seq < ?2 ORDER BY seq LIMIT ?3)`
	if _, err := t.row(count, []any{id, op.Before, op.Rows}, &n, &bytes, &last); err != nil || n == 0 {
		return err
	}
	_, err = t.exec(`UPDATE archive SET messages = messages + ?, bytes = bytes + ?, counted = ? WHERE id = ?`, n, bytes, last, id)
	return err
}

// archiveRow is one of that table.
type archiveRow struct{ seq, peer, back, bytes int64 }

// removeRows removes at most n of the rows of an archive that are before a seq, the oldest first, and returns how many.
func removeRows(t *tx, archive, before int64, n int) (int, error) {
	var rows []archiveRow
	const list = `SELECT seq, peer, back, bytes FROM archive_row WHERE archive = ? AND seq < ? ORDER BY seq LIMIT ?`
	err := t.each(list, []any{archive, before, n}, func(scan func(...any) error) (bool, error) {
		var r archiveRow
		err := scan(&r.seq, &r.peer, &r.back, &r.bytes)
		rows = append(rows, r)
		return true, err
	})
	if err != nil || len(rows) == 0 {
		return 0, err
	}
	last := rows[len(rows)-1].seq
	if err := uncount(t, archive, rows); err != nil {
		return 0, err
	}
	if _, err := t.exec(`DELETE FROM archive_row WHERE archive = ? AND seq <= ?`, archive, last); err != nil {
		return 0, err
	}
	peers := map[int64]bool{}
	for _, r := range rows {
		if err := leaveMessage(t, archive, r.seq-r.back); err != nil {
			return 0, err
		}
		peers[r.peer] = true
	}
	for peer := range peers {
		if err := releasePeer(t, peer); err != nil {
			return 0, err
		}
	}
	_, err = t.exec(`UPDATE archive_mark SET last = max(last, ?)`, last)
	return len(rows), err
}

// uncount takes rows that go from what was counted of their archive.
func uncount(t *tx, archive int64, rows []archiveRow) error {
	var counted, n, bytes int64
	if _, err := t.row(`SELECT counted FROM archive WHERE id = ?`, []any{archive}, &counted); err != nil {
		return err
	}
	for _, r := range rows {
		if r.seq <= counted {
			n++
			bytes += r.bytes
		}
	}
	_, err := t.exec(`UPDATE archive SET messages = max(messages - ?, 0), bytes = max(bytes - ?, 0) WHERE id = ?`, n, bytes, archive)
	return err
}

// leaveMessage says that an archive has a message no more; it goes with the last one that has it.
func leaveMessage(t *tx, archive, message int64) error {
	n, err := t.exec(`DELETE FROM archive_message WHERE id = ? AND a + b = ?`, message, archive)
	if err != nil {
		return err
	}
	if n == 1 {
		return unindex(t, message)
	}
	_, err = t.exec(`UPDATE archive_message SET a = iif(a = ?1, 0, a), b = iif(b = ?1, 0, b) WHERE id = ?2`, archive, message)
	return err
}

// releasePeer removes a correspondent of whom no row is left.
func releasePeer(t *tx, peer int64) error {
	const remove = `DELETE FROM archive_peer WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM archive_row WHERE peer = ?1) RETURNING archive, address,
		(SELECT jid FROM address WHERE id = archive_peer.address)`
	var archive, address int64
	var with string
	removed, err := t.returning(remove, []any{peer}, &archive, &address, &with)
	if err != nil || !removed {
		return err
	}
	t.names.forget(peerKey(archive, with))
	return t.release(address)
}

// forgetArchives detaches the archives of an account that goes: to remove their rows now could take long.
func forgetArchives(t *tx, account int64) error {
	type known struct {
		id        int64
		jid, node string
	}
	var all []known
	const list = `SELECT id, jid, node FROM archive WHERE account = ?`
	err := t.each(list, []any{account}, func(scan func(...any) error) (bool, error) {
		var a known
		err := scan(&a.id, &a.jid, &a.node)
		all = append(all, a)
		return true, err
	})
	if err != nil {
		return err
	}
	for _, a := range all {
		if err := detachArchive(t, a.id, a.jid, a.node); err != nil {
			return err
		}
	}
	return nil
}

// detachArchive leaves an archive to purgeArchives.
func detachArchive(t *tx, id int64, jid, node string) error {
	t.names.forget(archiveKey(jid, node))
	_, err := t.exec(`UPDATE archive SET account = NULL, jid = '', node = id WHERE id = ?`, id)
	return err
}

func purgeArchives(t *tx, n int) error {
	for n > 0 {
		var id int64
		found, err := t.row(`SELECT id FROM archive WHERE jid = '' LIMIT 1`, nil, &id)
		if err != nil || !found {
			return err
		}
		removed, err := removeRows(t, id, 1<<62, n)
		if err != nil {
			return err
		}
		if removed == n {
			return nil
		}
		if _, err := t.exec(`DELETE FROM archive WHERE id = ?`, id); err != nil {
			return err
		}
		n -= removed + 1
	}
	return nil
}

func setArchivePreferences(t *tx, op store.SetArchivePreferences) error {
	id, err := t.user(op.User)
	if err != nil {
		return err
	}
	if op.Preferences == nil {
		_, err = t.exec(`DELETE FROM archive_preferences WHERE account = ?`, id)
		return err
	}
	_, err = t.exec(`INSERT OR REPLACE INTO archive_preferences (account, preferences) VALUES (?, ?)`, id, op.Preferences)
	return err
}

func indexArchived(t *tx, op store.IndexArchived) error {
	for _, text := range op.Texts {
		var a, b int64
		const owners = `SELECT a, b FROM archive_message WHERE id = ? AND id > (SELECT indexed FROM archive_mark)`
		found, err := t.row(owners, []any{text.Seq}, &a, &b)
		if err != nil {
			return err
		}
		if !found {
			continue // it has gone meanwhile
		}
		const insert = `INSERT INTO archive_text (rowid, owner, body) VALUES (?, ?, ?)`
		if _, err := t.exec(insert, text.Seq, ownerToken(a)+" "+ownerToken(b), text.Text); err != nil {
			return err
		}
	}
	_, err := t.exec(`UPDATE archive_mark SET indexed = max(indexed, ?)`, op.UpTo)
	return err
}

// ownerToken is an archive as a word of the index.
func ownerToken(archive int64) string { return "a" + strconv.FormatInt(archive, 10) }
