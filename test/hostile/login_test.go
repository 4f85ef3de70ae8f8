// SPDX-License-Identifier: Apache-2.0

//go:build linux

package hostile

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/stonechat-im/stonechat/xmpp/sasl"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/stream"
)

// How to read this file: failures after which the stream is usable (RFC 6120 §6.4.5), each proven by a login on the same
// stream; then replays and false bindings, which are failures like these; then what ends the stream.

func loginAttacks() []attack {
	return []attack{
		failing("bad base64 in <auth/>", "incorrect-encoding", func(p *peer) {
			p.send("<auth xmlns='" + stream.NSSASL + "' mechanism='SCRAM-SHA-256'>[this is none]</auth>")
		}),
		failing("base64 without its padding", "incorrect-encoding", func(p *peer) {
			p.send("<auth xmlns='" + stream.NSSASL + "' mechanism='SCRAM-SHA-256'>biwsbj1hLHI9Yg</auth>")
		}),
		failing("base64 with bits behind its end", "incorrect-encoding", func(p *peer) {
			p.send("<auth xmlns='" + stream.NSSASL + "' mechanism='SCRAM-SHA-256'>AB==</auth>")
		}),
		failing("bad base64 in <response/>", "incorrect-encoding", func(p *peer) {
			p.begin(p.exchange("mallory", nil))
			p.send("<response xmlns='" + stream.NSSASL + "'>=====</response>")
		}),
		failing("a mechanism nobody knows", "invalid-mechanism", func(p *peer) {
			p.sasl("auth", " mechanism='BOGUS'", []byte("x"))
		}),
		failing("a mechanism that is not offered", "invalid-mechanism", func(p *peer) {
			p.sasl("auth", " mechanism='EXTERNAL'", []byte{})
		}),
		failing("a first message that is none", "malformed-request", func(p *peer) {
			p.sasl("auth", " mechanism='SCRAM-SHA-256'", []byte("hello"))
		}),
		failing("a first message with an extension that must be known", "malformed-request", func(p *peer) {
			p.sasl("auth", " mechanism='SCRAM-SHA-256'", []byte("n,,m=x,n=mallory,r=abcdefgh"))
		}),
		failing("a nonce with what no nonce has", "malformed-request", func(p *peer) {
			p.sasl("auth", " mechanism='SCRAM-SHA-256'", []byte("n,,n=mallory,r=\x00\xff"))
		}),
		failing("a name that is not UTF-8", "malformed-request", func(p *peer) {
			p.sasl("auth", " mechanism='SCRAM-SHA-256'", []byte("n,,n=\xff\xfe,r=abcdefgh"))
		}),
		failing("PLAIN without a password", "malformed-request", func(p *peer) {
			p.sasl("auth", " mechanism='PLAIN'", []byte("\x00mallory"))
		}),
		failing("a response to no challenge", "malformed-request", func(p *peer) {
			p.sasl("response", "", []byte("x"))
		}),
		failing("somebody else's identity", "invalid-authzid", func(p *peer) {
			p.sasl("auth", " mechanism='PLAIN'", []byte("romeo@localhost\x00mallory\x00"+password))
		}),
		failing("a name of 2,000 bytes", "not-authorized", func(p *peer) {
			p.sasl("auth", " mechanism='PLAIN'", []byte("\x00"+strings.Repeat("a", 2000)+"\x00"+password))
		}),
		failing("a name that is none", "not-authorized", func(p *peer) {
			p.sasl("auth", " mechanism='PLAIN'", []byte("\x00\"mallory@localhost/x\x00"+password))
		}),
		failing("a wrong password", "not-authorized", func(p *peer) {
			p.sasl("auth", " mechanism='PLAIN'", []byte("\x00mallory\x00"+strings.Repeat("x", 1000)))
		}),

		failing("SCRAM replayed on the same stream", "not-authorized", func(p *peer) {
			first, _, final := record(p, nil)
			p.sasl("auth", first.attrs, first.data) // gives up what was begun
			p.expect(stream.NSSASL, "challenge")
			p.sasl("response", "", final)
		}, "c2s_logins{aborted} 1"),
		failing("SCRAM replayed on another connection", "not-authorized", func(p *peer) {
			first, challenge, final := recordElsewhere(p)
			p.sasl("auth", first.attrs, first.data)
			if again := p.expect(stream.NSSASL, "challenge").text(); bytes.Equal(again, challenge) {
				p.t.Error("the server uses a nonce twice")
			}
			p.sasl("response", "", final)
		}),
		failing("a nonce that was the server's before", "not-authorized", func(p *peer) {
			// The same first message, whose last one answers the challenge of then, rightly.
			_, _, final := recordElsewhere(p)
			c := p.exchange("mallory", nil)
			p.begin(c)
			p.sasl("response", "", final)
		}),
		failing("a last message sent twice", "malformed-request", func(p *peer) {
			c := p.exchange("mallory", nil)
			final := p.final(c, p.begin(c))
			final[len(final)-1] ^= 1 // its padding: refused, and the exchange is over
			p.sasl("response", "", final)
			p.fails("malformed-request")
			p.sasl("response", "", final)
		}, "c2s_logins{malformed-request} 2"),

		failing("downgrade: y where the server binds", "not-authorized", func(p *peer) {
			// RFC 5802 §6: somebody took the offer away that the client would have taken.
			p.sasl("auth", " mechanism='SCRAM-SHA-256'", []byte("y,,n=mallory,r=abcdefgh"))
		}),
		failing("a binding for a mechanism without", "malformed-request", func(p *peer) {
			p.sasl("auth", " mechanism='SCRAM-SHA-256'", []byte("p=tls-exporter,,n=mallory,r=abcdefgh"))
		}),
		failing("no binding for a mechanism with", "malformed-request", func(p *peer) {
			p.sasl("auth", " mechanism='SCRAM-SHA-256-PLUS'", []byte("n,,n=mallory,r=abcdefgh"))
		}),
		failing("a type of binding nobody knows", "not-authorized", func(p *peer) {
			p.sasl("auth", " mechanism='SCRAM-SHA-256-PLUS'", []byte("p=tls-bogus,,n=mallory,r=abcdefgh"))
		}),
		failing("the binding of another connection", "not-authorized", func(p *peer) {
			other := p.bindings()
			other[0].Data = bytes.Repeat([]byte{7}, len(other[0].Data))
			c := p.exchange("mallory", other[:1])
			if !strings.HasSuffix(c.Mechanism(), "-PLUS") {
				p.t.Fatal("no binding: ", c.Mechanism())
			}
			p.sasl("response", "", p.final(c, p.begin(c)))
		}),

		{"the server says what it offered", func(t *testing.T, s *server) {
			// XEP-0474: a client that was shown less, or other types of channel binding, finds out before it proves anything.
			p := s.secure(t, "")
			mechanisms, types := p.offer()
			for _, shown := range [][2][]string{
				{mechanisms[1:], types}, {append(mechanisms[:len(mechanisms):len(mechanisms)], "X"), types},
				{mechanisms, types[1:]}, {mechanisms, nil},
			} {
				c, err := sasl.NewClient(sasl.ClientConfig{Mechanisms: shown[0], OfferedBindings: shown[1], Username: "mallory", Password: password, Cache: &keys})
				if err != nil {
					t.Fatal(err)
				}
				if _, err := c.Step(p.begin(c)); err == nil || !strings.Contains(err.Error(), "offered something else") {
					t.Errorf("shown %q: %v", shown, err)
				}
				p.close()
				p = s.secure(t, "")
			}
			p.authenticate("mallory")
			p.close()
		}, ""},

		{"three failures", func(t *testing.T, s *server) {
			// RFC 6120 §6.4.5, §4.9.3.14
			p := s.secure(t, "")
			for range 3 {
				p.sasl("auth", " mechanism='PLAIN'", []byte("\x00mallory\x00wrong"))
				p.fails("not-authorized")
			}
			p.ends("policy-violation")
		}, "c2s_logins{not-authorized} 3, c2s_stream_errors{policy-violation} 1"},
		{"exchanges begun and begun", func(t *testing.T, s *server) {
			p := s.secure(t, "")
			c := p.exchange("mallory", nil)
			for range 3 {
				p.begin(c)
			}
			p.sasl("auth", " mechanism='"+c.Mechanism()+"'", c.Start())
			p.ends("policy-violation")
		}, "c2s_logins{aborted} 3, c2s_stream_errors{policy-violation} 1"},
		{"an element of SASL nobody knows", func(t *testing.T, s *server) {
			p := s.secure(t, "")
			p.sasl("bogus", "", nil)
			p.ends("unsupported-stanza-type")
		}, "c2s_stream_errors{unsupported-stanza-type} 1"},
		{"a login that is large", func(t *testing.T, s *server) {
			p := s.secure(t, "")
			p.sasl("auth", " mechanism='PLAIN'", make([]byte, 20_000))
			p.ends("policy-violation")
		}, "c2s_stream_errors{policy-violation} 1"},
		{"a stanza before login", func(t *testing.T, s *server) {
			p := s.secure(t, "")
			p.send("<message to='romeo@localhost'><body>x</body></message>")
			p.ends("not-authorized")
		}, "c2s_stream_errors{not-authorized} 1"},
		{"a flood behind the login", func(t *testing.T, s *server) {
			// What comes with the last message, before the server has said that it is the right one.
			p := s.secure(t, "")
			c := p.exchange("mallory", nil)
			final := p.final(c, p.begin(c))
			p.send("<response xmlns='" + stream.NSSASL + "'>" + base64.StdEncoding.EncodeToString(final) + "</response>" +
				"<iq type='get' id='1' to='romeo@localhost'><ping xmlns='urn:xmpp:ping'/></iq>")
			p.expect(stream.NSSASL, "success")
			p.restart()
			p.ends("bad-format") // a stream begins with its header
		}, "c2s_stream_errors{bad-format} 1"},
		{"a stanza before a resource is bound", func(t *testing.T, s *server) {
			// RFC 6120 §7.1
			p := s.secure(t, "")
			p.authenticate("mallory")
			p.send("<message to='romeo@localhost'><body>x</body></message>")
			p.ends("not-authorized")
		}, "c2s_stream_errors{not-authorized} 1"},
		{"a resource of 2,000 bytes", func(t *testing.T, s *server) {
			// RFC 6120 §7.7.2.1: the server chooses another.
			p := s.secure(t, "")
			p.authenticate("mallory")
			p.bind(strings.Repeat("r", 2000))
			if len(p.full) > 100 {
				t.Errorf("%d bytes of an address", len(p.full))
			}
			p.alive()
			p.close()
		}, ""},
		{"more sessions than one may have", func(t *testing.T, s *server) {
			var all []*peer
			for range 20 {
				all = append(all, s.session(t, "mallory"))
			}
			p := s.secure(t, "")
			p.authenticate("mallory")
			p.send("<iq type='set' id='bind'><bind xmlns='" + stream.NSBind + "'/></iq>")
			p.refuses("iq", string(stanza.ResourceConstraint))
			all[0].close()
			p.bind("") // there is room again, and the stream is usable
			p.close()
			for _, p := range all[1:] {
				p.alive()
				p.close()
			}
		}, "c2s_binds_refused{resource-constraint} 1"},
	}
}

