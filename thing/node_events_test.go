// SPDX-License-Identifier: Apache-2.0

package thing_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stonechat-im/stonechat/internal/testserver"
	"github.com/stonechat-im/stonechat/thing"
	"github.com/stonechat-im/stonechat/xmpp/concentrator"
)

const sourceNodes = "xmlns='urn:xmpp:iot:concentrators' sourceId='MeteringTopology'"

// subscribes asks for events, and is the result.
func subscribes(p *testserver.Peer, from, ask string, rule func(string) (string, string)) string {
	p.T.Helper()
	p.Say("<iq from='%s' id='s' type='set'>%s</iq>", from, ask)
	got := hear(p, rule)
	if !strings.Contains(got, "id='s'") {
		p.T.Errorf("%s is answered by %s", ask, got)
	}
	return between(got, " result='", "'")
}

func nobody(string) (string, string) { return "false", "" }

// silent holds that nothing more is told.
func silent(p *testserver.Peer, why string) {
	p.T.Helper()
	synctest.Wait()
	p.Say("<iq %s id='fence' type='get'><ping xmlns='urn:xmpp:ping'/></iq>", fromOwner)
	if got := hear(p, nobody); !strings.Contains(got, "id='fence'") {
		p.T.Errorf("%s: %s", why, got)
	}
}

func node(id, parent, name string) thing.Node {
	return thing.Node{NodeID: thing.NodeID{ID: id}, Parent: parent, Name: name, Read: func(context.Context) ([]thing.Field, error) { return nil, nil }}
}

