// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"encoding/xml"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// How to read this file: node is an element with all that is in it, received or written in a script; matching
// compares the two, carries what was captured on the way, and says where they differ.

const (
	nsClient  = "jabber:client"
	nsStreams = "http://etherx.jabber.org/streams"
	nsTLS     = "urn:ietf:params:xml:ns:xmpp-tls"
	nsSASL    = "urn:ietf:params:xml:ns:xmpp-sasl"
	nsBind    = "urn:ietf:params:xml:ns:xmpp-bind"
	nsErrors  = "urn:ietf:params:xml:ns:xmpp-streams"
	nsSM      = "urn:xmpp:sm:3"
	nsStanzas = "urn:ietf:params:xml:ns:xmpp-stanzas"
	nsXML     = "http://www.w3.org/XML/1998/namespace"
)

type node struct {
	XMLName  xml.Name
	Attrs    []xml.Attr `xml:",any,attr"`
	Children []*node    `xml:",any"`
	Text     string     `xml:",chardata"`
	Inner    string     `xml:",innerxml"`
}

// parseNodes reads the elements of a script's block. Their default namespace is jabber:client.
func parseNodes(text string) ([]*node, error) {
	var root node
	err := xml.Unmarshal([]byte("<script xmlns='jabber:client' xmlns:stream='"+nsStreams+"'>"+text+"</script>"), &root)
	if err != nil {
		err = fmt.Errorf("the XML of the script: %w", err)
	}
	return root.Children, err
}

func (n *node) attr(name xml.Name) (string, bool) {
	for _, a := range n.Attrs {
		if a.Name == name {
			return a.Value, true
		}
	}
	return "", false
}

func (n *node) get(local string) string {
	value, _ := n.attr(xml.Name{Local: local})
	return value
}

func (n *node) number(local string) uint32 {
	v, _ := strconv.ParseUint(n.get(local), 10, 32)
	return uint32(v)
}

func (n *node) is(space, local string) bool { return n.XMLName == xml.Name{Space: space, Local: local} }

func (n *node) isStanza() bool {
	return n.is(nsClient, "message") || n.is(nsClient, "presence") || n.is(nsClient, "iq")
}

// child returns an empty node when there is none.
func (n *node) child(space, local string) *node {
	for _, c := range n.Children {
		if c.is(space, local) {
			return c
		}
	}
	return &node{}
}

func (n *node) String() string {
	if n.is("", streamEnd) || n.is("", connectionEnd) {
		return n.XMLName.Local
	}
	start := "<" + n.XMLName.Local
	if n.get("xmlns") != n.XMLName.Space && n.XMLName.Space != nsClient {
		start = "<{" + n.XMLName.Space + "}" + n.XMLName.Local // by a prefix, or by an element around it
	}
	for _, a := range n.Attrs {
		name := strings.TrimPrefix(strings.Replace(a.Name.Space, nsXML, "xml", 1)+":"+a.Name.Local, ":")
		start += fmt.Sprintf(" %s='%s'", name, escape(a.Value))
	}
	if n.Inner == "" {
		return start + "/>"
	}
	return shorten(start + ">" + n.Inner + "</" + n.XMLName.Local + ">")
}

func shorten(s string) string {
	if len(s) > 1000 {
		return fmt.Sprintf("%s … (%d bytes)", s[:300], len(s))
	}
	return s
}

// matching is what the wildcards have captured so far. It is never changed: a failed try leaves no trace.
type matching map[string]string

var braces = regexp.MustCompile(`\{[^{}]*\}`)

