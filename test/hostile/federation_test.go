// SPDX-License-Identifier: Apache-2.0

//go:build linux

package hostile

import (
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/internal/testserver"
	"github.com/stonechat-im/stonechat/xmpp/sm"
	"github.com/stonechat-im/stonechat/xmpp/stream"
)

// How to read this file: what comes to the listeners of other servers, in the clear, from who is nobody yet, from one that
// has proved its name, and from many. Behind each row an honest server logs in and is answered.

const (
	verona   = "verona.example"  // has a certificate
	capulet  = "capulet.example" // has none, and its server is not there
	bidi     = "<bidi xmlns='" + stream.NSBidi + "'/>"
	crowdMax = 20 // limits.federation_connections_per_address
	crowd    = 3000
)

// federation is how TestAttacks' server talks with others. No DNS server is asked: nothing listens at that port.
const federation = `federation:
  certificates: preferred
  resolver: 127.0.0.1:1
  block: [.blocked.example]
  domains:
    capulet.example: {connect: "127.0.0.1:1"}
    strict.example: {connect: "127.0.0.1:1", certificates: required}
`

// certificate is verona's; the program's authorities are it alone.
var certificate = sync.OnceValue(func() *tls.Certificate {
	return testserver.Certificate(time.Now().Add(24*time.Hour), verona)
})

func authorities() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate().Certificate[0]})
}

func serverHeader(from, to string) string {
	return fmt.Sprintf("<stream:stream xmlns='%s' xmlns:db='jabber:server:dialback' xmlns:stream='%s' from='%s' to='%s' version='1.0'>",
		stream.NSServer, stream.NS, from, to)
}

func keyOf(from, to, key string) string {
	return fmt.Sprintf("<db:result from='%s' to='%s'>%s</db:result>", from, to, key)
}

func chatOf(from, to string) string {
	return fmt.Sprintf("<message type='chat' from='%s' to='%s'><body>x</body></message>", from, to)
}

// peerServer is a server behind TLS that calls itself from, at an address of this machine; with certified set it shows verona's
// certificate.
func (s *server) peerServer(t *testing.T, at, from string, certified bool) *peer {
	t.Helper()
	p := dial(t, s.server, at)
	p.openAs(from)
	p.send(startTLS)
	p.expect(stream.NSTLS, "proceed")
	p.wait(patience)
	config := &tls.Config{InsecureSkipVerify: true}
	if certified {
		config.Certificates = []tls.Certificate{*certificate()}
	}
	c := tls.Client(p.conn, config)
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	p.conn = c
	p.openAs(from)
	return p
}

func (p *peer) openAs(from string) {
	p.t.Helper()
	p.restart()
	p.send(serverHeader(from, domain))
	p.expect(stream.NS, "stream")
	p.features = p.expect(stream.NS, "features").raw
}

// verona is a peer that has logged in by its certificate; before it did it said that, which may be nothing.
func (s *server) verona(t *testing.T, at, first string) *peer {
	t.Helper()
	p := s.peerServer(t, at, verona, true)
	p.send(first + "<auth xmlns='" + stream.NSSASL + "' mechanism='EXTERNAL'>=</auth>")
	p.expect(stream.NSSASL, "success")
	p.openAs(verona)
	return p
}

// honest is a server that does nothing wrong: it is let in and answered, whatever has been before it.
func (s *server) honest(t *testing.T) {
	t.Helper()
	p := s.verona(t, "127.0.0.9", bidi) // the answer comes on this stream
	p.send("<iq type='get' id='honest' from='" + verona + "' to='" + domain + "'><ping xmlns='urn:xmpp:ping'/></iq>")
	if e := p.expect(stream.NSServer, "iq"); !strings.Contains(e.raw, "id='honest'") || !strings.Contains(e.raw, "type='result'") {
		t.Errorf("an honest server is answered by %s", e.raw)
	}
	p.close()
}

