// SPDX-License-Identifier: Apache-2.0

package pubsub

// How to read this file: what follows from presence: who is available, temporary subscriptions (§13.5), and items that
// go with their publishers (pubsub#purge_offline). Of accounts here sessions tell; others send their presence to the
// service themselves.
//
// A service does not subscribe to the presence of its subscribers: whoever wants the last items of the nodes that he is
// subscribed to when he comes (on_sub_and_presence) sends it his presence.

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/pubsub"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// presences is what this module knows of presence.
type presences struct {
	mu        sync.Mutex
	elsewhere elsewhere                               // available resources that are no sessions here
	here      map[jid.JID]struct{}                    // sessions that have sent their presence to a service
	temporary map[jid.JID]map[store.NodeName]struct{} // nodes at which a bare address has subscriptions that end with its presence
	purging   map[store.NodeName]struct{}             // nodes in memory whose items go with their publishers
	stored    bool                                    // there were such nodes when the server started; set before it does

	leaving map[jid.JID]struct{} // bare addresses of which a resource is not available any more, for leave
	wake    chan struct{}        // when there are some
}

func (p *presences) init() {
	p.elsewhere = elsewhere{make(map[jid.JID]resource), make(map[jid.JID][]jid.JID)}
	p.here = make(map[jid.JID]struct{})
	p.temporary = make(map[jid.JID]map[store.NodeName]struct{})
	p.purging = make(map[store.NodeName]struct{})
	p.leaving = make(map[jid.JID]struct{})
	p.wake = make(chan struct{}, 1)
}

// watch remembers that a subscription ends with its subscriber's presence.
func (p *presences) watch(name store.NodeName, j jid.JID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	bare := j.Bare()
	if p.temporary[bare] == nil {
		p.temporary[bare] = make(map[store.NodeName]struct{})
	}
	p.temporary[bare][name] = struct{}{}
}

// mark remembers whether the items of a node in memory go with their publishers.
func (p *presences) mark(name store.NodeName, purges bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if purges {
		p.purging[name] = struct{}{}
	} else {
		delete(p.purging, name)
	}
}

// presence takes what somebody sends to the service.
func (s *service) presence(t *server.Turn, st *stanza.Stanza) {
	j := st.From.Clone()
	switch came, went, full := s.presences.sent(j, st, s.server.Serves(j.Domain()), s.config.Load().Elsewhere); {
	case full:
		s.metrics.forgotten.Inc()
	case came:
		since := s.Moment()
		t.OffLoop(nil, st, func(t *server.Turn, _ *stanza.Stanza) { s.appeared(t, j, since) })
	case went:
		t.OffLoop(nil, st, func(*server.Turn, *stanza.Stanza) { s.left(j.Bare()) })
	}
}

// sent notes what somebody has said of himself: came that he is available and was not, went that he is not any more, who
// is no session here, full that as many are known as may be.
func (p *presences) sent(j jid.JID, st *stanza.Stanza, session bool, most int) (came, went, full bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, known := p.elsewhere.all[j]
	if session {
		_, known = p.here[j]
	}
	switch st.Type {
	case stanza.Unavailable, stanza.TypeError:
		p.elsewhere.leave(j)
		delete(p.here, j)
		return false, !session, false // sessions tell by themselves
	case stanza.Available:
	default:
		return false, false, false
	}
	switch {
	case session && known:
		return false, false, false
	case session && len(p.here) < most:
		p.here[j] = struct{}{}
		return true, false, false
	case !session && (known || len(p.elsewhere.all) < most):
		p.elsewhere.say(j, showOf(st))
		return !known, false, false
	}
	return false, false, true
}

// appeared sends the last items of the nodes that a resource, or its bare address, is subscribed to and that send them with
// presence (§6.1.7), but for what was published since that moment: that comes anyway. It waits for the store.
func (s *service) appeared(t *server.Turn, j jid.JID, since uint64) {
	ctx := context.Background()
	for after := ""; ; {
		page, err := s.store.Memberships(ctx, s.at, j.Bare(), after, 0)
		if err != nil {
			s.log.Error("last items not sent", "jid", j.String(), "err", err)
		}
		if err != nil || len(page) == 0 {
			return
		}
		for _, x := range page {
			after = x.Node
			if len(x.Subscriptions) == 0 {
				continue
			}
			if err := s.sendSubscribed(ctx, t, x.Node, j, since); err != nil {
				s.log.Error("last item not sent", "jid", j.String(), "err", err)
			}
		}
	}
}

