// SPDX-License-Identifier: Apache-2.0

package xmlstream_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	. "github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// A payload as a vocabulary package writes it.
type roster struct {
	ver   string
	items []rosterItem
}

type rosterItem struct {
	jid, name string
	groups    []string
}

const rosterNS = "jabber:iq:roster"

var errNoJID = errors.New("roster: item without jid")

func (q *roster) decode(r *Reader) error {
	q.ver = r.Attr("ver")
	for n := range r.Children() {
		switch n {
		case Name{Space: rosterNS, Local: "item"}:
			item := rosterItem{jid: r.Attr("jid"), name: r.Attr("name")}
			if item.jid == "" {
				r.Fail(errNoJID)
			}
			for n := range r.Children() {
				if n == (Name{Space: rosterNS, Local: "group"}) {
					item.groups = append(item.groups, r.Text())
				}
			}
			q.items = append(q.items, item)
		}
	}
	return r.Err()
}

func TestReaderPayload(t *testing.T) {
	const in = `<query xmlns='jabber:iq:roster' ver='v&lt;1'>
	  <item jid='romeo@example.net' name='Rom&apos;eo'><group>Friends</group>text<x xmlns='y'>a<b/></x><group>A &amp; B</group></item>
	  <!-- the parser has seen to it that there is none --><item/></query>`
	var q roster
	err := q.decode(NewReader(strings.Replace(in, "<!-- the parser has seen to it that there is none -->", "", 1), "jabber:client"))
	if !errors.Is(err, errNoJID) {
		t.Errorf("got %v", err)
	}
	q = roster{}
	err = q.decode(NewReader([]byte(strings.Split(in, "<!--")[0]+"</query>"), "jabber:client"))
	if got, want := fmt.Sprint(q, err), "{v<1 [{romeo@example.net Rom'eo [Friends A & B]}]} <nil>"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if err := new(roster).decode(NewReader(in, "jabber:client")); !errors.Is(err, ErrMalformed) {
		t.Errorf("a comment: %v", err)
	}
}

func TestReaderNames(t *testing.T) {
	r := NewReader("<c:iq xmlns:c='jabber:client' xmlns='D' c:a='1' a='2' xml:lang='en'><q xmlns:c='C' c:a='3' xml:lang=''/><c:z/><q xmlns=''/></c:iq>", "out")
	if r.Name() != (Name{Space: "jabber:client", Local: "iq"}) || !r.Is("jabber:client", "iq") || r.Is("D", "iq") {
		t.Errorf("root is %v", r.Name())
	}
	if a, b, c := r.Attr("a"), r.AttrNS("jabber:client", "a"), r.AttrNS("D", "a"); a != "2" || b != "1" || c != "" {
		t.Errorf("attributes %q %q %q", a, b, c)
	}
	var got []string
	for n := range r.Children() {
		got = append(got, fmt.Sprintf("{%s}%s %q %q %q", n.Space, n.Local, r.AttrNS("C", "a"), r.AttrNS("jabber:client", "a"), r.Lang()))
	}
	want := []string{`{D}q "3" "" ""`, `{jabber:client}z "" "" "en"`, `{}q "" "" "en"`}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if r.Attr("a") != "2" || r.Lang() != "en" || r.AttrNS("http://www.w3.org/XML/1998/namespace", "lang") != "en" {
		t.Error("the root is forgotten")
	}
}

func TestReaderLookupAttr(t *testing.T) {
	r := NewReader(`<a xmlns='x' b='' c:d='1' xmlns:c='y' e = "2 '&quot;&#x41;" f='`+"1\t2\r\n3"+`&#9;'/>`, "")
	for _, row := range []struct {
		local, value string
		ok           bool
	}{{"b", "", true}, {"d", "", false}, {"e", `2 '"A`, true}, {"f", "1 2 3\t", true}, {"xmlns", "", false}, {"g", "", false}} {
		if value, ok := r.LookupAttr(row.local); value != row.value || ok != row.ok {
			t.Errorf("%s: %q %v", row.local, value, ok)
		}
	}
}

