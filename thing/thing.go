// SPDX-License-Identifier: Apache-2.0

// Package thing makes a device of a program: a sensor that tells its readings, an actuator that
// does what its owner says. It is for makers of devices; the connection is package client's.
//
//	err := thing.Run(ctx, thing.Config{
//		Client: client.Config{Account: lamp, Password: "…"},
//		Owner:  juliet,
//		Parameters: []thing.Parameter{{
//			Name: "lamp", Kind: thing.Boolean,
//			Set: func(ctx context.Context, v thing.Value) error { return pin.Out(v.Bool()) },
//		}},
//	})
//
// A thing has one owner. To the owner it tells its readings, as messages that any messenger shows
// and any program understands; from the owner, and nobody else, it takes commands: "help", "read",
// "set lamp on". Who else writes to it gets no answer.
//
// Readings taken while there is no connection are kept, the latest Config.Keep of them, and told
// in order afterwards, each with the time it was taken. With Config.State they are kept on the disk
// until the server has acknowledged them: a power cut does not take them, and what was told just
// before one may be told again, under the same id.
//
// The vocabulary of sensor data and control that things speak to programs will be built on Field
// and Parameter. Until then a reading is a text and the same as SenML in JSON (RFC 8428), by
// package jsonmsg.
//
// RFC 8428 §4 and §5
//
// How to read this package: thing.go is its life, main.go that of a program around it, field.go what
// it measures, ring.go how readings leave, journal.go how they outlive a power cut, state.go what
// else does, command.go what it obeys.
package thing

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/stonechat-im/stonechat/client"
	"github.com/stonechat-im/stonechat/xmpp/disco"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/jsonmsg"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// Config says what the thing is. Client.Account, Client.Password and Owner are needed.
type Config struct {
	Client client.Config
	Owner  jid.JID // bare
	Name   string  // for people, "Thermometer in the kitchen"

	// Read takes a reading: for Every, and when the owner says "read". It may be nil: then "read"
	// tells what was reported last. It runs on one goroutine at a time.
	Read func(ctx context.Context) ([]Field, error)
	// Every is how often a reading is taken and told. 0 is never by itself.
	Every time.Duration

	// Sleep lets go of the connection between readings, to save power. What the owner says meanwhile
	// waits on the server until the next: Stale must be more than Every for it to be obeyed. A
	// server that forgets the session before then shows the thing as gone.
	Sleep bool

	// Parameters are what the owner may set.
	Parameters []Parameter

	// Keep is how many readings are kept while they cannot be told; then the oldest goes for a
	// new one. 0 is 1,000.
	Keep int
	// State is a folder for what must outlive a power cut: the readings that are not told, and how
	// strong the account's logins were, for which see client.Config.Mechanism (if that is given, it
	// counts). One thing at a time may use it. "" keeps nothing.
	State string
	// Transient tells readings only to an owner who is there: nothing waits on the server
	// (XEP-0334's no-store).
	Transient bool
	// Stale is the age at which a command that has waited on the server is not obeyed any more: a
	// heater is not to be turned on by yesterday's word. 0 is one minute.
	Stale time.Duration
}

// Thing is a device. Its methods may be called from any goroutine.
type Thing struct {
	config Config
	log    *slog.Logger
	client *client.Client
	ring   ring

	reading sync.Mutex // held while Read runs
}

// Environment makes a Config of the environment: see client.Environment, and
//
//	STONECHAT_OWNER  the bare address of the owner
//	STONECHAT_STATE  Config.State
func Environment() (Config, error) {
	c, err := client.Environment()
	if err != nil {
		return Config{}, err
	}
	owner, err := jid.Parse(os.Getenv("STONECHAT_OWNER"))
	if err != nil {
		return Config{}, fmt.Errorf("thing: STONECHAT_OWNER is not an address: %w", err)
	}
	return Config{Client: c, Owner: owner, State: os.Getenv("STONECHAT_STATE")}, nil
}

// Run makes a thing and runs it until ctx is over.
func Run(ctx context.Context, config Config) error {
	t, err := New(config)
	if err != nil {
		return err
	}
	return t.Run(ctx)
}

// New makes a thing that is not connected yet. It fails if the configuration cannot work.
func New(config Config) (*Thing, error) {
	if err := config.complete(); err != nil {
		return nil, err
	}
	t := &Thing{log: config.Client.Log}
	t.ring.init(config.Keep)
	if config.State != "" {
		if err := t.restore(&config); err != nil {
			return nil, err
		}
	}
	c, err := client.New(config.Client)
	if err != nil {
		return nil, err
	}
	t.config, t.client = config, c
	c.Handle(stanza.Message, xmlstream.Name{Space: stanza.NSClient, Local: "body"}, t.message)
	c.Handle(stanza.Presence, xmlstream.Name{}, t.presence)
	c.HandleErrors(t.bounced)
	return t, nil
}

