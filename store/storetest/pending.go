// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"context"
	"errors"
	"testing"

	"github.com/stonechat-im/stonechat/store"
)

// testPending: a Pending is done when its operations are on stable storage, not before, and says so once.
func testPending(t *testing.T, e Engine) {
	t.Run("not before the commit", func(t *testing.T) {
		s := e.open(t)
		resume := e.Stall(s)
		called := make(chan error, 2)
		p := s.Commit(create("a")) // returns, though the disk stands still
		p.OnDone(func(err error) { called <- err })
		if p.Done() || len(called) > 0 {
			t.Error("done before the commit")
		}
		gone := errors.New("not interested any more")
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(gone)
		if err := p.Wait(ctx); !errors.Is(err, gone) {
			t.Errorf("Wait with an ended context: %v, want its cause", err)
		}
		resume()
		wait(t, p)
		if !p.Done() {
			t.Error("not done after the commit")
		}
		if err := <-called; err != nil {
			t.Errorf("callback: %v", err)
		}
		if err := p.Wait(ctx); err != nil {
			t.Errorf("Wait when done must not look at its context: %v", err)
		}
		p.OnDone(func(err error) { called <- err })
		if len(called) != 1 {
			t.Error("OnDone when done must call at once")
		}
	})
	t.Run("failure", func(t *testing.T) {
		s := e.open(t, "a")
		p := s.Commit(create("a"))
		if err := outcome(t, p); !errors.Is(err, store.ErrExists) {
			t.Errorf("%v, want %v", err, store.ErrExists)
		}
		p.OnDone(func(err error) {
			if !errors.Is(err, store.ErrExists) {
				t.Errorf("callback: %v, want %v", err, store.ErrExists)
			}
		})
	})
	t.Run("callbacks may commit", func(t *testing.T) {
		s := e.open(t)
		second := make(chan *store.Pending, 1)
		resume := e.Stall(s)
		s.Commit(create("a")).OnDone(func(error) { second <- s.Commit(create("b")) })
		resume()
		wait(t, <-second)
		wantAccounts(t, s, "a", "b")
	})
	t.Run("fence", func(t *testing.T) {
		s := e.open(t)
		resume := e.Stall(s)
		p := s.Commit(create("a"))
		fence := s.Commit()
		if fence.Done() {
			t.Error("done before what it waits for")
		}
		resume()
		wait(t, fence)
		if !p.Done() {
			t.Error("an earlier call is not done")
		}
	})
	t.Run("many waiting", func(t *testing.T) {
		s := e.open(t)
		resume := e.Stall(s)
		p := s.Commit(create("a"))
		results := make(chan error, 20)
		for range 10 {
			p.OnDone(func(err error) { results <- err })
			go func() { results <- p.Wait(context.Background()) }()
		}
		resume()
		for range 20 {
			if err := <-results; err != nil {
				t.Error(err)
			}
		}
	})
}
