// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// StormOptions shape the reconnect storm: all sessions lose their connection at
// once, without a farewell, and all log in again at once. With Run.Restart it is
// the server that goes, and comes back.
type StormOptions struct {
	Sessions int
	Session  Session
	Parallel int           // logins under way at a time; 0: all of them
	Patience time.Duration // how long a session tries again, half a second to one and a half after each failure

	// Live is traffic of sessions that come first and talk while all others log
	// in: Live.Pairs of them, Live.Rate messages per second in all, in slices of
	// Live.Duration. No pairs: none.
	Live RelayOptions
}

func (o *StormOptions) check() error {
	if o.Sessions < 1 || o.Parallel < 0 || o.Patience <= 0 {
		return errors.New("bench: storm: needs sessions and patience")
	}
	if o.Live.Pairs > 0 {
		return o.Live.check()
	}
	return nil
}

func (o *StormOptions) String() string {
	width := o.Parallel
	if width == 0 {
		width = o.Sessions
	}
	s := fmt.Sprintf("%d sessions dropped, %d logins at a time", o.Sessions, width)
	if o.Live.Pairs > 0 {
		s += fmt.Sprintf("; beside them %d pairs, %s messages/s", o.Live.Pairs, number(o.Live.Rate))
	}
	return s
}

// Storm measures how long a server needs until all of its sessions are back,
// and what those that are there feel of it.
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
		w := &storm{run: r, o: o, target: t}
		open = append(open, w)
		return w, w.connect(ctx)
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
	run    *Run
	o      StormOptions
	target *Target
	raw    *child
	fleet  *fleet
}

// connect logs all in, gently. The first accounts are those of the live traffic.
func (w *storm) connect(ctx context.Context) (err error) {
	first := 2 * w.o.Live.Pairs
	if w.raw, err = w.run.ready(ctx, w.target, first+w.o.Sessions); err != nil {
		return err
	}
	w.target.Version = newDialer(*w.target, Session{}).version(ctx)
	if w.fleet, err = w.run.newFleet(ctx, *w.target, w.o.Session, first, w.o.Sessions); err != nil {
		return err
	}
	_, err = w.fleet.connect(connecting, 0)
	return err
}

func (w *storm) round(ctx context.Context) (sample Sample, err error) {
	if err := w.fleet.missing(); err != nil {
		return sample, err
	}
	if err := w.cut(ctx); err != nil {
		return sample, err
	}
	live := &relay{o: w.o.Live, target: w.target}
	defer live.close()
	if w.o.Live.Pairs > 0 {
		if err := live.connect(ctx); err != nil {
			return sample, err
		}
	}
	before, unknown := cpuTime(w.target.PID)
	began := time.Now()
	var a answer
	var failed error
	back := make(chan struct{})
	go func() {
		defer close(back)
		a, failed = w.fleet.connect(w.width(), w.o.Patience)
	}()
	felt := live.watch(ctx, back)
	<-back
	span := time.Since(began)
	if err := errors.Join(failed, settle(ctx, w.target.PID, calm)); err != nil {
		return sample, err
	}
	sample.Faults = felt.Faults
	sample.set(RecoverySpan, "s", span.Seconds(), false)
	sample.set(LatencyP50, "ms", micros(a.Login.quantile(.5))/1000, false)
	sample.set(LatencyP99, "ms", micros(a.Login.quantile(.99))/1000, false)
	sample.set(LatencyMax, "ms", micros(a.Login.max)/1000, false)
	sample.set(Retries, "", float64(a.Retries), false)
	sample.Values = append(sample.Values, felt.Values...)
	if w.target.PID != 0 && w.o.Live.Pairs == 0 {
		after, err := cpuTime(w.target.PID)
		if err := errors.Join(unknown, err); err != nil {
			return sample, err
		}
		sample.set(CPUPerLogin, "ms", micros(after-before)/float64(w.o.Sessions)/1000, true)
	}
	return sample, nil
}

func (w *storm) width() int {
	if w.o.Parallel > 0 {
		return w.o.Parallel
	}
	return w.o.Sessions
}

// cut makes all sessions lose their connection.
func (w *storm) cut(ctx context.Context) error {
	if w.run.Restart == nil || w.target.Kind == Raw {
		return w.fleet.drop(false)
	}
	if err := w.run.Restart(ctx, w.target); err != nil {
		return err
	}
	return w.fleet.drop(false) // what has not noticed yet
}

// watch has the live traffic go on until all are back. Its figures are those of the worst slice.
func (r *relay) watch(ctx context.Context, back <-chan struct{}) (felt Sample) {
	if r.o.Pairs == 0 {
		return felt
	}
	worst := make(map[string]float64)
	for {
		select {
		case <-back:
			felt.set(BystanderP50, "ms", worst[LatencyP50], false)
			felt.set(BystanderP99, "ms", worst[LatencyP99], false)
			felt.set(BystanderMax, "ms", worst[LatencyMax], false)
			return felt
		default:
		}
		s, err := r.slice(ctx)
		felt.Faults = append(felt.Faults, s.Faults...)
		if err != nil {
			felt.Faults = append(felt.Faults, err.Error())
			<-back
			return felt
		}
		for _, v := range s.Values {
			worst[v.Name] = max(worst[v.Name], v.Value)
		}
	}
}

// slice is a round in which it may be that nothing arrives: what was under way took longer than it.
func (r *relay) slice(ctx context.Context) (Sample, error) {
	s, err := r.round(ctx)
	if errors.Is(err, errNothing) {
		for _, name := range []string{LatencyP50, LatencyP99, LatencyMax} {
			s.set(name, "ms", micros(r.o.Duration)/1000, false)
		}
		err = nil
	}
	return s, err
}
