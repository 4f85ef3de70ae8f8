// SPDX-License-Identifier: Apache-2.0

package senml_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/senml"
)

func TestParseNumber(t *testing.T) {
	for in, want := range map[string]string{
		"0": "0", "-0": "-0", "21.50": "21.50", "+1.": "1", ".5": "0.5", "-007.10E+05": "-7.10e5", "1e-07": "1e-7", "1e0": "1", "00": "0",
		"12345678901234567890.12345678901234567890": "12345678901234567890.12345678901234567890", "1e308": "1e308", "5e-324": "5e-324", "1e-400": "1e-400",
	} {
		n, err := senml.ParseNumber(in)
		if err != nil || n.String() != want {
			t.Errorf("%s: %q, %v", in, n, err)
		}
		if again, err := senml.ParseNumber(want); err != nil || again != n {
			t.Errorf("%s: read again %q, %v", in, again, err)
		}
	}
	for _, in := range []string{"", "-", ".", "e5", "1e", "1e+", "1 ", " 1", "1.2.3", "0x10", "1_0", "NaN", "INF", "Infinity", "--1", "+-1", "1e309", "1e-401",
		"1e99999999999999999999", "١", "." + strings.Repeat("1", senml.MaxNumber-1), strings.Repeat("1", senml.MaxNumber+1)} {
		if n, err := senml.ParseNumber(in); err == nil || !n.IsZero() {
			t.Errorf("%q is taken as %q", in, n)
		}
	}
}

func TestNumber(t *testing.T) {
	for f, want := range map[float64]string{0: "0", 21.5: "21.5", -0.1: "-0.1", 1e21: "1e21", 1e-7: "1e-7", 123456789: "123456789", math.MaxFloat64: "1.7976931348623157e308", math.SmallestNonzeroFloat64: "5e-324"} {
		n, err := senml.Float(f)
		if err != nil || n.String() != want || n.Float64() != f {
			t.Errorf("%v: %q, %v, back %v", f, n, err, n.Float64())
		}
	}
	for _, f := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		if n, err := senml.Float(f); err == nil {
			t.Errorf("%v is %q", f, n)
		}
	}
	for in, want := range map[string]int64{"0": 0, "-5.00": -5, "1.5e1": 15, "9223372036854775807": math.MaxInt64, "-9223372036854775808": math.MinInt64} {
		if got, ok := num(t, in).Int64(); !ok || got != want {
			t.Errorf("%s: %d, %v", in, got, ok)
		}
	}
	for _, in := range []string{"0.5", "9223372036854775808", "1e300"} {
		if got, ok := num(t, in).Int64(); ok {
			t.Errorf("%s is the integer %d", in, got)
		}
	}
	var none senml.Number
	if _, ok := none.Int64(); ok || none.Float64() != 0 || none.String() != "" || !none.IsZero() || senml.Int(0).IsZero() {
		t.Error("no number is taken for one")
	}
	if senml.Int(math.MinInt64).String() != "-9223372036854775808" {
		t.Error(senml.Int(math.MinInt64))
	}
}

func TestCompare(t *testing.T) {
	sorted := []string{"-1e300", "-2", "-1.5", "-1e-400", "0", "1e-7", "0.1", "1", "9007199254740992", "9007199254740993", "1e300"}
	for i, a := range sorted {
		for j, b := range sorted {
			want := 0
			if i < j {
				want = -1
			} else if i > j {
				want = 1
			}
			if got := num(t, a).Compare(num(t, b)); got != want {
				t.Errorf("%s to %s: %d", a, b, got)
			}
		}
	}
	if num(t, "1.10").Compare(num(t, "11e-1")) != 0 || num(t, "1.10") == num(t, "1.1") {
		t.Error("digits and worth are mixed up")
	}
}

