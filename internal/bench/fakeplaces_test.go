// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// fakePlaces is the rooms, nodes and archives of a fakeXMPP, with faults to order.
type fakePlaces struct {
	// copies decides how often the n-th copy or presence of all is sent.
	copies func(n int) int
	// refuse answers every request to a place with an error.
	refuse bool
	// busy is how many who come behind the first are told to wait.
	busy int
	// page edits what an archive gives, nil does not.
	page func(messages []string) []string

	mu       sync.Mutex
	sent     int
	rooms    map[string][]fakeOccupant
	nodes    map[string][]string // subscribers
	kept     map[string]bool
	archives map[string][]string
	made     int
}

type fakeOccupant struct {
	nick string
	s    *fakeSession
}

func newFakePlaces() *fakePlaces {
	return &fakePlaces{copies: func(int) int { return 1 }, rooms: map[string][]fakeOccupant{}, nodes: map[string][]string{},
		kept: map[string]bool{}, archives: map[string][]string{}}
}

// take handles what is for a place or an archive.
func (p *fakePlaces) take(f *fakeXMPP, s *fakeSession, name string, u []byte) bool {
	to := string(attr(u, "to"))
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case strings.Contains(to, "@conference."):
		room, nick, _ := strings.Cut(to, "/")
		p.room(s, name, room, nick, u)
	case strings.HasPrefix(to, "pubsub."):
		p.pubsub(f, s, u)
	case name == "iq" && bytes.Contains(u, []byte(nsMAM)):
		p.archive(s, u)
	case name == "message":
		p.keep(to, u)
		p.keep(s.jid, u)
		return false
	default:
		return false
	}
	return true
}

func (p *fakePlaces) copy(to *fakeSession, stanza string) {
	for range p.copies(p.sent) {
		to.send(stanza)
	}
	p.sent++
}

func (p *fakePlaces) room(s *fakeSession, name, room, nick string, u []byte) {
	from := func(nick string) string { return room + "/" + nick }
	status := "<x xmlns='http://jabber.org/protocol/muc#user'><status code='110'/></x>"
	switch {
	case name == "iq":
		s.send("<iq type='result' id='", string(attr(u, "id")), "' from='", room, "'/>")
	case p.refuse:
		s.send("<presence type='error' from='", from(nick), "'><error type='auth'><registration-required xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>")
	case name == "presence" && p.busy > 0 && len(p.rooms[room]) > 0:
		p.busy--
		s.send("<presence type='error' from='", from(nick), "'><error type='wait'><resource-constraint xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>")
	case name == "presence" && attr(u, "type") != nil:
		p.rooms[room] = slices.DeleteFunc(p.rooms[room], func(o fakeOccupant) bool { return o.s == s })
		s.send("<presence type='unavailable' from='", from(nick), "'>", status, "</presence>")
	case name == "presence":
		for _, o := range p.rooms[room] {
			p.copy(s, "<presence from='"+from(o.nick)+"'/>")
			p.copy(o.s, "<presence from='"+from(nick)+"'/>")
		}
		p.rooms[room] = append(p.rooms[room], fakeOccupant{nick, s})
		p.copy(s, "<presence from='"+from(nick)+"'>"+status+"</presence>")
		s.send("<presence from='", room, "'/>", "<message from='", room, "' type='groupchat'><subject/></message>")
	default:
		for _, o := range p.rooms[room] {
			p.copy(o.s, "<message type='groupchat' from='"+room+"/n0'><body>"+string(inner(u, "body"))+"</body></message>")
		}
	}
}

func (p *fakePlaces) pubsub(f *fakeXMPP, s *fakeSession, u []byte) {
	id := string(attr(u, "id"))
	if p.refuse {
		s.send("<iq type='error' id='", id, "'><error type='auth'><forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>")
		return
	}
	at := bytes.Index(u, []byte(" node='"))
	node := string(attr(append([]byte("<x"), u[at:]...), "node"))
	switch {
	case bytes.Contains(u, []byte("<create")):
		p.made++
		p.kept[node] = bytes.Contains(u, []byte("persist_items'><value>1"))
	case bytes.Contains(u, []byte("<subscribe")):
		p.nodes[node] = append(p.nodes[node], bare(s.jid))
	case bytes.Contains(u, []byte("<publish")):
		for _, who := range p.nodes[node] {
			if to := f.sessionOf(who); to != nil {
				p.copy(to, "<message from='pubsub.fake.test' type='headline'><event xmlns='http://jabber.org/protocol/pubsub#event'><items node='"+node+
					"'><item><data xmlns='urn:stonechat:bench'><body>"+string(inner(u, "body"))+"</body></data></item></items></event></message>")
			}
		}
	}
	s.send("<iq type='result' id='", id, "'/>")
}

// sessionOf is a session of an account.
func (f *fakeXMPP) sessionOf(account string) *fakeSession {
	f.mu.Lock()
	defer f.mu.Unlock()
	for jid, s := range f.sessions {
		if bare(jid) == account {
			return s
		}
	}
	return nil
}

// keep archives a message of an account; the archive's id is its number.
func (p *fakePlaces) keep(who string, u []byte) {
	account := bare(who)
	p.archives[account] = append(p.archives[account], string(inner(u, "body")))
}

func (p *fakePlaces) archive(s *fakeSession, u []byte) {
	id := string(attr(u, "id"))
	if p.refuse {
		s.send("<iq type='error' id='", id, "'><error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>")
		return
	}
	if bytes.Contains(u, []byte("<query")) {
		all := p.archives[bare(s.jid)]
		from, to := max(0, len(all)-50), len(all)
		if before, err := strconv.Atoi(string(inner(u, "before"))); err == nil {
			from, to = max(0, before-50), before
		}
		if bytes.Contains(u, []byte("'start'")) {
			from, to = 0, min(50, len(all))
		}
		page := slices.Clone(all[from:to])
		if p.page != nil {
			page = p.page(page)
		}
		for i, body := range page {
			s.send(fmt.Sprintf("<message to='%s'><result xmlns='urn:xmpp:mam:2' queryid='%s' id='%d'><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client'><body>%s</body></message></forwarded></result></message>",
				s.jid, id, from+i, body))
		}
	}
	s.send("<iq type='result' id='", id, "'/>")
}
