// SPDX-License-Identifier: Apache-2.0

package storetest

// How to read this file: testCommit lists what Commit promises in the order of the
// contract; a part too long for one line is a function of its own below it.

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// How to read it: testCommit lists what is tested, each part is a function below, in the same order.
// testDeleteAccount at the end goes over all topics.

// testCommit: operations take effect together or not at all, in order, and each call succeeds or fails by itself.
func testCommit(t *testing.T, e Engine) {
	t.Run("all or nothing", func(t *testing.T) { testAtomic(t, e) })
	t.Run("operations of a call see each other", func(t *testing.T) {
		s := e.open(t)
		commit(t, s, create("a"), store.DeleteAccount{User: user("a")}, create("a"), create("b"))
		wantAccounts(t, s, "a", "b")
	})
	t.Run("a failing call fails alone", func(t *testing.T) { testAlone(t, e) })
	t.Run("order", func(t *testing.T) { testOrder(t, e) })
	t.Run("reads see commits only", func(t *testing.T) {
		s := e.open(t, "a")
		resume := e.Stall(s)
		p := s.Commit(create("b"))
		wantAccounts(t, s, "a")
		resume()
		wait(t, p)
		wantAccounts(t, s, "a", "b")
	})
	t.Run("eight committers", func(t *testing.T) { testConcurrent(t, e) })
	t.Run("many small operations", func(t *testing.T) { testMany(t, e) })
	t.Run("bounds", func(t *testing.T) { testBounds(t, e) })
	t.Run("backlog", func(t *testing.T) {
		s := e.open(t)
		resume := e.Stall(s)
		a, b := s.Commit(create("a")), s.Commit(create("b"), create("c"))
		if got := s.Backlog(); got.Ops != 3 || got.Bytes < 3*len(user("a").String()) {
			t.Errorf("backlog of three operations: %+v", got)
		}
		resume()
		wait(t, a)
		wait(t, b)
		if got := s.Backlog(); got != (store.Backlog{}) {
			t.Errorf("backlog at rest: %+v", got)
		}
	})
	t.Run("close", func(t *testing.T) { testClose(t, e) })
	t.Run("cancelled reads", func(t *testing.T) {
		s := e.open(t, "a")
		gone := errors.New("the session has gone")
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(gone)
		if _, err := s.Account(ctx, user("a")); !errors.Is(err, gone) {
			t.Errorf("read with an ended context: %v, want its cause", err)
		}
		wantAccounts(t, s, "a") // the store is none the worse
	})
}

func testAtomic(t *testing.T, e Engine) {
	for _, failing := range []int{0, 1, 5} {
		s := e.open(t, "taken")
		ops := []store.Op{}
		for i := range 5 {
			ops = append(ops, create(fmt.Sprint("new", i)))
		}
		ops = append(ops[:failing:failing], append([]store.Op{create("taken")}, ops[failing:]...)...)
		if err := outcome(t, s.Commit(ops...)); !errors.Is(err, store.ErrExists) {
			t.Errorf("operation %d fails: %v, want %v", failing, err, store.ErrExists)
		}
		wantAccounts(t, s, "taken")
		// What the failing call has touched can be used by the next.
		commit(t, s, ops[:failing]...)
		commit(t, s, ops[failing+1:]...)
		wantAccounts(t, s, "new0", "new1", "new2", "new3", "new4", "taken")
	}
}

