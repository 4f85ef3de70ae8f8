// SPDX-License-Identifier: Apache-2.0

// Package offline keeps messages for accounts that have no session to take them. They are
// delivered, marked as delayed, to the first session that becomes available; the server does
// that, since it keeps what a broken session had not acknowledged in the same spool.
//
// XEP-0160 (complete, 1.0.1), XEP-0203 (complete, 2.0)
package offline

import (
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/xmpp/delay"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// NS is the feature that announces offline storage.
const NS = "msgoffline"

// Module is offline storage.
type Module struct{ keep func(*stanza.Stanza) bool }

// New makes the module. keep says which messages are worth storing.
func New(keep func(*stanza.Stanza) bool) *Module { return &Module{keep} }

// Name implements server.Module.
func (*Module) Name() string { return "offline" }

// Init implements server.Module.
func (m *Module) Init(h *server.Host) error {
	h.Feature(server.AtHost, NS)
	h.Feature(server.AtHost|server.AtAccount, delay.NS)
	h.OnArriving(server.Handle, m.store)
	return nil
}

// store takes what module message could give to nobody.
func (m *Module) store(t *server.Turn, u *server.User, s *stanza.Stanza) error {
	if s.Kind != stanza.Message || !u.Exists() {
		return nil
	}
	if !m.keep(s) {
		// XEP-0160 §3: dropped without a word, or the sender would be told for each
		// chat state.
		return server.Handled
	}
	if err := t.Spool(u, s); err != nil {
		return err
	}
	return server.Handled
}
