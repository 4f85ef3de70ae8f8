// SPDX-License-Identifier: Apache-2.0

package sasl_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/sasl"
)

// certificate is self-signed with the given algorithm.
func certificate(t testing.TB, key crypto.Signer, algorithm x509.SignatureAlgorithm) tls.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "example.org"}, DNSNames: []string{"example.org"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), SignatureAlgorithm: algorithm,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func ecdsaKey(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// handshake makes a real connection and returns the state at both ends.
func handshake(t testing.TB, cert tls.Certificate, edit func(client, server *tls.Config)) (client, server tls.ConnectionState) {
	t.Helper()
	sc := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	cc := &tls.Config{InsecureSkipVerify: true, ServerName: "example.org"}
	if edit != nil {
		edit(cc, sc)
	}
	// Not net.Pipe: without buffers both sides may write and nobody reads.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	a, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	b, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	c, s := tls.Client(a, cc), tls.Server(b, sc)
	done := make(chan error, 1)
	go func() {
		done <- s.Handshake()
		s.Write([]byte("x")) // the client reads it, and the session ticket before it
	}()
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return c.ConnectionState(), s.ConnectionState()
}

func version(v uint16) func(client, server *tls.Config) {
	return func(_, server *tls.Config) { server.MaxVersion = v }
}

var versions = map[string]uint16{"TLS 1.2": tls.VersionTLS12, "TLS 1.3": tls.VersionTLS13}

// Every mechanism over real TLS, with either type of binding.
func TestLoginOverTLS(t *testing.T) {
	cert := certificate(t, ecdsaKey(t), x509.ECDSAWithSHA256)
	account := keys(t, "pencil")
	for name, v := range versions {
		client, server := handshake(t, cert, version(v))
		cb, err := sasl.BindingOf(client, client.PeerCertificates[0])
		if err != nil {
			t.Fatal(err)
		}
		sb, err := sasl.BindingOf(server, cert.Leaf)
		if err != nil {
			t.Fatal(err)
		}
		if len(cb) != 2 || len(sb) != 2 || cb[0].Type != sasl.TLSExporter || len(cb[0].Data) != 32 || cb[1].Type != sasl.TLSServerEndPoint {
			t.Fatalf("%s: %v %v", name, cb, sb)
		}
		// Somebody in between has a connection to each side, and even the key.
		otherClient, _ := handshake(t, cert, version(v))
		other, err := sasl.BindingOf(otherClient, cert.Leaf)
		if err != nil {
			t.Fatal(err)
		}
		for _, mechanism := range sasl.ServerMechanisms(true, sb, true) {
			for i, binding := range cb {
				if !strings.HasSuffix(mechanism, "-PLUS") && i > 0 {
					continue
				}
				t.Run(name+"/"+mechanism+"/"+binding.Type, func(t *testing.T) {
					cc := sasl.ClientConfig{
						Mechanisms: []string{mechanism}, Username: "juliet", Password: "pencil",
						AllowPlain: true,
					}
					sc := sasl.ServerConfig{Plain: true, AdvertisedMechanisms: []string{mechanism}, Bindings: sb}
					if strings.HasSuffix(mechanism, "-PLUS") {
						cc.Bindings, cc.OfferedBindings = cb[i:i+1], sasl.BindingTypes(sb)
					}
					c, s := pair(t, cc, sc)
					if c.Mechanism() != mechanism {
						t.Fatalf("picked %s", c.Mechanism())
					}
					if out, err := login(t, c, s, account, nil); err != nil || out.Kind != sasl.Success {
						t.Fatalf("%+v, %v", out, err)
					}
					if cc.Bindings == nil || binding.Type != sasl.TLSExporter {
						return
					}
					sc.Bindings = other
					c, s = pair(t, cc, sc)
					if out, _ := login(t, c, s, account, nil); out.Kind != sasl.Failed || out.Failure.Condition != sasl.NotAuthorized {
						t.Errorf("over two connections: %+v", out)
					}
				})
			}
		}
	}
}

// A resumed connection exports its own material and knows the certificate.
func TestBindingOfResumed(t *testing.T) {
	cert := certificate(t, ecdsaKey(t), x509.ECDSAWithSHA256)
	for name, v := range versions {
		cache := tls.NewLRUClientSessionCache(1)
		edit := func(c, s *tls.Config) {
			c.ClientSessionCache = cache
			s.MaxVersion = v
			s.SetSessionTicketKeys([][32]byte{{1}})
		}
		first, _ := handshake(t, cert, edit)
		client, server := handshake(t, cert, edit)
		if !client.DidResume {
			t.Fatalf("%s: not resumed", name)
		}
		a, err := sasl.BindingOf(first, first.PeerCertificates[0])
		if err != nil {
			t.Fatal(err)
		}
		b, err := sasl.BindingOf(client, client.PeerCertificates[0])
		if err != nil {
			t.Fatal(err)
		}
		c, err := sasl.BindingOf(server, cert.Leaf)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(b[0].Data, c[0].Data) || !bytes.Equal(b[1].Data, c[1].Data) || bytes.Equal(a[0].Data, b[0].Data) {
			t.Errorf("%s: %v %v %v", name, a, b, c)
		}
	}
}

// tls-exporter is not offered where crypto/tls won't vouch for it.
func TestBindingOfWithoutExporter(t *testing.T) {
	cert := certificate(t, ecdsaKey(t), x509.ECDSAWithSHA256)
	client, _ := handshake(t, cert, func(c, s *tls.Config) {
		s.MaxVersion = tls.VersionTLS12
		c.Renegotiation = tls.RenegotiateOnceAsClient
	})
	list, err := sasl.BindingOf(client, cert.Leaf)
	if err != nil || len(list) != 1 || list[0].Type != sasl.TLSServerEndPoint {
		t.Errorf("%v, %v", list, err)
	}
	if list, err := sasl.BindingOf(client, nil); err == nil || list != nil {
		t.Errorf("nothing at all: %v, %v", list, err)
	}
	client, _ = handshake(t, cert, nil)
	if list, err := sasl.BindingOf(client, nil); err != nil || len(list) != 1 || list[0].Type != sasl.TLSExporter {
		t.Errorf("no certificate: %v, %v", list, err)
	}
	if list, err := sasl.BindingOf(tls.ConnectionState{}, cert.Leaf); err == nil || list != nil {
		t.Errorf("no connection: %v, %v", list, err)
	}
	old := client
	old.Version = tls.VersionTLS11
	if list, err := sasl.BindingOf(old, cert.Leaf); err != nil || len(list) != 1 {
		t.Errorf("TLS 1.1: %v, %v", list, err)
	}
}

// The exporter's label and context, written out. RFC 9266 §2.
func TestExporterValue(t *testing.T) {
	cert := certificate(t, ecdsaKey(t), x509.ECDSAWithSHA256)
	for name, v := range versions {
		client, _ := handshake(t, cert, version(v))
		list, err := sasl.BindingOf(client, nil)
		if err != nil {
			t.Fatal(err)
		}
		want, err := client.ExportKeyingMaterial("EXPORTER-Channel-Binding", []byte{}, 32)
		if err != nil || !bytes.Equal(list[0].Data, want) {
			t.Errorf("%s: %x, want %x, %v", name, list[0].Data, want, err)
		}
	}
}

// RFC 5929 §4.1.
func TestEndPointHash(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ec := ecdsaKey(t)
	sha256sum := func(b []byte) []byte { s := sha256.Sum256(b); return s[:] }
	sha384sum := func(b []byte) []byte { s := sha512.Sum384(b); return s[:] }
	sha512sum := func(b []byte) []byte { s := sha512.Sum512(b); return s[:] }
	state := tls.ConnectionState{HandshakeComplete: true, Version: tls.VersionTLS11}
	for _, test := range []struct {
		algorithm x509.SignatureAlgorithm
		key       crypto.Signer
		hash      func([]byte) []byte
	}{
		{x509.SHA256WithRSA, rsaKey, sha256sum},
		{x509.SHA384WithRSA, rsaKey, sha384sum},
		{x509.SHA512WithRSA, rsaKey, sha512sum},
		{x509.SHA256WithRSAPSS, rsaKey, sha256sum},
		{x509.SHA384WithRSAPSS, rsaKey, sha384sum},
		{x509.SHA512WithRSAPSS, rsaKey, sha512sum},
		{x509.ECDSAWithSHA256, ec, sha256sum},
		{x509.ECDSAWithSHA384, ec, sha384sum},
		{x509.ECDSAWithSHA512, ec, sha512sum},
		{x509.PureEd25519, edKey, nil},
		// crypto/x509 no longer signs by these.
		{x509.MD5WithRSA, nil, sha256sum},
		{x509.SHA1WithRSA, nil, sha256sum},
		{x509.ECDSAWithSHA1, nil, sha256sum},
		{x509.MD2WithRSA, nil, nil},
		{x509.UnknownSignatureAlgorithm, nil, nil},
	} {
		leaf := &x509.Certificate{Raw: []byte("certificate"), SignatureAlgorithm: test.algorithm}
		if test.key != nil {
			leaf = certificate(t, test.key, test.algorithm).Leaf
		}
		list, err := sasl.BindingOf(state, leaf)
		switch {
		case test.hash == nil:
			if err == nil {
				t.Errorf("%v: %v", test.algorithm, list)
			}
		case err != nil || !bytes.Equal(list[0].Data, test.hash(leaf.Raw)):
			t.Errorf("%v: %v, %v", test.algorithm, list, err)
		}
	}
}
