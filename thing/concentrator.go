// SPDX-License-Identifier: Apache-2.0

package thing

// How to read this file: what a thing speaks for beside itself is told by XEP-0326, its reading part and the commands of nodes. Who
// asks sees the nodes that he may do anything with, and of these alone what they can be told. What changes is told by node_events.go.

import (
	"context"
	"slices"
	"strings"

	"github.com/stonechat-im/stonechat/client"
	"github.com/stonechat-im/stonechat/xmpp/concentrator"
	"github.com/stonechat-im/stonechat/xmpp/form"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

func (t *Thing) serveConcentrator() {
	for _, typ := range []stanza.Type{stanza.Get, stanza.Set} { // what is not known is answered, too. XEP-0326 §5.4
		t.serve(typ, xmlstream.Name{Space: concentrator.NS}, t.concentrate)
	}
}

// ownAnswers is what a list of nodes does not answer.
func ownAnswers() []concentrator.Capability {
	return []concentrator.Capability{
		concentrator.GetNodeCommands, concentrator.GetCommandParameters, concentrator.ExecuteNodeCommand, concentrator.Subscribe, concentrator.Unsubscribe,
	}
}

// sourceOf is the data source of a node.
func sourceOf(n NodeID) string {
	if n.Source == "" {
		return concentrator.Topology
	}
	return n.Source
}

// visible are the nodes that somebody may do anything with.
func (t *Thing) visible(ctx context.Context, caller jid.JID) (list []*body) {
	for _, b := range t.all()[1:] {
		if t.sees(ctx, caller, b.NodeID) {
			list = append(list, b)
		}
	}
	return list
}

// sees reports whether somebody may do anything with a node.
func (t *Thing) sees(ctx context.Context, caller jid.JID, n NodeID) bool {
	return !t.may(ctx, question{caller, toRead, n, nil}).isNone() || !t.may(ctx, question{caller, toControl, n, nil}).isNone()
}

// told is what is told of a node. The caller holds mu.
func (b *body) told() concentrator.Info {
	id := b.NodeID
	id.Source = sourceOf(id)
	return concentrator.Info{
		Node: id, Name: b.Name, Type: "Node", State: b.state, Parent: concentrator.Node{ID: b.Parent}, Changed: b.changed, Messages: b.messages,
		Readable: b.Read != nil || len(b.Fields) > 0, Controllable: len(b.Parameters) > 0, HasCommands: len(b.Commands) > 0,
	}
}

// concentrate answers a request. XEP-0326 §3
func (t *Thing) concentrate(ctx context.Context, s *stanza.Stanza) (stanza.Payload, error) {
	_, local, _ := s.Child(s.First())
	q := concentrator.Request{Capability: concentrator.Capability(local)}
	if _, err := s.Decode(&q); err != nil {
		return nil, err
	}
	nodes := t.visible(ctx, s.From)
	switch {
	case len(nodes) == 0 && !t.isTrusted(s.From):
		return nil, t.refuse(s.From)
	case q.Capability.Known() && q.Capability.Sets() != (s.Type == stanza.Set):
		return nil, stanza.BadRequest.Err("this is asked by a request of the other type")
	}
	tree := concentrator.Tree{Sources: []concentrator.DataSource{{ID: concentrator.Topology, Name: "Nodes"}}, Also: ownAnswers()}
	hasSource := func(id string) bool {
		return slices.ContainsFunc(tree.Sources, func(s concentrator.DataSource) bool { return s.ID == id })
	}
	for _, b := range nodes {
		t.mu.Lock()
		i := b.told()
		t.mu.Unlock()
		if !hasSource(i.Node.Source) {
			tree.Sources = append(tree.Sources, concentrator.DataSource{ID: i.Node.Source, Name: i.Node.Source})
		}
		tree.Nodes = append(tree.Nodes, i)
	}
	a, ok := tree.Answer(&q, nil)
	switch {
	case ok:
		return a, nil
	case q.Capability == concentrator.Subscribe || q.Capability == concentrator.Unsubscribe:
		if !hasSource(q.Source) {
			return q.Answer(concentrator.NotFound), nil
		}
		t.client.Answer(s, q.Answer(t.watchers.change(s.From, &q)), nil)
		t.wake(&t.watchers.task, t.tellWatchers) // behind the answer: what he has missed
		return nil, client.ErrLater
	}
	return t.nodeCommand(ctx, s.From, &q, nodes)
}

// nodeCommand answers what is asked of the commands of a node, which are those that the caller may have. XEP-0326 §3.6
func (t *Thing) nodeCommand(ctx context.Context, caller jid.JID, q *concentrator.Request, nodes []*body) (stanza.Payload, error) {
	i := slices.IndexFunc(nodes, func(b *body) bool { return len(q.Nodes) > 0 && b.isMeant(q.Nodes[0]) })
	if i < 0 {
		return q.Answer(concentrator.NotFound), nil
	}
	b := nodes[i]
	answer := q.Answer(concentrator.OK)
	if q.Capability == concentrator.GetNodeCommands {
		for k := range b.Commands {
			c := &b.Commands[k]
			if !t.may(ctx, question{caller, toControl, b.NodeID, []string{c.Name}}).allows(c.Name) {
				continue
			}
			typ := concentrator.Simple
			if len(c.Parameters) > 0 {
				typ = concentrator.Parameterized
			}
			answer.Commands = append(answer.Commands, concentrator.Command{ID: c.Name, Name: c.title(), Type: typ})
		}
		return answer, nil
	}
	c := b.command(q.Command)
	if c == nil {
		return q.Answer(concentrator.NotFound), nil
	}
	if !t.may(ctx, question{caller, toControl, b.NodeID, []string{c.Name}}).allows(c.Name) {
		t.log.Warn("refused", "from", caller.String())
		return q.Answer(concentrator.InsufficientPrivileges), nil
	}
	if q.Capability == concentrator.GetCommandParameters {
		answer.Form = c.form()
		return answer, nil
	}
	arguments, wrong := c.submitted(q.Form)
	if len(wrong) > 0 {
		answer = q.Answer(concentrator.FormError)
		answer.Errors = wrong
		return answer, nil
	}
	if _, err := t.act(ctx, b, c, arguments); err != nil {
		answer = q.Answer(concentrator.OtherError)
		answer.Errors = []concentrator.ParameterError{{Text: err.Error()}}
	}
	return answer, nil
}

// form asks for the arguments of a command.
func (c *Command) form() *form.Form {
	f := &form.Form{Type: form.Ask, Title: c.title()}
	for i := range c.Parameters {
		p := &c.Parameters[i]
		f.Fields = append(f.Fields, p.ask(Value{}, !p.Optional))
	}
	return f
}

// submitted are the arguments that a form has, and what is wrong with them.
func (c *Command) submitted(f *form.Form) (arguments map[string]Value, wrong []concentrator.ParameterError) {
	arguments = make(map[string]Value)
	for i := range c.Parameters {
		p := &c.Parameters[i]
		var field *form.Field
		if f != nil {
			field = f.Field(p.Name)
		}
		if field == nil || field.First() == "" {
			continue
		}
		v, err := p.value(field.First())
		if err != nil {
			wrong = append(wrong, concentrator.ParameterError{Var: p.Name, Text: err.Error()})
			continue
		}
		arguments[p.Name] = v
	}
	if err := c.complete(arguments); err != nil && len(wrong) == 0 {
		name := strings.TrimPrefix(err.Error(), c.Name+" needs ")
		wrong = append(wrong, concentrator.ParameterError{Var: name, Text: err.Error()})
	}
	return arguments, wrong
}
