// SPDX-License-Identifier: Apache-2.0

//go:build linux

package federation

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stonechat-im/stonechat/test/conformance"
)

// How to read this file: what RFC 6121 says of two people is said by scripts of one server (../conformance/scripts). They are
// played again between two servers of ours, with everybody but Romeo on the other one: the rules do not depend on where somebody
// lives. Scripts of a server of two domains are played as they are.

// TestRules plays them.
func TestRules(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	near := b.add(stonechat(), "verona.example", setting{})
	far := b.add(stonechat(), "mantua.example", setting{})
	b.start()
	for _, pattern := range []string{"subscribe-*", "presence-*", "message-*", "iq-*", "roster-*", "carbons-*", "offline-*", "errors-*", "contact-*", "domains-*"} {
		files, err := filepath.Glob("../conformance/scripts/" + pattern + ".txt")
		if err != nil || files == nil {
			t.Fatal(pattern, err)
		}
		for _, file := range files {
			s := apart(t, file)
			if s == nil {
				continue
			}
			t.Run(s.Name, func(t *testing.T) { judge(t, s, pair(near, far), "", false) })
		}
	}
}

var (
	declared = regexp.MustCompile(`(?m)^(\w+): account (\w+)(, second domain)?`)
	valued   = regexp.MustCompile(`\{(\w+)([.}])`)
	acts     = regexp.MustCompile(`^(?:\w+(?:, | and ))*(\w+) (?:sends?|asks|tells|is available|are available)\b`)
	leaves   = regexp.MustCompile(`^(?:\w+(?:, | and ))*(\w+) (?:disconnects?|drops?)\b`)
	looks    = regexp.MustCompile(`^\w+(?:(?:, | and )\w+)* (?:receives? nothing|receives? anything more|may receive|settle)\b`)
)

// apart is a script whose people but Romeo live on the second server; nil where nobody does.
func apart(t *testing.T, file string) *conformance.Script {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	far, moved := map[string]bool{}, map[string]bool{} // clients, accounts
	alone := !strings.Contains(text, ", second domain")
	for _, m := range declared.FindAllStringSubmatch(text, -1) {
		if alone && m[2] != "romeo" {
			moved[m[2]] = true
		}
		far[m[1]] = m[3] != "" || moved[m[2]]
	}
	if alone && len(moved) == 0 || strings.Contains(text, "\nServer: ") {
		return nil
	}
	text = valued.ReplaceAllStringFunc(text, func(m string) string {
		if x := valued.FindStringSubmatch(m); moved[x[1]] {
			return "{" + x[1] + "2" + x[2]
		}
		return m
	})
	if alone {
		text = strings.ReplaceAll(text, "2.local}@{domain}", "2.local}@{domain2}")
		// Who keeps a message says so.
		text = strings.ReplaceAll(text, "<delay xmlns='urn:xmpp:delay' from='{maybe}{domain}'", "<delay xmlns='urn:xmpp:delay' from='{maybe}{domain2}'")
	}
	var lines []string
	last := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if m := declared.FindStringSubmatch(line); m != nil && moved[m[2]] {
			line += ", second domain"
		}
		if m := acts.FindStringSubmatch(line); m != nil {
			last = m[1]
		}
		if m := leaves.FindStringSubmatch(line); m != nil && m[1] == last {
			last = ""
		}
		if last != "" && looks.MatchString(line) && !strings.Contains(text, "<stream:error>") {
			// What it has brought about on the other server comes back before the answer to a ping.
			to := "{domain2}"
			if far[last] {
				to = "{domain}"
			}
			lines = append(lines, last+" asks "+to+": <ping xmlns='urn:xmpp:ping'/>", last+" is answered")
		}
		if line == "All settle" {
			lines = append(lines, line)
		}
		lines = append(lines, line)
	}
	copied := filepath.Join(t.TempDir(), filepath.Base(file))
	write(t, copied, []byte(strings.Join(lines, "\n")))
	s, err := conformance.Load(copied)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
