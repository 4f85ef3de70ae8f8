// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// JoinOptions shape the join workload: a room that is empty but for its owner
// is joined by all others at once.
type JoinOptions struct {
	Occupants int
	Patience  time.Duration // until all know of all

	// Live is traffic of bystanders, as in FanOptions.
	Live RelayOptions
}

func (o *JoinOptions) check() error {
	if o.Occupants < 2 || o.Patience <= 0 {
		return errors.New("bench: join: needs two or more occupants and patience")
	}
	if o.Live.Pairs > 0 {
		return o.Live.check()
	}
	return nil
}

func (o *JoinOptions) String() string {
	return fmt.Sprintf("%d occupants join one room at once", o.Occupants) + bystanders(o.Live)
}

// Join measures how long a room needs to let many in at once and to tell each
// of all others, what each of these presences costs, and what bystanders feel.
func (r *Run) Join(ctx context.Context, targets []Target, o JoinOptions) (*Report, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	rep := r.report("join", o, o.String(), targets)
	var open []*joining
	defer func() {
		for _, w := range open {
			w.fan.close()
		}
	}()
	subjects, err := each(ctx, r, rep, targets, func(t *Target) (*joining, error) {
		share := o
		share.Occupants = max(2, t.share(o.Occupants))
		w := &joining{o: share, fan: fan{o: FanOptions{Live: o.Live}, target: t, base: time.Now()}}
		open = append(open, w)
		return w, w.open(ctx, r)
	})
	if err != nil {
		return nil, err
	}
	if err := r.interleave(ctx, rep, subjects); err != nil {
		return nil, err
	}
	return rep, rep.finish()
}

// joining is the workload on one target. Of the fan it has the crowd and the bystanders.
type joining struct {
	fan
	o     JoinOptions
	now   atomic.Pointer[gathering]
	left  sync.WaitGroup // occupants that do not know all yet
	count int64          // of rooms

	retries int // of joins that were told to wait, in this round
}

// gathering is one room while it fills.
type gathering struct {
	room  string
	began time.Time
}

func (w *joining) open(ctx context.Context, r *Run) (err error) {
	if w.target.Kind != XMPP {
		return fmt.Errorf("bench: %s has no rooms", w.target.Kind)
	}
	first := 2 * w.o.Live.Pairs
	if _, err := r.ready(ctx, w.target, first+w.o.Occupants); err != nil {
		return err
	}
	w.live = &relay{o: w.o.Live, target: w.target}
	if w.o.Live.Pairs > 0 {
		if err := w.live.connect(ctx); err != nil {
			return err
		}
	}
	if w.crowd, err = newCrowd(w.target, Session{}, first, w.o.Occupants); err != nil {
		return err
	}
	w.crowd.stanza = w.stanza
	return w.crowd.login(ctx, 0, w.o.Occupants, func(*member, *wire) error { return nil })
}

// stanza counts whom an occupant has heard of.
func (w *joining) stanza(m *member, unit []byte, now time.Time) {
	kind := string(attr(unit, "type"))
	switch {
	case kind == "error" && m.seen == 0 && bytes.Contains(unit, []byte("<error")) && string(attr(unit[bytes.Index(unit, []byte("<error")):], "type")) == "wait":
		m.lane.waiting = append(m.lane.waiting, m) // RFC 6120 §8.3.2: try again
	case kind == "error":
		m.lane.refuse(unit)
	case kind == "result" && m.number == 0:
		w.answered.Add(1)
	}
	if m.saw == nil || kind != "" || string(localName(unit)) != "presence" {
		return
	}
	g := w.now.Load()
	if string(attr(unit, "from")) == g.room {
		return // of the room itself: its avatar
	}
	who, ours := bytes.CutPrefix(attr(unit, "from"), []byte(g.room+"/n"))
	n, err := strconv.Atoi(string(who))
	if !ours || err != nil || n < 0 || n >= w.o.Occupants {
		m.lane.bad.misrouted++
		return
	}
	bit := uint64(1) << (n % 64)
	if m.saw[n/64]&bit != 0 {
		if n != m.number { // the own one may come again when the room is opened
			m.lane.bad.duplicate++
		}
		return
	}
	m.saw[n/64] |= bit
	m.lane.copies++
	if hasStatus(unit, selfStatus) {
		m.lane.latency.add(now.Sub(g.began))
	}
	if m.seen++; m.seen == w.o.Occupants {
		m.saw = nil
		w.left.Done()
	}
}

