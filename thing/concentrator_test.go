// SPDX-License-Identifier: Apache-2.0

package thing_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stonechat-im/stonechat/thing"
)

// bus is a concentrator with two nodes behind it, one of which can be told something.
func bus(l *lab) *string {
	did := new(string)
	energy := func(context.Context) ([]thing.Field, error) {
		return []thing.Field{{Name: "energy", Value: thing.Number(12.5), Unit: "kWh"}}, nil
	}
	l.config.Name = "Bus"
	l.config.Nodes = []thing.Node{
		{NodeID: thing.NodeID{ID: "meter"}, Name: "Meter", Read: energy},
		{NodeID: thing.NodeID{ID: "valve"}, Parent: "meter", Name: "Valve",
			Parameters: []thing.Parameter{{Name: "open", Kind: thing.Boolean, Set: func(_ context.Context, v thing.Value) error { *did += "open " + v.String() + ";"; return nil }}},
			Commands: []thing.Command{{Name: "flush", Parameters: []thing.Parameter{{Name: "seconds", Kind: thing.Numeric, Min: 1, Max: 9}},
				Do: func(_ context.Context, a map[string]thing.Value) (string, error) {
					*did += "flush " + a["seconds"].String() + ";"
					return "flushed", nil
				}}}},
	}
	return did
}

// What a concentrator speaks for is seen by who may do anything with it, and is told what it is to do by its address, in every way.
func TestConcentrator(t *testing.T) {
	const ns = "xmlns='urn:xmpp:iot:concentrators'"
	inLab(t, func(t *testing.T, l *lab) {
		did := bus(l)
		p := l.start(t)
		for _, c := range []struct{ typ, ask, want, did string }{
			{"get", "<getCapabilities " + ns + "/>", "<value>executeNodeCommand</value>", ""},
			{"get", "<getAllDataSources " + ns + "/>", "MeteringTopology", ""},
			{"get", "<getAllNodes " + ns + " sourceId='MeteringTopology'/>", "nodeId='valve'", ""},
			{"get", "<getRootNodes " + ns + " sourceId='MeteringTopology'/>", "nodeId='meter'", ""},
			{"get", "<getChildNodes " + ns + " sourceId='MeteringTopology' nodeId='meter'/>", "nodeId='valve'", ""},
			{"get", "<containsNode " + ns + " sourceId='MeteringTopology' nodeId='pump'/>", ">false<", ""},
			{"get", "<getNodeCommands " + ns + " sourceId='MeteringTopology' nodeId='valve'/>", "command='flush'", ""},
			{"get", "<getCommandParameters " + ns + " sourceId='MeteringTopology' nodeId='valve' command='flush'/>", "var='seconds'", ""},
			{"set", "<executeNodeCommand " + ns + " sourceId='MeteringTopology' nodeId='valve' command='flush'><x xmlns='jabber:x:data' type='submit'><field var='seconds'><value>10</value></field></x></executeNodeCommand>", "FormError", ""},
			{"set", "<executeNodeCommand " + ns + " sourceId='MeteringTopology' nodeId='valve' command='flush'/>", "FormError", ""},
			{"set", "<executeNodeCommand " + ns + " sourceId='MeteringTopology' nodeId='valve' command='burst'/>", "NotFound", ""},
			{"set", "<executeNodeCommand " + ns + " sourceId='MeteringTopology' nodeId='valve' command='flush'><x xmlns='jabber:x:data' type='submit'><field var='seconds'><value>3</value></field></x></executeNodeCommand>", "result='OK'", "flush 3;"},
			{"set", "<set xmlns='urn:xmpp:iot:control'><node nodeId='valve'/><boolean name='open' value='true'/></set>", "<setResponse ", "open on;"},
		} {
			*did = ""
			p.Say("<iq %s id='q' type='%s'>%s</iq>", fromOwner, c.typ, c.ask)
			if got := p.Expect("(<iq .*)")[1]; !strings.Contains(got, c.want) || *did != c.did {
				t.Errorf("%s: %s, and did %q", c.ask, got, *did)
			}
		}
		for _, c := range []struct{ say, want, did string }{
			{"nodes", "meter: Meter", ""}, {"at meter read", "energy 12.5 kWh", ""}, {"at valve set open off", "done: open off", "open off;"},
			{"at valve flush 2", "flushed", "flush 2;"}, {"at pump read", "There is no pump", ""}, {"at valve help", "flush seconds=1..9", ""}, {"flush 2", "I do not understand", ""},
		} {
			*did = ""
			p.Say("<message %s type='chat'><body>%s</body></message>", fromOwner, c.say)
			if got := p.Expect("(<message .*)")[1]; !strings.Contains(got, c.want) || *did != c.did {
				t.Errorf("%s: %s, and did %q", c.say, got, *did)
			}
		}
		// The commands of any client ask for which first.
		*did = ""
		p.Say("<iq %s to='juliet@example.org/balcony' id='q' type='set'><command xmlns='http://jabber.org/protocol/commands' node='flush'/></iq>", fromOwner)
		got := p.Expect("(<iq .*)")[1]
		session := between(got, "sessionid='", "'")
		for _, fields := range []string{"<field var='node'><value>valve</value></field>", "<field var='seconds'><value>4</value></field>"} {
			p.Say("<iq %s to='juliet@example.org/balcony' id='q' type='set'><command xmlns='http://jabber.org/protocol/commands' node='flush' sessionid='%s'><x xmlns='jabber:x:data' type='submit'>%s</x></command></iq>", fromOwner, session, fields)
			got = p.Expect("(<iq .*)")[1]
		}
		if !strings.Contains(got, "flushed") || *did != "flush 4;" {
			t.Errorf("%s, and did %q", got, *did)
		}
		go func() { _ = p.End() }()
	})
	// A stranger sees what he may, of each node by itself.
	inLab(t, func(t *testing.T, l *lab) {
		did := bus(l)
		p := l.start(t)
		meter := func(q string) (string, string) {
			if strings.Contains(q, "canRead") && strings.Contains(q, "nodeId='meter'") {
				return "true", ""
			}
			return "false", ""
		}
		for ask, want := range map[string]string{
			"type='get'><getAllNodes " + ns + " sourceId='MeteringTopology'/>":                                             "nodeId='meter'",
			"type='get'><getNodeCommands " + ns + " sourceId='MeteringTopology' nodeId='valve'/>":                          "NotFound",
			"type='set'><executeNodeCommand " + ns + " sourceId='MeteringTopology' nodeId='valve' command='flush'/>":       "NotFound",
			"type='set'><set xmlns='urn:xmpp:iot:control'><node nodeId='valve'/><boolean name='open' value='true'/></set>": "type='error'",
			"type='get'><req xmlns='urn:xmpp:iot:sensordata' seqnr='1' momentary='true'><node nodeId='valve'/></req>":      "type='error'",
			"type='get'><req xmlns='urn:xmpp:iot:sensordata' seqnr='2' momentary='true'><node nodeId='meter'/></req>":      "<accepted ",
		} {
			p.Say("<iq from='%s/x' id='q' %s</iq>", stranger, ask)
			got := hear(p, meter)
			for strings.HasPrefix(got, "<message") {
				got = hear(p, meter)
			}
			if !strings.Contains(got, want) || strings.Contains(got, "nodeId='valve'") || *did != "" {
				t.Errorf("%s: %s, and did %q", ask, got, *did)
			}
		}
		go func() { _ = p.End() }()
	})
}

