// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// IdleOptions shape the idle workload: sessions that log in and stay silent.
type IdleOptions struct {
	Sessions int
	Session  Session
	Record   int           // then each sends one message of so many bytes to itself, 0: none
	Rest     time.Duration // between the last login (or message) and measuring
}

const (
	warmLogins = 20 // before the value that is subtracted is taken: code is loaded by then
	calm       = 10 * time.Second
)

func (o *IdleOptions) check() error {
	if o.Sessions < 1 || o.Record < 0 || o.Record > 200_000 || o.Rest < 0 {
		return errors.New("bench: idle: needs 1 or more sessions, records of 0 to 200000 bytes and no negative rest")
	}
	return nil
}

func (o *IdleOptions) String() string {
	s := fmt.Sprintf("%d sessions, measured %s after the last login", o.Sessions, o.Rest)
	if o.Session.Roster {
		s += ", roster fetched"
	}
	if o.Session.SM {
		s += ", stream management on"
	}
	if o.Session.Presence {
		s += ", presence sent"
	}
	if o.Record > 0 {
		s += fmt.Sprintf("; and again after each sent a message of %d bytes", o.Record)
	}
	return s
}

// Idle measures resident bytes per session. All targets rest at the same time.
// A server that serves a second round without a restart still has memory of
// the first: without Run.Restart one round says most.
func (r *Run) Idle(ctx context.Context, targets []Target, o IdleOptions) (*Report, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	rep := r.report("idle", o, o.String(), targets)
	for round := range max(r.Rounds, 1) {
		holds := make([]*hold, len(targets))
		for i := range targets {
			holds[i] = r.newHold(ctx, targets[i], o.Session, 0, o.Sessions)
			r.logf("round %d %s: %d sessions in %.0f s", round+1, targets[i], o.Sessions, holds[i].took.Seconds())
		}
		err := idleRound(ctx, holds, o)
		for i, h := range holds {
			rep.Results[i].describe(&h.target)
			h.close()
			if h.err != nil {
				h.sample.Faults = append(h.sample.Faults, h.err.Error())
			}
			rep.Results[i].add(round, h.sample)
			r.logf("round %d %-18s %s", round+1, h.target, h.sample)
		}
		if err != nil {
			return nil, err
		}
	}
	return rep, rep.finish()
}

func idleRound(ctx context.Context, holds []*hold, o IdleOptions) error {
	if err := pause(ctx, o.Rest); err != nil {
		return err
	}
	for _, h := range holds {
		h.measure(BytesPerIdle)
	}
	if o.Record == 0 {
		return nil
	}
	for _, h := range holds {
		if h.err == nil && h.target.Kind != Raw {
			h.err = h.fleet.record(o.Record)
		}
	}
	if err := pause(ctx, o.Rest); err != nil {
		return err
	}
	for _, h := range holds {
		if h.target.Kind != Raw {
			h.measure(BytesAfterRecord)
		}
	}
	return nil
}

// hold is a fleet connected to one target whose memory is known from before.
// After an error its other methods do nothing.
type hold struct {
	target Target
	raw    *child
	fleet  *fleet
	before int64
	took   time.Duration // to connect
	sample Sample
	err    error
}

// newHold restarts the target where the run can, and connects the sessions.
func (r *Run) newHold(ctx context.Context, t Target, s Session, first, count int) *hold {
	h := &hold{target: t}
	h.err = h.connect(ctx, r, s, first, count)
	return h
}

func (h *hold) connect(ctx context.Context, r *Run, s Session, first, count int) (err error) {
	if h.target.Kind != Raw && r.Restart != nil {
		if err := r.Restart(ctx, &h.target); err != nil {
			return err
		}
	}
	if h.raw, err = r.ready(ctx, &h.target, first+count); err != nil {
		return err
	}
	h.target.Version = newDialer(h.target, Session{}).version(ctx)
	if h.before, err = r.warmed(ctx, &h.target, s, first, count); err != nil {
		return err
	}
	if h.fleet, err = r.newFleet(ctx, h.target, s, first, count); err != nil {
		return err
	}
	began := time.Now()
	_, err = h.fleet.connect(connecting, 0)
	h.took = time.Since(began)
	return err
}

// warmed is the resident bytes of a server that some sessions have come to, and left: first and its next.
func (r *Run) warmed(ctx context.Context, t *Target, s Session, first, count int) (int64, error) {
	if t.PID == 0 {
		return 0, fmt.Errorf("bench: %s: resident bytes need the server's process number", t)
	}
	warm, err := r.newFleet(ctx, *t, s, first, min(warmLogins, count))
	if err != nil {
		return 0, err
	}
	if _, err := warm.connect(connecting, 0); err != nil {
		return 0, errors.Join(err, warm.close())
	}
	if err := errors.Join(warm.drop(true), warm.close(), settle(ctx, t.PID, calm)); err != nil {
		return 0, err
	}
	return resident(t.PID)
}

// measure adds the resident bytes per session to the sample.
func (h *hold) measure(name string) { h.measureOver(name, 0) }

// measureOver counts sessions that the hold did not connect as well; as they do
// something else the figure does not compare.
func (h *hold) measureOver(name string, others int) {
	if h.err != nil {
		return
	}
	now, err := resident(h.target.PID)
	if err = errors.Join(err, h.fleet.missing()); err != nil {
		h.err = err
		return
	}
	h.sample.set(name, "B", float64(now-h.before)/float64(h.fleet.count+others), others == 0)
}

// close ends the sessions with a farewell; the server has a moment to tidy up.
func (h *hold) close() {
	var err error
	if h.fleet != nil {
		err = errors.Join(h.fleet.drop(true), h.fleet.close())
	}
	if err = errors.Join(err, h.raw.stop()); h.err == nil {
		h.err = err
	}
}
