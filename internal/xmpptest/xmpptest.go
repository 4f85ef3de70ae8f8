// SPDX-License-Identifier: Apache-2.0

// Package xmpptest is what the tests of all vocabularies under xmpp/ have in
// common: golden files, and the promises that every stanza.Payload keeps.
//
// A golden file lies in testdata under the name of its source, such as
// xep0199-3.1-request.xml. It holds the payload alone or any stanza around it,
// indented as in the specification.
//
// How to read this package: xmpptest.go has the suite, tree.go compares XML.
package xmpptest

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// Case is a golden file and what it says.
type Case struct {
	File string         // testdata/File.xml
	Want stanza.Payload // a pointer to what the file decodes to, never nil
	// Lossy says that the file has more in it than Want keeps, so that Want is
	// written otherwise than the file is.
	Lossy bool
}

// Codec checks for each case that
//   - the file decodes to Want, into a fresh receiver and into one that was used;
//   - Want encodes to the file, indentation, attribute order and prefixes aside,
//     under its XMLName, behind what is there, and without leaning on namespaces
//     around it;
//   - what Want encodes to decodes to Want;
//   - children and attributes that no specification knows change nothing,
//     wherever they stand.
//
// It fails when testdata holds a golden file that no case names.
func Codec(t *testing.T, cases []Case) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.File, func(t *testing.T) {
			golden, err := os.ReadFile(filepath.Join("testdata", c.File+".xml"))
			if err != nil {
				t.Fatal(err)
			}
			p := fresh(c.Want)
			found, err := decodeIn(string(golden), c.Want.XMLName(), p)
			if err != nil || !found {
				t.Fatalf("decode: found %t, %v", found, err)
			}
			equal(t, "decoded", p, c.Want)

			encoded := string(c.Want.AppendXML(nil))
			if !c.Lossy {
				want := payloadIn(t, string(golden), c.Want.XMLName())
				if got := parse(t, encoded); got.String() != want.String() {
					t.Errorf("encoded:\n%s\nwant:\n%s", got, want)
				}
			}
			promises(t, c.Want, encoded)
		})
		// A receiver keeps nothing of what it held before.
		t.Run(c.File+"/used", func(t *testing.T) {
			for _, other := range cases {
				if reflect.TypeOf(other.Want) != reflect.TypeOf(c.Want) {
					continue
				}
				p := fresh(other.Want)
				if err := Decode(string(other.Want.AppendXML(nil)), p); err != nil {
					t.Fatal(err)
				}
				if err := Decode(string(c.Want.AppendXML(nil)), p); err != nil {
					t.Fatal(err)
				}
				equal(t, "decoded over "+other.File, p, c.Want)
			}
		})
	}
	named(t, cases)
}

// promises checks all that needs no golden file.
func promises(t *testing.T, want stanza.Payload, encoded string) {
	t.Helper()
	if got := string(want.AppendXML([]byte("<before/>"))); got != "<before/>"+encoded {
		t.Errorf("appended to <before/>: %s", got)
	}
	root := parse(t, encoded)
	if root.name != want.XMLName() {
		t.Errorf("encoded as %v, XMLName is %v", root.name, want.XMLName())
	}
	if want.XMLName().Space != stanza.NSClient {
		if other := parseIn(t, encoded, "jabber:server"); other.String() != root.String() {
			t.Errorf("leans on the default namespace around it: %s", encoded)
		}
	}
	p := fresh(want)
	if err := Decode(encoded, p); err != nil {
		t.Fatalf("decode what was encoded: %v\n%s", err, encoded)
	}
	equal(t, "round trip", p, want)
	for _, strange := range withStrangers(encoded) {
		p := fresh(want)
		if err := Decode(strange, p); err != nil {
			t.Errorf("decode with strangers: %v\n%s", err, strange)
			continue
		}
		equal(t, "with strangers:\n"+strange, p, want)
	}
}

// named fails on golden files without a case.
func named(t *testing.T, cases []Case) {
	t.Helper()
	files, err := filepath.Glob("testdata/*.xml")
	if err != nil {
		t.Fatal(err)
	}
	used := make(map[string]bool)
	for _, c := range cases {
		used[c.File] = true
	}
	for _, f := range files {
		if name := strings.TrimSuffix(filepath.Base(f), ".xml"); !used[name] {
			t.Errorf("no case for %s", f)
		}
	}
}

// Refusal is input that a payload must not take.
type Refusal struct {
	Name      string
	XML       string         // the payload's element
	Into      stanza.Payload // a pointer to anything of the type
	Condition stanza.Condition
}

