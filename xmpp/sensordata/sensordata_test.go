// SPDX-License-Identifier: Apache-2.0

package sensordata_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/stonechat-im/stonechat/internal/xmpptest"
	"github.com/stonechat-im/stonechat/xmpp/senml"
	"github.com/stonechat-im/stonechat/xmpp/sensordata"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
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
		{File: "xep0323-0.2-rejected", Want: &sensordata.Rejection{Seq: "42", Text: "Not for you."}},
		{File: "xep0323-3.1-fields", Want: &sensordata.Fields{Seq: "41", Done: true, Nodes: []sensordata.NodeFields{{Node: cellar,
			Timestamps: []sensordata.Timestamp{{At: at("2024-05-01T06:00:30"), Fields: []sensordata.Field{{Name: "Temperature", Type: sensordata.TypeNumeric,
				Value: "21.50", Unit: "°C", Categories: sensordata.Momentary, Quality: sensordata.AutomaticReadout}}}}}}}},
		{File: "xep0323-5.4-types", Want: everyType()},
		{File: "xep0323-3.2-failure", Want: &sensordata.Failure{Seq: "42", Done: true, Errors: []sensordata.NodeError{
			{Node: cellar, At: at("2024-05-01T06:00:01"), Text: "The bus is silent."},
			{Node: roof, At: at("2024-05-01T06:00:02Z"), Text: "Not there <yet>."}}}},
	})
}

// What older and other programs write is read.
func TestLenient(t *testing.T) {
	var f sensordata.Fields
	err := xmpptest.Decode(`<fields xmlns='urn:xmpp:iot:sensordata' seqnr=' 7 ' done='1'><node><timestamp value='2024-05-01'>
		<timeSpan name='Runtime' value=' PT5M ' status='0'/><string name='ID' identification='true' value=' x '/><numeric name='n' value='+07.50'/>
		<boolean name='b' value=' 1' writable='0'/><quaternion name='q' value='i'/><int name='m' value='' missing='true'/>
		</timestamp></node><node nodeId='empty'/></fields>`, &f)
	want := sensordata.Fields{Seq: "7", Done: true, Nodes: []sensordata.NodeFields{{Timestamps: []sensordata.Timestamp{{At: at("2024-05-01T00:00:00"), Fields: []sensordata.Field{
		{Name: "Runtime", Type: sensordata.TypeDuration, Value: "PT5M"},
		{Name: "ID", Type: sensordata.TypeString, Value: " x ", Categories: sensordata.Identity},
		{Name: "n", Type: sensordata.TypeNumeric, Value: "+07.50"},
		{Name: "b", Type: sensordata.TypeBoolean, Value: "true", Writable: sensordata.WritableNo},
		{Name: "m", Type: sensordata.TypeInt, Quality: sensordata.Missing},
	}}}}, {Node: sensordata.Node{ID: "empty"}}}}
	if err != nil || !reflect.DeepEqual(f, want) {
		t.Errorf("%+v, %v\nwant %+v", f, err, want)
	}
	var e sensordata.Failure
	err = xmpptest.Decode("<failure xmlns='urn:xmpp:iot:sensordata' seqnr='7'><error timestamp='noon'>late</error></failure>", &e)
	if err != nil || !reflect.DeepEqual(e, sensordata.Failure{Seq: "7", Errors: []sensordata.NodeError{{Text: "late"}}}) {
		t.Errorf("%+v, %v", e, err)
	}
}

