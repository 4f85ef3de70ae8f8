// SPDX-License-Identifier: Apache-2.0

package tlsconfig_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stonechat-im/stonechat/internal/tlsconfig"
	"github.com/stonechat-im/stonechat/xmpp/sasl"
)

func TestChoice(t *testing.T) {
	ca, folder := newAuthority(t), t.TempDir()
	first := ca.pair(t, folder, "org-rsa", x509.RSA, "example.org", "conference.example.org")
	set := load(t, tlsconfig.Options{Certificate: first.Certificate, Key: first.Key, More: []tlsconfig.Pair{
		ca.pair(t, folder, "org", x509.ECDSA, "Example.ORG", "conference.example.org"),
		ca.pair(t, folder, "net", x509.ECDSA, "*.example.net", "example.net"),
		ca.pair(t, folder, "chat", x509.RSA, "chat.example.net"),
		ca.pair(t, folder, "ed", x509.Ed25519, "ed.example"),
		ca.pair(t, folder, "ed-rsa", x509.RSA, "ed.example"),
	}})
	rsaOnly := func(c *tls.Config) {
		c.MaxVersion = tls.VersionTLS12
		c.CipherSuites = []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}
	}
	old := func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }
	l := listen(t)
	for _, test := range []struct {
		name, sni string
		edit      func(*tls.Config)
		want      int // index of the pair
	}{
		{"ECDSA before RSA", "example.org", nil, 1},
		{"ECDSA, TLS 1.2", "example.org", old, 1},
		{"RSA for one who can't", "example.org", rsaOnly, 0},
		{"another name of it", "conference.example.org", nil, 1},
		{"letters", "EXAMPLE.org", nil, 1},
		{"the second domain", "example.net", nil, 2},
		{"wildcard", "muc.example.net", nil, 2},
		{"a name before the wildcard", "chat.example.net", nil, 3},
		{"a wildcard is one label", "a.b.example.net", nil, 0},
		{"unknown name", "example.com", nil, 0},
		{"no name", "", nil, 0},
		{"no name, RSA only", "", rsaOnly, 0},
		{"RSA before Ed25519", "ed.example", nil, 5},
	} {
		for _, protocols := range [][]string{nil, {"xmpp-client"}} {
			c := &tls.Config{ServerName: test.sni, InsecureSkipVerify: true, NextProtos: []string{"xmpp-client"}}
			if test.edit != nil {
				test.edit(c)
			}
			e, err := dial(t, l, c, set.Config(protocols...))
			if err != nil {
				t.Errorf("%s: %v", test.name, err)
				continue
			}
			state := e.client.ConnectionState()
			if got, want := state.PeerCertificates[0], big.NewInt(101+int64(test.want)); got.SerialNumber.Cmp(want) != 0 {
				t.Errorf("%s: %v, %v", test.name, got.SerialNumber, got.DNSNames)
			}
			if served := tlsconfig.Served(e.server); served == nil || !served.Equal(state.PeerCertificates[0]) {
				t.Errorf("%s: not the certificate that was served", test.name)
			}
			if want := strings.Join(protocols, ""); state.NegotiatedProtocol != want {
				t.Errorf("%s: protocol %q, want %q", test.name, state.NegotiatedProtocol, want)
			}
			e.close()
		}
	}
	// A client that understands none of the certificates for its name.
	if _, err := dial(t, l, &tls.Config{ServerName: "example.net", InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12,
		CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}}, set.Config()); err == nil {
		t.Error("a handshake without a common algorithm")
	}
	if _, err := dial(t, l, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}, set.Config()); err == nil {
		t.Error("TLS 1.1 was accepted")
	}
	if _, err := dial(t, l, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}, set.Config("xmpp-client")); err == nil {
		t.Error("another protocol was accepted")
	}
}

func TestGetCertificate(t *testing.T) {
	ca, folder := newAuthority(t), t.TempDir()
	set := load(t, tlsconfig.Options{More: []tlsconfig.Pair{
		ca.pair(t, folder, "a", x509.ECDSA, "a.example"), ca.pair(t, folder, "b", x509.ECDSA, "b.example"),
	}})
	e, err := dial(t, listen(t), &tls.Config{ServerName: "b.example", RootCAs: ca.pool()}, &tls.Config{GetCertificate: set.GetCertificate})
	if err != nil {
		t.Fatal(err)
	}
	defer e.close()
	if got := tlsconfig.Served(e.server); got == nil || got.DNSNames[0] != "b.example" {
		t.Errorf("%v", got)
	}
}

