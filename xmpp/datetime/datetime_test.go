// SPDX-License-Identifier: Apache-2.0

package datetime_test

import (
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/datetime"
)

func TestTime(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"1969-07-21T02:56:15Z", ""},                          // XEP-0082 §3.2
		{"1969-07-20T21:56:15-05:00", "1969-07-21T02:56:15Z"}, // XEP-0082 §3.2
		{"2002-09-10T23:08:25.5Z", ""},
		{"2002-09-10T23:08:25.500Z", "2002-09-10T23:08:25.5Z"},
		{"2002-09-10T23:08:25.123456Z", ""},
		{"2002-09-10T23:08:25.123456789Z", "2002-09-10T23:08:25.123456Z"},
		{"2002-09-10T23:08:25.0000001Z", "2002-09-10T23:08:25Z"},
		{"2024-02-29T00:00:00+23:59", "2024-02-28T00:01:00Z"},
	} {
		at, err := datetime.Parse(c.in)
		if err != nil {
			t.Errorf("Parse(%q): %v", c.in, err)
			continue
		}
		if c.want == "" {
			c.want = c.in
		}
		if got := datetime.Format(at); got != c.want || at.Location() != time.UTC {
			t.Errorf("Parse(%q) is written %s in %v; want %s", c.in, got, at.Location(), c.want)
		}
	}
	for _, in := range []string{
		"", "now", "2002-09-10", "2002-09-10T23:08:25", "2002-09-10 23:08:25Z", "20020910T23:08:25",
		"2002-09-10T23:08:25,5Z", "2002-09-10T3:08:25Z", "2002-13-10T23:08:25Z", "2023-02-29T00:00:00Z",
		"2002-09-10T24:00:00Z", "2002-09-10T23:08:25+24:00", "2002-09-10T23:08:25z", "0000-01-01T00:00:00+00:01",
		"9999-12-31T23:59:59-00:01", "2002-09-10T23:08:25.Z", "2002-09-10T23:08:25", " 2002-09-10T23:08:25Z",
		"2002-09-10T23:08:25.0000000000000000000000000000000000000000000000000000000000001Z",
	} {
		if at, err := datetime.Parse(in); err == nil || !at.IsZero() {
			t.Errorf("Parse(%q) = %v, %v", in, at, err)
		}
	}
}

func TestOffset(t *testing.T) {
	for _, c := range []struct {
		in   string
		want time.Duration
	}{
		{"Z", 0},
		{"-06:00", -6 * time.Hour},
		{"+05:45", 5*time.Hour + 45*time.Minute},
		{"-00:30", -30 * time.Minute},
		{"+14:00", 14 * time.Hour},
	} {
		got, err := datetime.ParseOffset(c.in)
		if err != nil || got != c.want {
			t.Errorf("ParseOffset(%q) = %v, %v; want %v", c.in, got, err, c.want)
		}
		if written := string(datetime.AppendOffset(nil, c.want)); written != c.in {
			t.Errorf("AppendOffset(%v) = %s; want %s", c.want, written, c.in)
		}
	}
	if got, err := datetime.ParseOffset("+00:00"); got != 0 || err != nil {
		t.Errorf("ParseOffset(+00:00) = %v, %v", got, err)
	}
	for _, in := range []string{"", "z", "UTC", "6:00", "+6:00", "+0600", "+24:00", "+05:60", "+0a:00", "+05-45", "+005:45"} {
		if got, err := datetime.ParseOffset(in); err == nil {
			t.Errorf("ParseOffset(%q) = %v", in, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("1969-07-21T02:56:15Z")
	f.Add("2002-09-10T23:08:25.123456-06:00")
	f.Fuzz(func(t *testing.T, in string) {
		at, err := datetime.Parse(in)
		if err != nil {
			return
		}
		written := datetime.Format(at)
		again, err := datetime.Parse(written)
		if err != nil || !again.Equal(at.Truncate(time.Microsecond)) {
			t.Fatalf("%q is %v, written %q, is %v, %v", in, at, written, again, err)
		}
	})
}
