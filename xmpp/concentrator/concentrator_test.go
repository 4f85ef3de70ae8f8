// SPDX-License-Identifier: Apache-2.0

package concentrator_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stonechat-im/stonechat/internal/xmpptest"
	"github.com/stonechat-im/stonechat/xmpp/concentrator"
	"github.com/stonechat-im/stonechat/xmpp/form"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xsd"
)

func at(t testing.TB, s string) xsd.DateTime {
	t.Helper()
	v, err := xsd.ParseDateTime(s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func room(ids ...string) (nodes []concentrator.Node) {
	for _, id := range ids {
		nodes = append(nodes, concentrator.Node{ID: id, Source: "Rooms"})
	}
	return nodes
}

// lamp is a node of which everything is told.
func lamp(t testing.TB) concentrator.Info {
	return concentrator.Info{
		Node: concentrator.Node{ID: "lamp4", Cache: "Floor2"}, Name: "The lamp", Type: "Lamp", LocalID: "4", LogID: "L4",
		State: concentrator.WarningUnsigned, Ordered: true, Readable: true, Controllable: true, HasCommands: true,
		Parent: concentrator.Node{ID: "library", Cache: "Room"}, Changed: at(t, "2026-03-19T17:58:01"),
		Parameters: []concentrator.Parameter{
			{ID: "on", Name: "Is on", Type: concentrator.Boolean, Value: "true"},
			{ID: "hue", Name: "Colour", Type: concentrator.Color, Value: "fFa000"},
			{ID: "made", Name: "Made", Type: concentrator.DateTime, Value: "2025-12-24T00:00:00Z"},
			{ID: "lat", Name: "Latitude", Type: concentrator.Double, Value: "51.5"},
			{ID: "age", Name: "Age", Type: concentrator.Duration, Value: "P3D"},
			{ID: "addr", Name: "Address", Type: concentrator.Int, Value: "-123"},
			{ID: "serial", Name: "Serial", Type: concentrator.Long, Value: "12345678901"},
			{ID: "class", Type: concentrator.String},
			{ID: "off", Name: "Goes off", Type: concentrator.Time, Value: "23:30:00"},
		},
		Messages: []concentrator.Message{
			{At: at(t, "2026-03-21T11:06:15"), Grade: concentrator.Warning, Event: "ClockWarning", Text: "The clock is late."},
			{At: at(t, "2026-03-21T11:06:15Z"), Grade: concentrator.Notice},
		},
	}
}

func TestCodec(t *testing.T) {
	type request = concentrator.Request
	ok := func(c concentrator.Capability) concentrator.Response {
		return concentrator.Response{Capability: c, Result: concentrator.OK}
	}
	capabilities := ok(concentrator.GetCapabilities)
	capabilities.Capabilities = []concentrator.Capability{concentrator.GetCapabilities, concentrator.GetNode, "moveNodeUp"}
	sources := ok(concentrator.GetAllDataSources)
	sources.Sources = []concentrator.DataSource{
		{ID: concentrator.Topology, Name: "Zähler", HasChildren: true, Changed: at(t, "2026-03-19T17:58:01")}, {ID: "Rooms", Name: "Rooms"}}
	subscribed := ok(concentrator.Subscribe)
	contained, containedAll := ok(concentrator.ContainsNode), ok(concentrator.ContainsNodes)
	contained.Contains, containedAll.Contains = []bool{true}, []bool{true, false}
	node := ok(concentrator.GetNode)
	node.Nodes = []concentrator.Info{lamp(t)}
	nodes := ok(concentrator.GetAllNodes)
	nodes.Nodes = []concentrator.Info{
		{Node: concentrator.Node{ID: "lamp4"}, State: concentrator.None, Parent: concentrator.Node{ID: "library"}},
		{Node: concentrator.Node{ID: "library"}, State: concentrator.ErrorSigned, HasChildren: true}}
	types := ok(concentrator.GetNodeInheritance)
	types.Classes, types.Interfaces = []string{"Light", "Thing"}, []string{"Switchable"}
	commands := ok(concentrator.GetNodeCommands)
	commands.Commands = []concentrator.Command{
		{ID: "blink", Name: "Blink", Type: concentrator.Simple, Confirm: "Sure?", Failure: "It did not.", Success: "It did."},
		{ID: "dim", Name: "Dim", Type: concentrator.Parameterized, SortCategory: "a", SortKey: "b"}, {ID: "log", Type: concentrator.Query}}
	asked := ok(concentrator.GetCommandParameters)
	asked.Form = form.New(form.Ask, "", form.Field{Var: "level", Type: form.TextSingle, Label: "How much", Required: true})
	asked.Form.Title = "Dim"
	events := concentrator.NodeStatusChanged | concentrator.NodeMovedDown
	lamp5 := room("lamp5")[0]
	status := lamp5
	status.Cache = "Lamp"
	xmpptest.Codec(t, []xmpptest.Case{
		{File: "xep0326-3.1.1-request", Want: &request{Capability: concentrator.GetCapabilities}},
		{File: "xep0326-3.1.1-capabilities", Want: &capabilities},
		{File: "xep0326-3.2.1-request", Want: &request{Capability: concentrator.GetAllDataSources, Lang: "de",
			Tokens: concentrator.Tokens{Service: "s1", Device: "d1", User: "u1 u2"}}},
		{File: "xep0326-3.2.1-sources", Want: &sources},
		{File: "xep0326-3.2.3-request", Want: &request{Capability: concentrator.GetChildDataSources, Source: concentrator.Topology}},
		{File: "xep0326-3.2.4-subscribe", Want: &request{Capability: concentrator.Subscribe, Source: "Rooms", Parameters: true,
			Since: at(t, "2026-03-21T19:24:00Z"), Without: events}},
		{File: "xep0326-3.2.4-subscribed", Want: &subscribed},
		{File: "xep0326-3.2.7-refused", Want: &concentrator.Response{Capability: concentrator.Subscribe, Result: concentrator.NotImplemented}},
		{File: "xep0326-3.2.5-unsubscribe", Want: &request{Capability: concentrator.Unsubscribe, Source: "Rooms", Without: concentrator.NodeAdded}},
		{File: "xep0326-3.3.1-contains", Want: &request{Capability: concentrator.ContainsNode, Nodes: room("lamp4")}},
		{File: "xep0326-3.3.1-contained", Want: &contained},
		{File: "xep0326-3.3.2-contains", Want: &request{Capability: concentrator.ContainsNodes,
			Nodes: append(room("lamp4"), concentrator.Node{ID: "lamp5", Source: "Rooms", Cache: "Lamp"})}},
		{File: "xep0326-3.3.2-contained", Want: &containedAll},
		{File: "xep0326-3.3.3-request", Want: &request{Capability: concentrator.GetNode, Nodes: room("lamp4"), Parameters: true,
			Messages: true, Lang: "en"}},
		{File: "xep0326-3.4.7-node", Want: &node},
		{File: "xep0326-3.3.3-missing", Want: (&request{Capability: concentrator.GetNode}).Answer(concentrator.NotFound)},
		{File: "xep0326-3.3.4-request", Want: &request{Capability: concentrator.GetNodes, Nodes: room("lamp4"), Messages: true}},
		{File: "xep0326-3.3.9-request", Want: &request{Capability: concentrator.GetAllNodes, Source: "Rooms", DerivedFrom: []string{"Light", "Thing"}}},
		{File: "xep0326-3.3.9-nodes", Want: &nodes},
		{File: "xep0326-3.3.11-request", Want: &request{Capability: concentrator.GetNodeInheritance, Nodes: room("lamp4")}},
		{File: "xep0326-3.3.11-types", Want: &types},
		{File: "xep0326-3.3.12-request", Want: &request{Capability: concentrator.GetRootNodes, Source: "Rooms", Parameters: true}},
		{File: "xep0326-10-children", Want: &request{Capability: concentrator.GetChildNodes, Nodes: room("library"),
			Sort: []concentrator.Sort{{Parameter: "class"}, {Parameter: "addr", Descending: true}}}},
		{File: "xep0326-3.3.22-ancestors", Want: &request{Capability: concentrator.GetAncestors, Nodes: room("lamp4"), Messages: true}},
		{File: "xep0326-3.6.1-request", Want: &request{Capability: concentrator.GetNodeCommands, Nodes: room("lamp4")}},
		{File: "xep0326-3.6.1-commands", Want: &commands},
		{File: "xep0326-3.6.3-request", Want: &request{Capability: concentrator.GetCommandParameters, Nodes: room("lamp4"), Command: "dim"}},
		{File: "xep0326-3.6.3-form", Want: &asked},
		{File: "xep0326-3.6.4-execute", Want: &request{Capability: concentrator.ExecuteNodeCommand, Nodes: room("lamp4"), Command: "dim",
			Form: form.New(form.Submit, "", form.Value("level", "40"))}},
		{File: "xep0326-3.6.2-execute", Want: &request{Capability: concentrator.ExecuteNodeCommand, Nodes: room("lamp4"), Command: "blink"}},
		{File: "xep0326-3.6.5-refused", Want: &concentrator.Response{Capability: concentrator.ExecuteNodeCommand, Result: concentrator.FormError,
			Errors: []concentrator.ParameterError{{Var: "level", Text: "The lamp is as dim as it gets."}}}},
		{File: "xep0326-5.4-unknown", Want: &request{Capability: "holabandola"}},
		{File: "xep0326-5.4-notimplemented", Want: (&request{Capability: "holabandola"}).Answer(concentrator.NotImplemented)},
		{File: "xep0326-3.8.1-added", Want: &concentrator.Event{Kind: concentrator.NodeAdded,
			After: concentrator.Node{ID: "lamp4", Cache: "Lamp"},
			Info: concentrator.Info{Node: lamp5, State: concentrator.None, Parent: concentrator.Node{ID: "library"},
				Parameters: []concentrator.Parameter{{ID: "addr", Name: "Address", Type: concentrator.Int, Value: "5"}}}}},
		{File: "xep0326-3.8.2-removed", Want: &concentrator.Event{Kind: concentrator.NodeRemoved, Info: concentrator.Info{Node: lamp5}}},
		{File: "xep0326-3.8.3-updated", Want: &concentrator.Event{Kind: concentrator.NodeUpdated, Old: "lamp5",
			Info: concentrator.Info{Node: room("lamp6")[0], State: concentrator.Information}}},
		{File: "xep0326-3.8.4-status", Want: &concentrator.Event{Kind: concentrator.NodeStatusChanged, Info: concentrator.Info{
			Node: status, State: concentrator.ErrorUnsigned, Messages: []concentrator.Message{
				{At: at(t, "2026-03-22T12:49:34"), Grade: concentrator.Error, Text: "It does not answer."}}}}},
		{File: "xep0326-3.8.5-up", Want: &concentrator.Event{Kind: concentrator.NodeMovedUp, Info: concentrator.Info{Node: lamp5}}},
		{File: "xep0326-3.8.6-down", Want: &concentrator.Event{Kind: concentrator.NodeMovedDown, Info: concentrator.Info{Node: lamp5}}},
	})
}

// element writes an element of the namespace: its name, its attributes, its content.
func element(name, attrs, content string) string {
	return "<" + name + " xmlns='urn:xmpp:iot:concentrators' " + attrs + ">" + content + "</" + name + ">"
}

func TestRefused(t *testing.T) {
	long := strings.Repeat("x", concentrator.MaxLength+1)
	node := "<node nodeId='n' state='None' hasChildren='false'/>"
	many := func(n int, s string) string { return strings.Repeat(s, n+1) }
	one := "result='OK' nodeId='n' state='None' hasChildren='false'"
	for _, c := range []struct {
		name, attrs, content string
		want                 stanza.Condition
	}{
		{"getNode", "sourceId='s'", "", stanza.BadRequest},
		{"getNode", "nodeId='" + long + "'", "", stanza.PolicyViolation},
		{"getNode", "nodeId='n' userToken='" + long + "'", "", stanza.PolicyViolation},
		{"getNode", "nodeId='n' parameters='perhaps'", "", stanza.BadRequest},
		{"getNodes", "", "", stanza.BadRequest},
		{"getNodes", "", "<node sourceId='s'/>", stanza.BadRequest},
		{"containsNodes", "", many(concentrator.MaxNodes, "<node nodeId='n'/>"), stanza.PolicyViolation},
		{"getAllNodes", "", "", stanza.BadRequest},
		{"getAllNodes", "sourceId='s'", many(concentrator.MaxValues, "<onlyIfDerivedFrom>a</onlyIfDerivedFrom>"), stanza.PolicyViolation},
		{"getChildNodes", "nodeId='n'", many(concentrator.MaxValues, "<sortOrder parameterName='a'/>"), stanza.PolicyViolation},
		{"getCommandParameters", "nodeId='n'", "", stanza.BadRequest},
		{"executeNodeCommand", "nodeId='n' command='c'", "<x xmlns='jabber:x:data'/>", stanza.BadRequest},
		{"subscribe", "sourceId='s' getEventsSince='yesterday'", "", stanza.BadRequest},
		{"unsubscribe", "sourceId='s' nodeAdded=''", "", stanza.BadRequest},

		{"getNodeResponse", "", "", stanza.BadRequest},
		{"getNodeResponse", "result='OK'", "", stanza.BadRequest},
		{"getNodeResponse", "result='OK' nodeId='n' hasChildren='false'", "", stanza.BadRequest},
		{"getNodeResponse", "result='OK' nodeId='n' state='Broken' hasChildren='false'", "", stanza.BadRequest},
		{"getNodeResponse", one + " lastChanged='2026'", "", stanza.BadRequest},
		{"getNodeResponse", one, "<int id='a' name='a' value='1.5'/>", stanza.BadRequest},
		{"getNodeResponse", one, "<int id='a' name='a' value='2147483648'/>", stanza.BadRequest},
		{"getNodeResponse", one, "<color id='a' name='a' value='12345g'/>", stanza.BadRequest},
		{"getNodeResponse", one, "<boolean id='a' name='a'/>", stanza.BadRequest},
		{"getNodeResponse", one, "<string name='a' value=''/>", stanza.BadRequest},
		{"getNodeResponse", one, "<string id='a' value='" + strings.Repeat("x", concentrator.MaxText+1) + "'/>", stanza.PolicyViolation},
		{"getNodeResponse", one, "<message type='Rumour' timestamp='2026-01-01T00:00:00'/>", stanza.BadRequest},
		{"getNodeResponse", one, "<message type='Error'>" + strings.Repeat("x", concentrator.MaxText+1) + "</message>", stanza.PolicyViolation},
		{"getNodeResponse", one, many(concentrator.MaxParameters, "<int id='a' value='1'/>"), stanza.PolicyViolation},
		{"getNodeResponse", one, many(concentrator.MaxMessages, "<message type='Error'/>"), stanza.PolicyViolation},
		{"getAllNodesResponse", "result='OK'", many(concentrator.MaxInfos, node), stanza.PolicyViolation},
		{"getAllDataSourcesResponse", "result='OK'", "<dataSource name='x'/>", stanza.BadRequest},
		{"getAllDataSourcesResponse", "result='OK'", many(concentrator.MaxSources, "<dataSource sourceId='x'/>"), stanza.PolicyViolation},
		{"getCapabilitiesResponse", "result='OK'", many(concentrator.MaxValues, "<value>x</value>"), stanza.PolicyViolation},
		{"getCapabilitiesResponse", "result='OK'", "<value>" + long + "</value>", stanza.PolicyViolation},
		{"containsNodeResponse", "result='OK'", "maybe", stanza.BadRequest},
		{"containsNodesResponse", "result='OK'", many(concentrator.MaxNodes, "<value>1</value>"), stanza.PolicyViolation},
		{"getNodeCommandsResponse", "", "<command command='c' type='Difficult'/>", stanza.BadRequest},
		{"getNodeCommandsResponse", "", "<command type='Simple'/>", stanza.BadRequest},
		{"getNodeCommandsResponse", "", many(concentrator.MaxCommands, "<command command='c' type='Simple'/>"), stanza.PolicyViolation},
		{"getNodeInheritanceResponse", "", "<baseClasses>" + many(concentrator.MaxValues, "<value>x</value>") + "</baseClasses>", stanza.PolicyViolation},
		{"executeNodeCommandResponse", "result='FormError'", many(concentrator.MaxValues, "<error var='x'/>"), stanza.PolicyViolation},
		{"nodeAdded", "", "", stanza.BadRequest},
		{"nodeUpdated", "nodeId='n' hasChildren='false'", "", stanza.BadRequest},
		{"nodeStatusChanged", "nodeId='n'", "", stanza.BadRequest},
		{"nodeRemoved", "sourceId='s'", "", stanza.BadRequest},
		{"nodePainted", "nodeId='n'", "", stanza.FeatureNotImplemented},
	} {
		var into stanza.Payload = new(concentrator.Request)
		switch {
		case strings.HasSuffix(c.name, "Response"):
			into = new(concentrator.Response)
		case strings.HasPrefix(c.name, "node"):
			into = new(concentrator.Event)
		}
		xmpptest.Refuse(t, []xmpptest.Refusal{{Name: fmt.Sprintf("%s %.60s %.60s", c.name, c.attrs, c.content),
			XML: element(c.name, c.attrs, c.content), Into: into, Condition: c.want}})
	}
	xmpptest.Refuse(t, []xmpptest.Refusal{{Name: "no answer", XML: element("getNode", "", ""), Into: new(concentrator.Response),
		Condition: stanza.BadRequest}})
}

// What others write otherwise than the specification's text is read.
func TestLenient(t *testing.T) {
	var a concentrator.Response
	xml := element("getNodeCommandsResponse", "", "<command command='c' type='Simple'/>")
	if err := xmpptest.Decode(xml, &a); err != nil || a.Result != concentrator.OK || len(a.Commands) != 1 {
		t.Errorf("%+v, %v", a, err)
	}
	xml = element("getNodesResponse", "result='Exploded'", "")
	if err := xmpptest.Decode(xml, &a); err != nil || a.Result != concentrator.OtherError {
		t.Errorf("%+v, %v", a, err)
	}
	xml = element("getNodeResponse", "result='OK' nodeId='n' state='None' hasChildren='0'",
		"<message timestamp='2026-01-01T00:00:00' type='WarningUnsigned'>x</message><quaternion id='q' value='1 2 3 4'/>")
	if err := xmpptest.Decode(xml, &a); err != nil || len(a.Nodes) != 1 || a.Nodes[0].Messages[0].Grade != concentrator.Warning ||
		len(a.Nodes[0].Parameters) != 0 {
		t.Errorf("%+v, %v", a, err)
	}
}

func FuzzPayload(f *testing.F) {
	info := lamp(f)
	for _, p := range []stanza.Payload{
		&concentrator.Request{Capability: concentrator.GetChildNodes, Nodes: room("a"), Sort: []concentrator.Sort{{Parameter: "b"}}},
		&concentrator.Request{Capability: concentrator.Subscribe, Source: "a", Without: 3},
		&concentrator.Response{Capability: concentrator.GetNode, Nodes: []concentrator.Info{info}},
		&concentrator.Response{Capability: concentrator.GetNodes, Nodes: []concentrator.Info{info, info}},
		&concentrator.Response{Capability: concentrator.ContainsNode, Contains: []bool{true}},
		&concentrator.Response{Capability: concentrator.GetNodeInheritance, Classes: []string{"a"}, Interfaces: []string{"b"}},
		&concentrator.Event{Kind: concentrator.NodeAdded, Info: info},
		&concentrator.Event{Kind: concentrator.NodeStatusChanged, Info: info},
	} {
		f.Add(p.AppendXML(nil))
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		xmpptest.RoundTrip(t, input, new(concentrator.Request))
		xmpptest.RoundTrip(t, input, new(concentrator.Response))
		xmpptest.RoundTrip(t, input, new(concentrator.Event))
	})
}
