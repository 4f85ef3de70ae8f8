// SPDX-License-Identifier: Apache-2.0

package bench

// The working part of the relay. A round is load: fill the windows, until the
// end of the warm-up, until the end of the measured time, drain. Between, all
// happens in message, which the loop calls for each body that arrives: check it,
// count it, send the next one.

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	drainTimeout = 15 * time.Second
	stallTimeout = 10 * time.Second // without a delivery in a closed loop
	tendEvery    = 500 * time.Millisecond
)

// shard is a share of a relay's pairs on a loop of their own. During a round
// the loop belongs to load; between rounds a goroutine tends it, for servers
// ask idle sessions too. mu says whose it is.
type shard struct {
	o     RelayOptions
	base  time.Time // stamps count from here
	pairs []*pair

	mu   sync.Mutex
	loop *loop
	stop chan struct{}
	done chan struct{} // closed when tend has ended; nil before it began

	// The rest belongs to whoever holds mu.
	filling  bool // an arrival releases the next message
	broken   error
	received uint64
	latency  histogram
	got      tally
	bad      faults
	turn     int // the pair whose turn it is in an open loop
}

// tally is what a shard saw in the measured time.
type tally struct {
	messages uint64
	wire     int64 // bytes of all sessions, both directions
	seconds  float64
	latency  histogram
}

func (t *tally) add(o *tally) {
	t.messages += o.messages
	t.wire += o.wire
	t.seconds += o.seconds
	t.latency.merge(&o.latency)
}

// plan is the times of a round.
type plan struct {
	start, from, to time.Time
	rate            float64 // messages per second of one shard; 0: closed loop
}

func newPlan(o RelayOptions, shards int) plan {
	now := time.Now()
	return plan{start: now, from: now.Add(o.Warmup), to: now.Add(o.Warmup + o.Duration), rate: o.Rate / float64(shards)}
}

func newShard(o RelayOptions, base time.Time) (*shard, error) {
	l, err := newLoop()
	if err != nil {
		return nil, err
	}
	s := &shard{o: o, base: base, loop: l, stop: make(chan struct{})}
	l.message, l.ended = s.message, s.ended
	return s, nil
}

// take adds a pair to the loop; a session that never logged in is nil.
func (s *shard) take(number int, from, to *session) {
	if from != nil && to != nil {
		s.pairs = append(s.pairs, newPair(number, from, to, s.o.Body))
	}
	for _, x := range []*session{from, to} {
		if x != nil {
			s.loop.add(x)
		}
	}
}

// start begins to tend the loop.
func (s *shard) start() {
	s.done = make(chan struct{})
	go s.tend()
}

// tend answers what servers ask while other targets have their round.
func (s *shard) tend() {
	defer close(s.done)
	t := time.NewTicker(tendEvery)
	defer t.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-t.C:
			s.mu.Lock()
			s.fail(s.loop.turn(0))
			s.mu.Unlock()
		}
	}
}

func (s *shard) close() {
	close(s.stop)
	if s.done != nil {
		<-s.done
	}
	s.loop.leaveAll(true)
	_ = s.loop.close() // nothing is measured any more
}

func (s *shard) fail(err error) {
	if s.broken == nil {
		s.broken = err
	}
}

func (s *shard) ended(x *session, err error) {
	s.fail(fmt.Errorf("session %d: %w", x.index, err))
}

// message takes a body from the loop.
func (s *shard) message(x *session, body []byte, now time.Time) {
	p := x.pair
	if p == nil {
		return // its partner never logged in; that is the fault that is reported
	}
	stamp, ok := p.check(x, body)
	if !ok {
		return
	}
	s.received++
	s.latency.add(now.Sub(s.base) - stamp)
	if s.filling {
		s.send(p, time.Since(s.base))
	}
}

func (s *shard) send(p *pair, stamp time.Duration) {
	askAck := s.o.SM && (int(p.sent)+1)%s.o.AckEvery == 0
	s.loop.write(p.from, p.message(stamp, askAck))
}

// load sends for one round and waits until all has arrived and is acked.
func (s *shard) load(ctx context.Context, plan plan) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got = tally{}
	s.filling = plan.rate == 0
	for i := 0; s.filling && i < s.o.Window; i++ {
		for _, p := range s.pairs {
			s.send(p, time.Since(s.base))
		}
	}
	pace := &pacer{start: plan.start, rate: plan.rate}
	err := s.until(ctx, pace, plan.from)
	s.latency.reset()
	began, messages, wire := time.Now(), s.received, s.wire()
	if err == nil {
		err = s.until(ctx, pace, plan.to)
	}
	s.got.seconds = time.Since(began).Seconds()
	s.got.messages, s.got.wire = s.received-messages, s.wire()-wire
	s.got.latency.merge(&s.latency)
	s.filling = false
	if err == nil {
		err = s.drain(ctx)
	}
	s.bad = faults{}
	for _, p := range s.pairs {
		s.bad.add(p.settleUp())
	}
	return err
}

func (s *shard) wire() (n int64) {
	for _, p := range s.pairs {
		n += p.from.sock.read + p.from.sock.written + p.to.sock.read + p.to.sock.written
	}
	return n
}

// pacer says when messages of an open loop are due.
type pacer struct {
	start time.Time
	rate  float64 // per second; 0: a closed loop
	sent  int
}

// next returns the time at which the next message was due, false when none is due yet.
func (p *pacer) next(now time.Time) (time.Time, bool) {
	if p.rate == 0 {
		return time.Time{}, false
	}
	due := p.start.Add(time.Duration(float64(p.sent) / p.rate * float64(time.Second)))
	if due.After(now) {
		return time.Time{}, false
	}
	p.sent++
	return due, true
}

// until runs the loop up to a moment.
func (s *shard) until(ctx context.Context, pace *pacer, end time.Time) error {
	now := time.Now()
	progress, at := s.received, now
	for now.Before(end) && s.broken == nil {
		wait := 100 * time.Millisecond
		if pace.rate > 0 {
			wait = time.Millisecond
		}
		for due, ok := pace.next(now); ok && s.broken == nil; due, ok = pace.next(now) {
			s.send(s.pairs[s.turn], due.Sub(s.base))
			s.turn = (s.turn + 1) % len(s.pairs)
		}
		if err := s.loop.turn(min(wait, end.Sub(now)+time.Millisecond)); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		now = time.Now()
		if s.received != progress {
			progress, at = s.received, now
		} else if s.filling && now.Sub(at) > stallTimeout {
			return fmt.Errorf("nothing delivered for %s", stallTimeout)
		}
	}
	return s.broken
}

// drain waits until nothing is in flight and all is acked, for a limited time.
func (s *shard) drain(ctx context.Context) error {
	for _, p := range s.pairs {
		if p.from.sm {
			s.loop.write(p.from, []byte(smRequest))
		}
	}
	for end := time.Now().Add(s.o.drain()); time.Now().Before(end) && s.owed() > 0; {
		if err := s.loop.turn(50 * time.Millisecond); err != nil {
			return err
		}
		if s.broken != nil || ctx.Err() != nil {
			return errors.Join(s.broken, ctx.Err())
		}
	}
	return nil
}

// owed is how many messages and acks are still to come.
func (s *shard) owed() (n int) {
	for _, p := range s.pairs {
		n += p.inFlight() + len(p.missing) + p.unacked()
	}
	return n
}
