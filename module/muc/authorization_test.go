// SPDX-License-Identifier: Apache-2.0

package muc

import (
	"fmt"
	"testing"

	"github.com/stonechat-im/stonechat/xmpp/command"
)

// Who may do what: every operation by everybody, each in a room of its own. The columns are
//
//	o  an owner in the room          O  an owner who is not in it
//	a  an admin in the room          A  an admin who is not in it
//	m  a member in the room          M  a member who is not in it
//	k  a moderator who is nobody else
//	p  a participant, v a visitor
//	x  somebody who is neither in the room nor anything to it
//	b  an outcast
//
// In the room are also Boss, an owner; Duke, an admin; Maid, a member; Page, a participant; Fool, a visitor; Chief, a
// moderator who is nobody else. The room is moderated, and semi-anonymous but where the operation says otherwise.
const columns = "oamkpvOAMxb"

// What is answered: "." nothing is wrong.
var answers = map[byte]string{
	'.': "", 'F': "forbidden", 'N': "not-allowed", 'X': "not-acceptable", 'C': "conflict", 'R': "registration-required",
	'I': "item-not-found", 'B': "bad-request", 'A': "not-authorized",
}

func TestAuthorization(t *testing.T) {
	iq := func(typ, payload string) func(p *peer, room string) string {
		return func(p *peer, room string) string { return p.ask(typ, room, payload) }
	}
	say := func(s string) func(p *peer, room string) string {
		return func(p *peer, room string) string { return p.tell(fmt.Sprintf(s, room)) }
	}
	for _, c := range []struct {
		name    string
		do      func(p *peer, room string) string
		want    string // by column
		options []string
	}{
		{"speaks", say("<message type='groupchat' to='%s'><body>x</body></message>"), "....." + "F" + "XXXXX", nil},
		{"changes the subject", say("<message type='groupchat' to='%s'><subject>x</subject></message>"), "..F.FFXXXXX", nil},
		{"changes the subject where those with voice may", say("<message type='groupchat' to='%s'><subject>x</subject></message>"), ".....FXXXXX",
			[]string{fieldChangeSubject, "1"}},
		{"whispers", say("<message type='chat' to='%s/page'><body>x</body></message>"), "......XXXXX", nil},
		{"whispers where those with voice may", say("<message type='chat' to='%s/page'><body>x</body></message>"), ".....FXXXXX", []string{fieldAllowPM, "participants"}},
		{"whispers where moderators may", say("<message type='chat' to='%s/page'><body>x</body></message>"), "..F.FFXXXXX", []string{fieldAllowPM, "moderators"}},
		{"whispers where nobody may", say("<message type='chat' to='%s/page'><body>x</body></message>"), "FFFFFFXXXXX", []string{fieldAllowPM, "none"}},
		{"asks an occupant", func(p *peer, room string) string { return p.ask("get", room+"/nobody", "<q xmlns='u:q'/>") }, "IIIIIIXXXXX", nil},
		{"pings itself", func(p *peer, room string) string { return p.ask("get", room+"/actor", "<ping xmlns='urn:xmpp:ping'/>") }, "......XXXXX", nil},
		{"asks an occupant what it is", func(p *peer, room string) string {
			return p.ask("get", room+"/nobody", "<query xmlns='http://jabber.org/protocol/disco#info'/>")
		}, "IIIIIIBBBBB", nil},
		{"invites", say("<message to='%s'><x xmlns='http://jabber.org/protocol/muc#user'><invite to='guest@d'/></x></message>"), ".....FXXXXX", nil},
		{"invites to members", say("<message to='%s'><x xmlns='http://jabber.org/protocol/muc#user'><invite to='guest@d'/></x></message>"), "..FXXX" + "XXXXX",
			[]string{fieldMembersOnly, "1"}},
		{"invites to members where they may", say("<message to='%s'><x xmlns='http://jabber.org/protocol/muc#user'><invite to='guest@d'/></x></message>"), "...XXX" + "XXXXX",
			[]string{fieldMembersOnly, "1", fieldAllowInvites, "1"}},
		{"asks for voice", say("<message to='%s'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#request</value></field><field var='muc#role'><value>participant</value></field></x></message>"),
			"NNNNN.XXXXX", nil},
		{"gives voice by form", say("<message to='%s'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#request</value></field><field var='muc#roomnick'><value>fool</value></field><field var='muc#request_allow'><value>1</value></field></x></message>"),
			"..F.FFXXXXX", nil},

		{"kicks a visitor", iq("set", role("fool", "none")), "..F.FF..FFF", nil},
		{"kicks a participant", iq("set", role("page", "none")), "..F.FF..FFF", nil},
		{"kicks a member", iq("set", role("maid", "none")), "..FNFF..FFF", nil},
		{"kicks a moderator", iq("set", role("chief", "none")), "..FNFF..FFF", nil},
		{"kicks an admin", iq("set", role("duke", "none")), "..FNFF..FFF", nil},
		{"kicks an owner", iq("set", role("boss", "none")), ".NFNFF.NFFF", nil},
		{"gives voice", iq("set", role("fool", "participant")), "..F.FF..FFF", nil},
		{"takes voice", iq("set", role("page", "visitor")), "..F.FF..FFF", nil},
		{"takes a member's voice", iq("set", role("maid", "visitor")), "..FNFF..FFF", nil},
		{"takes an admin's voice", iq("set", role("duke", "visitor")), "NNFNFFNNFFF", nil},
		{"takes an owner's voice", iq("set", role("boss", "visitor")), "NNFNFFNNFFF", nil},
		{"makes a moderator", iq("set", role("page", "moderator")), "..FFFF..FFF", nil},
		{"unmakes a moderator", iq("set", role("chief", "participant")), "..FFFF..FFF", nil},
		{"unmakes an admin as moderator", iq("set", role("duke", "participant")), "NNFNFFNNFFF", nil},
		{"lists those with voice", iq("get", admin("<item role='participant'/>")), "..F.FF..FFF", nil},
		{"lists moderators", iq("get", admin("<item role='moderator'/>")), "..FFFF..FFF", nil},

		{"bans", iq("set", affiliation("page@d", "outcast")), "..FFFF..FFF", nil},
		{"bans a stranger", iq("set", affiliation("guest@d", "outcast")), "..FFFF..FFF", nil},
		{"bans a domain", iq("set", affiliation("elsewhere.example", "outcast")), "..FFFF..FFF", nil},
		{"bans an admin", iq("set", affiliation("duke@d", "outcast")), ".NFFFF.NFFF", nil},
		{"bans an owner", iq("set", affiliation("boss@d", "outcast")), ".NFFFF.NFFF", nil},
		{"bans itself", iq("set", affiliation("actor@d", "outcast")), "CCFFFFCCFFF", nil},
		{"makes a member", iq("set", affiliation("page@d", "member")), "..FFFF..FFF", nil},
		{"unmakes a member", iq("set", affiliation("maid@d", "none")), "..FFFF..FFF", nil},
		{"makes an admin", iq("set", affiliation("maid@d", "admin")), ".FFFFF.FFFF", nil},
		{"unmakes an admin", iq("set", affiliation("duke@d", "member")), ".FFFFF.FFFF", nil},
		{"makes an owner", iq("set", affiliation("maid@d", "owner")), ".FFFFF.FFFF", nil},
		{"unmakes an owner", iq("set", affiliation("boss@d", "admin")), ".FFFFF.FFFF", nil},
		{"makes itself an owner", iq("set", affiliation("actor@d", "owner")), ".FFFFF.FFFF", nil},
		{"makes an outcast a member", iq("set", affiliation("knave@d", "member")), "..FFFF..FFF", nil},
		{"makes one member and one owner", iq("set", admin("<item jid='page@d' affiliation='member'/><item jid='page@d' affiliation='owner'/>")), ".FFFFF.FFFF", nil},
		{"lists outcasts", iq("get", admin("<item affiliation='outcast'/>")), "..FFFF..FFF", nil},
		{"lists members", iq("get", admin("<item affiliation='member'/>")), "..FFFF..FFF", nil},
		{"lists admins", iq("get", admin("<item affiliation='admin'/>")), ".FFFFF.FFFF", nil},
		{"lists owners", iq("get", admin("<item affiliation='owner'/>")), ".FFFFF.FFFF", nil},
		{"lists members where all see addresses", iq("get", admin("<item affiliation='member'/>")), ".........FF", []string{fieldWhois, "anyone"}},
		{"lists owners where all see addresses", iq("get", admin("<item affiliation='owner'/>")), ".........FF", []string{fieldWhois, "anyone"}},
		{"lists outcasts where all see addresses", iq("get", admin("<item affiliation='outcast'/>")), "..FFFF..FFF", []string{fieldWhois, "anyone"}},
		{"lists members where members may", iq("get", admin("<item affiliation='member'/>")), "...FFF...FF", []string{fieldMemberList, "member"}},
		{"lists members where those with voice may", iq("get", admin("<item affiliation='member'/>")), "...F.F..FFF", []string{fieldMemberList, "participant"}},

		{"reads the configuration", iq("get", "<query xmlns='http://jabber.org/protocol/muc#owner'/>"), ".FFFFF.FFFF", nil},
		{"changes the configuration", iq("set", configuration(fieldName, "x")), ".FFFFF.FFFF", nil},
		{"makes owners by configuration", iq("set", configuration(fieldOwners, "actor@d")), ".FFFFF.FFFF", nil},
		{"cancels the configuration", iq("set", "<query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='cancel'/></query>"), ".FFFFF.FFFF", nil},
		{"destroys", iq("set", "<query xmlns='http://jabber.org/protocol/muc#owner'><destroy/></query>"), ".FFFFF.FFFF", nil},
		{"sets the vCard", iq("set", "<vCard xmlns='vcard-temp'><FN>x</FN></vCard>"), ".FFFFF.FFFF", nil},
		{"makes a hat", iq("set", newHat("urn:x:hat")), "..FFFF..FFF", nil},
		{"gives a hat away", iq("set", wear("page@d", "urn:x:fools")), "..FFFF..FFF", nil},
		{"destroys a hat", iq("set", hats(hatDestroy, hatURI, "urn:x:fools")), "..FFFF..FFF", nil},
		{"lists hats", iq("set", "<command xmlns='"+command.NS+"' node='"+hatList+"'/>"), "......" + "..FFF", nil},
		{"lists who wears hats", iq("set", "<command xmlns='"+command.NS+"' node='"+hatAssigned+"'/>"), "..FFFF..FFF", nil},
		{"reads the vCard", iq("get", "<vCard xmlns='vcard-temp'/>"), "...........", nil},
		{"asks to register", iq("get", "<query xmlns='jabber:iq:register'/>"), "..........N", nil},
		{"asks to register where nobody may", iq("get", "<query xmlns='jabber:iq:register'/>"), "...NNN...NN", []string{fieldRegister, "0"}},
		{"decides on a member", say("<message to='%s'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#register</value></field><field var='muc#register_jid'><value>guest@d</value></field><field var='muc#register_allow'><value>1</value></field></x></message>"),
			"IIFFFFIIFFF", nil},

		{"enters", func(p *peer, room string) string { return p.tell(enter(room, "again")) }, "..........F", nil},
		{"enters under a nick of somebody's", func(p *peer, room string) string { return p.tell(enter(room, "page")) }, "CCCCCCCCCCF", nil},
		{"enters where members may", func(p *peer, room string) string { return p.tell(enter(room, "again")) }, "...RRR...RF", []string{fieldMembersOnly, "1"}},
		{"enters without the password", func(p *peer, room string) string { return p.tell(enter(room, "again")) }, "......AAAAF", []string{fieldPassword, "secret"}},
		{"asks what the room is", iq("get", "<query xmlns='http://jabber.org/protocol/disco#info'/>"), "...........", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			if len(c.want) != len(columns) {
				t.Fatalf("%d columns", len(c.want))
			}
			inBubble(t, func(t *testing.T) {
				b := newBench(t, usual(), "boss duke maid page fool chief knave actor guest")
				cast := newCast(b)
				for i := range columns {
					room := fmt.Sprintf("room%c@rooms.d", columns[i])
					if columns[i] >= 'A' && columns[i] <= 'Z' {
						room = fmt.Sprintf("room-%c@rooms.d", columns[i])
					}
					cast.play(room, columns[i], c.options)
					if got, want := c.do(cast.actor, room), answers[c.want[i]]; got != want {
						t.Errorf("%c: %q, want %q", columns[i], got, want)
					}
				}
			})
		})
	}
}

