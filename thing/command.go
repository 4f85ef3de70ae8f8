// SPDX-License-Identifier: Apache-2.0

package thing

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/delay"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// Parameter is something that the owner may set.
type Parameter struct {
	Name string // a word
	Kind Kind
	Unit string // as in Field
	// Set does what the owner says. Its error is told to the owner. It runs on one goroutine, in
	// the order of the commands, and the thing hears nothing until it returns.
	Set func(ctx context.Context, v Value) error
	// Get tells how it stands, for "read". It may be nil.
	Get func(ctx context.Context) (Value, error)
}

func (p *Parameter) check() error {
	switch {
	case !fieldName.MatchString(p.Name):
		return fmt.Errorf("thing: %q is no name of a parameter: letters, digits and -:./_", p.Name)
	case p.Kind < Numeric || p.Kind > String:
		return fmt.Errorf("thing: parameter %s needs a kind", p.Name)
	case p.Set == nil:
		return fmt.Errorf("thing: parameter %s needs a Set", p.Name)
	}
	return nil
}

// values is what can be said of a kind.
func (k Kind) values() string {
	switch k {
	case Numeric:
		return "NUMBER"
	case Boolean:
		return "on|off"
	}
	return "TEXT"
}

// message obeys the owner. Who else writes gets no answer, not even that there is a thing.
func (t *Thing) message(ctx context.Context, s *stanza.Stanza) {
	if s.From.Bare() != t.config.Owner || s.Type == stanza.Headline || s.Type == stanza.Groupchat {
		t.log.Warn("message not from the owner", "from", s.From.String())
		return
	}
	words := strings.Fields(stanza.BodyOf(s))
	if len(words) == 0 {
		return
	}
	var d delay.Delay
	if found, err := s.Decode(&d); found && (err != nil || time.Since(d.Stamp) > t.config.Stale) {
		t.answer(ctx, s, nil, fmt.Sprintf("“%s” has waited too long (%s): say it again if you still mean it",
			strings.Join(words, " "), d.Stamp.Format(time.DateTime+" MST")))
		return
	}
	switch command := strings.ToLower(words[0]); {
	case command == "help" && len(words) == 1:
		t.answer(ctx, s, nil, t.help())
	case command == "read" && len(words) == 1:
		fields, err := t.all(ctx)
		switch {
		case err != nil:
			t.answer(ctx, s, nil, "reading failed: "+err.Error())
		case len(fields) == 0:
			t.answer(ctx, s, nil, "there is nothing to read yet")
		default:
			t.answer(ctx, s, fields, text(fields))
		}
	case command == "set" && len(words) >= 3:
		t.set(ctx, s, words[1], strings.Join(words[2:], " "))
	default:
		t.answer(ctx, s, nil, "I do not understand that. "+t.help())
	}
}

func (t *Thing) help() string {
	lines := []string{"I understand:", "help", "read"}
	for _, p := range t.config.Parameters {
		lines = append(lines, "set "+p.Name+" "+p.Kind.values())
	}
	return strings.Join(lines, "\n")
}

// all is what can be read: fields and parameters.
func (t *Thing) all(ctx context.Context) ([]Field, error) {
	fields, err := t.read(ctx)
	if err != nil {
		return nil, err
	}
	fields = slices.Clone(fields)
	for i := range fields {
		if err := fields[i].check(); err != nil {
			return nil, err
		}
	}
	for _, p := range t.config.Parameters {
		if p.Get == nil {
			continue
		}
		v, err := p.Get(ctx)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.Name, err)
		}
		fields = append(fields, Field{Name: p.Name, Value: v, Unit: p.Unit})
	}
	for i := range fields {
		if fields[i].Time.IsZero() {
			fields[i].Time = time.Now()
		}
	}
	return fields, nil
}

// set sets a parameter.
func (t *Thing) set(ctx context.Context, s *stanza.Stanza, name, word string) {
	i := slices.IndexFunc(t.config.Parameters, func(p Parameter) bool { return strings.EqualFold(p.Name, name) })
	if i < 0 {
		t.answer(ctx, s, nil, fmt.Sprintf("There is no %s. %s", name, t.help()))
		return
	}
	p := &t.config.Parameters[i]
	v, err := ParseValue(p.Kind, word)
	if err == nil {
		err = p.Set(ctx, v)
	}
	if err != nil {
		t.log.Warn("command failed", "parameter", p.Name, "err", err)
		t.answer(ctx, s, nil, p.Name+": "+err.Error())
		return
	}
	t.log.Info("command obeyed", "parameter", p.Name, "value", v.String())
	f := []Field{{Name: p.Name, Value: v, Unit: p.Unit, Time: time.Now()}}
	t.answer(ctx, s, f, "done: "+text(f))
}

// answer answers the owner's message s: to the bare address, because what asked may be a program
// that is gone already, and the owner is where the owner reads.
func (t *Thing) answer(ctx context.Context, s *stanza.Stanza, fields []Field, body string) {
	a := stanza.Text(s.Type, t.config.Owner, body)
	if len(fields) > 0 {
		p, err := payload(fields)
		if err != nil {
			t.log.Error("answer not sent", "err", err)
			return
		}
		a.Add(p)
	}
	if err := t.client.Send(ctx, a); err != nil {
		t.log.Error("answer not sent", "err", err)
	}
}
