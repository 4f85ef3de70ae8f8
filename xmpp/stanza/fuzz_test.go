// SPDX-License-Identifier: Apache-2.0

package stanza_test

import (
	"encoding/xml"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	. "github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// FuzzEdit: bytes edited by spans mean what editing the parsed tree means to encoding/xml, in
// every writing, and (S1) what Append writes, Parse reads. Each byte of edits is one edit.
func FuzzEdit(f *testing.F) {
	files, err := filepath.Glob("testdata/*.xml")
	if err != nil || len(files) == 0 {
		f.Fatal("no golden stanzas", err)
	}
	for i, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(strings.TrimSpace(string(b)), []byte{})
		f.Add(strings.TrimSpace(string(b)), []byte{0, 7, byte(i), 6, 1, 2, 3, 4, 5, 8, 16})
	}
	for _, s := range []string{
		"<message xmlns:p='u:p'>a<p:x/>b<y xmlns='u:y'>c</y>d</message>", "<c:presence/>", "<message><![CDATA[x]]></message>",
		"<message a='&#10;' xmlns:b='u:b' b:c='d' xml:lang='&amp;'/>", "<message xmlns:b=':u' b:c='d' a='x='/>", "<x:message xmlns:x='jabber:server'/>",
	} {
		f.Add(s, []byte{0, 1, 5, 6, 9})
	}
	f.Fuzz(func(t *testing.T, element string, edits []byte) {
		if len(element) > 4000 || len(edits) > 50 || strings.Contains(element, "<xmlns") || strings.Contains(element, "\r") {
			return // an element named xmlns has no namespace to the oracle
		}
		const header = "<stream:stream xmlns='jabber:client' xmlns:c='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
		p := xmlstream.NewParser(xmlstream.Stream, NSClient, limits)
		p.Feed([]byte(header + element))
		if ev, err := p.Next(); ev != xmlstream.EventOpen || err != nil {
			t.Fatal(ev, err)
		}
		if ev, err := p.Next(); ev != xmlstream.EventElement || err != nil {
			return
		}
		s := new(Stanza)
		if err := s.FromElement(p.Element(), new(jid.Cache)); err != nil || p.Buffered() > 0 {
			return
		}
		want, err := tree(header, element)
		if err != nil {
			return // the oracle refuses what XML 1.0 allows; see xmlstream
		}
		unspoken(want, s)
		s = edit(s, want, edits)

		got, err := tree("<r xmlns='jabber:client'>", string(s.Append(nil, "")))
		if err != nil {
			t.Fatalf("%v in %s", err, s.Append(nil, ""))
		}
		if spaces(got.String()) != spaces(want.String()) {
			t.Fatalf("%s\nedited by %v is\n%s\nwant\n%s", element, edits, got, want)
		}
		if s.Kind == IQ {
			return // an edited request may have two children, which Parse refuses
		}
		alone := s.Append(nil, NSClient)
		again, err := Parse(alone)
		if err != nil {
			t.Fatalf("S1: %v: %s", err, alone)
		}
		if b := again.Append(nil, NSClient); string(b) != string(alone) {
			t.Fatalf("S1: %s\nbecame %s", alone, b)
		}
		if b := s.Retain().Append(nil, ""); string(b) != string(s.Append(nil, "")) {
			t.Fatalf("retained: %s\nwas %s", b, s.Append(nil, ""))
		}
	})
}

// unspoken does to a tree what reading a stanza is documented to do: qualified attributes of the
// envelope go, addresses are prepared, types that mean nothing are not written.
func unspoken(n *node, s *Stanza) {
	n.attrs = slices.DeleteFunc(n.attrs, func(a xml.Attr) bool { return a.Name.Space != "" || a.Value == "" })
	n.name.Space = NSClient
	n.set("", "to", s.To.String())
	n.set("", "from", s.From.String())
	n.set("http://www.w3.org/XML/1998/namespace", "lang", string(s.Lang))
	if s.Type == 0 {
		n.set("", "type", "")
	}
}

// edit does the same to a stanza and to its tree.
func edit(s *Stanza, n *node, edits []byte) *Stanza {
	there := n.elements() // positions in n.kids of s's children; -1 when cut
	for i, e := range edits {
		value := "v" + strings.Repeat("<'&\"ě", i%3)
		switch e % 8 {
		case 0, 1:
			if at := int(e/8) % max(1, s.Len()); at < s.Len() && there[at] >= 0 {
				s.Cut(at)
				n.kids[there[at]] = ""
				there[at] = -1
			}
		case 2:
			s.Add(Body(value))
			there = append(there, len(n.kids))
			body := &node{kids: []any{value}}
			body.name.Space, body.name.Local = NSClient, "body"
			n.kids = append(n.kids, body)
		case 3:
			s.ID = []byte(value)
			n.set("", "id", value)
		case 4:
			s.To = jid.MustParse("é@example.org/" + "r&'")
			n.set("", "to", s.To.String())
		case 5:
			s.From = jid.JID{}
			n.set("", "from", "")
		case 6:
			s.Lang = []byte(value)
			n.set("http://www.w3.org/XML/1998/namespace", "lang", value)
		case 7:
			if s.Kind != IQ {
				s = s.Retain()
				var kept []int
				for _, at := range there {
					if at >= 0 {
						kept = append(kept, at)
					}
				}
				there = kept
			}
		}
	}
	return s
}

// spaces makes one of all white space: the oracle does not normalise attributes' values.
func spaces(s string) string {
	return strings.NewReplacer(`\n`, " ", `\t`, " ").Replace(s)
}
