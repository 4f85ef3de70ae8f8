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

// The largest message costs no more for each field than a small one, and no more than it says.
func TestDear(t *testing.T) {
	f := &sensordata.Fields{Seq: "1"}
	for range sensordata.MaxParts / 3 {
		f.Nodes = append(f.Nodes, small().Nodes...)
	}
	text := string(f.AppendXML(nil))
	var into sensordata.Fields
	n := testing.AllocsPerRun(1, func() {
		if err := xmpptest.Decode(text, &into); err != nil {
			t.Fatal(err)
		}
	})
	if most := 12.0 * sensordata.MaxParts / 3; n > most {
		t.Errorf("%.0f allocations, more than %.0f", n, most)
	}
	o := sensordata.NewReadout(sensordata.Request{Seq: "1"}, sensordata.Bounds{})
	if err := o.Take(&into); err != nil || len(o.Nodes()) != 1 || len(o.Nodes()[0].Timestamps[0].Fields) != 1 {
		t.Errorf("one value, said again and again: %v, %+v", err, o.Nodes())
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
