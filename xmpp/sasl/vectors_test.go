// SPDX-License-Identifier: Apache-2.0

package sasl_test

import (
	"encoding/base64"
	"testing"

	"github.com/stonechat-im/stonechat/xmpp/sasl"
)

// vector is a whole login as a specification prints it.
type vector struct {
	name, mechanism, user, password   string
	clientNonce, serverNonce, salt    string
	iterations                        int
	first, challenge, final, verifier string
	bindings                          []sasl.ChannelBinding
	advertised                        []string
	serverOnly                        bool // the client sent an extension that we don't send
}

func vectors() []vector {
	return []vector{
		{
			name: "RFC 5802 §5", mechanism: "SCRAM-SHA-1", user: "user", password: "pencil",
			clientNonce: "fyko+d2lbbFgONRv9qkxdawL", serverNonce: "3rfcNHYJY1ZVvWVs7j",
			salt: "QSXCR+Q6sek8bf92", iterations: 4096,
			first:     "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
			challenge: "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
			final:     "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
			verifier:  "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
		},
		{
			name: "RFC 7677 §3", mechanism: "SCRAM-SHA-256", user: "user", password: "pencil",
			clientNonce: "rOprNGfwEbeRWgbNEkqO", serverNonce: "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
			salt: "W22ZaJ0SNY7soEsUEjb6gQ==", iterations: 4096,
			first:     "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
			challenge: "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
			final:     "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
			verifier:  "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
		},
		{
			name: "XEP-0474 §5.3", mechanism: "SCRAM-SHA-1-PLUS", user: "user", password: "pencil",
			clientNonce: "12C4CD5C-E38E-4A98-8F6D-15C38F51CCC6", serverNonce: "a09117a6-ac50-4f2f-93f1-93799c2bddf6",
			salt: "QSXCR+Q6sek8bf92", iterations: 4096,
			first:      "p=tls-exporter,,n=user,r=12C4CD5C-E38E-4A98-8F6D-15C38F51CCC6",
			challenge:  "r=12C4CD5C-E38E-4A98-8F6D-15C38F51CCC6a09117a6-ac50-4f2f-93f1-93799c2bddf6,s=QSXCR+Q6sek8bf92,i=4096,h=G6k/rBLDqgOhRRaCuuatSDFkJ08=",
			final:      "c=cD10bHMtZXhwb3J0ZXIsLFRISVMgSVMgRkFLRSBDQiBEQVRB,r=12C4CD5C-E38E-4A98-8F6D-15C38F51CCC6a09117a6-ac50-4f2f-93f1-93799c2bddf6,x=19C6532F-1CF4-4A27-A18D-DC9CEA41BBB3,p=M/SIDjT+dfcxUh89jZEypRvFxB4=",
			verifier:   "v=MQrMPvv7yv4x4Cq4W4Ih25EqS2c=",
			bindings:   []sasl.ChannelBinding{{Type: sasl.TLSServerEndPoint, Data: []byte("other")}, {Type: sasl.TLSExporter, Data: []byte("THIS IS FAKE CB DATA")}},
			advertised: []string{"SCRAM-SHA-1", "SCRAM-SHA-1-PLUS"},
			serverOnly: true,
		},
	}
}

func (v vector) keys(t testing.TB) []sasl.Key {
	t.Helper()
	salt, err := base64.StdEncoding.DecodeString(v.salt)
	if err != nil {
		t.Fatal(err)
	}
	hash := v.mechanism
	if len(v.bindings) > 0 {
		hash = hash[:len(hash)-len("-PLUS")]
	}
	return []sasl.Key{sasl.KeyFor(hash, v.password, salt, v.iterations)}
}

func TestVectorsServer(t *testing.T) {
	for _, v := range vectors() {
		t.Run(v.name, func(t *testing.T) {
			s, err := sasl.NewServer(v.mechanism, sasl.ServerConfig{Secret: secret, Bindings: v.bindings, AdvertisedMechanisms: v.advertised})
			if err != nil {
				t.Fatal(err)
			}
			s.SetNonce(v.serverNonce)
			out := s.Step([]byte(v.first))
			if out.Kind != sasl.Lookup || out.Username != v.user || out.Authzid != "" {
				t.Fatalf("first: %+v", out)
			}
			out = s.Resolve(v.keys(t), nil)
			if out.Kind != sasl.Challenge || string(out.Data) != v.challenge {
				t.Fatalf("challenge: %v %s\nwant %s", out.Kind, out.Data, v.challenge)
			}
			out = s.Step([]byte(v.final))
			if out.Kind != sasl.Success || string(out.Data) != v.verifier || out.Username != v.user {
				t.Fatalf("final: %+v %v", out, out.Failure)
			}
		})
	}
}

func TestVectorsClient(t *testing.T) {
	for _, v := range vectors() {
		if v.serverOnly {
			continue
		}
		t.Run(v.name, func(t *testing.T) {
			c, err := sasl.NewClient(sasl.ClientConfig{Mechanisms: []string{v.mechanism}, Username: v.user, Password: v.password})
			if err != nil {
				t.Fatal(err)
			}
			c.SetNonce(v.clientNonce)
			if got := string(c.Start()); got != v.first {
				t.Fatalf("first %s\nwant %s", got, v.first)
			}
			final, err := c.Step([]byte(v.challenge))
			if err != nil || string(final) != v.final {
				t.Fatalf("final %s, %v\nwant %s", final, err, v.final)
			}
			if err := c.Finish([]byte(v.verifier)); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// XEP-0474 §5.1: sorted, with the hash of the mechanism, the second list only
// if XEP-0440 was used.
func TestDowngradeHash(t *testing.T) {
	mechanisms := []string{"SCRAM-SHA-1-PLUS", "SCRAM-SHA-1"}
	const printed = "G6k/rBLDqgOhRRaCuuatSDFkJ08="
	if got := sasl.DowngradeHash(sasl.SHA1, mechanisms, []string{"tls-server-end-point", "tls-exporter"}); got != printed {
		t.Errorf("got %s, want %s", got, printed)
	}
	if mechanisms[0] != "SCRAM-SHA-1-PLUS" {
		t.Error("the caller's list was sorted")
	}
	if got := sasl.DowngradeHash(sasl.SHA1, mechanisms, nil); got == printed {
		t.Error("the types of channel binding are not covered")
	}
	if got := sasl.DowngradeHash(sasl.SHA256, mechanisms, nil); len(got) != 44 {
		t.Errorf("SHA-256: %s", got)
	}
}
