// SPDX-License-Identifier: Apache-2.0

package tlsconfig_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/internal/tlsconfig"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// otherName makes the extension subjectAltName of one text of a kind (the last number of its OID).
func otherName(t *testing.T, kind, tag int, text string) pkix.Extension {
	t.Helper()
	marshal := func(v any) []byte {
		der, err := asn1.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	value := marshal(asn1.RawValue{Tag: tag, Bytes: []byte(text)})
	wrapped := marshal(asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: value})
	name := append(marshal(asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 8, kind}), wrapped...)
	names := marshal(asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: name})
	return pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: marshal(asn1.RawValue{Tag: asn1.TagSequence, IsCompound: true, Bytes: names})}
}

// Whom a certificate proves to be the server of a domain, and whom not.
func TestVerifyServer(t *testing.T) {
	ours, theirs := newAuthority(t), newAuthority(t)
	key := newKey(t, x509.ECDSA)
	const day = 24 * time.Hour
	extended := func(e pkix.Extension) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.ExtraExtensions = []pkix.Extension{e} }
	}
	usage := func(u x509.ExtKeyUsage) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{u} }
	}
	for _, c := range []struct {
		name     string
		by       *authority
		lifetime time.Duration
		change   func(*x509.Certificate)
		names    []string
		domain   string
		ok       bool
	}{
		{name: "its name", names: []string{"a.example"}, domain: "a.example", ok: true},
		{name: "in other letters", names: []string{"A.Example."}, domain: "a.example", ok: true},
		{name: "one of its names", names: []string{"b.example", "a.example"}, domain: "a.example", ok: true},
		{name: "letters of the world", names: []string{"xn--bcher-kva.example"}, domain: "bücher.example", ok: true},
		{name: "for servers alone", change: usage(x509.ExtKeyUsageServerAuth), names: []string{"a.example"}, domain: "a.example", ok: true},
		{name: "for clients alone", change: usage(x509.ExtKeyUsageClientAuth), names: []string{"a.example"}, domain: "a.example", ok: true},
		{name: "for signing code", change: usage(x509.ExtKeyUsageCodeSigning), names: []string{"a.example"}, domain: "a.example"},
		{name: "a wildcard", names: []string{"*.a.example"}, domain: "rooms.a.example", ok: true},
		{name: "a wildcard is one label", names: []string{"*.a.example"}, domain: "x.rooms.a.example"},
		{name: "a wildcard is not its parent", names: []string{"*.a.example"}, domain: "a.example"},
		{name: "a wildcard of everything", names: []string{"*.example"}, domain: "a.example"},
		{name: "a wildcard within a label", names: []string{"r*.a.example"}, domain: "rooms.a.example"},
		{name: "another name", names: []string{"b.example"}, domain: "a.example"},
		{name: "a child", names: []string{"a.example"}, domain: "rooms.a.example"},
		{name: "the common name alone", change: func(c *x509.Certificate) { c.Subject.CommonName = "a.example" }, names: []string{"b.example"}, domain: "a.example"},
		{name: "another authority", by: theirs, names: []string{"a.example"}, domain: "a.example"},
		{name: "expired", lifetime: -time.Hour, names: []string{"a.example"}, domain: "a.example"},
		{name: "not yet", change: func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Hour) }, names: []string{"a.example"}, domain: "a.example"},
		{name: "as a service", change: extended(otherName(t, 7, asn1.TagIA5String, "_xmpp-server.a.example")), domain: "a.example", ok: true},
		{name: "as a service for clients", change: extended(otherName(t, 7, asn1.TagIA5String, "_xmpp-client.a.example")), domain: "a.example"},
		{name: "as a service with a wildcard", change: extended(otherName(t, 7, asn1.TagIA5String, "_xmpp-server.*.a.example")), domain: "b.a.example"},
		{name: "as an address", change: extended(otherName(t, 5, asn1.TagUTF8String, "a.example")), domain: "a.example", ok: true},
		{name: "as somebody's address", change: extended(otherName(t, 5, asn1.TagUTF8String, "root@a.example")), domain: "a.example"},
	} {
		by, lifetime := c.by, c.lifetime
		if by == nil {
			by = ours
		}
		if lifetime == 0 {
			lifetime = day
		}
		text, _ := by.issueAs(t, key, lifetime, c.change, c.names...)
		block, _ := pem.Decode(text)
		leaf, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		until, err := tlsconfig.VerifyServer([]*x509.Certificate{leaf}, jid.MustParse(c.domain), ours.pool(), time.Now())
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
		if err == nil && !until.Equal(leaf.NotAfter) {
			t.Errorf("%s: until %v, where the certificate is valid until %v", c.name, until, leaf.NotAfter)
		}
	}
	if _, err := tlsconfig.VerifyServer(nil, jid.MustParse("a.example"), ours.pool(), time.Now()); !errors.Is(err, tlsconfig.ErrNoCertificate) {
		t.Errorf("no certificate: %v", err)
	}
}

// An authority that may sign for some names alone gets no other by a name that its constraints say nothing of.
func TestVerifyServerConstrained(t *testing.T) {
	root := newAuthority(t)
	key := newKey(t, x509.ECDSA)
	text, _ := root.issueAs(t, key, 24*time.Hour, func(c *x509.Certificate) {
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage, c.ExtKeyUsage = true, true, x509.KeyUsageCertSign, nil
		c.Subject.CommonName = "constrained"
		c.PermittedDNSDomainsCritical, c.PermittedDNSDomains = true, []string{"b.example"}
	})
	parse := func(text []byte) *x509.Certificate {
		block, _ := pem.Decode(text)
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	between := &authority{key: key, cert: parse(text)}
	for _, c := range []struct {
		name   string
		names  []string
		extra  *pkix.Extension
		domain string
		ok     bool
	}{
		{name: "a name that it may", names: []string{"b.example"}, domain: "b.example", ok: true},
		{name: "a name that it may not", names: []string{"a.example"}, domain: "a.example"},
		{name: "as a service", extra: new(otherName(t, 7, asn1.TagIA5String, "_xmpp-server.a.example")), domain: "a.example"},
		{name: "as an address", extra: new(otherName(t, 5, asn1.TagUTF8String, "a.example")), domain: "a.example"},
	} {
		leaf, _ := between.issueAs(t, newKey(t, x509.ECDSA), time.Hour, func(x *x509.Certificate) {
			if c.extra != nil {
				x.ExtraExtensions = []pkix.Extension{*c.extra}
			}
		}, c.names...)
		_, err := tlsconfig.VerifyServer([]*x509.Certificate{parse(leaf), between.cert}, jid.MustParse(c.domain), root.pool(), time.Now())
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