// answers reads the answer to a key, which must be an error of that condition.
func (p *peer) answers(condition string) {
	p.t.Helper()
	if e := p.expect("jabber:server:dialback", "result"); !strings.Contains(e.raw, "type='error'") || !strings.Contains(e.raw, "<"+condition+" ") {
		p.t.Errorf("a key is answered by %s, not %s", e.raw, condition)
	}
}

func federationAttacks() []attack {
	var rows []attack
	add := func(name, counts string, do func(*testing.T, *server)) {
		rows = append(rows, attack{"server: " + name, func(t *testing.T, s *server) {
			do(t, s)
			s.honest(t)
		}, counts})
	}
	ours := serverHeader(capulet, domain)
	for _, c := range []struct{ name, condition, in string }{
		{"nothing like XML", "not-well-formed", "hello\n"},
		{"a document type", "restricted-xml", laughs + ours},
		{"a client", "invalid-namespace", header},
		{"a header for somebody else", "host-unknown", serverHeader(capulet, verona)},
		{"a header from an account", "improper-addressing", serverHeader("romeo@"+capulet, domain)},
		{"a stanza in the clear", "policy-violation", ours + chatOf("a@"+capulet, "iago@"+domain)},
		{"a key in the clear", "policy-violation", ours + keyOf(capulet, domain, "abcd")},
		{"a login in the clear", "policy-violation", ours + "<auth xmlns='" + stream.NSSASL + "' mechanism='EXTERNAL'>=</auth>"},
		{"a stanza behind <starttls/>", "policy-violation", ours + startTLS + chatOf("a@"+capulet, "iago@"+domain)},
		{"a header without end", "policy-violation", strings.TrimSuffix(ours, ">") + strings.Repeat(" ", 20_000)},
	} {
		add(c.name, "s2s_stream_errors{"+c.condition+"} 1", func(t *testing.T, s *server) {
			p := dial(t, s.server, "")
			p.send(c.in)
			p.ends(c.condition)
		})
	}
	for _, c := range []struct{ name, condition, in, incident string }{
		{"a stanza of nobody", "not-authorized", chatOf("a@"+capulet, "iago@"+domain), "not-authorized"},
		{"a stanza that says it is ours", "not-authorized", chatOf("romeo@"+domain, "iago@"+domain), "not-authorized"},
		{"a key of an account", "improper-addressing", keyOf("a@"+capulet, domain, "abcd"), "dialback"},
		{"a key that is too large", "policy-violation", keyOf(capulet, domain, strings.Repeat("k", 20_000)), ""},
		{"a key without end", "policy-violation", "<db:result from='" + capulet + "' to='" + domain + "'>" + strings.Repeat("k", 20_000), ""},
		{"a flood of elements", "policy-violation", "<db:result from='" + capulet + "' to='" + domain + "'>" + strings.Repeat("<a/>", 1000), ""},
		{"words of clients", "unsupported-stanza-type", "<query xmlns='jabber:iq:register'/>", ""},
	} {
		counts := "s2s_stream_errors{" + c.condition + "} 1"
		if c.incident != "" {
			counts += ", s2s_incidents{" + c.incident + "} 1"
		}
		add(c.name, counts, func(t *testing.T, s *server) {
			p := s.peerServer(t, "", capulet, false)
			p.send(c.in)
			p.ends(c.condition)
		})
	}
	for _, verb := range []string{"result", "verify"} {
		add("an answer to no question: "+verb, "s2s_unsolicited 1, s2s_incidents{unsolicited} 1, s2s_incidents{not-authorized} 1, s2s_stream_errors{not-authorized} 1",
			func(t *testing.T, s *server) {
				p := s.peerServer(t, "", capulet, false)
				p.send("<db:" + verb + " type='valid' id='x' from='" + capulet + "' to='" + domain + "'/>" + chatOf("a@"+capulet, "iago@"+domain))
				p.ends("not-authorized") // it has gained nothing
			})
	}
	// A key that cannot be believed is an error of its own, and the stream goes on. XEP-0220 §2.5.
	for _, c := range []struct{ name, condition, from, to, reason string }{
		{"as ourselves", "not-allowed", domain, domain, "self"},
		{"for a foreign domain", "item-not-found", capulet, verona, "host-unknown"},
		{"from a blocked domain", "policy-violation", "a.blocked.example", domain, "blocked"},
		{"from a domain that must have a certificate", "not-authorized", "strict.example", domain, "certificate"},
		{"from a domain whose server does not answer", "remote-server-timeout", capulet, domain, "authority"},
	} {
		add("a key "+c.name, "s2s_dialback_failed{"+c.reason+"} 1, s2s_incidents{dialback} 1, s2s_incidents{not-authorized} 1, s2s_stream_errors{not-authorized} 1",
			func(t *testing.T, s *server) {
				p := s.peerServer(t, "", capulet, false)
				p.send(keyOf(c.from, c.to, "abcd"))
				p.answers(c.condition)
				p.send(chatOf("a@"+c.from, "iago@"+c.to))
				p.ends("not-authorized")
			})
	}
	add("many keys", "s2s_dialback_failed{host-unknown} 21, s2s_incidents{dialback} 21, s2s_stream_errors{policy-violation} 1", func(t *testing.T, s *server) {
		p := s.peerServer(t, "", capulet, false)
		p.send(strings.Repeat(keyOf(capulet, verona, "abcd"), 100))
		for range 21 {
			p.answers("item-not-found")
		}
		p.ends("policy-violation")
	})
	add("a login without a certificate", "", func(t *testing.T, s *server) {
		p := s.peerServer(t, "", capulet, false)
		if strings.Contains(p.features, "EXTERNAL") {
			t.Error("EXTERNAL is offered")
		}
		p.send("<auth xmlns='" + stream.NSSASL + "' mechanism='EXTERNAL'>=</auth>")
		p.fails("invalid-mechanism")
		p.close()
	})
	add("a login with another's certificate", "", func(t *testing.T, s *server) {
		p := s.peerServer(t, "", capulet, true)
		p.send("<auth xmlns='" + stream.NSSASL + "' mechanism='EXTERNAL'>=</auth>")
		p.fails("invalid-mechanism")
		p.close()
	})
	return append(rows, append(knownServerAttacks(), manyServerAttacks()...)...)
}

