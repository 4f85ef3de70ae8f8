// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// OnChange has f told, before the server starts, when something that Thing says of an account, or of what is behind it, was committed: before
// anybody is told who waits for that. f must not wait, and runs on the store's goroutine.
func (m *Module) OnChange(f func(thing jid.JID)) { m.changes = append(m.changes, f) }

// telling has them told when p is done; what it returns is done behind that.
func (m *Module) telling(thing jid.JID, p *store.Pending) *store.Pending {
	if p == nil || len(m.changes) == 0 {
		return p
	}
	told := new(store.Pending)
	p.OnDone(func(err error) {
		for _, f := range m.changes {
			f(thing)
		}
		told.Resolve(err)
	})
	return told
}
