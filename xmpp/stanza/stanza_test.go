// SPDX-License-Identifier: Apache-2.0

package stanza_test

// How to read this file: the tables of kinds, types and requests; then what is
// written, as a matrix of inputs and writings; then edits, Retain and sizes.

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"unsafe"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	. "github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

var limits = xmlstream.Limits{ElementBytes: 1 << 18, Depth: 100, Attributes: 100, Children: 1 << 16}

// fromStream reads the first stanza of a stream: as a server does, borrowed.
func fromStream(t testing.TB, header, element string) (*Stanza, []byte, error) {
	t.Helper()
	p := xmlstream.NewParser(xmlstream.Stream, NSClient, limits)
	p.Feed([]byte(header))
	if ev, err := p.Next(); ev != xmlstream.EventOpen || err != nil {
		t.Fatal(ev, err)
	}
	if ev, err := p.Next(); ev != xmlstream.EventNone || err != nil {
		t.Fatal(ev, err)
	}
	buffer := []byte(element)
	p.Feed(buffer)
	ev, err := p.Next()
	if ev != xmlstream.EventElement || err != nil {
		t.Fatalf("%v %v in %s", ev, err, element)
	}
	s := new(Stanza)
	err = s.FromElement(p.Element(), new(jid.Cache))
	return s, buffer, err
}

const clientHeader = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='d' version='1.0'>"

