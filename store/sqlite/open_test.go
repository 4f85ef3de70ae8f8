// SPDX-License-Identifier: Apache-2.0

package sqlite_test

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/store/sqlite"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/sasl"
)

// fill makes a folder with some data, 200 accounts of 1 kB, and returns the file.
func fill(t *testing.T, folder string) string {
	t.Helper()
	s := mustOpen(t, folder)
	for i := range int64(200) {
		s.Commit(add(i+1, 1000))
	}
	commit(t, s)
	mustClose(t, s)
	return filepath.Join(folder, "stonechat.db")
}

// add makes the account of a number, with a key of about size bytes. The tests of this package use nothing but accounts,
// on which everything else is built.
func add(id int64, size int) store.Op {
	return store.CreateAccount{Account: store.Account{JID: address(id), Keys: []sasl.Key{
		{Hash: "none", Salt: bytes.Repeat([]byte{'x'}, size)},
	}}}
}

func address(id int64) jid.JID { return jid.MustParse(fmt.Sprintf("thing%012d@capulet.example", id)) }

// kept lists the numbers of all accounts, in order.
func kept(t testing.TB, s store.Store) (ids []int64) {
	t.Helper()
	for after := ""; ; {
		page, err := s.Accounts(t.Context(), "capulet.example", after, 0)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			return ids
		}
		for _, a := range page {
			after = a.JID.Local()
			id, err := strconv.ParseInt(strings.TrimPrefix(after, "thing"), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, id)
		}
	}
}

