// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"errors"
	"fmt"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/stonechat-im/stonechat/store"
)

// errUnknownOp is of an operation that this engine was built without.
var errUnknownOp = fmt.Errorf("this engine does not know the operation: %w", errors.ErrUnsupported)

// code is SQLite's primary result code of err, 0 when it is not SQLite's.
func code(err error) int {
	var e *sqlite.Error
	if errors.As(err, &e) {
		return e.Code() & 0xff
	}
	return 0
}

// ofOperation says whether err is the fault of one operation alone: what a topic found wrong, or a constraint. All
// else, such as a full disk, is the fault of the whole transaction.
func ofOperation(err error) bool {
	switch code(err) {
	case 0:
		return true
	case sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_MISMATCH:
		return true
	}
	return false
}

// meaning wraps an error of SQLite with the sentinel that callers know.
func meaning(err error) error {
	switch code(err) {
	case sqlite3.SQLITE_FULL:
		return fmt.Errorf("%w: %w", store.ErrNoSpace, err)
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return fmt.Errorf("%w: %w", store.ErrCorrupt, err)
	case sqlite3.SQLITE_TOOBIG:
		return fmt.Errorf("%w: %w", store.ErrTooLarge, err)
	}
	return err
}

// explain tells an operator what to do about a file that cannot be opened.
func explain(path string, err error) error {
	err = meaning(err)
	switch {
	case errors.Is(err, store.ErrCorrupt):
		return fmt.Errorf("sqlite: %s cannot be used: %w; nothing was changed: keep a copy of the file and of %s-wal, "+
			"then put back a backup, or name another data folder to begin anew", path, err, path)
	case errors.Is(err, store.ErrNewer):
		return fmt.Errorf("sqlite: %s cannot be used: %w; nothing was changed: run the version that wrote it or a "+
			"later one, or put back the backup made before the upgrade", path, err)
	case errors.Is(err, store.ErrNoSpace):
		return fmt.Errorf("sqlite: opening %s: %w; make space on that disk", path, err)
	}
	return fmt.Errorf("sqlite: opening %s: %w", path, err)
}
