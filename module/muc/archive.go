// SPDX-License-Identifier: Apache-2.0

package muc

// How to read this file: Archive is what keeps what was said; keepSaid puts a message there; archived answers who reads it;
// takeBack and moderate are the two ways in which a message goes, by its author and by a moderator.

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/mam"
	"github.com/stonechat-im/stonechat/xmpp/muc"
	"github.com/stonechat-im/stonechat/xmpp/retract"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/stanzaid"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// Archive keeps what is said in rooms. Module mam is one.
type Archive interface {
	// Add archives s, as it will be broadcast, and returns the id that its copies are to bear; with is its author. Where too
	// much waits for the disk the id is "": then s is to be refused. It does not wait.
	Add(t *server.Turn, a store.ArchiveName, with jid.JID, s *stanza.Stanza) (id string, p *store.Pending)
	// Answer answers a request to an archive, of one who may read it. It may wait.
	Answer(t *server.Turn, q *server.Query, a store.ArchiveName, see func(s *stanza.Stanza) bool) (stanza.Payload, error)
	// Last are the newest messages, at most max and none older than since, the oldest first. It may wait.
	Last(ctx context.Context, a store.ArchiveName, since time.Time, max int) ([]mam.Message, error)
	// Find is one message, or store.ErrNotFound. It may wait.
	Find(ctx context.Context, a store.ArchiveName, id string) (mam.Message, error)
	// Replace puts a tombstone in the place of a message.
	Replace(a store.ArchiveName, id string, tomb *stanza.Stanza) *store.Pending
	// Forget removes an archive.
	Forget(a store.ArchiveName) *store.Pending
	// Features are those of an address that has an archive.
	Features() []string
}

// archive is the name of the room's.
func (r *room) archive() store.ArchiveName { return store.ArchiveName{JID: r.jid} }

// archives reports whether what is said is kept. The caller holds mu.
func (r *room) archives() bool { return r.module.archive != nil && r.options.archive }

// keepSaid archives a message of o's, or of the room's for nil, and stamps it with its id. The caller holds mu, which
// makes the archive's order that of the room.
func (r *room) keepSaid(t *server.Turn, o *occupant, m *stanza.Stanza) error {
	if !r.archives() {
		return nil
	}
	var author jid.JID
	if o != nil {
		author = o.user
	}
	id, p := r.module.archive.Add(t, r.archive(), author, m)
	if id == "" {
		return stanza.ResourceConstraint.Err("too much is to be stored")
	}
	if r.kept.Load() { // what is said in a room that may be over any time is not promised
		t.Keep(p)
	}
	m.Add(&stanzaid.ID{By: r.jid, ID: id})
	m.Clip()
	return nil
}

// remembered fills the history of a room that was loaded. It may wait.
func (m *Module) remembered(r *room) error {
	if !r.archives() || r.options.history == 0 {
		return nil
	}
	// Some of them may be tombstones.
	list, err := m.archive.Last(context.Background(), r.archive(), time.Time{}, 2*r.options.history)
	if err != nil {
		return fmt.Errorf("muc: history of %s: %w", r.jid, err)
	}
	for _, x := range list {
		if x.Stanza.Has(retract.NS, "retracted") {
			continue
		}
		x.Stanza.Add(&stanzaid.ID{By: r.jid, ID: x.ID})
		x.Stanza.Clip()
		r.history.note(line{at: x.At, s: x.Stanza}, r.options.history)
	}
	return nil
}

// archived answers requests to the room's archive (XEP-0313 §7): to whoever could enter the room, or is in it.
func (m *Module) archived(t *server.Turn, q *server.Query) (stanza.Payload, error) {
	r, err := m.open(q.To.Bare())
	if err != nil {
		return nil, err
	}
	defer m.release(t, r)
	r.mu.Lock()
	err = r.mayRead(q)
	r.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return m.archive.Answer(t, q, r.archive(), nil)
}

// mayRead says why somebody may not read the archive. The caller holds mu.
func (r *room) mayRead(q *server.Query) error {
	o, a := r.occupantOf(q.From), r.affiliationOf(q.From)
	switch {
	case r.gone.Load(), r.locked && a != muc.Owner:
		return errNoRoom()
	case a == muc.Outcast:
		return stanza.Forbidden.Err("you are banned from this room")
	case o == nil && a.Level() < muc.Member.Level() && (r.options.membersOnly || r.options.password != ""):
		return stanza.Forbidden.Err("you may not enter this room")
	}
	var query mam.Query
	if found, err := q.Decode(&query); err != nil || !found {
		return err
	}
	f, err := mam.ReadFilter(query.Form)
	if err != nil {
		return err
	}
	knows := r.options.whois == whoisAnyone || a.Level() >= muc.Admin.Level() || o != nil && o.role == muc.Moderator
	if !f.With.IsZero() && !knows {
		return stanza.Forbidden.Err("who has said what is not for you to ask")
	}
	return nil
}

