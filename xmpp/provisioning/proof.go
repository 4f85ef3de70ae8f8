// SPDX-License-Identifier: Apache-2.0

package provisioning

// How to read this file: KeyOf finds the key of a certificate, NewChallenge encrypts for it, Prove decrypts.

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
)

// Bits that the modulus of a certificate's RSA key may have: fewer are weak, more are slow.
const (
	MinKeyBits = 2048
	MaxKeyBits = 4096
)

// secretBytes is how many random bytes a challenge has: as many as its padding's hash.
const secretBytes = sha256.Size

// ErrKey is what a key is refused with by which nothing can be proven.
var ErrKey = errors.New("provisioning: only RSA keys of 2048 to 4096 bits prove something")

// KeyOf is the key of a certificate, which is X.509, DER. It does not look at who has signed it, nor at the time.
func KeyOf(certificate []byte) (*x509.Certificate, *rsa.PublicKey, error) {
	c, err := x509.ParseCertificate(certificate)
	if err != nil {
		return nil, nil, fmt.Errorf("provisioning: not a certificate: %w", err)
	}
	key, ok := c.PublicKey.(*rsa.PublicKey)
	if !ok || key.N.BitLen() < MinKeyBits || key.N.BitLen() > MaxKeyBits {
		return nil, nil, ErrKey
	}
	return c, key, nil
}

// NewChallenge makes random bytes, and encrypts them for a key: whoever says the secret has the other half of it.
//
// Deviation: XEP-0324 §3.1.3 does not say how they are padded. Here it is OAEP with SHA-256, with NS for its label (RFC 8017 §7.1), so
// that whoever answers cannot be made to decrypt anything that was encrypted for another purpose. Libraries that pad as
// PKCS #1 v1.5 did understand none of it: with that padding, answers are an oracle to all that the key protects.
func NewChallenge(key *rsa.PublicKey) (secret, challenge []byte, err error) {
	secret = make([]byte, secretBytes)
	if _, err := rand.Read(secret); err != nil {
		return nil, nil, err
	}
	challenge, err = rsa.EncryptOAEP(sha256.New(), rand.Reader, key, secret, []byte(NS))
	if err != nil {
		return nil, nil, fmt.Errorf("provisioning: nothing can be encrypted for that key: %w", err)
	}
	return secret, challenge, nil
}

// Prove is the secret of a challenge of NewChallenge's. key decrypts with RSA. Prove nothing to whom the token was not sent: §6.2.
func Prove(key crypto.Decrypter, challenge []byte) ([]byte, error) {
	if _, ok := key.Public().(*rsa.PublicKey); !ok {
		return nil, ErrKey
	}
	secret, err := key.Decrypt(rand.Reader, challenge, &rsa.OAEPOptions{Hash: crypto.SHA256, Label: []byte(NS)})
	if err == nil && len(secret) != secretBytes {
		err = fmt.Errorf("%d bytes", len(secret))
	}
	if err != nil {
		return nil, fmt.Errorf("provisioning: not a challenge for that key: %w", err)
	}
	return secret, nil
}
