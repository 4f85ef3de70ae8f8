// SPDX-License-Identifier: Apache-2.0

// Package store is the contract between the server and what keeps its data: types, operations, errors, no SQL.
//
// It is written for two readers. Modules of the server write with [Store.Commit], which never blocks, and hold back
// acknowledgements until the [Pending] it returns is done; they read with the plain methods of each topic. Authors of
// an engine (store/sqlite is one) implement [Store] and prove it with the suite of store/storetest.
//
// # Topics
//
// The data is divided into topics, such as accounts, roster, spool, archive. A topic is one file of its name here, in every
// engine and in storetest, and one line in a list in each of the three: the list here is the interface [Store]. Most data
// belong to an account: an operation on those of an account that does not exist fails with [ErrNotFound], and
// [DeleteAccount] removes what the account has in every topic. The settings, rooms, what is outgoing, and the archives and nodes
// of services belong to none.
//
// # What is promised
//
// A Pending that is done without error says that its operations are on stable storage: neither a killed process nor a
// loss of power loses them. One that is done with an error promises nothing; the operations have had no effect that a
// reader can see, though after a power loss in that very moment they may turn out to have been kept. Calls of Commit
// take effect in the order in which they were made, the operations of one call together or not at all.
package store

import (
	"errors"
	"fmt"

	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// Store is an open store. All methods may be called from any goroutine.
//
// Reads see what was committed, never what is still pending. They check their context before they start and while
// they wait for their turn; a read that has begun is not interrupted, which is why all of them are bounded.
type Store interface {
	// Commit queues ops and returns at once; it never waits for the disk. The operations take effect together, after
	// those of every earlier call, or not at all. The slice and what it refers to belong to the store until the
	// Pending is done.
	//
	// A call that is refused at once has a Pending that is already done: with ErrInvalid or ErrTooLarge when an
	// operation is not valid, ErrOverloaded when the queue is full, ErrClosed after Close. No operations at all make
	// a fence: its Pending is done when all earlier calls are.
	Commit(ops ...Op) *Pending

	// Backlog is what is queued or being committed now. Callers slow their senders down by it.
	Backlog() Backlog

	// Close refuses new calls, commits what is queued, waits for running reads and closes the store. It returns what
	// could not be written; closing twice does nothing.
	Close() error

	// The topics, one line each.
	Accounts
	Rosters
	Spools
	Outgoings
	Settings
	Archives
	Rooms
	Pubsub
	Privates
	Tokens
	SeenAccounts
	Things
	Consents
	KeyTokens
}

// Op is one change of the data: a plain struct of a topic, such as [AddSpool]. Engines tell operations apart by
// Topic and a type switch inside the topic.
type Op interface {
	// Topic is the name of the topic's file, such as "spool".
	Topic() string
	// Size is about how many bytes of memory the operation holds while it is queued.
	Size() int
	// Validate says what is wrong with the operation itself, whatever the store holds: ErrInvalid or ErrTooLarge,
	// wrapped. Engines call it in Commit, before the operation is queued.
	Validate() error
}

// Backlog is the work that was handed to Commit and is not done.
type Backlog struct {
	Ops   int
	Bytes int // the sum of Op.Size
}

// Bounds that every engine keeps.
const (
	MaxOpBytes   = 4 << 20 // an operation with a greater Size is refused with ErrTooLarge
	MaxCallOps   = 1024    // a Commit of more operations is refused with ErrTooLarge
	MaxPage      = 1000    // entries of a page; a limit that is greater, zero or negative means MaxPage
	MaxPageBytes = 1 << 20 // a page ends after the entry with which its data reach this size
)

// Errors. They are wrapped with what was tried; compare with errors.Is.
var (
	ErrNotFound   = errors.New("not found")
	ErrExists     = errors.New("exists already")
	ErrInvalid    = errors.New("not valid")
	ErrTooLarge   = errors.New("too large")
	ErrOverloaded = errors.New("too much is waiting to be written")
	ErrNoSpace    = errors.New("no space left on the disk") // passes when there is space again
	ErrClosed     = errors.New("store is closed")

	// Errors of opening; their text says what the operator can do.
	ErrLocked  = errors.New("data folder is in use by another server")
	ErrCorrupt = errors.New("data is damaged") // also of a read or write that comes upon the damage
	ErrNewer   = errors.New("data was written by a newer version")
)

// CheckCall says what is wrong with the operations of one call, whatever the store holds, and returns the sum of
// their sizes. It is for engines.
func CheckCall(ops []Op) (size int, err error) {
	if len(ops) > MaxCallOps {
		return 0, fmt.Errorf("store: commit of %d operations: %w", len(ops), ErrTooLarge)
	}
	for _, op := range ops {
		if err := op.Validate(); err != nil {
			return 0, fmt.Errorf("store: %T: %w", op, err)
		}
		n := op.Size()
		if n > MaxOpBytes {
			return 0, fmt.Errorf("store: %T of %d bytes: %w", op, n, ErrTooLarge)
		}
		size += n
	}
	return size, nil
}

// PageLimit is the number of entries a page may have when limit was asked for. It is for engines.
func PageLimit(limit int) int {
	if limit <= 0 || limit > MaxPage {
		return MaxPage
	}
	return limit
}

// CheckUser says whether an account may have the address user: local part and domain, no resource. Operations and
// engines' reads use it.
func CheckUser(user jid.JID) error {
	if user.IsZero() || user.IsDomain() || user.IsFull() {
		return fmt.Errorf("%q is not the address of an account: %w", user, ErrInvalid)
	}
	return nil
}

// opBytes is what an operation costs in memory beside the bytes it refers to.
const opBytes = 64
