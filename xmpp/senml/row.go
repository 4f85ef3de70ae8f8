// SPDX-License-Identifier: Apache-2.0

package senml

// How to read this file: a row is a record as it travels, in any form; the resolver makes Records of
// rows, fold makes rows of Records.

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// version is what we understand. RFC 8428 §4.4
const version = 10

// label is a field of a row.
type label uint8

const (
	baseName label = iota
	baseTime
	baseUnit
	baseValue
	baseSum
	baseVersion
	name
	unit
	value
	textValue
	boolValue
	dataValue
	sum
	recordTime
	updateTime
	labels
)

// form is how JSON writes a field.
type form uint8

const (
	formString form = iota
	formNumber
	formBool
)

// fields is RFC 8428 §4.3, in the order in which fields are written.
var fields = [labels]struct {
	name string
	form form
}{
	baseName:    {"bn", formString},
	baseTime:    {"bt", formNumber},
	baseUnit:    {"bu", formString},
	baseValue:   {"bv", formNumber},
	baseSum:     {"bs", formNumber},
	baseVersion: {"bver", formNumber},
	name:        {"n", formString},
	unit:        {"u", formString},
	value:       {"v", formNumber},
	textValue:   {"vs", formString},
	boolValue:   {"vb", formBool},
	dataValue:   {"vd", formString},
	sum:         {"s", formNumber},
	recordTime:  {"t", formNumber},
	updateTime:  {"ut", formNumber},
}

// lookup finds a field by its name; an unknown one is an error only if its name ends with an
// underscore. RFC 8428 §4.4
func lookup(s string) (l label, known bool, err error) {
	for l := range labels {
		if fields[l].name == s {
			return l, true, nil
		}
	}
	if strings.HasSuffix(s, "_") {
		return 0, false, stanza.BadRequest.Err("a field that must be understood is not")
	}
	return 0, false, nil
}

// row is a record as it travels.
type row struct {
	text [labels]string
	has  uint16 // by labels
}

func (w *row) set(l label, s string) {
	w.text[l] = s
	w.has |= 1 << l
}

func (w *row) holds(l label) bool { return w.has&(1<<l) != 0 }

// onlyBases reports whether the row has nothing but base fields.
func (w *row) onlyBases() bool { return w.has>>name == 0 }

// resolver makes a pack of rows.
type resolver struct {
	pack       Pack
	rows       int
	name, unit string
	time       int64
	value, sum Number
	version    int64 // of the first row
}

// add takes the next row.
func (b *resolver) add(w *row) error {
	if b.rows++; b.rows > MaxRecords {
		return checkCount(b.rows)
	}
	if err := b.bases(w); err != nil {
		return err
	}
	// COMPAT(old makers of packs, 2017): a row of bases alone comes before all measurements.
	if w.onlyBases() && b.value.IsZero() && b.sum.IsZero() {
		return nil
	}
	r, err := b.record(w)
	if err == nil {
		err = r.Check()
	}
	b.pack = append(b.pack, r)
	return err
}

// bases takes what counts from this row on.
func (b *resolver) bases(w *row) (err error) {
	if err := b.check(w); err != nil {
		return err
	}
	if w.holds(baseName) {
		b.name = w.text[baseName]
	}
	if w.holds(baseUnit) {
		b.unit = w.text[baseUnit]
	}
	if w.holds(baseTime) {
		if b.time, err = w.nanoseconds(baseTime); err != nil {
			return err
		}
	}
	if w.holds(baseValue) {
		if b.value, err = w.number(baseValue); err != nil {
			return err
		}
	}
	if w.holds(baseSum) {
		b.sum, err = w.number(baseSum)
	}
	return err
}

// check refuses versions that are not ours, and packs that have several. Those before ours are of
// drafts, which say nothing else by the same fields.
func (b *resolver) check(w *row) error {
	if b.rows == 1 {
		b.version = version
	}
	if !w.holds(baseVersion) {
		return nil
	}
	n, err := w.number(baseVersion)
	if err != nil {
		return err
	}
	v, ok := n.Int64()
	switch {
	case !ok || v < 1:
		return stanza.BadRequest.Err("a version is a positive integer")
	case v > version:
		return stanza.NotAcceptable.Err(fmt.Sprintf("no version after %d of SenML is understood", version))
	case b.rows > 1 && v != b.version:
		return stanza.BadRequest.Err("a pack has one version")
	}
	b.version = v
	return nil
}

// record makes a record of a row, without checking what Check does.
func (b *resolver) record(w *row) (r Record, err error) {
	if len(b.name)+len(w.text[name]) > MaxName {
		return r, stanza.PolicyViolation.Err(fmt.Sprintf("a name has more than %d bytes", MaxName))
	}
	r = Record{Name: b.name + w.text[name], Unit: b.unit, Sum: b.sum}
	if w.holds(unit) {
		r.Unit = w.text[unit]
	}
	if r.Value, err = b.valueOf(w); err != nil {
		return r, err
	}
	if w.holds(sum) {
		if r.Sum, err = w.added(sum, b.sum); err != nil {
			return r, err
		}
	}
	at := b.time
	if w.holds(recordTime) {
		t, err := w.nanoseconds(recordTime)
		if err != nil {
			return r, err
		}
		if at += t; (at > b.time) != (t > 0) && t != 0 {
			return r, errTime()
		}
	}
	r.Time = Time(at)
	if w.holds(updateTime) {
		ut, err := w.nanoseconds(updateTime)
		r.Update = time.Duration(ut)
		return r, err
	}
	return r, nil
}

