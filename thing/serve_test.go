// SPDX-License-Identifier: Apache-2.0

package thing_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stonechat-im/stonechat/thing"
	"github.com/stonechat-im/stonechat/xmpp/sensordata"
)

// How to read these tests: the owner asks in each of the ways that there are; who else may is in access_test.go.

const fromOwner = "from='nurse@example.org/x'"

// The lists and forms that any client shows.
func TestAdHoc(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		set := home(l)
		l.config.Rooms = nil
		p := l.start(t)
		command := func(node, attrs, content string) string {
			p.Say("<iq %s to='juliet@example.org/balcony' id='c' type='set'><command xmlns='http://jabber.org/protocol/commands' node='%s'%s>%s</command></iq>", fromOwner, node, attrs, content)
			return p.Expect("(<iq .*)")[1]
		}
		p.Say("<iq %s id='l' type='get'><query xmlns='http://jabber.org/protocol/disco#items' node='http://jabber.org/protocol/commands'/></iq>", fromOwner)
		list := p.Expect("(<iq .*)")[1]
		for _, node := range []string{"read", "set", "set/lamp", "set/level", "blink"} {
			if !strings.Contains(list, "node='"+node+"'") {
				t.Errorf("%s is not in %s", node, list)
			}
		}
		if got := command("read", "", ""); !matches("<iq .*status='completed'.*<field .*var='temperature'.*<value>21.5</value>.*<field .*var='lamp'.*", got) {
			t.Error(got)
		}
		got := command("set", "", "")
		if !matches("<iq .*status='executing'.*type='boolean'.*", got) {
			t.Fatal(got)
		}
		session := " sessionid='" + between(got, "sessionid='", "'") + "'"
		fill := func(fields string) string { return "<x xmlns='jabber:x:data' type='submit'>" + fields + "</x>" }
		field := func(name, value string) string {
			return "<field var='" + name + "'><value>" + value + "</value></field>"
		}
		if got := command("set", session, fill(field("lamp", "0")+field("level", "101"))); !matches("<iq .*bad-payload.*", got) {
			t.Error(got)
		}
		// What is left as it was is not set.
		if got := command("set", session, fill(field("lamp", "0")+field("level", "40"))); !matches("<iq .*status='completed'.*done: level 40<.*", got) || set.Load() != 1 {
			t.Error(got)
		}
		got = command("blink", "", fill(field("times", "x"))) // who knows the command sends the form at once
		if set.Load() != 1 {
			t.Error(got)
		}
		if got := command("blink", "", fill(field("times", "2"))); !matches("<iq .*status='completed'.*blinked 2.*", got) || set.Load() != 2 {
			t.Error(got)
		}
		p.Say("<iq %s id='n' type='get'><query xmlns='http://jabber.org/protocol/disco#info' node='set/lamp'/></iq>", fromOwner)
		p.Expect("<iq .*<identity category='automation' type='command-node' name='Set lamp'/>.*")
		p.Say("<iq %s id='n' type='get'><query xmlns='http://jabber.org/protocol/disco#info' node='set/door'/></iq>", fromOwner)
		p.Expect("<iq .*item-not-found.*")
		go func() { _ = p.End() }()
	})
}

