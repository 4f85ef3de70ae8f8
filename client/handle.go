// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"

	"github.com/stonechat-im/stonechat/xmpp/caps"
	"github.com/stonechat-im/stonechat/xmpp/disco"
	"github.com/stonechat-im/stonechat/xmpp/jid"
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

// handlers are the program's, and ours.
type handlers struct {
	mu      sync.Mutex
	stanzas map[stanzaKey]Handler
	errors  Handler
	iqs     map[iqKey]IQHandler
	session []func(context.Context)
	nodes   InfoHandler
	early   func(*stanza.Stanza)
	roster  []func(context.Context, roster.Item)
}

type stanzaKey struct {
	kind stanza.Kind
	name xmlstream.Name
}

type iqKey struct {
	typ  stanza.Type
	name xmlstream.Name
}

func (t *handlers) init(c *Client) {
	t.stanzas = make(map[stanzaKey]Handler)
	t.iqs = make(map[iqKey]IQHandler)
	c.in.handle, c.in.behind = c.dispatch, c.behind
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
	c.table.mu.Lock()
	defer c.table.mu.Unlock()
	c.table.stanzas[stanzaKey{kind, name}] = f
}

// HandleErrors gives messages and presence of type error to f: what came back of what was sent.
// Never answer one.
func (c *Client) HandleErrors(f Handler) {
	c.table.mu.Lock()
	defer c.table.mu.Unlock()
	c.table.errors = f
}

// HandleEarly shows each message to f when it has arrived, before its turn comes and while another's handler may still run: for
// what cannot wait, such as an emergency stop. f must not block, nor change or keep the message, which goes to its handler all
// the same. A message that is sent again, after a connection was lost, is shown again.
func (c *Client) HandleEarly(f func(s *stanza.Stanza)) {
	c.table.mu.Lock()
	defer c.table.mu.Unlock()
	c.table.early = f
}

// glance shows what has arrived.
func (t *handlers) glance(s *stanza.Stanza) {
	if s.Kind != stanza.Message {
		return
	}
	t.mu.Lock()
	f := t.early
	t.mu.Unlock()
	if f != nil {
		f(s)
	}
}

// HandleIQ gives requests of that type and payload to f. Others are answered
// service-unavailable, but for what the client answers by itself: pings, service discovery of the
// client (disco#info without node) and roster pushes, in whose place f is put if it takes such.
func (c *Client) HandleIQ(typ stanza.Type, name xmlstream.Name, f IQHandler) {
	c.table.mu.Lock()
	defer c.table.mu.Unlock()
	c.table.iqs[iqKey{typ, name}] = f
}

// HandleSession runs f, as handlers run, whenever a new session is bound: at first, and when an
// old one could not be resumed. What belongs to a session (rooms joined, directed presence) is
// made there. What was announced to all is announced again by the client itself.
func (c *Client) HandleSession(f func(context.Context)) {
	c.table.mu.Lock()
	defer c.table.mu.Unlock()
	c.table.session = append(c.table.session, f)
}

// ready runs when a session is bound.
func (t *handlers) ready(ctx context.Context) {
	t.mu.Lock()
	list := slices.Clone(t.session)
	t.mu.Unlock()
	for _, f := range list {
		f(ctx)
	}
}

// dispatch gives s to its handler.
func (c *Client) dispatch(ctx context.Context, s *stanza.Stanza) {
	if s.Kind == stanza.IQ {
		c.serveIQ(ctx, s)
		return
	}
	if f := c.table.find(s); f != nil {
		f(ctx, s)
	}
}

func (t *handlers) find(s *stanza.Stanza) Handler {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s.Type == stanza.TypeError {
		return t.errors
	}
	for i := range s.Len() {
		space, local, _ := s.Child(i)
		if f := t.stanzas[stanzaKey{s.Kind, xmlstream.Name{Space: string(space), Local: string(local)}}]; f != nil {
			return f
		}
	}
	return t.stanzas[stanzaKey{kind: s.Kind}]
}

// serveIQ answers a request. RFC 6120 §8.2.3: every one gets its answer.
func (c *Client) serveIQ(ctx context.Context, s *stanza.Stanza) {
	space, local, _ := s.Child(s.First())
	c.table.mu.Lock()
	f := c.table.iqs[iqKey{s.Type, xmlstream.Name{Space: string(space), Local: string(local)}}]
	c.table.mu.Unlock()
	if f == nil {
		c.reply(s.Refuse(stanza.ServiceUnavailable.Err("")))
		return
	}
	p, err := f(ctx, s)
	if errors.Is(err, ErrLater) {
		return
	}
	c.Answer(s, p, err)
}

// Answer answers the request s, as an IQHandler does, for one that has returned ErrLater.
func (c *Client) Answer(s *stanza.Stanza, p stanza.Payload, err error) {
	if err != nil {
		var refused *stanza.Error
		if !errors.As(err, &refused) {
			c.log.Error("request failed", "from", s.From.String(), "err", err)
		}
		refused, _ = stanza.AsError(err)
		c.reply(s.Refuse(refused))
		return
	}
	c.reply(s.Result(p))
}

// Reply sends an answer that the program has made of a request, by Stanza.Result or Refuse, where that takes more than Answer
// writes. Like it, it follows ErrLater, once.
func (c *Client) Reply(answer *stanza.Stanza) { c.reply(answer) }

// reply sends an answer, which never waits for room.
func (c *Client) reply(s *stanza.Stanza) {
	s.From = jid.JID{} // the server stamps it
	it, err := newItem(s, c.config.MaxStanza)
	if err != nil {
		c.log.Error("answer not sent", "to", s.To.String(), "err", err)
		return
	}
	if !c.out.answer(it) {
		c.log.Warn("answer dropped: the server acknowledges nothing", "to", s.To.String())
	}
}

// behind has the server told what is handled now.
func (c *Client) behind() {
	c.mu.Lock()
	l := c.link
	c.mu.Unlock()
	if l != nil && l.managed {
		l.owes.Store(true)
		l.kick()
	}
}

// InfoHandler answers what a node is.
type InfoHandler func(ctx context.Context, s *stanza.Stanza, node string) (*disco.Info, error)

// HandleNodes gives service discovery of the nodes of the client (disco#info with a node) to f. What f does not
// know it refuses with item-not-found. f may return ErrLater.
func (c *Client) HandleNodes(f InfoHandler) {
	c.table.mu.Lock()
	defer c.table.mu.Unlock()
	c.table.nodes = f
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
		c.table.mu.Lock()
		f := c.table.nodes
		c.table.mu.Unlock()
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
