// SPDX-License-Identifier: Apache-2.0

// Package sqlite keeps the data of a server in one SQLite file, for a server that runs on one machine. It implements
// [store.Store] with modernc.org/sqlite, which needs no C compiler.
//
// How to read it: this file opens and closes. topic.go has the list of topics and brings their tables up to date;
// each topic's SQL is in the file of its name. writer.go is the one goroutine that writes: queue, batch, commit;
// tx.go is what it lends to the topics. checkpoint.go keeps the write-ahead log short. conn.go has connections and the
// pool of readers, folder.go the data folder and its lock, errors.go what SQLite's errors mean, backup.go copies the
// data while a server uses it.
//
// The file is in WAL mode with synchronous=FULL: SQLite syncs the log before COMMIT returns, and only then is a
// Pending done. Readers have connections of their own and see the last commit; neither side waits for the other.
package sqlite

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"

	"github.com/stonechat-im/stonechat/store"
)

// Options say where the data is and how much may be used. Only Folder must be set.
type Options struct {
	// Folder is the data folder. It is made when it is missing, readable by its owner alone.
	Folder string
	// CacheBytes is the memory for pages of the file, by default 64 MiB. It is taken as it is needed.
	CacheBytes int
	// MaxBacklogOps and MaxBacklogBytes bound what Commit queues; beyond them it refuses with store.ErrOverloaded.
	// By default 200,000 and 256 MiB: callers are meant to slow down long before, by Backlog.
	MaxBacklogOps, MaxBacklogBytes int
	// Log hears of trouble that no caller sees, such as a log that cannot be emptied. By default slog.Default().
	Log *slog.Logger
	// BeforeCommit is for tests: it is called on the writer's goroutine before each COMMIT, so that a test can play
	// a slow disk, or stop the clock to look at what is on the disk in that moment.
	BeforeCommit func()
	// BeforeRead is for tests: it is called by each read that has a connection, so that a test can play a disk that stalls.
	BeforeRead func()
}

const (
	fileName = "stonechat.db"
	lockName = "lock"
	readers  = 2 // on two cores four were slower than one
)

// Store is an open file. It implements [store.Store].
type Store struct {
	folder *folder
	writer *writer
	pool   *pool
	close  func() error // once

	beforeRead func() // nil: nothing
}

var _ store.Store = (*Store)(nil)

// Open opens the data folder, makes it when it is not there, and brings its tables up to date. It fails with
// store.ErrLocked when another server has the folder, store.ErrCorrupt when the file is damaged or not ours, and
// store.ErrNewer when a newer version wrote it; the text says what can be done.
func Open(o Options) (*Store, error) {
	if o.CacheBytes == 0 {
		o.CacheBytes = 64 << 20
	}
	if o.MaxBacklogOps == 0 {
		o.MaxBacklogOps = 200_000
	}
	if o.MaxBacklogBytes == 0 {
		o.MaxBacklogBytes = 256 << 20
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	f, err := openFolder(o.Folder)
	if err != nil {
		return nil, err
	}
	s, err := open(f, o)
	if err != nil {
		f.close()
		return nil, err
	}
	return s, nil
}

func open(f *folder, o Options) (*Store, error) {
	path := f.path(fileName)
	fresh, err := f.create(fileName)
	if err != nil {
		return nil, err
	}
	if !fresh {
		if err := inspect(path); err != nil {
			return nil, explain(path, err)
		}
	}
	w, err := openConn(path, writing, o.CacheBytes)
	if err != nil {
		return nil, explain(path, err)
	}
	s := &Store{folder: f, beforeRead: o.BeforeRead}
	if err := s.start(w, o); err != nil {
		w.close()
		return nil, explain(path, err)
	}
	s.close = sync.OnceValue(s.shut)
	go s.writer.run()
	return s, nil
}

// start makes what a store has beside the writer's connection.
func (s *Store) start(w *conn, o Options) error {
	if err := migrate(w, topics, o.Log); err != nil {
		return err
	}
	release, err := releaseStatement(w)
	if err != nil {
		return err
	}
	if err := s.folder.sync(); err != nil { // the file and its log have names that outlast a power loss
		return err
	}
	// The system has the pages that they read in memory, too: what they keep of their own spares little.
	if s.pool, err = openPool(w.path, readers, o.CacheBytes/64); err != nil {
		return err
	}
	s.writer = newWriter(w, s.pool, release, o)
	return nil
}

// Close commits what is queued, moves the log into the file and lets go of the folder.
func (s *Store) Close() error { return s.close() }

func (s *Store) shut() error {
	s.writer.stop() // the goroutine has ended
	s.pool.close()  // before the writer: the last connection removes the log
	return errors.Join(s.writer.close(), s.folder.close())
}

// Commit implements [store.Store].
func (s *Store) Commit(ops ...store.Op) *store.Pending { return s.writer.commit(ops) }

// Backlog implements [store.Store].
func (s *Store) Backlog() store.Backlog { return s.writer.backlog() }

// applicationID marks a file as ours; it is in the header of the file. "Stch".
const applicationID = 0x53746368

// checkBytes is the size of file up to which opening reads all of it for damage; beyond, that would take seconds,
// and damage is reported when it is come upon.
const checkBytes = 64 << 20

// inspect refuses a file that is damaged, not ours or too new. It changes nothing: its connection may only read.
func inspect(path string) error {
	c, err := openConn(path, reading, 0)
	if err != nil {
		return err
	}
	defer c.close()
	return inspectConn(c, func() error { return checkPages(c) })
}

func inspectConn(c *conn, pages func() error) error {
	var id, tables int64
	if _, err := c.row(`PRAGMA application_id`, nil, &id); err != nil {
		return err
	}
	if _, err := c.row(`SELECT count(*) FROM sqlite_schema`, nil, &tables); err != nil {
		return err
	}
	if id == 0 && tables == 0 {
		return nil // making it was interrupted
	}
	if id != applicationID {
		return fmt.Errorf("sqlite: it is a file of another program: %w", store.ErrCorrupt)
	}
	if err := checkVersions(c, topics); err != nil {
		return err
	}
	return pages()
}

// checkPages reads a file that is not large for damage.
func checkPages(c *conn) error {
	info, err := os.Stat(c.path)
	if err != nil || info.Size() > checkBytes {
		return err
	}
	return quickCheck(c)
}

func quickCheck(c *conn) error {
	var verdict string
	if _, err := c.row(`PRAGMA quick_check(1)`, nil, &verdict); err != nil {
		return err
	}
	if verdict != "ok" {
		return fmt.Errorf("sqlite: %s: %w", strings.Join(strings.Fields(verdict), " "), store.ErrCorrupt)
	}
	return nil
}
