// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// StormOptions shape the reconnect storm: all sessions lose their connection at
// once, without a farewell, and all log in again at once.
type StormOptions struct {
	Sessions int
	Session  Session
	Parallel int           // logins under way at a time; 0: all of them
	Patience time.Duration // how long a session tries again, half a second to one and a half after each failure
}

func (o *StormOptions) check() error {
	if o.Sessions < 1 || o.Parallel < 0 || o.Patience <= 0 {
		return errors.New("bench: storm: needs sessions and patience")
	}
	return nil
}

func (o *StormOptions) String() string {
	width := o.Parallel
	if width == 0 {
		width = o.Sessions
	}
	return fmt.Sprintf("%d sessions dropped, %d logins at a time", o.Sessions, width)
}

// Storm measures how long a server needs until all of its sessions are back.
func (r *Run) Storm(ctx context.Context, targets []Target, o StormOptions) (*Report, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	rep := r.report("storm", o, o.String(), targets)
	var open []*storm
	defer func() {
		for _, w := range open {
			// The rounds are over; how these end changes nothing.
			_, _ = w.fleet.close(), w.raw.stop()
		}
	}()
	subjects, err := each(ctx, r, rep, targets, func(t *Target) (*storm, error) {
		w := &storm{o: o, target: t}
		open = append(open, w)
		return w, w.connect(ctx, r)
	})
	if err != nil {
		return nil, err
	}
	if err := r.interleave(ctx, rep, subjects); err != nil {
		return nil, err
	}
	return rep, rep.finish()
}

type storm struct {
	o      StormOptions
	target *Target
	raw    *child
	fleet  *fleet
}

func (w *storm) connect(ctx context.Context, r *Run) (err error) {
	if w.raw, err = r.ready(ctx, w.target, w.o.Sessions); err != nil {
		return err
	}
	w.target.Version = newDialer(*w.target, Session{}).version(ctx)
	if w.fleet, err = r.newFleet(ctx, *w.target, w.o.Session, 0, w.o.Sessions); err != nil {
		return err
	}
	_, err = w.fleet.connect(connecting, 0)
	return err
}

func (w *storm) round(ctx context.Context) (Sample, error) {
	var sample Sample
	if err := w.fleet.missing(); err != nil {
		return sample, err
	}
	before, unknown := cpuTime(w.target.PID)
	began := time.Now()
	if err := w.fleet.drop(false); err != nil {
		return sample, err
	}
	width := w.o.Parallel
	if width == 0 {
		width = w.o.Sessions
	}
	a, err := w.fleet.connect(width, w.o.Patience)
	span := time.Since(began)
	if err != nil {
		return sample, err
	}
	if err := settle(ctx, w.target.PID, calm); err != nil {
		return sample, err
	}
	sample.set(RecoverySpan, "s", span.Seconds(), false)
	sample.set(LatencyP50, "ms", micros(a.Login.quantile(.5))/1000, false)
	sample.set(LatencyP99, "ms", micros(a.Login.quantile(.99))/1000, false)
	sample.set(LatencyMax, "ms", micros(a.Login.max)/1000, false)
	sample.set(Retries, "", float64(a.Retries), false)
	if w.target.PID != 0 {
		after, err := cpuTime(w.target.PID)
		if err := errors.Join(unknown, err); err != nil {
			return sample, err
		}
		sample.set(CPUPerLogin, "ms", micros(after-before)/float64(w.o.Sessions)/1000, true)
	}
	return sample, nil
}
