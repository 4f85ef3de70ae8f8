// SPDX-License-Identifier: Apache-2.0

//go:build linux

package hostile

import (
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/stream"
)

// How to read this file: what takes its time; then TestFloods, in which thousands do so at once.

func slowAttacks() []attack {
	return []attack{
		{"one byte at a time, until the time for logging in is over", slowLogins,
			"c2s_stream_errors{connection-timeout} 4, component_stream_errors{connection-timeout} 1, c2s_gone{handshake} 2"},
		{"one byte at a time, within a session", func(t *testing.T, s *server) {
			// A slow network is no crime: the stanza arrives.
			to := s.session(t, "iago")
			p := s.session(t, "mallory")
			drip(p.conn, "<message to='"+to.full+"' id='slow'><body>"+strings.Repeat("x", 300)+"</body></message>", 2*time.Millisecond, nil)
			if e := to.read(); !strings.Contains(e.raw, "id='slow'") {
				t.Errorf("read %s", e.raw)
			}
			p.alive()
			p.close()
			to.close()
		}, ""},
		{"one byte at a time, and the end of the connection", func(t *testing.T, s *server) {
			p := s.session(t, "mallory")
			drip(p.conn, "<message to='romeo@localhost'><body>", time.Millisecond, nil)
			p.reset()
			s.session(t, "mallory").close()
		}, ""},
	}
}

// drip writes one byte at a time, until all is written, writing fails or stop is closed.
func drip(w io.Writer, s string, every time.Duration, stop <-chan struct{}) {
	pace := time.NewTicker(every)
	defer pace.Stop()
	for i := range len(s) {
		select {
		case <-stop:
			return
		case <-pace.C:
		}
		if _, err := io.WriteString(w, s[i:i+1]); err != nil {
			return
		}
	}
}

// slowLogins come to nothing in seven places, all at once: each is told connection-timeout where there is a stream to tell
// it on (RFC 6120 §4.9.3.4), none lasts longer than limits.login_timeout, however busy it was.
func slowLogins(t *testing.T, s *server) {
	began := time.Now()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	defer wg.Wait()
	defer close(stop)
	slowly := func(w io.Writer, text string) {
		wg.Go(func() { drip(w, text, 50*time.Millisecond, stop) })
	}
	never := strings.Repeat(" ", 1000)

	silent := dial(t, s.plain, "")
	headers := dial(t, s.plain, "")
	slowly(headers.conn, strings.TrimSuffix(header, ">")+never)
	second := dial(t, s.plain, "")
	second.open()
	slowly(second.conn, "<starttls"+never)
	login := s.secure(t, "")
	slowly(login.conn, "<auth xmlns='"+stream.NSSASL+"' mechanism='PLAIN'>"+base64.StdEncoding.EncodeToString(make([]byte, 1000)))
	noHello := dial(t, s.tls, "")
	slowHello := dial(t, s.tls, "")
	component := dial(t, s.component, "")
	slowly(component.conn, componentHeader+"<handshake>"+never)
	slowly(slowHello.conn, hello(t, tls.VersionTLS13)[:200])

	for _, p := range []*peer{silent, headers, second, login, component} {
		p.ends("connection-timeout")
	}
	for _, p := range []*peer{noHello, slowHello} {
		dead(t, p)
	}
	if took := time.Since(began); took < loginTimeout-time.Second || took > loginTimeout+mayTake {
		t.Errorf("they ended after %v, where %v were allowed", took, loginTimeout)
	}
}

// TestFloods runs with the limits that a server has without configuration, but for what a slow machine needs: time to open
// all connections before the first must have logged in, and to guess before the count of failures has drained.
func TestFloods(t *testing.T) {
	s := start(t, "limits:\n  login_timeout: 5m\n  failed_logins_per_minute: 6\n")
	s.register(t, "mallory")
	s.register(t, "iago")
	by := s.bystanders(t)
	for _, a := range []attack{
		{"1,000 stalled handshakes", stalledHandshakes, "c2s_gone{handshake} 999+, c2s_evicted 1"},
		{"10,000 connections that never log in", neverLogIn, "c2s_dropped 0+, c2s_evicted 0+"},
		{"many passwords guessed at once", guessesAtOnce, "c2s_logins{not-authorized} 1+, c2s_logins{temporary-auth-failure} 0+, c2s_logins_limited 0+"},
		{"a password guessed at", guesses, "c2s_logins{not-authorized} 6, c2s_logins{temporary-auth-failure} 4, c2s_logins_limited 4, " +
			"c2s_stream_errors{policy-violation} 2"},
	} {
		a.run(t, s, by)
	}
}

