// SPDX-License-Identifier: Apache-2.0

package muc

// How to read this file: a room has hats, and says who wears which (hatsOf); hat answers the commands by which admins
// change both (XEP-0317 §3.2 to §3.7), each in one step: a command without its form is answered with the form to fill in.

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strings"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/form"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/muc"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// The commands, and the fields of their forms.
const (
	nsCommands = "http://jabber.org/protocol/commands" // XEP-0050
	formHats   = "urn:xmpp:hats:commands"

	hatCreate   = formHats + ":create"
	hatDestroy  = formHats + ":destroy"
	hatList     = formHats + ":list"
	hatAssign   = formHats + ":assign"
	hatUnassign = formHats + ":unassign"
	hatAssigned = formHats + ":list-assigned"

	hatURI, hatTitle, hatHue, hatJID, hatHash = "hats#uri", "hats#title", "hats#hue", "hats#jid", "hats#hash"
)

// The names under which a room's hats are kept, and who wears them.
const (
	extraHats = "hats"
	extraWorn = "hats worn"
)

// command is a request to carry out one of them, and its answer. XEP-0050 §2
type command struct {
	node, action, session, status string
	form                          *form.Form
}

func (*command) XMLName() xmlstream.Name { return xmlstream.Name{Space: nsCommands, Local: "command"} }

func (c *command) AppendXML(dst []byte) []byte {
	dst = append(dst, "<command xmlns='"+nsCommands+"'"...)
	dst = xmlstream.AppendAttr(dst, "node", c.node)
	dst = xmlstream.AppendAttr(dst, "sessionid", c.session)
	dst = append(xmlstream.AppendAttr(dst, "status", c.status), '>')
	if c.status == "executing" {
		dst = append(dst, "<actions execute='complete'><complete/></actions>"...)
	}
	if c.form != nil {
		dst = c.form.AppendXML(dst)
	}
	return append(dst, "</command>"...)
}

func (c *command) DecodeXML(r *xmlstream.Reader) error {
	*c = command{node: r.Attr("node"), action: r.Attr("action"), session: r.Attr("sessionid")}
	for n := range r.Children() {
		if n == (*form.Form)(nil).XMLName() {
			c.form = new(form.Form)
			if err := c.form.DecodeXML(r); err != nil {
				return err
			}
		}
	}
	return r.Err()
}

