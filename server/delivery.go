// SPDX-License-Identifier: Apache-2.0

package server

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/stonechat-im/stonechat/internal/trace"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/delay"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// delivery is one message on its way to one local account: where its copies are, its row in the
// spool if it has one, and who is told when it is kept.
//
// A message is kept when a client has acked a copy of it, or its row is committed. Its row goes
// when a copy was acked or, to a client without stream management, has left for the socket.
//
//	put ─▶ copies in windows ──client's <a/>──────────────▶ kept, row (if any) deleted
//	            │      │
//	            │      └─spool_after, or nobody will ack──▶ row committed: kept ─▶ acked: row deleted
//	            └─the last session with a copy ends──────▶ row stays: drained by the next session
//
// D1: ids of deliveries to one account ascend in the order in which it is given them, live or to
// its spool. They are given under User.mu, before it is known which of the messages need a row,
// so that rows committed in another order are still drained in this one.
//
// D2: one worker at a time takes rows of an account's spool. A session that ends while its worker
// takes rows gives them back: another one's worker that had gone past them meanwhile would send
// them behind later ones.
type delivery struct {
	user  *User
	id    int64 // of its row, if it gets one
	at    time.Time
	bytes []byte     // as queued to clients: no namespace declared
	way   *trace.Way // where somebody watches

	mu      sync.Mutex
	receipt Receipt // released once kept
	waited  bool    // receipt was given: somebody waits
	copies  int     // in windows of sessions that live
	done    bool    // acked, or left
	spooled bool    // it has a row, committed or on its way
	retry   int64   // unix milliseconds before which the disk is not asked again
}

// copied counts one copy more. Called under the mutex of an outbound.
func (d *delivery) copied() {
	d.mu.Lock()
	d.copies++
	d.mu.Unlock()
}

// acked says that one copy has reached its client, and how. The caller holds no session's mutex.
func (d *delivery) acked(t *Turn, how string) {
	d.mu.Lock()
	d.copies--
	first, spooled := !d.done, d.spooled
	d.done = true
	d.mu.Unlock()
	if !first {
		return
	}
	d.note(how)
	if spooled {
		d.user.forget(d.id)
	}
	d.kept(t)
}

// retrySpool is how long a message waits that the disk refused.
const retrySpool = time.Second

// waits reports whether the sender still waits for the message to be kept, and whether the disk may
// be asked for that; now is unix milliseconds.
func (d *delivery) waits(now int64) (waits, may bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.receipt.wanted(), now >= d.retry
}

// kept lets the sender's acks pass the message.
func (d *delivery) kept(t *Turn) {
	d.mu.Lock()
	r := d.receipt
	d.receipt = Receipt{}
	d.mu.Unlock()
	r.Release(t)
}

// spool gives the message a row, unless it has one or needs none any more. The caller may hold
// the user's mutex; the turn hears of the outcome without it.
func (d *delivery) spool(t *Turn) {
	u := d.user
	d.mu.Lock()
	defer d.mu.Unlock() // until the commit is queued: an ack's deletion must come behind it
	if d.spooled || d.done {
		return
	}
	d.spooled = true
	d.note(trace.Spooling)
	u.rows.Add(d.id)
	if u.Guest() {
		t.commits = append(t.commits, spooling{d, store.Resolved(errGuest)})
		return
	}
	p := u.Commit(store.AddSpool{User: u.JID, Entry: store.SpoolEntry{
		ID: d.id, At: d.at, Stanza: stanza.Standalone(d.bytes),
	}})
	t.commits = append(t.commits, spooling{d, p})
}

// spooling is a row on its way to the disk.
type spooling struct {
	d *delivery
	p *store.Pending
}

// follow has the outcome told. It may be known, so that the caller holds no locks.
func (x spooling) follow() {
	x.d.user.server.after(x.p, func(t *Turn, err error) {
		if err == nil {
			x.d.note(trace.Spooled)
			x.d.kept(t)
			return
		}
		t.way = x.d.way
		x.d.notSpooled(t, err)
		t.way = nil
	})
}

