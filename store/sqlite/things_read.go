// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// How to read this file: how a row becomes a thing, what finds one, lists by a filter, and the search, whose terms are all
// of one form.

const thingColumns = `SELECT t.id, a.local, a.domain, t.node, t.source, t.cache, ifnull(o.jid, ''), t.registered, t.claimed,
	t.public, t.removed, t.label, t.key, t.offer, ifnull(f.jid, ''), t.offer_until, t.notice
	FROM thing t JOIN account a ON a.id = t.account LEFT JOIN address o ON o.id = t.owner LEFT JOIN address f ON f.id = t.offer_to `

// readThings returns what a query behind thingColumns finds, with tags and groups.
func readThings(c *conn, query string, args []any) (all []store.Thing, err error) {
	err = c.each(thingColumns+query, args, func(scan func(...any) error) (bool, error) {
		x, err := scanThing(scan)
		all = append(all, x)
		return true, err
	})
	for i := range all {
		if err == nil {
			err = readThingExtras(c, &all[i])
		}
	}
	return all, err
}

func scanThing(scan func(...any) error) (x store.Thing, err error) {
	var local, domain, owner, to, notice string
	var registered, claimed, until int64
	err = scan(&x.Row, &local, &domain, &x.ID, &x.Source, &x.Cache, &owner, &registered, &claimed,
		&x.Public, &x.Removed, &x.Label, &x.Key, &x.Offer, &to, &until, &notice)
	if err != nil {
		return x, err
	}
	x.Registered, x.Claimed, x.OfferUntil, x.Notice = fromMicros(registered), fromMicros(claimed), fromMicros(until), store.ThingNotice(notice)
	if x.JID, err = jid.New(local, domain, ""); err != nil {
		return x, err
	}
	if owner != "" {
		if x.Owner, err = jid.Parse(owner); err != nil {
			return x, err
		}
	}
	if to != "" {
		x.OfferTo, err = jid.Parse(to)
	}
	return x, err
}

func fromMicros(n int64) (at time.Time) {
	if n == 0 {
		return at
	}
	return time.UnixMicro(n).UTC()
}

func readThingExtras(c *conn, x *store.Thing) error {
	const tags = `SELECT name, typeof(value) <> 'text', value, given FROM thing_tag WHERE thing = ? ORDER BY name`
	err := c.each(tags, []any{x.Row}, func(scan func(...any) error) (bool, error) {
		var t store.ThingTag
		var value any
		if err := scan(&t.Name, &t.Numeric, &value, &t.Given); err != nil {
			return false, err
		}
		switch v := value.(type) {
		case string:
			t.Str = v
		case []byte:
			t.Str = string(v)
		case float64:
			t.Num = v
		case int64:
			t.Num = float64(v)
		}
		x.Tags = append(x.Tags, t)
		return true, nil
	})
	if err != nil {
		return err
	}
	return c.each(`SELECT name FROM thing_group WHERE thing = ? ORDER BY name`, []any{x.Row}, func(scan func(...any) error) (bool, error) {
		var g string
		err := scan(&g)
		x.Groups = append(x.Groups, g)
		return true, err
	})
}

// oneThing reads the first of what a query finds, or store.ErrNotFound.
func (s *Store) oneThing(ctx context.Context, what, query string, args ...any) (x store.Thing, err error) {
	err = s.read(ctx, what, func(c *conn) error {
		return c.snapshot(func() error {
			all, err := readThings(c, query, args)
			switch {
			case err != nil:
				return err
			case len(all) == 0:
				return store.ErrNotFound
			}
			x = all[0]
			return nil
		})
	})
	return x, err
}

// Thing implements [store.Things].
func (s *Store) Thing(ctx context.Context, n store.ThingName) (store.Thing, error) {
	if err := store.CheckUser(n.JID); err != nil {
		return store.Thing{}, err
	}
	const query = `WHERE t.account = ` + accountID + ` AND t.node = ? AND t.source = ? AND t.cache = ?`
	return s.oneThing(ctx, "thing "+n.JID.String(), query, n.JID.Domain(), n.JID.Local(), n.ID, n.Source, n.Cache)
}

