// SPDX-License-Identifier: Apache-2.0

package tlsconfig_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/internal/tlsconfig"
)

func readCertificate(t *testing.T, name string) *x509.Certificate {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(data)
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestSelfSigned(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "not", "yet")
	domains := []string{"Example.org", "köln.example", "127.0.0.1", "[::1]", "::ffff:192.0.2.1", "localhost", "example.org."}
	set := load(t, tlsconfig.Options{Folder: folder, Domains: domains})
	crt, key := filepath.Join(folder, "self-signed.crt"), filepath.Join(folder, "self-signed.key")
	for name, mode := range map[string]os.FileMode{crt: 0o600, key: 0o600, filepath.Dir(crt): 0o700} {
		info, err := os.Stat(name)
		if err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	if entries, _ := os.ReadDir(filepath.Dir(crt)); len(entries) != 2 {
		t.Errorf("something is left behind: %v", entries)
	}
	c := readCertificate(t, crt)
	if public, ok := c.PublicKey.(*ecdsa.PublicKey); !ok || public.Curve != elliptic.P256() {
		t.Errorf("key %T", c.PublicKey)
	}
	if got := c.NotAfter.Sub(c.NotBefore); got != 825*24*time.Hour {
		t.Errorf("valid for %v", got)
	}
	if got := set.Uncovered(); got != nil {
		t.Errorf("does not cover %v", got)
	}
	status := set.Status()
	if want := []string{"example.org", "localhost", "xn--kln-sna.example", "127.0.0.1", "192.0.2.1", "::1"}; len(status) != 1 ||
		!status[0].SelfSigned || !slices.Equal(status[0].Names, want) {
		t.Errorf("%+v", status)
	}
	if d := set.DaysLeft(); d < 824 || d > 825 {
		t.Errorf("%v days left", d)
	}

	// A client that trusts it checks it like any other.
	pool := x509.NewCertPool()
	pool.AddCert(c)
	for _, name := range []string{"example.org", "xn--kln-sna.example", "127.0.0.1"} {
		e, err := dial(t, listen(t), &tls.Config{ServerName: name, RootCAs: pool}, set.Config())
		if err != nil {
			t.Fatal(err)
		}
		if !tlsconfig.Served(e.server).Equal(c) {
			t.Error("another certificate")
		}
		e.close()
	}
}

func TestSelfSignedRenewal(t *testing.T) {
	day := 24 * time.Hour
	for _, test := range []struct {
		name    string
		domains []string
		later   time.Duration
		damage  func(crt, key string)
		renewed bool
	}{
		{"nothing", nil, 0, nil, false},
		{"another order", []string{"b.example", "a.example"}, 0, nil, false},
		{"twice", []string{"a.example", "b.example", "A.example"}, 0, nil, false},
		{"a domain more", []string{"a.example", "b.example", "c.example"}, 0, nil, true},
		{"a domain less", []string{"a.example"}, 0, nil, true},
		{"794 days", nil, 794 * day, nil, false},
		{"796 days", nil, 796 * day, nil, true},
		{"after its end", nil, 1000 * day, nil, true},
		{"a clock set back", nil, -2 * day, nil, true},
		{"no key", nil, 0, func(_, key string) { os.Remove(key) }, true},
		{"no certificate", nil, 0, func(crt, _ string) { os.Remove(crt) }, true},
		{"cut", nil, 0, func(crt, _ string) { os.Truncate(crt, 100) }, true},
		{"key of another", nil, 0, func(_, key string) {
			other := filepath.Join(filepath.Dir(key), "other")
			load(t, tlsconfig.Options{Folder: other, Domains: []string{"a.example"}})
			os.Rename(filepath.Join(other, "self-signed.key"), key)
		}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			folder, now := t.TempDir(), time.Now()
			c := tlsconfig.Options{Folder: folder, Domains: []string{"a.example", "b.example"}, Now: func() time.Time { return now }}
			running := load(t, c)
			crt, key := filepath.Join(folder, "self-signed.crt"), filepath.Join(folder, "self-signed.key")
			old := readCertificate(t, crt)
			if test.damage != nil {
				test.damage(crt, key)
			}
			now = now.Add(test.later)
			if test.domains != nil {
				c.Domains = test.domains
			}
			set := load(t, c)
			if got := !readCertificate(t, crt).Equal(old); got != test.renewed {
				t.Errorf("renewed: %v", got)
			}
			if set.Uncovered() != nil || set.DaysLeft() < 29 {
				t.Errorf("%v, %v", set.Uncovered(), set.DaysLeft())
			}
			if test.domains != nil {
				return
			}
			// The one that runs finds the same, by itself.
			if err := running.Reload(); err != nil {
				t.Error(err)
			}
			if running.DaysLeft() != set.DaysLeft() {
				t.Errorf("%v and %v days left", running.DaysLeft(), set.DaysLeft())
			}
		})
	}
}

func TestSelfSignedFails(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "file")
	write(t, file, []byte("x"))
	for name, c := range map[string]tlsconfig.Options{
		"no folder":           {Domains: []string{"example.org"}},
		"no domains":          {Folder: folder},
		"a file for a folder": {Folder: file, Domains: []string{"example.org"}},
		"no name at all":      {Folder: folder, Domains: []string{"a\x00é"}},
	} {
		if set, err := tlsconfig.Open(c); err == nil || set != nil || !strings.HasPrefix(err.Error(), "tlsconfig: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A long domain fits: the common name is cut.
	long := strings.Repeat("a", 60) + ".example.org"
	set := load(t, tlsconfig.Options{Folder: t.TempDir(), Domains: []string{long}})
	if set.Uncovered() != nil {
		t.Error("a long domain is not covered")
	}
}

// Making it anew fails: the one in use stays.
func TestSelfSignedReloadFails(t *testing.T) {
	folder, now := t.TempDir(), time.Now()
	set := load(t, tlsconfig.Options{Folder: folder, Domains: []string{"example.org"}, Now: func() time.Time { return now }})
	now = now.Add(810 * 24 * time.Hour)
	os.RemoveAll(folder)
	write(t, folder, []byte("in the way"))
	if err := set.Reload(); err == nil || !strings.Contains(err.Error(), "are kept") {
		t.Error(err)
	}
	if d := set.DaysLeft(); d < 14 || d > 16 {
		t.Errorf("%v days left", d)
	}
	if e, err := dial(t, listen(t), &tls.Config{InsecureSkipVerify: true}, set.Config()); err != nil {
		t.Error(err)
	} else {
		e.close()
	}
}

func TestKeyIsNotInTheCertificateFile(t *testing.T) {
	folder := t.TempDir()
	load(t, tlsconfig.Options{Folder: folder, Domains: []string{"example.org"}})
	data, err := os.ReadFile(filepath.Join(folder, "self-signed.crt"))
	if err != nil || bytes.Contains(data, []byte("PRIVATE")) {
		t.Error("it is given to clients", err)
	}
}
