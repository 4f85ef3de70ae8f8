// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"math"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/stonechat-im/stonechat/client"
	"github.com/stonechat-im/stonechat/thing"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// demoThing is a simulated device.
type demoThing struct {
	name, title string
	// make completes the configuration, and returns what the thing does beside it, or nil.
	make func(*thing.Config) (live func(context.Context, *thing.Thing))
}

func (d demoThing) account() string { return d.name + "@" + demoDomain }

// things are those of the demo; every is how often the thermometer tells a reading.
func (d Demo) things() []demoThing {
	return []demoThing{
		{"thermometer", "Thermometer", d.thermometer},
		{"lamp", "Lamp", d.lamp},
		{"motion", "Motion sensor", d.motion},
	}
}

// thermometer tells the temperature of a day that takes ten minutes, between 17 and 23 °C.
func (d Demo) thermometer(c *thing.Config) func(context.Context, *thing.Thing) {
	begun := time.Now()
	c.Every = d.Every
	c.Read = func(context.Context) ([]thing.Field, error) {
		degrees := 20 + 3*math.Sin(time.Since(begun).Minutes()*2*math.Pi/10)
		return []thing.Field{{Name: "temperature", Unit: "Cel", Value: thing.Number(math.Round(degrees*10) / 10)}}, nil
	}
	return nil
}

// lamp is switched by its owner's word.
func (Demo) lamp(c *thing.Config) func(context.Context, *thing.Thing) {
	var on atomic.Bool
	c.Parameters = []thing.Parameter{{
		Name: "lamp", Kind: thing.Boolean,
		Set: func(_ context.Context, v thing.Value) error { on.Store(v.Bool()); return nil },
		Get: func(context.Context) (thing.Value, error) { return thing.Bool(on.Load()), nil },
	}}
	return nil
}

// motion tells when somebody comes by, and when nobody is there any more.
func (d Demo) motion(c *thing.Config) func(context.Context, *thing.Thing) {
	var moves atomic.Bool
	fields := func() []thing.Field { return []thing.Field{{Name: "motion", Value: thing.Bool(moves.Load())}} }
	c.Read = func(context.Context) ([]thing.Field, error) { return fields(), nil }
	return func(ctx context.Context, t *thing.Thing) {
		for {
			// Nobody for one to three readings' time, then somebody for half of one.
			wait := d.Every + time.Duration(rand.Int64N(int64(2*d.Every))) //nolint:gosec // a simulation
			if moves.Load() {
				wait = d.Every / 2
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(wait):
			}
			moves.Store(!moves.Load())
			_ = t.Report(fields()...) // it is never empty
		}
	}
}

// start makes the thing of an account and runs it until ctx ends.
func (t demoThing) start(account client.Config, owner jid.JID) (run func(context.Context) error, err error) {
	c := thing.Config{Client: account, Owner: owner, Name: t.title, Transient: true}
	live := t.make(&c)
	made, err := thing.New(c)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		ended := make(chan struct{})
		ctx, cancel := context.WithCancel(ctx)
		go func() {
			defer close(ended)
			if live != nil {
				live(ctx, made)
			}
		}()
		err := made.Run(ctx)
		cancel()
		<-ended
		return err
	}, nil
}
