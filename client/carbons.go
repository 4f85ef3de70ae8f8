// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"

	"github.com/stonechat-im/stonechat/xmpp/carbons"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// HandleCarbons asks the server, for each session, to copy here what the account's other sessions
// send and receive, and runs f, as handlers run, for each copy: sent says which of the two. A
// server that makes no copies is no error. Call it before the client is connected. XEP-0280
//
// Copies are believed only from the account itself, and only if it is a party to what is copied:
// anybody can write a message that looks like one. Others are dropped. XEP-0280 §11
func (c *Client) HandleCarbons(f func(ctx context.Context, s *stanza.Stanza, sent bool)) {
	take := func(ctx context.Context, s *stanza.Stanza) {
		if copied, sent := c.carbon(s); copied != nil {
			f(ctx, copied, sent)
		}
	}
	for _, sent := range []bool{false, true} {
		c.Handle(stanza.Message, (&carbons.Copy{Sent: sent}).XMLName(), take)
	}
	c.HandleSession(func(context.Context) {
		enable := carbons.Enable
		s := stanza.New(stanza.IQ, stanza.Set, jid.JID{}, &enable)
		it, err := c.item(s)
		if err != nil {
			c.log.Error("carbons not asked for", "err", err)
			return
		}
		c.link.Out.Force(it)
	})
}

// carbon is the message of which s is a copy; nil if that is not to be believed.
func (c *Client) carbon(s *stanza.Stanza) (copied *stanza.Stanza, sent bool) {
	own := c.config.Account.Bare()
	if !s.From.IsZero() && s.From != own {
		c.log.Warn("carbon of a stranger", "from", s.From.String())
		return nil, false
	}
	for _, sent := range []bool{false, true} {
		copied := &carbons.Copy{Sent: sent}
		found, err := s.Decode(copied)
		if !found {
			continue
		}
		var m *stanza.Stanza
		if err == nil {
			m, err = copied.Forwarded.Parse()
		}
		switch {
		case err != nil:
			c.log.Debug("carbon not understood", "err", err)
		case m.Kind != stanza.Message, sent && m.From.Bare() != own, !sent && !m.To.IsZero() && m.To.Bare() != own:
			c.log.Warn("carbon of what is not ours", "from", m.From.String(), "to", m.To.String())
		default:
			return m, sent
		}
		return nil, false
	}
	return nil, false
}
