// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// LoginOptions shape the login workload: connect, encrypt, authenticate, bind,
// leave, and again.
type LoginOptions struct {
	Parallel int // logins at a time
	Accounts int // that they use in turn
	Session  Session
	Duration time.Duration // of each round
}

func (o *LoginOptions) check() error {
	if o.Parallel < 1 || o.Accounts < o.Parallel || o.Duration <= 0 {
		return errors.New("bench: login: needs at least as many accounts as logins at a time, and a duration")
	}
	return nil
}

func (o *LoginOptions) String() string {
	return fmt.Sprintf("%d at a time over new connections, %d accounts, %s per round", o.Parallel, o.Accounts, o.Duration)
}

// Login measures what a login costs: TCP, TLS without resumption, SASL, bind
// and leaving again. MQTT logs in without a password.
func (r *Run) Login(ctx context.Context, targets []Target, o LoginOptions) (*Report, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	rep := r.report("login", o, o.String(), targets)
	var raws []*child
	defer func() {
		for _, c := range raws {
			_ = c.stop() // nothing is measured any more
		}
	}()
	subjects, err := each(ctx, r, rep, targets, func(t *Target) (*logins, error) {
		raw, err := r.ready(ctx, t, o.Accounts)
		if err != nil {
			return nil, err
		}
		raws = append(raws, raw)
		w := &logins{o: o, target: t, dialer: newDialer(*t, o.Session)}
		t.Version = w.dialer.version(ctx)
		// Each account once, which also derives the keys.
		return w, parallel(ctx, o.Accounts, o.Parallel, func(i int) error { return w.once(ctx, i) })
	})
	if err != nil {
		return nil, err
	}
	if err := r.interleave(ctx, rep, subjects); err != nil {
		return nil, err
	}
	return rep, rep.finish()
}

type logins struct {
	o      LoginOptions
	target *Target
	dialer *dialer
}

// once logs in and leaves.
func (w *logins) once(ctx context.Context, account int) error {
	s, err := w.dialer.login(ctx, account)
	if err != nil {
		return err
	}
	err = s.write(s.farewell())
	if s.tls != nil {
		err = errors.Join(err, s.tls.Close())
	} else {
		err = errors.Join(err, s.sock.Close())
	}
	if err != nil {
		return fmt.Errorf("bench: %s: leaving: %w", w.target, err)
	}
	return nil
}

func (w *logins) round(ctx context.Context) (Sample, error) {
	var sample Sample
	var before time.Duration
	var err error
	if w.target.PID != 0 {
		if err = settle(ctx, w.target.PID, calm); err != nil {
			return sample, err
		}
		if before, err = cpuTime(w.target.PID); err != nil {
			return sample, err
		}
	}
	own, _ := cpuTime(os.Getpid()) // for orientation only
	began := time.Now()
	end := began.Add(w.o.Duration)
	latencies := make([]histogram, w.o.Parallel)
	errs := make([]error, w.o.Parallel)
	var wg sync.WaitGroup
	for k := range w.o.Parallel {
		wg.Go(func() {
			// Each has its share of the accounts: two sessions of one would
			// replace each other.
			first, last := w.o.Accounts*k/w.o.Parallel, w.o.Accounts*(k+1)/w.o.Parallel
			for i := 0; time.Now().Before(end) && errs[k] == nil; i++ {
				at := time.Now()
				errs[k] = w.once(ctx, first+i%(last-first))
				latencies[k].add(time.Since(at))
			}
		})
	}
	wg.Wait()
	elapsed := time.Since(began)
	if err := errors.Join(errs...); err != nil {
		return sample, err
	}
	var all histogram
	for k := range latencies {
		all.merge(&latencies[k])
	}
	n := float64(all.n)
	after, _ := cpuTime(os.Getpid())
	if w.target.PID != 0 {
		// The end of the last sessions belongs to their logins.
		if err := settle(ctx, w.target.PID, calm); err != nil {
			return sample, err
		}
		now, err := cpuTime(w.target.PID)
		if err != nil {
			return sample, err
		}
		sample.set(CPUPerLogin, "ms", micros(now-before)/n/1000, true)
	}
	sample.set(Logins, "/s", n/elapsed.Seconds(), false)
	sample.set(LatencyP50, "ms", micros(all.quantile(.5))/1000, false)
	sample.set(LatencyP99, "ms", micros(all.quantile(.99))/1000, false)
	sample.set(GeneratorCPU, "ms", micros(after-own)/n/1000, false)
	return sample, nil
}
