// SPDX-License-Identifier: Apache-2.0

// Package senml is the one model of measurements that all of Stonechat shares: what a thing measures,
// stores, tells and is asked for is a Pack of Records, in whatever form it travels.
//
// A Record stands alone: it has its whole name, its unit, and its time. What packs on the way leave
// to base fields is resolved when they are read, and folded again when they are written. Numbers keep
// the digits that they were written with; times are exact to the nanosecond.
//
// RFC 8428 (JSON and XML; no CBOR, no EXI, no streams of records), RFC 8798 (secondary units)
package senml

// How to read this package: this file has the model and what is checked of it; value.go, number.go,
// time.go and unit.go its parts, spelling.go how people write units; row.go resolves and folds bases; json.go and xml.go are the forms.

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// Bounds of packs, read and written.
const (
	MaxRecords = 4096 // of a pack
	MaxName    = 1024 // bytes of a name, its base included
	MaxUnit    = 64   // bytes of a unit
	MaxNumber  = 64   // bytes of a number
)

// Record is one measurement. Records can be compared. RFC 8428 §4.6
type Record struct {
	Name  string // the whole of it; see ValidName
	Unit  string // of the registry, or what both sides know; "" is none
	Value Value  // none only beside a Sum
	Sum   Number // the value integrated over time, in units times seconds; the zero Number is none
	Time  Time
	// Update is within which time the next record of this name comes; 0 is unknown. One that does
	// not come says that something is broken.
	Update time.Duration
}

// Pack is measurements that travel together, in any order. *Pack implements stanza.Payload.
type Pack []Record

// ValidName reports whether a whole name is one: letters, digits and - : . / _ of ASCII, of which a
// letter or a digit is first. RFC 8428 §4.5.1
func ValidName(name string) bool {
	for i := range len(name) {
		switch c := name[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case i == 0:
			return false
		case c != '-' && c != ':' && c != '.' && c != '/' && c != '_':
			return false
		}
	}
	return name != "" && len(name) <= MaxName
}

// validUnit reports whether a unit can be shown and, in XML, said.
func validUnit(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(c rune) bool { return !unicode.IsPrint(c) })
}

// Check tells what is wrong with a record, as a *stanza.Error.
func (r *Record) Check() error {
	switch {
	case len(r.Name) > MaxName:
		return stanza.PolicyViolation.Err(fmt.Sprintf("a name has more than %d bytes", MaxName))
	case !ValidName(r.Name):
		return stanza.BadRequest.Err("a name has letters, digits and -:./_ only, a letter or digit first")
	case len(r.Unit) > MaxUnit:
		return stanza.PolicyViolation.Err(fmt.Sprintf("a unit has more than %d bytes", MaxUnit))
	case !validUnit(r.Unit):
		return stanza.BadRequest.Err("a unit has characters that cannot be seen")
	case r.Value.Kind() == 0 && r.Sum.IsZero():
		return stanza.BadRequest.Err("a measurement has a value or a sum")
	case r.Update < 0:
		return stanza.BadRequest.Err("an update time is negative")
	}
	return nil
}

// Check tells what is wrong with a pack, as a *stanza.Error. A pack that is read has been checked; a
// program checks what it has made, before it writes that.
func (p Pack) Check() error {
	if err := checkCount(len(p)); err != nil {
		return err
	}
	for i := range p {
		if err := p[i].Check(); err != nil {
			return err
		}
	}
	return nil
}

func checkCount(n int) error {
	switch {
	case n == 0:
		return stanza.BadRequest.Err("a pack has at least one record")
	case n > MaxRecords:
		return stanza.PolicyViolation.Err(fmt.Sprintf("a pack has more than %d records", MaxRecords))
	}
	return nil
}

// Resolve returns the pack with all times absolute and in their order, as archives need it. now is
// when it was sent or, where nobody knows that, received. RFC 8428 §4.6
func (p Pack) Resolve(now time.Time) (Pack, error) {
	out := slices.Clone(p)
	for i := range out {
		at, ok := At(out[i].Time.Date(now))
		if !ok {
			return nil, fmt.Errorf("senml: no time of measurement can be said of %s", now.UTC().Format(time.DateOnly))
		}
		out[i].Time = at
	}
	slices.SortStableFunc(out, func(a, b Record) int { return a.Time.compare(b.Time) })
	return out, nil
}
