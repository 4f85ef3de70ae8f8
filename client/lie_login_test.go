// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"context"
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stonechat-im/stonechat/internal/testserver"
	"github.com/stonechat-im/stonechat/xmpp/sasl"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// How to read these tests: lies about the stream and the login first, then lies in a session that
// lie_test.go has not.

const (
	header   = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0' id='x' from='example.org'>"
	starttls = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
	scram    = "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>SCRAM-SHA-256</mechanism></mechanisms>"
	proceed  = "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
)

func features(s string) string { return "<stream:features>" + s + "</stream:features>" }

// What a server, or somebody between, may say before there is a session.
func TestLiesBeforeLogin(t *testing.T) {
	for _, c := range []struct {
		name  string
		clear bool     // the client would log in without TLS
		says  []string // a second apart
		want  string
		takes time.Duration
	}{
		{name: "another domain", says: []string{strings.Replace(header, "example.org", "example.net", 1) + features(starttls)}, want: "another domain"},
		{name: "an account for a domain", says: []string{strings.Replace(header, "example.org", "a@example.org", 1) + features(starttls)}, want: "another domain"},
		{name: "another protocol", says: []string{"HTTP/1.1 400 Bad Request\r\n\r\n"}, want: "not-well-formed"},
		{name: "another namespace", says: []string{strings.Replace(header, "jabber:client", "jabber:server", 1)}, want: "invalid-namespace"},
		{name: "no version", says: []string{strings.Replace(header, " version='1.0'", "", 1)}, want: "unsupported-version"},
		{name: "a stanza for features", says: []string{header + "<message><body>x</body></message>"}, want: "unexpected in negotiation"},
		{name: "STARTTLS stripped", says: []string{header + features(scram)}, want: "no STARTTLS"},
		{name: "STARTTLS refused", says: []string{header + features(starttls) + "<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>"}, want: "STARTTLS failed"},
		{name: "something after <proceed/>", says: []string{header + features(starttls) + proceed + "<message/>"}, want: "data followed"},
		{name: "no TLS after <proceed/>", says: []string{header + features(starttls) + proceed, header + features(scram)}, want: "starting TLS", takes: time.Second},
		{name: "large features", says: []string{header + features("<x xmlns='urn:x'>"+strings.Repeat("x", 1<<16)+"</x>")}, want: "policy-violation"},
		{name: "deep features", says: []string{header + features(strings.Repeat("<x>", 20)+strings.Repeat("</x>", 20))}, want: "policy-violation"},
		{name: "features with many attributes", says: []string{header + "<stream:features" + attributes(100) + "/>"}, want: "policy-violation"},
		{name: "endless features", says: append([]string{header + "<stream:features>"}, slices.Repeat([]string{"<x xmlns='urn:x'/>"}, 60)...),
			want: "silent", takes: 30 * time.Second},
		{name: "features again and again", says: append([]string{header}, slices.Repeat([]string{features("")}, 60)...), want: "no STARTTLS", takes: time.Second},
		{name: "nothing", says: []string{""}, want: "silent", takes: 30 * time.Second},
		{name: "success at once", clear: true, says: []string{header + features(scram) + "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"}, want: sasl.ErrServer.Error()},
		{name: "no login", clear: true, says: []string{header + features("")}, want: "no login"},
		{name: "a challenge that is not base64", clear: true, says: []string{header + features(scram) + "<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>*</challenge>"}, want: "logging in"},
		{name: "a challenge for another nonce", clear: true, says: []string{header + features(scram) +
			"<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>cj14LHM9QUFBQUFBQUEsaT00MDk2</challenge>"}, want: "nonce"},
	} {
		t.Run(c.name, func(t *testing.T) {
			inLab(t, testserver.Options{}, func(t *testing.T, l *lab) {
				l.config.WithoutTLS = c.clear
				l.make()
				l.Serve(nil, func(p *testserver.Peer) {
					gone := make(chan struct{})
					go func() {
						_, _ = io.Copy(io.Discard, p.Conn)
						close(gone)
					}()
					for _, s := range c.says {
						_, _ = p.Conn.Write([]byte(s)) // what the client does is what counts
						select {
						case <-gone:
						case <-time.After(time.Second):
						}
					}
					<-gone
					_ = p.Conn.Close()
				})
				began := time.Now()
				err := l.Connect(t.Context())
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("%v, want %s", err, c.want)
				}
				if d := time.Since(began); d < c.takes || d > c.takes+5*time.Second {
					t.Errorf("it took %s, want %s", d, c.takes)
				}
			})
		})
	}
}

