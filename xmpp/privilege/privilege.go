// SPDX-License-Identifier: Apache-2.0

// Package privilege is the vocabulary of privileged entities: what a server lets a component do in the
// name of accounts, and how the component does it.
//
// Whether a component may do what it asks for is for the server to say; what a server says of
// permissions is to be believed by the component only if it comes from that server.
//
// XEP-0356 (complete, 0.4.1)
package privilege

import (
	"github.com/stonechat-im/stonechat/xmpp/forward"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

const (
	// NS qualifies all elements.
	NS = "urn:xmpp:privilege:2"
	// NSOld is that of version 0.3 of the specification, which has no permission for requests.
	NSOld = "urn:xmpp:privilege:1"
)

// Access is what a permission is about.
type Access string

// The permissions. XEP-0356 §4 to §7
const (
	Roster   Access = "roster"
	Message  Access = "message"
	IQ       Access = "iq"
	Presence Access = "presence"
)

// Type is how far a permission goes.
type Type string

// The types. XEP-0356 §4.1, §5.1, §6.1, §7.1
const (
	None          Type = "none"           // of each
	Get           Type = "get"            // of rosters and requests
	Set           Type = "set"            // of rosters and requests
	Both          Type = "both"           // of rosters and requests
	Outgoing      Type = "outgoing"       // of messages
	ManagedEntity Type = "managed_entity" // of presence: that of accounts
	Contacts      Type = "roster"         // of presence: that of accounts and of their contacts
)

// Allows reports whether requests of that type may be made.
func (t Type) Allows(typ stanza.Type) bool {
	return typ.IsRequest() && (t == Both || t == Get && typ == stanza.Get || t == Set && typ == stanza.Set)
}

// Privilege says what a component may do, or holds a message that a component sends in the name of an
// account. *Privilege implements stanza.Payload. XEP-0356 §4.2, §5.3
type Privilege struct {
	Old       bool // it is of NSOld
	Perms     []Perm
	Forwarded *forward.Forwarded // nil: nothing is forwarded
}

// Perm is one permission.
type Perm struct {
	Access Access
	Type   Type // "" of IQ, which has namespaces
	// Push says that changes of rosters are told; of Roster alone. XEP-0356 §4.1
	Push       bool
	Namespaces []Namespace // of IQ alone
}

// Namespace is of which types requests of one namespace may be. XEP-0356 §6.2
type Namespace struct {
	NS   string
	Type Type
}

// XMLName implements stanza.Payload.
func (p *Privilege) XMLName() xmlstream.Name {
	if p.Old {
		return xmlstream.Name{Space: NSOld, Local: "privilege"}
	}
	return xmlstream.Name{Space: NS, Local: "privilege"}
}

// AppendXML implements stanza.Payload.
func (p *Privilege) AppendXML(dst []byte) []byte {
	dst = append(dst, "<privilege"...)
	dst = xmlstream.AppendAttr(dst, "xmlns", p.XMLName().Space)
	dst = append(dst, '>')
	for i := range p.Perms {
		dst = p.Perms[i].append(dst)
	}
	if p.Forwarded != nil {
		dst = p.Forwarded.AppendXML(dst)
	}
	return append(dst, "</privilege>"...)
}

func (p *Perm) append(dst []byte) []byte {
	dst = xmlstream.AppendAttr(append(dst, "<perm"...), "access", string(p.Access))
	if p.Type != "" {
		dst = xmlstream.AppendAttr(dst, "type", string(p.Type))
	}
	if p.Access == Roster && p.Type.Allows(stanza.Get) {
		push := "false"
		if p.Push {
			push = "true"
		}
		dst = xmlstream.AppendAttr(dst, "push", push)
	}
	if len(p.Namespaces) == 0 {
		return append(dst, "/>"...)
	}
	dst = append(dst, '>')
	for _, n := range p.Namespaces {
		dst = xmlstream.AppendAttr(append(dst, "<namespace"...), "ns", n.NS)
		dst = xmlstream.AppendAttr(dst, "type", string(n.Type))
		dst = append(dst, "/>"...)
	}
	return append(dst, "</perm>"...)
}

// DecodeXML implements stanza.Payload. Two messages in one, and a message that is none, are
// bad-request.
func (p *Privilege) DecodeXML(r *xmlstream.Reader) error {
	*p = Privilege{Old: r.Name().Space == NSOld}
	space := r.Name().Space
	for n := range r.Children() {
		switch n {
		case xmlstream.Name{Space: space, Local: "perm"}:
			p.Perms = append(p.Perms, readPerm(r, space))
		case xmlstream.Name{Space: forward.NS, Local: "forwarded"}:
			if p.Forwarded != nil {
				r.Fail(stanza.BadRequest.Err("one message at a time"))
				return r.Err()
			}
			p.Forwarded = new(forward.Forwarded)
			if err := p.Forwarded.DecodeXML(r); err != nil {
				return err
			}
		}
	}
	return r.Err()
}

func readPerm(r *xmlstream.Reader, space string) Perm {
	p := Perm{Access: Access(r.Attr("access")), Type: Type(r.Attr("type"))}
	if p.Access == Roster && p.Type.Allows(stanza.Get) {
		push, said := r.LookupAttr("push")
		p.Push = !said || push == "true" || push == "1"
	}
	for n := range r.Children() {
		if p.Access == IQ && n == (xmlstream.Name{Space: space, Local: "namespace"}) {
			p.Namespaces = append(p.Namespaces, Namespace{r.Attr("ns"), Type(r.Attr("type"))})
		}
	}
	return p
}

// Request is a request that a component makes in the name of an account. *Request implements
// stanza.Payload. XEP-0356 §6.3
type Request struct {
	// Stanza is the whole <iq/>, of the namespace jabber:client, with all declarations it needs.
	Stanza []byte
}

// XMLName implements stanza.Payload.
func (*Request) XMLName() xmlstream.Name { return xmlstream.Name{Space: NS, Local: "privileged_iq"} }

// AppendXML implements stanza.Payload.
func (q *Request) AppendXML(dst []byte) []byte {
	dst = append(dst, "<privileged_iq xmlns='"+NS+"'>"...)
	dst = append(dst, q.Stanza...)
	return append(dst, "</privileged_iq>"...)
}

// DecodeXML implements stanza.Payload. Nothing, and two requests in one, are bad-request; a request
// of another namespace than jabber:client is forbidden (XEP-0356 §6.3).
func (q *Request) DecodeXML(r *xmlstream.Reader) error {
	*q = Request{}
	for n := range r.Children() {
		switch {
		case n.Local != "iq":
		case n.Space != stanza.NSClient:
			r.Fail(stanza.Forbidden.Err("the request is not of the namespace jabber:client"))
			return r.Err()
		case q.Stanza != nil:
			r.Fail(stanza.BadRequest.Err("one request at a time"))
			return r.Err()
		default:
			q.Stanza = []byte(r.Raw())
		}
	}
	if q.Stanza == nil {
		r.Fail(stanza.BadRequest.Err("there is no request"))
	}
	return r.Err()
}
