// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"maps"
	"slices"

	"github.com/stonechat-im/stonechat/xmpp/caps"
	"github.com/stonechat-im/stonechat/xmpp/disco"
	"github.com/stonechat-im/stonechat/xmpp/ping"
	"github.com/stonechat-im/stonechat/xmpp/roster"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// Handler takes a stanza that has arrived, which is its own from then on. ctx is over when the
// client ends. The next stanza waits until it returns.
type Handler func(ctx context.Context, s *stanza.Stanza)

// IQHandler answers a request, with a payload (nil: an empty result) or an error: what is no
// *stanza.Error becomes internal-server-error. With ErrLater it answers by Client.Answer, once, later.
type IQHandler func(ctx context.Context, s *stanza.Stanza) (stanza.Payload, error)

// handleOwn registers what the client does by itself.
func (c *Client) handleOwn() {
	c.HandleIQ(stanza.Get, (&ping.Ping{}).XMLName(), func(context.Context, *stanza.Stanza) (stanza.Payload, error) {
		return nil, nil
	})
	c.HandleIQ(stanza.Get, (&disco.Info{}).XMLName(), c.describe)
	c.HandleIQ(stanza.Set, (&roster.Query{}).XMLName(), c.rosterPush)
}

// Handle gives messages or presence (not of type error) that have a child of that name to f; the
// zero name is all that no other handler takes. One stanza goes to one handler. There is one
// handler for a name: a later one takes the place of the former.
func (c *Client) Handle(kind stanza.Kind, name xmlstream.Name, f Handler) {
	c.link.Handlers.Handle(kind, name, f)
}

// HandleErrors gives messages and presence of type error to f: what came back of what was sent.
// Never answer one.
func (c *Client) HandleErrors(f Handler) { c.link.Handlers.HandleErrors(f) }

// HandleEarly shows each message to f when it has arrived, before its turn comes and while another's handler may still run: for
// what cannot wait, such as an emergency stop. f must not block, nor change or keep the message, which goes to its handler all
// the same. A message that is sent again, after a connection was lost, is shown again.
func (c *Client) HandleEarly(f func(s *stanza.Stanza)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.early = f
}

// glance shows what has arrived.
func (c *Client) glance(s *stanza.Stanza) {
	if s.Kind != stanza.Message {
		return
	}
	c.mu.Lock()
	f := c.early
	c.mu.Unlock()
	if f != nil {
		f(s)
	}
}

// HandleIQ gives requests of that type and payload to f; a name with a namespace alone is all payloads
// of that which no other handler takes. Others are answered
// service-unavailable, but for what the client answers by itself: pings, service discovery of the
// client (disco#info without node) and roster pushes, in whose place f is put if it takes such.
func (c *Client) HandleIQ(typ stanza.Type, name xmlstream.Name, f IQHandler) {
	c.link.Handlers.HandleIQ(typ, name, f)
}

// HandleSession runs f, as handlers run, whenever a new session is bound: at first, and when an
// old one could not be resumed. What belongs to a session (rooms joined, directed presence) is
// made there. What was announced to all is announced again by the client itself.
func (c *Client) HandleSession(f func(context.Context)) { c.link.Handlers.HandleSession(f) }

// dispatch gives s to its handler.
func (c *Client) dispatch(ctx context.Context, s *stanza.Stanza) {
	if s.Kind == stanza.IQ {
		c.link.Serve(ctx, s)
		return
	}
	if f := c.link.Handlers.Find(s); f != nil {
		f(ctx, s)
	}
}

// Answer answers the request s, as an IQHandler does, for one that has returned ErrLater.
func (c *Client) Answer(s *stanza.Stanza, p stanza.Payload, err error) { c.link.Answer(s, p, err) }

// Reply sends an answer that the program has made of a request, by Stanza.Result or Refuse, where that takes more than Answer
// writes. Like it, it follows ErrLater, once.
func (c *Client) Reply(answer *stanza.Stanza) { c.link.Reply(answer) }

// behind has the server told what is handled now.
func (c *Client) behind() {
	if l, ok := c.link.Way().(*session); ok && l.managed {
		l.owes.Store(true)
		l.Kick()
	}
}

// InfoHandler answers what a node is.
type InfoHandler func(ctx context.Context, s *stanza.Stanza, node string) (*disco.Info, error)

// HandleNodes gives service discovery of the nodes of the client (disco#info with a node) to f. What f does not
// know it refuses with item-not-found. f may return ErrLater.
func (c *Client) HandleNodes(f InfoHandler) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nodes = f
}

// describe answers what the client is. XEP-0030 §3
func (c *Client) describe(ctx context.Context, s *stanza.Stanza) (stanza.Payload, error) {
	var q disco.Info
	if _, err := s.Decode(&q); err != nil {
		return nil, err
	}
	info := c.info()
	switch own := c.caps(info); {
	case q.Node == "":
	case own != nil && q.Node == own.InfoNode():
		info.Node = q.Node
	default:
		c.mu.Lock()
		f := c.nodes
		c.mu.Unlock()
		if f == nil {
			return nil, stanza.ItemNotFound.Err("")
		}
		node, err := f(ctx, s, q.Node)
		if err != nil {
			return nil, err
		}
		return node, nil
	}
	return info, nil
}

// info is what the client is.
func (c *Client) info() *disco.Info {
	features := map[string]bool{disco.NSInfo: true, ping.NS: true}
	for _, f := range c.config.Features {
		features[f] = true
	}
	if c.config.Caps != "" {
		features[caps.NS] = true
	}
	return &disco.Info{Identities: []disco.Identity{c.config.Identity}, Features: slices.Sorted(maps.Keys(features))}
}

// caps is what presence says of info, or nil. XEP-0115 §4
func (c *Client) caps(info *disco.Info) *caps.Caps {
	if c.config.Caps == "" {
		return nil
	}
	ver, err := caps.Ver(caps.SHA1, info)
	if err != nil {
		c.log.Error("no capabilities announced", "err", err)
		return nil
	}
	return &caps.Caps{Hash: caps.SHA1, Node: c.config.Caps, Ver: ver}
}
