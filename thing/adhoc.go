// SPDX-License-Identifier: Apache-2.0

package thing

// How to read this file: what a thing measures, takes and does, as ad-hoc commands (XEP-0050), which many clients show as forms.
// read tells, set asks for all parameters, set/NAME for one, and each Command has its name. Where the thing speaks for nodes,
// each of these asks first for which.

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/command"
	"github.com/stonechat-im/stonechat/xmpp/disco"
	"github.com/stonechat-im/stonechat/xmpp/form"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// Names of commands and of the field of their forms that says for which node.
const (
	commandRead = "read"
	commandSet  = "set"
	commandStop = "stop"
	setPrefix   = commandSet + "/"
	varNode     = "node"
)

// sessions are the commands that are under way.
type sessions struct {
	mu sync.Mutex
	command.Sessions
}

// serveCommands answers requests of commands and about them.
func (t *Thing) serveCommands() {
	t.adhoc.Sessions = command.Sessions{Most: 100, OfOne: 10, Life: 10 * time.Minute, Lang: "en"}
	t.serve(stanza.Set, (*command.Command)(nil).XMLName(), t.command)
	t.serve(stanza.Get, (*disco.Items)(nil).XMLName(), t.items)
	t.client.HandleNodes(func(ctx context.Context, s *stanza.Stanza, node string) (*disco.Info, error) {
		return inTurn(ctx, t, s, func(ctx context.Context, s *stanza.Stanza) (*disco.Info, error) { return t.info(ctx, s, node) })
	})
}

// offer is a command as somebody sees it.
type offer struct {
	node, title string
	right       right
	names       []string // what of the right it takes; none: anything
}

// offers are the commands of the thing and of its nodes together.
func (t *Thing) offers() []offer {
	list := []offer{{commandRead, "Read", toRead, nil}}
	all := t.all()
	seen := map[string]bool{}
	add := func(o offer) {
		if key := strings.ToLower(o.node); !seen[key] {
			seen[key] = true
			list = append(list, o)
		}
	}
	for _, b := range all {
		for i := range b.Parameters {
			p := &b.Parameters[i]
			add(offer{commandSet, "Set", toControl, nil})
			add(offer{setPrefix + p.Name, "Set " + p.title(), toControl, []string{p.Name}})
		}
		for i := range b.Commands {
			c := &b.Commands[i]
			add(offer{c.Name, c.title(), toControl, []string{c.Name}})
		}
	}
	if t.config.Stop != nil {
		add(offer{commandStop, "Stop", toControl, []string{commandStop}})
	}
	return list
}

// has reports whether a node has the command.
func (b *body) has(node string, stops bool) bool {
	switch name, isSet := strings.CutPrefix(node, setPrefix); {
	case isSet:
		return b.parameter(name) != nil
	case node == commandRead:
		return true
	case node == commandSet:
		return len(b.Parameters) > 0
	case node == commandStop:
		return stops && b.NodeID == (NodeID{})
	}
	return b.command(node) != nil
}

// permitted are the nodes for which somebody may have a command.
func (t *Thing) permitted(ctx context.Context, caller jid.JID, o *offer) (list []*body) {
	for _, b := range t.all() {
		if b.has(o.node, t.config.Stop != nil) && t.mayOffer(ctx, caller, b, o) {
			list = append(list, b)
		}
	}
	return list
}

func (t *Thing) mayOffer(ctx context.Context, caller jid.JID, b *body, o *offer) bool {
	g := t.may(ctx, question{caller, o.right, b.NodeID, o.names})
	if len(o.names) == 0 {
		return !g.isNone()
	}
	return g.allows(o.names[0])
}

// offered finds a command by its node.
func (t *Thing) offered(node string) *offer {
	list := t.offers()
	i := slices.IndexFunc(list, func(o offer) bool { return strings.EqualFold(o.node, node) })
	if i < 0 {
		return nil
	}
	return &list[i]
}

// command carries a stage of a command out.
func (t *Thing) command(ctx context.Context, s *stanza.Stanza) (stanza.Payload, error) {
	var c command.Command
	if _, err := s.Decode(&c); err != nil {
		return nil, err
	}
	o := t.offered(c.Node)
	if o == nil {
		if !t.isTrusted(s.From) && !t.access.hasSome(s.From) {
			return nil, t.refuse(s.From)
		}
		return nil, stanza.ItemNotFound.Err("there is no such command")
	}
	nodes := t.permitted(ctx, s.From, o)
	if len(nodes) == 0 {
		return nil, t.refuse(s.From)
	}
	x, answer, err := t.take(s, &c)
	if x == nil {
		return result(answer, err)
	}
	err = t.stage(ctx, x, o, nodes)
	if err == nil && x.Impatient(&c) {
		if _, err = x.Submit(&c); err == nil {
			err = t.stage(ctx, x, o, nodes)
		}
	}
	t.adhoc.mu.Lock()
	defer t.adhoc.mu.Unlock()
	return result(t.adhoc.Put(x, err))
}