// cast are the people of the table.
type cast struct{ boss, duke, maid, page, fool, chief, actor *peer }

func newCast(b *bench) *cast {
	return &cast{b.bind("boss/r"), b.bind("duke/r"), b.bind("maid/r"), b.bind("page/r"), b.bind("fool/r"), b.bind("chief/r"), b.bind("actor/r")}
}

// play makes the room with everybody in it, and the actor what the column says.
func (c *cast) play(room string, column byte, options []string) {
	c.boss.room(room, "boss")
	for user, what := range map[string]string{"duke@d": "admin", "maid@d": "member", "knave@d": "outcast"} {
		c.boss.must("set", room, affiliation(user, what))
	}
	if what := map[byte]string{'o': "owner", 'O': "owner", 'a': "admin", 'A': "admin", 'm': "member", 'M': "member", 'b': "outcast"}[column]; what != "" {
		c.boss.must("set", room, affiliation("actor@d", what))
	}
	c.boss.must("set", room, newHat("urn:x:fools"))
	for nick, p := range map[string]*peer{"duke": c.duke, "maid": c.maid, "page": c.page, "fool": c.fool, "chief": c.chief} {
		p.Send(enter(room, nick))
	}
	switch column {
	case 'o', 'a', 'm', 'k', 'p', 'v':
		c.actor.Send(enter(room, "actor"))
	}
	c.boss.must("set", room, configuration(append([]string{fieldModerated, "1"}, options...)...))
	roles := map[string]string{"page": "participant", "fool": "visitor", "chief": "moderator"}
	switch column {
	case 'k':
		roles["actor"] = "moderator"
	case 'p':
		roles["actor"] = "participant"
	case 'v':
		roles["actor"] = "visitor"
	}
	for nick, what := range roles {
		// In a room for members only those who are none have gone.
		c.boss.ask("set", room, role(nick, what))
	}
	for _, p := range []*peer{c.boss, c.duke, c.maid, c.page, c.fool, c.chief, c.actor} {
		p.Got()
	}
}
