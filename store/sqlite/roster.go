// SPDX-License-Identifier: Apache-2.0

package sqlite

// How to read this file: the tables come first, then the operations, then the reads. Contacts are written once, in the
// table address, and let go of when nobody has them any more.

import (
	"context"
	"strings"
	"time"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

var roster = topic{
	name: "roster",
	migrations: []string{
		// groups: the names joined by NUL, which no name can contain. flags: see rosterAsk.
		`CREATE TABLE roster (
			account INTEGER PRIMARY KEY REFERENCES account ON DELETE CASCADE,
			version INTEGER NOT NULL
		);
		CREATE TABLE roster_item (
			account      INTEGER NOT NULL REFERENCES account ON DELETE CASCADE,
			contact      INTEGER NOT NULL REFERENCES address,
			name         TEXT NOT NULL,
			groups       TEXT NOT NULL,
			subscription INTEGER NOT NULL,
			flags        INTEGER NOT NULL,
			pending_in   BLOB,
			version      INTEGER NOT NULL,
			PRIMARY KEY (account, contact)
		) WITHOUT ROWID;
		CREATE INDEX roster_item_contact ON roster_item (contact)`,
		// What was removed before there was this column is not known.
		`ALTER TABLE roster ADD COLUMN removed INTEGER NOT NULL DEFAULT 0;
		UPDATE roster SET removed = version`,
	},
	apply:  applyRoster,
	forget: forgetRoster,
}

// Flags of roster_item.
const (
	rosterAsk = 1 << iota
	rosterApproved
	rosterHidden
	rosterRelated
)

func rosterFlags(item store.RosterItem) int {
	flags := 0
	if item.Ask {
		flags |= rosterAsk
	}
	if item.Approved {
		flags |= rosterApproved
	}
	if item.Hidden {
		flags |= rosterHidden
	}
	if item.Related {
		flags |= rosterRelated
	}
	return flags
}

func applyRoster(t *tx, op store.Op) error {
	switch op := op.(type) {
	case store.SetRosterItem:
		return setRosterItem(t, op.User, op.Item)
	case store.DeleteRosterItem:
		return deleteRosterItem(t, op)
	}
	return errUnknownOp
}

func setRosterItem(t *tx, user jid.JID, item store.RosterItem) error {
	id, err := t.user(user)
	if err != nil {
		return err
	}
	contact, err := t.address(item.Contact)
	if err != nil {
		return err
	}
	var in any // NULL
	if len(item.In) > 0 {
		in = item.In
	}
	_, err = t.exec(`INSERT OR REPLACE INTO roster_item
		(account, contact, name, groups, subscription, flags, pending_in, version) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		id, contact, item.Name, strings.Join(item.Groups, "\x00"), int(item.Subscription), rosterFlags(item), in, item.Version)
	if err != nil {
		return err
	}
	return setRosterVersion(t, id, item.Version, 0)
}

func deleteRosterItem(t *tx, op store.DeleteRosterItem) error {
	id, err := t.user(op.User)
	if err != nil {
		return err
	}
	contact, err := t.knownAddress(op.Contact)
	if err != nil {
		return err
	}
	var flags int
	found := false
	if contact != 0 {
		found, err = t.returning(`DELETE FROM roster_item WHERE account = ? AND contact = ? RETURNING flags`,
			[]any{id, contact}, &flags)
		if err != nil {
			return err
		}
	}
	removed := int64(0)
	if found && flags&rosterHidden == 0 {
		removed = op.Version
	}
	if err := setRosterVersion(t, id, op.Version, removed); err != nil || !found {
		return err
	}
	return t.release(contact)
}

// setRosterVersion raises the versions of a roster; see store.Roster.
func setRosterVersion(t *tx, account, version, removed int64) error {
	_, err := t.exec(`INSERT INTO roster (account, version, removed) VALUES (?1, ?2, ?2)
		ON CONFLICT DO UPDATE SET version = max(version, ?2), removed = max(removed, ?3)`, account, version, removed)
	return err
}

// raiseRosters gives every roster a version that is new at that time, and forgets what was removed: whoever has seen another
// one, also a later one that is lost, gets the whole. topic is the version of the tables: the file may be older than
// this program, and is not migrated here.
func raiseRosters(c *conn, topic int, now time.Time) error {
	query := `UPDATE roster SET version = max(version + 1, ?1), removed = max(version + 1, ?1)`
	if topic == 1 {
		query = `UPDATE roster SET version = max(version + 1, ?1)` // the migration sets removed
	}
	_, err := c.exec(query, now.UnixMilli())
	return err
}

// forgetRoster releases the contacts, which the cascade would leave behind, and ends the subscriptions of others with
// the account: whoever gets its address later must not find them.
func forgetRoster(t *tx, account int64) error {
	if err := endSubscriptions(t, account); err != nil {
		return err
	}
	var contacts []int64
	const list = `SELECT contact FROM roster_item WHERE account = ?`
	err := t.each(list, []any{account}, func(scan func(...any) error) (bool, error) {
		var id int64
		err := scan(&id)
		contacts = append(contacts, id)
		return true, err
	})
	if err != nil {
		return err
	}
	if _, err := t.exec(`DELETE FROM roster_item WHERE account = ?`, account); err != nil {
		return err
	}
	for _, id := range contacts {
		if err := t.release(id); err != nil {
			return err
		}
	}
	return nil
}

// endSubscriptions ends those of others with an account, what they have approved before it asked, and takes it out of their groups, by which
// it may have been allowed something. Their rosters get a new version, since they look different.
func endSubscriptions(t *tx, account int64) error {
	var contact int64
	const find = `SELECT id FROM address WHERE jid = (SELECT local || '@' || domain FROM account WHERE id = ?)`
	found, err := t.row(find, []any{account}, &contact)
	if err != nil || !found {
		return err
	}
	const alive = `contact = ?1 AND (subscription <> 0 OR pending_in IS NOT NULL OR flags & ?2 <> 0 OR groups <> '')`
	for _, change := range []struct {
		query string
		flag  int
	}{
		{`DELETE FROM roster_item WHERE contact = ?1 AND flags & ?2 <> 0`, rosterHidden},
		{`UPDATE roster SET version = version + 1 WHERE account IN (SELECT account FROM roster_item WHERE ` + alive + `)`, rosterAsk | rosterApproved},
		{`UPDATE roster_item SET subscription = 0, pending_in = NULL, groups = '', flags = flags & ~?2,
			version = (SELECT r.version FROM roster r WHERE r.account = roster_item.account) WHERE ` + alive, rosterAsk | rosterApproved},
		{`UPDATE roster_item SET flags = flags & ~?2 WHERE contact = ?1`, rosterRelated},
	} {
		if _, err := t.exec(change.query, contact, change.flag); err != nil {
			return err
		}
	}
	return t.release(contact)
}

const rosterColumns = `SELECT a.jid, i.name, i.groups, i.subscription, i.flags, i.pending_in, i.version
	FROM roster_item i JOIN address a ON a.id = i.contact WHERE i.account = ` + accountID

func scanRosterItem(scan func(...any) error) (store.RosterItem, error) {
	var contact, groups string
	var flags int
	var item store.RosterItem
	err := scan(&contact, &item.Name, &groups, &item.Subscription, &flags, &item.In, &item.Version)
	if err != nil {
		return item, err
	}
	if groups != "" {
		item.Groups = strings.Split(groups, "\x00")
	}
	item.Ask = flags&rosterAsk != 0
	item.Approved = flags&rosterApproved != 0
	item.Hidden = flags&rosterHidden != 0
	item.Related = flags&rosterRelated != 0
	item.Contact, err = jid.Parse(contact)
	return item, err
}

// Roster implements [store.Rosters].
func (s *Store) Roster(ctx context.Context, user jid.JID) (r store.Roster, err error) {
	if err := store.CheckUser(user); err != nil {
		return store.Roster{}, err
	}
	args := []any{user.Domain(), user.Local()}
	const versions = `SELECT version, removed FROM roster WHERE account = ` + accountID
	err = s.read(ctx, "roster of "+user.String(), func(c *conn) error {
		return c.snapshot(func() error {
			if _, err := c.row(versions, args, &r.Version, &r.Removed); err != nil {
				return err
			}
			return c.each(rosterColumns, args, func(scan func(...any) error) (bool, error) {
				item, err := scanRosterItem(scan)
				r.Items = append(r.Items, item)
				return true, err
			})
		})
	})
	if err != nil {
		return store.Roster{}, err
	}
	return r, nil
}

// RosterItem implements [store.Rosters].
func (s *Store) RosterItem(ctx context.Context, user, contact jid.JID) (store.RosterItem, error) {
	if err := store.CheckUser(user); err != nil {
		return store.RosterItem{}, err
	}
	item, found := store.RosterItem{}, false
	err := s.read(ctx, "roster item of "+user.String(), func(c *conn) error {
		args := []any{user.Domain(), user.Local(), contact.String()}
		err := c.each(rosterColumns+` AND a.jid = ?`, args, func(scan func(...any) error) (bool, error) {
			var err error
			item, err = scanRosterItem(scan)
			found = true
			return false, err
		})
		if err == nil && !found {
			err = store.ErrNotFound
		}
		return err
	})
	if err != nil {
		return store.RosterItem{}, err
	}
	return item, nil
}

// SeenBy implements [store.Rosters].
func (s *Store) SeenBy(ctx context.Context, contact, after jid.JID, limit int) (list []jid.JID, err error) {
	const page = `SELECT a.local, a.domain FROM roster_item i JOIN account a ON a.id = i.account
		WHERE i.contact = ` + addressID + ` AND i.account > ifnull(` + accountID + `, 0) AND i.subscription & ? ORDER BY i.account LIMIT ?`
	args := []any{contact.String(), after.Domain(), after.Local(), int(store.SubscriptionFrom), store.PageLimit(limit)}
	err = s.read(ctx, "accounts seen by "+contact.String(), func(c *conn) error {
		return c.each(page, args, func(scan func(...any) error) (bool, error) {
			var local, domain string
			if err := scan(&local, &domain); err != nil {
				return false, err
			}
			account, err := jid.New(local, domain, "")
			list = append(list, account)
			return true, err
		})
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}
