// SPDX-License-Identifier: Apache-2.0

// Package anonymous bounds what guests may do: clients that logged in without an account. They
// talk to whom they find at this server, and leave nothing behind.
//
// XEP-0175 (complete, 1.2)
package anonymous

import (
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// Module keeps guests in their place (XEP-0175 §3).
type Module struct{ server *server.Server }

// New makes the module.
func New() *Module { return new(Module) }

// Name implements server.Module.
func (*Module) Name() string { return "anonymous" }

// Init implements server.Module.
func (m *Module) Init(h *server.Host) error {
	m.server = h.Server
	h.OnSent(server.Guard, m.sent)
	h.OnArriving(server.Handle, m.arriving)
	return nil
}

// sent refuses what a guest must not do: reach other servers, have contacts, change anything
// that is kept here.
func (m *Module) sent(t *server.Turn, s *stanza.Stanza) error {
	if !t.Origin.User.Guest() {
		return nil
	}
	switch domain := s.To.Domain(); {
	case !s.To.IsZero() && !m.server.Hosts(domain):
		return stanza.Forbidden.Err("guests talk within this server")
	case s.Kind == stanza.Presence && isSubscription(s.Type):
		return stanza.NotAllowed.Err("guests have no contacts")
	case s.Kind == stanza.IQ && s.Type == stanza.Set && m.isOurs(s.To):
		return stanza.NotAllowed.Err("guests keep nothing here")
	}
	return nil
}

// isOurs reports whether the server answers for that address itself.
func (m *Module) isOurs(to jid.JID) bool {
	return to.IsZero() || to.IsBare() && m.server.Serves(to.Domain())
}

// arriving keeps guests out of others' contacts: who asks one is told no, and told again whenever
// it asks. A contact that vanishes is nobody's.
func (*Module) arriving(t *server.Turn, u *server.User, s *stanza.Stanza) error {
	if s.Kind != stanza.Presence || !isSubscription(s.Type) || !u.Guest() {
		return nil
	}
	if s.Type == stanza.Subscribe {
		no := stanza.New(stanza.Presence, stanza.Unsubscribed, s.From.Bare())
		no.From = u.JID
		t.Route(no)
	}
	return server.Handled
}

func isSubscription(t stanza.Type) bool {
	switch t {
	case stanza.Subscribe, stanza.Subscribed, stanza.Unsubscribe, stanza.Unsubscribed:
		return true
	}
	return false
}