// An address that leaves open of which data source a node is means all that it fits; the source of a node that was declared without one may
// be named as it is told.
func TestNodesMeant(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		did := make(map[string]string)
		lamp := func(id, source string) thing.Node {
			return thing.Node{NodeID: thing.NodeID{ID: id, Source: source}, Parameters: []thing.Parameter{{Name: "on", Kind: thing.Boolean,
				Set: func(_ context.Context, v thing.Value) error { did[id+source] += v.String() + ";"; return nil },
				Get: func(context.Context) (thing.Value, error) { return thing.Bool(true), nil }}}}
		}
		l.config.Nodes = []thing.Node{lamp("lamp", "a"), lamp("lamp", "b"), lamp("fan", "")}
		p := l.start(t)
		const set, on = "<set xmlns='urn:xmpp:iot:control'>", "<boolean name='on' value='true'/></set>"
		const fan = "<node nodeId='fan' sourceId='MeteringTopology'/>"
		onlyA := func(q string) (string, string) {
			if strings.Contains(q, "canControl") && strings.Contains(q, "sourceId='a'") {
				return "true", ""
			}
			return "false", ""
		}
		for _, c := range []struct{ from, typ, ask, want, did string }{
			{fromOwner, "set", set + "<node nodeId='lamp'/>" + on, "<setResponse xmlns='urn:xmpp:iot:control'/>", "map[lampa:on; lampb:on;]"},
			{fromOwner, "set", set + "<node nodeId='lamp' sourceId='b'/>" + on, "<setResponse xmlns='urn:xmpp:iot:control'/>", "map[lampb:on;]"},
			{fromOwner, "set", set + "<node nodeId='lamp' sourceId='b'/><node nodeId='lamp'/>" + on, "<setResponse ", "map[lampa:on; lampb:on;]"},
			{fromOwner, "set", set + "<node nodeId='lamp' sourceId='c'/>" + on, "<item-not-found ", "map[]"},
			{fromOwner, "set", set + fan + on, "<setResponse ", "map[fan:on;]"},
			{fromOwner, "get", "<getForm xmlns='urn:xmpp:iot:control'><node nodeId='lamp'/>" + fan + "</getForm>", "var='on'", "map[]"},
			{fromOwner, "get", "<req xmlns='urn:xmpp:iot:sensordata' seqnr='1'>" + fan + "</req>", "<accepted ", "map[]"},
			{fromOwner, "get", "<req xmlns='urn:xmpp:iot:sensordata' seqnr='1'><node nodeId='fan' sourceId='a'/></req>", "<item-not-found ", "map[]"},
			// What is not there is told apart from what is wrong.
			{fromOwner, "set", set + "<node nodeId='lamp'/><boolean name='off' value='true'/></set>", "<item-not-found .*<paramError [^>]*var='off'", "map[]"},
			{fromOwner, "set", set + "<node nodeId='lamp'/><string name='on' value='x'/></set>", "<bad-request .*<paramError [^>]*var='on'", "map[]"},
			{fromOwner, "set", set + "<node nodeId='lamp'/><string name='on' value='x'/><boolean name='off' value='true'/></set>", "<item-not-found ", "map[]"},
			// Of several that are meant somebody may have some.
			{"from='" + stranger + "/x'", "set", set + "<node nodeId='lamp'/>" + on, "<setResponse [^>]*><node nodeId='lamp' sourceId='a'/></setResponse>", "map[lampa:on;]"},
			{"from='" + stranger + "/x'", "get", "<getForm xmlns='urn:xmpp:iot:control'><node nodeId='lamp'/></getForm>", "<forbidden ", "map[]"},
		} {
			clear(did)
			p.Say("<iq %s id='q' type='%s'>%s</iq>", c.from, c.typ, c.ask)
			got := hear(p, onlyA)
			for strings.HasPrefix(got, "<message") {
				got = hear(p, onlyA)
			}
			if !matches(".*"+c.want+".*", got) || fmt.Sprint(did) != c.did {
				t.Errorf("%s: %s, and did %v", c.ask, got, did)
			}
		}
		go func() { _ = p.End() }()
	})
}

