// SPDX-License-Identifier: Apache-2.0

//go:build linux

package hostile

import (
	"crypto/tls"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/sm"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// How to read this file: what whoever has a session may try. First stanzas that are refused and cost nothing else, then
// stream management, then too much of everything, then ends that are none.

func sessionAttacks() []attack {
	rows := []attack{
		stanzaRefused("a request without id", "iq", "bad-request", "<iq type='get' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>"),
		stanzaRefused("a request of two things", "iq", "bad-request",
			"<iq type='get' id='1' to='localhost'><ping xmlns='urn:xmpp:ping'/><ping xmlns='urn:xmpp:ping'/></iq>"),
		stanzaRefused("a request of a type there is not", "iq", "bad-request", "<iq type='give' id='1' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>"),
		stanzaRefused("a request that nobody knows", "iq", "service-unavailable", "<iq type='get' id='1' to='localhost'><x xmlns='urn:example'/></iq>"),
		{"errors about errors", func(t *testing.T, s *server) {
			p := s.session(t, "mallory")
			for _, kind := range []string{"message", "iq", "presence"} {
				p.send("<" + kind + " type='error' id='1' to='nobody@localhost'><error type='cancel'><gone xmlns='" + stanza.NSStanzas + "'/></error></" + kind + ">")
			}
			p.send("<iq type='result' id='1' to='romeo@localhost'/><message type='error' to='@'/>")
			p.alive()
			p.close()
		}, ""},
	}
	for name, to := range map[string]string{
		"no localpart": "@localhost", "no domain": "romeo@", "no resource": "romeo@localhost/", "a space": "ro meo@localhost",
		"forbidden characters": "\"&amp;:&lt;@localhost", "1,024 bytes of localpart": strings.Repeat("a", 1024) + "@localhost",
		"1,024 bytes of resource": "romeo@localhost/" + strings.Repeat("a", 1024), "1,024 bytes of domain": strings.Repeat("a.", 512) + "example",
		"a control character": "romeo@localhost/&#9;", "unassigned characters": "\U000e0fff@localhost", "two directions": "a\u0627b@localhost",
		"a domain that is none": "romeo@-.local host",
	} {
		rows = append(rows, stanzaRefused("an address with "+name, "message", "jid-malformed", "<message to='"+to+"' id='1'><body>x</body></message>"))
	}
	return append(rows, []attack{
		{"h too high", func(t *testing.T, s *server) {
			// XEP-0198 §4: undefined-condition with handled-count-too-high; the session is gone.
			p := s.session(t, "mallory")
			id := p.enable()
			p.alive()
			p.send("<a xmlns='" + sm.NS + "' h='9'/>")
			if e := p.ends("undefined-condition"); !strings.Contains(e.raw, "<handled-count-too-high xmlns='urn:xmpp:sm:3' h='9' send-count='1'/>") {
				t.Errorf("the error is %s", e.raw)
			}
			p = s.secure(t, "")
			p.authenticate("mallory")
			p.resume(id, 0)
			if e := p.expect(sm.NS, "failed"); e.condition(stanza.NSStanzas) != "item-not-found" {
				t.Errorf("resuming: %s", e.raw)
			}
			p.bind("")
			p.alive()
			p.close()
		}, "c2s_stream_errors{undefined-condition} 1"},
		{"h that is no number", func(t *testing.T, s *server) {
			p := s.session(t, "mallory")
			p.enable()
			p.send("<a xmlns='" + sm.NS + "' h='-1'/>")
			p.ends("bad-format")
		}, "c2s_stream_errors{bad-format} 1"},
		{"h too high when resuming", func(t *testing.T, s *server) {
			// It costs the stream that says so; the session may still be resumed by who knows how much it has had.
			p := s.session(t, "mallory")
			id := p.enable()
			p.alive()
			p.reset()
			p = s.secure(t, "")
			p.authenticate("mallory")
			p.resume(id, 1000)
			p.ends("undefined-condition")
			p = s.secure(t, "")
			p.authenticate("mallory")
			p.resume(id, 1)
			p.expect(sm.NS, "resumed")
			p.alive()
			p.close()
		}, "c2s_stream_errors{undefined-condition} 1, sessions_detached 1"},
		{"somebody else's session", func(t *testing.T, s *server) {
			p := s.session(t, "iago")
			id := p.enable()
			thief := s.secure(t, "")
			thief.authenticate("mallory")
			thief.resume(id, 0)
			if e := thief.expect(sm.NS, "failed"); e.condition(stanza.NSStanzas) != "item-not-found" {
				t.Errorf("resuming: %s", e.raw)
			}
			p.alive()
			p.close()
		}, ""},
		{"stream management out of turn", func(t *testing.T, s *server) {
			p := s.secure(t, "")
			p.authenticate("mallory")
			p.send("<enable xmlns='" + sm.NS + "'/><r xmlns='" + sm.NS + "'/>")
			p.expect(sm.NS, "failed")
			p.expect(sm.NS, "failed")
			p.bind("")
			p.enable()
			p.send("<enable xmlns='" + sm.NS + "'/>")
			p.expect(sm.NS, "failed")
			p.alive()
			p.close()
		}, ""},

		{"thousands of tiny stanzas", func(t *testing.T, s *server) {
			// limits.stanzas_per_second: it is read more slowly, and loses nothing.
			p := s.session(t, "mallory")
			began := time.Now()
			go p.send(strings.Repeat("<iq type='result' id='1'/>", 12_000) + "<enable xmlns='" + sm.NS + "'/>")
			p.expect(sm.NS, "enabled")
			if took := time.Since(began); took < 500*time.Millisecond {
				t.Errorf("12,000 stanzas were read in %v", took)
			}
			p.alive()
			p.close()
		}, "sessions_throttled 100+"},
		{"one resource again and again", func(t *testing.T, s *server) {
			// RFC 6120 §7.7.2.2: the older session ends.
			var last *peer
			for range 10 {
				p := s.secure(t, "")
				p.authenticate("mallory")
				p.bind("same")
				if last != nil {
					last.ends("conflict")
				}
				last = p
			}
			last.alive()
			last.close()
		}, "c2s_stream_errors{conflict} 9"},
		{"white space without end", func(t *testing.T, s *server) {
			p := s.session(t, "mallory")
			go p.send(strings.Repeat(strings.Repeat(" \n", 500), 20_000) + "<enable xmlns='" + sm.NS + "'/>")
			p.expect(sm.NS, "enabled")
			p.alive()
			p.close()
		}, ""},
		{"stanzas as large as may be", func(t *testing.T, s *server) {
			p := s.session(t, "mallory")
			large := "<message type='headline' to='iago@localhost'><body>" + strings.Repeat("&amp;é", 35_000) + "</body></message>"
			go p.send(strings.Repeat(large, 100) + "<enable xmlns='" + sm.NS + "'/>")
			p.expect(sm.NS, "enabled")
			p.alive()
			p.close()
		}, ""},
		{"stanzas with as many elements as may be", func(t *testing.T, s *server) {
			p := s.session(t, "mallory")
			full := "<message type='headline' to='iago@localhost'>" + strings.Repeat("<b xmlns='c'/>", 5000) + "</message>"
			go p.send(strings.Repeat(full, 100) + "<enable xmlns='" + sm.NS + "'/>")
			p.expect(sm.NS, "enabled")
			p.alive()
			p.close()
		}, ""},
		{"presence directed to too many", func(t *testing.T, s *server) {
			// modules.presence.directed
			p := s.session(t, "mallory")
			p.send("<presence/>")
			p.alive()
			for i := range 1001 {
				p.send("<presence to='nobody" + strconv.Itoa(i) + "@localhost'/>")
			}
			for {
				e := p.read()
				if r := xmlstream.NewReader(e.raw, stanza.NSClient); r.Attr("from") == "nobody1000@localhost" {
					if !strings.Contains(e.raw, "<resource-constraint ") {
						t.Errorf("read %s", e.raw)
					}
					break
				}
			}
			p.alive()
			p.close()
		}, "stanzas_refused{resource-constraint} 1"},
		{"a reader that never reads", neverReads, "readers_stalled 1"},
		{"a reader that never reads, and resumes", neverReadsAndResumes, "readers_stalled 1, sessions_detached 1"},
		{"a client that asks and never reads", asksAndNeverReads, "readers_stalled 1"},
		{"a client that never acks", neverAcks, "windows_overflowed 1"},

		{"stanzas behind the end of the stream", func(t *testing.T, s *server) {
			to := s.session(t, "iago")
			p := s.session(t, "mallory")
			p.send("</stream:stream><message to='" + to.full + "'><body>x</body></message>")
			p.over()
			to.alive() // and nothing before the answer
			to.close()
		}, ""},
		{"half a connection, before TLS", func(t *testing.T, s *server) {
			p := dial(t, s.plain, "")
			p.open()
			_ = p.tcp.CloseWrite()
			p.dropped()
		}, "c2s_gone{closed} 1"},
		{"half a connection, within a stanza", func(t *testing.T, s *server) {
			p := s.session(t, "mallory")
			p.send("<message to='romeo@localhost'><body>x")
			_ = p.conn.(*tls.Conn).CloseWrite()
			p.dropped()
		}, "c2s_gone{closed} 1"},
		{"half a connection, of a session to resume", func(t *testing.T, s *server) {
			p := s.session(t, "mallory")
			id := p.enable()
			_ = p.tcp.CloseWrite()
			p.dropped()
			p = s.secure(t, "")
			p.authenticate("mallory")
			p.resume(id, 0)
			p.expect(sm.NS, "resumed")
			p.close()
		}, "sessions_detached 1"},
	}...)
}

// stanzaRefused is a row in which a stanza is answered by an error and the stream is usable.
func stanzaRefused(name, kind, condition, in string) attack {
	return attack{name, func(t *testing.T, s *server) {
		p := s.session(t, "mallory")
		p.send(in)
		p.refuses(kind, condition)
		p.alive()
		p.close()
	}, "stanzas_refused{" + condition + "} 1"}
}

// enable turns stream management on, and returns the id to resume with.
func (p *peer) enable() (id string) {
	p.t.Helper()
	p.send("<enable xmlns='" + sm.NS + "' resume='true'/>")
	return xmlstream.NewReader(p.expect(sm.NS, "enabled").raw, "").Attr("id")
}

func (p *peer) resume(id string, h int) {
	p.send("<resume xmlns='" + sm.NS + "' previd='" + id + "' h='" + strconv.Itoa(h) + "'/>")
}

// deaf is a session that is available and whose connection takes little.
func deaf(t *testing.T, s *server) *peer {
	t.Helper()
	p := s.session(t, "mallory")
	_ = p.tcp.SetReadBuffer(4096)
	p.send("<presence/>")
	p.alive()
	return p
}

// count is one metric by its short name.
func (s *server) count(t *testing.T, name string) int {
	t.Helper()
	for n, v := range s.metrics(t) {
		if short(n) == name {
			return int(v)
		}
	}
	return 0
}

// neverReads: limits.queue_bytes is full, the connection goes; who wrote is none the worse, and what the
// network did not take is there for the next session, in order.
func neverReads(t *testing.T, s *server) {
	deaf := deaf(t, s)
	writer := s.session(t, "iago")
	writer.enable() // it waits for acks: its messages are followed to their end
	n := s.fill(t, writer)
	deaf.reset()
	writer.send(fmt.Sprintf("<message to='mallory@localhost' type='chat' id='%d'><body>last</body></message>", n))
	writer.alive()
	got := s.waiting(t, n)
	t.Logf("%d of %d messages had left for the network", got, n+1)
	writer.close()
}

// neverReadsAndResumes: the same session goes on, with all that it has not acked.
func neverReadsAndResumes(t *testing.T, s *server) {
	deaf := deaf(t, s)
	id := deaf.enable()
	writer := s.session(t, "iago")
	n := s.fill(t, writer)
	deaf.reset()
	p := s.secure(t, "")
	p.authenticate("mallory")
	p.resume(id, 0)
	p.expect(sm.NS, "resumed")
	for i := range n {
		if e := p.read(); !strings.Contains(e.raw, "id='"+strconv.Itoa(i)+"'") {
			t.Fatalf("%.200s where message %d should be", e.raw, i)
		}
	}
	p.send("<a xmlns='" + sm.NS + "' h='" + strconv.Itoa(n) + "'/>")
	p.alive()
	p.close()
	writer.close()
}

// fill sends mallory messages until its connection is given up, and returns how many.
func (s *server) fill(t *testing.T, writer *peer) (n int) {
	t.Helper()
	before := s.count(t, "readers_stalled")
	for body := strings.Repeat("x", 50_000); s.count(t, "readers_stalled") == before; {
		if n > 1000 {
			t.Fatal("50 MB are waiting for a client")
		}
		for range 10 {
			writer.send(fmt.Sprintf("<message to='mallory@localhost' type='chat' id='%d'><body>%s</body></message>", n, body))
			n++
		}
		writer.alive()
	}
	return n
}

// waiting logs mallory in, reads what waited for it up to the message last, each with the id that follows the
// one before, and returns the first.
func (s *server) waiting(t *testing.T, last int) (first int) {
	t.Helper()
	p := s.session(t, "mallory")
	p.send("<presence/>")
	first = -1
	for next := 0; next <= last; next++ {
		e := p.read()
		for e.is(stanza.NSClient, "presence") {
			e = p.read()
		}
		id, err := strconv.Atoi(xmlstream.NewReader(e.raw, stanza.NSClient).Attr("id"))
		if err != nil {
			t.Fatalf("read %.200s", e.raw)
		}
		if first < 0 {
			first, next = id, id
		}
		if id != next || !strings.Contains(e.raw, "urn:xmpp:delay") {
			t.Fatalf("message %d where %d should be: %.200s", id, next, e.raw)
		}
	}
	p.alive()
	p.close()
	return first
}

// asksAndNeverReads: the answers fill the client's own queue.
func asksAndNeverReads(t *testing.T, s *server) {
	p := deaf(t, s)
	before := s.count(t, "readers_stalled")
	ask := strings.Repeat("<iq type='get' id='"+strings.Repeat("i", 2000)+"' to='localhost'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>", 50)
	for n := 0; s.count(t, "readers_stalled") == before; n++ {
		if n > 150 {
			t.Fatal("7,500 answers are waiting for a client")
		}
		p.send(ask)
	}
	p.reset()
	s.session(t, "mallory").close()
}

// neverAcks: limits.window_stanzas is full, the session ends, and nothing is lost.
func neverAcks(t *testing.T, s *server) {
	p := s.session(t, "mallory")
	p.enable()
	p.send("<presence/>")
	p.alive()
	writer := s.session(t, "iago")
	n := 0
	for ; n < windowStanzas+5; n++ {
		writer.send(fmt.Sprintf("<message to='mallory@localhost' type='chat' id='%d'><body>x</body></message>", n))
	}
	p.over() // it reads, and does not ack
	writer.alive()
	if first := s.waiting(t, n-1); first != 0 {
		t.Errorf("messages before %d are lost", first)
	}
	writer.close()
}