// soon logs in, from that address, which must take less than a second. A busy machine may take longer once or twice; a
// server that makes a login wait for others always would.
func (s *server) soon(t *testing.T, user, from string) {
	t.Helper()
	var took time.Duration
	for range 3 {
		began := time.Now()
		p := s.secure(t, from)
		p.authenticate(user)
		p.bind("")
		took = time.Since(began)
		t.Logf("a login from %s took %v", from, took.Round(time.Millisecond))
		p.close()
		if took < time.Second {
			return
		}
	}
	t.Errorf("a login from %s takes %v", from, took)
}

// stalledHandshakes stand still at several places; logins beside them do not wait, not even from the same address, and after
// 10 s they are gone.
func stalledHandshakes(t *testing.T, s *server) {
	const n, from = 1000, "127.0.0.2"
	first := hello(t, tls.VersionTLS13)
	peers := make([]*peer, 0, n)
	for i := range n {
		p := dial(t, s.tls, from)
		// Nothing; half a hello; a whole one, whose answer is not read.
		p.send(first[:len(first)*(i%3)/2])
		peers = append(peers, p)
	}
	s.soon(t, "mallory", "127.0.0.1")
	// From the same address it waits until one of those has made no progress for a second, which has to go.
	p := s.secure(t, from)
	p.authenticate("mallory")
	p.bind("")
	p.close()
	for _, p := range peers {
		dead(t, p)
	}
}

// neverLogIn fills what limits.unauthenticated_connections allows, per address and in all.
func neverLogIn(t *testing.T, s *server) {
	const addresses, each = 10, 1150
	before, gone := s.count(t, "c2s_connections"), s.gone(t)
	var all []*peer
	defer func() {
		for _, p := range all {
			p.reset()
		}
	}()
	for a := range addresses {
		for range each {
			p, err := connect(t, s.plain, fmt.Sprintf("127.0.0.%d", 10+a))
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, p)
		}
	}
	for deadline := time.Now().Add(patience); s.count(t, "c2s_connections") < before+len(all); {
		if time.Now().After(deadline) {
			t.Fatal("they are not accepted")
		}
	}
	// For each beyond 10,000 another had to go, of the address with most of them: one that waited, or, where those with a
	// place had made no progress for long enough, one of these.
	if n := s.gone(t) - gone; n < len(all)-10_000 {
		t.Errorf("%d connections had to go, of %d", n, len(all))
	}
	s.soon(t, "mallory", "127.0.0.1")
	places, wait := s.count(t, "c2s_unauthenticated"), s.count(t, "c2s_waiting")
	t.Logf("of %d connections %d are held, and %d wait", len(all), places, wait)
	if n := places + wait; n < 9_000 || n > 10_000 {
		t.Errorf("%d connections are held", n)
	}
}

// gone is how many connections had to go because there were too many.
func (s *server) gone(t *testing.T) int { return s.count(t, "c2s_dropped") + s.count(t, "c2s_evicted") }

// guesses run into limits.failed_logins_per_minute, by address and by account: others log in, from elsewhere, meanwhile; the
// right password does not help the one who guesses.
func guesses(t *testing.T, s *server) {
	const from = "127.0.0.3"
	try := func(user, condition string) {
		t.Helper()
		p := s.secure(t, from)
		p.sasl("auth", " mechanism='PLAIN'", []byte("\x00"+user+"\x00"+password))
		p.fails(condition)
		p.close()
	}
	for range 2 {
		p := s.secure(t, from)
		for range 3 {
			p.sasl("auth", " mechanism='PLAIN'", []byte("\x00mallory\x00wrong"))
			p.fails("not-authorized")
		}
		p.ends("policy-violation")
	}
	try("mallory", "temporary-auth-failure")
	try("iago", "temporary-auth-failure") // the address is full, too
	s.soon(t, "iago", "127.0.0.1")
	other := s.secure(t, "127.0.0.4")
	for range 2 { // so is the account, wherever it is tried from
		other.sasl("auth", " mechanism='PLAIN'", []byte("\x00mallory\x00"+password))
		other.fails("temporary-auth-failure")
	}
	other.close()
}

// guessesAtOnce: to compare a password that was sent as it is costs milliseconds, on purpose. Many at a time must not take the
// processors from those that are logged in.
func guessesAtOnce(t *testing.T, s *server) {
	const n = 400
	peers := make([]*peer, 0, n)
	for range n {
		peers = append(peers, s.secure(t, "127.0.0.5"))
	}
	began := time.Now()
	for i, p := range peers {
		p.sasl("auth", " mechanism='PLAIN'", fmt.Appendf(nil, "\x00nobody%d\x00wrong", i))
	}
	for _, p := range peers {
		if e := p.read(); !e.is(stream.NSSASL, "failure") {
			t.Fatalf("read %s", e.raw)
		}
	}
	t.Logf("%d guesses took %v", n, time.Since(began))
	for _, p := range peers {
		p.close()
	}
}
