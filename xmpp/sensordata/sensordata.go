// SPDX-License-Identifier: Apache-2.0

// Package sensordata is the vocabulary of reading a thing: what is asked of it, and what it answers, in as many messages as that
// takes.
//
// The specification is Retracted: its author took the work elsewhere, and new protocols are not to build on it. It is here
// because the programs and libraries that read things over XMPP today speak it.
//
// XEP-0323 (partial, 0.6): the vocabulary, for things and who reads them
package sensordata

// How to read this package: this file has the elements; field.go what a field is; match.go which fields a request wants and is
// allowed; readout.go puts the messages of a readout together; record.go goes to SenML and back; dialect.go has the words of the
// grammar, and xml.go the grammar.

import (
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xsd"
)

// NS qualifies all elements, and is the feature of what can be read. XEP-0323 §4
const NS = "urn:xmpp:iot:sensordata"

// Bounds of what is read; what exceeds one is policy-violation.
const (
	MaxNodes  = 256  // nodes of a request
	MaxNames  = 256  // names of fields of a request
	MaxParts  = 4096 // nodes, timestamps and fields of a message, together
	MaxErrors = 256  // errors of a failure
	MaxLength = 1024 // bytes of a name, an ID, a unit or a token
)

// Node is one of several things behind an address. The zero Node is the thing itself. Nodes can be compared. XEP-0323 §5.9
type Node struct {
	ID     string // nodeId
	Source string // sourceId: the data source that has it
	Cache  string // cacheType: what kind of node, where the source has several of one ID
}

// IsZero reports whether no node is named.
func (n Node) IsZero() bool { return n == Node{} }

// Is reports whether a node is the one that asked names. What asked leaves open is any: those of several sources may have one
// ID. XEP-0323 §5.9
func (n Node) Is(asked Node) bool {
	return n.ID == asked.ID && (asked.Source == "" || n.Source == asked.Source) && (asked.Cache == "" || n.Cache == asked.Cache)
}

// Tokens say on whose behalf somebody asks; a provisioning server knows them. XEP-0323 §7, XEP-0324 §3.4
type Tokens struct{ Service, Device, User string }

// Request asks a thing for its fields, as a hint: what it answers may be more, and is to be filtered by Wants. The answer is
// Accepted, Fields, or an error by Rejected. IQ of type get. It implements stanza.Payload. XEP-0323 §3
type Request struct {
	Seq        string   // of an xs:int, see Sequence; comes back in all that answers
	Categories Category // of fields; 0 is all of them, as is All
	Nodes      []Node   // none: all that there are
	Names      []string // of fields; none: all
	// From and To bound when historical values were measured; zero: no bound.
	From, To xsd.DateTime
	When     xsd.DateTime // when to read; zero: now
	Tokens   Tokens
}

// Accepted says that a request will be answered by messages: now or, if it is Queued, later and after Started. IQ of type result,
// left out where Fields come at once. It implements stanza.Payload.
type Accepted struct {
	Seq    string
	Queued bool
}

// Started says that what was queued is being read. It implements stanza.Payload.
type Started struct{ Seq string }

// Fields are some of what was read; all there is if Done. It implements stanza.Payload.
type Fields struct {
	Seq   string
	Done  bool
	Nodes []NodeFields
}

// NodeFields are the fields of a node.
type NodeFields struct {
	Node       Node // only a thing that has no nodes may leave it zero
	Timestamps []Timestamp
}

// Timestamp has the fields of one time.
type Timestamp struct {
	At     xsd.DateTime
	Fields []Field
}

// Failure says what could not be read. Others may still come, unless it is Done. It implements stanza.Payload.
type Failure struct {
	Seq    string
	Done   bool
	Errors []NodeError
}

// NodeError is why a node could not be read.
type NodeError struct {
	Node Node
	At   xsd.DateTime // zero: nobody knows
	Text string       // for people
}

// Done ends a readout. It implements stanza.Payload.
type Done struct{ Seq string }

// Cancel ends a readout that has been accepted. IQ of type get. It implements stanza.Payload. XEP-0323 §3.7
type Cancel struct{ Seq string }

// Cancelled answers Cancel. It implements stanza.Payload.
type Cancelled struct{ Seq string }

// Rejection says in an IQ of type error, next to the error, that a request or its cancelling is refused. Version 0.3 of the
// specification has taken it away. It implements stanza.Payload.
//
// COMPAT(slixmpp, 2013): it writes that alone, without an error, and waits for it in vain where there is an error alone.
type Rejection struct {
	Seq  string
	Text string // for people
}

// RejectionOf is what goes beside an error that answers s, a request or its cancelling, for those who do not read that; nil where s
// has no number to tell it by.
func RejectionOf(s *stanza.Stanza, e *stanza.Error) *Rejection {
	for i := range s.Len() {
		space, local, ok := s.Child(i)
		if !ok || string(space) != NS || string(local) != xep.request && string(local) != xep.cancel {
			continue
		}
		r := s.Reader(i)
		seq := xep.readSeq(r)
		if r.Err() != nil {
			return nil
		}
		text := e.Text
		if text == "" {
			text = string(e.Condition)
		}
		return &Rejection{Seq: seq, Text: text}
	}
	return nil
}

// Rejected makes the stanza error by which a request is refused: of the conditions that XEP-0323 §3.3 has, with the types that it
// gives them, so that the type of forbidden is cancel.
func Rejected(c stanza.Condition, text string) *stanza.Error {
	e := c.Err(text)
	switch c {
	case stanza.Forbidden, stanza.ItemNotFound:
		e.Type = stanza.Cancel
	}
	return e
}
