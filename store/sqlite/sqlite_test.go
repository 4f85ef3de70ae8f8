// SPDX-License-Identifier: Apache-2.0

package sqlite_test

import (
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/store/sqlite"
	"github.com/stonechat-im/stonechat/store/storetest"
)

func TestStore(t *testing.T) { storetest.Run(t, newBench().engine()) }

// bench opens stores whose commits a test can hold back.
type bench struct {
	mu   sync.Mutex
	rigs map[store.Store]*rig
}

type rig struct {
	folder  string
	gate    chan struct{} // who has put a token in may commit, or hold all commits back
	stalled atomic.Bool   // the test has
}

func newBench() *bench { return &bench{rigs: map[store.Store]*rig{}} }

func (b *bench) engine() storetest.Engine {
	return storetest.Engine{
		Open:   func(t testing.TB) store.Store { return b.open(t, t.TempDir()) },
		Reopen: func(t testing.TB, s store.Store) store.Store { return b.open(t, b.rig(s).folder) },
		Stall: func(s store.Store) func() {
			r := b.rig(s)
			r.gate <- struct{}{}
			r.stalled.Store(true)
			return func() {
				r.stalled.Store(false)
				<-r.gate
			}
		},
		Crash: b.crash,
	}
}

func (b *bench) rig(s store.Store) *rig {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.rigs[s]
}

func (b *bench) open(t testing.TB, folder string) store.Store {
	t.Helper()
	r := &rig{folder: folder, gate: make(chan struct{}, 1)}
	s, err := sqlite.Open(sqlite.Options{
		Folder:       folder,
		Log:          slog.New(slog.NewTextHandler(io.Discard, nil)),
		BeforeCommit: func() { r.gate <- struct{}{}; <-r.gate },
	})
	if err != nil {
		t.Fatal(err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rigs[s] = r
	return s
}

// crash copies the file and then its log while no commit begins. A commit or a checkpoint that is under way is caught
// in the middle, as a crash would: a checkpoint leaves the log alone, and only a commit begins it anew.
func (b *bench) crash(t testing.TB, s store.Store) store.Store {
	t.Helper()
	r := b.rig(s)
	if !r.stalled.Load() {
		r.gate <- struct{}{}
		defer func() { <-r.gate }()
	}
	folder := t.TempDir()
	for _, name := range []string{"stonechat.db", "stonechat.db-wal"} {
		data, err := os.ReadFile(filepath.Join(r.folder, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(folder, name), data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return b.open(t, folder)
}

func BenchmarkStore(b *testing.B) { storetest.Bench(b, newBench().engine()) }
