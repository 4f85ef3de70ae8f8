// SPDX-License-Identifier: Apache-2.0

package muc

// How to read this file: what the operator does about rooms, whoever he is to them (admin.Rooms). ListRooms adds the rooms of
// the store and those that are only in memory to one list; the rest goes the way of an owner.

import (
	"cmp"
	"context"
	"slices"
	"strings"

	operator "github.com/stonechat-im/stonechat/server/admin"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/muc"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// RoomServices implements admin.Rooms.
func (m *Module) RoomServices() []string { return m.hosts }

// ListRooms implements admin.Rooms.
func (m *Module) ListRooms(ctx context.Context, q store.RoomQuery) ([]operator.Room, error) {
	kept, err := m.store.FindRooms(ctx, q)
	if err != nil {
		return nil, err
	}
	page := []operator.Room{}
	for _, x := range kept {
		page = append(page, operator.Room{
			JID: x.JID.String(), Name: x.Name, Creator: x.Creator.String(), Created: x.Created, Public: x.Public,
			Owners: x.Owners, Affiliations: x.Affiliations,
		})
	}
	last := ""
	if len(kept) == store.PageLimit(q.Limit) {
		last = kept[len(kept)-1].JID.Local()
	}
	for _, r := range m.table.all() {
		local := r.jid.Local()
		if r.jid.Domain() == q.Service && local > q.After && (last == "" || local <= last) {
			page = r.listed(page, q)
		}
		m.release(nil, r)
	}
	slices.SortFunc(page, func(a, b operator.Room) int { return cmp.Compare(a.JID, b.JID) })
	if most := store.PageLimit(q.Limit); len(page) > most {
		page = page[:most]
	}
	return page, nil
}

// listed adds the room to a page, or what of it is in memory alone.
func (r *room) listed(page []operator.Room, q store.RoomQuery) []operator.Room {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := slices.IndexFunc(page, func(x operator.Room) bool { return x.JID == r.jid.String() })
	if i >= 0 {
		page[i].Occupants = len(r.list)
		return page
	}
	x := r.entry()
	switch {
	case r.gone.Load(), r.kept.Load(), q.Ownerless && x.Owners > 0:
		return page
	case q.Find != "" && !strings.Contains(lower(r.jid.Local()+"\n"+r.options.name), lower(q.Find)):
		return page
	}
	return append(page, x)
}

// lower is s with small letters where they are ASCII, as the store compares.
func lower(s string) string {
	return strings.Map(func(c rune) rune {
		if 'A' <= c && c <= 'Z' {
			return c + 'a' - 'A'
		}
		return c
	}, s)
}

// entry is the room in a list. The caller holds mu.
func (r *room) entry() operator.Room {
	x := operator.Room{
		JID: r.jid.String(), Name: r.options.name, Creator: r.creator.String(), Created: r.created, Public: r.options.public,
		Temporary: !r.kept.Load(), Owners: r.owners(), Occupants: len(r.list),
	}
	for _, p := range r.people {
		if p.affiliation != muc.Unaffiliated {
			x.Affiliations++
		}
	}
	return x
}

// ShowRoom implements admin.Rooms.
func (m *Module) ShowRoom(_ context.Context, j jid.JID) (*operator.RoomInfo, error) {
	r, err := m.open(j)
	if err != nil {
		return nil, err
	}
	defer m.release(nil, r)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.gone.Load() {
		return nil, errNoRoom()
	}
	x := &operator.RoomInfo{Room: r.entry(), Hats: len(r.wardrobe.hats), Options: make(map[string][]string)}
	for _, o := range r.order {
		x.Nicks = append(x.Nicks, o.nick)
	}
	if r.subject != nil {
		if i := r.subject.Find(stanza.NSClient, "subject"); i >= 0 {
			x.Subject = r.subject.Reader(i).Text()
		}
	}
	c := m.config.Load()
	for _, f := range r.options.form(c.MaxOccupants, c.MaxHistory).Fields {
		if name, ours := strings.CutPrefix(f.Var, "muc#roomconfig_"); ours && f.Var != fieldPassword && f.First() != "" {
			x.Options[name] = f.Values
		}
	}
	return x, nil
}

// DestroyRoom implements admin.Rooms.
func (m *Module) DestroyRoom(_ context.Context, j jid.JID, reason string, alternate jid.JID) error {
	r, err := m.open(j)
	if err != nil {
		return err
	}
	t := m.server.NewTurn()
	defer t.End()
	defer m.release(t, r)
	dirty, err := r.abolish(t, &muc.Destroy{JID: alternate, Reason: reason}, func() error { return nil })
	for _, o := range dirty {
		o.Run(t)
	}
	return err
}

// RoomAffiliations implements admin.Rooms.
func (m *Module) RoomAffiliations(_ context.Context, j jid.JID) ([]operator.Affiliation, error) {
	r, err := m.open(j)
	if err != nil {
		return nil, err
	}
	defer m.release(nil, r)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.gone.Load() {
		return nil, errNoRoom()
	}
	list := []operator.Affiliation{}
	for user, p := range r.people {
		list = append(list, operator.Affiliation{JID: user.String(), Affiliation: string(p.affiliation), Nick: p.nick, Reason: p.reason})
	}
	slices.SortFunc(list, func(a, b operator.Affiliation) int {
		higher := muc.Affiliation(b.Affiliation).Level() - muc.Affiliation(a.Affiliation).Level()
		return cmp.Or(higher, cmp.Compare(a.JID, b.JID))
	})
	return list, nil
}

// AffiliateRoom implements admin.Rooms.
func (m *Module) AffiliateRoom(_ context.Context, j jid.JID, a operator.Affiliation) error {
	user, err := jid.Parse(a.JID)
	c := change{user: user.Bare(), affiliation: muc.Affiliation(a.Affiliation), reason: a.Reason}
	switch {
	case err != nil || user.IsZero():
		return stanza.BadRequest.Err("that is no address: " + a.JID)
	case !c.affiliation.Valid():
		return stanza.BadRequest.Err("an affiliation is owner, admin, member, none or outcast")
	case user.IsDomain() && c.affiliation != muc.Outcast && c.affiliation != muc.Unaffiliated:
		return stanza.NotAcceptable.Err("a domain can be banned, no more")
	}
	r, err := m.open(j)
	if err != nil {
		return err
	}
	t := m.server.NewTurn()
	defer t.End()
	defer m.release(t, r)
	return r.affiliate(t, edit{changes: []change{c}})
}
