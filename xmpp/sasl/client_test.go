// SPDX-License-Identifier: Apache-2.0

package sasl_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/stonechat-im/stonechat/xmpp/sasl"
)

func TestChoice(t *testing.T) {
	all := sasl.ServerMechanisms(true, both, true)
	unbound := sasl.ServerMechanisms(true, nil, true)
	types := sasl.BindingTypes(both)
	for _, test := range []struct {
		name   string
		c      sasl.ClientConfig
		want   string
		header string // GS2 header
		err    error
	}{
		{"strongest", sasl.ClientConfig{Mechanisms: all, Bindings: both, OfferedBindings: types}, "SCRAM-SHA-512-PLUS", "p=tls-exporter,,", nil},
		{"in any order", sasl.ClientConfig{Mechanisms: []string{"PLAIN", "SCRAM-SHA-1", "X-OAUTH2", "SCRAM-SHA-256"}}, "SCRAM-SHA-256", "n,,", nil},
		{"second type", sasl.ClientConfig{Mechanisms: all, Bindings: both, OfferedBindings: []string{"tls-server-end-point"}}, "SCRAM-SHA-512-PLUS", "p=tls-server-end-point,,", nil},
		{"types unknown", sasl.ClientConfig{Mechanisms: all, Bindings: both}, "SCRAM-SHA-512-PLUS", "p=tls-exporter,,", nil},
		{"bound beats longer", sasl.ClientConfig{Mechanisms: []string{"SCRAM-SHA-512", "SCRAM-SHA-1-PLUS"}, Bindings: both, OfferedBindings: types}, "SCRAM-SHA-1-PLUS", "p=tls-exporter,,", nil},
		{"no support for binding", sasl.ClientConfig{Mechanisms: all, OfferedBindings: types}, "SCRAM-SHA-512", "n,,", nil},
		{"server has no binding", sasl.ClientConfig{Mechanisms: unbound, Bindings: both}, "SCRAM-SHA-512", "y,,", nil},
		{"no type in common", sasl.ClientConfig{Mechanisms: all, Bindings: both, OfferedBindings: []string{"tls-unique"}}, "SCRAM-SHA-512", "n,,", nil},
		{"no family in common", sasl.ClientConfig{Mechanisms: []string{"SCRAM-SHA3-512-PLUS", "SCRAM-SHA-1"}, Bindings: both, OfferedBindings: types}, "SCRAM-SHA-1", "n,,", nil},
		{"types without mechanism", sasl.ClientConfig{Mechanisms: unbound, Bindings: both, OfferedBindings: types}, "", "", sasl.ErrDowngrade},
		{"authzid", sasl.ClientConfig{Mechanisms: unbound, Authzid: "a,b@c=d"}, "SCRAM-SHA-512", "n,a=a=2Cb@c=3Dd,", nil},
		{"PLAIN last", sasl.ClientConfig{Mechanisms: []string{"PLAIN", "SCRAM-SHA-1"}, AllowPlain: true}, "SCRAM-SHA-1", "n,,", nil},
		{"PLAIN allowed", sasl.ClientConfig{Mechanisms: []string{"PLAIN"}, AllowPlain: true}, "PLAIN", "", nil},
		{"PLAIN not allowed", sasl.ClientConfig{Mechanisms: []string{"PLAIN"}}, "", "", sasl.ErrMechanism},
		{"PLAIN beside binding", sasl.ClientConfig{Mechanisms: []string{"PLAIN", "SCRAM-SHA-1-PLUS"}, AllowPlain: true, Bindings: both, OfferedBindings: []string{"x"}}, "", "", sasl.ErrDowngrade},
		{"nothing", sasl.ClientConfig{}, "", "", sasl.ErrMechanism},
		{"only binding, none here", sasl.ClientConfig{Mechanisms: []string{"SCRAM-SHA-1-PLUS"}}, "", "", sasl.ErrMechanism},
		{"pinned", sasl.ClientConfig{Mechanisms: unbound, Pinned: "SCRAM-SHA-1"}, "SCRAM-SHA-512", "n,,", nil},
		{"pinned, the same", sasl.ClientConfig{Mechanisms: []string{"SCRAM-SHA-1"}, Pinned: "SCRAM-SHA-1"}, "SCRAM-SHA-1", "n,,", nil},
		{"pinned hash", sasl.ClientConfig{Mechanisms: []string{"SCRAM-SHA-1"}, Pinned: "SCRAM-SHA-256"}, "", "", sasl.ErrDowngrade},
		{"pinned binding", sasl.ClientConfig{Mechanisms: unbound, Pinned: "SCRAM-SHA-1-PLUS"}, "", "", sasl.ErrDowngrade},
		{"pinned SCRAM", sasl.ClientConfig{Mechanisms: []string{"PLAIN"}, AllowPlain: true, Pinned: "SCRAM-SHA-1"}, "", "", sasl.ErrDowngrade},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.c.Username, test.c.Password = "user", "pencil"
			c, err := sasl.NewClient(test.c)
			if test.err != nil {
				if !errors.Is(err, test.err) || c != nil {
					t.Fatalf("%v, want %v", err, test.err)
				}
				return
			}
			if err != nil || c.Mechanism() != test.want {
				t.Fatalf("%v %v, want %s", c, err, test.want)
			}
			start := string(c.Start())
			if test.want == "PLAIN" {
				if start != "\x00user\x00pencil" {
					t.Errorf("%q", start)
				}
			} else if !strings.HasPrefix(start, test.header+"n=user,r=") {
				t.Errorf("%q, want %q", start, test.header)
			}
		})
	}
}

