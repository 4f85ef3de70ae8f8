// SPDX-License-Identifier: Apache-2.0

package sensordata_test

import (
	"testing"

	"github.com/stonechat-im/stonechat/internal/xmpptest"
	"github.com/stonechat-im/stonechat/xmpp/sensordata"
	"github.com/stonechat-im/stonechat/xmpp/xsd"
)

func at(s string) xsd.DateTime {
	v, err := xsd.ParseDateTime(s)
	if err != nil {
		panic(err)
	}
	return v
}

var (
	cellar = sensordata.Node{ID: "Cellar"}
	roof   = sensordata.Node{ID: "Roof", Source: "bus", Cache: "lamps"}
)

// everyType is fields of all types.
func everyType() *sensordata.Fields {
	return &sensordata.Fields{Seq: "42", Nodes: []sensordata.NodeFields{
		{Node: cellar, Timestamps: []sensordata.Timestamp{{At: at("2024-05-01T06:00:00Z"), Fields: []sensordata.Field{
			{Name: "Open", Type: sensordata.TypeBoolean, Value: "true", Categories: sensordata.Status, Writable: sensordata.WritableYes},
			{Name: "Made", Type: sensordata.TypeDate, Value: "2023-11-30", Categories: sensordata.Identity},
			{Name: "Started", Type: sensordata.TypeDateTime, Value: "2024-04-30T22:15:00+02:00", Categories: sensordata.Status, Quality: sensordata.Signed},
			{Name: "Runtime", Type: sensordata.TypeDuration, Value: "P1DT2H3.5S", Categories: sensordata.Computed, Writable: sensordata.WritableNo},
			{Name: "Mode", Type: sensordata.TypeEnum, Value: "Eco", DataType: "HeaterMode", Categories: sensordata.Status, Quality: sensordata.Warning | sensordata.Error},
			{Name: "Pulses", Type: sensordata.TypeInt, Value: "-5", Categories: sensordata.Momentary, Quality: sensordata.ManualReadout},
			{Name: "Total", Type: sensordata.TypeLong, Value: "9007199254740993", Categories: sensordata.Momentary, Quality: sensordata.Invoiced | sensordata.InvoiceConfirmed},
			{Name: "Pressure", Type: sensordata.TypeNumeric, Value: "1.0130E3", Unit: "hPa", Categories: sensordata.Momentary, Quality: sensordata.TimeOffset | sensordata.PowerFailure},
			{Name: "Level", Type: sensordata.TypeNumeric, Categories: sensordata.Momentary, Quality: sensordata.Missing},
			{Name: "Serial", Type: sensordata.TypeString, Value: "A <1>", Categories: sensordata.Identity, Module: "Meters", StringIDs: "4||A1,2"},
			{Name: "Alarm", Type: sensordata.TypeTime, Value: "06:30:00", Categories: sensordata.Status, Quality: sensordata.EndOfSeries | sensordata.InProgress},
		}}}},
		{Node: roof, Timestamps: []sensordata.Timestamp{
			{At: at("2024-05-01T05:00:00Z"), Fields: []sensordata.Field{{Name: "Energy", Type: sensordata.TypeNumeric, Value: "12", Unit: "kWh",
				Categories: sensordata.HistoricalHour | sensordata.HistoricalDay, Quality: sensordata.AutomaticEstimate | sensordata.ManualEstimate}}},
			{At: at("2024-05-01T04:00:00Z")},
		}},
	}}
}

func TestCodec(t *testing.T) {
	xmpptest.Codec(t, []xmpptest.Case{
		{File: "xep0323-3.1-request", Want: &sensordata.Request{Seq: "41", Categories: sensordata.Momentary}},
		{File: "xep0323-3.4-request", Want: &sensordata.Request{Seq: "42", Categories: sensordata.All, When: at("2024-05-01T06:00:00")}},
		{File: "xep0323-3.6-request", Want: &sensordata.Request{Seq: "43", Categories: sensordata.Peak | sensordata.HistoricalDay,
			From: at("2024-05-01T00:00:00+02:00"), To: at("2024-05-02T00:00:00.5Z"),
			Nodes: []sensordata.Node{cellar, roof}, Names: []string{"Energy", "Power & more"},
			Tokens: sensordata.Tokens{Service: "s1", Device: "d1", User: "u1"}}},
		{File: "xep0323-5.6-request", Want: &sensordata.Request{Seq: "-44", Categories: sensordata.Status | sensordata.Historical}},
		{File: "xep0323-3.1-accepted", Want: &sensordata.Accepted{Seq: "41"}},
		{File: "xep0323-3.4-queued", Want: &sensordata.Accepted{Seq: "42", Queued: true}},
		{File: "xep0323-3.4-started", Want: &sensordata.Started{Seq: "42"}},
		{File: "xep0323-3.4-done", Want: &sensordata.Done{Seq: "42"}},
		{File: "xep0323-3.7-cancel", Want: &sensordata.Cancel{Seq: "42"}},
		{File: "xep0323-3.7-cancelled", Want: &sensordata.Cancelled{Seq: "42"}},
		{File: "xep0323-3.1-fields", Want: &sensordata.Fields{Seq: "41", Done: true, Nodes: []sensordata.NodeFields{{Node: cellar,
			Timestamps: []sensordata.Timestamp{{At: at("2024-05-01T06:00:30"), Fields: []sensordata.Field{{Name: "Temperature", Type: sensordata.TypeNumeric,
				Value: "21.50", Unit: "°C", Categories: sensordata.Momentary, Quality: sensordata.AutomaticReadout}}}}}}}},
		{File: "xep0323-5.4-types", Want: everyType()},
		{File: "xep0323-3.2-failure", Want: &sensordata.Failure{Seq: "42", Done: true, Errors: []sensordata.NodeError{
			{Node: cellar, At: at("2024-05-01T06:00:01"), Text: "The bus is silent."},
			{Node: roof, At: at("2024-05-01T06:00:02Z"), Text: "Not there <yet>."}}}},
	})
}
