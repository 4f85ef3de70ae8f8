// SPDX-License-Identifier: Apache-2.0

package mam

// How to read this file: retracts notes what is taken back and for whom that counts; burials is what waits, and in which order; bury
// writes tombstones.

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/muc"
	"github.com/stonechat-im/stonechat/xmpp/retract"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// retraction is a message of an account's archive that its sender takes back.
type retraction struct {
	archive store.ArchiveName
	with    jid.JID // the other side
	from    jid.JID // who takes it back: only what he has sent
	id      string  // of the message
	by      string  // id of the message that takes it back
	at      time.Time
}

// retracts notes a message that takes another one back.
func (m *Module) retracts(s *stanza.Stanza, a store.ArchiveName, with jid.JID) {
	if !s.Has(retract.NS, "retract") {
		return
	}
	var x retract.Retract
	if _, err := s.Decode(&x); err != nil || x.Moderated != nil || len(s.ID) == 0 {
		return // XEP-0425 is for rooms; and a tombstone names the message that took it back
	}
	job := retraction{archive: a, with: with, from: s.From.Clone(), id: x.ID, by: string(s.ID), at: time.Now()}
	if m.burials.begin(job, m.counted(s.From), m.config.Load().Retractions) {
		m.metrics.retractions.Inc()
	}
}

// counted is for whom what somebody takes back is counted: names at other servers cost nothing.
func (m *Module) counted(from jid.JID) jid.JID {
	for _, ours := range m.server.Domains() {
		if from.Domain() == ours || strings.HasSuffix(from.Domain(), "."+ours) { // a room's
			return from.Bare().Clone()
		}
	}
	return from.Host().Clone()
}

// burials are what was taken back and is to get its tombstone. Senders take turns, and where too much waits the newest of the one with the
// most is given up. What one takes back in one conversation is looked for at once; what somebody waits for who asks an archive comes first.
type burials struct {
	mu      sync.Mutex
	wake    chan struct{}
	n       int // of all retractions that wait
	senders map[jid.JID]*sender
	turns   []*sender // those with graves, whose turn is next first
	urgent  []*grave
	busy    *grave // nil: nobody is buried now
}

// sender is one with retractions that wait.
type sender struct {
	by     jid.JID
	n      int      // of them, with those that are urgent
	graves []*grave // the oldest first
}

// grave is what one sender has taken back in one conversation of an archive.
type grave struct {
	archive store.ArchiveName
	with    jid.JID
	sender  *sender
	jobs    []retraction
	done    chan struct{}
}

// begin adds one. missed says that it is given up, or another for it, since most wait already.
func (x *burials) begin(job retraction, by jid.JID, most int) (missed bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	s := x.senders[by]
	if x.n >= most {
		if missed = true; !x.yield(s) {
			return missed
		}
	}
	if s == nil {
		s = &sender{by: by}
		if x.senders == nil {
			x.senders = make(map[jid.JID]*sender)
		}
		x.senders[by] = s
	}
	i := slices.IndexFunc(s.graves, func(g *grave) bool { return g.archive == job.archive && g.with == job.with })
	if i < 0 {
		if i = len(s.graves); i == 0 {
			x.turns = append(x.turns, s)
		}
		s.graves = append(s.graves, &grave{archive: job.archive, with: job.with, sender: s, done: make(chan struct{})})
	}
	s.graves[i].jobs = append(s.graves[i].jobs, job)
	x.n, s.n = x.n+1, s.n+1
	select {
	case x.wake <- struct{}{}:
	default:
	}
	return missed
}

// yield gives up the newest of the sender with the most, unless s, nil for one who has none, has nearly as much. x.mu is held.
func (x *burials) yield(s *sender) bool {
	if len(x.turns) == 0 {
		return false
	}
	most := slices.MaxFunc(x.turns, func(a, b *sender) int { return cmp.Compare(a.n, b.n) })
	if s != nil && s.n+1 >= most.n || most.n == 1 {
		return false
	}
	last := len(most.graves) - 1
	g := most.graves[last]
	g.jobs = g.jobs[:len(g.jobs)-1]
	x.took(most, 1)
	if len(g.jobs) > 0 {
		return true
	}
	close(g.done)
	if most.graves = most.graves[:last]; last == 0 {
		x.turns = slices.DeleteFunc(x.turns, func(s *sender) bool { return s == most })
	}
	return true
}

// took counts that n of a sender's do not wait any more. x.mu is held.
func (x *burials) took(s *sender, n int) {
	x.n, s.n = x.n-n, s.n-n
	if s.n == 0 {
		delete(x.senders, s.by)
	}
}

