// SPDX-License-Identifier: Apache-2.0

package bench

// How to read this file: sdkOwners are clients of the SDK that claim things (claim) and hear them (hear), which goes into the
// book; ask reads each thing once and tells it to do something once, at times that are spread over the measured time.

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stonechat-im/stonechat/client"
	"github.com/stonechat-im/stonechat/thing"
	"github.com/stonechat-im/stonechat/xmpp/control"
	"github.com/stonechat-im/stonechat/xmpp/registry"
	"github.com/stonechat-im/stonechat/xmpp/sensordata"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// sdkOwners are the owners of things.
type sdkOwners struct {
	target Target
	o      ThingsOptions
	bad    *notes
	first  int
	owners []*sdkOwner
	book   *book
	dials  atomic.Int64
	life   context.Context
	end    context.CancelFunc
	asking sync.WaitGroup

	mu              sync.Mutex
	read, set       int64
	reads, commands histogram
}

// sdkOwner is one of them.
type sdkOwner struct {
	number int // among the owners
	client *client.Client
	reader *thing.Reader
}

func newSDKOwners(t Target, o *thingsOrder, bad *notes) *sdkOwners {
	c := &sdkOwners{target: t, o: o.Options, bad: bad, first: o.First, owners: make([]*sdkOwner, o.Count), book: newBook()}
	c.life, c.end = context.WithCancel(context.Background())
	return c
}

func (c *sdkOwners) obey(ctx context.Context, o *thingsOrder, a *thingsAnswer) error {
	switch o.Do {
	case "start":
		return parallel(ctx, len(c.owners), connecting, func(i int) (err error) {
			c.owners[i], err = c.owner(ctx, i)
			return err
		})
	case "claim":
		return c.claim(ctx, o.Codes, a)
	case "measure":
		c.book.measure(&span{o.From, o.To})
	case "ask":
		for _, w := range c.owners {
			c.asking.Go(func() { c.ask(w, o.From, o.To) })
		}
	case "finish":
		c.asking.Wait()
		c.mu.Lock()
		a.Read, a.Set = c.read, c.set
		a.Reads.merge(&c.reads)
		a.Commands.merge(&c.commands)
		c.mu.Unlock()
		return c.book.finish(ctx, c.o.drain(), o.Expected, a)
	default:
		return unknownOrder(o)
	}
	return nil
}

// owner connects one.
func (c *sdkOwners) owner(ctx context.Context, n int) (*sdkOwner, error) {
	base, err := c.target.client(c.first+n, c.bad, &c.dials)
	if err != nil {
		return nil, err
	}
	w := &sdkOwner{number: n}
	if w.client, err = client.New(base); err != nil {
		return nil, err
	}
	w.reader = thing.NewReader(w.client)
	w.client.Handle(stanza.Message, xmlstream.Name{}, c.hear)
	if err := w.client.Announce(ctx, client.Availability{}); err != nil {
		return nil, err
	}
	return w, w.client.Connect(ctx)
}

// hear takes what a thing tells.
func (c *sdkOwners) hear(_ context.Context, s *stanza.Stanza) {
	now := time.Now()
	fields, err := thing.FieldsOf(s)
	if err != nil || len(fields) == 0 {
		return // words of the registry, say
	}
	number, ours := c.target.Accounts.number(s.From.Local())
	if !ours || len(fields) != 1 || fields[0].Name != meterName {
		c.bad.fault("%s tells something else: %v", s.From, fields)
		return
	}
	n, at := readMeter(fields[0].Value.Number(), fields[0].Time)
	c.book.note(number, n, at, now)
}

// claim has each owner claim his things, one after the other; all owners do so at once.
func (c *sdkOwners) claim(ctx context.Context, codes []claimCode, a *thingsAnswer) error {
	of := make([][]string, len(c.owners))
	for _, code := range codes {
		n := c.o.ownerOf(code.Thing)
		of[n] = append(of[n], code.Code)
	}
	var mu sync.Mutex
	return parallel(ctx, len(of), len(of), func(i int) error {
		for _, code := range of[i] {
			u, err := registry.ParseURI(code)
			if err != nil {
				return err
			}
			mine, ok := u.Claim()
			if !ok {
				return errors.New("bench: things: a code without a key")
			}
			began := time.Now()
			if _, err := c.owners[i].client.IQ(ctx, u.Registry, stanza.Set, mine); err != nil {
				return fmt.Errorf("bench: things: claiming: %w", err)
			}
			mu.Lock()
			a.Claims.add(time.Since(began))
			mu.Unlock()
		}
		return nil
	})
}

// ask reads each of an owner's things once, and tells it to do something once, at times that are spread over the measured time.
func (c *sdkOwners) ask(w *sdkOwner, from, to time.Time) {
	var own []int
	for i := range c.o.Things {
		if c.o.ownerOf(i) == w.number {
			own = append(own, i)
		}
	}
	slot := to.Sub(from) / time.Duration(2*len(own)+1)
	first := from.Add(slot * time.Duration(w.number) / time.Duration(len(c.owners)))
	for i, n := range own {
		account, err := c.target.account(n)
		if err == nil {
			err = c.request(first.Add(2*time.Duration(i)*slot), &c.read, &c.reads, func(ctx context.Context) error {
				answer, err := w.reader.Read(ctx, account, sensordata.Request{Categories: sensordata.Momentary, Names: []string{meterName}})
				if err == nil && len(answer.Fields()) != 1 {
					err = fmt.Errorf("it has %d fields", len(answer.Fields()))
				}
				return err
			})
		}
		if err == nil {
			err = c.request(first.Add((2*time.Duration(i)+1)*slot), &c.set, &c.commands, func(ctx context.Context) error {
				_, err := w.reader.Set(ctx, account, &control.Set{Parameters: []control.Parameter{control.Boolean("valve", true)}})
				return err
			})
		}
		if c.life.Err() != nil {
			return
		}
		if err != nil {
			c.bad.fault("asking thing %d: %v", n, err)
		}
	}
}

// request waits until it is time, and measures how long a request takes.
func (c *sdkOwners) request(at time.Time, answered *int64, took *histogram, do func(context.Context) error) error {
	if err := pause(c.life, time.Until(at)); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.life, loginTimeout)
	defer cancel()
	began := time.Now()
	if err := do(ctx); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	*answered++
	took.add(time.Since(began))
	return nil
}

func (c *sdkOwners) close() error {
	c.end()
	c.asking.Wait()
	var errs []error
	for _, w := range c.owners {
		if w != nil && w.client != nil {
			errs = append(errs, w.client.Close())
		}
	}
	return errors.Join(errs...)
}
