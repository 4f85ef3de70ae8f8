// SPDX-License-Identifier: Apache-2.0

//go:build linux

package hostile

import (
	"crypto/sha1" //nolint:gosec // XEP-0114 has no other
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stonechat-im/stonechat/xmpp/stream"
)

const (
	componentDomain = "sms.localhost"
	componentSecret = "a secret for components"
	components      = "components:\n  " + componentDomain + ": {secret: " + componentSecret + "}\n"
	componentHeader = "<stream:stream xmlns='" + stream.NSComponent + "' xmlns:stream='http://etherx.jabber.org/streams' to='" + componentDomain + "'>"
)

// componentAttacks are what comes to the listener of components (XEP-0114): first from who is none, then from one that was
// let in and does what it may not.
func componentAttacks() []attack {
	var rows []attack
	for name, c := range map[string]struct{ condition, in string }{
		"nothing like XML":                 {"not-well-formed", "hello\n"},
		"a client":                         {"invalid-namespace", header},
		"one that nobody knows":            {"host-unknown", strings.Replace(componentHeader, "sms.", "irc.", 1)},
		"no domain":                        {"improper-addressing", strings.Replace(componentHeader, componentDomain, "a@b@c", 1)},
		"a stanza before the handshake":    {"not-authorized", componentHeader + "<message from='sms.localhost' to='romeo@localhost'><body>x</body></message>"},
		"no secret":                        {"not-authorized", componentHeader + "<handshake/>"},
		"a wrong secret":                   {"not-authorized", componentHeader + "<handshake>" + strings.Repeat("0", 40) + "</handshake>"},
		"a handshake without end":          {"policy-violation", componentHeader + "<handshake>" + strings.Repeat("0", 20_000)},
		"elements before the handshake":    {"policy-violation", componentHeader + "<handshake>" + strings.Repeat("<a/>", 1000)},
		"a document type before handshake": {"restricted-xml", laughs + componentHeader},
	} {
		rows = append(rows, attack{"component: " + name, func(t *testing.T, s *server) {
			p := dial(t, s.component, "")
			p.send(c.in)
			p.ends(c.condition)
		}, "component_stream_errors{" + c.condition + "} 1"})
	}
	rows = append(rows, attack{"component: a handshake replayed", func(t *testing.T, s *server) {
		p, said := s.attach(t)
		p.close()
		p = dial(t, s.component, "")
		p.send(componentHeader)
		p.expect(stream.NS, "stream")
		p.send(said)
		p.ends("not-authorized") // for the id of each stream is another
	}, "component_stream_errors{not-authorized} 1"}, attack{"component: one more of the same", func(t *testing.T, s *server) {
		first, _ := s.attach(t)
		second := dial(t, s.component, "")
		second.send(componentHeader)
		second.handshakeAs()
		if e, ended, err := second.next(); !e.is(stream.NS, "error") || e.condition(stream.NSErrors) != "conflict" {
			t.Errorf("read %s, %v, %v", e.raw, ended, err)
		}
		first.send("<message from='sms.localhost' to='iago@localhost/x' type='headline'/>")
		first.close()
	}, "component_stream_errors{conflict} 1"})
	for name, c := range map[string]struct{ condition, in string }{
		"from somebody":          {"invalid-from", "<message from='romeo@localhost' to='iago@localhost'><body>x</body></message>"},
		"from nobody":            {"improper-addressing", "<message to='iago@localhost'><body>x</body></message>"},
		"not well-formed":        {"not-well-formed", "<message></presence>"},
		"a stanza too large":     {"policy-violation", "<message from='sms.localhost' to='iago@localhost'>" + strings.Repeat("x", 300_000)},
		"nested too deeply":      {"policy-violation", strings.Repeat("<a>", 10_000)},
		"a flood of children":    {"policy-violation", "<message from='sms.localhost' to='iago@localhost'>" + strings.Repeat("<b/>", 60_000)},
		"an entity of one's own": {"restricted-xml", "<message><body>&lol;</body></message>"},
	} {
		rows = append(rows, attack{"component let in: " + name, func(t *testing.T, s *server) {
			p, _ := s.attach(t)
			p.send(c.in)
			p.ends(c.condition)
			p, _ = s.attach(t) // it may come again
			p.close()
		}, "component_stream_errors{" + c.condition + "} 1"})
	}
	return rows
}

// attach connects as the component, and returns also what it proved itself with.
func (s *server) attach(t *testing.T) (p *peer, said string) {
	t.Helper()
	p = dial(t, s.component, "")
	p.send(componentHeader)
	said = p.handshakeAs()
	p.expect(stream.NSComponent, "handshake")
	return p, said
}

// handshakeAs reads the header of a component's stream and proves to know the secret.
func (p *peer) handshakeAs() (said string) {
	p.t.Helper()
	p.expect(stream.NS, "stream")
	sum := sha1.Sum([]byte(p.in.Header().ID + componentSecret)) //nolint:gosec // as above
	said = "<handshake>" + hex.EncodeToString(sum[:]) + "</handshake>"
	p.send(said)
	return said
}
