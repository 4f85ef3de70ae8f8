// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// How to read this file: the reads, what a thing is, how it is looked for, then the operations.

// Things reads the topic "things": what is registered as a thing, and whose it is (XEP-0347). A thing is an account, or a
// node behind one, and goes with the account; when its owner's account goes, it is nobody's.
type Things interface {
	// Thing returns one thing, or ErrNotFound.
	Thing(ctx context.Context, name ThingName) (Thing, error)
	// ThingByKey returns the thing that is claimed by that digest: one that is nobody's or was claimed by it, that which
	// was registered last if there are several; or one that is offered by it. ErrNotFound where there is none.
	ThingByKey(ctx context.Context, digest []byte) (Thing, error)
	// ListThings returns a page of those that the filter admits, in the order of their rows.
	ListThings(ctx context.Context, f ThingFilter) ([]Thing, error)
	// CountThings returns how many the filter admits; After and Limit mean nothing.
	CountThings(ctx context.Context, f ThingFilter) (int, error)
	// SearchThings returns those that are public and not removed and for which all terms hold, in the order of
	// their rows, and whether there are more behind them. No term: none is found.
	SearchThings(ctx context.Context, s ThingSearch) (found []Thing, more bool, err error)
	// ThingAccounts returns a page of the accounts that are, or have, things, in the order of domains and local parts,
	// behind the account after; the zero address begins.
	ThingAccounts(ctx context.Context, after jid.JID, limit int) ([]jid.JID, error)
	// ThingsToTell returns all accounts that have to be told something: one of their things has a Notice.
	ThingsToTell(ctx context.Context) ([]jid.JID, error)
}

// ThingNode is a node behind an account; its zero value is the account itself. XEP-0347 §3.8
type ThingNode struct{ ID, Source, Cache string }

// ThingName is what a thing is called on the network.
type ThingName struct {
	JID jid.JID // bare
	ThingNode
}

// ThingNotice is what a thing has to be told.
type ThingNotice string

// The notices. What a thing has answered to is told no more.
const (
	NoNotice       ThingNotice = ""
	NoticeClaimed  ThingNotice = "claimed"
	NoticeDisowned ThingNotice = "disowned"
	NoticeRemoved  ThingNotice = "removed"
)

// Thing is one registered thing.
type Thing struct {
	ThingName
	Row        int64     // its number in the store, by which lists go on
	Owner      jid.JID   // bare; zero: nobody's. Its own address: it belongs to itself
	Registered time.Time // these are kept to the microsecond
	Claimed    time.Time // zero: never

	Public  bool     // found by search, once it is claimed
	Removed bool     // its owner has taken it out of the registry: not found, not updated; it stays the owner's
	Label   string   // what its owner calls it; may be empty
	Groups  []string // that its owner or an operator has put it in, sorted
	Tags    []ThingTag

	Key        []byte      // the digest that claims it, or has claimed it; nil: it cannot be claimed
	Offer      []byte      // the digest that claims it from its owner; nil: it is not offered
	OfferTo    jid.JID     // to whom alone
	OfferUntil time.Time   // no longer
	Notice     ThingNotice // what it has not answered yet
}

// ThingTag is something that is said of a thing: a string or, with Numeric, a number.
type ThingTag struct {
	Name    string // in upper case
	Str     string
	Num     float64
	Numeric bool
	Given   bool // by an operator or its owner: registering again does not remove it
}

// ThingFilter says which things. Its zero fields admit all.
type ThingFilter struct {
	Domain  string  // of the account
	Account jid.JID // that they are, or are behind
	Owner   jid.JID
	Group   string
	Free    bool  // nobody's alone
	After   int64 // behind that row
	Limit   int
}

// ThingSearch asks for public things of a domain's accounts.
type ThingSearch struct {
	Domain string
	Terms  []ThingTerm
	Offset int
	Limit  int
}

// ThingTerm holds for a thing that has the tag, of that type, with a value in a range (or outside of it), and like the mask
// if there is one. Strings are compared by their bytes.
type ThingTerm struct {
	Tag      string // in upper case
	Numeric  bool
	Outside  bool
	Min, Max *ThingBound // nil: no bound
	Mask     string      // of strings; "" and no Wildcard: no mask
	Wildcard string      // in Mask: any characters
}

// ThingBound is an end of a range.
type ThingBound struct {
	Str      string
	Num      float64
	Excluded bool
}

// RegisterThing makes a thing, or replaces one that is nobody's: what is given (ThingTag.Given, Groups) is added to what it
// has of that. Where Thing.Owner is set the thing is that owner's from the start. It fails with ErrNotFound when there is no
// such account, ErrExists when somebody owns the thing. Row means nothing.
type RegisterThing struct{ Thing Thing }

// ErrOwnsMost is why somebody cannot claim one more.
var ErrOwnsMost = fmt.Errorf("the owner has as many things as he may: %w", ErrTooLarge)

