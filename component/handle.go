// SPDX-License-Identifier: Apache-2.0

package component

// How to read this file: what programs register (Handle, HandleErrors, HandleIQ, Answer,
// HandleSession); then the way of a stanza that has arrived: arrive, dispatch, and what
// nobody handles.

import (
	"context"

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

// Handle gives messages or presence (not of type error) that have a child of that name to f; the
// zero name is all that no other handler takes. One stanza goes to one handler. There is one
// handler for a name: a later one takes the place of the former. Messages that nobody handles are
// answered service-unavailable, and requests for a subscription unsubscribed.
func (c *Component) Handle(kind stanza.Kind, name xmlstream.Name, f Handler) {
	c.link.Handlers.Handle(kind, name, f)
}

// HandleErrors gives messages and presence of type error to f: what came back of what was sent.
// Never answer one.
func (c *Component) HandleErrors(f Handler) { c.link.Handlers.HandleErrors(f) }

// HandleIQ gives requests of that type and payload, to any address of the domain, to f; a name with a
// namespace alone is all payloads of that which no other handler takes. Others are
// answered service-unavailable, but for pings, service discovery, and the version if Config.Version is
// one, which the component answers by itself unless f takes them.
func (c *Component) HandleIQ(typ stanza.Type, name xmlstream.Name, f IQHandler) {
	c.link.Handlers.HandleIQ(typ, name, f)
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
func (c *Component) HandleSession(f func(context.Context)) { c.link.Handlers.HandleSession(f) }

// begin is called when the component has connected. kick has written what waits.
func (c *Component) begin(kick func()) {
	c.link.Out.Renew(kick, false)
	c.link.Requests.Renew()
	_ = c.in.push(jid.JID{}, job{run: c.link.Handlers.Ready}) // refused only at the end
}

// arrive takes a stanza that borrows nothing. The error refuses it: there is no room.
func (c *Component) arrive(s *stanza.Stanza) *stanza.Error {
	switch {
	case s.From.IsZero() || !c.own(s.To):
		c.log.Warn("stanza dropped whose addresses are not right", "from", s.From.String(), "to", s.To.String())
		return nil
	case s.Kind == stanza.IQ && !s.Type.IsRequest():
		c.link.Requests.Answered(s)
		return nil
	case s.Kind == stanza.IQ && s.From == c.config.Domain && c.link.Out.Returned(s):
		return nil
	}
	return c.in.push(s.From.Bare(), job{stanza: s})
}

// dispatch gives s to its handler.
func (c *Component) dispatch(ctx context.Context, s *stanza.Stanza) {
	if s.Kind == stanza.IQ {
		c.link.Serve(ctx, s)
		return
	}
	f, contacts := c.link.Handlers.Find(s), c.contactsFor(s)
	if contacts != nil && contacts.take(ctx, c, s) && f == nil {
		return
	}
	switch {
	case f != nil:
		f(ctx, s)
	case s.Kind == stanza.Message && answerable(s):
		c.link.Reply(s.Refuse(stanza.ServiceUnavailable.Err("")))
	case s.Kind == stanza.Presence && s.Type == stanza.Subscribe && contacts == nil:
		no := stanza.New(stanza.Presence, stanza.Unsubscribed, s.From.Bare())
		no.From = s.To
		c.link.Reply(no)
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

// contactsFor is who takes presence, beside handlers.
func (c *Component) contactsFor(s *stanza.Stanza) *Contacts {
	if s.Kind != stanza.Presence || s.Type == stanza.TypeError {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.contacts
}

// refused answers what there is no room for.
func (c *Component) refused(s *stanza.Stanza, e *stanza.Error) {
	if answerable(s) && s.From != (jid.JID{}) {
		c.link.Reply(s.Refuse(e))
	}
}

// own reports whether an address is of the component's domain.
func (c *Component) own(j jid.JID) bool { return j.Domain() == c.config.Domain.Domain() }
