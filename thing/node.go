// SPDX-License-Identifier: Apache-2.0

package thing

// How to read this file: Node, Measure, Parameter and Command are what programs declare; what is wrong with that is said
// by their check; body is one node in use.

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/concentrator"
	"github.com/stonechat-im/stonechat/xmpp/senml"
	"github.com/stonechat-im/stonechat/xmpp/sensordata"
	"github.com/stonechat-im/stonechat/xmpp/xsd"
)

// NodeID is the address of a node behind a thing: ID, Source and Cache. The zero NodeID is the thing itself. XEP-0326 §3
type NodeID = sensordata.Node

func isOwn(n NodeID) bool { return n == NodeID{} }

// nodeName is the address of a node for people.
func nodeName(n NodeID) string {
	if n.Source == "" && n.Cache == "" {
		return n.ID
	}
	return strings.Join([]string{n.ID, n.Source, n.Cache}, "/")
}

// Node is what a concentrator speaks for: a meter on its bus, a lamp on its radio. It is read and set as the thing is, by
// its address.
type Node struct {
	NodeID
	Parent string // the id of the node of the same source that it is behind; "" is none
	Name   string // for people
	// Every is how often a reading is taken and told, as in Config. 0 is never by itself. Those that are due at one time are taken one
	// after the other.
	Every time.Duration

	Read       func(ctx context.Context) ([]Field, error) // as in Config
	Fields     []Measure
	Parameters []Parameter
	Commands   []Command
}

// Measure declares a field that can be read.
type Measure struct {
	Name     string // as in Field
	Unit     string
	Kind     Kind
	Category sensordata.Category // 0 is Momentary
	// Read takes this field alone. nil: it comes from the Read of the thing or the node. It runs on one goroutine
	// at a time with them.
	Read func(ctx context.Context) (Value, error)
}

// Parameter is something that the owner, and who else may, sets. As an argument of a command it needs no Set.
type Parameter struct {
	Name  string // a word
	Title string // for people; "" is the name
	Kind  Kind
	Unit  string // as in Field
	// Min and Max are the least and the greatest number, if Min is less than Max.
	Min, Max float64
	// Whole takes integers only.
	Whole bool
	// Options are the texts that there are, if any.
	Options []string
	// Format is what texts have to look like, if that is not free.
	Format Format
	// Optional, of an argument: a command can do without.
	Optional bool
	// Set does what is said. Its error is told to whoever has said it. It runs on one goroutine at a time with those of
	// all parameters and commands, in the order in which each caller says it.
	Set func(ctx context.Context, v Value) error
	// Get tells how it stands, for whoever may read it. It may be nil.
	Get func(ctx context.Context) (Value, error)
}

// Command is something that a thing can be told to do.
type Command struct {
	Name       string // a word
	Title      string // for people; "" is the name
	Parameters []Parameter
	// Do does it, and may say something to whoever wants it. Its error is told, too. It runs as Parameter.Set does.
	Do func(ctx context.Context, arguments map[string]Value) (answer string, err error)
}

// reserved are the words that the chat has for itself.
func reserved(name string) bool {
	switch strings.ToLower(name) {
	case "help", "read", "set", "stop", "nodes", "at", "all":
		return true
	}
	return false
}

func checkName(what, name string) error {
	if !senml.ValidName(name) {
		return fmt.Errorf("thing: %q is no name of a %s: letters, digits and -:./_", name, what)
	}
	return nil
}

func (m *Measure) check(hasRead bool) error {
	switch {
	case m.Kind > String:
		return fmt.Errorf("thing: field %s is of no kind that there is", m.Name)
	case m.Read == nil && !hasRead:
		return fmt.Errorf("thing: field %s needs a Read, or the thing one", m.Name)
	}
	return checkName("field", m.Name)
}

func (p *Parameter) check(argument bool) error {
	switch {
	case p.Kind < Numeric || p.Kind > String:
		return fmt.Errorf("thing: parameter %s needs a kind", p.Name)
	case p.Set == nil && !argument:
		return fmt.Errorf("thing: parameter %s needs a Set", p.Name)
	case (p.Min < p.Max || p.Whole) && p.Kind != Numeric:
		return fmt.Errorf("thing: parameter %s has bounds, but is no number", p.Name)
	case (len(p.Options) > 0 || p.Format != 0) && p.Kind != String:
		return fmt.Errorf("thing: parameter %s has options or a format, but is no text", p.Name)
	}
	return checkName("parameter", p.Name)
}

func (c *Command) check() error {
	switch {
	case reserved(c.Name):
		return fmt.Errorf("thing: no command can be called %s", c.Name)
	case strings.HasPrefix(strings.ToLower(c.Name), "set/"):
		return fmt.Errorf("thing: a command cannot be called %s: that is how parameters are set", c.Name)
	case c.Do == nil:
		return fmt.Errorf("thing: command %s needs a Do", c.Name)
	}
	if err := unique(c.Parameters, func(p *Parameter) string { return p.Name }); err != nil {
		return err
	}
	for i := range c.Parameters {
		if err := c.Parameters[i].check(true); err != nil {
			return err
		}
	}
	return checkName("command", c.Name)
}

// check tells what is wrong with a node.
func (n *Node) check() error {
	if n.Every < 0 || n.Every > 0 && n.Read == nil && !measures(n.Fields) {
		return errors.New("thing: Every needs a Read")
	}
	if err := errors.Join(
		unique(n.Fields, func(m *Measure) string { return m.Name }),
		unique(n.Parameters, func(p *Parameter) string { return p.Name }),
		unique(n.Commands, func(c *Command) string { return c.Name }),
	); err != nil {
		return err
	}
	for i := range n.Fields {
		if err := n.Fields[i].check(n.Read != nil); err != nil {
			return err
		}
	}
	for i := range n.Parameters {
		if err := n.Parameters[i].check(false); err != nil {
			return err
		}
	}
	for i := range n.Commands {
		if err := n.Commands[i].check(); err != nil {
			return err
		}
	}
	return nil
}

