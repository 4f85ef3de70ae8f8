// SPDX-License-Identifier: Apache-2.0

package pubsub

// How to read this file: Appeared sends last items; names are what it knows of accounts' nodes without reading.

import (
	"container/list"
	"context"
	"errors"
	"slices"
	"sync"
	"unique"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/pubsub"
)

// Appeared sends what was published last at those of the owners' nodes that are sent with presence and wanted to a resource
// that has just become available, as far as it may see them, but for what was published after that moment: of that it was told
// as it came. It waits for the store, and returns when all is on its way.
func (m *Module) Appeared(ctx context.Context, owners []jid.JID, to jid.JID, since uint64, wants func(node string) bool) {
	for some := range slices.Chunk(owners, store.MaxNodeOwners) {
		fresh := make([][]string, len(some)) // before the others are read: what is stored meanwhile is among those
		for i, owner := range some {
			fresh[i] = m.names.beingMade(owner)
		}
		all, err := m.namesOf(ctx, some)
		if err != nil {
			m.log.Error("last items not sent", "jid", to.String(), "err", err)
			continue
		}
		t := m.server.NewTurn()
		for i, names := range all {
			for _, name := range names {
				if !slices.Contains(fresh[i], name.Value()) {
					fresh[i] = append(fresh[i], name.Value())
				}
			}
			for _, node := range fresh[i] {
				if wants(node) {
					if err := m.sendLast(ctx, t, store.NodeName{JID: some[i], Node: node}, to, since); err != nil {
						m.log.Error("last item not sent", "jid", some[i].String(), "err", err)
					}
				}
			}
		}
		t.End()
	}
}

// Moment is a number greater than those before: of two things it says which was first, whatever the clock does.
func (m *Module) Moment() uint64 { return m.moments.Add(1) }

// sendLast sends the last item of a node.
func (m *Module) sendLast(ctx context.Context, t *server.Turn, name store.NodeName, to jid.JID, since uint64) error {
	n, release, err := m.hold(ctx, name, false)
	if err != nil {
		return err
	}
	defer release()
	if n.there() != nil {
		return nil
	}
	s := n.standingOf(to.Bare())
	if s.config.SendLast != pubsub.SendOnPresence || !m.mayHear(ctx, &s) {
		return nil
	}
	n.mu.Lock()
	if n.exists && n.moment <= since {
		if msg := m.lastItem(n); msg != nil {
			m.tellOne(t, n, to, msg)
		}
	}
	n.mu.Unlock()
	n.out.Run(t)
	return nil
}

// names are those of accounts' nodes, so that of an account without nodes, or without any that is wanted, nothing is read
// when one of its contacts comes. What was not needed for the longest time is forgotten first. Many accounts have
// nodes of the same names.
type names struct {
	mu    sync.Mutex
	by    map[jid.JID]*list.Element // of *known
	order list.List                 // the one needed last in front
	turns uint64                    // rises when any account's nodes have become others
	made  map[jid.JID][]string      // of nodes that are being made, and that the store may not name yet
}

type known struct {
	owner jid.JID
	nodes []unique.Handle[string] // not to be changed
}

// get fills in what is known, and returns those of whom nothing is, and the turn.
func (s *names) get(owners []jid.JID, all [][]unique.Handle[string]) (missing []int, turn uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, j := range owners {
		e := s.by[j]
		if e == nil {
			missing = append(missing, i)
			continue
		}
		s.order.MoveToFront(e)
		all[i] = e.Value.(*known).nodes
	}
	return missing, s.turns
}

// put remembers what was read since that turn, unless something has changed in the meantime.
func (s *names) put(turn uint64, owner jid.JID, nodes []unique.Handle[string], most int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.turns != turn || s.by[owner] != nil {
		return
	}
	if s.by == nil {
		s.by = make(map[jid.JID]*list.Element)
	}
	s.by[owner] = s.order.PushFront(&known{owner, nodes})
	for s.order.Len() > most {
		delete(s.by, s.order.Remove(s.order.Back()).(*known).owner)
	}
}

// forget is for when a node was made or deleted, and that is stored.
func (s *names) forget(owner jid.JID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turns++
	if e := s.by[owner]; e != nil {
		s.order.Remove(e)
		delete(s.by, owner)
	}
}

// making says that a node is being made, until stored says that it is stored, or that it is not made after all. Who appears
// meanwhile was not there when it was found out who hears of the item that it is made for.
func (s *names) making(n store.NodeName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.made == nil {
		s.made = make(map[jid.JID][]string)
	}
	s.made[n.JID] = append(s.made[n.JID], n.Node)
}

func (s *names) stored(n store.NodeName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	rest := s.made[n.JID]
	if i := slices.Index(rest, n.Node); i >= 0 {
		rest = slices.Delete(rest, i, i+1)
	}
	s.made[n.JID] = rest
	if len(rest) == 0 {
		delete(s.made, n.JID)
	}
}

// beingMade are the names of an owner's nodes that are being made.
func (s *names) beingMade(owner jid.JID) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.made[owner])
}

// namesOf returns the names of the nodes of owners, in their order, at most store.MaxNodeOwners. What is not known is read
// at once.
func (m *Module) namesOf(ctx context.Context, owners []jid.JID) ([][]unique.Handle[string], error) {
	all := make([][]unique.Handle[string], len(owners))
	missing, turn := m.names.get(owners, all)
	if len(missing) == 0 {
		return all, nil
	}
	var ask []jid.JID
	at := make(map[jid.JID]int, len(missing))
	for _, i := range missing {
		ask = append(ask, owners[i])
		at[owners[i]] = i
	}
	err := m.readNames(ctx, ask, func(n store.NodeName) {
		i := at[n.JID]
		all[i] = append(all[i], unique.Make(n.Node))
	})
	if err != nil {
		return nil, err
	}
	most := m.config.Load().CachedAccounts
	for _, i := range missing {
		m.names.put(turn, owners[i].Clone(), all[i], most)
	}
	return all, nil
}

// readNames reads the names of nodes, of fewer owners at a time where they have very many.
func (m *Module) readNames(ctx context.Context, owners []jid.JID, add func(store.NodeName)) error {
	list, err := m.store.NodeNames(ctx, owners)
	switch {
	case errors.Is(err, store.ErrTooLarge) && len(owners) > 1:
		half := len(owners) / 2
		return errors.Join(m.readNames(ctx, owners[:half], add), m.readNames(ctx, owners[half:], add))
	case errors.Is(err, store.ErrTooLarge):
		return m.readAllNames(ctx, owners[0], add)
	}
	for _, n := range list {
		add(n)
	}
	return err
}

// readAllNames reads those of one who has more than fit into a page.
func (m *Module) readAllNames(ctx context.Context, owner jid.JID, add func(store.NodeName)) error {
	for after := ""; ; {
		page, err := m.store.Nodes(ctx, owner, after, 0)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, n := range page {
			add(n.Name)
			after = n.Name.Node
		}
	}
}
