// SPDX-License-Identifier: Apache-2.0

package thing_test

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stonechat-im/stonechat/internal/testserver"
	"github.com/stonechat-im/stonechat/thing"
)

// home is a lamp with a thermometer in it, whose switch counts how often it was set.
func home(l *lab) *atomic.Int64 {
	set := new(atomic.Int64)
	l.config.Name = "Lamp"
	l.config.Read = func(context.Context) ([]thing.Field, error) {
		return []thing.Field{{Name: "temperature", Value: thing.Number(21.5), Unit: "Cel"}, {Name: "power", Value: thing.Number(5), Unit: "W"}}, nil
	}
	l.config.Parameters = []thing.Parameter{
		{Name: "lamp", Kind: thing.Boolean,
			Set: func(context.Context, thing.Value) error { set.Add(1); return nil },
			Get: func(context.Context) (thing.Value, error) { return thing.Bool(set.Load() > 0), nil }},
		{Name: "level", Kind: thing.Numeric, Min: 0, Max: 100, Whole: true, Set: func(context.Context, thing.Value) error { set.Add(1); return nil }},
	}
	l.config.Commands = []thing.Command{{Name: "blink", Parameters: []thing.Parameter{{Name: "times", Kind: thing.Numeric}},
		Do: func(_ context.Context, a map[string]thing.Value) (string, error) {
			set.Add(1)
			return "blinked " + a["times"].String(), nil
		}}}
	l.config.Rooms = []thing.Room{{JID: roomAddress}}
	return set
}

// hear is the next stanza that is no question to the service; what the service is asked is answered by rule.
func hear(p *testserver.Peer, rule func(question string) (result string, granted string)) string {
	p.T.Helper()
	for {
		s := p.Expect("(<(?:message|iq|presence).*)")[1]
		if !strings.Contains(s, "to='things.example.org'") {
			return s
		}
		for _, q := range []string{"canRead", "canControl", "isFriend"} {
			if !strings.Contains(s, "<"+q) {
				continue
			}
			result, granted := rule(s)
			p.Say("<iq from='things.example.org' id='%s' type='result'><%sResponse xmlns='urn:xmpp:iot:provisioning' jid='%s' result='%s'>%s</%[2]sResponse></iq>",
				between(s, "id='", "'"), q, between(s, "jid='", "'"), result, granted)
		}
	}
}

func between(s, before, after string) string {
	_, s, _ = strings.Cut(s, before)
	s, _, _ = strings.Cut(s, after)
	return s
}

// inHome enters the room with the thing, and a moderator and a participant beside it.
func inHome(p *testserver.Peer) {
	p.T.Helper()
	p.Expect("<presence to='robots@rooms.example.org/juliet' id='[^']+'><x xmlns='http://jabber.org/protocol/muc'><history maxstanzas='0'/></x></presence>")
	for _, who := range []struct{ nick, jid, role, status string }{
		{"boss", "boss@example.org/x", "moderator", ""}, {"guest", "guest@example.org/x", "participant", ""},
		{"masked", "", "moderator", ""}, {"juliet", "", "participant", "<status code='110'/>"},
	} {
		shown := ""
		if who.jid != "" {
			shown = " jid='" + who.jid + "'"
		}
		p.Say("<presence from='robots@rooms.example.org/%s'><x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='%s'%s/>%s</x></presence>",
			who.nick, who.role, shown, who.status)
	}
}

const (
	setLamp  = "<set xmlns='urn:xmpp:iot:control'><boolean name='lamp' value='true'/></set>"
	readAll  = "<req xmlns='urn:xmpp:iot:sensordata' seqnr='1' momentary='true'/>"
	stranger = "mercutio@example.net"
)

