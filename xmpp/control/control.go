// SPDX-License-Identifier: Apache-2.0

// Package control is the vocabulary of telling a thing what to do: setting its parameters, all or none of them, and asking for
// the form that says which there are.
//
// The specification is Retracted: its author took the work elsewhere, and new protocols are not to build on it. It is here
// because the programs and libraries that control things over XMPP today speak it.
//
// XEP-0325 (partial, 0.5.1): the vocabulary, for things and who controls them
package control

// How to read this package: this file has the elements; parameter.go what a parameter is; describe.go what can be set, as a form
// and by what a command says; convert.go what fields of sensor data and values of SenML are as parameters; error.go how a thing
// refuses; xml.go the grammar, and its words.

import (
	"slices"

	"github.com/stonechat-im/stonechat/xmpp/form"
	"github.com/stonechat-im/stonechat/xmpp/sensordata"
)

// NS qualifies all elements, and is the feature of what can be controlled. XEP-0325 §4
const NS = "urn:xmpp:iot:control"

// Bounds of what is read; what exceeds one is policy-violation.
const (
	MaxNodes      = 256  // nodes of a command
	MaxParameters = 256  // parameters of a command, and errors of an answer
	MaxLength     = 1024 // bytes of a name, an ID or a token
)

// Node is one of several things behind an address; the zero Node is the thing itself.
type Node = sensordata.Node

// Tokens say on whose behalf somebody commands.
type Tokens = sensordata.Tokens

// Set is a command: parameters to be set in this order, of all nodes or of none (§3.3). Whoever sends it in an IQ of type set gets
// a SetResponse or an error; in a message it is answered by nothing. It implements stanza.Payload. XEP-0325 §3.1
type Set struct {
	Nodes      []Node // none: the thing itself
	Parameters []Parameter
	Form       *form.Form // a submission of the form that GetForm gives, beside or instead of Parameters; nil: none
	Tokens     Tokens
	Lang       string // that an answer should be in, "" for the stanza's
}

// SetResponse says that a command was executed: as it was given if the response is empty, else for these nodes or these
// parameters only. It implements stanza.Payload. XEP-0325 §3.1.2
type SetResponse struct {
	Nodes []Node
	Names []string // of parameters
}

// GetForm asks for the form of what can be set, of what all the nodes have in common (IQ of type get). The answer is a form.Form,
// see Form. It implements stanza.Payload. XEP-0325 §3.3
type GetForm struct {
	Nodes  []Node
	Tokens Tokens
	Lang   string
}

// VarSession is the hidden field of a form that tells which of several it is; a submission has it as it was. XEP-0336 §3.1
const VarSession = "xdd session"

// Names are the names of all parameters that the command sets, in their order, each once.
func (s *Set) Names() []string {
	var out []string
	for i := range s.Parameters {
		if name := s.Parameters[i].Name; !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	if s.Form == nil {
		return out
	}
	for i := range s.Form.Fields {
		if f := &s.Form.Fields[i]; sets(f) && !slices.Contains(out, f.Var) {
			out = append(out, f.Var)
		}
	}
	return out
}

// sets reports whether a field of a submission sets something. That it is called hidden or fixed says nothing: a thing may not
// look at that.
func sets(f *form.Field) bool {
	return f.Var != "" && f.Var != VarSession && f.Var != form.VarFormType
}

// Limit is how much of a thing somebody may control. The zero Limit is all of it: of each part nil is everything, and a slice
// without members nothing.
type Limit struct {
	Nodes []Node
	Names []string // of parameters
}

// Allows reports whether setting a parameter of a node is within the limit.
func (l *Limit) Allows(n Node, name string) bool {
	return (l.Nodes == nil || slices.ContainsFunc(l.Nodes, n.Is)) && (l.Names == nil || slices.Contains(l.Names, name))
}

// Reduce makes of the command one that does no more than the limit has. ok is false if nothing is left to be done. whole says that
// nothing was taken away. The command stays as it is; the other may share parts of it that nobody is to change.
//
// Whoever keeps others to a limit hands on what Reduce has made, whole or not, and not what came: that may have said more than is
// understood here.
func (s *Set) Reduce(l Limit) (reduced *Set, whole, ok bool) {
	out := *s
	before := len(s.Names())
	allowed := func(name string) bool { return l.Names == nil || slices.Contains(l.Names, name) }
	out.Parameters = slices.DeleteFunc(slices.Clone(s.Parameters), func(p Parameter) bool { return !allowed(p.Name) })
	if s.Form != nil { // of which nothing else than fields sets anything
		out.Form = &form.Form{Type: form.Submit, Fields: slices.DeleteFunc(slices.Clone(s.Form.Fields), func(f form.Field) bool {
			return sets(&f) && !allowed(f.Var)
		})}
	}
	whole = len(out.Names()) == before
	if l.Nodes != nil {
		if out.Nodes, ok = reduceNodes(s.Nodes, l.Nodes); !ok {
			return nil, false, false
		}
		whole = whole && slices.Equal(out.Nodes, s.Nodes)
	}
	if len(out.Names()) == 0 {
		return nil, false, false
	}
	return &out, whole, true
}

// reduceNodes is the nodes that are both asked for and allowed; no nodes are the thing itself, and never become others.
func reduceNodes(asked, allowed []Node) ([]Node, bool) {
	if len(asked) == 0 {
		return nil, slices.Contains(allowed, Node{})
	}
	nodes := sensordata.CommonNodes(asked, allowed)
	return nodes, len(nodes) > 0
}

// Response is what answers the command where a reduced one was executed instead of it: what that one has set.
func (s *Set) Response(executed *Set) *SetResponse {
	var out SetResponse
	if names := executed.Names(); !slices.Equal(names, s.Names()) {
		out.Names = names
	}
	if !slices.Equal(executed.Nodes, s.Nodes) {
		out.Nodes = slices.Clone(executed.Nodes)
	}
	return &out
}
