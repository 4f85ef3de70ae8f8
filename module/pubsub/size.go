// SPDX-License-Identifier: Apache-2.0

package pubsub

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// size counts what an address has, for its bounds. What went with deleted accounts it counts still, until a bound is reached: to count
// a great service anew takes long.
type size struct {
	mu        sync.Mutex // held while the store counts
	known     bool
	deletions int64 // of accounts, when it was counted

	nodes, subscriptions atomic.Int64
}

type sizes struct {
	mu sync.Mutex // held for a moment: the store's goroutine waits for it
	of map[jid.JID]*size
}

// forget is for when an address has to be counted anew.
func (s *sizes) forget(at jid.JID) {
	s.mu.Lock()
	delete(s.of, at)
	s.mu.Unlock()
}

// at is the count of an address, which may not be known yet. Accounts that nobody has counted are not kept for ever: when there are
// many, all are counted anew.
func (s *sizes) at(at jid.JID) *size {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.of[at]
	if x == nil {
		if s.of == nil || len(s.of) > maxSizes {
			s.of = make(map[jid.JID]*size)
		}
		x = new(size)
		s.of[at] = x
	}
	return x
}

const maxSizes = 100_000

// changed says that nodes were made, or deleted where made is negative, or that this could not be stored.
func (x *size) changed(made int64, stored bool) {
	if stored == (made < 0) { // what was made has been counted before, what is deleted has not
		x.nodes.Add(min(made, -made))
	}
}

// sizeOf is the count of an address, read at first.
func (m *Module) sizeOf(ctx context.Context, at jid.JID) (*size, error) {
	x := m.sizes.at(at)
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.known {
		return x, nil
	}
	x.deletions = m.deletions.Load()
	nodes, subscriptions, err := m.store.NodeCount(ctx, at)
	if err != nil {
		return nil, err
	}
	x.nodes.Store(int64(nodes))
	x.subscriptions.Store(int64(subscriptions))
	x.known = true
	return x, nil
}

// mayHaveMore counts one more of what an address has, if there may be: some went with accounts that were deleted since it was counted. It
// may wait.
func (m *Module) mayHaveMore(ctx context.Context, at jid.JID, what func(*size) *atomic.Int64, most int) (bool, error) {
	for {
		x, err := m.sizeOf(ctx, at)
		if err != nil {
			return false, err
		}
		if what(x).Add(1) <= int64(most) {
			return true, nil
		}
		what(x).Add(-1)
		if x.deletions == m.deletions.Load() {
			return false, nil
		}
		if err := m.store.Commit().Wait(ctx); err != nil { // what is not yet stored counts
			return false, err
		}
		m.sizes.forget(at)
	}
}

func nodesOf(x *size) *atomic.Int64         { return &x.nodes }
func subscriptionsOf(x *size) *atomic.Int64 { return &x.subscriptions }
