// SPDX-License-Identifier: Apache-2.0

package concentrator

// How to read this file: words has what another generation of this grammar spells otherwise; then requests,
// answers, and what both share. What a request or an answer is made of says the table in capability.go. What
// is too long or too much is policy-violation, all else that is wrong bad-request.

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/stonechat-im/stonechat/internal/attr"
	"github.com/stonechat-im/stonechat/xmpp/form"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// words are the names that generations of this grammar do not share. A generation is a table of them.
type words struct {
	space                 string
	node                  string // an element
	id, source, cache     string // attributes of a node
	service, device, user string // attributes of tokens
}

// xep is the generation of XEP-0326.
var xep = words{
	space: NS, node: "node", id: "nodeId", source: "sourceId", cache: "cacheType",
	service: "serviceToken", device: "deviceToken", user: "userToken",
}

func (w *words) name(local string) xmlstream.Name {
	return xmlstream.Name{Space: w.space, Local: local}
}

func (w *words) appendNode(dst []byte, n Node) []byte {
	dst = xmlstream.AppendAttr(dst, w.source, n.Source)
	dst = xmlstream.AppendAttr(dst, w.id, n.ID)
	return xmlstream.AppendAttr(dst, w.cache, n.Cache)
}

// readNode reads a node that must be named.
func (w *words) readNode(r *xmlstream.Reader) Node {
	n := Node{ID: text(r, w.id), Source: text(r, w.source), Cache: text(r, w.cache)}
	if n.ID == "" {
		r.Fail(stanza.BadRequest.Err("a node has an id"))
	}
	return n
}

// XMLName implements stanza.Payload.
func (q *Request) XMLName() xmlstream.Name { return xep.name(string(q.Capability)) }

// AppendXML implements stanza.Payload.
func (q *Request) AppendXML(dst []byte) []byte {
	name, of := string(q.Capability), capabilities[q.Capability].asks
	dst = xmlstream.AppendStart(dst, name, xep.space)
	dst = xmlstream.AppendAttr(dst, "xml:lang", q.Lang)
	dst = xmlstream.AppendAttr(dst, xep.service, q.Tokens.Service)
	dst = xmlstream.AppendAttr(dst, xep.device, q.Tokens.Device)
	dst = xmlstream.AppendAttr(dst, xep.user, q.Tokens.User)
	if of&ofSource != 0 {
		dst = xmlstream.AppendAttr(dst, xep.source, q.Source)
	}
	if of&ofNode != 0 && len(q.Nodes) > 0 {
		dst = xep.appendNode(dst, q.Nodes[0])
	}
	if of&ofDetails != 0 {
		if q.Parameters {
			dst = appendBool(dst, "parameters", true)
		}
		if q.Messages {
			dst = appendBool(dst, "messages", true)
		}
	}
	if of&ofCommand != 0 {
		dst = xmlstream.AppendAttr(dst, "command", q.Command)
	}
	if of&ofSince != 0 {
		dst = xmlstream.AppendAttr(dst, "getEventsSince", q.Since.String())
	}
	if of&ofWithout != 0 {
		for i, event := range eventNames {
			if q.Without&(1<<i) != 0 {
				dst = appendBool(dst, event, false)
			}
		}
	}
	start := len(dst)
	return closed(q.appendChildren(append(dst, '>'), of), start, name)
}

func (q *Request) appendChildren(dst []byte, of part) []byte {
	if of&ofNodes != 0 {
		for _, n := range q.Nodes {
			dst = append(xep.appendNode(append(append(dst, '<'), xep.node...), n), "/>"...)
		}
	}
	if of&ofDerived != 0 {
		for _, class := range q.DerivedFrom {
			dst = xmlstream.AppendText(dst, "onlyIfDerivedFrom", class)
		}
	}
	if of&ofSort != 0 {
		for _, by := range q.Sort {
			dst = xmlstream.AppendAttr(append(dst, "<sortOrder"...), "parameterName", by.Parameter)
			if by.Descending {
				dst = appendBool(dst, "ascending", false)
			}
			dst = append(dst, "/>"...)
		}
	}
	if of&ofSubmission != 0 && q.Form != nil {
		dst = q.Form.AppendXML(dst)
	}
	return dst
}

