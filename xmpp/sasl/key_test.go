// SPDX-License-Identifier: Apache-2.0

package sasl_test

import (
	"strings"
	"testing"

	"github.com/stonechat-im/stonechat/xmpp/sasl"
)

func TestMatches(t *testing.T) {
	real := keys(t, "right")
	damaged := []sasl.Key{real[2]}
	damaged[0].StoredKey = damaged[0].StoredKey[:3]
	for _, c := range []struct {
		name     string
		keys     []sasl.Key
		password string
		want, ok bool
	}{
		{"right", real, "right", true, true},
		{"one hash", real[:1], "right", true, true},
		{"wrong", real, "wrong", false, true},
		{"none", nil, "right", false, true},
		{"no password", real, "", false, false},
		{"damaged", damaged, "right", false, false},
		{"unknown hash", []sasl.Key{{Hash: "SCRAM-MD5"}}, "right", false, false},
	} {
		if got, err := sasl.Matches(c.keys, c.password); got != c.want || (err == nil) != c.ok {
			t.Errorf("%s: %v, %v", c.name, got, err)
		}
	}
}

func TestCheckPassword(t *testing.T) {
	for password, ok := range map[string]bool{"a": true, "a b": true, "é": true, "": false, "a\x00": false, "a\nb": false, "\xff": false} {
		if err := sasl.CheckPassword(password); (err == nil) != ok {
			t.Errorf("%q: %v", password, err)
		}
	}
}

// An unknown account pretends to have one of the counts that accounts have, always the same, whatever the hash.
func TestFalseIterations(t *testing.T) {
	count := func(mechanism, name string) string {
		s, err := sasl.NewServer(mechanism, sasl.ServerConfig{Secret: secret, Domain: "example.org"})
		if err != nil {
			t.Fatal(err)
		}
		s.Step([]byte("n,,n=" + name + ",r=x"))
		_, i, _ := strings.Cut(string(s.Resolve(nil, nil).Data), ",i=")
		return i
	}
	seen := map[string]int{}
	for _, name := range strings.Fields("a b c d e f g h i j k l m n o p q r s t u v w x y z") {
		i := count(sasl.SHA1, name)
		if again, other := count(sasl.SHA1, name), count(sasl.SHA512, name); again != i || other != i {
			t.Errorf("%s has %s, %s and %s iterations", name, i, again, other)
		}
		seen[i]++
	}
	if len(seen) != 2 || seen["4096"] < 5 || seen["10000"] < 5 {
		t.Errorf("counts: %v", seen)
	}
}
