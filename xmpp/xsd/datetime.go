// SPDX-License-Identifier: Apache-2.0

package xsd

import (
	"strings"
	"time"
)

// DateTime is a point in time as it was written: with its offset from UTC or without one, when it is of the time zone of whoever
// wrote it. The zero DateTime is none. DateTimes can be compared; those are equal that are written alike.
type DateTime struct{ moment }

// Date is a day. The zero Date is none.
type Date struct{ moment }

// Time is a time of day.
type Time struct{ moment }

// moment is what a clock on the wall shows.
type moment struct {
	wall   time.Time // as if the wall were in UTC
	offset int16     // minutes east of UTC
	zoned  bool      // the offset is known
}

// At is a point in time in UTC, to the nanosecond; none for the zero time and outside of the years 2 to 9999.
func At(t time.Time) DateTime {
	if t = t.UTC().Round(0); t.IsZero() || t.Year() < 2 || t.Year() > 9999 {
		return DateTime{}
	}
	return DateTime{moment{wall: t, zoned: true}}
}

// On is the day of a time in that time's zone, without an offset.
func On(t time.Time) Date {
	if t.IsZero() || t.Year() < 2 || t.Year() > 9999 {
		return Date{}
	}
	return Date{moment{wall: time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)}}
}

// Clock is the time of day that is so long after midnight, without an offset; whole days are left out.
func Clock(sinceMidnight time.Duration) Time {
	const day = 24 * time.Hour
	return Time{moment{wall: midnight().Add((sinceMidnight%day + day) % day)}}
}

// midnight is of the day that times of day have.
func midnight() time.Time { return time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) }

// IsZero reports whether there is no time.
func (m moment) IsZero() bool { return m.wall.IsZero() }

// HasOffset reports whether an offset from UTC was written.
func (m moment) HasOffset() bool { return m.zoned }

// In is the point in time, in UTC; where no offset was written, zone is where it is meant, nil for UTC.
func (d DateTime) In(zone *time.Location) time.Time {
	w := d.wall
	switch {
	case d.zoned:
		return w.Add(-time.Duration(d.offset) * time.Minute)
	case zone == nil || w.IsZero():
		return w
	}
	return time.Date(w.Year(), w.Month(), w.Day(), w.Hour(), w.Minute(), w.Second(), w.Nanosecond(), zone).UTC()
}

// Date is the day on the wall.
func (d DateTime) Date() Date {
	if d.IsZero() {
		return Date{}
	}
	day := d.moment
	day.wall = day.wall.Truncate(24 * time.Hour)
	return Date{day}
}

// Time is the time on the wall.
func (d DateTime) Time() Time {
	t := d.moment
	t.wall = midnight().Add(d.wall.Sub(d.wall.Truncate(24 * time.Hour)))
	return Time{t}
}

// DateTime is the start of the day.
func (d Date) DateTime() DateTime { return DateTime(d) }

// SinceMidnight is how much of the day has passed on the wall.
func (t Time) SinceMidnight() time.Duration {
	if t.IsZero() {
		return 0
	}
	return t.wall.Sub(midnight())
}

// Compare is -1, 0 or 1 as d is before e, the same time, or after. Of one that has no offset, that of the other is taken.
func (d DateTime) Compare(e DateTime) int { return d.compare(e.moment) }

// Compare is -1, 0 or 1 as d begins before e, with it, or after; as DateTime.Compare.
func (d Date) Compare(e Date) int { return d.compare(e.moment) }

// Compare is -1, 0 or 1 as t is before u, the same time of a day, or after; as DateTime.Compare.
func (t Time) Compare(u Time) int { return t.compare(u.moment) }

func (m moment) compare(n moment) int {
	if m.zoned && n.zoned {
		return DateTime{m}.In(nil).Compare(DateTime{n}.In(nil))
	}
	return m.wall.Compare(n.wall)
}

const (
	layoutDate = "2006-01-02"
	layoutTime = "15:04:05.999999999"
)

// String writes the time as it was written but for zeros that say nothing, "" for none.
func (d DateTime) String() string { return d.format(layoutDate + "T" + layoutTime) }

// String writes the day, "" for none.
func (d Date) String() string { return d.format(layoutDate) }

// String writes the time of day.
func (t Time) String() string {
	if t.IsZero() {
		t.wall = midnight()
	}
	return t.format(layoutTime)
}

