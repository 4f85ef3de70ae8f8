// SPDX-License-Identifier: Apache-2.0

package tlsconfig_test

import (
	"crypto/tls"
	"crypto/x509"
	"testing"

	"github.com/stonechat-im/stonechat/internal/tlsconfig"
)

// BenchmarkChoose is what the set adds to a handshake: one of three domains
// with two certificates each.
func BenchmarkChoose(b *testing.B) {
	ca, folder := newAuthority(b), b.TempDir()
	var pairs []tlsconfig.Pair
	for _, domain := range []string{"a.example", "b.example", "c.example"} {
		pairs = append(pairs, ca.pair(b, folder, domain+"-rsa", x509.RSA, domain), ca.pair(b, folder, domain, x509.ECDSA, domain))
	}
	config := load(b, tlsconfig.Options{More: pairs}).Config("xmpp-client")
	hello := &tls.ClientHelloInfo{
		ServerName: "c.example", SupportedVersions: []uint16{tls.VersionTLS13},
		SignatureSchemes: []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256, tls.PSSWithSHA256},
		SupportedCurves:  []tls.CurveID{tls.X25519, tls.CurveP256}, SupportedPoints: []uint8{0},
		CipherSuites: []uint16{tls.TLS_AES_128_GCM_SHA256},
	}
	b.ReportAllocs()
	for b.Loop() {
		c, err := config.GetConfigForClient(hello)
		if err != nil || c.Certificates[0].Leaf.PublicKeyAlgorithm != x509.ECDSA {
			b.Fatal(err)
		}
	}
}
