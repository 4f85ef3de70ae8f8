// SPDX-License-Identifier: Apache-2.0

package xmlstream_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	. "github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

var fuzzLimits = Limits{ElementBytes: 2000, Depth: 8, Attributes: 20, Children: 50}

// seed adds the golden files and the malformed inputs.
func seed(f *testing.F, add func(string)) {
	for _, stanza := range golden(f, "stanzas") {
		add(string(stanza))
	}
	for _, row := range malformedElements {
		add(strings.Replace(row.in, "§", "", 1))
	}
}

// FuzzParser: no input makes a parser panic or exceed its limits; however it is
// cut, the same comes of it; and what is accepted means the same to encoding/xml.
func FuzzParser(f *testing.F) {
	seed(f, func(s string) { f.Add([]byte(streamHeader+s+"</stream:stream>"), uint64(1)) })
	for _, stream := range golden(f, "streams") {
		f.Add(stream, uint64(1))
	}
	for _, row := range malformedStreams {
		f.Add([]byte(strings.Replace(row.in, "§", "", 1)), uint64(1))
	}
	f.Fuzz(func(t *testing.T, stream []byte, cuts uint64) {
		if len(stream) > 8000 {
			return
		}
		whole := record(NewParser(Stream, "jabber:client", fuzzLimits), stream)
		split := record(NewParser(Stream, "jabber:client", fuzzLimits), cutRandomly(stream, 5, rand.New(rand.NewPCG(cuts, 0)))...)
		bytewise := record(NewParser(Stream, "jabber:client", fuzzLimits), single(stream)...)
		if !slices.Equal(whole, split) || !slices.Equal(whole, bytewise) {
			t.Fatalf("whole\n%s\nsplit\n%s\nbytewise\n%s", strings.Join(whole, "\n"), strings.Join(split, "\n"), strings.Join(bytewise, "\n"))
		}
		if !misreads(stream) {
			checkStream(t, stream)
		}
		record(NewParser(Frame, "jabber:client", fuzzLimits), cutRandomly(stream, 3, rand.New(rand.NewPCG(cuts, 1)))...)
	})
}

// checkStream compares what the parser makes of stream with what the oracle does.
func checkStream(t *testing.T, stream []byte) {
	p := NewParser(Stream, "jabber:client", fuzzLimits)
	p.Feed(stream)
	for elements := 0; ; {
		event, err := p.Next()
		if err != nil || event == EventNone || event == EventClose {
			return
		}
		if event == EventOpen {
			continue
		}
		e := p.Element()
		checkLimits(t, e)
		elements++
		consumed := stream[:len(stream)-p.Buffered()]
		doc, err := parseOracleOpen(strings.TrimPrefix(string(consumed), "\uFEFF"), 1)
		if err != nil {
			if isAllowedDifference(consumed, err) {
				return
			}
			t.Fatalf("encoding/xml refuses: %v\n%q", err, consumed)
		}
		checkElement(t, e, doc.kids[elements-1])
	}
}

// isAllowedDifference reports whether encoding/xml may refuse what a parser
// accepts.
//
//   - Names: it knows those of the fourth edition of XML 1.0, which has fewer.
//   - The byte order mark: it does not know it, so it is not shown it.
//   - An element named xmlns has no namespace to it: see misreads.
//
// That encoding/xml does not normalise attribute values is seen to in spaces. It
// accepts much that a parser refuses: comments and the like, duplicate
// attributes, undeclared prefixes, no space between attributes.
func isAllowedDifference(stream []byte, err error) bool {
	return strings.Contains(err.Error(), "invalid XML name") && slices.ContainsFunc(stream, func(c byte) bool { return c >= utf8.RuneSelf })
}

// misreads reports whether encoding/xml reads some of stream wrongly.
func misreads(stream []byte) bool { return strings.Contains(string(stream), "<xmlns") }

func checkLimits(t *testing.T, e *Element) {
	if len(e.Raw) > fuzzLimits.ElementBytes || len(e.Attrs) > fuzzLimits.Attributes {
		t.Fatalf("%d bytes, %d attributes", len(e.Raw), len(e.Attrs))
	}
	depth, deepest := 0, 0
	r := NewReader(e.Raw, "jabber:client")
	var walk func()
	walk = func() {
		depth++
		deepest = max(deepest, depth)
		for range r.Children() {
			walk()
		}
		depth--
	}
	walk()
	if deepest > fuzzLimits.Depth || r.Err() != nil {
		t.Fatalf("%d levels, %v", deepest, r.Err())
	}
}

