// SPDX-License-Identifier: Apache-2.0

package pep

import (
	"context"
	"fmt"
	"sync"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// sights are what accounts see that came lately: to send somebody what his contacts have published, each of
// them must let him see it, and most of them are not online. All that is read at once, the first time it is
// asked for.
type sights struct {
	mu    sync.Mutex
	of    map[jid.JID]*sight
	order []jid.JID // the oldest first
	turns uint64    // rises with every change of who sees whom
}

// sight is what one account sees.
type sight struct {
	read   sync.Mutex // held while it is read
	known  bool
	owners map[jid.JID]struct{}
}

// maxSights is of how many accounts it is known.
const maxSights = 256

// expect says that it will be asked what viewer sees.
func (s *sights) expect(viewer jid.JID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of[viewer] != nil {
		return
	}
	if s.of == nil {
		s.of = make(map[jid.JID]*sight)
	}
	if len(s.order) >= maxSights {
		delete(s.of, s.order[0])
		s.order = s.order[1:]
	}
	s.of[viewer] = new(sight)
	s.order = append(s.order, viewer)
}

// forget is for when what viewer sees has changed; forgetAll for when it is not known whose has.
func (s *sights) forget(viewer jid.JID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turns++
	if x := s.of[viewer]; x != nil {
		s.of[viewer] = new(sight)
	}
}

func (s *sights) forgetAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turns++
	clear(s.of)
	s.order = nil
}

func (s *sights) get(viewer jid.JID) (*sight, uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.of[viewer], s.turns
}

// seenBy is whether viewer sees an owner that is not in use, where that is known, or can be read for all
// owners at once.
func (m *Module) seenBy(ctx context.Context, owner, viewer jid.JID) (sees, known bool, err error) {
	x, turns := m.sights.get(viewer)
	if x == nil {
		return false, false, nil
	}
	x.read.Lock()
	defer x.read.Unlock()
	if !x.known {
		x.owners = make(map[jid.JID]struct{})
		for after := (jid.JID{}); ; {
			page, err := m.store.SeenBy(ctx, viewer, after, store.MaxPage)
			if err != nil {
				return false, false, fmt.Errorf("pep: what %s sees: %w", viewer, err)
			}
			for _, j := range page {
				x.owners[j] = struct{}{}
				after = j
			}
			if len(page) < store.MaxPage {
				break
			}
		}
		x.known = true
	}
	if _, now := m.sights.get(viewer); now != turns {
		return false, false, nil // it may be out of date
	}
	_, sees = x.owners[owner]
	return sees, true, nil
}
