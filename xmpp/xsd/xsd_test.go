// SPDX-License-Identifier: Apache-2.0

package xsd_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/xsd"
)

func TestClean(t *testing.T) {
	for _, c := range []struct {
		t    xsd.Type
		good map[string]string
		bad  []string
	}{
		{xsd.TypeString, map[string]string{"": "", " a\n": " a\n"}, nil},
		{xsd.TypeBoolean, map[string]string{"true": "true", " 1\t": "true", "0": "false", "false": "false"}, []string{"", "TRUE", "yes", "01"}},
		{xsd.TypeInt, map[string]string{"+5": "+5", "-2147483648": "-2147483648", " 007 ": "007"}, []string{"", "2147483648", "1.0", "1e1", "0x1", "1_0", "--1"}},
		{xsd.TypeLong, map[string]string{"9223372036854775807": "9223372036854775807"}, []string{"9223372036854775808", "1 2"}},
		{xsd.TypeDouble, map[string]string{"21.50": "21.50", "-.5E-3": "-.5E-3", "INF": "INF", "-INF": "-INF", "NaN": "NaN", "5.": "5.", "1e-999": "1e-999"},
			[]string{"", ".", "e1", "1e", "inf", "+INF", "Infinity", "nan", "0x1p1", "1_0", "1,5", "1e999", "1.2.3", strings.Repeat("1", xsd.MaxLength+1)}},
		{xsd.TypeDate, map[string]string{"2024-02-29": "2024-02-29", "2023-11-30+02:00": "2023-11-30+02:00", "0002-01-01Z": "0002-01-01Z"},
			[]string{"", "2023-02-29", "0000-01-01", "0001-01-01", "24-01-01", "2024-1-1", "2024-13-01", "2024-00-01", "2024-01-00", "2024-01-32", "-2024-01-01", "12024-01-01", "2024-01-01T00:00:00", "2024-01-01+15:00", "2024-01-01+14:01", "2024-01-01+2:00"}},
		{xsd.TypeTime, map[string]string{"06:30:00": "06:30:00", "23:59:59.999999999999Z": "23:59:59.999999999999Z", "24:00:00": "24:00:00", "00:00:00-14:00": "00:00:00-14:00"},
			[]string{"", "6:30:00", "06:30", "24:00:01", "24:00:00.1", "23:60:00", "23:59:60", "06:30:00.", "06:30:00 Z", "06:30:00z"}},
		{xsd.TypeDateTime, map[string]string{"2024-05-01T06:00:00": "2024-05-01T06:00:00", "2024-05-01T06:00:00.25+05:30": "2024-05-01T06:00:00.25+05:30", "2024-12-31T24:00:00Z": "2024-12-31T24:00:00Z", "2024-05-01": "2024-05-01"},
			[]string{"", "2024-05-01T", "2024-05-01 06:00:00", "2024-05-01T06:00", "2024-05-01T06:00:00+0200", "2024-05-01t06:00:00Z", "9999-12-31T24:00:00Z", "2024-05-01T06:00:00ZZ"}},
		{xsd.TypeDuration, map[string]string{"PT0S": "PT0S", "-P1Y2M3DT4H5M6.7S": "-P1Y2M3DT4H5M6.7S", "P2M": "P2M", "PT36H": "PT36H", "PT.5S": ""},
			[]string{"", "P", "PT", "P1DT", "1D", "P1S", "PT1D", "P1M1Y", "PT1S1M", "P-1D", "+P1D", "P1.5D", "PT1.S", "P1H", "p1d", "P99999999999Y", "P99999999999D", "PT9223372037S99", "P292YT1", "PT18446744073709551616S"}},
		{0, nil, []string{"", "a"}},
	} {
		for in, want := range c.good {
			got, err := c.t.Clean(in)
			if want == "" && in != "" {
				if err == nil {
					t.Errorf("%s %q is taken", c.t, in)
				}
				continue
			}
			if err != nil || got != want {
				t.Errorf("%s %q: %q, %v", c.t, in, got, err)
			}
		}
		for _, in := range c.bad {
			if got, err := c.t.Clean(in); err == nil {
				t.Errorf("%s %q is taken as %q", c.t, in, got)
			}
		}
	}
}

func TestTypes(t *testing.T) {
	for v := xsd.TypeString; v <= xsd.TypeDuration; v++ {
		if got, ok := xsd.ParseType(v.String()); !ok || got != v {
			t.Errorf("%s: %s %t", v, got, ok)
		}
	}
	for _, name := range []string{"", "int", "xs:integer", "xs:"} {
		if got, ok := xsd.ParseType(name); ok {
			t.Errorf("%q is %s", name, got)
		}
	}
	if s := (xsd.TypeDuration + 1).String(); s != "" {
		t.Error(s)
	}
}

