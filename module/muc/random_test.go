// SPDX-License-Identifier: Apache-2.0

package muc

// How to read this file: some people do whatever comes into their heads, at the same time; then the room must be one that could be
// (wrong), and the store must have what is in memory. The number of a run that fails is its seed.

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/muc"
)

func TestWhateverTheyDo(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				b := newBenchWith(t, usual(), new(shelf), "a b c d")
				w := whim{rand.New(rand.NewPCG(seed, 1))}
				var all []*peer
				for _, x := range strings.Fields("a/1 a/2 b/1 b/2 c/1 c/2 d/1 d/2") {
					all = append(all, b.bind(x))
				}
				var said []string
				for round := range 60 {
					var wg sync.WaitGroup
					for _, p := range all {
						var some []string
						for range w.IntN(4) {
							some = append(some, w.next())
							said = append(said, fmt.Sprint(round, " ", p.Session.JID, ": ", some[len(some)-1]))
						}
						wg.Go(func() { p.Feed(some...) })
					}
					wg.Wait()
					synctest.Wait()
					if wrong := b.wrong(); wrong != "" {
						t.Fatalf("round %d: %s, after\n%s", round, wrong, strings.Join(said[max(0, len(said)-40):], "\n"))
					}
				}
			})
		})
	}
}

// wrong is what cannot be of the cave, and whether the store has something else.
func (b *bench) wrong() string {
	r := b.m.table.acquire(jid.MustParse(cave))
	if r == nil {
		return ""
	}
	defer b.m.release(nil, r)
	r.mu.Lock()
	defer r.mu.Unlock()
	if wrong := r.wrong(); wrong != "" {
		return wrong
	}
	kept, err := b.Disk.Room(b.T.Context(), r.jid)
	switch {
	case (err == nil) != r.kept.Load():
		return fmt.Sprintf("it is kept: %v; the store says %v", r.kept.Load(), err)
	case err != nil:
		return ""
	}
	people := make(map[jid.JID]person)
	for _, x := range kept.Affiliations {
		people[x.User] = person{muc.Affiliation(x.Affiliation), x.Nick, x.Reason}
	}
	if !maps.Equal(people, r.people) {
		return fmt.Sprintf("the store has %v, memory has %v", people, r.people)
	}
	return ""
}

// wrong is what cannot be of the room. The caller holds mu.
func (r *room) wrong() string {
	sessions := 0
	for _, o := range r.order {
		sessions += len(o.sessions)
		if wrong := r.wrongWith(o); wrong != "" {
			return o.nick + " of " + o.user.String() + " " + wrong
		}
	}
	switch {
	case sessions != len(r.list), sessions != len(r.sessions), sessions != int(r.inside.Load()), len(r.order) != len(r.nicks):
		return "its lists differ"
	case len(r.catching) > 0, len(r.dirty) > 0:
		return "something is not sent"
	case r.owners() == 0:
		return "nobody owns it"
	}
	for nick, user := range r.reserved {
		if fold(r.people[user].nick) != nick {
			return nick + " is reserved for nobody"
		}
	}
	for user, p := range r.people {
		if p.nick != "" && r.reserved[fold(p.nick)] != user {
			return "the nick of " + user.String() + " is not reserved"
		}
	}
	return ""
}

func (r *room) wrongWith(o *occupant) string {
	shown := false
	for _, se := range o.sessions {
		shown = shown || se == o.shown
		if r.sessions[se.jid] != se || se.who != o || se.left.Load() {
			return "has a session that is not his"
		}
	}
	switch {
	case !shown:
		return "is shown by no session"
	case r.nicks[fold(o.nick)] != o || o.at.Resource() != o.nick:
		return "is not who has the nick"
	case o.affiliation != r.affiliationOf(o.user):
		return "has another affiliation"
	case o.affiliation == muc.Outcast:
		return "is banned, and here"
	case o.affiliation.Level() >= muc.Admin.Level() && o.role != muc.Moderator:
		return "runs the room as " + string(o.role)
	case (o.role == muc.Moderator) != o.moderator.Load():
		return "is told what he is not"
	case r.options.membersOnly && o.affiliation.Level() < muc.Member.Level() && !r.locked:
		return "is no member, and here"
	}
	return ""
}

// whim is what somebody does next.
type whim struct{ *rand.Rand }

func (w whim) of(choices string) string {
	list := strings.Split(choices, "|")
	return list[w.IntN(len(list))]
}

func (w whim) nick() string { return w.of("A|a|B|b|C|c |d|x y|X  Y|boss") }
func (w whim) user() string { return w.of("a@d|b@d|c@d|d@d|e@d|d|x.example|b@d/1") }

func (w whim) item(roles bool) string {
	if roles {
		return "<item nick='" + w.nick() + "' role='" + w.of("moderator|participant|visitor|none") + "'/>"
	}
	nick := ""
	if w.IntN(3) == 0 {
		nick = "' nick='" + w.nick()
	}
	return "<item jid='" + w.user() + "' affiliation='" + w.of("owner|admin|member|none|outcast") + nick + "'/>"
}

func (w whim) next() string {
	set := func(payload string) string { return "<iq type='set' id='1' to='" + cave + "'>" + payload + "</iq>" }
	roles := w.IntN(3) == 0
	switch w.IntN(16) {
	case 0, 1, 2, 3:
		return enter(cave, w.nick())
	case 4:
		return leave(cave, w.nick())
	case 5:
		return "<presence to='" + cave + "/" + w.nick() + "'/>"
	case 6, 7:
		return set(admin(w.item(roles)))
	case 8:
		return set(admin(w.item(roles) + w.item(roles)))
	case 9, 10:
		return set(configuration(w.of(fieldPersistent+"|"+fieldMembersOnly+"|"+fieldModerated), w.of("0|1")))
	case 11:
		return set(configuration(w.of(fieldOwners+"|"+fieldAdmins), w.of("a@d|a@d b@d|c@d|")))
	case 12:
		return set(configuration(fieldBroadcast, w.of("moderator|moderator participant|")))
	case 13:
		return set(w.of(registering(w.nick()) + "|<query xmlns='jabber:iq:register'><remove/></query>"))
	case 14:
		return w.of("<message type='groupchat' to='" + cave + "'><body>x</body></message>|<message to='" + cave +
			"'><x xmlns='http://jabber.org/protocol/muc#user'><invite to='" + w.user() + "'/></x></message>")
	}
	if w.IntN(8) > 0 {
		return "<message type='groupchat' to='" + cave + "'><subject>x</subject></message>"
	}
	return set("<query xmlns='http://jabber.org/protocol/muc#owner'><destroy/></query>")
}
