// SPDX-License-Identifier: Apache-2.0

package bench

// How to read this file: Robots measures how long it takes until all robots of a room have heard "stop". They are things of the
// SDK, and so is their foreman a client of it; both are in one worker process (robots), whose clock is the only one. Round after
// round he says the word, and each robot notes when its Stop was called.

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stonechat-im/stonechat/client"
	"github.com/stonechat-im/stonechat/thing"
	forms "github.com/stonechat-im/stonechat/xmpp/form"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/muc"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// RobotsOptions shape the robots workload: things in a room that are all stopped at once, again and again.
type RobotsOptions struct {
	Robots int
	First  int           // number of the first account
	Every  time.Duration // from one reading of a robot to its next, told to the foreman meanwhile
	Stops  int           // of a round
}

const (
	partRobots = "robots"
	maxRobots  = 1000
	maxStops   = 1000
	stopTime   = 30 * time.Second // for a robot to hear it
)

func (o *RobotsOptions) check() error {
	if o.Robots < 1 || o.First < 0 || o.Robots > maxRobots || o.Stops < 1 || o.Stops > maxStops || o.Every <= 0 {
		return fmt.Errorf("bench: robots: needs 1 to %d robots that tell readings, and 1 to %d stops", maxRobots, maxStops)
	}
	return nil
}

func (o *RobotsOptions) String() string {
	return fmt.Sprintf("%d robots in a room, each telling a reading every %s, are stopped %d times per round", o.Robots, o.Every, o.Stops)
}

// Robots measures an emergency stop. The foreman has the account behind those of the robots.
func (r *Run) Robots(ctx context.Context, targets []Target, o RobotsOptions) (*Report, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	rep := r.report("robots", o, o.String(), targets)
	var open []*cell
	defer func() {
		for _, c := range open {
			_ = c.worker.stop() // nothing is measured any more
		}
	}()
	subjects, err := each(ctx, r, rep, targets, func(t *Target) (*cell, error) {
		if t.Kind != XMPP {
			return nil, fmt.Errorf("bench: robots: %s has no rooms", t.Kind)
		}
		if _, err := r.ready(ctx, t, o.First+o.Robots+1); err != nil {
			return nil, err
		}
		t.Version = newDialer(*t, Session{}).version(ctx)
		c := &cell{target: t}
		var err error
		if c.worker, err = startChild(r.Self, "worker"); err != nil {
			return nil, err
		}
		c.worker.endWith(ctx)
		open = append(open, c)
		_, err = c.order(thingsOrder{Part: partRobots, Options: ThingsOptions{Things: o.Robots, Owners: 1, Every: o.Every}, First: o.First, Count: o.Robots})
		if err == nil {
			_, err = c.order(thingsOrder{Do: "start"})
		}
		c.stops = o.Stops
		return c, err
	})
	if err != nil {
		return nil, err
	}
	if err := r.interleave(ctx, rep, subjects); err != nil {
		return nil, err
	}
	return rep, rep.finish()
}

// cell is the workload on one target.
type cell struct {
	target *Target
	worker *child
	stops  int
}

func (c *cell) order(o thingsOrder) (answer, error) {
	return c.worker.order(order{Do: "things", Target: *c.target, Things: &o})
}

func (c *cell) round(context.Context) (sample Sample, err error) {
	a, err := c.order(thingsOrder{Do: "stop", Expected: int64(c.stops)})
	sample.Faults = a.Faults
	if err != nil {
		return sample, err
	}
	h := a.Things
	sample.quantiles("", h.Latency)
	sample.set(LastP50, "ms", micros(h.Commands.quantile(.5))/1000, false)
	sample.set(LastP99, "ms", micros(h.Commands.quantile(.99))/1000, false)
	sample.set(LastMax, "ms", micros(h.Commands.max)/1000, false)
	return sample, nil
}

// robots are the things, and their foreman.
type robots struct {
	target  Target
	o       ThingsOptions
	first   int // account
	bad     *notes
	room    jid.JID
	foreman *client.Client
	dials   atomic.Int64
	said    atomic.Int64 // robots that have answered
	life    context.Context
	end     context.CancelFunc
	work    sync.WaitGroup

	mu       sync.Mutex
	in       map[string]bool   // occupants that the foreman sees
	heard    map[int]time.Time // by robot: when it was stopped
	everyone chan struct{}     // closed when all were
}

func newRobots(t Target, o *thingsOrder, bad *notes) *robots {
	c := &robots{target: t, o: o.Options, first: o.First, bad: bad, in: make(map[string]bool)}
	c.life, c.end = context.WithCancel(context.Background())
	return c
}

func (c *robots) obey(ctx context.Context, o *thingsOrder, a *thingsAnswer) error {
	switch o.Do {
	case "start":
		return c.start(ctx)
	case "stop":
		for range o.Expected {
			if err := c.stop(ctx, a); err != nil {
				return err
			}
		}
	default:
		return unknownOrder(o)
	}
	return nil
}

