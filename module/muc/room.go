// SPDX-License-Identifier: Apache-2.0

package muc

import (
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/muc"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// room is one room. Who is in it are occupants, each with one session or more: the devices of one account
// under one nick.
//
// How things are told, in order. All that goes to everybody goes through the room's outbox, numbered by
// seq. A session that has just entered is sent who is in the room, and what was said, by an outbox of its
// own, at the pace at which it reads; until that is empty the room adds what comes meanwhile there, and
// passes the session over in its own (session.from).
type room struct {
	module  *Module
	jid     jid.JID
	creator jid.JID
	created time.Time
	refs    int         // guarded by the table
	kept    atomic.Bool // it is in the store
	gone    atomic.Bool // it is over; written under mu
	change  sync.Mutex
	out     server.Outbox
	inside  atomic.Int32 // sessions; written under mu
	behind  atomic.Int32 // of them those that catch up; written under mu

	mu       sync.Mutex
	options  options
	locked   bool                        // until its owner has configured it
	people   map[jid.JID]person          // by bare address, or domain
	reserved map[string]jid.JID          // nicks that are somebody's, folded
	voice    map[jid.JID]muc.Role        // given or taken by moderators, for those who come again
	asking   map[jid.JID]string          // who wants to become a member, and the nick that he wants
	nicks    map[string]*occupant        // who is in the room, by the folded nick
	sessions map[jid.JID]*session        // by full address
	list     []*session                  // in the order of entering; what others have a copy of is not changed
	order    []*occupant                 // in the order of entering; the same
	seq      uint64                      // of what was told to everybody
	catching map[*session]struct{}       // whose own outbox is not empty
	dirty    []*server.Outbox            // to be run when mu is let go
	soiled   map[*server.Outbox]struct{} // the same
	subject  *stanza.Stanza              // with its delay; nil: never set
	history  history
	vcard    []byte
	wardrobe wardrobe
	avatar   []string // hashes of the pictures in it
}

// person is what somebody is to the room whether or not he is there.
type person struct {
	affiliation muc.Affiliation // never ""
	nick        string          // reserved
	reason      string
}

// occupant is somebody who is in the room. All but user, id and moderator is guarded by room.mu.
type occupant struct {
	nick        string
	at          jid.JID // the room's address with the nick
	user        jid.JID // bare
	id          muc.OccupantID
	affiliation muc.Affiliation
	role        muc.Role
	sessions    []*session
	shown       *session    // whose presence others see
	seen        shape       // his presence as newcomers are sent it; empty: not yet made
	moderator   atomic.Bool // the role is: for what is sent later, off the lock
}

// session is one device of an occupant. All but jid, who and from is guarded by room.mu.
type session struct {
	jid      jid.JID // full
	who      *occupant
	presence *stanza.Stanza // as it was sent, without what is for the room alone
	own      *server.Outbox // what it is told while it catches up
	waits    int            // calls of Add on own that are not done
	from     atomic.Uint64  // the first number that it is told by the room's outbox
	left     atomic.Bool
}

func (m *Module) newRoom(j, creator jid.JID, created time.Time) *room {
	return &room{
		module: m, jid: j, creator: creator, created: created,
		people: make(map[jid.JID]person), reserved: make(map[string]jid.JID),
		nicks: make(map[string]*occupant), sessions: make(map[jid.JID]*session),
	}
}

// crowd is so many that telling each something of its own takes longer than others on the loop should wait.
const crowd = 64

// crowded reports whether so many are in the room that who comes, or says how he is, is dealt with off the loop.
func (r *room) crowded() bool { return r.inside.Load() > crowd }

// unlock lets go of mu, and sends what was added meanwhile.
func (r *room) unlock(t *server.Turn) {
	dirty := r.take()
	r.mu.Unlock()
	for _, o := range dirty {
		o.Run(t)
	}
}

// take is what is to be run when mu is let go. The caller holds mu.
func (r *room) take() (dirty []*server.Outbox) {
	dirty, r.dirty = r.dirty, nil
	clear(r.soiled)
	return dirty
}

// soil makes unlock run o.
func (r *room) soil(o *server.Outbox) {
	if _, already := r.soiled[o]; already {
		return
	}
	if r.soiled == nil {
		r.soiled = make(map[*server.Outbox]struct{})
	}
	r.soiled[o] = struct{}{}
	r.dirty = append(r.dirty, o)
}

// tell sends everybody what pick makes for him, nil for nothing. pick runs later, on any goroutine, and
// may look at nothing that changes but occupant.moderator. What it returns is not changed and may be
// returned again. The caller holds mu.
func (r *room) tell(t *server.Turn, pick func(*session) *stanza.Stanza) {
	r.seq++
	n, list := r.seq, r.list
	if len(list) == 0 {
		return
	}
	var copied stanza.Stanza // Route may change what it is given
	// What the list has up to its length never changes, so that where it begins tells it from others.
	r.out.AddTogether(t, &list[0], len(list), func(i int) *stanza.Stanza {
		se := list[i]
		if n < se.from.Load() {
			return nil // by its own outbox
		}
		s := pick(se)
		if s == nil {
			return nil
		}
		copied = *s
		copied.To = se.jid
		return &copied
	})
	r.soil(&r.out)
	for se := range r.catching {
		r.add(t, se, 1, func(int) *stanza.Stanza { return addressed(pick(se), se) })
	}
}

// send sends one session alone something, behind all that it was told. The caller holds mu.
func (r *room) send(t *server.Turn, se *session, s *stanza.Stanza) {
	if _, behind := r.catching[se]; behind {
		r.add(t, se, 1, func(int) *stanza.Stanza { return addressed(s, se) })
		return
	}
	r.out.Add(t, 1, func(int) *stanza.Stanza { return addressed(s, se) })
	r.soil(&r.out)
}

// bulk is send for many. The caller holds mu.
func (r *room) bulk(t *server.Turn, se *session, n int, make func(i int) *stanza.Stanza) {
	if _, behind := r.catching[se]; behind {
		r.add(t, se, n, make)
		return
	}
	r.out.Add(t, n, make)
	r.soil(&r.out)
}

// post sends a stanza of the room's to anybody. The caller holds mu.
func (r *room) post(t *server.Turn, s *stanza.Stanza) {
	r.out.Add(t, 1, func(int) *stanza.Stanza { return s })
	r.soil(&r.out)
}

// sendAll is send to all sessions of an occupant.
func (r *room) sendAll(t *server.Turn, o *occupant, s *stanza.Stanza) {
	for _, se := range o.sessions {
		r.send(t, se, s)
	}
}

func addressed(s *stanza.Stanza, se *session) *stanza.Stanza {
	if s == nil {
		return nil
	}
	c := *s
	c.To = se.jid
	return &c
}

// add adds n copies to a session's own outbox. When the last of all is on its way, the session has caught
// up. The caller holds mu.
func (r *room) add(t *server.Turn, se *session, n int, make func(i int) *stanza.Stanza) {
	se.waits++
	se.own.Add(t, n+1, func(i int) *stanza.Stanza {
		if i < n {
			return make(i)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		if se.waits--; se.waits == 0 {
			r.caughtUp(se)
		}
		return nil
	})
	r.soil(se.own)
}

// catchUp makes se one that is told by its own outbox, paced where its client is ours. The caller holds mu.
func (r *room) catchUp(t *server.Turn, se *session) {
	se.own = new(server.Outbox)
	if t.Origin != nil && t.Origin.JID == se.jid {
		se.own.Pace(t.Origin)
	}
	se.from.Store(math.MaxUint64)
	if r.catching == nil {
		r.catching = make(map[*session]struct{})
	}
	r.catching[se] = struct{}{}
	r.behind.Store(int32(len(r.catching)))
}

// caughtUp makes se one that is told by the room's outbox. The caller holds mu.
func (r *room) caughtUp(se *session) {
	delete(r.catching, se)
	r.behind.Store(int32(len(r.catching)))
	se.own = nil
	se.from.Store(r.seq + 1)
}

// sees reports whether a session may know addresses: fixed for what is said now, but for who is a
// moderator when it is sent. The caller holds mu.
func (r *room) sees() func(*session) bool {
	if r.options.whois == whoisAnyone {
		return func(*session) bool { return true }
	}
	return func(se *session) bool { return se.who.moderator.Load() }
}

// affiliationOf is what a user is to the room (§9.2 has the order). The caller holds mu.
func (r *room) affiliationOf(user jid.JID) muc.Affiliation {
	if p, ok := r.people[user.Bare()]; ok && p.affiliation != muc.Unaffiliated {
		return p.affiliation
	}
	if p, ok := r.people[user.Host()]; ok && p.affiliation == muc.Outcast {
		return muc.Outcast
	}
	return muc.Unaffiliated
}

// roleFor is the role that an affiliation brings (§5.1.2). The caller holds mu.
func (r *room) roleFor(a muc.Affiliation) muc.Role {
	switch {
	case a.Level() >= muc.Admin.Level():
		return muc.Moderator
	case a == muc.Member || !r.options.moderated:
		return muc.Participant
	}
	return muc.Visitor
}

// setRole changes an occupant's role. The caller holds mu, and announces it.
func (o *occupant) setRole(role muc.Role) {
	o.role = role
	o.moderator.Store(role == muc.Moderator)
}

// news is what a presence says beside who the occupant is.
type news struct {
	statuses []int  // for everybody
	self     []int  // for the occupant
	nick     string // the new one
	actor    *muc.Actor
	reason   string
	id       []byte   // for the session that asked
	asked    *session // may be nil
	destroy  *muc.Destroy
}

// shape is a presence of an occupant in its three kinds.
type shape struct{ self, full, public *stanza.Stanza }

// shapes makes them: of s, to which nothing was added, what the occupant said, with or without addresses. The caller holds mu.
func (r *room) shapes(o *occupant, s *stanza.Stanza, role muc.Role, n *news) shape {
	kind := func(address bool, statuses ...[]int) *stanza.Stanza {
		it := muc.Item{Affiliation: o.affiliation, Role: role, Nick: n.nick, Actor: n.actor, Reason: n.reason}
		if address {
			it.JID = o.shown.jid
		}
		c := *s
		c.From, c.To, c.ID = o.at, jid.JID{}, nil
		c.Add(&o.id)
		if hats := r.hatsOf(o.user); hats != nil {
			c.Add(hats)
		}
		c.Add(&muc.User{Items: []muc.Item{it}, Statuses: slices.Concat(statuses...), Destroy: n.destroy})
		c.Clip()
		return &c
	}
	return shape{
		self: kind(true, []int{muc.StatusSelf}, n.self, n.statuses),
		full: kind(true, n.statuses), public: kind(false, n.statuses),
	}
}

// presentOf is an occupant as newcomers are sent him. The caller holds mu.
func (r *room) presentOf(o *occupant) shape {
	if o.seen.full == nil {
		o.seen = r.shapes(o, o.shown.presence, o.role, &news{})
	}
	return o.seen
}

// announce tells everybody how an occupant is now, and those who may not see him only himself. The caller
// holds mu.
func (r *room) announce(t *server.Turn, o *occupant, n news) {
	r.show(t, o, o.shown.presence, o.role, n, r.options.broadcasts(o.role))
}

// show sends everybody s, a presence of o. others says whether others get it. The caller holds mu.
func (r *room) show(t *server.Turn, o *occupant, s *stanza.Stanza, role muc.Role, n news, others bool) {
	o.seen = shape{}
	x, sees := r.shapes(o, s, role, &n), r.sees()
	reply := x.self
	if n.asked != nil && n.id != nil {
		c := *x.self
		c.ID = n.id
		reply = &c
	}
	r.tell(t, func(se *session) *stanza.Stanza {
		switch {
		case se.who == o && se == n.asked:
			return reply
		case se.who == o:
			return x.self
		case !others:
			return nil
		case sees(se):
			return x.full
		}
		return x.public
	})
}

// showOthers sends x, a presence of o, to everybody else. The caller holds mu.
func (r *room) showOthers(t *server.Turn, o *occupant, x shape) {
	o.seen = shape{}
	sees := r.sees()
	r.tell(t, func(se *session) *stanza.Stanza {
		switch {
		case se.who == o:
			return nil
		case sees(se):
			return x.full
		}
		return x.public
	})
}

// hide shows to others that an occupant goes, who only goes out of their sight. The caller holds mu.
func (r *room) hide(t *server.Turn, o *occupant) {
	r.showOthers(t, o, r.shapes(o, unavailable(), muc.NoRole, &news{}))
}

// enter puts a session into the lists. The caller holds mu.
func (r *room) enter(se *session) {
	o := se.who
	if len(o.sessions) == 0 {
		r.nicks[fold(o.nick)] = o
		r.order = append(r.order, o)
	}
	o.sessions = append(o.sessions, se)
	r.sessions[se.jid] = se
	r.list = append(r.list, se)
	r.inside.Store(int32(len(r.list)))
}

// drop takes a session out of the lists, and reports whether it was the occupant's last. The caller holds
// mu.
func (r *room) drop(se *session) (last bool) {
	o := se.who
	se.left.Store(true)
	delete(r.catching, se)
	r.behind.Store(int32(len(r.catching)))
	delete(r.sessions, se.jid)
	r.list = without(r.list, se)
	r.inside.Store(int32(len(r.list)))
	o.sessions = without(o.sessions, se)
	if len(o.sessions) > 0 {
		return false
	}
	r.order = without(r.order, o)
	delete(r.nicks, fold(o.nick))
	return true
}

// without is a copy of list without x: others may be looking at the list.
func without[T comparable](list []T, x T) []T {
	i := slices.Index(list, x)
	if i < 0 {
		return list
	}
	return slices.Concat(list[:i], list[i+1:])
}

// occupantOf is whom somebody is in the room, by his full address, or nil. The caller holds mu.
func (r *room) occupantOf(full jid.JID) *occupant {
	if se := r.sessions[full]; se != nil {
		return se.who
	}
	return nil
}

// called is who has that nick, exactly, or nil. The caller holds mu.
func (r *room) called(nick string) *occupant {
	if o := r.nicks[fold(nick)]; o != nil && o.nick == nick {
		return o
	}
	return nil
}
