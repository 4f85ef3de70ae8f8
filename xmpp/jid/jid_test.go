// SPDX-License-Identifier: Apache-2.0

package jid_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// How to read this file: valid and invalid are the tables that the fuzz tests
// start from too; check holds what is true of every address.

// longDomain repeats labels of 63 octets up to a domain of n octets.
func longDomain(n int) string {
	return strings.Repeat(strings.Repeat("a", 61)+".", n/62) + strings.Repeat("b", n%62)
}

var valid = []struct {
	name, in                string
	local, domain, resource string
}{
	// RFC 7622 §3.5, table 1
	{"rfc 1", "juliet@example.com", "juliet", "example.com", ""},
	{"rfc 2", "juliet@example.com/foo", "juliet", "example.com", "foo"},
	{"rfc 3", "juliet@example.com/foo bar", "juliet", "example.com", "foo bar"},
	{"rfc 4", "juliet@example.com/foo@bar", "juliet", "example.com", "foo@bar"},
	{"rfc 5", `foo\20bar@example.com`, `foo\20bar`, "example.com", ""},
	{"rfc 6", "fussball@example.com", "fussball", "example.com", ""},
	{"rfc 7", "fußball@example.com", "fußball", "example.com", ""},
	{"rfc 8", "π@example.com", "π", "example.com", ""},
	{"rfc 9", "Σ@example.com/foo", "σ", "example.com", "foo"},
	{"rfc 10", "σ@example.com/foo", "σ", "example.com", "foo"},
	{"rfc 11", "ς@example.com/foo", "ς", "example.com", "foo"},
	{"rfc 12", "king@example.com/♚", "king", "example.com", "♚"},
	{"rfc 13", "example.com", "", "example.com", ""},
	{"rfc 14", "example.com/foobar", "", "example.com", "foobar"},
	{"rfc 15", "a.example.com/b@example.net", "", "a.example.com", "b@example.net"},

	{"capitals", "Juliet@Example.COM/Balcony", "juliet", "example.com", "Balcony"},
	{"capitals of a domain alone", "EXAMPLE.com/R", "", "example.com", "R"},
	{"all ASCII of a localpart", "!#$%()*+,-.;=?[\\]^_`{|}~09az@h", "!#$%()*+,-.;=?[\\]^_`{|}~09az", "h", ""},
	{"slashes of a resource", "a@b/c/d@e//", "a", "b", "c/d@e//"},
	{"resource of one slash", "a@b//", "a", "b", "/"},
	{"spaces of a resource", "a@b/ c ", "a", "b", " c "},
	{"other spaces of a resource", "a@b/c\u00a0\u3000d", "a", "b", "c  d"},
	{"resource composed", "a@b/e\u0301", "a", "b", "é"},
	{"resource keeps case and width", "a@b/ÀＡ", "a", "b", "ÀＡ"},
	{"resource of quotes", `a@b/"&'<>:`, "a", "b", `"&'<>:`},
	{"local full width", "ｊｕｌｉｅｔ@b", "juliet", "b", ""},
	{"local full-width capital", "Ａ@b", "a", "b", ""},
	{"local capital umlaut", "JÜRGEN@b", "jürgen", "b", ""},
	{"local decomposed", "u\u0308@b", "ü", "b", ""},
	{"local angstrom", "\u212b@b", "å", "b", ""},
	{"local sharp capital", "ẞ@b", "ß", "b", ""},
	{"local dotted capital i", "İ@b", "i\u0307", "b", ""},
	{"local hebrew", "שלום@b", "שלום", "b", ""},
	{"local hebrew with digit", "שלום1@b", "שלום1", "b", ""},
	{"local left to right ends in a mark", "jürgen-@b", "jürgen-", "b", ""},
	{"local left to right begins with a mark", "_jürgen@b", "_jürgen", "b", ""},
	{"local left to right begins with a digit", "1ü@b", "1ü", "b", ""},
	{"local joiner in its context", "क्\u200dष@b", "क्\u200dष", "b", ""},
	{"trailing dot", "a@example.com./r", "a", "example.com", "r"},
	{"trailing dot alone", "example.com.", "", "example.com", ""},
	{"trailing ideographic dot", "é@example。com。", "é", "example.com", ""},
	{"one label", "localhost", "", "localhost", ""},
	{"hyphens", "a-b.c--d.e", "", "a-b.c--d.e", ""},
	{"numeric", "a@127.0.0.1", "a", "127.0.0.1", ""},
	{"ipv6", "a@[::1]/r", "a", "[::1]", "r"},
	{"ipv6 not canonical", "[2001:DB8:0:0::01]", "", "[2001:db8::1]", ""},
	{"ipv6 of ipv4", "[::FFFF:192.0.2.1]", "", "[::ffff:192.0.2.1]", ""},
	{"u-label", "a@bücher.example", "a", "bücher.example", ""},
	{"u-label capital", "a@BÜCHER.example", "a", "bücher.example", ""},
	{"u-label decomposed", "a@bu\u0308cher.example", "a", "bücher.example", ""},
	{"u-label sharp s", "a@faß.example", "a", "faß.example", ""},
	{"u-label greek", "a@βόλος.example", "a", "βόλος.example", ""},
	{"a-label", "a@xn--bcher-kva.example", "a", "bücher.example", ""},
	{"a-label capitals", "a@XN--BCHER-KVA.EXAMPLE", "a", "bücher.example", ""},
	{"domain full width", "ｅｘａｍｐｌｅ.com", "", "example.com", ""},
	{"domain right to left", "אב.com", "", "אב.com", ""},
	{"domain katakana dot", "ア・.com", "", "ア・.com", ""},
	{"longest local", strings.Repeat("a", 1023) + "@b", strings.Repeat("a", 1023), "b", ""},
	{"longest domain", longDomain(1023), "", longDomain(1023), ""},
	{"longest resource", "b/" + strings.Repeat("é", 511) + "a", "", "b", strings.Repeat("é", 511) + "a"},
	{"local long before preparation", strings.Repeat("ａ", 1023) + "@b", strings.Repeat("a", 1023), "b", ""},
	{"longest label", strings.Repeat("a", 63) + ".b", "", strings.Repeat("a", 63) + ".b", ""},
}

