// SPDX-License-Identifier: Apache-2.0

package sasl

// How to read it: what is stored (Key) and how it is made (DeriveKeys); family
// is the arithmetic of RFC 5802 §3 for one hash, on which server.go and
// client.go build; falseKey at the end is the key of nobody.

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"errors"
	"fmt"
	"hash"
	"io"
	"unicode/utf8"

	"golang.org/x/text/secure/precis"
)

// The families of SCRAM, as Key.Hash and as mechanisms without binding.
const (
	SHA1   = "SCRAM-SHA-1"
	SHA256 = "SCRAM-SHA-256"
	SHA512 = "SCRAM-SHA-512"
)

const (
	// DefaultIterations is the count for new keys. XEP-0438 asks for 10,000
	// at least; a small device pays for it at its first login.
	DefaultIterations = 10_000

	// MinIterations is the least that is accepted, as a client and for new
	// keys. RFC 5802 §5.1, RFC 7677 §4. It does for a password that was made
	// at random of 128 bits or more, which nobody can guess at any speed.
	MinIterations = 4096

	// MaxIterations is the most, so that a server can't keep a client busy.
	MaxIterations = 1_000_000

	// SaltSize is the length of the salt of new keys and of false ones, in
	// bytes.
	SaltSize = 16
)

// Key is what a server stores of a password for one hash: enough to check a
// login, not enough to log in. RFC 5802 §3.
type Key struct {
	Hash       string // SHA1, SHA256 or SHA512
	Salt       []byte
	Iterations int
	StoredKey  []byte // H(ClientKey)
	ServerKey  []byte
}

// family is one hash of SCRAM.
type family struct {
	name string
	new  func() hash.Hash
	size int
}

// families are all hashes, strongest first.
var families = []family{
	{SHA512, sha512.New, sha512.Size},
	{SHA256, sha256.New, sha256.Size},
	{SHA1, sha1.New, sha1.Size},
}

func familyOf(name string) (family, bool) {
	for _, f := range families {
		if f.name == name {
			return f, true
		}
	}
	return family{}, false
}

func (f family) sum(data []byte) []byte {
	h := f.new()
	h.Write(data)
	return h.Sum(nil)
}

func (f family) hmac(key []byte, data string) []byte {
	h := hmac.New(f.new, key)
	io.WriteString(h, data) // a hash never fails to write
	return h.Sum(make([]byte, 0, f.size))
}

// clientKeys is what both sides compute from a password: the slow part.
// RFC 5802 §3.
func (f family) clientKeys(prepared string, salt []byte, iterations int) (clientKey, serverKey []byte, err error) {
	salted, err := pbkdf2.Key(f.new, prepared, salt, iterations, f.size)
	if err != nil {
		return nil, nil, fmt.Errorf("sasl: deriving %s keys: %w", f.name, err)
	}
	return f.hmac(salted, "Client Key"), f.hmac(salted, "Server Key"), nil
}

// key derives what is stored from a prepared password.
func (f family) key(prepared string, salt []byte, iterations int) (Key, error) {
	clientKey, serverKey, err := f.clientKeys(prepared, salt, iterations)
	if err != nil {
		return Key{}, err
	}
	return Key{Hash: f.name, Salt: salt, Iterations: iterations, StoredKey: f.sum(clientKey), ServerKey: serverKey}, nil
}