func TestNewClientRefuses(t *testing.T) {
	for _, c := range []sasl.ClientConfig{
		{Username: ""},
		{Username: "a\x00b"},
		{Username: "\xff"},
		{Username: "u", Authzid: "\x00"},
		{Username: "u", Pinned: "CRAM-MD5"},
		{Username: "u", Mechanisms: []string{"PLAIN"}, AllowPlain: true, Password: "a\x00b"},
		{Username: "u", Mechanisms: []string{"PLAIN"}, AllowPlain: true, Password: ""},
		{Username: "u", Mechanisms: []string{"SCRAM-SHA-1"}, Rand: strings.NewReader("short")},
	} {
		if c.Mechanisms == nil {
			c.Mechanisms = []string{"SCRAM-SHA-1"}
		}
		if cl, err := sasl.NewClient(c); err == nil || cl != nil || errors.Is(err, sasl.ErrMechanism) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// What a server might say, honest or not.
func TestClientRefusesChallenge(t *testing.T) {
	const good = "r=abcdef,s=QSXCR+Q6sek8bf92,i=4096"
	for _, test := range []struct{ name, challenge string }{
		{"empty", ""},
		{"own nonce only", "r=abc,s=QSXCR+Q6sek8bf92,i=4096"},
		{"nonce of another", "r=xyzdef,s=QSXCR+Q6sek8bf92,i=4096"},
		{"nonce cut", "r=ab,s=QSXCR+Q6sek8bf92,i=4096"},
		{"nonce is empty", "r=,s=QSXCR+Q6sek8bf92,i=4096"},
		{"nonce with space", "r=abc d,s=QSXCR+Q6sek8bf92,i=4096"},
		{"no salt", "r=abcdef,i=4096"},
		{"salt is empty", "r=abcdef,s=,i=4096"},
		{"salt not base64", "r=abcdef,s=Q,i=4096"},
		{"no count", "r=abcdef,s=QSXCR+Q6sek8bf92"},
		{"count is empty", "r=abcdef,s=QSXCR+Q6sek8bf92,i="},
		{"count of zero", "r=abcdef,s=QSXCR+Q6sek8bf92,i=0"},
		{"count is negative", "r=abcdef,s=QSXCR+Q6sek8bf92,i=-4096"},
		{"count with zero before", "r=abcdef,s=QSXCR+Q6sek8bf92,i=04096"},
		{"count with text", "r=abcdef,s=QSXCR+Q6sek8bf92,i=4096x"},
		{"count too low", "r=abcdef,s=QSXCR+Q6sek8bf92,i=4095"},
		{"count too high", "r=abcdef,s=QSXCR+Q6sek8bf92,i=1000001"},
		{"count overflows", "r=abcdef,s=QSXCR+Q6sek8bf92,i=18446744073709555712"},
		{"order", "s=QSXCR+Q6sek8bf92,r=abcdef,i=4096"},
		{"mandatory extension", "m=x," + good},
		{"mandatory extension behind", good + ",m=x"},
		{"second salt", good + ",s=AAAA"},
		{"NUL", good + ",x=\x00"},
		{"oversize", good + ",x=" + strings.Repeat("x", 4096)},
		{"error of the server", "e=unknown-user"},
		{"offer was changed", good + ",h=AAAAAAAAAAAAAAAAAAAAAAAAAAA="},
		{"offer is no hash", good + ",h=x"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := started(t)
			if response, err := c.Step([]byte(test.challenge)); err == nil || response != nil {
				t.Fatalf("%q, %v", response, err)
			}
			// The login is lost for good.
			if _, err := c.Step([]byte(good)); err == nil {
				t.Error("goes on after an error")
			}
			if err := c.Finish(nil); err == nil {
				t.Error("success after an error")
			}
		})
	}
	if _, err := started(t).Step([]byte(good + ",x=1,Z=z")); err != nil {
		t.Errorf("unknown extensions: %v", err)
	}
}

func started(t *testing.T) *sasl.Client {
	t.Helper()
	c, err := sasl.NewClient(sasl.ClientConfig{Mechanisms: []string{"SCRAM-SHA-1"}, Username: "user", Password: "pencil"})
	if err != nil {
		t.Fatal(err)
	}
	c.SetNonce("abc")
	c.Start()
	return c
}

// Finish is nil only for a server that has proved itself, once.
func TestFinish(t *testing.T) {
	account := keys(t, "pencil")
	run := func() (*sasl.Client, []byte) {
		c, s := pair(t, sasl.ClientConfig{Mechanisms: []string{"SCRAM-SHA-256"}, Username: "u", Password: "pencil"}, sasl.ServerConfig{})
		s.Step(c.Start())
		final, err := c.Step(s.Resolve(account, nil).Data)
		if err != nil {
			t.Fatal(err)
		}
		return c, s.Step(final).Data
	}
	_, foreign := run() // the signature of another login
	for _, test := range []struct {
		name string
		data func(good []byte) []byte
	}{
		{"none", func([]byte) []byte { return nil }},
		{"empty", func([]byte) []byte { return []byte{} }},
		{"of another login", func([]byte) []byte { return foreign }},
		{"cut", func(b []byte) []byte { return b[:len(b)-4] }},
		{"not base64", func(b []byte) []byte { return b[:len(b)-1] }},
		{"verifier is empty", func([]byte) []byte { return []byte("v=") }},
		{"twice", func(b []byte) []byte { return slices.Concat(b, []byte(","), b) }},
		{"error", func([]byte) []byte { return []byte("e=other-error") }},
		{"error and verifier", func(b []byte) []byte { return slices.Concat([]byte("e=x,"), b) }},
		{"verifier and error", func(b []byte) []byte { return append(b, ",e=x"...) }},
		{"mandatory extension", func(b []byte) []byte { return append(b, ",m=x"...) }},
	} {
		c, good := run()
		data := test.data(slices.Clone(good))
		if err := c.Finish(data); err == nil {
			t.Errorf("%s: accepted", test.name)
		}
		if err := c.Finish(good); err == nil {
			t.Errorf("%s: a second try is accepted", test.name)
		}
		c, good = run()
		if _, err := c.Step(test.data(slices.Clone(good))); err == nil {
			t.Errorf("%s: accepted as a challenge", test.name)
		}
		if err := c.Finish(nil); err == nil {
			t.Errorf("%s: success after a bad challenge", test.name)
		}
	}

	c, good := run()
	if err := c.Finish(append(good, ",x=1"...)); err != nil {
		t.Errorf("with an extension: %v", err)
	}
	c, good = run() // RFC 6120 §6.3.10: as one more challenge
	if r, err := c.Step(good); err != nil || r == nil || len(r) != 0 {
		t.Errorf("%q, %v", r, err)
	}
	if _, err := c.Step(good); err == nil {
		t.Error("a challenge after the end")
	}
	c, good = run()
	c.Step(good)
	if err := c.Finish(nil); err != nil {
		t.Error(err)
	}
	if err := c.Finish(nil); err == nil {
		t.Error("finished twice")
	}
	c, good = run()
	c.Step(good)
	if err := c.Finish(good); err == nil {
		t.Error("data after the end")
	}

	if err := started(t).Finish(nil); !errors.Is(err, sasl.ErrServer) {
		t.Errorf("success right after the start: %v", err)
	}
	if err := started(t).Finish([]byte("v=")); err == nil {
		t.Error("empty signature right after the start")
	}
	for _, m := range []string{"PLAIN", "SCRAM-SHA-1"} {
		c, err := sasl.NewClient(sasl.ClientConfig{Mechanisms: []string{m}, AllowPlain: true, Username: "u", Password: "p"})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Finish(nil); err == nil {
			t.Errorf("%s: success before the start", m)
		}
		if _, err := c.Step([]byte{}); err == nil {
			t.Errorf("%s: challenge before the start", m)
		}
	}
	c, err := sasl.NewClient(sasl.ClientConfig{Mechanisms: []string{"PLAIN"}, AllowPlain: true, Username: "u", Password: "p"})
	if err != nil {
		t.Fatal(err)
	}
	c.Start()
	if err := c.Finish([]byte("v=abc")); err == nil {
		t.Error("PLAIN with data")
	}
}

// XEP-0474, with somebody in between who edits the offer.
func TestDowngradeProtection(t *testing.T) {
	all := sasl.ServerMechanisms(true, both, false)
	types := sasl.BindingTypes(both)
	account := keys(t, "pencil")
	for _, test := range []struct {
		name       string
		offered    []string // as the client sees it; the server offered all
		types      []string
		bindings   []sasl.ChannelBinding // the client's
		advertised bool                  // the server uses XEP-0474
		want       error
	}{
		{"genuine", all, types, both, true, nil},
		{"genuine, another order", []string{all[3], all[0], all[1], all[2], all[5], all[4]}, []string{types[1], types[0]}, both, true, nil},
		{"hash taken out", all[2:], types, both, true, sasl.ErrDowngrade},
		{"mechanism added", append(slices.Clone(all), "X"), types, both, true, sasl.ErrDowngrade},
		{"type taken out", all, types[1:], both, true, sasl.ErrDowngrade},
		{"types replaced", all, []string{"tls-unique"}, both, true, sasl.ErrDowngrade},
		{"types taken out", all, nil, both, true, sasl.ErrDowngrade},
		{"a client that can't bind", all[1:], types, nil, true, sasl.ErrDowngrade},
		{"a client that can't bind, genuine", all, types, nil, true, nil},
		{"types replaced, no XEP-0474", all, []string{"tls-unique"}, both, false, sasl.ErrDowngrade},
		{"hash taken out, no XEP-0474", all[2:], types, both, false, nil}, // what the XEP is for
	} {
		t.Run(test.name, func(t *testing.T) {
			sc := sasl.ServerConfig{Bindings: both}
			if test.advertised {
				sc.AdvertisedMechanisms = all
			}
			c, s := pair(t, sasl.ClientConfig{
				Mechanisms: test.offered, OfferedBindings: test.types, Bindings: test.bindings,
				Username: "u", Password: "pencil",
			}, sc)
			if _, err := login(t, c, s, account, nil); !errors.Is(err, test.want) {
				t.Errorf("%v, want %v", err, test.want)
			}
		})
	}

	// No type in common, but the server vouches for it: new rule 6.
	only := both[1:]
	c, s := pair(t, sasl.ClientConfig{
		Mechanisms: all, OfferedBindings: sasl.BindingTypes(only), Bindings: both[:1], Username: "u", Password: "pencil",
	}, sasl.ServerConfig{Bindings: only, AdvertisedMechanisms: all})
	if _, err := login(t, c, s, account, nil); err != nil || c.Mechanism() != "SCRAM-SHA-512" {
		t.Errorf("%s: %v", c.Mechanism(), err)
	}

	// Somebody who also removes or forges h is caught by the proof.
	for _, edit := range []func(string) string{
		func(s string) string { return s[:strings.Index(s, ",h=")] },
		func(s string) string {
			return s[:strings.Index(s, ",h=")] + ",h=" + sasl.DowngradeHash(sasl.SHA1, []string{"SCRAM-SHA-1"}, nil)
		},
	} {
		c, s := pair(t, sasl.ClientConfig{Mechanisms: []string{"SCRAM-SHA-1"}, Username: "u", Password: "pencil"},
			sasl.ServerConfig{AdvertisedMechanisms: all[3:]})
		s.Step(c.Start())
		final, err := c.Step([]byte(edit(string(s.Resolve(account, nil).Data))))
		if err != nil {
			t.Fatal(err)
		}
		if out := s.Step(final); out.Kind != sasl.Failed {
			t.Error("a forged offer went through")
		}
	}
}

// A server without XEP-0440 that has no channel binding sends h without types.
func TestDowngradeProtectionWithoutBinding(t *testing.T) {
	list := sasl.ServerMechanisms(true, nil, false)
	c, s := pair(t, sasl.ClientConfig{Mechanisms: list, Bindings: both, Username: "u", Password: "p"},
		sasl.ServerConfig{AdvertisedMechanisms: list, Bindings: both}) // bindings it did not use
	if _, err := login(t, c, s, keys(t, "p"), nil); err != nil {
		t.Error(err)
	}
}

func TestKeyCache(t *testing.T) {
	account, other := keys(t, "pencil"), keys(t, "pencil")
	cache := new(sasl.KeyCache)
	for i, test := range []struct {
		password string
		account  []sasl.Key
		ok       bool
	}{
		{"pencil", account, true},
		{"pencil", account, true},
		{"pencil", other, true},
		{"wrong", other, false},
		{"pencil", account, true},
	} {
		c, s := pair(t, sasl.ClientConfig{Mechanisms: []string{"SCRAM-SHA-1"}, Username: "u", Password: test.password, Cache: cache}, sasl.ServerConfig{})
		if _, err := login(t, c, s, test.account, nil); (err == nil) != test.ok {
			t.Errorf("login %d: %v", i, err)
		}
	}
}
