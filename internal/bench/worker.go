// SPDX-License-Identifier: Apache-2.0

package bench

// A worker is a child process that holds sessions: one process has only so
// many descriptors, and the garbage of thousands of logins stays away from the
// process that measures. It is the child's side of fleet.go: it reads orders as
// JSON, one per line, obeys each and gives one answer; beside that, run turns
// the loop that answers what the server asks. It ends when its input does.

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"time"
)

// order is what a worker is told.
type order struct {
	Do       string // open, connect, drop, record, alive; things
	Target   Target
	Session  Session
	First    int           // open: number of the first session
	Count    int           // open: how many
	Parallel int           // connect: logins at a time
	Patience time.Duration // connect: how long a session tries again
	Polite   bool          // drop: with the protocol's farewell
	Bytes    int           // record: length of the message
	Things   *thingsOrder  // things: the worker holds things, or their owners, from then on
}

// answer is what a worker says when an order is done.
type answer struct {
	Alive   int // sessions connected now
	Retries int // connect: logins that failed and were tried again
	Faults  []string
	Login   *histogram // connect: from the first try to the session
	Things  *thingsAnswer
	Err     string
}

const answerFaults = 5 // that an answer lists

type worker struct {
	dialer *dialer
	first  int
	count  int

	mu       sync.Mutex // guards all below; the loop handles input under it
	came     *sync.Cond // received has grown, or time is up
	loop     *loop
	alive    map[int]bool
	received int
	faults   []string
	broken   error
}

// Worker is a worker process: it takes orders from in until that ends.
func Worker(in io.Reader, out io.Writer) error {
	l, err := newLoop()
	if err != nil {
		return err
	}
	w := &worker{loop: l, alive: make(map[int]bool)}
	w.came = sync.NewCond(&w.mu)
	l.message = func(*session, []byte, time.Time) { w.received++; w.came.Broadcast() }
	l.ended = func(s *session, err error) {
		delete(w.alive, s.index)
		w.fault(fmt.Sprintf("session %d: %v", s.index, err))
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go w.run(ctx)
	orders, answers := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var o order
		switch err := orders.Decode(&o); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("bench: worker: reading an order: %w", err)
		case o.Things != nil:
			return serveThings(o, orders, answers)
		}
		a := w.obey(ctx, o)
		if err := answers.Encode(a); err != nil {
			return fmt.Errorf("bench: worker: answering: %w", err)
		}
	}
}

// run turns the loop until the process ends.
func (w *worker) run(ctx context.Context) {
	for ctx.Err() == nil {
		err := w.loop.wait(time.Second)
		w.mu.Lock()
		w.broken = err
		if err == nil {
			w.loop.handle()
		}
		w.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (w *worker) fault(f string) {
	if len(w.faults) < answerFaults {
		w.faults = append(w.faults, f)
	}
}

func (w *worker) obey(ctx context.Context, o order) answer {
	var a answer
	var err error
	switch o.Do {
	case "open":
		w.dialer, w.first, w.count = newDialer(o.Target, o.Session), o.First, o.Count
	case "connect":
		a.Login = new(histogram)
		err = w.connect(ctx, o, &a)
	case "drop":
		w.mu.Lock()
		w.loop.leaveAll(o.Polite)
		clear(w.alive)
		w.mu.Unlock()
	case "record":
		err = w.record(o.Bytes)
	case "alive":
	default:
		err = fmt.Errorf("bench: worker: unknown order %q", o.Do)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err = errors.Join(err, w.broken); err != nil {
		a.Err = err.Error()
	}
	a.Alive, a.Faults = len(w.alive), w.faults
	w.faults = nil
	return a
}

// connect logs in all sessions that are not connected. One that fails tries
// again after half a second to one and a half, until its patience ends.
func (w *worker) connect(ctx context.Context, o order, a *answer) error {
	w.mu.Lock()
	var due []int
	for i := w.first; i < w.first+w.count; i++ {
		if !w.alive[i] {
			due = append(due, i)
		}
	}
	w.mu.Unlock()
	return parallel(ctx, len(due), o.Parallel, func(i int) error {
		began := time.Now()
		for {
			s, err := w.dialer.login(ctx, due[i])
			w.mu.Lock()
			if err == nil {
				if w.loop.add(s); s.err == nil {
					w.alive[due[i]] = true
				}
				a.Login.add(time.Since(began))
				w.mu.Unlock()
				return nil
			}
			if time.Since(began) > o.Patience {
				w.fault(err.Error())
				w.mu.Unlock()
				return nil // counted by who is not alive
			}
			a.Retries++
			w.mu.Unlock()
			if err := pause(ctx, time.Second/2+rand.N(time.Second)); err != nil {
				return err
			}
		}
	})
}

// record has every session send one message of that many bytes to itself, in
// one TLS record as far as one can hold it, and waits until all have come back.
func (w *worker) record(bytes int) error {
	const together = 32
	w.mu.Lock()
	defer w.mu.Unlock()
	sessions := w.loop.all()
	for len(sessions) > 0 {
		n := min(together, len(sessions))
		due := w.received + n
		for _, s := range sessions[:n] {
			empty := newTemplate(s, s.address, nil)
			body := make([]byte, max(bytes-empty.plain, MinBody))
			for i := range body {
				body[i] = 'x'
			}
			t := newTemplate(s, s.address, body)
			s.countSent(1)
			w.loop.write(s, t.bytes[:t.plain])
		}
		sessions = sessions[n:]
		end := time.Now().Add(drainTimeout)
		alarm := time.AfterFunc(drainTimeout, w.came.Broadcast)
		for w.received < due && time.Now().Before(end) {
			w.came.Wait()
		}
		alarm.Stop()
		if w.received < due {
			return fmt.Errorf("bench: worker: %d long messages did not come back", due-w.received)
		}
	}
	return nil
}
