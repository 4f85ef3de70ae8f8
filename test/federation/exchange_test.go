// SPDX-License-Identifier: Apache-2.0

//go:build linux

package federation

import (
	"bufio"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stonechat-im/stonechat/test/conformance"
)

// How to read this file: pairs is the table of who talks to whom, and by which proof; every script is played for each,
// once with the one and once with the other as the server of Romeo.

// proof is how the two servers prove to each other who they are.
type proof struct {
	name string
	a, b setting
}

var (
	external    = proof{name: "EXTERNAL"}
	dialback    = proof{name: "dialback", a: setting{certificate: untrusted, lenient: true}, b: setting{certificate: untrusted, lenient: true}}
	publicCerts = proof{name: "serverAuth-only", a: setting{certificate: forServer, lenient: true}, b: setting{certificate: forServer, lenient: true}}
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
		all = append(all, exchange{stonechat(), prosody(), p, ""}, exchange{stonechat(), ejabberd(), p, ""})
	}
	for _, p := range []proof{external, dialback} {
		all = append(all, exchange{stonechat(), stonechat(), p, ""})
	}
	return all
}

// TestExchanges plays the scripts between two servers.
func TestExchanges(t *testing.T) {
	allowed := readAllowed(t)
	scripts, first := load(t, "scripts/*.txt"), load(t, "scripts-first/*.txt")[0]
	ours := load(t, "../conformance/scripts/domains-[^p]*.txt")
	for _, x := range exchanges() {
		t.Run(x.a.name+"-"+x.b.name+"-"+x.proof.name, func(t *testing.T) {
			t.Parallel()
			b := newBed(t)
			one := b.add(x.a, "verona.example", x.proof.a)
			two := b.add(x.b, "mantua.example", x.proof.b)
			b.names.server("dead.example", loopback()) // nobody listens there
			b.start()
			// The first of each direction goes alone. With many at once before there is a connection Prosody makes two and closes
			// one, and now and then a first request is not answered; on whose side it is lost is not known yet.
			for _, server := range []*conformance.Server{pair(one, two), pair(two, one)} {
				if dialogue, err := first.Play(server, conformance.Transports()[0]); err != nil {
					t.Fatalf("%v\n%s", err, strings.Join(dialogue, "\n"))
				}
			}
			for _, way := range []struct{ near, far *server }{{one, two}, {two, one}} {
				played := scripts
				if x.a.name == x.b.name {
					played = append(played, ours...) // what they say of one server of two domains is stricter than what is the same everywhere
				}
				for _, s := range played {
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
