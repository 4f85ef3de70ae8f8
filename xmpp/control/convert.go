// SPDX-License-Identifier: Apache-2.0

package control

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/senml"
	"github.com/stonechat-im/stonechat/xmpp/sensordata"
	"github.com/stonechat-im/stonechat/xmpp/xsd"
)

// Senml is the value as SenML has it: a number with its digits, a truth, or a text. There is none of an infinite number.
func (p *Parameter) Senml() senml.Value {
	switch p.Type {
	case TypeBoolean:
		v, _ := p.Bool()
		return senml.BoolValue(v)
	case TypeInt, TypeLong, TypeDouble:
		n, _ := p.Number()
		return senml.NumberValue(n)
	}
	return senml.TextValue(p.Value)
}

var errConvert = errors.New("control: the value is none of that type")

// FromSenml makes a parameter of a type of a value: what Senml has made comes back. An integer may have an exponent or decimals of
// zeros only.
func FromSenml(name string, t Type, v senml.Value) (Parameter, error) {
	p := Parameter{Name: name, Type: t}
	switch {
	case v.Kind() == senml.KindBool && t == TypeBoolean, v.Kind() == senml.KindNumber && t == TypeDouble:
		p.Value = v.String()
	case v.Kind() == senml.KindNumber && (t == TypeInt || t == TypeLong):
		i, ok := v.Number().Int64()
		if !ok {
			return p, errConvert
		}
		p.Value = strconv.FormatInt(i, 10)
	case v.Kind() == senml.KindText && t != TypeBoolean && t != TypeInt && t != TypeLong && t != TypeDouble:
		p.Value = v.Text()
	default:
		return p, errConvert
	}
	clean, err := t.Clean(p.Value)
	if err != nil {
		return p, errConvert
	}
	p.Value = clean
	return p, nil
}

// FromField is what a parameter of a type is now, by a field of its name; ok is false where the types have nothing to do with each
// other, or the value cannot be said. Numbers lose the decimals that an integer has not, and an enumeration has no numbers here.
// XEP-0325 §5.2.2
func FromField(t Type, f *sensordata.Field) (p Parameter, ok bool) {
	if f.Quality&sensordata.Missing != 0 {
		return Parameter{}, false
	}
	value, ok := convert(t, f)
	if !ok {
		return Parameter{}, false
	}
	clean, err := t.Clean(value)
	return Parameter{f.Name, t, clean}, err == nil
}

func convert(t Type, f *sensordata.Field) (value string, ok bool) {
	if t == TypeString {
		return f.Value, true
	}
	switch f.Type {
	case sensordata.TypeBoolean:
		return fromBoolean(t, f.Value)
	case sensordata.TypeInt, sensordata.TypeLong, sensordata.TypeNumeric:
		return fromNumber(t, f.Value)
	case sensordata.TypeString:
		return fromText(t, f.Value)
	case sensordata.TypeDate:
		d, err := xsd.ParseDate(f.Value)
		switch t {
		case TypeDate:
			return f.Value, true
		case TypeDateTime:
			return d.DateTime().String(), err == nil
		}
	case sensordata.TypeDateTime:
		d, err := xsd.ParseDateTime(f.Value)
		switch t {
		case TypeDate:
			return d.Date().String(), err == nil
		case TypeTime:
			return d.Time().String(), err == nil
		case TypeDateTime:
			return f.Value, true
		}
	case sensordata.TypeDuration:
		d, err := xsd.ParseDuration(f.Value)
		switch t {
		case TypeTime:
			return xsd.Clock(d.Time).String(), err == nil && d.Months == 0 && d.Time >= 0 && d.Time < 24*time.Hour
		case TypeDuration:
			return f.Value, true
		}
	case sensordata.TypeTime:
		d, err := xsd.ParseTime(f.Value)
		switch t {
		case TypeDuration:
			return xsd.Duration{Time: d.SinceMidnight()}.String(), err == nil
		case TypeTime:
			return f.Value, true
		}
	}
	return "", false
}

func fromBoolean(t Type, value string) (string, bool) {
	v, err := xsd.ParseBoolean(value)
	switch {
	case err != nil:
	case t == TypeBoolean:
		return value, true
	case (t == TypeInt || t == TypeLong || t == TypeDouble) && v:
		return "1", true
	case t == TypeInt || t == TypeLong || t == TypeDouble:
		return "0", true
	}
	return "", false
}

func fromNumber(t Type, value string) (string, bool) {
	switch t {
	case TypeBoolean:
		v, err := xsd.ParseDouble(value)
		return strconv.FormatBool(v != 0), err == nil && !math.IsNaN(v)
	case TypeDouble:
		return value, true
	case TypeInt, TypeLong:
		if _, err := xsd.ParseInt(value, 64); err == nil {
			return value, true // and no detour by a double
		}
		v, err := xsd.ParseDouble(value)
		return strconv.FormatFloat(math.Trunc(v), 'f', 0, 64), err == nil && !math.IsInf(v, 0) && !math.IsNaN(v)
	}
	return "", false
}

// fromText reads what somebody has written; dates also as mail has them.
func fromText(t Type, value string) (string, bool) {
	if clean, err := t.Clean(value); err == nil && t != TypeBoolean {
		return clean, true
	}
	value = strings.TrimSpace(value)
	switch t {
	case TypeDate, TypeDateTime:
		for _, layout := range [...]string{time.RFC1123Z, time.RFC1123, time.RFC822Z, time.RFC822} {
			if v, err := time.Parse(layout, value); err == nil && t == TypeDate {
				return xsd.On(v).String(), true
			} else if err == nil {
				return xsd.At(v).String(), true
			}
		}
	case TypeDuration:
		if d, err := xsd.ParseTime(value); err == nil {
			return xsd.Duration{Time: d.SinceMidnight()}.String(), true
		}
	}
	return "", false
}

// Current is what a parameter is now, by the fields of a readout of Momentary and Status values: by a momentary one if there is any
// that can say it, else by a status. XEP-0325 §5.2.2
func Current(name string, t Type, fields []sensordata.Field) (Parameter, bool) {
	for _, c := range [...]sensordata.Category{sensordata.Momentary, sensordata.Status} {
		for i := range fields {
			f := &fields[i]
			if f.Name != name || f.Categories&c == 0 || f.Writable == sensordata.WritableNo {
				continue
			}
			if p, ok := FromField(t, f); ok {
				return p, true
			}
		}
	}
	return Parameter{}, false
}
