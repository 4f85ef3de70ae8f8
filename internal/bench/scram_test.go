// SPDX-License-Identifier: Apache-2.0

package bench

import "testing"

// RFC 5802 §5 and RFC 7677 §3.
func TestScramVectors(t *testing.T) {
	tests := []struct{ mechanism, nonce, challenge, final, signature string }{
		{"SCRAM-SHA-1", "fyko+d2lbbFgONRv9qkxdawL", "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
			"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=", "v=rmF9pqV8S7suAoZWja4dJRkFsKQ="},
		{"SCRAM-SHA-256", "rOprNGfwEbeRWgbNEkqO", "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
			"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
			"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="},
	}
	ring := new(keyring)
	for _, tt := range tests {
		for range 2 { // the second time with the key remembered
			s := newScram(tt.mechanism, "user", "pencil", ring)
			s.nonce, s.firstBare = tt.nonce, "n=user,r="+tt.nonce
			final, err := s.final([]byte(tt.challenge))
			if err != nil || string(final) != tt.final {
				t.Errorf("%s: %q, %v", tt.mechanism, final, err)
			}
			if err := s.verify([]byte(tt.signature)); err != nil {
				t.Error(err)
			}
			if s.verify([]byte("v=AAAA")) == nil || s.verify(nil) == nil {
				t.Errorf("%s: a wrong signature was taken", tt.mechanism)
			}
		}
	}
	if len(ring.keys) != 2 {
		t.Errorf("%d keys remembered", len(ring.keys))
	}
}

func TestScramRefuses(t *testing.T) {
	for _, challenge := range []string{"", "r=other,s=QSXCR+Q6sek8bf92,i=4096", "r=mine1,s=!,i=4096", "r=mine1,s=QSXC,i=0", "r=mine1,s=QSXC,i=x",
		"r=mine1,i=4096", "r=mine1,s=QSXC,i=99999999"} {
		s := newScram("SCRAM-SHA-1", "user", "pencil", new(keyring))
		s.nonce = "mine"
		if _, err := s.final([]byte(challenge)); err == nil {
			t.Errorf("%q was taken", challenge)
		}
	}
}

func FuzzScramChallenge(f *testing.F) {
	f.Add([]byte("r=mine1,s=QSXC,i=1"))
	f.Fuzz(func(t *testing.T, challenge []byte) {
		s := newScram("SCRAM-SHA-1", "user", "pencil", new(keyring))
		s.nonce = "mine"
		if len(challenge) > 200 {
			return // a count of iterations is the only thing that costs
		}
		final, err := s.final(challenge)
		if err == nil && len(final) == 0 {
			t.Error("an empty answer")
		}
	})
}
