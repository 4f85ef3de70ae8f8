// SPDX-License-Identifier: Apache-2.0

// Package xmlstream reads and writes the XML of XMPP: bytes, not trees.
//
// A [Parser] cuts the bytes of a connection into stream events: the stream
// header, each first-level element whole, the stream's end. It is fed whatever
// the socket gave, reads it in place and allocates nothing while an element
// arrives in one piece. It enforces the subset of XML that RFC 6120 §11 allows,
// and limits on size, depth and number of attributes.
//
// A [Reader] decodes one complete element, for payload structs. The Append
// functions write XML.
//
// RFC 6120 §4 and §11, RFC 7395 §3.3, XML 1.0 (fifth edition), Namespaces in
// XML 1.0 (third edition).
package xmlstream

import "math"

// NSXML is the namespace of the prefix xml, which is always declared: of xml:lang, that is.
const NSXML = xmlNamespace

// Name is the expanded name of an element: namespace and local name.
type Name struct{ Space, Local string }

// Limits bound what a [Parser] accepts; what exceeds one is a policy-violation.
// Every field must be positive.
type Limits struct {
	// Bytes of one first-level element, as sent and as rewritten, or of the
	// stream header; at most 1 GB.
	ElementBytes int
	// Levels of one first-level element, itself included.
	Depth int
	// Attributes and namespace declarations of one start tag, and likewise
	// declared prefixes in force within one first-level element.
	Attributes int
	// Elements within one first-level element, at every depth.
	Children int
}

// limits are Limits in half of the memory: there is a parser for each session.
type limits struct{ elementBytes, depth, attributes, children int32 }

func (l Limits) small() limits {
	return limits{small(l.ElementBytes), small(l.Depth), small(l.Attributes), small(l.Children)}
}

func small(n int) int32 { return int32(min(n, math.MaxInt32)) }

func (l limits) wide() Limits {
	return Limits{int(l.elementBytes), int(l.depth), int(l.attributes), int(l.children)}
}

// Mode says how elements follow each other on a connection.
type Mode uint8

const (
	// Stream is a TCP stream: one <stream:stream> header, then its children (RFC 6120 §4).
	Stream Mode = iota
	// Frame is a sequence of standalone elements, one fed at a time (RFC 7395 §3.3).
	Frame
)

// Event is what [Parser.Next] found.
type Event uint8

const (
	EventNone    Event = iota // all input is consumed or copied: feed more
	EventOpen                 // the stream header; see Parser.Header
	EventElement              // one whole element; see Parser.Element
	EventClose                // the stream's end tag
)

// Span is a range of byte offsets, into [Element.Raw] where it has one.
type Span struct{ Start, End int }

// Element is one first-level element. All slices are valid until the next call
// of [Parser.Next]; none may be written to.
//
// Raw is self-contained where the parser's content namespace is the default
// namespace. Raw[Content] is canonical: no child uses a prefix that is declared
// outside itself (but `xml`), and the default namespace around it is Space, which
// for stanzas is the content namespace. What did not come like that is rewritten,
// which is slow, and seldom needed.
type Element struct {
	Raw          []byte // from `<` of the start tag to `>` of the end tag
	Space, Local []byte
	Attrs        []Attr  // without namespace declarations
	Children     []Child // the child elements of the root, in order
	Content      Span    // between start and end tag; empty for <x/>
	HasText      bool    // character data other than whitespace between the children
	Rewritten    bool    // Raw is not what the peer sent but its canonical form
}

// Attr is an attribute of an [Element]'s start tag. Value is unescaped and normalised.
type Attr struct{ Space, Local, Value []byte }

// Child is a child element of an [Element]'s root, and where it lies in Raw.
type Child struct {
	Space, Local []byte
	Span
}

// Header is what a <stream:stream> start tag says. Absent attributes are "".
type Header struct {
	To, From, ID, Version, Lang string

	Default string // the default namespace the header declares
}

// Error is how [Parser] refuses input. The stream ends with it: RFC 6120 §4.9.
type Error struct {
	Condition string // the element's name in RFC 6120 §4.9.3
	Text      string // in English, for the peer and for logs; quotes no input
	Offset    int64  // of the offending byte, counted from the stream's start
}

func (e *Error) Error() string { return "xmlstream: " + e.Condition + ": " + e.Text }

// The conditions of [Error]. RFC 6120 §4.9.3.
const (
	BadFormat           = "bad-format"
	BadNamespacePrefix  = "bad-namespace-prefix"
	InvalidNamespace    = "invalid-namespace"
	NotWellFormed       = "not-well-formed"
	PolicyViolation     = "policy-violation"
	RestrictedXML       = "restricted-xml"
	UnsupportedEncoding = "unsupported-encoding"
)
