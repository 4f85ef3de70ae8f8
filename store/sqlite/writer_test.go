// SPDX-License-Identifier: Apache-2.0

package sqlite_test

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
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

// TestLogIsBounded: readers that are never away all at once keep SQLite from beginning the log anew; the log must
// stay bounded all the same.
func TestLogIsBounded(t *testing.T) {
	folder := t.TempDir()
	s := mustOpen(t, folder)
	ctx, cancel := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for ctx.Err() == nil {
				if _, err := s.Accounts(context.Background(), "capulet.example", "", 200); err != nil {
					t.Error(err)
				}
			}
		})
	}
	var longest int64
	for i := range 150 {
		for j := range 50 {
			s.Commit(add(int64(i*50+j+1), 8000))
		}
		commit(t, s)
		longest = max(longest, logSize(t, folder))
	}
	cancel()
	readers.Wait()
	const limit = (8000 + 2*500 + 2*1024) * 4120
	if longest > limit {
		t.Errorf("the log grew to %d MB", longest>>20)
	}
	t.Logf("wrote 60 MB, the log had at most %d MB", longest>>20)
	mustClose(t, s)
	if _, err := os.Stat(filepath.Join(folder, "stonechat.db-wal")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("closing leaves a log: %v", err)
	}
}

func logSize(t *testing.T, folder string) int64 {
	t.Helper()
	info, err := os.Stat(filepath.Join(folder, "stonechat.db-wal"))
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// TestLongReader: an operator's shell that reads for long makes the log grow, is told of, and does no other harm.
func TestLongReader(t *testing.T) {
	folder := t.TempDir()
	log := &lines{}
	s, err := sqlite.Open(sqlite.Options{Folder: folder, Log: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	shell, err := sql.Open("sqlite", "file:"+filepath.ToSlash(filepath.Join(folder, "stonechat.db"))+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	reading, err := shell.Begin()
	if err != nil {
		t.Fatal(err)
	}
	var n int
	if err := reading.QueryRow(`SELECT count(*) FROM account`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	id := int64(0)
	write := func(megabytes int) {
		for range megabytes {
			id++
			s.Commit(add(id, 1<<20))
			if id%4 == 0 {
				commit(t, s)
			}
		}
		commit(t, s)
	}
	write(50)
	if log.count("cannot be emptied") != 1 {
		t.Errorf("want one warning, got %q", log)
	}
	if size := logSize(t, folder); size < 45<<20 {
		t.Fatalf("the log has %d MB: the reader did not hold it, this tests nothing", size>>20)
	}
	reading.Rollback()
	shell.Close()
	write(20)
	if log.count("emptied again") != 1 || log.count("cannot") != 1 {
		t.Errorf("want one line that it is over, got %q", log)
	}
	if size := logSize(t, folder); size > 30<<20 {
		t.Errorf("the log still has %d MB", size>>20)
	}
	mustClose(t, s)
}

// lines is a log for tests.
type lines struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *lines) count(s string) int { return strings.Count(l.String(), s) }
