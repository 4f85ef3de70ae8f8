// SPDX-License-Identifier: Apache-2.0

// Package commands makes the server and its accounts do what people tell them from any client, led by forms. Rooms and
// services do the same by the same Leader.
//
// XEP-0050 (partial, 1.3.0): the list of commands is asked for, and not pushed (§2.3)
//
// A request that names no language but that of its stream is answered in English. Who may have none of an account's
// commands is not told that there is an account.
package commands

import (
	"sync/atomic"
	"time"

	"github.com/stonechat-im/stonechat/internal/metrics"
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/server/adhoc"
	"github.com/stonechat-im/stonechat/xmpp/command"
	"github.com/stonechat-im/stonechat/xmpp/disco"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// Config is the key modules.commands.
type Config struct {
	// Sessions is how many commands may be under way at once, at all addresses together. More are refused with
	// resource-constraint.
	Sessions int `yaml:"sessions" default:"10000" live:"yes"`
	// SessionsOfOne is how many of them one address may have. For one more its oldest ends.
	SessionsOfOne int `yaml:"sessions_of_one" default:"20" live:"yes"`
	// Expire is how long after the last request a command that is not complete is over.
	Expire time.Duration `yaml:"expire" default:"10m" none:"no" live:"yes"`
}

func (c Config) bounds() adhoc.Bounds {
	return adhoc.Bounds{Sessions: c.Sessions, OfOne: c.SessionsOfOne, Expire: c.Expire}
}

// Module has the commands of the server and of accounts.
type Module struct {
	config atomic.Pointer[Config]
	offers []offer
	leader *adhoc.Leader
	ended  metrics.Counter
}

type offer struct {
	at server.Where
	adhoc.Command
}

// New makes the module.
func New(c Config) *Module {
	m := new(Module)
	m.config.Store(&c)
	m.leader = adhoc.NewLeader(c.bounds(), func(n int) { m.ended.Add(float64(n)) })
	return m
}

// Leader is for those who answer requests for themselves.
func (m *Module) Leader() *adhoc.Leader { return m.leader }

// Offer adds a command of the server, of each account, or of both. It is for the Init of other modules, which runs before
// this one's.
func (m *Module) Offer(at server.Where, c adhoc.Command) { m.offers = append(m.offers, offer{at, c}) }

// Name implements server.Module.
func (*Module) Name() string { return "commands" }

// Reload implements server.Reloader.
func (m *Module) Reload(next server.Module) {
	c := next.(*Module).config.Load()
	m.config.Store(c)
	m.leader.Bound(c.bounds())
}

// Init implements server.Module.
func (m *Module) Init(h *server.Host) error {
	m.ended = h.Metrics.Counter("stonechat_commands_ended_total", "Commands refused, or ended before their time, because too many are under way (modules.commands.sessions, modules.commands.sessions_of_one).")
	h.Metrics.GaugeFunc("stonechat_commands_under_way", "Commands that are begun and not complete.", func() float64 { return float64(m.leader.Len()) })
	for _, at := range []server.Where{server.AtHost, server.AtAccount} {
		all := m.offered(at)
		if len(all) == 0 {
			continue
		}
		h.Feature(at, command.NS)
		h.IQ(server.IQHandler{
			At: at, Type: stanza.Set, Name: (*command.Command)(nil).XMLName(), Others: true, Blocking: true,
			Do: func(t *server.Turn, q *server.Query) (stanza.Payload, error) { return m.leader.Do(t, q, all) },
		})
	}
	return nil
}

// offered are the commands of the server, or of accounts.
func (m *Module) offered(at server.Where) (all []adhoc.Command) {
	for _, o := range m.offers {
		if o.at&at != 0 {
			all = append(all, o.Command)
		}
	}
	return all
}

// InfoAt describes a node of the server or of an account, for module disco; ok is false for nodes that are none of commands.
func (m *Module) InfoAt(at server.Where, q *server.Query, node string) (info *disco.Info, ok bool, err error) {
	all := m.offered(at)
	if !adhoc.Has(all, node) {
		return nil, false, nil
	}
	info, err = m.leader.Info(q, all, node)
	return info, true, err
}

// ItemsAt lists what is at such a node.
func (m *Module) ItemsAt(at server.Where, q *server.Query, node string) (items *disco.Items, ok bool, err error) {
	all := m.offered(at)
	if !adhoc.Has(all, node) {
		return nil, false, nil
	}
	items, err = m.leader.Items(q, all, node)
	return items, true, err
}
