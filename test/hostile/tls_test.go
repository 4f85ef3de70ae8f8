// SPDX-License-Identifier: Apache-2.0

//go:build linux

package hostile

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/stream"
)

// How to read this file: what somebody does to STARTTLS, to a handshake, to TLS that is up; then what stands between.

const startTLS = "<starttls xmlns='" + stream.NSTLS + "'/>"

func tlsAttacks() []attack {
	const noHandshake = "c2s_gone{handshake} 1"
	return []attack{
		{"a header behind <starttls/>", behindStartTLS(header), "c2s_stream_errors{policy-violation} 1"},
		{"a login behind <starttls/>", behindStartTLS("<auth xmlns='" + stream.NSSASL + "' mechanism='PLAIN'>AHJvbWVvAHBlbmNpbA==</auth>"),
			"c2s_stream_errors{policy-violation} 1"},
		{"white space behind <starttls/>", func(t *testing.T, s *server) {
			// It means nothing, and some clients send it.
			p := dial(t, s.plain, "")
			p.open()
			p.send(startTLS + "\n")
			p.expect(stream.NSTLS, "proceed")
			p.handshake()
			p.open()
			p.authenticate("mallory")
			p.close()
		}, ""},
		{"<starttls/> within TLS", func(t *testing.T, s *server) {
			// RFC 6120 §5.4.2.2: <failure/>, and the stream ends.
			p := s.secure(t, "")
			p.send(startTLS)
			p.expect(stream.NSTLS, "failure")
			p.over()
		}, ""},
		{"a login before TLS", func(t *testing.T, s *server) {
			p := dial(t, s.plain, "")
			p.open()
			if strings.Contains(p.features, "mechanism") {
				t.Error("logins are offered in the clear")
			}
			p.sasl("auth", " mechanism='PLAIN'", []byte("\x00mallory\x00"+password))
			p.fails("encryption-required") // RFC 6120 §6.5.4
			p.startTLS()                   // the stream is usable
			p.open()
			p.authenticate("mallory")
			p.close()
		}, "c2s_logins{encryption-required} 1"},
		{"garbage in place of a handshake", handshake("this is not a handshake, is it?"), noHandshake},
		{"HTTP in place of a handshake", handshake("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"), noHandshake},
		{"XML in place of a handshake", handshake(header), noHandshake},
		{"a record that is too large", handshake("\x16\x03\x01\xff\xff" + strings.Repeat("x", 70_000)), noHandshake},
		{"an alert in place of a handshake", handshake("\x15\x03\x01\x00\x02\x02\x28"), noHandshake},
		{"many alerts that are only warnings", handshake(strings.Repeat("\x15\x03\x01\x00\x02\x01\x5a", 1000)), noHandshake},
		{"an empty hello", handshake("\x16\x03\x01\x00\x04\x01\x00\x00\x00"), noHandshake},
		{"garbage behind <proceed/>", func(t *testing.T, s *server) {
			p := dial(t, s.plain, "")
			p.open()
			p.send(startTLS)
			p.expect(stream.NSTLS, "proceed")
			p.send(header)
			dead(t, p)
		}, noHandshake},
		{"a hello and an alert", func(t *testing.T, s *server) {
			p := dial(t, s.tls, "")
			p.send(hello(t, tls.VersionTLS12) + "\x15\x03\x01\x00\x02\x02\x50")
			dead(t, p)
		}, noHandshake},
		{"a hello and the end of what is sent", func(t *testing.T, s *server) {
			p := dial(t, s.tls, "")
			p.send(hello(t, tls.VersionTLS13))
			_ = p.tcp.CloseWrite()
			dead(t, p)
		}, noHandshake},
		{"TLS of the last century", func(t *testing.T, s *server) {
			// RFC 7590 §3: no TLS below 1.2.
			p := dial(t, s.tls, "")
			err := tls.Client(p.conn, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}).Handshake()
			if err == nil || !strings.Contains(err.Error(), "protocol version") {
				t.Errorf("TLS 1.1: %v", err)
			}
		}, noHandshake},
		{"a record that is none, within a session", within("\x17\x03\x03\x00\x20this record was never encrypted!"), "c2s_gone{broken} 1"},
		{"plain text within TLS", within("<message to='romeo@localhost'/>"), "c2s_gone{broken} 1"},
		{"an alert in the clear, within a session", within("\x15\x03\x03\x00\x02\x02\x28"), "c2s_gone{broken} 1"},
		{"a hello in the clear, within a session", func(t *testing.T, s *server) {
			within(hello(t, tls.VersionTLS12))(t, s)
		}, "c2s_gone{broken} 1"},
		{"renegotiation", renegotiate, "c2s_gone{broken} 1"},
	}
}

// behindStartTLS is what comes with <starttls/> in the clear, perhaps from somebody on the way: it is not obeyed, neither
// now nor within TLS. No rule names an error; nobody honest does it.
func behindStartTLS(more string) func(*testing.T, *server) {
	return func(t *testing.T, s *server) {
		p := dial(t, s.plain, "")
		p.open()
		p.send(startTLS + more)
		p.ends("policy-violation")
	}
}

// handshake is what comes where a handshake should: the connection ends, soon, and nothing is said but an alert.
func handshake(in string) func(*testing.T, *server) {
	return func(t *testing.T, s *server) {
		p := dial(t, s.tls, "")
		p.send(in)
		if got := dead(t, p); len(got) > 0 && got[0] != 0x15 {
			t.Errorf("it is answered by %q", got)
		}
	}
}

// dead reads the bare connection to its end.
func dead(t *testing.T, p *peer) []byte {
	t.Helper()
	p.wait(patience)
	got, err := io.ReadAll(p.tcp)
	if e := net.Error(nil); errors.As(err, &e) && e.Timeout() {
		t.Fatalf("the connection lives, after %q", got)
	}
	return got
}

// within puts bytes of its own into a session's connection, below TLS. That ends it as a broken network does; the session
// was not to be resumed, and the account may log in again.
func within(in string) func(*testing.T, *server) {
	return func(t *testing.T, s *server) {
		p := s.session(t, "mallory")
		_, _ = io.WriteString(p.tcp, in)
		dead(t, p)
		s.session(t, "mallory").close()
	}
}

// hello is a ClientHello.
func hello(t *testing.T, version uint16) string {
	t.Helper()
	ours, theirs := net.Pipe()
	defer theirs.Close()
	go func() {
		_ = tls.Client(ours, &tls.Config{ServerName: domain, InsecureSkipVerify: true, MaxVersion: version}).Handshake()
		_ = ours.Close()
	}()
	b := make([]byte, 10_000)
	n, err := theirs.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(b[:n])
}

// renegotiate has openssl ask for another handshake within TLS 1.2, which a client of Go cannot. The server knows none
// (RFC 5246 §7.2.2): what a login is bound to stays what it was.
func renegotiate(t *testing.T, s *server) {
	path, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("SKIPPED: openssl is not installed (Debian package openssl)")
	}
	c := exec.Command(path, "s_client", "-connect", s.tls, "-tls1_2")
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	c.Stdout, c.Stderr = &out, &out
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(in, "R\n")
	ended := make(chan struct{})
	go func() {
		_ = c.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(patience):
		_ = c.Process.Kill()
		<-ended
		t.Error("the connection lives")
	}
	if text := out.String(); !strings.Contains(text, "RENEGOTIATING") || !strings.Contains(text, "no renegotiation") && !strings.Contains(text, "unexpected message") {
		t.Errorf("openssl says\n%s", text)
	}
	_ = in.Close()
}
