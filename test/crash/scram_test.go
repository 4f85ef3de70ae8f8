// SPDX-License-Identifier: Apache-2.0

//go:build linux

package crash

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
)

// scram is the client of SCRAM-SHA-256 without channel binding (RFC 7677). Its passwords and names need no preparation
// and no escaping.
type scram struct {
	user, password string
	bare           string
	nonce          string
}

func (s *scram) first() string {
	s.nonce = rand.Text()
	s.bare = "n=" + s.user + ",r=" + s.nonce
	return "n,," + s.bare
}

func (s *scram) final(challenge string) (string, error) {
	field := map[string]string{}
	for part := range strings.SplitSeq(challenge, ",") {
		if name, value, ok := strings.Cut(part, "="); ok {
			field[name] = value
		}
	}
	salt, err := base64.StdEncoding.DecodeString(field["s"])
	n, err2 := strconv.Atoi(field["i"])
	if err := errors.Join(err, err2); err != nil {
		return "", fmt.Errorf("challenge %q: %w", challenge, err)
	}
	if !strings.HasPrefix(field["r"], s.nonce) {
		return "", fmt.Errorf("challenge %q: not our nonce", challenge)
	}
	salted, err := saltedPassword(s.password, salt, n)
	if err != nil {
		return "", err
	}
	without := "c=biws,r=" + field["r"]
	clientKey := mac(salted, "Client Key")
	stored := sha256.Sum256(clientKey)
	proof := mac(stored[:], s.bare+","+challenge+","+without)
	for i := range proof {
		proof[i] ^= clientKey[i]
	}
	return without + ",p=" + base64.StdEncoding.EncodeToString(proof), nil
}

func mac(key []byte, s string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(s))
	return h.Sum(nil)
}

// salted remembers what takes milliseconds to compute, as clients do.
var salted sync.Map

func saltedPassword(password string, salt []byte, n int) ([]byte, error) {
	key := fmt.Sprint(password, salt, n)
	if v, ok := salted.Load(key); ok {
		return v.([]byte), nil
	}
	p, err := pbkdf2.Key(sha256.New, password, salt, n, sha256.Size)
	if err == nil {
		salted.Store(key, p)
	}
	return p, err
}