// DecodeXML implements stanza.Payload.
func (q *Request) DecodeXML(r *xmlstream.Reader) error {
	*q = Request{Capability: Capability(r.Name().Local)}
	of, ok := capabilities[q.Capability]
	if !ok {
		r.Skip()
		return r.Err()
	}
	q.Lang = r.AttrNS(xmlstream.NSXML, "lang")
	q.Tokens = Tokens{Service: text(r, xep.service), Device: text(r, xep.device), User: text(r, xep.user)}
	if of.asks&ofSource != 0 {
		if q.Source = text(r, xep.source); q.Source == "" {
			r.Fail(stanza.BadRequest.Err("a data source is missing"))
		}
	}
	if of.asks&ofNode != 0 {
		q.Nodes = []Node{xep.readNode(r)}
	}
	if of.asks&ofDetails != 0 {
		q.Parameters, q.Messages = attr.Bool(r, "parameters", false), attr.Bool(r, "messages", false)
	}
	if of.asks&ofCommand != 0 {
		if q.Command = text(r, "command"); q.Command == "" {
			r.Fail(stanza.BadRequest.Err("a command is missing"))
		}
	}
	if of.asks&ofSince != 0 {
		q.Since = attr.DateTime(r, "getEventsSince")
	}
	if of.asks&ofWithout != 0 {
		for i, event := range eventNames {
			if !attr.Bool(r, event, true) {
				q.Without |= 1 << i
			}
		}
	}
	for n := range r.Children() {
		q.readChild(r, n, of.asks)
		if len(q.Nodes) > MaxNodes || len(q.DerivedFrom) > MaxValues || len(q.Sort) > MaxValues {
			r.Fail(stanza.PolicyViolation.Err(fmt.Sprintf("a request has more than %d parts", MaxNodes)))
		}
	}
	if of.asks&ofNodes != 0 && len(q.Nodes) == 0 {
		r.Fail(stanza.BadRequest.Err("a node is missing"))
	}
	return r.Err()
}

func (q *Request) readChild(r *xmlstream.Reader, n xmlstream.Name, of part) {
	switch {
	case n == xep.name(xep.node) && of&ofNodes != 0:
		q.Nodes = append(q.Nodes, xep.readNode(r))
	case n == xep.name("onlyIfDerivedFrom") && of&ofDerived != 0:
		q.DerivedFrom = append(q.DerivedFrom, value(r))
	case n == xep.name("sortOrder") && of&ofSort != 0:
		q.Sort = append(q.Sort, Sort{Parameter: text(r, "parameterName"), Descending: !attr.Bool(r, "ascending", true)})
	case n == formName && of&ofSubmission != 0:
		q.Form = readForm(r)
	}
}

var formName = xmlstream.Name{Space: form.NS, Local: "x"}

func readForm(r *xmlstream.Reader) *form.Form {
	f := new(form.Form)
	if err := f.DecodeXML(r); err != nil {
		r.Fail(err)
	}
	return f
}

// suffix makes the name of an answer of that of a request.
const suffix = "Response"

// XMLName implements stanza.Payload.
func (a *Response) XMLName() xmlstream.Name { return xep.name(string(a.Capability) + suffix) }

// AppendXML implements stanza.Payload.
func (a *Response) AppendXML(dst []byte) []byte {
	name, of := string(a.Capability)+suffix, capabilities[a.Capability].answers
	result := a.Result
	if result == "" {
		result = OK
	}
	dst = xmlstream.AppendAttr(xmlstream.AppendStart(dst, name, xep.space), "result", string(result))
	if of&ofInfo != 0 && len(a.Nodes) > 0 {
		return appendInfo(dst, name, &a.Nodes[0])
	}
	start := len(dst)
	dst = append(dst, '>')
	if of&ofContains != 0 && len(a.Contains) > 0 {
		dst = strconv.AppendBool(dst, a.Contains[0])
	}
	return closed(a.appendChildren(dst, of), start, name)
}