// DeriveKeys makes the keys of a password for every hash, strongest first,
// each with a salt of its own. It takes milliseconds of computing: call it
// where nothing else waits.
//
// A password that RFC 8265 §4.2 does not allow (empty, control characters) is
// an error, as are iteration counts outside MinIterations..MaxIterations. A
// nil rand means crypto/rand.
func DeriveKeys(password string, iterations int, random io.Reader) ([]Key, error) {
	if iterations < MinIterations || iterations > MaxIterations {
		return nil, fmt.Errorf("sasl: iteration count %d is not between %d and %d", iterations, MinIterations, MaxIterations)
	}
	prepared, err := preparePassword(password)
	if err != nil {
		return nil, err
	}
	if random == nil {
		random = rand.Reader
	}
	keys := make([]Key, 0, len(families))
	for _, f := range families {
		salt := make([]byte, SaltSize)
		if _, err := io.ReadFull(random, salt); err != nil {
			return nil, fmt.Errorf("sasl: making a salt: %w", err)
		}
		k, err := f.key(prepared, salt, iterations)
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	return keys, nil
}

// CheckPassword says what is wrong with a password, whoever it is for: nil where DeriveKeys makes
// keys of it.
func CheckPassword(password string) error {
	_, err := preparePassword(password)
	return err
}

// Matches reports whether keys, of one account, are those of password. It takes about a millisecond
// of computing. Without keys nothing matches; a damaged key is an error.
func Matches(keys []Key, password string) (bool, error) {
	prepared, err := preparePassword(password)
	if err != nil || len(keys) == 0 {
		return false, err
	}
	k := &keys[0]
	for i := range keys {
		if keys[i].Hash == SHA1 { // the quickest; all are of one password
			k = &keys[i]
		}
	}
	f, ok := familyOf(k.Hash)
	if !ok || !k.wellFormed() {
		return false, fmt.Errorf("sasl: the key for %q is damaged", k.Hash)
	}
	return f.check(k, prepared)
}

// preparePassword applies the OpaqueString profile, which RFC 8265 puts in
// the place of SASLprep. The error does not repeat the password.
func preparePassword(password string) (string, error) {
	p, err := precis.OpaqueString.String(password)
	if err != nil || !utf8.ValidString(password) {
		return "", errors.New("sasl: the password is empty or has something in it that RFC 8265 does not allow")
	}
	return p, nil
}

// check reports whether a prepared password is the one of the key.
func (f family) check(k *Key, prepared string) (bool, error) {
	clientKey, _, err := f.clientKeys(prepared, k.Salt, k.Iterations)
	if err != nil {
		return false, err
	}
	return subtle.ConstantTimeCompare(f.sum(clientKey), k.StoredKey) == 1, nil
}

// wellFormed guards against a damaged record: a short StoredKey would be
// easier to guess, an iteration count of zero would end the login oddly.
func (k *Key) wellFormed() bool {
	f, ok := familyOf(k.Hash)
	return ok && len(k.Salt) > 0 && k.Iterations > 0 && len(k.StoredKey) == f.size && len(k.ServerKey) == f.size
}

// find returns the stored key for a hash, or nil.
func find(keys []Key, name string) *Key {
	for i := range keys {
		if keys[i].Hash == name {
			return &keys[i]
		}
	}
	return nil
}

// strongest returns the stored key with the strongest hash, or nil.
func strongest(keys []Key) *Key {
	for _, f := range families {
		if k := find(keys, f.name); k != nil {
			return k
		}
	}
	return nil
}

// falseIterations is the count of an unknown account, the same for every hash:
// steady, and one of those that accounts have, so that it tells of nobody
// whether he is one.
func falseIterations(secret []byte, address string) int {
	mac := hmac.New(sha512.New, secret)
	io.WriteString(mac, "iterations\x00"+address)
	if mac.Sum(make([]byte, 0, sha512.Size))[0]&1 == 0 {
		return MinIterations
	}
	return DefaultIterations
}

// falseKey makes the steady key that stands in for an unknown account. Its
// StoredKey is no hash of anything that anyone could send.
func (f family) falseKey(secret []byte, address string, iterations int) *Key {
	mac := hmac.New(sha512.New, secret)
	for _, s := range []string{f.name, address} {
		io.WriteString(mac, s)
		mac.Write([]byte{0})
	}
	seed := mac.Sum(make([]byte, 0, sha512.Size))
	// The salt is seen by the peer: the rest must not follow from it.
	inner := hmac.New(sha512.New, secret)
	inner.Write(seed)
	inner.Write([]byte("stored key"))
	stored := inner.Sum(make([]byte, 0, sha512.Size))[:f.size]
	return &Key{
		Hash:       f.name,
		Salt:       seed[:SaltSize],
		Iterations: iterations,
		StoredKey:  stored,
		ServerKey:  stored,
	}
}
