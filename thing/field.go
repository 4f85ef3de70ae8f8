// SPDX-License-Identifier: Apache-2.0

package thing

import (
	"fmt"
	"strings"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/jsonmsg"
	"github.com/stonechat-im/stonechat/xmpp/pubsub"
	"github.com/stonechat-im/stonechat/xmpp/senml"
	"github.com/stonechat-im/stonechat/xmpp/sensordata"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
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

// size is how many bytes a field is told in, about.
func (f *Field) size() int { return 48 + len(f.Name) + len(f.Unit) + len(f.Value.v.String()) }

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

// FieldsOf reads what a thing tells by a message, for programs that listen to things: a reading that is told to an owner or a room, or one
// that is published (XEP-0163) to who follows it. Fields of a node of a concentrator have the names that sensordata.RecordName gives
// them. It returns nothing if there is none.
func FieldsOf(s *stanza.Stanza) ([]Field, error) {
	var p jsonmsg.Payload
	found, err := s.Decode(&p)
	switch {
	case err != nil:
		return nil, err
	case !found:
		return publishedFields(s)
	}
	list, ours, err := senml.FromPayload(&p)
	if err != nil || !ours {
		return nil, err
	}
	return unpack(list), nil
}

// publishedFields reads a message of a node at which a thing publishes.
func publishedFields(s *stanza.Stanza) (fields []Field, err error) {
	var e pubsub.Event
	found, err := s.Decode(&e)
	if err != nil || !found || e.Items == nil {
		return nil, err
	}
	if _, _, ours := sensordata.ParsePublishedAt(e.Items.Node); !ours {
		return nil, nil
	}
	for i := range e.Items.Items {
		var list senml.Pack
		r := xmlstream.NewReader(e.Items.Items[i].Payload, pubsub.NSEvent)
		if len(e.Items.Items[i].Payload) == 0 || r.Name() != list.XMLName() {
			continue // news without the item, or something else
		}
		if err := list.DecodeXML(r); err != nil {
			return nil, err
		}
		fields = append(fields, unpack(list)...)
	}
	return fields, nil
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