// notSpooled undoes spool. While a session has a copy nobody is told anything: the sweeper and
// the session's end try again, the sender's acks wait. Without one the message is refused.
func (d *delivery) notSpooled(t *Turn, err error) {
	s, why := d.user.server, stanza.ResourceConstraint.Err("the message could not be stored now")
	if d.user.Guest() {
		why = stanza.RecipientUnavailable.Err("the guest has gone")
	} else {
		s.metrics.spoolFailures.Inc()
		s.complain("message not spooled", "jid", d.user.JID.String(), "err", err)
	}
	d.note(trace.Failed)
	d.user.rows.Remove(d.id) // before it may get the row again
	d.mu.Lock()
	d.spooled, d.retry = false, t.Now.Add(retrySpool).UnixMilli()
	lost := d.copies == 0 && !d.done
	d.mu.Unlock()
	if !lost {
		return
	}
	if m, err := stanza.Parse(stanza.Standalone(d.bytes)); err == nil {
		t.Refuse(m, why)
	}
	d.kept(t)
}

// Deliver sends s to sessions of u and reports whether any took it. With keep set it survives
// the end of those sessions, and the sender's ack waits until it is kept. The caller holds no
// lock.
func (t *Turn) Deliver(u *User, to []*Session, s *stanza.Stanza, keep bool) bool {
	b := t.write(s)
	request := s.Kind == stanza.IQ && s.Type.IsRequest()
	before := t.follow(u, trace.Received, s)
	defer func() { t.way = before }()
	u.mu.Lock()
	defer u.mu.Unlock()
	d := t.track(u, to, b, keep)
	t.delivered = d
	if d != nil {
		b = d.bytes
	}
	taken, answers := false, false
	t.took = t.took[:0]
	for _, se := range to {
		if se.out.put(t, sent{b: b, d: d, request: request}) {
			taken = true
			t.took = append(t.took, se)
			answers = answers || se.out.answers()
		}
	}
	switch {
	case d == nil:
	case !taken:
		t.receipt.Release(t)
	case !answers && d.waited:
		d.spool(t) // the sweeper would find nothing to wait for
	}
	return taken
}

// Copy sends s to one more session of the account to which the stanza being handled was delivered: s tells of it
// in other words (XEP-0280 §7), and is one of its copies, so that the message does not come again to a session
// that has had it, and is kept when any of them is acked. What nobody took is copied by itself. It is for hooks on
// arriving stanzas of phase Observe, and reports whether s was taken.
func (t *Turn) Copy(se *Session, s *stanza.Stanza) bool {
	u := se.User
	b := t.write(s)
	before := t.follow(u, trace.Received, s)
	defer func() { t.way = before }()
	u.mu.Lock()
	defer u.mu.Unlock()
	d := t.delivered
	if d == nil || d.user != u {
		return se.out.put(t, sent{b: b})
	}
	d.mu.Lock()
	left := d.copies == 0 && !d.done // meanwhile to the spool, for any session of the account
	d.mu.Unlock()
	return !left && se.out.put(t, sent{b: bytes.Clone(b), d: d})
}

// track makes the delivery for a message that must be kept. Where nobody waits for it and no
// receiver acks, it is not followed: it is the client's as soon as it is queued, which it is unless
// the session drains. The caller holds u.mu.
func (t *Turn) track(u *User, to []*Session, b []byte, keep bool) *delivery {
	if !keep {
		return nil
	}
	waited := t.receipt.wanted()
	if !waited && !slices.ContainsFunc(to, func(se *Session) bool { return se.Managed() || se.drains }) {
		return nil
	}
	t.receipt.Hold()
	return &delivery{user: u, id: u.server.lastRow.Add(1), at: t.Now, bytes: bytes.Clone(b), receipt: t.receipt, waited: waited, way: t.way}
}

// Spool keeps s for u until a session of u drains it, for accounts without a session to take s
// now. The sender's ack waits for the commit. It returns an error to refuse s with where the
// account's share of the spool is full.
func (t *Turn) Spool(u *User, s *stanza.Stanza) error {
	switch l := u.server.limits.Load(); {
	case u.Guest():
		return stanza.ServiceUnavailable.Err("")
	case u.rows.Len() >= l.SpoolMessages:
		u.server.metrics.spoolFull.Inc()
		return stanza.ServiceUnavailable.Err("the offline storage of this account is full")
	}
	t.receipt.Hold()
	d := &delivery{user: u, at: t.Now, bytes: s.Append(nil, ""), receipt: t.receipt, waited: t.receipt.wanted(), way: t.way}
	u.mu.Lock()
	defer u.mu.Unlock()
	d.id = u.server.lastRow.Add(1)
	d.spool(t)
	u.rows.LetGo(d.id)
	u.drainToTaker() // if one has come since there was none
	return nil
}

