// SPDX-License-Identifier: Apache-2.0

package consent

// How to read this file: the verbs again, as commands that any client shows (XEP-0050). Everybody may have them: what they show and
// change is what who asks owns.

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/server/adhoc"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/command"
	"github.com/stonechat-im/stonechat/xmpp/form"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// The commands, and the fields of their forms.
const (
	NodeQuestions = "stonechat:consent:questions"
	NodeRules     = "stonechat:consent:rules"
	NodeAllow     = "stonechat:consent:allow"
	NodeRevoke    = "stonechat:consent:revoke"
	NodeRefusals  = "stonechat:consent:refusals"

	fieldQuestion, fieldAnswer, fieldFor, fieldGroup, fieldNames = "question", "answer", "for", "group", "names"
	fieldSubject, fieldMay, fieldRight, fieldThing               = "subject", "may", "right", "thing"
	fieldRule, fieldWhat, fieldWhen                              = "rule", "what", "when"
)

func (m *Module) addCommands() {
	for _, c := range []struct {
		node, name string
		do         func(owner jid.JID, x *command.Execution) error
	}{
		{NodeQuestions, "Questions about my things", m.leadQuestions},
		{NodeRules, "What I have decided", m.leadRules},
		{NodeAllow, "Allow or forbid something", m.leadAllow},
		{NodeRevoke, "Take a decision back", m.leadRevoke},
		{NodeRefusals, "Who was refused", m.leadRefusals},
	} {
		m.service.Lead(adhoc.Command{
			Node: c.node, Name: c.name, May: func(*server.Query) error { return nil },
			Do: func(_ *server.Turn, q *server.Query, x *command.Execution) error { return c.do(q.From.Bare(), x) },
		})
	}
}

// nothing ends a command that has nothing to show.
func nothing(x *command.Execution, text string) error {
	x.Note(command.Info, text)
	x.Done(nil)
	return nil
}

// done ends a command that has done something.
func done(x *command.Execution, text string, err error) error {
	var e *stanza.Error
	switch {
	case errors.As(err, &e) && e.Text != "":
		x.Fail(e.Text)
		return nil
	case err != nil:
		return err
	}
	return nothing(x, text)
}

func options(x ...string) (list []form.Option) {
	for i := 0; i < len(x); i += 2 {
		list = append(list, form.Option{Value: x[i], Label: x[i+1]})
	}
	return list
}

func (m *Module) leadQuestions(owner jid.JID, x *command.Execution) error {
	ctx := context.Background()
	if x.Stage() == 0 {
		list, err := m.store.Questions(ctx, owner, 0, listed)
		if err != nil {
			return err
		}
		if len(list) == 0 {
			return nothing(x, "Nobody asks.")
		}
		which := form.Field{Var: fieldQuestion, Type: form.ListSingle, Label: "Question", Required: true}
		for i := range list {
			q := &list[i]
			which.Options = append(which.Options, form.Option{
				Value: strconv.FormatInt(q.Number, 10),
				Label: q.Caller.String() + " wants to " + does(q.Right, q.Names, m.name(ctx, q.Thing)),
			})
		}
		f := form.New(form.Ask, "", which,
			form.Field{Var: fieldAnswer, Type: form.ListSingle, Label: "Answer", Required: true, Options: options("yes", "Yes", "no", "No")},
			form.Field{Var: fieldFor, Type: form.ListSingle, Label: "For", Values: []string{"caller"},
				Options: options("caller", "whoever asks", "domain", "everybody at that domain", "group", "a group of mine", "all", "everybody")},
			form.Field{Var: fieldGroup, Type: form.TextSingle, Label: "The group, if it is for one"},
			form.Field{Var: fieldNames, Type: form.TextMulti, Label: "Only these fields or parameters, one a line (none: all that is asked for)"})
		f.Title = "Questions about your things"
		x.Ask(f)
		return nil
	}
	args := append([]string{x.Answer(fieldQuestion)}, lines(x, fieldNames)...)
	switch who := x.Answer(fieldFor); who {
	case "", "caller":
	case "group":
		args = append(args, "for", "group:"+x.Answer(fieldGroup))
	default:
		args = append(args, "for", who)
	}
	text, err := m.sayAnswer(ctx, owner, args, x.Answer(fieldAnswer) == "yes")
	return done(x, text, usage(err))
}

// usage is what a form is told that was filled in as no words could be.
func usage(err error) error {
	if _, told := stanza.AsError(err); err == nil || told {
		return err
	}
	return stanza.BadRequest.Err("that is not how the form is filled in")
}

// lines are what was filled in for a field of several lines.
func lines(x *command.Execution, name string) (list []string) {
	for i := len(x.Forms) - 1; i >= 0; i-- {
		if f := x.Forms[i].Field(name); f != nil {
			for _, v := range f.Values {
				if v = strings.TrimSpace(v); v != "" {
					list = append(list, v)
				}
			}
			return list
		}
	}
	return nil
}

