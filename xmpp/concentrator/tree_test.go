// SPDX-License-Identifier: Apache-2.0

package concentrator_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stonechat-im/stonechat/xmpp/concentrator"
)

// house has two floors with lamps on them; a lamp in the cellar has the ID of one upstairs, and a node in another
// source that of a floor.
func house() *concentrator.Tree {
	floor := func(id string) concentrator.Info {
		return concentrator.Info{Node: concentrator.Node{ID: id, Source: "Rooms", Cache: "Floor"}, Type: "Floor",
			Parent: concentrator.Node{ID: "house"}}
	}
	light := func(id, parent, cache, address string) concentrator.Info {
		return concentrator.Info{Node: concentrator.Node{ID: id, Source: "Rooms", Cache: cache}, Type: "Lamp",
			Parent:     concentrator.Node{ID: parent, Cache: "Floor"},
			Parameters: []concentrator.Parameter{{ID: "addr", Type: concentrator.Int, Value: address}},
			Messages:   []concentrator.Message{{Grade: concentrator.Notice, Text: "is " + id}}}
	}
	bare := light("lamp9", "upstairs", "", "0")
	bare.Parameters = nil
	return &concentrator.Tree{
		Sources: []concentrator.DataSource{{ID: "Rooms"}, {ID: "Meters"}},
		Nodes: []concentrator.Info{
			light("lamp1", "upstairs", "Up", "10"), light("lamp2", "upstairs", "Up", "9"), light("lamp1", "cellar", "Down", "7"), bare,
			floor("upstairs"), floor("cellar"),
			{Node: concentrator.Node{ID: "house", Source: "Rooms"}, Type: "House"},
			{Node: concentrator.Node{ID: "cellar", Source: "Meters"}, Type: "Meter"},
		},
		Classes: map[string][]string{"Lamp": {"Light", "Thing"}, "Meter": {"Thing"}},
		Also:    []concentrator.Capability{concentrator.GetNodeCommands},
	}
}

// say puts what matters of an answer into a line.
func say(a *concentrator.Response) string {
	parts := []string{string(a.Result)}
	for _, i := range a.Nodes {
		part := i.Node.ID
		if i.Node.Source != "" {
			part += "@" + i.Node.Source
		}
		if i.HasChildren {
			part += "+"
		}
		if !i.Parent.IsZero() {
			part += "<" + i.Parent.ID
		}
		parts = append(parts, part+strings.Repeat("p", len(i.Parameters))+strings.Repeat("m", len(i.Messages)))
	}
	for _, v := range a.Contains {
		parts = append(parts, fmt.Sprint(v))
	}
	for _, s := range a.Sources {
		parts = append(parts, s.ID)
	}
	return strings.Join(append(parts, a.Classes...), " ")
}

