// SPDX-License-Identifier: Apache-2.0

package mam

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/stanzaid"
)

// How to read this file: the way of a message between two accounts of ours, in one turn.
//
//	sending    the sender's own marks are cut; refused if too much waits for the disk
//	sentOne    the sender's row gets its number; number and bytes are remembered in the session (sent)
//	arriving   the receiver's row gets its number, and the message bears it as <stanza-id/>
//	arrived    nobody has refused it: the row counts. It shares the message with the sender's
//	Flush      the turn ends: all rows of the batch are committed at once, with those of others (gather.go), and the senders'
//	           acks wait for it
//
// Where the receiver is away a worker goes on in a turn of its own: then the row is committed alone, and shares the message
// all the same.

// batch is what one turn is to have archived.
type batch struct {
	m      *Module
	list   []entry
	open   int  // of them: not counted yet
	period int  // of the fence
	inside bool // the fence
	behalf behalf
}

// behalf is what was archived last of what somebody sends in the name of an account.
type behalf struct {
	stanza  *stanza.Stanza
	account jid.JID
	message int64
}

// entry is a row to be.
type entry struct {
	arriving *stanza.Stanza // nil: it counts
	message  int64
	bytes    []byte
	row      store.ArchiveRow
	receipt  server.Receipt
	by       *sent // the session that sent it, nil: it is no session of ours
}

// sent is what a session's stream has sent last, and how much of what it sent waits for the disk.
type sent struct {
	waiting atomic.Int64

	mu      sync.Mutex
	to      jid.JID
	message int64 // 0: it is not archived
	bytes   []byte
}

// batch returns the turn's.
func (m *Module) batch(t *server.Turn) *batch {
	b := m.batches.Of(t)
	if b == nil {
		b = &batch{m: m}
		m.batches.Set(t, b)
	}
	if !b.inside {
		b.period, b.inside = m.fence.enter(), true
		t.Later(b)
	}
	return b
}

// sending is the hook on what sessions send, before it is handled.
func (m *Module) sending(t *server.Turn, s *stanza.Stanza) error {
	if s.Kind != stanza.Message {
		return nil
	}
	stanzaid.Cut(s, t.Origin.User.JID)
	if m.full() && worth(s) {
		return m.refuse()
	}
	return nil
}

// sentOne is the hook on what sessions have sent, when nobody has refused it.
func (m *Module) sentOne(t *server.Turn, s *stanza.Stanza) error {
	if s.Kind != stanza.Message {
		return nil
	}
	u := t.Origin.User
	last := m.sentBy(t)
	last.set(jid.JID{}, 0, nil)
	seq, b, err := m.keepSent(t, u, s)
	switch {
	case err != nil || seq == 0:
		return err
	case len(b) <= maxShared:
		last.set(s.To, seq, b)
	default:
		last.set(s.To, seq, nil)
	}
	m.slow(t)
	return nil
}

// keepSent has a message that an account sends archived. seq is 0 if that is not to be.
func (m *Module) keepSent(t *server.Turn, u *server.User, s *stanza.Stanza) (seq int64, b []byte, err error) {
	if u.Guest() || !worth(s) || s.To.IsZero() || s.To.Bare() == u.JID {
		return 0, nil, nil // what an account sends to itself is archived when it arrives
	}
	p, err := m.preferences(context.Background(), u)
	if err != nil || !m.wanted(u, p, s.To) {
		return 0, nil, err
	}
	seq = m.numbers.next(t.Now)
	b = s.Append(make([]byte, 0, s.Size()+32), stanza.NSClient)
	m.batch(t).add(t, entry{message: seq, bytes: b, row: store.ArchiveRow{
		Archive: store.ArchiveName{JID: u.JID}, Account: true, Seq: seq, With: s.To.Bare(),
	}})
	m.retracts(s, store.ArchiveName{JID: u.JID}, s.To.Bare())
	return seq, b, nil
}

// sentFor is the hook on what somebody sends in the name of an account.
func (m *Module) sentFor(t *server.Turn, u *server.User, s *stanza.Stanza) error {
	if s.Kind != stanza.Message {
		return nil
	}
	stanzaid.Cut(s, u.JID)
	if m.full() && worth(s) {
		return m.refuse()
	}
	seq, _, err := m.keepSent(t, u, s)
	if seq != 0 {
		m.batch(t).behalf = behalf{s, u.JID, seq}
	}
	return err
}

