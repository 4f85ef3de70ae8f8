// SPDX-License-Identifier: Apache-2.0

package thing

// How to read this file: message takes what somebody writes, talk is one such thing said, by whom and how he is answered, and
// converse does what it says. Rooms make talks of their own: room.go.

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/delay"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

const (
	maxSaid  = 4096 // bytes of what is said to a thing
	maxWords = 256
)

// talk is something that was said to the thing.
type talk struct {
	caller jid.JID // who is asked for
	said   string
	sent   time.Time // zero: now
	id     string    // of the message and its sender
	// may is what the caller may.
	may func(ctx context.Context, r right, node NodeID, names []string) grant
	// answer answers it; fields are what the text says, for programs.
	answer func(ctx context.Context, fields []Field, text string)
	public bool // others hear it, too: what it is not understood is not answered
	unsure bool // nobody has decided whether somebody may who sees the thing anyway
}

// message takes what somebody writes. Who may do nothing gets no answer, not even that there is a thing.
func (t *Thing) message(ctx context.Context, s *stanza.Stanza) {
	body := stanza.BodyOf(s)
	if r := t.roomOf(s.From); r != nil {
		t.heardOf(r)
		t.roomMessage(ctx, r, s)
		return
	}
	if s.Type == stanza.Headline || s.Type == stanza.Groupchat || strings.TrimSpace(body) == "" {
		return
	}
	k := &talk{caller: s.From.Bare(), said: body, sent: sent(s), id: s.From.String() + "\x00" + string(s.ID)}
	k.may = func(ctx context.Context, r right, node NodeID, names []string) grant {
		return t.may(ctx, question{k.caller, r, node, names})
	}
	k.answer = func(ctx context.Context, fields []Field, text string) { t.answer(ctx, s, fields, text) }
	t.do(ctx, s, func(ctx context.Context) { t.converse(ctx, k) })
}

// sent is when a message was sent that has waited, or zero.
func sent(s *stanza.Stanza) time.Time {
	var d delay.Delay
	switch found, err := s.Decode(&d); {
	case !found:
		return time.Time{}
	case err != nil:
		return time.Unix(0, 0) // nobody knows when
	}
	return d.Stamp
}

// isStale reports whether what a message says was meant for another time.
func (t *Thing) isStale(s *stanza.Stanza) bool {
	at := sent(s)
	return !at.IsZero() && time.Since(at) > t.config.Stale
}

// words splits what somebody says; what is in quotes is one word. ok is false if it is too much to be meant.
func words(said string) (list []string, ok bool) {
	if len(said) > maxSaid {
		return nil, false
	}
	var word strings.Builder
	var open rune // the quote that ends a word
	begun := false
	end := func() {
		if begun {
			list = append(list, word.String())
		}
		word.Reset()
		begun = false
	}
	for _, c := range said {
		switch {
		case open != 0 && c == open:
			open = 0
		case open != 0:
			word.WriteRune(c)
		case c == '"' && !begun, c == '“' && !begun:
			begun, open = true, c
			if c == '“' {
				open = '”'
			}
		case c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\u00a0':
			end()
		default:
			begun = true
			word.WriteRune(c)
		}
	}
	end()
	return list, len(list) <= maxWords
}

// converse does what was said.
func (t *Thing) converse(ctx context.Context, k *talk) {
	list, ok := words(k.said)
	if !ok {
		t.puzzled(ctx, k, t.all()[0])
		return
	}
	b := t.all()[0]
	if len(list) >= 2 && strings.EqualFold(list[0], "at") {
		if b = t.node(list[1]); b == nil {
			t.decline(ctx, k, "There is no "+list[1]+".")
			return
		}
		list = list[2:]
	}
	if len(list) == 0 {
		if b.NodeID != (NodeID{}) {
			t.puzzled(ctx, k, b)
		}
		return
	}
	if !k.sent.IsZero() && time.Since(k.sent) > t.config.Stale {
		if b.canAny(ctx, k) {
			k.answer(ctx, nil, fmt.Sprintf("“%s” has waited too long (%s): say it again if you still mean it",
				strings.Join(list, " "), k.sent.Format(time.DateTime+" MST")))
		}
		return
	}
	verb, rest := strings.ToLower(list[0]), list[1:]
	switch {
	case verb == "help" && len(rest) == 0:
		if help := t.help(ctx, k, b); help != "" {
			k.answer(ctx, nil, help)
		} else {
			t.log.Warn("refused", "from", k.caller.String())
		}
	case verb == "read":
		t.chatRead(ctx, k, b, rest)
	case verb == "set" && len(rest) >= 2:
		t.chatSet(ctx, k, b, rest[0], strings.Join(rest[1:], " "))
	case verb == "stop" && len(rest) == 0 && t.config.Stop != nil:
		t.chatStop(ctx, k)
	case verb == "nodes" && len(rest) == 0 && len(t.all()) > 1:
		t.chatNodes(ctx, k)
	default:
		if c := b.command(verb); c != nil {
			t.chatDo(ctx, k, b, c, rest)
			return
		}
		t.puzzled(ctx, k, b)
	}
}