func read(t testing.TB, element string) *Stanza {
	t.Helper()
	s, _, err := fromStream(t, clientHeader, element)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestKindsAndTypes(t *testing.T) {
	known := map[Kind]map[string]Type{
		Message:  {"": Normal, "normal": Normal, "chat": Chat, "groupchat": Groupchat, "headline": Headline, "error": TypeError, "shouted": Normal},
		Presence: {"": Available, "unavailable": Unavailable, "subscribe": Subscribe, "subscribed": Subscribed, "unsubscribe": Unsubscribe, "unsubscribed": Unsubscribed, "probe": Probe, "error": TypeError},
		IQ:       {"get": Get, "set": Set, "result": Result, "error": TypeError},
	}
	values := []string{
		"", "normal", "chat", "groupchat", "headline", "error", "unavailable", "subscribe", "subscribed", "unsubscribe",
		"unsubscribed", "probe", "get", "set", "result", "available", "shouted", "Chat",
	}
	for kind, types := range known {
		for _, value := range values {
			want, ok := types[value]
			if kind == Message && !ok {
				want, ok = Normal, true // RFC 6121 §5.2.2
			}
			element := "<" + kind.String() + " id='1'"
			if value != "" {
				element += " type='" + value + "'"
			}
			element += "><x xmlns='u:x'/></" + kind.String() + ">"
			s, _, err := fromStream(t, clientHeader, element)
			var refused *Error
			switch {
			case ok && (err != nil || s.Kind != kind || s.Type != want):
				t.Errorf("%s: %v %v %v", element, s.Kind, s.Type, err)
			case !ok && (!errors.As(err, &refused) || refused.Condition != BadRequest):
				t.Errorf("%s: %v, want bad-request", element, err)
			case ok && want != 0 && want.String() != value:
				t.Errorf("%s: type is called %q", element, want)
			}
			if want := want == Get || want == Set; ok && s.Type.IsRequest() != want {
				t.Errorf("%s: a request is %v", element, !want)
			}
		}
	}
	if Kind(0).String() != "invalid" || Normal.String() != "normal" {
		t.Error("names of zero values")
	}
}

func TestEnvelopeRefused(t *testing.T) {
	for _, c := range []struct {
		name, element string
		want          Condition // "" where it is accepted
	}{
		{"iq without id", "<iq type='get'><q xmlns='u:q'/></iq>", BadRequest},
		{"iq with empty id", "<iq type='get' id=''><q xmlns='u:q'/></iq>", BadRequest},
		{"iq without type", "<iq id='1'><q xmlns='u:q'/></iq>", BadRequest},
		{"request without child", "<iq type='get' id='1'/>", BadRequest},
		{"request with text alone", "<iq type='get' id='1'>hello</iq>", BadRequest},
		{"request with two children", "<iq type='set' id='1'><a xmlns='u:q'/><b xmlns='u:q'/></iq>", BadRequest},
		{"request", "<iq type='set' id='1'> <a xmlns='u:q'/> </iq>", ""},
		{"result without child", "<iq type='result' id='1'/>", ""},
		{"result", "<iq type='result' id='1'><a xmlns='u:q'/></iq>", ""},
		{"result with two children", "<iq type='result' id='1'><a xmlns='u:q'/><b xmlns='u:q'/></iq>", BadRequest},
		{"error with request and error", "<iq type='error' id='1'><a xmlns='u:q'/><error type='wait'/></iq>", ""},
		{"bad to", "<message to='a b@d'/>", JIDMalformed},
		{"bad from", "<message from='@d'/>", JIDMalformed},
		{"empty to", "<message to=''/>", JIDMalformed},
	} {
		_, _, err := fromStream(t, clientHeader, c.element)
		var refused *Error
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.want != "" && (!errors.As(err, &refused) || refused.Condition != c.want):
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
	}
	// What could be read is there for the answer.
	s, _, err := fromStream(t, clientHeader, "<iq to='a b@d' from='a@d/r' id='7' type='nonsense'><x xmlns='u:x'/></iq>")
	if err == nil || s.Kind != IQ || string(s.ID) != "7" || s.From != jid.MustParse("a@d/r") {
		t.Errorf("%+v %v", s, err)
	}
	for _, element := range []string{"<r xmlns='urn:xmpp:sm:3'/>", "<message xmlns='u:x'/>", "<stanza/>"} {
		if _, _, err := fromStream(t, clientHeader, element); !errors.Is(err, ErrNotStanza) {
			t.Errorf("%s: %v", element, err)
		}
	}
}

// TestWritings is the matrix of what comes in and how it is written: in a client's stream, alone,
// in a server's stream. Where bytes may differ from the input, they are canonical.
func TestWritings(t *testing.T) {
	const prefixed = "<stream:stream xmlns='jabber:client' xmlns:c='jabber:client' xmlns:x='u:x' xmlns:stream='http://etherx.jabber.org/streams' to='d' version='1.0'>"
	const inherited = "<stream:stream xmlns='u:other' xmlns:c='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='d' version='1.0'>"
	for _, c := range []struct {
		name, header, in string
		out              string // the attributes and content behind <message, with %s for a declaration
	}{
		{"plain", clientHeader, "<message to='b@d' id='1'><body>hi</body></message>", " to='b@d' id='1'><body>hi</body>"},
		{"own default namespace", clientHeader, "<message xmlns='jabber:client' to='b@d'><body>hi</body></message>", " to='b@d'><body>hi</body>"},
		{"prefixed stanza", prefixed, "<c:message to='b@d'><c:body>hi</c:body></c:message>", " to='b@d'><body>hi</body>"},
		{"prefixed payload", prefixed, "<message to='b@d'><body>hi</body><x:x/></message>", " to='b@d'><body>hi</body><x:x xmlns:x='u:x'/>"},
		{"inherited default namespace", inherited, "<c:message to='b@d'><c:body>hi</c:body><y/></c:message>", " to='b@d'><body>hi</body><y xmlns='u:other'/>"},
		{"prefixed body with attributes", prefixed, "<message to='b@d'><c:body xml:lang='cs' >hi</c:body ><c:thread parent=\"a>'b\"/></message>", " to='b@d'><body xml:lang='cs' >hi</body><thread parent=\"a>'b\"/>"},
		{"declared body", clientHeader, "<message to='b@d'><body  xmlns='jabber:client'>hi</body><x xmlns='u:x'/><subject xml:lang='cs' xmlns=\"jabber:client\"/></message>", " to='b@d'><body>hi</body><x xmlns='u:x'/><subject xml:lang='cs'/>"},
		{"prefix needed within", clientHeader, "<message to='b@d'><c:error xmlns:c='jabber:client' type='wait'><c:e/></c:error></message>", " to='b@d'><error xmlns:c='jabber:client' type='wait'><c:e/></error>"},
		{"prefix needed", clientHeader, "<message to='b@d'><c:error xmlns:c='jabber:client' xmlns='u:x'><e/></c:error></message>", ""},
		{"prefix of an attribute", clientHeader, "<message to='b@d'><c:error xmlns:c='jabber:client' c:a='1'/></message>", ""},
		{"forwarded behind a declaration", clientHeader, "<message><body xmlns='jabber:client'/><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client'><body>hi</body></message></forwarded></message>", "><body/><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client'><body>hi</body></message></forwarded>"},
		{"prefix of the root", clientHeader, "<message xmlns:p='u:p' to='b@d'><p:x p:a='1'/></message>", ""},
		{"unknown attributes", clientHeader, "<message to='b@d' mood='a&lt;&apos;b'/>", ""},
		{"language", clientHeader, "<message to='b@d' xml:lang='cs'><body>ě</body></message>", " to='b@d' xml:lang='cs'><body>ě</body>"},
		{"empty", clientHeader, "<message></message>", ""},
		{"text between", clientHeader, "<message> a &amp; b <x xmlns='u:x'/>\n</message>", "> a &amp; b <x xmlns='u:x'/>\n"},
		{"forwarded", clientHeader, "<message><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client'><body>hi</body></message></forwarded></message>", ""},
		{"cdata", clientHeader, "<message><body><![CDATA[<&>]]></body></message>", ""},
	} {
		for _, xmlns := range []string{"", NSClient, NSServer, NSComponent} {
			s, _, err := fromStream(t, c.header, c.in)
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
				continue
			}
			got := string(s.Append([]byte("before"), xmlns))
			got, ok := strings.CutPrefix(got, "before")
			if !ok {
				t.Fatalf("%s: wrote over what was there", c.name)
			}
			declared := ""
			if xmlns != "" {
				declared = " xmlns='" + xmlns + "'"
			}
			if !strings.HasPrefix(got, "<message"+declared) || xmlns == "" && strings.HasPrefix(got, "<message xmlns") {
				t.Errorf("%s in %q: %s", c.name, xmlns, got)
			}
			if want := "<message" + declared + c.out + "</message>"; c.out != "" && got != want {
				t.Errorf("%s in %q: %s\nwant %s", c.name, xmlns, got, want)
			}
			around := xmlns
			if around == "" {
				around = NSClient
			}
			if around != NSClient && strings.HasPrefix(c.name, "prefix ") && strings.Contains(got, "xmlns:c=") {
				continue // what is put into the client's namespace by a prefix that cannot go stays there
			}
			// What the writing means: all of it is in the content namespace of the stream it is
			// written to, but what declares another.
			want := flat(t, strings.TrimSuffix(c.header, ">")+">", c.in)
			if around != NSClient {
				want = inContent(want, around)
			}
			if got := flat(t, "<r xmlns='"+around+"'>", got); got != want {
				t.Errorf("%s in %q means\n%s\nwant\n%s", c.name, xmlns, got, want)
			}
		}
	}
}

