// SPDX-License-Identifier: Apache-2.0

package bookmarks

import "github.com/stonechat-im/stonechat/server"

// Turn begins a turn of the module's server.
func (m *Module) Turn() *server.Turn { return m.server.NewTurn() }
