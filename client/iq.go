// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// IQ sends a request (stanza.Get or stanza.Set) and returns the answer of type result, which is
// the caller's. An answer of type error is returned as a *stanza.Error. The zero to asks one's own
// account. An answer counts if its id is the request's and its sender is who was asked.
//
// A request is sent again, like any stanza, until the server has it. If the session is lost
// before the answer came, a get is asked again; a set ends with ErrLost. Without a deadline ctx
// is given Config.RequestTime.
func (c *Client) IQ(ctx context.Context, to jid.JID, typ stanza.Type, payload stanza.Payload) (*stanza.Stanza, error) {
	return c.link.Requests.Do(ctx, stanza.New(stanza.IQ, typ, to, payload))
}

// Ask is IQ for a get whose answer is decoded into answer.
func (c *Client) Ask(ctx context.Context, to jid.JID, request, answer stanza.Payload) error {
	return c.link.Requests.Ask(ctx, stanza.New(stanza.IQ, stanza.Get, to, request), answer)
}