// As slixmpp 1.8.5 writes it: types and elements of version 0.2, and times without an offset.
func TestSlixmpp(t *testing.T) {
	const when = "2024-05-01T06:00:00"
	for xml, want := range map[string]stanza.Payload{
		`<req xmlns="urn:xmpp:iot:sensordata" seqnr="1" from="` + when + `" momentary="true"><node nodeId="a" /><field name="f" /></req>`: &sensordata.Request{
			Seq: "1", Categories: sensordata.Momentary, From: at(when), Nodes: []sensordata.Node{{ID: "a"}}, Names: []string{"f"}},
		`<fields xmlns="urn:xmpp:iot:sensordata" seqnr="5" done="true"><node nodeId="thing"><timestamp value="` + when + `"><numeric unit="°C" name="t" ` +
			`value="22.5" automaticReadout="true" momentary="true" /><timeSpan name="span" value="P5D" /><enum dataType="T" name="e" value="x" /></timestamp></node></fields>`: &sensordata.Fields{
			Seq: "5", Done: true, Nodes: []sensordata.NodeFields{{Node: sensordata.Node{ID: "thing"}, Timestamps: []sensordata.Timestamp{{At: at(when), Fields: []sensordata.Field{
				{Name: "t", Type: sensordata.TypeNumeric, Value: "22.5", Unit: "°C", Categories: sensordata.Momentary, Quality: sensordata.AutomaticReadout},
				{Name: "span", Type: sensordata.TypeDuration, Value: "P5D"}, {Name: "e", Type: sensordata.TypeEnum, Value: "x", DataType: "T"}}}}}}},
		`<failure xmlns="urn:xmpp:iot:sensordata" seqnr="1"><error nodeId="n" timestamp="` + when + `">Timeout</error></failure>`: &sensordata.Failure{
			Seq: "1", Errors: []sensordata.NodeError{{Node: sensordata.Node{ID: "n"}, At: at(when), Text: "Timeout"}}},
		`<rejected xmlns="urn:xmpp:iot:sensordata" seqnr="1"><error>no</error></rejected>`: &sensordata.Rejection{Seq: "1", Text: "no"},
	} {
		got := reflect.New(reflect.TypeOf(want).Elem()).Interface().(stanza.Payload)
		if err := xmpptest.Decode(xml, got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%+v, %v\nwant %+v", got, err, want)
		}
	}
}

