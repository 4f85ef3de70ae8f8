// SPDX-License-Identifier: Apache-2.0

package thing_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/thing"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// The tokens of a request go to the service with the question, what is allowed by them is asked each time, and whoever doubts one that
// is another's is sent on to whom it came from.
func TestTokens(t *testing.T) {
	const shown = "serviceToken='s1 s2' deviceToken='d'"
	inLab(t, func(t *testing.T, l *lab) {
		set := home(l)
		p := l.start(t)
		inHome(p)
		asked := func(what, tokens, result, granted string) {
			t.Helper()
			m := p.Expect("<iq to='things.example.org' id='([^']+)' type='get'><" + what + " xmlns='urn:xmpp:iot:provisioning' jid='" + stranger + "'" + tokens + "(?:/>|>).*")
			p.Say("<iq from='things.example.org' id='%s' type='result'><%sResponse xmlns='urn:xmpp:iot:provisioning' jid='%s' result='%s'>%s</%[2]sResponse></iq>",
				m[1], what, stranger, result, granted)
		}
		answered := func(want string) {
			t.Helper()
			if got := p.Expect("(<(?:iq|message) to='" + stranger + "/x'.*)")[1]; !strings.Contains(got, want) {
				t.Errorf("%s, want %s", got, want)
			}
		}
		reads := func(tokens string) {
			p.Say("<iq from='%s/x' id='q' type='get'><req xmlns='urn:xmpp:iot:sensordata' seqnr='1' momentary='true' %s><field name='power'/></req></iq>", stranger, tokens)
		}
		const sets = "<iq from='" + stranger + "/x' id='q' type='set'><set xmlns='urn:xmpp:iot:control' " + shown + "><boolean name='lamp' value='true'/></set></iq>"

		for range 2 { // nothing of it is remembered: the token may end at any time
			reads(shown)
			asked("canRead", " "+shown, "true", "<field name='power'/>")
			answered("<accepted ")
			answered("name='power'")
		}
		reads(shown)
		asked("canRead", " "+shown, "false", "")
		answered("service-unavailable")
		p.Say("%s", sets)
		asked("canControl", " "+shown, "true", "<parameter name='lamp'/>")
		answered("<setResponse ")
		p.Say("%s", sets)
		asked("canControl", " "+shown, "true", "<parameter name='level'/>") // something else
		answered("service-unavailable")
		p.Say("<iq from='%s/x' id='q' type='get'><getForm xmlns='urn:xmpp:iot:control' %s/></iq>", stranger, shown)
		asked("canControl", " "+shown, "true", "<parameter name='lamp'/>")
		answered("var='lamp'")
		reads("") // without one it is another question
		asked("canRead", "", "false", "")
		answered("service-unavailable")
		if n := set.Load(); n != 1 {
			t.Errorf("set %d times", n)
		}

		// What may be done without the token is known, and not asked for its sake.
		reads("deviceToken='d'")
		asked("canRead", " deviceToken='d'", "true", "<field name='power'/>")
		answered("<accepted ")
		answered("name='power'")

		// The service doubts one of them, while it is asked.
		reads(shown)
		m := p.Expect("<iq to='things.example.org' id='([^']+)' type='get'><canRead .*")
		p.Say("<iq from='things.example.org' id='c' type='get'><tokenChallenge xmlns='urn:xmpp:iot:provisioning' token='s2'>QUJD</tokenChallenge></iq>")
		passed := p.Expect("<iq to='" + stranger + "/x' id='([^']+)' type='get'><tokenChallenge xmlns='urn:xmpp:iot:provisioning' token='s2'>QUJD<.*")
		p.Say("<iq from='%s/x' id='%s' type='result'><tokenChallengeResponse xmlns='urn:xmpp:iot:provisioning'>REVG</tokenChallengeResponse></iq>", stranger, passed[1])
		p.Expect("<iq to='things.example.org' id='c' type='result'><tokenChallengeResponse xmlns='urn:xmpp:iot:provisioning'>REVG<.*")
		p.Say("<iq from='things.example.org' id='%s' type='result'><canReadResponse xmlns='urn:xmpp:iot:provisioning' jid='%s' result='true'/></iq>", m[1], stranger)
		answered("<accepted ")
		answered("name='power'")

		// Somebody else who asks about it is told nothing, nor is who was never shown that.
		for _, c := range [][2]string{{stranger + "/x", "s1"}, {"things.example.org", "s3"}, {"boss@example.org/x", "s1"}} {
			p.Say("<iq from='%s' id='c' type='get'><tokenChallenge xmlns='urn:xmpp:iot:provisioning' token='%s'>QUJD</tokenChallenge></iq>", c[0], c[1])
			if got := p.Expect("(<iq to='" + c[0] + "'.*)")[1]; !strings.Contains(got, "forbidden") {
				t.Errorf("%s about %s: %s", c[0], c[1], got)
			}
		}

		// Of any number of them it passes on a few.
		many := "t1"
		for i := range 99 {
			many += fmt.Sprint(" t", i+2)
		}
		reads("deviceToken='" + many + "'")
		id := p.Expect("<iq to='things.example.org' id='([^']+)' type='get'><canRead .*")[1]
		for token, want := range map[string]string{"t1": "<iq to='" + stranger + "/x' .*<tokenChallenge .*", "t17": "<iq to='things.example.org' id='c' .*<forbidden .*"} {
			p.Say("<iq from='things.example.org' id='c' type='get'><tokenChallenge xmlns='urn:xmpp:iot:provisioning' token='%s'>QUJD</tokenChallenge></iq>", token)
			p.Expect(want)
		}
		p.Say("<iq from='things.example.org' id='%s' type='result'><canReadResponse xmlns='urn:xmpp:iot:provisioning' jid='%s' result='false'/></iq>", id, stranger)
		answered("service-unavailable")

		// Where the service says nothing about tokens, it is asked without; where it is silent then no token helps, and it is let be.
		p.Say("<iq from='things.example.org' id='c' type='set'><clearCache xmlns='urn:xmpp:iot:provisioning'/></iq>")
		p.Expect("<iq to='things.example.org' id='c' type='result'><clearCacheResponse .*")
		reads(shown)
		p.Expect("<iq to='things.example.org' id='([^']+)' type='get'><canRead .*serviceToken.*")
		if s := p.Expect("<iq to='things.example.org' id='([^']+)' type='get'>(<canRead .*)")[2]; strings.Contains(s, "Token") {
			t.Error(s)
		}
		answered("service-unavailable")
		reads(shown)
		answered("service-unavailable")

		// The owner needs none.
		p.Say("<iq %s id='q' type='get'><req xmlns='urn:xmpp:iot:sensordata' seqnr='1' momentary='true' %s><field name='power'/></req></iq>", fromOwner, shown)
		p.Expect("<iq .*<accepted .*")
		p.Expect("<message .*name='power'.*")
		if l.thing.Tokens() == nil || l.thing.Owner() != jid.MustParse(owner) {
			t.Error("a thing without")
		}
	})
}