// valueOf is the value of a row. A base value is added to numbers alone, and is the value of rows
// that have none. RFC 8428 §4.5.4
func (b *resolver) valueOf(w *row) (v Value, err error) {
	n := 0
	for l := value; l <= dataValue; l++ {
		if w.holds(l) {
			n++
		}
	}
	text := &w.text
	switch {
	case n > 1:
		return v, stanza.BadRequest.Err("a measurement has one value")
	case w.holds(value):
		number, err := w.added(value, b.value)
		return NumberValue(number), err
	case w.holds(textValue):
		return TextValue(text[textValue]), nil
	case w.holds(boolValue):
		return BoolValue(text[boolValue] == "true"), nil
	case w.holds(dataValue):
		// COMPAT(makers of XML, 2018): padding is to be left out, which their schema does not say.
		data, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(text[dataValue], "="))
		if err != nil {
			return v, stanza.BadRequest.Err("data are no base64url")
		}
		return DataValue(data), nil
	}
	return NumberValue(b.value), nil
}

func (w *row) number(l label) (Number, error) {
	n, err := ParseNumber(w.text[l])
	if err != nil {
		return n, stanza.BadRequest.Err("the field " + fields[l].name + " is no number, or too large")
	}
	return n, nil
}

// added is the number of a field and its base.
func (w *row) added(l label, base Number) (Number, error) {
	n, err := w.number(l)
	if err != nil {
		return n, err
	}
	if n, err = n.Add(base); err != nil {
		return n, stanza.BadRequest.Err("the field " + fields[l].name + " and its base are too large")
	}
	return n, nil
}

func (w *row) nanoseconds(l label) (int64, error) {
	n, err := w.number(l)
	if err != nil {
		return 0, err
	}
	ns, ok := n.nanoseconds()
	if !ok {
		return 0, errTime()
	}
	return ns, nil
}

func errTime() error { return stanza.BadRequest.Err("a time is beyond the year 2262") }

// done is the pack of all rows.
func (b *resolver) done() (Pack, error) {
	if err := checkCount(len(b.pack)); err != nil {
		return nil, err
	}
	return b.pack, nil
}

// fold yields a pack as rows; what all records share stands in the first.
func fold(p Pack, yield func(*row)) {
	prefix, sameUnit, bt := shared(p)
	for i := range p {
		r, w := &p[i], new(row)
		if i == 0 {
			w.setText(baseName, prefix)
			w.setTime(baseTime, int64(bt))
			w.setText(baseUnit, sameUnit)
		}
		w.setText(name, r.Name[len(prefix):])
		if sameUnit == "" {
			w.setText(unit, r.Unit)
		}
		switch r.Value.kind {
		case KindNumber:
			w.set(value, r.Value.String())
		case KindText:
			w.set(textValue, r.Value.text)
		case KindBool:
			w.set(boolValue, strconv.FormatBool(r.Value.truth))
		case KindData:
			w.set(dataValue, r.Value.String())
		}
		w.setText(sum, r.Sum.text)
		w.setTime(recordTime, int64(r.Time-bt))
		w.setTime(updateTime, int64(r.Update))
		yield(w)
	}
}

func (w *row) setText(l label, s string) {
	if s != "" {
		w.set(l, s)
	}
}

func (w *row) setTime(l label, ns int64) {
	if ns != 0 {
		w.set(l, seconds(ns).text)
	}
}

// shared is what the records of a pack have in common: the start of their names up to a mark between
// words, the unit, and a time that all others are written after. A unit can be taken away by no record,
// so it is that of all or of none.
func shared(p Pack) (prefix, unit string, bt Time) {
	if len(p) < 2 {
		return "", "", 0
	}
	prefix, unit, bt = p[0].Name, p[0].Unit, p[0].Time
	sameNames, sameTimes, dated := true, true, true
	for i := range p {
		r := &p[i]
		sameNames = sameNames && r.Name == p[0].Name
		sameTimes = sameTimes && r.Time == bt
		dated = dated && !r.Time.IsRelative()
		if r.Unit != unit {
			unit = ""
		}
		n := 0
		for n < min(len(prefix), len(r.Name)) && prefix[n] == r.Name[n] {
			n++
		}
		prefix = prefix[:n]
	}
	if !sameNames {
		prefix = prefix[:strings.LastIndexAny(prefix, ":/._-")+1]
	}
	if !sameTimes && !dated {
		bt = 0
	}
	return prefix, unit, bt
}