// What programs ask for by XEP-0323: at once, later, no more, what was, and of which node.
func TestSensorData(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.config.Client.Keepalive, l.config.Client.AnswerTime = 10*time.Hour, 10*time.Hour
		broken, people := false, 3.0
		l.config.Fields = []thing.Measure{
			{Name: "temperature", Unit: "Cel", Kind: thing.Numeric, Read: func(context.Context) (thing.Value, error) {
				if broken {
					return thing.Value{}, errors.New("the sensor is loose")
				}
				return thing.Number(21.5), nil
			}},
			{Name: "people", Kind: thing.Numeric, Category: sensordata.Computed, Read: func(context.Context) (thing.Value, error) { return thing.Number(people), nil }},
			{Name: "serial", Kind: thing.String, Category: sensordata.Identity, Read: func(context.Context) (thing.Value, error) { return thing.Text("0815"), nil }},
		}
		l.config.Parameters = []thing.Parameter{{Name: "lamp", Kind: thing.Boolean,
			Set: func(context.Context, thing.Value) error { return nil },
			Get: func(context.Context) (thing.Value, error) { return thing.Bool(true), nil }}}
		l.config.Nodes = []thing.Node{{NodeID: thing.NodeID{ID: "meter", Source: "bus"}, Name: "Meter",
			Read: func(context.Context) ([]thing.Field, error) {
				return []thing.Field{{Name: "energy", Value: thing.Number(12.5), Unit: "kWh"}}, nil
			}}}
		p := l.start(t)
		ask := func(req string) string {
			p.Say("<iq %s id='q' type='get'>%s</iq>", fromOwner, req)
			return p.Expect("(<iq .*)")[1]
		}
		ask("<req xmlns='urn:xmpp:iot:sensordata' seqnr='1' momentary='true'/>")
		p.Expect("<message .*seqnr='1' done='true'.*<node nodeId='juliet'><timestamp .*<numeric name='temperature' .*momentary='true'.*value='21.5' unit='°C'/>.*<boolean name='lamp' momentary='true' status='true'.*</timestamp>.*<node nodeId='meter' sourceId='bus'>.*energy.*")
		// A number without a unit is an int where it is one, of 32 bits.
		for n, want := range map[float64]string{3: "int", -3: "int", 2.5: "numeric", 1 << 31: "numeric"} {
			people = n
			ask("<req xmlns='urn:xmpp:iot:sensordata' seqnr='10' computed='true'/>")
			p.Expect("<message .*seqnr='10' done='true'.*<" + want + " name='people' .*value='" + strconv.FormatFloat(n, 'f', -1, 64) + "'.*")
		}
		ask("<req xmlns='urn:xmpp:iot:sensordata' seqnr='2' identity='true'/>")
		p.Expect("<message .*<string name='serial' identity='true'.*")
		ask("<req xmlns='urn:xmpp:iot:sensordata' seqnr='3' all='true'><node nodeId='meter'/><field name='energy'/></req>")
		if got := p.Expect("(<message .*)")[1]; !strings.Contains(got, "value='12.5'") || strings.Contains(got, "serial") {
			t.Error(got)
		}
		if got := ask("<req xmlns='urn:xmpp:iot:sensordata' seqnr='4' all='true'><node nodeId='pump'/></req>"); !matches("<iq .*item-not-found.*</error><rejected xmlns='urn:xmpp:iot:sensordata' seqnr='4'><error>there is no node pump</error></rejected></iq>", got) {
			t.Error(got)
		}
		ask("<req xmlns='urn:xmpp:iot:sensordata' seqnr='9' identity='true'><node nodeId='juliet'/></req>")
		p.Expect("<message .*<node nodeId='juliet'>.*serial.*")
		broken = true
		ask("<req xmlns='urn:xmpp:iot:sensordata' seqnr='5' momentary='true'/>")
		p.Expect("<message .*<failure .*seqnr='5'.*temperature: the sensor is loose.*")
		p.Expect("<message .*seqnr='5' done='true'.*energy.*")
		broken = false

		// Later, which can be taken back.
		got := ask("<req xmlns='urn:xmpp:iot:sensordata' seqnr='6' identity='true' when='" + time.Now().Add(5*time.Minute).UTC().Format(time.RFC3339) + "'/>")
		if !strings.Contains(got, "queued='true'") {
			t.Error(got)
		}
		ask("<req xmlns='urn:xmpp:iot:sensordata' seqnr='7' identity='true' when='" + time.Now().Add(20*time.Minute).UTC().Format(time.RFC3339) + "'/>")
		if got := ask("<cancel xmlns='urn:xmpp:iot:sensordata' seqnr='7'/>"); !strings.Contains(got, "<cancelled ") {
			t.Error(got)
		}
		if got := ask("<cancel xmlns='urn:xmpp:iot:sensordata' seqnr='7'/>"); !strings.Contains(got, "item-not-found") || !strings.Contains(got, "<rejected xmlns='urn:xmpp:iot:sensordata' seqnr='7'>") {
			t.Error(got)
		}
		begun := time.Now()
		p.Expect("<message .*<started .*seqnr='6'/></message>")
		if d := time.Since(begun).Round(time.Minute); d != 5*time.Minute {
			t.Errorf("it began after %s", d)
		}
		p.Expect("<message .*seqnr='6' done='true'.*serial.*")

		// What was reported, between two times.
		var times []time.Time
		for i := range 4 {
			if err := l.thing.Report(thing.Field{Name: "temperature", Unit: "Cel", Value: thing.Number(float64(i))}); err != nil {
				t.Fatal(err)
			}
			times = append(times, time.Now().UTC())
			p.Expect("<message .*<body>temperature .*")
			<-time.After(time.Minute)
		}
		ask(fmt.Sprintf("<req xmlns='urn:xmpp:iot:sensordata' seqnr='8' historical='true' from='%s' to='%s'/>", times[1].Format(time.RFC3339), times[2].Format(time.RFC3339)))
		if got := p.Expect("(<message .*)")[1]; strings.Count(got, "<numeric ") != 2 || !strings.Contains(got, "value='1'") || !strings.Contains(got, "value='2'") {
			t.Error(got)
		}
		go func() { _ = p.End() }()
	})
}

