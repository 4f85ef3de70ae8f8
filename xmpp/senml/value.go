// SPDX-License-Identifier: Apache-2.0

package senml

import "encoding/base64"

// Kind is what values there are; 0 is none.
type Kind uint8

// The kinds of value. RFC 8428 §4.2
const (
	KindNumber Kind = iota + 1
	KindBool
	KindText
	KindData
)

// Value is a number, a truth, a text or bytes. The zero Value is none. Values can be compared; those
// of numbers are the same only if the same digits are written.
type Value struct {
	kind   Kind
	truth  bool
	number Number
	text   string // or the bytes
}

// NumberValue makes a value of a number; of the zero Number it makes none.
func NumberValue(n Number) Value {
	if n.IsZero() {
		return Value{}
	}
	return Value{kind: KindNumber, number: n}
}

// BoolValue makes a value of a truth.
func BoolValue(b bool) Value { return Value{kind: KindBool, truth: b} }

// TextValue makes a value of a text.
func TextValue(s string) Value { return Value{kind: KindText, text: s} }

// DataValue makes a value of a copy of bytes.
func DataValue(b []byte) Value { return Value{kind: KindData, text: string(b)} }

// Kind tells what the value is.
func (v Value) Kind() Kind { return v.kind }

// Number is the number, or none.
func (v Value) Number() Number { return v.number }

// Bool is the truth, or false.
func (v Value) Bool() bool { return v.truth }

// Text is the text, or "".
func (v Value) Text() string {
	if v.kind != KindText {
		return ""
	}
	return v.text
}

// Data is a copy of the bytes, or nil.
func (v Value) Data() []byte {
	if v.kind != KindData {
		return nil
	}
	return []byte(v.text)
}

// String is the value as it travels, but for the escapes of a text; bytes are in base64url.
func (v Value) String() string {
	switch {
	case v.kind == KindNumber:
		return v.number.String()
	case v.kind == KindBool && v.truth:
		return "true"
	case v.kind == KindBool:
		return "false"
	case v.kind == KindData:
		return base64.RawURLEncoding.EncodeToString([]byte(v.text))
	}
	return v.text
}
