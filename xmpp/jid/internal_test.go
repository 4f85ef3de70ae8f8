// SPDX-License-Identifier: Apache-2.0

package jid

import (
	"testing"
	"testing/quick"

	"golang.org/x/text/secure/precis"
)

// What the ASCII scan accepts must be what the full preparation makes of it.
func TestScanAgreesWithPreparation(t *testing.T) {
	const alphabet = "aAzZ09-..@/ _~xn--[]\\:\"\x00\x7f"
	agree := func(choices []byte) bool {
		b := make([]byte, len(choices))
		for i, c := range choices {
			b[i] = alphabet[int(c)%len(alphabet)]
		}
		_, _, ok := scan(b)
		if !ok {
			return true
		}
		fast, err := Parse(string(b))
		if err != nil {
			return false
		}
		slow, err := prepareAll(string(b))
		if err != nil || fast != slow {
			t.Logf("%q: fast %q, slow %q, %v", b, fast, slow, err)
		}
		return err == nil && fast == slow
	}
	if err := quick.Check(agree, &quick.Config{MaxCount: 200_000}); err != nil {
		t.Error(err)
	}
	for _, in := range []string{"a@b", "A@B/c", "a.b/c@d", "a-b@c-d.e/ f", "1@2"} {
		if !agree([]byte(in)) {
			t.Error(in)
		}
		fast, _ := Parse(in)
		if slow, err := prepareAll(in); err != nil || slow != fast {
			t.Errorf("%q: fast %q, slow %q, %v", in, fast, slow, err)
		}
	}
}

// prepareAll is prepare without any short cut for ASCII.
func prepareAll(s string) (JID, error) {
	j, err := prepare(s)
	if err != nil {
		return JID{}, err
	}
	out := JID{local: j.local, domain: j.domain}
	if j.local > 0 {
		local, err := prepareLocal(j.Local())
		if err != nil {
			return JID{}, err
		}
		out.s = string(local) + "@"
	}
	domain, err := prepareDomain(j.Domain())
	if err != nil {
		return JID{}, err
	}
	out.s += domain
	if j.IsFull() {
		resource, err := settle(precis.OpaqueString, j.Resource())
		if err != nil {
			return JID{}, err
		}
		out.s += "/" + string(resource)
	}
	return out, nil
}
