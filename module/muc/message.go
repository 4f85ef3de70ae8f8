// SPDX-License-Identifier: Apache-2.0

package muc

import (
	"context"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/delay"
	"github.com/stonechat-im/stonechat/xmpp/hint"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/muc"
	"github.com/stonechat-im/stonechat/xmpp/retract"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/stanzaid"
)

// say takes a message to everybody (§7.4), a subject among them (§8.1).
func (r *room) say(t *server.Turn, s *stanza.Stanza) error {
	if r.module.archive != nil && takesBack(s) {
		return r.offLoop(t, s, r.takeBack)
	}
	if r.behind.Load() > crowd {
		return r.offLoop(t, s, r.sayNow)
	}
	return r.sayNow(t, s)
}

// sayNow is say, here.
func (r *room) sayNow(t *server.Turn, s *stanza.Stanza) error {
	r.mu.Lock()
	defer r.unlock(t)
	o := r.occupantOf(s.From)
	switch {
	case r.gone.Load(), r.locked && o == nil:
		return errNoRoom()
	case o == nil:
		return stanza.NotAcceptable.Err("you are not in this room")
	case isSubject(s):
		return r.setSubject(t, s, o)
	case o.role.Level() < muc.Participant.Level():
		return stanza.Forbidden.Err("you have no voice in this room")
	}
	m := r.spoken(s, o)
	if lasting(m) {
		if err := r.keepSaid(t, o, m); err != nil {
			return err
		}
		r.history.note(line{at: t.Now, s: m}, r.options.history)
	}
	r.tell(t, func(*session) *stanza.Stanza { return m })
	return nil
}

// takesBack reports whether a message is a retraction by its author.
func takesBack(s *stanza.Stanza) bool {
	i := s.Find(retract.NS, "retract")
	return i >= 0 && !forged(s, i)
}

// spoken is a message as everybody gets it, as a copy that is kept: from the occupant, with what only the
// room may say. The caller holds mu.
func (r *room) spoken(s *stanza.Stanza, o *occupant) *stanza.Stanza {
	c := *s
	for i := range c.Len() {
		space, _, _ := c.Child(i)
		switch string(space) {
		case muc.NSUser, muc.NSOccupantID:
			c.Cut(i)
		case retract.NS:
			if forged(&c, i) {
				c.Cut(i)
			}
		case delay.NS:
			if from, err := jid.Parse(c.Reader(i).Attr("from")); err == nil && from == r.jid {
				c.Cut(i)
			}
		}
	}
	stanzaid.Cut(&c, r.jid)
	m := c.Retain()
	m.From = o.at
	m.Add(&o.id)
	m.Clip()
	return m
}

// lasting reports whether a message is worth telling those who come later.
func lasting(s *stanza.Stanza) bool {
	if s.Has(hint.NS, "no-store") || s.Has(hint.NS, "no-permanent-store") {
		return false
	}
	return s.Has(stanza.NSClient, "body") || s.Has(hint.NS, "store") || s.Has(nsOMEMO, "encrypted") || s.Has(nsOMEMOOld, "encrypted")
}

// Encrypted messages (XEP-0384) need no body.
const (
	nsOMEMO    = "urn:xmpp:omemo:2"
	nsOMEMOOld = "eu.siacs.conversations.axolotl"
)

// isSubject: only a message with a subject and neither body nor thread changes it (§8.1).
func isSubject(s *stanza.Stanza) bool {
	return s.Has(stanza.NSClient, "subject") && !s.Has(stanza.NSClient, "body") && !s.Has(stanza.NSClient, "thread")
}

// extraSubject is the name under which a room's subject is kept.
const extraSubject = "subject"

// setSubject changes the subject. The caller holds mu.
func (r *room) setSubject(t *server.Turn, s *stanza.Stanza, o *occupant) error {
	if o.role != muc.Moderator && !(r.options.changeSubject && o.role == muc.Participant) {
		return stanza.Forbidden.Err("you may not change the subject")
	}
	m := r.spoken(s, o)
	r.tell(t, func(*session) *stanza.Stanza { return m })
	kept := *m
	kept.Add(&delay.Delay{From: r.jid, Stamp: t.Now})
	kept.Clip()
	r.subject = &kept
	if r.kept.Load() {
		p := r.commit(store.SetRoomExtra{Room: r.jid, Name: extraSubject, Value: kept.Append(nil, stanza.NSClient)})
		t.Keep(p)
	}
	return nil
}

// commit is the store's, with r held in memory until it is done: nobody may load what was before.
func (r *room) commit(ops ...store.Op) *store.Pending {
	m := r.module
	m.table.hold(r)
	p := m.store.Commit(ops...)
	p.OnDone(func(error) { go m.release(nil, r) })
	return p
}

// keep commits and waits; what is not kept is not changed, and the peer is told so.
func (r *room) keep(ops ...store.Op) error {
	err := r.commit(ops...).Wait(context.Background())
	if err != nil {
		r.module.log.Error("change of a room not stored", "jid", r.jid.String(), "err", err)
		return stanza.ResourceConstraint.Err("the change could not be stored now")
	}
	return nil
}

// whisper takes a private message (§7.5).
func (r *room) whisper(t *server.Turn, s *stanza.Stanza) error {
	r.mu.Lock()
	defer r.unlock(t)
	o, to := r.occupantOf(s.From), r.called(s.To.Resource())
	switch {
	case r.gone.Load(), r.locked && o == nil:
		return errNoRoom()
	case o == nil:
		return stanza.NotAcceptable.Err("you are not in this room")
	case to == nil:
		return stanza.ItemNotFound.Err("nobody has that nick")
	case !r.options.mayWhisper(o.role):
		return stanza.Forbidden.Err("you may not send private messages in this room")
	}
	m := r.spoken(s, o)
	m.Add(new(muc.User))
	m.Clip()
	r.sendAll(t, to, m)
	return nil
}

func (o *options) mayWhisper(role muc.Role) bool {
	switch o.allowPM {
	case pmAnyone:
		return true
	case pmParticipants:
		return role.Level() >= muc.Participant.Level()
	case pmModerators:
		return role == muc.Moderator
	}
	return false
}

// request takes a message to the room that is not for everybody: an invitation, its refusal, a request for
// voice or membership, or the decision on one.
func (r *room) request(t *server.Turn, s *stanza.Stanza) error {
	var u muc.User
	if found, err := s.Decode(&u); err != nil {
		return err
	} else if found && len(u.Invites) > 0 {
		return r.invite(t, s, &u)
	} else if found && u.Decline != nil {
		return r.decline(t, s, u.Decline)
	}
	return r.decide(t, s)
}
