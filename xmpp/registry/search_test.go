// SPDX-License-Identifier: Apache-2.0

package registry_test

import (
	"fmt"
	"path"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stonechat-im/stonechat/internal/xmpptest"
	"github.com/stonechat-im/stonechat/xmpp/registry"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

func TestMatches(t *testing.T) {
	thing := append(lamp(), registry.Str("ROOM", "Library"), registry.Num("LAT", -33.5))
	text := func(op registry.Op, value string) registry.Operator {
		return registry.Operator{Op: op, Name: "ROOM", Text: value}
	}
	number := func(op registry.Op, value float64) registry.Operator {
		return registry.Operator{Op: op, Name: "LAT", Number: value}
	}
	between := func(op registry.Op, low, high string, withoutLow, withoutHigh bool) registry.Operator {
		return registry.Operator{Op: op, Name: "ROOM", Min: registry.Bound{Text: low, Excluded: withoutLow},
			Max: registry.Bound{Text: high, Excluded: withoutHigh}}
	}
	numbers := func(op registry.Op, low, high float64, withoutLow, withoutHigh bool) registry.Operator {
		return registry.Operator{Op: op, Name: "LAT", Min: registry.Bound{Number: low, Excluded: withoutLow},
			Max: registry.Bound{Number: high, Excluded: withoutHigh}}
	}
	mask := func(value, wildcard string) registry.Operator {
		return registry.Operator{Op: registry.StrMask, Name: "ROOM", Text: value, Wildcard: wildcard}
	}
	other := func(o registry.Operator, name string) registry.Operator { o.Name = name; return o }
	for _, c := range []struct {
		o    registry.Operator
		want bool
	}{
		{text(registry.StrEq, "Library"), true}, {text(registry.StrEq, "library"), false},
		{text(registry.StrNEq, "Kitchen"), true}, {text(registry.StrNEq, "Library"), false},
		{text(registry.StrGt, "Librarx"), true}, {text(registry.StrGt, "Library"), false},
		{text(registry.StrGtEq, "Library"), true}, {text(registry.StrGtEq, "Librarz"), false},
		{text(registry.StrLt, "Librarz"), true}, {text(registry.StrLt, "Library"), false},
		{text(registry.StrLtEq, "Library"), true}, {text(registry.StrLtEq, "Kitchen"), false},
		{text(registry.StrLt, "ä"), true},
		{number(registry.NumEq, -33.5), true}, {number(registry.NumEq, 33.5), false},
		{number(registry.NumNEq, 0), true}, {number(registry.NumNEq, -33.5), false},
		{number(registry.NumGt, -34), true}, {number(registry.NumGt, -33.5), false},
		{number(registry.NumGtEq, -33.5), true}, {number(registry.NumGtEq, -33), false},
		{number(registry.NumLt, -4), true}, {number(registry.NumLt, -33.5), false},
		{number(registry.NumLtEq, -33.5), true}, {number(registry.NumLtEq, -34), false},

		{between(registry.StrRange, "Library", "Z", false, false), true}, {between(registry.StrRange, "Library", "Z", true, false), false},
		{between(registry.StrRange, "A", "Library", false, false), true}, {between(registry.StrRange, "A", "Library", false, true), false},
		{between(registry.StrRange, "M", "Z", false, false), false}, {between(registry.StrRange, "Z", "A", false, false), false},
		{between(registry.StrNRange, "Library", "Z", false, false), false}, {between(registry.StrNRange, "Library", "Z", true, false), true},
		{between(registry.StrNRange, "A", "B", false, false), true},
		{numbers(registry.NumRange, -34, -33.5, false, false), true}, {numbers(registry.NumRange, -34, -33.5, false, true), false},
		{numbers(registry.NumRange, -33.5, 0, true, false), false}, {numbers(registry.NumNRange, -34, -33, false, false), false},
		{numbers(registry.NumNRange, -33.5, -33, true, false), true},

		{mask("L*y", "*"), true}, {mask("*", "*"), true}, {mask("Library", "*"), true}, {mask("**b**", "*"), true},
		{mask("L%y", "%"), true}, {mask("L%y", "*"), false}, {mask("l*", "*"), false}, {mask("*r*r*", "*"), true},
		{mask("*r*r*r*", "*"), false}, {mask("Libra*brary", "*"), false}, {mask("Li(any)ry", "(any)"), true}, {mask("", "*"), false},
		{text(registry.StrRegEx, "L[a-z]+"), true}, {text(registry.StrRegEx, "L|Library"), true}, {text(registry.StrRegEx, "ibrar"), false},
		{text(registry.StrRegEx, "(?i)LIBRARY"), true}, {text(registry.StrRegEx, "L$"), false},

		// Neither what is not there nor what is of the other type fits, whatever is asked. XEP-0347 §3.15
		{other(text(registry.StrNEq, "x"), "CITY"), false}, {other(number(registry.NumNEq, 1), "LON"), false},
		{other(text(registry.StrNEq, "x"), "LAT"), false}, {other(number(registry.NumNEq, 1), "ROOM"), false},
		{other(between(registry.StrNRange, "a", "b", false, false), "CITY"), false},
		{other(text(registry.StrNEq, "x"), "KEY"), false}, {other(text(registry.StrEq, "k3y of the lamp"), "KEY"), false},
		{other(mask("*", "*"), "KEY"), false}, {other(text(registry.StrRegEx, ".*"), "KEY"), false},
	} {
		s := registry.Search{Operators: []registry.Operator{c.o}}
		if got := s.Matches(thing); got != c.want {
			t.Errorf("%+v: %t", c.o, got)
		}
		s.Operators = append(s.Operators, text(registry.StrEq, "Library"))
		if got := s.Matches(thing); got != c.want {
			t.Errorf("with another that holds, %+v: %t", c.o, got)
		}
		s.Operators = append(s.Operators, text(registry.StrEq, "Kitchen"))
		if s.Matches(thing) {
			t.Errorf("with another that does not hold, %+v holds", c.o)
		}
	}
	s := registry.Search{Operators: []registry.Operator{{Op: registry.StrEq, Name: "room", Text: "Library"}}}
	if !s.Matches(thing) {
		t.Error("small letters count")
	}
	if (&registry.Search{}).Matches(thing) {
		t.Error("a search for nothing finds something")
	}
}

// A search that is not valid finds nothing, and says why when it is made ready.
func TestFilterRefused(t *testing.T) {
	for _, c := range []struct {
		o    registry.Operator
		want stanza.Condition
	}{
		{registry.Operator{Op: "strAlmost", Name: "SN"}, stanza.FeatureNotImplemented},
		{registry.Operator{Op: registry.StrEq}, stanza.BadRequest},
		{registry.Operator{Op: registry.StrMask, Name: "SN"}, stanza.BadRequest},
		{registry.Operator{Op: registry.StrRegEx, Name: "SN", Text: "*"}, stanza.BadRequest},
		{registry.Operator{Op: registry.StrRegEx, Name: "SN", Text: "(a{30}){30}"}, stanza.PolicyViolation},
	} {
		s := registry.Search{Operators: []registry.Operator{c.o}}
		_, err := s.Filter()
		xmpptest.Condition(t, err, c.want)
		if s.Matches(lamp()) {
			t.Errorf("%+v matches", c.o)
		}
	}
	s := registry.Search{Operators: make([]registry.Operator, registry.MaxOperators+1)}
	_, err := s.Filter()
	xmpptest.Condition(t, err, stanza.PolicyViolation)
}

// The dearest search looks at a thing in a bounded time: what would take for ever by trying is looked at once.
func TestDear(t *testing.T) {
	text := strings.Repeat("a", registry.MaxTagValue)
	var s registry.Search
	for range registry.MaxOperators / 2 {
		s.Operators = append(s.Operators,
			registry.Operator{Op: registry.StrMask, Name: "SN", Text: strings.Repeat("*a", 63) + "b", Wildcard: "*"})
	}
	s.Operators = append(s.Operators, registry.Operator{Op: registry.StrRegEx, Name: "SN", Text: "(a*)*(a|aa)+(a*){9}b?a"})
	f, err := s.Filter()
	if err != nil {
		t.Fatal(err)
	}
	tags := registry.Tags{registry.Str("SN", text)}
	if f.Matches(tags) {
		t.Error("there is no b")
	}
	s.Operators = s.Operators[len(s.Operators)-1:]
	if !s.Matches(tags) {
		t.Error("the expression does not fit")
	}
	usual, err := (&registry.Search{Operators: every()}).Filter()
	if err != nil {
		t.Fatal(err)
	}
	tags = append(lamp(), registry.Str("ROOM", "Library"), registry.Str("CITY", "London"), registry.Num("LON", -0.5), registry.Num("LAT", 51))
	if !usual.Matches(tags) {
		t.Error("the usual search does not find what it should")
	}
	if n := testing.AllocsPerRun(100, func() { usual.Matches(tags) }); n > 0 {
		t.Errorf("%.0f allocations for a thing", n)
	}
}

// What a mask finds is what file names are matched by, which is somebody else's opinion.
func FuzzMask(f *testing.F) {
	f.Add("Library", "L*r*y")
	f.Add("aaaa", "*a*aa*")
	f.Fuzz(func(t *testing.T, text, mask string) {
		if len(mask) > 20 || strings.Count(mask, "*") > 4 || strings.ContainsAny(text+mask, "/?[]\\") {
			return
		}
		if !utf8.ValidString(text+mask) || strings.TrimSpace(text) != text || strings.TrimSpace(mask) != mask || strings.ContainsAny(text+mask, "\r\n\t") {
			return // values are of one line, without white space around them
		}
		s := registry.Search{Operators: []registry.Operator{{Op: registry.StrMask, Name: "SN", Text: mask, Wildcard: "*"}}}
		want, err := path.Match(mask, text)
		if got := s.Matches(registry.Tags{registry.Str("SN", text)}); err == nil && got != want {
			t.Errorf("%q fits %q: %t", text, mask, got)
		}
	})
}

func BenchmarkMatches(b *testing.B) {
	s := registry.Search{Operators: every()}
	f, err := s.Filter()
	if err != nil {
		b.Fatal(err)
	}
	tags := append(lamp(), registry.Str("ROOM", "Library"), registry.Str("CITY", "London"))
	for i := range 20 {
		tags = append(tags, registry.Num(fmt.Sprint("X", i), 1))
	}
	b.ReportAllocs()
	for b.Loop() {
		f.Matches(tags)
	}
}
