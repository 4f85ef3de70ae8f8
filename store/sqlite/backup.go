// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"modernc.org/sqlite"
)

// How to read this file: Backup copies the data of a folder, whether or not a server has it open,
// in steps of a few pages, all within one read transaction; Verify reads a copy for damage; Restored begins a new life
// with it.

// FileName is the file in a data folder that holds the data. The other files that this package
// keeps there, [Transient], are of use only to the process that has the folder open.
const FileName = fileName

// Transient reports whether a file of that name in a data folder belongs to a running store
// alone, so that a copy of the folder must be without it.
func Transient(name string) bool {
	return name == lockName || name == fileName+"-wal" || name == fileName+"-shm"
}

// backupPages is how much is copied between two looks at the context: 4 MB.
const backupPages = 1000

// ErrNoData is of a folder without a store.
var ErrNoData = errors.New("there is no store in the folder")

// Backup writes all that is committed in the data folder at this moment, and nothing that is
// committed later, to a new file, which is on stable storage when it returns. A server may have
// the folder open and goes on undisturbed, but for its write-ahead log, which grows until the
// copy is done. progress, which may be nil, hears how many bytes of how many are copied.
func Backup(ctx context.Context, folder, file string, progress func(done, all int64)) (err error) {
	path, err := filepath.Abs(filepath.Join(folder, fileName))
	if err == nil {
		file, err = filepath.Abs(file)
	}
	if err != nil {
		return fmt.Errorf("sqlite: backup of %s: %w", folder, err)
	}
	if _, err := os.Stat(path); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%w: %w", ErrNoData, err)
		}
		return fmt.Errorf("sqlite: backup of %s: %w", folder, err)
	}
	// Made here, for the owner alone: SQLite takes an empty file as it is.
	f, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("sqlite: backup to %s: %w", file, err)
	}
	defer func() {
		err = errors.Join(err, f.Close())
		if err != nil {
			err = errors.Join(err, os.Remove(file))
		}
	}()
	c, err := openConn(path, reading, 0)
	if err != nil {
		return explain(path, err)
	}
	defer c.close()
	err = c.snapshot(func() error {
		// The transaction begins with its first read.
		if _, err := c.row(`SELECT count(*) FROM sqlite_schema`, nil, new(int)); err != nil {
			return err
		}
		return c.c.Raw(func(driver any) error { return copyPages(ctx, driver, uri(file, nil), progress) })
	})
	if err != nil {
		return fmt.Errorf("sqlite: backup of %s: %w", folder, meaning(err))
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("sqlite: backup to %s: %w", file, err)
	}
	return nil
}

// copyPages copies the database of a connection of SQLite, as its transaction sees it.
func copyPages(ctx context.Context, driver any, to string, progress func(done, all int64)) (err error) {
	source, ok := driver.(interface {
		NewBackup(string) (*sqlite.Backup, error)
	})
	if !ok {
		return errors.New("this driver copies no databases")
	}
	b, err := source.NewBackup(to)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Finish()) }()
	for more := true; more; {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if more, err = b.Step(backupPages); err != nil {
			return err
		}
		if progress != nil {
			all := int64(b.PageCount())
			progress((all-int64(b.Remaining()))*pageBytes, all*pageBytes)
		}
	}
	return nil
}

// pageBytes is the size of a page, for telling progress.
const pageBytes = 4096

// Verify reads all of a file that [Backup] has written, and reports with what the error of Open
// would begin: store.ErrCorrupt, store.ErrNewer. It leaves the file as it is.
func Verify(file string) error {
	file, err := filepath.Abs(file)
	if err != nil {
		return fmt.Errorf("sqlite: %w", err)
	}
	c, err := openConn(file, still, 0)
	if err != nil {
		return explain(file, err)
	}
	defer c.close()
	if err := inspectConn(c, func() error { return quickCheck(c) }); err != nil {
		return explain(file, err)
	}
	return nil
}

// Restored makes a file that [Backup] has written the data of a server from now on. What was committed after the backup
// is lost, but clients have seen it: the rosters get versions above all that were given meanwhile, which are milliseconds
// of the clock, and nothing is known of changes before them. Nobody else may have the file open.
func Restored(file string, now time.Time) (err error) {
	file, err = filepath.Abs(file)
	if err != nil {
		return fmt.Errorf("sqlite: %w", err)
	}
	c, err := openConn(file, writing, 0)
	if err != nil {
		return explain(file, err)
	}
	defer func() { err = errors.Join(err, c.close()) }()
	have, err := versions(c)
	if err != nil {
		return explain(file, err)
	}
	if v := have[roster.name]; v > 0 {
		err = raiseRosters(c, v, now)
	}
	if err != nil {
		return fmt.Errorf("sqlite: versions of rosters in %s: %w", file, meaning(err))
	}
	return nil
}

// Check reads all of the data in a folder for damage, whether or not a server has it open, and
// changes nothing. Its errors are those of Verify, and [ErrNoData].
func Check(folder string) error {
	path, err := filepath.Abs(filepath.Join(folder, fileName))
	if err != nil {
		return fmt.Errorf("sqlite: %w", err)
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("sqlite: %s: %w", folder, ErrNoData)
	}
	c, err := openConn(path, reading, 0)
	if err != nil {
		return explain(path, err)
	}
	defer c.close()
	if err := inspectConn(c, func() error { return quickCheck(c) }); err != nil {
		return explain(path, err)
	}
	return nil
}

// Lock holds a data folder against servers until release is called. The folder is made when it is
// missing. It fails with store.ErrLocked as Open does.
func Lock(folder string) (release func() error, err error) {
	f, err := openFolder(folder)
	if err != nil {
		return nil, err
	}
	return f.close, nil
}
