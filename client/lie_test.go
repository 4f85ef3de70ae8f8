// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stonechat-im/stonechat/internal/testserver"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/ping"
	"github.com/stonechat-im/stonechat/xmpp/roster"
	"github.com/stonechat-im/stonechat/xmpp/sasl"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// How to read these tests: in each the server, or somebody it lets through, says what is not to
// be believed.

// RFC 6120 §8.2.3, §8.1.2.1: who may answer a request.
func TestAnswers(t *testing.T) {
	const own = "juliet@example.org"
	for _, c := range []struct {
		name, to string
		from     string
		believed bool
	}{
		{"account, no sender", "", "", true},
		{"account, bare", "", own, true},
		{"account, own full address", "", own + "/balcony", false},
		{"account, domain", "", "example.org", false},
		{"account, stranger", "", "romeo@example.net/orchard", false},
		{"bare, no sender", own, "", true},
		{"bare, bare", own, own, true},
		{"bare, another's", own, "nurse@example.org", false},
		{"domain, domain", "example.org", "example.org", true},
		{"domain, no sender", "example.org", "", false},
		{"domain, bare", "example.org", own, false},
		{"full, full", "romeo@example.net/orchard", "romeo@example.net/orchard", true},
		{"full, in other letters", "romeo@example.net/orchard", "ROMEO@Example.NET/orchard", true},
		{"full, other resource", "romeo@example.net/orchard", "romeo@example.net/garden", false},
		{"full, bare", "romeo@example.net/orchard", "romeo@example.net", false},
		{"full, no sender", "romeo@example.net/orchard", "", false},
		{"full, account", "romeo@example.net/orchard", own, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			inLab(t, testserver.Options{}, func(t *testing.T, l *lab) {
				p := l.start()
				var to jid.JID
				if c.to != "" {
					to = jid.MustParse(c.to)
				}
				done := make(chan *stanza.Stanza, 1)
				go func() {
					s, err := l.IQ(t.Context(), to, stanza.Get, &ping.Ping{})
					if err != nil && !strings.Contains(err.Error(), "closed") {
						t.Error(err)
					}
					done <- s
				}()
				id := p.Expect("<iq .*id='([^']+)' type='get'>.*")[1]
				from := ""
				if c.from != "" {
					from = " from='" + c.from + "'"
				}
				p.Say("<iq%s id='not-%s' type='result'/>", from, id)
				p.Say("<iq%s id='%s' type='result'/>", from, id)
				synctest.Wait()
				select {
				case s := <-done:
					if !c.believed {
						t.Errorf("believed: %v", s)
					}
				default:
					if c.believed {
						t.Error("not believed")
					}
				}
				go func() { _ = p.End() }()
			})
		})
	}
}

// RFC 6121 §2.1.6: a push is the account's own.
func TestRosterPush(t *testing.T) {
	inLab(t, testserver.Options{}, func(t *testing.T, l *lab) {
		l.make()
		var got []roster.Item
		l.HandleRoster(func(_ context.Context, i roster.Item) { got = append(got, i) })
		p := l.start()
		const push = "<iq %s id='push' type='set'><query xmlns='jabber:iq:roster'>%s</query></iq>"
		for _, from := range []string{"", "from='juliet@example.org'"} {
			p.Say(push, from, "<item jid='nurse@example.org' subscription='both'/>")
			p.Expect("<iq .*id='push' type='result'/>")
		}
		if len(got) != 2 || got[0].JID != jid.MustParse("nurse@example.org") || got[0].Subscription != roster.Both {
			t.Errorf("pushed: %v", got)
		}
		for _, from := range []string{"example.org", "juliet@example.org/balcony", "juliet@example.org/other",
			"nurse@example.org", "juliet@example.net", "mercutio@example.net/x"} {
			p.Say(push, "from='"+from+"'", "<item jid='mercutio@example.net' subscription='both'/>")
			p.Expect("<iq to='" + from + "' id='push' type='error'>.*<service-unavailable .*")
		}
		p.Say(push, "", "<item jid='a@example.org'/><item jid='b@example.org'/>")
		p.Expect("<iq .*type='error'>.*<bad-request .*")
		p.Say(push, "", "<item jid='@@'/>")
		p.Expect("<iq .*type='error'>.*<jid-malformed .*")
		if len(got) != 2 {
			t.Errorf("believed: %v", got[2:])
		}
		go func() { _ = p.End() }()
	})
}

// Counts that cannot be end the stream, not the client. XEP-0198 §4
func TestImpossibleCounts(t *testing.T) {
	inLab(t, testserver.Options{}, func(t *testing.T, l *lab) {
		p := l.start()
		p.Rest = true
		l.send("one")
		p.Expect(message("one"))
		p.Say("<a xmlns='urn:xmpp:sm:3' h='2'/>")
		if err := p.End(); err == nil || !strings.Contains(err.Error(), "undefined-condition") {
			t.Errorf("the stream ended with %v", err)
		}
		p = l.Accept()
		p.Expect("<resume .*")
		p.Machine.Resume(p.JID)
		p.Say("<resumed xmlns='urn:xmpp:sm:3' previd='s1' h='5'/>")
		_ = p.End()
		p = l.Accept()
		p.Session("s2") // that one is not tried again
		p.Expect(message("one"))
		p.Say("<a xmlns='urn:xmpp:sm:3' h='many'/>")
		if err := p.End(); err == nil || !strings.Contains(err.Error(), "bad-format") {
			t.Errorf("the stream ended with %v", err)
		}
		p = l.Accept()
		p.Resume("s2", 0, 1)
		l.synced()
		go func() { _ = p.End() }()
	})
}

