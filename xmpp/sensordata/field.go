// SPDX-License-Identifier: Apache-2.0

package sensordata

import (
	"math/bits"
	"strconv"
	"strings"

	"github.com/stonechat-im/stonechat/xmpp/senml"
	"github.com/stonechat-im/stonechat/xmpp/xsd"
)

// Category is a set of what kinds of value a field has (field types). A request of several wants fields that have any of them; a
// field of several has all of them. XEP-0323 §5.6
type Category uint16

// The categories.
const (
	Momentary        Category = 1 << iota // measured now
	Peak                                  // a maximum or minimum of a period
	Status                                // how something is
	Computed                              // instead of measured
	Identity                              // serial numbers, names, places
	HistoricalSecond                      // stored at a full second, and so on
	HistoricalMinute
	HistoricalHour
	HistoricalDay
	HistoricalWeek
	HistoricalMonth
	HistoricalQuarter
	HistoricalYear
	HistoricalOther // stored at any other time; asked for: at any time

	Historical = HistoricalSecond | HistoricalMinute | HistoricalHour | HistoricalDay | HistoricalWeek | HistoricalMonth |
		HistoricalQuarter | HistoricalYear | HistoricalOther
	All = Momentary | Peak | Status | Computed | Identity | Historical
)

// String names the categories, with spaces between.
func (c Category) String() string { return join(uint16(c), xep.categories[:]) }

// Quality is a set of what is to be known of how good a value is (QoS flags). XEP-0323 §5.7
type Quality uint16

// The qualities, in their order: see Better.
const (
	Missing    Quality = 1 << iota // there is no value
	InProgress                     // not final yet
	AutomaticEstimate
	ManualEstimate
	ManualReadout
	AutomaticReadout // what a field has that has none
	TimeOffset       // the clock was corrected
	Warning          // was logged meanwhile
	Error            // was logged meanwhile
	Signed           // by an operator
	Invoiced
	EndOfSeries  // such as at a change of tenants
	PowerFailure // meanwhile
	InvoiceConfirmed
)

// String names the qualities, with spaces between.
func (q Quality) String() string { return join(uint16(q), xep.qualities[:]) }

// Better reports whether a value of quality q may replace one of quality p: one that is as good or better, or that an operator has
// signed. XEP-0323 §5.7
func (q Quality) Better(p Quality) bool { return q&Signed != 0 || q.rank() >= p.rank() }

// rank is the place of the last quality that says how sure a value is.
func (q Quality) rank() int {
	const sure = Missing | InProgress | AutomaticEstimate | ManualEstimate | ManualReadout | AutomaticReadout | Signed | Invoiced | InvoiceConfirmed
	if q &= sure; q == 0 {
		q = AutomaticReadout
	}
	if q&Missing != 0 {
		return 1
	}
	return bits.Len16(uint16(q))
}

func join(set uint16, names []string) string {
	var b strings.Builder
	for i, name := range names {
		if set&(1<<i) == 0 {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(name)
	}
	return b.String()
}

// Type is the type of a field's value. XEP-0323 §5.4
type Type uint8

// The types.
const (
	TypeBoolean Type = iota + 1
	TypeDate
	TypeDateTime
	TypeDuration
	TypeEnum // a word of an enumeration, and which one that is
	TypeInt
	TypeLong
	TypeNumeric // a number with as many decimals as it is precise to, and a unit
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

// Schema is the type of XML Schema that values have.
func (t Type) Schema() xsd.Type {
	switch t {
	case TypeBoolean:
		return xsd.TypeBoolean
	case TypeDate:
		return xsd.TypeDate
	case TypeDateTime:
		return xsd.TypeDateTime
	case TypeDuration:
		return xsd.TypeDuration
	case TypeInt:
		return xsd.TypeInt
	case TypeLong:
		return xsd.TypeLong
	case TypeNumeric:
		return xsd.TypeDouble
	case TypeTime:
		return xsd.TypeTime
	}
	return xsd.TypeString
}

// Writable says whether a field is a control parameter of the same name, too. XEP-0323 §5.10
type Writable uint8

// What is known of it.
const (
	WritableUnknown Writable = iota
	WritableYes
	WritableNo
)

// Field is one value. Fields can be compared.
type Field struct {
	Name       string
	Type       Type
	Value      string // as Type writes it, with the digits that were written; "" only of a Missing one and of texts
	Unit       string // of TypeNumeric, as people write it: °C
	DataType   string // of TypeEnum: which enumeration
	Categories Category
	Quality    Quality
	// Module and StringIDs are how the name is said in other languages. XEP-0323 §6.2
	Module, StringIDs string
	Writable          Writable
}

// Numeric makes a field of a number. None makes one that is Missing.
func Numeric(name string, n senml.Number, unit string) Field {
	f := Field{Name: name, Type: TypeNumeric, Value: n.String(), Unit: unit}
	if n.IsZero() {
		f.Quality = Missing
	}
	return f
}

// Boolean makes a field of a truth.
func Boolean(name string, v bool) Field {
	return Field{Name: name, Type: TypeBoolean, Value: strconv.FormatBool(v)}
}

// String makes a field of a text.
func String(name, text string) Field { return Field{Name: name, Type: TypeString, Value: text} }

// Enum makes a field of a word of an enumeration.
func Enum(name, word, dataType string) Field {
	return Field{Name: name, Type: TypeEnum, Value: word, DataType: dataType}
}

// Int makes a field of an integer.
func Int(name string, v int32) Field { return number(name, TypeInt, int64(v)) }

// Long makes a field of a large integer.
func Long(name string, v int64) Field { return number(name, TypeLong, v) }

func number(name string, t Type, v int64) Field {
	return Field{Name: name, Type: t, Value: strconv.FormatInt(v, 10)}
}

// DateTime makes a field of a point in time.
func DateTime(name string, v xsd.DateTime) Field { return timed(name, TypeDateTime, v.String()) }

// Date makes a field of a day.
func Date(name string, v xsd.Date) Field { return timed(name, TypeDate, v.String()) }

// Time makes a field of a time of day.
func Time(name string, v xsd.Time) Field { return timed(name, TypeTime, v.String()) }

// Duration makes a field of how long something lasts.
func Duration(name string, v xsd.Duration) Field { return timed(name, TypeDuration, v.String()) }

func timed(name string, t Type, value string) Field {
	f := Field{Name: name, Type: t, Value: value}
	if value == "" {
		f.Quality = Missing
	}
	return f
}

// Number is the value as a number, with its digits; ok is false where it is none.
func (f *Field) Number() (n senml.Number, ok bool) {
	switch f.Type {
	case TypeNumeric, TypeInt, TypeLong:
		n, err := senml.ParseNumber(f.Value)
		return n, err == nil
	}
	return n, false
}

// Bool is the value as a truth; ok is false where it is none.
func (f *Field) Bool() (v, ok bool) {
	if f.Type != TypeBoolean {
		return false, false
	}
	v, err := xsd.ParseBoolean(f.Value)
	return v, err == nil
}
