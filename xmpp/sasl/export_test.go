// SPDX-License-Identifier: Apache-2.0

package sasl

// The vectors of the RFCs fix nonces that are no base64, hence can't come out
// of Rand.

func (s *Server) SetNonce(n string)  { s.nonce = n }
func (cl *Client) SetNonce(n string) { cl.nonce = n }

// KeyFor derives one key with a given salt.
func KeyFor(hash, password string, salt []byte, iterations int) Key {
	f, _ := familyOf(hash)
	k, err := f.key(password, salt, iterations)
	if err != nil {
		panic(err)
	}
	return k
}

// DowngradeHash is the value of attribute h.
func DowngradeHash(hash string, mechanisms, bindings []string) string {
	f, _ := familyOf(hash)
	return f.downgradeHash(mechanisms, bindings)
}
