// SPDX-License-Identifier: Apache-2.0

// Package delegation has components answer requests in place of the server: those of namespaces that the
// configuration gives them, addressed to a domain of ours or to an account at it. Whoever asks sees no
// difference.
//
// XEP-0355 (partial, 0.5): what the administrator delegates, not what users do
//
// How to read this package: this file has what is delegated to whom, and the way of a request; nest.go what
// service discovery says of it.
//
// What a component answers is checked: it can answer what it was asked, to whoever asked. Requests are
// answered in the order in which components answer them, as those to other servers are.
package delegation

import (
	"maps"
	"slices"
	"sync/atomic"

	"github.com/stonechat-im/stonechat/config"
	"github.com/stonechat-im/stonechat/internal/metrics"
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/xmpp/delegation"
	"github.com/stonechat-im/stonechat/xmpp/disco"
	"github.com/stonechat-im/stonechat/xmpp/forward"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// Config is the key modules.delegation.
type Config struct {
	// Timeout is how long a component may take to answer a request; then whoever asked is told
	// service-unavailable.
	Timeout config.Duration `yaml:"timeout" default:"30s" none:"no" live:"yes"`
	// InfoBytes of what a component may say in service discovery of each of its namespaces; longer
	// answers are left out.
	InfoBytes config.Bytes `yaml:"info_bytes" default:"16KiB" live:"yes"`
}

// Grants are what is delegated to components, by their domains.
type Grants map[string]Grant

// Grant is what one of them answers.
type Grant struct {
	Domains    []string            // for whose accounts
	Namespaces map[string][]string // with the attributes that a request must have
}

// granted is what is in force.
type granted struct {
	config Config
	grants Grants
	byName map[key]*delegated
}

// key is a namespace at a domain of ours.
type key struct{ domain, ns string }

// delegated is who answers for it.
type delegated struct {
	component  jid.JID
	attributes []string
}

// Module is delegation.
type Module struct {
	granted atomic.Pointer[granted]
	server  *server.Server
	nests   nests
	metrics struct{ forwarded, failed, tooLong metrics.Counter }
}

// New makes the module.
func New(c Config, g Grants) *Module {
	m := new(Module)
	now := &granted{config: c, grants: g, byName: make(map[key]*delegated)}
	for name, x := range g {
		component, err := jid.New("", name, "")
		if err != nil {
			continue // the configuration has it in canonical form: never
		}
		for ns, attributes := range x.Namespaces {
			for _, domain := range x.Domains {
				now.byName[key{domain, ns}] = &delegated{component, attributes}
			}
		}
	}
	m.granted.Store(now)
	return m
}

// Name implements server.Module.
func (*Module) Name() string { return "delegation" }

// Init implements server.Module.
func (m *Module) Init(h *server.Host) error {
	m.server = h.Server
	m.metrics.forwarded = h.Metrics.Counter("stonechat_delegation_forwarded_total", "Requests that components were asked to answer.")
	m.metrics.failed = h.Metrics.Counter("stonechat_delegation_failed_total", "Of those, the ones that had no answer, or one that may not be.")
	m.metrics.tooLong = h.Metrics.Counter("stonechat_delegation_info_too_long_total", "Descriptions of what a component does that were longer than modules.delegation.info_bytes.")
	h.Feature(server.AtHost, delegation.NS)
	h.Requested = m.requested
	h.Joined = m.joined
	return nil
}

// joined tells a component that has connected what it is to answer, and asks what it can do.
func (m *Module) joined(t *server.Turn, place jid.JID) {
	if g, ok := m.granted.Load().grants[place.Domain()]; ok {
		m.announce(t, place, Grant{}, g)
	}
}

// announce says what is delegated, and to ask for it no more where it was. XEP-0355 §4.2
func (m *Module) announce(t *server.Turn, component jid.JID, was, is Grant) {
	domains := slices.Concat(was.Domains, is.Domains)
	slices.Sort(domains)
	for _, domain := range slices.Compact(domains) {
		var d delegation.Delegation
		if slices.Contains(is.Domains, domain) {
			for _, ns := range slices.Sorted(maps.Keys(is.Namespaces)) {
				d.Delegated = append(d.Delegated, delegation.Delegated{Namespace: ns, Attributes: is.Namespaces[ns]})
			}
		}
		had := slices.Contains(was.Domains, domain) && len(was.Namespaces) > 0
		from, err := jid.New("", domain, "")
		if err != nil || len(d.Delegated) == 0 && !had {
			continue
		}
		s := stanza.New(stanza.Message, stanza.Normal, component, &d)
		s.From = from
		t.Route(s)
		m.explore(t, from, component, d.Delegated)
	}
}

// Reload implements server.Reloader. What changes is in force at once, and told to those who are there.
func (m *Module) Reload(next server.Module) {
	to := next.(*Module).granted.Load()
	was := m.granted.Swap(to).grants
	t := m.server.NewTurn()
	defer t.End()
	names := slices.AppendSeq(slices.Collect(maps.Keys(was)), maps.Keys(to.grants))
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		component, err := jid.New("", name, "")
		if err == nil && m.server.Present(name) && !same(was[name], to.grants[name]) {
			m.announce(t, component, was[name], to.grants[name])
		}
	}
}

