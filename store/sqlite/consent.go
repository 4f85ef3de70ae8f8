// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// How to read this file: the tables, then what changes them, a function for each operation, then what reads them. Owners and
// callers are written out: there are few rows, and they are looked up by address. Names are joined by a zero byte, which XML
// has not.

var consent = topic{
	name: "consent",
	migrations: []string{
		`CREATE TABLE consent_owner (owner TEXT PRIMARY KEY, last INTEGER NOT NULL) WITHOUT ROWID;
		CREATE TABLE consent_rule (
			owner   TEXT NOT NULL,
			number  INTEGER NOT NULL,
			thing   INTEGER NOT NULL REFERENCES account ON DELETE CASCADE,
			node    TEXT NOT NULL,
			source  TEXT NOT NULL,
			cache   TEXT NOT NULL,
			kind    INTEGER NOT NULL,
			subject TEXT NOT NULL,
			"right" INTEGER NOT NULL,
			allow   INTEGER NOT NULL,
			names   BLOB NOT NULL,
			created INTEGER NOT NULL,
			PRIMARY KEY (owner, number)
		) WITHOUT ROWID;
		CREATE INDEX consent_rule_thing ON consent_rule (thing);
		CREATE INDEX consent_rule_subject ON consent_rule (subject) WHERE kind = 0;
		CREATE TABLE consent_question (
			owner     TEXT NOT NULL,
			number    INTEGER NOT NULL,
			thing     INTEGER NOT NULL REFERENCES account ON DELETE CASCADE,
			node      TEXT NOT NULL,
			source    TEXT NOT NULL,
			cache     TEXT NOT NULL,
			caller    TEXT NOT NULL,
			"right"   INTEGER NOT NULL,
			names     BLOB NOT NULL,
			subscribe INTEGER NOT NULL,
			asked     INTEGER NOT NULL,
			PRIMARY KEY (owner, number)
		) WITHOUT ROWID;
		CREATE UNIQUE INDEX consent_question_thing ON consent_question (thing, node, source, cache, caller, "right");
		CREATE INDEX consent_question_caller ON consent_question (caller);
		CREATE INDEX consent_question_asked ON consent_question (asked);
		CREATE TABLE consent_refusal (
			id      INTEGER PRIMARY KEY,
			thing   INTEGER NOT NULL REFERENCES account ON DELETE CASCADE,
			node    TEXT NOT NULL,
			source  TEXT NOT NULL,
			cache   TEXT NOT NULL,
			caller  TEXT NOT NULL,
			"right" INTEGER NOT NULL,
			way     TEXT NOT NULL,
			names   BLOB NOT NULL,
			first   INTEGER NOT NULL,
			last    INTEGER NOT NULL,
			count   INTEGER NOT NULL
		);
		CREATE INDEX consent_refusal_thing ON consent_refusal (thing, caller, last);
		CREATE INDEX consent_refusal_row ON consent_refusal (thing, id);
		CREATE INDEX consent_refusal_last ON consent_refusal (last);
		CREATE TABLE consent_stale (
			thing   INTEGER PRIMARY KEY REFERENCES account ON DELETE CASCADE,
			changes INTEGER NOT NULL,
			known   INTEGER NOT NULL
		)`,
	},
	apply:  applyConsent,
	forget: forgetConsent,
}

func applyConsent(t *tx, op store.Op) error {
	switch op := op.(type) {
	case store.SetRule:
		return setRule(t, op.Rule)
	case store.DeleteRule:
		var thing int64
		found, err := t.returning(`DELETE FROM consent_rule WHERE owner = ? AND number = ? RETURNING thing`, []any{op.Owner.String(), op.Number}, &thing)
		if err == nil && !found {
			err = fmt.Errorf("rule %d of %s: %w", op.Number, op.Owner, store.ErrNotFound)
		}
		if err != nil {
			return err
		}
		return t.stale(thing)
	case store.AskQuestion:
		return askQuestion(t, op.Question)
	case store.DropQuestion:
		n, err := t.exec(`DELETE FROM consent_question WHERE owner = ? AND number = ?`, op.Owner.String(), op.Number)
		if err == nil && n == 0 {
			err = fmt.Errorf("question %d of %s: %w", op.Number, op.Owner, store.ErrNotFound)
		}
		return err
	case store.ForgetConsent:
		return forgetOwner(t, op)
	case store.Outdate:
		thing, err := t.user(op.Thing)
		if err != nil {
			return err
		}
		return t.stale(thing)
	case store.ClearStale:
		thing, err := t.user(op.Thing)
		if err != nil {
			return err
		}
		_, err = t.exec(`UPDATE consent_stale SET known = max(known, ?) WHERE thing = ?`, op.Stale, thing)
		return err
	case store.AddRefusal:
		return addRefusal(t, op)
	case store.ExpireConsent:
		before := op.Before.UnixMicro()
		_, err := t.exec(`DELETE FROM consent_refusal WHERE id IN (SELECT id FROM consent_refusal WHERE last < ? LIMIT ?)`, before, op.Limit)
		if err != nil {
			return err
		}
		_, err = t.exec(`DELETE FROM consent_question WHERE (owner, number) IN (SELECT owner, number FROM consent_question WHERE asked < ? LIMIT ?)`,
			before, op.Limit)
		return err
	}
	return errUnknownOp
}