// next takes the grave whose turn it is, to be ended before the next.
func (x *burials) next() *grave {
	x.mu.Lock()
	defer x.mu.Unlock()
	switch {
	case len(x.urgent) > 0:
		x.busy, x.urgent = x.urgent[0], x.urgent[1:]
	case len(x.turns) > 0:
		s := x.turns[0]
		x.turns = x.turns[1:]
		x.busy, s.graves = s.graves[0], s.graves[1:]
		if len(s.graves) > 0 {
			x.turns = append(x.turns, s)
		}
	default:
		return nil
	}
	x.took(x.busy.sender, len(x.busy.jobs))
	return x.busy
}

func (x *burials) end() {
	x.mu.Lock()
	defer x.mu.Unlock()
	close(x.busy.done)
	x.busy = nil
}

// hurry has what waits for an archive come first, and returns it with what is under way there.
func (x *burials) hurry(a store.ArchiveName) (list []*grave) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.busy != nil && x.busy.archive == a {
		list = append(list, x.busy)
	}
	for _, g := range x.urgent {
		if g.archive == a {
			list = append(list, g)
		}
	}
	left := x.turns[:0]
	for _, s := range x.turns {
		s.graves = slices.DeleteFunc(s.graves, func(g *grave) bool {
			if g.archive != a {
				return false
			}
			list, x.urgent = append(list, g), append(x.urgent, g)
			return true
		})
		if len(s.graves) > 0 {
			left = append(left, s)
		}
	}
	clear(x.turns[len(left):])
	x.turns = left
	return list
}

// wait returns when what was taken back until now has its tombstone, or ctx ends.
func (x *burials) wait(ctx context.Context, a store.ArchiveName) error {
	for _, g := range x.hurry(a) {
		select {
		case <-g.done:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// buryAll buries what is taken back, until ctx ends and nothing is left.
func (m *Module) buryAll(ctx context.Context) {
	for {
		g := m.burials.next()
		if g == nil {
			select {
			case <-m.burials.wake:
				continue
			case <-ctx.Done():
			}
			if g = m.burials.next(); g == nil {
				return
			}
		}
		if err := m.bury(context.WithoutCancel(ctx), g); err != nil {
			m.metrics.retractions.Add(float64(len(g.jobs)))
			m.log.Error("tombstones not written", "jid", g.archive.JID.String(), "err", err)
		}
		m.burials.end()
	}
}

// bury puts tombstones in the place of what was taken back. XEP-0424 §4
func (m *Module) bury(ctx context.Context, g *grave) error {
	if err := m.settle(ctx, nil); err != nil {
		return err
	}
	wanted := make(map[string][]retraction, len(g.jobs)) // by id, which several may name
	for _, x := range g.jobs {
		wanted[x.id] = append(wanted[x.id], x)
	}
	q := store.ArchiveQuery{With: g.with, Backward: true}
	for left := m.config.Load().RetractWithin; left > 0 && len(wanted) > 0; {
		q.Limit = min(left, buried)
		rows, whole, err := m.store.Archived(ctx, g.archive, q)
		if err != nil {
			return err
		}
		var ops []store.Op
		for _, row := range slices.Backward(rows) {
			s, err := stanza.Parse(row.Stanza)
			if err != nil {
				continue
			}
			jobs := wanted[string(s.ID)]
			i := slices.IndexFunc(jobs, func(x retraction) bool { return x.of(s) })
			if i < 0 || s.Has(retract.NS, "retract") {
				continue
			}
			ops = append(ops, store.ReplaceArchived{Archive: g.archive, Seq: row.Seq, Stanza: tombstone(s, jobs[i])})
			if jobs = slices.DeleteFunc(jobs, func(x retraction) bool { return x.of(s) }); len(jobs) > 0 {
				wanted[string(s.ID)] = jobs
			} else {
				delete(wanted, string(s.ID))
			}
		}
		if len(ops) > 0 {
			if err := m.store.Commit(ops...).Wait(ctx); err != nil {
				return err
			}
		}
		if whole || len(rows) == 0 {
			break
		}
		left -= len(rows)
		q.Before = rows[0].Seq
	}
	for _, jobs := range wanted {
		m.metrics.retractions.Add(float64(len(jobs)))
	}
	return nil
}

// buried is in how many messages at once those are looked for that were taken back.
const buried = 200

// of reports whether who takes it back has sent a message: somebody of that account, and of a private message in a room the same
// occupant. XEP-0424 §5
func (x *retraction) of(s *stanza.Stanza) bool {
	if s.From.Bare() != x.from.Bare() {
		return false
	}
	own := x.from.Bare() == x.archive.JID
	return own || s.From == x.from || !s.Has(muc.NSUser, "x")
}

// tombstone is the message without what it said.
func tombstone(s *stanza.Stanza, x retraction) []byte {
	tomb := stanza.New(s.Kind, s.Type, s.To, &retract.Retracted{ID: x.by, Stamp: x.at})
	tomb.From, tomb.ID = s.From, s.ID
	return tomb.Append(nil, stanza.NSClient)
}
