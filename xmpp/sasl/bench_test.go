// SPDX-License-Identifier: Apache-2.0

package sasl_test

import (
	"strings"
	"testing"

	"github.com/stonechat-im/stonechat/xmpp/sasl"
)

// BenchmarkServer is the server's whole part of a login with stored keys; the
// client's messages are made ahead, with the same nonces throughout.
func BenchmarkServer(b *testing.B) {
	list := sasl.ServerMechanisms(true, both, false)
	account := keys(b, "pencil")
	for _, mechanism := range list {
		cc := sasl.ClientConfig{
			Mechanisms: []string{mechanism}, Username: "juliet", Password: "pencil",
			Bindings: both, OfferedBindings: sasl.BindingTypes(both),
		}
		if !strings.HasSuffix(mechanism, "-PLUS") {
			cc.Bindings = nil
		}
		for _, unknown := range []bool{false, true} {
			name := mechanism
			if unknown {
				name += "/unknown"
			}
			b.Run(name, func(b *testing.B) {
				cc := cc
				// One genuine exchange, to be repeated by a server that
				// makes the same nonce again.
				c, err := sasl.NewClient(cc)
				if err != nil {
					b.Fatal(err)
				}
				sc := sasl.ServerConfig{Secret: secret, Bindings: both, Domain: "example.org"}
				first := c.Start()
				s, err := sasl.NewServer(mechanism, sc)
				if err != nil {
					b.Fatal(err)
				}
				s.SetNonce("nonceofthebenchmark")
				s.Step(first)
				final, err := c.Step(s.Resolve(account, nil).Data)
				if err != nil {
					b.Fatal(err)
				}
				stored, want := account, sasl.Success
				if unknown {
					stored, want = nil, sasl.Failed
				}
				b.ReportAllocs()
				for b.Loop() {
					s, err := sasl.NewServer(mechanism, sc)
					if err != nil {
						b.Fatal(err)
					}
					s.SetNonce("nonceofthebenchmark")
					s.Step(first)
					s.Resolve(stored, nil)
					if out := s.Step(final); out.Kind != want {
						b.Fatal(out.Failure)
					}
				}
			})
		}
	}
}

// BenchmarkServerAdvertised adds the hash of XEP-0474.
func BenchmarkServerAdvertised(b *testing.B) {
	list := sasl.ServerMechanisms(true, both, false)
	sc := sasl.ServerConfig{Secret: secret, Bindings: both, Domain: "example.org", AdvertisedMechanisms: list}
	account := keys(b, "pencil")
	b.ReportAllocs()
	for b.Loop() {
		s, err := sasl.NewServer("SCRAM-SHA-256-PLUS", sc)
		if err != nil {
			b.Fatal(err)
		}
		s.Step([]byte("p=tls-exporter,,n=juliet,r=abcdefghijklmnopqrstuvwx"))
		if out := s.Resolve(account, nil); out.Kind != sasl.Challenge {
			b.Fatal(out.Failure)
		}
	}
}

func BenchmarkDeriveKeys(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := sasl.DeriveKeys("pencil", sasl.DefaultIterations, nil); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPlain is what a login by PLAIN costs: the derivation.
func BenchmarkPlain(b *testing.B) {
	account, err := sasl.DeriveKeys("pencil", sasl.DefaultIterations, nil)
	if err != nil {
		b.Fatal(err)
	}
	for name, stored := range map[string][]sasl.Key{"known": account, "unknown": nil} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				s, err := sasl.NewServer("PLAIN", sasl.ServerConfig{Secret: secret, Plain: true})
				if err != nil {
					b.Fatal(err)
				}
				s.Step([]byte("\x00juliet\x00wrong"))
				if out := s.Resolve(stored, nil); out.Kind != sasl.Failed {
					b.Fatal(out.Kind)
				}
			}
		})
	}
}

// BenchmarkClient is the client's part, with the keys derived before.
func BenchmarkClient(b *testing.B) {
	cache := new(sasl.KeyCache)
	cc := sasl.ClientConfig{Mechanisms: []string{"SCRAM-SHA-256"}, Username: "u", Password: "pencil", Cache: cache}
	b.ReportAllocs()
	for b.Loop() {
		c, err := sasl.NewClient(cc)
		if err != nil {
			b.Fatal(err)
		}
		c.SetNonce("abc")
		c.Start()
		if _, err := c.Step([]byte("r=abcdef,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=10000")); err != nil {
			b.Fatal(err)
		}
	}
}
