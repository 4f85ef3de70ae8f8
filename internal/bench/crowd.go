// SPDX-License-Identifier: Apache-2.0

package bench

// What the workloads of rooms, nodes and archives stand on: login makes the
// members of a crowd, each lane turns a loop of its own, count and settle are
// what a round reads before and after.

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"
)

const (
	crowdLogins  = 32               // at a time
	crowdTimeout = 10 * time.Minute // for a login with all that is prepared in it: thousands of subscriptions on a slow server
	laneWait     = 100 * time.Millisecond
)

// crowd is the sessions that share rooms or nodes, dealt to lanes: one loop per
// core, each turned by a goroutine of its own.
type crowd struct {
	target  *Target
	dialer  *dialer
	first   int // number of the first account
	lanes   []*lane
	members []*member // by account less first; nil until they have logged in

	// stanza takes what a member of an XMPP server receives, body what one of
	// a broker does; both run under the lock of its lane.
	stanza func(m *member, unit []byte, now time.Time)
	body   func(m *member, body []byte, now time.Time)
}

// member is one session of a crowd. What is not fixed at its login is guarded by its lane.
type member struct {
	number int
	s      *session
	lane   *lane
	next   map[uint16]uint32 // by channel: the sequence number that is due
	saw    []uint64          // a bit for each occupant that it has heard of
	seen   int               // of these
}

// lane is a loop and what its members have received.
type lane struct {
	mu   sync.Mutex
	loop *loop
	stop chan struct{}
	done chan struct{}

	broken  error
	copies  uint64
	latency histogram
	bad     faults
	refused []string  // the first errors that came back
	waiting []*member // that were told to try again later
}

func newCrowd(t *Target, s Session, first, count int) (*crowd, error) {
	s.Timeout = crowdTimeout
	c := &crowd{target: t, dialer: newDialer(*t, s), first: first, members: make([]*member, count),
		stanza: func(*member, []byte, time.Time) {}, body: func(*member, []byte, time.Time) {}}
	for range min(runtime.NumCPU(), count) {
		loop, err := newLoop()
		if err != nil {
			return nil, err
		}
		l := &lane{loop: loop, stop: make(chan struct{}), done: make(chan struct{})}
		loop.message = func(s *session, body []byte, now time.Time) { c.body(s.member, body, now) }
		loop.ended = func(s *session, err error) { l.fail(fmt.Errorf("session %d: %w", s.index, err)) }
		c.lanes = append(c.lanes, l)
		go l.run()
	}
	return c, nil
}

// run turns the loop until the crowd is closed.
func (l *lane) run() {
	defer close(l.done)
	for {
		select {
		case <-l.stop:
			return
		default:
		}
		err := l.loop.wait(laneWait)
		l.mu.Lock()
		if err == nil {
			l.loop.handle()
		}
		l.fail(err)
		l.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (l *lane) fail(err error) {
	if l.broken == nil {
		l.broken = err
	}
}

// refuse keeps an error that came back. The caller holds mu.
func (l *lane) refuse(unit []byte) {
	if len(l.refused) < answerFaults {
		l.refused = append(l.refused, fmt.Sprintf("refused: %.300s", unit))
	}
}

// login logs members from … to-1 in. prepare has each do what it wants to have
// done before the loop takes it; what arrives meanwhile is not counted.
func (c *crowd) login(ctx context.Context, from, to int, prepare func(m *member, w *wire) error) error {
	if from == 0 {
		c.target.Version = c.dialer.version(ctx)
	}
	return parallel(ctx, to-from, crowdLogins, func(i int) error {
		m := &member{number: from + i, lane: c.lanes[(from+i)%len(c.lanes)], next: make(map[uint16]uint32)}
		d := *c.dialer
		d.prepare = func(w *wire) error {
			m.s, w.s.member = w.s, m
			err := prepare(m, w)
			if w.s.kind == XMPP {
				w.s.watch = func(unit []byte, now time.Time) { c.stanza(m, unit, now) }
			}
			return err
		}
		s, err := d.login(ctx, c.first+m.number)
		if err != nil {
			return err
		}
		m.lane.mu.Lock()
		defer m.lane.mu.Unlock()
		m.lane.loop.add(s)
		c.members[m.number] = m
		return m.lane.broken
	})
}

// write sends bytes of a member.
func (c *crowd) write(m *member, data []byte) {
	m.lane.mu.Lock()
	defer m.lane.mu.Unlock()
	m.lane.loop.write(m.s, data)
}

// each calls do for every member under the lock of its lane.
func (c *crowd) each(do func(m *member)) {
	for _, l := range c.lanes {
		l.mu.Lock()
		for _, m := range c.members {
			if m != nil && m.lane == l {
				do(m)
			}
		}
		l.mu.Unlock()
	}
}

// count is what the crowd has received and moved so far.
type count struct {
	copies    uint64
	wire      int64
	server    time.Duration
	generator time.Duration
	at        time.Time
}

// count reads the counters. latency is filled with how long what came since the
// last count was under way.
func (c *crowd) count(latency *histogram) (n count, err error) {
	n.at = time.Now()
	for _, l := range c.lanes {
		l.mu.Lock()
		n.copies += l.copies
		latency.merge(&l.latency)
		l.latency.reset()
		l.mu.Unlock()
	}
	c.each(func(m *member) { n.wire += m.s.sock.read + m.s.sock.written })
	if c.target.PID != 0 {
		n.server, err = cpuTime(c.target.PID)
	}
	n.generator, _ = cpuTime(os.Getpid()) // for orientation only
	return n, err
}

// broken says why the crowd cannot go on.
func (c *crowd) broken() error {
	var errs []error
	for _, l := range c.lanes {
		l.mu.Lock()
		errs = append(errs, l.broken)
		l.mu.Unlock()
	}
	return errors.Join(errs...)
}

// settle returns the faults found since the last call and forgets them.
func (c *crowd) settle() (out []string) {
	var bad faults
	for _, l := range c.lanes {
		l.mu.Lock()
		bad.add(l.bad)
		out = append(out, l.refused...)
		l.bad, l.refused = faults{}, nil
		l.mu.Unlock()
	}
	return append(bad.list(), out...)
}

// close ends the sessions and the lanes. A nil crowd is closed.
func (c *crowd) close() {
	if c == nil {
		return
	}
	for _, l := range c.lanes {
		close(l.stop)
	}
	for _, l := range c.lanes {
		<-l.done
		l.loop.leaveAll(true)
		_ = l.loop.close() // nothing is measured any more
	}
}
