// SPDX-License-Identifier: Apache-2.0

package sensordata_test

import (
	"testing"

	"github.com/stonechat-im/stonechat/internal/xmpptest"
	"github.com/stonechat-im/stonechat/xmpp/senml"
	"github.com/stonechat-im/stonechat/xmpp/sensordata"
)

// small is what a thermometer answers.
func small() *sensordata.Fields {
	f := sensordata.Numeric("Temperature", senml.Int(21), "°C")
	f.Categories, f.Quality = sensordata.Momentary, sensordata.AutomaticReadout
	return one("41", true, cellar, "2024-05-01T06:00:00Z", f)
}

// A small readout costs little: writing it the bytes alone, reading it those and a slice for each level.
func TestCost(t *testing.T) {
	f := small()
	xml := f.AppendXML(nil)
	text := string(xml)
	dst := make([]byte, 0, 2*len(xml))
	if n := testing.AllocsPerRun(100, func() { _ = f.AppendXML(dst) }); n > 1 { // the time
		t.Errorf("writing takes %.0f allocations", n)
	}
	var into sensordata.Fields
	if n := testing.AllocsPerRun(100, func() { _ = xmpptest.Decode(text, &into) }); n > 16 {
		t.Errorf("reading takes %.0f allocations", n)
	}
	if len(xml) > 300 {
		t.Errorf("%d bytes", len(xml))
	}
}

func BenchmarkAppend(b *testing.B) {
	f, dst := small(), make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		_ = f.AppendXML(dst)
	}
}

func BenchmarkDecode(b *testing.B) {
	text := string(small().AppendXML(nil))
	b.ReportAllocs()
	for b.Loop() {
		var f sensordata.Fields
		if err := xmpptest.Decode(text, &f); err != nil {
			b.Fatal(err)
		}
	}
}
