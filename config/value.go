// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// none is how a file turns a limit off.
const none = "none"

// Limit is a number of things, at least 1, or 0 for `none`.
type Limit int

// Bytes is a size in bytes, at least 1, or 0 for `none`. A file may use the
// units KiB, MiB, GiB, TiB and kB, MB, GB, TB.
type Bytes int64

// Duration is a length of time, or 0 for `none`. A file names a unit: 100ms,
// 30s, 10m, 2h, 7d, or several, 1h30m.
type Duration time.Duration

// D returns the length of time as package time has it.
func (d Duration) D() time.Duration { return time.Duration(d) }

// UnmarshalText reads a number or `none`.
func (l *Limit) UnmarshalText(text []byte) error {
	if string(text) == none {
		*l = 0
		return nil
	}
	n, err := strconv.ParseInt(string(text), 10, 0)
	if err != nil {
		return fmt.Errorf("%q is not a whole number", text)
	}
	if n < 1 {
		return fmt.Errorf("%d would let nothing pass; `none` turns a limit off", n)
	}
	*l = Limit(n)
	return nil
}

// MarshalText writes what UnmarshalText reads.
func (l Limit) MarshalText() ([]byte, error) {
	if l == 0 {
		return []byte(none), nil
	}
	return strconv.AppendInt(nil, int64(l), 10), nil
}

// units of sizes, the longer first where one ends like another.
var units = []struct {
	name string
	size int64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
	{"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12},
}

// UnmarshalText reads a size or `none`.
func (b *Bytes) UnmarshalText(text []byte) error {
	s := string(text)
	if s == none {
		*b = 0
		return nil
	}
	unit := int64(1)
	for _, u := range units {
		if number, ok := strings.CutSuffix(s, u.name); ok {
			s, unit = strings.TrimSpace(number), u.size
			break
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	switch {
	case err != nil:
		return fmt.Errorf("%q is not a size, like 262144 or 256KiB", text)
	case n < 1:
		return fmt.Errorf("%s would let nothing pass; `none` turns a limit off", text)
	case n > math.MaxInt64/unit:
		return fmt.Errorf("%s is too large", text)
	}
	*b = Bytes(n * unit)
	return nil
}

// MarshalText writes what UnmarshalText reads, without a unit.
func (b Bytes) MarshalText() ([]byte, error) { return Limit(b).MarshalText() }

// UnmarshalText reads a length of time or `none`.
func (d *Duration) UnmarshalText(text []byte) error {
	t, err := parseDuration(string(text))
	*d = Duration(t)
	return err
}

// MarshalText writes what UnmarshalText reads.
func (d Duration) MarshalText() ([]byte, error) {
	if d == 0 {
		return []byte(none), nil
	}
	return []byte(d.D().String()), nil
}

// maxDays keeps a length of time below the 292 years that time.Duration holds.
const maxDays = 100_000

func parseDuration(text string) (time.Duration, error) {
	if text == none {
		return 0, nil
	}
	var days time.Duration
	rest := text
	if number, after, ok := strings.Cut(text, "d"); ok {
		n, err := strconv.ParseUint(number, 10, 32)
		if err != nil || n > maxDays {
			return 0, badDuration(text)
		}
		days, rest = time.Duration(n)*24*time.Hour, after
	}
	var t time.Duration
	if rest != "" || days == 0 {
		var err error
		if t, err = time.ParseDuration(rest); err != nil || t > maxDays*24*time.Hour {
			return 0, badDuration(text)
		}
	}
	if t += days; t <= 0 {
		return 0, fmt.Errorf("%s is no length of time; `none` turns it off", text)
	}
	return t, nil
}

func badDuration(text string) error {
	return fmt.Errorf("%q is not a length of time with its unit, like 100ms, 30s, 10m, 2h or 7d", text)
}
