// SPDX-License-Identifier: Apache-2.0

// Package ping answers pings, so that clients can tell a live connection from a dead one.
//
// XEP-0199 (complete, 2.0.1)
package ping

import (
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/xmpp/ping"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// Module answers pings.
type Module struct{}

// New makes the module.
func New() *Module { return &Module{} }

// Name implements server.Module.
func (*Module) Name() string { return "ping" }

// Init implements server.Module.
func (*Module) Init(h *server.Host) error {
	h.Feature(server.AtHost|server.AtAccount, ping.NS)
	h.IQ(server.IQHandler{
		At: server.AtHost | server.AtAccount, Type: stanza.Get, Name: (*ping.Ping)(nil).XMLName(),
		Do: func(*server.Turn, *server.Query) (stanza.Payload, error) { return nil, nil },
	})
	return nil
}
