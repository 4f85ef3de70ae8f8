// SPDX-License-Identifier: Apache-2.0

package provisioning_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/provisioning"
)

func rsaKey(t *testing.T, bits int) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func certificate(t *testing.T, key crypto.Signer) []byte {
	t.Helper()
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "meter"}, NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestProof(t *testing.T) {
	key, other := rsaKey(t, 2048), rsaKey(t, 2048)
	c, public, err := provisioning.KeyOf(certificate(t, key))
	if err != nil || c.Subject.CommonName != "meter" || !public.Equal(key.Public()) {
		t.Fatalf("%v, %v", c, err)
	}
	secret, challenge, err := provisioning.NewChallenge(public)
	if err != nil {
		t.Fatal(err)
	}
	again, second, err := provisioning.NewChallenge(public)
	if err != nil || bytes.Equal(secret, again) || bytes.Equal(challenge, second) {
		t.Errorf("two challenges are one: %v", err)
	}
	if got, err := provisioning.Prove(key, challenge); err != nil || !bytes.Equal(got, secret) {
		t.Errorf("the secret is %x, not %x: %v", got, secret, err)
	}
	if got, err := provisioning.Prove(other, challenge); err == nil {
		t.Errorf("another key proves %x", got)
	}

	// What was encrypted for another purpose is not decrypted.
	plain := bytes.Repeat([]byte("k"), 32)
	for name, encrypt := range map[string]func() ([]byte, error){
		"without a label": func() ([]byte, error) { return rsa.EncryptOAEP(sha256.New(), rand.Reader, public, plain, nil) },
		"something short": func() ([]byte, error) {
			return rsa.EncryptOAEP(sha256.New(), rand.Reader, public, plain[:16], []byte(provisioning.NS))
		},
		"nothing":          func() ([]byte, error) { return nil, nil },
		"not encrypted":    func() ([]byte, error) { return bytes.Repeat([]byte("k"), 256), nil },
		"one bit of it":    func() ([]byte, error) { x := bytes.Clone(challenge); x[9] ^= 1; return x, nil },
		"something behind": func() ([]byte, error) { return append(bytes.Clone(challenge), 0), nil },
	} {
		x, err := encrypt()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := provisioning.Prove(key, x); err == nil {
			t.Errorf("%s: decrypted as %x", name, got)
		}
	}
}

func TestKeyOf(t *testing.T) {
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	good := certificate(t, rsaKey(t, provisioning.MinKeyBits))
	for name, c := range map[string]struct {
		der  []byte
		good bool
		key  bool // it is the key that will not do
	}{
		"one of RSA":       {good, true, false},
		"a short one":      {certificate(t, rsaKey(t, provisioning.MinKeyBits-8)), false, true},
		"of a curve":       {certificate(t, curve), false, true},
		"nothing":          {nil, false, false},
		"half of one":      {good[:len(good)/2], false, false},
		"something behind": {append(bytes.Clone(good), 0), false, false},
	} {
		_, _, err := provisioning.KeyOf(c.der)
		if (err == nil) != c.good || errors.Is(err, provisioning.ErrKey) != c.key {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzKeyOf(f *testing.F) {
	f.Add([]byte("0\x82\x01\n"))
	f.Fuzz(func(t *testing.T, der []byte) {
		if _, key, err := provisioning.KeyOf(der); err == nil {
			if _, _, err := provisioning.NewChallenge(key); err == nil && key.N.BitLen() < provisioning.MinKeyBits {
				t.Errorf("a key of %d bits", key.N.BitLen())
			}
		}
	})
}
