// SPDX-License-Identifier: Apache-2.0

//go:build linux

package interop

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// goSendxmpp is a command of Debian's that sends and listens; it shows no presence, so it is no
// person. Its configuration is a file, for passwords on a command line are everybody's.
func goSendxmpp(s *server, name string, at *net.TCPAddr, args ...string) []string {
	s.t.Helper()
	conf := s.t.TempDir() + "/sendxmpprc"
	write(s.t, conf, fmt.Sprintf("username: %s@%s\njserver: %s\npassword: %s\n", name, domain, at, password))
	if at == s.clientTLS {
		args = append([]string{"-t"}, args...)
	}
	return append([]string{"go-sendxmpp", "-f", conf}, args...)
}

// sendOnce has go-sendxmpp say something, and returns what it wrote.
func sendOnce(s *server, trusted *authority, text string, command []string) (string, error) {
	c := exec.CommandContext(s.t.Context(), command[0], command[1:]...)
	c.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.t.TempDir()}, trusted.environment()...)
	c.Stdin, c.WaitDelay = strings.NewReader(text), time.Second
	out, err := c.CombinedOutput()
	return string(out), err
}

// TestGoSendxmpp sends and listens with go-sendxmpp, over STARTTLS and over direct TLS.
func TestGoSendxmpp(t *testing.T) {
	t.Parallel()
	need(t, libstrophe)
	if err := programs("go-sendxmpp"); err != nil {
		t.Skip(err)
	}
	for _, transport := range []string{"starttls", "direct"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			at := s.client
			if transport == "direct" {
				at = s.clientTLS
			}
			juliet := newStrophe(s, s.name("juliet"), s.authority, "starttls")
			juliet.arrive()
			romeo := s.name("romeo")
			const text = `wherefore <art> thou, "Ἰουλιέττα" & 🌹?`
			if out, err := sendOnce(s, s.authority, text, goSendxmpp(s, romeo, at, juliet.own)); err != nil {
				t.Fatalf("it does not send: %v\n%s", err, out)
			}
			juliet.hears(romeo+"@"+domain, text)

			// Who does not trust the server says nothing to it.
			stranger := newAuthority(t)
			if out, err := sendOnce(s, stranger, "to a stranger", goSendxmpp(s, romeo, at, juliet.own)); err == nil {
				t.Errorf("it trusts a stranger's certificate: %s", out)
			}

			// What waited for it, and what comes while it listens.
			juliet.say(romeo+"@"+domain, "too late & yet")
			juliet.settle()
			listening := startAgent(t, "go-sendxmpp", romeo+"@"+domain, s.authority.environment(), goSendxmpp(s, romeo, at, "-l")...)
			heard := func(text string) {
				t.Helper()
				listening.await("no line with "+text, func() bool {
					for _, l := range listening.lines {
						if strings.Contains(l.text, juliet.own) && strings.HasSuffix(l.text, text) {
							return true
						}
					}
					return false
				})
			}
			heard("too late & yet")
			juliet.say(romeo+"@"+domain, text)
			heard(text)
			juliet.heardAll()
			juliet.leave()
		})
	}
}
