// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"fmt"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// Spools reads the topic "spool": stanzas kept for an account until a session of it has received them.
type Spools interface {
	// Spool returns a page of the user's entries with an ID greater than after, in the order of their IDs. A page
	// may be shorter than limit (see MaxPageBytes); an empty page is the end. It does not fail for a user that does
	// not exist.
	Spool(ctx context.Context, user jid.JID, after int64, limit int) ([]SpoolEntry, error)
	// SpoolSize returns how many entries the user has and how many bytes their stanzas are.
	SpoolSize(ctx context.Context, user jid.JID) (n int, bytes int64, err error)
	// LastSpoolID returns the highest ID an entry of any user ever had, 0 when there was none: IDs go on from there
	// after a restart, so that none is used twice.
	LastSpoolID(ctx context.Context) (int64, error)
}

// SpoolEntry is one stanza kept for a user.
type SpoolEntry struct {
	ID     int64     // greater than 0, unique in the whole spool, ascending in the order of delivery
	At     time.Time // when the server took it, in UTC, kept to the microsecond
	Stanza []byte
}

// AddSpool keeps a stanza for a user. It fails with ErrNotFound when the account does not exist and with ErrExists
// when the ID is taken.
type AddSpool struct {
	User  jid.JID
	Entry SpoolEntry
}

// DeleteSpool removes the user's entries of the given IDs, at most MaxPage of them. An ID of which the user has no entry
// is passed over, and so is an account that does not exist.
type DeleteSpool struct {
	User jid.JID
	IDs  []int64
}

func (AddSpool) Topic() string    { return "spool" }
func (DeleteSpool) Topic() string { return "spool" }

func (op AddSpool) Size() int    { return opBytes + len(op.User.String()) + len(op.Entry.Stanza) }
func (op DeleteSpool) Size() int { return opBytes + len(op.User.String()) + 8*len(op.IDs) }

func (op AddSpool) Validate() error {
	if err := CheckUser(op.User); err != nil {
		return err
	}
	if op.Entry.ID <= 0 {
		return fmt.Errorf("spool entry with ID %d: %w", op.Entry.ID, ErrInvalid)
	}
	if len(op.Entry.Stanza) == 0 {
		return fmt.Errorf("spool entry without stanza: %w", ErrInvalid)
	}
	return nil
}

func (op DeleteSpool) Validate() error {
	if len(op.IDs) > MaxPage {
		return fmt.Errorf("%d spool entries: %w", len(op.IDs), ErrTooLarge)
	}
	return CheckUser(op.User)
}
