// SPDX-License-Identifier: Apache-2.0

// Package component is for programs that are a domain of their own, with as many addresses as they
// like: gateways, bots, services. They attach to any XMPP server, or are part of one.
//
//	c, err := component.New(component.Config{Domain: weather, Secret: "…", Address: "127.0.0.1:5347"})
//	c.Handle(stanza.Message, xmlstream.Name{}, func(ctx context.Context, s *stanza.Stanza) { … })
//	err = c.Run(ctx)
//
// # What it does by itself
//
// It connects and comes back after a random, growing time. What is sent waits meanwhile, bounded, and leaves in order.
// The server does not acknowledge what a component sends (XEP-0114 has no such thing), so the
// component sends a ping to itself behind it: when that comes back, the server has taken all before.
// What was on its way when a connection broke is sent again under the same id, so that each stanza
// arrives at least once; a program for which twice is worse than never sets Config.AtMostOnce and is
// told [ErrUnsure]. What the server had for the component while it was away, the server answers.
//
// Every request is answered, by its handler or by an error; errors never are. A handler that
// panics costs its stanza.
//
// # How to use it
//
// [New], then Handle…, then [Component.Run], or [Component.Connect] or [Component.Start] and in the end
// [Component.Close]. Stanzas of one sender (its bare address) are handled one at a time, in the
// order of arrival; those of different senders at the same time. All methods are safe for
// concurrent use.
//
// XEP-0114 (partial, 1.6): it connects to the server (jabber:component:accept), and accepts no
// connections from servers (jabber:component:connect)
//
// # How to read it
//
// component.go: the component's life. config.go: what a program may choose. session.go: one connection
// to a server elsewhere; host.go: one to the server of this process. inbox.go: what arrived and is not handled. What
// a component has in common with a client is in internal/link: what is sent and not taken by the server, requests. handle.go, iq.go, disco.go,
// contacts.go, registration.go, names.go, main.go: what programs use.
package component

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/stonechat-im/stonechat/internal/link"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/stream"
)

// Component is one domain, attached to a server over as many connections as it takes.
type Component struct {
	config Config
	log    *slog.Logger

	link link.Entity
	in   inbox

	mu       sync.Mutex
	contacts *Contacts
}

// New makes a component that is not connected yet. It fails if the configuration cannot work.
func New(config Config) (*Component, error) {
	if err := config.complete(); err != nil {
		return nil, err
	}
	c := &Component{config: config, log: config.Log}
	c.link.Init(c.config.link())
	c.link.Item, c.link.Attempt, c.link.Final = c.item, c.attempt, isFinal
	c.in.init(c)
	c.answerDisco()
	return c, nil
}

// Run connects, again whenever the connection breaks, until ctx is over: then it closes the component, and
// what is left of that is the error. Before, it returns what no further try would mend.
func (c *Component) Run(ctx context.Context) error {
	if err := c.Start(); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return c.Close()
	case <-c.Done():
		err := c.Err()
		if errors.Is(err, ErrClosed) {
			return nil
		}
		_ = c.Close() // what it would report lost is lost by err
		return err
	}
}

// Connect logs in, and returns when stanzas flow or when they cannot: the first failure is
// returned, and the component is closed. From then on it keeps itself connected; ctx counts for
// this call only.
func (c *Component) Connect(ctx context.Context) error {
	err := c.link.Connect(ctx, nil)
	if err != nil && c.Err() != nil {
		_ = c.Close()
	}
	return err
}

// Start connects in the background and tries again for as long as it takes. What is sent
// meanwhile waits in the queue. Done tells when it is pointless: the server refuses the secret, say.
func (c *Component) Start() error { return c.link.Start(nil) }

// Done is closed when the component will not connect any more: it was closed, or Err says what no
// further try would mend.
func (c *Component) Done() <-chan struct{} { return c.link.Life().Done() }

