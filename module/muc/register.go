// SPDX-License-Identifier: Apache-2.0

package muc

import (
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/xmpp/form"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/muc"
	"github.com/stonechat-im/stonechat/xmpp/register"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// How to read this file: registerGet and registerSet answer the two requests; ask, decideRegister and decided are the
// way by an admin.

// registerForm is what is asked of those who want to become members (§7.10).
func (r *room) registerForm() *form.Form {
	return &form.Form{
		Type: form.Ask, Title: "Registration with " + r.jid.String(),
		Instructions: []string{"Choose the nick that is to be yours in this room."},
		Fields: []form.Field{
			{Var: form.VarFormType, Type: form.Hidden, Values: []string{muc.FormRegister}},
			{Var: registerNick, Type: form.TextSingle, Label: "Nick", Required: true},
		},
	}
}

// mayRegister says why somebody may not ask to become a member. The caller holds mu.
func (r *room) mayRegister(from jid.JID) error {
	switch {
	case r.gone.Load(), r.locked:
		return errNoRoom()
	case !r.module.config.Load().Registration:
		return stanza.ServiceUnavailable.Err("rooms here have no registration")
	case r.affiliationOf(from) == muc.Outcast:
		return stanza.NotAllowed.Err("you are banned from this room")
	case !r.options.register && r.affiliationOf(from).Level() < muc.Member.Level():
		return stanza.NotAllowed.Err("admins choose the members of this room")
	}
	return nil
}

// registerGet answers what it takes, or what is registered (§7.10).
func (m *Module) registerGet(_ *server.Turn, q *server.Query) (stanza.Payload, error) {
	r, err := m.open(q.To.Bare())
	if err != nil {
		return nil, err
	}
	defer m.release(nil, r)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.mayRegister(q.From); err != nil {
		return nil, err
	}
	if p, ok := r.people[q.From.Bare()]; ok && p.nick != "" {
		return &register.Query{Registered: true, Fields: []register.Field{{Name: register.Username, Value: p.nick}}}, nil
	}
	return &register.Query{Instructions: "Choose the nick that is to be yours in this room.", Form: r.registerForm()}, nil
}

// registerSet registers somebody: at once where that gives him nothing but the nick, else when an admin agrees.
func (m *Module) registerSet(t *server.Turn, q *server.Query) (stanza.Payload, error) {
	var got register.Query
	if _, err := q.Decode(&got); err != nil {
		return nil, err
	}
	r, err := m.open(q.To.Bare())
	if err != nil {
		return nil, err
	}
	defer m.release(t, r)
	user := q.From.Bare()
	if got.Remove {
		return r.unregister(t, q)
	}
	r.mu.Lock()
	err = r.mayRegister(q.From)
	nick, p, member := "", r.people[user], r.affiliationOf(user).Level() >= muc.Member.Level()
	wait := !member && (r.options.membersOnly || r.options.moderated || r.options.password != "")
	if err == nil {
		nick, err = r.registered(&got)
	}
	if err == nil {
		err = r.mayReserve(nick, user)
	}
	if err == nil && wait {
		err = r.ask(t, user, nick)
	}
	r.unlock(t)
	if err != nil || wait {
		return nil, err
	}
	c := change{user: user, affiliation: p.affiliation, nick: &nick, reason: p.reason}
	if !member {
		c.affiliation = muc.Member
	}
	return r.registerNow(t, q, c)
}

// registerNow makes the change and answers before others are told.
func (r *room) registerNow(t *server.Turn, q *server.Query, c change) (stanza.Payload, error) {
	var answered error
	err := r.affiliate(t, edit{
		changes: []change{c}, quiet: true,
		allowed: func() error {
			p, known := r.people[c.user]
			if p.affiliation == muc.Outcast || p.affiliation.Level() > c.affiliation.Level() {
				return stanza.Conflict.Err("what you are to the room has changed meanwhile")
			}
			// The last tenth is for those whom admins choose, and ban.
			if most := r.module.config.Load().MaxAffiliations; !known && len(r.people) >= most-most/10 {
				return r.module.limited("max_affiliations", stanza.ResourceConstraint.Err("too many people belong to this room"))
			}
			return r.mayReserve(*c.nick, c.user)
		},
		done: func() { answered = q.Answer(t, nil) },
	})
	if err != nil {
		return nil, err
	}
	return nil, answered
}

// unregister gives the nick up, and membership with it.
func (r *room) unregister(t *server.Turn, q *server.Query) (stanza.Payload, error) {
	var answered error
	user := q.From.Bare()
	r.mu.Lock()
	p := r.people[user]
	r.mu.Unlock()
	if p.affiliation != muc.Member && p.nick == "" {
		return nil, stanza.RegistrationRequired.Err("you are not registered with this room")
	}
	c := change{user: user, affiliation: p.affiliation, nick: new(string), reason: p.reason}
	if p.affiliation == muc.Member {
		c.affiliation = muc.Unaffiliated
	}
	err := r.affiliate(t, edit{changes: []change{c}, done: func() { answered = q.Answer(t, nil) }, allowed: func() error {
		if r.people[user].affiliation != p.affiliation {
			return stanza.Conflict.Err("what you are to the room has changed meanwhile")
		}
		return nil
	}})
	if err != nil {
		return nil, err
	}
	return nil, answered
}

// registered is the nick that was asked for, prepared. The caller holds mu.
func (r *room) registered(got *register.Query) (string, error) {
	if got.Form == nil {
		return "", stanza.BadRequest.Err("fill in the form") // §7.10
	}
	if err := r.registerForm().Validate(got.Form); err != nil {
		return "", stanza.BadRequest.Err("fill in the form")
	}
	return r.module.prepared(got.Form.Get(registerNick))
}

// prepared is a nick that is to be reserved, as it is in addresses.
func (m *Module) prepared(nick string) (string, error) {
	nick, err := jid.PrepareResource(nick)
	if err != nil || blank(nick) || len(nick) > m.config.Load().NickBytes {
		return "", stanza.NotAcceptable.Err("the nick has characters that are not allowed")
	}
	return nick, nil
}

// mayReserve says that a nick is somebody else's, for good or now. The caller holds mu.
func (r *room) mayReserve(nick string, user jid.JID) error {
	if nick == "" {
		return nil
	}
	if owner, ok := r.reserved[fold(nick)]; ok && owner != user {
		return stanza.Conflict.Err("the nick is somebody's")
	}
	if o := r.nicks[fold(nick)]; o != nil && o.user != user {
		return stanza.Conflict.Err("the nick is taken")
	}
	return nil
}

// ask asks the admins whether somebody may become a member (§9.9). The caller holds mu.
func (r *room) ask(t *server.Turn, user jid.JID, nick string) error {
	if _, again := r.asking[user]; !again && len(r.asking) >= r.module.config.Load().MaxRequests {
		return r.module.limited("max_requests", stanza.ResourceConstraint.Err("too many people wait to become members"))
	}
	if err := r.mayAsk(user, muc.FormRegister); err != nil {
		return err
	}
	if r.asking == nil {
		r.asking = make(map[jid.JID]string)
	}
	r.asking[user.Clone()] = nick
	for to, p := range r.people {
		if p.affiliation.Level() < muc.Admin.Level() {
			continue
		}
		m := stanza.New(stanza.Message, stanza.Normal, to, &form.Form{
			Type: form.Ask, Title: "Request to become a member of " + r.jid.String(),
			Instructions: []string{"To make this person a member, tick the last field."},
			Fields: []form.Field{
				{Var: form.VarFormType, Type: form.Hidden, Values: []string{muc.FormRegister}},
				{Var: registerJID, Type: form.JIDSingle, Label: "Address", Values: []string{user.String()}},
				{Var: registerNick, Type: form.TextSingle, Label: "Nick", Values: []string{nick}},
				{Var: registerAllow, Type: form.Boolean, Label: "Let this person become a member?", Values: []string{"0"}},
			},
		})
		m.From = r.jid
		r.post(t, m)
	}
	return nil
}

// decideRegister takes an admin's decision (§9.9).
func (r *room) decideRegister(t *server.Turn, s *stanza.Stanza, f *form.Form) error {
	user, err := jid.Parse(f.Get(registerJID))
	allow, ok := f.Field(registerAllow).Bool()
	if err != nil || !ok {
		return stanza.BadRequest.Err("the decision names nobody, or decides nothing")
	}
	user, nick := user.Bare(), f.Get(registerNick)
	return r.offLoop(t, s, func(t *server.Turn, s *stanza.Stanza) error { return r.decided(t, s, user, nick, allow) })
}

// decided carries a decision out. What was asked while nobody was in the room it does not know any more: then the nick is the one
// that the form had.
func (r *room) decided(t *server.Turn, s *stanza.Stanza, user jid.JID, nick string, allow bool) (err error) {
	r.mu.Lock()
	admin := r.affiliationOf(s.From).Level() >= muc.Admin.Level()
	wanted, asked := r.asking[user]
	if admin {
		delete(r.asking, user)
	}
	r.mu.Unlock()
	switch {
	case !admin:
		return stanza.Forbidden.Err("only admins decide on members")
	case !asked && nick == "":
		return stanza.ItemNotFound.Err("this person does not ask to become a member")
	case !allow:
		return nil
	case asked:
		nick = wanted
	}
	if nick, err = r.module.prepared(nick); err != nil {
		return err
	}
	return r.affiliate(t, edit{changes: []change{{user: user, affiliation: muc.Member, nick: &nick}}, allowed: func() error {
		if r.people[user].affiliation.Level() != 0 {
			return stanza.Conflict.Err("what this person is to the room has changed meanwhile")
		}
		return r.mayReserve(nick, user)
	}})
}