// inContent moves what flat shows from the client's to another content namespace, but not what is
// forwarded.
func inContent(tree, space string) string {
	lines := strings.Split(tree, "\n")
	forwarded := false
	for i, l := range lines {
		forwarded = forwarded || strings.Contains(l, "forwarded")
		if !forwarded {
			lines[i] = strings.Replace(l, "{jabber:client}", "{"+space+"}", 1)
		}
	}
	return strings.Join(lines, "\n")
}

func TestEdit(t *testing.T) {
	s := read(t, "<message to='b@d' id='1'><a xmlns='u:a'/>x<b xmlns='u:b'>1</b><a xmlns='u:a' n='2'/></message>")
	s.Cut(s.Find("u:a", "a"))
	s.Add(Body("new"))
	s.Cut(s.Find("u:a", "a")) // the second
	s.Cut(0)                  // again: nothing
	s.ID, s.To = []byte("<2>"), jid.MustParse("c@d")
	if s.Len() != 4 || s.First() != 1 || s.Has("u:a", "a") || !s.Has(NSClient, "body") || BodyOf(s) != "new" {
		t.Errorf("%d %d", s.Len(), s.First())
	}
	if _, _, ok := s.Child(2); ok {
		t.Error("a cut child is there")
	}
	const want = "<message to='c@d' id='&lt;2>'>x<b xmlns='u:b'>1</b><body>new</body></message>"
	if got := string(s.Append(nil, "")); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	if s.Find("u:b", "b") != 1 || string(s.Bytes(1)) != "<b xmlns='u:b'>1</b>" || string(s.Bytes(3)) != "<body>new</body>" {
		t.Errorf("%q %q", s.Bytes(1), s.Bytes(3))
	}
	for i := range s.Len() {
		s.Cut(i)
	}
	if got := string(s.Append(nil, "")); s.First() != -1 || got != "<message to='c@d' id='&lt;2>'>x</message>" {
		t.Error(got)
	}
}

