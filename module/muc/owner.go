// SPDX-License-Identifier: Apache-2.0

package muc

import (
	"slices"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/form"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/muc"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// How to read this file: ownerGet and ownerSet answer the two requests; configure goes the way of an edit
// (affiliation.go), with the options beside it; reconfigured is what occupants see of it; destroy ends the room.

// ownerGet answers the form of the room's configuration (§10.1.3, §10.2).
func (m *Module) ownerGet(_ *server.Turn, q *server.Query) (stanza.Payload, error) {
	var ask muc.OwnerQuery
	if _, err := q.Decode(&ask); err != nil {
		return nil, err
	}
	r, err := m.open(q.To.Bare())
	if err != nil {
		return nil, err
	}
	defer m.release(nil, r)
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.gone.Load():
		return nil, errNoRoom()
	case r.affiliationOf(q.From) != muc.Owner:
		return nil, errNotOwner()
	}
	c := m.config.Load()
	f := r.options.form(c.MaxOccupants, c.MaxHistory)
	f.Title = "Configuration of " + r.jid.String()
	f.Fields = append(f.Fields, r.peopleField(fieldAdmins, "Admins", muc.Admin), r.peopleField(fieldOwners, "Owners", muc.Owner))
	return &muc.OwnerQuery{Form: f}, nil
}

func errNotOwner() *stanza.Error { return stanza.Forbidden.Err("only owners may do that") }

// peopleField is all who are something to the room. The caller holds mu.
func (r *room) peopleField(name, label string, a muc.Affiliation) form.Field {
	f := form.Field{Var: name, Type: form.JIDMulti, Label: label}
	for user, p := range r.people {
		if p.affiliation == a {
			f.Values = append(f.Values, user.String())
		}
	}
	slices.Sort(f.Values)
	return f
}

// ownerSet configures the room, or destroys it.
func (m *Module) ownerSet(t *server.Turn, q *server.Query) (stanza.Payload, error) {
	var ask muc.OwnerQuery
	if _, err := q.Decode(&ask); err != nil {
		return nil, err
	}
	r, err := m.open(q.To.Bare())
	if err != nil {
		return nil, err
	}
	defer m.release(t, r)
	r.mu.Lock()
	owner, locked := r.affiliationOf(q.From) == muc.Owner, r.locked
	r.mu.Unlock()
	switch {
	case !owner:
		return nil, errNotOwner()
	case ask.Destroy != nil:
		return r.destroy(t, q, ask.Destroy)
	case ask.Form == nil:
		return nil, stanza.BadRequest.Err("there is nothing to change")
	case ask.Form.Type == form.Cancel && locked:
		return r.destroy(t, q, new(muc.Destroy)) // §10.1.3
	case ask.Form.Type == form.Cancel:
		return nil, nil
	}
	return r.configure(t, q, ask.Form)
}

// configure takes a submission (§10.1, §10.2). An empty one takes the room as it is.
func (r *room) configure(t *server.Turn, q *server.Query, f *form.Form) (stanza.Payload, error) {
	r.change.Lock()
	defer r.change.Unlock()
	next, e, err := r.configured(q.From.Bare(), f)
	if err != nil {
		return nil, err
	}
	ops, err := r.prepareOptions(next, e)
	if err != nil {
		return nil, err
	}
	if len(ops) > 0 {
		if err := r.keep(ops...); err != nil {
			return nil, err
		}
	}
	r.mu.Lock()
	if r.gone.Load() {
		r.mu.Unlock()
		return nil, errNoRoom()
	}
	was, locked := r.options, r.locked
	r.options, r.locked = next, false
	r.kept.Store(next.persistent)
	r.apply(t, e)
	if !locked {
		r.reconfigured(t, &was)
	}
	r.endEmpty()
	return nil, r.answerThen(t, q)
}

// configured reads a submission: the options to be, and who is to be owner and admin.
func (r *room) configured(from jid.JID, f *form.Form) (options, edit, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.gone.Load() {
		return options{}, edit{}, errNoRoom()
	}
	if r.affiliationOf(from) != muc.Owner {
		return options{}, edit{}, errNotOwner()
	}
	c := r.module.config.Load()
	next, err := r.options.submitted(f, c.MaxOccupants, c.MaxHistory)
	if err == nil {
		err = r.module.brief(next.name, next.description, next.lang, next.pubsub, next.password)
	}
	if err != nil {
		return next, edit{}, err
	}
	e := edit{quiet: true}
	less := muc.Admin // what owners become who are not in their list any more
	if f.Field(fieldAdmins) != nil {
		less = muc.Member // unless they are in that
	}
	for _, list := range []struct {
		field string
		a     muc.Affiliation
		less  muc.Affiliation // what they become who are not in it any more
	}{{fieldOwners, muc.Owner, less}, {fieldAdmins, muc.Admin, muc.Member}} {
		all, given, err := addresses(f, list.field)
		if err != nil {
			return next, e, err
		}
		if !given {
			continue
		}
		for user, p := range r.people {
			if p.affiliation == list.a && !slices.Contains(all, user) {
				e.changes = append(e.changes, change{user: user, affiliation: list.less})
			}
		}
		for _, user := range all {
			if user.IsDomain() {
				return next, e, stanza.NotAcceptable.Err("owners and admins are people")
			}
			e.changes = slices.DeleteFunc(e.changes, func(c change) bool { return c.user == user })
			if r.people[user].affiliation != list.a {
				e.changes = append(e.changes, change{user: user, affiliation: list.a})
			}
		}
	}
	return next, e, nil
}