func attributes(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(" a" + strings.Repeat("a", i) + "='x'")
	}
	return b.String()
}

// A server that does not prove that it knows the keys is none of ours, however it says so.
// RFC 5802 §5, RFC 6120 §13.8
func TestUnprovenSuccess(t *testing.T) {
	success := regexp.MustCompile("<success [^>]*>[^<]*</success>")
	for name, says := range map[string]string{
		"without data":     "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>",
		"with empty data":  "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>=</success>",
		"with an error":    "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>ZT1vdGhlci1lcnJvcg==</success>",
		"with no verifier": "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>dj0=</success>",
		"by features":      features("<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>"),
	} {
		t.Run(name, func(t *testing.T) {
			inLab(t, testserver.Options{Rewrite: func(s string) string { return success.ReplaceAllString(s, says) }}, func(t *testing.T, l *lab) {
				l.make()
				l.Serve(nil, func(p *testserver.Peer) { _ = p.End() })
				if err := l.Connect(t.Context()); err == nil || l.Online() {
					t.Error("it is believed")
				}
			})
		})
	}
}

// What a program has kept of its logins binds it when it starts again. XEP-0474 §6
func TestPinKept(t *testing.T) {
	var kept []string
	inLab(t, testserver.Options{NoSM: true}, func(t *testing.T, l *lab) {
		l.Options.TLS = testserver.Certificate(time.Now().Add(time.Hour), testserver.Domain)
		l.config.RootCAs, l.config.WithoutTLS = testserver.Pool(l.Options.TLS), false
		l.config.Pinned = func(m string) { kept = append(kept, m) }
		p := l.start()
		p.Drop()
		p = l.Accept()
		p.Session("")
		go func() { _ = p.End() }()
	})
	if len(kept) != 1 || !strings.HasSuffix(kept[0], "-PLUS") {
		t.Fatalf("kept: %q", kept)
	}
	for _, offer := range []string{"SCRAM-SHA-1", "SCRAM-SHA-512", "PLAIN"} {
		inLab(t, testserver.Options{Rewrite: only(offer), Plain: true}, func(t *testing.T, l *lab) {
			l.Options.TLS = testserver.Certificate(time.Now().Add(time.Hour), testserver.Domain)
			l.config.RootCAs, l.config.WithoutTLS, l.config.AllowPlain = testserver.Pool(l.Options.TLS), false, true
			l.config.Mechanism = kept[0]
			l.make()
			l.Serve(nil, func(p *testserver.Peer) { _ = p.End() })
			if err := l.Connect(t.Context()); !errors.Is(err, sasl.ErrDowngrade) {
				t.Errorf("offered %s: %v", offer, err)
			}
		})
	}
}

// A connection that was lost is not made again without TLS.
func TestStrippedLater(t *testing.T) {
	inLab(t, testserver.Options{}, func(t *testing.T, l *lab) {
		l.Options.TLS = testserver.Certificate(time.Now().Add(time.Hour), testserver.Domain)
		l.config.RootCAs, l.config.WithoutTLS = testserver.Pool(l.Options.TLS), false
		p := l.start()
		p.Drop()
		good := l.Options.TLS
		l.Options.TLS = nil
		for range 2 {
			if err := l.Accept().End(); err != nil {
				t.Errorf("it went on: %v", err)
			}
		}
		l.Options.TLS = testserver.Certificate(time.Now().Add(time.Hour), testserver.Domain) // of somebody else
		if err := l.Accept().End(); err == nil {
			t.Error("it trusts a stranger's certificate")
		}
		l.Options.TLS = good
		p = l.Accept()
		p.Resume("s1", 0, 0)
		go func() { _ = p.End() }()
	})
}