// sendSubscribed sends a resource the last item of one node, if it is to have it.
func (s *service) sendSubscribed(ctx context.Context, t *server.Turn, node string, j jid.JID, since uint64) error {
	n, release, err := s.hold(ctx, store.NodeName{JID: s.at, Node: node}, false)
	if err != nil {
		return err
	}
	defer release()
	n.mu.Lock()
	c, sub := n.config, n.subscriptions[j]
	if sub == nil {
		sub = n.subscriptions[j.Bare()]
	}
	there := n.exists && c.SendLast == pubsub.SendOnPresence && sub != nil && !sub.pending
	n.mu.Unlock()
	if !there || !s.hears(ctx, n, c, sub, time.Now()) {
		return nil
	}
	n.mu.Lock()
	if n.exists && n.moment <= since && !sub.ended() {
		if msg := s.lastItem(n); msg != nil {
			s.tellOne(t, n, j, msg)
		}
	}
	n.mu.Unlock()
	n.out.Run(t)
	return nil
}

// changed is told of each session's presence.
func (m *Module) changed(_ *server.Turn, se *server.Session, was server.Presence) {
	if was.Available && !se.Presence().Available {
		m.gone(se.JID)
	}
}

// ended is told of each session's end.
func (m *Module) ended(_ *server.Turn, se *server.Session, was server.Presence) {
	if was.Available {
		m.gone(se.JID)
		return
	}
	m.presences.mu.Lock()
	delete(m.presences.here, se.JID)
	m.presences.mu.Unlock()
}

// gone has what follows when a resource is not available any more done, if anything does.
func (m *Module) gone(j jid.JID) {
	p := &m.presences
	p.mu.Lock()
	delete(p.here, j)
	defer p.mu.Unlock()
	if len(p.temporary[j.Bare()]) == 0 && len(p.purging) == 0 && !p.stored {
		return
	}
	p.leaving[j.Bare()] = struct{}{}
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// leave does what follows for those of whom gone has told, each once however many of his resources went, and first for those who
// were here before the server was started.
func (m *Module) leave(ctx context.Context) {
	p := &m.presences
	if err := m.recall(ctx); err != nil && ctx.Err() == nil {
		m.log.Error("temporary subscriptions from before not found", "err", err)
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.wake:
		}
		p.mu.Lock()
		all := p.leaving
		p.leaving = make(map[jid.JID]struct{})
		p.mu.Unlock()
		for bare := range all {
			m.left(bare)
		}
	}
}

// left ends the temporary subscriptions of a bare address whose resource is not available, and removes what it has published
// where that goes with it. It may wait for the store.
func (m *Module) left(bare jid.JID) {
	p := &m.presences
	p.mu.Lock()
	var names []store.NodeName
	for name := range p.temporary[bare] {
		names = append(names, name)
	}
	var purging []store.NodeName
	for name := range p.purging {
		purging = append(purging, name)
	}
	p.mu.Unlock()
	ctx := context.Background()
	for _, name := range names {
		if err := m.endTemporary(ctx, name, bare); err != nil {
			m.log.Error("temporary subscription not ended", "jid", bare.String(), "err", err)
		}
	}
	if len(purging) == 0 && !p.stored || m.available(bare, nil) {
		return
	}
	for _, name := range purging {
		n, release, err := m.hold(ctx, name, true)
		if err != nil {
			continue
		}
		n.mu.Lock()
		if n.last != nil && n.last.Publisher == bare {
			n.last = nil // read again when the node is
			n.stale = true
		}
		n.mu.Unlock()
		release()
	}
	m.store.Commit(store.PurgePublisher{Publisher: bare}).OnDone(func(err error) {
		if err != nil {
			m.log.Error("items of a publisher who left not removed", "jid", bare.String(), "err", err)
		}
	})
}

