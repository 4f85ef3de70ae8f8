// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// What components may do for, and in the name of, accounts and domains of ours is decided by modules
// (privilege, delegation). This file is how: by the hooks BehalfHook, Host, Requested and Joined.

// BehalfHook sees a message that somebody who may sends in the name of an account, which need not be
// online, before it is routed: Turn.Origin is nil. It may wait unless the account is online; s is
// borrowed. An error refuses the message.
type BehalfHook func(t *Turn, u *User, s *stanza.Stanza) error

// SendAs sends s, a message, in the name of u, an account: as if a session of it had, which is not one of
// those that there are. The caller has checked who asks for it. The error says that it was not sent.
func (t *Turn) SendAs(u *User, s *stanza.Stanza) error {
	s.From = u.JID
	if s.To.IsZero() {
		s.To = u.JID
	}
	for _, f := range t.server.table.behalf {
		if err := f(t, u, s); err != nil {
			return err
		}
	}
	t.Route(s)
	return nil
}

// As calls f with an account, held until f returns: at once if it is online, else where it may wait, as
// OffLoop does. u is nil where there is no such account; guests are none. s is the stanza being handled.
func (t *Turn) As(account jid.JID, s *stanza.Stanza, f func(t *Turn, u *User, s *stanza.Stanza)) {
	users := &t.server.users
	if u := users.get(account); u != nil {
		defer users.release(u)
		if u.Online() && u.Exists() && !u.Guest() {
			f(t, u, s)
			return
		}
	}
	t.offLoop(s, func(t *Turn, s *stanza.Stanza) {
		u := users.acquire(account)
		defer users.release(u)
		if err := u.know(context.Background()); err != nil {
			t.refuse(s, err)
			return
		}
		if !u.Exists() || u.Guest() {
			u = nil
		}
		f(t, u, s)
	})
}

// Each calls f for every account that is in use, at some time: those that have sessions, and those that somebody deals with. f may
// find that one is not in use any more.
func (s *Server) Each(f func(u *User)) { s.users.each(f) }

// Present reports whether a place of that name is attached and has somebody to talk to.
func (s *Server) Present(place string) bool {
	p := (*s.places.Load())[place]
	return place != Elsewhere && p != nil && p.Present()
}

// Joined tells the modules that somebody is there now at a place: a component has connected. What they send
// it in t is the first that it gets.
func (s *Server) Joined(t *Turn, place jid.JID) {
	for _, f := range s.table.joined {
		f(t, place)
	}
}