// Whoever has no right gets nothing, by whichever way he asks, and nothing is done for him: not by the one function that is
// asked. For each way the same caller with the right gets what he wants, so that the table cannot be right by being deaf.
func TestRefusals(t *testing.T) {
	ways := []struct{ name, say, refused, done string }{
		{"0323", "<iq from='WHO/x' id='q' type='get'>" + readAll + "</iq>", "<iq .*service-unavailable.*|<iq .*forbidden.*", "<iq .*<accepted .*"},
		{"0325", "<iq from='WHO/x' id='q' type='set'>" + setLamp + "</iq>", "<iq .*service-unavailable.*|<iq .*forbidden.*", "<iq .*<setResponse .*"},
		{"0325 form", "<iq from='WHO/x' id='q' type='get'><getForm xmlns='urn:xmpp:iot:control'/></iq>", "<iq .*service-unavailable.*|<iq .*forbidden.*", "<iq .*var='lamp'.*"},
		{"0325 message", "<message from='WHO/x'>" + setLamp + "</message>", "", ""},
		{"0323 history", "<iq from='WHO/x' id='q' type='get'><req xmlns='urn:xmpp:iot:sensordata' seqnr='1' historical='true'/></iq>", "<iq .*service-unavailable.*|<iq .*forbidden.*", "<iq .*<accepted .*"},
		{"0326", "<iq from='WHO/x' id='q' type='get'><getAllNodes xmlns='urn:xmpp:iot:concentrators' sourceId='MeteringTopology'/></iq>", "<iq .*service-unavailable.*", ""}, // of things that have nodes: TestConcentrator
		{"0050 set", "<iq from='WHO/x' id='q' type='set'><command xmlns='http://jabber.org/protocol/commands' node='set/lamp'/></iq>", "<iq .*service-unavailable.*|<iq .*forbidden.*", "<iq .*executing.*"},
		{"0050 read", "<iq from='WHO/x' id='q' type='set'><command xmlns='http://jabber.org/protocol/commands' node='read'/></iq>", "<iq .*service-unavailable.*|<iq .*forbidden.*", "<iq .*completed.*21.5.*"},
		{"0050 command", "<iq from='WHO/x' id='q' type='set'><command xmlns='http://jabber.org/protocol/commands' node='blink'/></iq>", "<iq .*service-unavailable.*|<iq .*forbidden.*", "<iq .*executing.*"},
		{"0050 list", "<iq from='WHO/x' id='q' type='get'><query xmlns='http://jabber.org/protocol/disco#items' node='http://jabber.org/protocol/commands'/></iq>", "<iq .*service-unavailable.*|<iq .*forbidden.*", "<iq .*node='set/lamp'.*"},
		{"0050 node", "<iq from='WHO/x' id='q' type='get'><query xmlns='http://jabber.org/protocol/disco#info' node='blink'/></iq>", "<iq .*item-not-found.*", "<iq .*command-node.*"},
		{"0050 none", "<iq from='WHO/x' id='q' type='set'><command xmlns='http://jabber.org/protocol/commands' node='no'/></iq>", "<iq .*service-unavailable.*", ""},
		{"chat read", "<message from='WHO/x' type='chat'><body>read</body></message>", "", "<message .*temperature 21.5 °C.*"},
		{"chat set", "<message from='WHO/x' type='chat'><body>set lamp on</body></message>", "", "<message .*done: lamp on.*"},
		{"chat command", "<message from='WHO/x' type='chat'><body>blink 3</body></message>", "", "<message .*blinked 3.*"},
		{"chat help", "<message from='WHO/x' type='chat'><body>help</body></message>", "", "<message .*set lamp on.*blink times=NUMBER.*"},
		{"chat at a loss", "<message from='WHO/x' type='chat'><body>hello</body></message>", "", "<message .*I do not understand.*"},
		{"chat none", "<message from='WHO/x' type='chat'><body>set door open</body></message>", "", "<message .*There is no door.*"},
		{"room", "<message from='robots@rooms.example.org/boss' type='groupchat'><body>@juliet set lamp on</body></message>", "", "<message to='robots@rooms.example.org' .*done: lamp on.*"},
		{"room aside", "<message from='robots@rooms.example.org/boss' type='chat'><body>set lamp on</body></message>", "", "<message to='robots@rooms.example.org/boss' .*done: lamp on.*"},
		{"presence", "<presence from='WHO' type='subscribe'/>", "<presence .*type='unsubscribed'/>", "<presence .*type='subscribed'/>"},
		{"cancel", "<iq from='WHO/x' id='q' type='get'><cancel xmlns='urn:xmpp:iot:sensordata' seqnr='1'/></iq>", "<iq .*service-unavailable.*", ""},
		{"clearCache", "<iq from='WHO/x' id='q' type='set'><clearCache xmlns='urn:xmpp:iot:provisioning'/></iq>", "<iq .*service-unavailable.*", ""},
		{"claimed", "<iq from='WHO/x' id='q' type='set'><claimed xmlns='urn:xmpp:iot:discovery' jid='WHO'/></iq>", "<iq .*service-unavailable.*", ""},
		{"disowned", "<iq from='WHO/x' id='q' type='set'><disowned xmlns='urn:xmpp:iot:discovery'/></iq>", "<iq .*service-unavailable.*", ""},
	}
	verdicts := map[string]func(string) (string, string){
		"no":          func(string) (string, string) { return "false", "" },
		"another one": func(string) (string, string) { return "true", "<field name='x'/><parameter name='x'/>" },
	}
	for _, way := range ways {
		for verdict, rule := range verdicts {
			if verdict == "another one" && (way.name == "presence" || strings.HasPrefix(way.name, "0050 list")) {
				continue // there is nothing to be partly a friend of
			}
			t.Run(way.name+"/"+verdict, func(t *testing.T) {
				inLab(t, func(t *testing.T, l *lab) {
					set := home(l)
					p := l.start(t)
					inHome(p)
					p.Say("%s", strings.ReplaceAll(way.say, "WHO", stranger))
					synctest.Wait()
					p.Say("<iq from='nurse@example.org/x' id='fence' type='get'><ping xmlns='urn:xmpp:ping'/></iq>")
					// The owner is answered at once; the refusal comes before or after.
					var got []string
					for seen := false; !seen || way.refused != "" && len(got) == 0; {
						switch s := hear(p, rule); {
						case strings.Contains(s, "id='fence'"):
							seen = true
						default:
							got = append(got, s)
						}
					}
					if way.refused == "" && len(got) > 0 && verdict == "no" {
						t.Errorf("answered: %s", got)
					}
					if way.refused != "" && !matches(way.refused, got[0]) && verdict == "no" {
						t.Errorf("refused by %s", got)
					}
					if set.Load() > 0 {
						t.Error("it was obeyed")
					}
					go func() { _ = p.End() }()
				})
			})
		}
		if way.done == "" {
			continue
		}
		t.Run(way.name+"/yes", func(t *testing.T) {
			inLab(t, func(t *testing.T, l *lab) {
				home(l)
				p := l.start(t)
				inHome(p)
				p.Say("%s", strings.ReplaceAll(way.say, "WHO", stranger))
				got := hear(p, func(string) (string, string) { return "true", "" })
				if !matches(way.done, got) {
					t.Errorf("answered by %s", got)
				}
				go func() { _ = p.End() }()
			})
		})
	}
}