// sentBy is that of the turn's session, nil where there is none.
func (m *Module) sentBy(t *server.Turn) *sent {
	if t.Origin == nil {
		return nil
	}
	if last := m.sent.Of(t.Origin); last != nil {
		return last
	}
	return m.sent.SetOnce(t.Origin, new(sent))
}

// maxShared is how much of a message is remembered while its receiver is looked up; a larger one is kept twice.
const maxShared = 16 << 10

func (x *sent) set(to jid.JID, message int64, b []byte) {
	x.mu.Lock()
	x.to, x.message, x.bytes = to, message, b
	x.mu.Unlock()
}

// SentID is the id in its sender's archive of the message that the turn handles, "" where it is not archived: what copies of it
// for the sender's other sessions bear. XEP-0313 §3.3
func (m *Module) SentID(t *server.Turn, s *stanza.Stanza) string {
	if b := m.batches.Of(t); b != nil && b.behalf.stanza == s {
		return m.ids.id(store.ArchiveName{JID: b.behalf.account}, b.behalf.message)
	}
	message, _ := m.sentAs(t, s)
	if message == 0 {
		return ""
	}
	return m.ids.id(store.ArchiveName{JID: t.Origin.User.JID}, message)
}

// sentAs finds a message that the turn's session has sent, 0 if this is another.
func (m *Module) sentAs(t *server.Turn, s *stanza.Stanza) (message int64, b []byte) {
	if t.Origin == nil || s.From != t.Origin.JID {
		return 0, nil
	}
	last := m.sent.Of(t.Origin)
	if last == nil {
		return 0, nil
	}
	last.mu.Lock()
	defer last.mu.Unlock()
	if last.message == 0 || last.to != s.To {
		return 0, nil
	}
	return last.message, last.bytes
}

// arriving is the hook on what comes for an account, before it is handled.
func (m *Module) arriving(t *server.Turn, u *server.User, s *stanza.Stanza) error {
	if b := m.batches.Of(t); b != nil && b.open > 0 {
		b.forget(s)
	}
	if s.Kind != stanza.Message {
		return nil
	}
	stanzaid.Cut(s, u.JID)
	if u.Guest() || !u.Exists() || !worth(s) {
		return nil
	}
	p := m.prefs.Of(u)
	if p == nil || m.roster != nil && !m.roster.Ready(u) {
		// An account that is away: this turn may wait, since it had to find out whether there is such an account.
		var err error
		t.OffLoop(u, s, func(*server.Turn, *stanza.Stanza) { p, err = m.preferences(context.Background(), u) })
		if err != nil {
			return err
		}
	}
	if p == nil || !m.wanted(u, p, s.From) {
		return nil
	}
	if m.full() {
		return m.refuse()
	}
	name := store.ArchiveName{JID: u.JID}
	seq := m.numbers.next(t.Now)
	e := entry{arriving: s, message: seq, row: store.ArchiveRow{Archive: name, Account: true, Seq: seq, With: s.From.Bare()}}
	if message, b := m.sentAs(t, s); message != 0 && seq-message < store.MaxArchiveSpan && same(s, b) {
		e.message, e.bytes = message, b
	} else {
		e.bytes = s.Append(make([]byte, 0, s.Size()+32), stanza.NSClient)
	}
	m.batch(t).add(t, e)
	s.Add(&stanzaid.ID{By: u.JID, ID: m.ids.id(name, seq)})
	return nil
}

// same reports whether s is written as b.
func same(s *stanza.Stanza, b []byte) bool {
	return bytes.Equal(s.Append(make([]byte, 0, len(b)+64), stanza.NSClient), b)
}

// keepUndelivered takes a message that nobody has taken and that the archive has: its account finds it there.
func (m *Module) keepUndelivered(t *server.Turn, _ *server.User, s *stanza.Stanza) error {
	if b := m.batches.Of(t); b != nil && b.find(s) != nil {
		return server.Handled
	}
	return nil
}

