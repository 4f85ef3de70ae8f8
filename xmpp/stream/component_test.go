// SPDX-License-Identifier: Apache-2.0

package stream_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stream"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

const (
	componentOpen = "<stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams'"
	// SHA1("AAAAAAAAAAAAAAAA" + "secret"): the id of randomness that is all zeros.
	shook = "<handshake>8d898e25038a90fe23771ad18fec015b00d5256e</handshake>"
)

func componentServer() *stream.ComponentServer {
	return stream.NewComponentServer(&stream.ComponentServerConfig{
		Secret: func(domain string) (string, bool) {
			secret, ok := map[string]string{"sms.example.org": "secret", "open.example.org": ""}[domain]
			return secret, ok
		},
		AfterLogin: xmlstream.Limits{ElementBytes: 1000, Depth: 5, Attributes: 5, Children: 20},
		Rand:       zeros{},
	}, start)
}

// events feeds a machine and returns what it reports, and what it says.
func events(m machine, sent string, act func(stream.Event)) (kinds []stream.Kind, said string, last error) {
	m.Feed([]byte(sent))
	for {
		e := m.Next()
		said += string(m.Out())
		if e.Kind == stream.None {
			return kinds, said, last
		}
		kinds, last = append(kinds, e.Kind), e.Err
		act(e)
		said += string(m.Out())
	}
}

// Both sides of XEP-0114 §3, one against the other, in pieces of every size.
func TestComponentPair(t *testing.T) {
	for size := 1; size < 200; size = size*2 + 1 {
		s := componentServer()
		c := stream.NewComponentClient(&stream.ComponentClientConfig{Domain: jid.MustParse("sms.example.org"), Secret: "secret"}, start)
		c.Start()
		var got []string
		queue := map[machine]string{} // what is on its way to each
		exchange := func() {
			queue[s] += string(c.Out())
			for len(queue[s])+len(queue[c]) > 0 {
				for to, from := range map[machine]machine{s: c, c: s} {
					n := min(size, len(queue[to]))
					piece := queue[to][:n]
					queue[to] = queue[to][n:]
					_, said, _ := events(to, piece, func(e stream.Event) {
						switch {
						case e.Kind == stream.Element:
							got = append(got, string(e.Element.Raw))
						case e.Kind == stream.End:
							got = append(got, "end")
						case to == machine(s):
							s.Admit()
						}
					})
					queue[from] += said
				}
			}
		}
		exchange()
		if s.State() != stream.Bound || c.State() != stream.Bound {
			t.Fatalf("pieces of %d: states %d, %d", size, s.State(), c.State())
		}
		if s.Domain() != "sms.example.org" || !s.Deadline().IsZero() || !c.Deadline().IsZero() {
			t.Errorf("domain %q, deadlines %v, %v", s.Domain(), s.Deadline(), c.Deadline())
		}
		events(s, "<message from='a@sms.example.org' to='b@c'/>", func(e stream.Event) { got = append(got, string(e.Element.Raw)) })
		c.Close(nil, start)
		exchange()
		if strings.Join(got, " ") != "<message from='a@sms.example.org' to='b@c'/> end end" {
			t.Errorf("pieces of %d: %q", size, got)
		}
	}
}