// Whoever has subscribed to the nodes of a concentrator is told what comes, changes and goes, of what he may see.
func TestNodeEvents(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.config.Client.Keepalive, l.config.Client.AnswerTime = 10*time.Hour, 10*time.Hour
		bus(l)
		p, meter := l.start(t), meterAlone
		for _, c := range []struct{ ask, want string }{
			{"<subscribe " + sourceNodes + " getEventsSince='2000-01-01T00:00:00'/>", "NotImplemented"}, // of before
			{"<subscribe xmlns='urn:xmpp:iot:concentrators' sourceId='other'/>", "NotFound"},
			{"<unsubscribe " + sourceNodes + "/>", "OK"},
			{"<subscribe " + sourceNodes + " nodeUpdated='false'/>", "OK"},
			{"<subscribe " + sourceNodes + " messages='true'/>", "OK"}, // once more is not twice
			{"<unsubscribe " + sourceNodes + " nodeAdded='false' nodeRemoved='false' nodeStatusChanged='false'/>", "OK"},
		} {
			if got := subscribes(p, "nurse@example.org/x", c.ask, nobody); got != c.want {
				t.Errorf("%s: %s, want %s", c.ask, got, c.want)
			}
		}
		if got := subscribes(p, stranger+"/x", "<subscribe "+sourceNodes+"/>", meter); got != "OK" {
			t.Errorf("who may read a node: %s", got)
		}
		p.Say("<iq from='paris@example.net/x' id='s' type='set'><subscribe %s/></iq>", sourceNodes)
		if got := hear(p, nobody); !strings.Contains(got, "service-unavailable") {
			t.Errorf("who may nothing: %s", got)
		}
		set := func(nodes ...thing.Node) {
			t.Helper()
			if err := l.thing.SetNodes(nodes); err != nil {
				t.Fatal(err)
			}
		}
		// tells waits for what both are told, in whichever order.
		tells := func(owner, other []string) {
			t.Helper()
			due := map[string][]string{"nurse@example.org/x": owner, stranger + "/x": other}
			if other == nil {
				delete(due, stranger+"/x")
			}
			for len(due) > 0 {
				got := hear(p, meter)
				who := between(got, "to='", "'")
				want, ok := due[who]
				if delete(due, who); !ok || !strings.Contains(got, "type='headline'") || strings.Count(got, "sourceId='MeteringTopology'") != len(want) {
					t.Fatalf("%s is told, who is to be told %q", got, want)
				}
				for _, w := range want {
					if !matches(".*"+w+".*", got) {
						t.Errorf("%s is not in %s", w, got)
					}
				}
			}
			silent(p, "more is told")
		}
		if err := l.thing.SetState(thing.NodeID{ID: "valve"}, concentrator.ErrorUnsigned, concentrator.Message{Grade: concentrator.Error, Text: "it sticks"}); err != nil {
			t.Fatal(err)
		}
		tells([]string{"<nodeStatusChanged [^>]*nodeId='valve' state='ErrorUnsigned'><message timestamp='[^']+' type='Error'>it sticks</message>"}, nil)
		if err := l.thing.SetState(thing.NodeID{ID: "meter"}, concentrator.WarningSigned, concentrator.Message{Grade: concentrator.Warning, Text: "worn"}); err != nil {
			t.Fatal(err)
		}
		tells([]string{"<nodeStatusChanged [^>]*nodeId='meter' state='WarningSigned'><message"}, []string{"<nodeStatusChanged [^>]*nodeId='meter' state='WarningSigned'/>"})
		p.Say("<iq %s id='q' type='get'><getNode %s nodeId='valve' messages='true'/></iq>", fromOwner, sourceNodes)
		if got := hear(p, nobody); !strings.Contains(got, "state='ErrorUnsigned'") || !strings.Contains(got, "it sticks") {
			t.Error(got)
		}
		for _, err := range []error{
			l.thing.SetState(thing.NodeID{ID: "pump"}, concentrator.None), l.thing.SetState(thing.NodeID{}, concentrator.None), l.thing.SetState(thing.NodeID{ID: "meter"}, "sad"),
		} {
			if err == nil {
				t.Error("a state that cannot be is taken")
			}
		}

		// The valve goes, a pump comes, and the meter is called something else: of that the owner does not want to know.
		set(node("meter", "pump", "Old meter"), node("pump", "", "Pump"))
		tells([]string{"<nodeRemoved [^>]*nodeId='valve'/>", "<nodeAdded [^>]*nodeId='pump' [^>]*hasChildren='true'"},
			[]string{"<nodeUpdated [^>]*nodeId='meter' displayName='Old meter' nodeType='Node' state='WarningSigned' hasChildren='false' isReadable='true' lastChanged='[^']+'/>"})
		set(node("meter", "pump", "Old meter"), node("pump", "", "Pump")) // nothing has changed
		silent(p, "nothing has changed")

		// Who may not any more is told no more; who has left, neither.
		p.Say("<iq from='things.example.org' id='c' type='set'><clearCache xmlns='urn:xmpp:iot:provisioning'/></iq>")
		p.Expect("<iq to='things.example.org' id='c' type='result'><clearCacheResponse .*")
		meter = nobody
		set(node("meter", "", "New meter"))
		tells([]string{"<nodeRemoved [^>]*nodeId='pump'/>"}, nil)
		p.Say("<presence from='nurse@example.org/x' type='unavailable'/>")
		synctest.Wait()
		set(node("meter", "", "New meter"), node("lamp", "", "Lamp"))
		silent(p, "who has left")

		// So many may subscribe, and no more. Whoever comes again and again, and is not seen to leave, takes his own places only.
		for i := range 101 {
			if got := subscribes(p, fmt.Sprintf("nurse@example.org/%d", i), "<subscribe "+sourceNodes+"/>", nobody); got != "OK" {
				t.Fatalf("subscription %d: %s", i, got)
			}
		}
		lamp := func(q string) (string, string) {
			if strings.Contains(q, "canRead") && strings.Contains(q, "nodeId='lamp'") {
				return "true", ""
			}
			return "false", ""
		}
		for i := range 81 { // one was a stranger, who may see nothing now
			want := "OK"
			if i >= 79 {
				want = "OtherError"
			}
			if got := subscribes(p, fmt.Sprintf("p%d@example.net/x", i), "<subscribe "+sourceNodes+" nodeStatusChanged='false'/>", lamp); got != want {
				t.Fatalf("subscription of somebody else, %d: %s", i, got)
			}
		}
		if err := l.thing.SetState(thing.NodeID{ID: "lamp"}, concentrator.Information); err != nil {
			t.Fatal(err)
		}
		for i := range 20 {
			if got := hear(p, lamp); !strings.Contains(got, fmt.Sprintf("to='nurse@example.org/%d'", 81+i)) {
				t.Errorf("told %s", got)
			}
		}
		silent(p, "who came before")
		go func() { _ = p.End() }()
	})
}

