// SPDX-License-Identifier: Apache-2.0

package component

import (
	"context"
	"strings"

	"github.com/stonechat-im/stonechat/xmpp/gateway"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// Names leads people to those on a gateway's other side, of whom they know the name there: clients ask for it by
// Prompt when somebody adds a contact, and get the address here. XEP-0100 §6.3
type Names struct {
	// Prompt is what is asked for, such as "Phone number". Description, which may be empty, is a sentence that says more.
	Prompt, Description string
	// Address is the address of whom user, a bare address, has given the name. nil: the name, escaped (XEP-0106), at the domain.
	Address func(ctx context.Context, user jid.JID, name string) (jid.JID, error)
}

// HandleNames answers such requests to the domain itself.
func (c *Component) HandleNames(names Names) {
	Answer(c, stanza.Get, func(_ context.Context, s *stanza.Stanza, _ *gateway.Query) (stanza.Payload, error) {
		if s.To != c.config.Domain {
			return nil, stanza.ServiceUnavailable.Err("")
		}
		return &gateway.Query{Description: names.Description, Prompt: names.Prompt}, nil
	})
	Answer(c, stanza.Set, func(ctx context.Context, s *stanza.Stanza, q *gateway.Query) (stanza.Payload, error) {
		name := strings.TrimSpace(q.Prompt)
		switch {
		case s.To != c.config.Domain:
			return nil, stanza.ServiceUnavailable.Err("")
		case name == "":
			return nil, stanza.BadRequest.Err("there is no name")
		}
		find := names.Address
		if find == nil {
			find = c.escaped
		}
		address, err := find(ctx, s.From.Bare(), name)
		if err != nil {
			return nil, err
		}
		return &gateway.Query{JID: address.String()}, nil
	})
}

// escaped is the address of a name that is not looked up anywhere.
func (c *Component) escaped(_ context.Context, _ jid.JID, name string) (jid.JID, error) {
	address, err := jid.New(jid.Escape(name), c.config.Domain.Domain(), "")
	if err != nil {
		return jid.JID{}, stanza.NotAcceptable.Err("nobody can have that name")
	}
	return address, nil
}
