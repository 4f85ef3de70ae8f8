// SPDX-License-Identifier: Apache-2.0

//go:build linux

package scenario

// How to read this file: things come from the factory with a token, and no account. relay is between a thing and the server, and keeps
// from the thing that its account is made.

import (
	"context"
	"encoding/json"
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/thing"
)

// token makes a token, and returns it and its id.
func (s *server) token(args ...string) (text, id string) {
	s.t.Helper()
	var answer struct{ Token, ID string }
	if err := json.Unmarshal([]byte(s.command(append([]string{"thing", "token", "add", "--json"}, args...)...)), &answer); err != nil || answer.Token == "" {
		s.t.Fatalf("no token: %v", err)
	}
	return answer.Token, answer.ID
}

// issued is what the server knows of a token.
type issued struct {
	ID    string
	Used  int
	Spent string // why it is of no use any more
}

func (s *server) issued(id string) issued {
	s.t.Helper()
	for line := range strings.Lines(s.command("thing", "token", "list", "--json")) {
		var x issued
		if err := json.Unmarshal([]byte(line), &x); err == nil && x.ID == id {
			return x
		}
	}
	s.t.Fatalf("there is no token %s", id)
	return issued{}
}

// used is how often a token was used.
func (s *server) used(id string) int { s.t.Helper(); return s.issued(id).Used }

// unboxed is the environment of a thing that has a token and no password.
func (s *server) unboxed(own, token string) []string {
	return []string{"STONECHAT_JID=" + own, "STONECHAT_ADDRESS=" + s.address, "STONECHAT_CA=" + s.authority(), "STONECHAT_TOKEN=" + token,
		"STONECHAT_STATE=" + filepath.Join(s.folder, strings.Split(own, "@")[0])}
}

// switchOn starts such a thing.
func (s *server) switchOn(own, token string) *process {
	s.t.Helper()
	return execute(s.t, own, s.unboxed(own, token), "thing", "run", "--sine", "18,24,1h", "--field", "temperature", "--unit", "Cel", "--every", "1s")
}

// givesUp waits until a process has ended by itself, and says why.
func (p *process) givesUp(why string) {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(patience):
		p.t.Fatalf("%s does not give up", p.name)
	}
	if said := p.stderr.String(); p.cmd.ProcessState.Success() || !strings.Contains(said, why) {
		p.t.Errorf("%s ended with %s and said %q", p.name, p.cmd.ProcessState, said)
	}
}

// unlucky is a thing that speaks in the clear, so that the relay understands its server.
func unlucky() {
	c, err := thing.Environment()
	must(err)
	c.Client.WithoutTLS = true
	must(thing.Run(context.Background(), c))
}

// relay passes a connection on, and says when it has kept back the second answer of the server, and all behind it: the first is that to the
// token.
func (s *server) relay() (address string, kept <-chan struct{}) {
	s.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = l.Close() })
	done := make(chan struct{})
	go func() {
		thing, err := l.Accept()
		if err != nil {
			return
		}
		defer thing.Close()
		server, err := net.Dial("tcp", s.address)
		if err != nil {
			return
		}
		defer server.Close()
		go func() {
			for b := make([]byte, 4096); ; {
				n, err := thing.Read(b)
				if err != nil {
					return
				}
				_, _ = server.Write(b[:n])
			}
		}()
		answers := 0
		for b := make([]byte, 64<<10); answers < 2; {
			n, err := server.Read(b)
			if err != nil {
				return
			}
			text := string(b[:n])
			if answers += strings.Count(text, "type='result'"); answers < 2 {
				_, _ = thing.Write([]byte(strings.Replace(text, "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", "", 1)))
			}
		}
		close(done)
		<-s.t.Context().Done()
	}()
	return l.Addr().String(), done
}

// TestFactoryToken: a thing makes its account by a token at its first start, and by nothing at its second; also when it was killed before it
// heard that the account was made, by the last use of the token. A token that does not do makes none, and the thing says so.
func TestFactoryToken(t *testing.T) {
	s := start(t, options{more: "registration: invite\nallow_plaintext: true\n"})
	juliet := s.person(s.account("juliet"))
	token, id := s.token("--uses", "2", "--group", "hall 1")

	lamp := s.switchOn("lamp1@home.test", token)
	juliet.asks(service, "claim "+lamp.expect("^IoTDisco;.*")[0], "is yours")
	juliet.hears("lamp1@home.test", `temperature \d`)
	count(t, "uses of the token at the first start", s.used(id), 1)
	if list := s.command("thing", "list", "--group", "hall 1"); !strings.Contains(list, "lamp1@home.test") {
		t.Errorf("in the group of the token is %q", list)
	}
	lamp.end(syscall.SIGTERM)
	juliet.hears("lamp1@home.test", "presence unavailable")
	s.switchOn("lamp1@home.test", token)
	juliet.hears("lamp1@home.test", "presence normal")
	juliet.hears("lamp1@home.test", `temperature \d`)
	count(t, "uses of the token at the second start", s.used(id), 1)

	// Killed between the use and its news: the account is there, and the token has no use left.
	last, lastID := s.token("--uses", "1")
	through, kept := s.relay()
	victim := runProgram(t, "unlucky", append(s.unboxed("lamp2@home.test", last), "STONECHAT_ADDRESS="+through)...)
	select {
	case <-kept:
	case <-victim.ended:
		t.Fatalf("it has ended: %s", victim.stderr.String())
	case <-time.After(patience):
		t.Fatal("the account is not made")
	}
	victim.end(syscall.SIGKILL)
	count(t, "uses of the other token", s.used(lastID), 1)
	again := s.switchOn("lamp2@home.test", last)
	juliet.asks(service, "claim "+again.expect("^IoTDisco;.*")[0], "is yours")
	juliet.hears("lamp2@home.test", `temperature \d`)
	count(t, "uses of the other token, after the second start", s.used(lastID), 1)

	// Refused, and said so.
	expired, old := s.token("--uses", "1", "--expires", "1s")
	until(t, "the end of a token", func() bool { return s.issued(old).Spent != "" })
	revoked, gone := s.token("--uses", "1")
	s.command("thing", "token", "revoke", gone)
	for what, token := range map[string]string{"used up": last, "expired": expired, "revoked": revoked, "wrong": "WRONG"} {
		s.switchOn("lamp3@home.test", token).givesUp("its account is not made")
		if out, err := s.try("thing", "info", "lamp3@home.test"); err == nil {
			t.Errorf("%s: an account is made: %s", what, out)
		}
	}
	taken := s.account("lamp4")
	s.switchOn(taken, token).givesUp("its account is not made")
	count(t, "uses of the token for an account that somebody has", s.used(id), 1)
}
