// SPDX-License-Identifier: Apache-2.0

package xmpptest

import (
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// tree is an element as encoding/xml sees it, an opinion that is not our own.
type tree struct {
	name  xmlstream.Name
	attrs []string // sorted
	text  string
	kids  []*tree
}

// String writes a tree so that trees that mean the same look the same.
func (n *tree) String() string {
	var b strings.Builder
	n.write(&b, "")
	return b.String()
}

func (n *tree) write(b *strings.Builder, indent string) {
	b.WriteString(indent + n.name.Local + " {" + n.name.Space + "}")
	for _, a := range n.attrs {
		b.WriteString(" " + a)
	}
	b.WriteByte('\n')
	if n.text != "" {
		b.WriteString(indent + "  " + n.text + "\n")
	}
	for _, k := range n.kids {
		k.write(b, indent+"  ")
	}
}

func parse(t *testing.T, s string) *tree {
	t.Helper()
	return parseIn(t, s, stanza.NSClient)
}

// parseIn reads an element that stands where space is the default namespace.
// White space between elements, and around text, is indentation.
func parseIn(t *testing.T, s, space string) *tree {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader("<root xmlns='" + space + "'>" + s + "</root>"))
	root := &tree{}
	stack := []*tree{root}
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, s)
		}
		top := stack[len(stack)-1]
		switch token := token.(type) {
		case xml.StartElement:
			n := &tree{name: xmlstream.Name{Space: token.Name.Space, Local: token.Name.Local}}
			for _, a := range token.Attr {
				if a.Name.Local != "xmlns" && a.Name.Space != "xmlns" {
					n.attrs = append(n.attrs, a.Name.Space+":"+a.Name.Local+"="+a.Value)
				}
			}
			slices.Sort(n.attrs)
			top.kids = append(top.kids, n)
			stack = append(stack, n)
		case xml.EndElement:
			top.text = strings.TrimSpace(top.text)
			stack = stack[:len(stack)-1]
		case xml.CharData:
			top.text += string(token)
		}
	}
	if len(root.kids) != 1 || len(root.kids[0].kids) != 1 {
		t.Fatalf("not one element:\n%s", s)
	}
	return root.kids[0].kids[0]
}

// payloadIn finds the first element of that name in a document.
func payloadIn(t *testing.T, document string, name xmlstream.Name) *tree {
	t.Helper()
	var find func(n *tree) *tree
	find = func(n *tree) *tree {
		if n.name == name {
			return n
		}
		for _, k := range n.kids {
			if found := find(k); found != nil {
				return found
			}
		}
		return nil
	}
	found := find(parse(t, document))
	if found == nil {
		t.Fatalf("no %v in\n%s", name, document)
	}
	return found
}

// What other specifications may put anywhere: attributes of names we know in a
// namespace we do not, and one of a name we do not know.
const strangeAttrs = " xmlns:s='urn:x:strange' strange='?' s:category='?' s:h='?' s:hash='?' s:jid='@' " +
	"s:label='?' s:name='?' s:node='?' s:stamp='?' s:subscription='remove' s:type='?' s:var='?' s:ver='?'"

// strangeChildren has an element of a namespace we do not know for each name in the
// element that is there already.
func strangeChildren(encoded string) string {
	var b strings.Builder
	b.WriteString("<strange xmlns='urn:x:strange'>?<child>?</child></strange>")
	seen := make(map[string]bool)
	for _, at := range startTags(encoded) {
		if name := tagName(encoded[at:]); !seen[name] {
			seen[name] = true
			b.WriteString("<" + name + " xmlns='urn:x:strange' type='?' jid='@'>?<" + name + ">?</" + name + "></" + name + ">")
			b.WriteString("<s:" + name + " xmlns:s='urn:x:strange'/>")
		}
	}
	return b.String()
}

func startTags(encoded string) []int {
	var out []int
	for at := range len(encoded) {
		if encoded[at] == '<' && encoded[at+1] != '/' { // '<' is escaped everywhere else
			out = append(out, at)
		}
	}
	return out
}

func tagName(tag string) string { return tag[1:strings.IndexAny(tag, " />")] }

// withStrangers returns the element once for each start tag in it, with unknown
// children and attributes there.
func withStrangers(encoded string) []string {
	var out []string
	children := strangeChildren(encoded)
	for _, at := range startTags(encoded) {
		end := at
		for quoted := false; quoted || encoded[end] != '>'; end++ {
			if encoded[end] == '\'' { // we write no other quotes
				quoted = !quoted
			}
		}
		if encoded[end-1] == '/' {
			out = append(out, encoded[:end-1]+strangeAttrs+">"+children+"</"+tagName(encoded[at:])+">"+encoded[end+1:])
		} else {
			out = append(out, encoded[:end]+strangeAttrs+">"+children+encoded[end+1:])
		}
	}
	return out
}
