// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/stonechat-im/stonechat/client"
	"github.com/stonechat-im/stonechat/internal/testserver"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// How to read these tests: lab runs one in a bubble of its own time, with a client and the
// network between it and the test, which is its server and says and expects every word.

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	juliet = jid.MustParse(testserver.Account)
	romeo  = jid.MustParse("romeo@example.net/orchard")
)

// lab is a client and what is around it.
type lab struct {
	*testing.T
	*testserver.Network
	config client.Config
	*client.Client
	heard chan *stanza.Stanza // messages, by the handler of start
}

// inLab runs a test in a bubble.
func inLab(t *testing.T, o testserver.Options, test func(t *testing.T, l *lab)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := &lab{T: t, Network: testserver.NewNetwork(t, o), heard: make(chan *stanza.Stanza, 5000)}
		l.config = client.Config{
			Account: juliet, Password: testserver.Password, Address: "xmpp.example.org:5222", WithoutTLS: o.TLS == nil,
			Dial: func(ctx context.Context, _, _ string) (net.Conn, error) { return l.Dial(ctx.Done()) },
		}
		if os.Getenv("STONECHAT_TEST_LOG") != "" {
			l.config.Log = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
		}
		defer l.Network.Close()
		defer func() {
			if l.Client != nil {
				_ = l.Client.Close() // what a test has left unacknowledged is its own matter
			}
		}()
		test(t, l)
	})
}

// make makes the client.
func (l *lab) make() {
	l.Helper()
	c, err := client.New(l.config)
	if err != nil {
		l.Fatal(err)
	}
	l.Client = c
	c.Handle(stanza.Message, zero, func(_ context.Context, s *stanza.Stanza) { l.heard <- s })
}

// start makes the client, if it is not made, and gives it a session, which may be resumed as s1.
func (l *lab) start() *testserver.Peer {
	l.Helper()
	if l.Client == nil {
		l.make()
	}
	if err := l.Client.Start(); err != nil {
		l.Fatal(err)
	}
	p := l.Accept()
	p.Session("s1")
	return p
}

// send sends a message with that body.
func (l *lab) send(body string) {
	l.Helper()
	if err := l.Send(l.Context(), stanza.Text(stanza.Chat, romeo, body)); err != nil {
		l.Fatal(err)
	}
}

// message is what send writes, as a pattern.
func message(body string) string {
	return "<message to='romeo@example.net/orchard' id='[^']+' type='chat'><body>" + body + "</body></message>"
}

// delayed is message with a stamp.
func delayed(body string) string {
	return "<message to='romeo@example.net/orchard' id='[^']+' type='chat'><body>" + body +
		"</body><delay xmlns='urn:xmpp:delay' stamp='2000-01-01T[^']+'/></message>"
}

// synced expects that all is acknowledged.
func (l *lab) synced() {
	l.Helper()
	synctest.Wait()
	if n := l.Unacked(); n != 0 {
		l.Errorf("%d stanzas are not acknowledged", n)
	}
}