// What a concentrator is asked and does not know it says so of, to whoever may know that it is one.
func TestNotImplemented(t *testing.T) {
	const ns = "xmlns='urn:xmpp:iot:concentrators'"
	inLab(t, func(t *testing.T, l *lab) {
		bus(l)
		p := l.start(t)
		for _, c := range []struct{ from, typ, ask, want string }{
			{fromOwner, "get", "<getDatabases " + ns + "/>", "type='result'><getDatabasesResponse " + ns + " result='NotImplemented'/>"},
			{fromOwner, "set", "<moveNodeUp " + ns + " sourceId='MeteringTopology' nodeId='meter'/>", "type='result'><moveNodeUpResponse " + ns + " result='NotImplemented'/>"},
			{fromOwner, "get", "<holabandola " + ns + "><x/></holabandola>", "<holabandolaResponse " + ns + " result='NotImplemented'/>"},
			{fromOwner, "get", "<subscribe " + ns + " sourceId='MeteringTopology'/>", "<bad-request "},
			{fromOwner, "set", "<getAllNodes " + ns + " sourceId='MeteringTopology'/>", "<bad-request "},
			{fromOwner, "get", "<getDatabases xmlns='urn:xmpp:iot:concentrators:2'/>", "<service-unavailable "},
			{"from='" + stranger + "/x'", "get", "<holabandola " + ns + "/>", "<service-unavailable "},
		} {
			p.Say("<iq %s id='q' type='%s'>%s</iq>", c.from, c.typ, c.ask)
			if got := hear(p, nobody); !matches(".*"+c.want+".*", got) {
				t.Errorf("%s: %s", c.ask, got)
			}
		}
		go func() { _ = p.End() }()
	})
}
