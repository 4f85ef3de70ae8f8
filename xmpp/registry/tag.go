// SPDX-License-Identifier: Apache-2.0

package registry

// How to read this file: names with a fixed meaning; Tag, and what is asked of one; Tags, and how two lists of
// them are compared; numbers.

import (
	"crypto/subtle"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// The names of tags whose meaning is fixed. XEP-0347 §5.2
const (
	ALT      = "ALT"      // a number: altitude in metres
	APT      = "APT"      // apartment
	AREA     = "AREA"     //
	BLD      = "BLD"      // building
	CITY     = "CITY"     //
	CLASS    = "CLASS"    // what kind of thing
	COUNTRY  = "COUNTRY"  //
	KEY      = "KEY"      // what its owner alone knows: never found, never told
	LAT      = "LAT"      // a number: latitude in degrees
	LON      = "LON"      // a number: longitude in degrees
	MAN      = "MAN"      // the maker's domain name
	MLOC     = "MLOC"     // id of a meter's place
	MNR      = "MNR"      // number of a meter
	MODEL    = "MODEL"    //
	NAME     = "NAME"     //
	PURL     = "PURL"     // address of a page about the product
	REGION   = "REGION"   //
	ROOM     = "ROOM"     //
	SN       = "SN"       // serial number
	STREET   = "STREET"   //
	STREETNR = "STREETNR" // number of the house
	V        = "V"        // a number: version
)

// R is the name under which codes say the registry's address. It is no tag of the thing. See URI.
const R = "R"

// Tag is one thing that is known of a thing: a text or a number. Tags can be compared.
type Tag struct {
	Name    string // in upper case; see FoldName
	Numeric bool
	Text    string  // if it is not Numeric
	Number  float64 // if it is Numeric; finite
}

// Str makes a tag that is text. White space around it is left out: who types a code does not see it.
func Str(name, value string) Tag {
	return Tag{Name: FoldName(name), Text: strings.TrimSpace(value)}
}

// Num makes a tag that is a number.
func Num(name string, value float64) Tag {
	return Tag{Name: FoldName(name), Numeric: true, Number: value + 0} // no negative zero
}

// Value is the tag's value as text, however it is typed.
func (t Tag) Value() string {
	if t.Numeric {
		return formatNumber(t.Number)
	}
	return t.Text
}

// FoldName gives a tag's name the form in which names are compared: they mean the same in upper and lower
// case. XEP-0347 §5.2
func FoldName(name string) string {
	for i := range len(name) {
		if c := name[i]; c >= utf8.RuneSelf || c >= 'a' && c <= 'z' {
			return strings.ToUpper(strings.ToLower(name)) // some letters have two small forms, some two capitals
		}
	}
	return name
}

// checkName tells what is wrong with a tag's name.
//
// Deviation: XEP-0347 §5.2 forbids colon, hash sign and space. What else has a meaning in a code would make
// one that reads back otherwise, and is refused, too.
func checkName(name string) error {
	switch {
	case name == "":
		return stanza.BadRequest.Err("a tag has a name")
	case utf8.RuneCountInString(name) > MaxTagName:
		return stanza.PolicyViolation.Err(fmt.Sprintf("a tag's name has more than %d characters", MaxTagName))
	case strings.ContainsFunc(name, func(c rune) bool {
		return strings.ContainsRune(`:#;=\<>~%`, c) || unicode.IsSpace(c) || !unicode.IsPrint(c)
	}):
		return stanza.BadRequest.Err(`a tag's name has neither spaces nor any of :#;=\<>~%`)
	}
	return nil
}

// Check tells what is wrong with a tag, as a *stanza.Error.
func (t Tag) Check() error {
	if err := checkName(t.Name); err != nil {
		return err
	}
	switch {
	case t.Name != FoldName(t.Name):
		return stanza.BadRequest.Err("a tag's name is in upper case")
	case t.Numeric && (math.IsNaN(t.Number) || math.IsInf(t.Number, 0)):
		return stanza.BadRequest.Err("a tag's number is finite")
	case utf8.RuneCountInString(t.Text) > MaxTagValue:
		return stanza.PolicyViolation.Err(fmt.Sprintf("a tag's value has more than %d characters", MaxTagValue))
	case !validText(t.Text):
		return stanza.BadRequest.Err("a tag's value has characters that cannot be said")
	case t.Text != strings.TrimSpace(t.Text):
		return stanza.BadRequest.Err("a tag's value has white space around it")
	}
	return nil
}

// validText reports whether a text is one line that XML can say: else it would be another on the way, and no
// claim would fit.
func validText(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(c rune) bool {
		return unicode.IsControl(c) || c == 0xfffe || c == 0xffff
	})
}