// unique tells which name there is twice; people write them in any case.
func unique[T any](list []T, name func(*T) string) error {
	seen := make(map[string]bool, len(list))
	for i := range list {
		n := strings.ToLower(name(&list[i]))
		if seen[n] {
			return fmt.Errorf("thing: there are two of the name %s", name(&list[i]))
		}
		seen[n] = true
	}
	return nil
}

// value reads what somebody says for a parameter.
func (p *Parameter) value(word string) (Value, error) {
	v, err := ParseValue(p.Kind, word)
	if err != nil {
		return v, err
	}
	return v, p.fits(v)
}

// fits tells why a value is not one of the parameter.
func (p *Parameter) fits(v Value) error {
	switch {
	case v.Kind() != p.Kind:
		return fmt.Errorf("%q is not %s", v, p.values())
	case p.Whole && !isWhole(v):
		return fmt.Errorf("%s is not a whole number", v)
	case p.Min < p.Max && (v.Number() < p.Min || v.Number() > p.Max):
		return fmt.Errorf("%s is not between %s and %s", v, Number(p.Min), Number(p.Max))
	case len(p.Options) > 0 && !slices.Contains(p.Options, v.String()):
		return fmt.Errorf("%q is none of %s", v, strings.Join(p.Options, ", "))
	case p.Format != 0:
		return p.Format.fits(v.String())
	}
	return nil
}

func isWhole(v Value) bool {
	_, ok := v.SenML().Number().Int64()
	return ok
}

// values is what can be said of a parameter.
func (p *Parameter) values() string {
	switch {
	case p.Kind == Boolean:
		return "on|off"
	case len(p.Options) > 0:
		return strings.Join(p.Options, "|")
	case p.Kind == Numeric && p.Min < p.Max:
		return Number(p.Min).String() + ".." + Number(p.Max).String()
	case p.Kind == Numeric:
		return "NUMBER"
	case p.Format != 0:
		return p.Format.String()
	}
	return "TEXT"
}

func (p *Parameter) title() string {
	name := p.Title
	if name == "" {
		name = p.Name
	}
	if unit := symbol(p.Unit); unit != "" {
		return name + " (" + unit + ")"
	}
	return name
}

func (c *Command) title() string {
	if c.Title == "" {
		return c.Name
	}
	return c.Title
}

// body is a node in use.
type body struct {
	*Node
	reading *sync.Mutex // held while one of its Read runs
	latest  func() []Field

	// Of Thing.mu: how the node is.
	state    concentrator.State
	messages []concentrator.Message
	changed  xsd.DateTime // it, or how it is
}

// isMeant reports whether an address may mean the node: what it leaves open is any. The data source of a node that has none is Topology, and
// may be named.
func (b *body) isMeant(asked NodeID) bool {
	named := b.NodeID
	named.Source = sourceOf(named)
	return b.Is(asked) || named.Is(asked)
}

func (b *body) parameter(name string) *Parameter {
	i := slices.IndexFunc(b.Parameters, func(p Parameter) bool { return strings.EqualFold(p.Name, name) })
	if i < 0 {
		return nil
	}
	return &b.Parameters[i]
}

func (b *body) command(name string) *Command {
	i := slices.IndexFunc(b.Commands, func(c Command) bool { return strings.EqualFold(c.Name, name) })
	if i < 0 {
		return nil
	}
	return &b.Commands[i]
}

// measure takes what the node measures, or what was reported of it last.
func (b *body) measure(ctx context.Context) ([]Field, error) {
	b.reading.Lock()
	defer b.reading.Unlock()
	var fields []Field
	switch {
	case b.Read != nil:
		got, err := b.Read(ctx)
		if err != nil {
			return nil, err
		}
		fields = slices.Clone(got)
	case !slices.ContainsFunc(b.Fields, func(m Measure) bool { return m.Read != nil }):
		fields = slices.Clone(b.latest())
	}
	for i := range b.Fields {
		m := &b.Fields[i]
		if m.Read == nil {
			continue
		}
		v, err := m.Read(ctx)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.Name, err)
		}
		fields = append(fields, Field{Name: m.Name, Value: v})
	}
	now := time.Now()
	for i := range fields {
		f := &fields[i]
		if f.Time.IsZero() {
			f.Time = now
		}
		if m := b.declared(f.Name); m != nil && f.Unit == "" {
			f.Unit = m.Unit
		}
		if err := f.check(); err != nil {
			return nil, err
		}
	}
	return fields, nil
}

// states is how the parameters stand, of those that tell.
func (b *body) states(ctx context.Context, allowed func(name string) bool) ([]Field, error) {
	var fields []Field
	for i := range b.Parameters {
		p := &b.Parameters[i]
		if p.Get == nil || !allowed(p.Name) {
			continue
		}
		v, err := p.Get(ctx)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.Name, err)
		}
		fields = append(fields, Field{Name: p.Name, Value: v, Unit: p.Unit, Time: time.Now()})
	}
	return fields, nil
}

// declared is what was declared of a field, or nil.
func (b *body) declared(name string) *Measure {
	i := slices.IndexFunc(b.Fields, func(m Measure) bool { return m.Name == name })
	if i < 0 {
		return nil
	}
	return &b.Fields[i]
}