// recall watches the temporary subscriptions in the store: they outlive the server in it, sessions do not. Those of accounts here
// that have not come again end; nobody says that others have gone.
func (m *Module) recall(ctx context.Context) error {
	for after := (store.NodeName{}); ; {
		page, err := m.store.TemporaryNodes(ctx, after, 0)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, name := range page {
			after = name
			n, release, err := m.hold(ctx, name, false) // which has them watched
			if err != nil {
				return err
			}
			here := make(map[jid.JID]struct{})
			n.mu.Lock()
			for j, s := range n.subscriptions {
				if s.options().Temporary && m.server.Serves(j.Domain()) {
					here[j.Bare()] = struct{}{}
				}
			}
			n.mu.Unlock()
			release()
			for bare := range here {
				if err := m.endTemporary(ctx, name, bare); err != nil {
					return err
				}
			}
		}
	}
}

// endTemporary ends those subscriptions of a bare address whose resource is not available.
func (m *Module) endTemporary(ctx context.Context, name store.NodeName, bare jid.JID) error {
	n, release, err := m.hold(ctx, name, true)
	if err != nil {
		return err
	}
	defer release()
	left := false
	var ops []store.Op
	n.mu.Lock()
	for _, s := range n.of(bare) {
		switch {
		case !s.options().Temporary:
		case m.available(s.jid, nil):
			left = true
		default:
			n.remove(s.jid)
			ops = append(ops, store.DeleteSubscription{Name: name, JID: s.jid})
		}
	}
	n.mu.Unlock()
	if !left {
		m.presences.mu.Lock()
		delete(m.presences.temporary[bare], name)
		if len(m.presences.temporary[bare]) == 0 {
			delete(m.presences.temporary, bare)
		}
		m.presences.mu.Unlock()
	}
	if len(ops) == 0 {
		return nil
	}
	if size, err := m.sizeOf(ctx, name.JID); err == nil {
		size.subscriptions.Add(-int64(len(ops)))
	}
	m.commit(n, nil, ops...)
	return nil
}

// available reports whether an address, or any resource of it, is available in one of the states named, or at all.
func (m *Module) available(j jid.JID, shows []string) bool {
	if !m.server.Serves(j.Domain()) {
		return m.availableElsewhere(j, shows)
	}
	u, release, ok := m.server.Lookup(j)
	if !ok {
		return false
	}
	defer release()
	for _, se := range u.Sessions(nil) {
		p := se.Presence()
		if !p.Available || j.IsFull() && se.JID != j {
			continue
		}
		if len(shows) == 0 {
			return true
		}
		if s, err := stanza.Parse(p.Stanza); err == nil && slices.Contains(shows, showOf(s)) {
			return true
		}
	}
	return false
}

func (m *Module) availableElsewhere(j jid.JID, shows []string) bool {
	p := &m.presences
	p.mu.Lock()
	defer p.mu.Unlock()
	in := func(show string) bool { return len(shows) == 0 || slices.Contains(shows, show) }
	if j.IsFull() {
		r, ok := p.elsewhere.all[j]
		return ok && in(r.show)
	}
	return slices.ContainsFunc(p.elsewhere.of[j], func(full jid.JID) bool { return in(p.elsewhere.all[full].show) })
}

// elsewhere are available resources, by their full addresses and by the bare ones.
type elsewhere struct {
	all map[jid.JID]resource
	of  map[jid.JID][]jid.JID
}

type resource struct {
	show string
	at   int // in of
}

// say notes how a resource is.
func (e *elsewhere) say(j jid.JID, show string) {
	r, known := e.all[j]
	if !known {
		list := e.of[j.Bare()]
		r.at = len(list)
		e.of[j.Bare()] = append(list, j)
	}
	r.show = show
	e.all[j] = r
}

// leave forgets a resource. The last of its bare address takes its place in the list.
func (e *elsewhere) leave(j jid.JID) {
	r, known := e.all[j]
	if !known {
		return
	}
	delete(e.all, j)
	list := e.of[j.Bare()]
	last := list[len(list)-1]
	if list[r.at] = last; last != j {
		e.all[last] = resource{e.all[last].show, r.at}
	}
	if list = list[:len(list)-1]; len(list) == 0 {
		delete(e.of, j.Bare())
		return
	}
	e.of[j.Bare()] = list
}

// showOf is the state that presence tells; "online" is that of one that says nothing. §17.4.2
func showOf(s *stanza.Stanza) string {
	if i := s.Find(stanza.NSClient, "show"); i >= 0 {
		return s.Reader(i).Text()
	}
	return "online"
}