// Login by each way there is.
func TestLogin(t *testing.T) {
	for _, c := range []struct {
		name string
		o    testserver.Options
	}{
		{"STARTTLS", testserver.Options{}},
		{"direct TLS", testserver.Options{Direct: true}},
		{"without stream management", testserver.Options{NoSM: true}},
	} {
		synctest.Test(t, func(t *testing.T) {
			c.o.TLS = testserver.Certificate(time.Now().Add(time.Hour), testserver.Domain)
			n := testserver.NewNetwork(t, c.o)
			defer n.Close()
			done := make(chan struct{})
			n.Serve(nil, func(p *testserver.Peer) {
				defer close(done)
				p.Session("")
				if !p.Machine.Secure() {
					t.Error("no TLS")
				}
				p.Expect(message("hello"))
				if c.o.NoSM {
					m := p.Expect("<iq to='example.org' id='([^']+)' type='get'><ping xmlns='urn:xmpp:ping'/></iq>")
					p.Say("<iq type='result' id='%s' from='example.org'/>", m[1])
				}
				if err := p.End(); err != nil {
					t.Errorf("%s: the stream ended with %v", c.name, err)
				}
			})
			cl, err := client.Dial(t.Context(), client.Config{
				Account: juliet, Password: testserver.Password, Address: "192.0.2.1:1", DirectTLS: c.o.Direct,
				RootCAs: testserver.Pool(c.o.TLS),
				Dial:    func(ctx context.Context, _, _ string) (net.Conn, error) { return n.Dial(ctx.Done()) },
			})
			if err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			if !cl.Online() || cl.JID().String() != "juliet@example.org/balcony" || cl.Err() != nil {
				t.Errorf("%s: %t, %s, %v", c.name, cl.Online(), cl.JID(), cl.Err())
			}
			if err := cl.Send(t.Context(), stanza.Text(stanza.Chat, romeo, "hello")); err != nil {
				t.Error(err)
			}
			if err := cl.Sync(t.Context()); err != nil {
				t.Error(err)
			}
			if err := cl.Close(); err != nil {
				t.Error(err)
			}
			if cl.Online() || !errors.Is(cl.Err(), client.ErrClosed) {
				t.Errorf("%s: it lives on", c.name)
			}
			if err := cl.Send(t.Context(), stanza.Text(stanza.Chat, romeo, "hello")); !errors.Is(err, client.ErrClosed) {
				t.Errorf("%s: sent after the end: %v", c.name, err)
			}
			<-done
		})
	}
}

// A login that cannot be is an error of Connect.
func TestRefused(t *testing.T) {
	hour := time.Hour
	for _, c := range []struct {
		name   string
		change func(*client.Config)
		o      testserver.Options
		names  []string
		valid  time.Duration
		want   string
	}{
		{name: "wrong password", change: func(c *client.Config) { c.Password = "tybalt" }, want: "not-authorized"},
		{name: "other name", names: []string{"example.net"}, want: "not to be trusted for example.org"},
		{name: "expired", valid: -hour, want: "expired"},
		{name: "unknown authority", change: func(c *client.Config) { c.RootCAs = nil }, want: "unknown authority"},
		{name: "no TLS", o: testserver.Options{Rewrite: func(s string) string {
			return strings.ReplaceAll(s, "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", "")
		}}, want: "no STARTTLS"},
		{name: "only PLAIN", o: testserver.Options{Plain: true, Rewrite: only("PLAIN")}, want: "no usable mechanism"},
		{name: "too weak", change: func(c *client.Config) { c.Mechanism = "SCRAM-SHA-1-PLUS" },
			o: testserver.Options{Rewrite: only("SCRAM-SHA-512")}, want: "downgrade"},
		{name: "strange mechanism", change: func(c *client.Config) { c.Mechanism = "ROT13" }, want: "unknown"},
		{name: "canceled", change: func(c *client.Config) {
			c.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
				<-ctx.Done()
				return nil, context.Cause(ctx)
			}
		}, want: "deadline exceeded"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if c.valid == 0 {
					c.valid = hour
				}
				if c.names == nil {
					c.names = []string{testserver.Domain}
				}
				c.o.TLS = testserver.Certificate(time.Now().Add(c.valid), c.names...)
				n := testserver.NewNetwork(t, c.o)
				defer n.Close()
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				defer cancel()
				config := client.Config{
					Account: juliet, Password: testserver.Password, Address: "192.0.2.1:1", RootCAs: testserver.Pool(c.o.TLS),
					Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
						conn, err := n.Dial(ctx.Done())
						return conn, err
					},
				}
				n.Serve(ctx.Done(), func(p *testserver.Peer) { _ = p.End() })
				if c.change != nil {
					c.change(&config)
				}
				_, err := client.Dial(ctx, config)
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("%v, want %s", err, c.want)
				}
			})
		})
	}
}

// only offers one mechanism.
func only(mechanism string) func(string) string {
	all := regexp.MustCompile("(<sasl-channel-binding.*</sasl-channel-binding>)?(<mechanisms [^>]*>).*</mechanism>")
	return func(s string) string { return all.ReplaceAllString(s, "$2<mechanism>"+mechanism+"</mechanism>") }
}

var zero xmlstream.Name
