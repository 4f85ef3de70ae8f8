// SPDX-License-Identifier: Apache-2.0

package components

import (
	"context"
	"fmt"
	"sync"

	"github.com/stonechat-im/stonechat/component"
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// Local is the server for components in the same process: it implements component.Host.
//
//	c, err := component.New(component.Config{Domain: weather, Host: components.Local{Server: srv}})
//
// A stanza to such a component counts as kept when the component has it, as one to a component with a socket
// does when its bytes have left.
type Local struct{ Server *server.Server }

// Attach implements component.Host.
func (l Local) Attach(domain jid.JID, take func(*stanza.Stanza) error) (component.Attachment, error) {
	a := &attachment{server: l.Server, take: take}
	a.reading = sync.NewCond(&a.mu)
	a.inlet = l.Server.NewInlet(a)
	detach, err := l.Server.Attach(domain.Domain(), a)
	if err != nil {
		return nil, fmt.Errorf("components: %w", err)
	}
	a.detach = detach
	t := l.Server.NewTurn()
	l.Server.Joined(t, domain)
	t.End()
	return a, nil
}

// attachment is a component of this process: a place to the server, and the reader of its own inlet.
type attachment struct {
	server *server.Server
	inlet  *server.Inlet
	take   func(*stanza.Stanza) error
	detach func()

	mu      sync.Mutex
	reading *sync.Cond
	paused  int
}

// Present implements server.Place.
func (*attachment) Present() bool { return true }

// Take implements server.Place.
func (a *attachment) Take(_ *server.Turn, s *stanza.Stanza) error { return a.take(s) }

// Send implements component.Attachment.
func (a *attachment) Send(ctx context.Context, list []*stanza.Stanza) (taken int) {
	defer context.AfterFunc(ctx, func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.reading.Broadcast()
	})()
	t := a.server.NewTurn()
	defer t.End()
	for i, s := range list {
		if !a.inlet.Receive(t, s) {
			t.Flush() // what is waited for may wait for what is sent
			a.wait(ctx)
			return i + 1
		}
	}
	return len(list)
}

// wait waits until more may be sent, or ctx is over.
func (a *attachment) wait(ctx context.Context) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for a.paused > 0 && ctx.Err() == nil {
		a.reading.Wait()
	}
}

// Detach implements component.Attachment.
func (a *attachment) Detach() { a.detach() }

// Pause implements server.Reader.
func (a *attachment) Pause() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.paused++
}

// Resume implements server.Reader.
func (a *attachment) Resume() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.paused--; a.paused == 0 {
		a.reading.Broadcast()
	}
}
