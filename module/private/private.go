// SPDX-License-Identifier: Apache-2.0

// Package private keeps pieces of XML for the clients of an account: preferences, notes, and what
// other specifications have put there before there was publish-subscribe.
//
// XEP-0049 (complete, 1.2)
//
// What a client sets is kept under the qualified name of each element. Several elements of one name
// in one request are kept, and returned, together. An element that says nothing removes what is kept.
package private

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/stonechat-im/stonechat/internal/metrics"
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/private"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// Config is the key modules.private.
type Config struct {
	// Bytes of private XML that one account may keep. More is refused with resource-constraint.
	Bytes int `yaml:"bytes" default:"1048576" live:"yes"`
	// Elements, of different names, that one account may keep; at most 1000. One more is refused with
	// resource-constraint.
	Elements int `yaml:"elements" default:"200" live:"yes"`
}

// Keeper keeps one element in a way of its own. Both methods may wait, and are called for one
// request of an account at a time.
type Keeper interface {
	// Get returns the whole element, or nil where there is none.
	Get(ctx context.Context, u *server.User) ([]byte, error)
	// Set replaces it. The sender is answered when the Pending, which may be nil, is done.
	Set(t *server.Turn, u *server.User, element []byte) (*store.Pending, error)
}

// Module keeps private XML.
type Module struct {
	config  atomic.Pointer[Config]
	store   store.Store
	turns   server.UserSlot[sync.Mutex] // held from a request until what it changes is committed
	keepers map[xmlstream.Name]Keeper
	full    metrics.Counter
}

// New makes the module.
func New(c Config) *Module {
	m := &Module{keepers: make(map[xmlstream.Name]Keeper)}
	m.config.Store(&c)
	return m
}

// Keep gives the element of that name to k, before the server starts.
func (m *Module) Keep(name xmlstream.Name, k Keeper) { m.keepers[name] = k }

// Name implements server.Module.
func (*Module) Name() string { return "private" }

// Reload implements server.Reloader.
func (m *Module) Reload(next server.Module) { m.config.Store(next.(*Module).config.Load()) }

// Init implements server.Module.
func (m *Module) Init(h *server.Host) error {
	m.store = h.Store
	m.turns = server.NewUserSlot[sync.Mutex](h)
	m.full = h.Metrics.Counter("stonechat_private_full_total", "Changes of private XML refused because an account keeps too much (modules.private.bytes, modules.private.elements).")
	name := (*private.Query)(nil).XMLName()
	h.Feature(server.AtHost|server.AtAccount, private.NS)
	h.IQ(server.IQHandler{At: server.AtAccount, Type: stanza.Get, Name: name, Blocking: true, Do: m.get})
	h.IQ(server.IQHandler{At: server.AtAccount, Type: stanza.Set, Name: name, Blocking: true, Do: m.set})
	return nil
}

// decode reads a request and refuses names that are not for private XML.
func decode(q *server.Query) ([]stanza.Raw, error) {
	var ask private.Query
	if _, err := q.Decode(&ask); err != nil {
		return nil, err
	}
	if len(ask.Elements) == 0 {
		return nil, stanza.NotAcceptable.Err("which element?")
	}
	for _, e := range ask.Elements {
		if reserved(e.Name.Space) {
			return nil, stanza.NotAcceptable.Err("this namespace is reserved")
		}
	}
	return ask.Elements, nil
}

// reserved: XEP-0049 §2.3.
func reserved(space string) bool {
	return space == "vcard-temp" || strings.HasPrefix(space, "jabber:") || strings.HasPrefix(space, "http://jabber.org/")
}

// lock takes the account's turn. A change is read whole or not at all.
func (m *Module) lock(u *server.User) *sync.Mutex {
	mu := m.turns.Of(u)
	if mu == nil {
		mu = m.turns.SetOnce(u, new(sync.Mutex))
	}
	mu.Lock()
	return mu
}

func (m *Module) get(_ *server.Turn, q *server.Query) (stanza.Payload, error) {
	asked, err := decode(q)
	if err != nil {
		return nil, err
	}
	for _, e := range asked {
		if e.Name.Space != asked[0].Name.Space {
			return nil, stanza.BadRequest.Err("one namespace in one request")
		}
	}
	defer m.lock(q.User).Unlock()
	var answer private.Query
	seen := map[xmlstream.Name]bool{}
	for _, e := range asked {
		if seen[e.Name] {
			continue
		}
		seen[e.Name] = true
		kept, err := m.kept(q.User, e.Name)
		if err != nil {
			return nil, err
		}
		answer.Elements = append(answer.Elements, kept)
	}
	return &answer, nil
}

