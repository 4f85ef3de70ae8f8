// SPDX-License-Identifier: Apache-2.0

package xmlstream_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	. "github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// next calls Next and wants the event.
func next(t *testing.T, p *Parser, want Event) {
	t.Helper()
	if event, err := p.Next(); event != want || err != nil {
		t.Fatalf("got %v %v, want %v", event, err, want)
	}
}

func TestBuffered(t *testing.T) {
	p := openParser(t, testLimits)
	p.Feed([]byte("<starttls/>evil"))
	next(t, p, EventElement)
	if n := p.Buffered(); n != len("evil") {
		t.Errorf("%d bytes buffered", n)
	}
	p = openParser(t, testLimits)
	p.Feed([]byte("<start"))
	next(t, p, EventNone)
	if n := p.Buffered(); n != len("<start") {
		t.Errorf("%d bytes buffered within an element", n)
	}
	p.Feed([]byte("tls/>"))
	if n := p.Buffered(); n != len("<starttls/>") {
		t.Errorf("%d bytes buffered within an element that goes on", n)
	}
	next(t, p, EventElement)
	if n := p.Buffered(); n != 0 {
		t.Errorf("%d bytes buffered behind it", n)
	}
	// A piece much larger than what is missing is not taken whole.
	p.Feed([]byte("<x"))
	next(t, p, EventElement-2)
	rest := "/>" + strings.Repeat("<y/>", 1000)
	p.Feed([]byte(rest))
	next(t, p, EventElement)
	if n := p.Buffered(); n != len(rest)-2 {
		t.Errorf("%d bytes buffered, want %d", n, len(rest)-2)
	}
}

func TestStarted(t *testing.T) {
	p := NewParser(Stream, "jabber:client", testLimits)
	for _, step := range []struct {
		in      string
		started bool
	}{
		{" ", false}, {"<", true}, {streamHeader[1:], false}, {"<message", true}, {"><body/>", true},
		{"</message>\n", false}, {"<presence/><", true},
	} {
		p.Feed([]byte(step.in))
		for {
			event, err := p.Next()
			if err != nil {
				t.Fatal(err)
			}
			if event == EventNone {
				break
			}
			if p.Started() {
				t.Errorf("started with an event at %q", step.in)
			}
		}
		if p.Started() != step.started {
			t.Errorf("started is %v after %q", p.Started(), step.in)
		}
	}
}

func TestKeep(t *testing.T) {
	p := openParser(t, testLimits)
	batch := []byte("<a/><b>1</b><c/><d")
	p.Feed(batch)
	next(t, p, EventElement)
	p.Keep()
	clear(batch)
	p.Feed([]byte("/><e/>"))
	var names []string
	for {
		event, err := p.Next()
		if err != nil {
			t.Fatal(err)
		}
		if event == EventNone {
			break
		}
		names = append(names, string(p.Element().Raw))
		p.Keep() // as often as one likes
	}
	if got, want := fmt.Sprint(names), "[<b>1</b> <c/> <d/> <e/>]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestReset(t *testing.T) {
	p := NewParser(Stream, "jabber:client", testLimits)
	if p.Header() != nil || p.Element() != nil {
		t.Error("a header or element before any input")
	}
	rest := "<?xml version='1.0'?>" + strings.Replace(streamHeader, "to='example.com'", "id='2'", 1) + "<iq/>"
	p.Feed([]byte(streamHeader + "<auth/>" + rest))
	next(t, p, EventOpen)
	first := p.Header()
	next(t, p, EventElement)
	if p.Header() != nil {
		t.Error("the header is held on to") // a stream lasts for weeks
	}
	p.Reset()
	if p.Header() != nil || p.Element() != nil {
		t.Error("header or element outlives Reset")
	}
	if n := p.Buffered(); n != len(rest) {
		t.Errorf("%d bytes buffered, want %d", n, len(rest))
	}
	next(t, p, EventOpen)
	if h := p.Header(); h.ID != "2" || h.To != "" || first.To != "example.com" {
		t.Errorf("header %+v, before it %+v", h, first)
	}
	next(t, p, EventElement)
	next(t, p, EventNone)
}

// Offsets count from the beginning of the stream, whatever was before a Reset.
func TestResetOffset(t *testing.T) {
	p := NewParser(Stream, "jabber:client", testLimits)
	p.Feed([]byte(streamHeader + "<a/>" + streamHeader + "<b/> x"))
	next(t, p, EventOpen)
	next(t, p, EventElement)
	p.Reset()
	next(t, p, EventOpen)
	next(t, p, EventElement)
	_, err := p.Next()
	var e *Error
	if !errors.As(err, &e) || e.Offset != int64(len(streamHeader+"<b/> ")) {
		t.Errorf("error %#v", err)
	}
}

// What a parser has begun to read when it is reset is read again.
func TestResetWithin(t *testing.T) {
	p := openParser(t, testLimits)
	p.Feed([]byte(streamHeader[:10]))
	next(t, p, EventNone)
	p.Feed([]byte(streamHeader[10:]))
	p.Reset()
	if n := p.Buffered(); n != len(streamHeader) {
		t.Errorf("%d bytes buffered", n)
	}
	next(t, p, EventOpen)
	// And a failed parser is as new.
	p.Feed([]byte("&"))
	if _, err := p.Next(); err == nil {
		t.Fatal("no error")
	}
	p.Reset()
	p.Feed([]byte(streamHeader))
	next(t, p, EventOpen)
}

