// SPDX-License-Identifier: Apache-2.0

// Package xsd reads and writes values of the simple types of XML Schema, which things tell and take: numbers, truths, texts,
// dates, times of day, and how long something lasts.
//
// Texts keep what was written but for white space around it, so that no digit is lost; the types DateTime, Date, Time and
// Duration have what it means. Two things are bounded: years are 2 to 9999, and durations what a time.Duration holds, beside
// their months.
//
// How to read this package: xsd.go has the types and what all share; datetime.go dates and times; duration.go how long.
//
// XML Schema Part 2, second edition, §3.2 and §3.3
package xsd

import (
	"cmp"
	"errors"
	"math"
	"strconv"
	"strings"
)

// MaxLength is how many bytes a value has that is no string.
const MaxLength = 64

// Type is a simple type; 0 is none that is known.
type Type uint8

// The types.
const (
	TypeString Type = iota + 1
	TypeBoolean
	TypeInt    // 32 bits
	TypeLong   // 64 bits
	TypeDouble // or INF, -INF, NaN
	TypeDate
	TypeTime // of a day
	TypeDateTime
	TypeDuration
)

var names = [...]string{
	TypeString: "xs:string", TypeBoolean: "xs:boolean", TypeInt: "xs:int", TypeLong: "xs:long", TypeDouble: "xs:double",
	TypeDate: "xs:date", TypeTime: "xs:time", TypeDateTime: "xs:dateTime", TypeDuration: "xs:duration",
}

var errValue = errors.New("xsd: no value of that type")

// ParseType finds a type by its name with the prefix xs, which data forms fix. XEP-0122 §3.1
func ParseType(name string) (Type, bool) {
	for t := TypeString; int(t) < len(names); t++ {
		if names[t] == name {
			return t, true
		}
	}
	return 0, false
}

// String is the name of a type, with the prefix xs; "" for none.
func (t Type) String() string {
	if int(t) < len(names) {
		return names[t]
	}
	return ""
}

// Clean checks that s is a value of the type, and returns it without white space around it; a boolean becomes true or false.
// A string is any, and stays as it is.
func (t Type) Clean(s string) (string, error) {
	if t == TypeString {
		return s, nil
	}
	if s = trim(s); len(s) > MaxLength {
		return "", errValue
	}
	var err error
	switch t {
	case TypeBoolean:
		var v bool
		if v, err = ParseBoolean(s); err == nil {
			return strconv.FormatBool(v), nil
		}
	case TypeInt:
		_, err = ParseInt(s, 32)
	case TypeLong:
		_, err = ParseInt(s, 64)
	case TypeDouble:
		_, err = ParseDouble(s)
	case TypeDate:
		_, err = ParseDate(s)
	case TypeTime:
		_, err = ParseTime(s)
	case TypeDateTime:
		_, err = ParseDateTime(s)
	case TypeDuration:
		_, err = ParseDuration(s)
	default:
		err = errValue
	}
	if err != nil {
		return "", err
	}
	return s, nil
}

// Compare is -1, 0 or 1 as a is before b, the same, or after; ok is false where the type has no order, where one of them is no
// value of it, and for NaN. Where one has an offset from UTC and the other has none, both are taken to have it.
func (t Type) Compare(a, b string) (c int, ok bool) {
	switch t {
	case TypeInt, TypeLong:
		return compare(a, b, func(s string) (int64, error) { return ParseInt(s, 64) }, cmp.Compare)
	case TypeDouble:
		c, ok = compare(a, b, ParseDouble, cmp.Compare)
		return c, ok && trim(a) != "NaN" && trim(b) != "NaN"
	case TypeDate:
		return compare(a, b, ParseDate, Date.Compare)
	case TypeTime:
		return compare(a, b, ParseTime, Time.Compare)
	case TypeDateTime:
		return compare(a, b, ParseDateTime, DateTime.Compare)
	case TypeDuration:
		return compare(a, b, ParseDuration, Duration.Compare)
	}
	return 0, false
}

func compare[V any](a, b string, parse func(string) (V, error), order func(V, V) int) (int, bool) {
	v, err := parse(a)
	w, errToo := parse(b)
	if err != nil || errToo != nil {
		return 0, false
	}
	return order(v, w), true
}

// ParseBoolean reads true, false, 1 or 0.
func ParseBoolean(s string) (bool, error) {
	switch trim(s) {
	case "true", "1":
		return true, nil
	case "false", "0":
		return false, nil
	}
	return false, errValue
}

// ParseInt reads an integer of so many bits.
func ParseInt(s string, bits int) (int64, error) {
	s = trim(s)
	if len(s) > MaxLength {
		return 0, errValue
	}
	n, err := strconv.ParseInt(s, 10, bits)
	if err != nil {
		return 0, errValue
	}
	return n, nil
}

// ParseDouble reads a double. What is too large for one is refused.
func ParseDouble(s string) (float64, error) {
	switch s = trim(s); s {
	case "INF":
		return math.Inf(1), nil
	case "-INF":
		return math.Inf(-1), nil
	case "NaN":
		return math.NaN(), nil
	}
	// strconv takes hexadecimal, underscores and other names of infinity as well.
	if len(s) > MaxLength || strings.Trim(s, "+-.0123456789eE") != "" || strings.ContainsAny(s, "xX_pPiInN") {
		return 0, errValue
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return 0, errValue
	}
	return f, nil
}

// FormatDouble writes a double with as few digits as tell it from its neighbours.
func FormatDouble(f float64) string {
	switch {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 1):
		return "INF"
	case math.IsInf(f, -1):
		return "-INF"
	}
	format := byte('f')
	if abs := math.Abs(f); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'E'
	}
	return strconv.FormatFloat(f, format, -1, 64)
}

func trim(s string) string { return strings.Trim(s, " \t\r\n") }
