// SPDX-License-Identifier: Apache-2.0

package muc

// How to read this file: a room has hats, and says who wears which (hatsOf); hat carries out the commands by which admins
// change both (XEP-0317 §3.2 to §3.7), each with one form.

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/server/adhoc"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/command"
	"github.com/stonechat-im/stonechat/xmpp/datetime"
	"github.com/stonechat-im/stonechat/xmpp/form"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/muc"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// The commands, and the fields of their forms.
const (
	formHats = "urn:xmpp:hats:commands"

	hatCreate   = formHats + ":create"
	hatDestroy  = formHats + ":destroy"
	hatList     = formHats + ":list"
	hatAssign   = formHats + ":assign"
	hatUnassign = formHats + ":unassign"
	hatAssigned = formHats + ":list-assigned"

	hatURI, hatTitle, hatHue, hatJID, hatHash = "hats#uri", "hats#title", "hats#hue", "hats#jid", "hats#hash"
	hatGiven                                  = "given" // in the store alone
)

// The names under which a room's hats are kept, and who wears them.
const (
	extraHats = "hats"
	extraWorn = "hats worn"
)

// wardrobe is a room's hats. It is replaced, not changed.
type wardrobe struct {
	hats []muc.Hat
	worn map[jid.JID][]worn // by who wears them
}

// worn is a hat that somebody wears. Rooms that are not in memory do not hear of deleted accounts: whose account is newer than the
// hat got it as somebody else (outlived).
type worn struct {
	uri   string
	given time.Time // to the microsecond; zero: nobody noted it
}

// maxWorn is how many hats may be worn in one room: as many rows as are read again.
const maxWorn = form.MaxFields/4 - 1

func isHat(uri string) func(worn) bool { return func(x worn) bool { return x.uri == uri } }

// with is a copy to be changed.
func (w wardrobe) with() wardrobe {
	return wardrobe{slices.Clone(w.hats), maps.Clone(w.worn)}
}

func (w *wardrobe) find(uri string) int {
	return slices.IndexFunc(w.hats, func(h muc.Hat) bool { return h.URI == uri })
}

// hatsOf is what an occupant wears, nil for nothing. The caller holds mu.
func (r *room) hatsOf(user jid.JID) *muc.Hats {
	var x muc.Hats
	for _, w := range r.wardrobe.worn[user] {
		if i := r.wardrobe.find(w.uri); i >= 0 {
			x.Hats = append(x.Hats, r.wardrobe.hats[i])
		}
	}
	if x.Hats == nil {
		return nil
	}
	return &x
}

// encode is the hats, and who wears them, as they are kept.
func (w *wardrobe) encode(room jid.JID) []store.Op {
	f := &form.Form{Type: form.Result, Reported: []form.Field{{Var: hatJID}, {Var: hatURI}, {Var: hatGiven}}}
	for _, user := range slices.SortedFunc(maps.Keys(w.worn), func(a, b jid.JID) int { return strings.Compare(a.String(), b.String()) }) {
		for _, x := range w.worn[user] {
			item := []form.Field{form.Value(hatJID, user.String()), form.Value(hatURI, x.uri)}
			if !x.given.IsZero() {
				item = append(item, form.Value(hatGiven, datetime.Format(x.given)))
			}
			f.Items = append(f.Items, item)
		}
	}
	return []store.Op{
		store.SetRoomExtra{Room: room, Name: extraHats, Value: (&muc.Hats{Hats: w.hats}).AppendXML(nil)},
		store.SetRoomExtra{Room: room, Name: extraWorn, Value: f.AppendXML(nil)},
	}
}

// decodeWardrobe reads what encode has written; nil is nothing.
func decodeWardrobe(hats, wearers []byte) (w wardrobe, err error) {
	if hats == nil || wearers == nil {
		return w, nil
	}
	var x muc.Hats
	if err := x.DecodeXML(xmlstream.NewReader(hats, stanza.NSClient)); err != nil {
		return w, err
	}
	var f form.Form
	if err := f.DecodeXML(xmlstream.NewReader(wearers, stanza.NSClient)); err != nil {
		return w, err
	}
	w = wardrobe{x.Hats, make(map[jid.JID][]worn)}
	for _, item := range f.Items {
		row := form.Form{Fields: item}
		user, err := jid.Parse(row.Get(hatJID))
		if err != nil {
			return w, err
		}
		hat := worn{uri: row.Get(hatURI)}
		if at := row.Get(hatGiven); at != "" {
			if hat.given, err = datetime.Parse(at); err != nil {
				return w, err
			}
		}
		w.worn[user] = append(w.worn[user], hat)
	}
	return w, nil
}

