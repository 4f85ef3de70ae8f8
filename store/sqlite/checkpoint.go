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
// longPages a step waits for the readers. Readers that come in the meantime read the file alone and are not waited for.
type checkpoint struct {
	conn    *conn
	log     *slog.Logger
	waited  int  // length of the log when it last waited for readers in vain
	trouble bool // the last step failed, and the log was told
}

const (
	slicePages = 500 // 2 MB: 6 ms at most on the machine where this was measured
	longPages  = 16 * slicePages
	waitMillis = 200 // for readers; ours take less, and an operator's shell may take longer than we want to wait
)

// step does what is due.
func (c *checkpoint) step() {
	due, err := c.move()
	if !due {
		return
	}
	if err != nil && !c.trouble {
		c.log.Warn("store: the write-ahead log cannot be emptied and grows", "error", err)
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
	if log-moved < slicePages {
		return false, nil
	}
	if log, _, err = c.pragma(`PRAGMA wal_checkpoint(PASSIVE)`); err != nil {
		return true, err
	}
	if log < longPages {
		c.waited = 0
		return true, nil
	}
	if log < c.waited+slicePages {
		return false, nil // not so soon again
	}
	return true, c.wait()
}

// wait empties the log when no reader needs it any more, and fails when one does for long. The timeouts are set by
// scripts, because preparing such a statement already carries it out and running it again does nothing.
func (c *checkpoint) wait() error {
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
