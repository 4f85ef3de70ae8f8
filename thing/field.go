// SPDX-License-Identifier: Apache-2.0

package thing

import (
	"fmt"
	"strings"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/jsonmsg"
	"github.com/stonechat-im/stonechat/xmpp/senml"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// Datatype is the type of the JSON that readings are told in: a SenML pack, RFC 8428 §5.
const Datatype = senml.Datatype

// Field is one thing measured.
type Field struct {
	Name  string // letters, digits and - : . / _ , a letter or digit first
	Value Value
	Unit  string    // of the registry of SenML units, "Cel" or "%RH" say; "" is none
	Time  time.Time // when it was measured; zero is when it is reported
}

func (f *Field) check() error {
	switch {
	case !senml.ValidName(f.Name):
		return fmt.Errorf("thing: %q is no name of a field: letters, digits and -:./_", f.Name)
	case f.Value.Kind() == 0:
		return fmt.Errorf("thing: %s has no value: report nothing, or a text that says why", f.Name)
	}
	r := f.record()
	if err := r.Check(); err != nil {
		return fmt.Errorf("thing: %s: %w", f.Name, err)
	}
	return nil
}

// String is the field for people: "temperature 21.5 °C".
func (f Field) String() string {
	if unit := symbol(f.Unit); unit != "" {
		return f.Name + " " + f.Value.String() + " " + unit
	}
	return f.Name + " " + f.Value.String()
}

// symbol is a unit as people write it.
func symbol(unit string) string {
	switch unit {
	case "/", "1":
		return ""
	case "Cel", "degC":
		return "°C"
	case "%RH":
		return "% RH"
	case "Ohm":
		return "Ω"
	case "deg":
		return "°"
	}
	return unit
}

// record is the field in the model of measurements. RFC 8428 §4
func (f *Field) record() senml.Record {
	r := senml.Record{Name: f.Name, Unit: f.Unit, Value: f.Value.SenML()}
	r.Time, _ = senml.At(f.Time.Truncate(time.Millisecond)) // a clock that was never set knows no time
	return r
}

// pack makes a pack of fields.
func pack(fields []Field) senml.Pack {
	list := make(senml.Pack, len(fields))
	for i := range fields {
		list[i] = fields[i].record()
	}
	return list
}

// payload makes the JSON of fields.
func payload(fields []Field) (stanza.Payload, error) {
	list := pack(fields)
	if err := list.Check(); err != nil {
		return nil, fmt.Errorf("thing: %w", err)
	}
	return list.Payload(), nil
}

// text is fields for people, on one line.
func text(fields []Field) string {
	list := make([]string, len(fields))
	for i, f := range fields {
		list[i] = f.String()
	}
	return strings.Join(list, ", ")
}

// FieldsOf reads a thing's reading from a message, for programs that listen to things. It returns
// nothing if there is none.
func FieldsOf(s *stanza.Stanza) ([]Field, error) {
	var p jsonmsg.Payload
	found, err := s.Decode(&p)
	if err != nil || !found {
		return nil, err
	}
	list, ours, err := senml.FromPayload(&p)
	if err != nil || !ours {
		return nil, err
	}
	return unpack(list), nil
}

// unpack makes fields of records. A time that counts from now is none: who asks knows when it came.
func unpack(list senml.Pack) []Field {
	var fields []Field
	for _, r := range list {
		f := Field{Name: r.Name, Unit: r.Unit, Value: Exactly(r.Value)}
		if f.Value.Kind() == 0 {
			continue // a sum alone
		}
		if !r.Time.IsRelative() {
			f.Time = r.Time.Date(time.Time{})
		}
		fields = append(fields, f)
	}
	return fields
}
