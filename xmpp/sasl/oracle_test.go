// SPDX-License-Identifier: Apache-2.0

package sasl_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/stonechat-im/stonechat/xmpp/sasl"
	"github.com/xdg-go/scram"
)

// Another implementation, written by others, on the other side.
var oracles = map[string]scram.HashGeneratorFcn{
	sasl.SHA1: scram.SHA1, sasl.SHA256: scram.SHA256, sasl.SHA512: scram.SHA512,
}

var oraclePeople = []struct{ user, password string }{
	{"user", "pencil"},
	{"a=b,c", "=2C,=3D"},
	{"żółć", "zażółć gęślą jaźń"},
}

func oracleBinding(b sasl.ChannelBinding) scram.ChannelBinding {
	return scram.ChannelBinding{Type: scram.ChannelBindingType(b.Type), Data: b.Data}
}

func TestOracleClient(t *testing.T) {
	for hash, oracle := range oracles {
		for _, p := range oraclePeople {
			for _, bound := range []bool{false, true} {
				authzid := p.user + "@example.org"
				if strings.ContainsAny(p.user, "=,") {
					authzid = "" // the escapes are what counts here
				}
				theirs, err := oracle.NewClient(p.user, p.password, authzid)
				if err != nil {
					t.Fatal(err)
				}
				conversation, mechanism := theirs.NewConversation(), hash
				c := sasl.ServerConfig{Secret: secret, Domain: "example.org"}
				if bound {
					mechanism += "-PLUS"
					c.Bindings, c.AdvertisedMechanisms = both, sasl.ServerMechanisms(true, both, false)
					conversation = theirs.NewConversationWithChannelBinding(oracleBinding(both[0]))
				}
				s, err := sasl.NewServer(mechanism, c)
				if err != nil {
					t.Fatal(err)
				}
				first, err := conversation.Step("")
				if err != nil {
					t.Fatal(err)
				}
				if out := s.Step([]byte(first)); out.Kind != sasl.Lookup || out.Username != p.user {
					t.Fatalf("%s %q: %+v", mechanism, p.user, out)
				}
				final, err := conversation.Step(string(s.Resolve(keys(t, p.password), nil).Data))
				if err != nil {
					t.Fatal(err)
				}
				out := s.Step([]byte(final))
				if out.Kind != sasl.Success {
					t.Fatalf("%s %q: %v", mechanism, p.user, out.Failure)
				}
				if _, err := conversation.Step(string(out.Data)); err != nil || !conversation.Valid() {
					t.Errorf("%s %q: %v", mechanism, p.user, err)
				}
			}
		}
	}
}

func TestOracleServer(t *testing.T) {
	for hash, oracle := range oracles {
		for _, p := range oraclePeople {
			for _, bound := range []bool{false, true} {
				stored := keys(t, p.password)
				theirs, err := oracle.NewServer(func(name string) (scram.StoredCredentials, error) {
					for _, k := range stored {
						if k.Hash == hash && name == p.user {
							return scram.StoredCredentials{
								KeyFactors: scram.KeyFactors{Salt: string(k.Salt), Iters: k.Iterations},
								StoredKey:  k.StoredKey, ServerKey: k.ServerKey,
							}, nil
						}
					}
					return scram.StoredCredentials{}, errors.New("unknown")
				})
				if err != nil {
					t.Fatal(err)
				}
				c := sasl.ClientConfig{Mechanisms: []string{hash}, Username: p.user, Password: p.password, Authzid: "a=b,c@example.org"}
				conversation := theirs.NewConversation()
				if bound {
					c.Mechanisms, c.Bindings = []string{hash, hash + "-PLUS"}, both
					c.OfferedBindings = []string{both[1].Type}
					conversation = theirs.NewConversationWithChannelBinding(oracleBinding(both[1]))
				}
				ours, err := sasl.NewClient(c)
				if err != nil {
					t.Fatal(err)
				}
				challenge, err := conversation.Step(string(ours.Start()))
				if err != nil {
					t.Fatal(err)
				}
				final, err := ours.Step([]byte(challenge))
				if err != nil {
					t.Fatal(err)
				}
				verifier, err := conversation.Step(string(final))
				if err != nil || !conversation.Valid() || conversation.Username() != p.user || conversation.AuthzID() != c.Authzid {
					t.Fatalf("%s %q: %v", ours.Mechanism(), p.user, err)
				}
				if err := ours.Finish([]byte(verifier)); err != nil {
					t.Errorf("%s %q: %v", ours.Mechanism(), p.user, err)
				}
			}
		}
	}
}

// The keys are the same, too.
func TestOracleKeys(t *testing.T) {
	for _, p := range oraclePeople {
		for _, k := range keys(t, p.password) {
			theirs, err := oracles[k.Hash].NewClient(p.user, p.password, "")
			if err != nil {
				t.Fatal(err)
			}
			want, err := theirs.GetStoredCredentialsWithError(scram.KeyFactors{Salt: string(k.Salt), Iters: k.Iterations})
			if err != nil {
				t.Fatal(err)
			}
			if string(want.StoredKey) != string(k.StoredKey) || string(want.ServerKey) != string(k.ServerKey) {
				t.Errorf("%s of %q: %s", k.Hash, p.password, base64.StdEncoding.EncodeToString(want.StoredKey))
			}
		}
	}
}
