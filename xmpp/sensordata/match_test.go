// SPDX-License-Identifier: Apache-2.0

package sensordata_test

import (
	"reflect"
	"slices"
	"testing"

	"github.com/stonechat-im/stonechat/xmpp/sensordata"
	"github.com/stonechat-im/stonechat/xmpp/xsd"
)

func TestWants(t *testing.T) {
	const (
		may1 = "2024-05-01T00:00:00Z"
		may2 = "2024-05-02T00:00:00Z"
	)
	all := sensordata.Request{}
	names := sensordata.Request{Names: []string{"Energy", "Power"}}
	momentary := sensordata.Request{Categories: sensordata.Momentary}
	several := sensordata.Request{Categories: sensordata.Peak | sensordata.Status}
	hours := sensordata.Request{Categories: sensordata.HistoricalHour}
	other := sensordata.Request{Categories: sensordata.HistoricalOther}
	ranged := sensordata.Request{Categories: sensordata.Momentary | sensordata.Historical, From: at(may1), To: at(may2)}
	since := sensordata.Request{Categories: sensordata.Historical, From: at("2024-05-01T00:00:00+02:00")}
	for _, c := range []struct {
		what string
		q    sensordata.Request
		name string
		c    sensordata.Category
		at   string
		want bool
	}{
		{"all", all, "Energy", sensordata.Computed, may1, true},
		{"all of no category", all, "Energy", 0, may1, true},
		{"a name", names, "Power", sensordata.Peak, may1, true},
		{"another name", names, "power", sensordata.Peak, may1, false},
		{"momentary", momentary, "x", sensordata.Momentary | sensordata.Status, may1, true},
		{"momentary by default", momentary, "x", 0, may1, true},
		{"not momentary", momentary, "x", sensordata.Status, may1, false},
		{"history is not momentary", momentary, "x", sensordata.HistoricalDay, may1, false},
		{"one of several", several, "x", sensordata.Status, may1, true},
		{"none of several", several, "x", sensordata.Identity, may1, false},
		{"hours", hours, "x", sensordata.HistoricalHour, may1, true},
		{"years are hours", hours, "x", sensordata.HistoricalYear, may1, true},
		{"weeks are hours", hours, "x", sensordata.HistoricalWeek, may1, true},
		{"minutes are no hours", hours, "x", sensordata.HistoricalMinute, may1, false},
		{"other times are no hours", hours, "x", sensordata.HistoricalOther, may1, false},
		{"weeks are no months", sensordata.Request{Categories: sensordata.HistoricalMonth}, "x", sensordata.HistoricalWeek, may1, false},
		{"quarters are months", sensordata.Request{Categories: sensordata.HistoricalMonth}, "x", sensordata.HistoricalQuarter, may1, true},
		{"any history", other, "x", sensordata.HistoricalMinute, may1, true},
		{"any history, not momentary", other, "x", sensordata.Momentary, may1, false},
		{"at the start", ranged, "x", sensordata.HistoricalDay, may1, true},
		{"at the end", ranged, "x", sensordata.HistoricalDay, may2, true},
		{"before", ranged, "x", sensordata.HistoricalDay, "2024-04-30T23:59:59.999Z", false},
		{"after", ranged, "x", sensordata.HistoricalDay, "2024-05-02T00:00:00.001Z", false},
		{"in another zone", ranged, "x", sensordata.HistoricalDay, "2024-05-02T01:00:00+02:00", true},
		{"momentary needs no range", ranged, "x", sensordata.Momentary, "2024-06-01T00:00:00Z", true},
		{"momentary and historical", ranged, "x", sensordata.Momentary | sensordata.HistoricalDay, "2024-06-01T00:00:00Z", true},
		{"since", since, "x", sensordata.HistoricalDay, "2024-04-30T22:00:00Z", true},
		{"before since", since, "x", sensordata.HistoricalDay, "2024-04-30T21:59:59Z", false},
		{"since, in the same zone", since, "x", sensordata.HistoricalDay, "2024-05-01T00:00:00", true},
		{"before since, in the same zone", since, "x", sensordata.HistoricalDay, "2024-04-30T23:00:00", false},
	} {
		f := sensordata.Field{Name: c.name, Type: sensordata.TypeInt, Value: "1", Categories: c.c}
		if got := c.q.Wants(&f, at(c.at)); got != c.want {
			t.Errorf("%s: %t", c.what, got)
		}
	}
}

