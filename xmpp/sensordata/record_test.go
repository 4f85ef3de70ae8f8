// SPDX-License-Identifier: Apache-2.0

package sensordata_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/internal/xmpptest"
	"github.com/stonechat-im/stonechat/xmpp/senml"
	"github.com/stonechat-im/stonechat/xmpp/sensordata"
)

func num(t *testing.T, s string) senml.Number {
	t.Helper()
	n, err := senml.ParseNumber(s)
	if err != nil {
		t.Fatalf("%s: %v", s, err)
	}
	return n
}

const (
	base  = "urn:dev:mac:0024befffe804ff1:"
	dated = senml.Time(1714543200) * senml.Time(time.Second) // 2024-05-01T06:00:00Z
)

// What both can say is the same after there and back.
func TestMapping(t *testing.T) {
	for _, m := range []sensordata.Mapping{{}, {Base: base}} {
		nodes := []sensordata.NodeFields{
			{Timestamps: []sensordata.Timestamp{{At: at("2024-05-01T06:00:00Z"), Fields: []sensordata.Field{
				sensordata.Numeric("Temperature", num(t, "21.50"), "°C"),
				sensordata.Numeric("Temperature, Max", num(t, "1.2e3"), "K"),
				sensordata.Numeric("Share", num(t, "12.0"), "%"),
				sensordata.Numeric("Speed", num(t, "7"), "furlong/d"),
				sensordata.Int("Pulses", -5), sensordata.Long("Total", 9007199254740993), sensordata.Boolean("Open", false),
				sensordata.String("Serial", "A <1>\n"), sensordata.String("Empty", ""),
			}}, {At: at("2024-05-01T05:59:59.123456789Z"), Fields: []sensordata.Field{sensordata.Boolean("Open", true)}}}},
			{Node: roof, Timestamps: []sensordata.Timestamp{{At: at("2024-05-01T06:00:00Z"), Fields: []sensordata.Field{sensordata.Int("Pulses", 3)}}}},
			{Node: cellar, Timestamps: []sensordata.Timestamp{{At: at("2024-05-01T06:00:00Z"), Fields: []sensordata.Field{sensordata.Int("Pulses", 4)}}}},
		}
		p, left := m.Pack(nodes)
		if err := p.Check(); err != nil || left != 0 || len(p) != 12 {
			t.Fatalf("%d records, %d left, %v", len(p), left, err)
		}
		if p[0].Unit != "Cel" || p[2].Unit != "/100" || p[0].Time != dated || p[0].Value.String() != "21.50" || p[1].Value.String() != "1.2e3" {
			t.Errorf("%+v", p[:3])
		}
		got, left := m.Nodes(p)
		if left != 0 || !reflect.DeepEqual(got, nodes) {
			t.Errorf("%+v, %d left\nwant %+v", got, left, nodes)
		}
	}
}

// Names of records are what people would write, where SenML lets them, and come back.
func TestRecordNames(t *testing.T) {
	m, based := sensordata.Mapping{}, sensordata.Mapping{Base: base}
	for _, c := range []struct {
		node       sensordata.Node
		name, want string
	}{
		{sensordata.Node{}, "Temperature", "Temperature"},
		{sensordata.Node{}, "Temperature, Max", "Temperature_x2C_Max"},
		{cellar, "a.b:c-d", "Cellar/a.b:c-d"},
		{sensordata.Node{ID: "Roof", Source: "bus"}, "P", "bus/Roof/P"},
		{roof, "P", "bus/lamps/Roof/P"},
		{sensordata.Node{ID: "Roof", Cache: "lamps"}, "P", "z_x00/lamps/Roof/P"},
		{sensordata.Node{ID: "a/b"}, "c_d", "a_x2Fb/c_x5Fd"},
		{sensordata.Node{}, " x2C x2 ", "z_x20x2C_x2_"},
		{sensordata.Node{}, "a x20", "a_x20x20"},
		{sensordata.Node{}, "zone", "zone"},
		{sensordata.Node{}, "z", "z"},
		{sensordata.Node{}, "z,", "z_x7A_x2C"},
		{sensordata.Node{}, "-1", "z_x2D1"},
		{sensordata.Node{}, "é", "z_xC3_xA9"},
		{sensordata.Node{}, "z_x2C", "z_x7A_x5Fx2C"},
	} {
		f := sensordata.Int(c.name, 1)
		r, ok := m.Record(c.node, at("2024-05-01T06:00:00Z"), &f)
		if !ok || r.Name != c.want {
			t.Errorf("%+v %q: %q %t, want %q", c.node, c.name, r.Name, ok, c.want)
		}
		for _, m := range []sensordata.Mapping{m, based} {
			r, _ := m.Record(c.node, at("2024-05-01T06:00:00Z"), &f)
			n, _, back, ok := m.Field(&r)
			if !ok || n != c.node || back != f {
				t.Errorf("%q: %+v %+v %t, want %+v %+v", r.Name, n, back, ok, c.node, f)
			}
		}
	}
	// Names that others made stay what they are.
	for _, name := range []string{"room_temp", "sensor_42", "zone_1", "a/b/c", "urn:dev:ow:10e2:temp"} {
		r := senml.Record{Name: name, Value: senml.BoolValue(true), Time: dated}
		n, when, f, ok := m.Field(&r)
		again, ok2 := m.Record(n, when, &f)
		if !ok || !ok2 || again != r {
			t.Errorf("%+v %t %t, want %+v", again, ok, ok2, r)
		}
	}
}