// prepareOptions makes the operations that keep the room with its new options: nothing for a temporary one,
// all of it when it becomes persistent.
func (r *room) prepareOptions(next options, e edit) ([]store.Op, error) {
	ops, err := r.prepare(e)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case !next.persistent && r.kept.Load():
		return []store.Op{store.DeleteRoom{Room: r.jid}}, nil
	case !next.persistent:
		return nil, nil
	}
	first := []store.Op{store.SetRoom{Room: store.Room{
		JID: r.jid, Creator: r.creator, Created: r.created, Name: next.name, Public: next.public, Config: next.encode()}}}
	if r.kept.Load() {
		return append(first, ops...), nil
	}
	changed := make(map[jid.JID]change)
	for _, c := range e.changes {
		changed[c.user] = c
	}
	keep := func(user jid.JID, p person) {
		first = append(first, store.SetRoomAffiliation{Room: r.jid, Affiliation: store.RoomAffiliation{
			User: user, Affiliation: string(p.affiliation), Nick: p.nick, Reason: p.reason}})
	}
	for user, p := range r.people {
		if c, ok := changed[user]; ok {
			p = c.after(p)
			delete(changed, user)
		}
		keep(user, p)
	}
	for user, c := range changed {
		keep(user, c.after(person{}))
	}
	if r.subject != nil {
		first = append(first, store.SetRoomExtra{Room: r.jid, Name: extraSubject, Value: r.subject.Append(nil, stanza.NSClient)})
	}
	if r.vcard != nil {
		first = append(first, store.SetRoomExtra{Room: r.jid, Name: extraVCard, Value: r.vcard})
	}
	if len(r.wardrobe.hats) > 0 {
		first = append(first, r.wardrobe.encode(r.jid)...)
	}
	if len(first) > store.MaxCallOps {
		return nil, stanza.NotAcceptable.Err("the room has too many people to become persistent")
	}
	return first, nil
}

// reconfigured does what follows from new options: some have to go (§10.2), and all are told of it (§10.2.1).
// The caller holds mu.
func (r *room) reconfigured(t *server.Turn, was *options) {
	now := &r.options
	for _, o := range r.order {
		before := o.role
		switch {
		case now.membersOnly && o.affiliation.Level() < muc.Member.Level():
			r.remove(t, o, news{statuses: []int{muc.StatusMembersOnly}})
			continue
		case was.moderated && !now.moderated && o.role == muc.Visitor:
			o.setRole(muc.Participant)
			r.changed(t, o, before, news{})
		case was.broadcasts(o.role) != now.broadcasts(o.role):
			r.resight(t, o, now.broadcasts(o.role))
		}
	}
	var codes []int
	switch {
	case now.logging && !was.logging:
		codes = append(codes, muc.StatusLogging)
	case !now.logging && was.logging:
		codes = append(codes, muc.StatusNoLogging)
	}
	switch {
	case now.whois == whoisAnyone && was.whois != whoisAnyone:
		codes = append(codes, muc.StatusNowNonAnonymous)
	case now.whois != whoisAnyone && was.whois == whoisAnyone:
		codes = append(codes, muc.StatusNowSemiAnonymous)
	}
	if codes == nil || string(was.plain().encode()) != string(now.plain().encode()) {
		codes = append(codes, muc.StatusConfig)
	}
	r.tellStatus(t, codes...)
}

// plain is the options without those that have a status of their own.
func (o options) plain() *options {
	o.logging, o.whois = false, ""
	return &o
}

// resight shows an occupant to the others, or hides him. The caller holds mu.
func (r *room) resight(t *server.Turn, o *occupant, visible bool) {
	if visible {
		r.announce(t, o, news{})
		return
	}
	r.hide(t, o)
}

// tellStatus tells everybody of a change of the room. The caller holds mu.
func (r *room) tellStatus(t *server.Turn, codes ...int) {
	m := stanza.New(stanza.Message, stanza.Groupchat, jid.JID{}, &muc.User{Statuses: codes})
	m.From = r.jid
	m.Clip()
	r.tell(t, func(*session) *stanza.Stanza { return m })
}

// destroy ends the room (§10.9): everybody in it is told by one presence, his own.
func (r *room) destroy(t *server.Turn, q *server.Query, d *muc.Destroy) (stanza.Payload, error) {
	if err := r.module.brief(d.Reason, d.Password); err != nil {
		return nil, err
	}
	dirty, err := r.abolish(t, d, func() error {
		if r.affiliationOf(q.From) != muc.Owner {
			return errNotOwner()
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = q.Answer(t, nil)
	for _, o := range dirty {
		o.Run(t)
	}
	return nil, err
}

// abolish ends the room, if that is allowed, which is asked under mu. The caller runs what it returns.
func (r *room) abolish(t *server.Turn, d *muc.Destroy, allowed func() error) (dirty []*server.Outbox, err error) {
	r.change.Lock()
	defer r.change.Unlock()
	r.mu.Lock()
	kept, gone := r.kept.Load(), r.gone.Load()
	err = allowed()
	r.mu.Unlock()
	switch {
	case gone:
		return nil, errNoRoom()
	case err != nil:
		return nil, err
	}
	if kept {
		if err := r.keep(store.DeleteRoom{Room: r.jid}); err != nil {
			return nil, err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.end()
	r.kept.Store(false)
	r.empty(t, news{destroy: d})
	return r.take(), nil
}

// empty sends everybody away, each by his own presence alone. The caller holds mu.
func (r *room) empty(t *server.Turn, n news) {
	for _, o := range r.order {
		if n.destroy != nil {
			o.affiliation = muc.Unaffiliated // there is nothing any more to be affiliated with
		}
		x := r.shapes(o, unavailable(), muc.NoRole, &n)
		r.sendAll(t, o, x.self)
		for _, se := range o.sessions {
			r.drop(se)
		}
	}
}
