// SPDX-License-Identifier: Apache-2.0

// Package privilege lets components do in the name of accounts what the configuration grants them: read
// and change rosters, send messages, make requests, see who is available. It is what gateways of others
// need to be as good as those of the server itself.
//
// XEP-0356 (complete, 0.4.1)
//
// How to read this package: this file has who may do what, and how components are told; act.go what they
// do, message and request; presence.go what they see. Rosters are module roster's, which asks here.
//
// Only a component itself is privileged, by the address of its domain: nobody at it, no account, no other
// server. Who is refused is told forbidden, whether or not there is such an account.
package privilege

import (
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stonechat-im/stonechat/config"
	"github.com/stonechat-im/stonechat/internal/metrics"
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/privilege"
	"github.com/stonechat-im/stonechat/xmpp/roster"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// Config is the key modules.privilege.
type Config struct {
	// Timeout is how long a request that a component makes in the name of an account may wait for its
	// answer; then the component is told remote-server-timeout.
	Timeout config.Duration `yaml:"timeout" default:"30s" none:"no" live:"yes"`
	// Presences of contacts elsewhere that are remembered, for components that may see them and connect
	// later; more are told when they come, and not again.
	Presences int `yaml:"presences" default:"10000" live:"yes"`
}

// Roster is what this module needs of module roster.
type Roster interface {
	// Item returns one contact; it may wait unless the account is online.
	Item(u *server.User, contact jid.JID) (store.RosterItem, error)
	// Each returns the contacts of an account that is online.
	Each(u *server.User) []store.RosterItem
}

// Grants are what components may do, by their domains.
type Grants map[string]Grant

// Grant is what one may do.
type Grant struct {
	Domains []string // for whose accounts
	config.Privilege
}

// granted is what is in force.
type granted struct {
	config Config
	grants Grants
}

// Module is privileges.
type Module struct {
	granted atomic.Pointer[granted]
	roster  Roster
	server  *server.Server
	log     *slog.Logger
	refused metrics.CounterVec
	full    metrics.Counter
	seen    seen

	mu     sync.Mutex
	logged time.Time // when a refusal was last logged
	held   int       // that were not since
}

// New makes the module.
func New(c Config, g Grants) *Module {
	m := new(Module)
	m.granted.Store(&granted{c, g})
	return m
}

// See sets, before Init, by whose rosters contacts are known.
func (m *Module) See(r Roster) { m.roster = r }

// Name implements server.Module.
func (*Module) Name() string { return "privilege" }

// Init implements server.Module.
func (m *Module) Init(h *server.Host) error {
	m.server, m.log = h.Server, h.Log
	m.refused = h.Metrics.CounterVec("stonechat_privilege_refused_total", "What was refused to those who have not that privilege.", "permission")
	m.full = h.Metrics.Counter("stonechat_privilege_presences_full_total", "Presences of contacts that were not remembered because there are too many (modules.privilege.presences).")
	h.Metrics.GaugeFunc("stonechat_privilege_presences", "Presences of contacts that are remembered for components.", func() float64 { return float64(m.seen.count()) })
	h.OnArriving(server.Guard, m.guard)
	h.OnArriving(server.Observe, m.arriving)
	h.Host = m.message
	h.Requested = m.requested
	h.Joined = m.joined
	h.PresenceChanged = m.presenceChanged
	h.Ended = m.ended
	return nil
}

// grant is what a component may do for accounts of a domain, ok if there is one of that address.
func (m *Module) grant(component jid.JID, domain string) (g Grant, ok bool) {
	if component != component.Host() {
		return Grant{}, false
	}
	g, ok = m.granted.Load().grants[component.Domain()]
	return g, ok && slices.Contains(g.Domains, domain)
}

// joined tells a component that has connected what it may do, and what it may see.
func (m *Module) joined(t *server.Turn, place jid.JID) {
	g, ok := m.granted.Load().grants[place.Domain()]
	if !ok {
		return
	}
	m.announce(t, place, Grant{}, g)
	if g.sees() {
		go m.replay(place, g) // it ends with the accounts that there are
	}
}

// announce says what a component may do, and what of that which it could do before it may not any more.
func (m *Module) announce(t *server.Turn, component jid.JID, was, is Grant) {
	for _, domain := range union(was.Domains, is.Domains) {
		before, now := config.Privilege{}, config.Privilege{}
		if slices.Contains(was.Domains, domain) {
			before = was.Privilege
		}
		if slices.Contains(is.Domains, domain) {
			now = is.Privilege
		}
		perms := permissions(before, now)
		if len(perms) == 0 {
			continue
		}
		from, err := jid.New("", domain, "")
		if err != nil {
			continue // the configuration has it in canonical form: never
		}
		s := stanza.New(stanza.Message, stanza.Normal, component, &privilege.Privilege{Perms: perms},
			// COMPAT(components, 2022): those that know version 0.3 alone, which has no requests.
			&privilege.Privilege{Old: true, Perms: slices.DeleteFunc(slices.Clone(perms), func(p privilege.Perm) bool { return p.Access == privilege.IQ })})
		s.From = from
		t.Route(s)
	}
}

// permissions are what is granted, and none where it was.
func permissions(was, is config.Privilege) (perms []privilege.Perm) {
	add := func(a privilege.Access, was, is string, push bool) {
		if !none(is) || !none(was) {
			perms = append(perms, privilege.Perm{Access: a, Type: typ(is), Push: push})
		}
	}
	add(privilege.Roster, was.Roster, is.Roster, is.Push && typ(is.Roster).Allows(stanza.Get))
	add(privilege.Message, was.Message, is.Message, false)
	var spaces []privilege.Namespace
	for _, ns := range union(slices.Collect(maps.Keys(was.IQ)), slices.Collect(maps.Keys(is.IQ))) {
		if !none(was.IQ[ns]) || !none(is.IQ[ns]) {
			spaces = append(spaces, privilege.Namespace{NS: ns, Type: typ(is.IQ[ns])})
		}
	}
	if len(spaces) > 0 {
		perms = append(perms, privilege.Perm{Access: privilege.IQ, Namespaces: spaces})
	}
	add(privilege.Presence, was.Presence, is.Presence, false)
	return perms
}

func none(s string) bool { return s == "" || s == string(privilege.None) }

func typ(s string) privilege.Type {
	if s == "" {
		return privilege.None
	}
	return privilege.Type(s)
}

func union(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

// Reload implements server.Reloader. What changes is in force at once, and told to those who are there.
func (m *Module) Reload(next server.Module) {
	to := next.(*Module).granted.Load()
	was := m.granted.Swap(to).grants
	t := m.server.NewTurn()
	defer t.End()
	for _, name := range union(slices.Collect(maps.Keys(was)), slices.Collect(maps.Keys(to.grants))) {
		component, err := jid.New("", name, "")
		if err != nil || !m.server.Present(name) || same(was[name], to.grants[name]) {
			continue
		}
		m.announce(t, component, was[name], to.grants[name])
		if to.grants[name].sees() && !was[name].sees() {
			go m.replay(component, to.grants[name])
		}
	}
}

func same(a, b Grant) bool {
	return slices.Equal(a.Domains, b.Domains) && a.Roster == b.Roster && a.Push == b.Push && a.Message == b.Message &&
		a.Presence == b.Presence && maps.Equal(a.IQ, b.IQ)
}

// forbid counts and logs that somebody has not a privilege, and is what he is told.
func (m *Module) forbid(s *stanza.Stanza, of privilege.Access, why string) error {
	m.refused.WithLabelValues(string(of)).Inc()
	m.mu.Lock()
	now, held := time.Now(), m.held
	quiet := now.Sub(m.logged) < time.Second
	if quiet {
		m.held++
	} else {
		m.logged, m.held = now, 0
	}
	m.mu.Unlock()
	if !quiet {
		m.log.Warn("privilege refused", "peer", s.From.String(), "to", s.To.String(), "err", string(of)+": "+why, "more", held)
	}
	return stanza.Forbidden.Err(why)
}

// AdmitRoster implements roster.Managers. XEP-0356 §4.3
func (m *Module) AdmitRoster(s *stanza.Stanza) error {
	g, ok := m.grant(s.From, s.To.Domain())
	switch {
	case ok && typ(g.Roster).Allows(s.Type):
		return nil
	case !ok && !m.isComponent(s.From):
		return stanza.ServiceUnavailable.Err("") // as for everybody else
	}
	return m.forbid(s, privilege.Roster, "the roster is not yours to "+s.Type.String())
}

// isComponent reports whether this is the address of a component, or of somebody at one.
func (m *Module) isComponent(j jid.JID) bool {
	return !m.server.Serves(j.Domain()) && m.server.Present(j.Domain())
}

// RosterChanged implements roster.Managers. XEP-0356 §4.4
func (m *Module) RosterChanged(t *server.Turn, account jid.JID, q *roster.Query) {
	for name, g := range m.granted.Load().grants {
		if !g.Push || !typ(g.Roster).Allows(stanza.Get) || !slices.Contains(g.Domains, account.Domain()) || !m.server.Present(name) {
			continue
		}
		to, err := jid.New("", name, "")
		if err != nil {
			continue // the configuration has it in canonical form: never
		}
		s := stanza.New(stanza.IQ, stanza.Set, to, q)
		s.From, s.ID = account, []byte("push"+q.Ver)
		t.Route(s)
	}
}
