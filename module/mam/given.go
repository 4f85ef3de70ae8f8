// SPDX-License-Identifier: Apache-2.0

package mam

import (
	"slices"
	"sync"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/stanzaid"
)

// given is what a session has read of its account's archive before it took messages: what waits in the spool for it and is among
// that is not sent again. XEP-0313 §6.1.1
type given struct {
	mu   sync.Mutex
	rows map[int64]struct{}
}

// remember notes what the session that asks gets of its own archive. One that takes messages has been sent the spool already.
func (m *Module) remember(t *server.Turn, q *server.Query, a store.ArchiveName, page []store.ArchivedMessage) {
	se := t.Origin
	if se == nil || se.JID != q.From || a.Node != "" || a.JID != se.User.JID {
		return
	}
	if p := se.Presence(); p.Available && p.Priority >= 0 {
		return
	}
	g := m.given.Of(se)
	if g == nil {
		g = m.given.SetOnce(se, &given{rows: make(map[int64]struct{})})
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	most := m.config.Load().Remembered
	for _, row := range slices.Backward(page) {
		if _, has := g.rows[row.Seq]; !has && len(g.rows) >= most {
			m.metrics.limited.WithLabelValues("remembered").Inc()
			continue
		}
		g.rows[row.Seq] = struct{}{}
	}
}

// drains is the hook Drains.
func (m *Module) drains(se *server.Session, s *stanza.Stanza) (bool, error) {
	g := m.given.Of(se)
	if g == nil || s.Kind != stanza.Message {
		return false, nil
	}
	account := se.User.JID
	seq, ok := m.ids.seq(store.ArchiveName{JID: account}, stanzaid.Of(s, account))
	if !ok {
		return false, nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	_, has := g.rows[seq]
	return has, nil
}