// What has happened before somebody subscribed is told to whoever asks for it, as far as he may see it: in order, behind the answer and
// before what is to come. What is not remembered, or of before, is refused, and nothing is subscribed then.
func TestNodeEventsMissed(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.config.Client.Keepalive, l.config.Client.AnswerTime = 1000*time.Hour, 1000*time.Hour
		bus(l)
		p := l.start(t)
		begun := time.Now()
		is := func(id string, state concentrator.State, text string) {
			t.Helper()
			if err := l.thing.SetState(thing.NodeID{ID: id}, state, concentrator.Message{Text: text}); err != nil {
				t.Fatal(err)
			}
		}
		// since asks for events, and is the result and what is told of them, up to so many.
		since := func(from string, at time.Time, more string, events int) (result string, told []string) {
			t.Helper()
			result = subscribes(p, from, "<subscribe "+sourceNodes+" getEventsSince='"+at.UTC().Format("2006-01-02T15:04:05")+"' "+more+"/>", meterAlone)
			for len(told) < events {
				got := hear(p, meterAlone)
				if !strings.Contains(got, "to='"+from+"'") || !strings.Contains(got, "type='headline'") {
					t.Fatalf("%s is told %s", from, got)
				}
				for _, e := range strings.Split(got, "<node")[1:] {
					told = append(told, "<node"+e)
				}
			}
			silent(p, from+" is told more")
			return result, told
		}
		wants := func(told []string, want ...string) {
			t.Helper()
			if len(told) != len(want) {
				t.Fatalf("told %q, want %q", told, want)
			}
			for i := range want {
				if !matches(want[i]+".*", told[i]) {
					t.Errorf("told %s, want %s", told[i], want[i])
				}
			}
		}
		const boss, later = "nurse@example.org/x", "nurse@example.org/y"
		hour := func(n float64) time.Time { return begun.Add(time.Duration(n * float64(time.Hour))) }
		<-time.After(time.Until(hour(1)))
		is("valve", concentrator.ErrorUnsigned, "it sticks")
		<-time.After(time.Until(hour(2)))
		is("meter", concentrator.WarningSigned, "worn")
		<-time.After(time.Until(hour(3)))
		if err := l.thing.SetNodes([]thing.Node{node("meter", "", "Meter"), node("pump", "", "Pump")}); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Until(hour(4)))
		for _, at := range []time.Time{begun.Add(-time.Second), begun, hour(4.5)} {
			if got, _ := since(boss, at, "", 0); got != "NotImplemented" {
				t.Errorf("since %s: %s", at, got)
			}
		}
		is("pump", concentrator.Information, "")
		silent(p, "whose subscription was refused")

		got, told := since(boss, hour(2), "messages='true' nodeUpdated='false'", 4)
		wants(told, "<nodeStatusChanged [^>]*nodeId='meter' state='WarningSigned'><message [^>]*>worn<", "<nodeRemoved [^>]*nodeId='valve'/>",
			"<nodeAdded [^>]*nodeId='pump' ", "<nodeStatusChanged [^>]*nodeId='pump' state='Information'>")
		if got != "OK" {
			t.Error(got)
		}
		is("pump", concentrator.None, "")
		if got := hear(p, meterAlone); !strings.Contains(got, "to='"+boss+"'") || strings.Count(got, "<node") != 1 {
			t.Errorf("then %s", got)
		}
		// Who asks again is told again; who may see the meter alone is told of that, and not why.
		_, told = since(boss, hour(3.5), "", 2)
		wants(told, "<nodeStatusChanged [^>]*nodeId='pump' state='Information'/>", "<nodeStatusChanged [^>]*nodeId='pump' state='None'/>")
		_, told = since(stranger+"/x", hour(0.5), "", 1)
		wants(told, "<nodeStatusChanged [^>]*nodeId='meter' state='WarningSigned'/>")
		if got, told := since(later, hour(4), "nodeStatusChanged='false'", 0); got != "OK" || len(told) > 0 {
			t.Errorf("%s, %q", got, told)
		}
		p.Say("<iq %s id='s' type='set'><unsubscribe %s/></iq><iq from='%s' id='s' type='set'><unsubscribe %[2]s/></iq>", fromOwner, sourceNodes, stranger+"/x")
		hear(p, meterAlone)
		hear(p, meterAlone)

		// So much is remembered, and no more; also by how far it reaches back it is said what is not.
		filled := time.Now()
		for i := range 1100 {
			<-time.After(time.Second)
			is("pump", [...]concentrator.State{concentrator.Information, concentrator.None}[i%2], "")
		}
		if got, _ := since(boss, filled.Add(100*time.Second), "", 0); got != "NotImplemented" {
			t.Errorf("what is forgotten: %s", got)
		}
		if got, told := since(boss, filled.Add(101*time.Second), "nodeAdded='false'", 1000); got != "OK" || len(told) != 1000 {
			t.Errorf("%s, %d events", got, len(told))
		}
		is("meter", concentrator.None, "well again")
		if got := hear(p, meterAlone); !strings.Contains(got, "nodeId='meter' state='None'/>") {
			t.Error(got)
		}

		// The next owner is told nothing of what was before.
		claimed := time.Now()
		p.Say("<iq from='things.example.org' id='n' type='set'><claimed xmlns='urn:xmpp:iot:discovery' jid='romeo@example.org'/></iq>")
		p.Expect("<iq to='things.example.org' id='n' type='result'/>")
		<-time.After(time.Hour)
		const romeo = "romeo@example.org/x"
		if got, _ := since(romeo, claimed, "", 0); got != "NotImplemented" {
			t.Errorf("the next owner: %s", got)
		}
		if got, told := since(romeo, claimed.Add(time.Second), "", 0); got != "OK" || len(told) > 0 {
			t.Errorf("the next owner: %s, %q", got, told)
		}
		p.Say("<iq from='%s' id='q' type='get'><getNode %s nodeId='meter' messages='true'/></iq>", romeo, sourceNodes)
		if got := hear(p, meterAlone); !strings.Contains(got, "state='None'") || strings.Contains(got, "<message") {
			t.Errorf("the next owner sees %s", got)
		}
		go func() { _ = p.End() }()
	})
}

