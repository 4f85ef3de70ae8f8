// SPDX-License-Identifier: Apache-2.0

package muc

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/server/adhoc"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/command"
	"github.com/stonechat-im/stonechat/xmpp/disco"
	"github.com/stonechat-im/stonechat/xmpp/form"
	"github.com/stonechat-im/stonechat/xmpp/mam"
	"github.com/stonechat-im/stonechat/xmpp/muc"
	"github.com/stonechat-im/stonechat/xmpp/ping"
	"github.com/stonechat-im/stonechat/xmpp/register"
	"github.com/stonechat-im/stonechat/xmpp/retract"
	"github.com/stonechat-im/stonechat/xmpp/rsm"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// How to read this file: answers has all requests that the service and its rooms answer; info and items are what they say of
// themselves.

// request is a request that the service or a room answers.
type request struct {
	typ  stanza.Type
	name xmlstream.Name
	do   func(*server.Turn, *server.Query) (stanza.Payload, error)
	room bool // it is to a room, not to the service
}

// answers registers who answers requests to the service and to rooms. All may wait: a room may have to be
// loaded.
func (m *Module) answers(*server.Host) {
	all := []request{
		{stanza.Get, (*disco.Info)(nil).XMLName(), m.info, false},
		{stanza.Get, (*disco.Items)(nil).XMLName(), m.items, false},
		{stanza.Get, (*ping.Ping)(nil).XMLName(), m.ping, false},
		{stanza.Get, (*muc.AdminQuery)(nil).XMLName(), m.adminList, true},
		{stanza.Set, (*muc.AdminQuery)(nil).XMLName(), m.adminSet, true},
		{stanza.Get, (*muc.OwnerQuery)(nil).XMLName(), m.ownerGet, true},
		{stanza.Set, (*muc.OwnerQuery)(nil).XMLName(), m.ownerSet, true},
		{stanza.Get, (*register.Query)(nil).XMLName(), m.registerGet, true},
		{stanza.Set, (*register.Query)(nil).XMLName(), m.registerSet, true},
		{stanza.Get, vCardName(), m.vCardGet, true},
		{stanza.Set, vCardName(), m.vCardSet, true},
	}
	if m.leader != nil {
		all = append(all, request{stanza.Set, (*command.Command)(nil).XMLName(), func(t *server.Turn, q *server.Query) (stanza.Payload, error) {
			return m.leader.Do(t, q, m.commands)
		}, true})
	}
	if m.archive != nil {
		all = append(all,
			request{stanza.Get, (*mam.Query)(nil).XMLName(), m.archived, true},
			request{stanza.Set, (*mam.Query)(nil).XMLName(), m.archived, true},
			request{stanza.Get, (*mam.Metadata)(nil).XMLName(), m.archived, true},
			request{stanza.Set, (*retract.Moderate)(nil).XMLName(), m.moderate, true})
	}
	for _, h := range all {
		do := h.do
		if h.room {
			do = func(t *server.Turn, q *server.Query) (stanza.Payload, error) {
				if q.To.IsDomain() {
					return nil, stanza.ServiceUnavailable.Err("")
				}
				return h.do(t, q)
			}
		}
		m.desk.IQ(server.IQHandler{Type: h.typ, Name: h.name, Blocking: true, Do: do})
	}
}

func (m *Module) ping(_ *server.Turn, q *server.Query) (stanza.Payload, error) {
	if q.To.IsDomain() {
		return nil, nil
	}
	r, err := m.open(q.To)
	if err != nil {
		return nil, err
	}
	m.release(nil, r)
	return nil, nil
}

