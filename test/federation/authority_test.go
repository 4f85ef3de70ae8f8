// SPDX-License-Identifier: Apache-2.0

//go:build linux

package federation

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// kindOf is what is right or wrong with a server's certificate.
type kindOf string

const (
	forBoth   kindOf = "serverAuth and clientAuth"
	forServer kindOf = "serverAuth only" // as public authorities issue them
	forXMPP   kindOf = "SRVName and XmppAddr only"
	expired   kindOf = "expired"
	wrongName kindOf = "of another name"
	untrusted kindOf = "of an unknown authority"
)

// good reports whether an authority that is known stands for the domain.
func (k kindOf) good() bool { return k == forBoth || k == forServer || k == forXMPP }

// authority issues certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	a := &authority{key: newKey(t)}
	template := &x509.Certificate{SerialNumber: serial(), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-48 * time.Hour),
		NotAfter: time.Now().Add(48 * time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.pem = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func serial() *big.Int { return big.NewInt(time.Now().UnixNano()) }

// issue writes cert.pem, key.pem and both.pem for the names into a folder.
func (a *authority) issue(t *testing.T, folder string, kind kindOf, names []string) {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{SerialNumber: serial(), Subject: pkix.Name{CommonName: names[0]}, DNSNames: names,
		NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: time.Now().Add(24 * time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	switch kind {
	case forServer:
		template.ExtKeyUsage = template.ExtKeyUsage[:1]
	case forXMPP:
		template.DNSNames, template.ExtraExtensions = nil, []pkix.Extension{namesForXMPP(t, names)}
	case expired:
		template.NotAfter = time.Now().Add(-time.Hour)
	case wrongName:
		template.Subject.CommonName, template.DNSNames = "elsewhere.example", []string{"elsewhere.example"}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	private := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
	for name, data := range map[string][]byte{"cert.pem": cert, "key.pem": private, "both.pem": bytes.Join([][]byte{cert, private}, nil)} {
		write(t, filepath.Join(folder, name), data)
	}
}

// namesForXMPP is a subjectAltName of nothing but what RFC 6120 §13.7.1.2 names: for every other domain an SRVName
// (RFC 4985), for the rest an XmppAddr.
func namesForXMPP(t *testing.T, names []string) pkix.Extension {
	t.Helper()
	type otherName struct {
		ID    asn1.ObjectIdentifier
		Value asn1.RawValue
	}
	var all []asn1.RawValue
	for i, name := range names {
		id, text := asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 8, 7}, asn1.RawValue{Tag: asn1.TagIA5String, Bytes: []byte("_xmpp-server." + name)}
		if i%2 == 1 {
			id, text = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 8, 5}, asn1.RawValue{Tag: asn1.TagUTF8String, Bytes: []byte(name)}
		}
		inner, err := asn1.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		der, err := asn1.Marshal(otherName{id, asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: inner}})
		if err != nil {
			t.Fatal(err)
		}
		var sequence asn1.RawValue
		if _, err := asn1.Unmarshal(der, &sequence); err != nil {
			t.Fatal(err)
		}
		all = append(all, asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: sequence.Bytes})
	}
	value, err := asn1.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: value}
}

// write makes a file that the servers' own users may read.
func write(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(name, data, 0o644); err != nil {
		t.Fatal(err)
	}
}
