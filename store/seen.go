// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// SeenAccounts reads the topic "seen": whether accounts are there, or since when not, and why.
type SeenAccounts interface {
	// Seen returns what is known of an account, or ErrNotFound where it was never there.
	Seen(ctx context.Context, user jid.JID) (Seen, error)
	// Overslept returns some of those that sleep and were to be back before a time.
	Overslept(ctx context.Context, before time.Time, limit int) ([]jid.JID, error)
}

// SeenState is what an account is at.
type SeenState string

// The states.
const (
	Online   SeenState = "online"
	Sleeping SeenState = "sleeping" // away to save power, until some time
	Offline  SeenState = "offline"
	Unsteady SeenState = "unsteady" // it comes and goes too often to be told each time
)

// Seen is what is known of an account. Times are in UTC, kept to the microsecond.
type Seen struct {
	State  SeenState
	Since  time.Time // it is so
	Until  time.Time // of Sleeping: when it means to be back
	Last   time.Time // it was there; now, where it is
	Reason string    // of Offline and Sleeping: one word
	Status string    // what it said when it went, for people
}

// SetSeen replaces what is known of an account. It fails with ErrNotFound.
type SetSeen struct {
	User jid.JID
	Seen Seen
}

// LoseSeen says of all that are online or unsteady that they are offline since At, or since they came where that is later: the server
// was stopped, or has died.
type LoseSeen struct {
	At     time.Time
	Reason string
}

// MaxSeenText is how many bytes Seen.Status and Seen.Reason may have.
const MaxSeenText = 256

func (SetSeen) Topic() string  { return "seen" }
func (LoseSeen) Topic() string { return "seen" }

func (op SetSeen) Size() int {
	return opBytes + len(op.User.String()) + len(op.Seen.Reason) + len(op.Seen.Status)
}
func (op LoseSeen) Size() int { return opBytes + len(op.Reason) }

func (op SetSeen) Validate() error {
	switch s := op.Seen; {
	case s.State != Online && s.State != Sleeping && s.State != Offline && s.State != Unsteady:
		return fmt.Errorf("state %q: %w", s.State, ErrInvalid)
	case len(s.Reason) > MaxSeenText || len(s.Status) > MaxSeenText || !utf8.ValidString(s.Status):
		return fmt.Errorf("words of %d and %d bytes: %w", len(s.Reason), len(s.Status), ErrInvalid)
	}
	return CheckUser(op.User)
}

func (op LoseSeen) Validate() error {
	if len(op.Reason) > MaxSeenText {
		return fmt.Errorf("reason of %d bytes: %w", len(op.Reason), ErrInvalid)
	}
	return nil
}
