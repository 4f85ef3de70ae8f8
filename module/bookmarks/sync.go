// SPDX-License-Identifier: Apache-2.0

package bookmarks

// How to read this file: agree is one account being brought into agreement, from top to bottom: both nodes are read (read,
// edition), what the list says is done to the items (apply), what private XML had is added (adopt), and the list is made
// of the items (show).

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/bookmarks"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/pubsub"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// room is an item of the node of XEP-0402.
type room struct {
	bookmarks.Room
	id string // of the item, as its client wrote it
	at time.Time
}

// edition is a list and when it was published.
type edition struct {
	bookmarks.Storage
	at   time.Time
	xml  []byte
	ours bool // nobody's edit: it was made of the items
}

// job is one account being brought into agreement.
type job struct {
	*Module
	ctx   context.Context
	t     *server.Turn
	owner jid.JID
	rooms []room
	whole bool // rooms are all there are
	pends []*store.Pending
}

// agree makes the nodes of an account agree, and returns the list. A list that is given has come by
// private XML: it takes the place of the one before. The caller has locked the account.
func (m *Module) agree(ctx context.Context, t *server.Turn, owner jid.JID, given *bookmarks.Storage) (*bookmarks.Storage, error) {
	removed := m.takeRemoved(owner)
	j := &job{Module: m, ctx: ctx, t: t, owner: owner}
	if err := j.read(); err != nil {
		return nil, err
	}
	old, err := j.edition()
	if err != nil {
		return nil, err
	}
	private, err := m.nodes.Private(ctx, owner, bookmarks.NS)
	if err != nil {
		return nil, err
	}
	others, taken := old.Others, true
	switch {
	case given != nil && !private:
		return nil, stanza.NotAllowed.Err("the node of bookmarks can be seen by others")
	case given != nil && (!j.whole || len(given.Rooms) > m.most()):
		m.limited.Inc()
		return nil, stanza.ResourceConstraint.Err("too many bookmarks")
	case given != nil:
		others = given.Others
		err = j.apply(given, time.Now().Add(time.Hour), nil)
	case old.ours:
	case !private: // B2
		taken = false
	case !j.whole || len(old.Rooms) > m.most():
		m.limited.Inc()
		taken = false
	default:
		err = j.apply(&old.Storage, old.at, removed)
	}
	if err != nil {
		return nil, err
	}
	if private && j.whole {
		more, err := j.adopt(given == nil)
		if err != nil {
			return nil, err
		}
		others = append(slices.Clip(others), more...)
	}
	list := &bookmarks.Storage{Others: others}
	for _, r := range j.rooms {
		list.Rooms = append(list.Rooms, r.Room)
	}
	if taken {
		if err := j.show(list, old); err != nil {
			return nil, err
		}
	}
	return list, j.wait()
}

// takeRemoved returns what says whether the bookmark of a room was removed after that time.
func (m *Module) takeRemoved(owner jid.JID) func(room jid.JID, after time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	a := m.accounts[owner]
	list := a.removed
	a.removed = nil
	return func(room jid.JID, after time.Time) bool {
		return slices.ContainsFunc(list, func(r removal) bool {
			if r.id == "" || !r.at.After(after) {
				return r.id == "" && r.at.After(after)
			}
			j, err := jid.Parse(r.id)
			return err == nil && j == room
		})
	}
}

func (m *Module) most() int { return min(m.config.Load().Rooms, store.MaxPage-1) }

// read reads the items. Those that are no bookmarks of rooms are left alone.
func (j *job) read() error {
	items, err := j.nodes.Items(j.ctx, j.owner, bookmarks.NS, j.most()+1)
	if err != nil {
		return fmt.Errorf("bookmarks: %w", err)
	}
	size := 0
	for i := range items {
		it := &items[i]
		size += len(it.Payload)
		r := room{id: it.ID, at: it.At}
		if r.JID, err = jid.Parse(it.ID); err != nil || r.JID.IsZero() {
			continue
		}
		x := xmlstream.NewReader(it.Payload, stanza.NSClient)
		if x.Name() != r.XMLName() || r.DecodeXML(x) != nil {
			continue
		}
		j.rooms = slices.DeleteFunc(j.rooms, func(o room) bool { return o.JID == r.JID }) // an older one
		j.rooms = append(j.rooms, r)
	}
	j.whole = len(items) <= j.most() && size < store.MaxPageBytes
	if over := len(j.rooms) - j.most(); over > 0 {
		j.rooms = j.rooms[over:]
	}
	return nil
}

