// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stonechat-im/stonechat/store"
)

// testCrash looks at what a killed process would leave behind.
func testCrash(t *testing.T, e Engine) {
	t.Run("before a commit", func(t *testing.T) {
		s := e.open(t, "a")
		resume := e.Stall(s)
		p := s.Commit(create("b"), create("c"))
		left := e.Crash(t, s)
		closeAfter(t, left)
		wantAccounts(t, left, "a")
		resume()
		wait(t, p)
		left = e.Crash(t, s)
		closeAfter(t, left)
		wantAccounts(t, left, "a", "b", "c")
		commit(t, left, create("d")) // and work goes on
		wantAccounts(t, left, "a", "b", "c", "d")
	})
	t.Run("under load", func(t *testing.T) { testCrashUnderLoad(t, e) })
}

// testCrashUnderLoad: of what each of eight committers has written in pairs, a crash leaves a beginning, in whole
// pairs, with all that was acknowledged.
func testCrashUnderLoad(t *testing.T, e Engine) {
	s := e.open(t)
	const committers = 8
	var acked [committers]atomic.Int64
	var all sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	for c := range committers {
		all.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				p := s.Commit(create(pairName(c, i, "left")), create(pairName(c, i, "right")))
				p.OnDone(func(err error) {
					if err == nil {
						acked[c].Add(1)
					}
				})
				if i%8 == 7 { // several are under way at any time
					if err := p.Wait(context.Background()); err != nil {
						t.Errorf("committer %d: %v", c, err)
						return
					}
				}
			}
		})
	}
	for range 5 {
		for acked[0].Load() < 20 && !t.Failed() {
			commit(t, s)
		}
		var promised [committers]int64
		for c := range committers {
			promised[c] = acked[c].Load()
		}
		left := e.Crash(t, s)
		for c := range committers {
			checkPairs(t, left, c, int(promised[c]))
		}
		if err := left.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	cancel()
	all.Wait()
}

func pairName(committer, i int, side string) string {
	return fmt.Sprintf("c%d-%d-%s", committer, i, side)
}

func checkPairs(t *testing.T, s store.Store, committer, promised int) {
	t.Helper()
	exists := func(i int, side string) bool {
		_, err := s.Account(t.Context(), user(pairName(committer, i, side)))
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			t.Fatal(err)
		}
		return err == nil
	}
	n := 0
	for exists(n, "left") && exists(n, "right") {
		n++
	}
	if n < promised {
		t.Errorf("committer %d: %d pairs after the crash, %d were acknowledged", committer, n, promised)
	}
	for i := n; i < n+64; i++ {
		if exists(i, "left") || exists(i, "right") {
			t.Errorf("committer %d: something of pair %d is there, but pair %d is not", committer, i, n)
		}
	}
}
