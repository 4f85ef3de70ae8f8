// SPDX-License-Identifier: Apache-2.0

package muc

import (
	"slices"
	"time"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/xmpp/delay"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/muc"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// present takes available presence sent to a nick: of somebody who enters (§7.2), changes his nick (§7.6) or
// says how he is (§7.7).
func (r *room) present(t *server.Turn, s *stanza.Stanza) error {
	m := r.module
	var join muc.Join
	enters, err := s.Decode(&join)
	if err != nil {
		return err
	}
	nick := s.To.Resource()
	if c := m.config.Load(); s.Size() > int(c.PresenceBytes) {
		return m.limited("presence_bytes", stanza.PolicyViolation.Err("the presence is too long"))
	} else if len(nick) > c.NickBytes {
		return m.limited("nick_bytes", stanza.NotAcceptable.Err("the nick is too long"))
	}
	r.mu.Lock()
	defer r.unlock(t)
	if r.gone.Load() {
		return errNoRoom()
	}
	se := r.sessions[s.From]
	switch {
	case se == nil && !enters:
		r.post(t, notHere(s))
		return nil
	case se == nil:
		return r.join(t, s, &join)
	case se.who.nick != nick:
		if err := r.rename(t, se, s); err != nil {
			return err
		}
	case enters && said(se.presence, s):
	default:
		r.update(t, se, s)
	}
	if enters { // it has lost what it knew: it is told everything again (§7.2.1)
		if _, behind := r.catching[se]; !behind && r.out.Empty() {
			r.catchUp(t, se) // nothing comes before it that it would have to come behind
		}
		r.bring(t, se, &join, s.ID)
	}
	return nil
}

// said reports whether s says what was said before.
func said(was, s *stanza.Stanza) bool {
	return string(was.AppendContent(nil)) == string(cleaned(s).AppendContent(nil))
}

// cleaned is a presence without what is between its sender and the room, and what only the room may say
// (§17.3), as a copy that is kept.
func cleaned(s *stanza.Stanza) *stanza.Stanza {
	c := *s
	for i := range c.Len() {
		space, _, _ := c.Child(i)
		switch string(space) {
		case muc.NS, muc.NSUser, muc.NSOccupantID, muc.NSHats:
			c.Cut(i)
		}
	}
	return c.Retain()
}

// join lets somebody in who may enter. The caller holds mu.
func (r *room) join(t *server.Turn, s *stanza.Stanza, join *muc.Join) error {
	o, err := r.admit(s, join)
	if err != nil {
		return err
	}
	se := &session{jid: s.From.Clone(), presence: cleaned(s)}
	if o == nil {
		user := s.From.Bare().Clone()
		o = &occupant{
			nick: s.To.Clone().Resource(), at: s.To.Clone(), user: user, id: r.module.occupantID(r.jid, user),
			affiliation: r.affiliationOf(user),
		}
		role := r.roleFor(o.affiliation)
		if before, ok := r.voice[user]; ok && role.Level() < muc.Moderator.Level() {
			role = before // what a moderator has decided holds when he comes again
		}
		o.setRole(role)
	}
	se.who, o.shown = o, se
	if len(r.list) > 0 { // a further device is told too: its presence is the newest
		r.show(t, o, se.presence, o.role, news{}, r.options.broadcasts(o.role))
	}
	r.catchUp(t, se)
	r.bring(t, se, join, s.ID)
	r.enter(se)
	return nil
}

// admit finds out whether the sender may enter under that nick. It returns the occupant whose further
// session this is, or nil for a new one. The caller holds mu.
func (r *room) admit(s *stanza.Stanza, join *muc.Join) (*occupant, error) {
	user, nick := s.From.Bare(), s.To.Resource()
	affiliation := r.affiliationOf(user)
	switch {
	case r.locked && affiliation != muc.Owner:
		return nil, errNoRoom() // §7.2.11
	case affiliation == muc.Outcast:
		return nil, stanza.Forbidden.Err("you are banned from this room") // §7.2.8
	case r.options.membersOnly && affiliation.Level() < muc.Member.Level():
		return nil, stanza.RegistrationRequired.Err("only members may enter this room") // §7.2.7
	case r.options.password != "" && !same(join.Password, r.options.password):
		return nil, stanza.NotAuthorized.Err("this room needs a password") // §7.2.6
	}
	if err := r.mayUse(nick, user); err != nil {
		return nil, err
	}
	most := min(r.options.maxUsers, r.module.config.Load().MaxOccupants)
	if affiliation.Level() >= muc.Admin.Level() {
		most += max(most/10, 5) // §7.2.10: a full room can be run
	}
	if len(r.list) >= most {
		return nil, r.module.limited("max_occupants", &stanza.Error{
			Type: stanza.Wait, Condition: stanza.ServiceUnavailable, Text: "the room is full"})
	}
	return r.nicks[fold(nick)], nil
}

// mayUse says what is wrong with a nick: it is somebody else's, now or for good (§7.2.9). The caller holds
// mu.
func (r *room) mayUse(nick string, user jid.JID) error {
	if blank(nick) {
		return stanza.NotAcceptable.Err("a nick has letters") // §17.1
	}
	if o := r.nicks[fold(nick)]; o != nil && (o.user != user || o.nick != nick) {
		return stanza.Conflict.Err("the nick is taken")
	}
	if owner, ok := r.reserved[fold(nick)]; ok && owner != user {
		return stanza.Conflict.Err("the nick is somebody's")
	}
	return nil
}

// bring sends a session what somebody who enters is sent, in the order of §7.1: who is there, itself, what
// was said, the subject. The caller holds mu.
func (r *room) bring(t *server.Turn, se *session, join *muc.Join, id []byte) {
	o := se.who
	var first []*stanza.Stanza
	address := r.options.whois == whoisAnyone || o.role == muc.Moderator
	for _, other := range r.order {
		if other == o || !r.options.broadcasts(other.role) {
			continue
		}
		x := r.presentOf(other)
		if address {
			first = append(first, x.full)
		} else {
			first = append(first, x.public)
		}
	}
	n := news{}
	if r.options.whois == whoisAnyone {
		n.self = append(n.self, muc.StatusNonAnonymous)
	}
	if r.options.logging {
		n.self = append(n.self, muc.StatusLogging)
	}
	if r.locked {
		n.self = append(n.self, muc.StatusCreated)
	}
	self := r.shapes(o, se.presence, o.role, &n).self
	self.ID = slices.Clone(id)
	first = append(first, self)
	first = append(first, r.history.wanted(r, join.History, t.Now)...)
	first = append(first, r.subjectFor())
	var copied stanza.Stanza
	r.bulk(t, se, len(first), func(i int) *stanza.Stanza {
		if se.left.Load() {
			return nil
		}
		copied = *first[i]
		copied.To = se.jid
		return &copied
	})
}

// subjectFor is the subject as somebody who enters is sent it (§7.2.15). The caller holds mu.
func (r *room) subjectFor() *stanza.Stanza {
	if r.subject != nil {
		return r.subject
	}
	s := stanza.New(stanza.Message, stanza.Groupchat, jid.JID{}, subject(""))
	s.From = r.jid
	s.Clip()
	return s
}

// subject is the element of that name.
type subject string

func (subject) XMLName() xmlstream.Name {
	return xmlstream.Name{Space: stanza.NSClient, Local: "subject"}
}

func (s subject) AppendXML(dst []byte) []byte { return xmlstream.AppendText(dst, "subject", string(s)) }

func (subject) DecodeXML(*xmlstream.Reader) error { return nil }

// rename gives an occupant another nick (§7.6). The caller holds mu.
func (r *room) rename(t *server.Turn, se *session, s *stanza.Stanza) error {
	o, nick := se.who, s.To.Resource()
	if other := r.nicks[fold(nick)]; other != o { // else he writes it another way
		if err := r.mayUse(nick, o.user); err != nil {
			return err
		}
		if other != nil {
			return stanza.Conflict.Err("you are in the room under that nick already")
		}
	}
	gone := stanza.New(stanza.Presence, stanza.Unavailable, jid.JID{})
	others := r.options.broadcasts(o.role)
	r.show(t, o, gone, o.role, news{statuses: []int{muc.StatusNewNick}, nick: nick}, others)
	delete(r.nicks, fold(o.nick))
	to := s.To.Clone()
	o.nick, o.at = to.Resource(), to
	r.nicks[fold(o.nick)] = o
	r.update(t, se, s)
	return nil
}

// update tells everybody what an occupant says of himself now (§7.7). The caller holds mu.
func (r *room) update(t *server.Turn, se *session, s *stanza.Stanza) {
	se.presence = cleaned(s)
	se.who.shown = se
	r.announce(t, se.who, news{id: slices.Clone(s.ID), asked: se})
}

// history is what was said last.
type history struct{ list []line }

type line struct {
	at   time.Time
	s    *stanza.Stanza // as it was broadcast
	size int
}

// note adds a message, and forgets the oldest beyond most.
func (h *history) note(l line, most int) {
	l.size = l.s.Size()
	h.list = append(h.list, l)
	if n := len(h.list) - most; n > 0 {
		clear(h.list[:n])
		h.list = h.list[n:]
	}
}

// wanted are the messages to be sent to somebody who enters, oldest first: as many as the client and the
// room agree on (§7.2.14). The caller holds r.mu.
func (h *history) wanted(r *room, want *muc.History, now time.Time) (all []*stanza.Stanza) {
	most, chars, since := min(r.options.history, r.module.config.Load().MaxHistory), int(^uint(0)>>1), time.Time{}
	if want != nil {
		if want.MaxStanzas != nil {
			most = min(most, *want.MaxStanzas)
		}
		if want.MaxChars != nil {
			chars = *want.MaxChars
		}
		since = want.Since
		if want.Seconds != nil {
			if at := now.Add(-time.Duration(*want.Seconds) * time.Second); at.After(since) {
				since = at
			}
		}
	}
	for i := len(h.list) - 1; i >= 0 && len(all) < most; i-- {
		l := &h.list[i]
		if l.at.Before(since) {
			break
		}
		s := *l.s
		s.Add(&delay.Delay{From: r.jid, Stamp: l.at})
		s.Clip()
		if chars -= s.Size(); chars < 0 {
			break
		}
		all = append(all, &s)
	}
	slices.Reverse(all)
	return all
}
