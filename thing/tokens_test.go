// SPDX-License-Identifier: Apache-2.0

package thing_test

import (
	"strings"
	"testing"

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

		// Where the service is silent, no token helps, and it is let be.
		reads(shown)
		p.Expect("<iq to='things.example.org' id='([^']+)' type='get'><canRead .*")
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
