// SPDX-License-Identifier: Apache-2.0

package presence

import (
	"sync"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// directed is to whom a session has sent available presence by name (RFC 6121 §4.6).
type directed struct {
	mu   sync.Mutex
	to   map[jid.JID]struct{}
	over bool // the session has ended
}

// of is the session's.
func (m *Module) of(se *server.Session) *directed {
	if d := m.directed.Of(se); d != nil {
		return d
	}
	return m.directed.SetOnce(se, new(directed))
}

// direct sends presence to somebody by name, and remembers who has to hear of the end (RFC 6121
// §4.6).
func (m *Module) direct(t *server.Turn, s *stanza.Stanza) error {
	d := m.of(t.Origin)
	if err := d.note(s, m.config.Load().Directed); err != nil {
		return err
	}
	if !s.To.IsDomain() && m.server.Serves(s.To.Domain()) {
		m.notify(t, s, s.To)
	} else {
		t.Route(s)
	}
	if s.Type == stanza.Available && d.isOver() { // ended meanwhile: P1
		m.notify(t, gone(t.Origin), s.To)
	}
	return server.Handled
}

// note remembers s, or forgets whom it says goodbye to.
func (d *directed) note(s *stanza.Stanza, most int) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, known := d.to[s.To]
	switch {
	case s.Type == stanza.Unavailable:
		delete(d.to, s.To)
	case known:
	case len(d.to) >= most:
		return stanza.ResourceConstraint.Err("presence is directed to too many addresses")
	default:
		if d.to == nil {
			d.to = make(map[jid.JID]struct{})
		}
		d.to[s.To.Clone()] = struct{}{}
	}
	return nil
}

func (d *directed) isOver() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.over
}

// shut says that the session has ended.
func (m *Module) shut(se *server.Session) {
	d := m.of(se)
	d.mu.Lock()
	d.over = true
	d.mu.Unlock()
}

// takeDirected empties the list and returns what was in it.
func (m *Module) takeDirected(se *server.Session) map[jid.JID]struct{} {
	d := m.directed.Of(se)
	if d == nil {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	to := d.to
	d.to = nil
	return to
}

// hasDirected reports whether the session that s is for has sent its presence to s's sender. In a
// room that is to have sent it to anybody there: those in it are resources of one address
// (XEP-0045 §7.2). A place of this server, a component say, is one party, whichever of its addresses
// has had the presence: a gateway asks in the name of each of its people.
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
	room := s.From.Bare()
	_, full := d.to[s.From]
	_, bare := d.to[room]
	if full || bare || m.server.Serves(room.Domain()) {
		return full || bare
	}
	one := m.server.Hosts(room.Domain())
	for to := range d.to {
		if to.Bare() == room || one && to.Domain() == room.Domain() {
			return true
		}
	}
	return false
}

// reaches reports whether what u's sessions broadcast comes to that address, so that it needs no
// stanza of its own. It does not come to a session that is not available.
func (m *Module) reaches(u *server.User, to jid.JID) bool {
	if !m.Sees(u, to.Bare()) {
		return false
	}
	if to.IsBare() || !m.server.Serves(to.Domain()) {
		return true
	}
	other, release, ok := m.server.Lookup(to)
	if !ok {
		return true // nobody is there
	}
	defer release()
	se := other.Session(to.Resource())
	return se == nil || se.Presence().Available
}