// ThingByKey implements [store.Things].
func (s *Store) ThingByKey(ctx context.Context, digest []byte) (store.Thing, error) {
	if len(digest) == 0 {
		return store.Thing{}, store.ErrInvalid
	}
	// What is nobody's before what has been claimed by it.
	const query = `WHERE t.key = ?1 OR t.offer = ?1 ORDER BY t.owner IS NOT NULL, t.registered DESC, t.id DESC LIMIT 1`
	return s.oneThing(ctx, "thing of a key", query, digest)
}

// where is what a filter says, as conditions and their arguments.
func where(f store.ThingFilter) (string, []any) {
	conditions, args := []string{"t.id > ?"}, []any{f.After}
	add := func(condition string, values ...any) {
		conditions, args = append(conditions, condition), append(args, values...)
	}
	if f.Domain != "" {
		add("a.domain = ?", f.Domain)
	}
	if !f.Account.IsZero() {
		add("t.account = "+accountID, f.Account.Domain(), f.Account.Local())
	}
	if !f.Owner.IsZero() {
		add("t.owner = (SELECT id FROM address WHERE jid = ?)", f.Owner.String())
	}
	if f.Free {
		add("t.owner IS NULL")
	}
	if f.Group != "" {
		add("t.id IN (SELECT thing FROM thing_group WHERE name = ?)", f.Group)
	}
	return "WHERE " + strings.Join(conditions, " AND "), args
}

// ListThings implements [store.Things].
func (s *Store) ListThings(ctx context.Context, f store.ThingFilter) (page []store.Thing, err error) {
	err = s.read(ctx, "list of things", func(c *conn) error {
		return c.snapshot(func() (err error) {
			query, args := where(f)
			page, err = readThings(c, query+" ORDER BY t.id LIMIT ?", append(args, store.PageLimit(f.Limit)))
			return err
		})
	})
	return page, err
}

// CountThings implements [store.Things].
func (s *Store) CountThings(ctx context.Context, f store.ThingFilter) (n int, err error) {
	f.After = 0
	query, args := where(f)
	from := `SELECT count(*) FROM thing t `
	if f.Domain != "" { // else the index alone is read, which matters to who claims the last of thousands
		from += `JOIN account a ON a.id = t.account `
	}
	err = s.read(ctx, "number of things", func(c *conn) error {
		_, err := c.row(from+query, args, &n)
		return err
	})
	return n, err
}

// The condition of a search term has the same text for all of them, so that there are no more statements than a search may
// have terms. Arguments: name, type, outside; the lower end: none, included, value; the upper end; no mask, mask.
const thingTerm = ` AND EXISTS (SELECT 1 FROM thing_tag x WHERE x.thing = t.id AND x.name = ? AND (typeof(x.value) <> 'text') = ?
	AND ? <> ((? OR CASE WHEN ? THEN x.value >= ? ELSE x.value > ? END) AND (? OR CASE WHEN ? THEN x.value <= ? ELSE x.value < ? END))
	AND (? OR x.value GLOB ?))`