func TestRefuse(t *testing.T) {
	const ns = " xmlns='urn:xmpp:iot:sensordata' "
	fields := func(inner string) string {
		return "<fields" + ns + "seqnr='1'><node nodeId='n'><timestamp value='2024-05-01T06:00:00Z'>" + inner + "</timestamp></node></fields>"
	}
	request := func(attrs, inner string) string { return "<req" + ns + "seqnr='1' " + attrs + ">" + inner + "</req>" }
	long := strings.Repeat("x", sensordata.MaxLength+1)
	type refusal = xmpptest.Refusal
	refusals := []refusal{
		{Name: "no number", XML: "<req" + ns + "momentary='true'/>", Into: &sensordata.Request{}},
		{Name: "a number of no integer", XML: "<req" + ns + "seqnr='1a'/>", Into: &sensordata.Request{}},
		{Name: "a number too large", XML: "<req" + ns + "seqnr='2147483648'/>", Into: &sensordata.Request{}},
		{Name: "category", XML: request("momentary='yes'", ""), Into: &sensordata.Request{}},
		{Name: "all", XML: request("all='TRUE'", ""), Into: &sensordata.Request{}},
		{Name: "historical", XML: request("historical=''", ""), Into: &sensordata.Request{}},
		{Name: "from", XML: request("from='yesterday'", ""), Into: &sensordata.Request{}},
		{Name: "to", XML: request("to='2024-02-30T00:00:00Z'", ""), Into: &sensordata.Request{}},
		{Name: "when", XML: request("when='12:00:00'", ""), Into: &sensordata.Request{}},
		{Name: "node without an ID", XML: request("", "<node sourceId='s'/>"), Into: &sensordata.Request{}},
		{Name: "field without a name", XML: request("", "<field/>"), Into: &sensordata.Request{}},
		{Name: "queued", XML: "<accepted" + ns + "seqnr='1' queued='soon'/>", Into: &sensordata.Accepted{}},
		{Name: "accepted", XML: "<accepted" + ns + "/>", Into: &sensordata.Accepted{}},
		{Name: "started", XML: "<started" + ns + "seqnr=''/>", Into: &sensordata.Started{}},
		{Name: "done", XML: "<done" + ns + "seqnr='1.0'/>", Into: &sensordata.Done{}},
		{Name: "cancel", XML: "<cancel" + ns + "/>", Into: &sensordata.Cancel{}},
		{Name: "cancelled", XML: "<cancelled" + ns + "/>", Into: &sensordata.Cancelled{}},
		{Name: "rejected", XML: "<rejected" + ns + "><error>no</error></rejected>", Into: &sensordata.Rejection{}},
		{Name: "failure", XML: "<failure" + ns + "/>", Into: &sensordata.Failure{}},
		{Name: "failure done", XML: "<failure" + ns + "seqnr='1' done='2'/>", Into: &sensordata.Failure{}},
		{Name: "timestamp", XML: "<fields" + ns + "seqnr='1'><node nodeId='n'><timestamp/></node></fields>", Into: &sensordata.Fields{}},
		{Name: "no name", XML: fields("<int value='1'/>"), Into: &sensordata.Fields{}},
		{Name: "no value", XML: fields("<int name='a'/>"), Into: &sensordata.Fields{}},
		{Name: "quality", XML: fields("<int name='a' value='1' signed='x'/>"), Into: &sensordata.Fields{}},
		{Name: "writable", XML: fields("<int name='a' value='1' writable='x'/>"), Into: &sensordata.Fields{}},
		{Name: "missing with a wrong value", XML: fields("<int name='a' value='x' missing='true'/>"), Into: &sensordata.Fields{}},
	}
	for kind, values := range map[string][]string{
		"boolean": {"", "yes", "TRUE"}, "date": {"2024-5-1", "2023-02-29", "0000-01-01", "2024-05-01T00:00:00"}, "dateTime": {"now", "2024-05-01T25:00:00Z"},
		"duration": {"P", "PT", "5M", "P1S", "PT-1S"}, "int": {"1.0", "2147483648", "0x1", "1_0"}, "long": {"9223372036854775808", "1e3"},
		"numeric": {"", "1,5", "infinity", "0x1p3", "1e999", "nan", "1_0"}, "time": {"24:00:01", "12:60:00", "12:00"},
	} {
		for _, v := range values {
			refusals = append(refusals, refusal{Name: kind + " " + v, XML: fields("<" + kind + " name='a' unit='' value='" + v + "'/>"), Into: &sensordata.Fields{}})
		}
	}
	for i := range refusals {
		refusals[i].Condition = stanza.BadRequest
	}
	parts := strings.Repeat("<int name='a' value='1'/>", sensordata.MaxParts-2)
	refusals = append(refusals, []refusal{
		{Name: "nodes", XML: request("", strings.Repeat("<node nodeId='n'/>", sensordata.MaxNodes+1)), Into: &sensordata.Request{}},
		{Name: "names", XML: request("", strings.Repeat("<field name='n'/>", sensordata.MaxNames+1)), Into: &sensordata.Request{}},
		{Name: "long ID", XML: request("", "<node nodeId='"+long+"'/>"), Into: &sensordata.Request{}},
		{Name: "long name", XML: request("", "<field name='"+long+"'/>"), Into: &sensordata.Request{}},
		{Name: "long token", XML: request("userToken='"+long+"'", ""), Into: &sensordata.Request{}},
		{Name: "long unit", XML: fields("<numeric name='a' value='1' unit='" + long + "'/>"), Into: &sensordata.Fields{}},
		{Name: "long module", XML: fields("<int name='a' value='1' module='" + long + "'/>"), Into: &sensordata.Fields{}},
		{Name: "fields", XML: fields(parts + "<int name='a' value='1'/>"), Into: &sensordata.Fields{}},
		{Name: "timestamps", XML: fields("</timestamp>" + strings.Repeat("<timestamp value='2024-05-01T06:00:00Z'/>", sensordata.MaxParts) + "<timestamp value='2024-05-01T06:00:00Z'>"), Into: &sensordata.Fields{}},
		{Name: "empty nodes", XML: "<fields" + ns + "seqnr='1'>" + strings.Repeat("<node/>", sensordata.MaxParts+1) + "</fields>", Into: &sensordata.Fields{}},
		{Name: "errors", XML: "<failure" + ns + "seqnr='1'>" + strings.Repeat("<error/>", sensordata.MaxErrors+1) + "</failure>", Into: &sensordata.Failure{}},
	}...)
	for i := range refusals {
		if refusals[i].Condition == "" {
			refusals[i].Condition = stanza.PolicyViolation
		}
	}
	xmpptest.Refuse(t, refusals)
	var most sensordata.Fields
	if err := xmpptest.Decode(fields(parts), &most); err != nil || len(most.Nodes[0].Timestamps[0].Fields) != sensordata.MaxParts-2 {
		t.Errorf("as many as there may be: %v", err)
	}
}

