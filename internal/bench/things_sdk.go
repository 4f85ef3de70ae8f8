// SPDX-License-Identifier: Apache-2.0

package bench

// How to read this file: sdkThings runs things as a device's program does, by package thing alone; a gauge is one of them, which
// counts its own readings.

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stonechat-im/stonechat/client"
	"github.com/stonechat-im/stonechat/thing"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// account is the bare address of an account.
func (t *Target) account(n int) (jid.JID, error) {
	name := t.Accounts
	if name.Pattern == "" {
		name.Pattern = "bench%d"
	}
	return jid.New(name.name(n), t.Domain, "")
}

// client is how the SDK connects to a target, as an account. Certificates are not verified.
func (t *Target) client(n int, bad *notes, dials *atomic.Int64) (client.Config, error) {
	account, err := t.account(n)
	return client.Config{
		Account: account, Password: t.Accounts.Password, Address: t.Addr, DirectTLS: t.Security == DirectTLS, WithoutTLS: t.Security == Plain,
		TLS: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}, //nolint:gosec // a benchmark's are mostly self-signed
		Log: slog.New(complaints{bad, account.Local()}), LoginTime: thingsSettle,
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			dials.Add(1)
			d := net.Dialer{Timeout: loginTimeout, LocalAddr: source(address, n), KeepAlive: -1, Control: sharePort}
			return d.DialContext(ctx, network, address)
		},
	}, err
}

// complaints is a log of which warnings and errors are faults: in a benchmark nothing is to go wrong.
type complaints struct {
	bad *notes
	who string
}

// Enabled implements slog.Handler.
func (complaints) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelWarn }

// Handle implements slog.Handler.
func (c complaints) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "emergency stop" {
		return nil // it was told to
	}
	var b strings.Builder
	r.Attrs(func(a slog.Attr) bool {
		fmt.Fprintf(&b, " %s=%v", a.Key, a.Value)
		return true
	})
	c.bad.fault("%s says: %s%s", c.who, r.Message, b.String())
	return nil
}

// WithAttrs implements slog.Handler.
func (c complaints) WithAttrs([]slog.Attr) slog.Handler { return c }

// WithGroup implements slog.Handler.
func (c complaints) WithGroup(string) slog.Handler { return c }

// sdkThings are virtual things.
type sdkThings struct {
	target Target
	o      ThingsOptions
	bad    *notes
	gauges []*gauge
	first  int
	count  int
	dials  atomic.Int64
	done   atomic.Int64
	span   atomic.Pointer[span]
	ready  chan struct{} // one from each: it is registered, or somebody's
	life   context.Context
	end    context.CancelFunc
	work   sync.WaitGroup
}

func newSDKThings(t Target, o *thingsOrder, bad *notes) *sdkThings {
	c := &sdkThings{target: t, o: o.Options, bad: bad, first: o.First, count: o.Count, ready: make(chan struct{}, o.Count)}
	c.life, c.end = context.WithCancel(context.Background())
	return c
}

// gauge is one thing.
type gauge struct {
	crew   *sdkThings
	number int
	thing  *thing.Thing
	once   sync.Once

	mu              sync.Mutex
	code            string // by which it is claimed
	owned           bool
	count           uint64      // readings
	due             []time.Time // those that are not acked
	reported, acked int64       // in the measured time
}

func (c *sdkThings) obey(ctx context.Context, o *thingsOrder, a *thingsAnswer) error {
	switch o.Do {
	case "start":
		return c.start(ctx, a)
	case "owned":
		if err := await(ctx, thingsSettle, func() bool { return c.sum(func(g *gauge) int64 { return truth(g.owned) }) == int64(c.count) }); err != nil {
			return fmt.Errorf("bench: things: not all know their owner: %w", err)
		}
	case "measure":
		c.span.Store(nil)
		c.sum(func(g *gauge) int64 { g.reported, g.acked = 0, 0; return 0 })
		c.span.Store(&span{o.From, o.To})
	case "finish":
		return c.finish(ctx, a)
	default:
		return unknownOrder(o)
	}
	return nil
}

