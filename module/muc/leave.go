// SPDX-License-Identifier: Apache-2.0

package muc

import (
	"slices"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/muc"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// left takes unavailable presence: of somebody who leaves (§7.14), or of nobody here, which is ignored
// (§17.3). A session that has ended says so to each nick it has had.
func (r *room) left(t *server.Turn, s *stanza.Stanza) {
	r.mu.Lock()
	defer r.unlock(t)
	se := r.sessions[s.From]
	if se == nil || s.To.IsFull() && s.To.Resource() != se.who.nick {
		return
	}
	said := cleaned(s)
	if s.Size() > int(r.module.config.Load().PresenceBytes) {
		said = unavailable()
	}
	said.Type = stanza.Unavailable
	r.leave(t, se, said, news{id: slices.Clone(s.ID), asked: se})
}

// unavailable is the presence of somebody who says nothing.
func unavailable() *stanza.Stanza { return stanza.New(stanza.Presence, stanza.Unavailable, jid.JID{}) }

// leave takes a session out of the room and tells everybody; s is its last presence. The caller holds mu.
func (r *room) leave(t *server.Turn, se *session, s *stanza.Stanza, n news) {
	o := se.who
	if len(o.sessions) > 1 {
		r.leaveOne(t, se, s, n)
		return
	}
	r.show(t, o, s, muc.NoRole, n, r.options.broadcasts(o.role))
	r.drop(se)
	r.endEmpty()
}

// endEmpty ends a temporary room that nobody is in: one that was never configured too (§10.1.3). The caller holds mu.
func (r *room) endEmpty() {
	if len(r.list) == 0 && !r.kept.Load() {
		r.end()
	}
}

// leaveOne is leave where the occupant is there with another device still. The caller holds mu.
func (r *room) leaveOne(t *server.Turn, se *session, s *stanza.Stanza, n news) {
	o := se.who
	shown := o.shown
	o.shown = se
	x := r.shapes(o, s, muc.NoRole, &n)
	x.self.ID = n.id
	o.shown = shown
	r.send(t, se, x.self)
	r.drop(se)
	if shown == se {
		o.shown, o.seen = o.sessions[len(o.sessions)-1], shape{}
		if r.options.broadcasts(o.role) {
			r.showOthers(t, o, r.shapes(o, o.shown.presence, o.role, &news{}))
		}
	}
}

// remove takes an occupant out of the room, with all his devices. The caller holds mu.
func (r *room) remove(t *server.Turn, o *occupant, n news) {
	r.show(t, o, unavailable(), muc.NoRole, n, r.options.broadcasts(o.role))
	for _, se := range o.sessions {
		r.drop(se)
	}
}

// end makes the room one that is over; nobody is in it any more, and another one may be made at its address. The caller holds mu.
func (r *room) end() {
	r.gone.Store(true)
	if a := r.module.archive; a != nil {
		a.Forget(r.archive())
	}
	r.module.table.drop(r)
}

// bounced takes an error that came back for what a room has sent. Somebody who is not there any more is
// taken out (§18.1.2, §11.1); whoever only does not want a private message is not.
func (m *Module) bounced(t *server.Turn, s *stanza.Stanza) {
	r := m.table.acquire(s.To.Bare())
	if r == nil {
		return
	}
	defer m.release(t, r)
	e := s.Refusal()
	gone := lost(e.Condition) || e.Condition == stanza.ServiceUnavailable && !m.alive(s.From)
	r.mu.Lock()
	defer r.unlock(t)
	se := r.sessions[s.From]
	switch {
	case se == nil:
	case gone:
		r.leave(t, se, unavailable(), news{statuses: []int{muc.StatusTechnical}})
	case s.Kind == stanza.Message && s.To.IsFull():
		if o := r.called(s.To.Resource()); o != nil { // of a private message, to its sender
			// Anew: what came may tell who the sender is.
			back := stanza.New(stanza.Message, stanza.TypeError, jid.JID{}, &stanza.Error{Type: e.Type, Condition: e.Condition, Text: e.Text})
			back.From, back.ID = se.who.at, slices.Clone(s.ID)
			back.Clip()
			r.sendAll(t, o, back)
		}
	}
}

// lost reports whether an error says that its sender cannot be reached. Service-unavailable says so of a
// server that does not know the session; a client says it of what it does not support.
func lost(c stanza.Condition) bool {
	switch c {
	case stanza.Gone, stanza.ItemNotFound, stanza.RecipientUnavailable, stanza.Redirect, stanza.RemoteServerNotFound,
		stanza.RemoteServerTimeout, stanza.JIDMalformed:
		return true
	}
	return false
}

// alive reports whether somebody is known to be there: a session of ours.
func (m *Module) alive(full jid.JID) bool {
	if !m.local(full) {
		return false
	}
	u, release, ok := m.server.Lookup(full)
	if !ok {
		return false
	}
	defer release()
	return u.Session(full.Resource()) != nil
}

// stopping tells everybody that the service ends (§11.2). The rooms are empty then, so that the end of one
// session is not told to all others.
func (m *Module) stopping(t *server.Turn) {
	for _, r := range m.table.all() {
		r.mu.Lock()
		r.empty(t, news{statuses: []int{muc.StatusShutdown}})
		r.unlock(t)
		m.release(t, r)
	}
}