func (t *Thing) take(s *stanza.Stanza, c *command.Command) (*command.Execution, *command.Command, error) {
	t.adhoc.mu.Lock()
	defer t.adhoc.mu.Unlock()
	return t.adhoc.Take(time.Now(), s.From, s.To, c)
}

func result(c *command.Command, err error) (stanza.Payload, error) {
	if err != nil {
		return nil, err
	}
	return c, nil
}

// stage carries out what is next. nodes are those that the requester may have it for.
func (t *Thing) stage(ctx context.Context, x *command.Execution, o *offer, nodes []*body) error {
	b := nodes[0]
	if len(t.all()) > 1 && o.node != commandStop {
		if x.Stage() == 0 {
			x.Ask(chooseNode(o.title, nodes), onward(nodes, o.node))
			return nil
		}
		i := slices.IndexFunc(nodes, func(n *body) bool { return nodeName(n.NodeID) == x.Answer(varNode) })
		if i < 0 {
			return t.refuse(x.By)
		}
		b = nodes[i]
	}
	name, isSet := strings.CutPrefix(o.node, setPrefix)
	switch {
	case o.node == commandRead:
		return t.commandRead(ctx, x, b)
	case o.node == commandStop:
		h := t.halt()
		select {
		case <-h.done:
			finish(x, "stopped", h.err)
		case <-ctx.Done():
			return ctx.Err()
		}
		return nil
	case isSet:
		return t.commandSet(ctx, x, b, []*Parameter{b.parameter(name)})
	case o.node == commandSet:
		g := t.may(ctx, question{x.By, toControl, b.NodeID, nil})
		var list []*Parameter
		for i := range b.Parameters {
			if p := &b.Parameters[i]; g.allows(p.Name) {
				list = append(list, p)
			}
		}
		return t.commandSet(ctx, x, b, list)
	}
	return t.commandDo(ctx, x, b, b.command(o.node))
}

// onward is where the choice of a node leads: to the end, or to another form.
func onward(nodes []*body, node string) command.Action {
	for _, b := range nodes {
		if c := b.command(node); node != commandRead && (c == nil || len(c.Parameters) > 0) {
			return command.Next
		}
	}
	return command.Complete
}

// finish ends a command of which there is nothing to show but words.
func finish(x *command.Execution, text string, err error) {
	if err != nil {
		x.Fail(err.Error())
		return
	}
	x.Note(command.Info, text)
	x.Done(nil)
}

func chooseNode(title string, nodes []*body) *form.Form {
	field := form.Field{Var: varNode, Label: "Which", Type: form.ListSingle, Required: true, Values: []string{nodeName(nodes[0].NodeID)}}
	for _, b := range nodes {
		label := b.Name
		if label == "" {
			label = nodeName(b.NodeID)
		}
		if label == "" {
			label = "this thing"
		}
		field.Options = append(field.Options, form.Option{Label: label, Value: nodeName(b.NodeID)})
	}
	return &form.Form{Type: form.Ask, Title: title, Fields: []form.Field{field}}
}

// commandRead tells what the requester may read.
func (t *Thing) commandRead(ctx context.Context, x *command.Execution, b *body) error {
	g := t.may(ctx, question{x.By, toRead, b.NodeID, nil})
	if g.isNone() {
		return t.refuse(x.By)
	}
	fields, err := t.readings(ctx, b, g, nil)
	if err != nil {
		finish(x, "", err)
		return nil
	}
	f := &form.Form{Type: form.Result, Title: b.Name}
	for _, field := range fields {
		f.Fields = append(f.Fields, form.Field{Var: field.Name, Label: label(field.Name, field.Unit), Type: form.TextSingle, Values: []string{field.Value.String()}})
	}
	if len(fields) == 0 {
		x.Note(command.Info, "there is nothing to read yet")
		x.Done(nil)
		return nil
	}
	x.Note(command.Info, text(fields))
	x.Done(f)
	return nil
}

func label(name, unit string) string {
	if unit = symbol(unit); unit != "" {
		return name + " (" + unit + ")"
	}
	return name
}

// ask is the field of a form that asks for a parameter; is is how it stands, or none.
func (p *Parameter) ask(is Value, required bool) form.Field {
	f := form.Field{Var: p.Name, Label: p.title(), Type: form.TextSingle, Required: required}
	switch {
	case p.Kind == Boolean:
		f.Type = form.Boolean
	case len(p.Options) > 0:
		f.Type = form.ListSingle
		for _, o := range p.Options {
			f.Options = append(f.Options, form.Option{Label: o, Value: o})
		}
	case p.Kind == Numeric && p.Min < p.Max, p.Format != 0:
		f.Desc = p.values()
	}
	if is.Kind() != 0 {
		f.Values = []string{is.plain()}
	}
	return f
}