func truth(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// sum adds up something of all.
func (c *sdkThings) sum(of func(g *gauge) int64) (n int64) {
	for _, g := range c.gauges {
		g.mu.Lock()
		n += of(g)
		g.mu.Unlock()
	}
	return n
}

// start has the things come one after the other, and waits until each is somebody's, or can be claimed. Few are on their way at a
// time: where the machine is slow they come later, for logins that outlast the server's patience would have to be made again.
func (c *sdkThings) start(ctx context.Context, a *thingsAnswer) error {
	begun, ramp, came := time.Now(), c.o.ramp(), 0
	for i := range c.count {
		for ; i-came >= connecting; came++ {
			if err := c.comes(ctx, came); err != nil {
				return err
			}
		}
		if err := pause(ctx, time.Until(begun.Add(ramp*time.Duration(i)/time.Duration(c.count)))); err != nil {
			return err
		}
		g, err := c.gauge(c.first + i)
		if err != nil {
			return err
		}
		c.gauges = append(c.gauges, g)
		g.tick(time.Now())
		c.work.Go(func() {
			if err := g.thing.Run(c.life); err != nil {
				c.bad.fault("thing %d ended: %v", g.number, err)
			}
		})
	}
	for ; came < c.count; came++ {
		if err := c.comes(ctx, came); err != nil {
			return err
		}
	}
	c.sum(func(g *gauge) int64 {
		if !g.owned {
			a.Codes = append(a.Codes, claimCode{g.number, g.code})
		}
		return 0
	})
	return nil
}

// comes waits until one more has come.
func (c *sdkThings) comes(ctx context.Context, came int) error {
	late := time.NewTimer(thingsSettle)
	defer late.Stop()
	select {
	case <-c.ready:
		return nil
	case <-late.C:
		return fmt.Errorf("bench: things: after %d of %d none has come for %s", came, c.count, thingsSettle)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// gauge makes a thing.
func (c *sdkThings) gauge(n int) (*gauge, error) {
	base, err := c.target.client(n, c.bad, &c.dials)
	if err != nil {
		return nil, err
	}
	g := &gauge{crew: c, number: n}
	tell := thing.ToOwner
	if c.o.Publish {
		tell |= thing.ToFollowers
	}
	g.thing, err = thing.New(thing.Config{
		Client: base, Name: fmt.Sprintf("Meter %d", n), Serial: base.Account.Local(), Read: g.read, Tell: tell, Told: g.told,
		Fields: []thing.Measure{{Name: meterName, Unit: meterUnit, Kind: thing.Numeric}},
		Parameters: []thing.Parameter{{Name: "valve", Kind: thing.Boolean, Set: func(context.Context, thing.Value) error {
			c.done.Add(1)
			return nil
		}}},
		Claim:   func(claim thing.Claim) { g.is(claim.Code, false) },
		Claimed: func(owner jid.JID) { g.is("", !owner.IsZero()) },
	})
	return g, err
}

// is notes that the thing can be claimed, or is somebody's.
func (g *gauge) is(code string, owned bool) {
	g.mu.Lock()
	g.code, g.owned = code, owned
	g.mu.Unlock()
	g.once.Do(func() { g.crew.ready <- struct{}{} })
}

// tick takes a reading and tells it, and the next one at its time.
func (g *gauge) tick(due time.Time) {
	if g.crew.life.Err() != nil {
		return
	}
	if err := g.thing.Report(g.take()); err != nil {
		g.crew.bad.fault("thing %d reports nothing: %v", g.number, err)
	}
	due = due.Add(g.crew.o.Every)
	time.AfterFunc(time.Until(due), func() { g.tick(due) })
}

// take takes the next reading.
func (g *gauge) take() thing.Field {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	g.count++
	if g.owned {
		g.due = append(g.due, now)
		if g.crew.span.Load().has(now) {
			g.reported++
		}
	}
	return g.shows(now)
}

// shows is how the meter stands. The caller holds mu.
func (g *gauge) shows(now time.Time) thing.Field {
	return thing.Field{Name: meterName, Value: thing.Number(meter(g.count, now)), Unit: meterUnit, Time: now}
}

// read tells whoever asks how the meter stands: that is no reading of its own.
func (g *gauge) read(context.Context) ([]thing.Field, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return []thing.Field{g.shows(time.Now())}, nil
}

// told notes that the server has a reading, the latest that was taken until then.
func (g *gauge) told(at time.Time, err error) {
	if err != nil {
		g.crew.bad.fault("thing %d could not tell a reading: %v", g.number, err)
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for i := len(g.due) - 1; i >= 0; i-- {
		if taken := g.due[i]; !taken.After(at) {
			if g.crew.span.Load().has(taken) {
				g.acked++
			}
			g.due = g.due[i+1:]
			return
		}
	}
}

// finish waits until the server has all that was told.
func (c *sdkThings) finish(ctx context.Context, a *thingsAnswer) error {
	count := func() {
		a.Reported = c.sum(func(g *gauge) int64 { return g.reported })
		a.Acked = c.sum(func(g *gauge) int64 { return g.acked })
	}
	if err := await(ctx, c.o.drain(), func() bool { count(); return a.Acked == a.Reported }); ctx.Err() != nil {
		return err
	}
	a.Done, a.Dials = c.done.Load(), c.dials.Load()
	return nil
}

func (c *sdkThings) close() error {
	c.end()
	c.work.Wait()
	return nil
}