// testAlone queues good and failing calls behind a slow disk, so that an engine that groups has them in one batch.
func testAlone(t *testing.T, e Engine) {
	s := e.open(t, "taken")
	resume := e.Stall(s)
	first := s.Commit(create("first"))
	type call struct {
		*store.Pending
		fails error
	}
	var calls []call
	var want []string
	for i := range 30 {
		name := fmt.Sprintf("name%02d", i)
		switch i % 3 {
		case 0:
			calls = append(calls, call{s.Commit(create(name)), nil})
			want = append(want, name)
		case 1: // fails at once
			calls = append(calls, call{s.Commit(create("taken"), create(name)), store.ErrExists})
		case 2: // fails after it has written; and that the account it made is gone again is seen by the next call
			calls = append(calls, call{s.Commit(create(name), store.DeleteAccount{User: user("nobody")}), store.ErrNotFound})
			calls = append(calls, call{s.Commit(store.SetDisabled{User: user(name)}), store.ErrNotFound})
		}
	}
	resume()
	wait(t, first)
	for i, c := range calls {
		if err := outcome(t, c.Pending); !errors.Is(err, c.fails) {
			t.Errorf("call %d: %v, want %v", i, err, c.fails)
		}
	}
	wantAccounts(t, s, append(append([]string{"first"}, want...), "taken")...)
}

func testOrder(t *testing.T, e Engine) {
	s := e.open(t, "a")
	const n = 500
	var mu sync.Mutex
	var done []int
	var last *store.Pending
	for i := range n {
		last = s.Commit(store.SetDisabled{User: user("a"), Disabled: i%2 == 0})
		last.OnDone(func(error) {
			mu.Lock()
			defer mu.Unlock()
			done = append(done, i)
		})
	}
	wait(t, last)
	commit(t, s) // a fence: the callbacks of last have run as well
	mu.Lock()
	defer mu.Unlock()
	for i, got := range done {
		if got != i {
			t.Fatalf("callback %d came as number %d", got, i)
		}
	}
	if len(done) != n {
		t.Errorf("%d callbacks, want %d", len(done), n)
	}
	if a := must[store.Account](t)(s.Account(t.Context(), user("a"))); a.Disabled {
		t.Error("the last change did not win")
	}
}

func testConcurrent(t *testing.T, e Engine) {
	s := e.open(t)
	const committers, each = 8, 200
	var all sync.WaitGroup
	for c := range committers {
		all.Go(func() {
			for i := range each {
				if err := s.Commit(create(fmt.Sprintf("c%d-%d", c, i))).Wait(context.Background()); err != nil {
					t.Errorf("committer %d: %v", c, err)
					return
				}
			}
		})
	}
	all.Go(func() { // reads go on in the meantime, and never go back
		for seen := 0; seen < committers*each && !t.Failed(); {
			n, err := s.CountAccounts(context.Background(), "")
			if err != nil || n < seen {
				t.Errorf("%d accounts after %d: %v", n, seen, err)
				return
			}
			seen = n
		}
	})
	all.Wait()
	if n := must[int](t)(s.CountAccounts(t.Context(), "")); n != committers*each {
		t.Errorf("%d accounts, want %d", n, committers*each)
	}
}

