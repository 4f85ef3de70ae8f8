// SPDX-License-Identifier: Apache-2.0

package sqlite_test

import (
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/store/sqlite"
	"github.com/stonechat-im/stonechat/xmpp/sasl"
)

func TestMain(m *testing.M) {
	if folder := os.Getenv(victimFolder); folder != "" {
		victim(folder) // never returns
	}
	goleak.VerifyTestMain(m)
}

// held opens a store whose commits wait until release is called, and counts them.
func held(t *testing.T, o sqlite.Options) (s *sqlite.Store, commits *atomic.Int32, release func()) {
	t.Helper()
	gate := make(chan struct{})
	commits = new(atomic.Int32)
	o.Folder = t.TempDir()
	o.BeforeCommit = func() { <-gate; commits.Add(1) }
	s, err := sqlite.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return s, commits, sync.OnceFunc(func() { close(gate) })
}

func TestGroupCommit(t *testing.T) {
	s, commits, release := held(t, sqlite.Options{})
	for i := range 1000 {
		s.Commit(add(int64(i), 10))
	}
	release()
	commit(t, s)
	// The first call may have begun alone; the others were waiting and went together.
	if n := commits.Load(); n > 3 {
		t.Errorf("1000 calls took %d commits", n)
	}
	mustClose(t, s)
}

func TestOverload(t *testing.T) {
	s, _, release := held(t, sqlite.Options{MaxBacklogOps: 11, MaxBacklogBytes: 5000})
	set := func(n int) store.Op {
		return store.SetKeys{User: address(1), Keys: []sasl.Key{{Hash: "none", Salt: make([]byte, n)}}}
	}
	taken := []*store.Pending{s.Commit(add(1, 1))}
	for i := range 12 {
		p := s.Commit(set(1))
		if full := i >= 10; full != p.Done() {
			t.Fatalf("call %d: refused %v, want %v", i, p.Done(), full)
		}
		if !p.Done() {
			taken = append(taken, p)
		} else if err := p.Wait(t.Context()); !errors.Is(err, store.ErrOverloaded) {
			t.Errorf("call %d: %v, want %v", i, err, store.ErrOverloaded)
		}
	}
	if p := s.Commit(); !errors.Is(p.Wait(t.Context()), store.ErrOverloaded) {
		t.Error("fences are not counted")
	}
	release()
	for _, p := range taken {
		if err := p.Wait(t.Context()); err != nil {
			t.Error(err)
		}
	}
	commit(t, s, set(4000)) // there is room again
	if err := s.Commit(set(6000)).Wait(t.Context()); !errors.Is(err, store.ErrOverloaded) {
		t.Errorf("more bytes than may ever queue: %v, want %v", err, store.ErrOverloaded)
	}
	mustClose(t, s)
}