// Tags are what is known of a thing, in any order, each name once.
type Tags []Tag

// Check tells what is wrong with tags, as a *stanza.Error.
func (t Tags) Check() error {
	if len(t) > MaxTags {
		return errTags()
	}
	names := make(map[string]bool, len(t))
	for _, tag := range t {
		if err := tag.Check(); err != nil {
			return err
		}
		if names[tag.Name] {
			return stanza.BadRequest.Err("a tag is given twice")
		}
		names[tag.Name] = true
	}
	return nil
}

func errTags() error {
	return stanza.PolicyViolation.Err(fmt.Sprintf("a thing has more than %d tags", MaxTags))
}

// Get returns the tag of a name, in any case of letters.
func (t Tags) Get(name string) (Tag, bool) {
	return t.find(FoldName(name))
}

func (t Tags) find(name string) (Tag, bool) {
	for i := range t {
		if t[i].Name == name {
			return t[i], true
		}
	}
	return Tag{}, false
}

// Value is the value of the tag of a name as text, or "".
func (t Tags) Value(name string) string {
	tag, _ := t.Get(name)
	return tag.Value()
}

// Public returns the tags without KEY, which is never told. XEP-0347 §3.15
func (t Tags) Public() Tags {
	return slices.DeleteFunc(slices.Clone(t), func(tag Tag) bool { return tag.Name == KEY })
}

// Updated returns the tags with those of an Update in the place of theirs: a text that is empty removes a
// tag. XEP-0347 §3.13
func (t Tags) Updated(with Tags) Tags {
	out := slices.Clone(t)
	for _, tag := range with {
		i := slices.IndexFunc(out, func(old Tag) bool { return old.Name == tag.Name })
		switch remove := !tag.Numeric && tag.Text == ""; {
		case remove && i >= 0:
			out = slices.Delete(out, i, i+1)
		case remove:
		case i >= 0:
			out[i] = tag
		default:
			out = append(out, tag)
		}
	}
	return out
}

// Canonical returns bytes that two lists of tags share if and only if they are the same, in whatever order:
// what a registry looks a claim up by, hashed, so that it need not keep the key. XEP-0347 §3.9
func (t Tags) Canonical() []byte {
	sorted := slices.SortedFunc(slices.Values(t), func(a, b Tag) int { return strings.Compare(a.Name, b.Name) })
	var out []byte
	for _, tag := range sorted {
		out = appendCounted(out, tag.Name)
		kind := byte('s')
		if tag.Numeric {
			kind = 'n'
		}
		out = appendCounted(append(out, kind), tag.Value())
	}
	return out
}

func appendCounted(dst []byte, s string) []byte {
	return append(append(strconv.AppendInt(dst, int64(len(s)), 10), ':'), s...)
}

// Equal reports whether two lists are the same but for their order. How long it takes does not tell how
// much of them is the same.
func (t Tags) Equal(other Tags) bool {
	return subtle.ConstantTimeCompare(t.Canonical(), other.Canonical()) == 1
}

// Reserved reports whether a name's meaning is fixed, and of what type its values are. XEP-0347 §5.2
func Reserved(name string) (numeric, ok bool) {
	switch FoldName(name) {
	case ALT, LAT, LON, V:
		return true, true
	case APT, AREA, BLD, CITY, CLASS, COUNTRY, KEY, MAN, MLOC, MNR, MODEL, NAME, PURL, REGION, ROOM, SN, STREET, STREETNR:
		return false, true
	}
	return false, false
}

func formatNumber(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }

// parseNumber reads a finite xs:double.
func parseNumber(s string) (float64, error) {
	s = strings.Trim(s, " \t\r\n")
	if len(s) > MaxTagValue || strings.Trim(s, "+-.0123456789eE") != "" {
		return 0, stanza.BadRequest.Err("a number is not written as one")
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return 0, stanza.BadRequest.Err("a number is not written as one, or too large")
	}
	return f + 0, nil
}
