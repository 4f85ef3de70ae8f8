// SPDX-License-Identifier: Apache-2.0

// Package message delivers messages to the sessions of local accounts: which of them get one,
// by its type and by their presence.
//
// RFC 6121 §8.5
package message

import (
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/xmpp/hint"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// Module delivers messages.
type Module struct{}

// New makes the module.
func New() *Module { return &Module{} }

// Name implements server.Module.
func (*Module) Name() string { return "message" }

// Init implements server.Module.
func (m *Module) Init(h *server.Host) error {
	h.OnArriving(server.Handle, m.deliver)
	return nil
}

// deliver is the table of RFC 6121 §8.5 for messages. What it leaves unhandled nobody could
// take: the offline module stores it, or the router refuses it.
func (*Module) deliver(t *server.Turn, u *server.User, s *stanza.Stanza) error {
	if s.Kind != stanza.Message {
		return nil
	}
	if !u.Exists() {
		return nil // §8.5.1
	}
	if s.To.IsFull() {
		// §8.5.3.1: whatever its presence.
		if to := t.Named(u, s.To.Resource()); len(to) > 0 && t.Deliver(u, to, s, Kept(s)) {
			return server.Handled
		}
		// §8.5.3.2.1: only a chat goes on, from here as to the bare address; the others are
		// meant for that resource alone.
		switch s.Type {
		case stanza.Normal:
			return stanza.ServiceUnavailable.Err("")
		case stanza.Headline:
			return server.Handled
		}
	}
	switch s.Type {
	case stanza.Groupchat:
		return stanza.ServiceUnavailable.Err("") // §8.5.2.1.1
	case stanza.TypeError:
		return server.Handled // §8.5.2.1.1: an account has sent nothing that could fail
	}
	if to := t.Takers(u); len(to) > 0 && t.Deliver(u, to, s, Kept(s)) {
		return server.Handled
	}
	if s.Type == stanza.Headline {
		return server.Handled // §8.5.2.2.1: never stored, never answered
	}
	return nil
}

// Kept reports whether a message must survive its receiver's connection: not headlines, errors
// and messages of rooms, which the room keeps, not what asks not to be stored (XEP-0334), and
// not chat states alone (XEP-0085).
func Kept(s *stanza.Stanza) bool {
	switch s.Type {
	case stanza.Headline, stanza.TypeError, stanza.Groupchat:
		return false
	}
	if s.Has(hint.NS, "no-store") {
		return false
	}
	if s.Has(stanza.NSClient, "body") {
		return true
	}
	return !onlyChatState(s)
}

const nsChatStates = "http://jabber.org/protocol/chatstates"

// onlyChatState reports whether all a message carries is a chat state, with or without a thread.
func onlyChatState(s *stanza.Stanza) bool {
	state := false
	for i := range s.Len() {
		space, local, ok := s.Child(i)
		switch {
		case !ok:
		case string(space) == nsChatStates:
			state = true
		case string(space) == stanza.NSClient && string(local) == "thread":
		case string(space) == hint.NS:
		default:
			return false
		}
	}
	return state
}