// What is too large or too deep to be read ends the stream. It is not let in the way of what
// follows for ever: the second time it counts as taken.
func TestUnreadable(t *testing.T) {
	for name, bad := range map[string]string{
		"large":           "<message><body>" + strings.Repeat("x", 1<<20) + "</body></message>",
		"deep":            "<message>" + strings.Repeat("<x>", 100) + strings.Repeat("</x>", 100) + "</message>",
		"many attributes": "<message" + attributes(201) + "/>",
		"not well-formed": "<message></body>",
		"a comment":       "<message><!-- x --></message>",
	} {
		t.Run(name, func(t *testing.T) {
			inLab(t, testserver.Options{}, func(t *testing.T, l *lab) {
				p := l.start()
				p.Say("<message><body>before</body></message>")
				<-l.heard
				for i, counted := range []uint32{1, 1} {
					go p.SayXML([]byte(bad))
					if err := p.End(); err == nil {
						t.Errorf("it is taken")
					}
					p = l.Accept()
					p.Resume("s1", counted+uint32(i), 0)
				}
				p.Say("<message><body>after</body></message>")
				if s := <-l.heard; stanza.BodyOf(s) != "after" {
					t.Errorf("heard %s", stanza.BodyOf(s))
				}
				go func() { _ = p.End() }()
			})
		})
	}
}

// A server that ends the stream of whoever resumes is not asked to resume for ever.
func TestResumptionRefused(t *testing.T) {
	inLab(t, testserver.Options{}, func(t *testing.T, l *lab) {
		p := l.start()
		p.Rest = true
		l.send("one")
		p.Expect(message("one"))
		p.Drop()
		p = l.Accept()
		p.Expect("<resume .*")
		p.Say("<stream:error><undefined-condition xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>")
		_ = p.End()
		p = l.Accept()
		p.Session("s2")
		p.Expect(message("one"))
		go func() { _ = p.End() }()
	})
}

// XEP-0280 §11: a copy is believed from the own account alone.
func TestCarbons(t *testing.T) {
	inLab(t, testserver.Options{}, func(t *testing.T, l *lab) {
		l.make()
		var got []string
		l.HandleCarbons(func(_ context.Context, s *stanza.Stanza, sent bool) {
			if sent {
				got = append(got, "sent "+stanza.BodyOf(s))
				return
			}
			got = append(got, "received "+stanza.BodyOf(s))
		})
		p := l.start()
		p.Expect("<iq id='[^']+' type='set'><enable xmlns='urn:xmpp:carbons:2'/></iq>")
		copied := func(from, kind, inner string) {
			p.Say("<message%s><%s xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'>%s</forwarded></%s></message>", from, kind, inner, kind)
		}
		const (
			in  = "<message xmlns='jabber:client' from='romeo@example.net/orchard' to='juliet@example.org/garden'><body>in</body></message>"
			out = "<message xmlns='jabber:client' from='juliet@example.org/garden' to='romeo@example.net'><body>out</body></message>"
		)
		copied(" from='juliet@example.org'", "received", in)
		copied("", "sent", out)
		for _, from := range []string{"romeo@example.net/orchard", "romeo@example.net", "example.org", "juliet@example.org/garden",
			"juliet@example.org/balcony", "juliet@example.net", "nurse@example.org"} {
			copied(" from='"+from+"'", "received", in)
			copied(" from='"+from+"'", "sent", out)
		}
		copied("", "received", strings.ReplaceAll(in, "juliet@", "nurse@")) // not to us
		copied("", "sent", in)                                              // not by us
		copied("", "sent", strings.ReplaceAll(out, "message", "presence"))
		copied("", "sent", "")
		copied("", "sent", out+out)
		copied("", "sent", strings.Replace(out, "juliet@example.org", "@", 1))
		synctest.Wait()
		if want := []string{"received in", "sent out"}; !slices.Equal(got, want) {
			t.Errorf("believed %q, want %q", got, want)
		}
		if len(l.heard) > 0 {
			t.Errorf("a copy was taken for a message: %v", <-l.heard)
		}
		p.Drop() // a session that is resumed has them already, a new one asks again
		p = l.Accept()
		p.Expect("<resume .*")
		p.Say("<failed xmlns='urn:xmpp:sm:3'/>")
		p.Session("s2")
		p.Expect("<iq id='[^']+' type='set'><enable xmlns='urn:xmpp:carbons:2'/></iq>")
		go func() { _ = p.End() }()
	})
}
