// SPDX-License-Identifier: Apache-2.0

//go:build linux

package interop

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// authority issues certificates, and is trusted by who is told of it.
type authority struct {
	cert   *x509.Certificate
	key    crypto.Signer
	file   string // PEM
	folder string // the same in the form that OpenSSL looks certificates up in
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key := newKey(t)
	template := template("Authority of "+t.Name(), nil)
	template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{key: key, folder: filepath.Join(t.TempDir(), "authority")}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(a.folder, 0o700); err != nil {
		t.Fatal(err)
	}
	a.file = filepath.Join(a.folder, "ca.pem")
	write(t, a.file, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	if err := output("", "openssl", "rehash", a.folder); err != nil {
		t.Fatal(err)
	}
	return a
}

// newKey makes a key of the usual kind.
func newKey(t *testing.T) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// issue writes a certificate for a domain and a key, and the key, into a folder.
func (a *authority) issue(t *testing.T, folder, domain string, key crypto.Signer) (certFile, keyFile string) {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template(domain, []string{domain}), a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(folder, "cert.pem"), filepath.Join(folder, "key.pem")
	write(t, certFile, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	write(t, keyFile, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})))
	return certFile, keyFile
}

func template(name string, domains []string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: domains,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
}

// pool is for clients in Go.
func (a *authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

// environment tells programs of this authority alone, in the ways of OpenSSL (and with it Python and
// Go) and of Node.
func (a *authority) environment() []string {
	return []string{"SSL_CERT_FILE=" + a.file, "SSL_CERT_DIR=" + a.folder, "NODE_EXTRA_CA_CERTS=" + a.file}
}
