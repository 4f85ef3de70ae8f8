// SPDX-License-Identifier: Apache-2.0

// Package sessions shows people, in any client that knows commands (XEP-0050), where else their account is logged in, and
// lets them end such a session: the telephone that is lost, the client that was left running.
package sessions

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/server/adhoc"
	"github.com/stonechat-im/stonechat/xmpp/command"
	"github.com/stonechat-im/stonechat/xmpp/form"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/stream"
)

// The commands, and the fields of their forms.
const (
	NodeList = "stonechat:sessions"
	NodeEnd  = "stonechat:end-sessions"

	fieldResource, fieldState, fieldPriority = "resource", "state", "priority"
)

// Commands is what this module needs of module commands.
type Commands interface {
	// Offer adds a command of accounts.
	Offer(at server.Where, c adhoc.Command)
}

// Module has the commands.
type Module struct{ commands Commands }

// New makes the module.
func New(c Commands) *Module { return &Module{c} }

// own permits the commands to the account itself. A guest is nobody but its session.
func own(q *server.Query) error {
	switch {
	case !q.Own():
		return stanza.Forbidden.Err("only the account itself may do that")
	case q.User.Guest():
		return stanza.Forbidden.Err("a guest has one session")
	}
	return nil
}

// Name implements server.Module.
func (*Module) Name() string { return "sessions" }

// Init implements server.Module.
func (m *Module) Init(*server.Host) error {
	m.commands.Offer(server.AtAccount, adhoc.Command{Node: NodeList, Name: "Where I am logged in", May: own, Do: m.list})
	m.commands.Offer(server.AtAccount, adhoc.Command{Node: NodeEnd, Name: "End sessions of mine", May: own, Do: m.end})
	return nil
}

func (*Module) list(_ *server.Turn, q *server.Query, x *command.Execution) error {
	f := form.New(form.Result, "")
	f.Title = "Where you are logged in"
	f.Reported = []form.Field{{Var: fieldResource, Label: "Resource"}, {Var: fieldState, Label: "State"}, {Var: fieldPriority, Label: "Priority"}}
	for _, se := range q.User.Sessions(nil) {
		f.Items = append(f.Items, []form.Field{
			form.Value(fieldResource, se.JID.Resource()), form.Value(fieldState, state(se)), form.Value(fieldPriority, priority(se)),
		})
	}
	x.Done(f)
	return nil
}

// state is what a session does, in a word.
func state(se *server.Session) string {
	switch {
	case !se.Attached():
		return "lost" // and may be resumed
	case se.Presence().Available:
		return "available"
	}
	return "connected"
}

func priority(se *server.Session) string {
	if p := se.Presence(); p.Available {
		return strconv.Itoa(int(p.Priority))
	}
	return ""
}

// end asks which sessions, on demand whether it is these, and ends them.
func (*Module) end(t *server.Turn, q *server.Query, x *command.Execution) error {
	switch {
	case x.Stage() == 0:
		return which(q, x)
	case x.Stage() == 1 && x.Action == command.Next:
		f := form.New(form.Ask, "", form.Field{Type: form.Fixed, Values: []string{strings.Join(chosen(x), ", ")}})
		f.Title = "These sessions will end"
		x.Ask(f)
		return nil
	}
	var ended []*server.Session
	for _, se := range q.User.Sessions(nil) {
		if se.JID != q.From && slices.Contains(chosen(x), se.JID.Resource()) {
			ended = append(ended, se)
		}
	}
	x.Note(command.Info, fmt.Sprintf("%d sessions have ended.", len(ended)))
	x.Done(nil)
	x.Then(func() {
		for _, se := range ended {
			// Clients that are told of a conflict do not come back by themselves.
			se.End(t, &stream.Error{Condition: "conflict", Text: "the session was ended by another of the account"})
		}
	})
	return nil
}

// which asks which of the others.
func which(q *server.Query, x *command.Execution) error {
	field := form.Field{Var: fieldResource, Type: form.ListMulti, Label: "Sessions", Required: true}
	for _, se := range q.User.Sessions(nil) {
		if se.JID != q.From {
			r := se.JID.Resource()
			field.Options = append(field.Options, form.Option{Label: r + " (" + state(se) + ")", Value: r})
		}
	}
	if len(field.Options) == 0 {
		x.Note(command.Info, "This is your only session.")
		x.Done(nil)
		return nil
	}
	f := form.New(form.Ask, "", field)
	f.Title = "Which sessions are to end?"
	x.Ask(f, command.Next, command.Complete)
	return nil
}

func chosen(x *command.Execution) []string {
	if f := x.Forms[0].Field(fieldResource); f != nil {
		return f.Values
	}
	return nil
}
