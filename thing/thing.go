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
// What a thing measures, takes and does is declared once, as Go values, and served in every way that it can be asked: in words,
// which any messenger writes ("help", "read", "set lamp on"); as ad-hoc commands, which many show as forms; to programs by
// XEP-0323 and XEP-0325; to whoever follows it by PEP; in rooms.
//
// A thing has one owner. To the owner it tells its readings, as messages that any messenger shows and any program understands; or it
// publishes them, for whoever follows it and may (Config.Tell).
// The owner may read and set all of it; what others may is decided by the registry's service, as the owner has told that, and
// where it does not answer they may do nothing. Who may do nothing gets no answer.
//
// A thing without an owner registers, shows a code for whoever is to own it (Config.Claim), and is told when it is claimed.
//
// Readings taken while there is no connection are kept, the latest Config.Keep of them, and told
// in order afterwards, each with the time it was taken. With Config.State they are kept on the disk
// until the server has acknowledged them: a power cut does not take them, and what was told just
// before one may be told again, under the same id.
//
// The specifications of sensor data, control and provisioning are Retracted: they are served because the libraries that read
// things today speak them.
//
// RFC 8428 §4 and §5
//
// How to read this package: config.go and node.go are what programs say; thing.go is a thing's life, main.go that of a program
// around it; value.go, field.go and format.go what it measures; ring.go how readings leave, journal.go how they outlive a power
// cut, state.go what else does; access.go who may what; work.go in which order, task.go on which goroutine. The ways in: chat.go,
// room.go, adhoc.go, sensor.go, control.go, publish.go. claim.go is how it finds its owner, concentrator.go and node_events.go what
// it speaks for.
package thing

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stonechat-im/stonechat/client"
	"github.com/stonechat-im/stonechat/client/tokens"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/ping"
	"github.com/stonechat-im/stonechat/xmpp/sleep"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// Thing is a device. Its methods may be called from any goroutine.
type Thing struct {
	config    Config
	log       *slog.Logger
	client    *client.Client
	tokens    *tokens.Tokens
	ring      ring
	access    access
	errands   errands
	adhoc     sessions
	stops     stops
	waiting   waiting
	rooms     rooms
	publisher publisher
	watchers  watchers

	running                        atomic.Bool // Run has begun
	telling, publishing, measuring task
	due                            map[NodeID]time.Time // measuring's own: the next reading of each node

	life context.Context // of Run
	end  context.CancelFunc

	acting sync.Mutex // held while Set, Get or Do of the program runs

	mu      sync.Mutex
	owner   jid.JID     // bare; zero: nobody's
	settled bool        // the registry has said whose it is
	key     string      // that it is claimed by; "": none yet
	shown   string      // the key that was shown last
	seeking bool        // it is registering
	bodies  []*body     // the thing itself first
	alarm   *time.Timer // when a reading is due; nil: none was yet
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
	if err := ownPassword(&config); err != nil {
		return nil, err
	}
	t := &Thing{log: config.Client.Log, owner: config.Owner, config: config}
	t.life, t.end = context.WithCancel(context.Background())
	t.ring.init(config.Keep, config.History)
	if config.State != "" {
		if err := t.restore(&config); err != nil {
			return nil, err
		}
	}
	c, err := client.New(config.Client)
	if err != nil {
		return nil, err
	}
	t.config, t.client, t.tokens = config, c, tokens.New(c)
	if err := t.SetNodes(config.Nodes); err != nil {
		return nil, err
	}
	c.Handle(stanza.Message, xmlstream.Name{Space: stanza.NSClient, Local: "body"}, t.message)
	c.Handle(stanza.Presence, xmlstream.Name{}, t.presence)
	c.HandleErrors(t.bounced)
	if t.config.Stop != nil {
		c.HandleEarly(t.early)
	}
	t.serveCommands()
	t.serveConsent()
	t.serveSensorData()
	t.serveControl()
	t.serveRegistry()
	t.serveRooms()
	t.servePublishing()
	c.HandleSession(func(context.Context) { t.watchers.gone(jid.JID{}) })
	return t, nil
}

