// SPDX-License-Identifier: Apache-2.0

package pubsub

// How to read this file: what all nodes of one maker keep is bounded by modules.pubsub.bytes_per_owner. The store has the sum;
// in memory is a number that it is never above, so that a publication asks the store only where that number reaches the bound.

import (
	"math"
	"sync"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// kept is what makers' nodes have.
type kept struct {
	mu sync.Mutex
	by map[store.NodeMaker]*weight
}

// weight is what the nodes of one maker have. All but asking is guarded by kept.mu.
type weight struct {
	asking sync.Mutex // held while the store is asked
	users  int        // who will ask it
	known  bool       // most counts
	most   int64      // they have no more, when what is on its way is stored
	onWay  int64      // what was charged for and is not yet known to be stored or not
}

// of is a maker's. k.mu is held.
func (k *kept) of(x store.NodeMaker) *weight {
	w := k.by[x]
	if w != nil {
		return w
	}
	if k.by == nil {
		k.by = make(map[store.NodeMaker]*weight)
	}
	if len(k.by) >= maxSizes {
		for y, w := range k.by {
			if w.onWay == 0 && w.users == 0 { // it is asked for anew
				delete(k.by, y)
			}
		}
	}
	w = new(weight)
	k.by[x] = w
	return w
}

// use has a maker's stay until who asks it is done.
func (k *kept) use(x store.NodeMaker) (w *weight, done func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	w = k.of(x)
	w.users++
	return w, func() {
		k.mu.Lock()
		w.users--
		k.mu.Unlock()
	}
}

// ask has most read by f. unsure is what may be in it twice, having been stored since. w.asking is held.
func (k *kept) ask(w *weight, f func() (int64, error)) (unsure int64, err error) {
	k.mu.Lock()
	w.known = false // nobody is charged meanwhile
	onWay := w.onWay
	k.mu.Unlock()
	sum, err := f()
	if err != nil {
		return 0, err
	}
	k.mu.Lock()
	w.known, w.most = true, sum+onWay // what was stored since counts twice, until somebody asks again
	k.mu.Unlock()
	return onWay, nil
}

// charge is bytes for which a maker was charged.
type charge struct {
	*kept
	maker store.NodeMaker
	bytes int64
}

// fits charges the maker, if it is known that there is room.
func (c charge) fits(most int64) bool {
	if c.bytes <= 0 {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	w := c.of(c.maker)
	if !w.known || w.most+c.bytes > most {
		return false
	}
	w.most, w.onWay = w.most+c.bytes, w.onWay+c.bytes
	return true
}

// fitsBut reports whether there would be room if so much was counted twice.
func (c charge) fitsBut(unsure, most int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return unsure > 0 && c.of(c.maker).most-unsure+c.bytes <= most
}

// settled says what became of it: stored, it counts in the store.
func (c charge) settled(stored bool) {
	if c.bytes <= 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	w := c.of(c.maker)
	w.onWay -= c.bytes
	if !stored && w.known {
		w.most -= c.bytes
	}
}

// follow settles it with p.
func (c charge) follow(p *store.Pending) {
	if c.bytes > 0 {
		p.OnDone(func(err error) { c.settled(err == nil) })
	}
}

// charge has the maker of a node pay for operations that make it, and for items that are published. A publication that may not wait
// gets server.ErrWaits where the store has to be asked. Who counts too much already may still replace what he has by what is smaller.
// n.work is held.
func (r *request) charge(n *node, ops []store.Op, items []store.Item) (charge, error) {
	n.mu.Lock()
	c := n.config
	paid := charge{kept: &r.kept, maker: n.madeBy()}
	n.mu.Unlock()
	for _, op := range ops {
		if op, makes := op.(store.CreateNode); makes {
			paid.bytes += op.Node.Bytes()
		}
	}
	if !c.Persist {
		items = nil
	}
	ids := make([]string, 0, len(items))
	for i := range items {
		paid.bytes += items[i].Bytes()
		ids = append(ids, items[i].ID)
	}
	return paid, r.pay(paid, func() (int64, error) {
		if err := n.settle(r.ctx); err != nil || len(ids) == 0 {
			return 0, err
		}
		return r.store.BytesOver(r.ctx, n.name, ids, r.most(c))
	})
}

// chargeGrowth has the maker of a node pay for so much more of it, or nothing. n.work is held.
func (r *request) chargeGrowth(n *node, bytes int64) (charge, error) {
	n.mu.Lock()
	paid := charge{kept: &r.kept, maker: n.madeBy(), bytes: bytes}
	n.mu.Unlock()
	return paid, r.pay(paid, func() (int64, error) { return 0, nil })
}

// madeBy is whom the node's bytes are counted for. n.mu is held.
func (n *node) madeBy() store.NodeMaker {
	return store.NodeMaker{At: n.name.JID, Creator: n.creator, Orphan: n.orphan}
}

// pay is charge of what was counted; going counts what goes for it.
func (r *request) pay(c charge, going func() (int64, error)) error {
	most := int64(r.config.Load().BytesPerOwner)
	if most == 0 {
		most = math.MaxInt64 / 2
	}
	if c.fits(most) {
		return nil
	}
	if r.quick {
		return server.ErrWaits
	}
	w, done := c.use(c.maker)
	defer done()
	w.asking.Lock()
	defer w.asking.Unlock()
	if c.fits(most) { // somebody else has asked
		return nil
	}
	ask := func() (int64, error) { return r.store.NodeBytes(r.ctx, c.maker) }
	unsure, err := c.ask(w, ask)
	if err != nil {
		return err
	}
	if c.fits(most) {
		return nil
	}
	if c.fitsBut(unsure, most) {
		if err := r.store.Commit().Wait(r.ctx); err != nil { // behind what was on its way
			return err
		}
		if _, err := c.ask(w, ask); err != nil {
			return err
		}
		if c.fits(most) {
			return nil
		}
	}
	gone, err := going()
	switch {
	case err != nil:
		return err
	case gone >= c.bytes:
		most = math.MaxInt64 / 2
	default:
		most += gone
	}
	if c.fits(most) {
		return nil
	}
	return r.limited(stanza.ResourceConstraint.Err("the nodes of their maker keep as much as they may"))
}
