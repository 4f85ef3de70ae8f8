// SPDX-License-Identifier: Apache-2.0

package sasl_test

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/stonechat-im/stonechat/xmpp/sasl"
)

var secret = []byte("a secret for the tests")

// both are what a connection has to bind to.
var both = []sasl.ChannelBinding{
	{Type: sasl.TLSExporter, Data: []byte("exported keying material, bytes.")},
	{Type: sasl.TLSServerEndPoint, Data: []byte("hash of the server's certificate")},
}

// keys derives keys for tests, cheaply.
func keys(t testing.TB, password string) []sasl.Key {
	t.Helper()
	k, err := sasl.DeriveKeys(password, sasl.MinIterations, nil)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// login runs both sides against each other and returns where it ended.
func login(t testing.TB, c *sasl.Client, s *sasl.Server, account []sasl.Key, resolveErr error) (sasl.Outcome, error) {
	t.Helper()
	out := s.Step(c.Start())
	for {
		switch out.Kind {
		case sasl.Lookup:
			out = s.Resolve(account, resolveErr)
		case sasl.Challenge:
			response, err := c.Step(out.Data)
			if err != nil {
				return out, err
			}
			out = s.Step(response)
		case sasl.Success:
			return out, c.Finish(out.Data)
		default:
			return out, out.Failure
		}
	}
}

func pair(t testing.TB, cc sasl.ClientConfig, sc sasl.ServerConfig) (*sasl.Client, *sasl.Server) {
	t.Helper()
	c, err := sasl.NewClient(cc)
	if err != nil {
		t.Fatal(err)
	}
	sc.Secret = secret
	s, err := sasl.NewServer(c.Mechanism(), sc)
	if err != nil {
		t.Fatal(err)
	}
	return c, s
}

func TestServerMechanisms(t *testing.T) {
	scram := []string{"SCRAM-SHA-512", "SCRAM-SHA-256", "SCRAM-SHA-1"}
	bound := []string{"SCRAM-SHA-512-PLUS", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS"}
	for _, test := range []struct {
		name     string
		secure   bool
		bindings []sasl.ChannelBinding
		plain    bool
		want     []string
	}{
		{"not secure", false, nil, true, scram},
		{"not secure, yet bindings", false, both, true, scram},
		{"secure", true, nil, false, scram},
		{"secure, PLAIN", true, nil, true, slices.Concat(scram, []string{"PLAIN"})},
		{"bindings", true, both, false, slices.Concat(bound, scram)},
		{"all", true, both, true, slices.Concat(bound, scram, []string{"PLAIN"})},
	} {
		if got := sasl.ServerMechanisms(test.secure, test.bindings, test.plain); !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
	if got := sasl.BindingTypes(both); !slices.Equal(got, []string{"tls-exporter", "tls-server-end-point"}) {
		t.Errorf("types %v", got)
	}
}

// Every mechanism, with names and passwords that need care.
func TestLogin(t *testing.T) {
	people := []struct{ name, user, password, typed, authzid string }{
		{name: "simple", user: "juliet", password: "r0m30myr0m30"},
		{name: "commas", user: "a,b=c,=2C", password: ",p=x"},
		{name: "authzid", user: "juliet", password: "secret", authzid: "juliet@example.org"},
		{name: "authzid in another form", user: "Juliet", password: "secret", authzid: "juliet@EXAMPLE.org"},
		{name: "names beyond ASCII", user: "żółć", password: "пароль", authzid: "ŻÓŁĆ@example.org"},
		// OpaqueString: other spaces become U+0020, then NFC.
		{name: "prepared password", user: "u", password: "caf\u00e9 au lait", typed: "cafe\u0301\u00a0au lait"},
	}
	for _, mechanism := range sasl.ServerMechanisms(true, both, true) {
		for _, p := range people {
			t.Run(mechanism+"/"+p.name, func(t *testing.T) {
				typed := p.typed
				if typed == "" {
					typed = p.password
				}
				cc := sasl.ClientConfig{
					Mechanisms: []string{mechanism}, Username: p.user, Password: typed,
					Authzid: p.authzid, AllowPlain: true,
				}
				sc := sasl.ServerConfig{Plain: true, Domain: "example.org", AdvertisedMechanisms: []string{mechanism}}
				if strings.HasSuffix(mechanism, "-PLUS") {
					cc.Bindings, sc.Bindings, cc.OfferedBindings = both, both, sasl.BindingTypes(both)
				}
				c, s := pair(t, cc, sc)
				account := keys(t, p.password)
				out, err := login(t, c, s, account, nil)
				if err != nil || out.Kind != sasl.Success || out.Username != p.user || out.Authzid != p.authzid {
					t.Fatalf("%+v, %v", out, err)
				}
				c, s = pair(t, cc, sc)
				account = keys(t, p.password+"!")
				if out, err := login(t, c, s, account, nil); out.Kind != sasl.Failed || out.Failure.Condition != sasl.NotAuthorized {
					t.Fatalf("wrong password: %+v, %v", out, err)
				}
			})
		}
	}
}

// Nothing that a client sees tells an unknown account from a wrong password.
func TestUnknownAccount(t *testing.T) {
	sc := sasl.ServerConfig{Secret: secret, Plain: true, Domain: "example.org", Iterations: sasl.MinIterations}
	real := keys(t, "right")
	ask := func(mechanism, name string, account []sasl.Key) (challenge string, end sasl.Outcome) {
		cc := sasl.ClientConfig{Mechanisms: []string{mechanism}, Username: name, Password: "wrong", AllowPlain: true}
		c, s := pair(t, cc, sc)
		out := s.Step(c.Start())
		if out = s.Resolve(account, nil); out.Kind == sasl.Challenge {
			challenge = string(out.Data)[strings.Index(string(out.Data), ",s="):]
			response, err := c.Step(out.Data)
			if err != nil {
				t.Fatal(err)
			}
			out = s.Step(response)
		}
		return challenge, out
	}
	for _, mechanism := range sasl.ServerMechanisms(true, nil, true) {
		t.Run(mechanism, func(t *testing.T) {
			known, knownEnd := ask(mechanism, "nobody", real)
			unknown, unknownEnd := ask(mechanism, "nobody", nil)
			if *knownEnd.Failure != *unknownEnd.Failure || unknownEnd.Failure.Condition != sasl.NotAuthorized {
				t.Errorf("%v and %v", knownEnd.Failure, unknownEnd.Failure)
			}
			if mechanism == sasl.Plain {
				return
			}
			if len(known) != len(unknown) || known == unknown {
				t.Errorf("%q and %q", known, unknown)
			}
			again, _ := ask(mechanism, "nobody", nil)
			otherCase, _ := ask(mechanism, "NoBody", nil)
			if again != unknown || otherCase != unknown {
				t.Errorf("the false salt is not steady: %q %q %q", unknown, again, otherCase)
			}
			other, _ := ask(mechanism, "somebody", nil)
			if other == unknown {
				t.Error("two names have one false salt")
			}
			// Keys of other hashes only: as if it did not exist.
			i := slices.IndexFunc(real, func(k sasl.Key) bool { return k.Hash == mechanism })
			rest := slices.Delete(slices.Clone(real), i, i+1)
			if lacking, _ := ask(mechanism, "nobody", rest); lacking != unknown {
				t.Errorf("without a key for the hash: %q", lacking)
			}
		})
	}
}

func TestFalseSaltDependsOnSecretAndDomain(t *testing.T) {
	salts := map[string]bool{}
	for _, c := range []sasl.ServerConfig{
		{Secret: secret, Domain: "example.org"},
		{Secret: secret, Domain: "example.net"},
		{Secret: []byte("another secret, long enough"), Domain: "example.org"},
	} {
		s, err := sasl.NewServer("SCRAM-SHA-1", c)
		if err != nil {
			t.Fatal(err)
		}
		s.SetNonce("x")
		s.Step([]byte("n,,n=nobody,r=x"))
		salts[string(s.Resolve(nil, nil).Data)] = true
	}
	if len(salts) != 3 {
		t.Errorf("%d different salts of 3", len(salts))
	}
}

func TestResolve(t *testing.T) {
	for _, mechanism := range []string{"SCRAM-SHA-256", "PLAIN"} {
		for _, test := range []struct {
			name      string
			password  string
			err       error
			damage    func(k *sasl.Key)
			condition string
		}{
			{"disabled", "right", sasl.ErrDisabled, nil, sasl.AccountDisabled},
			{"disabled, wrong password", "wrong", sasl.ErrDisabled, nil, sasl.NotAuthorized},
			{"store fails", "right", errors.New("disk on fire"), nil, sasl.TemporaryAuthFailure},
			{"no iterations", "right", nil, func(k *sasl.Key) { k.Iterations = 0 }, sasl.TemporaryAuthFailure},
			{"no salt", "right", nil, func(k *sasl.Key) { k.Salt = nil }, sasl.TemporaryAuthFailure},
			{"short stored key", "right", nil, func(k *sasl.Key) { k.StoredKey = k.StoredKey[:4] }, sasl.TemporaryAuthFailure},
			{"short server key", "right", nil, func(k *sasl.Key) { k.ServerKey = nil }, sasl.TemporaryAuthFailure},
		} {
			t.Run(mechanism+"/"+test.name, func(t *testing.T) {
				account := keys(t, "right")
				if test.damage != nil {
					for i := range account {
						test.damage(&account[i])
					}
				}
				c, s := pair(t, sasl.ClientConfig{Mechanisms: []string{mechanism}, Username: "u", Password: test.password, AllowPlain: true},
					sasl.ServerConfig{Plain: true})
				out, _ := login(t, c, s, account, test.err)
				if out.Kind != sasl.Failed || out.Failure.Condition != test.condition {
					t.Errorf("%+v %v, want %s", out, out.Failure, test.condition)
				}
				if strings.Contains(out.Failure.Error(), "disk") {
					t.Error("the server's error reaches the peer")
				}
			})
		}
	}
}

// PLAIN is checked against the strongest key there is; Prepare does it ahead.
func TestPlainPrepare(t *testing.T) {
	right := keys(t, "right")
	mixed := []sasl.Key{keys(t, "right")[2], keys(t, "other")[0]} // SHA-1, SHA-512
	for _, test := range []struct {
		name    string
		account []sasl.Key
		want    sasl.Kind
	}{
		{"all", right, sasl.Success},
		{"SHA-1 only", right[2:], sasl.Success},
		{"the strongest counts", mixed, sasl.Failed},
		{"unknown hash", []sasl.Key{{Hash: "SCRAM-MD5"}}, sasl.Failed},
		{"unknown account", nil, sasl.Failed},
	} {
		for _, prepare := range []bool{false, true} {
			s, err := sasl.NewServer("PLAIN", sasl.ServerConfig{Secret: secret, Plain: true})
			if err != nil {
				t.Fatal(err)
			}
			s.Prepare(right) // not yet: nothing to check
			if out := s.Step([]byte("\x00u\x00right")); out.Kind != sasl.Lookup {
				t.Fatalf("%+v", out)
			}
			resolved := test.account
			if prepare {
				s.Prepare(test.account)
				resolved = nil
			}
			if out := s.Resolve(resolved, nil); out.Kind != test.want || out.Data != nil {
				t.Errorf("%s, prepare %v: %+v", test.name, prepare, out)
			}
		}
	}
}

func TestPlainPasswordThatCannotBePrepared(t *testing.T) {
	s, err := sasl.NewServer("PLAIN", sasl.ServerConfig{Secret: secret, Plain: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Step([]byte("\x00u\x00a\x07b"))
	// Even keys derived from those bytes don't let it in.
	k := sasl.KeyFor(sasl.SHA512, "a\x07b", []byte("salt salt salt s"), 4096)
	if out := s.Resolve([]sasl.Key{k}, nil); out.Kind != sasl.Failed || out.Failure.Condition != sasl.NotAuthorized {
		t.Errorf("%+v", out)
	}
}

func TestDeriveKeys(t *testing.T) {
	k := keys(t, "pencil")
	if len(k) != 3 || k[0].Hash != sasl.SHA512 || k[1].Hash != sasl.SHA256 || k[2].Hash != sasl.SHA1 {
		t.Fatalf("%+v", k)
	}
	for _, key := range k {
		if len(key.Salt) != sasl.SaltSize || key.Iterations != sasl.MinIterations {
			t.Errorf("%+v", key)
		}
	}
	if bytes.Equal(k[0].Salt, k[1].Salt) {
		t.Error("two hashes have one salt")
	}
	same, err := sasl.DeriveKeys("pencil", sasl.MinIterations, bytes.NewReader(slices.Concat(k[0].Salt, k[1].Salt, k[2].Salt)))
	if err != nil || !bytes.Equal(same[1].StoredKey, k[1].StoredKey) {
		t.Errorf("same salt: %+v, %v", same, err)
	}
	for _, test := range []struct {
		name, password string
		iterations     int
		random         io.Reader
	}{
		{"empty", "", sasl.DefaultIterations, nil},
		{"control character", "a\x00b", sasl.DefaultIterations, nil},
		{"not UTF-8", "\xff", sasl.DefaultIterations, nil},
		{"few iterations", "x", sasl.MinIterations - 1, nil},
		{"many iterations", "x", sasl.MaxIterations + 1, nil},
		{"no randomness", "x", sasl.MinIterations, bytes.NewReader(make([]byte, 40))},
	} {
		if k, err := sasl.DeriveKeys(test.password, test.iterations, test.random); err == nil || k != nil {
			t.Errorf("%s: %v, %v", test.name, k, err)
		}
	}
}