// Client is the thing's connection, for what the thing does not do by itself.
func (t *Thing) Client() *client.Client { return t.client }

// Tokens are by which keys the thing acts where it asks others, and what it passes on of those who ask it.
func (t *Thing) Tokens() *tokens.Tokens { return t.tokens }

// Owner is who owns the thing, or the zero JID.
func (t *Thing) Owner() jid.JID {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.owner
}

// account is the thing's own address.
func (t *Thing) account() jid.JID { return t.config.Client.Account.Bare() }

// SetNodes says which nodes the thing speaks for now, in the place of those before: Config.Nodes. It fails if they
// cannot work. What was measured of those that are gone is forgotten, but for what is not told yet. Whoever has subscribed to changes of
// nodes is told what has changed (XEP-0326).
func (t *Thing) SetNodes(nodes []Node) error {
	if err := checkNodes(nodes); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.watchers.add(t.replace(nodes)...)
	if len(nodes) > 0 {
		t.serveConcentrator()
	}
	t.wake(&t.watchers.task, t.tellWatchers)
	t.wake(&t.measuring, t.measure)
	return nil
}

// all are the nodes, the thing itself first.
func (t *Thing) all() []*body {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.bodies
}

// meant are the nodes that an address may mean. XEP-0323 §5.9, XEP-0325 §5.7
func (t *Thing) meant(id NodeID) (list []*body) { return meantOf(t.all(), id, t.told(NodeID{})) }

// meantOf is meant among all nodes; own is what readers are told that the thing itself is.
func meantOf(all []*body, id, own NodeID) (list []*body) {
	for _, b := range all {
		if b.isMeant(id) {
			list = append(list, b)
		}
	}
	if len(list) == 0 && own.Is(id) {
		list = all[:1]
	}
	return list
}

// find finds the first node that an address may mean, or nil.
func (t *Thing) find(id NodeID) *body {
	if list := t.meant(id); len(list) > 0 {
		return list[0]
	}
	return nil
}

// Run connects and keeps the thing running until ctx is over: then it tells what it can within
// Client.CloseTime, and returns how much it could not. It returns at once when a connection is
// pointless, such as when the server refuses the password. A thing runs once.
func (t *Thing) Run(ctx context.Context) error {
	if err := t.enroll(ctx); err != nil {
		return err
	}
	if err := t.announce(ctx); err != nil {
		return err
	}
	t.watchers.begin()
	if err := t.client.Start(); err != nil {
		return err
	}
	t.running.Store(true)
	t.wakeTelling()
	t.wake(&t.measuring, t.measure)
	if t.publisher.isFormer() { // since before it was started
		t.background(t.unpublishGiven)
	}
	var err error
	select {
	case <-ctx.Done():
	case <-t.client.Done():
		err = t.client.Err()
	}
	t.end()
	t.calmDown()
	t.errands.finish()
	if t.config.Tell&ToOwner != 0 {
		t.tellRest()
	} else {
		t.publishRest()
	}
	if t.config.Sleep && t.client.Unacked() > 0 {
		t.nap(context.Background(), time.Now().Add(cmp.Or(t.config.Every, time.Minute)))
	}
	return errors.Join(err, t.client.Close())
}

// announce tells that the thing is there.
func (t *Thing) announce(ctx context.Context) error {
	return t.client.Announce(ctx, client.Availability{Status: t.config.Name})
}