func (m moment) format(layout string) string {
	if m.IsZero() {
		return ""
	}
	dst := m.wall.AppendFormat(make([]byte, 0, MaxLength), layout)
	switch {
	case !m.zoned:
		return string(dst)
	case m.offset == 0:
		return string(append(dst, 'Z'))
	}
	sign, minutes := byte('+'), m.offset
	if minutes < 0 {
		sign, minutes = '-', -minutes
	}
	h, min := byte(minutes/60), byte(minutes%60)
	return string(append(dst, sign, '0'+h/10, '0'+h%10, ':', '0'+min/10, '0'+min%10))
}

// ParseDateTime reads a point in time. What is finer than a nanosecond is cut off.
//
// COMPAT(XEP-0323, 2013): it calls the time of day optional, which XML Schema does not; a date alone is the start of that day.
func ParseDateTime(s string) (DateTime, error) {
	c := cutter{rest: trim(s)}
	m := c.date()
	if c.take('T') {
		m.wall = m.wall.Add(c.clock())
	}
	return DateTime{m}, c.end(&m, false)
}

// ParseDate reads a day.
func ParseDate(s string) (Date, error) {
	c := cutter{rest: trim(s)}
	m := c.date()
	err := c.end(&m, false)
	return Date{m}, err
}

// ParseTime reads a time of day.
func ParseTime(s string) (Time, error) {
	c := cutter{rest: trim(s)}
	m := moment{wall: midnight().Add(c.clock() % (24 * time.Hour))}
	err := c.end(&m, true)
	return Time{m}, err
}

// cutter reads from the front of a text; once something is wrong, all of it is.
type cutter struct {
	rest  string
	wrong bool
}

func (c *cutter) take(b byte) bool {
	if c.rest == "" || c.rest[0] != b {
		return false
	}
	c.rest = c.rest[1:]
	return true
}

func (c *cutter) need(b byte) {
	if !c.take(b) {
		c.wrong = true
	}
}

// number takes n digits that make a number of that range.
func (c *cutter) number(n, least, most int) int {
	v := 0
	for range n {
		if c.rest == "" || c.rest[0] < '0' || c.rest[0] > '9' {
			c.wrong = true
			return least
		}
		v = 10*v + int(c.rest[0]-'0')
		c.rest = c.rest[1:]
	}
	if v < least || v > most {
		c.wrong = true
		return least
	}
	return v
}

func (c *cutter) date() moment {
	if len(c.rest) > MaxLength {
		c.wrong = true
		return moment{}
	}
	year := c.number(4, 2, 9999)
	c.need('-')
	month := c.number(2, 1, 12)
	c.need('-')
	day := c.number(2, 1, 31)
	wall := time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
	if wall.Day() != day {
		c.wrong = true
	}
	return moment{wall: wall}
}

// clock is the time since midnight; 24:00:00 ends a day.
func (c *cutter) clock() time.Duration {
	if len(c.rest) > MaxLength {
		c.wrong = true
		return 0
	}
	d := time.Duration(c.number(2, 0, 24)) * time.Hour
	c.need(':')
	d += time.Duration(c.number(2, 0, 59)) * time.Minute
	c.need(':')
	d += time.Duration(c.number(2, 0, 59)) * time.Second
	if c.take('.') {
		d += c.fraction()
	}
	if d > 24*time.Hour {
		c.wrong = true
	}
	return d
}

// fraction is of a second.
func (c *cutter) fraction() time.Duration {
	n := len(c.rest) - len(strings.TrimLeft(c.rest, "0123456789"))
	if n == 0 {
		c.wrong = true
		return 0
	}
	v := time.Duration(0)
	for i := range 9 {
		v *= 10
		if i < n {
			v += time.Duration(c.rest[i] - '0')
		}
	}
	c.rest = c.rest[n:]
	return v
}

// end takes the offset, if there is one, and whatever makes the whole wrong.
func (c *cutter) end(m *moment, anyDay bool) error {
	switch {
	case c.take('Z'):
		m.zoned = true
	case c.rest != "":
		sign := 1
		if !c.take('+') {
			c.need('-')
			sign = -1
		}
		hours := c.number(2, 0, 14)
		c.need(':')
		minutes := 60*hours + c.number(2, 0, 59)
		if minutes > 14*60 {
			c.wrong = true
		}
		m.zoned, m.offset = true, int16(sign*minutes)
	}
	if c.wrong || c.rest != "" || !anyDay && (m.wall.IsZero() || m.wall.Year() > 9999) {
		*m = moment{}
		return errValue
	}
	return nil
}
