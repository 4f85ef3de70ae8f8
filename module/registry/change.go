// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// OnChange has f told, before the server starts, when something that Thing says of an account, or of what is behind it, was committed: before
// anybody is told who waits for that. f must not wait, and runs on the store's goroutine.
func (m *Module) OnChange(f func(thing jid.JID)) { m.changes = append(m.changes, f) }

// OnParting has f asked, before the server starts, who may not see an account any more once it is next's, zero for nobody's: that ends
// in the same commit. f may wait.
func (m *Module) OnParting(f func(ctx context.Context, thing, next jid.JID) ([]jid.JID, error)) {
	m.partings = append(m.partings, f)
}

// parting is who may not see x's account any more. Who has something behind it stays.
func (m *Module) parting(ctx context.Context, x *store.Thing, next jid.JID) (list []jid.JID, err error) {
	if x.ThingNode != (store.ThingNode{}) {
		return nil, nil
	}
	for _, f := range m.partings {
		some, err := f(ctx, x.JID, next)
		if err != nil {
			return nil, err
		}
		list = append(list, some...)
	}
	return list, nil
}

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
