// SPDX-License-Identifier: Apache-2.0

package tlsconfig_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/internal/tlsconfig"
)

// authority signs certificates for tests.
type authority struct {
	key  crypto.Signer
	cert *x509.Certificate
	next atomic.Int64

	notBefore time.Time // of what it issues; zero means two days ago
}

func newKey(t testing.TB, algorithm x509.PublicKeyAlgorithm) crypto.Signer {
	t.Helper()
	var key crypto.Signer
	var err error
	switch algorithm {
	case x509.RSA:
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	case x509.Ed25519:
		_, key, err = ed25519.GenerateKey(rand.Reader)
	default:
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	key := newKey(t, x509.ECDSA)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(1000 * time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{key: key, cert: cert}
}

func (a *authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

func (a *authority) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}

// issue returns certificate and key in PEM. lifetime may be negative.
func (a *authority) issue(t testing.TB, key crypto.Signer, lifetime time.Duration, names ...string) (certificate, private []byte) {
	t.Helper()
	return a.issueAs(t, key, lifetime, nil, names...)
}

// issueAs is issue with a certificate that change, unless nil, has changed.
func (a *authority) issueAs(t testing.TB, key crypto.Signer, lifetime time.Duration, change func(*x509.Certificate), names ...string) (certificate, private []byte) {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(100 + a.next.Add(1)), DNSNames: names,
		NotBefore: a.notBefore, NotAfter: time.Now().Add(lifetime),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if a.notBefore.IsZero() {
		template.NotBefore = time.Now().Add(-48 * time.Hour)
	}
	if change != nil {
		change(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
}

// put writes a pair into a folder.
func put(t testing.TB, folder, name string, certificate, key []byte) tlsconfig.Pair {
	t.Helper()
	p := tlsconfig.Pair{Certificate: filepath.Join(folder, name+".crt"), Key: filepath.Join(folder, name+".key")}
	write(t, p.Key, key)
	write(t, p.Certificate, certificate)
	return p
}

// write replaces a file in one step, as tools that renew certificates do.
func write(t testing.TB, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(name+".new", data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(name+".new", name); err != nil {
		t.Fatal(err)
	}
}

func (a *authority) pair(t testing.TB, folder, name string, algorithm x509.PublicKeyAlgorithm, names ...string) tlsconfig.Pair {
	t.Helper()
	certificate, key := a.issue(t, newKey(t, algorithm), 100*24*time.Hour, names...)
	return put(t, folder, name, certificate, key)
}

func load(t testing.TB, c tlsconfig.Options) *tlsconfig.Certificates {
	t.Helper()
	s, err := tlsconfig.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// ends is a connection after its handshake.
type ends struct{ client, server *tls.Conn }

// dial makes a real connection; err is of the side that noticed.
func dial(t testing.TB, l net.Listener, client, server *tls.Config) (ends, error) {
	t.Helper()
	type result struct {
		conn *tls.Conn
		err  error
	}
	done := make(chan result, 1)
	go func() {
		raw, err := l.Accept()
		if err != nil {
			done <- result{nil, err}
			return
		}
		s := tls.Server(tlsconfig.Wrap(raw), server)
		if err = s.Handshake(); err != nil {
			raw.Close()
		} else {
			_, err = s.Write([]byte("x"))
		}
		done <- result{s, err}
	}()
	raw, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c := tls.Client(raw, client)
	// The byte comes behind the session ticket, and after the server has
	// judged the client's certificate.
	_, err = c.Read(make([]byte, 1))
	if err != nil {
		raw.Close()
	}
	got := <-done
	if err == nil {
		err = got.err
	}
	return ends{c, got.conn}, err
}

func (e ends) close() {
	e.client.NetConn().Close()
	e.server.NetConn().Close()
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}