// arrived is the hook on what has come, when nobody has refused it.
func (m *Module) arrived(t *server.Turn, u *server.User, s *stanza.Stanza) error {
	b := m.batches.Of(t)
	if b == nil {
		return nil
	}
	e := b.find(s)
	if e == nil {
		return nil
	}
	e.arriving = nil
	b.open--
	m.hold(t, e)
	m.batch(t) // if the turn has been flushed meanwhile
	m.slow(t)
	m.retracts(s, store.ArchiveName{JID: u.JID}, s.From.Bare())
	return nil
}

// add adds a row; one that counts already holds the sender's ack.
func (b *batch) add(t *server.Turn, e entry) {
	if e.arriving == nil {
		b.m.hold(t, &e)
	} else {
		b.open++
	}
	b.list = append(b.list, e)
}

// hold has a row that counts hold what waits for it: the sender's ack, and its part of what may wait for the disk.
func (m *Module) hold(t *server.Turn, e *entry) {
	e.receipt, e.by = t.Receipt(), m.sentBy(t)
	e.receipt.Hold()
	if e.by != nil {
		e.by.waiting.Add(e.size())
	}
}

func (e *entry) size() int64 { return int64(len(e.bytes)) + rowBytes }

// done lets go of it.
func (e *entry) done(t *server.Turn) {
	if e.by != nil {
		e.by.waiting.Add(-e.size())
	}
	e.receipt.Release(t)
}

// find is the row of a message that arrives.
func (b *batch) find(s *stanza.Stanza) *entry {
	for i := len(b.list) - 1; i >= 0; i-- {
		if b.list[i].arriving == s {
			return &b.list[i]
		}
	}
	return nil
}

// forget drops the row of a message that was refused, in whose memory s is now.
func (b *batch) forget(s *stanza.Stanza) {
	n := len(b.list)
	b.list = slices.DeleteFunc(b.list, func(e entry) bool { return e.arriving == s })
	b.open -= n - len(b.list)
}

// Flush implements server.Flusher.
func (b *batch) Flush(t *server.Turn) {
	m := b.m
	var rows, rest []entry
	for _, e := range b.list {
		if e.arriving == nil {
			rows = append(rows, e)
		} else {
			rest = append(rest, e) // still being handled, or refused
		}
	}
	b.list, b.behalf = rest, behalf{}
	m.hand(t.Now, rows, b.period)
	b.inside = false
}

// What is committed at once at most.
const (
	maxRows  = 500
	maxBytes = 1 << 20
)

// commit has rows of h committed, together if nothing is wrong with one of them. They are in m.queued.
func (m *Module) commit(rows []entry, h *handed) {
	h.left.Add(1)
	size := int64(0)
	ops := make([]store.Op, 0, len(rows))
	for i := range rows {
		e := &rows[i]
		size += e.size()
		if n := len(ops); n > 0 {
			last := ops[n-1].(store.AddArchived)
			if last.Message == e.message && len(last.Rows) == 1 && last.Rows[0].Archive != e.row.Archive {
				last.Rows = append(last.Rows, e.row)
				ops[n-1] = last
				continue
			}
		}
		ops = append(ops, store.AddArchived{Message: e.message, Stanza: e.bytes, Rows: append(make([]store.ArchiveRow, 0, 2), e.row)})
	}
	m.server.After(m.store.Commit(ops...), func(t *server.Turn, err error) {
		m.written(size)
		defer h.done(m)
		if len(rows) > 1 && (errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrExists)) {
			// An account that went meanwhile: the others' rows have to be kept all the same.
			for i := range rows {
				m.queued.Add(rows[i].size())
				m.commit(rows[i:i+1], h)
			}
			return
		}
		switch {
		case err == nil:
			m.metrics.archived.Add(float64(len(rows)))
		case errors.Is(err, store.ErrNotFound): // nobody will ask for it
		default:
			m.metrics.failed.Add(float64(len(rows)))
			m.log.Error("messages were delivered and are not archived", "err", err)
		}
		for i := range rows {
			rows[i].done(t)
		}
	})
}

// rowBytes is what a row costs in memory beside its message.
const rowBytes = 256