// Refuse checks that each input fails with a *stanza.Error of its condition.
func Refuse(t *testing.T, refusals []Refusal) {
	t.Helper()
	for _, c := range refusals {
		t.Run("refuse/"+c.Name, func(t *testing.T) {
			err := Decode(c.XML, fresh(c.Into))
			Condition(t, err, c.Condition)
		})
	}
}

// Condition checks that err is a *stanza.Error of a condition; "" stands for no
// error.
func Condition(t *testing.T, err error, want stanza.Condition) {
	t.Helper()
	if want == "" {
		if err != nil {
			t.Errorf("unexpected error: %v", err)
		}
		return
	}
	var e *stanza.Error
	if !errors.As(err, &e) {
		t.Errorf("error is %v; want the stanza error %s", err, want)
		return
	}
	if e.Condition != want {
		t.Errorf("error is %v; want the condition %s", e, want)
	}
}

// Decode decodes one element that stands alone, as it does inside a stanza.
func Decode(xml string, p stanza.Payload) error {
	return p.DecodeXML(xmlstream.NewReader(xml, stanza.NSClient))
}

// Valid makes input of a fuzz test into what DecodeXML may be given: one element
// that the stream's parser took, in its canonical form. ok is false for the rest.
// The input is the payload's element.
func Valid(input []byte) (xml string, ok bool) {
	p := xmlstream.NewParser(xmlstream.Frame, stanza.NSClient, xmlstream.Limits{
		ElementBytes: 1 << 16, Depth: 64, Attributes: 64, Children: 1 << 14,
	})
	whole := append(append([]byte("<iq xmlns='jabber:client' id='1' type='set'>"), input...), "</iq>"...)
	p.Feed(whole)
	if event, err := p.Next(); err != nil || event != xmlstream.EventElement {
		return "", false
	}
	e := p.Element()
	if len(e.Children) == 0 {
		return "", false
	}
	c := e.Children[0]
	return string(e.Raw[c.Start:c.End]), true
}

// Exact is the body of a fuzz test whose input is the values themselves: want must
// come back as it is. Strings in it go through Chars first.
func Exact(t *testing.T, want stanza.Payload) {
	t.Helper()
	encoded := want.AppendXML(nil)
	xml, ok := Valid(encoded)
	if !ok {
		t.Fatalf("written as what is no XML:\n%s", encoded)
	}
	p := fresh(want)
	if err := Decode(xml, p); err != nil {
		t.Fatalf("what was written is refused: %v\n%s", err, encoded)
	}
	equal(t, string(encoded), p, want)
}

// Chars returns s without what XML cannot say. XML 1.0 §2.2
func Chars(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t', r == '\n', r == '\r', r >= ' ' && r <= 0xd7ff, r >= 0xe000 && r <= 0xfffd, r >= 0x10000:
			return r
		}
		return -1
	}, strings.ToValidUTF8(s, ""))
}

// RoundTrip is the body of a fuzz test: what decodes at all must be written as
// XML that the stream's parser takes and that decodes to the same. It returns
// what was decoded, or nil.
func RoundTrip(t *testing.T, input []byte, p stanza.Payload) stanza.Payload {
	t.Helper()
	xml, ok := Valid(input)
	if !ok || Decode(xml, p) != nil {
		return nil
	}
	encoded := p.AppendXML(nil)
	again, ok := Valid(encoded)
	if !ok {
		t.Fatalf("written as what is no XML:\n%s", encoded)
	}
	q := fresh(p)
	if err := Decode(again, q); err != nil {
		t.Fatalf("what was written is refused: %v\n%s", err, encoded)
	}
	// Bytes, not values: an empty list and none are written alike.
	if second := q.AppendXML(nil); string(second) != string(encoded) {
		t.Fatalf("written:\n%s\nread and written again:\n%s", encoded, second)
	}
	return p
}

func fresh(p stanza.Payload) stanza.Payload {
	return reflect.New(reflect.TypeOf(p).Elem()).Interface().(stanza.Payload)
}

func equal(t *testing.T, what string, got, want stanza.Payload) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s:\n%+v\nwant:\n%+v", what, got, want)
	}
}

// decodeIn decodes the first element of that name in a document.
func decodeIn(document string, name xmlstream.Name, p stanza.Payload) (found bool, err error) {
	r := xmlstream.NewReader(strings.TrimSpace(document), stanza.NSClient)
	var search func() bool
	search = func() bool {
		if r.Name() == name {
			found, err = true, p.DecodeXML(r)
			return true
		}
		for range r.Children() {
			if search() {
				return true
			}
		}
		return false
	}
	search()
	if err == nil {
		err = r.Err()
	}
	return found, err
}
