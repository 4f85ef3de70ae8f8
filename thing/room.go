// SPDX-License-Identifier: Apache-2.0

package thing

// How to read this file: a thing enters its rooms whenever a session begins (enter), sees who else is there (roomPresence), and
// hears what is said (roomMessage); room_watch.go looks after whether it is in them still. Whom it obeys is known by the role that the room gives him, and, where the room shows
// who somebody is, by what that one may.

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/muc"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// Room is a room that a thing is in. There it hears what is said to it ("@nick read", "nick: read"), to all ("all read") and,
// with Config.Stop, "stop". It obeys whoever has the role; where the room shows who that is, he must have the right as well, but for
// "stop".
type Room struct {
	JID      jid.JID
	Nick     string   // "" is the name of the account
	Password string   // "" is none
	Role     muc.Role // that it obeys, or a higher one; "" is moderator
	Report   bool     // its readings are told there, too
	// Check is how long nothing may come from the room until the thing asks whether it is in it still (XEP-0410): what has lost it, such
	// as the restart of another server, says nothing. 0 is 15 minutes; less is never.
	Check time.Duration
}

const (
	maxOccupants = 10_000 // that a thing knows of a room; of others it obeys none
	enterAgain   = 10 * time.Second
	enterLatest  = 5 * time.Minute
	enterTime    = time.Minute // for an answer
)

// rooms are where the thing is.
type rooms struct {
	mu   sync.Mutex
	list []*room
}

// room is one of them. Its fields, but Room, are under rooms.mu.
type room struct {
	Room
	nick      string // that is asked for, or was given
	in        bool
	since     time.Time     // in or out
	lost      int           // how often it was lost
	banished  bool          // people have sent it out: it stays away until the next session
	heard     time.Time     // when something came from it
	wait      time.Duration // before the next attempt
	timer     *time.Timer   // to look; nil: it was never entered
	occupants map[string]occupant
	entries   uint64 // so far
}

// occupant is somebody in a room.
type occupant struct {
	entry uint64 // which one it was: a name may be somebody else's by now
	role  muc.Role
	real  jid.JID // bare; zero: the room does not show it
}

func (t *Thing) serveRooms() {
	for _, r := range t.config.Rooms {
		t.rooms.list = append(t.rooms.list, &room{Room: r, nick: r.Nick})
	}
	if len(t.rooms.list) > 0 {
		t.client.HandleSession(func(ctx context.Context) {
			for _, r := range t.rooms.list {
				t.rooms.mu.Lock()
				if r.in { // in the session that is over
					t.noteOut(r, errNewSession)
				}
				r.wait, r.banished = enterAgain, false
				t.rooms.mu.Unlock()
				t.enter(ctx, r)
			}
		})
	}
}

// checkRoom completes a room.
func (c *Config) checkRoom(r *Room) error {
	if r.JID.IsZero() || r.JID.Local() == "" {
		return fmt.Errorf("thing: %q is not the address of a room", r.JID)
	}
	r.JID = r.JID.Bare()
	if r.Nick == "" {
		r.Nick = c.Client.Account.Local()
	}
	if r.Role == "" {
		r.Role = muc.Moderator
	}
	if r.Check == 0 {
		r.Check = checkTime
	}
	if !r.Role.Valid() || r.Role == muc.NoRole {
		return fmt.Errorf("thing: %q is no role that could be obeyed", r.Role)
	}
	if _, err := r.JID.WithResource(r.Nick); err != nil {
		return fmt.Errorf("thing: %q cannot be its name in %s: %w", r.Nick, r.JID, err)
	}
	return nil
}

// roomOf is the room that an address is in, or nil.
func (t *Thing) roomOf(j jid.JID) *room {
	for _, r := range t.rooms.list {
		if r.JID == j.Bare() {
			return r
		}
	}
	return nil
}

// enter asks to be let in. What was said before is not asked for. XEP-0045 §7.2
func (t *Thing) enter(ctx context.Context, r *room) {
	t.rooms.mu.Lock()
	r.in, r.occupants = false, make(map[string]occupant)
	nick := r.nick
	t.lookAfter(r, enterTime)
	t.rooms.mu.Unlock()
	to, err := r.JID.WithResource(nick)
	if err == nil {
		none := 0
		join := &muc.Join{Password: r.Password, History: &muc.History{MaxStanzas: &none}}
		err = t.client.Send(ctx, stanza.New(stanza.Presence, stanza.Available, to, join))
	}
	if err != nil {
		t.log.Error("room not entered", "to", r.JID.String(), "err", err)
	}
}

