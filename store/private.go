// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"fmt"

	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// Privates reads the topic "private": what clients keep for their account, one piece of XML under each qualified
// name. XEP-0049.
type Privates interface {
	// Private returns what the account keeps under that name, or ErrNotFound.
	Private(ctx context.Context, user jid.JID, name PrivateName) ([]byte, error)
	// PrivateSizes returns how many bytes the account keeps under each name, at most MaxPrivate names. It does not fail
	// for a user that does not exist.
	PrivateSizes(ctx context.Context, user jid.JID) (map[PrivateName]int, error)
}

// MaxPrivate is how many names one account may have; an operation that would make one more fails with ErrTooLarge.
const MaxPrivate = MaxPage

// PrivateName is the qualified name of an element.
type PrivateName struct{ Space, Local string }

// SetPrivate sets what an account keeps under a name; nil removes it. It fails with ErrNotFound when the account does
// not exist.
type SetPrivate struct {
	User jid.JID
	Name PrivateName
	XML  []byte
}

func (SetPrivate) Topic() string { return "private" }

func (op SetPrivate) Size() int {
	return opBytes + len(op.User.String()) + len(op.Name.Space) + len(op.Name.Local) + len(op.XML)
}

func (op SetPrivate) Validate() error {
	if err := CheckUser(op.User); err != nil {
		return err
	}
	if op.Name.Space == "" || op.Name.Local == "" {
		return fmt.Errorf("private XML named %q in %q: %w", op.Name.Local, op.Name.Space, ErrInvalid)
	}
	return nil
}
