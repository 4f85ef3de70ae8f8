// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/stonechat-im/stonechat/store"
)

// writer is the only one that writes the file. Commit appends to a queue; one goroutine takes what has queued while
// the last commit ran, carries it out in one transaction, commits, and then tells each call its outcome:
//
//	Commit ──► queue ──► take ──► BEGIN  call  call  call …  COMMIT (log synced) ──► Resolve, in order ──► checkpoint
//
// No time is spent waiting for company. A call that fails is undone alone. A call mostly cannot fail, or fails before
// it has written, so the first try takes no savepoints; when a call fails after it has written, the transaction is
// rolled back and tried again with a savepoint around each call. Operations depend on nothing but the data, so the
// second try comes to the same end.
type writer struct {
	tx           *tx
	log          *slog.Logger
	beforeCommit func()
	checkpoint   checkpoint
	limit        store.Backlog

	mu     sync.Mutex
	queue  []*call
	load   store.Backlog // of the queue and of the batch that is being committed
	closed bool
	wake   chan struct{} // holds one token while there may be something to do
	ended  chan struct{}
}

// call is one call of Commit.
type call struct {
	store.Pending
	ops  []store.Op
	load store.Backlog
	err  error // its own
}

// A batch ends with the call that reaches one of these, so that those behind it do not wait long.
const (
	batchOps   = 1024
	batchBytes = 4 << 20
)

// errAgain asks for a second try of a batch, with savepoints.
var errAgain = errors.New("sqlite: a call failed after it had written")

func newWriter(c *conn, readers *pool, releaseSQL string, o Options) *writer {
	return &writer{
		tx:           newTx(c, releaseSQL),
		log:          o.Log,
		beforeCommit: o.BeforeCommit,
		checkpoint:   checkpoint{conn: c, readers: readers, log: o.Log, slice: slicePages, long: longPages},
		limit:        store.Backlog{Ops: o.MaxBacklogOps, Bytes: o.MaxBacklogBytes},
		wake:         make(chan struct{}, 1),
		ended:        make(chan struct{}),
	}
}

func (w *writer) commit(ops []store.Op) *store.Pending {
	size, err := store.CheckCall(ops)
	if err != nil {
		return store.Resolved(err)
	}
	c := &call{ops: ops, load: store.Backlog{Ops: max(len(ops), 1), Bytes: size}}
	if err := w.push(c); err != nil {
		return store.Resolved(err)
	}
	return &c.Pending
}

func (w *writer) push(c *call) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return fmt.Errorf("sqlite: commit: %w", store.ErrClosed)
	}
	if w.load.Ops+c.load.Ops > w.limit.Ops || w.load.Bytes+c.load.Bytes > w.limit.Bytes {
		return fmt.Errorf("sqlite: commit: %w", store.ErrOverloaded)
	}
	w.load.Ops += c.load.Ops
	w.load.Bytes += c.load.Bytes
	w.queue = append(w.queue, c)
	select {
	case w.wake <- struct{}{}:
	default: // there is a token
	}
	return nil
}

func (w *writer) backlog() store.Backlog {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.load
}

// run is the writer's goroutine. It ends when the queue is empty after stop.
func (w *writer) run() {
	defer close(w.ended)
	for range w.wake {
		for batch := w.take(); len(batch) > 0; batch = w.take() {
			w.write(batch)
			w.checkpoint.step()
		}
	}
}

// take removes the next batch from the queue.
func (w *writer) take() []*call {
	w.mu.Lock()
	defer w.mu.Unlock()
	var sum store.Backlog
	n := 0
	for n < len(w.queue) && sum.Ops < batchOps && sum.Bytes < batchBytes {
		sum.Ops += w.queue[n].load.Ops
		sum.Bytes += w.queue[n].load.Bytes
		n++
	}
	batch := w.queue[:n:n]
	w.queue = w.queue[n:]
	if len(w.queue) == 0 {
		w.queue = nil // its array goes with the batch
	}
	return batch
}

// write commits a batch and tells the outcomes.
func (w *writer) write(batch []*call) {
	err := w.transact(batch, false)
	if errors.Is(err, errAgain) {
		err = w.transact(batch, true)
	}
	var done store.Backlog
	for _, c := range batch {
		done.Ops += c.load.Ops
		done.Bytes += c.load.Bytes
		c.ops = nil // who keeps the Pending does not keep the data
	}
	w.mu.Lock()
	w.load.Ops -= done.Ops
	w.load.Bytes -= done.Bytes
	w.mu.Unlock()
	for i, c := range batch {
		batch[i] = nil
		if err != nil {
			c.Resolve(err)
		} else {
			c.Resolve(c.err)
		}
	}
}

// transact carries out a batch in one transaction. Its error is that of the whole batch; calls that failed alone have
// theirs in err.
func (w *writer) transact(batch []*call, savepoints bool) error {
	if err := w.tx.begin(); err != nil {
		return fmt.Errorf("sqlite: beginning a transaction: %w", meaning(err))
	}
	for _, c := range batch {
		if err := w.apply(c, savepoints); err != nil {
			w.tx.rollback()
			return meaning(err)
		}
	}
	if w.beforeCommit != nil {
		w.beforeCommit()
	}
	if err := w.tx.commit(); err != nil {
		w.tx.rollback()
		return fmt.Errorf("sqlite: committing: %w", meaning(err))
	}
	return nil
}

// apply carries out one call. Its error is one of the whole batch.
func (w *writer) apply(c *call, savepoints bool) error {
	var p savepoint
	if savepoints {
		var err error
		if p, err = w.tx.save(); err != nil {
			return err
		}
	}
	before := w.tx.writes
	err := w.tx.apply(c.ops)
	if err != nil && !ofOperation(err) {
		return err
	}
	c.err = meaning(err)
	if savepoints {
		if err != nil {
			if err := w.tx.undo(p); err != nil {
				return err
			}
		}
		return w.tx.drop()
	}
	if err != nil && w.tx.writes != before {
		return errAgain
	}
	return nil
}

// stop refuses new calls and returns when the queue has been written.
func (w *writer) stop() {
	w.mu.Lock()
	w.closed = true
	close(w.wake) // a token in it is still received
	w.mu.Unlock()
	<-w.ended
}

// close closes the connection, after stop.
func (w *writer) close() error {
	err := w.checkpoint.finish()
	if closing := w.tx.close(); closing != nil {
		err = errors.Join(err, fmt.Errorf("sqlite: closing: %w", closing))
	}
	return err
}
