// SPDX-License-Identifier: Apache-2.0

//go:build linux

package interop

import (
	"strconv"
	"strings"
	"testing"
)

// newEventful is slixmpp with what people tell of themselves.
func newEventful(s *server, name string) *agent {
	s.t.Helper()
	interpreter, err := python()
	if err != nil {
		s.t.Fatal(err)
	}
	own := name + "@" + domain
	return startAgent(s.t, "pep-"+name, own, s.authority.environment(), interpreter, "-B", "-W", "ignore", "clients/slixmpp_pep.py",
		own, password, s.client.IP.String(), strconv.Itoa(s.client.Port), "starttls")
}

// TestPEP: friends hear what somebody tells of himself, when he does and when they come; so do his own
// clients. Strangers do not (XEP-0163).
func TestPEP(t *testing.T) {
	t.Parallel()
	need(t, slixmpp)
	s := start(t)
	juliet, romeo, mercutio := newEventful(s, s.name("juliet")), newEventful(s, s.name("romeo")), newEventful(s, s.name("mercutio"))
	juliet.arrive()
	romeo.arrive()
	mercutio.arrive()
	juliet.do("disco %s", juliet.own)
	juliet.expect("identity " + juliet.own + " pubsub/pep")
	juliet.expect("feature " + juliet.own + " http://jabber.org/protocol/pubsub#publish")
	befriend(juliet, romeo)

	juliet.do("nick Jule 🌹")
	juliet.expect("published nick")
	juliet.expect("nick " + juliet.own + " Jule 🌹")
	romeo.expect("nick " + juliet.own + " Jule 🌹")
	juliet.do("tune Finzi Introduction")
	juliet.expect("published tune")
	juliet.expect("tune " + juliet.own + " Finzi Introduction")
	romeo.expect("tune " + juliet.own + " Finzi Introduction")
	juliet.do("silence")
	romeo.expect("tune " + juliet.own + " nobody nothing")

	juliet.do("avatar the-face-of-juliet")
	name := juliet.expect("published avatar")
	romeo.expect("avatar " + juliet.own + " " + name)
	romeo.do("picture %s %s", juliet.own, name)
	romeo.expect("picture " + juliet.own + " the-face-of-juliet")

	// Who comes back is told the last of each.
	romeo.leave()
	juliet.do("nick Juliet")
	juliet.expect("nick " + juliet.own + " Juliet")
	romeo.arrive()
	romeo.expect("nick " + juliet.own + " Juliet")
	romeo.expect("tune " + juliet.own + " nobody nothing")
	romeo.expect("avatar " + juliet.own + " " + name)
	romeo.do("nodes %s", juliet.own)
	for _, node := range []string{"http://jabber.org/protocol/nick", "http://jabber.org/protocol/tune", "urn:xmpp:avatar:data", "urn:xmpp:avatar:metadata"} {
		romeo.expect("node " + juliet.own + " " + node)
	}
	// A stranger hears nothing, and is shown nothing.
	mercutio.do("last %s http://jabber.org/protocol/nick", juliet.own)
	mercutio.expect("error last")
	mercutio.do("nodes %s", juliet.own)
	mercutio.expect("error nodes service-unavailable")
	mercutio.heardNothing("nick ", "tune ", "avatar ")
}

// heardNothing checks that no line begins so.
func (a *agent) heardNothing(of ...string) {
	a.t.Helper()
	for l := range strings.Lines(a.transcript()) {
		for _, words := range of {
			if strings.HasPrefix(l, words) {
				a.t.Errorf("%s heard: %s", a.name, l)
			}
		}
	}
}
