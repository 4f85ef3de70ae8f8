// SPDX-License-Identifier: Apache-2.0

package xmlstream_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	. "github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// TestCanonical: of random documents that use prefixes and default namespaces
// in every way, the canonical bytes mean the same as the original.
func TestCanonical(t *testing.T) {
	rewritten, total := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		outer := scopeOf{"": "jabber:client", "stream": "http://etherx.jabber.org/streams"}
		var header strings.Builder
		header.WriteString("<stream:stream xmlns:stream='http://etherx.jabber.org/streams' ")
		outer = outer.declare(t, &header, "a", "b")
		if _, ok := outer["own default"]; !ok {
			header.WriteString(" xmlns='jabber:client'")
		}
		header.WriteByte('>')
		var element strings.Builder
		outer.element(t, &element, 0)

		doc, err := parseOracle(header.String() + element.String() + "</stream:stream>")
		if err != nil {
			t.Fatalf("the generator is wrong: %v\n%s%s", err, header.String(), element.String())
		}
		p := NewParser(Stream, "jabber:client", testLimits)
		p.Feed([]byte(header.String() + element.String()))
		if event, err := p.Next(); event != EventOpen || err != nil {
			t.Fatalf("%v %v\n%s", event, err, header.String())
		}
		if event, err := p.Next(); event != EventElement || err != nil {
			t.Fatalf("%v %v\n%s%s", event, err, header.String(), element.String())
		}
		checkElement(t, p.Element(), doc.kids[0])
		if total++; p.Element().Rewritten {
			rewritten++
		}
	})
	t.Logf("%d of %d rewritten", rewritten, total)
}

// scopeOf is the prefixes in force and what they stand for.
type scopeOf map[string]string

var (
	namespaces = []string{"jabber:client", "jabber:server", "N", "M&M's", "urn:é", "http://etherx.jabber.org/streams"}
	locals     = []string{"message", "body", "x", "stream"}
)

// declare writes declarations of some of the prefixes, and perhaps of the
// default namespace, and returns the scope with them.
func (s scopeOf) declare(t *rapid.T, out *strings.Builder, prefixes ...string) scopeOf {
	s = maps.Clone(s)
	delete(s, "own default")
	for _, p := range prefixes {
		if rapid.Bool().Draw(t, "declares "+p) {
			s[p] = rapid.SampledFrom(namespaces).Draw(t, "namespace")
			out.Write(AppendAttr(nil, "xmlns:"+p, s[p]))
		}
	}
	switch rapid.IntRange(0, 4).Draw(t, "default") {
	case 0:
		s[""], s["own default"] = "", ""
		out.WriteString(" xmlns=''")
	case 1:
		s[""], s["own default"] = rapid.SampledFrom(namespaces[:4]).Draw(t, "namespace"), ""
		out.Write(AppendAttr(nil, "xmlns", s[""]))
	}
	return s
}

// prefixes are those that may be used, the default namespace as "".
func (s scopeOf) prefixes() []string {
	all := slices.Sorted(maps.Keys(s))
	return slices.DeleteFunc(all, func(p string) bool { return p == "own default" })
}

// element writes a random element in the scope.
func (s scopeOf) element(t *rapid.T, out *strings.Builder, depth int) {
	var tag strings.Builder
	s = s.declare(t, &tag, "a", "b", "c", "stream")
	name := s.name(t)
	seen := make(map[string]bool)
	for range rapid.IntRange(0, 3).Draw(t, "attributes") {
		attr := s.name(t)
		p, local, ok := strings.Cut(attr, ":")
		if id := s[p] + " " + local; ok && !seen[id] || !ok && !seen[attr] {
			seen[id], seen[attr] = ok, !ok
			fmt.Fprintf(&tag, " %s=%s", attr, rapid.SampledFrom([]string{`'1'`, `"it's"`, `'"'`, `'a:b &lt;&#10;'`}).Draw(t, "value"))
		}
	}
	fmt.Fprintf(out, "<%s%s", name, tag.String())
	if rapid.IntRange(0, 3).Draw(t, "empty") == 0 {
		out.WriteString("/>")
		return
	}
	out.WriteByte('>')
	for range rapid.IntRange(0, 4).Draw(t, "nodes") {
		if rapid.Bool().Draw(t, "text") || depth > 3 {
			out.WriteString(rapid.SampledFrom([]string{" ", "\n", "x", "é&amp;", "<![CDATA[<a:b>]]>", "&#x1F339;"}).Draw(t, "piece"))
			continue
		}
		s.element(t, out, depth+1)
	}
	fmt.Fprintf(out, "</%s>", name)
}

