// SPDX-License-Identifier: Apache-2.0

package component

import (
	"context"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// Contacts makes addresses of the domain contacts that people can have in their rosters. The component
// keeps nothing: rosters are kept by the servers of those who have them, and what is not known any more
// is asked by probes. RFC 6121 §3 and §4, XEP-0100 §5
type Contacts struct {
	// Allow decides whether user, a bare address, may see the presence of contact. nil: everybody.
	Allow func(ctx context.Context, user, contact jid.JID) bool
	// Presence is that of contact as user may see it now. nil: available, without more.
	Presence func(ctx context.Context, user, contact jid.JID) Presence
	// Mutual asks for the user's presence too, when a subscription is granted, and grants nothing
	// beyond it: a gateway that has to know when its people are there.
	Mutual bool
	// Gone is told that user has taken contact out of the roster. nil: nobody.
	Gone func(ctx context.Context, user, contact jid.JID)
}

// HandleContacts answers subscriptions and probes as contacts say. Handlers of presence see all of it
// too, afterwards.
func (c *Component) HandleContacts(contacts Contacts) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.contacts = &contacts
}

// take answers presence, and reports whether there was something to answer.
func (x *Contacts) take(ctx context.Context, c *Component, s *stanza.Stanza) bool {
	user, contact := s.From.Bare(), s.To.Bare()
	switch s.Type {
	case stanza.Subscribe:
		if x.Allow != nil && !x.Allow(ctx, user, contact) {
			c.link.Reply(presence(stanza.Unsubscribed, contact, user))
			return true
		}
		c.link.Reply(presence(stanza.Subscribed, contact, user))
		x.show(ctx, c, contact, user)
		if x.Mutual {
			c.link.Reply(presence(stanza.Subscribe, contact, user))
		}
	case stanza.Unsubscribe:
		c.link.Reply(presence(stanza.Unsubscribed, contact, user))
		c.link.Reply(presence(stanza.Unavailable, contact, user))
		if x.Mutual {
			c.link.Reply(presence(stanza.Unsubscribe, contact, user))
		}
		if x.Gone != nil {
			x.Gone(ctx, user, contact)
		}
	case stanza.Probe:
		// A probe comes from who believes to be subscribed. RFC 6121 §4.3.2
		if x.Allow != nil && !x.Allow(ctx, user, contact) {
			c.link.Reply(presence(stanza.Unsubscribed, contact, user))
			return true
		}
		x.show(ctx, c, contact, s.From)
	default:
		return false
	}
	return true
}

// show tells to what contact's presence is.
func (x *Contacts) show(ctx context.Context, c *Component, contact, to jid.JID) {
	var p Presence
	if x.Presence != nil {
		p = x.Presence(ctx, to.Bare(), contact)
	}
	c.link.Reply(p.Stanza(contact, to))
}

// Presence is what somebody's presence says. The zero value is available, without more. RFC 6121 §4.7
type Presence struct {
	Unavailable bool
	Show        string // away, chat, dnd, xa, or ""
	Status      string // for people, or ""
}

// Stanza is the presence of from, as it is sent to one who is subscribed.
func (p Presence) Stanza(from, to jid.JID) *stanza.Stanza {
	s := presence(stanza.Available, from, to)
	if p.Unavailable {
		s.Type = stanza.Unavailable
	}
	for _, x := range []struct{ name, value string }{{"show", p.Show}, {"status", p.Status}} {
		if x.value != "" {
			s.Add(&stanza.Raw{
				Name:  xmlstream.Name{Space: stanza.NSClient, Local: x.name},
				Bytes: xmlstream.AppendText(nil, x.name, x.value),
			})
		}
	}
	return s
}

func presence(t stanza.Type, from, to jid.JID) *stanza.Stanza {
	p := stanza.New(stanza.Presence, t, to)
	p.From = from
	return p
}
