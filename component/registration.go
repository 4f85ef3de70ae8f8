// SPDX-License-Identifier: Apache-2.0

package component

import (
	"context"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/register"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// Registration is how people tell a gateway who they are on its other side. XEP-0077 §3.1 and §3.2,
// XEP-0100 §4.1
type Registration interface {
	// Form is what user, a bare address, is to fill in; Registered in it says that it is filled in
	// already, with these values.
	Form(ctx context.Context, user jid.JID) (*register.Query, error)
	// Register takes what user has filled in.
	Register(ctx context.Context, user jid.JID, filled *register.Query) error
	// Remove forgets user. It is called for those only who send it.
	Remove(ctx context.Context, user jid.JID) error
}

// HandleRegistration answers requests for registration with the domain itself.
func (c *Component) HandleRegistration(r Registration) {
	Answer(c, stanza.Get, func(ctx context.Context, s *stanza.Stanza, _ *register.Query) (stanza.Payload, error) {
		if s.To != c.config.Domain {
			return nil, stanza.ServiceUnavailable.Err("")
		}
		form, err := r.Form(ctx, s.From.Bare())
		if err != nil {
			return nil, err
		}
		return form, nil
	})
	Answer(c, stanza.Set, func(ctx context.Context, s *stanza.Stanza, q *register.Query) (stanza.Payload, error) {
		user := s.From.Bare()
		switch {
		case s.To != c.config.Domain:
			return nil, stanza.ServiceUnavailable.Err("")
		case q.Remove:
			if err := r.Remove(ctx, user); err != nil {
				return nil, err
			}
			// XEP-0100 §4.3: the contact that the gateway is goes too.
			c.link.Reply(presence(stanza.Unsubscribe, c.config.Domain, user))
			c.link.Reply(presence(stanza.Unsubscribed, c.config.Domain, user))
			c.link.Reply(presence(stanza.Unavailable, c.config.Domain, user))
			return nil, nil
		}
		if err := r.Register(ctx, user, q); err != nil {
			return nil, err
		}
		// The gateway wants to know when its people are there. XEP-0100 §4.1
		c.link.Reply(presence(stanza.Subscribe, c.config.Domain, user))
		return nil, nil
	})
}