// name is a random name with a prefix that is declared, or none.
func (s scopeOf) name(t *rapid.T) string {
	local := rapid.SampledFrom(locals).Draw(t, "local")
	if p := rapid.SampledFrom(s.prefixes()).Draw(t, "prefix"); p != "" {
		return p + ":" + local
	}
	return local
}

// What is rewritten, and into what: prefixes within children stay as they are.
func TestRewritten(t *testing.T) {
	for _, row := range []struct{ name, in, want string }{
		{"prefix of the header", "<message><stream:x/></message>",
			"<message><stream:x xmlns:stream='http://etherx.jabber.org/streams'/></message>"},
		{"prefix of the root", "<message xmlns:p='P'><p:x a='1'>t</p:x> <y><p:z/></y></message>",
			"<message xmlns:p='P'><p:x xmlns:p='P' a='1'>t</p:x> <y xmlns:p='P'><p:z/></y></message>"},
		{"prefix in an attribute", "<message xmlns:p='P'><x p:a='1'/></message>",
			"<message xmlns:p='P'><x xmlns:p='P' p:a='1'/></message>"},
		{"declared again further in", "<message xmlns:p='P'><x><y xmlns:p='Q'><p:z/></y></x></message>", ""},
		{"root with prefix", "<c:message xmlns:c='jabber:client' c:a=\"it's\"><c:x/><y/></c:message>",
			"<message xmlns:c='jabber:client' c:a=\"it's\"><c:x xmlns:c='jabber:client'/><y/></message>"},
		{"root with prefix, other default", "<c:message xmlns:c='jabber:client' xmlns='N'><c:x/><y/><z xmlns=''/></c:message>",
			"<message xmlns:c='jabber:client'><c:x xmlns:c='jabber:client'/><y xmlns='N'/><z xmlns=''/></message>"},
		{"empty root", "<stream:x a='1'/>", "<x xmlns='http://etherx.jabber.org/streams' a='1'/>"},
		{"attribute with the header's prefix", "<x stream:a='1'><y/></x>",
			"<x stream:a='1' xmlns:stream='http://etherx.jabber.org/streams'><y/></x>"},
		{"content namespace declared", "<message xmlns='jabber:client'><body/></message>", ""},
		{"other namespace declared", "<a xmlns='urn:xmpp:sm:3'><b/></a>", ""},
		{"prefix unused", "<message xmlns:p='P'><body/></message>", ""},
		{"xml:lang", "<message xml:lang='en'><body xml:lang='de'/></message>", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			p := openParser(t, testLimits)
			p.Feed([]byte(row.in))
			if event, err := p.Next(); event != EventElement || err != nil {
				t.Fatal(event, err)
			}
			e := p.Element()
			want := row.want
			if want == "" {
				want = row.in
			}
			if string(e.Raw) != want || e.Rewritten != (row.want != "") {
				t.Errorf("rewritten=%v, got\n%s\nwant\n%s", e.Rewritten, e.Raw, want)
			}
			for _, c := range e.Children {
				if raw := string(e.Raw[c.Start:c.End]); !strings.HasPrefix(raw, "<") || !strings.HasSuffix(raw, ">") {
					t.Errorf("child is %s", raw)
				}
			}
		})
	}
}
