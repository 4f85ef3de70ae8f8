// SPDX-License-Identifier: Apache-2.0

package thing_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stonechat-im/stonechat/internal/testserver"
	"github.com/stonechat-im/stonechat/thing"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// published is what a stanza publishes: at which node, and the values of its records.
func published(t *testing.T, s string) (id, node string, values []string) {
	t.Helper()
	if !strings.HasPrefix(s, "<iq ") || !strings.Contains(s, "<publish ") || !strings.Contains(s, "<item id='current'>") {
		t.Fatalf("nothing is published by %s", s)
	}
	for rest := s; strings.Contains(rest, " v='"); {
		values = append(values, between(rest, " v='", "'"))
		_, rest, _ = strings.Cut(rest, " v='")
	}
	return between(s, "id='", "'"), between(s, "<publish node='", "'"), values
}

func next(p *testserver.Peer) string { p.T.Helper(); return p.Expect("(<(?:iq|message) .*)")[1] }

// asksItems is a thing that looks what is left of it at its former owner.
const asksItems = "<iq to='juliet@example.org' id='([^']+)' type='get'><query xmlns='http://jabber.org/protocol/disco#items'/></iq>"

// passed reads what a thing says when it has heard by a request with the id n that somebody else owns it, or nobody, in whichever
// order: that it has, and asksItems, whose id it returns.
func passed(p *testserver.Peer) string {
	p.T.Helper()
	said := []string{next(p), next(p)}
	slices.Sort(said) // by the address
	if said[1] != "<iq to='things.example.org' id='n' type='result'/>" {
		p.T.Errorf("it says %q", said)
	}
	return between(said[0], "id='", "'")
}

func temperature(degrees float64) thing.Field {
	return thing.Field{Name: "temperature", Unit: "Cel", Value: thing.Number(degrees)}
}

// Beside a message to the owner a field is published as the latest value of it. What its node is like is said once in a session.
func TestPublish(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.config.Tell = thing.ToOwner | thing.ToFollowers
		p := l.start(t)
		for i := range 2 {
			if err := l.thing.Report(temperature(float64(20 + i))); err != nil {
				t.Fatal(err)
			}
			messages, id := 0, ""
			for range 2 {
				s := next(p)
				if strings.HasPrefix(s, "<message") {
					messages++
					continue
				}
				var node string
				var values []string
				id, node, values = published(t, s)
				if node != thing.NodeOf("temperature") || !slices.Equal(values, []string{fmt.Sprint(20 + i)}) || strings.Contains(s, "<publish-options>") != (i == 0) {
					t.Error(s)
				}
			}
			if messages != 1 {
				t.Errorf("%d messages", messages)
			}
			p.Say("<iq id='%s' type='result'/>", id)
		}
		go func() { _ = p.End() }()
	})
}