// info answers what the service (§6.2) or a room (§6.4) is and can do.
func (m *Module) info(_ *server.Turn, q *server.Query) (stanza.Payload, error) {
	var ask disco.Info
	if _, err := q.Decode(&ask); err != nil {
		return nil, err
	}
	if q.To.IsDomain() {
		if ask.Node != "" {
			return nil, stanza.ItemNotFound.Err("no such node")
		}
		features := append(m.features(), "muc_rooms")
		slices.Sort(features)
		return &disco.Info{Identities: []disco.Identity{{Category: "conference", Type: "text", Name: "Rooms"}}, Features: features}, nil
	}
	r, err := m.open(q.To)
	if err != nil {
		return nil, err
	}
	defer m.release(nil, r)
	if adhoc.Has(m.commands, ask.Node) {
		info, err := m.leader.Info(q, m.commands, ask.Node)
		if err != nil {
			return nil, err
		}
		return info, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.gone.Load() || r.locked && r.affiliationOf(q.From) != muc.Owner {
		return nil, errNoRoom()
	}
	switch ask.Node {
	case "":
		return r.info(), nil
	case muc.NodeNick: // §7.12
		answer := &disco.Info{Node: ask.Node}
		if p := r.people[q.From.Bare()]; p.nick != "" {
			answer.Identities = []disco.Identity{{Category: "conference", Type: "text", Name: p.nick}}
		}
		return answer, nil
	case muc.NodeTraffic: // §18.1.1: all passes
		return nil, stanza.ServiceUnavailable.Err("")
	}
	return nil, stanza.ItemNotFound.Err("no such node")
}

// features are those of the service and of every room.
func (m *Module) features() []string {
	all := []string{
		disco.NSInfo, disco.NSItems, muc.NS, muc.FeatureStableID, muc.FeatureSelfPing, muc.NSOccupantID,
		muc.FormConfig, muc.FormInfo, muc.FormRequest, nsVCard, ping.NS,
	}
	if m.archive != nil {
		all = append(all, retract.NSModerate, retract.NS, retract.NSTombstone)
	}
	if m.config.Load().Registration {
		all = append(all, register.NS, muc.FormRegister)
	}
	return all
}

// info is what the room says of itself. The caller holds mu.
func (r *room) info() *disco.Info {
	o := &r.options
	either := func(is bool, yes, no string) string {
		if is {
			return yes
		}
		return no
	}
	features := append(r.module.features(), muc.NSHats,
		either(o.public, "muc_public", "muc_hidden"), either(o.membersOnly, "muc_membersonly", "muc_open"),
		either(o.moderated, "muc_moderated", "muc_unmoderated"), either(o.persistent, "muc_persistent", "muc_temporary"),
		either(o.whois == whoisAnyone, "muc_nonanonymous", "muc_semianonymous"),
		either(o.password != "", "muc_passwordprotected", "muc_unsecured"))
	if r.module.leader != nil {
		features = append(features, command.NS)
	}
	if r.archives() {
		features = append(features, r.module.archive.Features()...)
	}
	slices.Sort(features)
	f := form.New(form.Result, muc.FormInfo,
		form.Field{Var: fieldName, Label: "Name", Values: []string{o.name}},
		form.Field{Var: "muc#roominfo_description", Label: "Description", Values: []string{o.description}},
		form.Field{Var: "muc#roominfo_lang", Label: "Language of the discussion", Values: []string{o.lang}},
		form.Field{Var: "muc#roominfo_occupants", Label: "Number of people in the room", Values: []string{strconv.Itoa(len(r.order))}},
		form.Bool("muc#roominfo_subjectmod", o.changeSubject),
		form.Bool(fieldChangeSubject, o.changeSubject),
		form.Bool(fieldAllowInvites, o.allowInvites),
		form.Field{Var: fieldAllowPM, Values: []string{o.allowPM}},
		form.Field{Var: fieldHistory, Label: "Messages sent to those who enter", Values: []string{strconv.Itoa(o.history)}},
	)
	if o.pubsub != "" {
		f.Fields = append(f.Fields, form.Field{Var: fieldPubSub, Values: []string{o.pubsub}})
	}
	if len(r.wardrobe.hats) > 0 {
		f.Fields = append(f.Fields, form.Field{Var: hatHash, Values: []string{r.wardrobe.hash()}})
	}
	if len(r.avatar) > 0 {
		f.Fields = append(f.Fields, form.Field{Var: "muc#roominfo_avatarhash", Type: form.TextMulti, Values: r.avatar})
	}
	// The subject is not told to those who may not enter by themselves (§13.4).
	if r.subject != nil && o.public && !o.membersOnly && o.password == "" {
		if i := r.subject.Find(stanza.NSClient, "subject"); i >= 0 {
			f.Fields = append(f.Fields, form.Field{Var: "muc#roominfo_subject", Values: []string{r.subject.Reader(i).Text()}})
		}
	}
	name := o.name
	if name == "" {
		name = r.jid.Local()
	}
	return &disco.Info{
		Identities: []disco.Identity{{Category: "conference", Type: "text", Name: name}},
		Features:   features, Forms: []*form.Form{f},
	}
}

// items lists the public rooms of the service, by pages (§6.3), or who is in a room, to those who are in it
// themselves (§6.5).
func (m *Module) items(_ *server.Turn, q *server.Query) (stanza.Payload, error) {
	var ask disco.Items
	if _, err := q.Decode(&ask); err != nil {
		return nil, err
	}
	if adhoc.Has(m.commands, ask.Node) && !q.To.IsDomain() {
		return m.listCommands(q, ask.Node)
	}
	if ask.Node != "" {
		return nil, stanza.ItemNotFound.Err("no such node")
	}
	if q.To.IsDomain() {
		return m.listRooms(q.To.Domain(), ask.Page)
	}
	r, err := m.open(q.To)
	if err != nil {
		return nil, err
	}
	defer m.release(nil, r)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.gone.Load() || r.locked {
		return nil, errNoRoom()
	}
	var answer disco.Items
	own := r.occupantOf(q.From)
	for _, o := range r.order {
		if own != nil && (o == own || r.options.broadcasts(o.role)) {
			answer.Items = append(answer.Items, disco.Item{JID: o.at})
		}
	}
	return &answer, nil
}

// listCommands lists those of a room.
func (m *Module) listCommands(q *server.Query, node string) (stanza.Payload, error) {
	r, err := m.open(q.To)
	if err != nil {
		return nil, err
	}
	defer m.release(nil, r)
	items, err := m.leader.Items(q, m.commands, node)
	if err != nil {
		return nil, err
	}
	return items, nil
}

// roomsPage is how many rooms a page has unless it is asked for fewer, roomsBytes about how long it is at most.
const (
	roomsPage  = 100
	roomsBytes = 128 << 10
)

// listRooms is a page of the public rooms in the order of their names, those in memory alone among them.
func (m *Module) listRooms(service string, page *rsm.Set) (stanza.Payload, error) {
	if page != nil && (page.Before != nil || page.Index != nil) {
		return nil, stanza.FeatureNotImplemented.Err("rooms are listed from the first on")
	}
	after, most := "", page.Limit(roomsPage, roomsPage)
	count := most == 0
	switch {
	case count: // as far as the store reads at once. XEP-0059 §2.7
		most = store.MaxPage - 1
	case page != nil:
		after = page.After
	}
	kept, err := m.store.PublicRooms(context.Background(), service, after, most+1)
	if err != nil {
		return nil, fmt.Errorf("muc: rooms of %s: %w", service, err)
	}
	all := kept
	for _, r := range m.table.all() {
		r.mu.Lock()
		if r.jid.Domain() == service && r.options.public && !r.locked && !r.gone.Load() && !r.kept.Load() && r.jid.Local() > after {
			all = append(all, store.RoomName{JID: r.jid, Name: r.options.name})
		}
		r.mu.Unlock()
		m.release(nil, r)
	}
	if count {
		return &disco.Items{Page: &rsm.Set{Count: new(len(all))}}, nil
	}
	slices.SortFunc(all, func(a, b store.RoomName) int { return strings.Compare(a.JID.Local(), b.JID.Local()) })
	more := len(all) > most
	all = all[:min(len(all), most)]
	var answer disco.Items
	size := 0
	for i, x := range all {
		name := x.Name
		if name == "" {
			name = x.JID.Local()
		}
		if size += len(x.JID.Local()) + len(name); size > roomsBytes && i > 0 {
			all, more = all[:i], true
			break
		}
		answer.Items = append(answer.Items, disco.Item{JID: x.JID, Name: name})
	}
	if page != nil || more {
		answer.Page = new(rsm.Set)
		if len(all) > 0 {
			answer.Page.First, answer.Page.Last = all[0].JID.Local(), all[len(all)-1].JID.Local()
		}
		if !more && after == "" {
			n := len(all)
			answer.Page.Count = &n
		}
	}
	return &answer, nil
}
