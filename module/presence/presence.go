// SPDX-License-Identifier: Apache-2.0

// Package presence tells contacts who is available: broadcasts, probes, directed presence, and
// the subscriptions by which people and things let each other see it.
//
// RFC 6121 §3 and §4
//
// How to read this package: this file has what sessions say of themselves and to whom it goes;
// directed.go what they say to somebody by name; subscription.go the requests and their answers, as
// the tables of RFC 6121 Appendix A.
//
// P1: what an address has seen last of a session is what it may see, and true. No lock is held
// while presence goes round: whoever has sent a state looks again whether it still holds, and sends
// the next one if not. State is changed before it is told, so that one of two comes last who
// has seen both.
package presence

import (
	"bytes"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/stonechat-im/stonechat/config"
	"github.com/stonechat-im/stonechat/internal/metrics"
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/roster"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/stream"
)

// Roster is what this module needs of module roster.
type Roster interface {
	// Ready reports whether the account's contacts are at hand; otherwise Item and Update may wait.
	Ready(u *server.User) bool
	Item(u *server.User, contact jid.JID) (store.RosterItem, error)
	// Each returns the contacts of an account that is online; Count is how many.
	Count(u *server.User) int
	Each(u *server.User) []store.RosterItem
	// Update changes one contact, commits and pushes it; see module roster.
	Update(u *server.User, contact jid.JID, change func(*store.RosterItem) bool) (*store.Pending, error)
	// Asking makes what the account asks and answers wait for each other; see module roster.
	Asking(u *server.User) (done func(), err error)
	// Interested appends the sessions that asked for the roster.
	Interested(u *server.User, dst []*server.Session) []*server.Session
}

// Config is the key modules.presence.
type Config struct {
	// Directed is to how many addresses a session may send directed presence that it has not
	// taken back; more are refused with resource-constraint.
	Directed int `yaml:"directed" default:"1000" live:"yes"`
	// RequestBytes that a request to see somebody's presence may have, since it is kept until it
	// is answered; longer ones are refused with policy-violation.
	RequestBytes config.Bytes `yaml:"request_bytes" default:"4096" live:"yes"`
}

// Module is presence.
type Module struct {
	config   atomic.Pointer[Config]
	most     atomic.Int64 // bytes that one presence may have; 0: any number
	roster   Roster
	server   *server.Server
	directed server.SessionSlot[directed]
	trust    func(from jid.JID) bool
	admits   func(t *server.Turn, u *server.User, s *stanza.Stanza) bool
	tooBig   metrics.Counter
}

// New makes the module. most is limits.presence_bytes.
func New(c Config, most config.Bytes, r Roster) *Module {
	m := &Module{roster: r}
	m.config.Store(&c)
	m.most.Store(int64(most))
	return m
}

// Name implements server.Module.
func (*Module) Name() string { return "presence" }

// Reload implements server.Reloader.
func (m *Module) Reload(next server.Module) {
	m.config.Store(next.(*Module).config.Load())
	m.most.Store(next.(*Module).most.Load())
}

// Init implements server.Module.
func (m *Module) Init(h *server.Host) error {
	m.server = h.Server
	m.directed = server.NewSessionSlot[directed](h)
	m.tooBig = h.Metrics.Counter("stonechat_presence_refused_total", "Presence that was refused because it was longer than limits.presence_bytes.")
	h.OnSent(server.Guard, m.bound)
	h.OnSent(server.Handle, m.sent)
	h.OnArriving(server.Guard, m.guard)
	h.OnArriving(server.Handle, m.arriving)
	h.Ended = m.ended
	h.Features = features
	return nil
}

// features announces approval before the request (RFC 6121 §3.4).
func features(dst []byte, st server.Stream) []byte {
	if st.State() != stream.Authenticated {
		return dst
	}
	return append(dst, "<sub xmlns='"+roster.NSPreApproval+"'/>"...)
}

