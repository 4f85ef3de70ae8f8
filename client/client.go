// SPDX-License-Identifier: Apache-2.0

// Package client is a connection to an XMPP server for programs: it logs in, sends, receives, and
// stays. A program that uses it notices a broken network only by the clock.
//
//	c, err := client.Dial(ctx, client.Config{Account: juliet, Password: "…"})
//	err = c.Send(ctx, stanza.Text(stanza.Chat, romeo, "Good night, good night!"))
//	err = c.Sync(ctx) // the server has it
//	err = c.Close()
//
// # What it does by itself
//
// It finds the server (SRV records of STARTTLS and direct TLS, or an address), verifies its
// certificate for the account's domain, and logs in by the strongest SCRAM both sides have, with
// channel binding where TLS allows. What one login used, all later ones must reach.
//
// Every stanza sent is kept until the server has acknowledged it. When a connection breaks, the
// next is made after a random, growing time; the session is resumed where the server still has
// it, else a new one is bound, and what was not acknowledged is sent again, in order. So each
// stanza arrives at least once; it arrives twice only where the server lost the session together
// with the news of what it had taken, and then bears the same id.
//
// What arrives is acknowledged when its handler has returned: what a killed program had not
// handled, the server still has.
//
// # How to use it
//
// [Dial] is for programs that want to know at once whether they can log in. [New], then Handle…,
// then [Client.Connect] or [Client.Start] is for programs that receive: nothing arrives before
// its handler is there. Handlers run one at a time, in the order of arrival. All methods are safe
// for concurrent use.
//
// RFC 6120 §3, §8.2.3 and §13.9, RFC 6121 §2 to §5, RFC 8305 §3 to §5
//
// # How to read it
//
// client.go: the client's life. config.go: what a program may choose. The way of a connection: dial.go, login.go,
// session.go. inbox.go: what arrived and is not handled. What a client has in common with a component is in
// internal/link: one connection, what is sent and not acknowledged, requests. handle.go, iq.go, presence.go, roster.go, carbons.go,
// sleep.go, register.go: what programs use.
package client

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"log/slog"
	"sync"

	"github.com/stonechat-im/stonechat/internal/link"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/roster"
	"github.com/stonechat-im/stonechat/xmpp/sasl"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/stream"
)

// Client is one account's session with its server, over as many connections as it takes.
type Client struct {
	config Config
	log    *slog.Logger
	tls    *tls.Config // for every connection

	link link.Entity
	in   inbox

	mu     sync.Mutex
	asleep chan struct{} // closed by Wake; nil while awake
	full   jid.JID       // of the last session
	nodes  InfoHandler
	early  func(*stanza.Stanza)
	roster []func(context.Context, roster.Item)

	// The supervisor's own.
	keys   sasl.KeyCache
	pinned string // the weakest mechanism of the next login
	resume resumption

	newcomer *newcomer // it registers, and nothing else; nil for every other
}

// New makes a client that is not connected yet. It fails if the configuration cannot work.
func New(config Config) (*Client, error) {
	if err := config.complete(); err != nil {
		return nil, err
	}
	c := &Client{config: config, log: config.Log, tls: config.tls(), pinned: config.Mechanism}
	c.link.Init(c.config.link())
	c.link.Item, c.link.Final, c.link.Attempt = c.item, isFinal, func(ctx context.Context) (link.Way, error) {
		if !c.awake(ctx) {
			return nil, context.Cause(ctx)
		}
		l, err := c.attempt(ctx)
		if err != nil {
			return nil, err
		}
		return l, nil
	}
	c.in.init(c)
	c.handleOwn()
	return c, nil
}

// Dial makes a client and connects it.
func Dial(ctx context.Context, config Config) (*Client, error) {
	c, err := New(config)
	if err != nil {
		return nil, err
	}
	if err := c.Connect(ctx); err != nil {
		return nil, err
	}
	return c, nil
}

// Connect logs in, and returns when there is a session or when there cannot be one: the first
// failure is returned, and the client is closed. From then on the client keeps itself connected;
// ctx counts for this call only.
func (c *Client) Connect(ctx context.Context) error {
	err := c.link.Connect(ctx, c.in.dispatch)
	if err != nil && c.Err() != nil {
		_ = c.Close() // what it would report lost is lost by err
	}
	return err
}