func (w *joining) round(ctx context.Context) (sample Sample, err error) {
	if w.o.Live.Pairs > 0 {
		if err := w.calm(ctx, &sample); err != nil {
			return sample, err
		}
	}
	if err := w.newRoom(ctx); err != nil {
		return sample, err
	}
	room := w.now.Load().room
	turns, err := w.target.loops(ctx)
	if err != nil {
		return sample, err
	}
	before, err := w.crowd.count(new(histogram))
	if err != nil {
		return sample, err
	}
	w.now.Store(&gathering{room, before.at})
	back := make(chan struct{})
	var felt Sample
	var watching sync.WaitGroup
	watching.Go(func() { felt = w.live.watch(ctx, back) })
	for _, m := range w.crowd.members[1:] {
		w.crowd.write(m, []byte(joinRequest(room, m.number)))
	}
	err = w.awaitAll(ctx)
	latency := new(histogram)
	after, unknown := w.crowd.count(latency)
	close(back)
	watching.Wait()
	err = errors.Join(err, w.target.lag(ctx, &sample, turns))
	for _, m := range w.crowd.members {
		w.crowd.write(m, []byte(leaveRequest(room, m.number)))
	}
	err = errors.Join(err, unknown, settle(ctx, w.target.PID, time.Minute))
	sample.Faults = append(append(sample.Faults, felt.Faults...), w.crowd.settle()...)
	if err != nil {
		return sample, fmt.Errorf("bench: %s: %w", w.target, err)
	}
	n := float64(after.copies - before.copies)
	if w.target.PID != 0 {
		sample.set(CPUPerCopy, "µs", micros(after.server-before.server)/n, false)
	}
	sample.set(JoinSpan, "s", latency.max.Seconds(), false)
	sample.set(ToldSpan, "s", after.at.Sub(before.at).Seconds(), false)
	sample.set(Copies, "/s", n/after.at.Sub(before.at).Seconds(), false)
	sample.set(Retries, "", float64(w.retries), false)
	sample.set(Occupants, "", float64(w.o.Occupants), false)
	sample.Values = append(sample.Values, felt.Values...)
	return sample, nil
}

// newRoom has the owner make the next room. It is told of everybody too.
func (w *joining) newRoom(ctx context.Context) error {
	w.count++
	w.retries = 0
	room := fmt.Sprintf("bench-%s-%d@%s", w.crowd.dialer.tag, w.count, w.target.rooms())
	w.now.Store(&gathering{room, time.Now()})
	w.left.Add(w.o.Occupants)
	w.crowd.each(func(m *member) { m.saw, m.seen = make([]uint64, w.o.Occupants/64+1), 0 })
	owner := w.crowd.members[0]
	w.crowd.write(owner, []byte(joinRequest(room, 0)))
	in := func() (in bool) {
		w.crowd.each(func(m *member) { in = in || m == owner && m.seen > 0 })
		return in
	}
	for end := time.Now().Add(drainTimeout); !in(); {
		if time.Now().After(end) {
			return fmt.Errorf("the owner could not enter %s: %v", room, w.crowd.settle())
		}
		if err := pause(ctx, 5*time.Millisecond); err != nil {
			return err
		}
	}
	// What is an instant room to others waits for no answer: presences come behind it on the same stream.
	w.crowd.write(owner, []byte("<iq type='set' id='config' to='"+room+"'><query xmlns='"+nsMUC+"#owner'>"+form(nil)+"</query></iq>"))
	return w.opened(ctx, room)
}

// opened waits until the owner has been told that the room is open.
func (w *joining) opened(ctx context.Context, room string) error {
	for end := time.Now().Add(drainTimeout); w.answered.Load() < w.count; {
		if time.Now().After(end) {
			return fmt.Errorf("%s was not opened: %v", room, w.crowd.settle())
		}
		if err := pause(ctx, 5*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// awaitAll waits until all know of all.
func (w *joining) awaitAll(ctx context.Context) error {
	all := make(chan struct{})
	go func() { w.left.Wait(); close(all) }()
	patience := time.NewTimer(w.o.Patience)
	defer patience.Stop()
	again := time.NewTicker(joinAgain)
	defer again.Stop()
	var late error
	for waiting := true; waiting; {
		select {
		case <-all:
			return nil
		case <-again.C:
			w.tryAgain()
			continue
		case <-ctx.Done():
			late = ctx.Err()
		case <-patience.C:
		}
		waiting = false
	}
	missing := 0
	w.crowd.each(func(m *member) {
		if m.saw != nil {
			missing += w.o.Occupants - m.seen
			m.saw = nil
			w.left.Done()
		}
	})
	return errors.Join(fmt.Errorf("%d presences of %d have not come after %s", missing, w.o.Occupants*w.o.Occupants, w.o.Patience), late, w.crowd.broken())
}

// joinAgain is how often those that were told to wait try again.
const joinAgain = 200 * time.Millisecond

// tryAgain has those that were told to wait join once more.
func (w *joining) tryAgain() {
	room := w.now.Load().room
	for _, l := range w.crowd.lanes {
		l.mu.Lock()
		due := l.waiting
		l.waiting = nil
		for _, m := range due {
			l.loop.write(m.s, []byte(joinRequest(room, m.number)))
		}
		l.mu.Unlock()
		w.retries += len(due)
	}
}