// value compares a text or an attribute with its pattern: {any}, {one|other}, {maybe} where an attribute may be
// absent; {name} captures, and later repeats.
func (m matching) value(want, got string) (matching, bool) {
	var names []string
	at, expr := 0, "(?s)^"
	for _, loc := range braces.FindAllStringIndex(want, -1) {
		expr += regexp.QuoteMeta(want[at:loc[0]])
		at = loc[1]
		name := want[loc[0]+1 : loc[1]-1]
		known, isKnown := m[name]
		switch {
		case name == "any":
			expr += ".*"
		case name == "maybe":
		case strings.Contains(name, "|"):
			expr += "(?:" + strings.ReplaceAll(regexp.QuoteMeta(name), `\|`, "|") + ")"
		case isKnown:
			expr += regexp.QuoteMeta(known)
		default:
			names = append(names, name)
			expr += "(.+)"
		}
	}
	found := regexp.MustCompile(expr + regexp.QuoteMeta(want[at:]) + "$").FindStringSubmatch(got)
	if found == nil {
		return m, false
	}
	captured := maps.Clone(m)
	for i, name := range names {
		captured[name] = found[i+1]
	}
	return captured, true
}

// element compares got with the pattern want. No differences: it matches, with these captures.
func (m matching) element(path string, want, got *node) (_ matching, differences []string) {
	path += "/" + want.XMLName.Local
	differ := func(format string, args ...any) {
		differences = append(differences, path+fmt.Sprintf(format, args...))
	}
	if want.XMLName != got.XMLName {
		differ(" is another element")
		return m, differences
	}
	ok := true
	for _, w := range want.Attrs {
		value, present := got.attr(w.Name)
		if isDeclaration(w) || !present && strings.Contains(w.Value, "{maybe}") {
			continue
		}
		if m, ok = m.value(w.Value, value); !ok || !present {
			differ("@%s: want %q, got %q", w.Name.Local, w.Value, value)
		}
	}
	for _, g := range got.Attrs {
		if _, mentioned := want.attr(g.Name); !mentioned && !isDeclaration(g) && !toleratedAttr(got, g) {
			differ("@%s: want none, got %q", g.Name.Local, g.Value)
		}
	}
	more, anyOrder := strings.Contains(want.Text, "{more}"), strings.Contains(want.Text, "{any order}") || isSet(want)
	text, gotText := strings.NewReplacer("{more}", "", "{any order}", "").Replace(want.Text), got.Text
	if more || len(want.Children) > 0 {
		text, gotText = strings.TrimSpace(text), strings.TrimSpace(gotText) // only indentation
	}
	if m, ok = m.value(text, gotText); !ok && !(more && text == "") {
		differ(": want text %q, got %q", text, shorten(gotText))
	}
	absent, present := split(want.Children)
	children := slices.DeleteFunc(slices.Clone(got.Children), func(c *node) bool {
		mentioned := slices.ContainsFunc(present, func(p *node) bool { return p.XMLName == c.XMLName })
		return !mentioned && toleratedChild(got, c) || c.is(nsForm, "field") && c.get("type") == "fixed"
	})
	for _, a := range absent {
		if i := slices.IndexFunc(got.Children, func(c *node) bool { _, d := m.element("", a, c); return d == nil }); i >= 0 {
			differ(": must not have %s", got.Children[i])
		}
	}
	next, ok := m.list(present, children, anyOrder, more)
	if !ok {
		differences = append(differences, m.explain(path, present, children, more)...)
	}
	return next, differences
}

// split takes the patterns that say {absent} from the others.
func split(patterns []*node) (absent, present []*node) {
	for _, p := range patterns {
		if strings.Contains(p.Text, "{absent}") {
			a := *p
			a.Text = "{more}"
			absent = append(absent, &a)
		} else {
			present = append(present, p)
		}
	}
	return absent, present
}

// pick finds the pattern that got fits, or says why none does.
func (m matching) pick(wants []*node, got *node) (index int, next matching, reasons string) {
	for i, want := range wants {
		next, differences := m.element("", want, got)
		if differences == nil {
			return i, next, ""
		}
		reasons += fmt.Sprintf("want %s\n     %s\n", want, strings.Join(differences, "\n     "))
	}
	return -1, m, reasons + fmt.Sprintf("got  %s\n", got)
}