// Start connects in the background and tries again for as long as it takes. What is sent
// meanwhile waits in the queue. Done tells when it is pointless: the server refuses the password,
// say.
func (c *Client) Start() error { return c.link.Start(c.in.dispatch) }

// Done is closed when the client will not connect any more: it was closed, or Err says what no
// further try would mend.
func (c *Client) Done() <-chan struct{} { return c.link.Life().Done() }

// Err is nil while the client lives, ErrClosed after Close, else why it gave up.
func (c *Client) Err() error { return c.link.Err() }

// JID returns the full address of the session, or of the last one; before the first it is the
// account's.
func (c *Client) JID() jid.JID {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.full.IsZero() {
		return c.config.Account
	}
	return c.full
}

// Online reports whether there is a connection with a session now.
func (c *Client) Online() bool { return c.link.Online() }

// Send queues a stanza, and returns nil when it is queued: from then on it is the client's task
// to bring it to the server, whatever happens to the connection. If the queue is full it waits for
// room until ctx is over; the error then wraps ErrFull. A handler, given its own context, never
// waits. A message or presence without id gets one. s is copied.
func (c *Client) Send(ctx context.Context, s *stanza.Stanza) error {
	return c.SendAcked(ctx, s, nil)
}

// SendAcked is Send, and calls acked once when the server has acknowledged the stanza (nil), or
// when it never will: the client has ended, or the server ends streams because of it. acked must
// not block.
func (c *Client) SendAcked(ctx context.Context, s *stanza.Stanza, acked func(error)) error {
	return c.link.Send(ctx, s, acked)
}

// item makes s what the outbox takes.
func (c *Client) item(s *stanza.Stanza) (link.Item, error) {
	if len(s.ID) == 0 {
		s.ID = []byte(rand.Text()[:16])
	}
	return c.link.Config.NewItem(s)
}

// Sync waits until the server has acknowledged all that was sent before, and what arrived ahead of
// that is handled: a server that refuses a stanza says so first. In a handler it waits for the
// acknowledgement only.
func (c *Client) Sync(ctx context.Context) error {
	if err := c.link.Out.Sync(ctx); err != nil {
		return err
	}
	return c.in.sync(ctx)
}

// Unacked is how many stanzas wait for the server's acknowledgement.
func (c *Client) Unacked() int { return c.link.Out.Len() }

// StopHandling starts no more handlers: what arrives is not acknowledged, and stays on the server
// for the next session if it is of the kind that servers keep. A handler that has seen enough
// calls it, so that nothing is taken that nobody will see. Close does so by itself.
func (c *Client) StopHandling() { c.in.stop() }

// Close waits up to Config.CloseTime until the server has acknowledged what was sent and the
// handler that runs has returned, closes the stream and ends the client's goroutines. Its error tells how much was not acknowledged; without
// a connection nothing is waited for. Handlers must not call it: they would wait for themselves.
func (c *Client) Close() error {
	c.link.Out.Shut()
	c.in.stop()
	ctx, cancel := context.WithTimeout(c.link.Life(), c.config.CloseTime)
	defer cancel()
	if c.Online() {
		_ = c.link.Out.Sync(ctx) // what is left is counted below
		c.in.settle(ctx)
	}
	c.link.Stop(ctx)
	return c.link.Over(c.Err())
}

// isFinal reports whether err will not go away by trying again: the server knows us and says no.
func isFinal(err error, _ bool) bool {
	var login *stream.SASLError
	if errors.As(err, &login) {
		switch login.Condition {
		case sasl.NotAuthorized, sasl.AccountDisabled, sasl.CredentialsExpired, sasl.InvalidAuthzid:
			return true
		}
	}
	var ended *stream.Error
	if errors.As(err, &ended) && ended.Received {
		switch ended.Condition {
		case stream.Conflict, stream.NotAuthorized: // another took the resource; the account is gone
			return true
		}
	}
	return false
}

// named notes whose session there is now.
func (c *Client) named(full jid.JID) {
	c.mu.Lock()
	c.full = full
	c.mu.Unlock()
}