// wardrobe is a room's hats. It is replaced, not changed.
type wardrobe struct {
	hats []muc.Hat
	worn map[jid.JID][]string // their URIs, by who wears them
}

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
	for _, uri := range r.wardrobe.worn[user] {
		if i := r.wardrobe.find(uri); i >= 0 {
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
	f := &form.Form{Type: form.Result, Reported: []form.Field{{Var: hatJID}, {Var: hatURI}}}
	for _, user := range slices.SortedFunc(maps.Keys(w.worn), func(a, b jid.JID) int { return strings.Compare(a.String(), b.String()) }) {
		for _, uri := range w.worn[user] {
			f.Items = append(f.Items, []form.Field{form.Value(hatJID, user.String()), form.Value(hatURI, uri)})
		}
	}
	return []store.Op{
		store.SetRoomExtra{Room: room, Name: extraHats, Value: (&muc.Hats{Hats: w.hats}).AppendXML(nil)},
		store.SetRoomExtra{Room: room, Name: extraWorn, Value: f.AppendXML(nil)},
	}
}

// decodeWardrobe reads what encode has written; nil is nothing.
func decodeWardrobe(hats, worn []byte) (w wardrobe, err error) {
	if hats == nil || worn == nil {
		return w, nil
	}
	var x muc.Hats
	if err := x.DecodeXML(xmlstream.NewReader(hats, stanza.NSClient)); err != nil {
		return w, err
	}
	var f form.Form
	if err := f.DecodeXML(xmlstream.NewReader(worn, stanza.NSClient)); err != nil {
		return w, err
	}
	w = wardrobe{x.Hats, make(map[jid.JID][]string)}
	for _, item := range f.Items {
		row := form.Form{Fields: item}
		user, err := jid.Parse(row.Get(hatJID))
		if err != nil {
			return w, err
		}
		w.worn[user] = append(w.worn[user], row.Get(hatURI))
	}
	return w, nil
}

// hash tells one list of hats from another (§2). The caller holds mu.
func (w *wardrobe) hash() string {
	sum := sha256.Sum256((&muc.Hats{Hats: w.hats}).AppendXML(nil))
	return hex.EncodeToString(sum[:20])
}

// command carries out a command. Whoever is in the room may know its hats; the rest is for admins.
func (m *Module) command(t *server.Turn, q *server.Query) (stanza.Payload, error) {
	var c command
	if _, err := q.Decode(&c); err != nil {
		return nil, err
	}
	r, err := m.open(q.To.Bare())
	if err != nil {
		return nil, err
	}
	defer m.release(t, r)
	r.change.Lock()
	defer r.change.Unlock()
	r.mu.Lock()
	admin := r.affiliationOf(q.From).Level() >= muc.Admin.Level()
	there, gone, now := r.occupantOf(q.From) != nil, r.gone.Load(), r.wardrobe
	r.mu.Unlock()
	answer := &command{node: c.node, session: c.session, status: "completed"}
	switch c.node {
	case hatCreate, hatDestroy, hatList, hatAssign, hatUnassign, hatAssigned:
	default:
		return nil, stanza.ItemNotFound.Err("no such command")
	}
	switch {
	case gone:
		return nil, errNoRoom()
	case !admin && (c.node != hatList || !there):
		return nil, stanza.Forbidden.Err("only admins may do that")
	case c.action == "cancel":
		answer.status = "canceled"
		return answer, nil
	case c.node == hatList:
		answer.form = now.list()
		return answer, nil
	case c.node == hatAssigned:
		answer.form = now.assigned()
		return answer, nil
	case c.form == nil:
		if answer.status, answer.form = "executing", now.ask(c.node); answer.session == "" {
			answer.session = "0" // what it is about is all in the form
		}
		return answer, nil
	}
	next, err := r.rearranged(now, c.node, c.form)
	if err != nil {
		return nil, err
	}
	if r.kept.Load() {
		if err := r.keep(next.encode(r.jid)...); err != nil {
			return nil, err
		}
	}
	return nil, r.rearrange(t, q, next, answer)
}

// rearrange makes changed hats known: to whoever asked, and by the presence of those who wear others now.
func (r *room) rearrange(t *server.Turn, q *server.Query, next wardrobe, answer *command) error {
	r.mu.Lock()
	was := r.wardrobe
	before := make(map[*occupant]string)
	for _, o := range r.order {
		before[o] = worn(r.hatsOf(o.user))
	}
	r.wardrobe = next
	for _, o := range r.order {
		if worn(r.hatsOf(o.user)) != before[o] {
			r.announce(t, o, news{})
		}
	}
	if was.hash() != next.hash() {
		r.tellStatus(t, muc.StatusConfig)
	}
	dirty := r.take()
	r.mu.Unlock()
	err := q.Answer(t, answer)
	for _, o := range dirty {
		o.Run(t)
	}
	return err
}

func worn(h *muc.Hats) string {
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
	if _, more := next.worn[user]; !more && len(next.worn) >= c.MaxAffiliations {
		return next, r.module.limited("max_affiliations", stanza.ResourceConstraint.Err("too many people wear hats"))
	}
	if !slices.Contains(next.worn[user], uri) {
		if next.worn == nil {
			next.worn = make(map[jid.JID][]string)
		}
		next.worn[user] = append(slices.Clip(next.worn[user]), uri)
	}
	return next, nil
}

// take takes a hat from somebody. w is a copy.
func (w *wardrobe) take(user jid.JID, uri string) {
	left := slices.DeleteFunc(slices.Clone(w.worn[user]), func(x string) bool { return x == uri })
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
		for _, uri := range w.worn[user] {
			if i := w.find(uri); i >= 0 {
				h := w.hats[i]
				f.Items = append(f.Items, []form.Field{form.Value(hatJID, user.String()), form.Value(hatURI, uri), form.Value(hatTitle, h.Title), form.Value(hatHue, h.Hue)})
			}
		}
	}
	return f
}
