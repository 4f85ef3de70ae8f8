// SPDX-License-Identifier: Apache-2.0

package thing

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/stonechat-im/stonechat/xmpp/senml"
)

// Kind is what values there are.
type Kind uint8

// The kinds of value.
const (
	Numeric Kind = iota + 1
	Boolean
	String
)

// Value is a number, a truth or a text. The zero value is none of them. Values can be compared; those
// of numbers are the same only if the same digits are written.
type Value struct{ v senml.Value }

// Number makes a value of a number; of NaN and the infinities it makes none.
func Number(n float64) Value {
	exact, err := senml.Float(n)
	if err != nil {
		return Value{}
	}
	return Value{senml.NumberValue(exact)}
}

// Bool makes a value of a truth.
func Bool(b bool) Value { return Value{senml.BoolValue(b)} }

// Text makes a value of a text.
func Text(s string) Value { return Value{senml.TextValue(s)} }

// Exactly makes a value of one of SenML, with all its digits; bytes become a text, in base64url.
func Exactly(v senml.Value) Value {
	if v.Kind() == senml.KindData {
		return Text(base64.RawURLEncoding.EncodeToString(v.Data()))
	}
	return Value{v}
}

// SenML is the value as the model of measurements has it.
func (v Value) SenML() senml.Value { return v.v }

// Kind tells what the value is; 0 is none.
func (v Value) Kind() Kind {
	switch v.v.Kind() {
	case senml.KindNumber:
		return Numeric
	case senml.KindBool:
		return Boolean
	case senml.KindText:
		return String
	}
	return 0
}

// Number is the number, or 1 and 0 of a truth.
func (v Value) Number() float64 {
	switch v.Kind() {
	case Numeric:
		return v.v.Number().Float64()
	case Boolean:
		if v.v.Bool() {
			return 1
		}
	}
	return 0
}

// Bool is the truth, or whether a number is not 0.
func (v Value) Bool() bool {
	if v.Kind() == Numeric {
		return v.Number() != 0
	}
	return v.v.Bool()
}

// String is the value for people; truth is on and off.
func (v Value) String() string {
	switch {
	case v.Kind() == Boolean && v.v.Bool():
		return "on"
	case v.Kind() == Boolean:
		return "off"
	case v.Kind() == Numeric && strings.Contains(v.v.String(), "e"):
		return strconv.FormatFloat(v.Number(), 'f', -1, 64)
	}
	return v.v.String()
}

// ParseValue reads what people write. Truth is on, off, true, false, yes, no, 1, 0.
func ParseValue(k Kind, s string) (Value, error) {
	switch k {
	case Numeric:
		n, err := senml.ParseNumber(s)
		if err != nil {
			return Value{}, fmt.Errorf("%q is not a number", s)
		}
		return Value{senml.NumberValue(n)}, nil
	case Boolean:
		switch strings.ToLower(s) {
		case "on", "true", "yes", "1":
			return Bool(true), nil
		case "off", "false", "no", "0":
			return Bool(false), nil
		}
		return Value{}, fmt.Errorf("%q is neither on nor off", s)
	case String:
		return Text(s), nil
	}
	return Value{}, errors.New("a value needs a kind")
}