// Served is nil where there is nothing to know.
func TestServed(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if c := tlsconfig.Served(tls.Server(a, &tls.Config{})); c != nil {
		t.Error("a plain connection remembers")
	}
	w := tlsconfig.Wrap(b)
	s := tls.Server(w, &tls.Config{})
	if c := tlsconfig.Served(s); c != nil || w.Served() != nil {
		t.Error("before the handshake")
	}
	w.SetServed(&tls.Certificate{Leaf: new(x509.Certificate)})
	if c := tlsconfig.Served(s); c != nil {
		t.Error("before the end of the handshake")
	}
}

// New certificates while connections come in: every handshake succeeds, and
// both sides agree on the certificate.
func TestReloadUnderTraffic(t *testing.T) {
	ca, folder := newAuthority(t), t.TempDir()
	pairs := []tlsconfig.Pair{
		ca.pair(t, folder, "ec", x509.ECDSA, "example.org"),
		ca.pair(t, folder, "rsa", x509.RSA, "example.org"),
	}
	set := load(t, tlsconfig.Options{More: pairs, Domains: []string{"example.org"}})
	config := set.Config("xmpp-client")

	const clients, reloads = 4, 15
	stop := make(chan struct{})
	seen := make([]map[string]bool, clients)
	resumed := make([]int, clients)
	var all sync.WaitGroup
	for i := range clients {
		l := listen(t)
		seen[i] = map[string]bool{}
		all.Go(func() {
			// Odd ones have TLS 1.2, every client resumes where it can.
			c := &tls.Config{ServerName: "example.org", RootCAs: ca.pool(), ClientSessionCache: tls.NewLRUClientSessionCache(4), NextProtos: []string{"xmpp-client"}}
			if i%2 == 1 {
				c.MaxVersion = tls.VersionTLS12
			}
			if i >= 2 {
				c.CipherSuites = []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}
			}
			for {
				select {
				case <-stop:
					return
				default:
				}
				e, err := dial(t, l, c, config)
				if err != nil {
					t.Error(err)
					return
				}
				client := e.client.ConnectionState()
				seen[i][client.PeerCertificates[0].SerialNumber.String()] = true
				if client.DidResume {
					resumed[i]++
				}
				ours, err := sasl.BindingOf(e.server.ConnectionState(), tlsconfig.Served(e.server))
				if err != nil {
					t.Error(err)
				}
				theirs, err := sasl.BindingOf(client, client.PeerCertificates[0])
				if err != nil || !reflect.DeepEqual(ours, theirs) || len(ours) != 2 {
					t.Errorf("bindings differ: %v %v %v", ours, theirs, err)
				}
				e.close()
			}
		})
	}
	for range reloads {
		for i, algorithm := range []x509.PublicKeyAlgorithm{x509.ECDSA, x509.RSA} {
			certificate, key := ca.issue(t, newKey(t, algorithm), 100*24*time.Hour, "example.org")
			write(t, pairs[i].Key, key)
			if err := set.Reload(); err == nil {
				t.Error("a half of a pair was taken")
			}
			write(t, pairs[i].Certificate, certificate)
			if err := set.Reload(); err != nil {
				t.Error(err)
			}
		}
	}
	close(stop)
	all.Wait()
	for i := range clients {
		if len(seen[i]) < 3 || resumed[i] == 0 {
			t.Errorf("client %d saw %d certificates and resumed %d sessions", i, len(seen[i]), resumed[i])
		}
	}
}