// Declarations and attributes with a namespace are none of the element's own.
func TestReaderAttrs(t *testing.T) {
	r := NewReader(`<a xmlns='x' b='' c:d='1' xmlns:c='y' e="2&lt;" xml:lang='en'><f g='1'/></a>`, "")
	list := func() (got []string) {
		for local, value := range r.Attrs() {
			got = append(got, local+"="+value)
		}
		return got
	}
	if got := list(); !slices.Equal(got, []string{"b=", "e=2<"}) {
		t.Errorf("%q", got)
	}
	for local := range r.Attrs() {
		if local != "b" {
			t.Errorf("goes on to %s", local)
		}
		break
	}
	for range r.Children() {
		if got := list(); !slices.Equal(got, []string{"g=1"}) {
			t.Errorf("%q", got)
		}
	}
	r.Fail(ErrMalformed)
	if got := list(); got != nil {
		t.Errorf("after an error: %q", got)
	}
}

func TestReaderText(t *testing.T) {
	for in, want := range map[string]string{
		"<a/>": "", "<a></a>": "", "<a>x</a>": "x", "<a>&lt;&#x1F339;</a>": "<🌹",
		"<a>x<b>no</b>y<c/>z</a>": "xyz", "<a>1\r\n2\r3\n</a>": "1\n2\n3\n",
		"<a><![CDATA[<&]]>&amp;<![CDATA[]]><![CDATA[\r\n]]></a>": "<&&\n",
		"<a>&#13;</a>": "\r",
	} {
		r := NewReader(in, "")
		if got := r.Text(); got != want || r.Err() != nil {
			t.Errorf("%s: %q %v", in, got, r.Err())
		}
		if got := r.Text(); got != "" {
			t.Errorf("%s: %q when read again", in, got)
		}
	}
}

// What a body leaves unread is skipped, however much and wherever it stops.
func TestReaderOrder(t *testing.T) {
	const in = "<r><a><b><c/>x</b><b>y</b></a>t<a i='2'/><d>text, gone with the children</d></r>"
	r := NewReader(in, "")
	var got []string
	for n := range r.Children() {
		got = append(got, n.Local)
		for n := range r.Children() {
			got = append(got, n.Local)
			for range r.Children() {
				got = append(got, r.Name().Local)
				break
			}
			break
		}
		if n.Local == "a" && r.Attr("i") == "" {
			got = append(got, "("+r.Name().Local+")")
			continue
		}
		got = append(got, r.Text())
		r.Skip()
		for range r.Children() {
			t.Error("children of what is consumed")
		}
	}
	if want := "[a b c (a) a  d ]"; fmt.Sprint(got) != want {
		t.Errorf("got %v, want %s", got, want)
	}
	r = NewReader(in, "")
	for range r.Children() {
		break
	}
	for n := range r.Children() { // goes on where the loop before ended
		got = append(got, n.Local)
	}
	if got = got[len(got)-2:]; fmt.Sprint(got) != "[a d]" || r.Err() != nil {
		t.Errorf("got %v %v", got, r.Err())
	}
}