// list finds an element for each pattern. With more, others may be left over.
func (m matching) list(want, got []*node, anyOrder, more bool) (matching, bool) {
	if len(want) == 0 {
		return m, len(got) == 0 || more
	}
	for i, g := range got {
		if i > 0 && !anyOrder && !more {
			break
		}
		rest := got[i+1:]
		if anyOrder {
			rest = slices.Concat(got[:i], got[i+1:])
		}
		if next, differences := m.element("", want[0], g); differences == nil {
			if next, ok := next.list(want[1:], rest, anyOrder, more); ok {
				return next, true
			}
		}
	}
	return m, false
}

// explain pairs elements by name and lists where they differ.
func (m matching) explain(path string, want, left []*node, more bool) (differences []string) {
	for _, w := range want {
		i := slices.IndexFunc(left, func(g *node) bool { _, d := m.element("", w, g); return d == nil })
		if i < 0 {
			i = slices.IndexFunc(left, func(g *node) bool { return g.XMLName == w.XMLName })
		}
		if i < 0 {
			differences = append(differences, path+": missing "+w.String())
			continue
		}
		_, d := m.element(path, w, left[i])
		differences = append(differences, d...)
		left = slices.Concat(left[:i], left[i+1:])
	}
	for _, g := range left {
		if !more {
			differences = append(differences, path+": unexpected "+g.String())
		}
	}
	if differences == nil {
		return []string{path + ": the children come in another order"}
	}
	return differences
}

func isDeclaration(a xml.Attr) bool { return a.Name.Space == "xmlns" || a.Name.Local == "xmlns" }

// toleratedAttr and toleratedChild are what any server may add, so that patterns need not mention it: xml:lang; the
// id of a stanza; who made an error; an error's text and application conditions (RFC 6120 §4.9.2, §6.5, §8.3.2);
// the stanza that an error answers (§8.3.1); the id that an archive gives to a message (XEP-0359); since when a
// presence has been as it is (XEP-0203 §4); the id of an occupant (XEP-0421 §4); what a form says for people
// (XEP-0004 §3); of which type a notification is, who published the item, and when, if it
// is the last one (XEP-0060 §6.1.7, §7.1.2, §8.2.2; XEP-0163 §4.3.1).
func toleratedAttr(n *node, a xml.Attr) bool {
	if a.Name.Local == "type" && isNotification(n) {
		return a.Value == "headline" || a.Value == "normal"
	}
	return a.Name.Space == nsXML || n.XMLName.Local == "item" && a.Name.Local == "publisher" || n.isStanza() && a.Name.Local == "id" ||
		n.XMLName.Local == "error" && (a.Name.Local == "by" || a.Name.Local == "code") ||
		n.is(nsForm, "field") && (a.Name.Local == "type" || a.Name.Local == "label")
}

// isSet tells where the order of children means nothing: the fields of a form (XEP-0004 §3.2), and what a room says of
// an occupant (XEP-0045 §15).
func isSet(n *node) bool { return n.is(nsForm, "x") || n.is(nsMUCUser, "x") }

func toleratedChild(n, c *node) bool {
	switch local := n.XMLName.Local; {
	case local == "error" || local == "failure" || local == "failed":
		return c.XMLName.Local == "text" || !strings.HasPrefix(c.XMLName.Space, "urn:ietf:params:xml:ns:xmpp-")
	case n.isStanza() && n.get("type") == "error":
		return c.XMLName.Local != "error"
	case n.is(nsForm, "x"):
		return c.is(nsForm, "title") || c.is(nsForm, "instructions")
	case n.is(nsForm, "field"):
		return !c.is(nsForm, "value")
	case isNotification(n) && (c.is(nsDelay, "delay") || c.is("http://jabber.org/protocol/address", "addresses")):
		return true
	case (local == "message" || local == "presence") && c.XMLName.Space == "urn:xmpp:occupant-id:0":
		return true
	default:
		return local == "message" && c.XMLName.Space == "urn:xmpp:sid:0" || local == "presence" && c.XMLName.Space == "urn:xmpp:delay"
	}
}