// What only one of them can say is told, or is left and counted.
func TestMappingLeft(t *testing.T) {
	zone := time.FixedZone("", 2*3600)
	m := sensordata.Mapping{Zone: zone, Now: time.Unix(1714543200, 0), Categories: sensordata.Momentary}
	p, left := m.Pack([]sensordata.NodeFields{{Timestamps: []sensordata.Timestamp{
		{At: at("2024-05-01T08:00:00"), Fields: []sensordata.Field{
			{Name: "Level", Type: sensordata.TypeNumeric, Quality: sensordata.Missing},
			{Name: "Level", Type: sensordata.TypeNumeric, Value: "INF"},
			{Name: "Made", Type: sensordata.TypeDate, Value: "2023-11-30"},
			{Name: strings.Repeat("n", senml.MaxName+1), Type: sensordata.TypeInt, Value: "1"},
			{Name: "u", Type: sensordata.TypeNumeric, Value: "1", Unit: strings.Repeat("u", senml.MaxUnit+1)},
		}},
		{At: at("1970-01-01T00:00:00Z"), Fields: []sensordata.Field{sensordata.Int("Early", 1)}},
	}}})
	if left != 5 || len(p) != 1 || p[0] != (senml.Record{Name: "Made", Value: senml.TextValue("2023-11-30"), Time: dated}) {
		t.Errorf("%+v, %d left", p, left)
	}
	nodes, left := m.Nodes(senml.Pack{
		{Name: "a", Sum: senml.Int(3)},
		{Name: "a/b/c/d/e", Value: senml.BoolValue(true)},
		{Name: "a_xFF", Value: senml.BoolValue(true)},
		{Name: "a_x01", Value: senml.BoolValue(true)},
		{Name: "a/", Value: senml.BoolValue(true)},
		{Name: "t", Value: senml.NumberValue(num(t, "2.50")), Unit: "Cel", Time: senml.Time(-5 * time.Second)},
		{Name: "t", Value: senml.NumberValue(num(t, "2.51")), Unit: "Cel", Time: senml.Time(-5 * time.Second)},
		{Name: "d", Value: senml.DataValue([]byte{255, 0}), Time: senml.Time(-5 * time.Second)},
	})
	want := []sensordata.NodeFields{{Timestamps: []sensordata.Timestamp{{At: at("2024-05-01T05:59:55Z"), Fields: []sensordata.Field{
		{Name: "t", Type: sensordata.TypeNumeric, Value: "2.51", Unit: "°C", Categories: sensordata.Momentary},
		{Name: "d", Type: sensordata.TypeString, Value: "_wA", Categories: sensordata.Momentary},
	}}}}}
	if left != 5 || !reflect.DeepEqual(nodes, want) {
		t.Errorf("%+v, %d left\nwant %+v", nodes, left, want)
	}
	based := sensordata.Mapping{Base: base}
	if nodes, left := based.Nodes(senml.Pack{{Name: "t", Value: senml.BoolValue(true), Time: dated}}); nodes != nil || left != 1 {
		t.Errorf("of another base: %+v, %d left", nodes, left)
	}
}

// FuzzMapping takes any names and values there and back.
func FuzzMapping(f *testing.F) {
	f.Add("Temperature, Max", "Cellar", "", "", "21.50", "°C")
	f.Add("z_x2C", "a/b", "bus", "lamps", "-1e-3", "%")
	f.Add("é", "", "", "x", "text", "")
	f.Fuzz(func(t *testing.T, name, id, source, cache, value, unit string) {
		plain := func(s string) string {
			return strings.Map(func(r rune) rune {
				if r < ' ' || r >= 0x7f && r < 0xa0 {
					return -1
				}
				return r
			}, xmpptest.Chars(s))
		}
		want := sensordata.String("f"+plain(name), plain(value))
		if n, err := senml.ParseNumber(value); err == nil {
			want = sensordata.Numeric(want.Name, n, "x"+senml.Spelling(plain(unit)))
		}
		node := sensordata.Node{ID: plain(id), Source: plain(source), Cache: plain(cache)}
		for _, b := range []string{"", base} {
			m := sensordata.Mapping{Base: b}
			r, ok := m.Record(node, at("2024-05-01T06:00:00Z"), &want)
			if !ok {
				return // too long, or a unit that SenML has not
			}
			n, when, got, ok := m.Field(&r)
			if !ok || n != node || when != at("2024-05-01T06:00:00Z") || got != want {
				t.Fatalf("%+v %+v %t from %+v\nwant %+v %+v", n, got, ok, r, node, want)
			}
		}
	})
}
