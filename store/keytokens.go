// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// KeyTokens reads the topic "keytokens": the names by which the keys of accounts are known (XEP-0324 §3.1.3). A token is a name,
// and proves nothing: it is kept as it is. All of an account's go with it.
type KeyTokens interface {
	// KeyToken returns one, or ErrNotFound. Whether it has expired is for the caller to see.
	KeyToken(ctx context.Context, token string) (KeyToken, error)
	// AccountKeyTokens returns those of an account, the oldest first, at most MaxPage.
	AccountKeyTokens(ctx context.Context, account jid.JID) ([]KeyToken, error)
}

// KeyToken is the name of a key.
type KeyToken struct {
	Token   string // without white space
	Account jid.JID
	Key     []byte    // the public key, a SubjectPublicKeyInfo (RFC 5280 §4.1.2.7)
	Name    string    // what the certificate calls whom it is for, for people
	Created time.Time // kept to the microsecond, as is Expires
	Expires time.Time
}

// SetKeyToken gives an account a token, or the one that it has another name and end. What of the account's had expired at Created
// goes. It fails with ErrNotFound when the account does not exist, with ErrTooLarge when it has Most others, and with ErrExists when
// the token is another account's, or another of the account's is the name of that key.
type SetKeyToken struct {
	Token KeyToken
	Most  int
}

// RemoveKeyToken takes a token from an account; it fails with ErrNotFound when it is none of its.
type RemoveKeyToken struct {
	Account jid.JID
	Token   string
}

// ExpireKeyTokens removes tokens that expired before Before, at most Limit.
type ExpireKeyTokens struct {
	Before time.Time
	Limit  int
}

// Bounds of a token.
const (
	MaxKeyToken     = 128  // bytes
	MaxKeyTokenKey  = 4096 // bytes
	MaxKeyTokenName = 256  // bytes
)

func (SetKeyToken) Topic() string     { return "keytokens" }
func (RemoveKeyToken) Topic() string  { return "keytokens" }
func (ExpireKeyTokens) Topic() string { return "keytokens" }

func (op SetKeyToken) Size() int {
	x := &op.Token
	return 2*opBytes + len(x.Token) + len(x.Account.String()) + len(x.Key) + len(x.Name)
}
func (op RemoveKeyToken) Size() int { return opBytes + len(op.Token) + len(op.Account.String()) }
func (ExpireKeyTokens) Size() int   { return opBytes }

func (op SetKeyToken) Validate() error {
	x := &op.Token
	if err := CheckUser(x.Account); err != nil {
		return err
	}
	if x.Token == "" || strings.ContainsAny(x.Token, " \t\r\n\x00") || len(x.Key) == 0 || !x.Expires.After(x.Created) || op.Most < 1 {
		return fmt.Errorf("token %.100q of a key of %d bytes, from %v to %v: %w", x.Token, len(x.Key), x.Created, x.Expires, ErrInvalid)
	}
	if len(x.Token) > MaxKeyToken || len(x.Key) > MaxKeyTokenKey || len(x.Name) > MaxKeyTokenName {
		return fmt.Errorf("token of %d bytes, of a key of %d, with a name of %d: %w", len(x.Token), len(x.Key), len(x.Name), ErrTooLarge)
	}
	return nil
}

func (op RemoveKeyToken) Validate() error { return CheckUser(op.Account) }

func (op ExpireKeyTokens) Validate() error {
	if op.Limit < 1 {
		return fmt.Errorf("limit %d: %w", op.Limit, ErrInvalid)
	}
	return nil
}