func same(a, b Grant) bool {
	return slices.Equal(a.Domains, b.Domains) && maps.EqualFunc(a.Namespaces, b.Namespaces, slices.Equal)
}

// nsCommands is the node at which an account's commands are listed (XEP-0050 §2.2), by the server.
const nsCommands = "http://jabber.org/protocol/commands"

// who is to answer a request, nil for the server. XEP-0355 §4.3
func (m *Module) who(s *stanza.Stanza) *delegated {
	i := s.First()
	if i < 0 {
		return nil
	}
	byName, domain := m.granted.Load().byName, s.To.Domain()
	if len(byName) == 0 {
		return nil
	}
	space, _, _ := s.Child(i)
	d := byName[key{domain, string(space)}]
	if !s.To.IsDomain() {
		// Of accounts' nodes the server knows none where those are delegated: the configuration sees to that.
		switch string(space) {
		case disco.NSInfo:
			if node := s.Reader(i).Attr("node"); node != "" && node != nsCommands {
				d = byName[key{domain, delegation.BareInfo}]
			}
		case disco.NSItems:
			if s.Reader(i).Attr("node") != nsCommands {
				d = byName[key{domain, delegation.BareItems}]
			}
		}
	}
	// Who answers for a namespace is answered by the server (§4.3.1).
	if d == nil || s.From == d.component {
		return nil
	}
	r := s.Reader(i)
	for _, name := range d.attributes {
		if _, is := r.LookupAttr(name); !is {
			return nil
		}
	}
	return d
}

// requested hands a request on to who is to answer it.
func (m *Module) requested(t *server.Turn, s *stanza.Stanza) (taken bool) {
	d := m.who(s)
	if d == nil {
		return false
	}
	m.metrics.forwarded.Inc()
	if !m.server.Present(d.component.Domain()) {
		m.metrics.failed.Inc()
		t.Refuse(s, stanza.ServiceUnavailable.Err(""))
		return true
	}
	s = s.Retain()
	ask := stanza.New(stanza.IQ, stanza.Set, d.component, &delegation.Delegation{Forwarded: forward.New(s, nil)})
	ask.From = s.To.Host()
	m.server.Ask(t, ask, m.granted.Load().config.Timeout.D(), func(t *server.Turn, answer *stanza.Stanza) {
		r := answerTo(s, answer)
		if r == nil {
			m.metrics.failed.Inc()
			t.Refuse(s, stanza.ServiceUnavailable.Err(""))
			return
		}
		t.Route(r)
	})
	return true
}

// answerTo is the answer to s within that of a component, nil where there is none, or one that may not be.
func answerTo(s, answer *stanza.Stanza) *stanza.Stanza {
	if answer == nil || answer.Type != stanza.Result {
		return nil
	}
	var d delegation.Delegation
	if found, err := answer.Decode(&d); !found || err != nil || d.Forwarded == nil {
		return nil
	}
	r, err := d.Forwarded.Parse()
	if err != nil || r.Kind != stanza.IQ || r.Type != stanza.Result || string(r.ID) != string(s.ID) || r.To != s.From ||
		!r.From.IsZero() && r.From != s.To {
		return nil
	}
	r.From = s.To
	return r
}
