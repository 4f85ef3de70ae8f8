// SPDX-License-Identifier: Apache-2.0

package carbons

import (
	"hash/maphash"
	"sync"

	"github.com/stonechat-im/stonechat/xmpp/carbons"
	"github.com/stonechat-im/stonechat/xmpp/hint"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// Elements by which the rules tell messages apart.
const (
	nsReceipts   = "urn:xmpp:receipts"                     // XEP-0184
	nsChatStates = "http://jabber.org/protocol/chatstates" // XEP-0085
	nsMarkers    = "urn:xmpp:chat-markers:0"               // XEP-0333
	nsConference = "jabber:x:conference"                   // XEP-0249
	nsMUCUser    = "http://jabber.org/protocol/muc#user"   // XEP-0045
)

// eligible reports whether a message, sent to peer or received from it, is to be copied
// (XEP-0280 §6.1), and remembers it for its error.
func (c *copied) eligible(s *stanza.Stanza, peer jid.JID, sent bool) bool {
	switch s.Type {
	case stanza.Groupchat:
		return false
	case stanza.TypeError:
		return c.has(peer, s.ID)
	}
	if !conversation(s, sent) {
		return false
	}
	c.add(peer, s.ID)
	return true
}

// conversation reports whether a message, no error and not of a whole room, belongs to one that all
// devices should show.
func conversation(s *stanza.Stanza, sent bool) bool {
	private := carbons.Private
	// The hint is a rule of XEP-0334 §4.3, to which that of §6.1 gives way.
	if n := private.XMLName(); s.Has(n.Space, n.Local) || hint.Of(s).Has(hint.NoCopy) {
		return false
	}
	room := s.Find(nsMUCUser, "x")
	if room >= 0 && invites(s, room) {
		return true
	}
	// A room gives private messages to all sessions of an occupant that have joined.
	if room >= 0 && !sent && s.From.IsFull() {
		return false
	}
	switch {
	case s.Type == stanza.Chat, s.Type == stanza.Normal && s.Has(stanza.NSClient, "body"):
		return true
	case room >= 0 && sent && s.To.IsFull():
		return true
	}
	for i := range s.Len() {
		space, local, ok := s.Child(i)
		if !ok {
			continue
		}
		switch string(space) {
		case nsReceipts, nsChatStates, nsMarkers:
			return true
		case nsConference:
			if string(local) == "x" {
				return true
			}
		}
	}
	return false
}

// invites reports whether child i, of a room, is a mediated invitation (XEP-0045 §7.8.2).
func invites(s *stanza.Stanza, i int) bool {
	r := s.Reader(i)
	for n := range r.Children() {
		if n.Space == nsMUCUser && n.Local == "invite" {
			return true
		}
	}
	return false
}

// remembered messages of an account: an error comes soon, or finds its message forgotten and is for
// the session alone that it is addressed to.
const remembered = 64

// copied are the messages of an account that were eligible last, by which their errors are known.
type copied struct {
	mu   sync.Mutex
	seed maphash.Seed
	last []uint64 // a ring, once it is full
	next int
}

// sum stands for the message of that id, to or from a peer: who answers for it may be another
// session of the peer than it was addressed to.
func (c *copied) sum(peer jid.JID, id []byte) uint64 {
	if c.last == nil {
		c.seed = maphash.MakeSeed()
		c.last = make([]uint64, 0, remembered)
	}
	var h maphash.Hash
	h.SetSeed(c.seed)
	_, _ = h.WriteString(peer.Bare().String())
	_ = h.WriteByte(0)
	_, _ = h.Write(id)
	return h.Sum64()
}

func (c *copied) add(peer jid.JID, id []byte) {
	if len(id) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	sum := c.sum(peer, id)
	if len(c.last) < remembered {
		c.last = append(c.last, sum)
		return
	}
	c.last[c.next] = sum
	c.next = (c.next + 1) % remembered
}

func (c *copied) has(peer jid.JID, id []byte) bool {
	if len(id) == 0 {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	sum := c.sum(peer, id)
	for _, x := range c.last {
		if x == sum {
			return true
		}
	}
	return false
}
