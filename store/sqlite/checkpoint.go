// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"errors"
	"fmt"
	"log/slog"
)

// checkpoint moves commits from the write-ahead log into the file, on the writer's goroutine between batches. SQLite
// moves all there is at once, so slices come from doing it often: a step moves about slicePages and the batch that
// went over it. A log that has been moved is begun again from its start by the next commit, unless a reader still
// needs it; then it grows. Reads of this package are short, but two of them in turn could keep it growing, so beyond
// longPages a step takes the connections of the readers, which waits for the reads that run, and begins the log anew.
type checkpoint struct {
	conn    *conn
	readers *pool
	log     *slog.Logger
	// slicePages and longPages, or less in tests
	slice, long int

	waited  int  // length of the log when it was last not begun anew, because others needed it
	trouble bool // the last step failed, and the log was told
}

const (
	slicePages = 500 // 2 MB: 6 ms at most on the machine where this was measured
	longPages  = 16 * slicePages
	waitMillis = 20 // for the end of what an operator's shell reads, which may take longer than we want to wait
)

// step does what is due.
func (c *checkpoint) step() {
	due, err := c.move()
	if !due {
		return
	}
	if err != nil && !c.trouble {
		c.log.Warn("store: the write-ahead log cannot be emptied and grows", "err", err)
	}
	if err == nil && c.trouble {
		c.log.Info("store: the write-ahead log is being emptied again")
	}
	c.trouble = err != nil
}

func (c *checkpoint) move() (due bool, err error) {
	log, moved, err := c.pragma(`PRAGMA wal_checkpoint(NOOP)`)
	if err != nil {
		return true, err
	}
	if log-moved < c.slice {
		return false, nil
	}
	if log, _, err = c.pragma(`PRAGMA wal_checkpoint(PASSIVE)`); err != nil {
		return true, err
	}
	if log < c.long {
		c.waited = 0
		return true, nil
	}
	if log < c.waited+c.slice {
		return false, nil // not so soon again
	}
	return true, c.wait()
}

// wait begins the log anew when nobody needs it, and fails when somebody else does. The timeouts are set by scripts,
// because preparing such a statement already carries it out and running it again does nothing.
func (c *checkpoint) wait() error {
	defer c.readers.give(c.readers.takeAll())
	if err := c.conn.script(fmt.Sprintf(`PRAGMA busy_timeout(%d)`, waitMillis)); err != nil {
		return err
	}
	log, _, err := c.pragma(`PRAGMA wal_checkpoint(RESTART)`)
	c.waited = log
	return errors.Join(err, c.conn.script(fmt.Sprintf(`PRAGMA busy_timeout(%d)`, busyMillis)))
}

// finish leaves all in the file; closing the last connection then removes the log.
func (c *checkpoint) finish() error {
	if _, _, err := c.pragma(`PRAGMA wal_checkpoint(TRUNCATE)`); err != nil {
		return fmt.Errorf("sqlite: emptying the write-ahead log: %w", meaning(err))
	}
	return nil
}

// pragma runs a checkpoint and returns how many pages the log has and how many of them are in the file.
func (c *checkpoint) pragma(query string) (log, moved int, err error) {
	var busy int
	_, err = c.conn.row(query, nil, &busy, &log, &moved)
	if err == nil && busy != 0 {
		err = errors.New("a reader has needed it for long")
	}
	return log, moved, err
}