// TestAddLeavesParserAlone: the index of a borrowed stanza is the parser's memory.
func TestAddLeavesParserAlone(t *testing.T) {
	p := xmlstream.NewParser(xmlstream.Frame, NSClient, limits)
	for range 2 {
		p.Feed([]byte("<message xmlns='jabber:client'><a xmlns='u:a'/><b xmlns='u:b'/></message>"))
		if _, err := p.Next(); err != nil {
			t.Fatal(err)
		}
		one, two := new(Stanza), new(Stanza)
		for _, s := range []*Stanza{one, two} {
			if err := s.FromElement(p.Element(), new(jid.Cache)); err != nil {
				t.Fatal(err)
			}
		}
		one.Add(Body("one"))
		two.Add(Body("two"))
		one.Cut(0)
		if BodyOf(one) != "one" || BodyOf(two) != "two" || !two.Has("u:a", "a") {
			t.Error(string(one.Append(nil, "")), string(two.Append(nil, "")))
		}
		if _, err := p.Next(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRetainBorrowsNothing(t *testing.T) {
	const element = "<message from='a@d/r' to='b@d' id='abc' type='chat' mood='bad' xml:lang='cs'><body>hi</body><x xmlns='u:x'>y</x></message>"
	s, buffer, err := fromStream(t, clientHeader, element)
	if err != nil {
		t.Fatal(err)
	}
	s.Add(Body("second"))
	s.Cut(0)
	kept := s.Retain()
	want := string(s.Append(nil, NSClient))
	for i := range buffer {
		buffer[i] = 0xdb
	}
	s.Add(Body("third"))
	if got := string(kept.Append(nil, NSClient)); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	if kept.Len() != 2 || !kept.Has("u:x", "x") || string(kept.ID) != "abc" || string(kept.Lang) != "cs" || kept.Type != Chat {
		t.Errorf("%+v", kept)
	}
}

func TestParse(t *testing.T) {
	for _, c := range []struct{ name, in string }{
		{"half", "<message xmlns='jabber:client'>"},
		{"nothing", ""},
		{"no stanza", "<x xmlns='u:x'/>"},
		{"refused", "<iq xmlns='jabber:client' type='get' id='1'/>"},
		{"not well-formed", "<message xmlns='jabber:client'></x>"},
	} {
		if s, err := Parse([]byte(c.in)); err == nil {
			t.Errorf("%s: %+v", c.name, s)
		}
	}
	b := []byte("<presence xmlns='jabber:client' id='1'><show>dnd</show></presence>")
	s, err := Parse(b)
	if err != nil || s.Kind != Presence || s.Reader(0).Text() != "dnd" {
		t.Errorf("%+v %v", s, err)
	}
	if !bytes.Equal(s.Append(nil, NSClient), b) {
		t.Error(string(s.Append(nil, NSClient)))
	}
}

// TestSize: a Stanza lives on each session's path; it may shrink, and grows for a reason.
func TestSize(t *testing.T) {
	if n := unsafe.Sizeof(Stanza{}); n > 232 {
		t.Errorf("a Stanza takes %d bytes", n)
	}
}

func TestCost(t *testing.T) {
	p := xmlstream.NewParser(xmlstream.Frame, NSClient, limits)
	p.Feed([]byte("<message xmlns='jabber:client' from='a@d/r' to='b@d/r' id='abc' type='chat'><body>hi</body><x xmlns='u:x'>y</x></message>"))
	if _, err := p.Next(); err != nil {
		t.Fatal(err)
	}
	var s Stanza
	var addresses jid.Cache
	buffer := make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(100, func() {
		if err := s.FromElement(p.Element(), &addresses); err != nil {
			t.Fatal(err)
		}
		buffer = s.Append(buffer[:0], "")
	}); n != 0 {
		t.Errorf("reading an envelope and writing the stanza allocates %v times", n)
	}
}

// Standalone declares the namespace of stanzas, once, and leaves all else alone.
func TestStandalone(t *testing.T) {
	for in, want := range map[string]string{
		"<message/>":                            "<message xmlns='jabber:client'/>",
		"<iq id='1'><a xmlns='u:x'/></iq>":      "<iq xmlns='jabber:client' id='1'><a xmlns='u:x'/></iq>",
		"<presence><show>dnd</show></presence>": "<presence xmlns='jabber:client'><show>dnd</show></presence>",
		"<iq xmlns='jabber:client' id='1'/>":    "<iq xmlns='jabber:client' id='1'/>",
		"<r xmlns='urn:xmpp:sm:3'/>":            "<r xmlns='urn:xmpp:sm:3'/>",
		"<messages/>":                           "<messages/>",
		"</stream:stream>":                      "</stream:stream>",
		"":                                      "",
		"<":                                     "<",
	} {
		if got := string(Standalone([]byte(in))); got != want {
			t.Errorf("%s: %s", in, got)
		}
	}
}
