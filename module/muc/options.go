// SPDX-License-Identifier: Apache-2.0

package muc

import (
	"slices"
	"strconv"

	"github.com/stonechat-im/stonechat/xmpp/form"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/muc"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// options are what the owner of a room has decided (§15.5.3). They are kept as the form that is submitted
// for them, so that a room outlives fields that come and go.
type options struct {
	name, description, lang, pubsub string

	password      string // "": none is needed
	persistent    bool
	public        bool
	membersOnly   bool
	moderated     bool
	changeSubject bool // by whoever may speak
	allowInvites  bool // by members, into a room for members only
	logging       bool // says the owner, of a public archive elsewhere
	archive       bool // what is said is kept, where there is an archive
	register      bool // people may ask to become members
	whois         string
	allowPM       string
	memberList    []string // roles and affiliations that may see it besides admins
	silent        []muc.Role
	maxUsers      int
	history       int
}

// The fields (§15.5.3), and two that are not there: one that others have too, and one of ours.
const (
	fieldName          = "muc#roomconfig_roomname"
	fieldDescription   = "muc#roomconfig_roomdesc"
	fieldLang          = "muc#roomconfig_lang"
	fieldPubSub        = "muc#roomconfig_pubsub"
	fieldPersistent    = "muc#roomconfig_persistentroom"
	fieldPublic        = "muc#roomconfig_publicroom"
	fieldMembersOnly   = "muc#roomconfig_membersonly"
	fieldModerated     = "muc#roomconfig_moderatedroom"
	fieldProtected     = "muc#roomconfig_passwordprotectedroom"
	fieldPassword      = "muc#roomconfig_roomsecret"
	fieldWhois         = "muc#roomconfig_whois"
	fieldMaxUsers      = "muc#roomconfig_maxusers"
	fieldChangeSubject = "muc#roomconfig_changesubject"
	fieldAllowInvites  = "muc#roomconfig_allowinvites"
	fieldAllowPM       = "muc#roomconfig_allowpm"
	fieldLogging       = "muc#roomconfig_enablelogging"
	fieldMemberList    = "muc#roomconfig_getmemberlist"
	fieldBroadcast     = "muc#roomconfig_presencebroadcast"
	fieldHistory       = "muc#maxhistoryfetch"
	fieldAdmins        = "muc#roomconfig_roomadmins"
	fieldOwners        = "muc#roomconfig_roomowners"
	fieldArchive       = "muc#roomconfig_enablearchiving"
	fieldRegister      = "allow_registration"
)

// Who may know addresses, and who may send private messages.
const (
	whoisAnyone     = "anyone"
	whoisModerators = "moderators"

	pmAnyone       = "anyone"
	pmParticipants = "participants"
	pmModerators   = "moderators"
	pmNone         = "none"
)

// defaults are the options of a new room.
func (m *Module) defaults() options {
	c := m.config.Load()
	o := options{
		persistent: c.Default.Persistent, public: c.Default.Public, membersOnly: c.Default.MembersOnly,
		moderated: c.Default.Moderated, whois: whoisModerators, allowPM: pmAnyone,
		maxUsers: c.MaxOccupants, history: min(c.Default.History, c.MaxHistory), register: true, archive: true,
	}
	if c.Default.NonAnonymous {
		o.whois = whoisAnyone
	}
	return o
}

// broadcasts reports whether the presence of those with a role is told to others.
func (o *options) broadcasts(role muc.Role) bool { return !slices.Contains(o.silent, role) }

func options1(values ...string) (all []form.Option) {
	for i := 0; i < len(values); i += 2 {
		all = append(all, form.Option{Label: values[i], Value: values[i+1]})
	}
	return all
}

// form is the form that an owner is asked to fill in, or what he has: admins and owners are added to it.
func (o *options) form(most, mostHistory int) *form.Form {
	text := func(name, label, value string) form.Field {
		return form.Field{Var: name, Type: form.TextSingle, Label: label, Values: []string{value}}
	}
	flag := func(name, label string, value bool) form.Field {
		f := form.Bool(name, value)
		f.Label = label
		return f
	}
	list := func(name, label string, typ form.FieldType, choices []form.Option, values ...string) form.Field {
		return form.Field{Var: name, Label: label, Type: typ, Options: choices, Values: values}
	}
	var loud []string
	for _, role := range []muc.Role{muc.Moderator, muc.Participant, muc.Visitor} {
		if o.broadcasts(role) {
			loud = append(loud, string(role))
		}
	}
	roles := options1("Moderators", "moderator", "Participants", "participant", "Visitors", "visitor")
	password := form.Field{Var: fieldPassword, Type: form.TextPrivate, Label: "Password", Values: []string{o.password}}
	return form.New(form.Ask, muc.FormConfig,
		text(fieldName, "Name", o.name),
		text(fieldDescription, "Description", o.description),
		text(fieldLang, "Language of the discussion", o.lang),
		flag(fieldPersistent, "The room stays when everybody has left", o.persistent),
		flag(fieldPublic, "Everybody can find the room", o.public),
		flag(fieldMembersOnly, "Only members may enter", o.membersOnly),
		flag(fieldModerated, "Only those with voice may speak", o.moderated),
		flag(fieldProtected, "A password is needed to enter", o.password != ""),
		password,
		list(fieldWhois, "Who sees the addresses of those in the room", form.ListSingle,
			options1("Moderators", whoisModerators, "Anyone", whoisAnyone), o.whois),
		text(fieldMaxUsers, "Most people in the room, up to "+strconv.Itoa(most), strconv.Itoa(o.maxUsers)),
		flag(fieldChangeSubject, "Whoever may speak may change the subject", o.changeSubject),
		flag(fieldAllowInvites, "Members may invite others", o.allowInvites),
		list(fieldAllowPM, "Who may send private messages", form.ListSingle,
			options1("Anyone", pmAnyone, "Those with voice", pmParticipants, "Moderators", pmModerators, "Nobody", pmNone), o.allowPM),
		list(fieldBroadcast, "Whose presence others see", form.ListMulti, roles, loud...),
		list(fieldMemberList, "Who may see the list of members", form.ListMulti,
			append(roles, options1("Members", "member", "Nobody but admins", "none")...), o.memberList...),
		flag(fieldLogging, "What is said here is published", o.logging),
		text(fieldPubSub, "Node that goes with the room (XMPP URI)", o.pubsub),
		text(fieldHistory, "Messages sent to those who enter, up to "+strconv.Itoa(mostHistory), strconv.Itoa(o.history)),
		flag(fieldArchive, "What is said here is kept, for those who may enter", o.archive),
		flag(fieldRegister, "People may ask to become members", o.register),
	)
}

// submitted are the options after a submission, in which what is missing stays as it is.
func (o options) submitted(f *form.Form, most, mostHistory int) (options, error) {
	if err := o.form(most, mostHistory).Validate(f); err != nil {
		return o, err
	}
	text := func(name string, into *string) {
		if x := f.Field(name); x != nil {
			*into = x.First()
		}
	}
	flag := func(name string, into *bool) {
		if v, ok := f.Field(name).Bool(); ok {
			*into = v
		}
	}
	text(fieldName, &o.name)
	text(fieldLang, &o.lang)
	text(fieldPubSub, &o.pubsub)
	if x := f.Field(fieldDescription); x != nil {
		o.description = x.Text()
	}
	flag(fieldPersistent, &o.persistent)
	flag(fieldPublic, &o.public)
	flag(fieldMembersOnly, &o.membersOnly)
	flag(fieldModerated, &o.moderated)
	flag(fieldChangeSubject, &o.changeSubject)
	flag(fieldAllowInvites, &o.allowInvites)
	flag(fieldLogging, &o.logging)
	flag(fieldArchive, &o.archive)
	flag(fieldRegister, &o.register)
	for name, into := range map[string]*string{fieldWhois: &o.whois, fieldAllowPM: &o.allowPM} {
		if v := f.Get(name); v != "" {
			*into = v
		}
	}
	if x := f.Field(fieldMemberList); x != nil {
		o.memberList = slices.DeleteFunc(slices.Clone(x.Values), func(v string) bool { return v == "none" || v == "" })
	}
	if x := f.Field(fieldBroadcast); x != nil {
		o.silent = nil
		for _, role := range []muc.Role{muc.Moderator, muc.Participant, muc.Visitor} {
			if !slices.Contains(x.Values, string(role)) {
				o.silent = append(o.silent, role)
			}
		}
	}
	if err := number(f, fieldMaxUsers, 1, most, &o.maxUsers); err != nil {
		return o, err
	}
	if err := number(f, fieldHistory, 0, mostHistory, &o.history); err != nil {
		return o, err
	}
	return o, o.protect(f)
}

// protect sets the password: a room that needs one must have one (§10.1.3).
func (o *options) protect(f *form.Form) error {
	if x := f.Field(fieldPassword); x != nil {
		o.password = x.First()
	}
	protected, said := f.Field(fieldProtected).Bool()
	switch {
	case said && !protected:
		o.password = ""
	case said && o.password == "":
		return stanza.NotAcceptable.Err("the room needs a password")
	}
	return nil
}

// number reads a field that is a number from least to most; greater ones count as most.
func number(f *form.Form, name string, least, most int, into *int) error {
	v := f.Get(name)
	if v == "" {
		return nil
	}
	n, err := strconv.Atoi(v)
	if v == "none" {
		n, err = most, nil
	}
	if err != nil || n < least {
		return stanza.NotAcceptable.Err("the field \"" + name + "\" is no number that is possible")
	}
	*into = min(n, most)
	return nil
}

// encode is the options as they are kept.
func (o *options) encode() []byte {
	f := o.form(1<<30, 1<<30)
	f.Type = form.Submit
	for i := range f.Fields {
		f.Fields[i].Label, f.Fields[i].Options = "", nil
	}
	return f.AppendXML(nil)
}

// addresses are the values of a field as bare addresses; given is whether it is there.
func addresses(f *form.Form, name string) (all []jid.JID, given bool, err error) {
	x := f.Field(name)
	if x == nil {
		return nil, false, nil
	}
	full, err := x.JIDs()
	if err != nil {
		return nil, true, stanza.NotAcceptable.Err("the field \"" + name + "\" has something that is no address")
	}
	for _, j := range full {
		if b := j.Bare(); !slices.Contains(all, b) {
			all = append(all, b)
		}
	}
	return all, true, nil
}