func TestTree(t *testing.T) {
	type request = concentrator.Request
	in := func(id, source, cache string) []concentrator.Node {
		return []concentrator.Node{{ID: id, Source: source, Cache: cache}}
	}
	upstairs := func(i *concentrator.Info) bool { return i.Node.ID != "cellar" && i.Node.ID != "house" }
	for _, c := range []struct {
		q    request
		see  func(*concentrator.Info) bool
		want string
	}{
		{request{Capability: concentrator.GetAllDataSources}, nil, "OK Rooms Meters"},
		{request{Capability: concentrator.GetRootDataSources}, nil, "OK Rooms Meters"},
		{request{Capability: concentrator.GetChildDataSources, Source: "Rooms"}, nil, "OK"},
		{request{Capability: concentrator.GetChildDataSources, Source: "Attic"}, nil, "NotFound"},
		{request{Capability: concentrator.ContainsNode, Nodes: in("lamp2", "Rooms", "")}, nil, "OK true"},
		{request{Capability: concentrator.ContainsNodes, Nodes: append(in("lamp2", "Meters", ""), in("lamp2", "", "")...)}, nil, "OK false true"},
		{request{Capability: concentrator.ContainsNode, Nodes: in("lamp2", "Rooms", "Down")}, nil, "OK false"},
		{request{Capability: concentrator.ContainsNode, Nodes: in("cellar", "", "")}, upstairs, "OK false"},
		{request{Capability: concentrator.GetNode, Nodes: in("lamp1", "Rooms", "Down")}, nil, "OK lamp1<cellar"},
		{request{Capability: concentrator.GetNode, Nodes: in("lamp1", "Rooms", "Down")}, upstairs, "OK lamp1"},
		{request{Capability: concentrator.GetNode, Nodes: in("lamp1", "", ""), Parameters: true}, nil, "OK lamp1<upstairsp"},
		{request{Capability: concentrator.GetNode, Nodes: in("cellar", "Rooms", "")}, upstairs, "NotFound"},
		{request{Capability: concentrator.GetNode}, nil, "NotFound"},
		{request{Capability: concentrator.GetNodes, Nodes: append(in("house", "", ""), in("lamp2", "", "")...), Messages: true}, nil,
			"OK house+ lamp2<upstairsm"},
		{request{Capability: concentrator.GetNodes, Nodes: append(in("house", "", ""), in("lamp3", "", "")...)}, nil, "NotFound"},
		{request{Capability: concentrator.GetAllNodes, Source: "Meters"}, nil, "OK cellar"},
		{request{Capability: concentrator.GetAllNodes, Source: "Attic"}, nil, "NotFound"},
		{request{Capability: concentrator.GetAllNodes, Source: "Rooms", DerivedFrom: []string{"Thing", "Light"}}, nil,
			"OK lamp1<upstairs lamp2<upstairs lamp1<cellar lamp9<upstairs"},
		{request{Capability: concentrator.GetAllNodes, Source: "Rooms", DerivedFrom: []string{"Lamp", "Floor"}}, nil, "OK"},
		{request{Capability: concentrator.GetNodeInheritance, Nodes: in("lamp2", "Rooms", "")}, nil, "OK Light Thing"},
		{request{Capability: concentrator.GetNodeInheritance, Nodes: in("lamp3", "Rooms", "")}, nil, "NotFound"},
		{request{Capability: concentrator.GetRootNodes, Source: "Rooms"}, nil, "OK house+"},
		{request{Capability: concentrator.GetRootNodes, Source: "Rooms"}, upstairs, "OK lamp1 upstairs+"},
		{request{Capability: concentrator.GetChildNodes, Nodes: in("house", "Rooms", "")}, nil, "OK upstairs+<house cellar+<house"},
		{request{Capability: concentrator.GetChildNodes, Nodes: in("cellar", "Meters", "")}, nil, "OK"},
		{request{Capability: concentrator.GetChildNodes, Nodes: in("upstairs", "Rooms", ""), Sort: []concentrator.Sort{{Parameter: "addr"}}}, nil,
			"OK lamp2<upstairs lamp1<upstairs lamp9<upstairs"},
		{request{Capability: concentrator.GetChildNodes, Nodes: in("upstairs", "Rooms", ""),
			Sort: []concentrator.Sort{{Parameter: "nothing"}, {Parameter: "addr", Descending: true}}}, nil,
			"OK lamp9<upstairs lamp1<upstairs lamp2<upstairs"},
		{request{Capability: concentrator.GetChildNodes, Nodes: in("attic", "Rooms", "")}, nil, "NotFound"},
		{request{Capability: concentrator.GetAncestors, Nodes: in("lamp2", "Rooms", "")}, nil, "OK lamp2<upstairs upstairs+<house house+"},
		{request{Capability: concentrator.GetAncestors, Nodes: in("lamp2", "Rooms", "")}, upstairs, "OK lamp2<upstairs upstairs+"},
		{request{Capability: concentrator.GetAncestors, Nodes: in("lamp3", "Rooms", "")}, nil, "NotFound"},
		{request{Capability: concentrator.Subscribe, Source: "Rooms"}, nil, "NotImplemented"},
		{request{Capability: "destroyNode"}, nil, "NotImplemented"},
	} {
		a, ok := house().Answer(&c.q, c.see)
		if !ok || say(a) != c.want || a.Capability != c.q.Capability {
			t.Errorf("%+v: %s; want %s", c.q, say(a), c.want)
		}
	}
	if _, ok := house().Answer(&request{Capability: concentrator.GetNodeCommands}, nil); ok {
		t.Error("the tree answers what the program has to")
	}
	a, _ := house().Answer(&request{Capability: concentrator.GetCapabilities}, nil)
	if !slices.Contains(a.Capabilities, concentrator.GetNodeCommands) || !slices.Contains(a.Capabilities, concentrator.GetAncestors) {
		t.Errorf("it can %v", a.Capabilities)
	}
	for _, c := range a.Capabilities {
		if a, ok := house().Answer(&request{Capability: c}, nil); ok && a.Result == concentrator.NotImplemented || !c.Known() || c.Sets() {
			t.Errorf("it cannot %s", c)
		}
	}
}

// A tree that is none, or too large, does no harm.
func TestTreeOdd(t *testing.T) {
	ring := &concentrator.Tree{Sources: []concentrator.DataSource{{ID: "s"}}}
	for i := range 5 {
		ring.Nodes = append(ring.Nodes, concentrator.Info{Node: concentrator.Node{ID: fmt.Sprint(i), Source: "s"},
			Parent: concentrator.Node{ID: fmt.Sprint((i + 1) % 5)}})
	}
	q := &concentrator.Request{Capability: concentrator.GetAncestors, Nodes: []concentrator.Node{{ID: "0", Source: "s"}}}
	if a, _ := ring.Answer(q, nil); a.Result != concentrator.OtherError || len(a.Nodes) > 0 {
		t.Errorf("ancestors in a ring: %s", say(a))
	}
	wide := &concentrator.Tree{Sources: []concentrator.DataSource{{ID: "s"}}}
	for i := range concentrator.MaxInfos + 1 {
		wide.Nodes = append(wide.Nodes, concentrator.Info{Node: concentrator.Node{ID: fmt.Sprint(i), Source: "s"}, State: concentrator.None})
	}
	all := &concentrator.Request{Capability: concentrator.GetAllNodes, Source: "s"}
	if a, _ := wide.Answer(all, nil); a.Result != concentrator.OtherError || len(a.Nodes) > 0 {
		t.Errorf("more nodes than an answer may have: %s", a.Result)
	}
	if a, _ := wide.Answer(all, func(i *concentrator.Info) bool { return i.Node.ID != "7" }); len(a.Nodes) != concentrator.MaxInfos {
		t.Errorf("%s, %d nodes", a.Result, len(a.Nodes))
	}
}
