// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"
)

// perWorker is how many sessions one worker holds: below the 20,000
// descriptors that a process often is limited to.
const perWorker = 9500

// fleet is many sessions of one target, held by workers.
type fleet struct {
	target  Target
	count   int
	workers []*child
	release func() bool // ends the watch over the context
}

// newFleet starts the workers for sessions first … first+count-1; nothing is
// connected yet. When ctx ends the workers are killed.
func (r *Run) newFleet(ctx context.Context, t Target, s Session, first, count int) (*fleet, error) {
	f := &fleet{target: t, count: count}
	n := (count + perWorker - 1) / perWorker
	for i := range n {
		c, err := startChild(r.Self, "worker")
		if err != nil {
			return nil, errors.Join(err, f.close())
		}
		f.workers = append(f.workers, c)
		from, to := first+count*i/n, first+count*(i+1)/n
		if _, err := c.order(order{Do: "open", Target: t, Session: s, First: from, Count: to - from}); err != nil {
			return nil, errors.Join(err, f.close())
		}
	}
	f.release = context.AfterFunc(ctx, func() {
		for _, c := range f.workers {
			_ = c.cmd.Process.Kill() // it may have ended by itself
		}
	})
	return f, nil
}

// order gives a worker an order and waits for its answer.
func (c *child) order(o order) (answer, error) {
	var a answer
	if err := json.NewEncoder(c.stdin).Encode(o); err != nil {
		return a, fmt.Errorf("bench: worker: %w", err)
	}
	if c.answers == nil {
		c.answers = json.NewDecoder(c.out)
	}
	if err := c.answers.Decode(&a); err != nil {
		return a, fmt.Errorf("bench: worker: %w", err)
	}
	if a.Err != "" {
		return a, errors.New(a.Err)
	}
	return a, nil
}

// all gives every worker the same order at once and sums the answers.
func (f *fleet) all(o order) (answer, error) {
	answers := make([]answer, len(f.workers))
	errs := make([]error, len(f.workers))
	var wg sync.WaitGroup
	for i, c := range f.workers {
		wg.Go(func() { answers[i], errs[i] = c.order(o) })
	}
	wg.Wait()
	sum := answer{Login: new(histogram), Things: newThingsAnswer()}
	for _, a := range answers {
		sum.Alive += a.Alive
		sum.Retries += a.Retries
		sum.Faults = append(sum.Faults, a.Faults...)
		if a.Login != nil {
			sum.Login.merge(a.Login)
		}
		if a.Things != nil {
			sum.Things.add(a.Things)
		}
	}
	return sum, errors.Join(errs...)
}

// connect logs in what is not connected; width logins run at a time.
func (f *fleet) connect(width int, patience time.Duration) (answer, error) {
	a, err := f.all(order{Do: "connect", Parallel: max(1, width/len(f.workers)), Patience: patience})
	if err == nil && a.Alive < f.count {
		err = fmt.Errorf("bench: %s: %d of %d sessions could not log in: %v", f.target, f.count-a.Alive, f.count, a.Faults)
	}
	return a, err
}

// missing says which sessions were lost since they connected, nil when none were.
func (f *fleet) missing() error {
	a, err := f.all(order{Do: "alive"})
	if err == nil && a.Alive < f.count {
		err = fmt.Errorf("bench: %s: %d of %d sessions were lost: %v", f.target, f.count-a.Alive, f.count, a.Faults)
	}
	return err
}

func (f *fleet) drop(polite bool) error {
	_, err := f.all(order{Do: "drop", Polite: polite})
	return err
}

func (f *fleet) record(bytes int) error {
	_, err := f.all(order{Do: "record", Bytes: bytes})
	return err
}

// close ends the workers, and with them their sessions. A nil fleet is closed.
func (f *fleet) close() error {
	if f == nil {
		return nil
	}
	if f.release != nil && !f.release() {
		for _, c := range f.workers {
			_ = c.stop() // killed: there is nothing to learn
		}
		return nil
	}
	var errs []error
	for _, c := range f.workers {
		errs = append(errs, c.stop())
	}
	return errors.Join(errs...)
}
