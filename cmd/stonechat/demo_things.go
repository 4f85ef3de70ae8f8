// SPDX-License-Identifier: Apache-2.0

package main

// How to read this file: demoThings are the kinds of simulated devices, a function for each; install makes a device of one,
// which runs as a client and is nobody's until somebody claims it.

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"time"

	"github.com/stonechat-im/stonechat/client"
	"github.com/stonechat-im/stonechat/thing"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// demoThing is a kind of device.
type demoThing struct {
	name, title string
	does        string // in a line of what there is
	// make completes the configuration; tell has it said what happens to the device. What is returned runs beside it, if it is not nil.
	make func(h *household, c *thing.Config, tell func(string)) (live func(context.Context, *thing.Thing))
}

// demoThings are those of the home.
func demoThings() []demoThing {
	return []demoThing{
		{"thermometer", "Thermometer", "measures temperature and humidity", (*household).thermometer},
		{"lamp", "Lamp", "takes lamp on|off and brightness 0..100", (*household).lamp},
		{"motion", "Motion sensor", "tells when somebody comes by", (*household).motion},
		{"meter", "Meter", "measures power and energy", (*household).meter},
		{"door", "Door", "takes locked on|off, tells whether it is open", (*household).door},
	}
}

// device is a thing of the home.
type device struct {
	demoThing
	made    *thing.Thing
	settled chan struct{} // closed when it is known whose it is
	owned   chan struct{} // closed when somebody has claimed it

	mu          sync.Mutex
	claim       thing.Claim // zero: it has an owner, or is not registered yet
	known, sold bool        // settled, owned are closed
}

// code is how the thing is claimed; it is zero where it has an owner.
func (x *device) code() thing.Claim {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.claim
}

// is notes whose the thing is: of whoever claims it, or the owner's. It reports whether that was another before.
func (x *device) is(claim thing.Claim) (again bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	again = x.known
	x.claim = claim
	if !x.known {
		x.known = true
		close(x.settled)
	}
	if claim == (thing.Claim{}) && !x.sold {
		x.sold = true
		close(x.owned)
	}
	return again
}

// install makes a device and runs it until the home's end.
func (h *household) install(kind demoThing, account client.Config) (*device, error) {
	x := &device{demoThing: kind, settled: make(chan struct{}), owned: make(chan struct{})}
	// A name for its session, so that people can write it where a client wants one.
	full, err := account.Account.WithResource(kind.name)
	if err != nil {
		return nil, err
	}
	account.Account = full
	c := thing.Config{
		Client: account, Name: kind.title, Serial: kind.name, Transient: true,
		State: filepath.Join(h.Data, "things", account.Account.Bare().String()),
		Claim: func(claim thing.Claim) {
			if x.is(claim) {
				h.tell(kind.name + " is nobody's now, and has a new code")
			}
		},
		Claimed: func(owner jid.JID) {
			if !owner.IsZero() {
				x.is(thing.Claim{})
				h.tell(kind.name + " belongs to " + owner.String() + " now")
			}
		},
	}
	live := kind.make(h, &c, func(what string) { h.tell(kind.name + ": " + what) })
	if x.made, err = thing.New(c); err != nil {
		return nil, err
	}
	if !x.made.Owner().IsZero() {
		x.is(thing.Claim{})
	}
	if live != nil {
		h.running.Go(func() { live(h.ctx, x.made) })
	}
	h.running.Go(func() {
		if err := x.made.Run(h.ctx); err != nil && h.ctx.Err() == nil {
			h.cancel(fmt.Errorf("%s: %w", kind.name, err))
		}
	})
	return x, nil
}

// tell tells what happens to whoever looks; what is too much to read is not told.
func (h *household) tell(what string) {
	select {
	case h.news <- what:
	default:
	}
}

// thermometer tells the weather of a day that takes ten minutes, between 17 and 23 °C.
func (h *household) thermometer(c *thing.Config, _ func(string)) func(context.Context, *thing.Thing) {
	begun := time.Now()
	c.Every = h.Every
	c.Fields = []thing.Measure{{Name: "temperature", Unit: "Cel", Kind: thing.Numeric}, {Name: "humidity", Unit: "%RH", Kind: thing.Numeric}}
	c.Read = func(context.Context) ([]thing.Field, error) {
		day := math.Sin(time.Since(begun).Minutes() * 2 * math.Pi / 10)
		return []thing.Field{
			{Name: "temperature", Unit: "Cel", Value: thing.Number(math.Round(200+30*day) / 10)},
			{Name: "humidity", Unit: "%RH", Value: thing.Number(math.Round(55 - 10*day))},
		}, nil
	}
	return nil
}

func onOff(on bool) string { return thing.Bool(on).String() }