// What programs set by XEP-0325, all of it or nothing; and yesterday's message is not obeyed.
func TestControl(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		said := ""
		note := func(name string) func(context.Context, thing.Value) error {
			return func(_ context.Context, v thing.Value) error {
				if v.String() == "13" {
					return errors.New("an unlucky number")
				}
				said += name + "=" + v.String() + ";"
				return nil
			}
		}
		l.config.Parameters = []thing.Parameter{
			{Name: "lamp", Kind: thing.Boolean, Set: note("lamp")}, {Name: "level", Kind: thing.Numeric, Max: 100, Whole: true, Set: note("level")},
			{Name: "mode", Kind: thing.String, Options: []string{"eco", "fast"}, Set: note("mode")}, {Name: "color", Kind: thing.String, Format: thing.Color, Set: note("color")},
			{Name: "alarm", Kind: thing.String, Format: thing.TimeOfDay, Set: note("alarm")},
		}
		p := l.start(t)
		for _, c := range []struct{ set, answer, said string }{
			{"<boolean name='lamp' value='true'/><int name='level' value='7'/>", "<setResponse xmlns='urn:xmpp:iot:control'/>", "lamp=on;level=7;"},
			{"<double name='level' value='8'/><string name='mode' value='eco'/><color name='color' value='3399ff'/><time name='alarm' value='08:00:00'/>", "<setResponse ", "level=8;mode=eco;color=3399ff;alarm=08:00:00;"},
			{"<boolean name='lamp' value='true'/><int name='level' value='101'/>", "<paramError xmlns='urn:xmpp:iot:control' var='level'>101 is not between 0 and 100", ""},
			{"<double name='level' value='7.5'/>", "var='level'>7.5 is not a whole number", ""},
			{"<string name='lamp' value='true'/>", "var='lamp'>", ""},
			{"<string name='mode' value='slow'/>", "var='mode'>", ""},
			{"<boolean name='door' value='true'/>", "var='door'>", ""},
			{"<int name='level' value='13'/>", "var='level'>an unlucky number", ""},
			{"<x xmlns='jabber:x:data' type='submit'><field var='level'><value>9</value></field><field var='lamp'><value>0</value></field></x>", "<setResponse ", "level=9;lamp=off;"},
			{"<node nodeId='x'/><boolean name='lamp' value='true'/>", "item-not-found", ""},
		} {
			said = ""
			p.Say("<iq %s id='s' type='set'><set xmlns='urn:xmpp:iot:control'>%s</set></iq>", fromOwner, c.set)
			if got := p.Expect("(<iq .*)")[1]; !strings.Contains(got, c.answer) || said != c.said {
				t.Errorf("%s: %s, and it said %q", c.set, got, said)
			}
		}
		said = ""
		p.Say("<message %s><set xmlns='urn:xmpp:iot:control'><boolean name='lamp' value='true'/></set></message>", fromOwner)
		p.Say("<message %s><set xmlns='urn:xmpp:iot:control'><boolean name='lamp' value='0'/></set><delay xmlns='urn:xmpp:delay' stamp='1999-12-31T23:00:00Z'/></message>", fromOwner)
		p.Say("<message from='nurse@example.org/x' type='groupchat'><set xmlns='urn:xmpp:iot:control'><boolean name='lamp' value='0'/></set></message>")
		p.Say("<iq %s id='g' type='get'><getForm xmlns='urn:xmpp:iot:control'/></iq>", fromOwner)
		if got := p.Expect("(<iq .*)")[1]; !strings.Contains(got, "xs:int") || !strings.Contains(got, "notSame") || said != "lamp=on;" {
			t.Errorf("%s, and it said %q", got, said)
		}
		go func() { _ = p.End() }()
	})
}

