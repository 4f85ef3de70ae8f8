// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/sasl"
)

// small opens a store whose log is meant to stay a tenth as long as in service, so that the tests write less.
func small(t *testing.T, log *slog.Logger) (s *Store, folder string) {
	t.Helper()
	folder = t.TempDir()
	s, err := Open(Options{Folder: folder, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	c := &s.writer.checkpoint
	c.slice, c.long = slicePages/10, longPages/10
	if err := c.conn.script(fmt.Sprintf(`PRAGMA journal_size_limit(%d)`, walLimitBytes/10)); err != nil {
		t.Fatal(err)
	}
	return s, folder
}

// write commits accounts of 64 kB, four at a time, until they are n kB.
func write(t *testing.T, s *Store, first, n int) {
	t.Helper()
	for i := first; i < first+n/64; i++ {
		p := s.Commit(store.CreateAccount{Account: store.Account{
			JID:  jid.MustParse(fmt.Sprintf("thing%d@capulet.example", i)),
			Keys: []sasl.Key{{Hash: "none", Salt: make([]byte, 64<<10)}},
		}})
		if i%4 == 3 {
			if err := p.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := s.Commit().Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func logSize(t *testing.T, folder string) int64 {
	t.Helper()
	info, err := os.Stat(filepath.Join(folder, fileName+"-wal"))
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// TestLogIsBounded: readers that are never away all at once keep SQLite from beginning the log anew; the log must
// stay bounded all the same.
func TestLogIsBounded(t *testing.T) {
	s, folder := small(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	for range 4 { // on two connections: one is always taken again at once
		readers.Go(func() {
			for ctx.Err() == nil {
				err := s.read(context.Background(), "for some milliseconds", func(c *conn) error {
					var n int
					_, err := c.row(`SELECT count(a.local || b.local) FROM
						(SELECT local FROM account LIMIT 100) a, (SELECT local FROM account LIMIT 100) b`, nil, &n)
					return err
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	var longest int64
	for i := range 100 {
		write(t, s, i*1000, 256)
		longest = max(longest, logSize(t, folder))
	}
	cancel()
	readers.Wait()
	const limit = (longPages/10 + 2*slicePages/10 + 200) * 4120
	if longest > limit {
		t.Errorf("the log grew to %d kB, want at most %d", longest>>10, limit>>10)
	}
	t.Logf("wrote 25 MB, the log had at most %d kB of %d", longest>>10, limit>>10)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(folder, fileName+"-wal")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("closing leaves a log: %v", err)
	}
}

// TestLongReader: an operator's shell that reads for long makes the log grow, is told of, and does no other harm.
func TestLongReader(t *testing.T) {
	log := &lines{}
	s, folder := small(t, slog.New(slog.NewTextHandler(log, nil)))
	shell, err := sql.Open("sqlite", "file:"+filepath.ToSlash(filepath.Join(folder, fileName))+"?mode=ro")
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
	write(t, s, 0, 5<<10)
	if log.count("cannot be emptied") != 1 {
		t.Errorf("want one warning, got %q", log)
	}
	if size := logSize(t, folder); size < 5<<20 {
		t.Fatalf("the log has %d kB: the reader did not hold it, this tests nothing", size>>10)
	}
	reading.Rollback()
	shell.Close()
	write(t, s, 1000, 2<<10)
	if log.count("emptied again") != 1 || log.count("cannot") != 1 {
		t.Errorf("want one line that it is over, got %q", log)
	}
	if size := logSize(t, folder); size > 3<<20 {
		t.Errorf("the log still has %d kB", size>>10)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
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