// The errors of §3.3 have the types that it gives them.
func TestRejected(t *testing.T) {
	for c, want := range map[stanza.Condition]stanza.ErrorType{
		stanza.Forbidden: stanza.Cancel, stanza.ItemNotFound: stanza.Cancel, stanza.BadRequest: stanza.Modify, stanza.PolicyViolation: stanza.Modify,
	} {
		if e := sensordata.Rejected(c, "why"); e.Condition != c || e.Type != want || e.Text != "why" {
			t.Errorf("%s: %+v", c, e)
		}
	}
}

// What is made is what is written and read.
func TestMade(t *testing.T) {
	day, _ := xsd.ParseDate("2024-05-01")
	clock, _ := xsd.ParseTime("06:00:00")
	length, _ := xsd.ParseDuration("PT90S")
	made := []sensordata.Field{
		sensordata.Boolean("b", true), sensordata.Date("d", day), sensordata.DateTime("dt", at("2024-05-01T06:00:00Z")), sensordata.Duration("du", length),
		sensordata.Enum("e", "Eco", "Mode"), sensordata.Int("i", -3), sensordata.Long("l", 1<<40), sensordata.Numeric("n", senml.Int(3), "h"),
		sensordata.String("s", ""), sensordata.Time("t", clock), sensordata.Numeric("none", senml.Number{}, "h"), sensordata.Date("never", xsd.Date{}),
	}
	xmpptest.Exact(t, &sensordata.Fields{Seq: "1", Nodes: []sensordata.NodeFields{{Node: cellar, Timestamps: []sensordata.Timestamp{{At: at("2024-05-01T06:00:00Z"), Fields: made}}}}})
	for i, want := range []string{"true", "2024-05-01", "2024-05-01T06:00:00Z", "PT1M30S", "Eco", "-3", "1099511627776", "3", "", "06:00:00", "", ""} {
		if made[i].Value != want {
			t.Errorf("%s: %q", made[i].Name, made[i].Value)
		}
	}
	if n, ok := made[7].Number(); !ok || n != senml.Int(3) {
		t.Errorf("%v %t", n, ok)
	}
	if v, ok := made[0].Bool(); !ok || !v {
		t.Error("no truth")
	}
	if _, ok := made[0].Number(); ok {
		t.Error("a truth is no number")
	}
	if _, ok := made[5].Bool(); ok {
		t.Error("a number is no truth")
	}
}

