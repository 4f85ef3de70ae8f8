// SPDX-License-Identifier: Apache-2.0

package thing

// How to read this file: Value and Field, as programs make them and people read them; then the
// SenML that programs read.

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/jsonmsg"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// Datatype is the type of the JSON that readings are told in: a SenML pack, RFC 8428 §5.
const Datatype = "urn:ietf:rfc:8428"

// Kind is what values there are.
type Kind uint8

// The kinds of value.
const (
	Numeric Kind = iota + 1
	Boolean
	String
)

// Value is a number, a truth or a text. The zero value is none of them.
type Value struct {
	kind   Kind
	number float64
	text   string
}

// Number makes a value of a number.
func Number(n float64) Value { return Value{kind: Numeric, number: n} }

// Bool makes a value of a truth.
func Bool(b bool) Value {
	if b {
		return Value{kind: Boolean, number: 1}
	}
	return Value{kind: Boolean}
}

// Text makes a value of a text.
func Text(s string) Value { return Value{kind: String, text: s} }

// Kind tells what the value is; 0 is none.
func (v Value) Kind() Kind { return v.kind }

// Number is the number, or 1 and 0 of a truth.
func (v Value) Number() float64 { return v.number }

// Bool is the truth, or whether a number is not 0.
func (v Value) Bool() bool { return v.number != 0 }

// String is the value for people; truth is on and off.
func (v Value) String() string {
	switch {
	case v.kind == Numeric:
		return strconv.FormatFloat(v.number, 'f', -1, 64)
	case v.kind == Boolean && v.Bool():
		return "on"
	case v.kind == Boolean:
		return "off"
	}
	return v.text
}

// ParseValue reads what people write. Truth is on, off, true, false, yes, no, 1, 0.
func ParseValue(k Kind, s string) (Value, error) {
	switch k {
	case Numeric:
		n, err := strconv.ParseFloat(s, 64)
		if err != nil || math.IsNaN(n) || math.IsInf(n, 0) {
			return Value{}, fmt.Errorf("%q is not a number", s)
		}
		return Number(n), nil
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

// Field is one thing measured.
type Field struct {
	Name  string // letters, digits and - : . / _ , a letter or digit first
	Value Value
	Unit  string    // of the registry of SenML units, "Cel" or "%RH" say; "" is none
	Time  time.Time // when it was measured; zero is when it is reported
}

// fieldName is RFC 8428 §4.5.1.
var fieldName = regexp.MustCompile(`^[A-Za-z0-9][-A-Za-z0-9:./_]*$`)

func (f *Field) check() error {
	switch {
	case !fieldName.MatchString(f.Name):
		return fmt.Errorf("thing: %q is no name of a field: letters, digits and -:./_", f.Name)
	case f.Value.kind == 0:
		return fmt.Errorf("thing: %s has no value", f.Name)
	case math.IsNaN(f.Value.number) || math.IsInf(f.Value.number, 0):
		return fmt.Errorf("thing: %s is not a number: report nothing, or a text that says why", f.Name)
	}
	return nil
}

// signs are units as people write them.
var signs = map[string]string{"Cel": "°C", "%RH": "% RH", "/": "", "1": "", "degC": "°C", "Ohm": "Ω", "deg": "°"}

// String is the field for people: "temperature 21.5 °C".
func (f Field) String() string {
	unit, ok := signs[f.Unit]
	if !ok {
		unit = f.Unit
	}
	if unit != "" {
		unit = " " + unit
	}
	return f.Name + " " + f.Value.String() + unit
}

// record is a SenML record. RFC 8428 §4
type record struct {
	BaseName string   `json:"bn,omitempty"`
	BaseTime float64  `json:"bt,omitempty"`
	BaseUnit string   `json:"bu,omitempty"`
	Name     string   `json:"n,omitempty"`
	Unit     string   `json:"u,omitempty"`
	Value    *float64 `json:"v,omitempty"`
	Bool     *bool    `json:"vb,omitempty"`
	Text     *string  `json:"vs,omitempty"`
	Time     float64  `json:"t,omitempty"`
}

// pack makes records of fields.
func pack(fields []Field) []record {
	list := make([]record, len(fields))
	for i, f := range fields {
		r := &list[i]
		r.Name, r.Unit, r.Time = f.Name, f.Unit, float64(f.Time.UnixMilli())/1000
		switch f.Value.kind {
		case Numeric:
			r.Value = &f.Value.number
		case Boolean:
			b := f.Value.Bool()
			r.Bool = &b
		default:
			r.Text = &f.Value.text
		}
	}
	return list
}

// payload makes the JSON of fields.
func payload(fields []Field) (stanza.Payload, error) {
	data, err := json.Marshal(pack(fields))
	if err != nil {
		return nil, fmt.Errorf("thing: %w", err)
	}
	return &jsonmsg.Payload{Datatype: Datatype, JSON: data}, nil
}

// text is fields for people, on one line.
func text(fields []Field) string {
	list := make([]string, len(fields))
	for i, f := range fields {
		list[i] = f.String()
	}
	return strings.Join(list, ", ")
}

// FieldsOf reads a thing's reading from a message, for programs that listen to things. It returns
// nothing if there is none.
func FieldsOf(s *stanza.Stanza) ([]Field, error) {
	var p jsonmsg.Payload
	found, err := s.Decode(&p)
	if err != nil || !found || p.Datatype != Datatype {
		return nil, err
	}
	var list []record
	if err := json.Unmarshal(p.JSON, &list); err != nil {
		return nil, fmt.Errorf("thing: the reading is no SenML: %w", err)
	}
	return unpack(list), nil
}

// unpack makes fields of records.
func unpack(list []record) []Field {
	var fields []Field
	var base record // RFC 8428 §4.6: a base counts from its record on
	for _, r := range list {
		if r.BaseName != "" {
			base.BaseName = r.BaseName
		}
		if r.BaseTime != 0 {
			base.BaseTime = r.BaseTime
		}
		if r.BaseUnit != "" {
			base.BaseUnit = r.BaseUnit
		}
		f := Field{Name: base.BaseName + r.Name, Unit: r.Unit}
		if f.Unit == "" {
			f.Unit = base.BaseUnit
		}
		if t := base.BaseTime + r.Time; t > 1<<28 && t < 253402300800 { // less is relative to now: §4.5.3; more has no date
			f.Time = time.UnixMilli(int64(math.Round(t * 1000))).UTC()
		}
		switch {
		case r.Value != nil:
			f.Value = Number(*r.Value)
		case r.Bool != nil:
			f.Value = Bool(*r.Bool)
		case r.Text != nil:
			f.Value = Text(*r.Text)
		default:
			continue // only bases, or a kind that we do not know
		}
		fields = append(fields, f)
	}
	return fields
}