// Who is told of so much that he cannot be told in time is told no more; others are.
func TestNodeEventsTooMany(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		bus(l)
		p := l.start(t)
		if got := subscribes(p, "nurse@example.org/x", "<subscribe "+sourceNodes+"/>", nobody); got != "OK" {
			t.Fatal(got)
		}
		nodes := make([]thing.Node, 4100)
		for i := range nodes {
			nodes[i] = node(fmt.Sprintf("n%d", i), "", "")
		}
		if err := l.thing.SetNodes(nodes); err != nil {
			t.Fatal(err)
		}
		silent(p, "who was to be told too much")
		begun := time.Now()
		<-time.After(time.Second)
		if got := subscribes(p, "nurse@example.org/x", "<subscribe "+sourceNodes+" getEventsSince='"+begun.UTC().Format("2006-01-02T15:04:05")+"'/>", nobody); got != "NotImplemented" {
			t.Errorf("at the moment when some was forgotten: %s", got)
		}
		if got := subscribes(p, "nurse@example.org/x", "<subscribe "+sourceNodes+"/>", nobody); got != "OK" {
			t.Fatal(got)
		}
		if err := l.thing.SetNodes(nodes[1:]); err != nil {
			t.Fatal(err)
		}
		if got := hear(p, nobody); !strings.Contains(got, "<nodeRemoved ") || !strings.Contains(got, "nodeId='n0'") {
			t.Error(got)
		}
		go func() { _ = p.End() }()
	})
}

// meterAlone is a service that says that the meter may be read, and nothing else.
func meterAlone(q string) (result, rest string) {
	if strings.Contains(q, "canRead") && strings.Contains(q, "nodeId='meter'") {
		return "true", ""
	}
	return "false", ""
}

// What is said of a node while others come is not lost with the one that was there.
func TestSetStateAmongNodes(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		x, err := thing.New(l.config)
		if err != nil {
			t.Fatal(err)
		}
		nodes := []thing.Node{node("meter", "", "Meter")}
		if err := x.SetNodes(nodes); err != nil {
			t.Fatal(err)
		}
		states := []concentrator.State{concentrator.WarningSigned, concentrator.None}
		long := make([]concentrator.Message, 10_000) // takes its time
		for i := range 100 {
			var both sync.WaitGroup
			both.Go(func() {
				for range 100 {
					if err := x.SetNodes(nodes); err != nil {
						t.Error(err)
					}
				}
			})
			if err := x.SetState(nodes[0].NodeID, states[i%2], long...); err != nil {
				t.Fatal(err)
			}
			both.Wait()
			if got := thing.StateOf(x, nodes[0].NodeID); got != states[i%2] {
				t.Fatalf("%d: the node is %q, not %q", i, got, states[i%2])
			}
		}
	})
}
