// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/client"
	"github.com/stonechat-im/stonechat/config"
	"github.com/stonechat-im/stonechat/internal/testserver"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// writeCertificate makes one for names and returns where it and its key are.
func writeCertificate(t *testing.T, roots *x509.CertPool, names ...string) (certificate, key string) {
	t.Helper()
	c := testserver.Certificate(time.Now().Add(time.Hour), names...)
	roots.AddCert(c.Leaf)
	private, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("crt.pem", "CERTIFICATE", c.Certificate[0]), write("key.pem", "PRIVATE KEY", private)
}

// TestDomains serves two domains with a certificate each: the name that a client asks for decides
// which it gets, the stream's 'to' which accounts there are (RFC 6120 §4.7.2, §13.7).
func TestDomains(t *testing.T) {
	roots := x509.NewCertPool()
	cert1, key1 := writeCertificate(t, roots, "one.test")
	cert2, key2 := writeCertificate(t, roots, "two.test")
	c, err := config.Parse("test.yaml", fmt.Appendf(nil, `
domains: [one.test, two.test]
data: %s
tls: {certificate: %q, key: %q, domains: {two.test: {certificate: %q, key: %q}}}
listen: {client: ["127.0.0.1:0"], client_tls: ["127.0.0.1:0"], server: [], server_tls: [], http: [], https: [], metrics: []}
log: {level: error}
`, t.TempDir(), cert1, key1, cert2, key2))
	if err != nil {
		t.Fatal(err)
	}
	in, err := start(c, "auto")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := in.stop(); err != nil {
			t.Error(err)
		}
	}()
	for _, domain := range c.Domains {
		account := jid.MustParse("alice@" + domain)
		if err := in.server.CreateAccount(t.Context(), account, "secret of "+domain); err != nil {
			t.Fatal(err)
		}
	}
	for _, listener := range []string{"client", "client_tls"} {
		for _, domain := range c.Domains {
			dial := func(password string) (*client.Client, error) {
				return client.Dial(t.Context(), client.Config{
					Account: jid.MustParse("alice@" + domain), Password: password, Address: in.address(listener), DirectTLS: listener == "client_tls",
					TLS: &tls.Config{RootCAs: roots}, // and so the name is verified
				})
			}
			alice, err := dial("secret of " + domain)
			if err != nil {
				t.Errorf("%s, %s: %v", listener, domain, err)
				continue
			}
			if got := alice.JID().Domain(); got != domain {
				t.Errorf("%s, %s: bound at %s", listener, domain, got)
			}
			if err := alice.Close(); err != nil {
				t.Error(err)
			}
			for _, other := range c.Domains {
				if other == domain {
					continue
				}
				if _, err := dial("secret of " + other); err == nil || !strings.Contains(err.Error(), "not-authorized") {
					t.Errorf("%s, %s: the password of the other account: %v", listener, domain, err)
				}
			}
		}
	}
}

func TestDomainsWithoutCertificate(t *testing.T) {
	cert, key := writeCertificate(t, x509.NewCertPool(), "one.test")
	for text, want := range map[string]string{
		"domains: [one.test]\ntls: {certificate: c, key: k, domains: {two.test: {certificate: c, key: k}}}":     "two.test is none of domains",
		"domains: [one.test]\ntls: {certificate: c, key: k, domains: {one.test: {certificate: c}}}":             "needs a certificate and a key",
		"domains: [one.test]\ntls: {domains: {one.test: {certificate: c, key: k}}}":                             "needs tls.certificate beside it",
		"domains: [one.test]\ntls: {certificate: c, key: k, domains: {one.test: {certificate: c, file: nope}}}": "file",
	} {
		if _, err := config.Parse("test.yaml", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
	c, err := config.Parse("test.yaml", fmt.Appendf(nil, "domains: [one.test, two.test]\ndata: %s\ntls: {certificate: %q, key: %q}", t.TempDir(), cert, key))
	if err != nil {
		t.Fatal(err)
	}
	certs, err := certificates(c)
	if err != nil {
		t.Fatal(err)
	}
	if got := certs.Uncovered(); len(got) != 1 || got[0] != "two.test" {
		t.Errorf("uncovered: %v", got)
	}
}
