// SPDX-License-Identifier: Apache-2.0

package sasl_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stonechat-im/stonechat/xmpp/sasl"
)

var b64 = base64.StdEncoding.EncodeToString

func TestRefuseClientFirst(t *testing.T) {
	const (
		bad  = sasl.MalformedRequest
		not  = sasl.NotAuthorized
		ok   = ""
		nonP = "SCRAM-SHA-256"
		isP  = "SCRAM-SHA-256-PLUS"
	)
	for _, test := range []struct{ name, mechanism, message, condition string }{
		{"empty", nonP, "", bad},
		{"flag only", nonP, "n", bad},
		{"header only", nonP, "n,", bad},
		{"header only, complete", nonP, "n,,", bad},
		{"no name", nonP, "n,,r=abc", bad},
		{"name is empty", nonP, "n,,n=,r=abc", bad},
		{"no nonce", nonP, "n,,n=user", bad},
		{"no nonce but a comma", nonP, "n,,n=user,", bad},
		{"nonce is empty", nonP, "n,,n=user,r=", bad},
		{"nonce with space", nonP, "n,,n=user,r=a b", bad},
		{"nonce beyond ASCII", nonP, "n,,n=user,r=é", bad},
		{"order", nonP, "n,,r=abc,n=user", bad},
		{"unknown flag", nonP, "x,,n=user,r=abc", bad},
		{"capital flag", nonP, "N,,n=user,r=abc", bad},
		{"nonstandard GSS header", nonP, "F,n,,n=user,r=abc", bad},
		{"space before", nonP, " n,,n=user,r=abc", bad},
		{"name not escaped", nonP, "n,,n=a=b,r=abc", bad},
		{"name, escape in small letters", nonP, "n,,n=a=2cb,r=abc", bad},
		{"name, escape cut off", nonP, "n,,n=a=2,r=abc", bad},
		{"name, other escape", nonP, "n,,n=a=20b,r=abc", bad},
		{"name with comma", nonP, "n,,n=a,b,r=abc", bad},
		{"NUL", nonP, "n,,n=a\x00b,r=abc", bad},
		{"not UTF-8", nonP, "n,,n=\xff,r=abc", bad},
		{"mandatory extension first", nonP, "n,,m=x,n=user,r=abc", bad},
		{"mandatory extension later", nonP, "n,,n=user,r=abc,m=x", bad},
		{"second nonce", nonP, "n,,n=user,r=abc,r=def", bad},
		{"authzid out of place", nonP, "n,,n=user,r=abc,a=user", bad},
		{"extension without value", nonP, "n,,n=user,r=abc,x=", bad},
		{"extension without name", nonP, "n,,n=user,r=abc,=x", bad},
		{"extension, digit", nonP, "n,,n=user,r=abc,1=x", bad},
		{"extension, long name", nonP, "n,,n=user,r=abc,xy=z", bad},
		{"extension twice", nonP, "n,,n=user,r=abc,x=1,x=1", bad},
		{"comma at the end", nonP, "n,,n=user,r=abc,", bad},
		{"oversize", nonP, "n,,n=" + strings.Repeat("a", 4096) + ",r=abc", bad},
		{"authzid without name", nonP, "n,user,n=user,r=abc", bad},
		{"authzid is empty", nonP, "n,a=,n=user,r=abc", bad},
		{"authzid not escaped", nonP, "n,a=x=y,n=user,r=abc", bad},
		{"authzid of another", nonP, "n,a=other@example.org,n=user,r=abc", sasl.InvalidAuthzid},
		{"authzid elsewhere", nonP, "n,a=user@example.com,n=user,r=abc", sasl.InvalidAuthzid},
		{"authzid is no address", nonP, "n,a=user,n=user,r=abc", sasl.InvalidAuthzid},
		{"authzid with resource", nonP, "n,a=user@example.org/x,n=user,r=abc", sasl.InvalidAuthzid},
		{"authzid, two at signs", nonP, "n,a=user@example.org@example.org,n=user,r=abc", sasl.InvalidAuthzid},

		{"p without type", isP, "p=,,n=user,r=abc", bad},
		{"p, malformed type", isP, "p=tls_exporter,,n=user,r=abc", bad},
		{"p alone", isP, "p,,n=user,r=abc", bad},
		{"type not offered", isP, "p=tls-unique,,n=user,r=abc", not},
		{"type in capitals", isP, "p=TLS-EXPORTER,,n=user,r=abc", not},
		{"n with -PLUS", isP, "n,,n=user,r=abc", bad},
		{"y with -PLUS", isP, "y,,n=user,r=abc", bad},
		{"p without -PLUS", nonP, "p=tls-exporter,,n=user,r=abc", bad},
		{"downgrade", nonP, "y,,n=user,r=abc", not},

		{"plain", nonP, "n,,n=user,r=abc", ok},
		{"bound", isP, "p=tls-exporter,,n=user,r=abc", ok},
		{"bound otherwise", isP, "p=tls-server-end-point,,n=user,r=abc", ok},
		{"extensions", nonP, "n,,n=user,r=abc,x=1,Y=a=b", ok},
		{"own authzid", nonP, "n,a=user@example.org,n=user,r=abc", ok},
		{"escapes", nonP, "n,,n=a=2Cb=3D,r=abc", ok},
		{"other characters", nonP, "n,,n=\x01é/😀,r=!~", ok},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, err := sasl.NewServer(test.mechanism, sasl.ServerConfig{
				Secret: secret, Bindings: both, Domain: "example.org",
				AdvertisedMechanisms: sasl.ServerMechanisms(true, both, false),
			})
			if err != nil {
				t.Fatal(err)
			}
			expect(t, s, s.Step([]byte(test.message)), sasl.Lookup, test.condition)
		})
	}
}