// knownServerAttacks are by one that has proved to be verona.
func knownServerAttacks() []attack {
	var rows []attack
	for _, c := range []struct{ name, condition, in string }{
		{"forged from another", "invalid-from", chatOf("a@"+capulet, "iago@"+domain)},
		{"forged from below its own name", "invalid-from", chatOf("a@x."+verona, "iago@"+domain)},
		{"forged from ours", "invalid-from", chatOf("romeo@"+domain, "iago@"+domain)},
		{"to another domain of ours", "invalid-from", chatOf("a@"+verona, "iago@"+rooms)},
		{"to a foreign domain", "host-unknown", chatOf("a@"+verona, "iago@"+capulet)},
		{"from nobody", "improper-addressing", "<message to='iago@" + domain + "'/>"},
		{"to nobody", "improper-addressing", "<message from='a@" + verona + "'/>"},
	} {
		rows = append(rows, attack{"server let in: " + c.name, func(t *testing.T, s *server) {
			p := s.verona(t, "", "")
			p.send(c.in)
			p.ends(c.condition)
			s.honest(t)
		}, "s2s_stream_errors{" + c.condition + "} 1, s2s_incidents{" + c.condition + "} 1"})
	}
	for _, c := range []struct{ name, condition, in string }{
		{"not well-formed", "not-well-formed", "<message></presence>"},
		{"a stanza too large", "policy-violation", chatOf("a@"+verona, "iago@"+domain+"/"+strings.Repeat("x", 300_000))},
		{"nested too deeply", "policy-violation", strings.Repeat("<a>", 10_000)},
		{"a flood of children", "policy-violation", "<message from='a@" + verona + "' to='iago@" + domain + "'>" + strings.Repeat("<b/>", 60_000)},
		{"an entity of one's own", "restricted-xml", "<message><body>&lol;</body></message>"},
		{"both directions, too late", "policy-violation", bidi},
		{"acks of what was never sent", "undefined-condition", "<enable xmlns='" + sm.NS + "'/><a xmlns='" + sm.NS + "' h='7'/>"},
	} {
		rows = append(rows, attack{"server let in: " + c.name, func(t *testing.T, s *server) {
			p := s.verona(t, "", "")
			p.send(c.in)
			p.ends(c.condition)
			s.honest(t)
		}, "s2s_stream_errors{" + c.condition + "} 1"})
	}
	return append(rows, attack{"server let in: answers to no question", func(t *testing.T, s *server) {
		p := s.verona(t, "", "")
		for range 50 {
			p.send("<db:result type='valid' from='" + capulet + "' to='" + domain + "'/>")
		}
		p.send(chatOf("a@"+capulet, "iago@"+domain))
		p.ends("invalid-from")
		s.honest(t)
	}, "s2s_unsolicited 50, s2s_incidents{unsolicited} 50, s2s_incidents{invalid-from} 1, s2s_stream_errors{invalid-from} 1"})
}

