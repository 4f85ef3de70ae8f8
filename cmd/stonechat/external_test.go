// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/client"
	"github.com/stonechat-im/stonechat/config"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// fleet is an authority that certifies clients.
type fleet struct {
	t    *testing.T
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	next int64
}

func newFleet(t *testing.T) *fleet {
	f := &fleet{t: t, next: 1}
	f.key, f.cert = f.issue(&x509.Certificate{
		Subject: pkix.Name{CommonName: "fleet"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	})
	return f
}

func (f *fleet) issue(c *x509.Certificate) (*ecdsa.PrivateKey, *x509.Certificate) {
	f.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.t.Fatal(err)
	}
	c.SerialNumber, c.NotBefore = big.NewInt(f.next), time.Now().Add(-48*time.Hour)
	if f.next++; c.NotAfter.IsZero() {
		c.NotAfter = time.Now().Add(time.Hour)
	}
	parent, signer := f.cert, f.key
	if parent == nil {
		parent, signer = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), signer)
	if err != nil {
		f.t.Fatal(err)
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		f.t.Fatal(err)
	}
	return key, made
}

// certificate is a client's.
func (f *fleet) certificate(c x509.Certificate) *tls.Certificate {
	key, cert := f.issue(&c)
	return &tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key}
}

// addressed is a certificate that names XMPP addresses (RFC 6120 §13.7.1.4).
func addressed(t *testing.T, addresses ...string) x509.Certificate {
	t.Helper()
	must := func(der []byte, err error) []byte {
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	id := must(asn1.Marshal(asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 8, 5}))
	var names []asn1.RawValue
	for _, a := range addresses {
		value := must(asn1.Marshal(asn1.RawValue{Class: asn1.ClassContextSpecific, IsCompound: true, Bytes: must(asn1.MarshalWithParams(a, "utf8"))}))
		names = append(names, asn1.RawValue{Class: asn1.ClassContextSpecific, IsCompound: true, Bytes: append(id[:len(id):len(id)], value...)})
	}
	return x509.Certificate{ExtraExtensions: []pkix.Extension{
		{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Critical: true, Value: must(asn1.Marshal(names))},
	}}
}

// TestExternal logs in by certificates, good and bad ones (XEP-0178 §2). A bad one costs nobody a
// login by password.
func TestExternal(t *testing.T) {
	ours, foreign := newFleet(t), newFleet(t)
	past := addressed(t, "romeo@localhost")
	past.NotAfter = time.Now().Add(-time.Hour)
	named := x509.Certificate{Subject: pkix.Name{CommonName: "romeo"}}
	mailed := x509.Certificate{EmailAddresses: []string{"romeo@localhost"}, Subject: pkix.Name{CommonName: "juliet"}}
	servers := make(map[string]*instance)
	for _, identity := range []string{"xmpp_address", "email", "common_name"} {
		c := config.Default()
		c.Data, c.Log.Level = t.TempDir(), "error"
		c.Listen.Client, c.Listen.ClientTLS, c.Listen.Metrics = []string{"127.0.0.1:0"}, []string{"127.0.0.1:0"}, nil
		c.Listen.HTTP, c.Listen.HTTPS, c.Listen.Server, c.Listen.ServerTLS = nil, nil, nil, nil
		c.TLS.ClientCA, c.TLS.ClientIdentity = filepath.Join(c.Data, "fleet.pem"), identity
		if err := os.WriteFile(c.TLS.ClientCA, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ours.cert.Raw}), 0o600); err != nil {
			t.Fatal(err)
		}
		in, err := start(c, "auto")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := in.stop(); err != nil {
				t.Error(err)
			}
		})
		for _, name := range []string{"romeo", "juliet"} {
			if err := in.server.CreateAccount(t.Context(), jid.MustParse(name+"@localhost"), "secret"); err != nil {
				t.Fatal(err)
			}
		}
		servers[identity] = in
	}
	for _, test := range []struct {
		name, identity string
		certificate    *tls.Certificate
		account        string
		password       string
		want           string // "" or what the error says
	}{
		{"its address", "xmpp_address", ours.certificate(addressed(t, "romeo@localhost")), "romeo", "", ""},
		{"several addresses", "xmpp_address", ours.certificate(addressed(t, "juliet@localhost", "romeo@localhost")), "romeo", "", ""},
		{"an address elsewhere too", "xmpp_address", ours.certificate(addressed(t, "romeo@example.com", "romeo@localhost")), "romeo", "", ""},
		{"another's address", "xmpp_address", ours.certificate(addressed(t, "juliet@localhost")), "romeo", "", "invalid-from"},
		{"an address elsewhere", "xmpp_address", ours.certificate(addressed(t, "romeo@example.com")), "romeo", "", "no usable mechanism"},
		{"no account", "xmpp_address", ours.certificate(addressed(t, "tybalt@localhost")), "tybalt", "", "not-authorized"},
		{"another authority", "xmpp_address", foreign.certificate(addressed(t, "romeo@localhost")), "romeo", "", "no usable mechanism"},
		{"expired", "xmpp_address", ours.certificate(past), "romeo", "", "no usable mechanism"},
		{"expired, with a password", "xmpp_address", ours.certificate(past), "romeo", "secret", ""},
		{"another authority, with a password", "xmpp_address", foreign.certificate(addressed(t, "romeo@localhost")), "romeo", "secret", ""},
		{"a common name alone", "xmpp_address", ours.certificate(named), "romeo", "", "no usable mechanism"},
		{"a mail address alone", "xmpp_address", ours.certificate(mailed), "romeo", "", "no usable mechanism"},
		{"a mail address", "email", ours.certificate(mailed), "romeo", "", ""},
		{"a common name, not asked for", "email", ours.certificate(named), "romeo", "", "no usable mechanism"},
		{"a common name", "common_name", ours.certificate(named), "romeo", "", ""},
		{"a mail address before the common name", "common_name", ours.certificate(mailed), "juliet", "", "invalid-from"},
		{"an XMPP address before all", "common_name", ours.certificate(addressed(t, "juliet@localhost")), "juliet", "", ""},
	} {
		in := servers[test.identity]
		for _, key := range []string{"client", "client_tls"} {
			c, err := client.Dial(t.Context(), client.Config{
				Account: jid.MustParse(test.account + "@localhost"), Password: test.password,
				Address: in.address(key), DirectTLS: key == "client_tls", BackoffMin: time.Hour,
				// Shown without regard to which authorities the server believes.
				TLS: &tls.Config{InsecureSkipVerify: true, GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { //nolint:gosec // its certificate was made a moment ago
					return test.certificate, nil
				}},
				Certificate: test.certificate,
			})
			switch {
			case err == nil && test.want != "":
				t.Errorf("%s, %s: let in", test.name, key)
			case err != nil && (test.want == "" || !strings.Contains(err.Error(), test.want)):
				t.Errorf("%s, %s: %v, want %q", test.name, key, err, test.want)
			}
			if err == nil {
				_ = c.Close()
			}
		}
	}
}