// node finds a node by the id that somebody wrote.
func (t *Thing) node(id string) *body {
	i := slices.IndexFunc(t.all(), func(b *body) bool { return b.ID != "" && strings.EqualFold(b.ID, id) })
	if i < 0 {
		return nil
	}
	return t.all()[i]
}

// canAny reports whether whoever talks may do anything with a node.
func (b *body) canAny(ctx context.Context, k *talk) bool {
	return !k.may(ctx, toRead, b.NodeID, nil).isNone() || !k.may(ctx, toControl, b.NodeID, nil).isNone()
}

// puzzled says what would be understood, to whoever may say that.
func (t *Thing) puzzled(ctx context.Context, k *talk, b *body) {
	if k.public {
		return
	}
	if help := t.help(ctx, k, b); help != "" {
		k.answer(ctx, nil, "I do not understand that. "+help)
	} else {
		t.log.Warn("refused", "from", k.caller.String())
	}
}

// decline says no to whoever may do anything else, and nothing to others.
func (t *Thing) decline(ctx context.Context, k *talk, text string) {
	t.log.Warn("refused", "from", k.caller.String())
	if k.unsure {
		k.answer(ctx, nil, "Who may do that cannot be looked up now, and until then nobody may. Try again later.")
		return
	}
	if t.isTrusted(k.caller) || t.access.hasSome(k.caller) || !k.may(ctx, toRead, NodeID{}, nil).isNone() {
		k.answer(ctx, nil, text)
	}
}

// help is what whoever talks may say, or "" for nothing.
func (t *Thing) help(ctx context.Context, k *talk, b *body) string {
	lines := []string{"I understand:", "help"}
	if !k.may(ctx, toRead, b.NodeID, nil).isNone() {
		lines = append(lines, "read")
	}
	g := k.may(ctx, toControl, b.NodeID, nil)
	for i := range b.Parameters {
		if p := &b.Parameters[i]; g.allows(p.Name) {
			lines = append(lines, "set "+p.Name+" "+p.values())
		}
	}
	for i := range b.Commands {
		if c := &b.Commands[i]; g.allows(c.Name) {
			lines = append(lines, c.usage())
		}
	}
	if t.config.Stop != nil && !g.isNone() {
		lines = append(lines, "stop")
	}
	if len(lines) == 2 {
		return ""
	}
	if len(t.all()) > 1 && b.NodeID == (NodeID{}) {
		lines = append(lines, "nodes", "at NODE …")
	}
	return strings.Join(lines, "\n")
}

// usage is how a command is said.
func (c *Command) usage() string {
	s := c.Name
	for i := range c.Parameters {
		p := &c.Parameters[i]
		if p.Optional {
			s += " [" + p.Name + "=" + p.values() + "]"
		} else {
			s += " " + p.Name + "=" + p.values()
		}
	}
	return s
}

// chatRead tells what somebody may read, of what he names or all of it.
func (t *Thing) chatRead(ctx context.Context, k *talk, b *body, names []string) {
	g := k.may(ctx, toRead, b.NodeID, names)
	if g.isNone() {
		t.decline(ctx, k, "You may not read that.")
		return
	}
	fields, err := t.readings(ctx, b, g, names)
	switch {
	case err != nil:
		k.answer(ctx, nil, "reading failed: "+err.Error())
	case len(fields) == 0 && len(names) > 0:
		k.answer(ctx, nil, "There is no "+strings.Join(names, ", ")+" to read.")
	case len(fields) == 0:
		k.answer(ctx, nil, "there is nothing to read yet")
	default:
		k.answer(ctx, fields, text(fields))
	}
}

// readings are the fields and parameters of a node that are granted, and wanted if names are.
func (t *Thing) readings(ctx context.Context, b *body, g grant, names []string) ([]Field, error) {
	wanted := func(name string) bool {
		return g.allows(name) && (len(names) == 0 || grant{names: names}.allows(name))
	}
	fields, err := b.measure(ctx)
	if err != nil {
		return nil, err
	}
	fields = slices.DeleteFunc(fields, func(f Field) bool { return !wanted(f.Name) })
	t.acting.Lock()
	defer t.acting.Unlock()
	more, err := b.states(ctx, wanted)
	return append(fields, more...), err
}

