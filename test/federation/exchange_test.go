// SPDX-License-Identifier: Apache-2.0

//go:build linux

package federation

import (
	"bufio"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stonechat-im/stonechat/test/conformance"
	"github.com/stonechat-im/stonechat/test/program"
)

// How to read this file: pairs is the table of who talks to whom, and by which proof; every script is played for each,
// once with the one and once with the other as the server of Romeo.

// proof is how the two servers prove to each other who they are.
type proof struct {
	name    string
	a, b    setting
	in, out string // what the judged server says of it, of those who come and of those whom it calls
	direct  bool   // TLS from the first byte is the only way to each of them
}

var (
	external    = proof{name: "EXTERNAL", in: "EXTERNAL", out: "EXTERNAL"}
	directTLS   = proof{name: "direct TLS", in: "EXTERNAL", out: "EXTERNAL", direct: true}
	dialback    = proof{name: "dialback", a: setting{certificate: untrusted, lenient: true}, b: setting{certificate: untrusted, lenient: true}, in: "dialback", out: "dialback"}
	publicCerts = proof{name: "serverAuth-only", a: setting{certificate: forServer, lenient: true}, b: setting{certificate: forServer, lenient: true}, in: "EXTERNAL", out: "EXTERNAL"}
	// ejabberd takes no certificate from a caller that is not for clients: there our calls fall back.
	publicCertsEjabberd = proof{name: publicCerts.name, a: publicCerts.a, b: publicCerts.b, in: "EXTERNAL", out: "dialback"}
)

type exchange struct {
	a, b  software
	proof proof
	only  string // a pattern of scripts; empty: all
}

// exchanges begins with two that show that the bed is right: of scripts that others pass with each other.
func exchanges() (all []exchange) {
	for _, p := range []proof{external, dialback} {
		all = append(all, exchange{prosody(), ejabberd(), p, "[mr][eo][sqo]*"}) // messages, requests, room…
	}
	for _, p := range []proof{external, dialback, publicCerts} {
		all = append(all, exchange{stonechat(), prosody(), p, ""})
	}
	for _, p := range []proof{external, dialback, publicCertsEjabberd} {
		all = append(all, exchange{stonechat(), ejabberd(), p, ""})
	}
	for _, p := range []proof{external, dialback} {
		all = append(all, exchange{stonechat(), stonechat(), p, ""})
	}
	for _, peer := range []software{prosody(), ejabberd()} {
		all = append(all, exchange{stonechat(), peer, directTLS, "messages"})
	}
	return all
}

// TestExchanges plays the scripts between two servers.
func TestExchanges(t *testing.T) {
	allowed := readAllowed(t)
	scripts := load(t, "scripts/*.txt")
	for _, x := range exchanges() {
		t.Run(x.a.name+"-"+x.b.name+"-"+x.proof.name, func(t *testing.T) {
			t.Parallel()
			b := newBed(t)
			b.names.direct = x.proof.direct
			one := b.add(x.a, "verona.example", x.proof.a)
			two := b.add(x.b, "mantua.example", x.proof.b)
			b.names.server("dead.example", program.Loopback()) // nobody listens there
			b.start()
			t.Cleanup(func() { // when all scripts have been played
				for _, s := range b.servers {
					s.judgeProof(x.proof, x.a.name == x.b.name)
				}
			})
			for _, way := range []struct{ near, far *server }{{one, two}, {two, one}} {
				for _, s := range scripts {
					if fits, _ := path.Match(x.only, s.Name); !fits && x.only != "" {
						continue
					}
					name := way.near.name + " to " + way.far.name + " " + s.Name
					t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
						reason, expected := allowed.reason(way.near.name, way.far.name, x.proof.name, s.Name)
						judge(t, s, pair(way.near, way.far), reason, expected)
					})
				}
			}
		})
	}
}

var verified = regexp.MustCompile(`(?m)"?server verified"? direction=(in|out) by=(\w+) peer=(\S+)`)

// judgeProof reads in our log how others have proved who they are, and we to them. Between two of ours stanzas are
// counted (XEP-0198).
func (s *server) judgeProof(p proof, bothOurs bool) {
	s.bed.t.Helper()
	if s.name != "stonechat" {
		return
	}
	log := s.log()
	count := map[string]int{}
	for _, m := range verified.FindAllStringSubmatch(log, -1) {
		good := p.in
		if m[1] == "out" {
			good = p.out
		}
		if m[2] != good {
			s.bed.t.Errorf("%s: direction %s, peer %s, by %s; want %s", s.domain, m[1], m[3], m[2], good)
		}
		count[m[1]+" by "+m[2]]++
	}
	s.bed.t.Logf("%s: pairs of domains verified: %v", s.domain, count)
	if len(count) == 0 {
		s.bed.t.Errorf("%s: nobody has proved who he is", s.domain)
	}
	if bothOurs && !strings.Contains(log, "stanzas are counted") {
		s.bed.t.Errorf("%s: no stream management", s.domain)
	}
}

func judge(t *testing.T, s *conformance.Script, server *conformance.Server, reason string, expected bool) {
	t.Parallel()
	dialogue, err := s.Play(server, conformance.Transports()[0])
	if testing.Verbose() {
		t.Log("\n" + strings.Join(dialogue, "\n"))
	}
	switch {
	case err != nil && !expected:
		t.Error(err)
	case err != nil:
		t.Logf("allowed to fail: %s\n%v", reason, err)
	case expected:
		t.Errorf("passes, though allowed.txt expects it to fail: %s", reason)
	}
}

// load reads scripts.
func load(t *testing.T, pattern string) (scripts []*conformance.Script) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || files == nil {
		t.Fatalf("no scripts: %s %v", pattern, err)
	}
	for _, file := range files {
		s, err := conformance.Load(file)
		if err != nil {
			t.Fatal(err)
		}
		scripts = append(scripts, s)
	}
	return scripts
}

// exceptions are what allowed.txt says that a pair may fail: "near far proof script: reason", each of the first four may be a
// pattern.
type exceptions map[string]string

func (e exceptions) reason(words ...string) (string, bool) {
	for pattern, reason := range e {
		fields := strings.Fields(pattern)
		fits := true
		for i, word := range words {
			ok, _ := path.Match(fields[i], word) // the patterns were tried when they were read
			fits = fits && ok
		}
		if fits {
			return reason, true
		}
	}
	return "", false
}

func readAllowed(t *testing.T) exceptions {
	t.Helper()
	file, err := os.Open("allowed.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	all := exceptions{}
	for lines := bufio.NewScanner(file); lines.Scan(); {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		key, reason, ok := strings.Cut(line, ": ")
		if _, err := path.Match(key, ""); !ok || err != nil || len(strings.Fields(key)) != 4 {
			t.Fatalf("allowed.txt: %q is not of the form \"near far proof script: reason\"", line)
		}
		all[key] = reason
	}
	return all
}