// What was granted is remembered, until the service takes it back; while it is silent nobody may anything.
func TestConsentIsRemembered(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.config.Client.Keepalive, l.config.Client.AnswerTime = time.Hour, time.Hour
		set := home(l)
		p := l.start(t)
		inHome(p)
		asked := 0
		say := func(body string) {
			p.Say("<message from='%s/x' type='chat'><body>%s</body></message>", stranger, body)
		}
		yes := func(string) (string, string) { asked++; return "true", "<parameter name='lamp'/>" }
		for range 3 {
			say("set lamp on")
			if got := hear(p, yes); !strings.Contains(got, "done: lamp on") {
				t.Fatal(got)
			}
		}
		if asked != 1 {
			t.Errorf("the service was asked %d times", asked)
		}
		say("set level 3")
		if got := hear(p, yes); !strings.Contains(got, "You may not set level") {
			t.Error(got)
		}
		p.Say("<iq from='things.example.org' id='c' type='set'><clearCache xmlns='urn:xmpp:iot:provisioning'/></iq>")
		p.Expect("<iq to='things.example.org' id='c' type='result'><clearCacheResponse .*")
		say("set lamp off")
		decide(p, "canControl", stranger, "<parameter name='lamp'/>", "false", "")
		refuse(p, "canRead", stranger, "")
		// Five minutes later it is asked again, and does not answer.
		<-time.After(6 * time.Minute)
		say("set lamp off")
		p.Expect("<iq to='things.example.org' .*canControl.*")
		<-time.After(10 * time.Second)
		p.Say("<iq from='nurse@example.org/x' id='fence' type='get'><ping xmlns='urn:xmpp:ping'/></iq>")
		p.Expect("<iq to='nurse@example.org/x' id='fence' type='result'/>")
		if n := set.Load(); n != 3 {
			t.Errorf("it was obeyed %d times", n)
		}
		go func() { _ = p.End() }()
	})
}

// What is granted of a request is answered, and the rest is not.
func TestPartialGrants(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		home(l)
		p := l.start(t)
		inHome(p)
		some := func(q string) (string, string) {
			if strings.Contains(q, "canRead") {
				return "true", "<field name='power'/>"
			}
			return "true", "<parameter name='lamp'/>"
		}
		p.Say("<iq from='%s/x' id='1' type='get'><req xmlns='urn:xmpp:iot:sensordata' seqnr='7' all='true'/></iq>", stranger)
		if got := hear(p, some); !strings.Contains(got, "<accepted xmlns='urn:xmpp:iot:sensordata' seqnr='7'/>") {
			t.Error(got)
		}
		if got := hear(p, some); !strings.Contains(got, "name='power'") || strings.Contains(got, "temperature") || !strings.Contains(got, "done='true'") {
			t.Error(got)
		}
		p.Say("<iq from='%s/x' id='2' type='set'><set xmlns='urn:xmpp:iot:control'><int name='level' value='3'/><boolean name='lamp' value='1'/></set></iq>", stranger)
		if got := hear(p, some); !strings.Contains(got, "<setResponse xmlns='urn:xmpp:iot:control'><parameter name='lamp'/></setResponse>") {
			t.Error(got)
		}
		go func() { _ = p.End() }()
	})
}

func matches(pattern, s string) bool { return match(fmt.Sprintf("^(?s:%s)$", pattern), s) }

func match(pattern, s string) bool { return regexp.MustCompile(pattern).MatchString(s) }