// ClaimThing makes Owner the owner: of a thing that is nobody's, by its Key; or of one that was offered to Owner, by its
// Offer, which is then its Key. It is told so (NoticeClaimed); what its last owner said of it is gone. It fails with
// ErrNotFound when the thing cannot be claimed so, at At, and with ErrOwnsMost when Owner has Most others, 0 being any number.
type ClaimThing struct {
	Name   ThingName
	Digest []byte
	Owner  jid.JID
	Public bool
	At     time.Time
	Most   int
}

// OfferThing has To claim the thing of Owner by the digest, until Until; a nil digest takes an offer back. It fails with
// ErrNotFound when the thing is not Owner's.
type OfferThing struct {
	Name   ThingName
	Owner  jid.JID
	Digest []byte
	To     jid.JID
	Until  time.Time
}

// DisownThing makes a thing of Owner nobody's, which then cannot be claimed until it registers again; all that was said of
// it is gone, and it is told so (NoticeDisowned). It fails with ErrNotFound when the thing is not Owner's.
type DisownThing struct {
	Name  ThingName
	Owner jid.JID
}

// SetThing replaces Label, Groups, Tags, Public, Removed and Notice of a thing that has that Owner, or is nobody's where Owner is
// zero. It fails with ErrNotFound when there is none.
type SetThing struct{ Thing Thing }

// ToldThing says that a thing has answered to a notice of that owner's time; where it has another one by now, nothing
// happens.
type ToldThing struct {
	Name   ThingName
	Owner  jid.JID
	Notice ThingNotice
}

// DeleteThing removes a thing; that there is none is no error.
type DeleteThing struct{ Name ThingName }

func (RegisterThing) Topic() string { return "things" }
func (ClaimThing) Topic() string    { return "things" }
func (OfferThing) Topic() string    { return "things" }
func (DisownThing) Topic() string   { return "things" }
func (SetThing) Topic() string      { return "things" }
func (ToldThing) Topic() string     { return "things" }
func (DeleteThing) Topic() string   { return "things" }

func (op RegisterThing) Size() int { return op.Thing.size() }
func (op SetThing) Size() int      { return op.Thing.size() }
func (op ClaimThing) Size() int {
	return op.Name.size() + len(op.Digest) + len(op.Owner.String())
}
func (op OfferThing) Size() int {
	return op.Name.size() + len(op.Digest) + len(op.Owner.String()) + len(op.To.String())
}
func (op DisownThing) Size() int { return op.Name.size() + len(op.Owner.String()) }
func (op ToldThing) Size() int   { return op.Name.size() + len(op.Owner.String()) }
func (op DeleteThing) Size() int { return op.Name.size() }

func (n ThingName) size() int {
	return opBytes + len(n.JID.String()) + len(n.ID) + len(n.Source) + len(n.Cache)
}

func (x Thing) size() int {
	n := x.ThingName.size() + opBytes + len(x.Label) + len(x.Key) + len(x.Offer) + len(x.Owner.String()) + len(x.OfferTo.String())
	for _, g := range x.Groups {
		n += 16 + len(g)
	}
	for _, t := range x.Tags {
		n += opBytes + len(t.Name) + len(t.Str)
	}
	return n
}

func (op RegisterThing) Validate() error { return op.Thing.validate() }
func (op SetThing) Validate() error      { return op.Thing.validate() }

func (op ClaimThing) Validate() error {
	if len(op.Digest) == 0 {
		return fmt.Errorf("claim without a digest: %w", ErrInvalid)
	}
	if err := CheckUser(op.Owner); err != nil {
		return err
	}
	return CheckUser(op.Name.JID)
}

func (op OfferThing) Validate() error {
	if op.Digest != nil {
		if err := CheckUser(op.To); err != nil {
			return err
		}
	}
	return DisownThing{op.Name, op.Owner}.Validate()
}

func (op DisownThing) Validate() error {
	if err := CheckUser(op.Owner); err != nil {
		return err
	}
	return CheckUser(op.Name.JID)
}

func (op ToldThing) Validate() error   { return CheckUser(op.Name.JID) }
func (op DeleteThing) Validate() error { return CheckUser(op.Name.JID) }

func (x Thing) validate() error {
	switch x.Notice {
	case NoNotice, NoticeClaimed, NoticeDisowned, NoticeRemoved:
	default:
		return fmt.Errorf("notice %q: %w", x.Notice, ErrInvalid)
	}
	seen := make(map[string]bool, len(x.Tags))
	for _, t := range x.Tags {
		if t.Name == "" || seen[t.Name] || math.IsNaN(t.Num) || math.IsInf(t.Num, 0) {
			return fmt.Errorf("tag %q: %w", t.Name, ErrInvalid)
		}
		seen[t.Name] = true
	}
	for _, g := range x.Groups {
		if g == "" {
			return fmt.Errorf("group without a name: %w", ErrInvalid)
		}
	}
	if !x.Owner.IsZero() {
		if err := CheckUser(x.Owner); err != nil {
			return err
		}
	}
	return CheckUser(x.JID)
}
