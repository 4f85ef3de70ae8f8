// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// How to read this file: the reads, what owners have decided and are asked, then the operations.

// Consents reads the topic "consent": what the owners of things have decided, what they are asked, and who was refused. All
// belongs to the thing's account and goes with it. What an owner has decided, or was asked, goes with the owner's account, and
// with that of the caller it is about.
type Consents interface {
	// ThingRules returns all rules of an account and the nodes behind it, in the order of their numbers, at most MaxPage, and
	// what it must forget (ClearStale): 0 for nothing.
	ThingRules(ctx context.Context, thing jid.JID) (rules []Rule, stale int64, err error)
	// OwnerRules returns a page of the rules that an owner has made, in the order of their numbers, behind after.
	OwnerRules(ctx context.Context, owner jid.JID, after int64, limit int) ([]Rule, error)
	// Questions returns a page of what an owner is asked, in the order of numbers, behind after.
	Questions(ctx context.Context, owner jid.JID, after int64, limit int) ([]Question, error)
	// Question returns one, or ErrNotFound.
	Question(ctx context.Context, owner jid.JID, number int64) (Question, error)
	// QuestionAbout returns the question of a thing, a caller and a right, or ErrNotFound.
	QuestionAbout(ctx context.Context, thing ThingName, caller jid.JID, right Right) (Question, error)
	// QuestionCount returns how many questions are open about a thing and its nodes, and about a caller.
	QuestionCount(ctx context.Context, thing, caller jid.JID) (ofThing, ofCaller int, err error)
	// Refusals returns a page of those of a thing and its nodes, the latest first, before that row; 0 begins.
	Refusals(ctx context.Context, thing jid.JID, before int64, limit int) ([]Refusal, error)
}

// Right is what somebody may do with a thing.
type Right uint8

// The rights.
const (
	AnyRight     Right = iota // of refusals alone: none in particular would have done
	RightFriend               // see its presence
	RightRead                 // read its fields
	RightControl              // set its parameters, run its commands
	RightUse                  // both of these
)

// String is the right in a word.
func (r Right) String() string {
	if r > RightUse {
		return fmt.Sprintf("right %d", r)
	}
	return [...]string{"any", "friend", "read", "control", "use"}[r]
}

// Covers reports whether who has this right has the other one.
func (r Right) Covers(other Right) bool {
	return r == other || r == RightUse && (other == RightRead || other == RightControl)
}

// SubjectKind is how a rule says for whom it is.
type SubjectKind uint8

// The kinds.
const (
	SubjectCaller SubjectKind = iota // a bare address
	SubjectGroup                     // a group of the owner's roster
	SubjectDomain                    // all addresses of a domain
	SubjectAll                       // everybody
	SubjectToken                     // whoever speaks for the key of that name (KeyToken)
)

// Subject is for whom a rule is.
type Subject struct {
	Kind SubjectKind
	Name string // the address, group, domain or token; "" for SubjectAll
}

// Rule is one decision of an owner about a thing.
type Rule struct {
	Number  int64 // of all rules and questions of the owner; never used again
	Owner   jid.JID
	Thing   ThingName // without a node: the account, with all nodes behind it that the owner has
	Subject Subject
	Right   Right
	Allow   bool
	Names   []string  // the fields or parameters; none: all
	Created time.Time // kept to the microsecond
}

// Question is what an owner is asked.
type Question struct {
	Number    int64 // as of rules
	Owner     jid.JID
	Thing     ThingName
	Caller    jid.JID // bare
	Right     Right
	Names     []string  // that the caller wanted; none: all
	Subscribe bool      // the caller waits for its subscription
	Asked     time.Time // last; kept to the microsecond
}

// Refusal is what was refused.
type Refusal struct {
	Row         int64
	Thing       ThingName
	Caller      jid.JID // bare
	Right       Right
	Way         string    // by which the caller tried: a word
	Names       []string  // that it wanted last
	First, Last time.Time // kept to the microsecond
	Count       int
}

// SetRule makes a rule, or replaces that of the owner's with its number. Number 0 gives it the next of the owner's. It fails with
// ErrNotFound when the thing's account does not exist. What the thing remembers of decisions becomes stale.
type SetRule struct{ Rule Rule }

// DeleteRule removes a rule; it fails with ErrNotFound when the owner has none of that number. What the thing remembers becomes stale.
type DeleteRule struct {
	Owner  jid.JID
	Number int64
}

// AskQuestion makes a question, with the next number of the owner's, or replaces that about the same thing, caller and right, which
// keeps its number. It fails with ErrNotFound when the thing's account does not exist. Number means nothing.
type AskQuestion struct{ Question Question }

// DropQuestion removes a question; it fails with ErrNotFound when the owner is not asked that.
type DropQuestion struct {
	Owner  jid.JID
	Number int64
}

// ForgetConsent removes what an owner has decided and is asked about a thing: without a node, also about those behind it. What the
// thing remembers becomes stale. That there is no such account is no error.
type ForgetConsent struct {
	Thing ThingName
	Owner jid.JID
}

// Outdate says that what the thing remembers of decisions is stale, because something else than its rules has changed.
type Outdate struct{ Thing jid.JID }

