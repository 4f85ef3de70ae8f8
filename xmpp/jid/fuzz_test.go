// SPDX-License-Identifier: Apache-2.0

package jid_test

import (
	"testing"

	"github.com/stonechat-im/stonechat/xmpp/jid"
)

func seed(f *testing.F) {
	for _, c := range valid {
		f.Add(c.in)
	}
	for _, c := range invalid {
		f.Add(c.in)
	}
}

// FuzzParse: every way to an address agrees, and an address is its own
// preparation.
func FuzzParse(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, in string) {
		j, err := jid.Parse(in)
		fromBytes, bytesErr := jid.ParseBytes([]byte(in))
		if fromBytes != j || (err == nil) != (bytesErr == nil) {
			t.Fatalf("Parse %q, %v; ParseBytes %q, %v", j, err, fromBytes, bytesErr)
		}
		var c jid.Cache
		for range 2 {
			if cached, cacheErr := c.Parse([]byte(in)); cached != j || (err == nil) != (cacheErr == nil) {
				t.Fatalf("Parse %q, %v; Cache %q, %v", j, err, cached, cacheErr)
			}
		}
		if err != nil {
			if !j.IsZero() {
				t.Fatalf("%q beside an error", j)
			}
			return
		}
		check(t, j)
	})
}

// FuzzEscape: what is escaped is shown again as it was typed, and holds no
// character that a localpart may not hold.
func FuzzEscape(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, in string) {
		escaped := jid.Escape(in)
		for _, c := range []byte(escaped) {
			switch c {
			case ' ', '"', '&', '\'', '/', ':', '<', '>', '@':
				t.Fatalf("Escape(%q) = %q", in, escaped)
			}
		}
		plain := jid.Unescape(escaped)
		if again := jid.Escape(plain); again != escaped {
			t.Fatalf("%q: escaped %q, shown %q, escaped again %q", in, escaped, plain, again)
		}
	})
}
