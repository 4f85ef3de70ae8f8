// SPDX-License-Identifier: Apache-2.0

package sensordata_test

import (
	"fmt"

	"github.com/stonechat-im/stonechat/xmpp/sensordata"
)

// A reader asks for the temperature, may have nothing else, and gets what it has asked for of what the thing tells.
func Example() {
	asked := sensordata.Request{Seq: "1", Categories: sensordata.Momentary, Names: []string{"Temperature", "Power"}}
	allowed, ok := asked.Reduce(sensordata.Limit{Names: []string{"Temperature"}})
	fmt.Println(ok, string(allowed.AppendXML(nil)))

	readout := sensordata.NewReadout(*allowed, sensordata.Bounds{})
	for _, message := range sensordata.Split("1", []sensordata.NodeFields{{Node: sensordata.Node{ID: "Cellar"}, Timestamps: []sensordata.Timestamp{{
		At: at("2024-05-01T06:00:30Z"),
		Fields: []sensordata.Field{
			{Name: "Temperature", Type: sensordata.TypeNumeric, Value: "21.50", Unit: "°C", Categories: sensordata.Momentary},
			{Name: "Power", Type: sensordata.TypeNumeric, Value: "75", Unit: "W", Categories: sensordata.Momentary},
		},
	}}}}, 1) {
		if err := readout.Take(message); err != nil {
			fmt.Println(err)
		}
	}
	m := sensordata.Mapping{Base: "urn:dev:ser:0815:"}
	records, _ := m.Pack(readout.Nodes())
	fmt.Println(readout.State() == sensordata.Finished, records[0].Name, records[0].Value, records[0].Unit)
	// Output:
	// true <req xmlns='urn:xmpp:iot:sensordata' seqnr='1' momentary='true'><field name='Temperature'/></req>
	// true urn:dev:ser:0815:Cellar/Temperature 21.50 Cel
}
