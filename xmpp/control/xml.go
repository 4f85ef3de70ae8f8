// SPDX-License-Identifier: Apache-2.0

package control

// How to read this file: the words of the grammar, the elements in the order of the package's first file, each with what is
// written and what is read, then what they share.

import (
	"github.com/stonechat-im/stonechat/internal/attr"
	"github.com/stonechat-im/stonechat/xmpp/form"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// dialect is the words of the grammar: another generation of it, with a namespace and shorter names, is another table.
type dialect struct {
	space                                 string
	set, setResponse, getForm, paramError string
	node, parameter, err                  string // elements within
	name, value, variable, responseCode   string
	serviceToken, deviceToken, userToken  string
	nodeID, sourceID, cacheType           string
	types                                 [typesEnd]string
	boolean                               string // another name of TypeBoolean, which is read
}

// xep is XEP-0325 §10.
var xep = dialect{
	space: NS,
	set:   "set", setResponse: "setResponse", getForm: "getForm", paramError: "paramError",
	node: "node", parameter: "parameter", err: "error",
	name: "name", value: "value", variable: "var", responseCode: "responseCode",
	serviceToken: "serviceToken", deviceToken: "deviceToken", userToken: "userToken",
	nodeID: "nodeId", sourceID: "sourceId", cacheType: "cacheType",
	types: [typesEnd]string{
		TypeBoolean: "boolean", TypeColor: "color", TypeDate: "date", TypeDateTime: "dateTime", TypeDouble: "double",
		TypeDuration: "duration", TypeInt: "int", TypeLong: "long", TypeString: "string", TypeTime: "time",
	},
	boolean: "bool", // COMPAT(Smack, 4.4): it writes that
}

func (d *dialect) element(local string) xmlstream.Name {
	return xmlstream.Name{Space: d.space, Local: local}
}

// typeOf finds a type by the name of its element, 0 for none.
func (d *dialect) typeOf(local string) Type {
	if local == d.boolean {
		return TypeBoolean
	}
	for t := Type(1); t < typesEnd; t++ {
		if d.types[t] == local {
			return t
		}
	}
	return 0
}

// XMLName implements stanza.Payload.
func (*Set) XMLName() xmlstream.Name { return xep.element(xep.set) }

// AppendXML implements stanza.Payload.
func (s *Set) AppendXML(dst []byte) []byte { return xep.appendSet(dst, s) }

// DecodeXML implements stanza.Payload. What is beyond the bounds is policy-violation, what is not known
// feature-not-implemented, all else that is wrong bad-request; of values that are none of their types ParamErrors tell which.
func (s *Set) DecodeXML(r *xmlstream.Reader) error { return xep.readSet(r, s) }

func (d *dialect) appendSet(dst []byte, s *Set) []byte {
	dst = xmlstream.AppendAttr(d.open(dst, d.set), "xml:lang", s.Lang)
	dst = d.appendTokens(dst, s.Tokens)
	if len(s.Nodes) == 0 && len(s.Parameters) == 0 && s.Form == nil {
		return append(dst, "/>"...)
	}
	dst = d.appendNodes(append(dst, '>'), s.Nodes)
	for i := range s.Parameters {
		p := &s.Parameters[i]
		if p.Type == 0 || p.Type >= typesEnd {
			continue
		}
		dst = append(append(dst, '<'), d.types[p.Type]...)
		dst = xmlstream.AppendRequired(dst, d.name, p.Name)
		dst = append(xmlstream.AppendRequired(dst, d.value, p.Value), "/>"...)
	}
	if s.Form != nil {
		dst = s.Form.AppendXML(dst)
	}
	return xmlstream.AppendEnd(dst, d.set)
}

func (d *dialect) readSet(r *xmlstream.Reader, s *Set) error {
	*s = Set{Tokens: d.readTokens(r), Lang: r.AttrNS(xmlstream.NSXML, "lang")}
	var wrong []ParamError
	for n := range r.Children() {
		switch {
		case n == d.element(d.node):
			s.Nodes = d.readNode(r, s.Nodes)
		case n == (*form.Form)(nil).XMLName():
			s.readForm(r)
		case n.Space != d.space:
		default:
			// What is not understood is not left out: a command is executed whole, and allowed whole.
			t := d.typeOf(n.Local)
			if t == 0 {
				r.Fail(Rejected(stanza.FeatureNotImplemented, "a command has parts that are not known"))
				continue
			}
			p := Parameter{Name: named(r, d.name), Type: t}
			attr.Bounded(r, len(s.Parameters)+1, MaxParameters, "parameters")
			value, ok := r.LookupAttr(d.value)
			var err error
			if p.Value, err = t.Clean(value); !ok || err != nil {
				wrong = append(wrong, ParamError{p.Name, "no value of this type"})
			}
			s.Parameters = append(s.Parameters, p)
		}
	}
	if r.Err() == nil && len(wrong) > 0 {
		r.Fail(Rejected(stanza.BadRequest, "", wrong...))
	}
	return r.Err()
}

func (s *Set) readForm(r *xmlstream.Reader) {
	if s.Form != nil {
		r.Fail(stanza.BadRequest.Err("a command has one form"))
		return
	}
	s.Form = new(form.Form)
	if err := s.Form.DecodeXML(r); err != nil {
		r.Fail(err)
	}
	if s.Form.Type != form.Submit {
		r.Fail(stanza.BadRequest.Err("a command has a form that is filled in"))
	}
	attr.Bounded(r, len(s.Form.Fields), MaxParameters, "fields")
}

// XMLName implements stanza.Payload.
func (*SetResponse) XMLName() xmlstream.Name { return xep.element(xep.setResponse) }

// AppendXML implements stanza.Payload.
func (s *SetResponse) AppendXML(dst []byte) []byte { return xep.appendSetResponse(dst, s) }

// DecodeXML implements stanza.Payload.
func (s *SetResponse) DecodeXML(r *xmlstream.Reader) error { return xep.readSetResponse(r, s) }

func (d *dialect) appendSetResponse(dst []byte, s *SetResponse) []byte {
	dst = d.open(dst, d.setResponse)
	if len(s.Nodes) == 0 && len(s.Names) == 0 {
		return append(dst, "/>"...)
	}
	dst = d.appendNames(d.appendNodes(append(dst, '>'), s.Nodes), s.Names)
	return xmlstream.AppendEnd(dst, d.setResponse)
}

func (d *dialect) readSetResponse(r *xmlstream.Reader, s *SetResponse) error {
	*s = SetResponse{}
	for n := range r.Children() {
		switch n {
		case d.element(d.node):
			s.Nodes = d.readNode(r, s.Nodes)
		case d.element(d.parameter):
			s.Names = d.readName(r, s.Names)
		}
	}
	return r.Err()
}

// XMLName implements stanza.Payload.
func (*GetForm) XMLName() xmlstream.Name { return xep.element(xep.getForm) }

// AppendXML implements stanza.Payload.
func (g *GetForm) AppendXML(dst []byte) []byte { return xep.appendGetForm(dst, g) }

// DecodeXML implements stanza.Payload.
func (g *GetForm) DecodeXML(r *xmlstream.Reader) error { return xep.readGetForm(r, g) }

func (d *dialect) appendGetForm(dst []byte, g *GetForm) []byte {
	dst = xmlstream.AppendAttr(d.open(dst, d.getForm), "xml:lang", g.Lang)
	dst = d.appendTokens(dst, g.Tokens)
	if len(g.Nodes) == 0 {
		return append(dst, "/>"...)
	}
	dst = d.appendNodes(append(dst, '>'), g.Nodes)
	return xmlstream.AppendEnd(dst, d.getForm)
}

func (d *dialect) readGetForm(r *xmlstream.Reader, g *GetForm) error {
	*g = GetForm{Tokens: d.readTokens(r), Lang: r.AttrNS(xmlstream.NSXML, "lang")}
	for n := range r.Children() {
		if n == d.element(d.node) {
			g.Nodes = d.readNode(r, g.Nodes)
		}
	}
	return r.Err()
}

func (d *dialect) open(dst []byte, local string) []byte {
	return xmlstream.AppendStart(dst, local, d.space)
}

func (d *dialect) appendTokens(dst []byte, t Tokens) []byte {
	dst = xmlstream.AppendAttr(dst, d.serviceToken, t.Service)
	dst = xmlstream.AppendAttr(dst, d.deviceToken, t.Device)
	return xmlstream.AppendAttr(dst, d.userToken, t.User)
}

func (d *dialect) readTokens(r *xmlstream.Reader) Tokens {
	return Tokens{Service: short(r, r.Attr(d.serviceToken)), Device: short(r, r.Attr(d.deviceToken)), User: short(r, r.Attr(d.userToken))}
}

func (d *dialect) appendNodes(dst []byte, nodes []Node) []byte {
	for _, n := range nodes {
		dst = append(append(dst, '<'), d.node...)
		dst = xmlstream.AppendRequired(dst, d.nodeID, n.ID)
		dst = xmlstream.AppendAttr(dst, d.sourceID, n.Source)
		dst = append(xmlstream.AppendAttr(dst, d.cacheType, n.Cache), "/>"...)
	}
	return dst
}

func (d *dialect) appendNames(dst []byte, names []string) []byte {
	for _, name := range names {
		dst = append(append(dst, '<'), d.parameter...)
		dst = append(xmlstream.AppendRequired(dst, d.name, name), "/>"...)
	}
	return dst
}

func (d *dialect) readName(r *xmlstream.Reader, names []string) []string {
	attr.Bounded(r, len(names)+1, MaxParameters, "parameters")
	return append(names, named(r, d.name))
}

func (d *dialect) readNode(r *xmlstream.Reader, nodes []Node) []Node {
	n := Node{ID: short(r, r.Attr(d.nodeID)), Source: short(r, r.Attr(d.sourceID)), Cache: short(r, r.Attr(d.cacheType))}
	if n.ID == "" {
		r.Fail(stanza.BadRequest.Err("a node needs an ID"))
	}
	attr.Bounded(r, len(nodes)+1, MaxNodes, "nodes")
	return append(nodes, n)
}

func named(r *xmlstream.Reader, key string) string {
	name := short(r, r.Attr(key))
	if name == "" {
		r.Fail(stanza.BadRequest.Err("a parameter needs a name"))
	}
	return name
}

func short(r *xmlstream.Reader, s string) string { return attr.Short(r, s, MaxLength) }
