// SPDX-License-Identifier: Apache-2.0

package link

import (
	"context"
	"slices"
	"sync"

	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// Handlers are who takes what arrives.
type Handlers struct {
	mu       sync.Mutex
	stanzas  map[stanzaKey]func(context.Context, *stanza.Stanza)
	errors   func(context.Context, *stanza.Stanza)
	requests map[requestKey]func(context.Context, *stanza.Stanza) (stanza.Payload, error)
	session  []func(context.Context)
}

type stanzaKey struct {
	kind stanza.Kind
	name xmlstream.Name
}

type requestKey struct {
	typ  stanza.Type
	name xmlstream.Name
}

func (h *Handlers) init() {
	h.stanzas = make(map[stanzaKey]func(context.Context, *stanza.Stanza))
	h.requests = make(map[requestKey]func(context.Context, *stanza.Stanza) (stanza.Payload, error))
}

// Handle gives messages or presence that have a child of that name to f; the zero name is all that no other takes.
func (h *Handlers) Handle(kind stanza.Kind, name xmlstream.Name, f func(context.Context, *stanza.Stanza)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stanzas[stanzaKey{kind, name}] = f
}

// HandleErrors gives messages and presence of type error to f.
func (h *Handlers) HandleErrors(f func(context.Context, *stanza.Stanza)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.errors = f
}

// HandleIQ gives requests of that type and payload to f; a name that is a namespace alone is all of that which no other takes.
func (h *Handlers) HandleIQ(typ stanza.Type, name xmlstream.Name, f func(context.Context, *stanza.Stanza) (stanza.Payload, error)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.requests[requestKey{typ, name}] = f
}

// HandleSession runs f by Ready.
func (h *Handlers) HandleSession(f func(context.Context)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.session = append(h.session, f)
}

// Ready runs what is to run when there is a session.
func (h *Handlers) Ready(ctx context.Context) {
	h.mu.Lock()
	list := slices.Clone(h.session)
	h.mu.Unlock()
	for _, f := range list {
		f(ctx)
	}
}

// Find is who takes a message or presence, or nil.
func (h *Handlers) Find(s *stanza.Stanza) func(context.Context, *stanza.Stanza) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s.Type == stanza.TypeError {
		return h.errors
	}
	for i := range s.Len() {
		if f := h.stanzas[stanzaKey{s.Kind, nameOf(s, i)}]; f != nil {
			return f
		}
	}
	return h.stanzas[stanzaKey{kind: s.Kind}]
}

// request is who answers a request, or nil.
func (h *Handlers) request(s *stanza.Stanza) func(context.Context, *stanza.Stanza) (stanza.Payload, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	name := nameOf(s, s.First())
	if f := h.requests[requestKey{s.Type, name}]; f != nil {
		return f
	}
	return h.requests[requestKey{s.Type, xmlstream.Name{Space: name.Space}}]
}

// Namespaces are those of the requests that somebody answers.
func (h *Handlers) Namespaces() map[string]bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	spaces := make(map[string]bool)
	for key := range h.requests {
		spaces[key.name.Space] = true
	}
	return spaces
}

// nameOf is the name of child i.
func nameOf(s *stanza.Stanza, i int) xmlstream.Name {
	space, local, _ := s.Child(i)
	return xmlstream.Name{Space: string(space), Local: string(local)}
}

// handlerKey marks the contexts of handlers.
type handlerKey struct{}

// Lender is what holds the stanzas that wait for handlers.
type Lender interface {
	// Lend tells it that n more wait for what the reader has to bring: then the reader must not wait for them.
	Lend(n int)
}

// Handling is the context of the handlers of what waits with l.
func Handling(ctx context.Context, l Lender) context.Context {
	return context.WithValue(ctx, handlerKey{}, l)
}

// InHandler reports whether ctx is a handler's.
func InHandler(ctx context.Context) bool { return ctx.Value(handlerKey{}) != nil }

// Lend lets the reader go on while a handler waits for what it has to bring.
func Lend(ctx context.Context) (done func()) {
	l, ok := ctx.Value(handlerKey{}).(Lender)
	if !ok {
		return func() {}
	}
	l.Lend(1)
	return func() { l.Lend(-1) }
}