func TestWantsNode(t *testing.T) {
	open := sensordata.Request{}
	q := sensordata.Request{Nodes: []sensordata.Node{{ID: "Roof"}, {ID: "Cellar", Source: "a"}}}
	for n, want := range map[sensordata.Node]bool{
		roof: true, {ID: "Roof"}: true, {ID: "Roof", Source: "x"}: true,
		cellar: false, {ID: "Cellar", Source: "a", Cache: "c"}: true, {ID: "Cellar", Source: "b"}: false, {}: false,
	} {
		if got := q.WantsNode(n); got != want {
			t.Errorf("%+v: %t", n, got)
		}
		if !open.WantsNode(n) {
			t.Errorf("%+v is not wanted by whoever wants all", n)
		}
	}
}

func TestReduce(t *testing.T) {
	type nodes = []sensordata.Node
	type names = []string
	half := sensordata.Node{ID: "Roof", Source: "bus"}
	for _, c := range []struct {
		what  string
		q     sensordata.Request
		limit sensordata.Limit
		want  *sensordata.Request // nil: nothing is left
	}{
		{"no limit", sensordata.Request{Seq: "1", Names: names{"a"}, Categories: sensordata.Peak}, sensordata.Limit{},
			&sensordata.Request{Seq: "1", Names: names{"a"}, Categories: sensordata.Peak}},
		{"names", sensordata.Request{Seq: "1", Names: names{"c", "a", "b"}, From: at("2024-05-01T00:00:00")}, sensordata.Limit{Names: names{"a", "c"}},
			&sensordata.Request{Seq: "1", Names: names{"c", "a"}, From: at("2024-05-01T00:00:00")}},
		{"all names", sensordata.Request{Seq: "1"}, sensordata.Limit{Names: names{"a", "c"}}, &sensordata.Request{Seq: "1", Names: names{"a", "c"}}},
		{"other names", sensordata.Request{Names: names{"b"}}, sensordata.Limit{Names: names{"a"}}, nil},
		{"no names", sensordata.Request{}, sensordata.Limit{Names: names{}}, nil},
		{"categories", sensordata.Request{Categories: sensordata.Peak | sensordata.Momentary}, sensordata.Limit{Categories: sensordata.Momentary | sensordata.Status},
			&sensordata.Request{Categories: sensordata.Momentary}},
		{"all categories", sensordata.Request{}, sensordata.Limit{Categories: sensordata.Momentary}, &sensordata.Request{Categories: sensordata.Momentary}},
		{"other categories", sensordata.Request{Categories: sensordata.Historical}, sensordata.Limit{Categories: sensordata.Momentary}, nil},
		{"nodes", sensordata.Request{Nodes: nodes{cellar, roof}}, sensordata.Limit{Nodes: nodes{roof}}, &sensordata.Request{Nodes: nodes{roof}}},
		{"all nodes", sensordata.Request{}, sensordata.Limit{Nodes: nodes{roof, cellar}}, &sensordata.Request{Nodes: nodes{roof, cellar}}},
		{"nodes left open are narrowed", sensordata.Request{Nodes: nodes{{ID: "Roof"}}}, sensordata.Limit{Nodes: nodes{roof, half}}, &sensordata.Request{Nodes: nodes{roof, half}}},
		{"a limit that is open", sensordata.Request{Nodes: nodes{roof}}, sensordata.Limit{Nodes: nodes{{ID: "Roof"}}}, &sensordata.Request{Nodes: nodes{roof}}},
		{"other nodes", sensordata.Request{Nodes: nodes{cellar}}, sensordata.Limit{Nodes: nodes{roof}}, nil},
		{"the thing alone", sensordata.Request{}, sensordata.Limit{Nodes: nodes{{}}}, nil},
		{"no nodes", sensordata.Request{}, sensordata.Limit{Nodes: nodes{}}, nil},
		{"names, but no nodes", sensordata.Request{Names: names{"a"}}, sensordata.Limit{Names: names{"a"}, Nodes: nodes{}}, nil},
	} {
		before := c.q
		before.Names, before.Nodes = slices.Clone(c.q.Names), slices.Clone(c.q.Nodes)
		got, ok := c.q.Reduce(c.limit)
		if ok != (c.want != nil) || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v %t", c.what, got, ok)
		}
		if got != nil && len(got.Names) > 0 {
			got.Names[0] = "changed"
		}
		if !reflect.DeepEqual(c.q, before) {
			t.Errorf("%s: the request became %+v", c.what, c.q)
		}
	}
}