func (a *Response) appendChildren(dst []byte, of part) []byte {
	if of&ofNames != 0 {
		for _, c := range a.Capabilities {
			dst = xmlstream.AppendText(dst, "value", string(c))
		}
	}
	if of&ofSources != 0 {
		for _, s := range a.Sources {
			dst = xmlstream.AppendAttr(append(dst, "<dataSource"...), xep.source, s.ID)
			dst = appendBool(xmlstream.AppendRequired(dst, "name", s.Name), "hasChildren", s.HasChildren)
			dst = append(xmlstream.AppendAttr(dst, "lastChanged", s.Changed.String()), "/>"...)
		}
	}
	if of&ofContainsAll != 0 {
		for _, has := range a.Contains {
			dst = xmlstream.AppendText(dst, "value", strconv.FormatBool(has))
		}
	}
	if of&ofInfos != 0 {
		for i := range a.Nodes {
			dst = appendInfo(append(append(dst, '<'), xep.node...), xep.node, &a.Nodes[i])
		}
	}
	if of&ofClasses != 0 && a.Result.ok() {
		dst = appendValues(dst, "baseClasses", a.Classes)
		if len(a.Interfaces) > 0 {
			dst = appendValues(dst, "interfaces", a.Interfaces)
		}
	}
	if of&ofCommands != 0 {
		for i := range a.Commands {
			dst = a.Commands[i].append(dst)
		}
	}
	if of&ofParameters != 0 && a.Form != nil {
		dst = a.Form.AppendXML(dst)
	}
	if of&ofErrors != 0 {
		for _, e := range a.Errors {
			dst = append(xmlstream.AppendAttr(append(dst, "<error"...), "var", e.Var), '>')
			dst = append(xmlstream.AppendEscaped(dst, e.Text), "</error>"...)
		}
	}
	return dst
}

func (r Result) ok() bool { return r == OK || r == "" }

func (c *Command) append(dst []byte) []byte {
	dst = xmlstream.AppendAttr(append(dst, "<command"...), "command", c.ID)
	dst = xmlstream.AppendAttr(xmlstream.AppendRequired(dst, "name", c.Name), "type", string(c.Type))
	dst = xmlstream.AppendAttr(dst, "sortCategory", c.SortCategory)
	dst = xmlstream.AppendAttr(dst, "sortKey", c.SortKey)
	dst = xmlstream.AppendAttr(dst, "confirmationString", c.Confirm)
	dst = xmlstream.AppendAttr(dst, "failureString", c.Failure)
	return append(xmlstream.AppendAttr(dst, "successString", c.Success), "/>"...)
}

// DecodeXML implements stanza.Payload.
//
// COMPAT(XEP-0326, 2013): its schema has no result where commands or the types of a node are told.
func (a *Response) DecodeXML(r *xmlstream.Reader) error {
	local, ok := strings.CutSuffix(r.Name().Local, suffix)
	if !ok {
		r.Fail(stanza.BadRequest.Err("an answer is none"))
		return r.Err()
	}
	*a = Response{Capability: Capability(local)}
	of := capabilities[a.Capability].answers
	switch result, ok := r.LookupAttr("result"); {
	case ok && Result(result).Valid():
		a.Result = Result(result)
	case ok:
		a.Result = OtherError
	case of&(ofCommands|ofClasses) != 0:
		a.Result = OK
	default:
		r.Fail(stanza.BadRequest.Err("an answer has a result"))
	}
	switch {
	case of&ofInfo != 0 && a.Result == OK:
		a.Nodes = []Info{readInfo(r)}
	case of&ofContains != 0 && a.Result == OK:
		a.Contains = []bool{attr.True(r, "a value", r.Text())}
	default:
		for n := range r.Children() {
			a.readChild(r, n, of)
			if a.tooMuch() {
				r.Fail(stanza.PolicyViolation.Err("an answer has too many parts"))
			}
		}
	}
	return r.Err()
}

func (a *Response) tooMuch() bool {
	return len(a.Capabilities) > MaxValues || len(a.Sources) > MaxSources || len(a.Contains) > MaxNodes || len(a.Nodes) > MaxInfos ||
		len(a.Commands) > MaxCommands || len(a.Errors) > MaxValues
}

