// SPDX-License-Identifier: Apache-2.0

package sqlite

// How to read this file: reads of nodes come first, then what somebody is to them, then those of
// items. The tables are in pubsub.go.

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// addressID is the id of an address in a read.
const addressID = `(SELECT id FROM address WHERE jid = ?)`

const nodeColumns = `id, name, created, creator, config, expire, purge, moved, items, orphan`

// scanNode reads nodeColumns.
func scanNode(scan func(...any) error, at jid.JID) (n store.Node, id int64, items int, err error) {
	var created, expire int64
	var creator string
	err = scan(&id, &n.Name.Node, &created, &creator, &n.Config, &expire, &n.PurgeOffline, &n.Moved, &items, &n.Orphan)
	if err != nil {
		return n, 0, 0, err
	}
	n.Name.JID = at
	n.Created = time.UnixMicro(created).UTC()
	n.Expire = time.Duration(expire) * time.Second
	n.Creator, err = jid.Parse(creator)
	return n, id, items, err
}

// Node implements [store.Pubsub].
func (s *Store) Node(ctx context.Context, name store.NodeName) (n store.NodeState, err error) {
	err = s.read(ctx, "node "+name.String(), func(c *conn) error {
		return c.snapshot(func() error {
			var id int64
			const find = `SELECT ` + nodeColumns + ` FROM pubsub_node WHERE owner = ` + addressID + ` AND name = ?`
			err := c.each(find, []any{name.JID.String(), name.Node}, func(scan func(...any) error) (_ bool, err error) {
				n.Node, id, n.Items, err = scanNode(scan, name.JID)
				return false, err
			})
			if err == nil && id == 0 {
				err = store.ErrNotFound
			}
			if err != nil {
				return err
			}
			return c.nodeState(id, &n)
		})
	})
	if err != nil {
		return store.NodeState{}, err
	}
	return n, nil
}

func (c *conn) nodeState(id int64, n *store.NodeState) error {
	err := c.each(`SELECT a.jid, x.affiliation FROM pubsub_affiliation x JOIN address a ON a.id = x.who WHERE x.node = ?`, []any{id},
		func(scan func(...any) error) (bool, error) {
			var who string
			var a store.NodeAffiliation
			err := scan(&who, &a.Affiliation)
			if err == nil {
				a.JID, err = jid.Parse(who)
			}
			n.Affiliations = append(n.Affiliations, a)
			return true, err
		})
	if err != nil {
		return err
	}
	err = c.each(`SELECT `+subscriptionColumns+` FROM pubsub_subscription x JOIN address a ON a.id = x.who WHERE x.node = ?`,
		[]any{id}, func(scan func(...any) error) (bool, error) {
			sub, err := scanSubscription(scan)
			n.Subscriptions = append(n.Subscriptions, sub)
			return true, err
		})
	if err != nil {
		return err
	}
	return c.each(itemsNewest, []any{id, int64(minSeq), int64(maxSeq), false, 1, 0}, func(scan func(...any) error) (bool, error) {
		i, err := scanItem(scan)
		n.Last = &i
		return false, err
	})
}

const subscriptionColumns = `a.jid, x.resource, x.pending, x.options, x.temporary`

// scanSubscription reads subscriptionColumns.
func scanSubscription(scan func(...any) error, before ...any) (sub store.NodeSubscription, err error) {
	var who, resource string
	if err = scan(append(before, &who, &resource, &sub.Pending, &sub.Options, &sub.Temporary)...); err != nil {
		return sub, err
	}
	if sub.JID, err = jid.Parse(who); err == nil && resource != "" {
		sub.JID, err = sub.JID.WithResource(resource)
	}
	return sub, err
}

// Nodes implements [store.Pubsub].
func (s *Store) Nodes(ctx context.Context, at jid.JID, after string, limit int) (list []store.Node, err error) {
	err = s.read(ctx, "nodes of "+at.String(), func(c *conn) error {
		const page = `SELECT ` + nodeColumns + ` FROM pubsub_node WHERE owner = ` + addressID + ` AND name > ? AND moved = '' ORDER BY name LIMIT ?`
		size := 0
		return c.each(page, []any{at.String(), after, store.PageLimit(limit)}, func(scan func(...any) error) (bool, error) {
			n, _, _, err := scanNode(scan, at)
			list = append(list, n)
			size += len(n.Config)
			return size < store.MaxPageBytes, err
		})
	})
	return list, err
}