func (m *Module) leadRules(owner jid.JID, x *command.Execution) error {
	ctx := context.Background()
	list, err := m.rulesOf(ctx, owner, nil)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return nothing(x, "There are no rules: nobody but you may do anything.")
	}
	f := form.New(form.Result, "")
	f.Title = "What you have decided"
	f.Reported = []form.Field{{Var: fieldRule, Label: "Rule"}, {Var: fieldWhat, Label: "What"}, {Var: fieldWhen, Label: "Since"}}
	for i := range list {
		f.Items = append(f.Items, []form.Field{
			form.Value(fieldRule, strconv.FormatInt(list[i].Number, 10)), form.Value(fieldWhat, m.inWords(ctx, &list[i])),
			form.Value(fieldWhen, stamp(list[i].Created)),
		})
	}
	x.Done(f)
	return nil
}

func (m *Module) leadAllow(owner jid.JID, x *command.Execution) error {
	ctx := context.Background()
	if x.Stage() == 0 {
		which := form.Field{Var: fieldThing, Type: form.ListSingle, Label: "Thing", Required: true}
		err := m.each(ctx, owner, func(t *store.Thing) error {
			address := t.JID.String()
			if t.ID != "" {
				address += "#" + t.ID
			}
			if len(which.Options) < maxOptions {
				which.Options = append(which.Options, form.Option{Value: address, Label: m.name(ctx, t.ThingName)})
			}
			return nil
		})
		if err != nil {
			return err
		}
		if len(which.Options) == 0 {
			return nothing(x, "You have no things.")
		}
		f := form.New(form.Ask, "", which,
			form.Field{Var: fieldSubject, Type: form.TextSingle, Label: "Who: an address, a domain, group:NAME, token:TOKEN or all", Required: true},
			form.Field{Var: fieldMay, Type: form.ListSingle, Label: "may or may not", Required: true, Values: []string{"allow"}, Options: options("allow", "may", "forbid", "may not")},
			form.Field{Var: fieldRight, Type: form.ListSingle, Label: "do what", Required: true, Values: []string{"read"}, Options: options("see", "see whether it is there", "read", "read it", "control", "control it", "use", "read and control it")},
			form.Field{Var: fieldNames, Type: form.TextMulti, Label: "Only these fields or parameters, one a line (none: all)"})
		f.Title = "Allow or forbid something"
		x.Ask(f)
		return nil
	}
	args := append([]string{x.Answer(fieldSubject), x.Answer(fieldRight), x.Answer(fieldThing)}, lines(x, fieldNames)...)
	text, err := m.sayRule(ctx, owner, args, x.Answer(fieldMay) != "forbid")
	return done(x, text, usage(err))
}

// maxOptions is how many things a form offers; the others are spoken of by words.
const maxOptions = 200

func (m *Module) leadRevoke(owner jid.JID, x *command.Execution) error {
	ctx := context.Background()
	if x.Stage() == 0 {
		list, err := m.rulesOf(ctx, owner, nil)
		if err != nil {
			return err
		}
		if len(list) == 0 {
			return nothing(x, "There are no rules.")
		}
		which := form.Field{Var: fieldRule, Type: form.ListSingle, Label: "Rule", Required: true}
		for i := range list {
			which.Options = append(which.Options, form.Option{Value: strconv.FormatInt(list[i].Number, 10), Label: m.inWords(ctx, &list[i])})
		}
		f := form.New(form.Ask, "", which)
		f.Title = "Take a decision back"
		x.Ask(f)
		return nil
	}
	text, err := m.sayRevoke(ctx, owner, []string{x.Answer(fieldRule)})
	return done(x, text, usage(err))
}

func (m *Module) leadRefusals(owner jid.JID, x *command.Execution) error {
	ctx := context.Background()
	list, err := m.allRefusals(ctx, owner)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return nothing(x, "Nobody was refused anything.")
	}
	f := form.New(form.Result, "")
	f.Title = "Who was refused"
	f.Reported = []form.Field{{Var: fieldWhen, Label: "When"}, {Var: fieldSubject, Label: "Who"}, {Var: fieldThing, Label: "Thing"}, {Var: fieldWhat, Label: "What"}}
	for i := range list {
		r := &list[i]
		what := r.Way
		if len(r.Names) > 0 {
			what += ": " + printable(strings.Join(r.Names, ", "))
		}
		if r.Count > 1 {
			what += fmt.Sprintf(" (%d times)", r.Count)
		}
		f.Items = append(f.Items, []form.Field{
			form.Value(fieldWhen, stamp(r.Last)), form.Value(fieldSubject, r.Caller.String()), form.Value(fieldThing, m.name(ctx, r.Thing)), form.Value(fieldWhat, what),
		})
	}
	x.Done(f)
	return nil
}
