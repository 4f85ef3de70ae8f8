// SPDX-License-Identifier: Apache-2.0

package registry

// How to read this file: words has what another generation of this grammar spells otherwise; then what
// payloads share; then each of them in the order of registry.go.

import (
	"fmt"
	"strconv"

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

func (w *words) appendStart(dst []byte, local string) []byte {
	dst = append(append(append(dst, '<'), local...), " xmlns='"...)
	return append(append(dst, w.space...), '\'')
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
	return append(appendRequired(dst, "value", t.Value()), "/>"...)
}

// appendRequired appends an attribute that is there even if it is empty.
func appendRequired(dst []byte, name, value string) []byte {
	if value == "" {
		return append(append(append(dst, ' '), name...), "=''"...)
	}
	return xmlstream.AppendAttr(dst, name, value)
}

// readTags reads the tags that are children of the current element.
func (w *words) readTags(r *xmlstream.Reader) (tags Tags) {
	for n := range r.Children() {
		tag := Tag{}
		switch n {
		case w.name("str"):
			tag = Str(r.Attr("name"), required(r, "value"))
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

func required(r *xmlstream.Reader, local string) string {
	v, ok := r.LookupAttr(local)
	if !ok {
		r.Fail(stanza.BadRequest.Err("the attribute " + local + " is missing"))
	}
	return v
}

func readNumber(r *xmlstream.Reader, local string) float64 {
	f, err := parseNumber(required(r, local))
	if err != nil {
		r.Fail(err)
	}
	return f
}

// readBool reads an xs:boolean.
func readBool(r *xmlstream.Reader, local string, absent bool) bool {
	switch v, ok := r.LookupAttr(local); {
	case !ok:
		return absent
	case v == "true", v == "1":
		return true
	case v != "false" && v != "0":
		r.Fail(stanza.BadRequest.Err(local + " is true or false"))
	}
	return false
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

// readJID reads an address; where it is optional the zero JID stands for none.
func readJID(r *xmlstream.Reader, local string, optional bool) jid.JID {
	v := r.Attr(local)
	if v == "" {
		if !optional {
			r.Fail(stanza.BadRequest.Err("the attribute " + local + " is missing"))
		}
		return jid.JID{}
	}
	j, err := jid.Parse(v)
	if err != nil {
		r.Fail(stanza.JIDMalformed.Err("the attribute " + local + " is no address"))
	}
	return j
}

func appendJID(dst []byte, local string, j jid.JID) []byte {
	if j == (jid.JID{}) {
		return dst
	}
	return xmlstream.AppendAttr(dst, local, j.String())
}

// appendEnd ends an element whose start tag dst ends with, without its '>': with tags in it or with none.
func appendEnd(dst []byte, local string, tags Tags) []byte {
	if len(tags) == 0 {
		return append(dst, "/>"...)
	}
	dst = appendTags(append(dst, '>'), tags)
	return append(append(append(dst, "</"...), local...), '>')
}

// XMLName implements stanza.Payload.
func (*Register) XMLName() xmlstream.Name { return xep.name("register") }

// AppendXML implements stanza.Payload.
func (p *Register) AppendXML(dst []byte) []byte {
	dst = xep.appendNode(xep.appendStart(dst, "register"), p.Node)
	if p.SelfOwned {
		dst = append(dst, " selfOwned='true'"...)
	}
	return appendEnd(dst, "register", p.Tags)
}

// DecodeXML implements stanza.Payload. What is too long or too much is policy-violation, all else that is
// wrong bad-request; so it is with all payloads here.
func (p *Register) DecodeXML(r *xmlstream.Reader) error {
	*p = Register{Node: xep.readNode(r), SelfOwned: readBool(r, "selfOwned", false)}
	p.Tags = xep.readTags(r)
	return r.Err()
}

// XMLName implements stanza.Payload.
func (*Mine) XMLName() xmlstream.Name { return xep.name("mine") }

// AppendXML implements stanza.Payload.
func (p *Mine) AppendXML(dst []byte) []byte {
	dst = xep.appendNode(xep.appendStart(dst, "mine"), p.Node)
	return appendEnd(appendPrivate(dst, p.Private), "mine", p.Tags)
}

// DecodeXML implements stanza.Payload.
func (p *Mine) DecodeXML(r *xmlstream.Reader) error {
	*p = Mine{Node: xep.readNode(r), Private: !readBool(r, "public", true)}
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
	dst = appendJID(xep.appendStart(dst, "claimed"), "jid", p.JID)
	return append(appendPrivate(xep.appendNode(dst, p.Node), p.Private), "/>"...)
}

// DecodeXML implements stanza.Payload.
func (p *Claimed) DecodeXML(r *xmlstream.Reader) error {
	*p = Claimed{JID: readJID(r, "jid", false), Node: xep.readNode(r), Private: !readBool(r, "public", true)}
	return r.Err()
}

// XMLName implements stanza.Payload.
func (*Update) XMLName() xmlstream.Name { return xep.name("update") }

// AppendXML implements stanza.Payload.
func (p *Update) AppendXML(dst []byte) []byte {
	dst = appendJID(xep.appendStart(dst, "update"), "jid", p.JID)
	return appendEnd(xep.appendNode(dst, p.Node), "update", p.Tags)
}

// DecodeXML implements stanza.Payload.
func (p *Update) DecodeXML(r *xmlstream.Reader) error {
	*p = Update{JID: readJID(r, "jid", true), Node: xep.readNode(r)}
	p.Tags = xep.readTags(r)
	return r.Err()
}

// address is what elements hold that name a thing and say no more of it.
func appendAddress(dst []byte, local string, j jid.JID, n Node) []byte {
	dst = appendJID(xep.appendStart(dst, local), "jid", j)
	return append(xep.appendNode(dst, n), "/>"...)
}

// XMLName implements stanza.Payload.
func (*Remove) XMLName() xmlstream.Name { return xep.name("remove") }

// AppendXML implements stanza.Payload.
func (p *Remove) AppendXML(dst []byte) []byte { return appendAddress(dst, "remove", p.JID, p.Node) }

// DecodeXML implements stanza.Payload.
func (p *Remove) DecodeXML(r *xmlstream.Reader) error {
	*p = Remove{JID: readJID(r, "jid", false), Node: xep.readNode(r)}
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
	*p = Disown{JID: readJID(r, "jid", false), Node: xep.readNode(r)}
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
	dst = xep.appendStart(dst, "found")
	if p.More {
		dst = append(dst, " more='true'"...)
	}
	if len(p.Things) == 0 {
		return append(dst, "/>"...)
	}
	dst = append(dst, '>')
	for _, t := range p.Things {
		dst = appendJID(append(dst, "<thing"...), "owner", t.Owner)
		dst = xep.appendNode(appendJID(dst, "jid", t.JID), t.Node)
		dst = appendEnd(dst, "thing", t.Tags.Public())
	}
	return append(dst, "</found>"...)
}

// DecodeXML implements stanza.Payload.
//
// COMPAT(later generations of the grammar, 2015): they tell no owner.
func (p *Found) DecodeXML(r *xmlstream.Reader) error {
	*p = Found{More: readBool(r, "more", false)}
	for n := range r.Children() {
		if n != xep.name("thing") {
			continue
		}
		if len(p.Things) == MaxThings {
			r.Fail(stanza.PolicyViolation.Err(fmt.Sprintf("more than %d things were found", MaxThings)))
			break
		}
		t := Thing{Owner: readJID(r, "owner", true), JID: readJID(r, "jid", false), Node: xep.readNode(r)}
		t.Tags = xep.readTags(r).Public()
		p.Things = append(p.Things, t)
	}
	return r.Err()
}