// stale says that what a thing remembers does not hold any more.
func (t *tx) stale(thing int64) error {
	_, err := t.exec(`INSERT INTO consent_stale VALUES (?, 1, 0) ON CONFLICT DO UPDATE SET changes = changes + 1`, thing)
	return err
}

// nextNumber is the owner's.
func (t *tx) nextNumber(owner jid.JID) (n int64, err error) {
	_, err = t.returning(`INSERT INTO consent_owner VALUES (?, 1) ON CONFLICT DO UPDATE SET last = last + 1 RETURNING last`, []any{owner.String()}, &n)
	return n, err
}

func setRule(t *tx, r store.Rule) error {
	thing, err := t.user(r.Thing.JID)
	if err != nil {
		return err
	}
	if r.Number == 0 {
		if r.Number, err = t.nextNumber(r.Owner); err != nil {
			return err
		}
	}
	_, err = t.exec(`INSERT OR REPLACE INTO consent_rule VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		r.Owner.String(), r.Number, thing, r.Thing.ID, r.Thing.Source, r.Thing.Cache,
		r.Subject.Kind, r.Subject.Name, r.Right, r.Allow, joinNames(r.Names), r.Created.UnixMicro())
	if err != nil {
		return err
	}
	return t.stale(thing)
}

func askQuestion(t *tx, q store.Question) error {
	thing, err := t.user(q.Thing.JID)
	if err != nil {
		return err
	}
	const again = `UPDATE consent_question SET names = ?, subscribe = ?, asked = ?
		WHERE thing = ? AND node = ? AND source = ? AND cache = ? AND caller = ? AND "right" = ? AND owner = ?`
	n, err := t.exec(again, joinNames(q.Names), q.Subscribe, q.Asked.UnixMicro(),
		thing, q.Thing.ID, q.Thing.Source, q.Thing.Cache, q.Caller.String(), q.Right, q.Owner.String())
	if err != nil || n > 0 {
		return err
	}
	if q.Number, err = t.nextNumber(q.Owner); err != nil {
		return err
	}
	// That of an owner before goes with it.
	_, err = t.exec(`INSERT OR REPLACE INTO consent_question VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		q.Owner.String(), q.Number, thing, q.Thing.ID, q.Thing.Source, q.Thing.Cache,
		q.Caller.String(), q.Right, joinNames(q.Names), q.Subscribe, q.Asked.UnixMicro())
	return err
}

func forgetOwner(t *tx, op store.ForgetConsent) error {
	thing, err := t.user(op.Thing.JID)
	if errors.Is(err, store.ErrNotFound) {
		return nil // gone with the account
	}
	if err != nil {
		return err
	}
	where, args := `WHERE thing = ? AND owner = ?`, []any{thing, op.Owner.String()}
	if op.Thing.ThingNode != (store.ThingNode{}) {
		where += ` AND node = ? AND source = ? AND cache = ?`
		args = append(args, op.Thing.ID, op.Thing.Source, op.Thing.Cache)
	}
	for _, table := range []string{`consent_rule `, `consent_question `} {
		if _, err := t.exec(`DELETE FROM `+table+where, args...); err != nil {
			return err
		}
	}
	return t.stale(thing)
}

