// SPDX-License-Identifier: Apache-2.0

package main

// How to read this file: live runs a scenario; a virtual is one thing of it, which measures (read), is cut off and rebooted by its
// faults (trouble), and counts what becomes of its readings in the tally that all share.

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stonechat-im/stonechat/client"
	"github.com/stonechat-im/stonechat/internal/bench"
	"github.com/stonechat-im/stonechat/thing"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// tally is what became of all readings.
type tally struct {
	reported, acked, dropped atomic.Int64
	sessions                 atomic.Int64
	reboots, outages         atomic.Int64
	mu                       sync.Mutex
	latency                  bench.Histogram
}

// told notes that the server has a reading, or never will. After a reboot some may be told again; they come in order.
func (v *virtual) told(at time.Time, err error) {
	if err != nil {
		return // it is counted by not being acked
	}
	v.mu.Lock()
	again := !at.After(v.newest)
	v.newest = at
	v.mu.Unlock()
	if again {
		return
	}
	a := v.tally
	a.acked.Add(1)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.latency.Add(time.Since(at))
}

// line is how it goes.
func (a *tally) line(since time.Duration) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return fmt.Sprintf("%s: sessions %d, reported %d, acked %d, lost %d, outages %d, reboots %d, to the ack p50 %s p99 %s max %s",
		since.Round(time.Second), a.sessions.Load(), a.reported.Load(), a.acked.Load(), a.dropped.Load(), a.outages.Load(), a.reboots.Load(),
		a.latency.Quantile(0.5), a.latency.Quantile(0.99), a.latency.Quantile(1))
}

// virtual is one thing.
type virtual struct {
	config  thing.Config
	fields  []FieldLine
	sources []func(time.Time) thing.Value
	faults  []Fault // that it has
	random  *rand.Rand
	tally   *tally

	mu     sync.Mutex
	last   []thing.Value
	until  []time.Time // of stuck and noise, by fault; while it is in the future the fault is there
	cut    time.Time   // until then there is no network
	conns  map[net.Conn]bool
	ends   bool      // nothing is measured any more
	newest time.Time // reading that the server has
}

// live runs a scenario until ctx or its time is over, and writes what came of it.
func (s *Scenario) live(ctx context.Context, base client.Config, owner jid.JID, out io.Writer) error {
	seed := s.Seed
	if seed == 0 {
		seed = rand.Uint64() //nolint:gosec // a simulation
	}
	if s.Duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.Duration)
		defer cancel()
	}
	a := new(tally)
	var work sync.WaitGroup
	failed := make(chan error, 1)
	begun := time.Now()
	n := uint64(0)
	for i := range s.Things {
		c := &s.Things[i]
		for k := range c.Count {
			n++
			v, err := c.virtual(c.First+k, base, owner, a, seeded(seed, n))
			if err != nil {
				return err
			}
			wait := c.Every * time.Duration(k) / time.Duration(c.Count)
			work.Go(func() {
				select {
				case <-time.After(wait):
				case <-ctx.Done():
					return
				}
				if err := v.run(ctx); err != nil {
					select {
					case failed <- fmt.Errorf("%s: %w", v.config.Client.Account, err):
					default: // one is enough to fail
					}
				}
			})
		}
	}
	ended := make(chan struct{})
	go func() { work.Wait(); close(ended) }()
	s.watch(ended, begun, a, out)
	lost := a.reported.Load() - a.acked.Load()
	a.dropped.Store(lost)
	_, err := fmt.Fprintln(out, a.line(time.Since(begun)))
	select {
	case why := <-failed:
		return errors.Join(why, err)
	default:
		return err
	}
}

// watch says how it goes until it is over.
func (s *Scenario) watch(ended <-chan struct{}, begun time.Time, a *tally, out io.Writer) {
	every := s.Progress
	if every <= 0 {
		<-ended
		return
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ended:
			return
		case <-tick.C:
			_, _ = fmt.Fprintln(out, a.line(time.Since(begun))) // the last line tells the same
		}
	}
}

