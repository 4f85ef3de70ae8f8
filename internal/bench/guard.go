// SPDX-License-Identifier: Apache-2.0

package bench

// How to read this file: Guard has callers ask things something, which the server lets pass since their owner allows it, and ask
// people the same, about whom nothing has to be decided: the difference is what the decision costs. All are sessions of a crowd:
// callers first, then things, then people, and at last the owner.

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// GuardOptions shape the guard workload: requests to things that need a decision, and the same to others.
type GuardOptions struct {
	Pairs    int // of a caller and a thing
	First    int // number of the first account: 3 for each pair, and one
	Window   int // requests under way of each pair
	Warmup   time.Duration
	Duration time.Duration // of measuring, for things and again for people
}

func (o *GuardOptions) check() error {
	if o.Pairs < 1 || o.Pairs > MaxPairs/4 || o.First < 0 || o.Window < 1 || o.Window > 1000 || o.Duration <= 0 || o.Warmup < 0 {
		return errors.New("bench: guard: needs pairs, 1 to 1000 requests under way and a duration")
	}
	return nil
}

func (o *GuardOptions) String() string {
	return fmt.Sprintf("%d pairs, %d in flight, %s measured per round, of things and again of people", o.Pairs, o.Window, o.Duration)
}

const (
	nsSensorData = "urn:xmpp:iot:sensordata"
	nsDiscovery  = "urn:xmpp:iot:discovery"
)

// Guard measures what it costs to decide whether somebody may ask a thing.
func (r *Run) Guard(ctx context.Context, targets []Target, o GuardOptions) (*Report, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	rep := r.report("guard", o, o.String(), targets)
	var open []*guarding
	defer func() {
		for _, g := range open {
			g.crowd.close()
		}
	}()
	subjects, err := each(ctx, r, rep, targets, func(t *Target) (*guarding, error) {
		g := &guarding{o: o, target: t, asked: make([]string, 2*o.Pairs)}
		if t.Kind != XMPP {
			return nil, fmt.Errorf("bench: guard: %s has no things", t.Kind)
		}
		if _, err := r.ready(ctx, t, o.First+3*o.Pairs+1); err != nil {
			return nil, err
		}
		open = append(open, g)
		return g, g.open(ctx)
	})
	if err != nil {
		return nil, err
	}
	if err := r.interleave(ctx, rep, subjects); err != nil {
		return nil, err
	}
	return rep, rep.finish()
}

// guarding is the workload on one target.
type guarding struct {
	o       GuardOptions
	target  *Target
	crowd   *crowd
	asked   []string       // full addresses of the things, and behind them of the people
	heard   chan string    // what the service says to the owner
	begun   time.Time      // of the phase
	from    atomic.Int64   // what the callers ask: 0 things, Pairs people; less: nothing
	flying  sync.WaitGroup // requests under way
	friends atomic.Int64
}

func (g *guarding) service() string { return "things." + g.target.Domain }

// open logs all in, and has the things registered, claimed, and opened to their callers.
func (g *guarding) open(ctx context.Context) (err error) {
	n := g.o.Pairs
	if g.crowd, err = newCrowd(g.target, Session{Presence: true, Roster: true}, g.o.First, 3*n+1); err != nil {
		return err
	}
	g.crowd.stanza = g.stanza
	g.from.Store(-1)
	g.heard = make(chan string, 16)
	key := strings.ToLower(rand.Text())
	tags := func(i int) string {
		return fmt.Sprintf("<str name='SN' value='%s'/><str name='KEY' value='%s-%d'/>", g.name(n+i), key, i)
	}
	err = g.crowd.login(ctx, 0, 3*n, func(m *member, w *wire) error {
		i := m.number - n
		if i < 0 {
			return nil
		}
		g.asked[i] = w.s.address
		if i >= n {
			return nil
		}
		_, err := w.askTo(g.service(), "register", "set", "<register xmlns='"+nsDiscovery+"'>"+tags(i)+"</register>")
		return err
	})
	if err != nil {
		return err
	}
	if err := g.crowd.login(ctx, 3*n, 3*n+1, func(_ *member, w *wire) error {
		return w.askAll(g.service(), "set", n, func(i int) string { return "<mine xmlns='" + nsDiscovery + "'>" + tags(i) + "</mine>" })
	}); err != nil {
		return err
	}
	for i := range n {
		if err := g.allow(ctx, i); err != nil {
			return err
		}
	}
	return g.befriend(ctx)
}

// befriend has callers see the presence of the people: strangers' requests are not for them.
func (g *guarding) befriend(ctx context.Context) error {
	g.crowd.each(func(m *member) {
		if m.number < g.o.Pairs {
			person, _, _ := strings.Cut(g.asked[g.o.Pairs+m.number], "/")
			m.lane.loop.write(m.s, []byte("<presence type='subscribe' to='"+person+"'/>"))
		}
	})
	if err := await(ctx, drainTimeout, func() bool { return g.friends.Load() >= int64(g.o.Pairs) }); err != nil {
		return fmt.Errorf("bench: guard: %d callers see whom they ask: %w", g.friends.Load(), errors.Join(err, g.crowd.broken()))
	}
	return nil
}

