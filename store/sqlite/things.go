// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"fmt"
	"time"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// How to read this file: the tables, then what changes them, a function for each operation; things_read.go reads them. The
// address of an owner that a change may have left without anybody who refers to it is released.

var things = topic{
	name: "things",
	migrations: []string{
		`CREATE TABLE thing (
			id          INTEGER PRIMARY KEY,
			account     INTEGER NOT NULL REFERENCES account ON DELETE CASCADE,
			node        TEXT NOT NULL,
			source      TEXT NOT NULL,
			cache       TEXT NOT NULL,
			owner       INTEGER REFERENCES address,
			registered  INTEGER NOT NULL,
			claimed     INTEGER NOT NULL,
			public      INTEGER NOT NULL,
			removed     INTEGER NOT NULL,
			label       TEXT NOT NULL,
			key         BLOB,
			offer       BLOB,
			offer_to    INTEGER REFERENCES address,
			offer_until INTEGER NOT NULL,
			notice      TEXT NOT NULL,
			UNIQUE (account, node, source, cache)
		);
		CREATE INDEX thing_owner ON thing (owner) WHERE owner IS NOT NULL;
		CREATE INDEX thing_key ON thing (key) WHERE key IS NOT NULL;
		CREATE INDEX thing_offer ON thing (offer) WHERE offer IS NOT NULL;
		CREATE INDEX thing_offer_to ON thing (offer_to) WHERE offer_to IS NOT NULL;
		CREATE INDEX thing_notice ON thing (notice) WHERE notice <> '';
		CREATE TABLE thing_tag (
			thing INTEGER NOT NULL REFERENCES thing ON DELETE CASCADE,
			name  TEXT NOT NULL,
			value NOT NULL,
			given INTEGER NOT NULL,
			PRIMARY KEY (thing, name)
		) WITHOUT ROWID;
		CREATE INDEX thing_tag_value ON thing_tag (name, value);
		CREATE TABLE thing_group (
			thing INTEGER NOT NULL REFERENCES thing ON DELETE CASCADE,
			name  TEXT NOT NULL,
			PRIMARY KEY (thing, name)
		) WITHOUT ROWID;
		CREATE INDEX thing_group_name ON thing_group (name)`,
	},
	apply:  applyThings,
	forget: forgetThings,
}

func applyThings(t *tx, op store.Op) error {
	switch op := op.(type) {
	case store.RegisterThing:
		return registerThing(t, op.Thing)
	case store.ClaimThing:
		return claimThing(t, op)
	case store.OfferThing:
		return offerThing(t, op)
	case store.DisownThing:
		x, err := t.owned(op.Name, op.Owner)
		if err != nil {
			return err
		}
		return disown(t, x)
	case store.SetThing:
		return setThing(t, op.Thing)
	case store.ToldThing:
		return toldThing(t, op)
	case store.DeleteThing:
		return deleteThing(t, op.Name)
	}
	return errUnknownOp
}

// thingRow is what operations look at.
type thingRow struct{ id, owner, offerTo int64 }

// thing returns a row; its id is 0 where there is none. It fails with store.ErrNotFound when there is no such account.
func (t *tx) thing(n store.ThingName) (x thingRow, err error) {
	account, err := t.user(n.JID)
	if err != nil {
		return x, err
	}
	_, err = t.row(`SELECT id, ifnull(owner, 0), ifnull(offer_to, 0) FROM thing WHERE account = ? AND node = ? AND source = ? AND cache = ?`,
		[]any{account, n.ID, n.Source, n.Cache}, &x.id, &x.owner, &x.offerTo)
	return x, err
}

// owned is thing for one that has that owner; zero: that is nobody's.
func (t *tx) owned(n store.ThingName, owner jid.JID) (x thingRow, err error) {
	x, err = t.thing(n)
	if err != nil {
		return x, err
	}
	var id int64
	if !owner.IsZero() {
		id, err = t.knownAddress(owner)
	}
	if err == nil && (x.id == 0 || id == 0 && !owner.IsZero() || x.owner != id) {
		err = fmt.Errorf("thing %s %v of %s: %w", n.JID, n.ThingNode, owner, store.ErrNotFound)
	}
	return x, err
}

