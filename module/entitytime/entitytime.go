// SPDX-License-Identifier: Apache-2.0

// Package entitytime tells the server's time, by which devices without a clock of their own may
// set theirs.
//
// XEP-0202 (complete, 2.0)
package entitytime

import (
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/xmpp/entitytime"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// Module tells the time.
type Module struct{}

// New makes the module.
func New() *Module { return &Module{} }

// Name implements server.Module.
func (*Module) Name() string { return "entitytime" }

// Init implements server.Module.
func (*Module) Init(h *server.Host) error {
	h.Feature(server.AtHost, entitytime.NS)
	h.IQ(server.IQHandler{
		At: server.AtHost, Type: stanza.Get, Name: (*entitytime.Time)(nil).XMLName(),
		Do: func(t *server.Turn, _ *server.Query) (stanza.Payload, error) {
			return &entitytime.Time{At: t.Now.UTC()}, nil
		},
	})
	return nil
}
