// SPDX-License-Identifier: Apache-2.0

// Package disco answers what the server and its accounts can do, from what the other modules
// declare.
//
// XEP-0030 (complete, 2.5.0)
package disco

import (
	"context"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/xmpp/disco"
	"github.com/stonechat-im/stonechat/xmpp/form"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// Module is service discovery.
type Module struct {
	sees       func(u *server.User, viewer jid.JID) bool
	alias      func(domain, node string) bool
	forms      []*form.Form
	identities []identity
	info       func(context.Context, *server.Query, string) (*disco.Info, error)
	items      func(context.Context, *server.Query, *disco.Items) (*disco.Items, error)
	nester     Nester
	commands   Commands
	server     *server.Server
}

type identity struct {
	at server.Where
	disco.Identity
}

// New makes the module. sees says who besides its owner may ask about an account: who sees its
// presence (XEP-0030 §8). It may wait.
func New(sees func(u *server.User, viewer jid.JID) bool) *Module {
	return &Module{sees: sees, alias: func(string, string) bool { return false }}
}

// Alias says, before the server starts, at which nodes the server is asked for the same as at
// none.
func (m *Module) Alias(is func(domain, node string) bool) { m.alias = is }

// Extend adds a form to what the server says of itself (XEP-0128). It is for the Init of other
// modules.
func (m *Module) Extend(f *form.Form) { m.forms = append(m.forms, f) }

// Identify adds to what the server, or each account, says that it is. It is for the Init of other
// modules.
func (m *Module) Identify(at server.Where, id disco.Identity) {
	m.identities = append(m.identities, identity{at, id})
}

// Nodes sets, for the Init of another module, who answers for the nodes of accounts: info describes one;
// items lists what is asked for: the account's nodes, or what belongs to one. They decide who may know
// what, and refuse strangers as if there were no such account.
func (m *Module) Nodes(info func(context.Context, *server.Query, string) (*disco.Info, error), items func(context.Context, *server.Query, *disco.Items) (*disco.Items, error)) {
	m.info, m.items = info, items
}

// Nester changes what a domain or its accounts say because somebody else answers for some of it.
type Nester interface {
	Nest(at server.Where, domain string, info *disco.Info)
	// Nests reports whether it does.
	Nests(domain string) bool
}

// Nest sets, before the server starts, who does that.
func (m *Module) Nest(n Nester) { m.nester = n }

// Nests reports whether what a domain says varies with what others answer for.
func (m *Module) Nests(domain string) bool { return m.nester != nil && m.nester.Nests(domain) }

// nested is info as it is said.
func (m *Module) nested(at server.Where, domain string, info *disco.Info) *disco.Info {
	if m.nester != nil {
		m.nester.Nest(at, domain, info)
	}
	return info
}

// Commands answers for the nodes, of the server or of an account, at which commands are listed and described; ok is
// false for all others. It decides who may know what, and may wait for what an account offers.
type Commands interface {
	InfoAt(at server.Where, q *server.Query, node string) (info *disco.Info, ok bool, err error)
	ItemsAt(at server.Where, q *server.Query, node string) (items *disco.Items, ok bool, err error)
}

// Commands sets, before the server starts, who answers for commands.
func (m *Module) Commands(c Commands) { m.commands = c }

// Name implements server.Module.
func (*Module) Name() string { return "disco" }

// Init implements server.Module.
func (m *Module) Init(h *server.Host) error {
	m.server = h.Server
	for _, ns := range []string{disco.NSInfo, disco.NSItems} {
		h.Feature(server.AtHost|server.AtAccount, ns)
	}
	info, items := (*disco.Info)(nil).XMLName(), (*disco.Items)(nil).XMLName()
	h.IQ(server.IQHandler{At: server.AtHost, Type: stanza.Get, Name: info, Do: m.hostInfo})
	h.IQ(server.IQHandler{At: server.AtHost, Type: stanza.Get, Name: items, Do: m.hostItems})
	h.IQ(server.IQHandler{At: server.AtAccount, Others: true, Blocking: true, Type: stanza.Get, Name: info, Do: m.accountInfo})
	h.IQ(server.IQHandler{At: server.AtAccount, Others: true, Blocking: true, Type: stanza.Get, Name: items, Do: m.accountItems})
	return nil
}

// Host is what the server says it can do at a domain of its own.
func (m *Module) Host(domain string) *disco.Info {
	return m.nested(server.AtHost, domain, &disco.Info{
		Identities: m.identified(server.AtHost, disco.Identity{Category: "server", Type: "im", Name: "Stonechat"}),
		Features:   m.server.Features(server.AtHost),
		Forms:      m.forms,
	})
}

// identified is first, and what other modules have added.
func (m *Module) identified(at server.Where, first disco.Identity) []disco.Identity {
	all := []disco.Identity{first}
	for _, id := range m.identities {
		if id.at&at != 0 {
			all = append(all, id.Identity)
		}
	}
	return all
}

func (m *Module) hostInfo(_ *server.Turn, q *server.Query) (stanza.Payload, error) {
	var ask disco.Info
	if _, err := q.Decode(&ask); err != nil {
		return nil, err
	}
	if info, ok, err := m.commandInfo(server.AtHost, q, ask.Node); ok {
		return info, err
	}
	if ask.Node != "" && !m.alias(q.To.Domain(), ask.Node) {
		return nil, stanza.ItemNotFound.Err("no such node")
	}
	info := m.Host(q.To.Domain())
	info.Node = ask.Node
	return info, nil
}

func (m *Module) hostItems(_ *server.Turn, q *server.Query) (stanza.Payload, error) {
	var ask disco.Items
	if _, err := q.Decode(&ask); err != nil {
		return nil, err
	}
	if items, ok, err := m.commandItems(server.AtHost, q, ask.Node); ok {
		return items, err
	}
	if ask.Node != "" {
		return nil, stanza.ItemNotFound.Err("no such node")
	}
	var answer disco.Items
	for _, place := range m.server.Places(q.To.Domain()) {
		answer.Items = append(answer.Items, disco.Item{JID: place})
	}
	return &answer, nil
}

func (m *Module) accountInfo(_ *server.Turn, q *server.Query) (stanza.Payload, error) {
	var ask disco.Info
	if _, err := q.Decode(&ask); err != nil {
		return nil, err
	}
	if info, ok, err := m.commandInfo(server.AtAccount, q, ask.Node); ok {
		return info, err
	}
	if ask.Node != "" && m.info != nil && !q.User.Guest() {
		info, err := m.info(context.Background(), q, ask.Node)
		if err != nil {
			return nil, err
		}
		return info, nil
	}
	if err := m.admit(q, ask.Node); err != nil {
		return nil, err
	}
	if q.User.Guest() {
		return &disco.Info{ // XEP-0175 §4
			Identities: []disco.Identity{{Category: "account", Type: "anonymous"}},
			Features:   m.server.Features(server.AtAccount),
		}, nil
	}
	return m.nested(server.AtAccount, q.To.Domain(), &disco.Info{
		Identities: m.identified(server.AtAccount, disco.Identity{Category: "account", Type: "registered"}),
		Features:   m.server.Features(server.AtAccount),
	}), nil
}

func (m *Module) accountItems(_ *server.Turn, q *server.Query) (stanza.Payload, error) {
	var ask disco.Items
	if _, err := q.Decode(&ask); err != nil {
		return nil, err
	}
	if items, ok, err := m.commandItems(server.AtAccount, q, ask.Node); ok {
		return items, err
	}
	if m.items != nil && !q.User.Guest() {
		items, err := m.items(context.Background(), q, &ask)
		if err != nil {
			return nil, err
		}
		return items, nil
	}
	if err := m.admit(q, ask.Node); err != nil {
		return nil, err
	}
	// Deviation: an account's sessions are not listed. XEP-0030 §4 lets that be, and whoever may
	// know them sees their presence.
	return &disco.Items{}, nil
}

func (m *Module) commandInfo(at server.Where, q *server.Query, node string) (stanza.Payload, bool, error) {
	if m.commands == nil || node == "" {
		return nil, false, nil
	}
	info, ok, err := m.commands.InfoAt(at, q, node)
	if err != nil {
		return nil, ok, err
	}
	return info, ok, nil
}

func (m *Module) commandItems(at server.Where, q *server.Query, node string) (stanza.Payload, bool, error) {
	if m.commands == nil || node == "" {
		return nil, false, nil
	}
	items, ok, err := m.commands.ItemsAt(at, q, node)
	if err != nil {
		return nil, ok, err
	}
	return items, ok, nil
}

// admit refuses strangers as if there were no such account (XEP-0030 §8). What a guest is may be
// known to all (XEP-0175 §4).
func (m *Module) admit(q *server.Query, node string) error {
	switch {
	case !q.Own() && !q.User.Guest() && !m.sees(q.User, q.From.Bare()):
		return stanza.ServiceUnavailable.Err("")
	case node != "":
		return stanza.ItemNotFound.Err("no such node")
	}
	return nil
}