// What a component does wrong, and what it is told.
func TestComponentRefusals(t *testing.T) {
	open := componentOpen + " to='sms.example.org'>"
	proof := proofOf(t)
	for _, c := range []struct{ name, sent, condition string }{
		{"unknown component", componentOpen + " to='irc.example.org'>", "host-unknown"},
		{"component without a secret", componentOpen + " to='open.example.org'><handshake/>", "host-unknown"},
		{"no address", componentOpen + ">", "improper-addressing"},
		{"no domain", componentOpen + " to='a@sms.example.org'>", "improper-addressing"},
		{"bad address", componentOpen + " to='@'>", "improper-addressing"},
		{"a client", openTag + " to='sms.example.org' version='1.0'>", "invalid-namespace"},
		{"connect", strings.Replace(open, ":accept", ":connect", 1), "invalid-namespace"},
		{"wrong secret", open + "<handshake>0000000000000000000000000000000000000000</handshake>", "not-authorized"},
		{"upper case", open + strings.ToUpper(proof[11:51]), "bad-format"},
		{"in upper case", open + "<handshake>" + strings.ToUpper(proof[11:51]) + "</handshake>", "not-authorized"},
		{"empty handshake", open + "<handshake/>", "not-authorized"},
		{"another namespace's handshake", open + strings.Replace(proof, ">", " xmlns='u:x'>", 1), "not-authorized"},
		{"stanza before the handshake", open + "<message from='sms.example.org' to='a@b'/>", "not-authorized"},
		{"too large before the handshake", open + "<handshake>" + strings.Repeat("x", 10_000) + "</handshake>", "policy-violation"},
		{"not XML", "GET / HTTP/1.1\r\n", "not-well-formed"},
		{"too large", open + proof + "<message from='sms.example.org' to='a@b'>" + strings.Repeat("x", 1000) + "</message>", "policy-violation"},
		{"too deep", open + proof + "<message><a><a><a><a><a/></a></a></a></a></message>", "policy-violation"},
	} {
		s := componentServer()
		_, said, err := events(s, c.sent, func(e stream.Event) {
			if e.Kind == stream.Login {
				s.Admit()
			}
		})
		var told *stream.Error
		if !errors.As(err, &told) || string(told.Condition) != c.condition || told.Received {
			t.Errorf("%s: %v, want %s", c.name, err, c.condition)
		}
		if !strings.HasPrefix(said, "<?xml version='1.0'?>"+componentOpen) || !strings.HasSuffix(said, "</stream:stream>") {
			t.Errorf("%s: told %q", c.name, said)
		}
		if (s.Domain() == "") != strings.Contains("host-unknown improper-addressing invalid-namespace not-well-formed", c.condition) {
			t.Errorf("%s: domain %q", c.name, s.Domain())
		}
	}
}

// proofOf is the right handshake, from the other side.
func proofOf(t *testing.T) string {
	t.Helper()
	c := stream.NewComponentClient(&stream.ComponentClientConfig{Domain: jid.MustParse("sms.example.org"), Secret: "secret"}, start)
	c.Start()
	c.Out()
	_, said, _ := events(c, componentOpen+" from='sms.example.org' id='"+fixedID+"'>", func(stream.Event) {})
	if len(said) != len("<handshake></handshake>")+40 {
		t.Fatalf("%q", said)
	}
	return said
}

// The handshake is that of the example of XEP-0114 §3 in form, and of its rule in value.
func TestComponentHandshake(t *testing.T) {
	if got := proofOf(t); got != shook {
		t.Errorf("%s, want %s", got, shook)
	}
}

// Until Admit nothing is taken, whatever has come already; Close may come instead.
func TestComponentConflict(t *testing.T) {
	s := componentServer()
	s.Feed([]byte(componentOpen + " to='sms.example.org'>" + proofOf(t) + "<message from='sms.example.org' to='a@b'/>"))
	if e := s.Next(); e.Kind != stream.Login || e.JID.String() != "sms.example.org" {
		t.Fatalf("%d %s", e.Kind, e.JID)
	}
	if e := s.Next(); e.Kind != stream.None {
		t.Fatalf("%d before Admit", e.Kind)
	}
	s.Close(&stream.Error{Condition: stream.Conflict}, start)
	s.Admit()
	if e := s.Next(); e.Kind != stream.End || s.State() != stream.Closed {
		t.Errorf("%d", e.Kind)
	}
	if said := string(s.Out()); strings.Contains(said, "<handshake") || !strings.Contains(said, "<conflict") {
		t.Errorf("told %q", said)
	}
}

