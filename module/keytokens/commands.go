// SPDX-License-Identifier: Apache-2.0

package keytokens

// How to read this file: the verbs again, as commands that any client shows (XEP-0050). Everybody may have them: what they show and
// end is what who asks has been given.

import (
	"context"
	"errors"
	"time"

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
	NodeTokens   = "stonechat:keytokens:tokens"
	NodeWithdraw = "stonechat:keytokens:withdraw"

	fieldToken, fieldKey, fieldUntil = "token", "key", "until"
)

func (m *Module) addCommands() {
	for _, c := range []struct {
		node, name string
		do         func(who jid.JID, now time.Time, x *command.Execution) error
	}{
		{NodeTokens, "My tokens", m.leadTokens},
		{NodeWithdraw, "Take a token back", m.leadWithdraw},
	} {
		m.service.Lead(adhoc.Command{
			Node: c.node, Name: c.name, May: func(*server.Query) error { return nil },
			Do: func(t *server.Turn, q *server.Query, x *command.Execution) error {
				return c.do(q.From.Bare(), t.Now, x)
			},
		})
	}
}

// tokensOf are those of an account that count.
func (m *Module) tokensOf(ctx context.Context, who jid.JID, now time.Time) (list []store.KeyToken, err error) {
	if !m.server.Serves(who.Domain()) || who.IsDomain() {
		return nil, nil
	}
	all, err := m.store.AccountKeyTokens(ctx, who)
	for _, x := range all {
		if now.Before(x.Expires) {
			list = append(list, x)
		}
	}
	return list, err
}

// note ends a command with something to say.
func note(x *command.Execution, text string) error {
	x.Note(command.Info, text)
	x.Done(nil)
	return nil
}

func (m *Module) leadTokens(who jid.JID, now time.Time, x *command.Execution) error {
	list, err := m.tokensOf(context.Background(), who, now)
	switch {
	case err != nil:
		return err
	case len(list) == 0:
		return note(x, none)
	}
	f := form.New(form.Result, "")
	f.Title = "The tokens that you were given for your keys"
	f.Reported = []form.Field{{Var: fieldToken, Label: "Token"}, {Var: fieldKey, Label: "Key"}, {Var: fieldUntil, Label: "Until"}}
	for _, t := range list {
		f.Items = append(f.Items, []form.Field{
			form.Value(fieldToken, t.Token), form.Value(fieldKey, called(t.Name)), form.Value(fieldUntil, t.Expires.Format(time.DateOnly)),
		})
	}
	x.Done(f)
	return nil
}

func (m *Module) leadWithdraw(who jid.JID, now time.Time, x *command.Execution) error {
	if x.Stage() == 0 {
		list, err := m.tokensOf(context.Background(), who, now)
		switch {
		case err != nil:
			return err
		case len(list) == 0:
			return note(x, none)
		}
		which := form.Field{Var: fieldToken, Type: form.ListSingle, Label: "Token", Required: true}
		for _, t := range list {
			which.Options = append(which.Options, form.Option{Value: t.Token, Label: t.Token + ", " + called(t.Name)})
		}
		f := form.New(form.Ask, "", which)
		f.Title = "Take a token back"
		x.Ask(f)
		return nil
	}
	text, err := m.withdraw(context.Background(), who, x.Answer(fieldToken))
	var e *stanza.Error
	if errors.As(err, &e) && e.Text != "" {
		x.Fail(e.Text)
		return nil
	}
	if err != nil {
		return err
	}
	return note(x, text)
}
