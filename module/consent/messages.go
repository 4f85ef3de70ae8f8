// SPDX-License-Identifier: Apache-2.0

package consent

// How to read this file: message says what a message wants of a thing; below it is whether a thing's sessions ask for themselves,
// and what becomes of what has waited for a thing.

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/caps"
	"github.com/stonechat-im/stonechat/xmpp/control"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/provisioning"
	"github.com/stonechat-im/stonechat/xmpp/pubsub"
	"github.com/stonechat-im/stonechat/xmpp/sensordata"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// nsDiscovery is that of XEP-0347.
const nsDiscovery = "urn:xmpp:iot:discovery"

// message is what a message wants. What it carries decides: what tells a thing something it has asked for is free; whatever makes
// it do something is not, nor is anything that nobody knows here.
func (m *Module) message(t *server.Turn, u *server.User, s *stanza.Stanza) (w *want, free bool, err error) {
	if s.Type == stanza.TypeError {
		// Of it the thing has the error alone, without what it repeats of what was sent (RFC 6120 §8.3.1): some things look at what a
		// message says, or commands, and not at its type.
		for _, i := range children(s) {
			if space, local, _ := s.Child(i); string(space) != stanza.NSClient || string(local) != "error" {
				s.Cut(i)
			}
		}
		return nil, true, nil
	}
	if s.Type == stanza.Groupchat {
		// Who may command it in a room is the thing's to say: the server does not know who is behind a nick.
		return &want{way: wayChat, need: needOwner, silent: true}, m.presence.Entered(u, s), nil
	}
	var acts, others, tells int
	at := -1
	for _, i := range children(s) {
		space, local, _ := s.Child(i)
		switch x := string(space); {
		case x == provisioning.NS, x == nsDiscovery: // what only the service may say
			return &want{way: wayMessage, need: needOwner, silent: true}, false, nil
		case x == control.NS:
			acts, at = acts+1, i
		case x == pubsub.NSEvent, x == sensordata.NS && string(local) != (*sensordata.Request)(nil).XMLName().Local:
			tells++
		case x == stanza.NSClient && (string(local) == "thread" || string(local) == "subject"):
		default:
			others++
		}
	}
	switch {
	case acts == 1 && others == 0:
		space, local, _ := s.Child(at)
		_ = space
		w, err = controlled(s, at, string(local))
		if err == nil {
			w.speaks = m.speakTo(t, u, s)
		}
		return w, false, err
	case acts == 0 && others == 0 && tells > 0:
		return nil, true, nil
	}
	w = &want{way: wayChat, right: store.RightUse, need: needWords, speaks: m.speakTo(t, u, s)}
	if w.speaks {
		w.wish = wished(stanza.BodyOf(s))
	}
	if acts == 0 && !s.Has(stanza.NSClient, "body") {
		w.way, w.silent = wayMessage, true
	}
	return w, false, nil
}

// speakTo reports whether all sessions that will have the message ask for themselves; where there is none, whether the last ones did.
func (m *Module) speakTo(t *server.Turn, u *server.User, s *stanza.Stanza) bool {
	if se := u.Session(s.To.Resource()); s.To.IsFull() && se != nil {
		return m.asksItself(se)
	}
	list := t.Takers(u)
	for _, se := range list {
		if !m.asksItself(se) {
			return false
		}
	}
	return len(list) > 0 || m.spoke.is(u.JID)
}

// asksItself reports whether a session has announced that it asks who may do what.
func (m *Module) asksItself(se *server.Session) bool {
	v := m.speaks.Of(se)
	return v != nil && v.Load()
}

// appeared learns whether a session of a thing asks for itself, and has it forget what does not hold any more.
func (m *Module) appeared(t *server.Turn, se *server.Session, _ server.Presence) {
	if m.things.Known(se.User.JID) {
		m.learn(t, se)
	}
}

// learn is appeared for a session of a thing.
func (m *Module) learn(t *server.Turn, se *server.Session) {
	p := se.Presence()
	if !p.Available {
		return
	}
	speaks := m.speaks.SetOnce(se, new(atomic.Bool))
	if !bytes.Contains(p.Stanza, []byte(caps.NS)) {
		return
	}
	s, err := stanza.Parse(p.Stanza)
	if err != nil {
		return
	}
	var c caps.Caps
	if found, err := s.Decode(&c); !found || err != nil {
		return
	}
	thing := se.User.JID
	m.caps.Learn(t, &c, thing, se.JID, func(t *server.Turn, features []string) {
		is := false
		for _, f := range features {
			is = is || f == provisioning.NS
		}
		speaks.Store(is)
		m.spoke.set(thing, is, m.config.Load().CachedThings)
		if is {
			m.refresh(t, thing)
		}
	})
}

// speakers are things that have said, when they were last here, that they ask for themselves.
type speakers struct {
	mu sync.Mutex
	m  map[jid.JID]struct{}
}

func (x *speakers) is(thing jid.JID) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	_, ok := x.m[thing]
	return ok
}

func (x *speakers) set(thing jid.JID, is bool, most int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if !is {
		delete(x.m, thing)
		return
	}
	if x.m == nil {
		x.m = make(map[jid.JID]struct{})
	}
	if len(x.m) < most {
		x.m[thing.Clone()] = struct{}{}
	}
}

// drains looks again at what has waited for a thing: who has sent it may have lost the right to. What is dropped here was refused as
// all else is, but that its sender is not told: he was told long ago that it was taken. Where
// that cannot be looked up it waits on.
func (m *Module) drains(se *server.Session, s *stanza.Stanza) (had bool, err error) {
	u := se.User
	if !m.things.Known(u.JID) || s.Kind != stanza.Message || s.From.Bare() == u.JID || m.ours(s.From) {
		return false, nil
	}
	t := m.server.NewTurn()
	defer t.End()
	w, free, err := m.message(t, u, s)
	if free || err != nil {
		return err != nil, nil
	}
	st, err := m.recall(context.Background(), u.JID, w.looked(), s.From.Bare()) // here it may take its time
	if err != nil {
		m.metrics.failed.Inc()
		return false, fmt.Errorf("consent: who may do what with %s: %w", u.JID, err)
	}
	if st.person {
		return false, nil
	}
	list, err := m.lookUp(context.Background(), m.named(st, w), st.caller, u.JID)
	if err != nil {
		m.metrics.failed.Inc()
		return false, fmt.Errorf("consent: a token that was shown to %s: %w", u.JID, err)
	}
	vouched(st, w, list)
	d, ok := m.weigh(s, w, st)
	if !ok {
		_ = m.refuse(t, u.JID, s, w, st, d)
	}
	return !ok, nil
}