// bound refuses presence that is too long: one stanza of it goes to every contact, and to all in a room.
func (m *Module) bound(_ *server.Turn, s *stanza.Stanza) error {
	most := m.most.Load()
	if s.Kind != stanza.Presence || most <= 0 || int64(s.Size()) <= most {
		return nil
	}
	m.tooBig.Inc()
	return stanza.PolicyViolation.Err("presence may have " + strconv.FormatInt(most, 10) + " bytes")
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

// mostProbes is about how many things wait to be told to a session that comes.
const mostProbes = 1000

// many contacts take longer to tell than others on the loop should wait.
const many = 100

// broadcast changes what a session says of itself, and tells whoever may know (RFC 6121 §4.2.2,
// §4.4.2, §4.5.2).
func (m *Module) broadcast(t *server.Turn, s *stanza.Stanza) error {
	u := t.Origin.User
	if m.roster.Count(u) < many {
		m.say(t, s)
	} else {
		t.OffLoop(u, s, m.say)
	}
	return server.Handled
}

// say is broadcast, here or on a worker.
func (m *Module) say(t *server.Turn, s *stanza.Stanza) {
	se := t.Origin
	was := se.Presence()
	if s.Type == stanza.Unavailable {
		if was.Available {
			se.SetPresence(t, server.Presence{})
		}
		m.tell(t, se, was, s)
		return
	}
	p := server.Presence{Available: true, Priority: priority(s), Stanza: s.Append(nil, stanza.NSClient)}
	if !se.SetPresence(t, p) {
		return
	}
	m.tell(t, se, p, s)
	switch {
	case !se.Presence().Available: // ended meanwhile: P1
		m.tell(t, se, p, gone(se))
	case !was.Available:
		m.welcome(t, se)
	}
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
	u, ends := se.User, s.Type == stanza.Unavailable
	if ends {
		for to := range m.takeDirected(se) {
			if !was.Available || !m.reaches(u, to) {
				m.notify(t, s, to)
			}
		}
		if !was.Available {
			return
		}
	}
	s.To = u.JID
	t.Deliver(u, t.Available(u), s, false)
	if ends {
		se.Send(t, s) // to itself too, though it is not available any more
	}
	for _, it := range m.roster.Each(u) {
		if it.Subscription&from == 0 {
			continue
		}
		m.notify(t, s, it.Contact)
		if !ends && !m.Sees(u, it.Contact) { // not any more: P1
			m.notify(t, gone(se), it.Contact)
		}
	}
	s.To = jid.JID{}
}

// gone is the unavailable presence of a session that does not say so itself.
func gone(se *server.Session) *stanza.Stanza {
	s := stanza.New(stanza.Presence, stanza.Unavailable, jid.JID{})
	s.From = se.JID
	return s
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
	var seen []jid.JID
	for _, it := range m.roster.Each(u) {
		if it.Subscription&store.SubscriptionTo != 0 {
			seen = append(seen, it.Contact)
		}
		if it.In != nil {
			if s, err := stanza.Parse(it.In); err == nil {
				se.Send(t, s) // RFC 6121 §3.1.3
			}
		}
	}
	if len(seen) < many {
		for _, contact := range seen {
			m.probe(t, u, contact, se)
		}
		return
	}
	// Who sees thousands of things is told of them at the pace at which its client reads: more waits than may, at once. A copy is of
	// several where there are many, since limits.fanout_copies bounds what waits.
	per := 1 + len(seen)/mostProbes
	box := new(server.Outbox)
	box.Pace(se)
	apart := m.server.NewTurn() // nothing that the client sends waits for it
	defer apart.End()
	box.Add(apart, (len(seen)+per-1)/per, func(i int) *stanza.Stanza {
		if !se.Presence().Available {
			return nil
		}
		t := m.server.NewTurn()
		defer t.End()
		for _, contact := range seen[i*per : min((i+1)*per, len(seen))] {
			m.probe(t, u, contact, se)
		}
		return nil
	})
	box.Run(apart)
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
		switch {
		case !m.roster.Ready(other):
		case m.Sees(other, u.JID):
			m.showAll(t, other, se.JID)
		default:
			// A crash came between the two sides of a change, of which the contact's was the
			// first. This is what another server would answer to a probe.
			no := stanza.New(stanza.Presence, stanza.Unsubscribed, u.JID)
			no.From = contact
			m.asked(t, u, no)
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

// show sends the present presence of one session to an address, and reports whether there is any.
func (m *Module) show(t *server.Turn, se *server.Session, to jid.JID) (available bool) {
	for p := se.Presence(); p.Available; available = true {
		s, err := stanza.Parse(p.Stanza)
		if err != nil {
			return false // what Append wrote is read again: never
		}
		m.notify(t, s, to)
		was := p
		switch p = se.Presence(); { // P1
		case !p.Available:
			m.notify(t, gone(se), to)
		case bytes.Equal(p.Stanza, was.Stanza):
			return true
		}
	}
	return available
}

// showAll sends the presence of u's sessions to a viewer who may see it.
func (m *Module) showAll(t *server.Turn, u *server.User, viewer jid.JID) (available bool) {
	for _, se := range u.Sessions(nil) {
		available = m.show(t, se, viewer) || available
	}
	if !m.Sees(u, viewer.Bare()) { // not any more: P1
		m.Lost(t, u.JID, viewer.Bare())
	}
	return available
}

// ended is the end of a session that did not say so itself (RFC 6121 §4.5.3).
func (m *Module) ended(t *server.Turn, se *server.Session, was server.Presence) {
	m.shut(se)
	m.tell(t, se, was, gone(se))
}

// Trust sets, before Init, who may ask sessions without seeing them: a service of this server that knows by itself who is
// there. f must not wait.
func (m *Module) Trust(f func(from jid.JID) bool) { m.trust = f }

func (m *Module) trusted(from jid.JID) bool { return m.trust != nil && m.trust(from) }

// Admit sets, before the server starts, who knows better which requests come to an account's sessions from those who do not see its
// presence. f must not wait.
func (m *Module) Admit(f func(t *server.Turn, u *server.User, s *stanza.Stanza) bool) { m.admits = f }

func (m *Module) admitted(t *server.Turn, u *server.User, s *stanza.Stanza) bool {
	return m.admits != nil && m.admits(t, u, s)
}

// Entered reports whether the session that s is for has sent its presence to s's sender by name: it is in that room.
func (m *Module) Entered(u *server.User, s *stanza.Stanza) bool { return m.hasDirected(u, s) }

// guard keeps requests from sessions whose presence the sender may not see: an answer, even a
// refusal by the client, would tell that it is there (RFC 6121 §8.5.3.1).
func (m *Module) guard(t *server.Turn, u *server.User, s *stanza.Stanza) error {
	if s.Kind != stanza.IQ || !s.Type.IsRequest() || m.sees(u, s.From.Bare()) || m.hasDirected(u, s) || m.trusted(s.From) || m.admitted(t, u, s) {
		return nil
	}
	return stanza.ServiceUnavailable.Err("")
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
	available := false
	if s.To.IsBare() {
		available = m.showAll(t, u, viewer)
	} else if se := u.Session(s.To.Resource()); se != nil {
		available = m.show(t, se, viewer)
	}
	if !available {
		no := stanza.New(stanza.Presence, stanza.Unavailable, viewer)
		no.From = s.To
		t.Route(no)
	}
}
