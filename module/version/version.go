// SPDX-License-Identifier: Apache-2.0

// Package version tells who asks which program this is.
//
// XEP-0092 (complete, 1.1)
package version

import (
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/version"
)

// Module tells the version.
type Module struct{ version string }

// New makes the module. The operating system is not told: it helps nobody but attackers.
func New(version string) *Module { return &Module{version} }

// Name implements server.Module.
func (*Module) Name() string { return "version" }

// Init implements server.Module.
func (m *Module) Init(h *server.Host) error {
	h.Feature(server.AtHost, version.NS)
	h.IQ(server.IQHandler{
		At: server.AtHost, Type: stanza.Get, Name: (*version.Query)(nil).XMLName(),
		Do: func(*server.Turn, *server.Query) (stanza.Payload, error) {
			return &version.Query{Name: "Stonechat", Version: m.version}, nil
		},
	})
	return nil
}
