// SPDX-License-Identifier: Apache-2.0

// Package presence tells contacts who is available: broadcasts, probes, directed presence, and
// the subscriptions by which people and things let each other see it.
//
// RFC 6121 §3 and §4
//
// How to read this package: this file has what sessions say of themselves and to whom it goes;
// subscription.go the requests and their answers, as the tables of RFC 6121 Appendix A.
package presence

import (
	"maps"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// Roster is what this module needs of module roster.
type Roster interface {
	// Ready reports whether the account's contacts are at hand; otherwise Item and Update may wait.
	Ready(u *server.User) bool
	Item(u *server.User, contact jid.JID) (store.RosterItem, error)
	// Each returns the contacts of an account that is online.
	Each(u *server.User) []store.RosterItem
	// Update changes one contact, commits and pushes it; see module roster.
	Update(u *server.User, contact jid.JID, change func(*store.RosterItem) bool) (*store.Pending, error)
	// Interested appends the sessions that asked for the roster.
	Interested(u *server.User, dst []*server.Session) []*server.Session
}

// Config is the key modules.presence.
type Config struct {
	// Directed is to how many addresses a session may send directed presence that it has not
	// taken back; more are refused with resource-constraint.
	Directed int `yaml:"directed" default:"1000" live:"yes"`
}

// Module is presence.
type Module struct {
	config   atomic.Pointer[Config]
	roster   Roster
	server   *server.Server
	directed server.SessionSlot[directed]
}

// directed is to whom a session has sent available presence by name (RFC 6121 §4.6).
type directed struct {
	mu sync.Mutex
	to map[jid.JID]struct{}
}

// New makes the module.
func New(c Config, r Roster) *Module {
	m := &Module{roster: r}
	m.config.Store(&c)
	return m
}

// Name implements server.Module.
func (*Module) Name() string { return "presence" }

// Reload implements server.Reloader.
func (m *Module) Reload(next server.Module) { m.config.Store(next.(*Module).config.Load()) }

// Init implements server.Module.
func (m *Module) Init(h *server.Host) error {
	m.server = h.Server
	m.directed = server.NewSessionSlot[directed](h)
	h.OnSent(server.Handle, m.sent)
	h.OnArriving(server.Guard, m.guard)
	h.OnArriving(server.Handle, m.arriving)
	h.Ended = m.ended
	return nil
}

// sent takes the presence that a session of ours sends.
func (m *Module) sent(t *server.Turn, s *stanza.Stanza) error {
	if s.Kind != stanza.Presence {
		return nil
	}
	switch s.Type {
	case stanza.Available, stanza.Unavailable:
		if s.To.IsZero() {
			return m.broadcast(t, s)
		}
		return m.direct(t, s)
	case stanza.Subscribe, stanza.Subscribed, stanza.Unsubscribe, stanza.Unsubscribed:
		return m.ask(t, s)
	}
	return nil
}

// broadcast changes what a session says of itself, and tells whoever may know (RFC 6121 §4.2.2,
// §4.4.2, §4.5.2).
func (m *Module) broadcast(t *server.Turn, s *stanza.Stanza) error {
	se := t.Origin
	was := se.Presence()
	if s.Type == stanza.Unavailable {
		if was.Available {
			se.SetPresence(t, server.Presence{})
		}
		m.tell(t, se, was, s)
		return server.Handled
	}
	p := server.Presence{Available: true, Priority: priority(s), Stanza: s.Append(nil, stanza.NSClient)}
	se.SetPresence(t, p)
	m.tell(t, se, p, s)
	if !was.Available {
		m.welcome(t, se)
	}
	return server.Handled
}

// priority is the presence's, 0 where there is none or it is no number (RFC 6121 §4.7.2.3).
func priority(s *stanza.Stanza) int8 {
	i := s.Find(stanza.NSClient, "priority")
	if i < 0 {
		return 0
	}
	n, err := strconv.ParseInt(strings.TrimSpace(s.Reader(i).Text()), 10, 8)
	if err != nil {
		return 0
	}
	return int8(n)
}

// tell sends s, what se says of itself, to its account's sessions, to contacts who may see it
// and, when it is the end, to whom it was sent by name. was is the presence before an end.
func (m *Module) tell(t *server.Turn, se *server.Session, was server.Presence, s *stanza.Stanza) {
	if s.Type == stanza.Unavailable {
		for to := range m.takeDirected(se) {
			m.notify(t, s, to)
		}
		if !was.Available {
			return
		}
	}
	s.To = jid.JID{}
	own := se.User.JID
	s.To = own
	t.Deliver(se.User, t.Available(se.User), s, false)
	if s.Type == stanza.Unavailable {
		se.Send(t, s) // to itself too, though it is not available any more
	}
	for _, it := range m.roster.Each(se.User) {
		if it.Subscription&store.SubscriptionFrom != 0 {
			m.notify(t, s, it.Contact)
		}
	}
	s.To = jid.JID{}
}

// notify sends presence to one address. Accounts of ours that are not online have nobody to see
// it, so that nothing is read for them.
func (m *Module) notify(t *server.Turn, s *stanza.Stanza, to jid.JID) {
	s.To = to
	if !to.IsDomain() && m.server.Serves(to.Domain()) {
		u, release, ok := m.server.Lookup(to)
		if !ok {
			return
		}
		defer release()
		m.deliver(t, u, s)
		return
	}
	origin := t.Origin
	t.Origin = nil // a broadcast that cannot be delivered is nobody's error
	t.Route(s)
	t.Origin = origin
}

// deliver gives presence to the sessions that see it (RFC 6121 §8.5.2.1.2, §8.5.3).
func (m *Module) deliver(t *server.Turn, u *server.User, s *stanza.Stanza) {
	to := t.Available(u)
	if s.To.IsFull() {
		to = t.Named(u, s.To.Resource())
	}
	if len(to) > 0 {
		t.Deliver(u, to, s, false)
	}
}

// welcome tells a session that has become available what it may see: the presence of its
// contacts and of its account's other sessions, and requests that wait for an answer.
func (m *Module) welcome(t *server.Turn, se *server.Session) {
	u := se.User
	for _, other := range u.Sessions(nil) {
		if other != se {
			m.show(t, other, se.JID)
		}
	}
	for _, it := range m.roster.Each(u) {
		if it.Subscription&store.SubscriptionTo != 0 {
			m.probe(t, u, it.Contact, se)
		}
		if it.In != nil {
			if s, err := stanza.Parse(it.In); err == nil {
				se.Send(t, s) // RFC 6121 §3.1.3
			}
		}
	}
}

// probe asks for a contact's presence on behalf of se (RFC 6121 §4.3). A contact of ours that is
// online is looked at; one that is not has none.
func (m *Module) probe(t *server.Turn, u *server.User, contact jid.JID, se *server.Session) {
	if !contact.IsDomain() && m.server.Serves(contact.Domain()) {
		other, release, ok := m.server.Lookup(contact)
		if !ok {
			return
		}
		defer release()
		if !m.sees(other, u.JID) {
			return
		}
		for _, o := range other.Sessions(nil) {
			m.show(t, o, se.JID)
		}
		return
	}
	s := stanza.New(stanza.Presence, stanza.Probe, contact)
	s.From = se.JID
	origin := t.Origin
	t.Origin = nil
	t.Route(s)
	t.Origin = origin
}

// sees reports whether viewer may see the presence of u, which is online.
func (m *Module) sees(u *server.User, viewer jid.JID) bool {
	return m.roster.Ready(u) && m.Sees(u, viewer)
}

// Sees reports whether viewer may see the presence of u. It may wait for the store.
func (m *Module) Sees(u *server.User, viewer jid.JID) bool {
	if u.JID == viewer {
		return true
	}
	it, err := m.roster.Item(u, viewer)
	return err == nil && it.Subscription&store.SubscriptionFrom != 0
}

// show sends the present presence of one session to an address.
func (m *Module) show(t *server.Turn, se *server.Session, to jid.JID) {
	p := se.Presence()
	if !p.Available {
		return
	}
	s, err := stanza.Parse(p.Stanza)
	if err != nil {
		return // what Append wrote is read again: never
	}
	m.notify(t, s, to)
}

// direct sends presence to somebody by name, and remembers who has to hear of the end (RFC 6121
// §4.6).
func (m *Module) direct(t *server.Turn, s *stanza.Stanza) error {
	se := t.Origin
	d := m.directed.Of(se)
	if d == nil {
		d = m.directed.SetOnce(se, new(directed))
	}
	d.mu.Lock()
	_, known := d.to[s.To]
	switch {
	case s.Type == stanza.Unavailable:
		delete(d.to, s.To)
	case !known && len(d.to) >= m.config.Load().Directed:
		d.mu.Unlock()
		return stanza.ResourceConstraint.Err("presence is directed to too many addresses")
	case !known:
		if d.to == nil {
			d.to = make(map[jid.JID]struct{})
		}
		d.to[s.To] = struct{}{}
	}
	d.mu.Unlock()
	if !s.To.IsDomain() && m.server.Serves(s.To.Domain()) {
		m.notify(t, s, s.To)
		return server.Handled
	}
	return nil
}

func (m *Module) takeDirected(se *server.Session) map[jid.JID]struct{} {
	d := m.directed.Of(se)
	if d == nil {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	to := maps.Clone(d.to)
	d.to = nil
	return to
}

// ended is the end of a session that did not say so itself (RFC 6121 §4.5.3).
func (m *Module) ended(t *server.Turn, se *server.Session, was server.Presence) {
	s := stanza.New(stanza.Presence, stanza.Unavailable, jid.JID{})
	s.From = se.JID
	m.tell(t, se, was, s)
}

// guard keeps requests from sessions whose presence the sender may not see: an answer, even a
// refusal by the client, would tell that it is there (RFC 6121 §8.5.3.1).
func (m *Module) guard(_ *server.Turn, u *server.User, s *stanza.Stanza) error {
	if s.Kind != stanza.IQ || !s.Type.IsRequest() || m.sees(u, s.From.Bare()) || m.hasDirected(u, s) {
		return nil
	}
	return stanza.ServiceUnavailable.Err("")
}

// hasDirected reports whether the session that s is for has sent its presence to s's sender.
func (m *Module) hasDirected(u *server.User, s *stanza.Stanza) bool {
	se := u.Session(s.To.Resource())
	if se == nil {
		return false
	}
	d := m.directed.Of(se)
	if d == nil {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	_, full := d.to[s.From]
	_, bare := d.to[s.From.Bare()]
	return full || bare
}

// arriving takes presence addressed to an account of ours.
func (m *Module) arriving(t *server.Turn, u *server.User, s *stanza.Stanza) error {
	if s.Kind != stanza.Presence {
		return nil
	}
	switch s.Type {
	case stanza.Available, stanza.Unavailable, stanza.TypeError:
		m.deliver(t, u, s)
	case stanza.Probe:
		m.probed(t, u, s)
	case stanza.Subscribe, stanza.Subscribed, stanza.Unsubscribe, stanza.Unsubscribed:
		m.asked(t, u, s)
	}
	return server.Handled
}

// probed answers another server's, or a client's own, probe (RFC 6121 §4.3.2).
func (m *Module) probed(t *server.Turn, u *server.User, s *stanza.Stanza) {
	if !m.roster.Ready(u) {
		t.OffLoop(u, s, func(t *server.Turn, s *stanza.Stanza) {
			if _, err := m.roster.Item(u, s.From.Bare()); err == nil {
				m.probed(t, u, s)
			}
		})
		return
	}
	viewer := s.From
	if !u.Exists() || !m.sees(u, viewer.Bare()) {
		no := stanza.New(stanza.Presence, stanza.Unsubscribed, viewer.Bare())
		no.From = u.JID
		t.Route(no)
		return
	}
	for _, se := range u.Sessions(nil) {
		if s.To.IsBare() || se.JID == s.To {
			m.show(t, se, viewer)
		}
	}
}
