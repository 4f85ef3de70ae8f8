// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// Tokens reads the topic "tokens": what lets things, or people, make accounts for themselves (XEP-0445). They
// belong to no account. Nothing here tells a token: it is known by its digest.
type Tokens interface {
	// Token returns the token with that digest, or ErrNotFound.
	Token(ctx context.Context, digest [sha256.Size]byte) (Token, error)
	// ListTokens returns a page of them in the order of their IDs, beginning behind after. An empty page is the end.
	ListTokens(ctx context.Context, after string, limit int) ([]Token, error)
}

// Token is one token.
type Token struct {
	Digest  [sha256.Size]byte // SHA-256 of what is shown
	Domain  string            // where accounts may be made with it
	Thing   bool              // what registers with it is a thing
	Groups  []string          // into which it comes then
	Tags    []ThingTag        // that it is given
	Note    string            // for the operator
	Uses    int               // how many accounts may be made with it, at least 1
	Used    int               // how many were
	Created time.Time         // these are in UTC, kept to the microsecond
	Expires time.Time         // zero: never
}

// ID is what people call a token that nobody knows any more: the beginning of its digest.
func (t *Token) ID() string { return hex.EncodeToString(t.Digest[:TokenID/2]) }

// TokenID is how long an ID is, in digits.
const TokenID = 12

// Spent says why the token does not let one more register at a time, nil where it does: ErrSpent or ErrExpired.
func (t *Token) Spent(now time.Time) error {
	switch {
	case t.Used >= t.Uses:
		return ErrSpent
	case !t.Expires.IsZero() && !now.Before(t.Expires):
		return ErrExpired
	}
	return nil
}

// Errors of tokens.
var (
	ErrSpent   = fmt.Errorf("the token has been used as often as it may: %w", ErrNotFound)
	ErrExpired = fmt.Errorf("the token has expired: %w", ErrNotFound)
)

// AddToken keeps a token. It fails with ErrExists when there is one with the same ID, and with ErrTooLarge when there are
// MaxTokens.
type AddToken struct{ Token Token }

// UseToken counts one use. It fails with ErrNotFound when there is no such token at Domain, and with ErrSpent, which is one, too,
// when it was used as often as it may. Whether it has expired is judged where it is shown, and not here. XEP-0445 §4
type UseToken struct {
	Digest [sha256.Size]byte
	Domain string
}

// RemoveToken removes a token: it is revoked. It fails with ErrNotFound.
type RemoveToken struct{ ID string }

// Bounds of tokens.
const (
	MaxTokens    = 10_000
	maxTokenUses = 1_000_000
	maxTokenText = 1024 // bytes of a note, a group, a tag
	maxTokenList = 100  // groups, tags
)

func (AddToken) Topic() string    { return "tokens" }
func (UseToken) Topic() string    { return "tokens" }
func (RemoveToken) Topic() string { return "tokens" }

func (op AddToken) Size() int {
	n := opBytes + len(op.Token.Domain) + len(op.Token.Note)
	for _, g := range op.Token.Groups {
		n += opBytes + len(g)
	}
	for _, t := range op.Token.Tags {
		n += opBytes + len(t.Name) + len(t.Str)
	}
	return n
}
func (op UseToken) Size() int    { return opBytes + len(op.Digest) + len(op.Domain) }
func (op RemoveToken) Size() int { return opBytes + len(op.ID) }

func (op AddToken) Validate() error {
	t := &op.Token
	if _, err := jid.New("", t.Domain, ""); err != nil || t.Digest == [sha256.Size]byte{} {
		return fmt.Errorf("token at %q: %w", t.Domain, ErrInvalid)
	}
	if t.Uses < 1 || t.Uses > maxTokenUses || t.Used < 0 || t.Used > t.Uses {
		return fmt.Errorf("token with %d uses, %d of them used: %w", t.Uses, t.Used, ErrInvalid)
	}
	if len(t.Groups) > maxTokenList || len(t.Tags) > maxTokenList || len(t.Note) > maxTokenText {
		return fmt.Errorf("token with %d groups, %d tags and a note of %d bytes: %w", len(t.Groups), len(t.Tags), len(t.Note), ErrTooLarge)
	}
	for _, g := range t.Groups {
		if g == "" || len(g) > maxTokenText {
			return fmt.Errorf("group of a token of %d bytes: %w", len(g), ErrInvalid)
		}
	}
	for _, x := range t.Tags {
		if x.Name == "" || len(x.Name)+len(x.Str) > maxTokenText {
			return fmt.Errorf("tag %q of a token of %d bytes: %w", x.Name, len(x.Str), ErrInvalid)
		}
	}
	return nil
}

func (op UseToken) Validate() error { return nil }

func (op RemoveToken) Validate() error {
	if b, err := hex.DecodeString(op.ID); err != nil || len(b) != TokenID/2 {
		return fmt.Errorf("%q is not the ID of a token: %w", op.ID, ErrInvalid)
	}
	return nil
}