func addRefusal(t *tx, op store.AddRefusal) error {
	r := op.Refusal
	thing, err := t.user(r.Thing.JID)
	if err != nil {
		return err
	}
	var id int64
	const same = `SELECT id FROM consent_refusal WHERE thing = ? AND caller = ? AND last >= ?
		AND node = ? AND source = ? AND cache = ? AND "right" = ? AND way = ? ORDER BY last DESC LIMIT 1`
	found, err := t.row(same, []any{thing, r.Caller.String(), r.First.Add(-op.Within).UnixMicro(),
		r.Thing.ID, r.Thing.Source, r.Thing.Cache, r.Right, r.Way}, &id)
	if err != nil {
		return err
	}
	if found {
		_, err = t.exec(`UPDATE consent_refusal SET count = count + ?, last = max(last, ?), names = ? WHERE id = ?`,
			r.Count, r.Last.UnixMicro(), joinNames(r.Names), id)
		return err
	}
	_, err = t.exec(`INSERT INTO consent_refusal (thing, node, source, cache, caller, "right", way, names, first, last, count)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, thing, r.Thing.ID, r.Thing.Source, r.Thing.Cache, r.Caller.String(), r.Right, r.Way,
		joinNames(r.Names), r.First.UnixMicro(), r.Last.UnixMicro(), r.Count)
	if err != nil {
		return err
	}
	_, err = t.exec(`DELETE FROM consent_refusal WHERE thing = ?1 AND id <=
		(SELECT id FROM consent_refusal WHERE thing = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)`, thing, op.Keep)
	return err
}

// forgetConsent removes what an account has decided and was asked, and what others have decided about it: another
// account of that name must not have its rights.
func forgetConsent(t *tx, account int64) error {
	j, found, err := t.accountJID(account)
	if err != nil || !found {
		return err
	}
	const about = `SELECT DISTINCT thing FROM consent_rule WHERE kind = 0 AND subject = ?1 UNION SELECT thing FROM consent_rule WHERE owner = ?1`
	var things []int64
	err = t.each(about, []any{j.String()}, func(scan func(...any) error) (bool, error) {
		var thing int64
		err := scan(&thing)
		things = append(things, thing)
		return true, err
	})
	if err != nil {
		return err
	}
	for _, q := range []string{
		`DELETE FROM consent_rule WHERE kind = 0 AND subject = ?1`, `DELETE FROM consent_rule WHERE owner = ?1`,
		`DELETE FROM consent_question WHERE caller = ?1`, `DELETE FROM consent_question WHERE owner = ?1`,
		`DELETE FROM consent_owner WHERE owner = ?1`,
	} {
		if _, err := t.exec(q, j.String()); err != nil {
			return err
		}
	}
	for _, thing := range things {
		if err := t.stale(thing); err != nil {
			return err
		}
	}
	return nil
}

func joinNames(names []string) []byte { return []byte(strings.Join(names, "\x00")) }

func splitNames(b []byte) []string {
	if len(b) == 0 {
		return nil
	}
	return strings.Split(string(b), "\x00")
}

const ruleColumns = `SELECT consent_rule.owner, number, domain, local, node, source, cache, kind, subject, "right", allow, names, consent_rule.created
	FROM consent_rule JOIN account ON account.id = thing `

func readRules(c *conn, query string, args ...any) (rules []store.Rule, err error) {
	err = c.each(ruleColumns+query, args, func(scan func(...any) error) (bool, error) {
		var r store.Rule
		var owner, domain, local string
		var names []byte
		var created int64
		n := &r.Thing
		err := scan(&owner, &r.Number, &domain, &local, &n.ID, &n.Source, &n.Cache, &r.Subject.Kind, &r.Subject.Name, &r.Right, &r.Allow, &names, &created)
		if err == nil {
			r.Owner, err = jid.Parse(owner)
		}
		if err == nil {
			n.JID, err = jid.New(local, domain, "")
		}
		r.Names, r.Created = splitNames(names), time.UnixMicro(created).UTC()
		rules = append(rules, r)
		return true, err
	})
	return rules, err
}

// ThingRules implements [store.Consents].
func (s *Store) ThingRules(ctx context.Context, thing jid.JID) (rules []store.Rule, stale int64, err error) {
	if err := store.CheckUser(thing); err != nil {
		return nil, 0, err
	}
	err = s.read(ctx, "rules of "+thing.String(), func(c *conn) (err error) {
		args := []any{thing.Domain(), thing.Local()}
		if rules, err = readRules(c, `WHERE domain = ? AND local = ? ORDER BY owner, number LIMIT ?`, append(args, store.MaxPage)...); err != nil {
			return err
		}
		_, err = c.row(`SELECT changes FROM consent_stale WHERE changes > known AND thing = `+accountID, args, &stale)
		return err
	})
	return rules, stale, err
}

// OwnerRules implements [store.Consents].
func (s *Store) OwnerRules(ctx context.Context, owner jid.JID, after int64, limit int) (rules []store.Rule, err error) {
	err = s.read(ctx, "rules by "+owner.String(), func(c *conn) (err error) {
		rules, err = readRules(c, `WHERE consent_rule.owner = ? AND number > ? ORDER BY number LIMIT ?`, owner.String(), after, store.PageLimit(limit))
		return err
	})
	return rules, err
}

const questionColumns = `SELECT owner, number, domain, local, node, source, cache, caller, "right", names, subscribe, asked
	FROM consent_question JOIN account ON account.id = thing `

func readQuestions(c *conn, query string, args ...any) (list []store.Question, err error) {
	err = c.each(questionColumns+query, args, func(scan func(...any) error) (bool, error) {
		var q store.Question
		var owner, domain, local, caller string
		var names []byte
		var asked int64
		n := &q.Thing
		err := scan(&owner, &q.Number, &domain, &local, &n.ID, &n.Source, &n.Cache, &caller, &q.Right, &names, &q.Subscribe, &asked)
		if err == nil {
			q.Owner, err = jid.Parse(owner)
		}
		if err == nil {
			q.Caller, err = jid.Parse(caller)
		}
		if err == nil {
			n.JID, err = jid.New(local, domain, "")
		}
		q.Names, q.Asked = splitNames(names), time.UnixMicro(asked).UTC()
		list = append(list, q)
		return true, err
	})
	return list, err
}

// Questions implements [store.Consents].
func (s *Store) Questions(ctx context.Context, owner jid.JID, after int64, limit int) (list []store.Question, err error) {
	err = s.read(ctx, "questions to "+owner.String(), func(c *conn) (err error) {
		list, err = readQuestions(c, `WHERE owner = ? AND number > ? ORDER BY number LIMIT ?`, owner.String(), after, store.PageLimit(limit))
		return err
	})
	return list, err
}

// Question implements [store.Consents].
func (s *Store) Question(ctx context.Context, owner jid.JID, number int64) (q store.Question, err error) {
	err = s.read(ctx, "question to "+owner.String(), func(c *conn) error {
		return oneQuestion(c, &q, `WHERE owner = ? AND number = ?`, owner.String(), number)
	})
	return q, err
}

// QuestionAbout implements [store.Consents].
func (s *Store) QuestionAbout(ctx context.Context, n store.ThingName, caller jid.JID, right store.Right) (q store.Question, err error) {
	err = s.read(ctx, "question about "+n.JID.String(), func(c *conn) error {
		const one = `WHERE domain = ? AND local = ? AND node = ? AND source = ? AND cache = ? AND caller = ? AND "right" = ?`
		return oneQuestion(c, &q, one, n.JID.Domain(), n.JID.Local(), n.ID, n.Source, n.Cache, caller.String(), right)
	})
	return q, err
}

func oneQuestion(c *conn, q *store.Question, query string, args ...any) error {
	list, err := readQuestions(c, query, args...)
	switch {
	case err != nil:
		return err
	case len(list) == 0:
		return store.ErrNotFound
	}
	*q = list[0]
	return nil
}

// QuestionCount implements [store.Consents].
func (s *Store) QuestionCount(ctx context.Context, thing, caller jid.JID) (ofThing, ofCaller int, err error) {
	err = s.read(ctx, "number of questions about "+thing.String(), func(c *conn) error {
		if _, err := c.row(`SELECT count(*) FROM consent_question WHERE thing = `+accountID, []any{thing.Domain(), thing.Local()}, &ofThing); err != nil {
			return err
		}
		_, err := c.row(`SELECT count(*) FROM consent_question WHERE caller = ?`, []any{caller.String()}, &ofCaller)
		return err
	})
	return ofThing, ofCaller, err
}

// Refusals implements [store.Consents].
func (s *Store) Refusals(ctx context.Context, thing jid.JID, before int64, limit int) (list []store.Refusal, err error) {
	if err := store.CheckUser(thing); err != nil {
		return nil, err
	}
	err = s.read(ctx, "refusals of "+thing.String(), func(c *conn) error {
		const page = `SELECT id, node, source, cache, caller, "right", way, names, first, last, count FROM consent_refusal
			WHERE thing = ` + accountID + ` AND (? = 0 OR id < ?) ORDER BY id DESC LIMIT ?`
		args := []any{thing.Domain(), thing.Local(), before, before, store.PageLimit(limit)}
		return c.each(page, args, func(scan func(...any) error) (bool, error) {
			r := store.Refusal{Thing: store.ThingName{JID: thing}}
			var caller string
			var names []byte
			var first, last int64
			n := &r.Thing
			err := scan(&r.Row, &n.ID, &n.Source, &n.Cache, &caller, &r.Right, &r.Way, &names, &first, &last, &r.Count)
			if err == nil {
				r.Caller, err = jid.Parse(caller)
			}
			r.Names, r.First, r.Last = splitNames(names), time.UnixMicro(first).UTC(), time.UnixMicro(last).UTC()
			list = append(list, r)
			return true, err
		})
	})
	return list, err
}
