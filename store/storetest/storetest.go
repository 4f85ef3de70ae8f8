// SPDX-License-Identifier: Apache-2.0

// Package storetest is the suite that every engine of package store passes, and the measure of how fast it is.
//
// How to read it: this file has the list of topics and what all tests use. commit.go, pending.go and crash.go test
// what is the same in every topic, with accounts as their example because everything belongs to one; each topic's own
// tests and benchmarks are in the file of its name.
package storetest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// Engine is what the suite must know of the engine it tests. All functions fail the test by themselves.
type Engine struct {
	// Open opens a new, empty store.
	Open func(testing.TB) store.Store
	// Reopen opens the data of a store that Open returned and that was closed.
	Reopen func(t testing.TB, closed store.Store) store.Store
	// Crash opens a copy of what would be on the disk had the process been killed now, while the store goes on.
	Crash func(t testing.TB, running store.Store) store.Store
	// Stall makes the store's disk so slow that nothing is committed until resume is called.
	Stall func(running store.Store) (resume func())
}

// topic is one topic's part in the suite.
type topic struct {
	name  string
	test  func(*testing.T, Engine)
	bench func(*testing.B, Engine) // nil: nothing to measure
	// give returns operations that give the account some data of the topic; nil: its data belong to no account.
	give func(user jid.JID) []store.Op
	// has counts what the account has of the topic.
	has func(context.Context, store.Store, jid.JID) (int, error)
}

// topics is the list.
var topics = []topic{
	accounts,
	roster,
	spool,
	outgoing,
	settings,
	archive,
	rooms,
	pubsub,
	private,
	tokens,
	seen,
	things,
	consent,
	keyTokens,
}

// Run runs the whole suite.
func Run(t *testing.T, e Engine) {
	t.Run("commit", func(t *testing.T) { testCommit(t, e) })
	t.Run("pending", func(t *testing.T) { testPending(t, e) })
	t.Run("crash", func(t *testing.T) { testCrash(t, e) })
	for _, topic := range topics {
		t.Run(topic.name, func(t *testing.T) { topic.test(t, e) })
	}
	t.Run("delete account", func(t *testing.T) { testDeleteAccount(t, e) })
}

// Bench measures an engine. All writes are durable.
func Bench(b *testing.B, e Engine) {
	for _, topic := range topics {
		if topic.bench != nil {
			b.Run(topic.name, func(b *testing.B) { topic.bench(b, e) })
		}
	}
}

// open returns a new store that is closed with the test, and the accounts of names in it.
func (e Engine) open(t testing.TB, names ...string) store.Store {
	t.Helper()
	s := e.Open(t)
	closeAfter(t, s)
	for _, name := range names {
		commit(t, s, store.CreateAccount{Account: store.Account{JID: user(name)}})
	}
	return s
}

// reopen closes s and opens its data again.
func (e Engine) reopen(t testing.TB, s store.Store) store.Store {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	again := e.Reopen(t, s)
	closeAfter(t, again)
	return again
}

func closeAfter(t testing.TB, s store.Store) {
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
}

// user is the address of an account in the tests.
func user(name string) jid.JID { return jid.MustParse(name + "@capulet.example") }

// patience is how long a test waits for what must come; it says more than a test that hangs.
const patience = time.Minute

// commit commits ops and fails the test unless they succeed.
func commit(t testing.TB, s store.Store, ops ...store.Op) {
	t.Helper()
	wait(t, s.Commit(ops...))
}

func wait(t testing.TB, p *store.Pending) {
	t.Helper()
	if err := outcome(t, p); err != nil {
		t.Fatalf("commit: %v", err)
	}
}

func outcome(t testing.TB, p *store.Pending) error {
	t.Helper()
	late := fmt.Errorf("nothing happened within %v", patience)
	ctx, cancel := context.WithTimeoutCause(context.Background(), patience, late)
	defer cancel()
	err := p.Wait(ctx)
	if ctx.Err() != nil {
		t.Fatalf("commit: %v", late)
	}
	return err
}

// must returns v and fails the test on an error; it takes the result of a read whole.
func must[T any](t testing.TB) func(v T, err error) T {
	t.Helper()
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}