func testMany(t *testing.T, e Engine) {
	n := 100_000
	if testing.Short() {
		n = 10_000
	}
	s := e.open(t)
	var mu sync.Mutex
	var failed error
	for i := range n {
		s.Commit(create(fmt.Sprintf("thing%06d", i))).OnDone(func(err error) {
			mu.Lock()
			defer mu.Unlock()
			failed = errors.Join(failed, err)
		})
	}
	if err := s.Commit().Wait(t.Context()); err != nil { // as long as a busy machine needs
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if failed != nil {
		t.Fatal(failed)
	}
	again := e.reopen(t, s)
	if got := must[int](t)(again.CountAccounts(t.Context(), "")); got != n {
		t.Errorf("%d accounts, want %d", got, n)
	}
}

// foreign is an operation of a topic that no engine has.
type foreign struct{ size int }

func (foreign) Topic() string   { return "weather" }
func (op foreign) Size() int    { return op.size }
func (foreign) Validate() error { return nil }

func testBounds(t *testing.T, e Engine) {
	s := e.open(t)
	tests := []struct {
		name string
		ops  []store.Op
		want error
	}{
		{"too many operations", make([]store.Op, store.MaxCallOps+1), store.ErrTooLarge},
		{"too large an operation", []store.Op{create("a"), foreign{store.MaxOpBytes + 1}}, store.ErrTooLarge},
		{"no address", []store.Op{create("a"), store.CreateAccount{}}, store.ErrInvalid},
		{"a topic that is not there", []store.Op{create("a"), foreign{}}, errors.ErrUnsupported},
	}
	for _, test := range tests {
		if err := outcome(t, s.Commit(test.ops...)); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
	}
	wantAccounts(t, s)
	var ops []store.Op
	for i := range store.MaxCallOps {
		ops = append(ops, create(fmt.Sprint("a", i)))
	}
	commit(t, s, ops...)
}

func testClose(t *testing.T, e Engine) {
	s := e.Open(t)
	resume := e.Stall(s)
	var queued []*store.Pending
	for i := range 100 {
		queued = append(queued, s.Commit(create(fmt.Sprintf("n%02d", i))))
	}
	resume()
	if err := s.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	for i, p := range queued {
		if !p.Done() {
			t.Fatalf("after Close call %d is not done", i)
		}
		wait(t, p)
	}
	if err := outcome(t, s.Commit(create("late"))); !errors.Is(err, store.ErrClosed) {
		t.Errorf("commit after Close: %v, want %v", err, store.ErrClosed)
	}
	if _, err := s.CountAccounts(t.Context(), ""); !errors.Is(err, store.ErrClosed) {
		t.Errorf("read after Close: %v, want %v", err, store.ErrClosed)
	}
	if err := s.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	again := e.Reopen(t, s)
	closeAfter(t, again)
	if n := must[int](t)(again.CountAccounts(t.Context(), "")); n != len(queued) {
		t.Errorf("%d accounts, want %d", n, len(queued))
	}
}

// testDeleteAccount: what belonged to an account is gone in every topic, and what belongs to others is not.
func testDeleteAccount(t *testing.T, e Engine) {
	s := e.open(t, "romeo", "juliet")
	check := func(s store.Store, who string, want bool) {
		t.Helper()
		for _, topic := range topics {
			if topic.give == nil {
				continue
			}
			n, err := topic.has(t.Context(), s, user(who))
			if err != nil || (n > 0) != want {
				t.Errorf("%s has %d of %s (error %v), want some: %v", who, n, topic.name, err, want)
			}
		}
	}
	give := func(who jid.JID) {
		for _, topic := range topics {
			if topic.give != nil {
				commit(t, s, topic.give(who)...)
			}
		}
	}
	give(user("romeo"))
	give(user("juliet"))
	check(s, "romeo", true)
	commit(t, s, store.DeleteAccount{User: user("romeo")})
	check(s, "romeo", false)
	check(s, "juliet", true)
	wantGone := func(op store.Op) {
		t.Helper()
		if err := outcome(t, s.Commit(op)); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%T after the deletion: %v, want %v", op, err, store.ErrNotFound)
		}
	}
	wantGone(store.SetDisabled{User: user("romeo")})
	wantGone(store.DeleteAccount{User: user("romeo")})
	for _, topic := range topics {
		if topic.give != nil {
			wantGone(topic.give(user("romeo"))[0])
		}
	}

	// Deleted and made again in one call: nothing comes back. Undone: nothing is lost.
	commit(t, s, store.DeleteAccount{User: user("juliet")}, create("juliet"), create("romeo"))
	check(s, "juliet", false)
	check(s, "romeo", false)
	give(user("juliet"))
	if err := outcome(t, s.Commit(store.DeleteAccount{User: user("juliet")}, create("romeo"))); !errors.Is(err, store.ErrExists) {
		t.Errorf("delete and a failing operation: %v", err)
	}
	check(s, "juliet", true)
	again := e.reopen(t, s)
	check(again, "juliet", true)
	check(again, "romeo", false)
}
