// SPDX-License-Identifier: Apache-2.0

package mam

import (
	"context"
	"sync"
	"time"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/retract"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// retraction is a message of an account's archive that its sender takes back.
type retraction struct {
	archive store.ArchiveName
	with    jid.JID // the other side
	from    jid.JID // who takes it back, bare: only what he has sent
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
	job := retraction{archive: a, with: with, from: s.From.Bare(), id: x.ID, by: string(s.ID), at: time.Now()}
	if !m.burials.begin(job, m.config.Load().Retractions) {
		m.metrics.retractions.Inc()
	}
}

// burials are what was taken back and is to get its tombstone, counted by archive: whoever asks that archive waits for it.
type burials struct {
	mu   sync.Mutex
	list []retraction
	wake chan struct{}
	open map[store.ArchiveName]*burial
}

type burial struct {
	count int
	done  chan struct{} // closed with the last
}

// begin adds one, unless most wait already.
func (x *burials) begin(job retraction, most int) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.list) >= most {
		return false
	}
	x.list = append(x.list, job)
	if x.open == nil {
		x.open = make(map[store.ArchiveName]*burial)
	}
	if x.open[job.archive] == nil {
		x.open[job.archive] = &burial{done: make(chan struct{})}
	}
	x.open[job.archive].count++
	select {
	case x.wake <- struct{}{}:
	default:
	}
	return true
}

// next takes the oldest.
func (x *burials) next() (job retraction, ok bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.list) == 0 {
		return job, false
	}
	job, x.list = x.list[0], x.list[1:]
	return job, true
}

func (x *burials) end(a store.ArchiveName) {
	x.mu.Lock()
	defer x.mu.Unlock()
	b := x.open[a]
	if b.count--; b.count == 0 {
		close(b.done)
		delete(x.open, a)
	}
}

// wait returns when what was taken back until now has its tombstone, or ctx ends.
func (x *burials) wait(ctx context.Context, a store.ArchiveName) error {
	x.mu.Lock()
	b := x.open[a]
	x.mu.Unlock()
	if b == nil {
		return nil
	}
	select {
	case <-b.done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// buryAll buries what is taken back, until ctx ends and nothing is left.
func (m *Module) buryAll(ctx context.Context) {
	for {
		x, ok := m.burials.next()
		if !ok {
			select {
			case <-m.burials.wake:
				continue
			case <-ctx.Done():
			}
			if x, ok = m.burials.next(); !ok {
				return
			}
		}
		if err := m.bury(context.WithoutCancel(ctx), x); err != nil {
			m.metrics.retractions.Inc()
			m.log.Error("tombstone not written", "jid", x.archive.JID.String(), "err", err)
		}
		m.burials.end(x.archive)
	}
}

// bury puts a tombstone in the place of what was taken back. XEP-0424 §4
func (m *Module) bury(ctx context.Context, x retraction) error {
	if err := m.settle(ctx, nil); err != nil {
		return err
	}
	q := store.ArchiveQuery{With: x.with, Backward: true}
	for left := m.config.Load().RetractWithin; left > 0; {
		q.Limit = min(left, 200)
		rows, whole, err := m.store.Archived(ctx, x.archive, q)
		if err != nil {
			return err
		}
		for i := len(rows) - 1; i >= 0; i-- {
			s, err := stanza.Parse(rows[i].Stanza)
			if err != nil || string(s.ID) != x.id || s.From.Bare() != x.from || s.Has(retract.NS, "retract") {
				continue
			}
			return m.store.Commit(store.ReplaceArchived{Archive: x.archive, Seq: rows[i].Seq, Stanza: tombstone(s, x)}).Wait(ctx)
		}
		if whole || len(rows) == 0 {
			break
		}
		left -= len(rows)
		q.Before = rows[0].Seq
	}
	m.metrics.retractions.Inc()
	return nil
}

// tombstone is the message without what it said.
func tombstone(s *stanza.Stanza, x retraction) []byte {
	tomb := stanza.New(s.Kind, s.Type, s.To, &retract.Retracted{ID: x.by, Stamp: x.at})
	tomb.From, tomb.ID = s.From, s.ID
	return tomb.Append(nil, stanza.NSClient)
}