func FuzzRequest(f *testing.F) {
	f.Add([]byte("<req xmlns='urn:xmpp:iot:sensordata' seqnr='1' momentary='true' historical='1' from='2024-05-01T06:00:00' userToken='u'><node nodeId='a' sourceId='b'/><field name='c'/></req>"))
	f.Add([]byte("<req xmlns='urn:xmpp:iot:sensordata' seqnr='-1' all='true'/>"))
	f.Fuzz(func(t *testing.T, input []byte) {
		q, ok := xmpptest.RoundTrip(t, input, new(sensordata.Request)).(*sensordata.Request)
		if !ok {
			return
		}
		limit := sensordata.Limit{Names: []string{"a", "c"}, Nodes: []sensordata.Node{{ID: "a"}}, Categories: sensordata.Momentary | sensordata.HistoricalDay}
		reduced, ok := q.Reduce(limit)
		if !ok {
			return
		}
		for _, name := range reduced.Names {
			if name != "a" && name != "c" {
				t.Errorf("%q is left", name)
			}
		}
		if len(reduced.Names) == 0 || len(reduced.Nodes) == 0 || reduced.Categories&^limit.Categories != 0 || reduced.Categories == 0 {
			t.Errorf("%+v is left of %+v", reduced, q)
		}
	})
}

func FuzzAnswers(f *testing.F) {
	f.Add(everyType().AppendXML(nil))
	f.Add([]byte("<failure xmlns='urn:xmpp:iot:sensordata' seqnr='1' done='true'><error nodeId='a' timestamp='2024-05-01T06:00:00'>b</error></failure>"))
	f.Add([]byte("<accepted xmlns='urn:xmpp:iot:sensordata' seqnr='1' queued='true'/>"))
	f.Add([]byte("<rejected xmlns='urn:xmpp:iot:sensordata' seqnr='1'><error>b</error></rejected>"))
	f.Fuzz(func(t *testing.T, input []byte) {
		if f, ok := xmpptest.RoundTrip(t, input, new(sensordata.Fields)).(*sensordata.Fields); ok {
			o := sensordata.NewReadout(sensordata.Request{Seq: f.Seq}, sensordata.Bounds{Bytes: 1000})
			if err := o.Take(f); (err != nil) != (o.State() == sensordata.Broken) {
				t.Errorf("%v, %d", err, o.State())
			}
			m := sensordata.Mapping{}
			p, _ := m.Pack(f.Nodes)
			for i := range p {
				if err := p[i].Check(); err != nil {
					t.Errorf("%+v: %v", p[i], err)
				}
			}
		}
		xmpptest.RoundTrip(t, input, new(sensordata.Failure))
		xmpptest.RoundTrip(t, input, new(sensordata.Accepted))
		xmpptest.RoundTrip(t, input, new(sensordata.Started))
		xmpptest.RoundTrip(t, input, new(sensordata.Rejection))
	})
}

// Beside the error goes what programs of old wait for, with the number of what is refused; what has none is refused by the error alone.
func TestRejectionOf(t *testing.T) {
	for child, want := range map[string]*sensordata.Rejection{
		"<req xmlns='urn:xmpp:iot:sensordata' seqnr='7' momentary='true'/>": {Seq: "7", Text: "Not for you."},
		"<cancel xmlns='urn:xmpp:iot:sensordata' seqnr='8'/>":               {Seq: "8", Text: "Not for you."},
		"<req xmlns='urn:xmpp:iot:sensordata'/>":                            nil,
		"<req xmlns='urn:xmpp:iot:sensordata' seqnr='x'/>":                  nil,
		"<fields xmlns='urn:xmpp:iot:sensordata' seqnr='7' done='true'/>":   nil,
		"<req xmlns='urn:x' seqnr='7'/>":                                    nil,
	} {
		s, err := stanza.Parse([]byte("<iq xmlns='jabber:client' type='get' id='1' from='a@x/r' to='b@x/r'>" + child + "</iq>"))
		if err != nil {
			t.Fatal(err)
		}
		if got := sensordata.RejectionOf(s, sensordata.Rejected(stanza.Forbidden, "Not for you.")); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, want %+v", child, got, want)
		}
		if got := sensordata.RejectionOf(s, sensordata.Rejected(stanza.Forbidden, "")); want != nil && (got == nil || got.Text != "forbidden") {
			t.Errorf("%s, without a text: %+v", child, got)
		}
	}
}
