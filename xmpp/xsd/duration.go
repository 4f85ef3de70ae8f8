// SPDX-License-Identifier: Apache-2.0

package xsd

import (
	"cmp"
	"math"
	"math/bits"
	"strconv"
	"strings"
	"time"
)

// Duration is how long something lasts: months, which are of no fixed length, and time, in which a day has 24 hours. Both have
// the same sign.
type Duration struct {
	Months int32
	Time   time.Duration
}

// Compare is -1, 0 or 1 as d is shorter than e, as long, or longer, with months of 30 days.
func (d Duration) Compare(e Duration) int { return cmp.Compare(d.seconds(), e.seconds()) }

func (d Duration) seconds() float64 { return float64(d.Months)*30*24*3600 + d.Time.Seconds() }

// String writes the duration: PT0S for none at all.
func (d Duration) String() string {
	dst := make([]byte, 0, MaxLength)
	if d.Months < 0 || d.Time < 0 {
		dst = append(dst, '-')
	}
	dst = append(dst, 'P')
	months := magnitude(int64(d.Months))
	dst = part(dst, months/12, 'Y')
	dst = part(dst, months%12, 'M')
	rest := magnitude(int64(d.Time))
	const day = uint64(24 * time.Hour)
	dst = part(dst, rest/day, 'D')
	rest %= day
	if rest == 0 {
		if months == 0 && d.Time == 0 {
			dst = append(dst, "T0S"...)
		}
		return string(dst)
	}
	dst = append(dst, 'T')
	dst = part(dst, rest/uint64(time.Hour), 'H')
	dst = part(dst, rest/uint64(time.Minute)%60, 'M')
	if rest %= uint64(time.Minute); rest == 0 {
		return string(dst)
	}
	dst = strconv.AppendUint(dst, rest/uint64(time.Second), 10)
	if rest %= uint64(time.Second); rest > 0 {
		fraction := strconv.FormatUint(uint64(time.Second)+rest, 10)[1:]
		dst = append(append(dst, '.'), strings.TrimRight(fraction, "0")...)
	}
	return string(append(dst, 'S'))
}

func magnitude(n int64) uint64 {
	if n < 0 {
		return -uint64(n)
	}
	return uint64(n)
}

func part(dst []byte, n uint64, unit byte) []byte {
	if n == 0 {
		return dst
	}
	return append(strconv.AppendUint(dst, n, 10), unit)
}

// ParseDuration reads a duration. What is finer than a nanosecond is cut off.
func ParseDuration(s string) (Duration, error) {
	c := cutter{rest: trim(s)}
	if len(c.rest) > MaxLength {
		return Duration{}, errValue
	}
	negative := c.take('-')
	c.need('P')
	parts := 0
	months := c.units(&parts, unit{'Y', 12}, unit{'M', 1})
	days := c.units(&parts, unit{'D', uint64(24 * time.Hour)})
	var clock uint64
	if c.take('T') {
		before := parts
		clock = c.units(&parts, unit{'H', uint64(time.Hour)}, unit{'M', uint64(time.Minute)})
		clock = c.sum(clock, c.seconds(&parts))
		c.wrong = c.wrong || parts == before
	}
	rest := c.sum(days, clock)
	if c.wrong || c.rest != "" || parts == 0 || months > math.MaxInt32 || rest > math.MaxInt64 {
		return Duration{}, errValue
	}
	d := Duration{Months: int32(months), Time: time.Duration(rest)}
	if negative {
		d.Months, d.Time = -d.Months, -d.Time
	}
	return d, nil
}

type unit struct {
	letter byte
	worth  uint64
}

// units takes numbers with those letters, in that order, each of which may be absent.
func (c *cutter) units(parts *int, units ...unit) (total uint64) {
	for _, u := range units {
		n := len(c.rest) - len(strings.TrimLeft(c.rest, "0123456789"))
		if n == 0 || n == len(c.rest) || c.rest[n] != u.letter {
			continue
		}
		total = c.sum(total, c.times(c.rest[:n], u.worth))
		c.rest = c.rest[n+1:]
		*parts++
	}
	return total
}

// seconds takes seconds, which may have a fraction.
func (c *cutter) seconds(parts *int) uint64 {
	n := len(c.rest) - len(strings.TrimLeft(c.rest, "0123456789"))
	if n == 0 {
		return 0
	}
	total := c.times(c.rest[:n], uint64(time.Second))
	if c.rest = c.rest[n:]; c.take('.') {
		total = c.sum(total, uint64(c.fraction()))
	}
	c.need('S')
	*parts++
	return total
}

func (c *cutter) times(digits string, worth uint64) uint64 {
	v, err := strconv.ParseUint(digits, 10, 64)
	over, product := bits.Mul64(v, worth)
	c.wrong = c.wrong || err != nil || over > 0
	return product
}

func (c *cutter) sum(a, b uint64) uint64 {
	total, over := bits.Add64(a, b, 0)
	c.wrong = c.wrong || over > 0
	return total
}