var invalid = []struct {
	name, in string
	err      error
}{
	// RFC 7622 §3.5, table 2
	{"rfc 16", `"juliet"@example.com`, jid.ErrLocalpart},
	{"rfc 17", "foo bar@example.com", jid.ErrLocalpart},
	{"rfc 18", "juliet@example.com/", jid.ErrResourcepart},
	{"rfc 19", "@example.com/", jid.ErrResourcepart},
	{"rfc 20", "henry\u2163@example.com", jid.ErrLocalpart},
	{"rfc 21", "♚@example.com", jid.ErrLocalpart},
	{"rfc 22", "juliet@", jid.ErrDomainpart},
	{"rfc 23", "/foobar", jid.ErrDomainpart},

	{"empty", "", jid.ErrDomainpart},
	{"at alone", "@", jid.ErrLocalpart},
	{"slash alone", "/", jid.ErrResourcepart},
	{"dot alone", ".", jid.ErrDomainpart},
	{"empty local", "@b", jid.ErrLocalpart},
	{"two ats", "a@b@c", jid.ErrDomainpart},
	{"local ampersand", "a&b@c", jid.ErrLocalpart},
	{"local apostrophe", "a'b@c", jid.ErrLocalpart},
	{"local colon", "a:b@c", jid.ErrLocalpart},
	{"local less", "a<b@c", jid.ErrLocalpart},
	{"local greater", "a>b@c", jid.ErrLocalpart},
	{"local space", " a@c", jid.ErrLocalpart},
	{"local control", "a\x00@c", jid.ErrLocalpart},
	{"local delete", "a\x7f@c", jid.ErrLocalpart},
	{"local full-width at", "a＠b@c", jid.ErrLocalpart},
	{"local full-width slash", "a／b@c", jid.ErrLocalpart},
	{"local full-width colon", "a：@c", jid.ErrLocalpart},
	{"local full-width quote", "a＂@c", jid.ErrLocalpart},
	{"local no-break space", "a\u00a0b@c", jid.ErrLocalpart},
	{"local soft hyphen", "a\u00adb@c", jid.ErrLocalpart},
	{"local joiner out of context", "a\u200db@c", jid.ErrLocalpart},
	{"local mixed directions", "אa@c", jid.ErrLocalpart},
	{"local digit before hebrew", "1א@c", jid.ErrLocalpart},
	{"local not UTF-8", "a\xff@c", jid.ErrLocalpart},
	{"local private use", "\ue000@c", jid.ErrLocalpart},
	{"local unassigned", "\u0378@c", jid.ErrLocalpart},
	{"local old hangul", "\u1100@c", jid.ErrLocalpart},
	{"resource control", "a@b/\x1f", jid.ErrResourcepart},
	{"resource newline", "a@b/x\ny", jid.ErrResourcepart},
	{"resource delete", "a@b/\x7f", jid.ErrResourcepart},
	{"resource line separator", "a@b/\u2028", jid.ErrResourcepart},
	{"resource not UTF-8", "a@b/\xc3", jid.ErrResourcepart},
	{"resource surrogate", "a@b/\xed\xa0\x80", jid.ErrResourcepart},
	{"domain empty label", "a..b", jid.ErrDomainpart},
	{"domain leading dot", ".a", jid.ErrDomainpart},
	{"domain two trailing dots", "a@b..", jid.ErrDomainpart},
	{"domain empty ideographic label", "é。。b", jid.ErrDomainpart},
	{"domain label of a soft hyphen", "\u00ad.b", jid.ErrDomainpart},
	{"domain two kinds of trailing dots", "a@b.。", jid.ErrDomainpart},
	{"domain space", "a b", jid.ErrDomainpart},
	{"domain underscore", "a_b.c", jid.ErrDomainpart},
	{"domain colon", "a:5222", jid.ErrDomainpart},
	{"domain percent", "a%b", jid.ErrDomainpart},
	{"domain hyphen first", "-a.b", jid.ErrDomainpart},
	{"domain hyphen last", "a-.b", jid.ErrDomainpart},
	{"domain reserved hyphens", "r3---sn.b", jid.ErrDomainpart},
	{"domain a-label of nothing", "xn--.b", jid.ErrDomainpart},
	{"domain a-label of ASCII", "xn--abc-.b", jid.ErrDomainpart},
	{"domain a-label of nonsense", "xn--a.b", jid.ErrDomainpart},
	{"domain a-label of a symbol", "xn--ls8h.la", jid.ErrDomainpart},
	{"domain symbol", "♥.example", jid.ErrDomainpart},
	{"domain account of", "℀.example", jid.ErrDomainpart},
	{"domain mixed directions", "1א.com", jid.ErrDomainpart},
	{"domain joiner out of context", "a\u200db.c", jid.ErrDomainpart},
	{"domain middle dot out of context", "a·b.c", jid.ErrDomainpart},
	{"domain not UTF-8", "a\xffb", jid.ErrDomainpart},
	{"ipv6 open", "[::1", jid.ErrDomainpart},
	{"ipv6 empty", "[]", jid.ErrDomainpart},
	{"ipv6 zone", "[fe80::1%eth0]", jid.ErrDomainpart},
	{"ipv6 of four", "[127.0.0.1]", jid.ErrDomainpart},
	{"ipv6 and more", "[::1]x", jid.ErrDomainpart},
	{"ipv6 bare", "::1", jid.ErrDomainpart},
	{"ipv6 twice", "[[::1]]", jid.ErrDomainpart},
	{"local too long", strings.Repeat("a", 1024) + "@b", jid.ErrLocalpart},
	{"local too long for preparation", strings.Repeat("é", 5000) + "@b", jid.ErrLocalpart},
	{"local too long after preparation", strings.Repeat("é", 512) + "@b", jid.ErrLocalpart},
	{"domain too long", longDomain(1024), jid.ErrDomainpart},
	{"domain much too long", longDomain(100_000), jid.ErrDomainpart},
	{"label too long", strings.Repeat("a", 64) + ".b", jid.ErrDomainpart},
	{"u-label too long", strings.Repeat("ü", 60) + ".b", jid.ErrDomainpart},
	{"resource too long", "a@b/" + strings.Repeat("a", 1024), jid.ErrResourcepart},
	{"resource too long after preparation", "a@b/" + strings.Repeat("é", 512), jid.ErrResourcepart},
	{"everything too long", strings.Repeat("a@/", 1<<16), jid.ErrDomainpart},
}