func (t *Thing) chatSet(ctx context.Context, k *talk, b *body, name, word string) {
	p := b.parameter(name)
	switch {
	case p == nil && b.canAny(ctx, k):
		k.answer(ctx, nil, fmt.Sprintf("There is no %s. %s", name, t.help(ctx, k, b)))
		return
	case p == nil:
		t.decline(ctx, k, "")
		return
	case !k.may(ctx, toControl, b.NodeID, []string{p.Name}).allows(p.Name):
		t.decline(ctx, k, "You may not set "+p.Name+".")
		return
	}
	v, err := p.value(word)
	if err == nil {
		err = t.set(ctx, b, p, v)
	}
	if err != nil {
		k.answer(ctx, nil, p.Name+": "+err.Error())
		return
	}
	f := []Field{{Name: p.Name, Value: v, Unit: p.Unit, Time: time.Now()}}
	k.answer(ctx, f, "done: "+text(f))
}

// set sets a parameter. Who wants it may.
func (t *Thing) set(ctx context.Context, b *body, p *Parameter, v Value) error {
	if err := p.fits(v); err != nil {
		return err
	}
	t.acting.Lock()
	defer t.acting.Unlock()
	if err := p.Set(ctx, v); err != nil {
		t.log.Warn("command failed", "node", b.ID, "parameter", p.Name, "err", err)
		return err
	}
	t.log.Info("command obeyed", "node", b.ID, "parameter", p.Name, "value", v.String())
	return nil
}

// act carries a command out. Who wants it may.
func (t *Thing) act(ctx context.Context, b *body, c *Command, arguments map[string]Value) (string, error) {
	t.acting.Lock()
	defer t.acting.Unlock()
	answer, err := c.Do(ctx, arguments)
	if err != nil {
		t.log.Warn("command failed", "node", b.ID, "command", c.Name, "err", err)
		return "", err
	}
	t.log.Info("command obeyed", "node", b.ID, "command", c.Name)
	return answer, nil
}

func (t *Thing) chatDo(ctx context.Context, k *talk, b *body, c *Command, list []string) {
	if !k.may(ctx, toControl, b.NodeID, []string{c.Name}).allows(c.Name) {
		t.decline(ctx, k, "You may not do that.")
		return
	}
	arguments, err := c.arguments(list)
	if err != nil {
		k.answer(ctx, nil, err.Error()+"\nIt is said like this: "+c.usage())
		return
	}
	answer, err := t.act(ctx, b, c, arguments)
	switch {
	case err != nil:
		k.answer(ctx, nil, c.Name+": "+err.Error())
	case answer == "":
		k.answer(ctx, nil, "done: "+c.Name)
	default:
		k.answer(ctx, nil, answer)
	}
}

// arguments reads what follows a command: values in the order in which they are declared, or NAME=VALUE.
func (c *Command) arguments(list []string) (map[string]Value, error) {
	arguments := make(map[string]Value)
	next := 0
	for i, word := range list {
		name, value, named := strings.Cut(word, "=")
		at := slices.IndexFunc(c.Parameters, func(p Parameter) bool { return named && strings.EqualFold(p.Name, name) })
		if at < 0 {
			at, value = next, word
			next++
			if at == len(c.Parameters)-1 && c.Parameters[at].Kind == String {
				value = strings.Join(list[i:], " ") // a text at the end needs no quotes
			}
		}
		if at >= len(c.Parameters) {
			return nil, fmt.Errorf("%s: %q is too much", c.Name, word)
		}
		p := &c.Parameters[at]
		if _, twice := arguments[p.Name]; twice {
			return nil, fmt.Errorf("%s: %s is said twice", c.Name, p.Name)
		}
		v, err := p.value(value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.Name, err)
		}
		arguments[p.Name] = v
		if at == next-1 && at == len(c.Parameters)-1 && p.Kind == String {
			break
		}
	}
	return arguments, c.complete(arguments)
}

// complete tells which argument is missing.
func (c *Command) complete(arguments map[string]Value) error {
	for i := range c.Parameters {
		p := &c.Parameters[i]
		if _, ok := arguments[p.Name]; !ok && !p.Optional {
			return fmt.Errorf("%s needs %s", c.Name, p.Name)
		}
	}
	return nil
}

// chatNodes lists the nodes that somebody may do anything with.
func (t *Thing) chatNodes(ctx context.Context, k *talk) {
	var lines []string
	for _, b := range t.all()[1:] {
		if !b.canAny(ctx, k) {
			continue
		}
		line := b.ID
		if b.Name != "" {
			line += ": " + b.Name
		}
		lines = append(lines, line)
	}
	if len(lines) == 0 {
		t.decline(ctx, k, "There is none for you.")
		return
	}
	k.answer(ctx, nil, strings.Join(lines, "\n"))
}

// answer answers the message s: to the bare address, because what asked may be a program that is gone already, and people
// are where they read.
func (t *Thing) answer(ctx context.Context, s *stanza.Stanza, fields []Field, body string) {
	t.say(ctx, s.Type, s.From.Bare(), fields, body)
}