// expect checks an outcome; condition "" means that it is of that kind.
func expect(t *testing.T, s *sasl.Server, out sasl.Outcome, kind sasl.Kind, condition string) {
	t.Helper()
	if condition == "" {
		if out.Kind != kind || out.Failure != nil {
			t.Fatalf("%v %v, want %v", out.Kind, out.Failure, kind)
		}
		return
	}
	if out.Kind != sasl.Failed || out.Failure.Condition != condition || out.Data != nil || out.Username != "" {
		t.Fatalf("%v %v, want %s", out.Kind, out.Failure, condition)
	}
	// It is over: nothing leads on from here.
	for _, out := range []sasl.Outcome{s.Step([]byte("n,,n=user,r=abc")), s.Step(nil), s.Resolve(nil, nil)} {
		if out.Kind != sasl.Failed {
			t.Fatalf("after the failure: %v", out.Kind)
		}
	}
}

// The client-final-message, changed after a genuine client has made it.
func TestRefuseClientFinal(t *testing.T) {
	account := keys(t, "pencil")
	swap := func(old, new string) func(string) string {
		return func(s string) string { return strings.Replace(s, old, new, 1) }
	}
	proof := func(edit func([]byte) []byte) func(string) string {
		return func(s string) string {
			i := strings.LastIndex(s, ",p=")
			b, _ := base64.StdEncoding.DecodeString(s[i+3:])
			return s[:i+3] + b64(edit(b))
		}
	}
	var once string // a client-final-message of an earlier login
	for _, test := range []struct {
		name      string
		edit      func(string) string
		condition string
	}{
		{"unchanged", func(s string) string { once = s; return s }, ""},
		{"replayed", func(string) string { return once }, sasl.NotAuthorized},
		{"empty", func(string) string { return "" }, sasl.MalformedRequest},
		{"client-first again", func(string) string { return "n,,n=user,r=abc" }, sasl.MalformedRequest},
		{"no proof", func(s string) string { return s[:strings.LastIndex(s, ",p=")] }, sasl.MalformedRequest},
		{"proof is empty", func(s string) string { return s[:strings.LastIndex(s, ",p=")+3] }, sasl.MalformedRequest},
		{"proof first", func(s string) string {
			i := strings.LastIndex(s, ",p=")
			return s[i+1:] + "," + s[:i]
		}, sasl.MalformedRequest},
		{"proof twice", func(s string) string { return s + s[strings.LastIndex(s, ",p="):] }, sasl.MalformedRequest},
		{"something behind the proof", func(s string) string { return s + ",x=1" }, sasl.MalformedRequest},
		{"truncated", func(s string) string { return s[:len(s)-1] }, sasl.MalformedRequest},
		{"truncated by a group", func(s string) string { return s[:len(s)-4] }, sasl.NotAuthorized},
		{"proof not base64", func(s string) string { return s[:len(s)-4] + "!!!!" }, sasl.MalformedRequest},
		{"line break in the proof", func(s string) string { return s[:len(s)-8] + "\n" + s[len(s)-8:] }, sasl.MalformedRequest},
		{"proof with stray bits", func(s string) string { return s[:len(s)-2] + "/=" }, sasl.MalformedRequest},
		{"proof, one bit", proof(func(b []byte) []byte { b[0] ^= 1; return b }), sasl.NotAuthorized},
		{"proof of zeros", proof(func(b []byte) []byte { return make([]byte, len(b)) }), sasl.NotAuthorized},
		{"proof too short", proof(func(b []byte) []byte { return b[:20] }), sasl.NotAuthorized},
		{"proof too long", proof(func(b []byte) []byte { return append(b, 0) }), sasl.NotAuthorized},
		{"proof much too long", proof(func(b []byte) []byte { return bytes.Repeat(b, 3) }), sasl.NotAuthorized},
		{"nonce cut", func(s string) string { i := strings.LastIndex(s, ",p="); return s[:i-1] + s[i:] }, sasl.NotAuthorized},
		{"nonce longer", swap(",p=", "x,p="), sasl.NotAuthorized},
		{"nonce other", swap(",r=", ",r=x"), sasl.NotAuthorized},
		{"nonce is empty", func(s string) string {
			return s[:strings.Index(s, "r=")+2] + s[strings.LastIndex(s, ",p="):]
		}, sasl.MalformedRequest},
		{"no nonce", func(s string) string {
			return s[:strings.Index(s, ",r=")] + s[strings.LastIndex(s, ",p="):]
		}, sasl.MalformedRequest},
		{"no binding", func(s string) string { return s[strings.Index(s, "r="):] }, sasl.MalformedRequest},
		{"binding is empty", func(s string) string { return "c=" + s[strings.Index(s, ",r="):] }, sasl.MalformedRequest},
		{"binding not base64", swap("c=", "c=!"), sasl.MalformedRequest},
		{"other flag in the binding", func(s string) string {
			return "c=" + b64([]byte("n,,")) + s[strings.Index(s, ",r="):]
		}, sasl.NotAuthorized},
		{"binding to another connection", func(s string) string {
			return "c=" + b64([]byte("p=tls-exporter,,exported keying material, other.")) + s[strings.Index(s, ",r="):]
		}, sasl.NotAuthorized},
		{"header without data", func(s string) string {
			return "c=" + b64([]byte("p=tls-exporter,,")) + s[strings.Index(s, ",r="):]
		}, sasl.NotAuthorized},
		{"binding of the other type", func(s string) string {
			return "c=" + b64(append([]byte("p=tls-exporter,,"), both[1].Data...)) + s[strings.Index(s, ",r="):]
		}, sasl.NotAuthorized},
		{"authzid slipped in", func(s string) string {
			return "c=" + b64(append([]byte("p=tls-exporter,a=other@example.org,"), both[0].Data...)) + s[strings.Index(s, ",r="):]
		}, sasl.NotAuthorized},
		{"mandatory extension", swap(",p=", ",m=x,p="), sasl.MalformedRequest},
		{"mandatory extension first", func(s string) string { return "m=x," + s }, sasl.MalformedRequest},
		{"extension that is not signed", swap(",p=", ",x=1,p="), sasl.NotAuthorized},
		{"extension twice", swap(",p=", ",x=1,x=1,p="), sasl.MalformedRequest},
		{"order", func(s string) string {
			i, j := strings.Index(s, ",r="), strings.LastIndex(s, ",p=")
			return s[i+1:j] + "," + s[:i] + s[j:]
		}, sasl.MalformedRequest},
		{"NUL", swap(",p=", "\x00,p="), sasl.MalformedRequest},
		{"not UTF-8", swap(",p=", ",x=\xff,p="), sasl.MalformedRequest},
		{"oversize", swap(",p=", ",x="+strings.Repeat("x", 4096)+",p="), sasl.MalformedRequest},
	} {
		t.Run(test.name, func(t *testing.T) {
			list := sasl.ServerMechanisms(true, both, false)
			c, s := pair(t, sasl.ClientConfig{
				Mechanisms: list, Username: "user", Password: "pencil",
				Bindings: both, OfferedBindings: sasl.BindingTypes(both),
			}, sasl.ServerConfig{Bindings: both, AdvertisedMechanisms: list})
			s.Step(c.Start())
			final, err := c.Step(s.Resolve(account, nil).Data)
			if err != nil {
				t.Fatal(err)
			}
			expect(t, s, s.Step([]byte(test.edit(string(final)))), sasl.Success, test.condition)
		})
	}
}