func TestErrorsAreSticky(t *testing.T) {
	p := openParser(t, testLimits)
	p.Feed([]byte("<a/><b><!-- --></b><c/>"))
	next(t, p, EventElement)
	_, first := p.Next()
	p.Feed([]byte("<a/>"))
	if event, err := p.Next(); event != EventNone || err != first || err == nil {
		t.Errorf("got %v %v, want %v", event, err, first)
	}
	if p.Started() {
		t.Error("a failed parser is inside an element")
	}
	if want := "xmlstream: restricted-xml: comment"; first.Error() != want {
		t.Errorf("got %q, want %q", first, want)
	}
}

func TestAfterClose(t *testing.T) {
	p := openParser(t, testLimits)
	p.Feed([]byte("</stream:stream>\n<a/>&"))
	next(t, p, EventClose)
	next(t, p, EventNone)
	p.Feed([]byte("<a/>&"))
	next(t, p, EventNone)
	if n := p.Buffered(); n != 0 {
		t.Errorf("%d bytes buffered", n)
	}
}

func TestLimits(t *testing.T) {
	limits := Limits{ElementBytes: 100, Depth: 3, Attributes: 4, Children: 5}
	fits := "<a>" + strings.Repeat("x", 93) + "</a>"
	tests := []struct {
		name, in string
		fails    int // the offset, -1 if all is well
	}{
		{"size", fits, -1},
		{"size, two elements", fits + fits, -1},
		{"too large", "<a>" + strings.Repeat("x", 94) + "</a>", 100},
		{"too large, not complete", "<a>" + strings.Repeat("x", 97), 100},
		{"name too large", "<" + strings.Repeat("x", 1000), 100},
		{"attribute too large", "<a b='" + strings.Repeat("x", 1000), 100},
		{"white space too large", "<a" + strings.Repeat(" ", 1000), 100},
		{"CDATA too large", "<a><![CDATA[" + strings.Repeat("x", 1000), 100},
		{"white space between elements", strings.Repeat(" ", 1000) + "<a/>", -1},
		{"end of stream too large", "</stream:stream" + strings.Repeat(" ", 1000) + ">", 100},
		{"depth", "<a><b><c/></b><b><c></c></b></a>", -1},
		{"too deep", "<a><b><c><d/></c></b></a>", 9},
		{"elements", "<a><b><c/><c/></b><b><c/></b></a><a><b><c/><c/></b><b><c/></b></a>", -1},
		{"too many elements", "<a><b/><b/><b/><b/><b/><b/></a>", 23},
		{"too many elements at every depth", "<a><b><c/><c/></b><b><c/><c/></b></a>", 25},
		{"attributes", "<a b='' c='' d='' e=''><a b='' c='' d='' e=''/></a>", -1},
		{"too many attributes", "<a b='' c='' d='' e='' f=''/>", 23},
		{"too many attributes in a child", "<a><a b='' c='' d='' e='' f=''/></a>", 26},
		{"attributes and declarations", "<a b='' xmlns:c='c' d='' xmlns='' f=''/>", 34},
		{"declarations in force", "<a xmlns:b='b' xmlns:c='c'><a xmlns:d='d' xmlns:e='e'/></a>", -1},
		{"declarations in force, one after the other", "<a><b xmlns:b='b' xmlns:c='c' xmlns:d='d'/><b xmlns:b='b' xmlns:c='c' xmlns:d='d'/></a>", -1},
		{"too many declarations in force", "<a xmlns:b='b' xmlns:c='c' xmlns:d='d'><a xmlns:e='e' xmlns:f='f'/></a>", 54},
		{"too large when canonical", "<a xmlns:p='0123456789012345678901234567890123456789'><p:a/><p:b/></a>", 70},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			want := "error policy-violation"
			p := openParser(t, testLimits)
			p.SetLimits(limits)
			whole := record(p, []byte(test.in))
			for i := range test.in {
				p := openParser(t, testLimits)
				p.SetLimits(limits)
				if got := record(p, cut([]byte(test.in), i)...); strings.Join(got, "\n") != strings.Join(whole, "\n") {
					t.Fatalf("cut at %d: got %q, want %q", i, got, whole)
				}
			}
			last := whole[len(whole)-1]
			if test.fails < 0 && strings.HasPrefix(last, "error") {
				t.Errorf("got %s", last)
			}
			if want = fmt.Sprintf("%s at %d:", want, len(streamHeader)+test.fails); test.fails >= 0 && !strings.HasPrefix(last, want) {
				t.Errorf("got %s, want %s", last, want)
			}
		})
	}
}

// The limit before login bounds the header, too.
func TestHeaderLimit(t *testing.T) {
	p := NewParser(Stream, "jabber:client", Limits{ElementBytes: 100, Depth: 1, Attributes: 5, Children: 1})
	got := record(p, bytes.Repeat([]byte("<stream:stream to='"), 100))
	if len(got) != 1 || !strings.HasPrefix(got[0], "error not-well-formed") {
		t.Errorf("got %q", got)
	}
	p.Reset()
	got = record(p, []byte("<stream:stream to='"+strings.Repeat("x", 100)))
	if len(got) != 1 || !strings.HasPrefix(got[0], "error policy-violation") {
		t.Errorf("got %q", got)
	}
}
