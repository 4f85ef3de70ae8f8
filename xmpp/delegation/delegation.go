// SPDX-License-Identifier: Apache-2.0

// Package delegation is the vocabulary of namespaces whose requests a server has answered by somebody
// else: which they are, and the requests and answers themselves.
//
// XEP-0355 (partial, 0.5): what the administrator of a server delegates, not what its users do
package delegation

import (
	"github.com/stonechat-im/stonechat/xmpp/forward"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

const (
	// NS qualifies all elements and is the feature of servers that delegate.
	NS = "urn:xmpp:delegation:2"
	// BareInfo stands for service discovery of accounts at nodes that the server does not know.
	// XEP-0355 §7.2.4
	BareInfo = NS + ":bare:disco#info:*"
	// BareItems stands for service discovery of what accounts have: nodes, and what is in them.
	// XEP-0355 §7.2.5
	BareItems = NS + ":bare:disco#items:*"
)

// Node is where who answers for a namespace tells what it can do: what the server is to say of itself,
// or of its accounts. XEP-0355 §7.2
func Node(namespace string, accounts bool) string {
	if accounts {
		return NS + ":bare:" + namespace
	}
	return NS + "::" + namespace
}

// Delegation says which namespaces are delegated, or holds a request or its answer. *Delegation
// implements stanza.Payload. XEP-0355 §4.2, §4.3
type Delegation struct {
	Delegated []Delegated
	Forwarded *forward.Forwarded // nil: nothing is forwarded
}

// Delegated is one namespace. XEP-0355 §4.1
type Delegated struct {
	Namespace  string
	Attributes []string // that the payload of a request must have
}

// XMLName implements stanza.Payload.
func (*Delegation) XMLName() xmlstream.Name { return xmlstream.Name{Space: NS, Local: "delegation"} }

// AppendXML implements stanza.Payload.
func (d *Delegation) AppendXML(dst []byte) []byte {
	dst = append(dst, "<delegation xmlns='"+NS+"'>"...)
	for _, x := range d.Delegated {
		dst = xmlstream.AppendAttr(append(dst, "<delegated"...), "namespace", x.Namespace)
		if len(x.Attributes) == 0 {
			dst = append(dst, "/>"...)
			continue
		}
		dst = append(dst, '>')
		for _, name := range x.Attributes {
			dst = append(xmlstream.AppendAttr(append(dst, "<attribute"...), "name", name), "/>"...)
		}
		dst = append(dst, "</delegated>"...)
	}
	if d.Forwarded != nil {
		dst = d.Forwarded.AppendXML(dst)
	}
	return append(dst, "</delegation>"...)
}

// DecodeXML implements stanza.Payload. Two stanzas in one are bad-request.
func (d *Delegation) DecodeXML(r *xmlstream.Reader) error {
	*d = Delegation{}
	for n := range r.Children() {
		switch n {
		case xmlstream.Name{Space: NS, Local: "delegated"}:
			x := Delegated{Namespace: r.Attr("namespace")}
			for n := range r.Children() {
				if n == (xmlstream.Name{Space: NS, Local: "attribute"}) {
					x.Attributes = append(x.Attributes, r.Attr("name"))
				}
			}
			d.Delegated = append(d.Delegated, x)
		case xmlstream.Name{Space: forward.NS, Local: "forwarded"}:
			if d.Forwarded != nil {
				r.Fail(stanza.BadRequest.Err("one stanza at a time"))
				return r.Err()
			}
			d.Forwarded = new(forward.Forwarded)
			if err := d.Forwarded.DecodeXML(r); err != nil {
				return err
			}
		}
	}
	return r.Err()
}