func TestReplayOnTheSameServer(t *testing.T) {
	c, s := pair(t, sasl.ClientConfig{Mechanisms: []string{"SCRAM-SHA-1"}, Username: "u", Password: "pencil"}, sasl.ServerConfig{})
	s.Step(c.Start())
	final, err := c.Step(s.Resolve(keys(t, "pencil"), nil).Data)
	if err != nil {
		t.Fatal(err)
	}
	if out := s.Step(final); out.Kind != sasl.Success {
		t.Fatal(out.Failure)
	}
	expect(t, s, s.Step(final), sasl.Success, sasl.MalformedRequest)
}

func TestRefusePlain(t *testing.T) {
	for _, test := range []struct{ name, message, condition string }{
		{"empty", "", sasl.MalformedRequest},
		{"one part", "user", sasl.MalformedRequest},
		{"two parts", "user\x00pass", sasl.MalformedRequest},
		{"four parts", "\x00user\x00pass\x00", sasl.MalformedRequest},
		{"no name", "\x00\x00pass", sasl.MalformedRequest},
		{"no password", "\x00user\x00", sasl.MalformedRequest},
		{"not UTF-8", "\x00user\x00\xff", sasl.MalformedRequest},
		{"oversize", "\x00user\x00" + strings.Repeat("x", 4096), sasl.MalformedRequest},
		{"authzid of another", "other@example.org\x00user\x00pass", sasl.InvalidAuthzid},
		{"authzid is no address", "user\x00user\x00pass", sasl.InvalidAuthzid},
		{"own authzid", "user@example.org\x00user\x00pass", ""},
		{"good", "\x00user\x00pass", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, err := sasl.NewServer("PLAIN", sasl.ServerConfig{Secret: secret, Plain: true, Domain: "example.org"})
			if err != nil {
				t.Fatal(err)
			}
			expect(t, s, s.Step([]byte(test.message)), sasl.Lookup, test.condition)
		})
	}
}

