// SPDX-License-Identifier: Apache-2.0

package delegation

import (
	"slices"
	"strings"
	"sync"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/xmpp/delegation"
	"github.com/stonechat-im/stonechat/xmpp/disco"
	"github.com/stonechat-im/stonechat/xmpp/form"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// nests are what components have said of what they answer.
type nests struct {
	mu   sync.RWMutex
	said map[nest]*disco.Info
}

// nest is what is to be said of a namespace by a domain of ours, or by its accounts.
type nest struct {
	key
	accounts  bool
	component jid.JID
}

// explore asks a component what it can do. XEP-0355 §7.2, §9
func (m *Module) explore(t *server.Turn, from, component jid.JID, all []delegation.Delegated) {
	for _, d := range all {
		if strings.HasPrefix(d.Namespace, delegation.NS+":") {
			continue // stands for service discovery itself
		}
		for _, accounts := range []bool{false, true} {
			n := nest{key{from.Domain(), d.Namespace}, accounts, component}
			ask := stanza.New(stanza.IQ, stanza.Get, component, &disco.Info{Node: delegation.Node(d.Namespace, accounts)})
			ask.From = from
			m.server.Ask(t, ask, m.granted.Load().config.Timeout.D(), func(_ *server.Turn, answer *stanza.Stanza) { m.learn(n, answer) })
		}
	}
}

// learn keeps what a component has said, until it says something else.
func (m *Module) learn(n nest, answer *stanza.Stanza) {
	var info disco.Info
	if answer == nil || answer.Type != stanza.Result {
		info = disco.Info{}
	} else if answer.Size() > int(m.granted.Load().config.InfoBytes) {
		m.metrics.tooLong.Inc()
	} else if found, err := answer.Decode(&info); !found || err != nil {
		info = disco.Info{}
	}
	m.nests.mu.Lock()
	defer m.nests.mu.Unlock()
	if m.nests.said == nil {
		m.nests.said = make(map[nest]*disco.Info)
	}
	m.nests.said[n] = &info
}

// Nests reports whether anything is delegated at a domain.
func (m *Module) Nests(domain string) bool {
	for k := range m.granted.Load().byName {
		if k.domain == domain {
			return true
		}
	}
	return false
}

// Nest makes of what the server would say of itself, or of its accounts, what it says: of delegated
// namespaces what components have said, and nothing of its own. XEP-0355 §7.2.1 to §7.2.3
func (m *Module) Nest(at server.Where, domain string, info *disco.Info) {
	if !m.Nests(domain) {
		return
	}
	for k, d := range m.granted.Load().byName {
		if k.domain != domain || strings.HasPrefix(k.ns, delegation.NS+":") {
			continue
		}
		about := func(name string) bool { return name == k.ns || strings.HasPrefix(name, k.ns+"#") }
		info.Features = slices.DeleteFunc(slices.Clone(info.Features), about)
		info.Forms = slices.DeleteFunc(slices.Clone(info.Forms), func(f *form.Form) bool { return about(f.FormType()) })
		if k.ns == nsPubSub {
			info.Identities = slices.DeleteFunc(slices.Clone(info.Identities), func(id disco.Identity) bool { return id.Category == "pubsub" })
		}
		m.nests.mu.RLock()
		said := m.nests.said[nest{k, at == server.AtAccount, d.component}]
		m.nests.mu.RUnlock()
		if said == nil || !m.server.Present(d.component.Domain()) {
			continue
		}
		info.Identities = append(info.Identities, said.Identities...)
		info.Features = append(info.Features, said.Features...)
		info.Forms = append(info.Forms, said.Forms...)
	}
	slices.Sort(info.Features)
	info.Features = slices.Compact(info.Features)
	// Of one type there is one form, and each identity once (XEP-0030 §3.1, XEP-0128 §2).
	seen := map[string]bool{}
	info.Forms = slices.DeleteFunc(info.Forms, func(f *form.Form) bool { is := seen[f.FormType()]; seen[f.FormType()] = true; return is })
	is := map[disco.Identity]bool{}
	info.Identities = slices.DeleteFunc(info.Identities, func(id disco.Identity) bool { was := is[id]; is[id] = true; return was })
}

// nsPubSub is the namespace whose identity is that of its service (XEP-0163 §6.1).
const nsPubSub = "http://jabber.org/protocol/pubsub"
