// SPDX-License-Identifier: Apache-2.0

package dane_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/internal/dane"
	"github.com/stonechat-im/stonechat/internal/tlsconfig"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// issuer is an authority, or a server if it has a name.
type issuer struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

var serial = func() func() int64 { n := int64(0); return func() int64 { n++; return n } }()

// issue makes a certificate: an authority's where there is no name. by nil: by itself.
func issue(t *testing.T, by *issuer, name string, ends time.Time) *issuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial()), NotBefore: ends.Add(-365 * 24 * time.Hour), NotAfter: ends,
		BasicConstraintsValid: true, IsCA: name == "", KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	if name != "" {
		template.DNSNames, template.KeyUsage = []string{name}, x509.KeyUsageDigitalSignature
	}
	template.Subject.CommonName = template.SerialNumber.String()
	parent, signs := template, key
	if by != nil {
		parent, signs = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signs)
	if err != nil {
		t.Fatal(err)
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &issuer{made, key}
}

// record makes one of each kind of comparison.
func record(u dane.Usage, s dane.Selector, m dane.Matching, c *x509.Certificate) dane.Record {
	data := c.Raw
	if s == dane.SPKI {
		data = c.RawSubjectPublicKeyInfo
	}
	switch m {
	case dane.SHA256:
		sum := sha256.Sum256(data)
		data = sum[:]
	case dane.SHA512:
		sum := sha512.Sum512(data)
		data = sum[:]
	}
	return dane.Record{Usage: u, Selector: s, Matching: m, Data: data}
}

func TestVerify(t *testing.T) {
	now := time.Now()
	later := now.Add(90 * 24 * time.Hour)
	root, stranger := issue(t, nil, "", later), issue(t, nil, "", later)
	middle := issue(t, root, "", later)
	good := issue(t, middle, "example.org", later)
	host := issue(t, middle, "xmpp.example.org", later)
	other := issue(t, middle, "other.example", later)
	old := issue(t, middle, "example.org", now.Add(-time.Hour))
	own := issue(t, nil, "whatever.invalid", now.Add(-time.Hour))
	chain := func(list ...*issuer) (all []*x509.Certificate) {
		for _, i := range list {
			all = append(all, i.cert)
		}
		return all
	}
	trusted := x509.NewCertPool()
	trusted.AddCert(root.cert)
	unusable := []dane.Record{
		{Usage: 4, Selector: 1, Matching: 1, Data: make([]byte, 32)},
		{Usage: 3, Selector: 2, Matching: 1, Data: make([]byte, 32)},
		{Usage: 3, Selector: 1, Matching: 3, Data: make([]byte, 32)},
		{Usage: 3, Selector: 1, Matching: 1, Data: make([]byte, 31)},
		{Usage: 3, Selector: 1, Matching: 2, Data: make([]byte, 32)},
		{Usage: 3, Selector: 1, Matching: 0},
	}
	for _, c := range []struct {
		name    string
		records []dane.Record
		shows   []*x509.Certificate
		want    string // "" is well
	}{
		{"3 1 1", []dane.Record{record(3, 1, 1, good.cert)}, chain(good), ""},
		{"3 1 2", []dane.Record{record(3, 1, 2, good.cert)}, chain(good), ""},
		{"3 1 0", []dane.Record{record(3, 1, 0, good.cert)}, chain(good), ""},
		{"3 0 1", []dane.Record{record(3, 0, 1, good.cert)}, chain(good), ""},
		{"3 0 0", []dane.Record{record(3, 0, 0, good.cert)}, chain(good), ""},
		{"3: neither names nor dates", []dane.Record{record(3, 1, 1, own.cert)}, chain(own), ""},
		{"3: of another", []dane.Record{record(3, 1, 1, other.cert)}, chain(good, middle), "none of those"},
		{"3: of its authority", []dane.Record{record(3, 1, 1, middle.cert)}, chain(good, middle), "none of those"},
		{"2 1 1 of the authority between", []dane.Record{record(2, 1, 1, middle.cert)}, chain(good, middle), ""},
		{"2 0 2 of the root that is sent", []dane.Record{record(2, 0, 2, root.cert)}, chain(good, middle, root), ""},
		{"2 0 1 of a root that is not sent", []dane.Record{record(2, 0, 1, root.cert)}, chain(good, middle), "none of those"},
		{"2 0 0 brings the root", []dane.Record{record(2, 0, 0, root.cert)}, chain(good, middle), ""},
		{"2 0 0 brings nonsense", []dane.Record{{Usage: 2, Data: []byte("x")}}, chain(good, middle), "none of those"},
		{"2: the host's name", []dane.Record{record(2, 1, 1, middle.cert)}, chain(host, middle), ""},
		{"2: another name", []dane.Record{record(2, 1, 1, middle.cert)}, chain(other, middle), "is not for example.org"},
		{"2: expired", []dane.Record{record(2, 1, 1, middle.cert)}, chain(old, middle), "expired"},
		{"2: an authority that is only shown", []dane.Record{record(2, 1, 1, stranger.cert)}, chain(good, stranger), "unknown authority"},
		{"2: of the server itself", []dane.Record{record(2, 1, 1, good.cert)}, chain(good, middle), "none of those"},
		{"1 1 1", []dane.Record{record(1, 1, 1, good.cert)}, chain(good, middle), ""},
		{"1: not trusted", []dane.Record{record(1, 1, 1, own.cert)}, chain(own), "certificate"},
		{"1: of another", []dane.Record{record(1, 1, 1, other.cert)}, chain(good, middle), "none of those"},
		{"0 1 1 of the root, which is not sent", []dane.Record{record(0, 1, 1, root.cert)}, chain(good, middle), ""},
		{"0: of another authority", []dane.Record{record(0, 1, 1, stranger.cert)}, chain(good, middle), "none of those"},
		{"0: not trusted", []dane.Record{record(0, 1, 1, stranger.cert)}, chain(issue(t, stranger, "example.org", later), stranger), "unknown authority"},
		{"one of several", []dane.Record{record(3, 1, 1, other.cert), record(2, 1, 1, root.cert), record(3, 0, 1, good.cert)}, chain(good, middle), ""},
		{"the strongest digest counts", []dane.Record{record(3, 1, 1, good.cert), record(3, 1, 2, other.cert)}, chain(good), "none of those"},
		{"beside one that cannot be understood", append(unusable, record(3, 1, 1, good.cert)), chain(good), ""},
		{"none that can be understood", unusable, chain(good, middle), "no usable"},
		{"none at all", nil, chain(good, middle), "no usable"},
		{"nothing is shown", []dane.Record{record(3, 1, 1, good.cert)}, nil, "shown no certificate"},
	} {
		v := &dane.Verifier{Records: c.records, Domain: jid.MustParse("example.org"), Host: "xmpp.example.org", Roots: trusted, Now: func() time.Time { return now }}
		err := v.Verify(c.shows)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	if n := len(dane.Usable(unusable)); n != 0 {
		t.Errorf("%d records are usable that are not", n)
	}
	v := &dane.Verifier{Records: []dane.Record{dane.Of(good.cert)}, Domain: jid.MustParse("example.org")}
	if err := v.VerifyConnection(tls.ConnectionState{PeerCertificates: chain(good)}); err != nil {
		t.Error(err)
	}
	if err := v.VerifyConnection(tls.ConnectionState{}); !errors.Is(err, tlsconfig.ErrNoCertificate) {
		t.Error(err)
	}
	if text := dane.Of(good.cert).String(); !strings.HasPrefix(text, "3 1 1 ") || len(text) != 6+64 {
		t.Error(text)
	}
}
