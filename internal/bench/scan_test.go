// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"slices"
	"strings"
	"testing"
)

var units = []string{
	"<?xml version='1.0'?>",
	"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' id='a>b' version='1.0'>",
	"<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>",
	" \n",
	"<message to=\"a@b/c\" id='1'><body>a &lt; b > c</body><x a='/>'/></message>",
	"<r xmlns='urn:xmpp:sm:3'/>",
	"<iq type='result' id='7'/>",
	"<message><body><![CDATA[</body></message>]]></body></message>",
	"<presence\n\tfrom = 'x'\n></presence>",
	"</stream:stream>",
}

// However the input is cut, the same units come out.
func TestCutXML(t *testing.T) {
	text := strings.Join(units, "")
	for i := range len(text) + 1 {
		var got []string
		var buf []byte
		for _, part := range []string{text[:i], text[i:]} {
			buf = append(buf, part...)
			for n := cutXML(buf); n > 0; n = cutXML(buf) {
				got = append(got, string(buf[:n]))
				buf = buf[n:]
			}
		}
		// White space may come in two runs; nobody minds.
		got = slices.DeleteFunc(got, func(s string) bool { return strings.TrimSpace(s) == "" })
		want := slices.DeleteFunc(slices.Clone(units), func(s string) bool { return strings.TrimSpace(s) == "" })
		if !slices.Equal(got, want) || len(buf) > 0 {
			t.Fatalf("split at %d: %q, rest %q", i, got, buf)
		}
	}
}

func TestUnitParts(t *testing.T) {
	tests := []struct{ unit, name, attr, value string }{
		{"<message to='a' id=\"x\">", "message", "id", "x"},
		{"<message id='y' to='a'/>", "message", "id", "y"},
		{"<iq xid='no' id = 'yes'/>", "iq", "id", "yes"},
		{"<iq a=\"id='no'\"/>", "iq", "id", ""},
		{"<stream:features>", "features", "id", ""},
		{"<a/>", "a", "h", ""},
		{"<a h='5' xmlns='urn:xmpp:sm:3'/>", "a", "h", "5"},
		{"<a><b id='no'/></a>", "a", "id", ""},
		{"</stream:stream>", "", "id", ""},
	}
	for _, tt := range tests {
		if got := string(localName([]byte(tt.unit))); got != tt.name {
			t.Errorf("name of %s: %q", tt.unit, got)
		}
		if got := string(attr([]byte(tt.unit), tt.attr)); got != tt.value {
			t.Errorf("%s of %s: %q; want %q", tt.attr, tt.unit, got, tt.value)
		}
	}
	if got := inner([]byte("<m><body>one</body><body>two</body></m>"), "body"); string(got) != "one" {
		t.Errorf("body %q", got)
	}
}

func FuzzCutXML(f *testing.F) {
	for _, u := range units {
		f.Add([]byte(u), 3)
	}
	f.Fuzz(func(t *testing.T, data []byte, split int) {
		n := cutXML(data)
		if n < 0 || n > len(data) {
			t.Fatalf("%d of %d bytes", n, len(data))
		}
		unit := data[:n]
		localName(unit)
		attr(unit, "id")
		inner(unit, "body")
		content(unit)
		// A unit that is complete in a part of the input is the same in the
		// whole, white space apart.
		if split = min(max(split, 0), len(data)); n > 0 && data[0] == '<' {
			if m := cutXML(data[:split]); m != 0 && m != n {
				t.Fatalf("%d in %d bytes, %d in all", m, split, n)
			}
		}
	})
}
