// SPDX-License-Identifier: Apache-2.0

package control_test

import (
	"testing"

	"github.com/stonechat-im/stonechat/xmpp/control"
	"github.com/stonechat-im/stonechat/xmpp/senml"
	"github.com/stonechat-im/stonechat/xmpp/sensordata"
)

func num(t *testing.T, s string) senml.Number {
	t.Helper()
	n, err := senml.ParseNumber(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// What Senml says, FromSenml reads.
func TestSenml(t *testing.T) {
	for _, p := range everyType().Parameters {
		v := p.Senml()
		got, err := control.FromSenml(p.Name, p.Type, v)
		if err != nil || got != p {
			t.Errorf("%+v as %s: %+v, %v", p, v, got, err)
		}
	}
	for _, c := range []struct {
		t    control.Type
		v    senml.Value
		want string // "" is refused
	}{
		{control.TypeInt, senml.NumberValue(num(t, "7.00")), "7"},
		{control.TypeLong, senml.NumberValue(num(t, "9007199254740993")), "9007199254740993"},
		{control.TypeInt, senml.NumberValue(num(t, "7.5")), ""},
		{control.TypeInt, senml.NumberValue(num(t, "3e9")), ""},
		{control.TypeLong, senml.NumberValue(num(t, "3e9")), "3000000000"},
		{control.TypeDouble, senml.NumberValue(num(t, "7.50")), "7.50"},
		{control.TypeBoolean, senml.NumberValue(num(t, "1")), ""},
		{control.TypeBoolean, senml.TextValue("true"), ""},
		{control.TypeDouble, senml.TextValue("7"), ""},
		{control.TypeDouble, senml.BoolValue(true), ""},
		{control.TypeString, senml.NumberValue(num(t, "1")), ""},
		{control.TypeColor, senml.TextValue("red"), ""},
		{control.TypeDate, senml.TextValue("2024-05-01"), "2024-05-01"},
		{control.TypeString, senml.DataValue([]byte{1}), ""},
		{control.TypeString, senml.Value{}, ""},
	} {
		got, err := control.FromSenml("a", c.t, c.v)
		if (err == nil) != (c.want != "") || err == nil && got.Value != c.want {
			t.Errorf("%s of %s: %+v, %v", c.t, c.v, got, err)
		}
	}
	infinite := control.Parameter{Name: "a", Type: control.TypeDouble, Value: "INF"}
	if v := infinite.Senml(); v != (senml.Value{}) {
		t.Errorf("infinite is %s", v)
	}
}

// The table of XEP-0325 §5.2.2.
func TestFromField(t *testing.T) {
	const b, c, d, dt, db, du, i, l, s, tm = control.TypeBoolean, control.TypeColor, control.TypeDate, control.TypeDateTime, control.TypeDouble,
		control.TypeDuration, control.TypeInt, control.TypeLong, control.TypeString, control.TypeTime
	type row map[control.Type]string
	for _, f := range []struct {
		t     sensordata.Type
		value string
		want  row // types that are not there cannot be
	}{
		{sensordata.TypeBoolean, "true", row{b: "true", db: "1", i: "1", l: "1", s: "true"}},
		{sensordata.TypeBoolean, "false", row{b: "false", db: "0", i: "0", l: "0", s: "false"}},
		{sensordata.TypeDate, "2024-05-01", row{d: "2024-05-01", dt: "2024-05-01T00:00:00", s: "2024-05-01"}},
		{sensordata.TypeDateTime, "2024-05-01T06:30:00Z", row{d: "2024-05-01Z", dt: "2024-05-01T06:30:00Z", tm: "06:30:00Z", s: "2024-05-01T06:30:00Z"}},
		{sensordata.TypeDuration, "PT90M", row{du: "PT90M", tm: "01:30:00", s: "PT90M"}},
		{sensordata.TypeDuration, "PT24H", row{du: "PT24H", s: "PT24H"}},
		{sensordata.TypeDuration, "-PT1H", row{du: "-PT1H", s: "-PT1H"}},
		{sensordata.TypeDuration, "P1M", row{du: "P1M", s: "P1M"}},
		{sensordata.TypeEnum, "Eco", row{s: "Eco"}},
		{sensordata.TypeInt, "-5", row{b: "true", db: "-5", i: "-5", l: "-5", s: "-5"}},
		{sensordata.TypeLong, "9007199254740993", row{b: "true", db: "9007199254740993", l: "9007199254740993", s: "9007199254740993"}},
		{sensordata.TypeNumeric, "21.70", row{b: "true", db: "21.70", i: "21", l: "21", s: "21.70"}},
		{sensordata.TypeNumeric, "-21.70", row{b: "true", db: "-21.70", i: "-21", l: "-21", s: "-21.70"}},
		{sensordata.TypeNumeric, "0.0", row{b: "false", db: "0.0", i: "0", l: "0", s: "0.0"}},
		{sensordata.TypeNumeric, "1e30", row{b: "true", db: "1e30", s: "1e30"}},
		{sensordata.TypeNumeric, "INF", row{b: "true", db: "INF", s: "INF"}},
		{sensordata.TypeNumeric, "NaN", row{db: "NaN", s: "NaN"}},
		{sensordata.TypeString, "3399ff", row{c: "3399ff", s: "3399ff"}},
		{sensordata.TypeString, "7", row{db: "7", i: "7", l: "7", s: "7"}},
		{sensordata.TypeString, "Wed, 01 May 2024 06:30:00 +0200", row{d: "2024-05-01", dt: "2024-05-01T04:30:00Z", s: "Wed, 01 May 2024 06:30:00 +0200"}},
		{sensordata.TypeString, "01:30:00", row{du: "PT1H30M", tm: "01:30:00", s: "01:30:00"}},
		{sensordata.TypeString, "true", row{s: "true"}},
		{sensordata.TypeTime, "01:30:00", row{du: "PT1H30M", tm: "01:30:00", s: "01:30:00"}},
	} {
		field := sensordata.Field{Name: "a", Type: f.t, Value: f.value}
		for kind := b; kind <= tm; kind++ {
			got, ok := control.FromField(kind, &field)
			want, can := f.want[kind]
			if ok != can || ok && got != (control.Parameter{Name: "a", Type: kind, Value: want}) {
				t.Errorf("%s %s as %s: %+v %t, want %q %t", f.t, f.value, kind, got, ok, want, can)
			}
		}
		field.Quality = sensordata.Missing
		if got, ok := control.FromField(s, &field); ok {
			t.Errorf("of what is missing: %+v", got)
		}
	}
}

// A momentary value counts before a status, and what is not writable for nothing.
func TestCurrent(t *testing.T) {
	field := func(v int32, c sensordata.Category) sensordata.Field {
		f := sensordata.Int("a", v)
		f.Categories = c
		return f
	}
	other, wrong, missing, fixed := field(1, sensordata.Momentary), sensordata.String("a", "x"), field(3, sensordata.Momentary), field(4, sensordata.Momentary)
	other.Name, wrong.Categories, missing.Quality, fixed.Writable = "b", sensordata.Momentary, sensordata.Missing, sensordata.WritableNo
	fields := []sensordata.Field{other, wrong, missing, fixed, field(5, sensordata.Peak), field(6, sensordata.Status), field(7, sensordata.Momentary)}
	if p, ok := control.Current("a", control.TypeInt, fields); !ok || p.Value != "7" {
		t.Errorf("%+v %t", p, ok)
	}
	if p, ok := control.Current("a", control.TypeInt, fields[:6]); !ok || p.Value != "6" {
		t.Errorf("%+v %t", p, ok)
	}
	if p, ok := control.Current("a", control.TypeInt, fields[:5]); ok {
		t.Errorf("%+v", p)
	}
}