// edition reads the list at the node of XEP-0048; there may be none.
func (j *job) edition() (e edition, err error) {
	items, err := j.nodes.Items(j.ctx, j.owner, bookmarks.NSStorage, 1)
	if err != nil {
		return e, fmt.Errorf("bookmarks: %w", err)
	}
	e.ours = true
	if len(items) == 0 {
		return e, nil
	}
	it := &items[0]
	x := xmlstream.NewReader(it.Payload, stanza.NSClient)
	if x.Name() != e.XMLName() || e.DecodeXML(x) != nil {
		e.Storage = bookmarks.Storage{} // nothing that we understand, to be overwritten
		return e, nil
	}
	e.at, e.xml, e.ours = it.At, it.Payload, it.Publisher == j.owner.Host()
	return e, nil
}

// apply makes the items what a list of that time says: B1. What comes is stored before anything goes.
func (j *job) apply(list *bookmarks.Storage, at time.Time, removed func(jid.JID, time.Time) bool) error {
	for i := range list.Rooms {
		r := &list.Rooms[i]
		k := slices.IndexFunc(j.rooms, func(o room) bool { return o.JID == r.JID })
		switch {
		case k < 0 && (removed == nil || !removed(r.JID, at)):
			j.rooms = append(j.rooms, room{Room: *r, id: r.JID.String(), at: at})
			j.publish(bookmarks.NS, r.JID.String(), &r.Conference, newNode)
		case k >= 0 && j.rooms[k].at.Before(at):
			next, changed := j.rooms[k].Edit(&r.Conference)
			if changed {
				j.rooms[k].Conference = *next
				j.publish(bookmarks.NS, j.rooms[k].id, next, newNode)
			}
		}
	}
	if err := j.wait(); err != nil {
		return err
	}
	j.rooms = slices.DeleteFunc(j.rooms, func(r room) bool {
		if list.Find(r.JID) != nil || !r.at.Before(at) {
			return false
		}
		j.pends = append(j.pends, j.nodes.Retract(j.t, j.owner, bookmarks.NS, r.id, true))
		return true
	})
	return nil
}

// adopt takes what private XML has from a time when this module was off: it is older than all there is, so that it adds
// and changes nothing. It returns what is no bookmark of a room.
func (j *job) adopt(counts bool) (others []stanza.Raw, err error) {
	name := store.PrivateName(Kept())
	xml, err := j.store.Private(j.ctx, j.owner, name)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("bookmarks: %w", err)
	}
	var list bookmarks.Storage
	if counts && list.DecodeXML(xmlstream.NewReader(xml, stanza.NSClient)) == nil {
		if err := j.apply(&list, time.Time{}, nil); err != nil {
			return nil, err // it stays where it is
		}
	}
	j.pends = append(j.pends, j.store.Commit(store.SetPrivate{User: j.owner, Name: name}))
	return list.Others, nil
}

// show publishes the list where that is another one than before.
func (j *job) show(list *bookmarks.Storage, old edition) error {
	switch {
	case old.xml == nil && len(list.Rooms)+len(list.Others) == 0:
		return nil
	case old.xml != nil && old.ours && bytes.Equal(old.xml, list.AppendXML(nil)):
		return nil
	case old.xml != nil && !old.ours && says(&old.Storage, list):
		return nil // as its client wrote it
	}
	if private, err := j.nodes.Private(j.ctx, j.owner, bookmarks.NSStorage); err != nil || !private { // B2
		return err
	}
	j.publish(bookmarks.NSStorage, bookmarks.Current, list, newList)
	return nil
}

// says reports whether a client's list says what is true, extensions aside that it does not know.
func says(old, list *bookmarks.Storage) bool {
	if len(old.Rooms) != len(list.Rooms) || len(old.Others) != len(list.Others) {
		return false
	}
	for i := range list.Rooms {
		r := &list.Rooms[i]
		c := old.Find(r.JID)
		if c == nil {
			return false
		}
		if _, changed := r.Edit(c); changed {
			return false
		}
	}
	for i := range list.Others {
		if !bytes.Equal(old.Others[i].Bytes, list.Others[i].Bytes) {
			return false
		}
	}
	return true
}

// publish publishes an item that everybody can tell from a client's.
func (j *job) publish(node, id string, p stanza.Payload, configure func(*pubsub.Config)) {
	item := store.Item{ID: id, Publisher: j.owner.Host(), Payload: p.AppendXML(nil)}
	j.pends = append(j.pends, j.nodes.Publish(j.t, j.owner, node, item, configure))
}

// newNode is how XEP-0402 §3.3 wants its node, newList how XEP-0048 §3.1 does.
func newNode(c *pubsub.Config) {
	newList(c)
	c.MaxItems, c.SendLast = pubsub.Max, pubsub.SendNever
}

func newList(c *pubsub.Config) { c.Persist, c.Access = true, pubsub.AccessWhitelist }

// wait waits until all is stored.
func (j *job) wait() error {
	var errs []error
	for _, p := range j.pends {
		errs = append(errs, p.Wait(j.ctx))
	}
	j.pends = nil
	return errors.Join(errs...)
}