// FindNodes implements [store.Pubsub].
func (s *Store) FindNodes(ctx context.Context, q store.NodeQuery) (list []store.NodeEntry, err error) {
	err = s.read(ctx, "nodes of "+q.At.String(), func(c *conn) error {
		const page = `SELECT ` + nodeColumns + `,
			(SELECT count(*) FROM pubsub_affiliation WHERE node = id AND affiliation = ?4) AS owners,
			(SELECT count(*) FROM pubsub_subscription WHERE node = id)
			FROM pubsub_node WHERE owner = (SELECT id FROM address WHERE jid = ?1) AND name > ?2 AND moved = ''
			AND (?3 = '' OR instr(lower(name), lower(?3))) AND (NOT ?5 OR owners = 0) ORDER BY name LIMIT ?6`
		size := 0
		args := []any{q.At.String(), q.After, q.Find, int(store.AffiliationOwner), q.Ownerless, store.PageLimit(q.Limit)}
		return c.each(page, args, func(scan func(...any) error) (bool, error) {
			var x store.NodeEntry
			var err error
			x.Node, _, x.Items, err = scanNode(func(into ...any) error { return scan(append(into, &x.Owners, &x.Subscriptions)...) }, q.At)
			list = append(list, x)
			size += len(x.Config)
			return size < store.MaxPageBytes, err
		})
	})
	return list, err
}

// NodeNames implements [store.Pubsub].
func (s *Store) NodeNames(ctx context.Context, at []jid.JID) (list []store.NodeName, err error) {
	if len(at) > store.MaxNodeOwners {
		return nil, fmt.Errorf("nodes of %d addresses: %w", len(at), store.ErrTooLarge)
	}
	const names = `SELECT a.jid, n.name FROM address a CROSS JOIN pubsub_node n ON n.owner = a.id
		WHERE a.jid IN (SELECT value FROM json_each(?)) AND n.moved = '' LIMIT ?`
	written, owners := make([]string, len(at)), make(map[string]jid.JID, len(at))
	for i, j := range at {
		written[i] = j.String()
		owners[j.String()] = j
	}
	all, err := json.Marshal(written)
	if err != nil {
		return nil, fmt.Errorf("nodes of %d addresses: %w", len(at), err)
	}
	err = s.read(ctx, "names of nodes", func(c *conn) error {
		return c.each(names, []any{string(all), store.MaxPage + 1}, func(scan func(...any) error) (bool, error) {
			var owner, name string
			err := scan(&owner, &name)
			list = append(list, store.NodeName{JID: owners[owner], Node: name})
			return true, err
		})
	})
	switch {
	case err != nil:
		return nil, err
	case len(list) > store.MaxPage:
		return nil, fmt.Errorf("nodes of %d addresses: %w", len(at), store.ErrTooLarge)
	}
	return list, nil
}

// NodeCount implements [store.Pubsub].
func (s *Store) NodeCount(ctx context.Context, at jid.JID) (nodes, subscriptions int, err error) {
	err = s.read(ctx, "number of nodes of "+at.String(), func(c *conn) error {
		_, err := c.row(`SELECT (SELECT count(*) FROM pubsub_node WHERE owner = a.id AND moved = ''),
			(SELECT count(*) FROM pubsub_subscription WHERE node IN (SELECT id FROM pubsub_node WHERE owner = a.id))
			FROM address a WHERE a.jid = ?`, []any{at.String()}, &nodes, &subscriptions)
		return err
	})
	return nodes, subscriptions, err
}

// PurgesOffline implements [store.Pubsub].
func (s *Store) PurgesOffline(ctx context.Context) (found bool, err error) {
	err = s.read(ctx, "nodes whose items go with their publishers", func(c *conn) error {
		_, err := c.row(`SELECT EXISTS (SELECT 1 FROM pubsub_node WHERE purge > 0)`, nil, &found)
		return err
	})
	return found, err
}

// NodesMade implements [store.Pubsub].
func (s *Store) NodesMade(ctx context.Context, at, who jid.JID) (n int, err error) {
	err = s.read(ctx, "number of nodes that "+who.String()+" has made", func(c *conn) error {
		_, err := c.row(`SELECT count(*) FROM pubsub_node WHERE creator = ? AND owner = `+addressID+` AND orphan = 0 AND moved = ''`,
			[]any{who.String(), at.String()}, &n)
		return err
	})
	return n, err
}

// NodeBytes implements [store.Pubsub].
func (s *Store) NodeBytes(ctx context.Context, of store.NodeMaker) (n int64, err error) {
	err = s.read(ctx, "bytes of the nodes of "+of.Creator.String(), func(c *conn) error {
		_, err := c.row(`SELECT coalesce(sum(bytes), 0) FROM pubsub_node WHERE creator = ? AND owner = `+addressID+` AND orphan = ?`,
			[]any{of.Creator.String(), of.At.String(), of.Orphan}, &n)
		return err
	})
	return n, err
}

