// SPDX-License-Identifier: Apache-2.0

package sqlite_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/store/sqlite"
)

// TestBackupUnderTraffic: a copy that is made while the store is written to has all that was
// committed before it began, and of what came meanwhile a first part without gaps.
func TestBackupUnderTraffic(t *testing.T) {
	folder := t.TempDir()
	s := mustOpen(t, folder)
	const before = 3000
	for i := range int64(before) {
		s.Commit(add(i+1, 4000))
	}
	commit(t, s)

	end := make(chan struct{})
	var writing sync.WaitGroup
	written := int64(before)
	writing.Go(func() {
		for {
			select {
			case <-end:
				return
			default:
				written++
				if err := s.Commit(add(written, 4000)).Wait(context.Background()); err != nil {
					t.Error(err)
					return
				}
			}
		}
	})
	// A name with everything that an address of a file could be broken by.
	elsewhere := filepath.Join(t.TempDir(), "a ?copy#%41")
	if runtime.GOOS == "windows" {
		elsewhere = filepath.Join(t.TempDir(), "a copy")
	}
	if err := os.Mkdir(elsewhere, 0o700); err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(elsewhere, sqlite.FileName)
	steps, last := 0, int64(0)
	err := sqlite.Backup(t.Context(), folder, to, func(done, all int64) {
		if done < last || done > all {
			t.Errorf("%d of %d bytes after %d", done, all, last)
		}
		steps, last = steps+1, done
	})
	close(end)
	writing.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if steps < 2 {
		t.Errorf("progress was told %d times", steps)
	}
	mustClose(t, s)
	if err := sqlite.Verify(to); err != nil {
		t.Error(err)
	}
	left, err := os.ReadDir(elsewhere)
	if err != nil || len(left) != 1 {
		t.Errorf("beside the copy there is %v, %v", left, err)
	}
	if info, err := os.Stat(to); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v: others may read it", info.Mode(), err)
	}
	back := mustOpen(t, elsewhere)
	ids := kept(t, back)
	mustClose(t, back)
	if len(ids) < before || int64(len(ids)) > written {
		t.Fatalf("the copy has %d accounts; %d were there before, %d in the end", len(ids), before, written)
	}
	for i, id := range ids {
		if id != int64(i+1) {
			t.Fatalf("account %d is missing", i+1)
		}
	}
}

// TestBackupOfStopped: a store that nobody has open, after its end or after a crash, is copied too.
func TestBackupOfStopped(t *testing.T) {
	folder := t.TempDir()
	fill(t, folder)
	to := filepath.Join(t.TempDir(), sqlite.FileName)
	if err := sqlite.Backup(t.Context(), folder, to, nil); err != nil {
		t.Fatal(err)
	}
	back := mustOpen(t, filepath.Dir(to))
	if n := len(kept(t, back)); n != 200 {
		t.Errorf("%d accounts, want 200", n)
	}
	mustClose(t, back)
	// A crash leaves the last commits in the log alone.
	s := mustOpen(t, folder)
	commit(t, s, add(201, 1000))
	crashed := filepath.Join(t.TempDir(), "crashed")
	if err := os.CopyFS(crashed, os.DirFS(folder)); err != nil {
		t.Fatal(err)
	}
	mustClose(t, s) // the copy has not harmed it
	to = filepath.Join(t.TempDir(), sqlite.FileName)
	if err := sqlite.Backup(t.Context(), crashed, to, nil); err != nil {
		t.Fatal(err)
	}
	back = mustOpen(t, filepath.Dir(to))
	if n := len(kept(t, back)); n != 201 {
		t.Errorf("%d accounts after a crash, want 201", n)
	}
	mustClose(t, back)
}

func TestBackupRefusals(t *testing.T) {
	folder := t.TempDir()
	fill(t, folder)
	there := filepath.Join(t.TempDir(), "there")
	if err := os.WriteFile(there, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		name, folder, to string
		ctx              context.Context
		want             error
	}{
		{"an empty folder", t.TempDir(), filepath.Join(t.TempDir(), "x"), t.Context(), sqlite.ErrNoData},
		{"a file that is there", folder, there, t.Context(), os.ErrExist},
		{"no such folder", folder, filepath.Join(there, "x"), t.Context(), nil},
		{"interrupted", folder, filepath.Join(t.TempDir(), "x"), over, context.Canceled},
	} {
		err := sqlite.Backup(c.ctx, c.folder, c.to, nil)
		if err == nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if c.to == there {
			continue
		}
		if left, _ := filepath.Glob(c.to + "*"); len(left) > 0 {
			t.Errorf("%s: left behind: %v", c.name, left)
		}
	}
	if b, err := os.ReadFile(there); err != nil || string(b) != "x" {
		t.Errorf("the file that was there is now %q, %v", b, err)
	}
}

func TestVerify(t *testing.T) {
	fresh := func(t *testing.T) string {
		folder := t.TempDir()
		fill(t, folder)
		to := filepath.Join(t.TempDir(), sqlite.FileName)
		if err := sqlite.Backup(t.Context(), folder, to, nil); err != nil {
			t.Fatal(err)
		}
		return to
	}
	for _, c := range []struct {
		name  string
		spoil func(t *testing.T, path string)
		want  error
	}{
		{"cut off", func(t *testing.T, path string) { truncate(t, path, 8192) }, store.ErrCorrupt},
		{"another program's", func(t *testing.T, path string) {
			if err := os.WriteFile(path, []byte(strings.Repeat("x", 9000)), 0o600); err != nil {
				t.Fatal(err)
			}
		}, store.ErrCorrupt},
		{"newer", func(t *testing.T, path string) { edit(t, path, `UPDATE topic SET version = 99`) }, store.ErrNewer},
	} {
		path := fresh(t)
		c.spoil(t, path)
		if err := sqlite.Verify(path); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}