// measure takes the readings that are due, of the thing and of its nodes.
func (t *Thing) measure(ctx context.Context) {
	next := make(map[NodeID]time.Time)
	var soon time.Time
	for _, b := range t.all() {
		if b.Every <= 0 {
			continue
		}
		at, known := t.due[b.NodeID]
		if !known {
			at = time.Now()
		}
		if !at.After(time.Now()) {
			t.takeReading(ctx, b)
			at = at.Add(time.Since(at).Truncate(b.Every) + b.Every)
		}
		if next[b.NodeID] = at; soon.IsZero() || at.Before(soon) {
			soon = at
		}
	}
	t.due = next
	if soon.IsZero() {
		return // there is nothing that is measured by itself
	}
	if t.config.Sleep {
		t.nap(ctx, soon)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	switch wait := time.Until(soon); {
	case ctx.Err() != nil:
	case t.alarm == nil:
		t.alarm = time.AfterFunc(wait, func() { t.wake(&t.measuring, t.measure) })
	default:
		t.alarm.Reset(wait)
	}
}

// calmDown stops what is to happen later. Life is over.
func (t *Thing) calmDown() {
	t.mu.Lock()
	if t.alarm != nil {
		t.alarm.Stop()
	}
	t.mu.Unlock()
	t.leaveAlone()
}

// takeReading takes one, and tells it.
func (t *Thing) takeReading(ctx context.Context, b *body) {
	owner := t.ring.ownerNumber() // before it measures: that may take long
	fields, err := b.measure(ctx)
	switch {
	case err != nil:
		t.log.Error("reading failed", "node", b.ID, "err", err)
	case len(fields) > 0:
		if err := t.report(b.NodeID, fields, owner); err != nil {
			t.log.Error("reading not told", "node", b.ID, "err", err)
		}
	}
}

// nap wakes the connection until all is told and what has come meanwhile is obeyed, or until half
// of the time to the next reading is over, a minute at most. Then it says until when it sleeps.
func (t *Thing) nap(ctx context.Context, next time.Time) {
	awake, cancel := context.WithTimeout(ctx, min(max(time.Until(next)/2, time.Second), time.Minute))
	defer cancel()
	t.client.Wake()
	err := t.announce(awake)
	if err == nil { // the answer comes behind what has waited
		_, err = t.client.IQ(awake, jid.JID{}, stanza.Get, &ping.Ping{})
	}
	if err == nil {
		err = t.Sync(awake)
	}
	if err == nil {
		err = t.errands.idle(awake)
	}
	if err != nil {
		t.log.Debug("asleep before all is told", "err", err)
	}
	if t.client.Online() {
		away := stanza.New(stanza.Presence, stanza.Unavailable, jid.JID{}, &sleep.Sleep{Until: next.UTC()})
		if err := t.client.Send(ctx, away); err != nil {
			t.log.Debug("that it sleeps is not told", "err", err)
		}
	}
	t.client.Sleep()
}

// presence lets the owner see when the thing is there, and whom the owner has allowed to.
func (t *Thing) presence(ctx context.Context, s *stanza.Stanza) {
	if r := t.roomOf(s.From); r != nil {
		t.heardOf(r)
		t.roomPresence(r, s)
		return
	}
	if s.Type == stanza.Unavailable {
		t.watchers.gone(s.From)
	}
	if s.Type != stanza.Subscribe {
		return
	}
	t.do(ctx, s, func(ctx context.Context) {
		answer := t.client.Revoke
		if !t.may(ctx, question{caller: s.From, right: toBefriend}).isNone() {
			answer = t.client.Approve
		}
		if err := answer(ctx, s.From); err != nil {
			t.log.Error("subscription not answered", "from", s.From.String(), "err", err)
		}
	})
}

// bounced notes what could not be delivered.
func (t *Thing) bounced(ctx context.Context, s *stanza.Stanza) {
	if r := t.roomOf(s.From); r != nil {
		t.roomError(ctx, r, s)
		return
	}
	level := slog.LevelWarn
	if t.config.Transient {
		level = slog.LevelDebug // the owner is away
	}
	t.log.Log(ctx, level, "not delivered", "stanza", string(s.ID), "from", s.From.String(), "err", s.Refusal())
}