func (c *Config) complete() error {
	switch {
	case c.Owner.IsZero() || c.Owner.IsDomain():
		return errors.New("thing: an owner is needed: the address of the account that it obeys")
	case c.Owner.Bare() == c.Client.Account.Bare():
		return errors.New("thing: its owner needs another account")
	case c.Every < 0 || c.Every > 0 && c.Read == nil:
		return errors.New("thing: Every needs a Read")
	case c.Sleep && c.Every == 0:
		return errors.New("thing: Sleep needs Every: else it would not wake")
	}
	c.Owner = c.Owner.Bare()
	for i := range c.Parameters {
		if err := c.Parameters[i].check(); err != nil {
			return err
		}
	}
	if c.Keep <= 0 {
		c.Keep = 1000
	}
	if c.Stale <= 0 {
		c.Stale = time.Minute
	}
	if c.Client.Log == nil {
		c.Client.Log = slog.New(slog.DiscardHandler)
	}
	if c.Client.Identity == (disco.Identity{}) {
		c.Client.Identity = disco.Identity{Category: "device", Type: "iot", Name: c.Name}
	}
	c.Client.Features = append(c.Client.Features, jsonmsg.NS, jsonmsg.NS+"#"+Datatype)
	return nil
}

// Client is the thing's connection, for what the thing does not do by itself.
func (t *Thing) Client() *client.Client { return t.client }

// Run connects and keeps the thing running until ctx is over: then it tells what it can within
// Client.CloseTime, and returns how much it could not. It returns at once when a connection is
// pointless, such as when the server refuses the password. A thing runs once.
func (t *Thing) Run(ctx context.Context) error {
	if err := t.client.Announce(ctx, client.Availability{Status: t.config.Name}); err != nil {
		return err
	}
	if err := t.client.Start(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	var work sync.WaitGroup
	work.Go(func() { t.tell(ctx) })
	if t.config.Every > 0 {
		work.Go(func() { t.measure(ctx) })
	}
	var err error
	select {
	case <-ctx.Done():
	case <-t.client.Done():
		err = t.client.Err()
	}
	cancel()
	work.Wait()
	t.tellRest()
	if t.config.Sleep && t.client.Unacked() > 0 {
		t.nap(context.Background())
	}
	return errors.Join(err, t.client.Close())
}

// measure takes a reading every so often.
func (t *Thing) measure(ctx context.Context) {
	tick := time.NewTicker(t.config.Every)
	defer tick.Stop()
	for {
		if fields, err := t.read(ctx); err != nil {
			t.log.Error("reading failed", "err", err)
		} else if err := t.Report(fields...); err != nil {
			t.log.Error("reading not told", "err", err)
		}
		if t.config.Sleep {
			t.nap(ctx)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// nap wakes the connection until all is told and what has come meanwhile is obeyed, or until half
// of the time to the next reading is over, a minute at most.
func (t *Thing) nap(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, min(t.config.Every/2, time.Minute))
	defer cancel()
	t.client.Wake()
	if err := t.Sync(ctx); err != nil {
		t.log.Debug("asleep before all is told", "err", err)
	}
	t.client.Sleep()
}

// read takes a reading, or takes the last one.
func (t *Thing) read(ctx context.Context) ([]Field, error) {
	if t.config.Read == nil {
		return t.ring.latest(), nil
	}
	t.reading.Lock()
	defer t.reading.Unlock()
	return t.config.Read(ctx)
}

// presence lets the owner see when the thing is there, and nobody else.
func (t *Thing) presence(ctx context.Context, s *stanza.Stanza) {
	if s.Type != stanza.Subscribe {
		return
	}
	answer := t.client.Revoke
	if s.From.Bare() == t.config.Owner {
		answer = t.client.Approve
	}
	if err := answer(ctx, s.From); err != nil {
		t.log.Error("subscription not answered", "from", s.From.String(), "err", err)
	}
}

// bounced notes what could not be delivered.
func (t *Thing) bounced(ctx context.Context, s *stanza.Stanza) {
	level := slog.LevelWarn
	if t.config.Transient {
		level = slog.LevelDebug // the owner is away
	}
	t.log.Log(ctx, level, "not delivered", "stanza", string(s.ID), "from", s.From.String(), "err", s.Refusal())
}
