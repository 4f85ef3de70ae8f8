// SPDX-License-Identifier: Apache-2.0

package sqlite

// How to read this file: the tables come first, then the operations on nodes, on those who have to do with them, and on
// items. pubsub_read.go has the reads. Addresses are written once, as everywhere; publishers of items are not, since
// an item comes and goes too often.

import (
	"errors"
	"fmt"
	"time"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

var pubsub = topic{
	name: "pubsub",
	migrations: []string{
		// items: how many there are. seq: when it was published, in microseconds, which is their order too.
		`CREATE TABLE pubsub_node (
			id      INTEGER PRIMARY KEY,
			owner   INTEGER NOT NULL REFERENCES address,
			account INTEGER REFERENCES account ON DELETE CASCADE,
			name    TEXT NOT NULL,
			created INTEGER NOT NULL,
			creator TEXT NOT NULL,
			config  BLOB NOT NULL,
			expire  INTEGER NOT NULL,
			purge   INTEGER NOT NULL,
			moved   TEXT NOT NULL,
			items   INTEGER NOT NULL,
			UNIQUE (owner, name)
		);
		CREATE INDEX pubsub_node_account ON pubsub_node (account) WHERE account IS NOT NULL;
		CREATE INDEX pubsub_node_expire ON pubsub_node (expire) WHERE expire > 0;
		CREATE INDEX pubsub_node_purge ON pubsub_node (purge) WHERE purge > 0;
		CREATE TABLE pubsub_affiliation (
			node        INTEGER NOT NULL REFERENCES pubsub_node ON DELETE CASCADE,
			who         INTEGER NOT NULL REFERENCES address,
			affiliation INTEGER NOT NULL,
			PRIMARY KEY (node, who)
		) WITHOUT ROWID;
		CREATE INDEX pubsub_affiliation_who ON pubsub_affiliation (who);
		CREATE TABLE pubsub_subscription (
			node     INTEGER NOT NULL REFERENCES pubsub_node ON DELETE CASCADE,
			who      INTEGER NOT NULL REFERENCES address,
			resource TEXT NOT NULL,
			pending  INTEGER NOT NULL,
			options  BLOB,
			PRIMARY KEY (node, who, resource)
		) WITHOUT ROWID;
		CREATE INDEX pubsub_subscription_who ON pubsub_subscription (who);
		CREATE TABLE pubsub_item (
			node      INTEGER NOT NULL REFERENCES pubsub_node ON DELETE CASCADE,
			seq       INTEGER NOT NULL,
			item      TEXT NOT NULL,
			publisher TEXT NOT NULL,
			payload   BLOB,
			PRIMARY KEY (node, seq)
		) WITHOUT ROWID;
		CREATE UNIQUE INDEX pubsub_item_id ON pubsub_item (node, item)`,
		// Those that may be temporary are marked: who loads their nodes finds out.
		`ALTER TABLE pubsub_subscription ADD COLUMN temporary INTEGER NOT NULL DEFAULT 0;
		UPDATE pubsub_subscription SET temporary = 1
			WHERE instr(CAST(options AS TEXT), 'pubsub#expire') AND instr(CAST(options AS TEXT), '<value>presence</value>');
		CREATE INDEX pubsub_subscription_temporary ON pubsub_subscription (node) WHERE temporary > 0`,
		// bytes: what the node and its items count. orphan: see store.Node.
		`ALTER TABLE pubsub_node ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;
		ALTER TABLE pubsub_node ADD COLUMN orphan INTEGER NOT NULL DEFAULT 0;
		UPDATE pubsub_node SET bytes = 64 + length(CAST(name AS BLOB)) + length(config) + length(CAST(moved AS BLOB)) +
			(SELECT coalesce(sum(64 + length(CAST(item AS BLOB)) + length(CAST(publisher AS BLOB)) + coalesce(length(payload), 0)), 0)
			FROM pubsub_item WHERE node = id);
		CREATE INDEX pubsub_node_creator ON pubsub_node (creator, owner, orphan)`,
	},
	apply:  applyPubsub,
	forget: forgetPubsub,
}

func applyPubsub(t *tx, op store.Op) error {
	switch op := op.(type) {
	case store.CreateNode:
		return createNode(t, op)
	case store.SetNode:
		return t.atNode(op.Node.Name, func(id int64) error { return setNode(t, id, op) })
	case store.DeleteNode:
		return t.atNode(op.Name, func(id int64) error { return deleteNode(t, id, op.Moved) })
	case store.SetAffiliation:
		return t.atNode(op.Name, func(id int64) error { return setAffiliation(t, id, op.NodeAffiliation) })
	case store.SetSubscription:
		return t.atNode(op.Name, func(id int64) error { return setSubscription(t, id, op.NodeSubscription) })
	case store.DeleteSubscription:
		return t.atNode(op.Name, func(id int64) error {
			return t.leave(op.JID.Bare(), `DELETE FROM pubsub_subscription WHERE node = ?2 AND who = ?1 AND resource = ?3`,
				id, op.JID.Resource())
		})
	case store.PublishItem:
		return publishItem(t, op)
	case store.RetractItems:
		return t.atNode(op.Name, func(id int64) error { return retractItems(t, id, op.IDs) })
	case store.PurgeNode:
		return t.atNode(op.Name, func(id int64) error {
			if _, err := t.exec(`DELETE FROM pubsub_item WHERE node = ?`, id); err != nil {
				return err
			}
			_, err := t.exec(`UPDATE pubsub_node SET items = 0, bytes = `+nodeBytes+` WHERE id = ?`, id)
			return err
		})
	case store.PurgePublisher:
		return purgePublisher(t, op.Publisher)
	case store.ExpireItems:
		return expireItems(t, op)
	}
	return errUnknownOp
}

// What a node and an item count, as store.Node.Bytes and store.Item.Bytes do.
const (
	nodeBytes = `(64 + length(CAST(name AS BLOB)) + length(config) + length(CAST(moved AS BLOB)))`
	itemBytes = `(64 + length(CAST(item AS BLOB)) + length(CAST(publisher AS BLOB)) + coalesce(length(payload), 0))`
)

// filled is b, never NULL.
func filled(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// node returns the id of a node and how many items it has, or store.ErrNotFound.
func (t *tx) node(name store.NodeName) (id int64, items int, err error) {
	owner, err := t.knownAddress(name.JID)
	if err != nil {
		return 0, 0, err
	}
	found := false
	if owner != 0 {
		found, err = t.row(`SELECT id, items FROM pubsub_node WHERE owner = ? AND name = ? AND moved = ''`, []any{owner, name.Node}, &id, &items)
	}
	if err == nil && !found {
		err = fmt.Errorf("node %s: %w", name, store.ErrNotFound)
	}
	return id, items, err
}

func (t *tx) atNode(name store.NodeName, f func(id int64) error) error {
	id, _, err := t.node(name)
	if err != nil {
		return err
	}
	return f(id)
}

// remove deletes items and returns how many, and what they counted.
func (t *tx) remove(query string, args ...any) (items int, bytes int64, err error) {
	err = t.each(`DELETE FROM pubsub_item WHERE `+query+` RETURNING `+itemBytes, args, func(scan func(...any) error) (bool, error) {
		var n int64
		err := scan(&n)
		items, bytes = items+1, bytes+n
		t.writes++
		return true, err
	})
	return items, bytes, err
}

// change adds to what a node has.
func (t *tx) change(node int64, items int, bytes int64) error {
	if items == 0 && bytes == 0 {
		return nil
	}
	_, err := t.exec(`UPDATE pubsub_node SET items = items + ?, bytes = bytes + ? WHERE id = ?`, items, bytes, node)
	return err
}

// leave removes rows that refer to an address, ?1 of the query, and lets go of it where they did.
func (t *tx) leave(who jid.JID, query string, args ...any) error {
	id, err := t.knownAddress(who)
	if err != nil || id == 0 {
		return err
	}
	n, err := t.exec(query, append([]any{id}, args...)...)
	if err != nil || n == 0 {
		return err
	}
	return t.release(id)
}

func createNode(t *tx, op store.CreateNode) error {
	n := op.Node
	var account any // NULL
	if op.Account {
		id, err := t.user(n.Name.JID)
		if err != nil {
			return err
		}
		account = id
	}
	owner, err := t.address(n.Name.JID)
	if err != nil {
		return err
	}
	if _, err := t.exec(`DELETE FROM pubsub_node WHERE owner = ? AND name = ? AND moved <> ''`, owner, n.Name.Node); err != nil {
		return err
	}
	var id int64
	made, err := t.returning(`INSERT INTO pubsub_node (owner, account, name, created, creator, config, expire, purge, moved, items, bytes)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, '', 0, ?) ON CONFLICT DO NOTHING RETURNING id`,
		[]any{owner, account, n.Name.Node, n.Created.UnixMicro(), n.Creator.String(), filled(n.Config), int64(n.Expire / time.Second), n.PurgeOffline, n.Bytes()}, &id)
	if err == nil && !made {
		err = fmt.Errorf("node %s: %w", n.Name, store.ErrExists)
	}
	if err != nil {
		return err
	}
	return setAffiliation(t, id, store.NodeAffiliation{JID: op.Owner, Affiliation: store.AffiliationOwner})
}

func setNode(t *tx, id int64, op store.SetNode) error {
	n := op.Node
	var items int
	_, err := t.returning(`UPDATE pubsub_node SET bytes = bytes - length(config) + length(?1), config = ?1, expire = ?2, purge = ?3 WHERE id = ?4 RETURNING items`,
		[]any{filled(n.Config), int64(n.Expire / time.Second), n.PurgeOffline, id}, &items)
	if err != nil || op.Keep == 0 || items <= op.Keep {
		return err
	}
	removed, bytes, err := removeOldest(t, id, items-op.Keep)
	if err != nil {
		return err
	}
	return t.change(id, -removed, -bytes)
}

// deleteNode removes a node, or leaves a note of where it has gone.
func deleteNode(t *tx, id int64, moved string) error {
	members, err := t.members(id)
	if err != nil {
		return err
	}
	for _, table := range []string{
		`DELETE FROM pubsub_item WHERE node = ?`,
		`DELETE FROM pubsub_subscription WHERE node = ?`,
		`DELETE FROM pubsub_affiliation WHERE node = ?`,
	} {
		if _, err := t.exec(table, id); err != nil {
			return err
		}
	}
	if moved != "" {
		_, err = t.exec(`UPDATE pubsub_node SET moved = ?1, items = 0, config = x'', expire = 0, purge = 0,
			bytes = 64 + length(CAST(name AS BLOB)) + length(CAST(?1 AS BLOB)) WHERE id = ?2`, moved, id)
	} else {
		var owner int64
		_, err = t.returning(`DELETE FROM pubsub_node WHERE id = ? RETURNING owner`, []any{id}, &owner)
		members = append(members, owner)
	}
	if err != nil {
		return err
	}
	for _, who := range members {
		if err := t.release(who); err != nil {
			return err
		}
	}
	return nil
}

// members are the addresses that a node's rows refer to, some perhaps twice.
func (t *tx) members(id int64) (list []int64, err error) {
	err = t.each(`SELECT who FROM pubsub_affiliation WHERE node = ?1 UNION SELECT who FROM pubsub_subscription WHERE node = ?1`,
		[]any{id}, func(scan func(...any) error) (bool, error) {
			var who int64
			err := scan(&who)
			list = append(list, who)
			return true, err
		})
	return list, err
}

func setAffiliation(t *tx, node int64, a store.NodeAffiliation) error {
	if a.Affiliation == store.AffiliationNone {
		return t.leave(a.JID, `DELETE FROM pubsub_affiliation WHERE node = ?2 AND who = ?1`, node)
	}
	who, err := t.address(a.JID)
	if err != nil {
		return err
	}
	_, err = t.exec(`INSERT OR REPLACE INTO pubsub_affiliation (node, who, affiliation) VALUES (?, ?, ?)`, node, who, int(a.Affiliation))
	return err
}

func setSubscription(t *tx, node int64, s store.NodeSubscription) error {
	who, err := t.address(s.JID.Bare())
	if err != nil {
		return err
	}
	var options any // NULL
	if s.Options != nil {
		options = s.Options
	}
	_, err = t.exec(`INSERT OR REPLACE INTO pubsub_subscription (node, who, resource, pending, options, temporary) VALUES (?, ?, ?, ?, ?, ?)`,
		node, who, s.JID.Resource(), s.Pending, options, s.Temporary)
	return err
}

// publishItem puts an item behind all others.
func publishItem(t *tx, op store.PublishItem) error {
	node, items, err := t.node(op.Name)
	if err != nil {
		return err
	}
	i := op.Item
	removed, freed, err := t.remove(`node = ? AND item = ?`, node, i.ID)
	if err != nil {
		return err
	}
	var payload any // NULL
	if i.Payload != nil {
		payload = i.Payload
	}
	n, err := t.exec(`INSERT INTO pubsub_item (node, seq, item, publisher, payload) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
		node, i.At.UnixMicro(), i.ID, i.Publisher.String(), payload)
	if err == nil && n == 0 {
		err = fmt.Errorf("item of that moment: %w", store.ErrExists)
	}
	if err != nil {
		return err
	}
	if over := items - removed + 1 - op.Keep; removed == 0 && over > 0 {
		gone, bytes, err := removeOldest(t, node, over)
		if err != nil {
			return err
		}
		removed, freed = removed+gone, freed+bytes
	}
	return t.change(node, 1-removed, i.Bytes()-freed)
}

// removeOldest removes so many of a node's items.
func removeOldest(t *tx, node int64, n int) (items int, bytes int64, err error) {
	return t.remove(`node = ?1 AND seq IN (SELECT seq FROM pubsub_item WHERE node = ?1 ORDER BY seq LIMIT ?2)`, node, n)
}

func retractItems(t *tx, node int64, ids []string) error {
	removed, freed := 0, int64(0)
	for _, id := range ids {
		n, bytes, err := t.remove(`node = ? AND item = ?`, node, id)
		if err != nil {
			return err
		}
		removed, freed = removed+n, freed+bytes
	}
	return t.change(node, -removed, -freed)
}

func purgePublisher(t *tx, publisher jid.JID) error {
	var nodes []int64
	err := t.each(`SELECT DISTINCT node FROM pubsub_item WHERE node IN (SELECT id FROM pubsub_node WHERE purge > 0) AND publisher = ?`,
		[]any{publisher.String()}, func(scan func(...any) error) (bool, error) {
			var node int64
			err := scan(&node)
			nodes = append(nodes, node)
			return true, err
		})
	for _, node := range nodes {
		if err != nil {
			return err
		}
		var removed int
		var freed int64
		if removed, freed, err = t.remove(`node = ? AND publisher = ?`, node, publisher.String()); err == nil {
			err = t.change(node, -removed, -freed)
		}
	}
	return err
}

func expireItems(t *tx, op store.ExpireItems) error {
	type old struct{ node, before int64 }
	var list []old
	err := t.each(`SELECT id, ?1 - expire * 1000000 AS before FROM pubsub_node WHERE expire > 0
		AND EXISTS (SELECT 1 FROM pubsub_item WHERE node = id AND seq <= ?1 - expire * 1000000) LIMIT ?2`,
		[]any{op.Now.UnixMicro(), op.Limit}, func(scan func(...any) error) (bool, error) {
			var x old
			err := scan(&x.node, &x.before)
			list = append(list, x)
			return true, err
		})
	if err != nil {
		return err
	}
	for _, x := range list {
		n, bytes, err := t.remove(`node = ?1 AND seq IN
			(SELECT seq FROM pubsub_item WHERE node = ?1 AND seq <= ?2 ORDER BY seq LIMIT ?3)`, x.node, x.before, op.Limit)
		if err != nil {
			return err
		}
		if err := t.change(x.node, -n, -bytes); err != nil {
			return err
		}
	}
	return nil
}

// forgetPubsub removes the account's nodes with all addresses they refer to, and what the account is to nodes of
// others: whoever gets its address later must not find it.
func forgetPubsub(t *tx, account int64) error {
	var nodes []int64
	err := t.each(`SELECT id FROM pubsub_node WHERE account = ?`, []any{account}, func(scan func(...any) error) (bool, error) {
		var id int64
		err := scan(&id)
		nodes = append(nodes, id)
		return true, err
	})
	if err != nil {
		return err
	}
	for _, id := range nodes {
		if err := deleteNode(t, id, ""); err != nil {
			return err
		}
	}
	var user jid.JID
	var text string
	if _, err := t.row(`SELECT local || '@' || domain FROM account WHERE id = ?`, []any{account}, &text); err != nil {
		return err
	}
	if user, err = jid.Parse(text); err != nil {
		return errors.Join(store.ErrInvalid, err)
	}
	if _, err := t.exec(`UPDATE pubsub_node SET orphan = 1 + (SELECT max(orphan) FROM pubsub_node WHERE creator = ?1)
		WHERE creator = ?1 AND orphan = 0`, user.String()); err != nil {
		return err
	}
	if err := t.leave(user, `DELETE FROM pubsub_affiliation WHERE who = ?1`); err != nil {
		return err
	}
	return t.leave(user, `DELETE FROM pubsub_subscription WHERE who = ?1`)
}
