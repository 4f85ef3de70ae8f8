// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"

	"github.com/stonechat-im/stonechat/config"
	"github.com/stonechat-im/stonechat/module/anonymous"
	"github.com/stonechat-im/stonechat/module/bookmarks"
	"github.com/stonechat-im/stonechat/module/caps"
	"github.com/stonechat-im/stonechat/module/carbons"
	leading "github.com/stonechat-im/stonechat/module/commands"
	"github.com/stonechat-im/stonechat/module/consent"
	"github.com/stonechat-im/stonechat/module/contact"
	"github.com/stonechat-im/stonechat/module/delegation"
	"github.com/stonechat-im/stonechat/module/disco"
	"github.com/stonechat-im/stonechat/module/entitytime"
	"github.com/stonechat-im/stonechat/module/keytokens"
	"github.com/stonechat-im/stonechat/module/mam"
	"github.com/stonechat-im/stonechat/module/mds"
	"github.com/stonechat-im/stonechat/module/message"
	"github.com/stonechat-im/stonechat/module/muc"
	"github.com/stonechat-im/stonechat/module/offline"
	"github.com/stonechat-im/stonechat/module/onboard"
	"github.com/stonechat-im/stonechat/module/pep"
	"github.com/stonechat-im/stonechat/module/ping"
	"github.com/stonechat-im/stonechat/module/presence"
	"github.com/stonechat-im/stonechat/module/private"
	"github.com/stonechat-im/stonechat/module/privilege"
	"github.com/stonechat-im/stonechat/module/pubsub"
	"github.com/stonechat-im/stonechat/module/register"
	"github.com/stonechat-im/stonechat/module/registry"
	"github.com/stonechat-im/stonechat/module/roster"
	"github.com/stonechat-im/stonechat/module/seen"
	"github.com/stonechat-im/stonechat/module/sessions"
	"github.com/stonechat-im/stonechat/module/sm"
	"github.com/stonechat-im/stonechat/module/tokens"
	"github.com/stonechat-im/stonechat/module/version"
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/server/adhoc"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	vocabulary "github.com/stonechat-im/stonechat/xmpp/pubsub"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// modules is THE list of what the server is made of. Within a phase hooks run in this order: a
// module sees what those above it have let through. A module that the configuration turns off
// is left out; what others need of it is made all the same.
func modules(c *config.Config) ([]server.Module, error) {
	w := wiring{config: c}

	// who leads people through commands; others add theirs to it
	com := leading.New(settings[leading.Config](&w, "commands"))
	var leader *adhoc.Leader
	if w.on(com) {
		leader = com.Leader()
	}

	// guests, before all that they may not do
	w.add(anonymous.New())

	// what components do in the name of accounts
	privileged := privilege.New(settings[privilege.Config](&w, "privilege"), grants(c))
	w.add(privileged)

	// contacts
	ros := roster.New(settings[roster.Config](&w, "roster"))
	pre := presence.New(settings[presence.Config](&w, "presence"), c.Limits.PresenceBytes, ros)
	ros.OnLost(pre.Lost)
	ros.OnGained(pre.Gained)
	privileged.See(ros)
	if w.on(privileged) {
		ros.Manage(privileged)
	}

	// whose things are, and who may do what with them: before all that they are to be kept from
	owned := registry.New(settings[registry.Config](&w, "registry"), friends{ros}, leader)
	agreed := consent.New(settings[consent.Config](&w, "consent"), owned, owned, ros, pre)
	w.addOn(agreed, "registry", "roster", "presence")
	w.add(ros, pre)

	// messages: what is for the sender's devices alone, who takes one, and where it waits if nobody does
	nodes := pubsub.New(settings[pubsub.Config](&w, "pubsub"))
	marks := mds.New(settings[mds.Config](&w, "mds"), ownNodes{nodes})
	if w.addOn(marks, "pubsub", "pep") {
		nodes.OnRead(marks.Settle)
	}
	w.add(message.New())
	w.add(offline.New(message.Kept))
	var known mam.Roster
	if !c.Modules.Off(ros.Name()) {
		known = ros
	}
	arc := mam.New(settings[mam.Config](&w, "mam"), known)
	w.add(arc)

	// rooms, and copies for a person's other devices
	var said muc.Archive
	copies := carbons.New()
	if !c.Modules.Off(arc.Name()) {
		said = arc
		copies.Archived(arc.SentID)
	}
	w.add(muc.New(settings[muc.Config](&w, "muc"), said, leader))
	w.add(copies)

	// streams
	w.add(sm.New(settings[sm.Config](&w, "sm"), c.Limits.UnreadBytes))

	// what others may ask
	dis := disco.New(pre.Sees)
	w.add(dis)
	given := delegation.New(settings[delegation.Config](&w, "delegation"), delegations(c))
	w.add(given)
	if w.on(given) {
		dis.Nest(given)
	}
	w.add(contact.New(settings[contact.Config](&w, "contact"), dis))
	can := caps.New(settings[caps.Config](&w, "caps"), dis)
	w.add(can)
	agreed.Learning(can)

	if w.on(com) {
		dis.Commands(com)
		nodes.Lead(leader)
	}

	// nodes: of the service, and of accounts
	w.add(nodes)
	if w.on(arc) && w.on(nodes) {
		nodes.Keep(arc)
		arc.OnNode(func(t *server.Turn, q *server.Query, node string) (stanza.Payload, error) {
			return nodes.ReadArchive(t, q, q.User.JID, node)
		})
	}
	personal := pep.New(settings[pep.Config](&w, "pep"), ros, can, dis)
	personal.Over(nodes)
	if w.addOn(personal, "pubsub") {
		nodes.Hear(personal)
		if w.on(agreed) && w.on(owned) {
			nodes.Let(agreed)
			agreed.Publishing(nodes)
		}
	}

	// what accounts keep here for their devices
	kept := private.New(settings[private.Config](&w, "private"))
	w.add(kept)
	books := bookmarks.New(settings[bookmarks.Config](&w, "bookmarks"), ownNodes{nodes})
	if w.addOn(books, "pubsub", "pep") {
		kept.Keep(bookmarks.Kept(), books)
		nodes.OnRead(books.Settle)
		nodes.OnPublish(books.Published)
		nodes.OnRemove(books.Removed)
	}

	// things: which there are, and whose
	hasThings := w.addOn(owned, "roster", "presence")
	if hasThings {
		pre.Trust(owned.Speaks)
	}
	keys := keytokens.New(settings[keytokens.Config](&w, "keytokens"), owned)
	if w.addOn(keys, "registry", "consent", "roster", "presence") {
		agreed.Naming(keys)
	}

	// who is there, and since when not
	state := seen.New(settings[seen.Config](&w, "seen"), pre.Sees)
	if w.addOn(state, pre.Name()) && hasThings {
		owned.Verb(state.Verb())
		owned.Lead(state.Command())
	}

	// small things
	w.add(ping.New())
	w.add(version.New(buildVersion(), com))
	w.add(entitytime.New())
	reg := register.New(register.Config{
		Open:      c.Registration == "open",
		PerHour:   int(c.Limits.RegistrationsPerHour),
		Plaintext: c.AllowPlaintext,
	})
	var things tokens.Things
	if hasThings {
		things = owned
	}
	invitations := tokens.New(settings[tokens.Config](&w, "tokens"), tokens.Options{On: c.Registration != "closed", Plaintext: c.AllowPlaintext}, things)
	if w.addOn(invitations, reg.Name()) {
		reg.Invite(invitations)
	}
	w.add(reg)
	w.add(onboard.New(settings[onboard.Config](&w, "onboard"), things))

	// commands of the server and of accounts, when all above have added theirs
	w.addOn(sessions.New(com), com.Name())
	w.add(com)
	return w.modules, w.check()
}

