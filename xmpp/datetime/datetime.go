// SPDX-License-Identifier: Apache-2.0

// Package datetime writes and reads points in time and offsets from UTC the way
// all vocabularies do.
//
// XEP-0082 (partial, 1.1.1): no Date or Time alone
package datetime

import (
	"errors"
	"time"
)

var (
	errTime   = errors.New("datetime: not a point in time")
	errOffset = errors.New("datetime: not an offset from UTC")
)

// Append writes t in UTC, with as much of its fraction of a second as it has,
// down to microseconds.
func Append(dst []byte, t time.Time) []byte {
	return t.UTC().Truncate(time.Microsecond).AppendFormat(dst, "2006-01-02T15:04:05.999999Z")
}

// Format is Append as a string.
func Format(t time.Time) string { return string(Append(nil, t)) }

// Parse reads a DateTime with any offset and returns it in UTC.
func Parse(s string) (time.Time, error) {
	// time.Parse takes single digits, commas and offsets of any size as well.
	const seconds = len("2006-01-02T15:04:05")
	if len(s) <= seconds || len(s) > 64 || s[13] != ':' || s[seconds] == ',' {
		return time.Time{}, errTime
	}
	zone := len(s) - len("+00:00")
	if s[len(s)-1] == 'Z' {
		zone = len(s) - 1
	}
	if _, err := ParseOffset(s[zone:]); err != nil {
		return time.Time{}, errTime
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}, errTime
	}
	if t = t.UTC(); t.Year() < 0 || t.Year() > 9999 {
		return time.Time{}, errTime
	}
	return t, nil
}

// AppendOffset writes an offset from UTC, east of it positive, to the minute.
func AppendOffset(dst []byte, offset time.Duration) []byte {
	minutes := int(offset / time.Minute)
	if minutes == 0 {
		return append(dst, 'Z')
	}
	sign := byte('+')
	if minutes < 0 {
		sign, minutes = '-', -minutes
	}
	h, m := byte(minutes/60), byte(minutes%60)
	return append(dst, sign, '0'+h/10%10, '0'+h%10, ':', '0'+m/10, '0'+m%10)
}

// ParseOffset reads what AppendOffset writes: Z, +hh:mm or -hh:mm.
func ParseOffset(s string) (time.Duration, error) {
	if s == "Z" {
		return 0, nil
	}
	if len(s) != 6 || s[3] != ':' || (s[0] != '+' && s[0] != '-') {
		return 0, errOffset
	}
	var n [4]int
	for i, at := range []int{1, 2, 4, 5} {
		c := s[at]
		if c < '0' || c > '9' {
			return 0, errOffset
		}
		n[i] = int(c - '0')
	}
	h, m := 10*n[0]+n[1], 10*n[2]+n[3]
	if h > 23 || m > 59 {
		return 0, errOffset
	}
	offset := time.Duration(h)*time.Hour + time.Duration(m)*time.Minute
	if s[0] == '-' {
		offset = -offset
	}
	return offset, nil
}