// Followers alone are told all that was measured, in order, and the owner nothing: what could not be published in time goes together.
func TestPublishOnly(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.config.Tell = thing.ToFollowers
		var told []error
		l.config.Told = func(_ time.Time, err error) { told = append(told, err) }
		l.run(t)
		for i := range 4 {
			if err := l.thing.Report(temperature(float64(i)), thing.Field{Name: "door", Value: thing.Bool(i%2 > 0)}); err != nil {
				t.Fatal(err)
			}
			<-time.After(time.Minute)
		}
		p := l.Accept()
		p.Session("s1")
		p.Expect("<presence id='[^']+'.*")
		// The first went to the client as it came, the others have waited for that.
		for _, want := range [][]string{{"0"}, {"1", "2", "3"}} {
			for range 2 {
				s := next(p)
				id, node, values := published(t, s)
				switch {
				case node == thing.NodeOf("temperature") && !slices.Equal(values, want):
					t.Errorf("published %v, want %v", values, want)
				case node == thing.NodeOf("door") && strings.Count(s, " vb='") != len(want):
					t.Error(s)
				}
				p.Say("<iq id='%s' type='result'/>", id)
			}
		}
		if synctest.Wait(); len(told) != 4 || slices.ContainsFunc(told, func(err error) bool { return err != nil }) {
			t.Errorf("told %v", told)
		}

		// What the server has no room for now it is sent again; what it refuses is given up, and both are told.
		if err := l.thing.Report(temperature(30)); err != nil {
			t.Fatal(err)
		}
		const refusal = "<iq id='%s' type='error'><error type='%s'><%s xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
		id, _, _ := published(t, next(p))
		p.Say(refusal, id, "wait", "resource-constraint")
		begun := time.Now()
		id, _, values := published(t, next(p))
		if !slices.Equal(values, []string{"30"}) || time.Since(begun) < time.Second {
			t.Errorf("again after %s: %v", time.Since(begun), values)
		}
		p.Say(refusal, id, "auth", "forbidden")
		if synctest.Wait(); len(told) != 5 || told[4] == nil {
			t.Errorf("told %v", told)
		}

		// Somebody has configured the node: it is published at as it is.
		if err := l.thing.Report(thing.Field{Name: "new", Value: thing.Number(1)}); err != nil {
			t.Fatal(err)
		}
		s := next(p)
		id, _, _ = published(t, s)
		if !strings.Contains(s, "<publish-options>") {
			t.Error(s)
		}
		p.Say("<iq id='%s' type='error'><error type='cancel'><conflict xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/><precondition-not-met xmlns='http://jabber.org/protocol/pubsub#errors'/></error></iq>", id)
		s = next(p)
		if id, _, _ = published(t, s); strings.Contains(s, "<publish-options>") {
			t.Error(s)
		}
		p.Say("<iq id='%s' type='result'/>", id)
		go func() { _ = p.End() }()
		if err := l.thing.Sync(t.Context()); err != nil || len(told) != 6 || told[5] != nil {
			t.Errorf("%v, and told %v", err, told)
		}
	})
}

// What was not published when the thing ended is published at the next start, if it has a State, and of each node where it belongs.
func TestPublishOutlivesPowerCut(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.config.State = t.TempDir()
		l.config.Tell = thing.ToFollowers
		bus(l)
		l.run(t)
		for i := range 3 {
			if err := l.thing.ReportNode(thing.NodeID{ID: "meter"}, thing.Field{Name: "energy", Value: thing.Number(float64(i)), Unit: "kWh"}); err != nil {
				t.Fatal(err)
			}
		}
		if err := l.thing.ReportNode(thing.NodeID{ID: "pump"}, temperature(1)); err == nil {
			t.Error("of a node that there is not it is reported")
		}
		synctest.Wait()
		l.cancel()
		for range l.done { // until it is closed
		}
		l.done = make(chan error, 1)
		p := l.start(t)
		at := thing.PublishedAt(thing.NodeID{ID: "meter"}, "energy")
		id, node, values := published(t, next(p))
		if node != at || !slices.Equal(values, []string{"0", "1", "2"}) {
			t.Errorf("at %s: %v", node, values)
		}
		p.Say("<iq id='%s' type='result'/>", id)
		go func() { _ = p.End() }()
		if err := l.thing.Sync(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// What one owner could follow is deleted before the thing is offered to the next.
func TestUnpublish(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.config.Tell = thing.ToFollowers
		l.config.Owner = thing.Config{}.Owner
		p := l.start(t)
		list := func(nodes ...string) {
			t.Helper()
			id := p.Expect(asksItems)[1]
			items := ""
			for _, n := range nodes {
				items += "<item jid='juliet@example.org' node='" + n + "'/>"
			}
			p.Say("<iq id='%s' from='juliet@example.org' type='result'><query xmlns='http://jabber.org/protocol/disco#items'>%s</query></iq>", id, items)
		}
		list("urn:xmpp:avatar:data", thing.NodeOf("temperature"))
		id := p.Expect("<iq id='([^']+)' type='set'><pubsub xmlns='http://jabber.org/protocol/pubsub#owner'><delete node='urn:ietf:params:xml:ns:senml#temperature'/></pubsub></iq>")[1]
		p.Say("<iq id='%s' type='result'/>", id)
		list("urn:xmpp:avatar:data")
		p.Expect("<iq to='things.example.org' id='([^']+)' type='set'><register .*")
		go func() { _ = p.End() }()
	})
}

