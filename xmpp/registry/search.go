// SPDX-License-Identifier: Apache-2.0

package registry

// How to read this file: Operator and its kinds; how they are written and read; then Filter, which is a search
// made ready to look at many things.

import (
	"fmt"
	"math"
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/stonechat-im/stonechat/internal/attr"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// MaxProgram is how many instructions the regular expressions of one search may compile to: a search looks at
// no tag longer than this times MaxTagValue steps.
const MaxProgram = 512

// Op is what an operator compares, and how. XEP-0347 §3.15
type Op string

// The operators. Those of texts see tags that are text, those of numbers tags that are numbers. Texts are
// compared by the code points of their characters.
const (
	StrEq     Op = "strEq"
	StrNEq    Op = "strNEq"
	StrGt     Op = "strGt"
	StrGtEq   Op = "strGtEq"
	StrLt     Op = "strLt"
	StrLtEq   Op = "strLtEq"
	StrRange  Op = "strRange"  // between Min and Max
	StrNRange Op = "strNRange" // not between them
	StrMask   Op = "strMask"   // Wildcard in Text stands for any characters, or none

	// StrRegEx wants the whole value to match a regular expression of Go (RE2).
	//
	// Deviation: XEP-0347 has no such operator, and so names no flavour; later generations of the
	// grammar have it, and clients made for both send it.
	StrRegEx Op = "strRegEx"

	NumEq     Op = "numEq"
	NumNEq    Op = "numNEq"
	NumGt     Op = "numGt"
	NumGtEq   Op = "numGtEq"
	NumLt     Op = "numLt"
	NumLtEq   Op = "numLtEq"
	NumRange  Op = "numRange"
	NumNRange Op = "numNRange"
)

// Valid reports whether it is one of the operators.
func (o Op) Valid() bool {
	switch o {
	case StrEq, StrNEq, StrGt, StrGtEq, StrLt, StrLtEq, StrRange, StrNRange, StrMask, StrRegEx,
		NumEq, NumNEq, NumGt, NumGtEq, NumLt, NumLtEq, NumRange, NumNRange:
		return true
	}
	return false
}

// numeric reports whether it compares numbers.
func (o Op) numeric() bool { return strings.HasPrefix(string(o), "num") }

// ranged reports whether it has two bounds.
func (o Op) ranged() bool { return strings.HasSuffix(string(o), "Range") }

// Operator is one condition of a search. XEP-0347 §3.15
type Operator struct {
	Op       Op
	Name     string  // of the tag, in upper case
	Text     string  // what a text is compared with; a mask; a regular expression
	Number   float64 // what a number is compared with
	Wildcard string  // of StrMask, one character or more
	Min, Max Bound   // of the ranges
}

// Bound is an end of a range. The zero value of Excluded means that the end belongs to it.
type Bound struct {
	Text     string
	Number   float64
	Excluded bool
}

// Check tells what is wrong with an operator, as a *stanza.Error. It does not look into regular expressions.
func (o *Operator) Check() error {
	if !o.Op.Valid() {
		return stanza.FeatureNotImplemented.Err("an operator is not known")
	}
	if err := checkName(o.Name); err != nil {
		return err
	}
	for _, s := range []string{o.Text, o.Wildcard, o.Min.Text, o.Max.Text} {
		if utf8.RuneCountInString(s) > MaxTagValue {
			return stanza.PolicyViolation.Err(fmt.Sprintf("an operator's value has more than %d characters", MaxTagValue))
		}
	}
	for _, f := range []float64{o.Number, o.Min.Number, o.Max.Number} {
		if math.IsNaN(f) || math.IsInf(f, 0) {
			return stanza.BadRequest.Err("an operator's number is finite")
		}
	}
	if o.Op == StrMask && o.Wildcard == "" {
		return stanza.BadRequest.Err("a mask needs a wildcard")
	}
	return nil
}

// XMLName implements stanza.Payload.
func (*Search) XMLName() xmlstream.Name { return xep.name("search") }

// AppendXML implements stanza.Payload.
func (s *Search) AppendXML(dst []byte) []byte {
	dst = xmlstream.AppendStart(dst, "search", xep.space)
	if s.Offset > 0 {
		dst = xmlstream.AppendAttr(dst, "offset", strconv.Itoa(s.Offset))
	}
	if s.Max > 0 {
		dst = xmlstream.AppendAttr(dst, "maxCount", strconv.Itoa(s.Max))
	}
	if len(s.Operators) == 0 {
		return append(dst, "/>"...)
	}
	dst = append(dst, '>')
	for i := range s.Operators {
		dst = s.Operators[i].append(dst)
	}
	return append(dst, "</search>"...)
}

func (o *Operator) append(dst []byte) []byte {
	if !o.Op.Valid() {
		return dst // there is no such element
	}
	dst = append(append(dst, '<'), o.Op...)
	dst = xmlstream.AppendAttr(dst, "name", o.Name)
	if o.Op.ranged() {
		dst = o.appendBound(dst, "min", o.Min)
		return append(o.appendBound(dst, "max", o.Max), "/>"...)
	}
	dst = xmlstream.AppendRequired(dst, "value", o.value(o.Text, o.Number))
	if o.Op == StrMask {
		dst = xmlstream.AppendRequired(dst, "wildcard", o.Wildcard)
	}
	return append(dst, "/>"...)
}

func (o *Operator) appendBound(dst []byte, local string, b Bound) []byte {
	dst = xmlstream.AppendRequired(dst, local, o.value(b.Text, b.Number))
	if b.Excluded {
		dst = append(append(append(dst, ' '), local...), "Included='false'"...)
	}
	return dst
}

func (o *Operator) value(text string, number float64) string {
	if o.Op.numeric() {
		return formatNumber(number)
	}
	return text
}

// DecodeXML implements stanza.Payload. An operator that is not known is feature-not-implemented: without it
// more would be found than was asked for.
func (s *Search) DecodeXML(r *xmlstream.Reader) error {
	*s = Search{Offset: readCount(r, "offset"), Max: readCount(r, "maxCount")}
	if _, ok := r.LookupAttr("maxCount"); ok && s.Max == 0 {
		r.Fail(stanza.BadRequest.Err("maxCount is a number greater than nothing"))
	}
	for n := range r.Children() {
		if n.Space != xep.space {
			continue
		}
		if len(s.Operators) == MaxOperators {
			r.Fail(stanza.PolicyViolation.Err(fmt.Sprintf("a search has more than %d operators", MaxOperators)))
			break
		}
		s.Operators = append(s.Operators, readOperator(r, Op(n.Local)))
	}
	if len(s.Operators) == 0 {
		r.Fail(stanza.BadRequest.Err("a search has at least one operator"))
	}
	if r.Err() == nil {
		if _, err := s.Filter(); err != nil {
			r.Fail(err)
		}
	}
	return r.Err()
}

func readOperator(r *xmlstream.Reader, op Op) Operator {
	o := Operator{Op: op, Name: FoldName(r.Attr("name"))}
	switch {
	case !op.Valid(): // Check says so
	case op.ranged():
		o.Min, o.Max = o.readBound(r, "min"), o.readBound(r, "max")
	case op.numeric():
		o.Number = readNumber(r, "value")
	default:
		o.Text = attr.Required(r, "value")
	}
	if op == StrMask {
		o.Wildcard = r.Attr("wildcard")
	}
	if err := o.Check(); err != nil {
		r.Fail(err)
	}
	return o
}

func (o *Operator) readBound(r *xmlstream.Reader, local string) Bound {
	b := Bound{Excluded: !attr.Bool(r, local+"Included", true)}
	if o.Op.numeric() {
		b.Number = readNumber(r, local)
	} else {
		b.Text = attr.Required(r, local)
	}
	return b
}

// Filter is a search made ready to look at many things. It is safe for concurrent use.
type Filter struct {
	operators []Operator
	masks     [][]string // of an operator that is a mask: what stands between its wildcards
	patterns  []*regexp.Regexp
}

// Filter makes the search ready. The error is a *stanza.Error.
func (s *Search) Filter() (*Filter, error) {
	if len(s.Operators) > MaxOperators {
		return nil, stanza.PolicyViolation.Err(fmt.Sprintf("a search has more than %d operators", MaxOperators))
	}
	f := &Filter{
		operators: slices.Clone(s.Operators),
		masks:     make([][]string, len(s.Operators)),
		patterns:  make([]*regexp.Regexp, len(s.Operators)),
	}
	budget := MaxProgram
	for i := range f.operators {
		o := &f.operators[i]
		o.Name = FoldName(o.Name)
		if err := o.Check(); err != nil {
			return nil, err
		}
		switch o.Op {
		case StrMask:
			f.masks[i] = strings.Split(o.Text, o.Wildcard)
		case StrRegEx:
			pattern, size, err := compile(o.Text, budget)
			if err != nil {
				return nil, err
			}
			f.patterns[i], budget = pattern, budget-size
		}
	}
	return f, nil
}

// compile makes a regular expression that matches whole values, of a program that fits the budget.
func compile(expression string, budget int) (*regexp.Regexp, int, error) {
	parsed, err := syntax.Parse(expression, syntax.Perl)
	if err != nil {
		return nil, 0, stanza.BadRequest.Err("a regular expression is not one")
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return nil, 0, stanza.BadRequest.Err("a regular expression is not one")
	}
	if len(program.Inst) > budget {
		return nil, 0, stanza.PolicyViolation.Err("the regular expressions of a search are too large")
	}
	pattern, err := regexp.Compile(`\A(?:` + expression + `)\z`)
	if err != nil {
		return nil, 0, stanza.BadRequest.Err("a regular expression is not one")
	}
	return pattern, len(program.Inst), nil
}

// Matches reports whether all operators hold for a thing of these tags. A tag that the thing has not, or of
// the other type, fits no operator, and KEY never fits. XEP-0347 §3.15
func (f *Filter) Matches(tags Tags) bool {
	for i := range f.operators {
		o := &f.operators[i]
		if o.Name == KEY {
			return false
		}
		tag, ok := tags.find(o.Name)
		if !ok || tag.Numeric != o.Op.numeric() || !f.holds(i, tag) {
			return false
		}
	}
	return len(f.operators) > 0
}

// Matches is Filter.Matches for one thing alone. A search that is not valid matches nothing.
func (s *Search) Matches(tags Tags) bool {
	f, err := s.Filter()
	return err == nil && f.Matches(tags)
}

func (f *Filter) holds(i int, tag Tag) bool {
	o := &f.operators[i]
	switch o.Op {
	case StrMask:
		return masked(tag.Text, f.masks[i])
	case StrRegEx:
		return f.patterns[i].MatchString(tag.Text)
	case StrRange, NumRange:
		return o.within(tag)
	case StrNRange, NumNRange:
		return !o.within(tag)
	}
	c := compare(tag, o.Text, o.Number)
	switch o.Op {
	case StrEq, NumEq:
		return c == 0
	case StrNEq, NumNEq:
		return c != 0
	case StrGt, NumGt:
		return c > 0
	case StrGtEq, NumGtEq:
		return c >= 0
	case StrLt, NumLt:
		return c < 0
	}
	return c <= 0
}

func (o *Operator) within(tag Tag) bool {
	low, high := compare(tag, o.Min.Text, o.Min.Number), compare(tag, o.Max.Text, o.Max.Number)
	return (low > 0 || low == 0 && !o.Min.Excluded) && (high < 0 || high == 0 && !o.Max.Excluded)
}

func compare(tag Tag, text string, number float64) int {
	switch {
	case !tag.Numeric:
		return strings.Compare(tag.Text, text)
	case tag.Number < number:
		return -1
	case tag.Number > number:
		return 1
	}
	return 0
}

// masked reports whether a text is these pieces in their order, with anything between them. Each piece is
// looked for once, from where the last one ended: what comes first is always as good as what comes later.
func masked(text string, pieces []string) bool {
	first, last := pieces[0], pieces[len(pieces)-1]
	if len(pieces) == 1 {
		return text == first
	}
	if len(text) < len(first)+len(last) || !strings.HasPrefix(text, first) || !strings.HasSuffix(text, last) {
		return false
	}
	text = text[len(first) : len(text)-len(last)]
	for _, piece := range pieces[1 : len(pieces)-1] {
		at := strings.Index(text, piece)
		if at < 0 {
			return false
		}
		text = text[at+len(piece):]
	}
	return true
}
