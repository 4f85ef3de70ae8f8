// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"flag"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/test/conformance"
	"github.com/stonechat-im/stonechat/test/program"
)

var (
	targetFlag = flag.String("target", "stonechat", "servers to judge, separated by commas: stonechat, prosody, running")
	scriptFlag = flag.String("script", "scripts/*.txt", "scripts to play")
	timeout    = flag.Duration("timeout-per-stanza", 30*time.Second, "how long an expected stanza may take")
	domainFlag = flag.String("domain", "localhost", "of -target=running, which must allow registration or have -adduser")
	secondFlag = flag.String("domain2", "", "another domain of -target=running; without it scripts that need one are left out")
	tcpFlag    = flag.String("tcp", "127.0.0.1:5222", "address of -target=running")
	tlsFlag    = flag.String("tls", "127.0.0.1:5223", "address of -target=running with direct TLS")
	wsFlag     = flag.String("ws", "127.0.0.1:5443", "address of -target=running with HTTPS, for /xmpp-websocket")
	addUser    = flag.String("adduser", "", "for -target=running: a command that makes an account, to be followed by user, domain, password")
)

var stonechat program.Binary

func TestMain(m *testing.M) { os.Exit(program.Run(m, 16, &stonechat)) }

func TestScripts(t *testing.T) {
	files, err := filepath.Glob(*scriptFlag)
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %s %v", *scriptFlag, err)
	}
	var scripts []*conformance.Script
	for _, file := range files {
		s, err := conformance.Load(file)
		if err != nil {
			t.Fatal(err)
		}
		scripts = append(scripts, s)
	}
	allowed := readAllowed(t)
	for name := range strings.SplitSeq(*targetFlag, ",") {
		t.Run(name, func(t *testing.T) { judge(t, name, scripts, allowed) })
	}
}

func judge(t *testing.T, name string, scripts []*conformance.Script, allowed map[string]string) {
	running := &conformance.Server{Domain: *domainFlag, Second: *secondFlag, Address: map[string]string{"tcp": *tcpFlag, "tls": *tlsFlag, "ws": *wsFlag}, Timeout: *timeout}
	if *addUser != "" {
		running.AddUser = func(localpart, domain, password string) error {
			args := append(strings.Fields(*addUser), localpart, domain, password)
			return exec.Command(args[0], args[1:]...).Run()
		}
	}
	tg, ok := targets[name]
	if !ok && name != "running" {
		t.Fatalf("no target %q", name)
	}
	started := &servers{whole: t, target: tg, byName: map[string]*conformance.Server{}}
	if ok {
		started.get(t, "")
	}
	for _, transport := range conformance.Transports() {
		t.Run(transport.Name, func(t *testing.T) {
			for _, s := range scripts {
				if !s.On(transport.Name) || s.Variant != "" && !ok || s.Second && !ok && *secondFlag == "" {
					continue
				}
				t.Run(s.Name, func(t *testing.T) {
					t.Parallel()
					server := running
					if ok {
						server = started.get(t, s.Variant)
					}
					reason, expected := allowed[name+" "+s.Name]
					until, unfinished := beingBuilt(allowed, name+" "+s.Name)
					if expected || unfinished { // it need not wait long for what does not come
						impatient := *server
						impatient.Timeout = min(impatient.Timeout, time.Second/2)
						server = &impatient
					}
					dialogue, err := s.Play(server, transport)
					if testing.Verbose() {
						t.Log("\n" + strings.Join(dialogue, "\n"))
					}
					switch {
					case err != nil && unfinished:
						t.Logf("allowed to fail while it is being built: %s\n%v", until, err)
					case err != nil && !expected:
						t.Error(err)
					case err != nil:
						t.Logf("allowed to fail: %s\n%v", reason, err)
					case expected:
						t.Errorf("passes, though allowed.txt expects it to fail: %s", reason)
					}
				})
			}
		})
	}
}

// beingBuilt looks for a line of many scripts, which may fail and may pass.
func beingBuilt(allowed map[string]string, script string) (reason string, ok bool) {
	for pattern, reason := range allowed {
		if fits, _ := path.Match(pattern, script); fits && strings.Contains(pattern, "*") {
			return reason, true
		}
	}
	return "", false
}

// readAllowed reads lines of the form "target script: reason"; a script with a * stands for many.
func readAllowed(t *testing.T) map[string]string {
	data, err := os.ReadFile("allowed.txt")
	if err != nil {
		t.Fatal(err)
	}
	allowed := map[string]string{}
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		key, reason, ok := strings.Cut(line, ": ")
		if target, script, two := strings.Cut(key, " "); !ok || !two || targets[target].config == "" {
			t.Fatalf("allowed.txt: %q is not of the form \"target script: reason\"", line)
		} else if found, _ := filepath.Glob(filepath.Join("scripts", script+".txt")); found == nil {
			t.Fatalf("allowed.txt: there is no script %s", script)
		}
		allowed[key] = reason
	}
	return allowed
}
