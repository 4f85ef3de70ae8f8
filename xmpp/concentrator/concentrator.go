// SPDX-License-Identifier: Apache-2.0

// Package concentrator is the vocabulary of many things behind one address: which data sources and nodes there
// are, how they hang together, how they are, what can be done with them, and what changes.
//
// The specification was Retracted at its author's request. It is offered because the other words for things
// name nodes by it.
//
// XEP-0326 (partial, 0.4): data sources, nodes, commands of nodes and events, for concentrators and who asks them; no editing, no indices, no queries, no commands of several nodes, no databases
package concentrator

// How to read this package: this file has what is asked and answered; capability.go the table of what there is
// to ask; info.go nodes, and events that tell of them; xml.go the grammar; tree.go answers from a list of nodes.

import (
	"github.com/stonechat-im/stonechat/xmpp/form"
	"github.com/stonechat-im/stonechat/xmpp/sensordata"
	"github.com/stonechat-im/stonechat/xmpp/xsd"
)

// NS qualifies all elements, and is the feature of a concentrator. XEP-0326 §4
const NS = "urn:xmpp:iot:concentrators"

// Topology is the data source that every concentrator has. XEP-0326 §5.7
const Topology = "MeteringTopology"

// Bounds of what is read; what exceeds one is policy-violation.
const (
	MaxNodes      = 256  // nodes of a request
	MaxInfos      = 1024 // nodes of an answer
	MaxSources    = 256  // data sources of an answer
	MaxParameters = 128  // parameters of one node
	MaxMessages   = 128  // messages of one node
	MaxCommands   = 256  // commands of an answer
	MaxValues     = 256  // names in a list of them, errors of an answer
	MaxLength     = 1024 // bytes of an ID, a name or a token
	MaxText       = 8192 // bytes of a parameter's value, a message or an error
)

// Node names a node; its source is of use wherever a concentrator has several.
type Node = sensordata.Node

// Tokens say on whose behalf somebody asks. XEP-0326 §7.1
type Tokens = sensordata.Tokens

// Request asks a concentrator for something: which of the fields count is in the table of capabilities, and
// so is whether its IQ is of type get or set. One of a capability that the table has not is read by its name
// alone, to be answered with NotImplemented. It implements stanza.Payload. XEP-0326 §3
type Request struct {
	Capability Capability
	Tokens     Tokens
	Lang       string // that an answer should be in, "" for the stanza's
	Source     string
	Nodes      []Node // one, or for ContainsNodes and GetNodes several

	Parameters, Messages bool // of nodes, to be told as well

	DerivedFrom []string   // GetAllNodes: all the types that a node must have
	Sort        []Sort     // GetChildNodes: by what, the most important first
	Command     string     // GetCommandParameters, ExecuteNodeCommand
	Form        *form.Form // ExecuteNodeCommand: the parameters of the command; nil: none

	Since   xsd.DateTime // Subscribe: tell what has happened since; zero: nothing
	Without Events       // Subscribe, Unsubscribe: what is not meant; 0: all is
}

// Sort says by which parameter to sort nodes. XEP-0326 §10
type Sort struct {
	Parameter  string
	Descending bool
}

// Answer begins the answer to a request.
func (q *Request) Answer(r Result) *Response {
	return &Response{Capability: q.Capability, Result: r}
}

// Response is an answer: which of the fields count is in the table of capabilities. It is the result of an
// IQ, whatever the Result. It implements stanza.Payload. XEP-0326 §3
//
// Deviation: some examples of the specification put what was refused into an IQ of type error without the
// error that RFC 6120 §8.3.1 wants there, and others do not.
type Response struct {
	Capability Capability // that was asked
	Result     Result

	Capabilities        []Capability
	Sources             []DataSource
	Contains            []bool // in the order of the request
	Nodes               []Info
	Classes, Interfaces []string // of a node, without its own type
	Commands            []Command
	Form                *form.Form
	Errors              []ParameterError
}

// Result says what became of a request. XEP-0326 §5.3
type Result string

// The results. What is none of them is read as OtherError.
const (
	OK                     Result = "OK"
	NotFound               Result = "NotFound"
	InsufficientPrivileges Result = "InsufficientPrivileges"
	Locked                 Result = "Locked"
	NotImplemented         Result = "NotImplemented"
	FormError              Result = "FormError"
	OtherError             Result = "OtherError"
)

// Valid reports whether it is one of them.
func (r Result) Valid() bool {
	switch r {
	case OK, NotFound, InsufficientPrivileges, Locked, NotImplemented, FormError, OtherError:
		return true
	}
	return false
}

// DataSource is a list or a tree of nodes. XEP-0326 §3.2
type DataSource struct {
	ID          string
	Name        string // for people
	HasChildren bool   // there are sources below it
	Changed     xsd.DateTime
}

// Command is something that can be done with a node. XEP-0326 §5.5
type Command struct {
	ID                        string
	Name                      string // for people
	Type                      CommandType
	SortCategory, SortKey     string // people are shown commands in the order of these, then of Name
	Confirm, Failure, Success string // what to ask people before, and to tell them afterwards
}

// CommandType says what a command takes. XEP-0326 §3.6.1
type CommandType string

// The types of commands.
const (
	Simple        CommandType = "Simple"        // no parameters
	Parameterized CommandType = "Parameterized" // the form that GetCommandParameters gives
	Query         CommandType = "Query"         // such a form; its results come later, in messages
)

// ParameterError says what is wrong with one field of a form. XEP-0326 §3.6.5
type ParameterError struct{ Var, Text string }
