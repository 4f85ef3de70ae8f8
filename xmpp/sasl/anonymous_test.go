// SPDX-License-Identifier: Apache-2.0

package sasl_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/stonechat-im/stonechat/xmpp/sasl"
)

// RFC 4505, XEP-0175 §3: everybody gets another name, whatever they say of themselves.
func TestAnonymous(t *testing.T) {
	uuid := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	later := &sasl.Failure{Condition: sasl.TemporaryAuthFailure, Text: "too many"}
	names := make(map[string]bool)
	for _, c := range []struct {
		trace string
		err   error
		want  string // "" or the condition
	}{
		{"", nil, ""},
		{"romeo", nil, ""},
		{"romeo@example.org", nil, ""},
		{strings.Repeat("ö", 255), nil, ""},
		{"", later, sasl.TemporaryAuthFailure},
		{"", errors.New("the disk is gone"), sasl.TemporaryAuthFailure},
		{strings.Repeat("ö", 256), nil, sasl.MalformedRequest},
		{"\xff", nil, sasl.MalformedRequest},
	} {
		s, err := sasl.NewServer(sasl.Anonymous, sasl.ServerConfig{Secret: secret, Domain: "example.org", Anonymous: true})
		if err != nil {
			t.Fatal(err)
		}
		out := s.Step([]byte(c.trace))
		if out.Kind == sasl.Stranger {
			if !uuid.MatchString(out.Username) || names[out.Username] {
				t.Errorf("the name %q", out.Username)
			}
			names[out.Username] = true
			name := out.Username
			if out = s.Resolve(nil, c.err); out.Kind == sasl.Success && out.Username != name {
				t.Errorf("%q became %q", name, out.Username)
			}
		}
		got := ""
		if out.Kind == sasl.Failed {
			got = out.Failure.Condition
		}
		if got != c.want || got == "" && out.Kind != sasl.Success {
			t.Errorf("%.20q, %v: %s %s, want %q", c.trace, c.err, out.Kind, got, c.want)
		}
	}
	if _, err := sasl.NewServer(sasl.Anonymous, sasl.ServerConfig{Secret: secret}); !errors.Is(err, sasl.ErrMechanism) {
		t.Error(err)
	}
	// No client of ours logs in so by itself.
	if _, err := sasl.NewClient(sasl.ClientConfig{Mechanisms: []string{sasl.Anonymous}, Username: "a", Password: "b"}); !errors.Is(err, sasl.ErrMechanism) {
		t.Error(err)
	}
}
