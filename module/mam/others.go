// SPDX-License-Identifier: Apache-2.0

package mam

import (
	"context"
	"fmt"
	"time"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/mam"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// What rooms and nodes use. Who calls it decides who may: an archive that is not an account's has no owner here.

// Add archives s as it will be broadcast, from the room's occupant or the service; with is the real bare address of its author, or
// zero. The copies are to bear a <stanza-id/> by a.JID with that id. The order of calls for one archive is that of the
// archive: the caller holds its own lock. Where too much waits for the disk, p fails at once with store.ErrOverloaded and
// nothing is archived: then s is to be refused. Else it is to be broadcast without waiting, and p kept (Turn.Keep).
func (m *Module) Add(t *server.Turn, a store.ArchiveName, with jid.JID, s *stanza.Stanza) (id string, p *store.Pending) {
	if m.full() {
		m.metrics.refused.Inc()
		return "", store.Resolved(fmt.Errorf("mam: archive of %s: %w", a.JID, store.ErrOverloaded))
	}
	seq := m.numbers.next(t.Now)
	b := s.Append(make([]byte, 0, s.Size()+32), stanza.NSClient)
	size := int64(len(b)) + rowBytes
	m.queued.Add(size)
	p = m.store.Commit(store.AddArchived{Message: seq, Stanza: b, Rows: []store.ArchiveRow{
		{Archive: a, Account: m.ofAccount(a), Seq: seq, With: with.Bare()},
	}})
	p.OnDone(func(err error) {
		m.written(size)
		if err != nil {
			m.metrics.failed.Inc()
			return
		}
		m.metrics.archived.Inc()
	})
	return m.ids.id(a, seq), p
}

// ofAccount reports whether an archive belongs to an account: its own, or one of its nodes'.
func (m *Module) ofAccount(a store.ArchiveName) bool {
	return a.JID.Local() != "" && m.server.Serves(a.JID.Domain())
}

// Last returns the newest messages of an archive, at most max and none older than since, the oldest first: the history at a
// join. It may wait.
func (m *Module) Last(ctx context.Context, a store.ArchiveName, since time.Time, max int) ([]mam.Message, error) {
	if max <= 0 {
		return nil, nil
	}
	if err := m.settle(ctx, nil); err != nil {
		return nil, err
	}
	q := store.ArchiveQuery{Backward: true, Limit: max}
	if !since.IsZero() {
		q.After = since.UnixMicro() - 1
	}
	rows, _, err := m.store.Archived(ctx, a, q)
	if err != nil {
		return nil, err
	}
	list := make([]mam.Message, 0, len(rows))
	for _, row := range rows {
		x, err := m.message(a, row)
		if err != nil {
			return nil, err
		}
		list = append(list, x)
	}
	return list, nil
}

// Find returns one message, or store.ErrNotFound. It may wait.
func (m *Module) Find(ctx context.Context, a store.ArchiveName, id string) (mam.Message, error) {
	seq, ok := m.ids.seq(a, id)
	if !ok {
		return mam.Message{}, fmt.Errorf("mam: message of %s: %w", a.JID, store.ErrNotFound)
	}
	if err := m.settle(ctx, nil); err != nil {
		return mam.Message{}, err
	}
	rows, err := m.store.ArchivedRows(ctx, a, []int64{seq})
	if err == nil && len(rows) == 0 {
		err = fmt.Errorf("mam: message of %s: %w", a.JID, store.ErrNotFound)
	}
	if err != nil {
		return mam.Message{}, err
	}
	return m.message(a, rows[0])
}

func (m *Module) message(a store.ArchiveName, row store.ArchivedMessage) (mam.Message, error) {
	s, err := stanza.Parse(row.Stanza)
	if err != nil {
		return mam.Message{}, fmt.Errorf("mam: message %d of %s: %w", row.Seq, a.JID, err)
	}
	return mam.Message{ID: m.ids.id(a, row.Seq), At: timeOf(row.Seq), Stanza: s}, nil
}

// Replace puts tomb, a tombstone (XEP-0424 §4, XEP-0425 §4), in the place of a message; one that is not there is passed over.
func (m *Module) Replace(a store.ArchiveName, id string, tomb *stanza.Stanza) *store.Pending {
	seq, ok := m.ids.seq(a, id)
	if !ok {
		return store.Resolved(nil)
	}
	return m.store.Commit(store.ReplaceArchived{Archive: a, Seq: seq, Stanza: tomb.Append(nil, stanza.NSClient)})
}

// Forget removes an archive: its room or node is destroyed.
func (m *Module) Forget(a store.ArchiveName) *store.Pending {
	return m.store.Commit(store.ForgetArchive{Archive: a})
}
