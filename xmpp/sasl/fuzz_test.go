// SPDX-License-Identifier: Apache-2.0

package sasl_test

import (
	"strings"
	"testing"

	"github.com/stonechat-im/stonechat/xmpp/sasl"
)

// FuzzClientFirst: whatever comes first leads to a lookup or a failure, and a
// login without the password never succeeds.
func FuzzClientFirst(f *testing.F) {
	for _, s := range []string{
		"n,,n=user,r=abc", "y,a=user@example.org,n=user,r=abc", "p=tls-exporter,,n=a=2Cb=3D,r=abc,x=1",
		"n,,m=x,n=user,r=abc", "F,n,,n=user,r=abc", "\x00user\x00pencil", "user@example.org\x00user\x00pencil",
	} {
		for i := range uint8(3) {
			f.Add(i, []byte(s))
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, first []byte) {
		mechanism := []string{"SCRAM-SHA-1", "SCRAM-SHA-256-PLUS", "PLAIN"}[which%3]
		s, err := sasl.NewServer(mechanism, sasl.ServerConfig{
			Secret: secret, Bindings: both, Plain: true, Domain: "example.org", Iterations: 1,
		})
		if err != nil {
			t.Fatal(err)
		}
		out := s.Step(first)
		switch out.Kind {
		case sasl.Lookup:
			if out.Username == "" || out.Failure != nil {
				t.Fatalf("%+v", out)
			}
			if end := s.Resolve(nil, nil); end.Kind == sasl.Success || end.Kind == sasl.Lookup {
				t.Fatalf("%+v", end)
			}
		case sasl.Failed:
			if out.Failure == nil || out.Failure.Condition == "" {
				t.Fatalf("%+v", out)
			}
		case sasl.Challenge:
			if first != nil {
				t.Fatalf("%+v", out)
			}
		default:
			t.Fatalf("%+v", out)
		}
	})
}

// FuzzClientFinal: only the one right message logs in. What is fuzzed is a
// message in which R stands for the nonce, C for the binding, P for the proof.
func FuzzClientFinal(f *testing.F) {
	for _, s := range []string{"c=C,r=R,p=P", "c=C,r=R,x=1,p=P", "c=biws,r=R,p=P", "c=C,r=R", "p=P", "c=C,r=Rx,p=P", "m=1,c=C,r=R,p=P"} {
		f.Add(s)
	}
	account := keys(f, "pencil")
	f.Fuzz(func(t *testing.T, pattern string) {
		c, s := pair(t, sasl.ClientConfig{Mechanisms: []string{"SCRAM-SHA-1-PLUS"}, Bindings: both, Username: "u", Password: "pencil"},
			sasl.ServerConfig{Bindings: both})
		s.Step(c.Start())
		final, err := c.Step(s.Resolve(account, nil).Data)
		if err != nil {
			t.Fatal(err)
		}
		parts := strings.SplitN(string(final), ",", 3)
		message := strings.NewReplacer("C", parts[0][2:], "R", parts[1][2:], "P", parts[2][2:]).Replace(pattern)
		out := s.Step([]byte(message))
		if right := message == string(final); (out.Kind == sasl.Success) != right {
			t.Fatalf("%q: %+v", message, out)
		}
	})
}

// FuzzServerFirst: whatever the server says, the client ends in an answer with
// its own nonce, or in an error, and costs no more than MaxIterations.
func FuzzServerFirst(f *testing.F) {
	for _, s := range []string{
		"r=abcdef,s=QSXCR+Q6sek8bf92,i=4096", "r=abcdef,s=QSXCR+Q6sek8bf92,i=4096,h=x,x=1",
		"m=x,r=abcdef,s=QSXCR+Q6sek8bf92,i=4096", "e=other-error", "r=abcdef,s=QSXCR+Q6sek8bf92,i=1000001",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, challenge []byte) {
		if strings.Contains(string(challenge), "i=") && !strings.Contains(string(challenge), "i=4096") {
			return // slow counts are in the table of refusals
		}
		c, err := sasl.NewClient(sasl.ClientConfig{Mechanisms: []string{"SCRAM-SHA-1"}, Username: "user", Password: "pencil"})
		if err != nil {
			t.Fatal(err)
		}
		c.SetNonce("abc")
		c.Start()
		response, err := c.Step(challenge)
		if (err == nil) == (response == nil) || err == nil && !strings.HasPrefix(string(response), "c=biws,r=abc") {
			t.Fatalf("%q, %v", response, err)
		}
		if c.Finish(nil) == nil || c.Finish(challenge) == nil {
			t.Fatal("success without a signature")
		}
	})
}

// FuzzServerFinal: only the right signature is one.
func FuzzServerFinal(f *testing.F) {
	for _, s := range []string{"v=V", "v=V,x=1", "e=other-error", "e=x,v=V", "v=V,m=1", "V", ""} {
		f.Add(s, true)
		f.Add(s, false)
	}
	account, cache := keys(f, "pencil"), new(sasl.KeyCache)
	f.Fuzz(func(t *testing.T, pattern string, challenge bool) {
		c, s := pair(t, sasl.ClientConfig{Mechanisms: []string{"SCRAM-SHA-1"}, Username: "u", Password: "pencil", Cache: cache}, sasl.ServerConfig{})
		s.Step(c.Start())
		final, err := c.Step(s.Resolve(account, nil).Data)
		if err != nil {
			t.Fatal(err)
		}
		good := string(s.Step(final).Data)
		message := strings.ReplaceAll(pattern, "V", good[2:])
		if challenge {
			_, err = c.Step([]byte(message))
		} else {
			err = c.Finish([]byte(message))
		}
		if err == nil && message != good && !strings.HasPrefix(message, good+",") {
			t.Fatalf("%q is taken for %q", message, good)
		}
		if err != nil && message == good {
			t.Fatal(err)
		}
	})
}