func TestParse(t *testing.T) {
	for _, c := range valid {
		t.Run(c.name, func(t *testing.T) {
			j, err := jid.Parse(c.in)
			if err != nil {
				t.Fatalf("Parse(%q): %v", c.in, err)
			}
			if j.Local() != c.local || j.Domain() != c.domain || j.Resource() != c.resource {
				t.Fatalf("Parse(%q) = %q, %q, %q; want %q, %q, %q",
					c.in, j.Local(), j.Domain(), j.Resource(), c.local, c.domain, c.resource)
			}
			check(t, j)
			fromBytes, err := jid.ParseBytes([]byte(c.in))
			if err != nil || fromBytes != j {
				t.Errorf("ParseBytes(%q) = %v, %v; want %v", c.in, fromBytes, err, j)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for _, c := range invalid {
		t.Run(c.name, func(t *testing.T) {
			j, err := jid.Parse(c.in)
			if !errors.Is(err, c.err) {
				t.Fatalf("Parse(%q) = %q, %v; want %v", c.in, j, err, c.err)
			}
			if !j.IsZero() {
				t.Errorf("Parse(%q) returned %q beside its error", c.in, j)
			}
			if _, err := jid.ParseBytes([]byte(c.in)); !errors.Is(err, c.err) {
				t.Errorf("ParseBytes(%q): %v; want %v", c.in, err, c.err)
			}
			if len(err.Error()) > 4*jid.MaxPart+200 {
				t.Errorf("the error has %d octets", len(err.Error()))
			}
		})
	}
}

// check tries on a prepared address all that holds of every address.
func check(t *testing.T, j jid.JID) {
	t.Helper()
	again, err := jid.Parse(j.String())
	if err != nil || again != j {
		t.Fatalf("Parse(%q) = %q, %v; want itself", j.String(), again, err)
	}
	joined, err := jid.New(j.Local(), j.Domain(), j.Resource())
	if err != nil || joined != j {
		t.Errorf("New(%q, %q, %q) = %q, %v; want %q", j.Local(), j.Domain(), j.Resource(), joined, err, j)
	}
	if j.IsZero() || j.IsBare() == j.IsFull() || j.IsFull() != (j.Resource() != "") || j.IsDomain() != (j.Local() == "") {
		t.Errorf("%q: IsZero %t, IsBare %t, IsFull %t, IsDomain %t", j, j.IsZero(), j.IsBare(), j.IsFull(), j.IsDomain())
	}
	bare, err := jid.New(j.Local(), j.Domain(), "")
	if err != nil || bare != j.Bare() || !j.Bare().IsBare() {
		t.Errorf("%q.Bare() = %q; want %q", j, j.Bare(), bare)
	}
	host, err := jid.Parse(j.Domain())
	if err != nil || host != j.Host() {
		t.Errorf("%q.Host() = %q; want %q", j, j.Host(), host)
	}
	if with, err := j.Bare().WithResource(j.Resource()); err != nil || with != j {
		t.Errorf("%q.WithResource(%q) = %q, %v; want %q", j.Bare(), j.Resource(), with, err, j)
	}
	if j.Clone() != j {
		t.Errorf("%q.Clone() = %q", j, j.Clone())
	}
	var read jid.JID
	if text, err := j.MarshalText(); err != nil || read.UnmarshalText(text) != nil || read != j {
		t.Errorf("text of %q read back as %q", j, read)
	}
	for _, part := range []string{j.Local(), j.Domain(), j.Resource()} {
		if len(part) > jid.MaxPart {
			t.Errorf("a part of %q has %d octets", j, len(part))
		}
	}
}

func TestZero(t *testing.T) {
	var j jid.JID
	if !j.IsZero() || j.IsBare() || j.IsFull() || j.IsDomain() {
		t.Error("the zero value claims to be an address")
	}
	if j.String()+j.Local()+j.Domain()+j.Resource() != "" || j.Bare() != j || j.Host() != j {
		t.Error("the zero value has parts")
	}
	if _, err := j.WithResource("r"); !errors.Is(err, jid.ErrDomainpart) {
		t.Errorf("WithResource: %v; want ErrDomainpart", err)
	}
	if text, err := j.MarshalText(); err != nil || len(text) != 0 {
		t.Errorf("MarshalText: %q, %v", text, err)
	}
	set := jid.MustParse("a@b")
	if err := set.UnmarshalText(nil); err != nil || set != j {
		t.Errorf("UnmarshalText of nothing: %q, %v", set, err)
	}
	if err := set.UnmarshalText([]byte("@")); err == nil || set != j {
		t.Errorf("UnmarshalText of nonsense: %q, %v", set, err)
	}
}

func TestNew(t *testing.T) {
	for _, c := range []struct {
		local, domain, resource, want string
		err                           error
	}{
		{"a", "b", "c", "a@b/c", nil},
		{"", "b", "", "b", nil},
		{"A", "B", "C", "a@b/C", nil},
		{"a", "b", "c/d@e", "a@b/c/d@e", nil},
		{"Ä", "Ä.example", "Ä", "ä@ä.example/Ä", nil},
		{"a", "[::1]", "", "a@[::1]", nil},
		{"a@b", "c", "", "", jid.ErrLocalpart},
		{"a/b", "c", "", "", jid.ErrLocalpart},
		{"", "a@b", "", "", jid.ErrDomainpart},
		{"", "a/b", "", "", jid.ErrDomainpart},
		{"a", "", "", "", jid.ErrDomainpart},
		{"a", "b", "\n", "", jid.ErrResourcepart},
	} {
		j, err := jid.New(c.local, c.domain, c.resource)
		if !errors.Is(err, c.err) || j.String() != c.want {
			t.Errorf("New(%q, %q, %q) = %q, %v; want %q, %v", c.local, c.domain, c.resource, j, err, c.want, c.err)
		}
	}
}

func TestWithResource(t *testing.T) {
	j := jid.MustParse("a@b/c")
	for _, c := range []struct{ resource, want string }{
		{"d", "a@b/d"}, {"", "a@b"}, {"e\u0301", "a@b/é"}, {" x/@", "a@b/ x/@"},
	} {
		if got, err := j.WithResource(c.resource); err != nil || got != jid.MustParse(c.want) {
			t.Errorf("WithResource(%q) = %q, %v; want %q", c.resource, got, err, c.want)
		}
	}
	if got, err := j.WithResource("\t"); !errors.Is(err, jid.ErrResourcepart) || !got.IsZero() {
		t.Errorf("WithResource of a tab = %q, %v", got, err)
	}
}

func TestPrepareResource(t *testing.T) {
	for in, want := range map[string]string{"a b": "a b", "A": "A", "e\u0301\u00a0": "é ", "": "", "\t": "", strings.Repeat("a", 1024): ""} {
		got, err := jid.PrepareResource(in)
		if got != want || errors.Is(err, jid.ErrResourcepart) != (want == "") {
			t.Errorf("PrepareResource(%.20q) = %.20q, %v; want %q", in, got, err, want)
		}
	}
}

func TestMapKey(t *testing.T) {
	m := map[jid.JID]int{jid.MustParse("Juliet@Example.com"): 1}
	full := jid.MustParse("juliet@example.com/balcony")
	if m[full.Bare()] != 1 {
		t.Error("a bare address does not find an equal key")
	}
	if m[full] != 0 {
		t.Error("a full address finds the bare one")
	}
}

func TestMustParse(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	jid.MustParse("@")
}

// The input of ParseBytes is the caller's buffer.
func TestParseBytesCopies(t *testing.T) {
	for _, in := range []string{"juliet@example.com/r", "JULIET@example.com/r", "jüliet@example.com/r", "JÜLIET@EXAMPLE.com/r"} {
		b := []byte(in)
		j, err := jid.ParseBytes(b)
		if err != nil {
			t.Fatal(err)
		}
		if string(b) != in {
			t.Errorf("ParseBytes(%q) changed its input to %q", in, b)
		}
		want := strings.Clone(j.String())
		for i := range b {
			b[i] = '!'
		}
		if j.String() != want {
			t.Errorf("%q became %q with its input", want, j)
		}
	}
}

func TestEscape(t *testing.T) {
	// XEP-0106 §6.1 to §6.5, §3 and §5.3
	for _, c := range []struct{ plain, escaped string }{
		{"space cadet", `space\20cadet`},
		{`call me "ishmael"`, `call\20me\20\22ishmael\22`},
		{"at&t guy", `at\26t\20guy`},
		{"d'artagnan", `d\27artagnan`},
		{"/.fanboy", `\2f.fanboy`},
		{"::foo::", `\3a\3afoo\3a\3a`},
		{"<foo>", `\3cfoo\3e`},
		{"user@host", `user\40host`},
		{`c:\net`, `c\3a\net`},
		{`c:\\net`, `c\3a\\net`},
		{`c:\cool stuff`, `c\3a\cool\20stuff`},
		{`c:\5commas`, `c\3a\5c5commas`},
		{`\3and\2is\5cool`, `\5c3and\2is\5c5cool`},
		{`\2plus\2is\4`, `\2plus\2is\4`},
		{`foo\bar`, `foo\bar`},
		{`foob\41r`, `foob\41r`},
		{`here's_a_wild_&_/cr%zy/_address@example.com`, `here\27s_a_wild_\26_\2fcr%zy\2f_address\40example.com`},
		{"tréville@musketeers.lit", `tréville\40musketeers.lit`},
		{`\5c`, `\5c5c`},
		{`\`, `\`},
		{`\2F`, `\2F`},
		{`\\27`, `\\5c27`},
		{"plain", "plain"},
		{"", ""},
	} {
		if got := jid.Escape(c.plain); got != c.escaped {
			t.Errorf("Escape(%q) = %q; want %q", c.plain, got, c.escaped)
		}
		if got := jid.Unescape(c.escaped); got != c.plain {
			t.Errorf("Unescape(%q) = %q; want %q", c.escaped, got, c.plain)
		}
	}
	if got := jid.Escape("  a b "); got != `a\20b` {
		t.Errorf("Escape with outer spaces = %q", got)
	}
	if got := jid.Unescape(`\20a\20b\20`); got != `\20a b\20` {
		t.Errorf("Unescape of outer spaces = %q", got)
	}
}

func TestASCIIDomain(t *testing.T) {
	for in, want := range map[string]string{
		"a@example.org/r":    "example.org",
		"a@BÜCHER.example":   "xn--bcher-kva.example",
		"xn--bcher-kva.test": "xn--bcher-kva.test",
		"a@192.0.2.1":        "192.0.2.1",
		"a@[2001:DB8::1]/r":  "2001:db8::1",
	} {
		if got := jid.MustParse(in).ASCIIDomain(); got != want {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
	}
	if got := (jid.JID{}).ASCIIDomain(); got != "" {
		t.Errorf("of no address: %q", got)
	}
}
