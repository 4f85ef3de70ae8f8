// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"slices"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/roster"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// Roster fetches the account's contacts. Changes are pushed from then on: see HandleRoster.
// RFC 6121 §2.1.3
func (c *Client) Roster(ctx context.Context) ([]roster.Item, error) {
	var answer roster.Query
	if err := c.Ask(ctx, jid.JID{}, &roster.Query{}, &answer); err != nil {
		return nil, err
	}
	return answer.Items, nil
}

// SetContact adds a contact or changes its name and groups. RFC 6121 §2.3, §2.4
func (c *Client) SetContact(ctx context.Context, contact jid.JID, name string, groups ...string) error {
	return c.changeRoster(ctx, roster.Item{JID: contact, Name: name, Groups: groups})
}

// RemoveContact removes a contact and both subscriptions. RFC 6121 §2.5
func (c *Client) RemoveContact(ctx context.Context, contact jid.JID) error {
	return c.changeRoster(ctx, roster.Item{JID: contact, Subscription: roster.Remove})
}

func (c *Client) changeRoster(ctx context.Context, i roster.Item) error {
	_, err := c.IQ(ctx, jid.JID{}, stanza.Set, &roster.Query{Items: []roster.Item{i}})
	return err
}

// HandleRoster runs f, as handlers run, for each contact that the server says has changed; one of
// subscription Remove is gone. RFC 6121 §2.1.6
func (c *Client) HandleRoster(f func(context.Context, roster.Item)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.roster = append(c.roster, f)
}

// rosterPush takes a change of the roster, from our own account only: anybody can send us an IQ.
// To others there is no sign that we have a roster. RFC 6121 §2.1.6
func (c *Client) rosterPush(ctx context.Context, s *stanza.Stanza) (stanza.Payload, error) {
	if !s.From.IsZero() && s.From != c.config.Account.Bare() {
		c.log.Warn("roster push of a stranger", "from", s.From.String())
		return nil, stanza.ServiceUnavailable.Err("")
	}
	var q roster.Query
	if _, err := s.Decode(&q); err != nil {
		return nil, err
	}
	if len(q.Items) != 1 {
		return nil, stanza.BadRequest.Err("a roster push has one item")
	}
	c.mu.Lock()
	list := slices.Clone(c.roster)
	c.mu.Unlock()
	for _, f := range list {
		f(ctx, q.Items[0])
	}
	return nil, nil
}
