// SPDX-License-Identifier: Apache-2.0

package xmlstream_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	. "github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// What the tests of this package share: events as text, to be compared however
// the input was cut, and encoding/xml as an oracle.

const streamHeader = `<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='example.com' version='1.0'>`

var testLimits = Limits{ElementBytes: 1 << 18, Depth: 100, Attributes: 100, Children: 1 << 18}

func readFile(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// golden returns the files of a folder of testdata by their names.
func golden(t testing.TB, folder string) map[string][]byte {
	t.Helper()
	names, err := filepath.Glob("testdata/" + folder + "/*.xml")
	if err != nil || len(names) == 0 {
		t.Fatal("no golden files", err)
	}
	files := make(map[string][]byte)
	for _, name := range names {
		files[strings.TrimSuffix(filepath.Base(name), ".xml")] = readFile(t, name)
	}
	return files
}

// openParser returns a parser that has read a stream header.
func openParser(t testing.TB, l Limits) *Parser {
	t.Helper()
	p := NewParser(Stream, "jabber:client", l)
	p.Feed([]byte(streamHeader))
	if e, err := p.Next(); e != EventOpen || err != nil {
		t.Fatal(e, err)
	}
	if e, err := p.Next(); e != EventNone || err != nil {
		t.Fatal(e, err)
	}
	return p
}

// record feeds the pieces to p and returns what comes of them. Every piece is
// overwritten as soon as the parser may no longer need it.
func record(p *Parser, pieces ...[]byte) []string {
	var all []string
	for _, piece := range pieces {
		piece = bytes.Clone(piece)
		p.Feed(piece)
		for {
			event, err := p.Next()
			if err != nil {
				var e *Error
				errors.As(err, &e)
				return append(all, fmt.Sprintf("error %s at %d: %s", e.Condition, e.Offset, e.Text))
			}
			if event == EventNone {
				break
			}
			all = append(all, describe(p, event))
		}
		for i := range piece {
			piece[i] = '!'
		}
	}
	return all
}

func describe(p *Parser, event Event) string {
	switch event {
	case EventOpen:
		return fmt.Sprintf("open %+v", *p.Header())
	case EventClose:
		return "close"
	}
	e := p.Element()
	var s strings.Builder
	fmt.Fprintf(&s, "element {%s}%s text=%v rewritten=%v content=%v\n", e.Space, e.Local, e.HasText, e.Rewritten, e.Content)
	for _, a := range e.Attrs {
		fmt.Fprintf(&s, "  {%s}%s=%q\n", a.Space, a.Local, a.Value)
	}
	for _, c := range e.Children {
		fmt.Fprintf(&s, "  child {%s}%s %v\n", c.Space, c.Local, c.Span)
	}
	fmt.Fprintf(&s, "  %q", e.Raw)
	return s.String()
}

// cut cuts data at the offsets.
func cut(data []byte, at ...int) [][]byte {
	slices.Sort(at)
	var pieces [][]byte
	done := 0
	for _, i := range append(at, len(data)) {
		pieces = append(pieces, data[done:i])
		done = i
	}
	return pieces
}

// single cuts data into its bytes.
func single(data []byte) [][]byte {
	var pieces [][]byte
	for i := range data {
		pieces = append(pieces, data[i:i+1])
	}
	return pieces
}

// cutRandomly cuts data at n random offsets.
func cutRandomly(data []byte, n int, r *rand.Rand) [][]byte {
	at := make([]int, n)
	for i := range at {
		at[i] = r.IntN(len(data) + 1)
	}
	return cut(data, at...)
}

// node is an element as encoding/xml sees it.
type node struct {
	name  xml.Name
	attrs map[xml.Name]string // without namespace declarations
	text  string              // direct, all together
	kids  []*node
	tree  string // of all that is within, to be compared
	begin int    // where in tree the start tag ends
}

// parseOracle reads a document with encoding/xml.
func parseOracle(doc string) (*node, error) { return parseOracleOpen(doc, 0) }

// parseOracleOpen reads a document that ends while so many elements are open.
func parseOracleOpen(doc string, depth int) (*node, error) {
	d := xml.NewDecoder(strings.NewReader(doc))
	var root *node
	var open []*node
	for {
		tok, err := d.Token()
		if err != nil {
			if d.InputOffset() == int64(len(doc)) && root != nil && len(open) == depth {
				return root, nil
			}
			return nil, err
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			n := newNode(tok)
			if len(open) == 0 {
				root = n
			} else {
				top := open[len(open)-1]
				top.kids = append(top.kids, n)
			}
			open = append(open, n)
		case xml.EndElement:
			n := open[len(open)-1]
			n.tree += "/"
			if open = open[:len(open)-1]; len(open) > 0 {
				open[len(open)-1].tree += n.tree
			}
		case xml.CharData:
			if len(open) > 0 {
				n := open[len(open)-1]
				n.text += string(tok)
				if n.tree[len(n.tree)-1] != '"' {
					n.tree += `""`
				}
				n.tree = n.tree[:len(n.tree)-1] + strings.ReplaceAll(string(tok), `"`, "&") + `"`
			}
		}
	}
}

func newNode(tok xml.StartElement) *node {
	n := &node{name: tok.Name, attrs: make(map[xml.Name]string)}
	n.name.Space = spaces(n.name.Space)
	var lines []string
	for _, a := range tok.Attr {
		if a.Name.Space == "xmlns" || a.Name.Space == "" && a.Name.Local == "xmlns" {
			continue
		}
		a.Name.Space = spaces(a.Name.Space)
		n.attrs[a.Name] = spaces(a.Value)
		lines = append(lines, fmt.Sprintf("%s=%q", expanded(a.Name), spaces(a.Value)))
	}
	slices.Sort(lines)
	n.tree = fmt.Sprintf("<%s%v>", expanded(n.name), lines)
	n.begin = len(n.tree)
	return n
}

func expanded(n xml.Name) string { return "{" + n.Space + "}" + n.Local }

// spaces makes all white space be spaces: encoding/xml does not normalise
// attribute values, so the two can only be compared like this.
func spaces(s string) string {
	return strings.NewReplacer("\t", " ", "\r\n", " ", "\n", " ", "\r", " ").Replace(s)
}

// checkElement compares e with what the oracle sees in the same place, and its
// canonical form with what it must mean.
func checkElement(t failer, e *Element, want *node) {
	got := xml.Name{Space: spaces(string(e.Space)), Local: string(e.Local)}
	if got != want.name {
		t.Fatalf("name %v, want %v", got, want.name)
	}
	attrs := make(map[xml.Name]string)
	for _, a := range e.Attrs {
		attrs[xml.Name{Space: spaces(string(a.Space)), Local: string(a.Local)}] = spaces(string(a.Value))
	}
	if len(attrs) != len(e.Attrs) || fmt.Sprint(attrs) != fmt.Sprint(want.attrs) {
		t.Fatalf("attributes %v, want %v", attrs, want.attrs)
	}
	if len(e.Children) != len(want.kids) {
		t.Fatalf("%d children, want %d", len(e.Children), len(want.kids))
	}
	// The element where the default namespace is that of stanzas.
	whole := canonicalRoot(t, "<message xmlns='jabber:client'>"+string(e.Raw)+"</message>").kids[0]
	if whole.tree != want.tree {
		t.Fatalf("Raw means\n%s, want\n%s\n%s", whole.tree, want.tree, e.Raw)
	}
	// Its content and its children where the default namespace is its own.
	wrap := "<message xmlns='" + string(AppendEscaped(nil, e.Space)) + "'>"
	content := canonicalRoot(t, wrap+string(e.Raw[e.Content.Start:e.Content.End])+"</message>")
	if content.inside() != want.inside() {
		t.Fatalf("content means\n%s, want\n%s", content.tree, want.tree)
	}
	for i, c := range e.Children {
		child := canonicalRoot(t, wrap+string(e.Raw[c.Start:c.End])+"</message>").kids[0]
		if child.tree != want.kids[i].tree {
			t.Fatalf("child means\n%s, want\n%s", child.tree, want.kids[i].tree)
		}
		if (xml.Name{Space: spaces(string(c.Space)), Local: string(c.Local)}) != child.name {
			t.Fatalf("child is named %s %s, want %v", c.Space, c.Local, child.name)
		}
	}
	if text := strings.Trim(want.text, " \t\r\n") != ""; text && !e.HasText {
		t.Fatalf("HasText is false with %q", want.text)
	}
}

// failer is what *testing.T and *rapid.T have in common.
type failer interface {
	Fatalf(format string, args ...any)
}

// canonicalRoot reads a document that must also be accepted, as it is and
// without being rewritten, by a Parser in Frame mode: so it leans on nothing.
func canonicalRoot(t failer, doc string) *node {
	p := NewParser(Frame, "jabber:client", Limits{ElementBytes: 1 << 24, Depth: 1000, Attributes: 10000, Children: 1 << 24})
	p.Feed([]byte(doc))
	if event, err := p.Next(); event != EventElement || err != nil {
		t.Fatalf("canonical form refused: %v %v\n%s", event, err, doc)
	}
	if p.Element().Rewritten {
		t.Fatalf("canonical form rewritten\n%s", doc)
	}
	root, err := parseOracle(doc)
	if err != nil {
		t.Fatalf("canonical form refused by encoding/xml: %v\n%s", err, doc)
	}
	return root
}

// inside is the tree without the start tag.
func (n *node) inside() string { return n.tree[n.begin:] }

func attr(local string) xml.Name { return xml.Name{Local: local} }
