// SPDX-License-Identifier: Apache-2.0

package component

// How to read this file: what programs register (Handle, HandleErrors, HandleIQ, Answer,
// HandleSession); then the way of a stanza that has arrived: arrive, dispatch, serveIQ, and what
// nobody handles.

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// Handler takes a stanza that has arrived, which is its own from then on. ctx is over when the
// component ends. The sender's next stanza waits until it returns.
type Handler func(ctx context.Context, s *stanza.Stanza)

// IQHandler answers a request, with a payload (nil: an empty result) or an error: what is no
// *stanza.Error becomes internal-server-error.
type IQHandler func(ctx context.Context, s *stanza.Stanza) (stanza.Payload, error)

// handlers are the program's, and ours.
type handlers struct {
	mu       sync.Mutex
	stanzas  map[stanzaKey]Handler
	errors   Handler
	iqs      map[iqKey]IQHandler
	session  []func(context.Context)
	contacts *Contacts
}

type stanzaKey struct {
	kind stanza.Kind
	name xmlstream.Name
}

type iqKey struct {
	typ  stanza.Type
	name xmlstream.Name
}

func (t *handlers) init(c *Component) {
	t.stanzas = make(map[stanzaKey]Handler)
	t.iqs = make(map[iqKey]IQHandler)
	c.answerDisco()
}

// Handle gives messages or presence (not of type error) that have a child of that name to f; the
// zero name is all that no other handler takes. One stanza goes to one handler. There is one
// handler for a name: a later one takes the place of the former. Messages that nobody handles are
// answered service-unavailable, and requests for a subscription unsubscribed.
func (c *Component) Handle(kind stanza.Kind, name xmlstream.Name, f Handler) {
	c.table.mu.Lock()
	defer c.table.mu.Unlock()
	c.table.stanzas[stanzaKey{kind, name}] = f
}

// HandleErrors gives messages and presence of type error to f: what came back of what was sent.
// Never answer one.
func (c *Component) HandleErrors(f Handler) {
	c.table.mu.Lock()
	defer c.table.mu.Unlock()
	c.table.errors = f
}

// HandleIQ gives requests of that type and payload, to any address of the domain, to f. Others are
// answered service-unavailable, but for pings, service discovery, and the version if Config.Version is
// one, which the component answers by itself unless f takes them.
func (c *Component) HandleIQ(typ stanza.Type, name xmlstream.Name, f IQHandler) {
	c.table.mu.Lock()
	defer c.table.mu.Unlock()
	c.table.iqs[iqKey{typ, name}] = f
}

// Payload is a pointer to a struct T that is a stanza.Payload.
type Payload[T any] interface {
	*T
	stanza.Payload
}

// Answer is HandleIQ for requests whose payload is decoded for f. What cannot be decoded is refused.
//
//	component.Answer(c, stanza.Get, func(ctx context.Context, s *stanza.Stanza, q *entitytime.Time) (stanza.Payload, error) { … })
func Answer[T any, P Payload[T]](c *Component, typ stanza.Type, f func(ctx context.Context, s *stanza.Stanza, payload P) (stanza.Payload, error)) {
	c.HandleIQ(typ, P(new(T)).XMLName(), func(ctx context.Context, s *stanza.Stanza) (stanza.Payload, error) {
		p := P(new(T))
		if _, err := s.Decode(p); err != nil {
			return nil, err
		}
		return f(ctx, s, p)
	})
}

// HandleSession runs f, as handlers run, whenever the component has connected: there presence is sent to
// whoever is to see it, for the server has told everybody that the domain was gone, or nothing at all.
func (c *Component) HandleSession(f func(context.Context)) {
	c.table.mu.Lock()
	defer c.table.mu.Unlock()
	c.table.session = append(c.table.session, f)
}

// ready runs when the component has connected.
func (t *handlers) ready(ctx context.Context) {
	t.mu.Lock()
	list := slices.Clone(t.session)
	t.mu.Unlock()
	for _, f := range list {
		f(ctx)
	}
}