func (g *guarding) name(n int) string { return g.crowd.dialer.target.Accounts.name(g.o.First + n) }

// allow has the owner say that a caller may read his thing.
func (g *guarding) allow(ctx context.Context, i int) error {
	said := fmt.Sprintf("allow %s@%s to read %s@%s", g.name(i), g.target.Domain, g.name(g.o.Pairs+i), g.target.Domain)
	g.crowd.write(g.crowd.members[3*g.o.Pairs], []byte("<message type='chat' to='"+g.service()+"' id='allow'><body>"+said+"</body></message>"))
	late := time.NewTimer(drainTimeout)
	defer late.Stop()
	for {
		select {
		case answer := <-g.heard:
			if strings.Contains(answer, " may ") {
				return nil
			}
			if !strings.Contains(answer, "yours") { // that he has claimed it
				return fmt.Errorf("bench: guard: %q is answered with %q", said, answer)
			}
		case <-late.C:
			return fmt.Errorf("bench: guard: %q is not answered (modules.registry.messages_per_minute?): %v", said, g.crowd.broken())
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// stanza takes what any of them receives; its lane's lock is held.
func (g *guarding) stanza(m *member, unit []byte, now time.Time) {
	kind := string(attr(unit, "type"))
	switch {
	case kind == "subscribe":
		m.lane.loop.write(m.s, []byte("<presence type='subscribed' to='"+string(attr(unit, "from"))+"'/>"))
	case kind == "subscribed":
		g.friends.Add(1)
	case m.number == 3*g.o.Pairs:
		if body := inner(unit, "body"); body != nil && bytes.HasPrefix(attr(unit, "from"), []byte("things.")) {
			select {
			case g.heard <- string(body):
			default: // nobody waits for so much
			}
		}
	case m.number < g.o.Pairs && string(localName(unit)) == "iq" && (kind == "result" || kind == "error"):
		stamp, err := strconv.ParseInt(string(attr(unit, "id")), 16, 64)
		if err != nil {
			return // of its login
		}
		if kind == "error" {
			m.lane.refuse(unit)
		} else {
			m.lane.copies++
		}
		m.lane.latency.add(now.Sub(g.begun.Add(time.Duration(stamp))))
		if from := g.from.Load(); from >= 0 {
			g.request(m, int(from), now)
			return
		}
		g.flying.Done()
	}
}

// request has a caller ask. His lane's lock is held.
func (g *guarding) request(m *member, from int, now time.Time) {
	m.lane.loop.write(m.s, []byte("<iq type='get' to='"+g.asked[from+m.number]+"' id='"+strconv.FormatInt(int64(now.Sub(g.begun)), 16)+
		"'><req xmlns='"+nsSensorData+"' seqnr='1' momentary='true'><field name='water'/></req></iq>"))
}

func (g *guarding) round(ctx context.Context) (sample Sample, err error) {
	var cpu [2]float64
	for i, from := range []int{0, g.o.Pairs} {
		used, latency, err := g.phase(ctx, from)
		sample.Faults = append(sample.Faults, g.crowd.settle()...)
		if err != nil {
			return sample, fmt.Errorf("bench: %s: %w", g.target, err)
		}
		cpu[i] = used
		sample.set([]string{GuardedP99, UnguardedP99}[i], "ms", micros(latency.quantile(.99))/1000, false)
	}
	if g.target.PID != 0 {
		sample.set(CPUPerGuarded, "µs", cpu[0], false)
		sample.set(CPUPerUnguarded, "µs", cpu[1], false)
		sample.set(CPUPerDecision, "µs", cpu[0]-cpu[1], false)
	}
	return sample, nil
}

// phase has all callers ask, and returns the server's CPU time per request in microseconds.
func (g *guarding) phase(ctx context.Context, from int) (perRequest float64, latency *histogram, err error) {
	g.begun = time.Now()
	g.from.Store(int64(from))
	g.flying.Add(g.o.Pairs * g.o.Window)
	g.crowd.each(func(m *member) {
		for i := 0; m.number < g.o.Pairs && i < g.o.Window; i++ {
			g.request(m, from, time.Now())
		}
	})
	latency = new(histogram)
	err = pause(ctx, g.o.Warmup)
	before, unknown := g.crowd.count(new(histogram))
	err = errors.Join(err, unknown, pause(ctx, g.o.Duration))
	after, unknown := g.crowd.count(latency)
	g.from.Store(-1)
	landed := make(chan struct{})
	go func() { g.flying.Wait(); close(landed) }()
	select {
	case <-landed:
	case <-time.After(drainTimeout):
		return 0, nil, fmt.Errorf("requests were not answered after %s: %w", drainTimeout, errors.Join(err, g.crowd.broken()))
	}
	if err = errors.Join(err, unknown, g.crowd.broken()); err != nil {
		return 0, nil, err
	}
	if after.copies == before.copies {
		return 0, nil, errNothing
	}
	return micros(after.server-before.server) / float64(after.copies-before.copies), latency, nil
}
