// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"strconv"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// Availability is what presence tells. RFC 6121 §4.7.2
type Availability struct {
	Show     string // "" is available; away, chat, dnd, xa
	Status   string // for people
	Priority int8   // below 0: no messages to the bare address
	// Extra are further payloads, such as entity capabilities.
	Extra []stanza.Payload
}

// Announce tells all who may see it that the account is available here. Messages to its bare
// address arrive from then on. It is told again whenever a new session is bound; before the first,
// it waits for that.
func (c *Client) Announce(ctx context.Context, a Availability) error {
	s := stanza.New(stanza.Presence, stanza.Available, jid.JID{})
	if a.Show != "" {
		s.Add(text{"show", a.Show})
	}
	if a.Status != "" {
		s.Add(text{"status", a.Status})
	}
	if a.Priority != 0 {
		s.Add(text{"priority", strconv.Itoa(int(a.Priority))})
	}
	if own := c.caps(c.info()); own != nil {
		s.Add(own)
	}
	for _, p := range a.Extra {
		s.Add(p)
	}
	return c.Send(ctx, s)
}

// Withdraw tells that the account is not available here any more. The session goes on.
func (c *Client) Withdraw(ctx context.Context) error {
	return c.Send(ctx, stanza.New(stanza.Presence, stanza.Unavailable, jid.JID{}))
}

// Subscribe asks to see the presence of to; Approve lets to see ours, whether it has asked or
// will; Unsubscribe and Revoke take these back. RFC 6121 §3
func (c *Client) Subscribe(ctx context.Context, to jid.JID) error {
	return c.subscription(ctx, stanza.Subscribe, to)
}

// Approve lets to see our presence. See Subscribe.
func (c *Client) Approve(ctx context.Context, to jid.JID) error {
	return c.subscription(ctx, stanza.Subscribed, to)
}

// Unsubscribe stops seeing the presence of to. See Subscribe.
func (c *Client) Unsubscribe(ctx context.Context, to jid.JID) error {
	return c.subscription(ctx, stanza.Unsubscribe, to)
}

// Revoke refuses the request of to, or takes Approve back. See Subscribe.
func (c *Client) Revoke(ctx context.Context, to jid.JID) error {
	return c.subscription(ctx, stanza.Unsubscribed, to)
}

func (c *Client) subscription(ctx context.Context, typ stanza.Type, to jid.JID) error {
	return c.Send(ctx, stanza.New(stanza.Presence, typ, to.Bare()))
}

// text is a child of a stanza that has text only. It is written, never read.
type text struct{ local, text string }

func (t text) XMLName() xmlstream.Name { return xmlstream.Name{Space: stanza.NSClient, Local: t.local} }

func (t text) AppendXML(dst []byte) []byte { return xmlstream.AppendText(dst, t.local, t.text) }

func (t text) DecodeXML(r *xmlstream.Reader) error { return r.Err() }