// Whoever says nothing is told so; a component that does not close its side is not waited for.
func TestComponentTime(t *testing.T) {
	s := componentServer()
	s.Expire(start.Add(29 * time.Second))
	if s.State() == stream.Closed {
		t.Fatal("closed early")
	}
	s.Expire(s.Deadline())
	if e := s.Next(); e.Kind != stream.End || !strings.Contains(string(s.Out()), "<connection-timeout") {
		t.Errorf("%d %v", e.Kind, e.Err)
	}
	s = componentServer()
	events(s, componentOpen+" to='sms.example.org'>"+proofOf(t), func(stream.Event) { s.Admit() })
	s.Close(nil, start)
	s.Expire(start.Add(5 * time.Second))
	if e := s.Next(); e.Kind != stream.End || !errors.Is(e.Err, stream.ErrTimeout) {
		t.Errorf("%d %v", e.Kind, e.Err)
	}
}

// What servers tell a component.
func TestComponentClientRefused(t *testing.T) {
	for _, c := range []struct{ name, sent, want string }{
		{"wrong secret", componentOpen + " id='1'><stream:error><not-authorized xmlns='" + streamsNS + "'/></stream:error></stream:stream>", "error received: not-authorized"},
		{"unknown", componentOpen + "><stream:error><host-unknown xmlns='" + streamsNS + "'/></stream:error></stream:stream>", "error received: host-unknown"},
		{"no id", componentOpen + "><handshake/>", "no id"},
		{"a stanza too early", componentOpen + " id='1'><message/>", "unsupported-stanza-type"},
	} {
		m := stream.NewComponentClient(&stream.ComponentClientConfig{Domain: jid.MustParse("sms.example.org"), Secret: "wrong"}, start)
		m.Start()
		kinds, _, err := events(m, c.sent, func(stream.Event) {})
		if err == nil || !strings.Contains(err.Error(), c.want) || len(kinds) != 1 {
			t.Errorf("%s: %v, %v", c.name, kinds, err)
		}
	}
	m := stream.NewComponentClient(&stream.ComponentClientConfig{Domain: jid.MustParse("sms.example.org")}, start)
	m.Start()
	m.Expire(m.Deadline())
	if e := m.Next(); !errors.Is(e.Err, stream.ErrTimeout) {
		t.Error(e.Err)
	}
}

// FuzzComponentServer: whatever a component sends, the server ends in a legal state and says
// nothing but well-formed XML.
func FuzzComponentServer(f *testing.F) {
	open := componentOpen + " to='sms.example.org'>"
	for _, seed := range []string{open + shook + "<message from='a@sms.example.org' to='b@c'/></stream:stream>", open + "<handshake/>", open + shook + "\x00x"} {
		f.Add([]byte("\x00\x00" + seed))
		f.Add([]byte("\x00\x01" + seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		_, size, rest, ok := fuzzInput(data, [][]string{{}})
		if !ok {
			return
		}
		s := componentServer()
		runFuzz(t, s, &script{with: []string{"without-tls"}}, size, rest, func(act byte) {
			if act == 'a' {
				s.Admit()
			}
		})
	})
}

// FuzzComponentClient: the same for whatever a server sends.
func FuzzComponentClient(f *testing.F) {
	for _, seed := range []string{componentOpen + " id='1'><handshake/><message/></stream:stream>", componentOpen + "><stream:error/>",
		"\x00c" + componentOpen + " id='1'><handshake/></stream:stream>"} {
		f.Add([]byte("\x00\x00" + seed))
		f.Add([]byte("\x00\x01" + seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		_, size, rest, ok := fuzzInput(data, [][]string{{}})
		if !ok {
			return
		}
		c := stream.NewComponentClient(&stream.ComponentClientConfig{Domain: jid.MustParse("sms.example.org"), Secret: "secret"}, start)
		c.Start()
		runFuzz(t, c, &script{with: []string{"without-tls"}}, size, rest, func(byte) {})
	})
}