func mustOpen(t testing.TB, folder string) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(sqlite.Options{Folder: folder})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mustClose(t testing.TB, s store.Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func commit(t testing.TB, s store.Store, ops ...store.Op) {
	t.Helper()
	if err := s.Commit(ops...).Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// edit runs statements on the file of a closed store.
func edit(t *testing.T, path string, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, s := range statements {
		if _, err := db.Exec(s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

func TestOneServerPerFolder(t *testing.T) {
	folder := t.TempDir()
	s := mustOpen(t, folder)
	_, err := sqlite.Open(sqlite.Options{Folder: folder})
	if !errors.Is(err, store.ErrLocked) {
		t.Fatalf("second Open: %v, want %v", err, store.ErrLocked)
	}
	for _, part := range []string{folder, fmt.Sprint(os.Getpid()), "stop it"} {
		if runtime.GOOS != "windows" && !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not mention %q", err, part)
		}
	}
	commit(t, s) // the first is none the worse
	mustClose(t, s)
	mustClose(t, mustOpen(t, folder))
}

func TestFilesAreForTheOwnerAlone(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no permission bits; the folder's access list counts there")
	}
	folder := filepath.Join(t.TempDir(), "a", "b")
	path := filepath.Join(folder, "stonechat.db")
	s := mustOpen(t, folder)
	commit(t, s, add(1, 1))
	check := func() {
		t.Helper()
		err := filepath.WalkDir(filepath.Dir(folder), func(p string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err == nil && info.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s has mode %v", p, info.Mode())
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	check()
	mustClose(t, s)
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, folder)
	commit(t, s, add(2, 1))
	check()
	mustClose(t, s)
}

func TestStrangeFolders(t *testing.T) {
	base := t.TempDir()
	names := []string{"a b", "100%", "q?mode=ro", "h#ash", "ж", "semi;colon", "%41"}
	if runtime.GOOS == "windows" {
		names = []string{"a b", "100%", "h#ash", "ж", "%41"}
	}
	for _, name := range names {
		folder := filepath.Join(base, name)
		if _, err := os.Stat(fill(t, folder)); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	if _, err := sqlite.Open(sqlite.Options{}); err == nil {
		t.Error("no folder was accepted")
	}
	file := filepath.Join(base, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlite.Open(sqlite.Options{Folder: file}); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("a file as data folder: %v", err)
	}
}

func TestDamagedFile(t *testing.T) {
	overwrite := func(t *testing.T, path string, at int64, data []byte) {
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err == nil {
			_, err = f.WriteAt(data, at)
			err = errors.Join(err, f.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		name   string
		damage func(t *testing.T, path string)
	}{
		{"noise", func(t *testing.T, path string) {
			if err := os.WriteFile(path, bytes.Repeat([]byte("noise "), 2000), 0o600); err != nil {
				t.Fatal(err)
			}
		}},
		{"zeros", func(t *testing.T, path string) {
			if err := os.WriteFile(path, make([]byte, 8192), 0o600); err != nil {
				t.Fatal(err)
			}
		}},
		{"cut in the header", func(t *testing.T, path string) { truncate(t, path, 60) }},
		{"cut after the header", func(t *testing.T, path string) { truncate(t, path, 4096) }},
		{"cut in the middle", func(t *testing.T, path string) { truncate(t, path, 20*4096+77) }},
		{"a page overwritten", func(t *testing.T, path string) {
			overwrite(t, path, 12*4096, bytes.Repeat([]byte{0xa5}, 4096))
		}},
		{"a file of another program", func(t *testing.T, path string) {
			os.Remove(path)
			edit(t, path, `CREATE TABLE bookmarks (url)`)
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			folder := t.TempDir()
			path := fill(t, folder)
			test.damage(t, path)
			before, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			_, err = sqlite.Open(sqlite.Options{Folder: folder})
			if !errors.Is(err, store.ErrCorrupt) {
				t.Fatalf("%v, want %v", err, store.ErrCorrupt)
			}
			if text := err.Error(); !strings.Contains(text, path) || !strings.Contains(text, "backup") {
				t.Errorf("%q does not say which file and what to do", text)
			}
			after, err := os.ReadFile(path)
			if err != nil || !bytes.Equal(before, after) {
				t.Errorf("the damaged file was changed (%v)", err)
			}
			// The lock is free again: another Open fails for the same reason.
			if _, err := sqlite.Open(sqlite.Options{Folder: folder}); !errors.Is(err, store.ErrCorrupt) {
				t.Errorf("second Open: %v", err)
			}
		})
	}
}

func truncate(t *testing.T, path string, size int64) {
	t.Helper()
	if err := os.Truncate(path, size); err != nil {
		t.Fatal(err)
	}
}

// TestDamageWhileRunning: damage that opening did not see is reported by who comes upon it.
func TestDamageWhileRunning(t *testing.T) {
	folder := t.TempDir()
	path := fill(t, folder)
	s := mustOpen(t, folder)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	const first = 2 * 4096
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err == nil {
		_, err = f.WriteAt(bytes.Repeat([]byte{0xa5}, int(info.Size()-first)), first)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Account(t.Context(), address(100)); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("read: %v, want %v", err, store.ErrCorrupt)
	}
	if err := s.Commit(add(100_000, 10)).Wait(t.Context()); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("commit: %v, want %v", err, store.ErrCorrupt)
	}
	s.Close() // with or without an error, but it returns
}

func TestNewerFile(t *testing.T) {
	folder := t.TempDir()
	path := fill(t, folder)
	edit(t, path, `UPDATE topic SET version = 99 WHERE name = 'accounts'`)
	_, err := sqlite.Open(sqlite.Options{Folder: folder})
	if !errors.Is(err, store.ErrNewer) {
		t.Fatalf("%v, want %v", err, store.ErrNewer)
	}
	for _, part := range []string{path, "accounts has version 99", "run the version that wrote it"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not mention %q", err, part)
		}
	}
	edit(t, path, `UPDATE topic SET version = 1 WHERE name = 'accounts'`)
	mustClose(t, mustOpen(t, folder))
}

// TestTopicThatIsGone: a program built without a topic works with a file that has it, and what belonged to an account
// there goes with the account all the same.
func TestTopicThatIsGone(t *testing.T) {
	folder := t.TempDir()
	path := fill(t, folder)
	edit(t, path,
		`INSERT INTO topic VALUES ('weather', 7)`,
		`CREATE TABLE weather (account INTEGER REFERENCES account ON DELETE CASCADE)`,
		`INSERT INTO weather SELECT id FROM account`)
	s := mustOpen(t, folder)
	for id := range int64(199) {
		commit(t, s, store.DeleteAccount{User: address(id + 1)})
	}
	mustClose(t, s)

	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var rows int
	if err := db.QueryRow(`SELECT count(*) FROM weather`).Scan(&rows); err != nil || rows != 1 {
		t.Errorf("%d rows of the topic that is gone, %v; want that of the account that is there", rows, err)
	}
}

// TestInterruptedCreation: a crash while the file is made leaves one of these.
func TestInterruptedCreation(t *testing.T) {
	for name, make := range map[string]func(t *testing.T, path string){
		"an empty file": func(t *testing.T, path string) {
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		},
		"a file without tables": func(t *testing.T, path string) { edit(t, path, `PRAGMA journal_mode = WAL`) },
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			make(t, filepath.Join(folder, "stonechat.db"))
			fill(t, folder)
		})
	}
}
