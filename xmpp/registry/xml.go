// SPDX-License-Identifier: Apache-2.0

package registry

// How to read this file: words has what another generation of this grammar spells otherwise; then what
// payloads share; then each of them in the order of registry.go.

import (
	"fmt"
	"strconv"

	"github.com/stonechat-im/stonechat/internal/attr"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// words are the names that generations of this grammar do not share. A generation is a table of them.
type words struct {
	space, node, source, cache string
}

// xep is the generation of XEP-0347.
var xep = words{space: NS, node: "nodeId", source: "sourceId", cache: "cacheType"}

func (w *words) name(local string) xmlstream.Name {
	return xmlstream.Name{Space: w.space, Local: local}
}

func (w *words) appendNode(dst []byte, n Node) []byte {
	dst = xmlstream.AppendAttr(dst, w.node, n.ID)
	dst = xmlstream.AppendAttr(dst, w.source, n.Source)
	return xmlstream.AppendAttr(dst, w.cache, n.Cache)
}

func (w *words) readNode(r *xmlstream.Reader) Node {
	n := Node{ID: r.Attr(w.node), Source: r.Attr(w.source), Cache: r.Attr(w.cache)}
	switch {
	case n.ID == "" && !n.IsZero():
		r.Fail(stanza.BadRequest.Err("a node has an id"))
	case len(n.ID) > MaxNode || len(n.Source) > MaxNode || len(n.Cache) > MaxNode:
		r.Fail(stanza.PolicyViolation.Err(fmt.Sprintf("a part of a node's name has more than %d bytes", MaxNode)))
	}
	return n
}

func appendTags(dst []byte, tags Tags) []byte {
	for _, t := range tags {
		dst = appendTag(dst, t)
	}
	return dst
}

func appendTag(dst []byte, t Tag) []byte {
	local := "<str"
	if t.Numeric {
		local = "<num"
	}
	dst = xmlstream.AppendAttr(append(dst, local...), "name", t.Name)
	return append(xmlstream.AppendRequired(dst, "value", t.Value()), "/>"...)
}

// readTags reads the tags that are children of the current element.
func (w *words) readTags(r *xmlstream.Reader) (tags Tags) {
	for n := range r.Children() {
		tag := Tag{}
		switch n {
		case w.name("str"):
			tag = Str(r.Attr("name"), attr.Required(r, "value"))
		case w.name("num"):
			tag = Num(r.Attr("name"), readNumber(r, "value"))
		default:
			continue
		}
		if len(tags) == MaxTags {
			r.Fail(errTags())
			return nil
		}
		tags = append(tags, tag)
	}
	if err := tags.Check(); err != nil {
		r.Fail(err)
	}
	return tags
}

func readNumber(r *xmlstream.Reader, local string) float64 {
	f, err := parseNumber(attr.Required(r, local))
	if err != nil {
		r.Fail(err)
	}
	return f
}

// readCount reads a number that is not negative.
func readCount(r *xmlstream.Reader, local string) int {
	v, ok := r.LookupAttr(local)
	if !ok {
		return 0
	}
	n, err := strconv.ParseUint(v, 10, 31)
	if err != nil {
		r.Fail(stanza.BadRequest.Err(local + " is a number that is not negative"))
	}
	return int(n)
}

// appendEnd ends an element whose start tag dst ends with, without its '>': with tags in it or with none.
func appendEnd(dst []byte, local string, tags Tags) []byte {
	if len(tags) == 0 {
		return append(dst, "/>"...)
	}
	dst = appendTags(append(dst, '>'), tags)
	return xmlstream.AppendEnd(dst, local)
}

// XMLName implements stanza.Payload.
func (*Register) XMLName() xmlstream.Name { return xep.name("register") }

// AppendXML implements stanza.Payload.
func (p *Register) AppendXML(dst []byte) []byte {
	dst = xep.appendNode(xmlstream.AppendStart(dst, "register", xep.space), p.Node)
	if p.SelfOwned {
		dst = append(dst, " selfOwned='true'"...)
	}
	return appendEnd(dst, "register", p.Tags)
}

// DecodeXML implements stanza.Payload. What is too long or too much is policy-violation, all else that is
// wrong bad-request; so it is with all payloads here.
func (p *Register) DecodeXML(r *xmlstream.Reader) error {
	*p = Register{Node: xep.readNode(r), SelfOwned: attr.Bool(r, "selfOwned", false)}
	p.Tags = xep.readTags(r)
	return r.Err()
}

// XMLName implements stanza.Payload.
func (*Mine) XMLName() xmlstream.Name { return xep.name("mine") }

// AppendXML implements stanza.Payload.
func (p *Mine) AppendXML(dst []byte) []byte {
	dst = xep.appendNode(xmlstream.AppendStart(dst, "mine", xep.space), p.Node)
	return appendEnd(appendPrivate(dst, p.Private), "mine", p.Tags)
}

// DecodeXML implements stanza.Payload.
func (p *Mine) DecodeXML(r *xmlstream.Reader) error {
	*p = Mine{Node: xep.readNode(r), Private: !attr.Bool(r, "public", true)}
	p.Tags = xep.readTags(r)
	return r.Err()
}

func appendPrivate(dst []byte, private bool) []byte {
	if private {
		return append(dst, " public='false'"...)
	}
	return dst
}

// XMLName implements stanza.Payload.
func (*Claimed) XMLName() xmlstream.Name { return xep.name("claimed") }

// AppendXML implements stanza.Payload.
func (p *Claimed) AppendXML(dst []byte) []byte {
	dst = xmlstream.AppendAttr(xmlstream.AppendStart(dst, "claimed", xep.space), "jid", p.JID.String())
	return append(appendPrivate(xep.appendNode(dst, p.Node), p.Private), "/>"...)
}

// DecodeXML implements stanza.Payload.
func (p *Claimed) DecodeXML(r *xmlstream.Reader) error {
	*p = Claimed{JID: attr.JID(r, "jid", false), Node: xep.readNode(r), Private: !attr.Bool(r, "public", true)}
	return r.Err()
}

// XMLName implements stanza.Payload.
func (*Update) XMLName() xmlstream.Name { return xep.name("update") }

// AppendXML implements stanza.Payload.
func (p *Update) AppendXML(dst []byte) []byte {
	dst = xmlstream.AppendAttr(xmlstream.AppendStart(dst, "update", xep.space), "jid", p.JID.String())
	return appendEnd(xep.appendNode(dst, p.Node), "update", p.Tags)
}

// DecodeXML implements stanza.Payload.
func (p *Update) DecodeXML(r *xmlstream.Reader) error {
	*p = Update{JID: attr.JID(r, "jid", true), Node: xep.readNode(r)}
	p.Tags = xep.readTags(r)
	return r.Err()
}

// address is what elements hold that name a thing and say no more of it.
func appendAddress(dst []byte, local string, j jid.JID, n Node) []byte {
	dst = xmlstream.AppendAttr(xmlstream.AppendStart(dst, local, xep.space), "jid", j.String())
	return append(xep.appendNode(dst, n), "/>"...)
}

// XMLName implements stanza.Payload.
func (*Remove) XMLName() xmlstream.Name { return xep.name("remove") }

// AppendXML implements stanza.Payload.
func (p *Remove) AppendXML(dst []byte) []byte { return appendAddress(dst, "remove", p.JID, p.Node) }

// DecodeXML implements stanza.Payload.
func (p *Remove) DecodeXML(r *xmlstream.Reader) error {
	*p = Remove{JID: attr.JID(r, "jid", false), Node: xep.readNode(r)}
	return r.Err()
}

// XMLName implements stanza.Payload.
func (*Removed) XMLName() xmlstream.Name { return xep.name("removed") }

// AppendXML implements stanza.Payload.
func (p *Removed) AppendXML(dst []byte) []byte {
	return appendAddress(dst, "removed", jid.JID{}, p.Node)
}

// DecodeXML implements stanza.Payload.
func (p *Removed) DecodeXML(r *xmlstream.Reader) error {
	*p = Removed{xep.readNode(r)}
	return r.Err()
}

// XMLName implements stanza.Payload.
func (*Unregister) XMLName() xmlstream.Name { return xep.name("unregister") }

// AppendXML implements stanza.Payload.
func (p *Unregister) AppendXML(dst []byte) []byte {
	return appendAddress(dst, "unregister", jid.JID{}, p.Node)
}

// DecodeXML implements stanza.Payload.
func (p *Unregister) DecodeXML(r *xmlstream.Reader) error {
	*p = Unregister{xep.readNode(r)}
	return r.Err()
}

// XMLName implements stanza.Payload.
func (*Disown) XMLName() xmlstream.Name { return xep.name("disown") }

// AppendXML implements stanza.Payload.
func (p *Disown) AppendXML(dst []byte) []byte { return appendAddress(dst, "disown", p.JID, p.Node) }

// DecodeXML implements stanza.Payload.
func (p *Disown) DecodeXML(r *xmlstream.Reader) error {
	*p = Disown{JID: attr.JID(r, "jid", false), Node: xep.readNode(r)}
	return r.Err()
}

// XMLName implements stanza.Payload.
func (*Disowned) XMLName() xmlstream.Name { return xep.name("disowned") }

// AppendXML implements stanza.Payload.
func (p *Disowned) AppendXML(dst []byte) []byte {
	return appendAddress(dst, "disowned", jid.JID{}, p.Node)
}

// DecodeXML implements stanza.Payload.
func (p *Disowned) DecodeXML(r *xmlstream.Reader) error {
	*p = Disowned{xep.readNode(r)}
	return r.Err()
}

// XMLName implements stanza.Payload.
func (*Found) XMLName() xmlstream.Name { return xep.name("found") }

// AppendXML implements stanza.Payload. KEY is left out, whatever the tags are. XEP-0347 §3.15
func (p *Found) AppendXML(dst []byte) []byte {
	dst = xmlstream.AppendStart(dst, "found", xep.space)
	if p.More {
		dst = append(dst, " more='true'"...)
	}
	if len(p.Things) == 0 {
		return append(dst, "/>"...)
	}
	dst = append(dst, '>')
	for _, t := range p.Things {
		dst = xmlstream.AppendAttr(append(dst, "<thing"...), "owner", t.Owner.String())
		dst = xep.appendNode(xmlstream.AppendAttr(dst, "jid", t.JID.String()), t.Node)
		dst = appendEnd(dst, "thing", t.Tags.Public())
	}
	return append(dst, "</found>"...)
}

// DecodeXML implements stanza.Payload.
//
// COMPAT(later generations of the grammar, 2015): they tell no owner.
func (p *Found) DecodeXML(r *xmlstream.Reader) error {
	*p = Found{More: attr.Bool(r, "more", false)}
	for n := range r.Children() {
		if n != xep.name("thing") {
			continue
		}
		if len(p.Things) == MaxThings {
			r.Fail(stanza.PolicyViolation.Err(fmt.Sprintf("more than %d things were found", MaxThings)))
			break
		}
		t := Thing{Owner: attr.JID(r, "owner", true), JID: attr.JID(r, "jid", false), Node: xep.readNode(r)}
		t.Tags = xep.readTags(r).Public()
		p.Things = append(p.Things, t)
	}
	return r.Err()
}