// TemporaryNodes implements [store.Pubsub].
func (s *Store) TemporaryNodes(ctx context.Context, after store.NodeName, limit int) (list []store.NodeName, err error) {
	err = s.read(ctx, "nodes with temporary subscriptions", func(c *conn) error {
		const page = `SELECT a.jid, n.name FROM pubsub_node n JOIN address a ON a.id = n.owner
			WHERE n.id IN (SELECT node FROM pubsub_subscription WHERE temporary > 0) AND (a.jid, n.name) > (?, ?)
			ORDER BY a.jid, n.name LIMIT ?`
		return c.each(page, []any{after.JID.String(), after.Node, store.PageLimit(limit)}, func(scan func(...any) error) (bool, error) {
			var owner string
			var n store.NodeName
			err := scan(&owner, &n.Node)
			if err == nil {
				n.JID, err = jid.Parse(owner)
			}
			list = append(list, n)
			return true, err
		})
	})
	return list, err
}

// Memberships implements [store.Pubsub].
func (s *Store) Memberships(ctx context.Context, at, who jid.JID, after string, limit int) (list []store.Membership, err error) {
	limit = store.PageLimit(limit)
	err = s.read(ctx, "what "+who.String()+" is to nodes", func(c *conn) error {
		return c.snapshot(func() error {
			list, err = c.memberships(at, who, after, limit)
			return err
		})
	})
	return list, err
}

func (c *conn) memberships(at, who jid.JID, after string, limit int) (list []store.Membership, err error) {
	const nodes = `SELECT n.id, n.name, coalesce((SELECT affiliation FROM pubsub_affiliation WHERE node = n.id AND who = a.id), 0)
		FROM address a, pubsub_node n WHERE a.jid = ?1 AND n.owner = (SELECT id FROM address WHERE jid = ?2) AND n.name > ?3
		AND n.id IN (SELECT node FROM pubsub_affiliation WHERE who = a.id UNION SELECT node FROM pubsub_subscription WHERE who = a.id)
		ORDER BY n.name LIMIT ?4`
	var ids []int64
	err = c.each(nodes, []any{who.String(), at.String(), after, limit}, func(scan func(...any) error) (bool, error) {
		var id int64
		var m store.Membership
		err := scan(&id, &m.Node, &m.Affiliation)
		ids, list = append(ids, id), append(list, m)
		return true, err
	})
	for i, id := range ids {
		if err != nil {
			break
		}
		err = c.each(`SELECT `+subscriptionColumns+` FROM pubsub_subscription x JOIN address a ON a.id = x.who
			WHERE x.node = ? AND a.jid = ?`, []any{id, who.String()}, func(scan func(...any) error) (bool, error) {
			sub, err := scanSubscription(scan)
			list[i].Subscriptions = append(list[i].Subscriptions, sub)
			return true, err
		})
	}
	return list, err
}

const (
	minSeq = -1 << 63
	maxSeq = 1<<63 - 1

	itemColumns = `SELECT item, publisher, seq, CASE WHEN ?4 THEN NULL ELSE payload END FROM pubsub_item WHERE node = ?1 `
	itemsOldest = itemColumns + `AND seq > ?2 AND seq < ?3 ORDER BY seq LIMIT ?5 OFFSET ?6`
	itemsNewest = itemColumns + `AND seq > ?2 AND seq < ?3 ORDER BY seq DESC LIMIT ?5 OFFSET ?6`
)

func scanItem(scan func(...any) error) (i store.Item, err error) {
	var publisher string
	var seq int64
	if err = scan(&i.ID, &publisher, &seq, &i.Payload); err != nil {
		return i, err
	}
	i.At = time.UnixMicro(seq).UTC()
	if publisher != "" {
		i.Publisher, err = jid.Parse(publisher)
	}
	return i, err
}

// nodeID is the id of a node in reads, 0 where there is none.
func (c *conn) nodeID(name store.NodeName) (id int64, err error) {
	_, err = c.row(`SELECT id FROM pubsub_node WHERE owner = `+addressID+` AND name = ?`, []any{name.JID.String(), name.Node}, &id)
	return id, err
}

// placeOfItem is the seq of an item.
func (c *conn) placeOfItem(node int64, item string) (seq int64, err error) {
	found, err := c.row(`SELECT seq FROM pubsub_item WHERE node = ? AND item = ?`, []any{node, item}, &seq)
	if err == nil && !found {
		err = fmt.Errorf("item: %w", store.ErrNotFound)
	}
	return seq, err
}