// again enters a room after a while, longer each time.
func (t *Thing) again(r *room) {
	t.rooms.mu.Lock()
	defer t.rooms.mu.Unlock()
	t.lookAfter(r, r.wait)
	r.wait = min(2*r.wait, enterLatest)
}

// roomPresence notes who is in a room, and with which role. XEP-0045 §7.2.2, §7.14, §8.2, §9.1
func (t *Thing) roomPresence(r *room, s *stanza.Stanza) {
	var u muc.User
	if _, err := s.Decode(&u); err != nil {
		t.log.Debug("presence of a room not understood", "from", s.From.String(), "err", err)
		return
	}
	nick := strings.Clone(s.From.Resource())
	t.rooms.mu.Lock()
	own := u.Has(muc.StatusSelf) || nick == r.nick
	switch {
	case s.Type == stanza.Unavailable && own && !u.Has(muc.StatusNewNick):
		t.rooms.mu.Unlock()
		t.out(r, &u)
		return
	case s.Type == stanza.Unavailable:
		delete(r.occupants, nick)
	case s.Type == stanza.Available && len(u.Items) > 0:
		if own && u.Has(muc.StatusSelf) {
			t.noteIn(r, nick)
		}
		o, known := r.occupants[nick]
		if !known && len(r.occupants) >= maxOccupants {
			break
		}
		if real := u.Items[0].JID.Bare(); !known || o.real != real {
			r.entries++
			o = occupant{entry: r.entries, real: real.Clone()}
		}
		o.role = u.Items[0].Role
		r.occupants[nick] = o
	}
	t.rooms.mu.Unlock()
}

// out notes that the thing is in a room no more. Whoever was sent away by people stays away; what machines did is mended.
func (t *Thing) out(r *room, u *muc.User) {
	t.rooms.mu.Lock()
	t.noteOut(r, errSentOut)
	t.stopLooking(r)
	r.banished = u.Destroy != nil || u.Has(muc.StatusBanned) || u.Has(muc.StatusMembersOnly) || u.Has(muc.StatusAffiliationLost) ||
		u.Has(muc.StatusKicked) && !u.Has(muc.StatusTechnical)
	banished := r.banished
	t.rooms.mu.Unlock()
	if banished {
		t.log.Error("sent out of a room", "from", r.JID.String())
		return
	}
	t.again(r)
}

// roomError notes that a room does not let the thing in.
func (t *Thing) roomError(ctx context.Context, r *room, s *stanza.Stanza) {
	refused := s.Refusal()
	if s.Kind != stanza.Presence {
		t.log.Warn("not delivered to a room", "from", r.JID.String(), "err", refused)
		if s.Kind == stanza.Message && refused.Condition == stanza.NotAcceptable { // only occupants may speak. XEP-0045 §7.4
			t.lose(ctx, r, s.From.Resource(), refused)
		}
		return
	}
	t.log.Error("room not entered", "to", r.JID.String(), "err", refused)
	if refused.Condition == stanza.Conflict { // somebody else has the nick
		t.rooms.mu.Lock()
		if len(r.nick) < len(r.Nick)+8 {
			r.nick += "_"
		}
		t.rooms.mu.Unlock()
	}
	t.again(r)
}

// who is the occupant of an address; ok is false if there is none, or it is the thing itself.
func (t *Thing) who(r *room, from jid.JID) (o occupant, ok bool) {
	t.rooms.mu.Lock()
	defer t.rooms.mu.Unlock()
	o, ok = r.occupants[from.Resource()]
	return o, ok && r.in && from.Resource() != r.nick
}

// mayStop reports whether an occupant may stop everything: his role is enough.
func (t *Thing) mayStop(from jid.JID) bool {
	r := t.roomOf(from)
	if r == nil {
		return false
	}
	o, ok := t.who(r, from)
	return ok && o.role.Level() >= r.Role.Level()
}

