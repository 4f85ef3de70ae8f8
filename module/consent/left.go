// SPDX-License-Identifier: Apache-2.0

package consent

import (
	"context"
	"sync"

	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// left are things that somebody has had: the rules by which others follow what they publish went with him, and so do their subscriptions.
type left struct {
	mu     sync.Mutex
	things map[jid.JID]bool // whether it is committed that they are his no more
	wake   chan struct{}
}

func (x *left) init() { x.things, x.wake = make(map[jid.JID]bool), make(chan struct{}, 1) }

// leaves says that a thing will be, if that can be committed.
func (x *left) leaves(thing jid.JID) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.things[thing.Clone()] = false
}

// changed says that something of a thing was committed.
func (x *left) changed(thing jid.JID) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if _, leaves := x.things[thing]; leaves {
		x.things[thing] = true
		awake(x.wake)
	}
}

// take returns those that were.
func (x *left) take() (list []jid.JID) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for thing, committed := range x.things {
		if committed {
			list = append(list, thing)
			delete(x.things, thing)
		}
	}
	return list
}

// unfollow ends the subscriptions to what these publish that nobody allows any more.
func (m *Module) unfollow(ctx context.Context) {
	for _, thing := range m.left.take() {
		if err := m.nodes.RecheckAll(ctx, thing); err != nil && ctx.Err() == nil {
			m.log.Error("subscriptions not ended", "jid", thing.String(), "err", err)
		}
	}
}
