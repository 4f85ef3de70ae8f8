// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"strings"

	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// Addresses that are not accounts of this server (contacts, correspondents) are written once and referred to by an
// integer, which makes the tables and indices that name them a third of the size.
var addresses = topic{
	name: "addresses",
	migrations: []string{
		`CREATE TABLE address (id INTEGER PRIMARY KEY, jid TEXT NOT NULL UNIQUE)`,
	},
}

// address returns the id of an address, which it writes if it is new.
func (t *tx) address(j jid.JID) (int64, error) {
	id, err := t.knownAddress(j)
	if err != nil || id != 0 {
		return id, err
	}
	key := j.String()
	if _, err = t.returning(`INSERT INTO address (jid) VALUES (?) RETURNING id`, []any{key}, &id); err != nil {
		return 0, err
	}
	t.addresses.put(key, id)
	return id, nil
}

// knownAddress returns the id of an address, or 0 when nothing refers to it.
func (t *tx) knownAddress(j jid.JID) (int64, error) {
	key := j.String()
	if id, ok := t.addresses.get(key); ok {
		return id, nil
	}
	var id int64
	found, err := t.row(`SELECT id FROM address WHERE jid = ?`, []any{key}, &id)
	if err != nil || !found {
		return 0, err
	}
	t.addresses.put(key, id)
	return id, nil
}

// release removes an address that nothing refers to any more.
func (t *tx) release(id int64) error {
	var key string
	removed, err := t.returning(t.releaseSQL, []any{id}, &key)
	if removed {
		t.addresses.forget(key)
	}
	return err
}

// ids remembers the integers of the addresses used last, in two generations: when the young one is full it becomes the
// old one, and what of the old is used again moves over. What was learned in a transaction that is undone is unlearned.
type ids struct {
	young, old map[string]int64
	bytes      int // of the young one, about
	learned    []string
}

const (
	idsBytes = 2 << 20 // of one generation
	idBytes  = 64      // of one entry beside its address
)

func newIDs() *ids { return &ids{young: map[string]int64{}} }

func (c *ids) get(key string) (int64, bool) {
	if id, ok := c.young[key]; ok {
		return id, true
	}
	id, ok := c.old[key]
	if ok {
		c.keep(strings.Clone(key), id)
	}
	return id, ok
}

func (c *ids) put(key string, id int64) {
	key = strings.Clone(key) // it may be part of something larger
	c.learned = append(c.learned, key)
	c.keep(key, id)
}

func (c *ids) keep(key string, id int64) {
	if c.bytes > idsBytes {
		c.young, c.old, c.bytes = map[string]int64{}, c.young, 0
	}
	c.young[key] = id
	c.bytes += len(key) + idBytes
}

func (c *ids) forget(key string) {
	delete(c.young, key)
	delete(c.old, key)
}

// settle keeps what was learned: the transaction was committed.
func (c *ids) settle() { c.learned = c.learned[:0] }

// unlearn forgets what was learned since the mark, which is an earlier len(c.learned).
func (c *ids) unlearn(mark int) {
	for _, key := range c.learned[mark:] {
		c.forget(key)
	}
	c.learned = c.learned[:mark]
}