// outlived takes off the hats of accounts of ours that have been deleted since, made anew or not. It may wait.
func (m *Module) outlived(ctx context.Context, w wardrobe) (wardrobe, error) {
	for user, hats := range w.worn {
		if !m.local(user) {
			continue
		}
		a, err := m.store.Account(ctx, user)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return w, err
		}
		missing := err != nil
		left := slices.DeleteFunc(hats, func(x worn) bool { return missing || !x.given.IsZero() && a.Created.After(x.given) })
		if w.worn[user] = left; len(left) == 0 {
			delete(w.worn, user)
		}
	}
	return w, nil
}

// hash tells one list of hats from another (§2). The caller holds mu.
func (w *wardrobe) hash() string {
	sum := sha256.Sum256((&muc.Hats{Hats: w.hats}).AppendXML(nil))
	return hex.EncodeToString(sum[:20])
}

// hatCommands are the commands of every room.
func (m *Module) hatCommands() (all []adhoc.Command) {
	for _, c := range []struct{ node, name string }{
		{hatList, "List the hats"}, {hatCreate, "Make a hat"}, {hatDestroy, "Remove a hat"},
		{hatAssigned, "List who wears hats"}, {hatAssign, "Give somebody a hat"}, {hatUnassign, "Take a hat from somebody"},
	} {
		all = append(all, adhoc.Command{Node: c.node, Name: c.name, Do: m.hat, May: func(q *server.Query) error {
			r, err := m.open(q.To)
			if err != nil {
				return err
			}
			defer m.release(nil, r)
			_, err = r.mayHat(q, c.node)
			return err
		}})
	}
	return all
}

// mayHat refuses who may not have a command: whoever is in the room may know its hats, the rest is for admins. It
// returns the hats of this moment.
func (r *room) mayHat(q *server.Query, node string) (wardrobe, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.gone.Load():
		return wardrobe{}, errNoRoom()
	case r.affiliationOf(q.From).Level() >= muc.Admin.Level(), node == hatList && r.occupantOf(q.From) != nil:
		return r.wardrobe, nil
	}
	return wardrobe{}, stanza.Forbidden.Err("only admins may do that")
}

// hat carries out a command.
func (m *Module) hat(t *server.Turn, q *server.Query, x *command.Execution) error {
	r, err := m.open(q.To)
	if err != nil {
		return err
	}
	defer m.release(t, r)
	r.change.Lock()
	defer r.change.Unlock()
	now, err := r.mayHat(q, x.Node)
	switch {
	case err != nil:
		return err
	case x.Node == hatList:
		x.Done(now.list())
		return nil
	case x.Node == hatAssigned:
		x.Done(now.assigned())
		return nil
	case x.Stage() == 0:
		x.Ask(now.ask(x.Node))
		return nil
	}
	next, err := r.rearranged(now, x.Node, x.Forms[0])
	if err != nil {
		return err
	}
	if r.kept.Load() {
		if err := r.keep(next.encode(r.jid)...); err != nil {
			return err
		}
	}
	dirty := r.rearrange(t, next)
	x.Done(nil)
	x.Then(func() {
		for _, o := range dirty {
			o.Run(t)
		}
	})
	return nil
}

// rearrange makes changed hats known by the presence of those who wear others now. The caller runs what it returns.
func (r *room) rearrange(t *server.Turn, next wardrobe) []*server.Outbox {
	r.mu.Lock()
	defer r.mu.Unlock()
	was := r.wardrobe
	before := make(map[*occupant]string)
	for _, o := range r.order {
		before[o] = shownHats(r.hatsOf(o.user))
	}
	r.wardrobe = next
	for _, o := range r.order {
		if shownHats(r.hatsOf(o.user)) != before[o] {
			r.announce(t, o, news{})
		}
	}
	if was.hash() != next.hash() {
		r.tellStatus(t, muc.StatusConfig)
	}
	return r.take()
}

func shownHats(h *muc.Hats) string {
	if h == nil {
		return ""
	}
	return string(h.AppendXML(nil))
}