func TestCompare(t *testing.T) {
	for _, c := range []struct {
		t    xsd.Type
		a, b string
		want int
		ok   bool
	}{
		{xsd.TypeInt, "-5", "3", -1, true},
		{xsd.TypeLong, "9007199254740993", "9007199254740992", 1, true},
		{xsd.TypeDouble, "1e1", "10.0", 0, true},
		{xsd.TypeDouble, "INF", "1e300", 1, true},
		{xsd.TypeDouble, "NaN", "1", 0, false},
		{xsd.TypeDouble, "1", " NaN", 0, false},
		{xsd.TypeDate, "2024-05-01", "2024-04-30", 1, true},
		{xsd.TypeTime, "06:00:00", "06:00:00.0", 0, true},
		{xsd.TypeDateTime, "2024-05-01T06:00:00+02:00", "2024-05-01T04:00:00Z", 0, true},
		{xsd.TypeDateTime, "2024-05-01T06:00:00+02:00", "2024-05-01T05:00:00", 1, true},
		{xsd.TypeDateTime, "2024-05-01T06:00:00Z", "2024-05-01T06:00:00-01:00", -1, true},
		{xsd.TypeDuration, "PT60M", "PT1H", 0, true},
		{xsd.TypeDuration, "P1M", "P29D", 1, true},
		{xsd.TypeDuration, "-PT1S", "PT0S", -1, true},
		{xsd.TypeInt, "x", "3", 0, false},
		{xsd.TypeString, "a", "b", 0, false},
		{xsd.TypeBoolean, "true", "false", 0, false},
	} {
		if got, ok := c.t.Compare(c.a, c.b); got != c.want && ok || ok != c.ok {
			t.Errorf("%s %s %s: %d %t", c.t, c.a, c.b, got, ok)
		}
	}
}

func TestDateTime(t *testing.T) {
	stockholm := time.FixedZone("", 7200)
	for in, want := range map[string]struct {
		text string
		utc  string // where it is meant in stockholm, if it does not say
	}{
		"2024-05-01T06:00:00":             {"2024-05-01T06:00:00", "2024-05-01T04:00:00Z"},
		"2024-05-01T06:00:00Z":            {"2024-05-01T06:00:00Z", "2024-05-01T06:00:00Z"},
		"2024-05-01T06:00:00.500+0530":    {},
		" 2024-05-01T06:00:00.500+05:30 ": {"2024-05-01T06:00:00.5+05:30", "2024-05-01T00:30:00.5Z"},
		"2024-12-31T24:00:00-00:30":       {"2025-01-01T00:00:00-00:30", "2025-01-01T00:30:00Z"},
		"2024-05-01T06:00:00+00:00":       {"2024-05-01T06:00:00Z", "2024-05-01T06:00:00Z"},
		"2024-05-01":                      {"2024-05-01T00:00:00", "2024-04-30T22:00:00Z"},
		"2024-05-01T06:00:00.1234567899Z": {"2024-05-01T06:00:00.123456789Z", "2024-05-01T06:00:00.123456789Z"},
	} {
		d, err := xsd.ParseDateTime(in)
		if (err != nil) != (want.text == "") {
			t.Errorf("%s: %v", in, err)
		}
		if err != nil {
			continue
		}
		utc, _ := time.Parse(time.RFC3339Nano, want.utc)
		if d.String() != want.text || !d.In(stockholm).Equal(utc) || d.In(stockholm).Location() != time.UTC {
			t.Errorf("%s: %s, %s", in, d, d.In(stockholm))
		}
		if again, err := xsd.ParseDateTime(d.String()); err != nil || again != d {
			t.Errorf("%s again: %+v, %v", d, again, err)
		}
	}
	now := time.Date(2024, 5, 1, 6, 0, 0, 7, stockholm)
	d := xsd.At(now)
	if !d.In(nil).Equal(now) || !d.HasOffset() || d.String() != "2024-05-01T04:00:00.000000007Z" || xsd.On(now).String() != "2024-05-01" {
		t.Errorf("%s, %s", d, xsd.On(now))
	}
	local, _ := xsd.ParseDateTime("2024-05-01T06:30:00.5+02:00")
	if local.Date().String() != "2024-05-01+02:00" || local.Time().String() != "06:30:00.5+02:00" || local.Time().SinceMidnight() != 6*time.Hour+30*time.Minute+time.Second/2 {
		t.Errorf("%s %s", local.Date(), local.Time())
	}
	if local.Date().DateTime().String() != "2024-05-01T00:00:00+02:00" {
		t.Error(local.Date().DateTime())
	}
	none := xsd.DateTime{}
	if !none.IsZero() || none.String() != "" || !none.In(stockholm).IsZero() || !none.Date().IsZero() || !xsd.At(time.Time{}).IsZero() ||
		!xsd.At(time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() || !xsd.On(time.Time{}).IsZero() || (xsd.Date{}).String() != "" {
		t.Errorf("none is %s", none)
	}
	for in, want := range map[time.Duration]string{0: "00:00:00", 90 * time.Minute: "01:30:00", 25 * time.Hour: "01:00:00", -time.Hour: "23:00:00", 1: "00:00:00.000000001"} {
		if got := xsd.Clock(in); got.String() != want {
			t.Errorf("%s: %s", in, got)
		}
	}
	if (xsd.Time{}).String() != "00:00:00" || (xsd.Time{}).SinceMidnight() != 0 {
		t.Errorf("no time of day: %s", xsd.Time{})
	}
}

func TestDuration(t *testing.T) {
	for in, want := range map[string]xsd.Duration{
		"PT0S": {}, "P0Y": {}, "PT3M30S": {Time: 210 * time.Second}, "-P1Y2M3DT4H5M6.7S": {Months: -14, Time: -(76*time.Hour + 5*time.Minute + 6700*time.Millisecond)},
		"PT36H": {Time: 36 * time.Hour}, "PT0.0000000019S": {Time: 1}, "PT9223372036.854775807S": {Time: math.MaxInt64}, "P2147483647M": {Months: math.MaxInt32},
	} {
		got, err := xsd.ParseDuration(in)
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v", in, got, err)
		}
		if again, err := xsd.ParseDuration(got.String()); err != nil || again != got {
			t.Errorf("%s as %s: %+v, %v", in, got, again, err)
		}
	}
	for d, want := range map[xsd.Duration]string{
		{}: "PT0S", {Months: 25}: "P2Y1M", {Time: 36*time.Hour + 1}: "P1DT12H0.000000001S", {Time: -90 * time.Second}: "-PT1M30S", {Time: 24 * time.Hour}: "P1D",
		{Months: math.MinInt32, Time: math.MinInt64}: "-P178956970Y8M106751DT23H47M16.854775808S",
	} {
		if d.String() != want {
			t.Errorf("%+v: %s, want %s", d, d, want)
		}
	}
}

