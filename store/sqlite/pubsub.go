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
		return t.atNode(op.Name, func(id int64) error { return publishItem(t, id, op) })
	case store.RetractItems:
		return t.atNode(op.Name, func(id int64) error { return retractItems(t, id, op.IDs) })
	case store.PurgeNode:
		return t.atNode(op.Name, func(id int64) error {
			if _, err := t.exec(`DELETE FROM pubsub_item WHERE node = ?`, id); err != nil {
				return err
			}
			return t.count(id, `0`)
		})
	case store.PurgePublisher:
		return purgePublisher(t, op.Publisher)
	case store.ExpireItems:
		return expireItems(t, op)
	}
	return errUnknownOp
}

// filled is b, never NULL.
func filled(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// node returns the id of a node, or store.ErrNotFound.
func (t *tx) node(name store.NodeName) (id int64, err error) {
	owner, err := t.knownAddress(name.JID)
	if err != nil {
		return 0, err
	}
	found := false
	if owner != 0 {
		found, err = t.row(`SELECT id FROM pubsub_node WHERE owner = ? AND name = ? AND moved = ''`, []any{owner, name.Node}, &id)
	}
	if err == nil && !found {
		err = fmt.Errorf("node %s: %w", name, store.ErrNotFound)
	}
	return id, err
}

func (t *tx) atNode(name store.NodeName, f func(id int64) error) error {
	id, err := t.node(name)
	if err != nil {
		return err
	}
	return f(id)
}

// count sets how many items a node has, by an expression of SQL.
func (t *tx) count(id int64, items string) error {
	_, err := t.exec(`UPDATE pubsub_node SET items = `+items+` WHERE id = ?`, id)
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
	made, err := t.returning(`INSERT INTO pubsub_node (owner, account, name, created, creator, config, expire, purge, moved, items)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, '', 0) ON CONFLICT DO NOTHING RETURNING id`,
		[]any{owner, account, n.Name.Node, n.Created.UnixMicro(), n.Creator.String(), filled(n.Config), int64(n.Expire / time.Second), n.PurgeOffline}, &id)
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
	_, err := t.returning(`UPDATE pubsub_node SET config = ?, expire = ?, purge = ? WHERE id = ? RETURNING items`,
		[]any{filled(n.Config), int64(n.Expire / time.Second), n.PurgeOffline, id}, &items)
	if err != nil || op.Keep == 0 {
		return err
	}
	return keepItems(t, id, items, op.Keep)
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
		_, err = t.exec(`UPDATE pubsub_node SET moved = ?, items = 0, config = x'', expire = 0, purge = 0 WHERE id = ?`, moved, id)
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
	_, err = t.exec(`INSERT OR REPLACE INTO pubsub_subscription (node, who, resource, pending, options) VALUES (?, ?, ?, ?, ?)`,
		node, who, s.JID.Resource(), s.Pending, options)
	return err
}

// publishItem puts an item behind all others.
func publishItem(t *tx, node int64, op store.PublishItem) error {
	i := op.Item
	replaced, err := t.exec(`DELETE FROM pubsub_item WHERE node = ? AND item = ?`, node, i.ID)
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
	if replaced > 0 {
		return nil
	}
	var items int
	_, err = t.returning(`UPDATE pubsub_node SET items = items + 1 WHERE id = ? RETURNING items`, []any{node}, &items)
	if err != nil {
		return err
	}
	return keepItems(t, node, items, op.Keep)
}

// keepItems removes the oldest of a node's items where they are more than keep.
func keepItems(t *tx, node int64, items, keep int) error {
	if items <= keep {
		return nil
	}
	_, err := t.exec(`DELETE FROM pubsub_item WHERE node = ?1 AND seq IN
		(SELECT seq FROM pubsub_item WHERE node = ?1 ORDER BY seq LIMIT ?2)`, node, items-keep)
	if err != nil {
		return err
	}
	_, err = t.exec(`UPDATE pubsub_node SET items = ? WHERE id = ?`, keep, node)
	return err
}

func retractItems(t *tx, node int64, ids []string) error {
	removed := int64(0)
	for _, id := range ids {
		n, err := t.exec(`DELETE FROM pubsub_item WHERE node = ? AND item = ?`, node, id)
		if err != nil {
			return err
		}
		removed += n
	}
	if removed == 0 {
		return nil
	}
	_, err := t.exec(`UPDATE pubsub_node SET items = items - ? WHERE id = ?`, removed, node)
	return err
}

// recount is the number of a node's items, counted.
const recount = `(SELECT count(*) FROM pubsub_item WHERE node = pubsub_node.id)`

func purgePublisher(t *tx, publisher jid.JID) error {
	n, err := t.exec(`DELETE FROM pubsub_item WHERE node IN (SELECT id FROM pubsub_node WHERE purge > 0) AND publisher = ?`, publisher.String())
	if err != nil || n == 0 {
		return err
	}
	_, err = t.exec(`UPDATE pubsub_node SET items = ` + recount + ` WHERE purge > 0`)
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
		n, err := t.exec(`DELETE FROM pubsub_item WHERE node = ?1 AND seq IN
			(SELECT seq FROM pubsub_item WHERE node = ?1 AND seq <= ?2 ORDER BY seq LIMIT ?3)`, x.node, x.before, op.Limit)
		if err != nil {
			return err
		}
		if _, err := t.exec(`UPDATE pubsub_node SET items = items - ? WHERE id = ?`, n, x.node); err != nil {
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
	if err := t.leave(user, `DELETE FROM pubsub_affiliation WHERE who = ?1`); err != nil {
		return err
	}
	return t.leave(user, `DELETE FROM pubsub_subscription WHERE who = ?1`)
}
