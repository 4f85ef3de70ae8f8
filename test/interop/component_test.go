// SPDX-License-Identifier: Apache-2.0

//go:build linux

package interop

import (
	"strconv"
	"testing"
)

const (
	gateway = "sms." + domain
	guest   = "guest." + domain
	secret  = `s&cret <"0123">`
)

// newGateway is slixmpp's component.
func newGateway(s *server, secret string) *agent {
	s.t.Helper()
	interpreter, err := python()
	if err != nil {
		s.t.Fatal(err)
	}
	return startAgent(s.t, "gateway", gateway, nil, interpreter, "-W", "ignore", "clients/slixmpp_component.py",
		gateway, secret, s.component.IP.String(), strconv.Itoa(s.component.Port))
}

// TestComponent puts a gateway's contact into somebody's roster: both see each other, talk, and
// notice when the other goes (XEP-0114, RFC 6121 §3 and §4).
func TestComponent(t *testing.T) {
	t.Parallel()
	need(t, slixmpp)
	s := start(t)
	g := newGateway(s, secret)
	g.arrive()
	g.do("ping %s", domain)
	g.expect("pong " + domain)

	juliet := newSlixmpp(s, s.name("juliet"), s.authority, "starttls")
	juliet.arrive()
	juliet.do("disco %s", gateway)
	juliet.expect("identity " + gateway + " gateway/sms")
	phone := "4915112345@" + gateway
	juliet.ask(phone)
	g.expect("asked " + juliet.own + " " + phone)
	juliet.sees(phone, "available")
	juliet.expect("contact " + phone + " to")
	juliet.accept(phone)
	g.expect("granted " + juliet.own + " " + phone)
	g.expect("presence " + juliet.own + " available " + phone)
	juliet.expect("contact " + phone + " both")

	for _, text := range []string{"hello?", `<b>"1" & '2'</b> ]]> &amp;`, "Grüße 🌹"} {
		juliet.say(phone, text)
		g.expect("message " + juliet.own + " " + phone + " " + text)
		juliet.hears(phone, text)
	}

	// Who comes back is shown what is there, and what was said meanwhile.
	juliet.leave()
	g.expect("presence " + juliet.own + " unavailable " + phone)
	g.do("say %s %s are you there?", phone, juliet.own)
	g.do("ping %s", domain)
	g.expect("pong " + domain)
	juliet.arrive()
	juliet.expect("late " + phone)
	g.expect("probed " + juliet.own + " " + phone)
	juliet.sees(phone, "available")

	// One at a time; and none while it is away.
	second := newGateway(s, secret)
	second.do("connect")
	second.expect("refused conflict")
	g.leave()
	juliet.say(phone, "gone?")
	juliet.expect("bounced " + phone + " remote-server-timeout")
	g.arrive()
	juliet.say(phone, "back?")
	g.expect("message " + juliet.own + " " + phone + " back?")
}

// TestComponentRefused sees what a component may not do.
func TestComponentRefused(t *testing.T) {
	t.Parallel()
	need(t, slixmpp)
	s := start(t)
	wrong := newGateway(s, "wrong")
	wrong.do("connect")
	wrong.expect("refused not-authorized")
	forger := newGateway(s, secret)
	forger.arrive()
	forger.do("raw <message from='%s' to='juliet@%s'><body>hi</body></message>", domain, domain)
	forger.expect("refused invalid-from")
}