// What could not be published for one owner is not published when there is another.
func TestPublishedForOneOwner(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.config.Client.Keepalive, l.config.Client.AnswerTime = 10*time.Hour, 10*time.Hour
		l.config.Tell = thing.ToFollowers
		l.config.Owner = thing.Config{}.Owner
		p := l.start(t)
		offered := func(id string) {
			t.Helper()
			p.Say("<iq id='%s' from='juliet@example.org' type='error'><error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>", id)
			id = p.Expect("<iq to='things.example.org' id='([^']+)' type='set'><register .*")[1]
			p.Say("<iq from='things.example.org' id='%s' type='result'/>", id)
			p.Expect("<presence .*")
		}
		registry := func(news string) {
			t.Helper()
			p.Say("<iq from='things.example.org' id='n' type='set'>%s</iq>", news)
			p.Expect("<iq to='things.example.org' id='n' type='result'/>")
		}
		offered(p.Expect(asksItems)[1])
		registry("<claimed xmlns='urn:xmpp:iot:discovery' jid='nurse@example.org'/>")
		if err := l.thing.Report(temperature(37)); err != nil {
			t.Fatal(err)
		}
		id, _, _ := published(t, next(p))
		p.Say("<iq id='%s' type='error'><error type='wait'><resource-constraint xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>", id)
		synctest.Wait()
		p.Say("<iq from='things.example.org' id='n' type='set'><disowned xmlns='urn:xmpp:iot:discovery'/></iq>")
		offered(passed(p))
		registry("<claimed xmlns='urn:xmpp:iot:discovery' jid='romeo@example.org'/>")
		<-time.After(time.Hour)
		if err := l.thing.Report(temperature(20)); err != nil {
			t.Fatal(err)
		}
		if id, _, values := published(t, next(p)); !slices.Equal(values, []string{"20"}) {
			t.Errorf("the next owner is told %v", values)
		} else {
			p.Say("<iq id='%s' type='result'/>", id)
		}
		go func() { _ = p.End() }()
	})
}

// What was published for one owner is deleted when he has given the thing to another, who is not offered it before.
func TestPublishedAndGiven(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.config.Client.Keepalive, l.config.Client.AnswerTime = 10*time.Hour, 10*time.Hour
		l.config.Tell = thing.ToFollowers
		p := l.start(t)
		publishes := func(value string, degrees float64) {
			t.Helper()
			if err := l.thing.Report(temperature(degrees)); err != nil {
				t.Fatal(err)
			}
			s := next(p)
			id, _, values := published(t, s)
			if !slices.Equal(values, []string{value}) || !strings.Contains(s, "<publish-options>") {
				t.Errorf("published by %s", s)
			}
			p.Say("<iq id='%s' type='result'/>", id)
		}
		publishes("37", 37)
		p.Say("<iq from='things.example.org' id='n' type='set'><claimed xmlns='urn:xmpp:iot:discovery' jid='romeo@example.org'/></iq>")
		id := passed(p)
		p.Say("<iq id='%s' from='juliet@example.org' type='error'><error type='wait'><resource-constraint xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>", id)
		id = p.Expect(asksItems)[1] // once more, later
		p.Say("<iq id='%s' from='juliet@example.org' type='result'><query xmlns='http://jabber.org/protocol/disco#items'><item jid='juliet@example.org' node='%s'/></query></iq>", id, thing.NodeOf("temperature"))
		id = p.Expect("<iq id='([^']+)' type='set'><pubsub xmlns='http://jabber.org/protocol/pubsub#owner'><delete node='urn:ietf:params:xml:ns:senml#temperature'/></pubsub></iq>")[1]
		p.Say("<iq id='%s' type='result'/>", id)
		p.Say("<iq id='%s' from='juliet@example.org' type='result'><query xmlns='http://jabber.org/protocol/disco#items'/></iq>", p.Expect(asksItems)[1])
		synctest.Wait()
		publishes("20", 20) // at a node that is made again
		go func() { _ = p.End() }()
	})
}

