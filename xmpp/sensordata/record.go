// SPDX-License-Identifier: Apache-2.0

package sensordata

// How to read this file: Mapping turns fields into records and back; then come names, which SenML keeps narrow, and values.

import (
	"math"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/stonechat-im/stonechat/xmpp/senml"
	"github.com/stonechat-im/stonechat/xmpp/xsd"
)

// Mapping is how fields are records of SenML, and records fields. What both can say is the same after there and back: names of
// nodes and fields, values with their digits, units, and times to the nanosecond. Fields alone have categories, qualities, types of
// dates and enumerations, and offsets from UTC; records alone have sums, update times, bytes, and what is relative to now.
type Mapping struct {
	Base       string         // what all names of records begin with: urn:dev:mac:0024befffe804ff1: or so; may be empty
	Zone       *time.Location // of times that have no offset; nil is UTC
	Now        time.Time      // what relative times of records count from
	Categories Category       // of fields that records become
}

// Pack is the records of fields; left is how many are in no pack: those that are Missing, are no finite number or have a time
// before 1978.
func (m *Mapping) Pack(nodes []NodeFields) (p senml.Pack, left int) {
	for i := range nodes {
		n := &nodes[i]
		for j := range n.Timestamps {
			t := &n.Timestamps[j]
			for k := range t.Fields {
				if r, ok := m.Record(n.Node, t.At, &t.Fields[k]); ok {
					p = append(p, r)
				} else {
					left++
				}
			}
		}
	}
	return p, left
}

// Record is the record of one field; ok is false where there is none.
func (m *Mapping) Record(n Node, at xsd.DateTime, f *Field) (r senml.Record, ok bool) {
	when, dated := senml.At(at.In(m.Zone))
	if r = (senml.Record{Name: m.Base + recordName(m.Base, n, f.Name), Value: f.Senml(), Time: when}); f.Type == TypeNumeric {
		r.Unit = senml.SymbolOf(f.Unit)
	}
	return r, dated && r.Check() == nil
}

// Nodes is the fields of records, in the order in which nodes and times come; left is how many cannot be said: those of another
// base, and those with nothing but a sum. Texts and bytes, in base64url, become strings.
func (m *Mapping) Nodes(p senml.Pack) (nodes []NodeFields, left int) {
	all := NewReadout(Request{}, Bounds{Fields: math.MaxInt, Bytes: math.MaxInt})
	for i := range p {
		n, at, f, ok := m.Field(&p[i])
		if !ok {
			left++
			continue
		}
		f.Quality |= Signed // as two of one name and time: the later one counts
		_ = all.addField(n, at, &f)
	}
	for _, n := range all.nodes {
		for _, t := range n.Timestamps {
			for k := range t.Fields {
				t.Fields[k].Quality = 0
			}
		}
	}
	return all.nodes, left
}

// Field is the field of one record; ok is false where there is none.
func (m *Mapping) Field(r *senml.Record) (n Node, at xsd.DateTime, f Field, ok bool) {
	name, based := strings.CutPrefix(r.Name, m.Base)
	n, field, named := parseName(m.Base, name)
	f, valued := fieldOf(field, r)
	f.Categories = m.Categories
	return n, xsd.At(r.Time.Date(m.Now)), f, based && named && valued
}

// Senml is the value of a field; of one that is Missing or is no finite number, it is none. What is not a number or a truth is a
// text.
func (f *Field) Senml() senml.Value {
	if f.Quality&Missing != 0 {
		return senml.Value{}
	}
	switch f.Type {
	case TypeNumeric, TypeInt, TypeLong:
		n, _ := f.Number()
		return senml.NumberValue(n)
	case TypeBoolean:
		v, _ := f.Bool()
		return senml.BoolValue(v)
	}
	return senml.TextValue(f.Value)
}