// Who shows a token and does not prove it has the service say nothing: that closes the thing to nobody else, and holds up nobody who shows
// none.
func TestTokensNotProven(t *testing.T) {
	const paris = "paris@example.net"
	reads := func(from, tokens, rest string) string {
		return "<iq from='" + from + "/x' id='q' type='get'><req xmlns='urn:xmpp:iot:sensordata' seqnr='1' momentary='true' " + tokens + ">" + rest + "<field name='power'/></req></iq>"
	}
	inLab(t, func(t *testing.T, l *lab) {
		home(l)
		l.config.Nodes = []thing.Node{node("a", "", "A"), node("b", "", "B"), node("c", "", "C")}
		p := l.start(t)
		inHome(p)
		begun := time.Now()
		within := func(most time.Duration, what string) {
			t.Helper()
			if d := time.Since(begun); d > most {
				t.Errorf("%s after %s", what, d)
			}
		}
		says := func(id, who, result string) {
			p.Say("<iq from='things.example.org' id='%s' type='result'><canReadResponse xmlns='urn:xmpp:iot:provisioning' jid='%s' result='%s'/></iq>", id, who, result)
		}
		const asks = "<iq to='things.example.org' id='([^']+)' type='get'><canRead xmlns='urn:xmpp:iot:provisioning' jid='"
		p.Say("%s", reads(stranger, "deviceToken='d'", ""))
		p.Expect(asks + stranger + "' deviceToken='d'>.*")
		p.Say("<iq from='things.example.org' id='c' type='get'><tokenChallenge xmlns='urn:xmpp:iot:provisioning' token='d'>QUJD</tokenChallenge></iq>")
		p.Expect("<iq to='" + stranger + "/x' id='([^']+)' type='get'><tokenChallenge .*") // who says nothing

		// Meanwhile somebody else is served, at once.
		p.Say("%s", reads(paris, "", ""))
		for range 4 {
			says(p.Expect(asks + paris + "'>.*")[1], paris, "true")
		}
		p.Expect("<iq to='" + paris + "/x' .*<accepted .*")
		p.Expect("<message to='" + paris + "/x' .*name='power'.*")
		within(time.Second, "another reads")

		// He himself is judged without it, of all nodes, and the service is not taken to be silent.
		for range 4 {
			says(p.Expect(asks + stranger + "'>.*")[1], stranger, "false")
		}
		p.Expect("<iq to='" + stranger + "/x' .*service-unavailable.*")
		within(6*time.Second, "he is refused")
		p.Say("%s", reads("romeo@example.org", "", "<node nodeId='a'/>"))
		says(p.Expect(asks + "romeo@example.org'>.*")[1], "romeo@example.org", "true")
		p.Expect("<iq to='romeo@example.org/x' .*<accepted .*")
		p.Expect("<message to='romeo@example.org/x' .*")

		// So many of his wait, and no more.
		again := reads(stranger, "deviceToken='e'", "<node nodeId='a'/>")
		p.Say("%s", again)
		p.Expect(asks + stranger + "' deviceToken='e'>.*")
		for range 5 {
			p.Say("%s", again)
		}
		p.Expect("<iq to='" + stranger + "/x' .*resource-constraint.*")
		go func() { _ = p.End() }()
	})
}