// SearchThings implements [store.Things].
func (s *Store) SearchThings(ctx context.Context, q store.ThingSearch) (found []store.Thing, more bool, err error) {
	if len(q.Terms) == 0 {
		return nil, false, nil
	}
	limit := store.PageLimit(q.Limit)
	query := `WHERE t.public AND NOT t.removed AND t.owner IS NOT NULL AND a.domain = ?`
	args := []any{q.Domain}
	if i := narrow(q.Terms); i >= 0 { // the index leads to these
		query += ` AND t.id IN (SELECT thing FROM thing_tag WHERE name = ? AND value BETWEEN ? AND ?)`
		from, to := span(q.Terms[i])
		args = append(args, q.Terms[i].Tag, from, to)
	}
	for _, term := range q.Terms {
		query += thingTerm
		args = append(args, term.Tag, term.Numeric, term.Outside)
		for _, end := range []*store.ThingBound{term.Min, term.Max} {
			v := bound(term, end)
			args = append(args, end == nil, end != nil && !end.Excluded, v, v)
		}
		args = append(args, term.Mask == "" && term.Wildcard == "", glob(term.Mask, term.Wildcard))
	}
	err = s.read(ctx, "search for things", func(c *conn) error {
		return c.snapshot(func() (err error) {
			found, err = readThings(c, query+` ORDER BY t.id LIMIT ? OFFSET ?`, append(args, limit+1, max(q.Offset, 0)))
			return err
		})
	})
	if len(found) > limit {
		found, more = found[:limit], true
	}
	return found, more, err
}

// narrow is the term that is likely to leave the fewest: that asks for one value, else for a range; -1 for none.
func narrow(terms []store.ThingTerm) (best int) {
	best = -1
	for i, t := range terms {
		switch {
		case t.Outside:
		case t.Min != nil && t.Max != nil && *t.Min == *t.Max:
			return i
		case best < 0 && (t.Min != nil || t.Max != nil):
			best = i
		}
	}
	return best
}

// span are the ends of a range as they are sorted: numbers, then strings, then bytes.
func span(t store.ThingTerm) (from, to any) {
	from, to = bound(t, t.Min), bound(t, t.Max)
	if from == nil && t.Numeric {
		from = -math.MaxFloat64
	} else if from == nil {
		from = ""
	}
	if to == nil && t.Numeric {
		to = math.MaxFloat64
	} else if to == nil {
		to = []byte{}
	}
	return from, to
}

func bound(t store.ThingTerm, b *store.ThingBound) any {
	switch {
	case b == nil:
		return nil
	case t.Numeric:
		return b.Num
	}
	return b.Str
}

// glob is a mask as SQLite's GLOB has it.
func glob(mask, wildcard string) string {
	escape := strings.NewReplacer("[", "[[]", "*", "[*]", "?", "[?]").Replace
	if wildcard == "" {
		return escape(mask)
	}
	parts := strings.Split(mask, wildcard)
	for i := range parts {
		parts[i] = escape(parts[i])
	}
	return strings.Join(parts, "*")
}

// ThingAccounts implements [store.Things].
func (s *Store) ThingAccounts(ctx context.Context, after jid.JID, limit int) ([]jid.JID, error) {
	const list = `SELECT local, domain FROM account a WHERE (domain, local) > (?, ?) AND EXISTS (SELECT 1 FROM thing WHERE account = a.id)
		ORDER BY domain, local LIMIT ?`
	return s.readJIDs(ctx, "accounts of things", list, after.Domain(), after.Local(), store.PageLimit(limit))
}

// ThingsToTell implements [store.Things].
func (s *Store) ThingsToTell(ctx context.Context) ([]jid.JID, error) {
	const list = `SELECT DISTINCT local, domain FROM account a JOIN thing t ON t.account = a.id WHERE t.notice <> ''`
	return s.readJIDs(ctx, "things that are to be told", list)
}

// readJIDs reads local parts and domains.
func (s *Store) readJIDs(ctx context.Context, what, query string, args ...any) (list []jid.JID, err error) {
	err = s.read(ctx, what, func(c *conn) error {
		return c.each(query, args, func(scan func(...any) error) (bool, error) {
			var local, domain string
			if err := scan(&local, &domain); err != nil {
				return false, err
			}
			j, err := jid.New(local, domain, "")
			if err != nil {
				return false, fmt.Errorf("%q at %q: %w", local, domain, err)
			}
			list = append(list, j)
			return true, nil
		})
	})
	return list, err
}
