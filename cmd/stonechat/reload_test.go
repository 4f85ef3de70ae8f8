// SPDX-License-Identifier: Apache-2.0

//go:build unix

package main

import (
	"crypto/tls"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/internal/tlsconfig"
)

// hangup gives the server another configuration and returns what it says to that, up to a word.
func (p *process) hangup(more, until string) string {
	p.t.Helper()
	from := len(p.log.String())
	p.configure(more)
	p.signal(syscall.SIGHUP)
	return p.log.await(p.t, from, until)
}

// pair makes the files of a certificate, and returns the lines of configuration that name them.
func pair(t *testing.T, domains ...string) (lines, certificate string) {
	t.Helper()
	folder := t.TempDir()
	if _, err := tlsconfig.Open(tlsconfig.Options{Folder: folder, Domains: domains}); err != nil {
		t.Fatal(err)
	}
	certificate = filepath.Join(folder, "self-signed.crt")
	return "tls: {certificate: " + certificate + ", key: " + filepath.Join(folder, "self-signed.key") + "}\n", certificate
}

// serves is the names in the certificate that the server shows.
func (p *process) serves() string {
	p.t.Helper()
	c, err := tls.Dial("tcp", p.address["client_tls"], &tls.Config{InsecureSkipVerify: true}) // only looked at
	if err != nil {
		p.t.Fatal(err)
	}
	defer c.Close() //nolint:errcheck // only looked at
	return strings.Join(c.ConnectionState().PeerCertificates[0].DNSNames, " ")
}

// TestReload: what can change while the server runs does at SIGHUP, what cannot is named, and a
// file with a mistake changes nothing.
func TestReload(t *testing.T) {
	p := run(t, filepath.Join(t.TempDir(), "data"), "")
	first := p.client(t.Context(), "romeo", nil)
	defer first.Close() //nolint:errcheck // only to be there
	if err := first.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	ca := filepath.Join(p.data, "tls", "self-signed.crt")
	second := func() (string, error) {
		return command("send", "--from", "romeo@localhost", "--address", p.address["client"],
			"--ca", ca, "romeo@localhost", "hi")
	}
	if out, err := second(); err != nil {
		t.Fatal(err, out)
	}

	// A mistake anywhere: nothing of it is done.
	const one = "limits: {sessions_per_account: 1}\n"
	for _, c := range []struct{ name, lines, want string }{
		{"a key that is none", one + "colour: red\n", "stonechat.yaml:5: colour: there is no such key"},
		{"a module's key", one + "modules: {sm: {resum: 1m}}\n", "modules.sm.resum"},
		{"a certificate that is none", one + "tls: {certificate: /nowhere, key: /nowhere}\n", "the certificates in use are kept"},
	} {
		if said := p.hangup(c.lines, "everything stays as it was"); !strings.Contains(said, c.want) {
			t.Errorf("%s: %s, want %q", c.name, said, c.want)
		}
		if out, err := second(); err != nil {
			t.Errorf("%s: the limit is in force: %s", c.name, out)
		}
	}

	// What can change.
	files, certificate := pair(t, "localhost", "new.test")
	said := p.hangup(one+files+"registration: open\nmodules: {sm: {resume: 1m}}\n", "reloaded")
	for _, key := range []string{"limits.sessions_per_account", "tls.certificate", "tls.key", "registration", "modules.sm"} {
		if !strings.Contains(said, key) {
			t.Errorf("%q does not name %s", said, key)
		}
	}
	ca = certificate
	if out, err := second(); err == nil || !strings.Contains(out, "too many sessions") {
		t.Errorf("a second session is let in: %s", out)
	}
	if names := p.serves(); !strings.Contains(names, "new.test") {
		t.Errorf("the certificate is of %s", names)
	}
	if err := first.Sync(t.Context()); err != nil || !first.Online() {
		t.Errorf("the session that was there has gone: %v", err)
	}

	// What cannot, in one line, and again as long as it waits.
	for range 2 {
		said = p.hangup(files+"allow_plaintext: true\nmodules: {roster: false, sm: {resume: 2m}}\n", "next start")
		line := said[strings.LastIndex(said[:strings.Index(said, "next start")], "\n")+1:]
		if !strings.Contains(line, "allow_plaintext") || !strings.Contains(line, "modules.roster") || strings.Contains(line, "modules.sm") || strings.Contains(line, "tls") {
			t.Errorf("it says %q", line)
		}
	}
	if out, err := second(); err != nil {
		t.Errorf("the limit is still in force: %s", out)
	}

	// The log itself.
	said = p.hangup(files+"log: {format: json}\n", "reloaded")
	if !strings.Contains(said, `"changed":"`) || !strings.Contains(said, "log.format") {
		t.Errorf("it says %q", said)
	}
	from := len(p.log.String())
	files, _ = pair(t, "localhost", "newer.test")
	p.hangup(files+"log: {level: error}\n", "")
	for tick := time.NewTicker(10 * time.Millisecond); !strings.Contains(p.serves(), "newer.test"); <-tick.C {
		if t.Context().Err() != nil {
			t.Fatal("the certificate stays")
		}
	}
	p.hangup("x: y", "no such key")
	if said := p.log.String()[from:]; strings.Contains(said, "certificates reloaded") {
		t.Errorf("the level stays: %s", said)
	}
	if err := p.stop(); err != nil {
		t.Error(err)
	}
}