func TestDouble(t *testing.T) {
	for _, f := range []float64{0, -1.5, 1e300, 5e-324, math.Inf(1), math.Inf(-1), 1e21, 123456789} {
		if got, err := xsd.ParseDouble(xsd.FormatDouble(f)); err != nil || got != f {
			t.Errorf("%g: %s, %g, %v", f, xsd.FormatDouble(f), got, err)
		}
	}
	if got, err := xsd.ParseDouble(xsd.FormatDouble(math.NaN())); err != nil || !math.IsNaN(got) {
		t.Errorf("%g, %v", got, err)
	}
}

func FuzzValues(f *testing.F) {
	for _, s := range []string{"2024-05-01T06:00:00.5+02:00", "-P1Y2M3DT4H5M6.7S", "24:00:00", "2024-02-29Z", "1e5", "true", "-7"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for v := xsd.TypeBoolean; v <= xsd.TypeDuration; v++ {
			clean, err := v.Clean(s)
			if err != nil {
				continue
			}
			if again, err := v.Clean(clean); err != nil || again != clean {
				t.Errorf("%s %q: %q, %q, %v", v, s, clean, again, err)
			}
			if c, ok := v.Compare(clean, clean); ok && c != 0 {
				t.Errorf("%s %q is not itself", v, clean)
			}
		}
		if d, err := xsd.ParseDateTime(s); err == nil {
			if again, err := xsd.ParseDateTime(d.String()); err != nil || again != d {
				t.Errorf("%q: %s, %s, %v", s, d, again, err)
			}
		}
		if d, err := xsd.ParseDate(s); err == nil {
			if again, err := xsd.ParseDate(d.String()); err != nil || again != d {
				t.Errorf("%q: %s, %s, %v", s, d, again, err)
			}
		}
		if d, err := xsd.ParseTime(s); err == nil {
			if again, err := xsd.ParseTime(d.String()); err != nil || again != d {
				t.Errorf("%q: %s, %s, %v", s, d, again, err)
			}
		}
		if d, err := xsd.ParseDuration(s); err == nil {
			if again, err := xsd.ParseDuration(d.String()); err != nil || again != d {
				t.Errorf("%q: %s, %s, %v", s, d, again, err)
			}
		}
	})
}
