// SPDX-License-Identifier: Apache-2.0

package concentrator

// How to read this file: Info is what is told of a node, with its parameters and messages; Event tells what
// has changed; how both are written and read.

import (
	"fmt"
	"strings"

	"github.com/stonechat-im/stonechat/internal/attr"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
	"github.com/stonechat-im/stonechat/xmpp/xsd"
)

// Info is what is told of a node. XEP-0326 §5.1
type Info struct {
	Node           Node   // its source is told in events alone
	Name           string // for people
	Type           string
	LocalID, LogID string // what it is called among its siblings, and in logs
	State          State
	HasChildren    bool
	Ordered        bool // its children have an order
	Readable       bool // by sensor data
	Controllable   bool // by control
	HasCommands    bool
	Parent         Node // its ID and cache; zero for a root
	Changed        xsd.DateTime
	Parameters     []Parameter
	Messages       []Message
}

// State is how a node is, of several the gravest. XEP-0326 §5.6
type State string

// The states, gravest last. What has been signed, somebody has seen.
const (
	None            State = "None"
	Information     State = "Information"
	WarningSigned   State = "WarningSigned"
	WarningUnsigned State = "WarningUnsigned"
	ErrorSigned     State = "ErrorSigned"
	ErrorUnsigned   State = "ErrorUnsigned"
)

// Valid reports whether it is one of them.
func (s State) Valid() bool {
	switch s {
	case None, Information, WarningSigned, WarningUnsigned, ErrorSigned, ErrorUnsigned:
		return true
	}
	return false
}

// Parameter is a property of a node. XEP-0326 §5.2
type Parameter struct {
	ID    string
	Name  string // for people
	Type  Type
	Value string // as the type writes it
}

// Type is the type of a parameter. XEP-0326 §5.2
type Type string

// The types.
const (
	Boolean  Type = "boolean"
	Color    Type = "color" // RRGGBB
	DateTime Type = "dateTime"
	Double   Type = "double"
	Duration Type = "duration"
	Int      Type = "int"
	Long     Type = "long"
	String   Type = "string"
	Time     Type = "time"
)

// clean returns the value as the type writes it.
func (t Type) clean(value string) (string, error) {
	if t == Color {
		if len(value) != 6 || strings.Trim(value, "0123456789abcdefABCDEF") != "" {
			return "", stanza.BadRequest.Err("a colour has six hexadecimal digits")
		}
		return value, nil
	}
	of, ok := xsd.ParseType("xs:" + string(t))
	if !ok {
		return "", stanza.BadRequest.Err("a parameter is of no known type")
	}
	value, err := of.Clean(value)
	if err != nil {
		return "", stanza.BadRequest.Err("a parameter is not what its type says")
	}
	return value, nil
}

func (t Type) valid() bool {
	switch t {
	case Boolean, Color, DateTime, Double, Duration, Int, Long, String, Time:
		return true
	}
	return false
}

// Message is something that was noted about a node. XEP-0326 §3.4.7
type Message struct {
	At    xsd.DateTime
	Grade Grade
	Event string // what kind of thing happened; "" where nobody says
	Text  string
}

// Grade is how grave a message is. XEP-0326 §10
type Grade string

// The grades.
const (
	Notice  Grade = "Information"
	Warning Grade = "Warning"
	Error   Grade = "Error"
)

// readGrade reads a grade.
//
// COMPAT(XEP-0326, 2013): its own examples say whether a message was signed, which the schema has not.
func readGrade(r *xmlstream.Reader) Grade {
	g := Grade(strings.TrimSuffix(strings.TrimSuffix(r.Attr("type"), "Unsigned"), "Signed"))
	if g != Notice && g != Warning && g != Error {
		r.Fail(stanza.BadRequest.Err("a message's type is not known"))
	}
	return g
}

// Events is a set of kinds of event. XEP-0326 §3.2.4
type Events uint8

