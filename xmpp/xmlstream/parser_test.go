// SPDX-License-Identifier: Apache-2.0

package xmlstream_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	. "github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// Every golden stanza is seen as encoding/xml sees it, and is canonical.
func TestGoldenStanzas(t *testing.T) {
	for name, stanza := range golden(t, "stanzas") {
		t.Run(name, func(t *testing.T) {
			doc, err := parseOracle(streamHeader + string(stanza) + "</stream:stream>")
			if err != nil {
				t.Fatal(err)
			}
			p := openParser(t, testLimits)
			p.Feed(stanza)
			if event, err := p.Next(); event != EventElement || err != nil {
				t.Fatal(event, err)
			}
			e := p.Element()
			checkElement(t, e, doc.kids[0])
			leans := strings.Contains(name, "leans") || strings.Contains(name, "prefixed-root") ||
				strings.Contains(name, "other-default") || strings.HasPrefix(name, "stream-")
			if e.Rewritten != leans {
				t.Errorf("Rewritten is %v\n%s", e.Rewritten, e.Raw)
			}
			if !leans && string(e.Raw) != string(stanza) {
				t.Errorf("Raw is not what was sent: %s", e.Raw)
			}
		})
	}
}

func TestGoldenStreams(t *testing.T) {
	for name, stream := range golden(t, "streams") {
		t.Run(name, func(t *testing.T) {
			doc, err := parseOracle(strings.TrimPrefix(string(stream), "\uFEFF"))
			if err != nil {
				t.Fatal(err)
			}
			p := NewParser(Stream, "jabber:client", testLimits)
			p.Feed(stream)
			for i := -1; ; i++ {
				switch event, err := p.Next(); {
				case err != nil:
					t.Fatal(err)
				case event == EventOpen:
					if h := p.Header(); h.To != doc.attrs[attr("to")] || h.From != doc.attrs[attr("from")] ||
						h.ID != doc.attrs[attr("id")] || h.Version != doc.attrs[attr("version")] {
						t.Errorf("header %+v, want %v", h, doc.attrs)
					}
				case event == EventElement:
					checkElement(t, p.Element(), doc.kids[i])
				case event == EventClose:
					if i != len(doc.kids) {
						t.Errorf("%d elements, want %d", i, len(doc.kids))
					}
					return
				case event == EventNone:
					t.Fatal("stream not closed")
				}
			}
		})
	}
}

// However the input is cut, the same comes of it.
func TestSplits(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	streams := golden(t, "streams")
	for name, stanza := range golden(t, "stanzas") {
		streams["stanza-"+name] = []byte(streamHeader + " " + string(stanza) + "<presence/>\n</stream:stream>")
	}
	for name, stream := range streams {
		t.Run(name, func(t *testing.T) {
			want := record(NewParser(Stream, "jabber:client", testLimits), stream)
			if strings.HasPrefix(want[len(want)-1], "error") {
				t.Fatal(want)
			}
			check := func(how string, pieces [][]byte) {
				t.Helper()
				got := record(NewParser(Stream, "jabber:client", testLimits), pieces...)
				if !slices.Equal(got, want) {
					t.Fatalf("cut %s: got\n%s\nwant\n%s", how, strings.Join(got, "\n"), strings.Join(want, "\n"))
				}
			}
			for i := range stream {
				check(fmt.Sprint("at ", i), cut(stream, i))
			}
			check("everywhere", single(stream))
			for range 100 {
				check("in three places", cutRandomly(stream, 3, r))
			}
		})
	}
}