// rearranged is the wardrobe after a command.
func (r *room) rearranged(now wardrobe, node string, f *form.Form) (wardrobe, error) {
	next := now.with()
	if err := now.ask(node).Validate(f); err != nil {
		return next, err
	}
	uri := f.Get(hatURI)
	at := next.find(uri)
	if at < 0 && node != hatCreate {
		return next, stanza.ItemNotFound.Err("there is no such hat")
	}
	c := r.module.config.Load()
	switch node {
	case hatCreate:
		h := muc.Hat{URI: uri, Title: f.Get(hatTitle), Hue: f.Get(hatHue)}
		switch {
		case at >= 0:
			next.hats[at] = h
		case len(next.hats) >= c.MaxHats:
			return next, r.module.limited("max_hats", stanza.ResourceConstraint.Err("the room has too many hats"))
		default:
			next.hats = append(next.hats, h)
		}
		if len((&muc.Hats{Hats: next.hats}).AppendXML(nil)) > int(c.PresenceBytes) {
			return next, r.module.limited("presence_bytes", stanza.ResourceConstraint.Err("the room's hats are too long"))
		}
		return next, nil
	case hatDestroy:
		next.hats = slices.Delete(next.hats, at, at+1)
		for user := range next.worn {
			next.take(user, uri)
		}
		return next, nil
	}
	user, err := jid.Parse(f.Get(hatJID))
	if err != nil || user.IsDomain() {
		return next, stanza.NotAcceptable.Err("hats are for people")
	}
	user = user.Bare()
	if node == hatUnassign {
		next.take(user, uri)
		return next, nil
	}
	if slices.ContainsFunc(next.worn[user], isHat(uri)) {
		return next, nil
	}
	rows := 0
	for _, list := range next.worn {
		rows += len(list)
	}
	if rows >= min(c.MaxAffiliations, maxWorn) {
		return next, r.module.limited("max_affiliations", stanza.ResourceConstraint.Err("too many people wear hats"))
	}
	if next.worn == nil {
		next.worn = make(map[jid.JID][]worn)
	}
	next.worn[user] = append(slices.Clip(next.worn[user]), worn{uri, time.Now().UTC().Truncate(time.Microsecond)})
	return next, nil
}

// take takes a hat from somebody. w is a copy.
func (w *wardrobe) take(user jid.JID, uri string) {
	left := slices.DeleteFunc(slices.Clone(w.worn[user]), isHat(uri))
	if len(left) == 0 {
		delete(w.worn, user)
		return
	}
	w.worn[user] = left
}

// ask is the form of a command.
func (w *wardrobe) ask(node string) *form.Form {
	uri := form.Field{Var: hatURI, Type: form.TextSingle, Label: "Hat", Required: true}
	user := form.Field{Var: hatJID, Type: form.JIDSingle, Label: "Address", Required: true}
	f := form.New(form.Ask, formHats)
	if node == hatCreate {
		uri.Label = "URI of the hat"
		f.Title = "A new hat, or another title for one"
		f.Fields = append(f.Fields, form.Field{Var: hatTitle, Type: form.TextSingle, Label: "Title", Required: true}, uri,
			form.Field{Var: hatHue, Type: form.TextSingle, Label: "Hue, in degrees"})
		return f
	}
	if len(w.hats) > 0 {
		uri.Type = form.ListSingle
		for _, h := range w.hats {
			uri.Options = append(uri.Options, form.Option{Label: h.Title, Value: h.URI})
		}
	}
	switch node {
	case hatDestroy:
		f.Title = "A hat to be there no more"
		f.Fields = append(f.Fields, uri)
	case hatAssign:
		f.Title = "A hat for somebody"
		f.Fields = append(f.Fields, user, uri)
	case hatUnassign:
		f.Title = "A hat to be taken from somebody"
		f.Fields = append(f.Fields, user, uri)
	}
	return f
}

// list is all hats, assigned all that are worn.
func (w *wardrobe) list() *form.Form {
	f := &form.Form{Type: form.Result, Title: "Hats", Reported: []form.Field{{Var: hatTitle}, {Var: hatURI}, {Var: hatHue}}}
	for _, h := range w.hats {
		f.Items = append(f.Items, []form.Field{form.Value(hatTitle, h.Title), form.Value(hatURI, h.URI), form.Value(hatHue, h.Hue)})
	}
	return f
}

func (w *wardrobe) assigned() *form.Form {
	f := &form.Form{Type: form.Result, Title: "Hats that are worn", Reported: []form.Field{{Var: hatJID}, {Var: hatURI}, {Var: hatTitle}, {Var: hatHue}}}
	for _, user := range slices.SortedFunc(maps.Keys(w.worn), func(a, b jid.JID) int { return strings.Compare(a.String(), b.String()) }) {
		for _, x := range w.worn[user] {
			if i := w.find(x.uri); i >= 0 {
				h := w.hats[i]
				f.Items = append(f.Items, []form.Field{form.Value(hatJID, user.String()), form.Value(hatURI, x.uri), form.Value(hatTitle, h.Title), form.Value(hatHue, h.Hue)})
			}
		}
	}
	return f
}