// A session lives as long as its certificate, and no other certificate has it.
func TestResumption(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		ca, folder := newAuthority(t), t.TempDir()
		a := ca.pair(t, folder, "a", x509.ECDSA, "a.example")
		b := ca.pair(t, folder, "b", x509.ECDSA, "b.example")
		write(t, filepath.Join(folder, "ca.pem"), ca.pem())
		set := load(t, tlsconfig.Options{More: []tlsconfig.Pair{a, b}, ClientCA: filepath.Join(folder, "ca.pem")})
		plain, asking := set.Config(), set.Asking()
		l := listen(t)
		cache := &oneSession{}
		try := func(config *tls.Config, name string) bool {
			t.Helper()
			// The server's name is not looked at, so that a session can be
			// carried to another name.
			e, err := dial(t, l, &tls.Config{ServerName: name, InsecureSkipVerify: true, MaxVersion: version, ClientSessionCache: cache}, config)
			if err != nil {
				t.Fatal(err)
			}
			defer e.close()
			state := e.client.ConnectionState()
			if served := tlsconfig.Served(e.server); served == nil || !served.Equal(state.PeerCertificates[0]) {
				t.Errorf("%s: the sides disagree on the certificate, resumed: %v", name, state.DidResume)
			}
			return state.DidResume
		}
		for _, step := range []struct {
			what   string
			before func()
			config *tls.Config
			name   string
			want   bool
		}{
			{"first", func() {}, plain, "a.example", false},
			{"again", func() {}, plain, "a.example", true},
			{"another listener of the same kind", func() {}, set.Config(), "a.example", true},
			{"another kind of listener", func() {}, asking, "a.example", false},
			{"back", func() {}, plain, "a.example", false},
			{"another certificate", func() {}, plain, "b.example", false},
			{"the other again", func() {}, plain, "b.example", true},
			{"reload without change", func() {}, plain, "b.example", true},
			{"reload of the other", func() { ca.pair(t, folder, "a", x509.ECDSA, "a.example") }, plain, "b.example", true},
			{"reload of its own", func() { ca.pair(t, folder, "b", x509.ECDSA, "b.example") }, plain, "b.example", false},
			{"the new one", func() {}, plain, "b.example", true},
			{"reload of the authorities", func() { write(t, filepath.Join(folder, "ca.pem"), newAuthority(t).pem()) }, plain, "b.example", false},
		} {
			step.before()
			if err := set.Reload(); err != nil {
				t.Fatal(err)
			}
			if got := try(step.config, step.name); got != step.want {
				t.Errorf("%s, %s: resumed %v", tls.VersionName(version), step.what, got)
			}
		}
	}
}

// oneSession offers the last session to every server.
type oneSession struct{ s *tls.ClientSessionState }

func (o *oneSession) Get(string) (*tls.ClientSessionState, bool)    { return o.s, o.s != nil }
func (o *oneSession) Put(_ string, session *tls.ClientSessionState) { o.s = session }