// lamp is switched, and dimmed.
func (*household) lamp(c *thing.Config, tell func(string)) func(context.Context, *thing.Thing) {
	var mu sync.Mutex
	on, brightness := false, 100.0
	turn := func(to bool) {
		mu.Lock()
		on = to
		mu.Unlock()
		tell(onOff(to))
	}
	c.Parameters = []thing.Parameter{{
		Name: "lamp", Kind: thing.Boolean,
		Set: func(_ context.Context, v thing.Value) error { turn(v.Bool()); return nil },
		Get: func(context.Context) (thing.Value, error) {
			mu.Lock()
			defer mu.Unlock()
			return thing.Bool(on), nil
		},
	}, {
		Name: "brightness", Kind: thing.Numeric, Unit: "%", Min: 0, Max: 100, Whole: true,
		Set: func(_ context.Context, v thing.Value) error {
			mu.Lock()
			brightness = v.Number()
			mu.Unlock()
			tell("brightness " + v.String() + " %")
			return nil
		},
		Get: func(context.Context) (thing.Value, error) {
			mu.Lock()
			defer mu.Unlock()
			return thing.Number(brightness), nil
		},
	}}
	// A command that asks nothing, for clients that show no forms.
	c.Commands = []thing.Command{{
		Name: "switch", Title: "Switch it on or off",
		Do: func(context.Context, map[string]thing.Value) (string, error) {
			mu.Lock()
			to := !on
			mu.Unlock()
			turn(to)
			return "done: lamp " + onOff(to), nil
		},
	}}
	return nil
}

// motion tells when somebody comes by, and when nobody is there any more.
func (h *household) motion(c *thing.Config, _ func(string)) func(context.Context, *thing.Thing) {
	return h.sense(c, "motion", func() bool { return true })
}

// sense has a field that turns on every now and then, if it may, and off again soon. It is reported when it changes.
func (h *household) sense(c *thing.Config, name string, may func() bool) func(context.Context, *thing.Thing) {
	var mu sync.Mutex
	on := false
	fields := func() []thing.Field {
		mu.Lock()
		defer mu.Unlock()
		return []thing.Field{{Name: name, Value: thing.Bool(on)}}
	}
	c.Fields = []thing.Measure{{Name: name, Kind: thing.Boolean}}
	c.Read = func(context.Context) ([]thing.Field, error) { return fields(), nil }
	return func(ctx context.Context, t *thing.Thing) {
		for {
			// Off for one to three readings' time, then on for half of one.
			wait := h.Every + time.Duration(rand.Int64N(int64(2*h.Every))) //nolint:gosec // a simulation
			mu.Lock()
			if on {
				wait = h.Every/2 + 1
			}
			mu.Unlock()
			select {
			case <-ctx.Done():
				return
			case <-time.After(wait):
			}
			mu.Lock()
			was := on
			on = !on && may()
			changed := on != was
			mu.Unlock()
			if changed {
				_ = t.Report(fields()...) // it is never empty
			}
		}
	}
}

// meter tells what the home takes, now and since it began.
func (h *household) meter(c *thing.Config, _ func(string)) func(context.Context, *thing.Thing) {
	begun := time.Now()
	c.Every = 2 * h.Every
	c.Fields = []thing.Measure{{Name: "power", Unit: "W", Kind: thing.Numeric}, {Name: "energy", Unit: "kWh", Kind: thing.Numeric}}
	c.Read = func(context.Context) ([]thing.Field, error) {
		hours := time.Since(begun).Hours()
		return []thing.Field{
			{Name: "power", Unit: "W", Value: thing.Number(math.Round(300 + 200*math.Sin(hours*2*math.Pi*6)))},
			{Name: "energy", Unit: "kWh", Value: thing.Number(math.Round(1234500+1000*hours*0.3) / 1000)},
		}, nil
	}
	return nil
}

// door is opened now and then while it is not locked.
func (h *household) door(c *thing.Config, tell func(string)) func(context.Context, *thing.Thing) {
	var mu sync.Mutex
	locked := true
	live := h.sense(c, "open", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return !locked
	})
	read := c.Read
	c.Parameters = []thing.Parameter{{
		Name: "locked", Kind: thing.Boolean,
		Set: func(ctx context.Context, v thing.Value) error {
			fields, err := read(ctx)
			if err == nil && fields[0].Value.Bool() && v.Bool() {
				err = errors.New("it is open: close it first")
			}
			if err != nil {
				return err
			}
			mu.Lock()
			locked = v.Bool()
			mu.Unlock()
			tell("locked " + v.String())
			return nil
		},
		Get: func(context.Context) (thing.Value, error) {
			mu.Lock()
			defer mu.Unlock()
			return thing.Bool(locked), nil
		},
	}}
	return live
}
