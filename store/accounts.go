// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"fmt"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/sasl"
)

// Accounts reads the topic "accounts": who may log in.
type Accounts interface {
	// Account returns the account with its keys, or ErrNotFound.
	Account(ctx context.Context, user jid.JID) (Account, error)
	// Accounts returns a page of the accounts of domain, without their keys, in the byte order of their local parts,
	// beginning behind the local part after ("" for the first page). An empty page is the end.
	Accounts(ctx context.Context, domain, after string, limit int) ([]Account, error)
	// CountAccounts returns how many accounts domain has, or with "" all domains together.
	CountAccounts(ctx context.Context, domain string) (int, error)
}

// Account is one user of the server, a person or a thing.
type Account struct {
	JID      jid.JID    // local part and domain, no resource
	Keys     []sasl.Key // at most one per hash, in no particular order; none: no login with a password
	Created  time.Time  // in UTC, kept to the microsecond
	Disabled bool       // true: no login; the data is kept
}

// CreateAccount makes an account. It fails with ErrExists when there is one of the same address.
type CreateAccount struct {
	Account Account
}

// SetKeys replaces all keys of an account: its password was changed. It fails with ErrNotFound.
type SetKeys struct {
	User jid.JID
	Keys []sasl.Key
}

// SetDisabled switches an account off or on. It fails with ErrNotFound.
type SetDisabled struct {
	User     jid.JID
	Disabled bool
}

// DeleteAccount removes an account and what belongs to it in every topic, and in the rosters of other accounts ends the
// subscriptions with it. It fails with ErrNotFound. An account made later with the same address has none of it.
type DeleteAccount struct {
	User jid.JID
}

const maxKeys = 16 // of an account; there are three hashes in use

func (CreateAccount) Topic() string { return "accounts" }
func (SetKeys) Topic() string       { return "accounts" }
func (SetDisabled) Topic() string   { return "accounts" }
func (DeleteAccount) Topic() string { return "accounts" }

func (op CreateAccount) Size() int {
	return opBytes + len(op.Account.JID.String()) + keysSize(op.Account.Keys)
}
func (op SetKeys) Size() int       { return opBytes + len(op.User.String()) + keysSize(op.Keys) }
func (op SetDisabled) Size() int   { return opBytes + len(op.User.String()) }
func (op DeleteAccount) Size() int { return opBytes + len(op.User.String()) }

func (op CreateAccount) Validate() error {
	if err := CheckUser(op.Account.JID); err != nil {
		return err
	}
	return checkKeys(op.Account.Keys)
}

func (op SetKeys) Validate() error {
	if err := CheckUser(op.User); err != nil {
		return err
	}
	return checkKeys(op.Keys)
}

func (op SetDisabled) Validate() error   { return CheckUser(op.User) }
func (op DeleteAccount) Validate() error { return CheckUser(op.User) }

func keysSize(keys []sasl.Key) int {
	n := 0
	for _, k := range keys {
		n += opBytes + len(k.Hash) + len(k.Salt) + len(k.StoredKey) + len(k.ServerKey)
	}
	return n
}

func checkKeys(keys []sasl.Key) error {
	if len(keys) > maxKeys {
		return fmt.Errorf("%d keys: %w", len(keys), ErrTooLarge)
	}
	for i, k := range keys {
		if k.Hash == "" {
			return fmt.Errorf("key without hash: %w", ErrInvalid)
		}
		for _, other := range keys[:i] {
			if other.Hash == k.Hash {
				return fmt.Errorf("two keys for %s: %w", k.Hash, ErrInvalid)
			}
		}
	}
	return nil
}
