// SPDX-License-Identifier: Apache-2.0

package pubsub

import (
	"maps"
	"slices"
	"sync/atomic"
	"unique"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/form"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/pubsub"
)

// subscription is one. It is not changed but for gone and heir. There may be hundreds of thousands, which the garbage collector
// goes through each time: they are as small as can be.
type subscription struct {
	jid     jid.JID
	shared  unique.Handle[jid.JID] // of jid: as long as a node has it, all have it in the same memory
	given   *given                 // nil: no options were
	pending bool
	gone    atomic.Bool                  // it has ended
	heir    atomic.Pointer[subscription] // what has taken its place, whose end is its own
}

// given are the options that a subscriber has given.
type given struct {
	options pubsub.SubscribeOptions
	stored  []byte // as the store has them
}

// give makes them.
func give(o pubsub.SubscribeOptions) *given { return &given{o, o.Form(form.Submit).AppendXML(nil)} }

// options are those that were given, or what holds without.
func (s *subscription) options() pubsub.SubscribeOptions {
	if s.given == nil {
		return pubsub.DefaultOptions()
	}
	return s.given.options
}

// ended reports whether nothing more is sent.
func (s *subscription) ended() bool {
	for s != nil {
		if s.gone.Load() {
			return true
		}
		s = s.heir.Load()
	}
	return false
}

// stored is the subscription as the store has it.
func (s *subscription) stored() store.NodeSubscription {
	x := store.NodeSubscription{JID: s.jid, Pending: s.pending, Temporary: s.options().Temporary}
	if s.given != nil {
		x.Options = s.given.stored
	}
	return x
}

func parseOptions(b []byte) (pubsub.SubscribeOptions, error) {
	o := pubsub.DefaultOptions()
	f, err := parseForm(b)
	if err != nil {
		return o, err
	}
	return o, o.Apply(f)
}

// put makes or replaces a subscription. n.mu is held.
func (n *node) put(s *subscription) {
	s.shared = unique.Make(s.jid)
	s.jid = s.shared.Value()
	if old := n.subscriptions[s.jid]; old != nil {
		old.heir.Store(s)
	} else if s.jid.IsFull() {
		if n.resources == nil {
			n.resources = make(map[jid.JID]int)
		}
		n.resources[s.jid.Bare()]++
	}
	n.subscriptions[s.jid] = s
	n.list = nil
}

// remove ends a subscription. n.mu is held.
func (n *node) remove(j jid.JID) *subscription {
	s := n.subscriptions[j]
	if s == nil {
		return nil
	}
	s.gone.Store(true)
	delete(n.subscriptions, j)
	if bare := j.Bare(); j.IsFull() {
		if n.resources[bare]--; n.resources[bare] == 0 {
			delete(n.resources, bare)
		}
	}
	n.list = nil
	return s
}

// subscribers are the subscriptions that are not pending, not to be changed. n.mu is held.
func (n *node) subscribers() []*subscription {
	if n.list == nil && len(n.subscriptions) > 0 {
		n.list, n.special, n.heard = make([]*subscription, 0, len(n.subscriptions)+1), false, nil
		for _, s := range n.subscriptions {
			if !s.pending {
				n.list = append(n.list, s)
				n.special = n.special || s.given != nil
			}
		}
	}
	return n.list
}

// subscribed are the bare addresses of who has any. n.mu is held.
func (n *node) subscribed() []jid.JID {
	all := make(map[jid.JID]struct{}, len(n.subscriptions))
	for j := range n.subscriptions {
		all[j.Bare()] = struct{}{}
	}
	return slices.Collect(maps.Keys(all))
}

// of are the subscriptions of a bare address. n.mu is held.
func (n *node) of(bare jid.JID) (list []*subscription) {
	if s := n.subscriptions[bare]; s != nil {
		list = append(list, s)
	}
	if n.resources[bare] == 0 {
		return list
	}
	for j, s := range n.subscriptions {
		if j.IsFull() && j.Bare() == bare {
			list = append(list, s)
		}
	}
	return list
}
