// SPDX-License-Identifier: Apache-2.0

package component

import (
	"context"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// IQ sends a request (stanza.Get or stanza.Set) from an address of the domain, the zero one for the
// domain itself, and returns the answer of type result, which is the caller's. An answer of type error is
// returned as a *stanza.Error. An answer counts if its id is the request's, its sender is who was asked,
// and its receiver who asked.
//
// A request is sent again, like any stanza, until the server has it. If the connection broke after that
// and before the answer came, a get is asked again; a set ends with ErrLost. Without a deadline ctx is
// given Config.RequestTime.
func (c *Component) IQ(ctx context.Context, from, to jid.JID, typ stanza.Type, payload stanza.Payload) (*stanza.Stanza, error) {
	return c.link.Requests.Do(ctx, c.request(from, to, typ, payload))
}

// Ask is IQ for a get whose answer is decoded into answer.
func (c *Component) Ask(ctx context.Context, from, to jid.JID, request, answer stanza.Payload) error {
	return c.link.Requests.Ask(ctx, c.request(from, to, stanza.Get, request), answer)
}

func (c *Component) request(from, to jid.JID, typ stanza.Type, payload stanza.Payload) *stanza.Stanza {
	s := stanza.New(stanza.IQ, typ, to, payload)
	if s.From = from; from.IsZero() {
		s.From = c.config.Domain
	}
	return s
}