// What was published for one owner is deleted when he has given the thing to another, before anything is published for that one.
func TestPublishedIsNotGiven(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.config.Client.Keepalive, l.config.Client.AnswerTime = 10*time.Hour, 10*time.Hour
		l.config.Tell = thing.ToFollowers
		l.config.Owner = thing.Config{}.Owner
		p := l.start(t)
		id := p.Expect(asksItems)[1]
		p.Say("<iq id='%s' from='juliet@example.org' type='error'><error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>", id)
		id = p.Expect("<iq to='things.example.org' id='([^']+)' type='set'><register .*")[1]
		p.Say("<iq from='things.example.org' id='%s' type='result'><claimed xmlns='urn:xmpp:iot:discovery' jid='nurse@example.org'/></iq>", id)
		synctest.Wait()
		if err := l.thing.Report(temperature(37)); err != nil {
			t.Fatal(err)
		}
		id, _, _ = published(t, next(p))
		p.Say("<iq id='%s' type='result'/>", id)
		p.Say("<iq from='things.example.org' id='n' type='set'><claimed xmlns='urn:xmpp:iot:discovery' jid='romeo@example.org'/></iq>")
		synctest.Wait()
		if err := l.thing.Report(temperature(20)); err != nil {
			t.Fatal(err)
		}
		id = passed(p)
		for _, items := range []string{"<item jid='juliet@example.org' node='" + thing.NodeOf("temperature") + "'/>", ""} {
			if items == "" {
				id = p.Expect(asksItems)[1]
			}
			p.Say("<iq id='%s' from='juliet@example.org' type='result'><query xmlns='http://jabber.org/protocol/disco#items'>%s</query></iq>", id, items)
			if items != "" {
				id = p.Expect("<iq id='([^']+)' type='set'><pubsub xmlns='http://jabber.org/protocol/pubsub#owner'><delete node='urn:ietf:params:xml:ns:senml#temperature'/></pubsub></iq>")[1]
				p.Say("<iq id='%s' type='result'/>", id)
			}
		}
		if id, _, values := published(t, next(p)); !slices.Equal(values, []string{"20"}) {
			t.Errorf("the next owner is told %v", values)
		} else {
			p.Say("<iq id='%s' type='result'/>", id)
		}
		go func() { _ = p.End() }()
	})
}

// A reader of a follower sees what a node has.
func TestNodeHistory(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		bus(l)
		value := 0.0
		l.config.Nodes[0].Read = func(context.Context) ([]thing.Field, error) {
			value++
			return []thing.Field{{Name: "energy", Value: thing.Number(value), Unit: "kWh"}}, nil
		}
		l.config.Nodes[0].Every = time.Hour
		l.config.Client.Keepalive, l.config.Client.AnswerTime = 10*time.Hour, 10*time.Hour
		l.run(t)
		begun := time.Now()
		<-time.After(2*time.Hour + 30*time.Minute) // there is no connection
		p := l.Accept()
		p.Session("s1")
		p.Expect("<presence id='[^']+'.*")
		for i := range 3 { // what was measured meanwhile is told of the node, each with its time
			s := next(p)
			at := begun.Add(time.Duration(i) * time.Hour).Unix()
			if !strings.Contains(s, fmt.Sprintf("<body>meter: energy %d kWh</body>", i+1)) || !strings.Contains(s, "&quot;meter/energy&quot;") || !strings.Contains(s, fmt.Sprint(at)) {
				t.Error(s)
			}
		}
		ask := func(node, window string) string {
			p.Say("<iq %s id='q' type='get'><req xmlns='urn:xmpp:iot:sensordata' seqnr='1' historical='true' %s><node nodeId='%s'/></req></iq>", fromOwner, window, node)
			p.Expect("<iq .*<accepted .*")
			return next(p)
		}
		stamp := func(after time.Duration) string { return begun.Add(after).UTC().Format(time.RFC3339) }
		for _, c := range []struct {
			window string
			want   []string
		}{
			{"", []string{"3", "2", "1"}},
			{"from='" + stamp(30*time.Minute) + "'", []string{"3", "2"}},
			{"from='" + stamp(30*time.Minute) + "' to='" + stamp(90*time.Minute) + "'", []string{"2"}},
		} {
			s := ask("meter", c.window)
			var values []string
			for rest := s; strings.Contains(rest, "true' value='"); {
				values = append(values, between(rest, "true' value='", "'"))
				_, rest, _ = strings.Cut(rest, "true' value='")
			}
			if !slices.Equal(values, c.want) {
				t.Errorf("%s: %v, want %v of %s", c.window, values, c.want, s)
			}
		}
		if s := ask("valve", ""); strings.Contains(s, "energy") {
			t.Error(s)
		}

		// Nodes come and go while the thing runs.
		nodes := []thing.Node{{NodeID: thing.NodeID{ID: "pump"}, Every: time.Minute, Read: func(context.Context) ([]thing.Field, error) {
			return []thing.Field{{Name: "pressure", Value: thing.Number(7), Unit: "hPa"}}, nil
		}}}
		if err := l.thing.SetNodes(nodes); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if s := next(p); !strings.Contains(s, "pump: pressure 7 hPa") {
				t.Error(s)
			}
		}
		p.Say("<iq %s id='q' type='get'><req xmlns='urn:xmpp:iot:sensordata' seqnr='2' historical='true'><node nodeId='meter'/></req></iq>", fromOwner)
		p.Expect("<iq .*item-not-found.*")
		go func() { _ = p.End() }()
	})
}

