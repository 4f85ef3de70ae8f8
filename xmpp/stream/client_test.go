// SPDX-License-Identifier: Apache-2.0

package stream_test

import (
	"strings"
	"testing"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/sasl"
	"github.com/stonechat-im/stonechat/xmpp/stream"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

func TestClientScripts(t *testing.T) {
	playAll(t, "testdata/client/*.txt", func(t *testing.T, s *script, cut bool) {
		(&player{t: t, m: newClient(s), in: 'S', cut: cut, framed: s.has("framed"), act: actClient}).play(s)
	})
}

// keyCache spares scripts the derivation of the same keys.
var keyCache sasl.KeyCache

// clientConfig makes a configuration of these words of `with:`.
func clientConfig(s *script) *stream.ClientConfig {
	c := &stream.ClientConfig{
		Account: jid.MustParse("romeo@example.org"),
		SASL: sasl.ClientConfig{
			Password: "pencil", Rand: zeros{}, AllowPlain: !s.has("scram-only"), Cache: &keyCache,
		},
		WithoutTLS: s.has("without-tls"),
		HoldLogin:  s.has("hold"),
		Framed:     s.has("framed"),
		Rand:       zeros{},
	}
	if s.has("certificate") {
		c.SASL.Password, c.SASL.External = "", true
	}
	if s.has("pinned") {
		c.SASL.Pinned = sasl.SHA256
	}
	if s.has("pinned-plus") {
		c.SASL.Pinned = sasl.SHA1 + "-PLUS"
	}
	if s.has("other-user") {
		c.SASL.Username = "montague"
	}
	if s.has("small") {
		c.BeforeLogin = xmlstream.Limits{ElementBytes: 500, Depth: 4, Attributes: 8, Children: 20}
		c.AfterLogin = xmlstream.Limits{ElementBytes: 1000, Depth: 6, Attributes: 8, Children: 40}
	}
	if s.has("english") {
		c.Lang = "en"
	}
	return c
}

// newClient makes the machine of a script. What `with:` may say: direct (TLS is on
// from the start), bindings (and may be bound to), login (romeo is logged in and has
// the features), bound (to romeo@example.org/orchard), unstarted, and the words of
// clientConfig.
func newClient(s *script) *stream.Client {
	m := stream.NewClient(clientConfig(s), start)
	switch {
	case s.has("unstarted"):
		return m
	case s.has("bindings"):
		m.TLSStarted([]sasl.ChannelBinding{
			{Type: sasl.TLSExporter, Data: []byte("exported")},
			{Type: sasl.TLSServerEndPoint, Data: []byte("hashed")},
		})
	case s.has("direct") || s.has("login") || s.has("bound"):
		m.TLSStarted(nil)
	default:
		m.Start()
	}
	if !s.has("login") && !s.has("bound") {
		return m
	}
	say := func(text string) {
		m.Feed([]byte(expand(text)))
		for e := m.Next(); e.Kind != stream.None; e = m.Next() {
			if e.Kind == stream.Features && s.has("bound") {
				m.Bind("")
			}
		}
	}
	header, declared := "{header}", ""
	if s.has("framed") {
		header = "<open xmlns='{framing}' from='example.org' id='x' version='1.0'/>"
		declared = " xmlns:stream='{streams}'"
	}
	say(header)
	say("<stream:features" + declared + "><mechanisms xmlns='{sasl}'><mechanism>PLAIN</mechanism></mechanisms></stream:features>")
	say("{success}")
	say(header)
	say("<stream:features" + declared + "><bind xmlns='{bind}'/><sm xmlns='urn:xmpp:sm:3'/></stream:features>")
	if s.has("bound") {
		say("<iq xmlns='jabber:client' type='result' id='{id}'><bind xmlns='{bind}'><jid>romeo@example.org/orchard</jid></bind></iq>")
	}
	for m.Out() != nil {
	}
	return m
}

// actClient is what the caller of a client does in a script.
func actClient(p *player, word, rest string) {
	c := p.m.(*stream.Client)
	switch word {
	case "start":
		c.Start()
	case "tls":
		c.TLSStarted(nil)
	case "login":
		c.Login()
	case "bind":
		c.Bind(rest)
	case "resume":
		c.Resume(jid.MustParse(rest))
	case "is": // what the machine reports
		got := strings.Join([]string{stateNames[c.State()], c.JID().String(), c.Mechanism()}, " ")
		if strings.TrimSpace(got) != rest {
			p.t.Fatalf("it is %q, want %q", got, rest)
		}
	default:
		actAny(p, word, rest)
	}
}