// virtual makes one thing.
func (c *Crowd) virtual(n int, base client.Config, owner jid.JID, a *tally, random *rand.Rand) (*virtual, error) {
	v := &virtual{fields: c.Fields, random: random, tally: a, last: make([]thing.Value, len(c.Fields)), conns: make(map[net.Conn]bool)}
	for i := range c.Fields {
		source, err := c.Fields[i].source(random)
		if err != nil {
			return nil, err
		}
		v.sources = append(v.sources, source)
	}
	for _, f := range c.Faults {
		if f.Share == 0 || random.Float64() < f.Share {
			v.faults = append(v.faults, f)
		}
	}
	v.until = make([]time.Time, len(v.faults))
	account, err := jid.Parse(withNumber(c.Account, n))
	if err != nil {
		return nil, fmt.Errorf("account: %w", err)
	}
	if c.Owner != "" {
		if owner, err = jid.Parse(c.Owner); err != nil {
			return nil, fmt.Errorf("owner: %w", err)
		}
	}
	base.Account = account
	base.BackoffMax = 10 * time.Second // an outage is not to last longer than it is
	if c.Password != "" {
		base.Password = c.Password
	}
	if base.Log == nil {
		base.Log = slog.New(slog.DiscardHandler)
	}
	v.config = thing.Config{
		Client: base, Owner: owner, Name: withNumber(c.Name, n), Every: c.Every, Read: v.read, Sleep: c.Sleep, Tell: telling(c.Tell), Keep: c.Keep,
		History: -1, Told: v.told,
	}
	if c.State != "" {
		v.config.State = filepath.Join(c.State, account.Local())
		if err := os.MkdirAll(v.config.State, 0o700); err != nil {
			return nil, err
		}
	}
	v.config.Client.Dial = v.dial
	for _, s := range c.Set {
		p, err := parameter(s, false)
		if err != nil {
			return nil, err
		}
		v.config.Parameters = append(v.config.Parameters, p)
	}
	return v, nil
}

// run lives until ctx is over: from one reboot to the next.
func (v *virtual) run(ctx context.Context) error {
	var trouble sync.WaitGroup
	defer trouble.Wait()
	reboot := make(chan time.Duration)
	for i := range v.faults {
		trouble.Go(func() { v.trouble(ctx, i, reboot) })
	}
	for {
		rebooted, err := v.once(ctx, reboot)
		if err != nil || !rebooted {
			return err
		}
	}
}

// once lives until the next reboot, or until ctx is over and all is told: also what was kept through a reboot that was just then.
func (v *virtual) once(ctx context.Context, reboot <-chan time.Duration) (rebooted bool, err error) {
	t, err := thing.New(v.config)
	if err != nil {
		return false, err
	}
	t.Client().HandleSession(func(context.Context) { v.tally.sessions.Add(1) })
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- t.Run(own) }()
	select {
	case err := <-ended:
		return false, err
	case off := <-reboot:
		v.disconnect(time.Now().Add(off)) // a power cut says no farewell
		cancel()
		<-ended
		select {
		case <-time.After(off):
		case <-ctx.Done():
		}
		return true, nil
	case <-ctx.Done():
	}
	v.mu.Lock()
	v.ends, v.cut = true, time.Time{} // the end of the test is not that of the network
	v.mu.Unlock()
	settle, done := context.WithTimeout(context.Background(), time.Minute)
	defer done()
	_ = t.Sync(settle) // what is not told is counted
	cancel()
	<-ended
	return false, nil
}

// trouble has one fault come and go.
func (v *virtual) trouble(ctx context.Context, i int, reboot chan<- time.Duration) {
	f := &v.faults[i]
	for {
		v.mu.Lock()
		wait := time.Duration((0.5 + v.random.Float64()) * float64(f.Every-f.For))
		v.mu.Unlock()
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
		switch f.Kind {
		case "outage":
			v.tally.outages.Add(1)
			v.disconnect(time.Now().Add(f.For))
		case "reboot":
			v.tally.reboots.Add(1)
			select {
			case reboot <- f.For:
			case <-ctx.Done():
				return
			}
		default:
			v.mu.Lock()
			v.until[i] = time.Now().Add(f.For)
			v.mu.Unlock()
		}
		select {
		case <-time.After(f.For):
		case <-ctx.Done():
			return
		}
	}
}

var errCut = errors.New("the scenario has cut the network")

// dial connects, unless the network is cut.
func (v *virtual) dial(ctx context.Context, network, address string) (net.Conn, error) {
	v.mu.Lock()
	cut := time.Now().Before(v.cut)
	v.mu.Unlock()
	if cut {
		return nil, errCut
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	clear(v.conns) // there is one at a time
	v.conns[conn] = true
	return conn, nil
}

// disconnect cuts the network until then.
func (v *virtual) disconnect(until time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.cut = until
	for conn := range v.conns {
		_ = conn.Close() // as a cable does
	}
	clear(v.conns)
}

// read takes a reading, with what is wrong with it.
func (v *virtual) read(context.Context) ([]thing.Field, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.ends {
		return nil, nil
	}
	now := time.Now()
	list := make([]thing.Field, len(v.fields))
	for i := range v.fields {
		f := &v.fields[i]
		value := v.sources[i](now)
		for k := range v.faults {
			fault := &v.faults[k]
			if !now.Before(v.until[k]) || fault.Field != "" && fault.Field != f.Name {
				continue
			}
			switch {
			case fault.Kind == "stuck" && v.last[i].Kind() != 0:
				value = v.last[i]
			case fault.Kind == "noise" && value.Kind() == thing.Numeric:
				value = thing.Number(rounded(value.Number() + fault.Size*(2*v.random.Float64()-1)))
			}
		}
		v.last[i] = value
		list[i] = thing.Field{Name: f.Name, Unit: f.Unit, Value: value}
	}
	v.tally.reported.Add(1)
	return list, nil
}
