// SPDX-License-Identifier: Apache-2.0

package registry

// How to read this file: the requests of XEP-0347, a function for each; those of things first, then those of owners.

import (
	"context"
	"errors"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/registry"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// requests registers who answers them.
func (m *Module) requests() {
	add := func(typ stanza.Type, p stanza.Payload, do func(t *server.Turn, q *server.Query) (stanza.Payload, error)) {
		m.desk.IQ(server.IQHandler{Type: typ, Name: p.XMLName(), Blocking: true, Do: do})
	}
	for _, typ := range []stanza.Type{stanza.Set, stanza.Get} { // COMPAT(Smack 4.4, 2016): it changes things by requests of type get
		add(typ, (*registry.Register)(nil), m.takeRegister)
		add(typ, (*registry.Update)(nil), m.takeUpdate)
		add(typ, (*registry.Unregister)(nil), m.takeUnregister)
		add(typ, (*registry.Mine)(nil), m.takeMine)
		add(typ, (*registry.Remove)(nil), m.takeRemove)
		add(typ, (*registry.Disown)(nil), m.takeDisown)
	}
	add(stanza.Get, (*registry.Search)(nil), m.takeSearch)
}

// decode reads a payload.
func decode[P stanza.Payload](q *server.Query, p P) (P, error) {
	_, err := q.Decode(p)
	return p, err
}

// domain is the one that the service asked is of.
func (m *Module) domain(q *server.Query) string { return m.domainOf(q.To) }

func (m *Module) domainOf(at jid.JID) string {
	for domain, j := range m.hosts {
		if j.Domain() == at.Domain() {
			return domain
		}
	}
	return ""
}

// sender is the thing that asks, an account of the service's domain.
func (m *Module) sender(q *server.Query, n registry.Node) (store.ThingName, error) {
	name := store.ThingName{JID: q.From.Bare().Clone(), ThingNode: store.ThingNode(n)}
	if name.JID.Domain() != m.domain(q) || name.JID.IsDomain() || m.guest(name.JID) {
		return name, stanza.NotAllowed.Err("things with accounts of " + m.domain(q) + " are registered here")
	}
	return name, nil
}

// target is the thing that an owner speaks of.
func target(j jid.JID, n registry.Node) store.ThingName {
	return store.ThingName{JID: j.Bare(), ThingNode: store.ThingNode(n)}
}

// takeRegister handles §3.6 to §3.8.
func (m *Module) takeRegister(_ *server.Turn, q *server.Query) (stanza.Payload, error) {
	ask, err := decode(q, new(registry.Register))
	if err != nil {
		return nil, err
	}
	name, err := m.sender(q, ask.Node)
	if err != nil {
		return nil, err
	}
	owner, private, err := m.register(context.Background(), name, ask)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, stanza.NotAllowed.Err("") // its account was deleted meanwhile
	case err != nil:
		return nil, err
	case owner.IsZero():
		return nil, nil
	}
	return &registry.Claimed{JID: owner, Node: ask.Node, Private: private}, nil
}

// takeUpdate handles §3.13 and §3.14.
func (m *Module) takeUpdate(_ *server.Turn, q *server.Query) (stanza.Payload, error) {
	ask, err := decode(q, new(registry.Update))
	if err != nil {
		return nil, err
	}
	ctx, who := context.Background(), q.From.Bare()
	if j := ask.JID.Bare(); !j.IsZero() && j != who {
		return nil, m.change(ctx, who, target(j, ask.Node), func(x *store.Thing) error {
			if x.Removed {
				return errNotYours()
			}
			return m.update(x, ask.Tags, true)
		})
	}
	name := target(who, ask.Node)
	x, err := m.store.Thing(ctx, name)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, errNotYours()
	case err != nil:
		return nil, err
	case x.Owner.IsZero():
		return &registry.Disowned{Node: ask.Node}, nil
	}
	return nil, m.change(ctx, x.Owner, name, func(x *store.Thing) error {
		if x.Removed {
			return errNotYours()
		}
		return m.update(x, ask.Tags, false)
	})
}

// takeUnregister handles §3.16.
func (m *Module) takeUnregister(_ *server.Turn, q *server.Query) (stanza.Payload, error) {
	ask, err := decode(q, new(registry.Unregister))
	if err != nil {
		return nil, err
	}
	name, err := m.sender(q, ask.Node)
	if err != nil {
		return nil, err
	}
	return nil, m.unregister(context.Background(), name)
}

// takeMine handles §3.9.
func (m *Module) takeMine(_ *server.Turn, q *server.Query) (stanza.Payload, error) {
	ask, err := decode(q, new(registry.Mine))
	if err != nil {
		return nil, err
	}
	x, err := m.claim(context.Background(), q.From.Bare().Clone(), m.domain(q), ask)
	if err != nil {
		return nil, err
	}
	return &registry.Claimed{JID: x.JID, Node: registry.Node(x.ThingNode)}, nil
}

// takeRemove handles §3.10.
func (m *Module) takeRemove(_ *server.Turn, q *server.Query) (stanza.Payload, error) {
	ask, err := decode(q, new(registry.Remove))
	if err != nil {
		return nil, err
	}
	name := target(ask.JID, ask.Node)
	err = m.change(context.Background(), q.From.Bare(), name, func(x *store.Thing) error {
		if x.Removed {
			return errNotYours()
		}
		x.Removed, x.Public, x.Notice = true, false, store.NoticeRemoved
		return nil
	})
	if err == nil {
		m.news.add(name.JID.Clone())
	}
	return nil, err
}

// takeDisown handles §3.17.
func (m *Module) takeDisown(_ *server.Turn, q *server.Query) (stanza.Payload, error) {
	ask, err := decode(q, new(registry.Disown))
	if err != nil {
		return nil, err
	}
	name := target(ask.JID, ask.Node)
	return nil, m.disown(context.Background(), q.From.Bare(), name)
}