// ClearStale says that the thing has forgotten what was stale at that time, as ThingRules gave it.
type ClearStale struct {
	Thing jid.JID
	Stale int64
}

// AddRefusal notes a refusal. One of the same thing, caller, right and way whose Last is at most a Within before First is
// continued: its Count and Last rise. Beyond Keep, the thing's oldest go. It fails with ErrNotFound when the thing's account does not exist.
type AddRefusal struct {
	Refusal Refusal
	Within  time.Duration
	Keep    int
}

// ExpireConsent removes refusals and questions that are older than Before, at most Limit of each.
type ExpireConsent struct {
	Before time.Time
	Limit  int
}

// MaxConsentNames is how many names a rule, a question or a refusal may have, and MaxConsentName how long one may be.
const (
	MaxConsentNames = 200
	MaxConsentName  = 1023
)

func (SetRule) Topic() string       { return "consent" }
func (DeleteRule) Topic() string    { return "consent" }
func (AskQuestion) Topic() string   { return "consent" }
func (DropQuestion) Topic() string  { return "consent" }
func (ForgetConsent) Topic() string { return "consent" }
func (Outdate) Topic() string       { return "consent" }
func (ClearStale) Topic() string    { return "consent" }
func (AddRefusal) Topic() string    { return "consent" }
func (ExpireConsent) Topic() string { return "consent" }

func consentSize(n ThingName, names []string, addresses ...string) int {
	size := 2*opBytes + len(n.JID.String()) + len(n.ID) + len(n.Source) + len(n.Cache)
	for _, s := range names {
		size += 16 + len(s)
	}
	for _, s := range addresses {
		size += len(s)
	}
	return size
}

func (op SetRule) Size() int {
	r := &op.Rule
	return consentSize(r.Thing, r.Names, r.Owner.String(), r.Subject.Name)
}

func (op AskQuestion) Size() int {
	q := &op.Question
	return consentSize(q.Thing, q.Names, q.Owner.String(), q.Caller.String())
}

func (op AddRefusal) Size() int {
	r := &op.Refusal
	return consentSize(r.Thing, r.Names, r.Caller.String(), r.Way)
}

func (op ForgetConsent) Size() int { return consentSize(op.Thing, nil, op.Owner.String()) }
func (op DeleteRule) Size() int    { return opBytes + len(op.Owner.String()) }
func (op DropQuestion) Size() int  { return opBytes + len(op.Owner.String()) }
func (op Outdate) Size() int       { return opBytes + len(op.Thing.String()) }
func (op ClearStale) Size() int    { return opBytes + len(op.Thing.String()) }
func (ExpireConsent) Size() int    { return opBytes }

func checkConsent(n ThingName, names []string, right Right, lowest Right) error {
	if err := CheckUser(n.JID); err != nil {
		return err
	}
	if right < lowest || right > RightUse {
		return fmt.Errorf("%v: %w", right, ErrInvalid)
	}
	if len(names) > MaxConsentNames {
		return fmt.Errorf("%d names: %w", len(names), ErrTooLarge)
	}
	for _, s := range names {
		if s == "" || len(s) > MaxConsentName || strings.IndexByte(s, 0) >= 0 {
			return fmt.Errorf("name %.100q: %w", s, ErrInvalid)
		}
	}
	return nil
}

func (op SetRule) Validate() error {
	r := &op.Rule
	if err := checkConsent(r.Thing, r.Names, r.Right, RightFriend); err != nil {
		return err
	}
	if r.Subject.Kind > SubjectToken || (r.Subject.Kind == SubjectAll) != (r.Subject.Name == "") || len(r.Subject.Name) > 3*MaxConsentName || r.Number < 0 {
		return fmt.Errorf("rule %d for %d %.100q: %w", r.Number, r.Subject.Kind, r.Subject.Name, ErrInvalid)
	}
	return checkBare(r.Owner)
}

func (op AskQuestion) Validate() error {
	q := &op.Question
	if err := checkConsent(q.Thing, q.Names, q.Right, RightFriend); err != nil {
		return err
	}
	if err := checkBare(q.Owner); err != nil {
		return err
	}
	return checkBare(q.Caller)
}

func (op AddRefusal) Validate() error {
	r := &op.Refusal
	if err := checkConsent(r.Thing, r.Names, r.Right, AnyRight); err != nil {
		return err
	}
	if r.Way == "" || len(r.Way) > MaxConsentName || r.Count < 1 || op.Keep < 1 {
		return fmt.Errorf("refusal by %.100q, %d times, of %d: %w", r.Way, r.Count, op.Keep, ErrInvalid)
	}
	return checkBare(r.Caller)
}

func (op DeleteRule) Validate() error   { return checkBare(op.Owner) }
func (op DropQuestion) Validate() error { return checkBare(op.Owner) }
func (op Outdate) Validate() error      { return CheckUser(op.Thing) }
func (op ClearStale) Validate() error   { return CheckUser(op.Thing) }

func (op ForgetConsent) Validate() error {
	if err := CheckUser(op.Thing.JID); err != nil {
		return err
	}
	return checkBare(op.Owner)
}

func (op ExpireConsent) Validate() error {
	if op.Limit < 1 {
		return fmt.Errorf("limit %d: %w", op.Limit, ErrInvalid)
	}
	return nil
}
