// SPDX-License-Identifier: Apache-2.0

package server

import (
	"github.com/stonechat-im/stonechat/internal/trace"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// How stanzas are watched (package trace): a stanza's way goes with the turn, and with each delivery that it makes.

// Tracers are those who watch accounts.
func (s *Server) Tracers() *trace.Tracers { return &s.tracers }

// Way is that of the stanza being handled, for a place that keeps it, to note on it what becomes of it; nil: nobody watches.
func (t *Turn) Way() *trace.Way { return t.way }

// note is Way.Note for the stanza being handled.
func (t *Turn) note(event, detail string, s *stanza.Stanza) {
	t.way.Tell(trace.Event{Event: event, Detail: detail}, s)
}

// noteHook notes what a hook did.
func (t *Turn) noteHook(p Phase, module string, s *stanza.Stanza, err error) {
	e := trace.Event{Event: trace.Passed, Module: module, Phase: p.String()}
	switch {
	case err == nil:
	case err == Handled && p <= Handle: //nolint:errorlint // a verdict is never wrapped
		e.Event = trace.Handled
	default:
		refusal, _ := stanza.AsError(err)
		e.Event, e.Detail = trace.Refused, string(refusal.Condition)
	}
	t.way.Tell(e, s)
}

// follow gives the turn the way of a stanza that the server itself sends to an account, unless it
// has one, and returns what was there before.
func (t *Turn) follow(u *User, event string, s *stanza.Stanza) (before *trace.Way) {
	before = t.way
	if before == nil && t.server.tracers.Any() {
		t.way = t.server.tracers.Enter(s.From, u.JID, event, s)
	}
	return before
}

// noteQueued notes that a session takes the stanza.
func (t *Turn) noteQueued(se *Session, detail string) {
	if t.way != nil {
		t.way.Tell(trace.Event{Event: trace.Queued, Session: se.JID.String(), Detail: detail}, nil)
	}
}

// note notes what becomes of a message that is followed.
func (d *delivery) note(event string) {
	if d.way != nil {
		d.way.Tell(trace.Event{Event: event, To: d.user.JID.String()}, nil)
	}
}