func TestReloadFails(t *testing.T) {
	ca, folder := newAuthority(t), t.TempDir()
	pair := ca.pair(t, folder, "a", x509.ECDSA, "example.org")
	authorities := filepath.Join(folder, "ca.pem")
	goodCert, _ := os.ReadFile(pair.Certificate)
	goodKey, _ := os.ReadFile(pair.Key)
	key := newKey(t, x509.ECDSA)
	expired, expiredKey := ca.issue(t, key, -time.Hour, "example.org")
	chained, chainedKey := ca.issue(t, key, time.Hour, "example.org")
	link, _ := ca.issue(t, key, -time.Hour, "intermediate")
	for _, test := range []struct {
		name   string
		damage func()
		text   string
	}{
		{"no certificate", func() { os.Remove(pair.Certificate) }, "a.crt"},
		{"no key", func() { os.Remove(pair.Key) }, "a.key"},
		{"empty", func() { write(t, pair.Certificate, nil) }, "a.crt"},
		{"cut", func() { write(t, pair.Certificate, goodCert[:len(goodCert)/2]) }, "a.crt"},
		{"no PEM", func() { write(t, pair.Key, []byte("key")) }, "a.key"},
		{"key of another", func() { write(t, pair.Key, expiredKey) }, "private key"},
		{"a folder", func() { os.Remove(pair.Key); os.Mkdir(pair.Key, 0o700) }, "a.key"},
		{"too large", func() { write(t, pair.Certificate, bytes.Repeat([]byte("x\n"), 1<<20)) }, "too large"},
		{"expired", func() { write(t, pair.Certificate, expired); write(t, pair.Key, expiredKey) }, "expired"},
		{"chain expired", func() {
			write(t, pair.Certificate, append(bytes.Clone(chained), link...))
			write(t, pair.Key, chainedKey)
		}, "expired"},
		{"no authorities", func() { os.Remove(authorities) }, "client_ca"},
		{"authorities in no PEM", func() { write(t, authorities, []byte("x")) }, "client_ca"},
		{"an authority is damaged", func() {
			write(t, authorities, append(ca.pem(), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")})...))
		}, "client_ca"},
	} {
		t.Run(test.name, func(t *testing.T) {
			os.Remove(pair.Key) // if it is a folder
			put(t, folder, "a", goodCert, goodKey)
			write(t, authorities, ca.pem())
			set := load(t, tlsconfig.Options{Certificate: pair.Certificate, Key: pair.Key, ClientCA: authorities})
			test.damage()
			err := set.Reload()
			if err == nil || !strings.Contains(err.Error(), test.text) || strings.Contains(err.Error(), "PRIVATE") {
				t.Fatalf("%v, want %q", err, test.text)
			}
			e, err := dial(t, listen(t), &tls.Config{ServerName: "example.org", RootCAs: ca.pool()}, set.Config())
			if err != nil {
				t.Fatal(err)
			}
			e.close()
			_, err = tlsconfig.Open(tlsconfig.Options{Certificate: pair.Certificate, Key: pair.Key, ClientCA: authorities})
			if strings.Contains(test.name, "expired") {
				if err != nil {
					t.Errorf("an expired certificate is better than none: %v", err)
				}
			} else if err == nil {
				t.Error("loaded")
			}
		})
	}
	// An expired one may be replaced by another: it is no worse.
	os.Remove(pair.Key)
	put(t, folder, "a", expired, expiredKey)
	set := load(t, tlsconfig.Options{Certificate: pair.Certificate, Key: pair.Key})
	if d := set.DaysLeft(); d > 0 || d < -1 {
		t.Errorf("%v days left", d)
	}
	again, againKey := ca.issue(t, newKey(t, x509.ECDSA), -2*time.Hour, "example.org")
	put(t, folder, "a", again, againKey)
	if err := set.Reload(); err != nil {
		t.Error(err)
	}
	if d := set.DaysLeft() * 24; d > -2 || d < -3 {
		t.Errorf("%v hours left", d)
	}
}

func TestReloadNotYetValid(t *testing.T) {
	ca, folder := newAuthority(t), t.TempDir()
	pair := ca.pair(t, folder, "a", x509.ECDSA, "example.org")
	now := time.Now()
	set := load(t, tlsconfig.Options{Certificate: pair.Certificate, Key: pair.Key, Now: func() time.Time { return now }})
	ca.notBefore = now.Add(time.Hour)
	ca.pair(t, folder, "a", x509.ECDSA, "later.example")
	if err := set.Reload(); err == nil || !strings.Contains(err.Error(), "not valid before") {
		t.Error(err)
	}
	now = now.Add(2 * time.Hour)
	if err := set.Reload(); err != nil || set.Status()[0].Names[0] != "later.example" {
		t.Error(err)
	}
	now = now.Add(-2 * time.Hour)
	if err := set.Reload(); err != nil { // unchanged files are not judged
		t.Error(err)
	}
}

func TestStatus(t *testing.T) {
	ca, folder := newAuthority(t), t.TempDir()
	certificate, key := ca.issue(t, newKey(t, x509.RSA), 10*24*time.Hour, "b.example", "*.b.example")
	set := load(t, tlsconfig.Options{
		More:    []tlsconfig.Pair{ca.pair(t, folder, "a", x509.ECDSA, "a.example"), put(t, folder, "b", certificate, key)},
		Domains: []string{"a.example", "B.example", "x.b.example", "x.a.example", "köln.example", "127.0.0.1"},
	})
	if d := set.DaysLeft(); d > 10 || d < 9.9 {
		t.Errorf("%v days left", d)
	}
	status := set.Status()
	if len(status) != 2 || status[0].Algorithm != "ECDSA" || status[1].Algorithm != "RSA" || status[0].SelfSigned ||
		!slices.Equal(status[1].Names, []string{"b.example", "*.b.example"}) || time.Until(status[1].NotAfter) > 10*24*time.Hour {
		t.Errorf("%+v", status)
	}
	if got := set.Uncovered(); !slices.Equal(got, []string{"x.a.example", "köln.example", "127.0.0.1"}) {
		t.Errorf("%v", got)
	}
	if set.ClientCAs() != nil {
		t.Error("authorities from nowhere")
	}
}

// One watcher, until its context ends.
func TestWatch(t *testing.T) {
	ca, folder := newAuthority(t), t.TempDir()
	pair := ca.pair(t, folder, "a", x509.ECDSA, "a.example")
	next, nextKey := ca.issue(t, newKey(t, x509.ECDSA), 50*24*time.Hour, "b.example")
	now := time.Now()
	synctest.Test(t, func(t *testing.T) {
		set := load(t, tlsconfig.Options{Certificate: pair.Certificate, Key: pair.Key, Now: func() time.Time { return now }})
		ctx, cancel := context.WithCancel(t.Context())
		var reports atomic.Int32
		go set.Watch(ctx, time.Hour, func(error) { reports.Add(1) })
		name := func() string { return set.Status()[0].Names[0] }

		write(t, pair.Key, nextKey)
		time.Sleep(time.Hour - 1)
		synctest.Wait()
		if reports.Load() != 0 {
			t.Fatal("too early")
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if reports.Load() != 1 || name() != "a.example" {
			t.Fatalf("%d reports, %s", reports.Load(), name())
		}
		write(t, pair.Certificate, next)
		time.Sleep(time.Hour)
		synctest.Wait()
		if reports.Load() != 1 || name() != "b.example" {
			t.Fatalf("%d reports, %s", reports.Load(), name())
		}
		cancel()
		synctest.Wait()
	})
}