// Err is nil while the component lives, ErrClosed after Close, else why it gave up.
func (c *Component) Err() error { return c.link.Err() }

// Domain is the component's address.
func (c *Component) Domain() jid.JID { return c.config.Domain }

// Online reports whether the component is connected now.
func (c *Component) Online() bool { return c.link.Online() }

// Send queues a stanza, and returns nil when it is queued: from then on it is the component's task
// to bring it to the server. 'from' is any address of the domain; the zero one stands for the domain itself. 'to'
// is needed. If the queue is full Send waits for room until ctx is over; the error then wraps ErrFull. A
// message or presence without id gets one. s is copied.
func (c *Component) Send(ctx context.Context, s *stanza.Stanza) error {
	return c.SendTaken(ctx, s, nil)
}

// SendTaken is Send, and calls taken once when the server has taken the stanza (nil), or when it
// never will or that cannot be known ([ErrUnsure]). taken must not block.
func (c *Component) SendTaken(ctx context.Context, s *stanza.Stanza, taken func(error)) error {
	return c.link.Send(ctx, s, taken)
}

// item makes s what the outbox takes.
func (c *Component) item(s *stanza.Stanza) (link.Item, error) {
	envelope := *s
	if s.From.IsZero() {
		envelope.From = c.config.Domain
	}
	switch {
	case !c.own(envelope.From):
		return link.Item{}, fmt.Errorf("%w: %s is not of %s", ErrAddress, s.From, c.config.Domain)
	case s.To.IsZero():
		return link.Item{}, fmt.Errorf("%w: there is no receiver", ErrAddress)
	}
	if len(envelope.ID) == 0 {
		envelope.ID = []byte(rand.Text()[:16])
	}
	return c.link.Config.NewItem(&envelope)
}

// Flush waits until the server has taken all that was sent before. It may be called while there is
// no connection, and then waits for one.
func (c *Component) Flush(ctx context.Context) error { return c.link.Out.Sync(ctx) }

// Waiting is how many stanzas are sent and not known to be taken by the server.
func (c *Component) Waiting() int { return c.link.Out.Len() }

// Close waits up to Config.CloseTime until the handlers that run have returned and the server has taken
// what was sent, closes the stream and ends the component's goroutines. Its error tells how much the server
// has not taken; without a connection nothing is waited for. Handlers must not call it: they would
// wait for themselves.
func (c *Component) Close() error {
	c.in.stop()
	ctx, cancel := context.WithTimeout(c.link.Life(), c.config.CloseTime)
	defer cancel()
	c.in.settle(ctx)
	c.link.Out.Shut()
	if c.Online() {
		_ = c.link.Out.Sync(ctx) // what is left is counted below
	}
	c.link.Stop(ctx)
	late, giveUp := context.WithTimeout(context.Background(), c.config.CloseTime)
	defer giveUp()
	c.in.settle(late) // handlers know that ctx is over; one that does not care is left
	return c.link.Over(c.Err())
}

// attempt makes a way to the server.
func (c *Component) attempt(ctx context.Context) (w link.Way, err error) {
	if c.config.Host != nil {
		w, err = c.attach()
	} else {
		w, err = c.connect(ctx)
	}
	if err == nil {
		c.log.Info("connected", "jid", c.config.Domain.String())
	}
	return w, err
}

// isFinal reports whether err will not go away by trying again. A conflict at the handshake may be
// our own connection that the server does not know to be dead; later it is another component, which
// has taken the place.
func isFinal(err error, was bool) bool {
	if errors.Is(err, ErrPlaintext) || errors.Is(err, errTaken) {
		return true
	}
	var ended *stream.Error
	if !errors.As(err, &ended) || !ended.Received {
		return false
	}
	switch ended.Condition {
	case stream.Conflict:
		return was
	case stream.NotAuthorized, stream.HostUnknown, stream.InvalidNamespace, stream.UnsupportedVersion:
		return !was
	case stream.HostGone:
		return true
	}
	return false
}
