// SPDX-License-Identifier: Apache-2.0

package stream_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/sasl"
	"github.com/stonechat-im/stonechat/xmpp/stream"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

func TestServerScripts(t *testing.T) {
	playAll(t, "testdata/server/*.txt", func(t *testing.T, s *script, cut bool) {
		server := newServer(s)
		(&player{t: t, m: server, in: 'C', cut: cut, framed: s.has("framed"), act: actServer}).play(s)
	})
}

// accounts are the credentials of scripts.
var accounts = map[string]string{"romeo@example.org": "pencil", "juliet@example.org": "rose"}

// keysOf derives the keys of an account, once.
var keysOf = func() func(account string) []sasl.Key {
	var mu sync.Mutex
	known := map[string][]sasl.Key{}
	return func(account string) []sasl.Key {
		mu.Lock()
		defer mu.Unlock()
		if keys, ok := known[account]; ok {
			return keys
		}
		password, ok := accounts[account]
		if !ok {
			return nil
		}
		keys, err := sasl.DeriveKeys(password, sasl.MinIterations, zeros{})
		if err != nil {
			panic(err)
		}
		known[account] = keys
		return keys
	}
}()

// serverConfig makes a configuration of these words of `with:`.
func serverConfig(s *script) *stream.ServerConfig {
	c := &stream.ServerConfig{
		Serves: func(domain string) bool { return domain == "example.org" || domain == "example.net" },
		TLS:    !s.has("no-tls"), TLSRequired: !s.has("tls-optional") && !s.has("no-tls"),
		Framed: s.has("framed"),
		SASL:   sasl.ServerConfig{Secret: make([]byte, 32), Iterations: sasl.MinIterations, Plain: true, Rand: zeros{}},
		Rand:   zeros{},
	}
	if s.has("default-domain") {
		c.DefaultDomain = "example.org"
	}
	if s.has("anonymous") {
		c.Anonymous = func(domain string) bool { return domain == "example.org" }
	}
	if s.has("one-failure") {
		c.MaxFailures = 1
	}
	if s.has("small") {
		c.BeforeLogin = xmlstream.Limits{ElementBytes: 500, Depth: 4, Attributes: 8, Children: 20}
		c.AfterLogin = xmlstream.Limits{ElementBytes: 1000, Depth: 6, Attributes: 8, Children: 40}
	}
	if s.has("german") {
		c.Lang = "de"
	}
	if s.has("broken-secret") {
		c.SASL.Secret = nil
	}
	if s.has("register-anywhere") {
		c.Features = func(_ *stream.Server, dst []byte) []byte {
			return append(dst, "<register xmlns='http://jabber.org/features/iq-register'/>"...)
		}
		c.Admit = func(*stream.Server, *xmlstream.Element) bool { return true }
	}
	if s.has("register") {
		c.Features = func(s *stream.Server, dst []byte) []byte {
			switch s.State() {
			case stream.Secured:
				return append(dst, "<register xmlns='http://jabber.org/features/iq-register'/>"...)
			case stream.Authenticated:
				return append(dst, "<sm xmlns='urn:xmpp:sm:3'/>"...)
			}
			return dst
		}
		c.Admit = func(s *stream.Server, e *xmlstream.Element) bool {
			return s.State() == stream.Authenticated ||
				s.State() == stream.Secured && string(e.Local) == "iq" &&
					len(e.Children) == 1 && string(e.Children[0].Space) == "jabber:iq:register"
		}
	}
	return c
}

// newServer makes the machine of a script. What `with:` may say: direct (TLS is on
// from the start), certified (and romeo's certificate is verified), bindings (and may be bound to), login (romeo is logged in), bound
// (to romeo@example.org/orchard), and the words of serverConfig.
func newServer(s *script) *stream.Server {
	m := stream.NewServer(serverConfig(s), start)
	switch {
	case s.has("bindings"):
		m.TLSStarted([]sasl.ChannelBinding{
			{Type: sasl.TLSExporter, Data: []byte("exported")},
			{Type: sasl.TLSServerEndPoint, Data: []byte("hashed")},
		})
	case s.has("certified"):
		m.Certified([]jid.JID{jid.MustParse("nurse@example.org")}) // too early: nothing is secured
		m.TLSStarted(nil)
		m.Certified([]jid.JID{jid.MustParse("romeo@example.org"), jid.MustParse("romeo@example.com")})
	case s.has("direct") || s.has("login") || s.has("bound"):
		m.TLSStarted(nil)
	}
	if !s.has("login") && !s.has("bound") {
		return m
	}
	open := "{open}"
	if s.has("framed") {
		open = "<open xmlns='{framing}' to='example.org' version='1.0'/>"
	}
	say := func(text string) {
		m.Feed([]byte(expand(text)))
		for e := m.Next(); e.Kind != stream.None; e = m.Next() {
			switch e.Kind {
			case stream.Lookup:
				m.Resolve(keysOf(e.JID.String()), nil)
			case stream.Bind:
				m.Bind(e.JID)
			}
		}
	}
	say(open)
	// By SCRAM, which costs the server next to nothing, and a nonce of zeros.
	say("<auth xmlns='{sasl}' mechanism='SCRAM-SHA-1'>{b64 n,,n=romeo,r=abc}</auth>")
	say("<response xmlns='{sasl}'>{b64 c=biws,r=abcAAAAAAAAAAAAAAAAAAAAAAAA,p=2mivy7d/V0wYuq0RNKUaZsJBn6Y=}</response>")
	say(open)
	if s.has("bound") {
		say("<iq xmlns='jabber:client' type='set' id='b'><bind xmlns='{bind}'><resource>orchard</resource></bind></iq>")
	}
	for m.Out() != nil {
	}
	return m
}