// arrive takes a stanza that borrows nothing. The error refuses it: there is no room.
func (c *Component) arrive(s *stanza.Stanza) *stanza.Error {
	switch {
	case s.From.IsZero() || !c.own(s.To):
		c.log.Warn("stanza dropped whose addresses are not right", "from", s.From.String(), "to", s.To.String())
		return nil
	case s.Kind == stanza.IQ && !s.Type.IsRequest():
		if k := c.calls.take(s); k != nil {
			k.reply(s, nil)
		} else {
			c.log.Debug("answer to nothing that was asked", "from", s.From.String())
		}
		return nil
	case s.Kind == stanza.IQ && s.From == c.config.Domain && c.out.returned(s):
		return nil
	}
	return c.in.push(s.From.Bare(), job{stanza: s})
}

// dispatch gives s to its handler.
func (c *Component) dispatch(ctx context.Context, s *stanza.Stanza) {
	if s.Kind == stanza.IQ {
		c.serveIQ(ctx, s)
		return
	}
	f, contacts := c.table.find(s)
	if contacts != nil && contacts.take(ctx, c, s) && f == nil {
		return
	}
	switch {
	case f != nil:
		f(ctx, s)
	case s.Kind == stanza.Message && answerable(s):
		c.reply(s.Refuse(stanza.ServiceUnavailable.Err("")))
	case s.Kind == stanza.Presence && s.Type == stanza.Subscribe && contacts == nil:
		no := stanza.New(stanza.Presence, stanza.Unsubscribed, s.From.Bare())
		no.From = s.To
		c.reply(no)
	}
}

// answerable reports whether s may be answered by an error. RFC 6120 §8.3.1, RFC 6121 §8.5.2
func answerable(s *stanza.Stanza) bool {
	switch s.Kind {
	case stanza.IQ:
		return s.Type.IsRequest()
	case stanza.Message:
		return s.Type != stanza.TypeError && s.Type != stanza.Headline
	}
	return s.Type == stanza.Subscribe
}

func (t *handlers) find(s *stanza.Stanza) (Handler, *Contacts) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s.Type == stanza.TypeError {
		return t.errors, nil
	}
	var contacts *Contacts
	if s.Kind == stanza.Presence {
		contacts = t.contacts
	}
	for i := range s.Len() {
		space, local, _ := s.Child(i)
		if f := t.stanzas[stanzaKey{s.Kind, xmlstream.Name{Space: string(space), Local: string(local)}}]; f != nil {
			return f, contacts
		}
	}
	return t.stanzas[stanzaKey{kind: s.Kind}], contacts
}

// serveIQ answers a request. RFC 6120 §8.2.3: every one gets its answer.
func (c *Component) serveIQ(ctx context.Context, s *stanza.Stanza) {
	space, local, _ := s.Child(s.First())
	c.table.mu.Lock()
	f := c.table.iqs[iqKey{s.Type, xmlstream.Name{Space: string(space), Local: string(local)}}]
	c.table.mu.Unlock()
	if f == nil {
		c.reply(s.Refuse(stanza.ServiceUnavailable.Err("")))
		return
	}
	p, err := f(ctx, s)
	if err != nil {
		refused, told := stanza.AsError(err)
		if !told {
			c.log.Error("request failed", "from", s.From.String(), "err", err)
		}
		c.reply(s.Refuse(refused))
		return
	}
	c.reply(s.Result(p))
}

// reply sends an answer, which never waits for room.
func (c *Component) reply(s *stanza.Stanza) {
	it, err := c.newItem(s)
	if err != nil && errors.Is(err, ErrSize) && s.Type == stanza.Result {
		e := &stanza.Stanza{Kind: s.Kind, Type: stanza.TypeError, From: s.From, To: s.To, ID: s.ID}
		e.Add(stanza.ResourceConstraint.Err("the answer is too large"))
		it, err = c.newItem(e)
	}
	if err != nil {
		c.log.Error("answer not sent", "to", s.To.String(), "err", err)
		return
	}
	if !c.out.answer(it) {
		c.log.Warn("answer dropped: the server takes nothing", "to", s.To.String())
	}
}

// refused answers what there is no room for.
func (c *Component) refused(s *stanza.Stanza, e *stanza.Error) {
	if answerable(s) && s.From != (jid.JID{}) {
		c.reply(s.Refuse(e))
	}
}