// grants are what components may do in the name of accounts.
func grants(c *config.Config) privilege.Grants {
	all := make(privilege.Grants, len(c.Components))
	for name, x := range c.Components {
		all[name] = privilege.Grant{Domains: c.DomainsFor(name), Privilege: x.Privilege}
	}
	return all
}

// delegations are the requests that components answer in place of the server.
func delegations(c *config.Config) delegation.Grants {
	all := make(delegation.Grants, len(c.Components))
	for name, x := range c.Components {
		all[name] = delegation.Grant{Domains: c.DomainsFor(name), Namespaces: x.Delegation}
	}
	return all
}

// wiring collects the modules and the errors of their configuration.
type wiring struct {
	config  *config.Config
	names   []string
	modules []server.Module
	errs    []error
}

func (w *wiring) add(ms ...server.Module) {
	for _, m := range ms {
		w.names = append(w.names, m.Name())
		if !w.config.Modules.Off(m.Name()) {
			w.modules = append(w.modules, m)
		}
	}
}

// on reports whether a module is part of the server.
func (w *wiring) on(m server.Module) bool { return !w.config.Modules.Off(m.Name()) }

// addOn adds a module that is nothing without others, if all are on.
func (w *wiring) addOn(m server.Module, bases ...string) bool {
	for _, base := range bases {
		if w.config.Modules.Off(base) {
			w.names = append(w.names, m.Name())
			return false
		}
	}
	w.add(m)
	return !w.config.Modules.Off(m.Name())
}

// ownNodes are the nodes of accounts for modules that keep something there.
type ownNodes struct{ *pubsub.Module }

// Publish publishes an item of the owner's; the node is made as configure says where it is missing.
func (n ownNodes) Publish(t *server.Turn, owner jid.JID, node string, item store.Item, configure func(*vocabulary.Config)) *store.Pending {
	return n.Module.Publish(t, owner, node, item, pubsub.Options{Configure: configure})
}

// friends are rosters for modules that make friends of others.
type friends struct{ *roster.Module }

// Relate makes things friends of their owners, or ends that.
func (f friends) Relate(ctx context.Context, relations []registry.Relation, ops ...store.Op) (*store.Pending, error) {
	all := make([]roster.Relation, len(relations))
	for i, r := range relations {
		all[i] = roster.Relation{A: r.Thing, B: r.Other, Friends: r.Friends, Service: r.Service, Name: r.Name}
	}
	return f.Module.Relate(ctx, all, ops...)
}

// settings are a module's own keys.
func settings[T any](w *wiring, name string) (c T) {
	if err := w.config.Modules.Decode(name, &c); err != nil {
		w.errs = append(w.errs, err)
	}
	return c
}

// check joins what is wrong with the configuration of modules.
func (w *wiring) check() error {
	var all config.Errors
	for _, err := range append(w.errs, w.config.Modules.Check(w.names...)) {
		var es config.Errors
		switch {
		case err == nil:
		case errors.As(err, &es):
			all = append(all, es...)
		default:
			return err
		}
	}
	if len(all) > 0 {
		return all
	}
	return nil
}
