// SPDX-License-Identifier: Apache-2.0

package sasl_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/sasl"
)

// xmppAddr is a general name of RFC 6120 §13.7.1.4; kind is its object identifier.
func xmppAddr(t testing.TB, address string, kind ...int) asn1.RawValue {
	t.Helper()
	if len(kind) == 0 {
		kind = []int{1, 3, 6, 1, 5, 5, 7, 8, 5}
	}
	id, err := asn1.Marshal(asn1.ObjectIdentifier(kind))
	if err != nil {
		t.Fatal(err)
	}
	text, err := asn1.MarshalWithParams(address, "utf8")
	if err != nil {
		t.Fatal(err)
	}
	value, err := asn1.Marshal(asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: text})
	if err != nil {
		t.Fatal(err)
	}
	return asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: append(id, value...)}
}

func dnsName(name string) asn1.RawValue {
	return asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 2, Bytes: []byte(name)}
}

// altNames is the value of the extension.
func altNames(t testing.TB, names ...asn1.RawValue) []byte {
	t.Helper()
	der, err := asn1.Marshal(names)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// certified is a certificate with that extension, made and read again.
func certified(t testing.TB, names []byte) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "sensor"}, NotAfter: time.Now().Add(time.Hour),
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: names}},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func TestXMPPAddresses(t *testing.T) {
	for _, c := range []struct {
		names []asn1.RawValue
		want  string
	}{
		{[]asn1.RawValue{xmppAddr(t, "juliet@im.example.com")}, "[juliet@im.example.com]"},
		{[]asn1.RawValue{dnsName("example.com"), xmppAddr(t, "Juliet@Example.com"), xmppAddr(t, "b@d/r"), dnsName("x.example")}, "[juliet@example.com b@d/r]"},
		{[]asn1.RawValue{xmppAddr(t, "_xmpp-server.example.com", 1, 3, 6, 1, 5, 5, 7, 8, 7)}, "[]"},
		{[]asn1.RawValue{dnsName("example.com")}, "[]"},
		{[]asn1.RawValue{xmppAddr(t, "a@d"), xmppAddr(t, "@")}, "malformed"},
		{[]asn1.RawValue{xmppAddr(t, "")}, "malformed"},
	} {
		got, err := sasl.XMPPAddresses(certified(t, altNames(t, c.names...)))
		switch {
		case c.want == "malformed" && !errors.Is(err, sasl.ErrAddress):
			t.Errorf("%v, %v, want an error", got, err)
		case c.want != "malformed" && (err != nil || fmt.Sprint(got) != c.want):
			t.Errorf("%v, %v, want %s", got, err, c.want)
		}
	}
	if got, err := sasl.XMPPAddresses(new(x509.Certificate)); len(got) > 0 || err != nil {
		t.Errorf("no extension: %v, %v", got, err)
	}
}

// FuzzXMPPAddresses: whatever stands in the extension, it is read or refused, and what is read is
// an address.
func FuzzXMPPAddresses(f *testing.F) {
	whole := altNames(f, dnsName("example.com"), xmppAddr(f, "juliet@im.example.com"))
	f.Add(whole)
	for i := range whole {
		f.Add(whole[:i])
	}
	f.Add(bytes.Replace(whole, []byte{0x0c}, []byte{0x13}, 1)) // a PrintableString
	f.Fuzz(func(t *testing.T, der []byte) {
		cert := &x509.Certificate{Extensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: der}}}
		list, err := sasl.XMPPAddresses(cert)
		if err != nil && len(list) > 0 {
			t.Fatal("addresses of a malformed extension")
		}
		for _, j := range list {
			if again, err := jid.Parse(j.String()); err != nil || again != j {
				t.Fatalf("%q: %v", j, err)
			}
		}
	})
}

