// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// RestOptions shape the rest workload: rooms or nodes that nobody uses.
type RestOptions struct {
	Place Place         // persistent rooms that everybody has left, or nodes with one item
	Count int           // of them
	Rest  time.Duration // between the last and measuring
}

func (o *RestOptions) check() error {
	if o.Place != Room && o.Place != Node || o.Count < 1 || o.Rest < 0 {
		return errors.New("bench: rest: needs one or more rooms or nodes and no negative rest")
	}
	return nil
}

func (o *RestOptions) String() string {
	if o.Place == Room {
		return fmt.Sprintf("%d persistent rooms that their owner has left, measured %s after the last", o.Count, o.Rest)
	}
	return fmt.Sprintf("%d nodes with an item each, measured %s after the last", o.Count, o.Rest)
}

// Rest measures resident bytes per room or node at rest. A server that serves a
// second round without a restart still has memory of the first.
func (r *Run) Rest(ctx context.Context, targets []Target, o RestOptions) (*Report, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	rep := r.report("rest", o, o.String(), targets)
	for round := range max(r.Rounds, 1) {
		all := make([]*resting, len(targets))
		for i := range targets {
			all[i] = &resting{target: &targets[i]}
			all[i].err = all[i].fill(ctx, r, o)
			r.logf("round %d %s: made %d", round+1, targets[i], all[i].count)
		}
		if err := pause(ctx, o.Rest); err != nil {
			return nil, err
		}
		for i, t := range all {
			s := t.measure(o)
			rep.Results[i].describe(t.target)
			rep.Results[i].add(round, s)
			r.logf("round %d %-18s %s", round+1, targets[i], s)
		}
	}
	return rep, rep.finish()
}

// resting is a target with rooms or nodes that nobody uses.
type resting struct {
	target *Target
	before int64
	count  int
	err    error
}

// restMakers is how many sessions make rooms at a time.
const restMakers = 4

func (m *resting) fill(ctx context.Context, r *Run, o RestOptions) (err error) {
	t := m.target
	if t.Kind != XMPP {
		return fmt.Errorf("%s has neither rooms nor nodes", t.Kind)
	}
	if r.Restart != nil {
		if err := r.Restart(ctx, t); err != nil {
			return err
		}
	}
	if _, err := r.ready(ctx, t, restMakers); err != nil {
		return err
	}
	if t.PID == 0 {
		return errors.New("resident bytes need the server's process number")
	}
	d := newDialer(*t, Session{Timeout: crowdTimeout})
	t.Version = d.version(ctx)
	count := t.share(o.Count)
	if err := d.makeIdle(ctx, o.Place, 0, min(warmLogins, count)); err != nil {
		return err
	}
	if err := settle(ctx, t.PID, calm); err != nil {
		return err
	}
	if m.before, err = resident(t.PID); err != nil {
		return err
	}
	m.count = count
	return errors.Join(d.makeIdle(ctx, o.Place, warmLogins, count), settle(ctx, t.PID, calm))
}

func (m *resting) measure(o RestOptions) (sample Sample) {
	var after int64
	if m.err == nil {
		after, m.err = resident(m.target.PID)
	}
	if m.err != nil {
		sample.Faults = append(sample.Faults, fmt.Sprintf("bench: %s: %v", m.target, m.err))
		return sample
	}
	name := BytesPerRoom
	if o.Place == Node {
		name = BytesPerNode
	}
	sample.set(name, "B", float64(after-m.before)/float64(m.count), false)
	sample.set(Resting, "", float64(m.count), false)
	return sample
}

// makeIdle makes rooms or nodes that nobody uses.
func (d *dialer) makeIdle(ctx context.Context, place Place, first, count int) error {
	makers := restMakers
	if place == Node {
		makers = 1 // the first account: some servers have one that may
	}
	return parallel(ctx, makers, makers, func(i int) error {
		w, err := d.connect(ctx, i)
		if err != nil {
			return err
		}
		defer func() { _ = w.s.sock.Close() }() // all answers have been read
		if err := d.setUp(w); err != nil {
			return err
		}
		from, to := first+count*i/makers, first+count*(i+1)/makers
		if place == Node {
			err = d.idleNodes(w, from, to)
		} else {
			err = d.idleRooms(w, from, to)
		}
		if err == nil {
			w.s.leave()
		}
		return err
	})
}

func (d *dialer) idleRooms(w *wire, from, to int) error {
	for n := from; n < to; n++ {
		room := fmt.Sprintf("idle-%s-%d@%s", d.tag, n, d.target.rooms())
		if err := w.makeRoom(room, 0, "muc#roomconfig_persistentroom", "1"); err != nil {
			return err
		}
		if err := w.s.write([]byte(leaveRequest(room, 0))); err != nil {
			return err
		}
		if _, err := w.await(func(unit []byte) bool {
			return string(localName(unit)) == "presence" && string(attr(unit, "type")) == "unavailable" &&
				strings.HasPrefix(string(attr(unit, "from")), room)
		}); err != nil {
			return fmt.Errorf("leaving %s: %w", room, err)
		}
	}
	return nil
}

func (d *dialer) idleNodes(w *wire, from, to int) error {
	name := func(i int) string { return fmt.Sprintf("idle-%s-%d", d.tag, from+i) }
	if err := w.askAll(d.target.nodes(), "set", to-from, func(i int) string { return createNode(name(i), true) }); err != nil {
		return err
	}
	item := string(newBody(150))
	return w.askAll(d.target.nodes(), "set", to-from, func(i int) string {
		return "<pubsub xmlns='" + nsPubSub + "'><publish node='" + name(i) + "'><item id='current'><data xmlns='urn:stonechat:bench'>" +
			item + "</data></item></publish></pubsub>"
	})
}
