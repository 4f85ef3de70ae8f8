// SPDX-License-Identifier: Apache-2.0

package thing

// How to read this file: setRequest does what XEP-0325 asks for, all of what somebody may or nothing (controllable, changes); typed
// is what programs say for a value; formRequest tells what there is.

import (
	"context"
	"fmt"
	"slices"

	"github.com/stonechat-im/stonechat/xmpp/control"
	"github.com/stonechat-im/stonechat/xmpp/form"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

func (t *Thing) serveControl() {
	name := (*control.Set)(nil).XMLName()
	t.serve(stanza.Set, name, t.refusing(t.setRequest, func(_ *stanza.Stanza, e *stanza.Error) stanza.Payload { return control.RefusalOf(e) }))
	t.serve(stanza.Get, (*control.GetForm)(nil).XMLName(), t.formRequest)
	// A message is answered by nothing, whether it is obeyed or not. XEP-0325 §3.1.1
	t.client.Handle(stanza.Message, name, func(ctx context.Context, s *stanza.Stanza) {
		if s.Type == stanza.Groupchat || t.isStale(s) {
			t.log.Warn("a command in a room, or of yesterday, is not obeyed", "from", s.From.String())
			return
		}
		t.do(ctx, s, func(ctx context.Context) {
			if _, err := t.setRequest(ctx, s); err != nil {
				t.log.Warn("command not obeyed", "from", s.From.String(), "err", err)
			}
		})
	})
}

// change is one parameter that is to be set.
type change struct {
	*body
	*Parameter
	to Value
}

// setRequest sets parameters: all that are asked for and allowed, or none. XEP-0325 §3.1, §3.2
func (t *Thing) setRequest(ctx context.Context, s *stanza.Stanza) (stanza.Payload, error) {
	var q control.Set
	if _, err := s.Decode(&q); err != nil {
		return nil, err
	}
	reduced, nodes, err := t.controllable(ctx, s.From, &q)
	if err != nil {
		return nil, err
	}
	var changes []change
	var errs []control.ParamError
	why := stanza.BadRequest
	for _, b := range nodes {
		list, wrong := b.changes(reduced)
		changes = append(changes, list...)
		if errs = append(errs, wrong...); slices.ContainsFunc(wrong, func(e control.ParamError) bool { return b.exactly(e.Name) == nil }) {
			why = stanza.ItemNotFound // XEP-0325 §5.1
		}
	}
	if len(errs) > 0 {
		return nil, control.Rejected(why, errs[0].Name+": "+errs[0].Text, errs[:min(len(errs), control.MaxParameters)]...)
	}
	for _, c := range changes {
		if err := t.set(ctx, c.body, c.Parameter, c.to); err != nil {
			return nil, control.Rejected(stanza.UndefinedCondition, c.Parameter.Name+": "+err.Error(), control.ParamError{Name: c.Parameter.Name, Text: err.Error()})
		}
	}
	return q.Response(reduced), nil
}

// controllable is what of a command somebody may have done, and the nodes of it.
func (t *Thing) controllable(ctx context.Context, caller jid.JID, q *control.Set) (*control.Set, []*body, error) {
	asked := q.Nodes
	if len(asked) == 0 {
		asked = []control.Node{{}}
	}
	names := q.Names()
	if len(names) == 0 && t.isTrusted(caller) {
		return nil, nil, control.Rejected(stanza.BadRequest, "nothing is to be set")
	}
	allowed := names
	var nodes []*body
	var missing *control.Node
	limit := control.Limit{}
	shown := &showing{Tokens: q.Tokens}
	for _, n := range asked {
		meant := t.meant(n)
		if len(meant) == 0 {
			missing = &n
			continue
		}
		var some []control.Node
		for _, b := range meant {
			g := t.mayBy(ctx, question{caller, toControl, b.NodeID, names}, shown)
			if g.isNone() {
				continue
			}
			if some = append(some, b.NodeID); !slices.Contains(nodes, b) {
				nodes = append(nodes, b)
			}
			allowed = slices.DeleteFunc(slices.Clone(allowed), func(name string) bool { return !g.allows(name) })
		}
		if len(some) == len(meant) {
			some = []control.Node{n}
		}
		limit.Nodes = append(limit.Nodes, some...)
	}
	switch {
	case missing != nil && (len(nodes) > 0 || t.isTrusted(caller) || t.access.hasSome(caller)):
		return nil, nil, control.Rejected(stanza.ItemNotFound, "there is no node "+nodeName(*missing))
	case len(nodes) == 0 || len(allowed) == 0:
		return nil, nil, t.refuse(caller)
	}
	limit.Names = allowed
	if len(q.Nodes) == 0 {
		limit.Nodes = nil
	}
	reduced, _, ok := q.Reduce(limit)
	if !ok {
		return nil, nil, t.refuse(caller)
	}
	return reduced, nodes, nil
}

// changes are the parameters of a node that a command sets, and what is wrong with it.
func (b *body) changes(q *control.Set) (list []change, errs []control.ParamError) {
	add := func(name string, value func(*Parameter) (Value, error)) {
		p := b.exactly(name)
		if p == nil {
			errs = append(errs, control.ParamError{Name: name, Text: "There is no such parameter."})
			return
		}
		v, err := value(p)
		if err == nil {
			err = p.fits(v)
		}
		if err != nil {
			errs = append(errs, control.ParamError{Name: name, Text: err.Error()})
			return
		}
		list = append(list, change{b, p, v})
	}
	for i := range q.Parameters {
		c := &q.Parameters[i]
		add(c.Name, func(p *Parameter) (Value, error) { return p.typed(c) })
	}
	if q.Form == nil {
		return list, errs
	}
	of := control.Set{Form: q.Form}
	for _, name := range of.Names() {
		f := q.Form.Field(name)
		if len(f.Values) == 0 {
			continue
		}
		add(name, func(p *Parameter) (Value, error) { return p.value(f.First()) })
	}
	return list, errs
}

// exactly finds a parameter by the name that programs write.
func (b *body) exactly(name string) *Parameter {
	if p := b.parameter(name); p != nil && p.Name == name {
		return p
	}
	return nil
}

// typed makes a value of what a program says. Numbers of any type are numbers; what is written in a format may come as
// that or as a text.
func (p *Parameter) typed(c *control.Parameter) (Value, error) {
	wrong := fmt.Errorf("%s is not %s", c.Type, p.values())
	switch p.Kind {
	case Numeric:
		if n, ok := c.Number(); ok {
			return p.value(n.String())
		}
		return Value{}, wrong
	case Boolean:
		if v, ok := c.Bool(); ok {
			return Bool(v), nil
		}
		return Value{}, wrong
	}
	if c.Type != control.TypeString && c.Type != p.Format.controlType() {
		return Value{}, wrong
	}
	return Text(c.Value), nil
}

func (f Format) controlType() control.Type {
	switch f {
	case Date:
		return control.TypeDate
	case TimeOfDay:
		return control.TypeTime
	case DateTime:
		return control.TypeDateTime
	case Duration:
		return control.TypeDuration
	case Color:
		return control.TypeColor
	}
	return control.TypeString
}

// formRequest gives the form of what somebody may set, of what all nodes that are named have in common. XEP-0325 §3.3
func (t *Thing) formRequest(ctx context.Context, s *stanza.Stanza) (stanza.Payload, error) {
	var q control.GetForm
	if _, err := s.Decode(&q); err != nil {
		return nil, err
	}
	asked := q.Nodes
	if len(asked) == 0 {
		asked = []control.Node{{}}
	}
	var title string
	var all [][]control.Description
	shown := &showing{Tokens: q.Tokens}
	for _, n := range asked {
		meant := t.meant(n)
		switch {
		case len(meant) > 0:
		case t.isTrusted(s.From) || t.access.hasSome(s.From):
			return nil, control.Rejected(stanza.ItemNotFound, "there is no node "+nodeName(n))
		default:
			return nil, t.refuse(s.From)
		}
		for _, b := range meant {
			g := t.mayBy(ctx, question{s.From, toControl, b.NodeID, nil}, shown)
			if g.isNone() {
				return nil, t.refuse(s.From)
			}
			list, err := t.descriptions(ctx, b, g)
			if err != nil {
				return nil, err
			}
			if len(all) == 0 {
				title = b.Name
			}
			all = append(all, list)
		}
	}
	return control.Form(title, "", control.Common(all...)), nil
}

// descriptions are the parameters of a node that are granted.
func (t *Thing) descriptions(ctx context.Context, b *body, g grant) ([]control.Description, error) {
	var list []*Parameter
	for i := range b.Parameters {
		if p := &b.Parameters[i]; g.allows(p.Name) {
			list = append(list, p)
		}
	}
	is, err := t.states(ctx, list)
	if err != nil {
		return nil, err
	}
	var out []control.Description
	for _, p := range list {
		d := control.Description{Name: p.Name, Type: p.controlType(), Label: p.title()}
		if v := is[p.Name]; v.Kind() != 0 {
			d.Value = v.plain()
		}
		if p.Min < p.Max {
			d.Min, d.Max = Number(p.Min).plain(), Number(p.Max).plain()
		}
		for _, o := range p.Options {
			d.Options = append(d.Options, form.Option{Label: o, Value: o})
		}
		out = append(out, d)
	}
	return out, nil
}

// controlType is the type that a parameter is shown as; it takes others, too.
func (p *Parameter) controlType() control.Type {
	const most = 1 << 31
	switch {
	case p.Kind == Boolean:
		return control.TypeBoolean
	case p.Kind == String:
		return p.Format.controlType()
	case p.Whole && p.Min < p.Max && p.Min >= -most && p.Max < most:
		return control.TypeInt
	case p.Whole:
		return control.TypeLong
	}
	return control.TypeDouble
}
