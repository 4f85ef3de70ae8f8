// SPDX-License-Identifier: Apache-2.0

package pubsub

import (
	"context"
	"sync"

	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// holding is an address and the service at which it has made nodes.
type holding struct{ at, who jid.JID }

// owned is how many nodes of services addresses have made, for modules.pubsub.nodes_per_owner: counted by the store the first time
// that one makes a node, and kept since then. What could not be stored may have been counted: then all are counted anew. Who owns
// them does not matter: whom others make an owner could be kept from making nodes, and who gives his away could make any number.
type owned struct {
	mu sync.Mutex
	by map[holding]*tally
}

type tally struct {
	mu    sync.Mutex // held while the store counts
	known bool
	n     int
}

func (o *owned) of(x holding) *tally {
	o.mu.Lock()
	defer o.mu.Unlock()
	t := o.by[x]
	if t == nil {
		if o.by == nil || len(o.by) >= maxSizes {
			o.by = make(map[holding]*tally)
		}
		t = new(tally)
		o.by[x] = t
	}
	return t
}

// change adds to what is known.
func (o *owned) change(x holding, n int) {
	o.mu.Lock()
	t := o.by[x]
	o.mu.Unlock()
	if t == nil {
		return
	}
	t.mu.Lock()
	t.n += n
	t.mu.Unlock()
}

func (o *owned) forgetAll() {
	o.mu.Lock()
	o.by = nil
	o.mu.Unlock()
}

// mayOwnMore counts one node more that somebody makes at a service, if there may be. It may wait.
func (m *Module) mayOwnMore(ctx context.Context, x holding, most int) (bool, error) {
	t := m.owned.of(x)
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.known {
		if err := m.store.Commit().Wait(ctx); err != nil { // what is made and not yet stored counts
			return false, err
		}
		n, err := m.store.NodesMade(ctx, x.at, x.who)
		if err != nil {
			return false, err
		}
		t.n, t.known = n, true
	}
	if t.n >= most {
		return false, nil
	}
	t.n++
	return true, nil
}

// disowned counts that a node ends, or was not made. n.mu is held.
func (m *Module) disowned(n *node) {
	if n.name.JID.IsDomain() && n.orphan == 0 {
		m.owned.change(holding{n.name.JID, n.creator}, -1)
	}
}
