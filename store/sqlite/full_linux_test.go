// SPDX-License-Identifier: Apache-2.0

package sqlite_test

import (
	"errors"
	"io"
	"log/slog"
	"math"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/store/sqlite"
)

// TestFullDisk fills a real file system of 8 MB, makes space and goes on.
func TestFullDisk(t *testing.T) {
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=8m"); err != nil {
		t.Skipf("mounting a small file system to fill it: %v (the test needs root)", err)
	}
	defer func() {
		if err := syscall.Unmount(disk, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	}()
	ballast := filepath.Join(disk, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 3<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(disk, "data")
	open := func() *sqlite.Store {
		t.Helper()
		s, err := sqlite.Open(sqlite.Options{Folder: folder, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := open()
	var acked []int64
	id := int64(0)
	write := func() error {
		id++
		err := s.Commit(add(id, 10_000)).Wait(t.Context())
		if err == nil {
			acked = append(acked, id)
		}
		return err
	}
	check := func() {
		t.Helper()
		if got := kept(t, s); !slices.Equal(got, acked) {
			t.Fatalf("%d accounts, %d were acknowledged: %d, %d", len(got), len(acked), got, acked)
		}
	}
	var err error
	for err == nil && id < 2000 {
		err = write()
	}
	if !errors.Is(err, store.ErrNoSpace) {
		t.Fatalf("after %d accounts: %v, want %v", len(acked), err, store.ErrNoSpace)
	}
	t.Logf("full after %d accounts: %v", len(acked), err)
	for range 20 { // it stays full, says so, and can be read
		if err := write(); err != nil && !errors.Is(err, store.ErrNoSpace) {
			t.Fatal(err)
		}
		check()
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	for range 50 {
		if err := write(); err != nil {
			t.Fatalf("with space again: %v", err)
		}
	}
	check()
	for err == nil || id < 100 { // full once more, and closed in that state
		err = write()
	}
	check()
	s.Close() // may say that the log cannot be moved; it is kept then
	if _, err := os.Stat(filepath.Join(folder, "stonechat.db")); err != nil {
		t.Fatal(err)
	}
	grow(t, disk)
	s = open()
	check()
	mustClose(t, s)
}

// grow makes the file system larger.
func grow(t *testing.T, disk string) {
	t.Helper()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", syscall.MS_REMOUNT, "size=32m"); err != nil {
		t.Fatal(err)
	}
}

// limitedFolder makes this test program one whose writes fail in between; see TestWriteError.
const limitedFolder = "STONECHAT_TEST_LIMITED"

// TestWriteError has the operating system refuse writes with an error that is not a full disk, by the limit on the size
// of files, which holds for a process and so needs one of its own.
func TestWriteError(t *testing.T) {
	if folder := os.Getenv(limitedFolder); folder != "" {
		testWriteError(t, folder)
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestWriteError$", "-test.v")
	cmd.Env = append(os.Environ(), limitedFolder+"="+t.TempDir())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func testWriteError(t *testing.T, folder string) {
	signal.Ignore(syscall.SIGXFSZ)
	limit := func(soft uint64) {
		t.Helper()
		var l syscall.Rlimit
		err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &l)
		if err == nil {
			l.Cur = min(soft, l.Max)
			err = syscall.Setrlimit(syscall.RLIMIT_FSIZE, &l)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	s := mustOpen(t, folder)
	commit(t, s, add(1, 10))
	info, err := os.Stat(filepath.Join(folder, "stonechat.db-wal"))
	if err != nil {
		t.Fatal(err)
	}
	limit(uint64(info.Size()) + 5000) // in the middle of the next commit
	for id := range int64(3) {
		err := s.Commit(add(10+id, 20_000)).Wait(t.Context())
		if err == nil || errors.Is(err, store.ErrNoSpace) {
			t.Errorf("a write was refused: %v", err)
		}
		t.Log(err)
	}
	if got := kept(t, s); !slices.Equal(got, []int64{1}) {
		t.Errorf("accounts %d, want 1", got)
	}
	limit(math.MaxUint64)
	commit(t, s, add(20, 20_000))
	mustClose(t, s)
	s = mustOpen(t, folder)
	if got := kept(t, s); !slices.Equal(got, []int64{1, 20}) {
		t.Errorf("accounts %d, want 1 and 20", got)
	}
	mustClose(t, s)
}