// failing is a row in which a login fails with that condition, counted once, and the next one on the stream does not.
// further are counts that take the place of that one, or are added.
func failing(name, condition string, try func(*peer), further ...string) attack {
	counts := "c2s_logins{" + condition + "} 1"
	for _, more := range further {
		counts += ", " + more // of two the later one counts
	}
	return attack{name, func(t *testing.T, s *server) {
		p := s.secure(t, "")
		try(p)
		p.fails(condition)
		p.authenticate("mallory")
		p.bind("")
		p.alive()
		p.close()
	}, counts}
}

// said is an element of SASL as it was sent.
type said struct {
	attrs string
	data  []byte
}

// record begins a login that succeeds if its last message is sent, and keeps what is said.
func record(p *peer, bindings []sasl.ChannelBinding) (first said, challenge, final []byte) {
	c := p.exchange("mallory", bindings)
	first = said{" mechanism='" + c.Mechanism() + "'", c.Start()}
	p.sasl("auth", first.attrs, first.data)
	challenge = p.expect(stream.NSSASL, "challenge").text()
	return first, challenge, p.final(c, challenge)
}

// recordElsewhere is record of a login that has succeeded, on another connection to the same server.
func recordElsewhere(p *peer) (first said, challenge, final []byte) {
	other := dial(p.t, p.tcp.RemoteAddr().String(), "")
	other.handshake()
	other.open()
	first, challenge, final = record(other, nil)
	other.sasl("response", "", final)
	other.expect(stream.NSSASL, "success")
	other.open()
	other.close()
	return first, challenge, final
}

// bindings are what the peer's connection can be bound to.
func (p *peer) bindings() []sasl.ChannelBinding {
	p.t.Helper()
	state := p.conn.(*tls.Conn).ConnectionState()
	b, err := sasl.BindingOf(state, state.PeerCertificates[0])
	if err != nil {
		p.t.Fatal(err)
	}
	return b
}
