// SPDX-License-Identifier: Apache-2.0

package senml

import (
	"cmp"
	"math"
	"strconv"
	"strings"
	"time"
)

// Time is when something was or will be, in nanoseconds. From 2^28 seconds on it counts from the
// start of 1970 and is absolute; below, it counts from now, and before now if it is negative, so that
// Time(-5*time.Second) is five seconds ago. RFC 8428 §4.5.3
type Time int64

// Now is the time of what knows no other.
const Now Time = 0

// absolute is where absolute times begin: in July 1978.
const absolute = Time(1<<28) * Time(time.Second)

// At is the absolute time of a date; ok is false before 5 July 1978, as clocks say that were never
// set, and after 11 April 2262.
func At(t time.Time) (at Time, ok bool) {
	if t.Unix() < 1<<28 || t.After(time.Unix(0, math.MaxInt64)) {
		return 0, false
	}
	return Time(t.UnixNano()), true
}

// IsRelative reports whether the time counts from now.
func (t Time) IsRelative() bool { return t < absolute }

// Date is the date of a time, in UTC. now is what relative times count from.
func (t Time) Date(now time.Time) time.Time {
	if t.IsRelative() {
		return now.Add(time.Duration(t)).UTC()
	}
	return time.Unix(0, int64(t)).UTC()
}

// Seconds is the time as it is written: no digit more than it takes.
func (t Time) Seconds() Number { return seconds(int64(t)) }

func (t Time) compare(u Time) int { return cmp.Compare(t, u) }

// seconds writes nanoseconds as seconds.
func seconds(ns int64) Number {
	text := strconv.FormatInt(ns/int64(time.Second), 10)
	if ns < 0 && ns > -int64(time.Second) {
		text = "-0"
	}
	rest := ns % int64(time.Second)
	if rest == 0 {
		return Number{text}
	}
	// The one in front keeps leading zeros, and the sign is said already.
	fraction := strconv.FormatInt(int64(time.Second)+max(rest, -rest), 10)[1:]
	return Number{text + "." + strings.TrimRight(fraction, "0")}
}

// nanoseconds reads seconds; what is finer is rounded.
func (n Number) nanoseconds() (int64, bool) {
	negative, digits, exponent := n.parts()
	digits = strings.TrimLeft(digits, "0")
	exponent += 9
	up := false
	switch keep := len(digits) + exponent; {
	case digits == "" || keep < 0:
		return 0, true
	case keep > 19: // the digits of the largest int64
		return 0, false
	case exponent < 0:
		up = digits[keep] >= '5'
		digits = digits[:keep]
	default:
		digits += strings.Repeat("0", exponent)
	}
	if digits == "" {
		digits = "0"
	}
	ns, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return 0, false
	}
	if up && ns < math.MaxInt64 {
		ns++
	}
	if negative {
		ns = -ns
	}
	return ns, true
}