func TestNewServerRefuses(t *testing.T) {
	good := sasl.ServerConfig{Secret: secret, Bindings: both, Plain: true}
	for _, test := range []struct {
		name, mechanism string
		edit            func(*sasl.ServerConfig)
		mechanismError  bool
	}{
		{"unknown", "DIGEST-MD5", nil, true},
		{"empty", "", nil, true},
		{"small letters", "plain", nil, true},
		{"-PLUS of nothing", "-PLUS", nil, true},
		{"PLAIN-PLUS", "PLAIN-PLUS", nil, true},
		{"twice bound", "SCRAM-SHA-1-PLUS-PLUS", nil, true},
		{"PLAIN not allowed", "PLAIN", func(c *sasl.ServerConfig) { c.Plain = false }, true},
		{"nothing to bind to", "SCRAM-SHA-1-PLUS", func(c *sasl.ServerConfig) { c.Bindings = nil }, true},
		{"not offered", "SCRAM-SHA-1", func(c *sasl.ServerConfig) { c.AdvertisedMechanisms = []string{"SCRAM-SHA-256"} }, true},
		{"short secret", "SCRAM-SHA-1", func(c *sasl.ServerConfig) { c.Secret = c.Secret[:15] }, false},
		{"no randomness", "SCRAM-SHA-1", func(c *sasl.ServerConfig) { c.Rand = bytes.NewReader(nil) }, false},
	} {
		c := good
		if test.edit != nil {
			test.edit(&c)
		}
		if s, err := sasl.NewServer(test.mechanism, c); err == nil || s != nil || errors.Is(err, sasl.ErrMechanism) != test.mechanismError {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

// The order of calls is the caller's duty; a wrong one must not log anyone in.
func TestServerOrder(t *testing.T) {
	start := func(mechanism string) *sasl.Server {
		s, err := sasl.NewServer(mechanism, sasl.ServerConfig{Secret: secret, Plain: true})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := start("SCRAM-SHA-1")
	expect(t, s, s.Resolve(nil, nil), sasl.Challenge, sasl.MalformedRequest)
	s = start("SCRAM-SHA-1")
	if out := s.Step(nil); out.Kind != sasl.Challenge || out.Data == nil || len(out.Data) != 0 {
		t.Fatalf("without initial response: %+v", out)
	}
	expect(t, s, s.Step(nil), sasl.Challenge, sasl.MalformedRequest)
	s = start("PLAIN")
	s.Step(nil)
	expect(t, s, s.Step([]byte("\x00u\x00p")), sasl.Lookup, "")
	expect(t, s, s.Step([]byte("\x00u\x00p")), sasl.Lookup, sasl.MalformedRequest)
	s = start("SCRAM-SHA-1")
	s.Step([]byte("n,,n=u,r=x"))
	s.Resolve(nil, nil)
	expect(t, s, s.Resolve(nil, nil), sasl.Challenge, sasl.MalformedRequest)
	// y is right where no channel binding was offered.
	s = start("SCRAM-SHA-1")
	expect(t, s, s.Step([]byte("y,,n=u,r=x")), sasl.Lookup, "")
	// Without a list, bindings count as offered.
	s, err := sasl.NewServer("SCRAM-SHA-1", sasl.ServerConfig{Secret: secret, Bindings: both})
	if err != nil {
		t.Fatal(err)
	}
	expect(t, s, s.Step([]byte("y,,n=u,r=x")), sasl.Lookup, sasl.NotAuthorized)
	if got := fmt.Sprint(sasl.Challenge, sasl.Lookup, sasl.Success, sasl.Failed, sasl.Kind(0)); got != "challenge lookup success failed none" {
		t.Error(got)
	}
}