func registerThing(t *tx, x store.Thing) error {
	was, err := t.thing(x.ThingName)
	if err != nil {
		return err
	}
	if was.owner != 0 {
		return fmt.Errorf("thing %s has an owner: %w", x.JID, store.ErrExists)
	}
	var owner any
	if !x.Owner.IsZero() {
		if owner, err = t.address(x.Owner); err != nil {
			return err
		}
	}
	if was.id == 0 {
		account, err := t.user(x.JID)
		if err != nil {
			return err
		}
		const insert = `INSERT INTO thing (account, node, source, cache, owner, registered, claimed, public, removed, label, key, offer_until, notice)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?) RETURNING id`
		_, err = t.returning(insert, []any{account, x.ID, x.Source, x.Cache, owner, micros(x.Registered), micros(x.Claimed),
			x.Public, x.Removed, x.Label, blob(x.Key), string(x.Notice)}, &was.id)
		if err != nil {
			return err
		}
	} else {
		const update = `UPDATE thing SET owner = ?, registered = ?, claimed = ?, public = ?, removed = ?,
			label = CASE ? WHEN '' THEN label ELSE ?6 END, key = ?, notice = ? WHERE id = ?`
		_, err = t.exec(update, owner, micros(x.Registered), micros(x.Claimed), x.Public, x.Removed, x.Label, blob(x.Key), string(x.Notice), was.id)
		if err != nil {
			return err
		}
		if _, err = t.exec(`DELETE FROM thing_tag WHERE thing = ? AND NOT given`, was.id); err != nil {
			return err
		}
	}
	for _, tag := range x.Tags {
		if err := setTag(t, was.id, tag, `INSERT INTO thing_tag (thing, name, value, given) VALUES (?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET value = excluded.value, given = 1 WHERE excluded.given`); err != nil {
			return err
		}
	}
	return addGroups(t, was.id, x.Groups)
}

func setTag(t *tx, thing int64, tag store.ThingTag, statement string) error {
	var value any = tag.Str
	if tag.Numeric {
		value = tag.Num
	}
	_, err := t.exec(statement, thing, tag.Name, value, tag.Given)
	return err
}

func addGroups(t *tx, thing int64, groups []string) error {
	for _, g := range groups {
		if _, err := t.exec(`INSERT INTO thing_group (thing, name) VALUES (?, ?) ON CONFLICT DO NOTHING`, thing, g); err != nil {
			return err
		}
	}
	return nil
}

func claimThing(t *tx, op store.ClaimThing) error {
	x, err := t.thing(op.Name)
	if err != nil {
		return err
	}
	owner, err := t.address(op.Owner)
	if err != nil {
		return err
	}
	// Two ways, of which one holds: by its key a thing that is nobody's; by the offer, whoever it was offered to.
	const claim = `UPDATE thing SET owner = ?1, claimed = ?2, public = ?3, removed = 0, label = CASE WHEN owner IS NULL THEN label ELSE '' END,
		key = ?4, offer = NULL, offer_to = NULL, offer_until = 0, notice = ?5 WHERE id = ?6 AND
		(owner IS NULL AND key = ?4 OR owner IS NOT NULL AND offer = ?4 AND offer_to = ?1 AND offer_until > ?2)`
	n, err := t.exec(claim, owner, micros(op.At), op.Public, op.Digest, string(store.NoticeClaimed), x.id)
	if err != nil {
		return err
	}
	if n == 0 {
		return fmt.Errorf("claim of thing %s: %w", op.Name.JID, store.ErrNotFound)
	}
	if op.Most > 0 {
		var has int
		if _, err := t.row(`SELECT count(*) FROM (SELECT 1 FROM thing WHERE owner = ? LIMIT ?)`, []any{owner, op.Most + 1}, &has); err != nil {
			return err
		}
		if has > op.Most {
			return fmt.Errorf("claim of thing %s by %s: %w", op.Name.JID, op.Owner, store.ErrOwnsMost)
		}
	}
	if x.owner == 0 {
		return nil
	}
	if _, err := t.exec(`DELETE FROM thing_group WHERE thing = ?`, x.id); err != nil {
		return err
	}
	return t.releaseAll(x.owner)
}

func offerThing(t *tx, op store.OfferThing) error {
	x, err := t.owned(op.Name, op.Owner)
	if err != nil {
		return err
	}
	var to any
	if op.Digest != nil {
		if to, err = t.address(op.To); err != nil {
			return err
		}
	}
	_, err = t.exec(`UPDATE thing SET offer = ?, offer_to = ?, offer_until = ? WHERE id = ?`, blob(op.Digest), to, micros(op.Until), x.id)
	if err != nil {
		return err
	}
	return t.releaseAll(x.offerTo)
}