// fieldOf is a field of a record's value. A number without a unit and without decimals is an integer, if it fits.
func fieldOf(name string, r *senml.Record) (Field, bool) {
	switch v := r.Value; v.Kind() {
	case senml.KindNumber:
		n := v.Number()
		if r.Unit == "" && strings.Trim(n.String(), "-0123456789") == "" {
			if i, ok := n.Int64(); ok && i >= math.MinInt32 && i <= math.MaxInt32 {
				return Field{Name: name, Type: TypeInt, Value: n.String()}, true
			} else if ok {
				return Field{Name: name, Type: TypeLong, Value: n.String()}, true
			}
		}
		return Numeric(name, n, senml.Spelling(r.Unit)), true
	case senml.KindBool:
		return Boolean(name, v.Bool()), true
	case senml.KindText, senml.KindData:
		return String(name, v.String()), true
	}
	return Field{}, false
}

// recordName is the name of a field of a node: FIELD, NODE/FIELD, SOURCE/NODE/FIELD or SOURCE/CACHE/NODE/FIELD. One that nothing
// comes before must begin with a letter or digit: z stands before an escape there, and says nothing.
func recordName(base string, n Node, field string) string {
	var parts []string
	switch {
	case n.Cache != "":
		parts = []string{n.Source, n.Cache, n.ID, field}
	case n.Source != "":
		parts = []string{n.Source, n.ID, field}
	case n.ID != "":
		parts = []string{n.ID, field}
	default:
		parts = []string{field}
	}
	first := parts[0]
	for i := range parts {
		parts[i] = escape(parts[i])
	}
	if base == "" {
		switch {
		case first == "":
			parts[0] = "z_x00"
		case first[0] == 'z' && strings.HasPrefix(parts[0], "z_x"):
			parts[0] = "z_x7A" + parts[0][1:]
		case !letter(first[0]):
			parts[0] = "z" + string(appendEscape(nil, first[0])) + escape(first[1:])
		}
	}
	return strings.Join(parts, "/")
}

// parseName reads what recordName writes, and names that others have made: those have no more parts, and no bytes that are no
// text.
func parseName(base, name string) (n Node, field string, ok bool) {
	if base == "" && strings.HasPrefix(name, "z_") && isEscape(name[2:]) {
		name = name[1:]
	}
	parts := strings.Split(name, "/")
	for i := range parts {
		parts[i] = unescape(parts[i])
		if !utf8.ValidString(parts[i]) || strings.ContainsFunc(parts[i], unicode.IsControl) {
			return Node{}, "", false
		}
	}
	switch field = parts[len(parts)-1]; len(parts) {
	case 1:
		return Node{}, field, field != ""
	case 2:
		return Node{ID: parts[0]}, field, field != ""
	case 3:
		return Node{ID: parts[1], Source: parts[0]}, field, field != ""
	case 4:
		return Node{ID: parts[2], Source: parts[0], Cache: parts[1]}, field, field != ""
	}
	return Node{}, "", false
}

// escape writes a name with the characters that SenML has in names: a space as _, all else that it has not as _x and two
// hexadecimal digits for each byte. RFC 8428 §4.5.1
func escape(s string) string {
	dst := make([]byte, 0, len(s))
	for i := range len(s) {
		switch c := s[i]; {
		case letter(c) || c == '-' || c == '.' || c == ':':
			dst = append(dst, c)
		case c == ' ' && !isEscape(s[i+1:]):
			dst = append(dst, '_')
		default:
			dst = appendEscape(dst, c)
		}
	}
	return string(dst)
}

func appendEscape(dst []byte, c byte) []byte {
	const digits = "0123456789ABCDEF"
	return append(dst, '_', 'x', digits[c>>4], digits[c&15])
}

func unescape(s string) string {
	if s == "_x00" { // an empty part, where one must not be empty
		return ""
	}
	if !strings.Contains(s, "_") {
		return s
	}
	dst := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] != '_':
			dst = append(dst, s[i])
		case isEscape(s[i+1:]):
			dst = append(dst, hex(s[i+2])<<4|hex(s[i+3]))
			i += 3
		default:
			dst = append(dst, ' ')
		}
	}
	return string(dst)
}

func letter(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// isEscape reports whether a text begins as what follows the _ of an escape.
func isEscape(s string) bool { return len(s) > 2 && s[0] == 'x' && hex(s[1]) < 16 && hex(s[2]) < 16 }

func hex(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	}
	return 255
}