// The kinds of event.
const (
	NodeAdded         Events = 1 << iota // Info and After
	NodeUpdated                          // Info and Old
	NodeStatusChanged                    // of Info, Node, State and Messages
	NodeRemoved                          // of Info, Node; so it is with the others
	NodeMovedUp                          // before the sibling that came before it
	NodeMovedDown

	AllEvents = NodeAdded | NodeUpdated | NodeStatusChanged | NodeRemoved | NodeMovedUp | NodeMovedDown
)

// eventNames are the names of elements and of attributes, in the order of the bits.
var eventNames = [...]string{"nodeAdded", "nodeUpdated", "nodeStatusChanged", "nodeRemoved", "nodeMovedUp", "nodeMovedDown"}

func eventOf(local string) Events {
	for i, name := range eventNames {
		if name == local {
			return 1 << i
		}
	}
	return 0
}

func (e Events) name() string {
	for i, name := range eventNames {
		if e == 1<<i {
			return name
		}
	}
	return ""
}

// Event tells a subscriber of one change, in a message; one message may have several of them. It implements
// stanza.Payload. XEP-0326 §3.8
type Event struct {
	Kind  Events // one of them
	Info  Info   // of the node, with its source; how much of it counts is said at the kinds
	After Node   // the sibling before it, where there is an order
	Old   string // the ID that it had; "" if that has not changed
}

// XMLName implements stanza.Payload.
func (e *Event) XMLName() xmlstream.Name { return xep.name(e.Kind.name()) }

// AppendXML implements stanza.Payload.
func (e *Event) AppendXML(dst []byte) []byte {
	name := e.Kind.name()
	if name == "" {
		return dst // there is no such element
	}
	dst = xmlstream.AppendStart(dst, name, xep.space)
	switch e.Kind {
	case NodeAdded:
		dst = xmlstream.AppendAttr(dst, "afterNodeId", e.After.ID)
		dst = xmlstream.AppendAttr(dst, "afterNodeCacheType", e.After.Cache)
		return appendInfo(dst, name, &e.Info)
	case NodeUpdated:
		dst = xmlstream.AppendAttr(dst, "oldId", e.Old)
		return appendInfo(dst, name, &e.Info)
	case NodeStatusChanged:
		dst = xmlstream.AppendAttr(xep.appendNode(dst, e.Info.Node), "state", string(e.Info.State))
		return appendContent(dst, name, nil, e.Info.Messages)
	}
	return append(xep.appendNode(dst, e.Info.Node), "/>"...)
}

// DecodeXML implements stanza.Payload.
func (e *Event) DecodeXML(r *xmlstream.Reader) error {
	*e = Event{Kind: eventOf(r.Name().Local)}
	switch e.Kind {
	case 0:
		r.Fail(stanza.FeatureNotImplemented.Err("an event is not known"))
	case NodeAdded:
		e.After = Node{ID: text(r, "afterNodeId"), Cache: text(r, "afterNodeCacheType")}
		e.Info = readInfo(r)
	case NodeUpdated:
		e.Old = text(r, "oldId")
		e.Info = readInfo(r)
	case NodeStatusChanged:
		e.Info = Info{Node: xep.readNode(r), State: readState(r)}
		readContent(r, &e.Info)
		e.Info.Parameters = nil
	default:
		e.Info.Node = xep.readNode(r)
	}
	return r.Err()
}

// appendInfo ends an element whose start tag dst ends with, without its '>'.
func appendInfo(dst []byte, local string, i *Info) []byte {
	dst = xep.appendNode(dst, i.Node)
	dst = xmlstream.AppendAttr(dst, "displayName", i.Name)
	dst = xmlstream.AppendAttr(dst, "nodeType", i.Type)
	dst = xmlstream.AppendAttr(dst, "localId", i.LocalID)
	dst = xmlstream.AppendAttr(dst, "logId", i.LogID)
	state := i.State
	if state == "" {
		state = None
	}
	dst = xmlstream.AppendAttr(dst, "state", string(state))
	dst = appendBool(dst, "hasChildren", i.HasChildren)
	for _, flag := range []struct {
		local string
		set   bool
	}{{"childrenOrdered", i.Ordered}, {"isReadable", i.Readable}, {"isControllable", i.Controllable}, {"hasCommands", i.HasCommands}} {
		if flag.set {
			dst = appendBool(dst, flag.local, true)
		}
	}
	dst = xmlstream.AppendAttr(dst, "parentId", i.Parent.ID)
	dst = xmlstream.AppendAttr(dst, "parentCacheType", i.Parent.Cache)
	dst = xmlstream.AppendAttr(dst, "lastChanged", i.Changed.String())
	return appendContent(dst, local, i.Parameters, i.Messages)
}