func TestAdd(t *testing.T) {
	for _, c := range []struct{ a, b, want string }{
		{"0.1", "0.2", "0.3"}, {"20.0", "1.10", "21.10"}, {"1.5e1", "-15", "0"}, {"1e2", "0.05", "100.05"}, {"1", "-1.00", "0.00"},
		{"12345678901234567890", "0.000000001", "12345678901234567890.000000001"},
		{"1e300", "1e-300", "1e300"},  // too long to be exact
		{"0.1e-3", "2e-5", "0.00012"}, // finer than either looks
		{"-0.5", "0.25", "-0.25"},
		{"1.25e-1", "1", "1.125"}, // as fine as the finer
		{"1e-400", "1e-400", "0"}, // no double is near
		{"9007199254740993", "0", "9007199254740993"},
		{"0e300", "0.5", "0.5"}, {"0.000e-3", "1", "1.000000"},
	} {
		for _, s := range [][2]string{{c.a, c.b}, {c.b, c.a}} {
			if got, err := num(t, s[0]).Add(num(t, s[1])); err != nil || got.String() != c.want {
				t.Errorf("%s + %s = %q, %v; want %s", s[0], s[1], got, err, c.want)
			}
		}
	}
	if got, err := num(t, "1.7e308").Add(num(t, "1.7e308")); err == nil {
		t.Errorf("beyond doubles: %q", got)
	}
	var none senml.Number
	if got, err := none.Add(num(t, "1.0")); err != nil || got.String() != "1.0" {
		t.Errorf("%q, %v", got, err)
	}
	for in, want := range map[string]int{"1": 0, "1.50": 2, "1.5e1": 0, "1e-7": 7, "1.5e-3": 4, "1e5": 0} {
		if got := num(t, in).Decimals(); got != want {
			t.Errorf("%s has %d decimals", in, got)
		}
	}
}

func TestTime(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 5, time.FixedZone("", 3600))
	at, ok := senml.At(now)
	if !ok || at.IsRelative() || !at.Date(time.Time{}).Equal(now) || at.Date(now).Location() != time.UTC || at.Seconds().String() != "1772362800.000000005" {
		t.Errorf("%v, %v: %s", at, ok, at.Seconds())
	}
	for ago, want := range map[senml.Time]string{senml.Now: "0", -5 * second: "-5", second / 2: "0.5", 1: "0.000000001", -second - 10: "-1.00000001", 100 * second: "100"} {
		if !ago.IsRelative() || ago.Seconds().String() != want || !ago.Date(now).Equal(now.Add(time.Duration(ago))) {
			t.Errorf("%d: %s, %s", ago, ago.Seconds(), ago.Date(now))
		}
	}
	// Read from packs, where they are rounded to nanoseconds.
	for in, want := range map[string]senml.Time{"1.5e-9": 2, "-1.5e-9": -2, "1.4999e-9": 1, "5e-10": 1, "4.9e-10": 0, "9e-11": 0, "1e-400": 0, "0e9": 0, "0.1e1": second,
		"9223372036.854775807": math.MaxInt64, "9223372036.8547758074": math.MaxInt64, "9223372036.8547758079": math.MaxInt64, "-9223372036.854775807": -math.MaxInt64, "17e8": dated, "1700000000.0000000004": dated} {
		p, err := senml.ParseJSON([]byte(`[{"n":"a","v":1,"t":` + in + "}]"))
		if err != nil || p[0].Time != want {
			t.Errorf("%s: %+v, %v", in, p, err)
		}
	}
	for _, in := range []string{"9223372036.854775808", "1e10", "99999999999e-1", "-1e300"} {
		if p, err := senml.ParseJSON([]byte(`[{"n":"a","v":1,"t":` + in + "}]")); err == nil {
			t.Errorf("%s: %+v", in, p)
		}
	}
	edge := time.Unix(1<<28, 0)
	if at, ok := senml.At(edge); !ok || at.IsRelative() || !(at - 1).IsRelative() {
		t.Error("the first absolute time is not")
	}
	for _, out := range []time.Time{{}, time.Unix(0, 0), edge.Add(-1), time.Date(2300, 1, 1, 0, 0, 0, 0, time.UTC)} {
		if at, ok := senml.At(out); ok {
			t.Errorf("%s is %d", out, at)
		}
	}
}

