// SPDX-License-Identifier: Apache-2.0

package control

import (
	"strconv"

	"github.com/stonechat-im/stonechat/xmpp/senml"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xsd"
)

// Type is the type of a parameter. XEP-0325 §3.2
type Type uint8

// The types.
const (
	TypeBoolean Type = iota + 1
	TypeColor        // RRGGBB or RRGGBBAA, in hexadecimal digits
	TypeDate
	TypeDateTime
	TypeDouble
	TypeDuration
	TypeInt
	TypeLong
	TypeString
	TypeTime
	typesEnd
)

// String is the name of a type, "" for none.
func (t Type) String() string {
	if t < typesEnd {
		return xep.types[t]
	}
	return ""
}

// Schema is the type of XML Schema that values have; colours are strings.
func (t Type) Schema() xsd.Type {
	switch t {
	case TypeBoolean:
		return xsd.TypeBoolean
	case TypeDate:
		return xsd.TypeDate
	case TypeDateTime:
		return xsd.TypeDateTime
	case TypeDouble:
		return xsd.TypeDouble
	case TypeDuration:
		return xsd.TypeDuration
	case TypeInt:
		return xsd.TypeInt
	case TypeLong:
		return xsd.TypeLong
	case TypeTime:
		return xsd.TypeTime
	}
	return xsd.TypeString
}

// Clean checks that s is a value of the type, and returns it as it is kept: see xsd.Type.Clean. The error is a *stanza.Error.
func (t Type) Clean(s string) (string, error) {
	clean, err := t.Schema().Clean(s)
	if err == nil && t == TypeColor {
		_, err = ParseColor(clean)
	}
	if err != nil {
		return "", stanza.BadRequest.Err("no value of this type")
	}
	return clean, nil
}

// Parameter is one thing to be set. Parameters can be compared.
type Parameter struct {
	Name  string
	Type  Type
	Value string // as Type writes it
}

// Boolean makes a parameter of a truth.
func Boolean(name string, v bool) Parameter {
	return Parameter{name, TypeBoolean, strconv.FormatBool(v)}
}

// Int makes a parameter of an integer.
func Int(name string, v int32) Parameter {
	return Parameter{name, TypeInt, strconv.FormatInt(int64(v), 10)}
}

// Long makes a parameter of a large integer.
func Long(name string, v int64) Parameter {
	return Parameter{name, TypeLong, strconv.FormatInt(v, 10)}
}

// Double makes a parameter of a number, with its digits.
func Double(name string, n senml.Number) Parameter { return Parameter{name, TypeDouble, n.String()} }

// String makes a parameter of a text.
func String(name, text string) Parameter { return Parameter{name, TypeString, text} }

// Color makes a parameter of a colour.
func Color(name string, v RGBA) Parameter { return Parameter{name, TypeColor, v.String()} }

// Date makes a parameter of a day.
func Date(name string, v xsd.Date) Parameter { return Parameter{name, TypeDate, v.String()} }

// Time makes a parameter of a time of day.
func Time(name string, v xsd.Time) Parameter { return Parameter{name, TypeTime, v.String()} }

// DateTime makes a parameter of a point in time.
func DateTime(name string, v xsd.DateTime) Parameter {
	return Parameter{name, TypeDateTime, v.String()}
}

// Duration makes a parameter of how long something lasts.
func Duration(name string, v xsd.Duration) Parameter {
	return Parameter{name, TypeDuration, v.String()}
}

// Bool is the value as a truth; ok is false where it is none.
func (p *Parameter) Bool() (v, ok bool) {
	if p.Type != TypeBoolean {
		return false, false
	}
	v, err := xsd.ParseBoolean(p.Value)
	return v, err == nil
}

// Number is the value as a number, with its digits; ok is false where it is none.
func (p *Parameter) Number() (n senml.Number, ok bool) {
	switch p.Type {
	case TypeInt, TypeLong, TypeDouble:
		n, err := senml.ParseNumber(p.Value)
		return n, err == nil
	}
	return n, false
}

// RGBA is a colour. XEP-0331 §2
type RGBA struct {
	R, G, B, A uint8 // A is 255 where nothing shines through
}

// ParseColor reads RRGGBB or RRGGBBAA.
func ParseColor(s string) (RGBA, error) {
	v, err := strconv.ParseUint(s, 16, 32)
	switch {
	case err != nil || s[0] == '+':
	case len(s) == 6:
		return RGBA{uint8(v >> 16), uint8(v >> 8), uint8(v), 255}, nil
	case len(s) == 8:
		return RGBA{uint8(v >> 24), uint8(v >> 16), uint8(v >> 8), uint8(v)}, nil
	}
	return RGBA{}, stanza.BadRequest.Err("a color is RRGGBB or RRGGBBAA")
}

// String is the colour as ParseColor reads it, without A where it is 255.
func (c RGBA) String() string {
	const digits = "0123456789ABCDEF"
	dst := make([]byte, 0, 8)
	for i, v := range [...]uint8{c.R, c.G, c.B, c.A} {
		if i < 3 || v != 255 {
			dst = append(dst, digits[v>>4], digits[v&15])
		}
	}
	return string(dst)
}