// actServer is what the caller of a server does in a script.
func actServer(p *player, word, rest string) {
	s := p.m.(*stream.Server)
	switch word {
	case "tls":
		s.TLSStarted(nil)
	case "resolve": // the keys of an account
		s.Resolve(keysOf(rest), nil)
	case "disabled":
		s.Resolve(keysOf(rest), sasl.ErrDisabled)
	case "limited": // too many have tried
		s.Resolve(nil, &sasl.Failure{Condition: sasl.TemporaryAuthFailure, Text: "later"})
	case "broken": // the store is
		s.Resolve(nil, errStore)
	case "bind":
		s.Bind(jid.MustParse(rest))
	case "refuse":
		s.RefuseBind([]byte("<error type='cancel'><" + rest + " xmlns='" + stanzasNS + "'/></error>"))
	case "resume":
		s.Resume(jid.MustParse(rest))
	case "is": // what the machine reports
		got := strings.Join([]string{stateNames[s.State()], s.JID().String(), s.Domain(), s.Lang()}, " ")
		if strings.TrimSpace(got) != rest {
			p.t.Fatalf("it is %q, want %q", got, rest)
		}
	default:
		actAny(p, word, rest)
	}
}

var stateNames = [...]string{"negotiating", "secured", "authenticated", "bound", "closed"}

var errStore = errors.New("the disk is on fire")

// actAny is what the caller of either side does.
func actAny(p *player, word, rest string) {
	switch word {
	case "close":
		if rest == "" {
			p.m.Close(nil, start)
			return
		}
		p.m.Close(streamError(rest), start)
	case "expire": // this long after the start
		p.m.Expire(start.Add(mustDuration(rest)))
	case "deadline":
		want := time.Time{}
		if rest != "never" {
			want = start.Add(mustDuration(rest))
		}
		if got := p.m.Deadline(); !got.Equal(want) {
			p.t.Fatalf("deadline is %v, want %v", got, want)
		}
	default:
		p.t.Fatalf("unknown act %q", word)
	}
}

// The caller pauses in the middle of what it has fed, and its buffer is used again.
func TestKeep(t *testing.T) {
	s := newServer(&script{with: []string{"bound"}})
	buf := []byte("<message id='1'/><message id='2'/><message")
	s.Feed(buf)
	next := func(want string) {
		t.Helper()
		if e := s.Next(); describe(e) != want {
			t.Fatalf("got %s, want %s", describe(e), want)
		}
	}
	next("Element <message id='1'/>")
	s.Keep()
	for i := range buf {
		buf[i] = '~'
	}
	next("Element <message id='2'/>")
	if s.Started() {
		t.Error("started, between two elements")
	}
	next("None")
	if !s.Started() {
		t.Error("not started, within an element")
	}
	s.Feed([]byte(" id='3'/>"))
	next("Element <message id='3'/>")
}

// What is costly in comparing a password may be done before Resolve and elsewhere; proofs have nothing that is.
func TestPrepare(t *testing.T) {
	for mechanism, costly := range map[string]bool{
		"<auth xmlns='{sasl}' mechanism='PLAIN'>{b64 \\0romeo\\0pencil}</auth>":             true,
		"<auth xmlns='{sasl}' mechanism='SCRAM-SHA-256'>{b64 n,,n=romeo,r=abcdefgh}</auth>": false,
	} {
		s := newServer(&script{with: []string{"direct"}})
		if s.Prepare() != nil {
			t.Error("there is something to prepare before a login")
		}
		s.Feed([]byte(expand("{open}" + mechanism)))
		e := s.Next()
		if e.Kind != stream.Lookup {
			t.Fatalf("%s: %s", mechanism, describe(e))
		}
		prepare := s.Prepare()
		if (prepare != nil) != costly {
			t.Errorf("%s: costly is %v", mechanism, prepare != nil)
		}
		if !costly {
			continue
		}
		done := make(chan struct{})
		go func() {
			prepare(keysOf(e.JID.String()))
			close(done)
		}()
		s.Expire(start) // beside it
		<-done
		s.Resolve(nil, nil) // its outcome counts
		if e := s.Next(); e.Kind != stream.Login {
			t.Errorf("%s: %s", mechanism, describe(e))
		}
	}
}
