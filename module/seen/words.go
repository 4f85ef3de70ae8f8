// SPDX-License-Identifier: Apache-2.0

package seen

// How to read this file: away finds which things of an owner's are not there; Verb says so in words, Command shows it as a table, page
// by page. How a state is said comes last.

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/server/adhoc"
	"github.com/stonechat-im/stonechat/server/chat"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/command"
	"github.com/stonechat-im/stonechat/xmpp/form"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// NodeOffline is the command.
const NodeOffline = "stonechat:offline-things"

// How much is shown at once: lines of an answer in words, rows of a table.
const (
	mostLines = 100
	pageRows  = 50
)

// absent is a thing that is not there.
type absent struct {
	thing store.Thing
	state store.Seen
}

// away are the things of an owner's, of a group or "" for all, that are not there, and how many there are of all. What is behind an
// account is there as that is.
func (m *Module) away(ctx context.Context, owner jid.JID, group string) (list []absent, all int, err error) {
	for f := (store.ThingFilter{Owner: owner, Group: group}); ; {
		page, err := m.store.ListThings(ctx, f)
		if err != nil || len(page) == 0 {
			return list, all, err
		}
		f.After = page[len(page)-1].Row
		for i := range page {
			x := &page[i]
			if x.ID != "" {
				continue
			}
			all++
			s, err := m.Now(ctx, x.JID)
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				return nil, 0, err
			}
			if s.State != store.Online {
				list = append(list, absent{*x, s})
			}
		}
	}
}

// summary says how many those are.
func summary(away, all int) string {
	switch {
	case all == 0:
		return "You have no such things."
	case away == 0:
		return fmt.Sprintf("All %d are there.", all)
	}
	return fmt.Sprintf("%d of %d are not there", away, all)
}

// Verb is what people say to the service of things to hear which of theirs are away.
func (m *Module) Verb() chat.Verb {
	return chat.Verb{Name: "offline", Usage: "[GROUP]", Help: "lists those of your things that are not there, since when and why", Do: m.sayOffline}
}

func (m *Module) sayOffline(t *server.Turn, q *chat.Message, args []string) (string, error) {
	if len(args) > 1 {
		return "", chat.ErrUsage
	}
	list, all, err := m.away(context.Background(), q.Who(), strings.Join(args, ""))
	if err != nil || len(list) == 0 {
		return summary(0, all), err
	}
	b := new(strings.Builder)
	b.WriteString(summary(len(list), all) + ":")
	for i := range list[:min(len(list), mostLines)] {
		b.WriteString("\n" + called(&list[i].thing) + ": " + Words(list[i].state, t.Now))
	}
	if more := len(list) - mostLines; more > 0 {
		fmt.Fprintf(b, "\n… and %d more", more)
	}
	return b.String(), nil
}

// Command is the same as a table, for clients that show forms.
func (m *Module) Command() adhoc.Command {
	return adhoc.Command{
		Node: NodeOffline, Name: "Which of my things are not there",
		May: func(*server.Query) error { return nil }, // everybody hears of his own
		Do:  m.leadOffline,
	}
}

// The fields of its forms.
const (
	fieldGroup                      = "group"
	fieldName, fieldThing           = "name", "thing"
	fieldState, fieldSince          = "state", "since"
	fieldUntil, fieldLast, fieldWhy = "until", "last", "reason"
)

// leadOffline asks for a group, then shows page after page.
func (m *Module) leadOffline(t *server.Turn, q *server.Query, x *command.Execution) error {
	page := x.Stage() - 1
	switch {
	case page < 0:
		f := form.New(form.Ask, "", form.Field{Var: fieldGroup, Type: form.TextSingle, Label: "Of which group (none: all)"})
		f.Title = "Which of my things are not there"
		x.Ask(f)
		return nil
	case page > 0 && x.Action == command.Complete:
		x.Done(nil)
		return nil
	}
	list, all, err := m.away(context.Background(), q.From.Bare(), strings.TrimSpace(x.Answer(fieldGroup)))
	switch {
	case err != nil:
		return err
	case len(list) == 0:
		x.Note(command.Info, summary(0, all))
		x.Done(nil)
		return nil
	}
	total := len(list)
	list = list[min(page*pageRows, total):]
	f := table(list[:min(len(list), pageRows)], t.Now)
	f.Title = summary(total, all)
	if total > pageRows {
		f.Instructions = append(f.Instructions, fmt.Sprintf("Page %d of %d", page+1, (total+pageRows-1)/pageRows))
	}
	if len(list) > pageRows {
		x.Ask(f, command.Next, command.Complete)
	} else {
		x.Done(f)
	}
	return nil
}

// table shows those in rows.
func table(list []absent, now time.Time) *form.Form {
	f := form.New(form.Result, "")
	f.Reported = []form.Field{
		{Var: fieldName, Label: "Name"}, {Var: fieldThing, Label: "Address"}, {Var: fieldState, Label: "State"}, {Var: fieldSince, Label: "Since"},
		{Var: fieldUntil, Label: "Means to wake"}, {Var: fieldLast, Label: "Last seen"}, {Var: fieldWhy, Label: "Why"},
	}
	for i := range list {
		s := &list[i].state
		state, why := string(s.State), s.Reason
		switch {
		case state == "":
			state = "never seen"
		case s.State == store.Sleeping && now.After(s.Until):
			state = "overslept"
		}
		if s.Status != "" {
			why = strings.TrimPrefix(why+": "+s.Status, ": ")
		}
		f.Items = append(f.Items, []form.Field{
			form.Value(fieldName, called(&list[i].thing)), form.Value(fieldThing, list[i].thing.JID.String()), form.Value(fieldState, state),
			form.Value(fieldSince, stamp(s.Since)), form.Value(fieldUntil, stamp(s.Until)), form.Value(fieldLast, stamp(s.Last)), form.Value(fieldWhy, why),
		})
	}
	return f
}

func called(x *store.Thing) string {
	if x.Label != "" {
		return x.Label
	}
	return x.JID.Local()
}

// stamp is a time as people read it, "" for none.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}

// Words is a state as people read it.
func Words(s store.Seen, now time.Time) string {
	switch s.State {
	case store.Online:
		return "online since " + stamp(s.Since)
	case store.Unsteady:
		return "unsteady since " + stamp(s.Since)
	case store.Sleeping:
		if now.After(s.Until) {
			return "asleep, and should have woken at " + stamp(s.Until)
		}
		return "asleep until " + stamp(s.Until)
	case store.Offline:
		text := "offline since " + stamp(s.Since)
		if s.Reason != "" {
			text += " (" + s.Reason + ")"
		}
		return text
	}
	return "never seen"
}
