// SPDX-License-Identifier: Apache-2.0

package tlsconfig_test

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"path/filepath"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/internal/tlsconfig"
)

// What clients show, and what is believed of it. A bad certificate ends no handshake.
func TestClientCertificates(t *testing.T) {
	ca, other, folder := newAuthority(t), newAuthority(t), t.TempDir()
	authorities := filepath.Join(folder, "ca.pem")
	write(t, authorities, ca.pem())
	now := time.Now()
	set := load(t, tlsconfig.Options{
		More: []tlsconfig.Pair{ca.pair(t, folder, "a", x509.ECDSA, "example.org")}, ClientCA: authorities,
		Now: func() time.Time { return now },
	})
	if !set.ClientCAs().Equal(ca.pool()) {
		t.Error("other authorities")
	}
	certificateOf := func(a *authority, change func(*x509.Certificate)) *tls.Certificate {
		certificate, key := a.issueAs(t, newKey(t, x509.ECDSA), time.Hour, change, "sensor.example")
		pair, err := tls.X509KeyPair(certificate, key)
		if err != nil {
			t.Fatal(err)
		}
		return &pair
	}
	// What no chain may pass through crypto/x509 for, and ours may: a critical name that it does not know.
	xmppOnly := func(c *x509.Certificate) {
		c.DNSNames = nil
		c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Critical: true, Value: []byte{
			0x30, 0x13, 0xa0, 0x11, 0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x08, 0x05, 0xa0, 0x05, 0x0c, 0x03, 'a', '@', 'd'}}}
	}
	good := certificateOf(ca, nil)
	asking, plain := set.Asking(), set.Config()
	l := listen(t)
	for _, test := range []struct {
		name        string
		config      *tls.Config
		certificate *tls.Certificate
		believed    bool
		refused     bool
	}{
		{"none", asking, nil, false, false},
		{"good", asking, good, true, false},
		{"good, again", asking, good, true, false},
		{"with a critical XMPP address alone", asking, certificateOf(ca, xmppOnly), true, false},
		{"with another critical extension", asking, certificateOf(ca, func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3}, Critical: true, Value: []byte{5, 0}}}
		}), false, true},
		{"of another authority", asking, certificateOf(other, nil), false, true},
		{"expired", asking, certificateOf(ca, func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Hour) }), false, true},
		{"not valid yet", asking, certificateOf(ca, func(c *x509.Certificate) { c.NotBefore = now.Add(time.Minute) }), false, true},
		{"for servers", asking, certificateOf(ca, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }), false, true},
		{"for anything", asking, certificateOf(ca, func(c *x509.Certificate) { c.ExtKeyUsage = nil }), true, false},
		{"not asked", plain, good, false, false},
	} {
		// Given without regard to what the server says it accepts.
		c := &tls.Config{ServerName: "example.org", RootCAs: ca.pool(), GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			if test.certificate == nil {
				return new(tls.Certificate), nil
			}
			return test.certificate, nil
		}}
		e, err := dial(t, l, c, test.config)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		cert, err := set.Client(e.server.ConnectionState())
		if (cert != nil) != test.believed || (err != nil) != test.refused {
			t.Errorf("%s: %v", test.name, err)
		}
		e.close()
	}
}

// A session that is resumed has the certificate it began with, for as long as that is good.
func TestClientCertificateResumed(t *testing.T) {
	ca, folder := newAuthority(t), t.TempDir()
	authorities := filepath.Join(folder, "ca.pem")
	write(t, authorities, ca.pem())
	now := time.Now()
	set := load(t, tlsconfig.Options{
		More: []tlsconfig.Pair{ca.pair(t, folder, "a", x509.ECDSA, "example.org")}, ClientCA: authorities,
		Now: func() time.Time { return now },
	})
	certificate, key := ca.issue(t, newKey(t, x509.ECDSA), time.Hour, "sensor.example")
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		l, asking := listen(t), set.Asking()
		c := &tls.Config{
			ServerName: "example.org", RootCAs: ca.pool(), Certificates: []tls.Certificate{pair}, MaxVersion: version,
			ClientSessionCache: tls.NewLRUClientSessionCache(1),
		}
		for _, resumed := range []bool{false, true, true} {
			e, err := dial(t, l, c, asking)
			if err != nil {
				t.Fatal(err)
			}
			state := e.server.ConnectionState()
			if cert, err := set.Client(state); cert == nil || err != nil || state.DidResume != resumed {
				t.Errorf("%x: resumed %v, %v", version, state.DidResume, err)
			}
			now = now.Add(2 * time.Hour)
			if cert, err := set.Client(state); cert != nil || err == nil {
				t.Errorf("%x: believed for ever", version)
			}
			now = now.Add(-2 * time.Hour)
			e.close()
		}
	}
}