// mayInRoom is what an occupant may who has spoken: nothing without the role; with it, what he may outside, if the room shows who he
// is. He must have it still, and be the one who has that name: his words may have waited, and the service takes its time.
func (t *Thing) mayInRoom(ctx context.Context, r *room, from jid.JID, spoke occupant, q question) grant {
	holds := func() bool {
		o, ok := t.who(r, from)
		return ok && o.entry == spoke.entry && min(o.role.Level(), spoke.role.Level()) >= r.Role.Level()
	}
	switch {
	case !holds():
		return grant{}
	case spoke.real.IsZero() || q.right == toControl && slices.Equal(q.names, []string{commandStop}):
		return grant{all: true}
	}
	q.caller = spoke.real
	if g := t.may(ctx, q); holds() {
		return g
	}
	return grant{}
}

// roomMessage hears what is said in a room, to all or to the thing alone.
func (t *Thing) roomMessage(ctx context.Context, r *room, s *stanza.Stanza) {
	o, ok := t.who(r, s.From)
	if !ok || !sent(s).IsZero() {
		return // the room itself, we, somebody who has left, or what was said before
	}
	said, public := stanza.BodyOf(s), true
	if s.Type == stanza.Groupchat {
		if said, public, ok = t.addressed(r, said); !ok {
			return
		}
	}
	k := &talk{caller: o.real, said: said, id: s.From.String() + "\x00" + string(s.ID), public: public}
	if k.caller.IsZero() {
		k.caller = s.From
	}
	from := s.From
	k.may = func(ctx context.Context, right right, node NodeID, names []string) grant {
		g := t.mayInRoom(ctx, r, from, o, question{right: right, node: node, names: names})
		k.unsure = k.unsure || g.unsure
		return g
	}
	k.answer = func(ctx context.Context, fields []Field, text string) {
		// What is said to all is answered to him alone: a hundred things need not tell it to each other.
		typ, to := stanza.Chat, from
		if s.Type == stanza.Groupchat && !public {
			typ, to = stanza.Groupchat, r.JID
		}
		t.say(ctx, typ, to, fields, text)
	}
	t.do(ctx, s, func(ctx context.Context) { t.converse(ctx, k) })
}

// addressed is what is said to the thing: "@nick words", "nick: words", "all words", "stop". public: to others as well.
func (t *Thing) addressed(r *room, said string) (words string, public, ok bool) {
	said = strings.TrimSpace(said)
	t.rooms.mu.Lock()
	nick := r.nick
	t.rooms.mu.Unlock()
	if isStop(said) && t.config.Stop != nil {
		return commandStop, true, true
	}
	for _, name := range []string{"@" + nick, nick} {
		if len(said) <= len(name) || !strings.EqualFold(said[:len(name)], name) {
			continue
		}
		switch rest := said[len(name):]; {
		case strings.HasPrefix(rest, ":"), strings.HasPrefix(rest, ","):
			return rest[1:], false, true
		case name[0] == '@' && strings.HasPrefix(rest, " "):
			return rest, false, true
		}
	}
	first, rest, _ := strings.Cut(said, " ")
	first = strings.TrimRight(strings.TrimPrefix(strings.ToLower(first), "@"), ":,")
	return rest, true, first == "all" && rest != ""
}

// reportToRooms tells a reading where the thing is to report.
func (t *Thing) reportToRooms(ctx context.Context, x *reading) {
	for _, r := range t.rooms.list {
		t.rooms.mu.Lock()
		in := r.in
		t.rooms.mu.Unlock()
		if r.Report && in {
			t.say(ctx, stanza.Groupchat, r.JID, x.named(), x.text())
		}
	}
}

// say says something to somebody.
func (t *Thing) say(ctx context.Context, typ stanza.Type, to jid.JID, fields []Field, body string) {
	s := stanza.Text(typ, to, body)
	var err error
	if len(fields) > 0 {
		var p stanza.Payload
		if p, err = payload(fields); err == nil {
			s.Add(p)
		}
	}
	if err = errors.Join(err, t.client.Send(ctx, s)); err != nil {
		t.log.Error("answer not sent", "to", to.String(), "err", err)
	}
}
