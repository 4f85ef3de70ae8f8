// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bytes"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"strconv"
	"strings"
	"sync"
)

// scramHashes are the mechanisms the generator knows. Channel binding is left
// out: not every server compared here has it, and its cost is nothing.
var scramHashes = map[string]func() hash.Hash{
	"SCRAM-SHA-1":   sha1.New,
	"SCRAM-SHA-256": sha256.New,
	"SCRAM-SHA-512": sha512.New,
}

// preferred is the order in which a mechanism is taken from an offer.
var preferred = []string{"SCRAM-SHA-256", "SCRAM-SHA-1", "SCRAM-SHA-512"}

// keyring remembers the salted passwords: a generator that derived them anew
// for each login would take the core that it wants to measure. This is why the
// generator has a SCRAM of its own beside the library's. Safe for concurrent use.
type keyring struct {
	mu   sync.Mutex
	keys map[string][]byte
}

// salted is SaltedPassword of RFC 5802 §3.
func (k *keyring) salted(mechanism, password string, salt []byte, iterations int) ([]byte, error) {
	name := mechanism + "\x00" + password + "\x00" + string(salt) + "\x00" + strconv.Itoa(iterations)
	k.mu.Lock()
	key := k.keys[name]
	k.mu.Unlock()
	if key != nil {
		return key, nil
	}
	h := scramHashes[mechanism]
	key, err := pbkdf2.Key(h, password, salt, iterations, h().Size())
	if err != nil {
		return nil, fmt.Errorf("bench: deriving a key: %w", err)
	}
	k.mu.Lock()
	if k.keys == nil {
		k.keys = make(map[string][]byte)
	}
	k.keys[name] = key
	k.mu.Unlock()
	return key, nil
}

// scram is one exchange of RFC 5802 §5 as the client, without channel binding.
type scram struct {
	mechanism, password string
	ring                *keyring
	nonce, firstBare    string
	signature           []byte // what the server must prove
}

func newScram(mechanism, user, password string, ring *keyring) *scram {
	nonce := rand.Text()
	user = strings.NewReplacer("=", "=3D", ",", "=2C").Replace(user)
	return &scram{mechanism: mechanism, password: password, ring: ring, nonce: nonce, firstBare: "n=" + user + ",r=" + nonce}
}

// first is client-first-message.
func (s *scram) first() []byte { return []byte("n,," + s.firstBare) }

// final answers server-first-message with client-final-message.
func (s *scram) final(challenge []byte) ([]byte, error) {
	var nonce string
	var salt []byte
	var iterations int
	for field := range strings.SplitSeq(string(challenge), ",") {
		key, value, _ := strings.Cut(field, "=")
		var err error
		switch key {
		case "r":
			nonce = value
		case "s":
			salt, err = base64.StdEncoding.DecodeString(value)
		case "i":
			iterations, err = strconv.Atoi(value)
		}
		if err != nil {
			return nil, fmt.Errorf("bench: SCRAM challenge: %w", err)
		}
	}
	if !strings.HasPrefix(nonce, s.nonce) || len(salt) == 0 || iterations < 1 || iterations > 1_000_000 {
		return nil, errors.New("bench: SCRAM challenge lacks a field")
	}
	key, err := s.ring.salted(s.mechanism, s.password, salt, iterations)
	if err != nil {
		return nil, err
	}
	h := scramHashes[s.mechanism]
	without := "c=biws,r=" + nonce
	message := []byte(s.firstBare + "," + string(challenge) + "," + without)
	client := mac(h, key, []byte("Client Key"))
	stored := h()
	stored.Write(client)
	proof := mac(h, stored.Sum(nil), message)
	for i := range proof {
		proof[i] ^= client[i]
	}
	s.signature = mac(h, mac(h, key, []byte("Server Key")), message)
	return []byte(without + ",p=" + base64.StdEncoding.EncodeToString(proof)), nil
}

// verify checks server-final-message.
func (s *scram) verify(final []byte) error {
	v, ok := bytes.CutPrefix(final, []byte("v="))
	if !ok {
		return errors.New("bench: SCRAM success without the server's signature")
	}
	got, err := base64.StdEncoding.DecodeString(string(v))
	if err != nil || !hmac.Equal(got, s.signature) {
		return errors.New("bench: SCRAM server signature is wrong")
	}
	return nil
}

func mac(h func() hash.Hash, key, data []byte) []byte {
	m := hmac.New(h, key)
	m.Write(data)
	return m.Sum(nil)
}
