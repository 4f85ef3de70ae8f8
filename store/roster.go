// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"fmt"
	"strings"

	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// Rosters reads the topic "roster": the contacts of each account. RFC 6121 §2.
type Rosters interface {
	// Roster returns all of the user's roster. It does not fail for a user that does not exist.
	Roster(ctx context.Context, user jid.JID) (Roster, error)
	// RosterItem returns one item, or ErrNotFound.
	RosterItem(ctx context.Context, user, contact jid.JID) (RosterItem, error)
	// SeenBy returns a page of the accounts in whose rosters the contact has SubscriptionFrom: it sees their
	// presence. The next page is of those after the last of this one, a zero after begins.
	SeenBy(ctx context.Context, contact, after jid.JID, limit int) ([]jid.JID, error)
}

// Roster is one user's contacts.
type Roster struct {
	Items []RosterItem // in no particular order
	// Version is the highest that a SetRosterItem or DeleteRosterItem of this user has given, 0 when there was none.
	Version int64
	// Removed is a version before which nothing is known of what is gone: that of the last DeleteRosterItem of an item
	// that was there and not Hidden, or of the first operation of all. Who knows the roster of that version or a later
	// one knows all of it by the items with a Version above his. RFC 6121 §2.6.3
	Removed int64
}

// Subscription is the state of a roster item. RFC 6121 §2.1.2.5.
type Subscription uint8

// The subscription states, as seen by the user: SubscriptionTo says that the user receives the contact's presence.
// They are sets of bits: SubscriptionTo|SubscriptionFrom is SubscriptionBoth.
const (
	SubscriptionNone Subscription = iota
	SubscriptionTo
	SubscriptionFrom
	SubscriptionBoth
)

// RosterItem is one contact of a user.
type RosterItem struct {
	Contact      jid.JID
	Name         string
	Groups       []string // in the order given; none empty
	Subscription Subscription
	Ask          bool   // the user asked for the contact's presence and waits. RFC 6121 §2.1.2.2
	Approved     bool   // the user approved the contact's request before it came. RFC 6121 §2.1.2.1
	Related      bool   // there for a relation of things and owners: it is not counted as one of the user's own contacts
	Hidden       bool   // not in the roster that the user sees: the item is there for In alone. RFC 6121 §3.1.3
	In           []byte // the contact's subscription request that the user has not answered, as a stanza; nil: none
	Version      int64  // of the roster when the item was last set. RFC 6121 §2.6
}

// SetRosterItem makes or replaces the item for one contact. Item.Version is given by the caller, greater than every
// version this roster had. It fails with ErrNotFound when the account does not exist.
type SetRosterItem struct {
	User jid.JID
	Item RosterItem
}

// DeleteRosterItem removes the item for one contact; that there is none is no error. Version is as in SetRosterItem.
// It fails with ErrNotFound when the account does not exist.
type DeleteRosterItem struct {
	User    jid.JID
	Contact jid.JID
	Version int64
}

func (SetRosterItem) Topic() string    { return "roster" }
func (DeleteRosterItem) Topic() string { return "roster" }

func (op SetRosterItem) Size() int {
	n := 2*opBytes + len(op.User.String()) + len(op.Item.Contact.String()) + len(op.Item.Name) + len(op.Item.In)
	for _, g := range op.Item.Groups {
		n += 16 + len(g)
	}
	return n
}

func (op DeleteRosterItem) Size() int {
	return opBytes + len(op.User.String()) + len(op.Contact.String())
}

func (op SetRosterItem) Validate() error {
	if err := CheckUser(op.User); err != nil {
		return err
	}
	if op.Item.Contact.IsZero() {
		return fmt.Errorf("roster item without contact: %w", ErrInvalid)
	}
	if op.Item.Subscription > SubscriptionBoth {
		return fmt.Errorf("subscription state %d: %w", op.Item.Subscription, ErrInvalid)
	}
	for _, g := range op.Item.Groups {
		if g == "" || strings.IndexByte(g, 0) >= 0 {
			return fmt.Errorf("name of a roster group %q: %w", g, ErrInvalid)
		}
	}
	return nil
}

func (op DeleteRosterItem) Validate() error {
	if err := CheckUser(op.User); err != nil {
		return err
	}
	if op.Contact.IsZero() {
		return fmt.Errorf("roster item without contact: %w", ErrInvalid)
	}
	return nil
}
