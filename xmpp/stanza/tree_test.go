// SPDX-License-Identifier: Apache-2.0

package stanza_test

import (
	"cmp"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
)

// node is an element as encoding/xml sees it: the oracle of these tests.
type node struct {
	name  xml.Name
	attrs []xml.Attr // sorted by name
	kids  []any      // *node or string
}

// tree reads one element that stands behind header, which opens an element around it.
func tree(header, element string) (*node, error) {
	d := xml.NewDecoder(strings.NewReader(header + element))
	root := &node{}
	stack := []*node{root}
	for {
		token, err := d.Token()
		if err != nil {
			var syntax *xml.SyntaxError
			if errors.Is(err, io.EOF) || errors.As(err, &syntax) && syntax.Msg == "unexpected EOF" {
				break
			}
			return nil, err
		}
		top := stack[len(stack)-1]
		switch token := token.(type) {
		case xml.StartElement:
			n := &node{name: token.Name}
			for _, a := range token.Attr {
				if a.Name.Local != "xmlns" && a.Name.Space != "xmlns" {
					n.attrs = append(n.attrs, a)
				}
			}
			slices.SortFunc(n.attrs, byName)
			top.kids = append(top.kids, n)
			stack = append(stack, n)
		case xml.EndElement:
			stack = stack[:len(stack)-1]
		case xml.CharData:
			top.text(string(token))
		}
	}
	if len(stack) != 2 || len(stack[1].kids) != 1 {
		return nil, fmt.Errorf("not one element: %s", element)
	}
	n, ok := stack[1].kids[0].(*node)
	if !ok {
		return nil, fmt.Errorf("not one element: %s", element)
	}
	return n, nil
}

func (n *node) text(s string) {
	if k := len(n.kids); k > 0 {
		if before, ok := n.kids[k-1].(string); ok {
			n.kids[k-1] = before + s
			return
		}
	}
	n.kids = append(n.kids, s)
}

// elements are the indexes in kids of child elements.
func (n *node) elements() (at []int) {
	for i, k := range n.kids {
		if _, ok := k.(*node); ok {
			at = append(at, i)
		}
	}
	return at
}

// set changes or, with "", removes an attribute without namespace.
func (n *node) set(space, local, value string) {
	name := xml.Name{Space: space, Local: local}
	n.attrs = slices.DeleteFunc(n.attrs, func(a xml.Attr) bool { return a.Name == name })
	if value != "" {
		n.attrs = append(n.attrs, xml.Attr{Name: name, Value: value})
	}
	slices.SortFunc(n.attrs, byName)
}

func byName(a, b xml.Attr) int {
	return cmp.Or(cmp.Compare(a.Name.Space, b.Name.Space), cmp.Compare(a.Name.Local, b.Name.Local))
}

func (n *node) String() string {
	var b strings.Builder
	n.write(&b, "")
	return b.String()
}

func (n *node) write(b *strings.Builder, indent string) {
	space := strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return ' ' // the oracle does not normalise attributes' values, of which a namespace is one
		}
		return r
	}, n.name.Space)
	fmt.Fprintf(b, "%s{%s}%s %q\n", indent, space, n.name.Local, n.attrs)
	text := ""
	flush := func() {
		if text != "" {
			fmt.Fprintf(b, "%s  %q\n", indent, text)
		}
		text = ""
	}
	for _, k := range n.kids {
		switch k := k.(type) {
		case string:
			text += k
		case *node:
			flush()
			k.write(b, indent+"  ")
		}
	}
	flush()
}

// flat is what an element means, as text.
func flat(t testing.TB, header, element string) string {
	t.Helper()
	n, err := tree(header, element)
	if err != nil {
		t.Fatal(err)
	}
	return n.String()
}
