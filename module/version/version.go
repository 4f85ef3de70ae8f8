// SPDX-License-Identifier: Apache-2.0

// Package version tells who asks which program this is, and people with an account here since when it runs, by a command.
//
// XEP-0092 (complete, 1.1)
package version

import (
	"fmt"
	"time"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/server/adhoc"
	"github.com/stonechat-im/stonechat/xmpp/command"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/version"
)

// Commands is what this module needs of module commands.
type Commands interface {
	// Offer adds a command of the server.
	Offer(at server.Where, c adhoc.Command)
}

// Module tells the version.
type Module struct {
	version  string
	commands Commands
	since    time.Time
}

// New makes the module. The operating system is not told: it helps nobody but attackers.
func New(version string, c Commands) *Module { return &Module{version: version, commands: c} }

// Name implements server.Module.
func (*Module) Name() string { return "version" }

// Init implements server.Module.
func (m *Module) Init(h *server.Host) error {
	m.since = time.Now()
	m.commands.Offer(server.AtHost, adhoc.Command{
		Node: "uptime", Name: "Since when the server runs",
		May: func(q *server.Query) error {
			if !h.Server.Serves(q.From.Domain()) {
				return stanza.Forbidden.Err("")
			}
			return nil
		},
		Do: func(_ *server.Turn, _ *server.Query, x *command.Execution) error {
			x.Note(command.Info, fmt.Sprintf("The server runs since %s, for %s.",
				m.since.UTC().Format(time.DateTime+" MST"), time.Since(m.since).Round(time.Second)))
			x.Done(nil)
			return nil
		},
	})
	h.Feature(server.AtHost, version.NS)
	h.IQ(server.IQHandler{
		At: server.AtHost, Type: stanza.Get, Name: (*version.Query)(nil).XMLName(),
		Do: func(*server.Turn, *server.Query) (stanza.Payload, error) {
			return &version.Query{Name: "Stonechat", Version: m.version}, nil
		},
	})
	return nil
}