func TestValue(t *testing.T) {
	data := []byte{1, 2}
	d := senml.DataValue(data)
	data[0] = 9
	if got := d.Data(); d.Kind() != senml.KindData || len(got) != 2 || got[0] != 1 || d.Text() != "" || d.String() != "AQI" {
		t.Errorf("%v", d)
	}
	if v := senml.TextValue("x"); v.Kind() != senml.KindText || v.Text() != "x" || v.String() != "x" || v.Data() != nil || v.Bool() || !v.Number().IsZero() {
		t.Errorf("%v", v)
	}
	if v := senml.BoolValue(true); v.Kind() != senml.KindBool || !v.Bool() || v.String() != "true" || senml.BoolValue(false).String() != "false" {
		t.Errorf("%v", v)
	}
	if v := val(t, "1.0"); v.Kind() != senml.KindNumber || v.Number().String() != "1.0" || v.String() != "1.0" {
		t.Errorf("%v", v)
	}
	if v := (senml.Value{}); v.Kind() != 0 || v != senml.NumberValue(senml.Number{}) || v.String() != "" {
		t.Errorf("%v", v)
	}
}

func TestConvert(t *testing.T) {
	for _, c := range []struct{ n, from, to, want string }{
		{"21.5", "Cel", "Cel", "21.5"}, {"1.50", "furlong", "furlong", "1.50"},
		{"1.5", "kWh", "J", "5400000"}, {"5400000", "J", "kWh", "1.5"}, {"1", "kWh", "Wh", "1000"}, {"250", "mA", "A", "0.25"},
		{"30", "dBm", "dBW", "0"}, {"0", "dBW", "dBm", "30"}, {"36", "km/h", "m/s", "10"}, {"10", "m/s", "km/h", "36"},
		{"1", "m/h", "m/s", "0.0002777777777777778"}, {"45", "/100", "/", "0.45"}, {"2", "KiB", "B", "2048"}, {"1", "Wh/km", "J/m", "3.6"},
		{"0.1", "ms", "s", "0.0001"}, {"1", "MB/s", "Mbit/s", "8"},
	} {
		got, err := senml.Convert(num(t, c.n), c.from, c.to)
		if err != nil || got.String() != c.want {
			t.Errorf("%s %s is %q %s, %v; want %s", c.n, c.from, got, c.to, err, c.want)
		}
	}
	for _, c := range [][2]string{{"V", "A"}, {"V", "volt"}, {"volt", "V"}, {"Cel", "K"}, {"", "V"}} {
		if got, err := senml.Convert(num(t, "1"), c[0], c[1]); err == nil {
			t.Errorf("1 %s is %s %s", c[0], got, c[1])
		}
	}
	if got, err := senml.Convert(num(t, "1.7e308"), "kWh", "J"); err == nil {
		t.Errorf("beyond doubles: %s", got)
	}
	for symbol, secondary := range map[string]bool{"Cel": false, "kWh": true, "%RH": false, "dBm": true} {
		u, ok := senml.LookupUnit(symbol)
		if !ok || u.IsSecondary() != secondary || u.Symbol != symbol || u.Name == "" || u.Primary == "" {
			t.Errorf("%s: %+v, %v", symbol, u, ok)
		}
		if p, ok := senml.LookupUnit(u.Primary); !ok || p.IsSecondary() {
			t.Errorf("%s: its primary unit is %+v, %v", symbol, p, ok)
		}
	}
	if u, ok := senml.LookupUnit("%"); !ok || !u.Discouraged {
		t.Error("% is as good as any")
	}
	if u, ok := senml.LookupUnit("°C"); ok {
		t.Errorf("%+v", u)
	}
}
