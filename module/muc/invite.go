// SPDX-License-Identifier: Apache-2.0

package muc

import (
	"context"
	"errors"
	"fmt"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/muc"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// maxInvites is how many one message may have.
const maxInvites = 50

// invite passes invitations on (§7.8.2). Into a room for members only they make members, so that only those
// may invite who may do that, or whom the owner lets.
func (r *room) invite(t *server.Turn, s *stanza.Stanza, u *muc.User) error {
	r.mu.Lock()
	err := r.mayInvite(s.From, u.Invites)
	r.mu.Unlock()
	if err != nil {
		return err
	}
	return r.offLoop(t, s, func(t *server.Turn, s *stanza.Stanza) error {
		for _, i := range u.Invites {
			if err := r.module.known(i.To.Bare()); err != nil {
				return err
			}
		}
		if err := r.welcome(t, s.From, u.Invites); err != nil {
			return err
		}
		r.mu.Lock()
		defer r.unlock(t)
		if o := r.occupantOf(s.From); o != nil {
			r.invited(t, o, u.Invites)
		}
		return nil
	})
}

// mayInvite says why somebody may not. The caller holds mu.
func (r *room) mayInvite(from jid.JID, all []muc.Invite) error {
	o, affiliation := r.occupantOf(from), r.affiliationOf(from)
	switch {
	case r.gone.Load(), r.locked:
		return errNoRoom()
	case o == nil:
		return stanza.NotAcceptable.Err("you are not in this room")
	case r.options.membersOnly && affiliation.Level() < muc.Admin.Level() && !(r.options.allowInvites && affiliation == muc.Member),
		!r.options.membersOnly && o.role == muc.Visitor && !r.options.allowInvites:
		return stanza.Forbidden.Err("you may not invite others to this room")
	case len(all) > maxInvites:
		return stanza.PolicyViolation.Err("too many invitations at once")
	}
	for _, i := range all {
		if i.To.IsZero() || i.To.IsDomain() {
			return stanza.ItemNotFound.Err("an invitation is for somebody")
		}
		if r.affiliationOf(i.To) == muc.Outcast {
			return stanza.NotAllowed.Err("who is invited is banned from this room")
		}
	}
	return nil
}

// known refuses an account of ours that does not exist (§7.8.2). It may wait.
func (m *Module) known(user jid.JID) error {
	if !m.local(user) {
		return nil
	}
	if u, release, ok := m.server.Lookup(user); ok {
		online := u.Online()
		release()
		if online {
			return nil
		}
	}
	_, err := m.store.Account(context.Background(), user)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return stanza.ItemNotFound.Err("there is nobody of that address")
	case err != nil:
		return fmt.Errorf("muc: account %s: %w", user, err)
	}
	return nil
}

// welcome makes members of those who are invited, where that is what an invitation does. It may wait.
func (r *room) welcome(t *server.Turn, from jid.JID, all []muc.Invite) error {
	r.mu.Lock()
	var add []change
	for _, i := range all {
		if r.options.membersOnly && r.affiliationOf(i.To) == muc.Unaffiliated {
			add = append(add, change{user: i.To.Bare(), affiliation: muc.Member})
		}
	}
	r.mu.Unlock()
	if len(add) == 0 {
		return nil
	}
	return r.affiliate(t, edit{changes: add, quiet: true, allowed: func() error { return r.mayInvite(from, all) }})
}

// invited sends the invitations, in the occupant's name in the room. The caller holds mu.
func (r *room) invited(t *server.Turn, o *occupant, all []muc.Invite) {
	for _, i := range all {
		r.post(t, r.invitation(o.at, i))
	}
}

// invitation invites somebody for from. The caller holds mu.
func (r *room) invitation(from jid.JID, i muc.Invite) *stanza.Stanza {
	to := i.To.Clone()
	i.From, i.To = from, jid.JID{}
	m := stanza.New(stanza.Message, stanza.Normal, to, &muc.User{Invites: []muc.Invite{i}, Password: r.options.password},
		&muc.Conference{JID: r.jid, Password: r.options.password, Reason: i.Reason}) // COMPAT(clients that know direct invitations only, 2024)
	m.From = r.jid
	return m
}

// decline tells the inviter that somebody will not come. He may be named by his nick here or his address,
// and must be in the room: it does not carry messages to others. Who declines is not told whether he is, or anybody could
// find out who is in the room.
func (r *room) decline(t *server.Turn, s *stanza.Stanza, d *muc.Decline) error {
	r.mu.Lock()
	defer r.unlock(t)
	if r.affiliationOf(s.From) == muc.Outcast {
		return stanza.Forbidden.Err("you are banned from this room")
	}
	var to []*session
	if d.To.Bare() == r.jid {
		if o := r.called(d.To.Resource()); o != nil {
			to = o.sessions
		}
	} else {
		for _, se := range r.list {
			if se.jid == d.To || se.who.user == d.To {
				to = append(to, se)
			}
		}
	}
	m := stanza.New(stanza.Message, stanza.Normal, jid.JID{}, &muc.User{Decline: &muc.Decline{From: s.From.Bare().Clone(), Reason: d.Reason}})
	m.From = r.jid
	for _, se := range to {
		r.send(t, se, m)
	}
	return nil
}