func TestReaderRaw(t *testing.T) {
	const in = `<r xmlns='R' xmlns:p='P&amp;' xmlns:q='Q'>` +
		`<a/>` +
		`<p:b c='1'>t<p:c/></p:b>` +
		`<p:b><d/></p:b>` +
		`<e xmlns='E' q:f="'"><g xmlns:p='other' p:h=''/></e>` +
		`<i xmlns='' xml:lang='en'/>` +
		`<j xmlns:p='PP'><p:k/><k xmlns:p='P3' xmlns='' p:l=''><q:m/></k></j></r>`
	want := []string{
		`<a xmlns='R'/>`,
		`<p:b xmlns:p='P&amp;' c='1'>t<p:c/></p:b>`,
		`<p:b xmlns:p='P&amp;' xmlns='R'><d/></p:b>`,
		`<e xmlns:q='Q' xmlns='E' q:f="'"><g xmlns:p='other' p:h=''/></e>`,
		`<i xmlns='' xml:lang='en'/>`,
		`<j xmlns='R' xmlns:q='Q' xmlns:p='PP'><p:k/><k xmlns:p='P3' xmlns='' p:l=''><q:m/></k></j>`,
	}
	r := NewReader(in, "out")
	var got []string
	for range r.Children() {
		got = append(got, r.Raw())
		if raw := r.Raw(); raw != "" && !strings.HasSuffix(got[len(got)-1], "/>") {
			t.Errorf("Raw of what is consumed: %s", raw)
		}
	}
	if !slices.Equal(got, want) || r.Err() != nil {
		t.Errorf("%v, got\n%s\nwant\n%s", r.Err(), strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if got := NewReader("<a>x</a>", "N").Raw(); got != "<a xmlns='N'>x</a>" {
		t.Errorf("got %s", got)
	}
	if got := NewReader("<a>x</a>", "").Raw(); got != "<a xmlns=''>x</a>" {
		t.Errorf("got %s", got)
	}
}

// What Raw repeats is bounded, though each call alone is small.
func TestReaderRawBounded(t *testing.T) {
	in := "<r xmlns:p='" + strings.Repeat("x", 10000) + "'>" + strings.Repeat("<p:a/>", 10000) + "</r>"
	r := NewReader(in, "")
	total := 0
	for range r.Children() {
		total += len(r.Raw())
	}
	if r.Err() == nil || total > 6*len(in) {
		t.Errorf("%d bytes from %d: %v", total, len(in), r.Err())
	}
}

func TestReaderFail(t *testing.T) {
	r := NewReader("<r a='1'><a>x</a><b><c/></b></r>", "")
	first := errors.New("first")
	bodies := 0
	for range r.Children() {
		bodies++
		r.Fail(first)
		r.Fail(errors.New("second"))
		r.Skip()
		if r.Name() != (Name{}) || r.Attr("a") != "" || r.Text() != "" || r.Raw() != "" || r.Lang() != "" {
			t.Error("something comes after an error")
		}
	}
	if r.Err() != first || bodies != 1 {
		t.Errorf("%v after %d bodies", r.Err(), bodies)
	}
}

// A Reader does not validate, but whatever it is given it ends, with an error
// where it cannot make sense of it.
func TestReaderMalformed(t *testing.T) {
	for _, in := range []string{
		"", " ", "x", "<", "<>", "</a>", "<a", "<a ", "<a b", "<a b=", "<a b='", "<a b='1'", "<a /", "<a></", "<a><", "<a>x",
		"<a><b>", "<a><b/>", "<a><b></a>", "<a><![CDATA[x</a>", "<a><!-- --></a>", "<a><?x?></a>", "<p:a/>", "<a><p:b/></a>", "<a:/>",
	} {
		r := NewReader(in, "")
		readAll(r)
		if !errors.Is(r.Err(), ErrMalformed) {
			t.Errorf("%q: %v", in, r.Err())
		}
	}
}

// readAll reads everything that there is to read.
func readAll(r *Reader) string {
	var s strings.Builder
	fmt.Fprintf(&s, "<%s %s %s>", r.Name().Space, r.Name().Local, r.Lang())
	for range r.Children() {
		s.WriteString(readAll(r))
	}
	return s.String()
}

// A Reader costs two allocations, its strings none.
func TestReaderAllocations(t *testing.T) {
	in := []byte("<query xmlns='jabber:iq:roster'><item jid='a@b' name='c'><group>d</group></item></query>")
	n := testing.AllocsPerRun(100, func() {
		r := NewReader(in, "jabber:client")
		for range r.Children() {
			_ = r.Attr("jid") + r.Attr("none")
			for range r.Children() {
				_ = r.Text()
			}
		}
	})
	if n > 2 {
		t.Errorf("%v allocations", n)
	}
}