// A thing in a room hears what is said to it or to all, by whoever has the role; and "stop" at once, though it is
// doing something.
func TestRoom(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		set := home(l)
		l.config.Rooms[0].Report = true
		var stopped atomic.Int64
		l.config.Stop = func(context.Context) error { stopped.Add(1); return nil }
		busy := make(chan struct{})
		l.config.Commands = append(l.config.Commands, thing.Command{Name: "walk", Do: func(context.Context, map[string]thing.Value) (string, error) {
			<-busy
			return "", nil
		}})
		p := l.start(t)
		inHome(p)
		groupchat := func(nick, body string) {
			p.Say("<message from='robots@rooms.example.org/%s' type='groupchat' id='%s'><body>%s</body></message>", nick, body, body)
		}
		groupchat("guest", "@juliet set lamp on")
		groupchat("juliet", "@juliet set lamp on")
		groupchat("nobody", "@juliet set lamp on")
		groupchat("boss", "set lamp on")
		groupchat("masked", "@juliettA set lamp on")
		p.Say("<message from='robots@rooms.example.org/masked' type='groupchat'><body>@juliet set lamp on</body><delay xmlns='urn:xmpp:delay' stamp='2000-01-01T00:00:00Z'/></message>")
		groupchat("guest", "stop")
		groupchat("masked", "juliet: set level 3") // the room does not show who he is: the role is enough
		if got := p.Expect("(<message .*)")[1]; !strings.Contains(got, "to='robots@rooms.example.org'") || !strings.Contains(got, "done: level 3") || set.Load() != 1 || stopped.Load() != 0 {
			t.Errorf("%s after %d", got, set.Load())
		}
		groupchat("masked", "all read")
		if got := p.Expect("(<message .*)")[1]; !strings.Contains(got, "to='robots@rooms.example.org/masked'") || !strings.Contains(got, "temperature 21.5") {
			t.Error(got)
		}
		groupchat("masked", "all dance") // others may understand it
		if err := l.thing.Report(thing.Field{Name: "power", Value: thing.Number(7), Unit: "W"}); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if got := p.Expect("(<message .*)")[1]; !strings.Contains(got, "power 7 W") {
				t.Error(got)
			}
		}
		groupchat("masked", "@juliet walk")
		groupchat("masked", "STOP!")
		synctest.Wait()
		if stopped.Load() != 1 {
			t.Error("it does not stop while it walks")
		}
		close(busy)
		p.Expect("<message to='robots@rooms.example.org' .*done: walk.*")
		p.Expect("<message to='robots@rooms.example.org/masked' .*stopped.*")
		p.Say("<message %s type='chat' id='1'><body>stop</body></message>", fromOwner)
		p.Expect("<message to='nurse@example.org' .*stopped.*")
		if n := stopped.Load(); n != 2 {
			t.Errorf("it stopped %d times", n)
		}
		// What machines did is mended; whom people send away, he stays away.
		p.Say("<presence type='unavailable' from='robots@rooms.example.org/juliet'><x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='none'/><status code='110'/><status code='332'/></x></presence>")
		begun := time.Now()
		p.Expect("<presence to='robots@rooms.example.org/juliet' .*")
		if d := time.Since(begun); d < 5*time.Second {
			t.Errorf("it is back after %s", d)
		}
		p.Say("<presence type='error' from='robots@rooms.example.org/juliet'><error type='cancel'><conflict xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>")
		p.Expect("<presence to='robots@rooms.example.org/juliet_' .*")
		go func() { _ = p.End() }()
	})
}

// FuzzChat holds that whatever the owner writes is answered once or not at all, and does no more than it says.
func FuzzChat(f *testing.F) {
	for _, s := range []string{"help", "set lamp on", "set level \"5\"", "blink times=3", "at x read", "read temperature", "“set” lamp", "set lamp", "blink 1 2 3", "\"", "nodes", "stop"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, said string) { thing.Converse(t.Context(), said) })
}
