// SPDX-License-Identifier: Apache-2.0

package component

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/stonechat-im/stonechat/internal/link"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// Host is a server in the same process. A component that has one needs no socket, secret or fence: the
// server says itself what it has taken.
type Host interface {
	// Attach gives what is for domain to take, until Detach. The error says that the domain is
	// taken.
	//
	// take may be called from any goroutine, does not wait, and copies s. Its error, a *stanza.Error,
	// refuses s. Whoever runs the server closes the component first.
	Attach(domain jid.JID, take func(s *stanza.Stanza) error) (Attachment, error)
}

// Attachment is a component's way into the server.
type Attachment interface {
	// Send gives the server stanzas from addresses of the domain, in order, and returns how many it has
	// taken charge of, one at least. Where the server's limits want it to wait it does so, until ctx is
	// over, and returns. It borrows the stanzas, and is called by one goroutine at a time.
	Send(ctx context.Context, list []*stanza.Stanza) int
	// Detach ends the attachment. Nothing is taken afterwards.
	Detach()
}

var errTaken = errors.New("component: the server does not attach it")

// attached is the way to a server in this process.
type attached struct {
	c      *Component
	to     Attachment
	kicked chan struct{} // holds one
	bye    chan struct{} // closed: nothing more is sent
	done   chan struct{} // closed: serve is over
	leave  sync.Once
}

// attach attaches the component to its host.
func (c *Component) attach() (link.Way, error) {
	a := &attached{c: c, kicked: make(chan struct{}, 1), bye: make(chan struct{}), done: make(chan struct{})}
	var err error
	a.to, err = c.config.Host.Attach(c.config.Domain, a.take)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errTaken, err)
	}
	return a, nil
}

// take is for the Host.
func (a *attached) take(s *stanza.Stanza) error {
	if e := a.c.arrive(s.Retain()); e != nil {
		return e
	}
	return nil
}

// Serve implements link.Way.
func (a *attached) Serve() error {
	c := a.c
	defer close(a.done)
	defer a.to.Detach()
	c.begin(a.kick)
	defer c.link.Out.Broke(nil)
	for {
		if err := a.sendAll(); err != nil {
			return err
		}
		select {
		case <-a.kicked:
		case <-a.bye:
			return ErrClosed
		case <-c.link.Life().Done():
			return c.Err()
		}
	}
}

// sendAll gives the server what there is.
func (a *attached) sendAll() error {
	c := a.c
	const most = 64 // in one batch
	for {
		items := c.link.Out.First(most)
		if len(items) == 0 {
			return nil
		}
		list := make([]*stanza.Stanza, len(items))
		for i := range items {
			s, err := items[i].Stanza()
			if err != nil {
				return fmt.Errorf("component: a stanza that was valid is not: %w", err)
			}
			list[i] = s
		}
		c.link.Out.Done(a.to.Send(c.link.Life(), list))
		if err := c.Err(); err != nil {
			return err
		}
	}
}

func (a *attached) kick() {
	select {
	case a.kicked <- struct{}{}:
	default:
	}
}

// Farewell implements link.Way.
func (a *attached) Farewell(ctx context.Context) {
	a.leave.Do(func() { close(a.bye) })
	select {
	case <-a.done:
	case <-ctx.Done():
	}
}