// Items implements [store.Pubsub].
func (s *Store) Items(ctx context.Context, name store.NodeName, q store.ItemQuery) (list []store.Item, err error) {
	err = s.read(ctx, "items of node "+name.String(), func(c *conn) error {
		return c.snapshot(func() error {
			node, err := c.nodeID(name)
			if err != nil || node == 0 {
				return err
			}
			if q.IDs != nil {
				list, err = c.itemsByID(node, q.IDs, q.Bare)
				return err
			}
			list, err = c.items(node, q)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

func (c *conn) itemsByID(node int64, ids []string, bare bool) (list []store.Item, err error) {
	size := 0
	for _, id := range ids[:min(len(ids), store.MaxPage)] {
		err := c.each(itemColumns+`AND item = ?2`, []any{node, id, 0, bare}, func(scan func(...any) error) (bool, error) {
			i, err := scanItem(scan)
			list = append(list, i)
			size += len(i.Payload)
			return true, err
		})
		if err != nil || size >= store.MaxPageBytes {
			return list, err
		}
	}
	return list, nil
}

func (c *conn) items(node int64, q store.ItemQuery) (list []store.Item, err error) {
	after, before := int64(minSeq), int64(maxSeq)
	if q.After != "" {
		if after, err = c.placeOfItem(node, q.After); err != nil {
			return nil, err
		}
	}
	if q.Before != "" {
		if before, err = c.placeOfItem(node, q.Before); err != nil {
			return nil, err
		}
	}
	query, size := itemsOldest, 0
	if q.Newest {
		query = itemsNewest
	}
	err = c.each(query, []any{node, after, before, q.Bare, store.PageLimit(q.Limit), q.Skip}, func(scan func(...any) error) (bool, error) {
		i, err := scanItem(scan)
		list = append(list, i)
		size += len(i.Payload)
		return size < store.MaxPageBytes, err
	})
	return list, err
}

// ItemCount implements [store.Pubsub].
func (s *Store) ItemCount(ctx context.Context, name store.NodeName) (n int, err error) {
	err = s.read(ctx, "number of items of node "+name.String(), func(c *conn) error {
		_, err := c.row(`SELECT items FROM pubsub_node WHERE owner = `+addressID+` AND name = ?`, []any{name.JID.String(), name.Node}, &n)
		return err
	})
	return n, err
}

// ItemsOver implements [store.Pubsub].
func (s *Store) ItemsOver(ctx context.Context, name store.NodeName, ids []string, keep int) (held int, over []string, err error) {
	held, over, _, err = s.over(ctx, name, ids, keep)
	return held, over, err
}

// BytesOver implements [store.Pubsub].
func (s *Store) BytesOver(ctx context.Context, name store.NodeName, ids []string, keep int) (int64, error) {
	_, _, bytes, err := s.over(ctx, name, ids, keep)
	return bytes, err
}

// over is both.
func (s *Store) over(ctx context.Context, name store.NodeName, ids []string, keep int) (held int, over []string, bytes int64, err error) {
	fresh := make(map[string]struct{}, len(ids))
	for _, id := range ids {
		fresh[id] = struct{}{}
	}
	err = s.read(ctx, "items of node "+name.String()+" that go", func(c *conn) error {
		return c.snapshot(func() error {
			var node int64
			_, err := c.row(`SELECT id, items FROM pubsub_node WHERE owner = `+addressID+` AND name = ?`, []any{name.JID.String(), name.Node}, &node, &held)
			for id := range fresh {
				var there bool
				var n int64
				if err == nil {
					there, err = c.row(`SELECT `+itemBytes+` FROM pubsub_item WHERE node = ? AND item = ?`, []any{node, id}, &n)
				}
				if there {
					held, bytes = held-1, bytes+n
				}
			}
			most := min(held+len(fresh)-keep, store.MaxPage)
			if err != nil || most <= 0 {
				return err
			}
			const oldest = `SELECT item, ` + itemBytes + ` FROM pubsub_item WHERE node = ? ORDER BY seq LIMIT ?`
			return c.each(oldest, []any{node, most + len(fresh)}, func(scan func(...any) error) (bool, error) {
				var id string
				var n int64
				err := scan(&id, &n)
				if _, stays := fresh[id]; !stays && len(over) < most {
					over, bytes = append(over, id), bytes+n
				}
				return true, err
			})
		})
	})
	return held, over, bytes, err
}

// ItemPlace implements [store.Pubsub].
func (s *Store) ItemPlace(ctx context.Context, name store.NodeName, id string) (n int, err error) {
	err = s.read(ctx, "place of an item of node "+name.String(), func(c *conn) error {
		node, err := c.nodeID(name)
		if err != nil {
			return err
		}
		seq, err := c.placeOfItem(node, id)
		if err != nil {
			return err
		}
		_, err = c.row(`SELECT count(*) FROM pubsub_item WHERE node = ? AND seq < ?`, []any{node, seq}, &n)
		return err
	})
	return n, err
}