// What docs/devices.md says that a reading of one number costs, in bytes that a thing sends: a message; an item; the first item of a
// session.
func TestCost(t *testing.T) {
	for tell, costs := range map[thing.Telling][2]int{thing.ToOwner: {340, 340}, thing.ToFollowers: {300 + 310 + 5, 300}} {
		inLab(t, func(t *testing.T, l *lab) {
			l.config.Tell = tell
			p := l.start(t)
			for i := range 2 {
				if err := l.thing.Report(temperature(21.5)); err != nil {
					t.Fatal(err)
				}
				s := next(p)
				if d := costs[i] - len(s); d < 0 || d > 5 {
					t.Errorf("%d bytes are said to be %d: %s", len(s), costs[i], s)
				}
				if strings.HasPrefix(s, "<iq") {
					p.Say("<iq type='result' id='%s'/>", between(s, "id='", "'"))
				}
			}
			go func() { _ = p.End() }()
		})
	}
}

// Who follows a thing reads what it publishes, and passes over all else.
func TestFieldsOfPublished(t *testing.T) {
	const node, senml = "urn:ietf:params:xml:ns:senml#temperature", "<sensml xmlns='urn:ietf:params:xml:ns:senml'>"
	for _, c := range []struct{ node, item, want string }{
		{node, senml + "<senml n='temperature' u='Cel' v='21.5' t='946684800'/></sensml>", "temperature 21.5 °C"},
		{node, senml + "<senml bn='temperature' bt='946684800' v='1'/><senml v='2' t='60'/></sensml>", "temperature 1, temperature 2"},
		{"urn:ietf:params:xml:ns:senml/meter#energy", senml + "<senml n='meter/energy' v='7'/></sensml>", "meter/energy 7"},
		{node, "<x xmlns='urn:x'/>", ""},
		{node, "", ""},
		{node, senml + "<senml n='temperature' v='warm'/></sensml>", "an error"},
		{node, senml + "<senml v='1'/></sensml>", "an error"},
		{"urn:xmpp:avatar:metadata", senml + "<senml n='temperature' v='1'/></sensml>", ""},
	} {
		s, err := stanza.Parse([]byte("<message xmlns='jabber:client' from='meter@example.org' type='headline'><event xmlns='http://jabber.org/protocol/pubsub#event'><items node='" +
			c.node + "'><item id='current'>" + c.item + "</item></items></event></message>"))
		if err != nil {
			t.Fatal(err)
		}
		fields, err := thing.FieldsOf(s)
		var got []string
		for _, f := range fields {
			got = append(got, f.String())
		}
		switch text := strings.Join(got, ", "); {
		case c.want == "an error" && err == nil, c.want != "an error" && (err != nil || text != c.want):
			t.Errorf("%s %s: %q, %v", c.node, c.item, text, err)
		}
	}
}