// kept is what is kept under a name: an empty element where there is nothing.
func (m *Module) kept(u *server.User, name xmlstream.Name) (stanza.Raw, error) {
	ctx := context.Background()
	var xml []byte
	var err error
	if k := m.keepers[name]; k != nil {
		xml, err = k.Get(ctx, u)
	} else {
		xml, err = m.store.Private(ctx, u.JID, store.PrivateName(name))
	}
	switch {
	case errors.Is(err, store.ErrNotFound), err == nil && xml == nil:
		return private.Empty(name), nil
	case err != nil:
		return stanza.Raw{}, fmt.Errorf("private: %s of %s: %w", name.Local, u.JID, err)
	}
	return stanza.Raw{Name: name, Bytes: xml}, nil
}

func (m *Module) set(t *server.Turn, q *server.Query) (stanza.Payload, error) {
	elements, err := decode(q)
	if err != nil {
		return nil, err
	}
	// By name, in their order.
	var names []xmlstream.Name
	next := map[xmlstream.Name][]byte{}
	for _, e := range elements {
		if _, known := next[e.Name]; !known {
			names = append(names, e.Name)
			next[e.Name] = []byte{}
		}
		if !says(e) {
			continue
		}
		next[e.Name] = append(next[e.Name], e.Bytes...)
	}
	turn := m.lock(q.User)
	p, err := m.change(t, q.User, names, next)
	if err != nil {
		turn.Unlock()
		return nil, err
	}
	p.OnDone(func(error) { turn.Unlock() })
	// Behind what its keepers tell of it.
	return q.Following(t, p, func(*server.Turn) (stanza.Payload, error) { return nil, nil })
}

// says reports whether an element has an attribute or anything in it.
func says(e stanza.Raw) bool {
	p := xmlstream.NewParser(xmlstream.Frame, stanza.NSClient, xmlstream.Limits{
		ElementBytes: 4*len(e.Bytes) + 256, Depth: 1 << 10, Attributes: 1 << 10, Children: len(e.Bytes),
	})
	p.Feed(e.Bytes)
	if ev, err := p.Next(); ev != xmlstream.EventElement || err != nil {
		return true // it came from a parser: not to be lost, whatever this is
	}
	x := p.Element()
	return len(x.Attrs)+len(x.Children) > 0 || x.Content.End > x.Content.Start
}

// change commits what is to be kept under each name; nothing removes it. The caller has the
// account's turn.
func (m *Module) change(t *server.Turn, u *server.User, names []xmlstream.Name, next map[xmlstream.Name][]byte) (*store.Pending, error) {
	sizes, err := m.store.PrivateSizes(context.Background(), u.JID)
	if err != nil {
		return nil, fmt.Errorf("private: sizes of %s: %w", u.JID, err)
	}
	var ops []store.Op
	for _, name := range names {
		if m.keepers[name] != nil {
			continue
		}
		op := store.SetPrivate{User: u.JID, Name: store.PrivateName(name)}
		if delete(sizes, op.Name); len(next[name]) > 0 {
			op.XML = next[name]
			sizes[op.Name] = len(op.XML)
		}
		ops = append(ops, op)
	}
	if err := m.admit(sizes, ops); err != nil {
		return nil, err
	}
	for _, name := range names {
		k := m.keepers[name]
		if k == nil {
			continue
		}
		element := next[name]
		if len(element) == 0 {
			element = private.Empty(name).Bytes
		}
		p, err := k.Set(t, u, element)
		if err == nil && p != nil {
			err = p.Wait(context.Background())
		}
		if err != nil {
			return nil, err
		}
	}
	return u.Commit(ops...), nil
}

// admit refuses what would be too much to keep. What only removes is always admitted.
func (m *Module) admit(sizes map[store.PrivateName]int, ops []store.Op) error {
	all, adds := 0, false
	for _, op := range ops {
		adds = adds || op.(store.SetPrivate).XML != nil
	}
	for name, n := range sizes {
		all += n + len(name.Space) + len(name.Local)
	}
	c := m.config.Load()
	if adds && (all > c.Bytes || len(sizes) > min(c.Elements, store.MaxPrivate)) {
		m.full.Inc()
		return stanza.ResourceConstraint.Err("this account keeps too much private XML")
	}
	return nil
}
