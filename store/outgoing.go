// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"fmt"

	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// Outgoings reads the topic "outgoing": stanzas kept for the servers of other domains until these have received them. They
// belong to no account: who has sent them may be gone.
type Outgoings interface {
	// Outgoing returns a page of a route's entries with an ID greater than after, in the order of their IDs. A page may be
	// shorter than limit (see MaxPageBytes); an empty page is the end.
	Outgoing(ctx context.Context, r Route, after int64, limit int) ([]SpoolEntry, error)
	// OutgoingRoutes returns a page of the routes that have entries, in an order of their own, beginning behind after (zero:
	// from the first); an empty page is the end.
	OutgoingRoutes(ctx context.Context, after Route, limit int) ([]RouteSize, error)
	// LastOutgoingID returns the highest ID an entry of any route ever had, 0 when there was none.
	LastOutgoingID(ctx context.Context) (int64, error)
}

// Route is the way from a domain of ours to one of others.
type Route struct{ From, To jid.JID }

// RouteSize is how much is kept for a route.
type RouteSize struct {
	Route
	Entries int
	Bytes   int64 // of their stanzas
}

// AddOutgoing keeps a stanza for a route. It fails with ErrExists when the ID is taken.
type AddOutgoing struct {
	Route
	Entry SpoolEntry
}

// DeleteOutgoing removes the route's entries of the given IDs, at most MaxPage of them. An ID of which it has no entry is
// passed over.
type DeleteOutgoing struct {
	Route
	IDs []int64
}

func (AddOutgoing) Topic() string    { return "outgoing" }
func (DeleteOutgoing) Topic() string { return "outgoing" }

func (op AddOutgoing) Size() int    { return opBytes + op.size() + len(op.Entry.Stanza) }
func (op DeleteOutgoing) Size() int { return opBytes + op.size() + 8*len(op.IDs) }

func (r Route) size() int { return len(r.From.String()) + len(r.To.String()) }

func (op AddOutgoing) Validate() error {
	switch {
	case op.Entry.ID <= 0:
		return fmt.Errorf("outgoing entry with ID %d: %w", op.Entry.ID, ErrInvalid)
	case len(op.Entry.Stanza) == 0:
		return fmt.Errorf("outgoing entry without stanza: %w", ErrInvalid)
	}
	return CheckRoute(op.Route)
}

func (op DeleteOutgoing) Validate() error {
	if len(op.IDs) > MaxPage {
		return fmt.Errorf("%d outgoing entries: %w", len(op.IDs), ErrTooLarge)
	}
	return CheckRoute(op.Route)
}

// CheckRoute says whether both ends are domains. Operations and engines' reads use it.
func CheckRoute(r Route) error {
	if !isDomain(r.From) || !isDomain(r.To) {
		return fmt.Errorf("route from %q to %q: %w", r.From, r.To, ErrInvalid)
	}
	return nil
}

func isDomain(j jid.JID) bool { return !j.IsZero() && j == j.Host() }
