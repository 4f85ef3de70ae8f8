// SPDX-License-Identifier: Apache-2.0

package muc

import (
	"slices"
	"strings"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/muc"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// How to read this file: adminList and adminSet answer the two requests; mayRole and mayAffiliate are who may do
// what to whom, and maySeeList who may know it.

// adminList answers who has a role or an affiliation (§8.5, §9.2, §9.5, §9.8, §10.5, §10.8).
func (m *Module) adminList(_ *server.Turn, q *server.Query) (stanza.Payload, error) {
	var ask muc.AdminQuery
	if _, err := q.Decode(&ask); err != nil {
		return nil, err
	}
	r, err := m.open(q.To.Bare())
	if err != nil {
		return nil, err
	}
	defer m.release(nil, r)
	if len(ask.Items) != 1 || (ask.Items[0].Role == "") == (ask.Items[0].Affiliation == "") {
		return nil, stanza.BadRequest.Err("ask for one role or one affiliation")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.gone.Load() {
		return nil, errNoRoom()
	}
	if role := ask.Items[0].Role; role != "" {
		return r.listRole(q.From, role)
	}
	return r.listAffiliation(q.From, ask.Items[0].Affiliation)
}

// listRole is for moderators; who they are is for admins. The caller holds mu.
func (r *room) listRole(from jid.JID, role muc.Role) (stanza.Payload, error) {
	o := r.occupantOf(from)
	admin := r.affiliationOf(from).Level() >= muc.Admin.Level()
	if !admin && (o == nil || o.role != muc.Moderator || role == muc.Moderator) {
		return nil, stanza.Forbidden.Err("you may not see this list")
	}
	var answer muc.AdminQuery
	for _, o := range r.order {
		if o.role == role {
			answer.Items = append(answer.Items, muc.Item{Affiliation: o.affiliation, JID: o.shown.jid, Nick: o.nick, Role: o.role})
		}
	}
	return &answer, nil
}

// listAffiliation is for those who maySeeList. The caller holds mu.
func (r *room) listAffiliation(from jid.JID, a muc.Affiliation) (stanza.Payload, error) {
	if a == muc.Unaffiliated {
		return nil, stanza.BadRequest.Err("there is no list of those who are nobody")
	}
	if !r.maySeeList(from, a) {
		return nil, stanza.Forbidden.Err("you may not see this list")
	}
	var answer muc.AdminQuery
	for user, p := range r.people {
		if p.affiliation == a {
			answer.Items = append(answer.Items, muc.Item{Affiliation: a, JID: user, Nick: p.nick, Reason: p.reason})
		}
	}
	slices.SortFunc(answer.Items, func(x, y muc.Item) int { return strings.Compare(x.JID.String(), y.JID.String()) })
	return &answer, nil
}

// maySeeList: admins see all lists but those of owners and admins in a semi-anonymous room (§10.5, §10.8). In
// a non-anonymous room whoever belongs to it or is in it sees who else does (§9.5); more by the
// option getmemberlist, where addresses are no secret. The caller holds mu.
func (r *room) maySeeList(from jid.JID, a muc.Affiliation) bool {
	own := r.affiliationOf(from)
	o := r.occupantOf(from)
	switch {
	case own == muc.Owner:
		return true
	case a == muc.Outcast:
		return own == muc.Admin
	case r.options.whois == whoisAnyone && (own.Level() >= muc.Member.Level() || o != nil):
		return true
	case a == muc.Member && own == muc.Admin:
		return true
	case a != muc.Member || own == muc.Outcast:
		return false
	}
	list := r.options.memberList
	return o != nil && slices.Contains(list, string(o.role)) || own == muc.Member && slices.Contains(list, "member")
}

// adminSet changes roles or affiliations (§8, §9, §10), all that is asked for or nothing.
func (m *Module) adminSet(t *server.Turn, q *server.Query) (stanza.Payload, error) {
	var ask muc.AdminQuery
	if _, err := q.Decode(&ask); err != nil {
		return nil, err
	}
	r, err := m.open(q.To.Bare())
	if err != nil {
		return nil, err
	}
	defer m.release(t, r)
	if len(ask.Items) == 0 {
		return nil, stanza.BadRequest.Err("there is nothing to change")
	}
	roles := ask.Items[0].Role != ""
	for _, i := range ask.Items {
		switch {
		case (i.Role == "") == (i.Affiliation == ""): // §17.4
			return nil, stanza.BadRequest.Err("change a role or an affiliation")
		case (i.Role != "") != roles:
			return nil, stanza.BadRequest.Err("change roles or affiliations, not both at once")
		}
		if err := m.brief(i.Reason); err != nil {
			return nil, err
		}
	}
	if roles {
		return r.setRoles(t, q, ask.Items)
	}
	return r.setAffiliations(t, q, ask.Items)
}

// setRoles kicks, and gives and takes voice and moderation (§8.2 to §8.5, §9.6 to §9.8).
func (r *room) setRoles(t *server.Turn, q *server.Query, items []muc.Item) (stanza.Payload, error) {
	r.mu.Lock()
	if r.gone.Load() {
		r.mu.Unlock()
		return nil, errNoRoom()
	}
	actor := r.occupantOf(q.From)
	for _, i := range items {
		if err := r.mayRole(q.From, actor, i); err != nil {
			r.mu.Unlock()
			return nil, err
		}
	}
	var by *muc.Actor
	if actor != nil {
		by = &muc.Actor{Nick: actor.nick}
	}
	for _, i := range items {
		o, n := r.called(i.Nick), news{actor: by, reason: i.Reason}
		switch {
		case o == nil: // named twice, and kicked
		case i.Role == muc.NoRole:
			n.statuses = []int{muc.StatusKicked}
			r.remove(t, o, n)
		default:
			r.give(t, o, i.Role, n)
		}
	}
	r.endEmpty()
	return nil, r.answerThen(t, q)
}

// answerThen lets go of mu, answers, and lets others hear of it then (§8.2).
func (r *room) answerThen(t *server.Turn, q *server.Query) error {
	dirty := r.take()
	r.mu.Unlock()
	err := q.Answer(t, nil)
	for _, o := range dirty {
		o.Run(t)
	}
	return err
}

// mayRole says why somebody may not give that role. The caller holds mu.
func (r *room) mayRole(from jid.JID, actor *occupant, i muc.Item) error {
	own := r.affiliationOf(from)
	admin := own.Level() >= muc.Admin.Level()
	if !admin && (actor == nil || actor.role != muc.Moderator) {
		return stanza.Forbidden.Err("only moderators may do that")
	}
	if i.Nick == "" {
		return stanza.BadRequest.Err("roles are of nicks")
	}
	o := r.called(i.Nick)
	if o == nil {
		return stanza.ItemNotFound.Err("nobody has that nick")
	}
	switch {
	case i.Role == o.role:
		return nil
	case i.Role == muc.NoRole && o == actor:
		return nil // §8.2: he may mean it
	case i.Role == muc.NoRole && (o.affiliation.Level() > own.Level() || o.role == muc.Moderator && !admin):
		return stanza.NotAllowed.Err("you may not kick this person")
	case i.Role == muc.NoRole:
		return nil
	case o.affiliation.Level() >= muc.Admin.Level() && i.Role != muc.Moderator:
		return stanza.NotAllowed.Err("the role of an admin or owner cannot be taken") // §8.4, §9.7
	case (i.Role == muc.Moderator || o.role == muc.Moderator) && !admin:
		return stanza.Forbidden.Err("only admins make and unmake moderators") // §9
	case i.Role == muc.Visitor && o.affiliation.Level() > 0 && o.affiliation.Level() >= own.Level():
		return stanza.NotAllowed.Err("you may not take the voice of this person") // §8.4
	}
	return nil
}

// setAffiliations makes and unmakes outcasts, members, admins and owners (§9.1 to §9.5, §10.3 to §10.8).
func (r *room) setAffiliations(t *server.Turn, q *server.Query, items []muc.Item) (stanza.Payload, error) {
	var answered error
	e := edit{}
	r.mu.Lock()
	for _, i := range items {
		c := change{user: i.JID.Bare(), affiliation: i.Affiliation, reason: i.Reason}
		o := r.called(i.Nick)
		switch {
		case i.JID.IsZero() && o == nil:
			r.mu.Unlock()
			return nil, stanza.BadRequest.Err("affiliations are of addresses")
		case i.JID.IsZero(): // COMPAT(clients that know only the nick, 2024)
			c.user = o.user
		case i.ClearNick:
			c.nick = new(string)
		case i.Nick != "":
			nick, err := r.module.prepared(i.Nick)
			if err != nil {
				r.mu.Unlock()
				return nil, err
			}
			c.nick = &nick
		}
		e.changes = append(e.changes, c)
	}
	if o := r.occupantOf(q.From); o != nil {
		e.by = &muc.Actor{Nick: o.nick}
	}
	r.mu.Unlock()
	e.allowed = func() error {
		for _, c := range e.changes {
			if err := r.mayAffiliate(q.From.Bare(), c); err != nil {
				return err
			}
		}
		return nil
	}
	e.done = func() { answered = q.Answer(t, nil) }
	if err := r.affiliate(t, e); err != nil {
		return nil, err
	}
	return nil, answered
}

// mayAffiliate says why somebody may not make that change. The caller holds mu.
func (r *room) mayAffiliate(from jid.JID, c change) error {
	own, was := r.affiliationOf(from), r.people[c.user].affiliation
	switch {
	case own.Level() < muc.Admin.Level():
		return stanza.Forbidden.Err("only admins may do that")
	case c.affiliation.Level() >= muc.Admin.Level() && own != muc.Owner:
		return stanza.Forbidden.Err("only owners make admins and owners")
	case c.affiliation == muc.Outcast && c.user == from:
		return stanza.Conflict.Err("you cannot ban yourself") // §9.1
	case c.user == from:
		return nil // but for the last owner
	case was.Level() >= muc.Admin.Level() && own != muc.Owner && c.affiliation == muc.Outcast:
		return stanza.NotAllowed.Err("you may not ban an admin or owner") // §9.1
	case was.Level() >= muc.Admin.Level() && own != muc.Owner:
		return stanza.Forbidden.Err("only owners unmake admins and owners") // §10.4, §10.7
	case c.user.IsDomain() && c.affiliation != muc.Outcast && c.affiliation != muc.Unaffiliated:
		return stanza.NotAcceptable.Err("a domain can be banned, no more")
	}
	return nil
}