// disown makes a thing nobody's.
func disown(t *tx, x thingRow) error {
	const update = `UPDATE thing SET owner = NULL, public = 0, removed = 0, label = '', key = NULL, offer = NULL, offer_to = NULL,
		offer_until = 0, notice = ? WHERE id = ?`
	if _, err := t.exec(update, string(store.NoticeDisowned), x.id); err != nil {
		return err
	}
	if _, err := t.exec(`DELETE FROM thing_tag WHERE thing = ?`, x.id); err != nil {
		return err
	}
	if _, err := t.exec(`DELETE FROM thing_group WHERE thing = ?`, x.id); err != nil {
		return err
	}
	return t.releaseAll(x.owner, x.offerTo)
}

func setThing(t *tx, x store.Thing) error {
	was, err := t.owned(x.ThingName, x.Owner)
	if err != nil {
		return err
	}
	_, err = t.exec(`UPDATE thing SET label = ?, public = ?, removed = ?, notice = ? WHERE id = ?`,
		x.Label, x.Public, x.Removed, string(x.Notice), was.id)
	if err != nil {
		return err
	}
	if _, err := t.exec(`DELETE FROM thing_tag WHERE thing = ?`, was.id); err != nil {
		return err
	}
	if _, err := t.exec(`DELETE FROM thing_group WHERE thing = ?`, was.id); err != nil {
		return err
	}
	for _, tag := range x.Tags {
		if err := setTag(t, was.id, tag, `INSERT INTO thing_tag (thing, name, value, given) VALUES (?, ?, ?, ?)`); err != nil {
			return err
		}
	}
	return addGroups(t, was.id, x.Groups)
}

func toldThing(t *tx, op store.ToldThing) error {
	x, err := t.thing(op.Name)
	if err != nil || x.id == 0 {
		return err
	}
	var owner int64
	if !op.Owner.IsZero() {
		if owner, err = t.knownAddress(op.Owner); err != nil || owner == 0 {
			return err
		}
	}
	if x.owner != owner {
		return nil
	}
	_, err = t.exec(`UPDATE thing SET notice = '' WHERE id = ? AND notice = ?`, x.id, string(op.Notice))
	return err
}

func deleteThing(t *tx, n store.ThingName) error {
	x, err := t.thing(n)
	if err != nil || x.id == 0 {
		return err
	}
	if _, err := t.exec(`DELETE FROM thing WHERE id = ?`, x.id); err != nil {
		return err
	}
	return t.releaseAll(x.owner, x.offerTo)
}

// forgetThings removes what an account is as a thing, and makes what it owns nobody's: another account of its name owns
// nothing, and is offered nothing.
func forgetThings(t *tx, account int64) error {
	own, err := t.thingRows(`SELECT id, ifnull(owner, 0), ifnull(offer_to, 0) FROM thing WHERE account = ?`, account)
	if err != nil {
		return err
	}
	if _, err := t.exec(`DELETE FROM thing WHERE account = ?`, account); err != nil {
		return err
	}
	for _, x := range own {
		if err := t.releaseAll(x.owner, x.offerTo); err != nil {
			return err
		}
	}
	j, found, err := t.accountJID(account)
	if err != nil || !found {
		return err
	}
	address, err := t.knownAddress(j)
	if err != nil || address == 0 {
		return err
	}
	owned, err := t.thingRows(`SELECT id, ifnull(owner, 0), ifnull(offer_to, 0) FROM thing WHERE owner = ?`, address)
	if err != nil {
		return err
	}
	for _, x := range owned {
		if err := disown(t, x); err != nil {
			return err
		}
	}
	n, err := t.exec(`UPDATE thing SET offer = NULL, offer_to = NULL, offer_until = 0 WHERE offer_to = ?`, address)
	if err != nil || n == 0 {
		return err
	}
	return t.releaseAll(address)
}

func (t *tx) thingRows(query string, arg int64) (all []thingRow, err error) {
	err = t.each(query, []any{arg}, func(scan func(...any) error) (bool, error) {
		var x thingRow
		err := scan(&x.id, &x.owner, &x.offerTo)
		all = append(all, x)
		return true, err
	})
	return all, err
}

// releaseAll releases addresses, 0 being none.
func (t *tx) releaseAll(ids ...int64) error {
	for _, id := range ids {
		if id == 0 {
			continue
		}
		if err := t.release(id); err != nil {
			return err
		}
	}
	return nil
}

// micros is a time as it is kept; 0 is none.
func micros(at time.Time) int64 {
	if at.IsZero() {
		return 0
	}
	return at.UnixMicro()
}

// blob keeps nil apart from what is empty.
func blob(b []byte) any {
	if b == nil {
		return nil
	}
	return b
}