// start makes the room, and has all enter it.
func (c *robots) start(ctx context.Context) (err error) {
	if c.room, err = jid.New("cell-"+strings.ToLower(rand.Text()[:8]), c.target.rooms(), ""); err != nil {
		return err
	}
	base, err := c.target.client(c.first+c.o.Things, c.bad, &c.dials)
	if err != nil {
		return err
	}
	if c.foreman, err = client.New(base); err != nil {
		return err
	}
	c.foreman.Handle(stanza.Presence, xmlstream.Name{}, func(_ context.Context, s *stanza.Stanza) {
		if s.From.Bare() == c.room && s.From.Resource() != "" && s.Type == stanza.Available {
			c.mu.Lock()
			c.in[s.From.Resource()] = true
			c.mu.Unlock()
		}
	})
	c.foreman.Handle(stanza.Message, xmlstream.Name{}, func(_ context.Context, s *stanza.Stanza) {
		if s.From.Bare() == c.room && s.Type == stanza.Chat {
			c.said.Add(1) // "stopped"
		}
	})
	if err := c.foreman.Announce(ctx, client.Availability{}); err != nil {
		return err
	}
	if err := c.foreman.Connect(ctx); err != nil {
		return err
	}
	own, err := c.room.WithResource("foreman")
	if err != nil {
		return err
	}
	if err := c.foreman.Send(ctx, stanza.New(stanza.Presence, stanza.Available, own, &muc.Join{})); err != nil {
		return err
	}
	if err := await(ctx, thingsSettle, func() bool { return c.inside() > 0 }); err != nil {
		return fmt.Errorf("bench: robots: the foreman cannot enter: %w", err)
	}
	open := &muc.OwnerQuery{Form: forms.New(forms.Submit, muc.FormConfig, forms.Value("muc#roomconfig_whois", "anyone"))}
	if _, err := c.foreman.IQ(ctx, c.room, stanza.Set, open); err != nil {
		return fmt.Errorf("bench: robots: the room: %w", err)
	}
	for i := range c.o.Things {
		if err := c.robot(i, base.Account); err != nil {
			return err
		}
		if err := pause(ctx, min(perLogin, c.o.Every/time.Duration(c.o.Things))); err != nil {
			return err
		}
	}
	if err := await(ctx, thingsSettle, func() bool { return c.inside() > c.o.Things }); err != nil { // all, and the foreman
		return fmt.Errorf("bench: robots: %d are in the room: %w", c.inside(), err)
	}
	return nil
}

func (c *robots) inside() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.in)
}

// robot runs one.
func (c *robots) robot(n int, foreman jid.JID) error {
	base, err := c.target.client(c.first+n, c.bad, &c.dials)
	if err != nil {
		return err
	}
	var count atomic.Int64
	t, err := thing.New(thing.Config{
		Client: base, Owner: foreman, Name: fmt.Sprintf("Robot %d", n), Every: c.o.Every, Rooms: []thing.Room{{JID: c.room}},
		Read: func(context.Context) ([]thing.Field, error) {
			return []thing.Field{{Name: "position", Unit: "m", Value: thing.Number(float64(count.Add(1)))}}, nil
		},
		Stop: func(context.Context) error {
			c.stopped(n, time.Now())
			return nil
		},
	})
	if err != nil {
		return err
	}
	c.work.Go(func() {
		if err := t.Run(c.life); err != nil {
			c.bad.fault("robot %d ended: %v", n, err)
		}
	})
	return nil
}

// stopped notes that a robot was told to stop.
func (c *robots) stopped(n int, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, again := c.heard[n]; again || c.heard == nil {
		c.bad.fault("robot %d was stopped twice", n)
		return
	}
	c.heard[n] = now
	if len(c.heard) == c.o.Things {
		close(c.everyone)
	}
}

// stop stops all once: the latency is of each robot, that of commands the last one's.
func (c *robots) stop(ctx context.Context, a *thingsAnswer) error {
	all := make(chan struct{})
	c.mu.Lock()
	c.heard, c.everyone = make(map[int]time.Time), all
	c.mu.Unlock()
	answered := c.said.Load() + int64(c.o.Things)
	began := time.Now()
	if err := c.foreman.Send(ctx, stanza.Text(stanza.Groupchat, c.room, "stop")); err != nil {
		return err
	}
	late := time.NewTimer(stopTime)
	defer late.Stop()
	select {
	case <-all:
	case <-ctx.Done():
		return ctx.Err()
	case <-late.C:
	}
	c.mu.Lock()
	var last time.Duration
	for _, at := range c.heard {
		took := at.Sub(began)
		a.Latency.add(took)
		last = max(last, took)
	}
	n := len(c.heard)
	c.mu.Unlock()
	a.Commands.add(last)
	if n < c.o.Things {
		return fmt.Errorf("bench: robots: %d of %d have not stopped after %s", c.o.Things-n, c.o.Things, stopTime)
	}
	if err := await(ctx, stopTime, func() bool { return c.said.Load() >= answered }); err != nil {
		return fmt.Errorf("bench: robots: not all say that they have stopped: %w", err)
	}
	return pause(ctx, 50*time.Millisecond) // the readings that waited go first
}

func (c *robots) close() error {
	c.end()
	c.work.Wait()
	if c.foreman == nil {
		return nil
	}
	return c.foreman.Close()
}