func (a *Response) readChild(r *xmlstream.Reader, n xmlstream.Name, of part) {
	if n == formName && of&ofParameters != 0 {
		a.Form = readForm(r)
	}
	if n.Space != xep.space {
		return
	}
	switch {
	case n.Local == "value" && of&ofNames != 0:
		a.Capabilities = append(a.Capabilities, Capability(value(r)))
	case n.Local == "value" && of&ofContainsAll != 0:
		a.Contains = append(a.Contains, attr.True(r, "a value", r.Text()))
	case n.Local == "dataSource" && of&ofSources != 0:
		a.Sources = append(a.Sources, readSource(r))
	case n.Local == xep.node && of&ofInfos != 0:
		a.Nodes = append(a.Nodes, readInfo(r))
	case n.Local == "baseClasses" && of&ofClasses != 0:
		a.Classes = readValues(r)
	case n.Local == "interfaces" && of&ofClasses != 0:
		a.Interfaces = readValues(r)
	case n.Local == "command" && of&ofCommands != 0:
		a.Commands = append(a.Commands, readCommand(r))
	case n.Local == "error" && of&ofErrors != 0:
		e := ParameterError{Var: text(r, "var")}
		e.Text = body(r)
		a.Errors = append(a.Errors, e)
	}
}

func readSource(r *xmlstream.Reader) DataSource {
	s := DataSource{ID: text(r, xep.source), Name: text(r, "name"), HasChildren: attr.Bool(r, "hasChildren", false),
		Changed: attr.DateTime(r, "lastChanged")}
	if s.ID == "" {
		r.Fail(stanza.BadRequest.Err("a data source has an id"))
	}
	return s
}

func readCommand(r *xmlstream.Reader) Command {
	c := Command{
		ID: text(r, "command"), Name: text(r, "name"), Type: CommandType(r.Attr("type")),
		SortCategory: text(r, "sortCategory"), SortKey: text(r, "sortKey"),
		Confirm: text(r, "confirmationString"), Failure: text(r, "failureString"), Success: text(r, "successString"),
	}
	if c.ID == "" || c.Type != Simple && c.Type != Parameterized && c.Type != Query {
		r.Fail(stanza.BadRequest.Err("a command has an id and a type"))
	}
	return c
}

// closed ends an element whose start tag ends at start, with '>'.
func closed(dst []byte, start int, local string) []byte {
	if len(dst) == start+1 {
		return append(dst[:start], "/>"...)
	}
	return xmlstream.AppendEnd(dst, local)
}

func appendValues(dst []byte, local string, values []string) []byte {
	dst = append(append(append(dst, '<'), local...), '>')
	for _, v := range values {
		dst = xmlstream.AppendText(dst, "value", v)
	}
	return xmlstream.AppendEnd(dst, local)
}

func readValues(r *xmlstream.Reader) (values []string) {
	for n := range r.Children() {
		if n != xep.name("value") {
			continue
		}
		if len(values) == MaxValues {
			r.Fail(stanza.PolicyViolation.Err(fmt.Sprintf("more than %d values", MaxValues)))
			return nil
		}
		values = append(values, value(r))
	}
	return values
}

func appendBool(dst []byte, local string, v bool) []byte {
	return xmlstream.AppendAttr(dst, local, strconv.FormatBool(v))
}

// text reads an attribute that is an ID, a name or a token.
func text(r *xmlstream.Reader, local string) string { return short(r, r.Attr(local)) }

// value reads an element that is a name.
func value(r *xmlstream.Reader) string { return short(r, r.Text()) }

func short(r *xmlstream.Reader, s string) string { return attr.Short(r, s, MaxLength) }

// body reads an element that is words for people.
func body(r *xmlstream.Reader) string {
	s := r.Text()
	if len(s) > MaxText {
		r.Fail(errText())
	}
	return s
}

func errText() error {
	return stanza.PolicyViolation.Err(fmt.Sprintf("a text has more than %d bytes", MaxText))
}