// appendContent ends an element whose start tag dst ends with, without its '>'.
func appendContent(dst []byte, local string, parameters []Parameter, messages []Message) []byte {
	if len(parameters)+len(messages) == 0 {
		return append(dst, "/>"...)
	}
	dst = append(dst, '>')
	for _, p := range parameters {
		if !p.Type.valid() {
			continue // there is no such element
		}
		dst = xmlstream.AppendAttr(append(append(dst, '<'), p.Type...), "id", p.ID)
		dst = append(xmlstream.AppendRequired(xmlstream.AppendRequired(dst, "name", p.Name), "value", p.Value), "/>"...)
	}
	for _, m := range messages {
		dst = xmlstream.AppendAttr(append(dst, "<message"...), "timestamp", m.At.String())
		dst = xmlstream.AppendAttr(dst, "type", string(m.Grade))
		dst = append(xmlstream.AppendAttr(dst, "eventId", m.Event), '>')
		dst = append(xmlstream.AppendEscaped(dst, m.Text), "</message>"...)
	}
	return xmlstream.AppendEnd(dst, local)
}

func readInfo(r *xmlstream.Reader) Info {
	i := Info{
		Node: xep.readNode(r), Name: text(r, "displayName"), Type: text(r, "nodeType"),
		LocalID: text(r, "localId"), LogID: text(r, "logId"), State: readState(r),
		HasChildren: attr.Bool(r, "hasChildren", false), Ordered: attr.Bool(r, "childrenOrdered", false),
		Readable: attr.Bool(r, "isReadable", false), Controllable: attr.Bool(r, "isControllable", false),
		HasCommands: attr.Bool(r, "hasCommands", false),
		Parent:      Node{ID: text(r, "parentId"), Cache: text(r, "parentCacheType")},
		Changed:     attr.DateTime(r, "lastChanged"),
	}
	readContent(r, &i)
	return i
}

func readState(r *xmlstream.Reader) State {
	s := State(r.Attr("state"))
	if !s.Valid() {
		r.Fail(stanza.BadRequest.Err("a node's state is not known"))
	}
	return s
}

// readContent reads parameters and messages. Parameters of types that are not known are left out.
func readContent(r *xmlstream.Reader, i *Info) {
	for n := range r.Children() {
		switch {
		case n.Space != xep.space:
		case n.Local == "message":
			m := Message{At: attr.DateTime(r, "timestamp"), Grade: readGrade(r), Event: text(r, "eventId")}
			m.Text = body(r)
			i.Messages = append(i.Messages, m)
		case Type(n.Local).valid():
			p := Parameter{ID: text(r, "id"), Name: text(r, "name"), Type: Type(n.Local)}
			value, err := p.Type.clean(r.Attr("value"))
			switch {
			case err != nil:
				r.Fail(err)
			case p.ID == "":
				r.Fail(stanza.BadRequest.Err("a parameter has an id"))
			case len(value) > MaxText:
				r.Fail(errText())
			}
			p.Value = value
			i.Parameters = append(i.Parameters, p)
		}
		if len(i.Parameters) > MaxParameters || len(i.Messages) > MaxMessages {
			r.Fail(stanza.PolicyViolation.Err(fmt.Sprintf("a node has more than %d parameters, or %d messages",
				MaxParameters, MaxMessages)))
			return
		}
	}
}