// drain sends what is spooled for the session's account to se, oldest first and marked as
// delayed (XEP-0203), ahead of all that arrives from now on. It returns at once. The caller
// holds the user's mutex.
func (se *Session) drain() {
	u := se.User
	if se.drains {
		se.drainAgain = true
		return
	}
	if !se.presence.takesMessages() || u.rows.Len() == 0 {
		return
	}
	se.drains, se.drainFrom = true, 0
	se.out.drain()
	// The fence stands behind all that was spooled while no session took it.
	u.server.store.Commit().OnDone(func(error) { u.server.workers.do(se.drainPages) })
}

// drainToTaker drains to the first session that takes messages, if there is one. The caller holds
// mu.
func (u *User) drainToTaker() {
	for _, se := range u.sessions {
		if se.presence.takesMessages() {
			se.drain()
			return
		}
	}
}

// drainPage is how many rows are read at one time.
const drainPage = 64

// drainPages runs on a worker, until all is sent, the client has enough for now (then
// outbound.makeRoom calls it again) or the session takes no messages any more.
func (se *Session) drainPages() {
	u := se.User
	u.mu.Lock()
	if u.drainer != nil {
		se.drainWaits = true
		u.mu.Unlock()
		return
	}
	u.drainer = se
	u.mu.Unlock()
	se.drainRows()
	u.mu.Lock()
	u.nextDrainer()
	u.mu.Unlock()
}

// nextDrainer ends one session's turn to drain and begins another's. The caller holds mu.
func (u *User) nextDrainer() {
	u.drainer = nil
	for _, se := range u.sessions {
		if se.drainWaits {
			se.drainWaits = false
			u.server.workers.do(se.drainPages)
			return
		}
	}
}

func (se *Session) drainRows() {
	u := se.User
	for more := true; more; {
		if u.server.stopping.Load() {
			return // what is held is settled with the session
		}
		u.mu.Lock()
		more = se.presence.takesMessages()
		u.mu.Unlock()
		if more {
			more = se.drainNext()
		}
		if more && se.out.starve() {
			return
		}
	}
	t := u.server.NewTurn()
	u.mu.Lock()
	se.drains = false
	if se.drainAgain {
		se.drainAgain = false
		se.drain()
	}
	switch {
	case se.drains:
	case se.presence.takesMessages():
		se.out.drained(t)
	default:
		se.settle(t, se.out.undrained(t))
		u.drainToTaker() // what it did not take any more
	}
	u.mu.Unlock()
	t.End()
}

// drainNext sends one page, and reports whether there may be more.
func (se *Session) drainNext() (more bool) {
	s, u := se.server, se.User
	u.rows.BeginRead()
	defer u.rows.EndRead()
	page, err := s.store.Spool(context.Background(), u.JID, se.drainFrom, drainPage)
	if err != nil {
		// The rows stay for the next session.
		s.log.Error("spool not read", "jid", u.JID.String(), "err", err)
	}
	t := s.NewTurn()
	for _, row := range page {
		se.drainFrom = row.ID
		se.drainRow(t, row)
		if !se.out.behind() {
			continue
		}
		if t.Flush(); se.out.behind() {
			break // the rest is read again
		}
	}
	t.End()
	return len(page) > 0
}

// drainRow sends one row, unless a session that lives has it in its window, or it is too old.
func (se *Session) drainRow(t *Turn, row store.SpoolEntry) {
	u := se.User
	s, err := stanza.Parse(row.Stanza)
	if err != nil {
		u.server.log.Error("spooled stanza not readable", "jid", u.JID.String(), "row", row.ID, "err", err)
		return
	}
	if !u.rows.Take(row.ID) {
		return
	}
	if age := u.server.limits.Load().SpoolAge; age > 0 && t.Now.Sub(row.At) > age {
		u.server.metrics.expired.Inc()
		u.server.tracers.Enter(s.From, u.JID, trace.Expired, s)
		u.forget(row.ID)
		return
	}
	for _, f := range u.server.table.drains {
		switch has, err := f(se, s); {
		case err != nil:
			u.rows.LetGo(row.ID)
			u.server.log.Error("what was spooled waits on", "jid", u.JID.String(), "row", row.ID, "err", err)
			return
		case has:
			u.forget(row.ID)
			return
		}
	}
	s.Add(&delay.Delay{From: u.JID.Host(), Stamp: row.At})
	before := t.follow(u, trace.Drained, s)
	defer func() { t.way = before }()
	d := &delivery{user: u, id: row.ID, at: row.At, bytes: s.Append(nil, ""), spooled: true, way: t.way}
	if !se.out.putDrained(t, d) {
		u.rows.LetGo(row.ID)
	}
}