// XEP-0178 §2: one address needs no authorization identity, several need one, and it is one of them.
func TestExternal(t *testing.T) {
	romeo, juliet := jid.MustParse("romeo@example.org"), jid.MustParse("juliet@example.org")
	account := keys(t, "pencil")
	for _, c := range []struct {
		name    string
		has     []jid.JID
		sent    string
		account []sasl.Key
		err     error
		want    string // the account's name, or the condition
	}{
		{"one, unsaid", []jid.JID{romeo}, "", account, nil, "romeo"},
		{"one, said", []jid.JID{romeo}, "romeo@example.org", account, nil, "romeo"},
		{"one, said in capitals", []jid.JID{romeo}, "Romeo@EXAMPLE.org", account, nil, "romeo"},
		{"another", []jid.JID{romeo}, "juliet@example.org", account, nil, sasl.InvalidAuthzid},
		{"with a resource", []jid.JID{romeo}, "romeo@example.org/r", account, nil, sasl.InvalidAuthzid},
		{"another domain's", []jid.JID{romeo}, "romeo@example.com", account, nil, sasl.InvalidAuthzid},
		{"a name alone", []jid.JID{romeo}, "romeo", account, nil, sasl.InvalidAuthzid},
		{"several, unsaid", []jid.JID{romeo, juliet}, "", account, nil, sasl.InvalidAuthzid},
		{"several, said", []jid.JID{romeo, juliet}, "juliet@example.org", account, nil, "juliet"},
		{"several, another", []jid.JID{romeo, juliet}, "nurse@example.org", account, nil, sasl.InvalidAuthzid},
		{"no such account", []jid.JID{romeo}, "", nil, nil, sasl.NotAuthorized},
		{"disabled", []jid.JID{romeo}, "", account, sasl.ErrDisabled, sasl.AccountDisabled},
		{"the store fails", []jid.JID{romeo}, "", nil, errors.New("the disk is gone"), sasl.TemporaryAuthFailure},
		{"too long", []jid.JID{romeo}, strings.Repeat("x", 3072), account, nil, sasl.MalformedRequest},
		{"not UTF-8", []jid.JID{romeo}, "romeo\xff@example.org", account, nil, sasl.MalformedRequest},
		{"NUL", []jid.JID{romeo}, "romeo@example.org\x00", account, nil, sasl.MalformedRequest},
	} {
		cl, s := pair(t, sasl.ClientConfig{
			Mechanisms: []string{sasl.External, sasl.SHA256}, Username: "romeo", External: true, Pinned: sasl.External,
		}, sasl.ServerConfig{External: c.has, Domain: "example.org"})
		if cl.Mechanism() != sasl.External {
			t.Fatal(cl.Mechanism())
		}
		if first := cl.Start(); first == nil || len(first) > 0 {
			t.Errorf("the client says %q unasked", first)
		}
		out := s.Step([]byte(c.sent))
		if out.Kind == sasl.Lookup {
			out = s.Resolve(c.account, c.err)
		}
		got := out.Username
		if out.Kind == sasl.Failed {
			got = out.Failure.Condition
		}
		if got != c.want {
			t.Errorf("%s: %s %s, want %s", c.name, out.Kind, got, c.want)
		}
		if out.Kind == sasl.Success && cl.Finish(out.Data) != nil {
			t.Errorf("%s: the client does not believe it", c.name)
		}
		if after := s.Step([]byte{}); after.Kind != sasl.Failed {
			t.Errorf("%s: and then %s", c.name, after.Kind)
		}
	}
}

// Without a certificate there is no EXTERNAL, on either side.
func TestExternalNot(t *testing.T) {
	if _, err := sasl.NewServer(sasl.External, sasl.ServerConfig{Secret: secret}); !errors.Is(err, sasl.ErrMechanism) {
		t.Error(err)
	}
	list := []string{sasl.External, sasl.SHA256}
	if c, err := sasl.NewClient(sasl.ClientConfig{Mechanisms: list, Username: "romeo", Password: "x"}); err != nil || c.Mechanism() != sasl.SHA256 {
		t.Error(c, err)
	}
	_, err := sasl.NewClient(sasl.ClientConfig{Mechanisms: list[1:], Username: "romeo", Password: "x", External: true, Pinned: sasl.External})
	if !errors.Is(err, sasl.ErrDowngrade) {
		t.Error(err)
	}
	c, err := sasl.NewClient(sasl.ClientConfig{Mechanisms: list, Username: "romeo", External: true, ExternalAuthzid: "romeo@example.org", Bindings: both})
	if err != nil || string(c.Start()) != "romeo@example.org" {
		t.Error(err)
	}
	if _, err := c.Step([]byte("x")); err == nil {
		t.Error("a challenge is answered")
	}
	// The server may ask for the initial response (RFC 6120 §6.4.2).
	s, err := sasl.NewServer(sasl.External, sasl.ServerConfig{Secret: secret, Domain: "example.org", External: []jid.JID{jid.MustParse("romeo@example.org")}})
	if err != nil {
		t.Fatal(err)
	}
	if out := s.Step(nil); out.Kind != sasl.Challenge || len(out.Data) > 0 {
		t.Error(out)
	}
	if out := s.Step([]byte{}); out.Kind != sasl.Lookup {
		t.Error(out)
	}
}
