// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"fmt"
	"slices"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// Release makes a thing nobody's, whoever owns it, for the operator of the server. It fails with store.ErrNotFound where nobody
// does. It returns when that is committed.
func (m *Module) Release(ctx context.Context, name store.ThingName) error {
	defer m.work(name.JID)()
	x, err := m.store.Thing(ctx, name)
	if err == nil && x.Owner.IsZero() {
		err = fmt.Errorf("registry: thing %s is nobody's: %w", name.JID, store.ErrNotFound)
	}
	if err != nil {
		return err
	}
	p, err := m.pass(ctx, &x, x.Owner, jid.JID{}, store.DisownThing{Name: name, Owner: x.Owner})
	if err != nil {
		return err
	}
	if err := p.Wait(ctx); err != nil {
		return err
	}
	m.news.add(name.JID)
	return nil
}

// Group puts a thing into these groups and no others, for the operator of the server; one that is nobody's stays in those that it
// is in, too. It fails with store.ErrNotFound where there is no such thing. It returns when that is committed.
func (m *Module) Group(ctx context.Context, name store.ThingName, groups []string) error {
	defer m.work(name.JID)()
	x, err := m.store.Thing(ctx, name)
	if err != nil {
		return err
	}
	x.Groups = slices.Clone(groups)
	if x.Owner.IsZero() {
		return m.store.Commit(store.RegisterThing{Thing: x}).Wait(ctx)
	}
	return m.store.Commit(store.SetThing{Thing: x}).Wait(ctx)
}
