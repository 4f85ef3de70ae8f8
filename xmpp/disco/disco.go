// SPDX-License-Identifier: Apache-2.0

// Package disco is the vocabulary of service discovery: what an entity is, what
// it can do, and which other entities belong to it.
//
// XEP-0030 (complete, 2.5.0), XEP-0128 (complete, 1.0.1)
package disco

import (
	"slices"

	"github.com/stonechat-im/stonechat/xmpp/form"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/rsm"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// The namespaces of the two queries are also the features that announce them.
const (
	NSInfo  = "http://jabber.org/protocol/disco#info"
	NSItems = "http://jabber.org/protocol/disco#items"
)

// Info asks an entity, or a node of it, what it is, and is the answer. It
// implements stanza.Payload. XEP-0030 §3
type Info struct {
	Node       string
	Identities []Identity
	Features   []string     // namespaces and other feature names
	Forms      []*form.Form // extended information, XEP-0128
}

// Identity is one of the things an entity is.
type Identity struct {
	Category, Type string // registered names, both required
	Lang           string // of Name, or ""
	Name           string // for people, or ""
}

// Has reports whether a feature is announced. That of disco#info is inferred:
// some entities forget it. XEP-0030 §3.1
func (i *Info) Has(feature string) bool {
	return feature == NSInfo || slices.Contains(i.Features, feature)
}

// Is reports whether the entity has an identity of this category and type; an
// empty type stands for any.
func (i *Info) Is(category, typ string) bool {
	return slices.ContainsFunc(i.Identities, func(id Identity) bool {
		return id.Category == category && (typ == "" || id.Type == typ)
	})
}

// Form returns the extended information with the FORM_TYPE given, or nil.
func (i *Info) Form(formType string) *form.Form {
	for _, f := range i.Forms {
		if f.FormType() == formType {
			return f
		}
	}
	return nil
}

// XMLName implements stanza.Payload.
func (*Info) XMLName() xmlstream.Name { return xmlstream.Name{Space: NSInfo, Local: "query"} }

// AppendXML implements stanza.Payload.
func (i *Info) AppendXML(dst []byte) []byte {
	dst = append(dst, "<query xmlns='"+NSInfo+"'"...)
	dst = xmlstream.AppendAttr(dst, "node", i.Node)
	if len(i.Identities)+len(i.Features)+len(i.Forms) == 0 {
		return append(dst, "/>"...)
	}
	dst = append(dst, '>')
	for _, id := range i.Identities {
		dst = append(dst, "<identity"...)
		dst = xmlstream.AppendAttr(dst, "xml:lang", id.Lang)
		dst = xmlstream.AppendAttr(dst, "category", id.Category)
		dst = xmlstream.AppendAttr(dst, "type", id.Type)
		dst = xmlstream.AppendAttr(dst, "name", id.Name)
		dst = append(dst, "/>"...)
	}
	for _, feature := range i.Features {
		dst = append(dst, "<feature"...)
		dst = xmlstream.AppendAttr(dst, "var", feature)
		dst = append(dst, "/>"...)
	}
	for _, f := range i.Forms {
		dst = f.AppendXML(dst)
	}
	return append(dst, "</query>"...)
}

// DecodeXML implements stanza.Payload. An identity without category or type and a
// feature without var are bad-request, and so is a form that is none.
func (i *Info) DecodeXML(r *xmlstream.Reader) error {
	*i = Info{Node: r.Attr("node")}
	for n := range r.Children() {
		switch n {
		case xmlstream.Name{Space: NSInfo, Local: "identity"}:
			id := Identity{
				Category: r.Attr("category"), Type: r.Attr("type"),
				// Only what the identity itself says goes into a hash of XEP-0115.
				Lang: r.AttrNS(xmlstream.NSXML, "lang"), Name: r.Attr("name"),
			}
			if id.Category == "" || id.Type == "" {
				r.Fail(stanza.BadRequest.Err("an identity needs a category and a type"))
			}
			i.Identities = append(i.Identities, id)
		case xmlstream.Name{Space: NSInfo, Local: "feature"}:
			feature := r.Attr("var")
			if feature == "" {
				r.Fail(stanza.BadRequest.Err("a feature needs a var"))
			}
			i.Features = append(i.Features, feature)
		case xmlstream.Name{Space: form.NS, Local: "x"}:
			f := new(form.Form)
			if err := f.DecodeXML(r); err != nil {
				r.Fail(err)
			}
			i.Forms = append(i.Forms, f)
		}
	}
	return r.Err()
}

// Items asks an entity, or a node of it, which entities belong to it, and is the
// answer. It implements stanza.Payload. XEP-0030 §4
type Items struct {
	Node  string
	Items []Item
	Page  *rsm.Set // nil: not paged. XEP-0059 §3
}

// Item is one associated entity, addressed by an address alone or with a node.
type Item struct {
	JID  jid.JID
	Node string
	Name string // for people
}

// XMLName implements stanza.Payload.
func (*Items) XMLName() xmlstream.Name { return xmlstream.Name{Space: NSItems, Local: "query"} }

// AppendXML implements stanza.Payload.
func (i *Items) AppendXML(dst []byte) []byte {
	dst = append(dst, "<query xmlns='"+NSItems+"'"...)
	dst = xmlstream.AppendAttr(dst, "node", i.Node)
	if len(i.Items) == 0 && i.Page == nil {
		return append(dst, "/>"...)
	}
	dst = append(dst, '>')
	for _, item := range i.Items {
		dst = append(dst, "<item"...)
		dst = xmlstream.AppendAttr(dst, "jid", item.JID.String())
		dst = xmlstream.AppendAttr(dst, "node", item.Node)
		dst = xmlstream.AppendAttr(dst, "name", item.Name)
		dst = append(dst, "/>"...)
	}
	if i.Page != nil {
		dst = i.Page.AppendXML(dst)
	}
	return append(dst, "</query>"...)
}

// DecodeXML implements stanza.Payload. An item without an address is bad-request,
// one with a bad address jid-malformed.
func (i *Items) DecodeXML(r *xmlstream.Reader) error {
	*i = Items{Node: r.Attr("node")}
	for n := range r.Children() {
		switch n {
		case xmlstream.Name{Space: NSItems, Local: "item"}:
			item := Item{Node: r.Attr("node"), Name: r.Attr("name")}
			address := r.Attr("jid")
			if address == "" {
				r.Fail(stanza.BadRequest.Err("an item needs a jid"))
			}
			var err error
			if item.JID, err = jid.Parse(address); err != nil {
				r.Fail(stanza.JIDMalformed.Err("the jid of an item is not valid"))
			}
			i.Items = append(i.Items, item)
		case xmlstream.Name{Space: rsm.NS, Local: "set"}:
			i.Page = new(rsm.Set)
			if err := i.Page.DecodeXML(r); err != nil {
				r.Fail(err)
			}
		}
	}
	return r.Err()
}
