// SPDX-License-Identifier: Apache-2.0

package privilege

// How to read this file: presenceChanged, ended and arriving see what happens; show and send tell a component
// of it; replay tells one that comes later; seen remembers for that what contacts elsewhere have said.

import (
	"bytes"
	"slices"
	"sync"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/privilege"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// sees reports whether it hears of accounts' presence.
func (g Grant) sees() bool { return !none(g.Presence) }

// contacts reports whether it hears of that of their contacts, too.
func (g Grant) contacts() bool {
	return typ(g.Presence) == privilege.Contacts && typ(g.Roster).Allows(stanza.Get)
}

// watching calls f for each component that is there and sees the presence of accounts of a domain.
func (m *Module) watching(domain string, f func(component jid.JID, g Grant)) {
	for name, g := range m.granted.Load().grants {
		if !g.sees() || !slices.Contains(g.Domains, domain) || !m.server.Present(name) {
			continue
		}
		if j, err := jid.New("", name, ""); err == nil {
			f(j, g)
		}
	}
}

// presenceChanged tells of a session that becomes available, or ceases to be; where contacts are seen, also
// what it says between if one of this server sees it. XEP-0356 §7.1, §7.4
func (m *Module) presenceChanged(t *server.Turn, se *server.Session, was server.Presence) {
	is := se.Presence()
	m.watching(se.JID.Domain(), func(component jid.JID, g Grant) {
		switch {
		case !is.Available:
			if was.Available {
				m.send(t, gone(se.JID), component)
			}
		case !was.Available, g.contacts() && m.seenHere(se.User, g):
			m.show(t, se, component)
		}
	})
}

// ended tells of a session that is over.
func (m *Module) ended(t *server.Turn, se *server.Session, was server.Presence) {
	if !was.Available || se.User.Guest() {
		return
	}
	m.watching(se.JID.Domain(), func(component jid.JID, _ Grant) { m.send(t, gone(se.JID), component) })
}

// seenHere reports whether an account is a contact, whose presence is seen, of another that g is for.
func (m *Module) seenHere(u *server.User, g Grant) bool {
	return slices.ContainsFunc(m.roster.Each(u), func(it store.RosterItem) bool {
		return it.Subscription&store.SubscriptionFrom != 0 && slices.Contains(g.Domains, it.Contact.Domain())
	})
}

// show sends a component what a session says of itself. What it has seen last is true: who has sent a state
// looks again whether it still holds.
func (m *Module) show(t *server.Turn, se *server.Session, component jid.JID) {
	for p := se.Presence(); p.Available && !se.User.Guest(); {
		s, err := stanza.Parse(p.Stanza)
		if err != nil {
			return // what Append wrote is read again: never
		}
		m.send(t, s, component)
		was := p
		switch p = se.Presence(); {
		case !p.Available:
			m.send(t, gone(se.JID), component)
		case bytes.Equal(p.Stanza, was.Stanza):
			return
		}
	}
}

func gone(j jid.JID) *stanza.Stanza {
	s := stanza.New(stanza.Presence, stanza.Unavailable, jid.JID{})
	s.From = j
	return s
}

// send sends a component presence. That it cannot be delivered is nobody's error.
func (m *Module) send(t *server.Turn, s *stanza.Stanza, component jid.JID) {
	s.To = component
	origin := t.Origin
	t.Origin = nil
	t.Route(s)
	t.Origin = origin
}

// replay tells a component all that it would know if it had been here before. XEP-0356 §8
func (m *Module) replay(component jid.JID, g Grant) {
	m.server.Each(func(u *server.User) {
		if !slices.Contains(g.Domains, u.JID.Domain()) {
			return
		}
		t := m.server.NewTurn()
		defer t.End()
		for _, se := range u.Sessions(nil) {
			m.show(t, se, component)
		}
	})
	if !g.contacts() {
		return
	}
	for _, b := range m.seen.all(g.Domains) {
		s, err := stanza.Parse(b)
		if err != nil {
			return // what Append wrote is read again: never
		}
		t := m.server.NewTurn()
		m.send(t, s, component)
		t.End()
	}
}

// arriving sees the presence of contacts elsewhere. XEP-0356 §7.4
func (m *Module) arriving(t *server.Turn, u *server.User, s *stanza.Stanza) error {
	if s.Kind != stanza.Presence || s.Type != stanza.Available && s.Type != stanza.Unavailable || m.server.Serves(s.From.Domain()) {
		return nil
	}
	domain, wanted := u.JID.Domain(), false
	for _, g := range m.granted.Load().grants {
		wanted = wanted || g.contacts() && slices.Contains(g.Domains, domain)
	}
	if !wanted || u.Guest() {
		return nil
	}
	// Who is away was looked up where this turn may wait.
	if it, err := m.roster.Item(u, s.From.Bare()); err != nil || it.Subscription&store.SubscriptionTo == 0 {
		return err
	}
	copied := s.Retain()
	copied.To = jid.JID{}
	known, kept := m.seen.note(domain, copied, m.granted.Load().config.Presences)
	if !kept {
		m.full.Inc()
	}
	if known {
		return nil // each of those whose contact it is gets the same
	}
	m.watching(domain, func(component jid.JID, g Grant) {
		if g.contacts() && component.Domain() != s.From.Domain() {
			m.send(t, copied, component)
		}
	})
	return nil
}

// seen is what contacts elsewhere, who are available, have said last.
type seen struct {
	mu   sync.Mutex
	last map[sight][]byte
}

type sight struct {
	domain string // whose accounts see it
	from   jid.JID
}

// note remembers s. known says that it was told already; kept is false where there are too many.
func (x *seen) note(domain string, s *stanza.Stanza, most int) (known, kept bool) {
	k := sight{domain, s.From.Clone()}
	x.mu.Lock()
	defer x.mu.Unlock()
	was, is := x.last[k]
	if s.Type == stanza.Unavailable {
		delete(x.last, k)
		return !is && len(x.last) < most, true
	}
	b := s.Append(nil, stanza.NSClient)
	switch {
	case is && bytes.Equal(was, b):
		return true, true
	case !is && len(x.last) >= most:
		return false, false
	case x.last == nil:
		x.last = make(map[sight][]byte)
	}
	x.last[k] = b
	return false, true
}

// all are those that accounts of these domains see.
func (x *seen) all(domains []string) (list [][]byte) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for k, b := range x.last {
		if slices.Contains(domains, k.domain) {
			list = append(list, b)
		}
	}
	return list
}

func (x *seen) count() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return len(x.last)
}
