// SPDX-License-Identifier: Apache-2.0

package registry

// How to read this file: the commands in one list, then a function for each. Those about a thing of who asks begin with which
// and go on with chosen; what is done is done by the functions of owner.go and verbs.go.

import (
	"context"
	"crypto/rand"
	"strings"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/server/adhoc"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/command"
	"github.com/stonechat-im/stonechat/xmpp/form"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/registry"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// The commands of the service.
const (
	NodeClaim  = "stonechat:claim"
	NodeThings = "stonechat:things"
	NodeName   = "stonechat:name-thing"
	NodeGroup  = "stonechat:group-thing"
	NodeGive   = "stonechat:give-thing"
	NodeDisown = "stonechat:disown-thing"

	fieldCode, fieldPublic, fieldThing, fieldName, fieldGroups, fieldTo = "code", "public", "thing", "name", "groups", "to"
)

// mostOptions are offered to choose from; who has more things writes which.
const mostOptions = 200

func (m *Module) addCommands() {
	for _, c := range []adhoc.Command{
		{Node: NodeClaim, Name: "Claim a thing", Do: m.leadClaim},
		{Node: NodeThings, Name: "My things", Do: m.leadThings},
		{Node: NodeName, Name: "Name a thing", Do: m.leadName},
		{Node: NodeGroup, Name: "Put a thing into groups", Do: m.leadGroup},
		{Node: NodeGive, Name: "Give a thing to somebody", Do: m.leadGive},
		{Node: NodeDisown, Name: "Give up a thing", Do: m.leadDisown},
	} {
		c.May = m.mayOwn
		m.Lead(c)
	}
}

// mayOwn admits whoever has an account somewhere: what each may do is decided by what he owns.
func (m *Module) mayOwn(q *server.Query) error {
	if q.From.IsDomain() || m.guest(q.From.Bare()) {
		return stanza.Forbidden.Err("who has no account owns nothing")
	}
	return nil
}

func (m *Module) leadClaim(_ *server.Turn, q *server.Query, x *command.Execution) error {
	if x.Stage() == 0 {
		f := form.New(form.Ask, "",
			form.Field{Var: fieldCode, Type: form.TextSingle, Label: "The code on the thing (IoTDisco;…)", Required: true},
			form.Field{Var: fieldPublic, Type: form.Boolean, Label: "Everybody can find it", Values: []string{"false"}})
		f.Title = "Claim a thing"
		x.Ask(f, command.Complete)
		return nil
	}
	code, err := registry.ParseURI(x.Answer(fieldCode))
	if err != nil {
		return err
	}
	public := x.Answer(fieldPublic)
	thing, err := m.claimCode(context.Background(), q.From.Bare(), q.To, code, public != "true" && public != "1")
	if err != nil {
		return failedClaim(err)
	}
	return said(x, words(&thing)+" is yours.")
}

// said completes a command with a note.
func said(x *command.Execution, text string) error {
	x.Note(command.Info, text)
	x.Done(nil)
	return nil
}

func (m *Module) leadThings(_ *server.Turn, q *server.Query, x *command.Execution) error {
	list, err := m.owned(context.Background(), q.From.Bare(), "")
	if err != nil {
		return err
	}
	f := form.New(form.Result, "")
	f.Title = "My things"
	f.Reported = []form.Field{
		{Var: fieldName, Label: "Name"}, {Var: fieldThing, Label: "Address"}, {Var: fieldGroups, Label: "Groups"}, {Var: fieldPublic, Label: "Found by everybody"},
	}
	for i := range list[:min(len(list), registry.MaxThings)] {
		t := &list[i]
		public := "no"
		if t.Public {
			public = "yes"
		}
		f.Items = append(f.Items, []form.Field{
			form.Value(fieldName, called(t)), form.Value(fieldThing, address(t.ThingName)),
			form.Value(fieldGroups, strings.Join(t.Groups, ", ")), form.Value(fieldPublic, public),
		})
	}
	if len(list) > registry.MaxThings {
		x.Note(command.Warn, "There are more, which are not shown here.")
	}
	x.Done(f)
	return nil
}

// which asks which thing, with what else there is to know; ok is false where there is none to choose.
func (m *Module) which(q *server.Query, x *command.Execution, title string, more ...form.Field) error {
	list, err := m.owned(context.Background(), q.From.Bare(), "")
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return said(x, "You have no things.")
	}
	field := form.Field{Var: fieldThing, Type: form.ListSingle, Label: "Thing", Required: true}
	for i := range list {
		field.Options = append(field.Options, form.Option{Label: words(&list[i]), Value: address(list[i].ThingName)})
	}
	if len(list) > mostOptions {
		field.Type, field.Options = form.TextSingle, nil
	}
	f := form.New(form.Ask, "", append([]form.Field{field}, more...)...)
	f.Title = title
	x.Ask(f, command.Complete)
	return nil
}

// chosen is the thing that was chosen.
func (m *Module) chosen(q *server.Query, x *command.Execution) (store.Thing, error) {
	return m.Find(context.Background(), q.From.Bare(), x.Answer(fieldThing))
}

func (m *Module) leadName(_ *server.Turn, q *server.Query, x *command.Execution) error {
	if x.Stage() == 0 {
		return m.which(q, x, "Name a thing", form.Field{Var: fieldName, Type: form.TextSingle, Label: "Name", Required: true})
	}
	thing, err := m.chosen(q, x)
	if err != nil {
		return err
	}
	if err := m.rename(context.Background(), q.From.Bare(), thing.ThingName, strings.TrimSpace(x.Answer(fieldName))); err != nil {
		return err
	}
	return said(x, "It is called so now.")
}

func (m *Module) leadGroup(_ *server.Turn, q *server.Query, x *command.Execution) error {
	if x.Stage() == 0 {
		return m.which(q, x, "Put a thing into groups", form.Field{Var: fieldGroups, Type: form.TextMulti, Label: "Groups, one a line"})
	}
	thing, err := m.chosen(q, x)
	if err != nil {
		return err
	}
	var groups []string
	for _, f := range x.Forms {
		if field := f.Field(fieldGroups); field != nil {
			groups = field.Values
		}
	}
	if err := m.regroup(context.Background(), q.From.Bare(), thing.ThingName, groups); err != nil {
		return err
	}
	return said(x, "It is in these groups now.")
}

func (m *Module) leadGive(t *server.Turn, q *server.Query, x *command.Execution) error {
	if x.Stage() == 0 {
		return m.which(q, x, "Give a thing to somebody", form.Field{Var: fieldTo, Type: form.JIDSingle, Label: "To whom", Required: true})
	}
	thing, err := m.chosen(q, x)
	if err != nil {
		return err
	}
	to, err := jid.Parse(x.Answer(fieldTo))
	if err != nil || to.IsDomain() {
		return stanza.NotAcceptable.Err("that is no address")
	}
	if err := m.hand(context.Background(), t, q.From.Bare(), q.To, &thing, to.Bare()); err != nil {
		return err
	}
	return said(x, to.Bare().String()+" has a message with what it is claimed by. It is yours until that is done.")
}

func (m *Module) leadDisown(_ *server.Turn, q *server.Query, x *command.Execution) error {
	if x.Stage() == 0 {
		return m.which(q, x, "Give up a thing")
	}
	thing, err := m.chosen(q, x)
	if err != nil {
		return err
	}
	if err := m.disown(context.Background(), q.From.Bare(), thing.ThingName); err != nil {
		return err
	}
	return said(x, words(&thing)+" is not yours any more.")
}

// messageID makes the id of a message.
func messageID() []byte { return []byte(rand.Text()) }
