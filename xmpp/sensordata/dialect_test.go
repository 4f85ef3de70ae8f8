// SPDX-License-Identifier: Apache-2.0

package sensordata

import (
	"reflect"
	"strings"
	"testing"

	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
	"github.com/stonechat-im/stonechat/xmpp/xsd"
)

// short is a generation that nobody speaks: with names as short as they get, numbers that are texts, and a mark that there is more.
func shortDialect() *dialect {
	d := xep
	d.space, d.request, d.fields, d.failure, d.accepted = "urn:x:sd", "q", "r", "x", "y"
	d.node, d.field, d.timestamp, d.err = "nd", "f", "ts", "e"
	d.seq, d.seqText = "id", true
	d.final, d.goesOn = "more", true
	d.nodeID, d.sourceID, d.cacheType = "id", "src", "pt"
	d.name, d.value, d.at, d.unit, d.errorAt = "n", "v", "v", "u", "ts"
	d.types[TypeNumeric], d.types[TypeBoolean] = "n", "b"
	d.categories[0], d.qualities[5] = "m", "ar"
	d.all = "a"
	return &d
}

// Another generation is another table, and no other code.
func TestDialect(t *testing.T) {
	d := shortDialect()
	at, _ := xsd.ParseDateTime("2024-05-01T06:00:00Z")
	q := Request{Seq: "q-1", Categories: Momentary, Nodes: []Node{{ID: "a", Source: "b", Cache: "c"}}, Names: []string{"T"}}
	f := Fields{Seq: "q-1", Nodes: []NodeFields{{Node: Node{ID: "a"}, Timestamps: []Timestamp{{At: at, Fields: []Field{
		{Name: "T", Type: TypeNumeric, Value: "21.5", Unit: "K", Categories: Momentary, Quality: AutomaticReadout}}}}}}}
	last := f
	last.Done = true
	e := Failure{Seq: "q-1", Done: true, Errors: []NodeError{{Node: Node{ID: "a"}, At: at, Text: "no"}}}
	var gotQ Request
	var gotF, gotLast Fields
	var gotE Failure
	for _, c := range []struct {
		xml       string
		want      string
		got, give any
		err       error
	}{
		{string(d.appendRequest(nil, &q)), "<q xmlns='urn:x:sd' id='q-1' m='true'><nd id='a' src='b' pt='c'/><f n='T'/></q>",
			&gotQ, &q, d.readRequest(reader(d.appendRequest(nil, &q)), &gotQ)},
		{string(d.appendFields(nil, &f)), "<r xmlns='urn:x:sd' id='q-1' more='true'><nd id='a'><ts v='2024-05-01T06:00:00Z'>" +
			"<n n='T' m='true' ar='true' v='21.5' u='K'/></ts></nd></r>", &gotF, &f, d.readFields(reader(d.appendFields(nil, &f)), &gotF)},
		{string(d.appendFields(nil, &last)), strings.Replace(string(d.appendFields(nil, &f)), " more='true'", "", 1),
			&gotLast, &last, d.readFields(reader(d.appendFields(nil, &last)), &gotLast)},
		{string(d.appendFailure(nil, &e)), "<x xmlns='urn:x:sd' id='q-1'><e id='a' ts='2024-05-01T06:00:00Z'>no</e></x>",
			&gotE, &e, d.readFailure(reader(d.appendFailure(nil, &e)), &gotE)},
	} {
		if c.xml != c.want {
			t.Errorf("%s\nwant %s", c.xml, c.want)
		}
		if c.err != nil || !reflect.DeepEqual(c.got, c.give) {
			t.Errorf("%+v, %v\nwant %+v", c.got, c.err, c.give)
		}
	}
	// What is of one generation is not read as of the other.
	if err := xep.readRequest(reader(d.appendRequest(nil, &q)), &gotQ); err == nil {
		t.Errorf("read as XEP-0323: %+v", gotQ)
	}
}

func reader(xml []byte) *xmlstream.Reader { return xmlstream.NewReader(xml, stanza.NSClient) }