// FuzzReader: over what a parser has passed a Reader sees what encoding/xml
// sees; over anything else it ends.
func FuzzReader(f *testing.F) {
	seed(f, func(s string) { f.Add([]byte(s)) })
	f.Fuzz(func(t *testing.T, raw []byte) {
		if len(raw) > 4000 {
			return
		}
		r := NewReader(raw, "jabber:client")
		readAll(r)
		r = NewReader(raw, "jabber:client")
		r.Raw()
		r = NewReader(raw, "jabber:client")
		for range r.Children() {
			r.Raw()
		}
		p := openParser(t, testLimits)
		p.Feed(raw)
		if event, err := p.Next(); event != EventElement || err != nil || misreads(raw) {
			return
		}
		doc, err := parseOracle("<m xmlns='jabber:client'>" + string(p.Element().Raw) + "</m>")
		if err != nil {
			if isAllowedDifference(raw, err) {
				return
			}
			t.Fatal(err)
		}
		r = NewReader(p.Element().Raw, "jabber:client")
		checkReader(t, r, doc.kids[0])
		if r.Err() != nil {
			t.Fatal(r.Err())
		}
		checkRaw(t, p.Element().Raw, doc.kids[0])
	})
}

// checkReader reads the current element all through and compares it with n.
func checkReader(t *testing.T, r *Reader, n *node) {
	if got := r.Name(); spaces(got.Space) != n.name.Space || got.Local != n.name.Local {
		t.Fatalf("name %v, want %v", got, n.name)
	}
	for name, want := range n.attrs {
		var got string
		if name.Space == "" {
			got = r.Attr(name.Local)
		} else if got = r.AttrNS(name.Space, name.Local); got == "" {
			continue // perhaps for the white space in the namespace
		}
		if spaces(got) != want {
			t.Fatalf("attribute %v is %q, want %q", name, got, want)
		}
	}
	if len(n.kids) == 0 {
		if got := r.Text(); got != n.text {
			t.Fatalf("text %q, want %q", got, n.text)
		}
	}
	i := 0
	for range r.Children() {
		checkReader(t, r, n.kids[i])
		i++
	}
	if i != len(n.kids) {
		t.Fatalf("%d children, want %d", i, len(n.kids))
	}
}

// checkRaw compares what Raw returns of each child, where no namespace is known,
// with the child.
func checkRaw(t *testing.T, raw []byte, n *node) {
	r := NewReader(raw, "jabber:client")
	i := 0
	for range r.Children() {
		child := r.Raw()
		if r.Err() != nil { // amplified
			return
		}
		doc, err := parseOracle(child)
		if err != nil || doc.tree != n.kids[i].tree {
			t.Fatalf("%v: Raw is %s", err, child)
		}
		i++
	}
}

// FuzzEscape: what is appended is read back as it was, by us and by encoding/xml.
func FuzzEscape(f *testing.F) {
	for _, s := range []string{"", "a", "<&>\"'", "\r\n\t ", "]]>", "é🌹\uFFFD", "\x00\xFF\uFFFE", "&amp;"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		want := carried(s)
		doc := AppendAttr([]byte("<m xmlns='jabber:client'"), "a", s)
		doc = append(doc, ` b="`...)
		doc = AppendEscaped(doc, s)
		doc = append(doc, `" c='`...)
		doc = AppendEscaped(doc, []byte(s))
		doc = append(doc, `'>`...)
		doc = AppendText(doc, "t", s)
		doc = append(AppendEscaped(append(doc, "<u>"...), s), "</u></m>"...)

		p := NewParser(Frame, "jabber:client", Limits{ElementBytes: 1 << 24, Depth: 2, Attributes: 4, Children: 2})
		p.Feed(doc)
		if event, err := p.Next(); event != EventElement || err != nil {
			t.Fatalf("%v %v\n%q", event, err, doc)
		}
		r := NewReader(p.Element().Raw, "")
		if a, b, c := r.Attr("a"), r.Attr("b"), r.Attr("c"); a != want || b != oneSpace(want) || c != b {
			t.Errorf("%q: attributes %q %q %q", s, a, b, c)
		}
		for range r.Children() {
			if got := r.Text(); got != want {
				t.Errorf("%q: text %q", s, got)
			}
		}
		root, err := parseOracle(string(doc))
		if err != nil || root.kids[0].text != want || root.kids[1].text != want || root.attrs[attr("a")] != spaces(want) {
			t.Errorf("%q: encoding/xml reads %+v, %v", s, root, err)
		}
	})
}

// carried is s as far as XML can carry it.
func carried(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r < ' ' && r != '\n' && r != '\t' && r != '\r' || r == 0xFFFE || r == 0xFFFF {
			r = utf8.RuneError
		}
		b.WriteRune(r)
	}
	return b.String()
}

// oneSpace is s as it is read when line ends and tabs stood in a value as they are.
func oneSpace(s string) string { return strings.NewReplacer("\n", " ", "\t", " ").Replace(s) }