// plain is the value as forms and programs write it.
func (v Value) plain() string { return v.v.String() }

// states are how parameters stand, of those that tell.
func (t *Thing) states(ctx context.Context, list []*Parameter) (map[string]Value, error) {
	t.acting.Lock()
	defer t.acting.Unlock()
	is := make(map[string]Value)
	for _, p := range list {
		if p.Get == nil {
			continue
		}
		v, err := p.Get(ctx)
		if err != nil {
			return nil, fail(err)
		}
		is[p.Name] = v
	}
	return is, nil
}

// commandSet asks for parameters, and sets those that are changed.
func (t *Thing) commandSet(ctx context.Context, x *command.Execution, b *body, list []*Parameter) error {
	is, err := t.states(ctx, list)
	if err != nil {
		return err
	}
	if !t.isFilled(x) {
		f := &form.Form{Type: form.Ask, Title: "Set", Instructions: []string{"What is left as it is is not set."}}
		if b.Name != "" {
			f.Title = b.Name
		}
		for _, p := range list {
			f.Fields = append(f.Fields, p.ask(is[p.Name], len(list) == 1))
		}
		x.Ask(f)
		return nil
	}
	filled := x.Forms[x.Stage()-1]
	type change struct {
		*Parameter
		to Value
	}
	var changes []change
	for _, p := range list {
		field := filled.Field(p.Name)
		if field == nil || len(field.Values) == 0 || field.First() == "" && p.Kind != String {
			continue
		}
		v, err := p.value(field.First())
		if err != nil {
			return command.Err(command.BadPayload, p.Name+": "+err.Error())
		}
		if was, known := is[p.Name]; len(list) > 1 && (known && was == v || !known && field.First() == "") {
			continue
		}
		changes = append(changes, change{p, v})
	}
	var done []Field
	for _, c := range changes {
		if err := t.set(ctx, b, c.Parameter, c.to); err != nil {
			x.Fail(c.Name + ": " + err.Error())
			return nil
		}
		done = append(done, Field{Name: c.Name, Value: c.to, Unit: c.Unit})
	}
	if len(done) == 0 {
		finish(x, "nothing is changed", nil)
		return nil
	}
	finish(x, "done: "+text(done), nil)
	return nil
}

// isFilled reports whether the form of a command is behind it, and not only the choice of a node.
func (t *Thing) isFilled(x *command.Execution) bool {
	if len(t.all()) > 1 {
		return x.Stage() >= 2
	}
	return x.Stage() >= 1
}

// commandDo asks for the arguments of a command, if it has any, and carries it out.
func (t *Thing) commandDo(ctx context.Context, x *command.Execution, b *body, c *Command) error {
	last := x.Stage() - 1
	if len(c.Parameters) > 0 && !t.isFilled(x) {
		x.Ask(c.form())
		return nil
	}
	var filled *form.Form
	if last >= 0 {
		filled = x.Forms[last]
	}
	arguments, wrong := c.submitted(filled)
	if len(wrong) > 0 {
		return command.Err(command.BadPayload, wrong[0].Var+": "+wrong[0].Text)
	}
	answer, err := t.act(ctx, b, c, arguments)
	if answer == "" {
		answer = "done: " + c.Name
	}
	finish(x, answer, err)
	return nil
}

// items lists the commands that somebody may have. XEP-0050 §2.1
func (t *Thing) items(ctx context.Context, s *stanza.Stanza) (stanza.Payload, error) {
	var q disco.Items
	if _, err := s.Decode(&q); err != nil {
		return nil, err
	}
	if q.Node != "" && q.Node != command.NS {
		return nil, stanza.ItemNotFound.Err("")
	}
	answer := &disco.Items{Node: q.Node}
	if q.Node == "" {
		return answer, nil
	}
	list := t.offers()
	for i := range list {
		if o := &list[i]; len(t.permitted(ctx, s.From, o)) > 0 {
			answer.Items = append(answer.Items, disco.Item{JID: t.client.JID(), Node: o.node, Name: o.title})
		}
	}
	if len(answer.Items) == 0 {
		return nil, t.refuse(s.From)
	}
	return answer, nil
}

// info says what a node of service discovery is. XEP-0050 §2.2
func (t *Thing) info(ctx context.Context, s *stanza.Stanza, node string) (*disco.Info, error) {
	identity := disco.Identity{Category: command.Category, Type: command.TypeNode}
	if node == command.NS {
		identity.Type, identity.Name = command.TypeList, "Commands"
	} else {
		o := t.offered(node)
		if o == nil || len(t.permitted(ctx, s.From, o)) == 0 {
			return nil, stanza.ItemNotFound.Err("")
		}
		identity.Name = o.title
	}
	return &disco.Info{Node: node, Identities: []disco.Identity{identity}, Features: []string{command.NS, form.NS}}, nil
}