// manyServerAttacks take their time, or come in numbers.
func manyServerAttacks() []attack {
	return []attack{
		{"server: one byte at a time, until the time for a proof is over", slowServers, "s2s_stream_errors{connection-timeout} 4"},
		{"server: many streams of nobody", func(t *testing.T, s *server) {
			const at = "127.0.0.8"
			before := s.count(t, "s2s_evicted")
			var all []*peer
			for range crowd {
				p := dial(t, s.server, at)
				p.send(serverHeader(capulet, domain))
				all = append(all, p)
			}
			for deadline := time.Now().Add(patience); s.count(t, "s2s_evicted") < before+crowd-crowdMax; {
				if time.Now().After(deadline) {
					t.Fatal("they are not sent away")
				}
			}
			s.honest(t)
			for _, p := range all {
				p.reset()
			}
		}, fmt.Sprintf("s2s_evicted %d", crowd-crowdMax)},
		{"server: many streams of one that is known", func(t *testing.T, s *server) {
			const at = "127.0.0.8"
			var all []*peer
			for range crowdMax {
				all = append(all, s.verona(t, at, ""))
			}
			for range 10 {
				dial(t, s.server, at).dropped()
			}
			s.honest(t)
			for _, p := range all {
				p.close()
			}
		}, "s2s_refused 10"},
	}
}

// slowServers are told connection-timeout where there is a stream to tell it on, however busy they were.
func slowServers(t *testing.T, s *server) {
	began := time.Now()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	defer wg.Wait()
	defer close(stop)
	slowly := func(w net.Conn, text string) {
		wg.Go(func() { drip(w, text, 50*time.Millisecond, stop) })
	}
	never := strings.Repeat(" ", 1000)
	silent := dial(t, s.server, "")
	headers := dial(t, s.server, "")
	slowly(headers.conn, strings.TrimSuffix(serverHeader(capulet, domain), ">")+never)
	second := dial(t, s.server, "")
	second.openAs(capulet)
	slowly(second.conn, "<starttls"+never)
	key := s.peerServer(t, "", capulet, false)
	slowly(key.conn, "<db:result from='"+capulet+"' to='"+domain+"'>"+strings.Repeat("k", 1000))
	noHello := dial(t, s.serverTLS, "")
	slowHello := dial(t, s.serverTLS, "")
	slowly(slowHello.conn, hello(t, tls.VersionTLS13)[:200])
	for _, p := range []*peer{silent, headers, second, key} {
		p.ends("connection-timeout")
	}
	for _, p := range []*peer{noHello, slowHello} {
		dead(t, p)
	}
	if took := time.Since(began); took < loginTimeout-time.Second || took > loginTimeout+mayTake {
		t.Errorf("they ended after %v, where %v were allowed", took, loginTimeout)
	}
	s.honest(t)
}
