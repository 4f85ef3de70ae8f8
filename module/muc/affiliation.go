// SPDX-License-Identifier: Apache-2.0

package muc

import (
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/muc"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// How to read this file: affiliate makes an edit, in three steps: prepare checks it and makes what the store is to
// do, the commit is waited for, apply makes it known and does what follows from it.

// change is what somebody is to become to the room.
type change struct {
	user        jid.JID // bare, or a domain
	affiliation muc.Affiliation
	nick        *string // to be reserved, "" for none; nil: as it was
	reason      string
}

// edit is a change of affiliations, which is made whole or not at all.
type edit struct {
	changes []change
	by      *muc.Actor
	allowed func() error // asked under room.mu when nothing else changes; nil: it is
	done    func()       // before others are told; under no lock
	quiet   bool         // new members are invited by the caller
}

// affiliate makes an edit: it is committed, then known. It may wait.
func (r *room) affiliate(t *server.Turn, e edit) error {
	r.change.Lock()
	defer r.change.Unlock()
	ops, err := r.prepare(e)
	if err != nil {
		return err
	}
	if len(ops) > 0 {
		if err := r.keep(ops...); err != nil {
			return err
		}
	}
	r.mu.Lock()
	fresh := r.apply(t, e)
	if !e.quiet && r.options.membersOnly {
		for _, user := range fresh { // §9.5: who can come now is told so
			r.post(t, r.invitation(r.jid, muc.Invite{To: user}))
		}
	}
	dirty := r.take()
	r.mu.Unlock()
	if e.done != nil {
		e.done()
	}
	for _, o := range dirty {
		o.Run(t)
	}
	return nil
}

// prepare checks an edit and makes the operations that keep it.
func (r *room) prepare(e edit) ([]store.Op, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.gone.Load() {
		return nil, errNoRoom()
	}
	if e.allowed != nil {
		if err := e.allowed(); err != nil {
			return nil, err
		}
	}
	var ops []store.Op
	more, owners, had := 0, r.owners(), r.owners()
	names, next := make(map[string]jid.JID), make(map[jid.JID]person)
	for _, c := range e.changes {
		was, known := next[c.user] // who is named twice
		if !known {
			was, known = r.people[c.user]
		}
		p := c.after(was)
		next[c.user] = p
		if was.affiliation == muc.Owner && p.affiliation != muc.Owner {
			owners--
		}
		if was.affiliation != muc.Owner && p.affiliation == muc.Owner {
			owners++
		}
		if !known {
			more++
		}
		if p.nick != "" {
			owner, taken := r.reserved[fold(p.nick)]
			if other, twice := names[fold(p.nick)]; taken && owner != c.user || twice && other != c.user {
				return nil, stanza.Conflict.Err("the nick is somebody's")
			}
			names[fold(p.nick)] = c.user
		}
		ops = append(ops, store.SetRoomAffiliation{Room: r.jid, Affiliation: store.RoomAffiliation{
			User: c.user, Affiliation: string(p.affiliation), Nick: p.nick, Reason: p.reason}})
	}
	switch {
	case owners == 0 && had > 0: // the account of the last one may have been deleted: admins go on without
		return nil, stanza.Conflict.Err("a room has an owner") // §10.4
	case more > 0 && len(r.people)+more > r.module.config.Load().MaxAffiliations:
		return nil, r.module.limited("max_affiliations", stanza.ResourceConstraint.Err("too many people belong to this room"))
	case len(ops) > store.MaxCallOps:
		return nil, stanza.PolicyViolation.Err("too many changes at once")
	case !r.kept.Load():
		return nil, nil
	}
	return ops, nil
}

// owners is how many the room has. The caller holds mu.
func (r *room) owners() (n int) {
	for _, p := range r.people {
		if p.affiliation == muc.Owner {
			n++
		}
	}
	return n
}

// after is what was becomes by a change. An outcast has no nick (§9.1).
func (c change) after(was person) person {
	p := person{affiliation: c.affiliation, nick: was.nick, reason: c.reason}
	if c.nick != nil {
		p.nick = *c.nick
	}
	if p.affiliation == muc.Outcast || p.affiliation == muc.Unaffiliated {
		p.nick = ""
	}
	return p
}

// apply makes an edit known, and returns who belongs to the room now and did not. The caller holds mu.
func (r *room) apply(t *server.Turn, e edit) (fresh []jid.JID) {
	for _, c := range e.changes {
		was := r.people[c.user]
		p := c.after(was)
		r.put(c.user, p)
		if p.affiliation.Level() >= muc.Member.Level() && was.affiliation.Level() < muc.Member.Level() {
			fresh = append(fresh, c.user)
		}
		if p.affiliation == was.affiliation || p.affiliation == muc.Unaffiliated && was.affiliation == "" {
			continue
		}
		delete(r.asking, c.user)
		there := false
		for _, o := range r.order {
			if o.user == c.user || c.user.IsDomain() && o.user.Domain() == c.user.Domain() {
				there = true
				r.reaffiliate(t, o, news{actor: e.by, reason: c.reason})
			}
		}
		if !there {
			r.tellAffiliation(t, c.user, p.affiliation)
		}
	}
	return fresh
}

// put notes what somebody is to the room. The caller holds mu.
func (r *room) put(user jid.JID, p person) {
	if was := r.people[user]; was.nick != "" {
		delete(r.reserved, fold(was.nick))
	}
	if p.affiliation == muc.Unaffiliated && p.nick == "" {
		delete(r.people, user)
		return
	}
	r.people[user.Clone()] = p
	if p.nick != "" {
		r.reserved[fold(p.nick)] = user.Clone()
	}
}

// reaffiliate gives an occupant the affiliation that is his now, with what comes of it: he may have to go, or
// get another role (§5.2.2). The caller holds mu.
func (r *room) reaffiliate(t *server.Turn, o *occupant, n news) {
	was, now := o.affiliation, r.affiliationOf(o.user)
	if was == now {
		return
	}
	o.affiliation = now
	if now == muc.Outcast {
		delete(r.voice, o.user)
		n.statuses = []int{muc.StatusBanned}
		r.remove(t, o, n)
		return
	}
	if r.options.membersOnly && now.Level() < muc.Member.Level() {
		n.statuses = []int{muc.StatusAffiliationLost}
		r.remove(t, o, n)
		return
	}
	before, role := o.role, o.role
	due := r.roleFor(now)
	switch {
	case now.Level() > was.Level():
		if due.Level() > role.Level() {
			role = due
		}
	case was.Level() >= muc.Admin.Level(), role != muc.Moderator:
		role = due
	}
	o.setRole(role)
	r.changed(t, o, before, n)
}

// tellAffiliation tells those who may know addresses what somebody who is not here is now (§10.3). The caller
// holds mu.
func (r *room) tellAffiliation(t *server.Turn, user jid.JID, a muc.Affiliation) {
	if len(r.list) == 0 {
		return
	}
	m := stanza.New(stanza.Message, stanza.Groupchat, jid.JID{}, &muc.User{Items: []muc.Item{{Affiliation: a, JID: user}}})
	m.From = r.jid
	m.Clip()
	sees := r.sees()
	r.tell(t, func(se *session) *stanza.Stanza {
		if !sees(se) {
			return nil
		}
		return m
	})
}

// forget removes an account that was deleted: the store has done so by itself. The caller holds mu.
func (r *room) forget(t *server.Turn, user jid.JID) {
	delete(r.voice, user)
	delete(r.asking, user)
	if _, wears := r.wardrobe.worn[user]; wears {
		next := r.wardrobe.with()
		delete(next.worn, user)
		r.wardrobe = next
		if r.kept.Load() {
			r.commit(next.encode(r.jid)...)
		}
	}
	if _, known := r.people[user]; !known {
		return
	}
	r.put(user, person{affiliation: muc.Unaffiliated})
	for _, o := range r.order {
		if o.user == user {
			r.reaffiliate(t, o, news{})
		}
	}
}