func TestFrames(t *testing.T) {
	const open = `<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='example.com' version='1.0'/>`
	tests := []struct{ name, frame, want string }{
		{"open", open, "element {urn:ietf:params:xml:ns:xmpp-framing}open"},
		{"stanza", `<message xmlns='jabber:client'><body>hi</body></message>`, "element {jabber:client}message"},
		{"features", `<stream:features xmlns:stream='http://etherx.jabber.org/streams'/>`, "element {http://etherx.jabber.org/streams}features"},
		{"no namespace", `<message/>`, "element {}message"},
		{"declaration", `<?xml version='1.0'?><presence xmlns='jabber:client'/>`, "element {jabber:client}presence"},
		{"declaration and space", "<?xml version='1.0'?>\n<presence xmlns='jabber:client'/>", "element {jabber:client}presence"},
		{"space after", "<presence xmlns='jabber:client'/> \r\n", "element {jabber:client}presence"},
		{"space before", " <presence xmlns='jabber:client'/>", "error not-well-formed"},
		{"space only", " ", "error not-well-formed"},
		{"nothing", "", "error not-well-formed"},
		{"byte order mark", "\uFEFF<presence xmlns='jabber:client'/>", "error not-well-formed"},
		{"text after", "<presence xmlns='jabber:client'/>x", "error not-well-formed"},
		{"two elements", "<presence xmlns='jabber:client'/><presence xmlns='jabber:client'/>", "error not-well-formed"},
		{"cut", "<presence xmlns='jabber:client'", "error not-well-formed"},
		{"declaration only", "<?xml version='1.0'?>", "error not-well-formed"},
		{"declaration cut", "<?xml version='1.0'", "error not-well-formed"},
		{"end tag", "</presence>", "error not-well-formed"},
		{"prefix of another frame", `<stream:features/>`, "error not-well-formed"},
		{"comment", `<!-- --><presence xmlns='jabber:client'/>`, "error restricted-xml"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := NewParser(Frame, "jabber:client", testLimits)
			got := record(p, []byte(open), []byte(test.frame), []byte(open))
			if !strings.HasPrefix(got[1], test.want) {
				t.Errorf("got %s, want %s", got[1], test.want)
			}
			if isError := strings.HasPrefix(test.want, "error"); len(got) != 3 && !isError || len(got) != 2 && isError {
				t.Errorf("%d events: %q", len(got), got)
			}
		})
	}
}

// What is canonical in a frame is what it would be in a stream.
func TestFramesCanonical(t *testing.T) {
	p := NewParser(Frame, "jabber:client", testLimits)
	p.Feed([]byte(`<stream:features xmlns:stream='http://etherx.jabber.org/streams'><bind xmlns='b'/><stream:x/></stream:features>`))
	if event, err := p.Next(); event != EventElement || err != nil {
		t.Fatal(event, err)
	}
	e := p.Element()
	const want = `<features xmlns='http://etherx.jabber.org/streams' xmlns:stream='http://etherx.jabber.org/streams'>` +
		`<bind xmlns='b'/><stream:x xmlns:stream='http://etherx.jabber.org/streams'/></features>`
	if string(e.Raw) != want {
		t.Errorf("got  %s\nwant %s", e.Raw, want)
	}
}

func TestElement(t *testing.T) {
	p := openParser(t, testLimits)
	const in = `<message to='a&amp;b' xml:lang='en'> <body>hi</body><x:y xmlns:x='X' a='1'/>!</message>`
	p.Feed([]byte(in))
	if event, err := p.Next(); event != EventElement || err != nil {
		t.Fatal(event, err)
	}
	e := p.Element()
	if string(e.Raw) != in || string(e.Space) != "jabber:client" || string(e.Local) != "message" || !e.HasText || e.Rewritten {
		t.Errorf("element %s %s %s text=%v rewritten=%v", e.Raw, e.Space, e.Local, e.HasText, e.Rewritten)
	}
	if got, want := fmt.Sprintf("%s", e.Attrs), "[{ to a&b} {http://www.w3.org/XML/1998/namespace lang en}]"; got != want {
		t.Errorf("attributes %s, want %s", got, want)
	}
	if got, want := string(e.Raw[e.Content.Start:e.Content.End]), ` <body>hi</body><x:y xmlns:x='X' a='1'/>!`; got != want {
		t.Errorf("content %s, want %s", got, want)
	}
	var children []string
	for _, c := range e.Children {
		children = append(children, fmt.Sprintf("%s %s %s", c.Space, c.Local, e.Raw[c.Start:c.End]))
	}
	want := []string{"jabber:client body <body>hi</body>", "X y <x:y xmlns:x='X' a='1'/>"}
	if !slices.Equal(children, want) {
		t.Errorf("children %q, want %q", children, want)
	}
}

func TestHasText(t *testing.T) {
	for in, want := range map[string]bool{
		"<a/>": false, "<a></a>": false, "<a>\n\t</a>": false, "<a><b>x</b></a>": false,
		"<a>x</a>": true, "<a>\n<b/>x</a>": true, "<a>&amp;</a>": true,
		"<a><![CDATA[]]></a>": false, "<a><![CDATA[ ]]></a>": false, "<a><![CDATA[x]]></a>": true,
	} {
		p := openParser(t, testLimits)
		p.Feed([]byte(in))
		if event, err := p.Next(); event != EventElement || err != nil {
			t.Fatal(event, err)
		}
		if got := p.Element().HasText; got != want {
			t.Errorf("%s: %v", in, got)
		}
	}
}
