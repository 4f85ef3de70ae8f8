// SPDX-License-Identifier: Apache-2.0

package muc

import (
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/xmpp/form"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/muc"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// Fields of the forms of requests (§15.5.1, §15.5.2).
const (
	requestRole  = "muc#role"
	requestJID   = "muc#jid"
	requestNick  = "muc#roomnick"
	requestAllow = "muc#request_allow"

	registerNick  = "muc#register_roomnick"
	registerAllow = "muc#register_allow"
	registerJID   = "muc#register_jid" // ours: whom the decision is about
)

// decide takes a form: a visitor's request for voice (§7.13), a moderator's decision on one (§8.6), an admin's
// on a request to be a member (§9.9).
func (r *room) decide(t *server.Turn, s *stanza.Stanza) error {
	var f form.Form
	switch found, err := s.Decode(&f); {
	case err != nil:
		return err
	case !found:
		return stanza.BadRequest.Err("messages to a room are of type groupchat")
	}
	if f.Type == form.Cancel {
		return nil
	}
	switch f.FormType() {
	case muc.FormRequest:
		return r.voiceForm(t, s, &f)
	case muc.FormRegister:
		return r.decideRegister(t, s, &f)
	}
	return stanza.BadRequest.Err("the room does not know this form")
}

func (r *room) voiceForm(t *server.Turn, s *stanza.Stanza, f *form.Form) error {
	r.mu.Lock()
	defer r.unlock(t)
	o := r.occupantOf(s.From)
	if o == nil {
		return stanza.NotAcceptable.Err("you are not in this room")
	}
	allow, decided := f.Field(requestAllow).Bool()
	if !decided {
		return r.askVoice(t, o, f)
	}
	if o.role != muc.Moderator {
		return stanza.Forbidden.Err("only moderators give voice")
	}
	to := r.called(f.Get(requestNick))
	switch {
	case to == nil:
		return stanza.ItemNotFound.Err("nobody has that nick")
	case !allow || to.role != muc.Visitor:
		return nil
	}
	r.give(t, to, muc.Participant, news{})
	return nil
}

// askVoice asks all moderators. The caller holds mu.
func (r *room) askVoice(t *server.Turn, o *occupant, f *form.Form) error {
	if f.Get(requestRole) != string(muc.Participant) {
		return stanza.BadRequest.Err("voice is the role participant")
	}
	if o.role != muc.Visitor {
		return stanza.NotAllowed.Err("you have voice")
	}
	if err := r.mayAsk(o.user, muc.FormRequest); err != nil {
		return err
	}
	m := stanza.New(stanza.Message, stanza.Normal, jid.JID{}, &form.Form{
		Type: form.Ask, Title: "Request for voice",
		Instructions: []string{"To let this person speak, tick the last field."},
		Fields: []form.Field{
			{Var: form.VarFormType, Type: form.Hidden, Values: []string{muc.FormRequest}},
			{Var: requestRole, Type: form.ListSingle, Label: "Requested role", Values: []string{string(muc.Participant)},
				Options: []form.Option{{Label: "Participant", Value: string(muc.Participant)}}},
			{Var: requestJID, Type: form.JIDSingle, Label: "Address", Values: []string{o.shown.jid.String()}},
			{Var: requestNick, Type: form.TextSingle, Label: "Nick", Values: []string{o.nick}},
			{Var: requestAllow, Type: form.Boolean, Label: "Give voice to this person?", Values: []string{"0"}},
		},
	})
	m.From = r.jid
	m.Clip()
	for _, other := range r.order {
		if other.role == muc.Moderator {
			r.sendAll(t, other, m)
		}
	}
	return nil
}

// give changes a role, remembers it for when the occupant comes again, and tells everybody. The caller holds
// mu.
func (r *room) give(t *server.Turn, o *occupant, role muc.Role, n news) {
	before := o.role
	if before == role {
		return
	}
	o.setRole(role)
	r.remember(o.user, role)
	r.changed(t, o, before, n)
}

// remember keeps a decision on somebody's voice for as long as the room is in memory; in a room of many
// decisions the room forgets them all. The caller holds mu.
func (r *room) remember(user jid.JID, role muc.Role) {
	if r.voice == nil || len(r.voice) >= r.module.config.Load().MaxOccupants {
		r.voice = make(map[jid.JID]muc.Role)
	}
	delete(r.voice, user)
	if role == muc.Participant || role == muc.Visitor {
		r.voice[user] = role
	}
}

// changed tells everybody of an occupant's new role or affiliation. Who goes out of sight of the others by
// it is shown to go. The caller holds mu.
func (r *room) changed(t *server.Turn, o *occupant, before muc.Role, n news) {
	if r.options.broadcasts(before) && !r.options.broadcasts(o.role) {
		r.hide(t, o)
	}
	r.announce(t, o, n)
}