// What is bound, enabled and resumed must be what was asked for.
func TestImpossibleSessions(t *testing.T) {
	inLab(t, testserver.Options{}, func(t *testing.T, l *lab) {
		l.make()
		if err := l.Client.Start(); err != nil {
			t.Fatal(err)
		}
		p := l.Accept()
		p.JID = jid.MustParse("romeo@example.org/x")
		p.Bind()
		if err := p.End(); err == nil || l.Online() {
			t.Error("another account's session is taken")
		}
		p = l.Accept()
		p.Bind()
		p.Expect("<enable .*")
		p.Say("<enabled xmlns='urn:xmpp:sm:3' resume='true'/>") // as what?
		if err := p.End(); err == nil {
			t.Error("a stream to resume without id is taken")
		}
		p = l.Accept()
		p.Session("s1")
		p.Drop()
		p = l.Accept()
		p.Expect("<resume .*")
		p.Say("<resumed xmlns='urn:xmpp:sm:3' previd='s2' h='0'/>")
		if err := p.End(); err == nil {
			t.Error("another session is taken")
		}
		p = l.Accept()
		p.Resume("s1", 0, 0)
		p.Say("<bogus xmlns='urn:x'/>")
		p.Say("<message type='chat' from='@'><body>x</body></message>")
		p.Say("<iq id='1' type='loud'/>")
		p.Say("<iq id='2' type='get' from='romeo@example.net/orchard'/>")
		p.Expect("<iq to='romeo@example.net/orchard' id='2' type='error'>.*<bad-request .*")
		p.Say("<r xmlns='urn:xmpp:sm:3'/>")
		p.Expect("<a xmlns='urn:xmpp:sm:3' h='3'/>") // counted all the same
		go func() { _ = p.End() }()
	})
}

// A login that has used a mechanism is not talked into a weaker one later. XEP-0474
func TestPinned(t *testing.T) {
	inLab(t, testserver.Options{}, func(t *testing.T, l *lab) {
		l.Options.TLS = testserver.Certificate(time.Now().Add(time.Hour), testserver.Domain)
		l.config.RootCAs, l.config.WithoutTLS = testserver.Pool(l.Options.TLS), false
		p := l.start()
		p.Drop()
		l.Options.NoBinding = true
		for range 3 { // it may pass
			if err := l.Accept().End(); err != nil {
				t.Errorf("it logged in: %v", err)
			}
		}
		l.Options.NoBinding = false
		p = l.Accept()
		p.Resume("s1", 0, 0)
		if err := l.Err(); err != nil {
			t.Errorf("it gave up with %v", err)
		}
		go func() { _ = p.End() }()
	})
}

// A server that does not know the password's keys is none of ours.
func TestFalseServer(t *testing.T) {
	keys, err := sasl.DeriveKeys("tybalt", sasl.MinIterations, nil)
	if err != nil {
		t.Fatal(err)
	}
	inLab(t, testserver.Options{Keys: keys, Rewrite: func(s string) string {
		if strings.HasPrefix(s, "<failure ") {
			return "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>dj1ybUY5cHFWOFM3c3VBb1pXamE0ZEpSa0ZzS1E9</success>"
		}
		return s
	}}, func(t *testing.T, l *lab) {
		l.make()
		l.Serve(nil, func(p *testserver.Peer) { _ = p.End() })
		if err := l.Connect(t.Context()); !errors.Is(err, sasl.ErrServer) {
			t.Errorf("logged in with %v", err)
		}
	})
}

// Whoever asks without end, through a server that acknowledges nothing, fills no memory.
func TestUnacknowledgedAnswers(t *testing.T) {
	inLab(t, testserver.Options{}, func(t *testing.T, l *lab) {
		l.config.QueueStanzas = 10
		p := l.start()
		p.Rest = true
		for i := range 100 {
			p.Say("<iq from='romeo@example.net/orchard' id='%d' type='get'><ping xmlns='urn:xmpp:ping'/></iq>", i)
			if i < 20 {
				p.Expect("<iq to='romeo@example.net/orchard' id='.*' type='result'/>")
			}
		}
		synctest.Wait()
		if n := l.Unacked(); n != 20 {
			t.Errorf("%d answers wait", n)
		}
		if n := len(l.heard); n != 0 {
			t.Errorf("%d messages", n)
		}
		p.Ack()
		p.Rest = false
		p.Say("<iq from='romeo@example.net/orchard' id='last' type='get'><ping xmlns='urn:xmpp:ping'/></iq>")
		p.Expect("<iq to='romeo@example.net/orchard' id='last' type='result'/>")
		go func() { _ = p.End() }()
	})
}

// What comes between a bound resource and stream management is bounded too.
func TestEarlyStanzas(t *testing.T) {
	inLab(t, testserver.Options{}, func(t *testing.T, l *lab) {
		l.config.InboxBytes = 100_000
		l.make()
		if err := l.Client.Start(); err != nil {
			t.Fatal(err)
		}
		p := l.Accept()
		p.Bind()
		p.Expect("<enable .*")
		for range 50 {
			p.Say("<message><body>%s</body></message>", strings.Repeat("x", 10_000))
		}
		p.Say("<enabled xmlns='urn:xmpp:sm:3' id='s1' resume='true'/>")
		synctest.Wait()
		if n := len(l.heard); n != 9 {
			t.Errorf("%d messages are taken", n)
		}
		go func() { _ = p.End() }()
	})
}