// Things answer more than they are asked for: what goes through is what the limit allows.
func TestLimit(t *testing.T) {
	limit := sensordata.Limit{Nodes: []sensordata.Node{{ID: "Roof"}}, Names: []string{"a"}, Categories: sensordata.Momentary | sensordata.Peak | sensordata.HistoricalHour}
	for _, c := range []struct {
		node sensordata.Node
		name string
		c    sensordata.Category
		want bool
	}{
		{roof, "a", sensordata.Momentary, true},
		{roof, "a", 0, true},
		{roof, "a", sensordata.Momentary | sensordata.Peak, true},
		{roof, "a", sensordata.Momentary | sensordata.Status, false},
		{roof, "a", sensordata.HistoricalDay | sensordata.Peak, true},
		{roof, "a", sensordata.HistoricalDay | sensordata.Status, false},
		{roof, "a", sensordata.HistoricalMinute, false},
		{roof, "b", sensordata.Momentary, false},
		{cellar, "a", sensordata.Momentary, false},
	} {
		f := sensordata.Field{Name: c.name, Categories: c.c}
		if got := limit.Allows(c.node, &f); got != c.want {
			t.Errorf("%+v: %t", c, got)
		}
	}
	f := everyType()
	left := f.Keep(func(n sensordata.Node, _ xsd.DateTime, f *sensordata.Field) bool {
		return n == roof || f.Name == "Mode" || f.Name == "Total"
	})
	if left != 3 || len(f.Nodes) != 2 || len(f.Nodes[0].Timestamps[0].Fields) != 2 || len(f.Nodes[1].Timestamps) != 1 {
		t.Errorf("%d left: %+v", left, f)
	}
	if left := f.Keep(func(sensordata.Node, xsd.DateTime, *sensordata.Field) bool { return false }); left != 0 || len(f.Nodes) != 0 {
		t.Errorf("%d left: %+v", left, f)
	}
}

func TestBetter(t *testing.T) {
	for _, c := range []struct {
		q, p sensordata.Quality
		want bool
	}{
		{0, 0, true},
		{sensordata.AutomaticReadout, 0, true},
		{0, sensordata.AutomaticReadout | sensordata.Warning, true},
		{sensordata.ManualEstimate, 0, false},
		{sensordata.ManualEstimate, sensordata.AutomaticEstimate, true},
		{sensordata.Missing | sensordata.AutomaticReadout, sensordata.InProgress, false},
		{0, sensordata.Missing, true},
		{0, sensordata.Signed, false},
		{0, sensordata.Invoiced, false},
		{sensordata.Signed, sensordata.InvoiceConfirmed, true},
		{sensordata.InvoiceConfirmed, sensordata.Invoiced, true},
	} {
		if got := c.q.Better(c.p); got != c.want {
			t.Errorf("%q better than %q: %t", c.q, c.p, got)
		}
	}
	if s := (sensordata.Missing | sensordata.InvoiceConfirmed).String(); s != "missing invoiceConfirmed" {
		t.Error(s)
	}
	if s := (sensordata.Momentary | sensordata.HistoricalOther).String(); s != "momentary historicalOther" {
		t.Error(s)
	}
}