// takeBack takes a retraction by an occupant (XEP-0424): of what is his own, by his occupant id.
func (r *room) takeBack(t *server.Turn, s *stanza.Stanza) error {
	var x retract.Retract
	if _, err := s.Decode(&x); err != nil {
		return err
	}
	r.change.Lock() // or a moderator's tombstone could come between what is looked at and what is put in its place
	defer r.change.Unlock()
	found, err := r.said(x.ID)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.unlock(t)
	o := r.occupantOf(s.From)
	switch {
	case r.gone.Load():
		return errNoRoom()
	case o == nil:
		return stanza.NotAcceptable.Err("you are not in this room")
	case o.role.Level() < muc.Participant.Level():
		return stanza.Forbidden.Err("you have no voice in this room")
	case found != nil && author(found) != o.id:
		return stanza.Forbidden.Err("this message is not yours")
	}
	m := r.spoken(s, o)
	if err := r.keepSaid(t, o, m); err != nil {
		return err
	}
	r.tell(t, func(*session) *stanza.Stanza { return m })
	if found != nil && !found.Has(retract.NS, "retracted") { // a moderator's tombstone stays
		t.Keep(r.bury(x.ID, found, &retract.Retracted{ID: string(s.ID), Stamp: t.Now}))
	}
	return nil
}

// said is a message by its id, nil where there is none any more. It may wait.
func (r *room) said(id string) (*stanza.Stanza, error) {
	x, err := r.module.archive.Find(context.Background(), r.archive(), id)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("muc: message of %s: %w", r.jid, err)
	}
	return x.Stanza, nil
}

// author is the occupant id that a message bears.
func author(s *stanza.Stanza) (id muc.OccupantID) {
	if _, err := s.Decode(&id); err != nil {
		return ""
	}
	return id
}

// bury puts a tombstone in the place of a message, and takes it out of what newcomers are sent. The caller holds mu.
func (r *room) bury(id string, found *stanza.Stanza, x *retract.Retracted) *store.Pending {
	r.history.list = slices.DeleteFunc(slices.Clone(r.history.list), func(l line) bool { return stanzaid.Of(l.s, r.jid) == id })
	tomb := stanza.New(stanza.Message, stanza.Groupchat, found.To)
	tomb.From, tomb.ID = found.From, found.ID
	if by := author(found); by != "" {
		tomb.Add(&by)
	}
	tomb.Add(x)
	return r.module.archive.Replace(r.archive(), id, tomb)
}

// moderate takes a message back for a moderator (XEP-0425 §3).
func (m *Module) moderate(t *server.Turn, q *server.Query) (stanza.Payload, error) {
	var ask retract.Moderate
	if _, err := q.Decode(&ask); err != nil {
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
	err = r.mayModerate(q.From)
	r.mu.Unlock()
	switch {
	case err != nil:
		return nil, err
	case !ask.Retract:
		return nil, stanza.FeatureNotImplemented.Err("messages can be taken back, no more")
	}
	if err := m.brief(ask.Reason); err != nil {
		return nil, err
	}
	found, err := r.said(ask.ID)
	if err != nil {
		return nil, err
	}
	if found == nil || found.Has(retract.NS, "retracted") || !found.From.IsFull() {
		return nil, stanza.ItemNotFound.Err("there is no such message")
	}
	r.mu.Lock()
	if err := r.mayModerate(q.From); err != nil {
		r.mu.Unlock()
		return nil, err
	}
	by := new(retract.Moderated)
	if o := r.occupantOf(q.From); o != nil {
		by.By, by.Occupant = o.at, string(o.id)
	}
	s := stanza.New(stanza.Message, stanza.Groupchat, jid.JID{}, &retract.Retract{ID: ask.ID, Moderated: by, Reason: ask.Reason})
	s.From, s.ID = r.jid, slices.Clone(q.ID)
	if err := r.keepSaid(t, nil, s); err != nil {
		r.mu.Unlock()
		return nil, err
	}
	s.Clip()
	r.tell(t, func(*session) *stanza.Stanza { return s })
	p := r.bury(ask.ID, found, &retract.Retracted{Stamp: t.Now, Moderated: by, Reason: ask.Reason})
	dirty := r.take()
	r.mu.Unlock()
	err = p.Wait(context.Background())
	if err == nil {
		err = q.Answer(t, nil)
	} else {
		m.log.Error("message not taken back", "jid", r.jid.String(), "err", err)
		err = stanza.ResourceConstraint.Err("the change could not be stored now")
	}
	for _, o := range dirty {
		o.Run(t)
	}
	return nil, err
}

// mayModerate says why somebody may not. The caller holds mu.
func (r *room) mayModerate(from jid.JID) error {
	o := r.occupantOf(from)
	switch {
	case r.gone.Load():
		return errNoRoom()
	case r.affiliationOf(from).Level() < muc.Admin.Level() && (o == nil || o.role != muc.Moderator):
		return stanza.Forbidden.Err("only moderators take back what others have said")
	}
	return nil
}

// forged reports whether child i of a message claims to be the word of a moderator or of an archive, which only the room
// says (XEP-0425 §5).
func forged(s *stanza.Stanza, i int) bool {
	space, local, _ := s.Child(i)
	if string(space) != retract.NS {
		return false
	}
	if string(local) != "retract" {
		return true
	}
	for n := range s.Reader(i).Children() {
		if n == (xmlstream.Name{Space: retract.NSModerate, Local: "moderated"}) {
			return true
		}
	}
	return false
}
