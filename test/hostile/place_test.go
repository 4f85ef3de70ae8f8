// SPDX-License-Identifier: Apache-2.0

//go:build linux

package hostile

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/stonechat-im/stonechat/xmpp/form"
	"github.com/stonechat-im/stonechat/xmpp/muc"
	"github.com/stonechat-im/stonechat/xmpp/pubsub"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// How to read this file: what may be tried on rooms, then on nodes; keeping_test.go has archives and the rest that an
// account keeps. asked is a row of one request that is refused; the others say what they do.

// places are the modules' limits of TestAttacks' server.
const (
	roomLimit = 10
	nodeLimit = 12
	places    = "modules:\n  muc: {max_rooms_per_creator: 10, max_affiliations: 50}\n" +
		"  pubsub: {nodes_per_owner: 12, item_bytes: 20000}\n  mam: {page: 50}\n  private: {bytes: 50000}\n"

	rooms = "conference." + domain
	nodes = "pubsub." + domain
)

// until reads up to an element that is the one, and returns how many messages came before it.
func (p *peer) until(what string, is func(e element, r *xmlstream.Reader) bool) (e element, messages int) {
	p.t.Helper()
	for range 100_000 {
		e := p.read()
		if is(e, xmlstream.NewReader(e.raw, stanza.NSClient)) {
			return e, messages
		}
		if e.is(stanza.NSClient, "message") {
			messages++
		}
	}
	p.t.Fatalf("no %s among 100,000 elements", what)
	return e, 0
}

// asks sends a request and reads its answer; messages and presence that come before are passed over.
func (p *peer) asks(to, typ, payload string) (answer element, messages int) {
	p.t.Helper()
	p.send("<iq type='" + typ + "' id='asks' to='" + to + "'>" + payload + "</iq>")
	return p.until("answer", func(e element, r *xmlstream.Reader) bool {
		return e.is(stanza.NSClient, "iq") && r.Attr("id") == "asks" && r.Attr("type") != "get" && r.Attr("type") != "set"
	})
}

// must sends a request that is granted.
func (p *peer) must(to, payload string) {
	p.t.Helper()
	if answer, _ := p.asks(to, "set", payload); !strings.Contains(answer.raw, "type='result'") {
		p.t.Fatalf("%.200s: %.500s", payload, answer.raw)
	}
}

// refusal is the condition of an answer, "" for a result.
func refusal(answer element) string {
	r := xmlstream.NewReader(answer.raw, stanza.NSClient)
	for n := range r.Children() {
		if n.Local == "error" {
			for n := range r.Children() {
				return n.Local
			}
		}
	}
	return ""
}

// still proves that the stream is usable, whatever else comes.
func (p *peer) still() {
	p.t.Helper()
	if answer, _ := p.asks(domain, "get", "<ping xmlns='urn:xmpp:ping'/>"); refusal(answer) != "" {
		p.t.Fatalf("a ping is answered by %.300s", answer.raw)
	}
}

// enter joins a room, and returns the own presence.
func (p *peer) enter(room, nick, more string) element {
	p.t.Helper()
	p.send("<presence to='" + room + "/" + nick + "'><x xmlns='" + muc.NS + "'/>" + more + "</presence>")
	self, _ := p.until("own presence", func(e element, _ *xmlstream.Reader) bool {
		return e.is(stanza.NSClient, "presence") && (strings.Contains(e.raw, "code='110'") || strings.Contains(e.raw, "type='error'"))
	})
	if !strings.Contains(self.raw, "type='error'") {
		p.until("subject", func(e element, _ *xmlstream.Reader) bool {
			return e.is(stanza.NSClient, "message") && strings.Contains(e.raw, "<subject")
		})
	}
	return self
}

// room is a peer in a new room that is open to others.
func (s *server) room(t *testing.T, user, room string) *peer {
	t.Helper()
	p := s.session(t, user)
	p.enter(room, user, "")
	p.must(room, "<query xmlns='"+muc.NSOwner+"'><x xmlns='"+form.NS+"' type='submit'/></query>")
	return p
}

// submitted is a form of n fields with values of some length.
func submitted(kind string, n, length int) string {
	var b strings.Builder
	b.WriteString("<x xmlns='" + form.NS + "' type='submit'><field var='FORM_TYPE'><value>" + kind + "</value></field>")
	for i := range n {
		b.WriteString("<field var='" + number(i) + "'><value>" + strings.Repeat("x", length) + "</value></field>")
	}
	return b.String() + "</x>"
}

// asked is a row in which one request is refused.
func asked(name, condition, to, typ, payload string) attack {
	return attack{name, func(t *testing.T, s *server) {
		p := s.session(t, "mallory")
		if answer, _ := p.asks(to, typ, payload); refusal(answer) != condition {
			t.Errorf("answered by %.500s", answer.raw)
		}
		p.still()
		p.close()
	}, "stanzas_refused{" + condition + "} 1"}
}

func placeAttacks() []attack {
	rows := []attack{
		{"a message to a room by a stranger", inRoom(func(t *testing.T, s *server, owner *peer, room string) {
			p := s.session(t, "mallory")
			p.send("<message type='groupchat' to='" + room + "' id='1'><body>hello</body></message>")
			p.refuses("message", "not-acceptable") // XEP-0045 §7.4
			p.still()
			p.close()
			if _, messages := owner.asks(domain, "get", "<ping xmlns='urn:xmpp:ping'/>"); messages > 0 {
				t.Error("the occupants have heard it")
			}
		}), "stanzas_refused{not-acceptable} 1"},
		{"somebody who says that he is the owner", inRoom(forgedOwner), ""},
		{"configuring somebody else's room", inRoom(func(t *testing.T, s *server, _ *peer, room string) {
			p := s.session(t, "mallory")
			p.enter(room, "mallory", "")
			for _, payload := range []string{
				"<query xmlns='" + muc.NSOwner + "'><x xmlns='" + form.NS + "' type='submit'/></query>",
				"<query xmlns='" + muc.NSOwner + "'><destroy/></query>",
				"<query xmlns='" + muc.NSAdmin + "'><item affiliation='owner' jid='mallory@localhost'/></query>",
				"<query xmlns='" + muc.NSAdmin + "'><item affiliation='outcast' jid='iago@localhost'/></query>",
				"<query xmlns='" + muc.NSAdmin + "'><item role='moderator' nick='mallory'/></query>",
			} {
				if answer, _ := p.asks(room, "set", payload); refusal(answer) != "forbidden" {
					t.Errorf("%s: %s", payload, answer.raw)
				}
			}
			p.still()
			p.close()
		}), "stanzas_refused{forbidden} 5"},
		{"a nick that is too long", inRoom(func(t *testing.T, s *server, _ *peer, room string) {
			p := s.session(t, "mallory")
			if e := p.enter(room, strings.Repeat("n", 300), ""); !strings.Contains(e.raw, "<not-acceptable ") {
				t.Errorf("entered: %.300s", e.raw)
			}
			p.still()
			p.close()
		}), "stanzas_refused{not-acceptable} 1, rooms_limited{key=nick_bytes} 1"},
		{"a presence that is too large for a room", inRoom(func(t *testing.T, s *server, _ *peer, room string) {
			p := s.session(t, "mallory")
			if e := p.enter(room, "mallory", "<status>"+strings.Repeat("x", 20_000)+"</status>"); !strings.Contains(e.raw, "<policy-violation ") {
				t.Errorf("entered: %.300s", e.raw)
			}
			p.still()
			p.close()
		}), "stanzas_refused{policy-violation} 1"},
		{"a message that is too large for a room", inRoom(func(t *testing.T, s *server, owner *peer, room string) {
			owner.send("<message type='groupchat' to='" + room + "' id='1'><body>" + strings.Repeat("x", 70_000) + "</body></message>")
			owner.refuses("message", "policy-violation")
			owner.still()
		}), "stanzas_refused{policy-violation} 1, rooms_limited{key=message_bytes} 1"},
		{"nicks without end", inRoom(nicksWithoutEnd), ""},
		// Copies under way when their occupant is dropped come back to the room.
		{"a room flooded", inRoom(roomFlooded), "readers_stalled 1, stanzas_refused{service-unavailable} 0+"},
		{"many sessions in and out of a room", inRoom(inAndOut), ""},
		{"rooms without end", roomsWithoutEnd, "stanzas_refused{resource-constraint} 1, rooms_limited{key=max_rooms_per_creator} 1"},
		{"more affiliations than may be", inRoom(func(t *testing.T, _ *server, owner *peer, room string) {
			var items strings.Builder
			for i := range 100 {
				fmt.Fprintf(&items, "<item affiliation='member' jid='m%d@example.org'/>", i)
			}
			if answer, _ := owner.asks(room, "set", "<query xmlns='"+muc.NSAdmin+"'>"+items.String()+"</query>"); refusal(answer) != "resource-constraint" {
				t.Errorf("answered by %.300s", answer.raw)
			}
			owner.still()
		}), "stanzas_refused{resource-constraint} 1, rooms_limited{key=max_affiliations} 1"},
		{"a form of a room with thousands of fields", inRoom(func(t *testing.T, _ *server, owner *peer, room string) {
			owner.asks(room, "set", "<query xmlns='"+muc.NSOwner+"'>"+submitted(muc.NS+"#roomconfig", 1000, 100)+"</query>")
			owner.must(room, "<query xmlns='"+muc.NSOwner+"'>"+submitted(muc.NS+"#roomconfig", 0, 0)+"</query>")
			owner.still()
		}), ""},
	}
	return append(append(rows, nodeAttacks()...), keepingAttacks()...)
}

// inRoom is a row whose room iago owns and is in.
func inRoom(do func(t *testing.T, s *server, owner *peer, room string)) func(*testing.T, *server) {
	return func(t *testing.T, s *server) {
		const room = "den@" + rooms
		owner := s.room(t, "iago", room)
		do(t, s, owner, room)
		owner.close()
	}
}

// forgedOwner: what only the room may say does not reach the others (XEP-0045 §17.3).
func forgedOwner(t *testing.T, s *server, owner *peer, room string) {
	p := s.session(t, "mallory")
	lie := "<x xmlns='" + muc.NSUser + "'><item affiliation='owner' role='moderator'/><status code='110'/><status code='307'/></x>"
	p.enter(room, "mallory", lie)
	seen, _ := owner.until("presence of mallory", func(e element, r *xmlstream.Reader) bool {
		return e.is(stanza.NSClient, "presence") && r.Attr("from") == room+"/mallory"
	})
	if strings.Contains(seen.raw, "'owner'") || strings.Contains(seen.raw, "code='307'") || strings.Count(seen.raw, muc.NSUser) != 1 {
		t.Errorf("the owner is told %s", seen.raw)
	}
	p.send("<message type='groupchat' to='" + room + "' id='lie'><body>x</body>" + lie + "<stanza-id xmlns='urn:xmpp:sid:0' by='" + room + "' id='forged'/></message>")
	heard, _ := owner.until("message of mallory", func(e element, _ *xmlstream.Reader) bool { return strings.Contains(e.raw, "id='lie'") })
	if strings.Contains(heard.raw, "owner") || strings.Contains(heard.raw, "forged") {
		t.Errorf("the owner is told %s", heard.raw)
	}
	p.close()
}

// nicksWithoutEnd: each change of a nick is told to everybody, no more.
func nicksWithoutEnd(t *testing.T, s *server, owner *peer, room string) {
	p := s.session(t, "mallory")
	p.enter(room, "n", "")
	const changes = 300
	go func() {
		for i := range changes {
			p.send("<presence to='" + room + "/n" + strconv.Itoa(i) + "'/>")
		}
	}()
	p.until("last nick", func(e element, r *xmlstream.Reader) bool {
		return r.Attr("from") == room+"/n"+strconv.Itoa(changes-1) && strings.Contains(e.raw, "code='110'")
	})
	owner.until("last nick", func(_ element, r *xmlstream.Reader) bool {
		return r.Attr("from") == room+"/n"+strconv.Itoa(changes-1)
	})
	p.still()
	p.close()
}

// roomFlooded: an occupant that does not read loses its connection; the others hear all, in order.
func roomFlooded(t *testing.T, s *server, owner *peer, room string) {
	deaf := s.session(t, "mallory")
	_ = deaf.tcp.SetReadBuffer(4096)
	deaf.enter(room, "deaf", "")
	p := s.session(t, "mallory")
	p.enter(room, "mallory", "")
	before := s.count(t, "readers_stalled")
	body, sent := strings.Repeat("x", 20_000), 0
	for s.count(t, "readers_stalled") == before {
		if sent > 2000 {
			t.Fatal("40 MB are waiting for one occupant")
		}
		for range 10 {
			p.send("<message type='groupchat' to='" + room + "' id='" + strconv.Itoa(sent) + "'><body>" + body + "</body></message>")
			sent++
		}
		for i := sent - 10; i < sent; i++ { // the owner and mallory keep up
			for _, o := range []*peer{owner, p} {
				o.until("message", func(e element, r *xmlstream.Reader) bool {
					return e.is(stanza.NSClient, "message") && r.Attr("id") == strconv.Itoa(i)
				})
			}
		}
	}
	deaf.reset()
	t.Logf("%d messages", sent)
	p.still()
	p.close()
}

// inAndOut: sessions that enter and vanish at once.
func inAndOut(t *testing.T, s *server, owner *peer, room string) {
	const times = 20
	for i := range times {
		p := s.session(t, "mallory")
		p.send("<presence to='" + room + "/m" + strconv.Itoa(i) + "'><x xmlns='" + muc.NS + "'/></presence>")
		p.still()
		p.reset()
	}
	in := map[string]bool{}
	last := room + "/m" + strconv.Itoa(times-1)
	owner.until("end of the last", func(e element, r *xmlstream.Reader) bool {
		if from := r.Attr("from"); e.is(stanza.NSClient, "presence") && strings.HasPrefix(from, room+"/m") {
			in[from] = r.Attr("type") == ""
		}
		there, told := in[last]
		return told && !there
	})
	for from, there := range in {
		if there {
			t.Errorf("%s is still there", from)
		}
	}
}

func roomsWithoutEnd(t *testing.T, s *server) {
	p := s.session(t, "mallory")
	for i := range roomLimit {
		if e := p.enter(fmt.Sprintf("mallorys%d@%s", i, rooms), "mallory", ""); strings.Contains(e.raw, "type='error'") {
			t.Fatalf("room %d: %s", i, e.raw)
		}
	}
	if e := p.enter("one-more@"+rooms, "mallory", ""); !strings.Contains(e.raw, "<resource-constraint ") {
		t.Errorf("one room more: %s", e.raw)
	}
	p.still()
	p.close()
}

func nodeAttacks() []attack {
	of := func(space, payload string) string { return "<pubsub xmlns='" + space + "'>" + payload + "</pubsub>" }
	publish := func(node, payload string) string {
		return of(pubsub.NS, "<publish node='"+node+"'><item>"+payload+"</item></publish>")
	}
	inNode := func(do func(t *testing.T, p *peer, node string)) func(*testing.T, *server) {
		return func(t *testing.T, s *server) {
			owner, p := s.session(t, "iago"), s.session(t, "mallory")
			owner.must(nodes, of(pubsub.NS, "<create node='den'/>"))
			do(t, p, "den")
			p.still()
			p.close()
			owner.must(nodes, of(pubsub.NSOwner, "<delete node='den'/>"))
			owner.close()
		}
	}
	return []attack{
		{"nodes without end", func(t *testing.T, s *server) {
			p := s.session(t, "mallory")
			for i := range nodeLimit {
				p.must(nodes, of(pubsub.NS, "<create node='n"+strconv.Itoa(i)+"'/>"))
			}
			answer, _ := p.asks(nodes, "set", of(pubsub.NS, "<create node='one-more'/>"))
			if refusal(answer) != "resource-constraint" || !strings.Contains(answer.raw, "<max-nodes-exceeded ") {
				t.Errorf("one node more: %s", answer.raw)
			}
			for i := range nodeLimit {
				p.must(nodes, of(pubsub.NSOwner, "<delete node='n"+strconv.Itoa(i)+"'/>"))
			}
			p.close()
		}, "stanzas_refused{resource-constraint} 1, pubsub_limited 1"},
		{"somebody else's node", inNode(func(t *testing.T, p *peer, node string) {
			for _, payload := range []string{
				publish(node, "<x xmlns='urn:example'/>"),
				of(pubsub.NSOwner, "<delete node='"+node+"'/>"),
				of(pubsub.NSOwner, "<purge node='"+node+"'/>"),
				of(pubsub.NSOwner, "<configure node='"+node+"'>"+submitted(pubsub.NS+"#node_config", 0, 0)+"</configure>"),
				of(pubsub.NSOwner, "<affiliations node='"+node+"'><affiliation jid='mallory@localhost' affiliation='owner'/></affiliations>"),
				of(pubsub.NSOwner, "<subscriptions node='"+node+"'><subscription jid='mallory@localhost' subscription='subscribed'/></subscriptions>"),
			} {
				if answer, _ := p.asks(nodes, "set", payload); refusal(answer) != "forbidden" {
					t.Errorf("%s: %s", payload, answer.raw)
				}
			}
			// Somebody else's address cannot be subscribed (XEP-0060 §6.1.3.1).
			if answer, _ := p.asks(nodes, "set", of(pubsub.NS, "<subscribe node='"+node+"' jid='romeo@localhost'/>")); refusal(answer) != "bad-request" {
				t.Errorf("subscribing somebody else: %s", answer.raw)
			}
		}), "stanzas_refused{forbidden} 6, stanzas_refused{bad-request} 1"},
		{"an item that is too large", func(t *testing.T, s *server) {
			p := s.session(t, "mallory")
			p.must(nodes, of(pubsub.NS, "<create node='large'/>"))
			answer, _ := p.asks(nodes, "set", publish("large", "<x xmlns='urn:example'>"+strings.Repeat("x", 30_000)+"</x>"))
			if refusal(answer) != "not-acceptable" || !strings.Contains(answer.raw, "<payload-too-big ") {
				t.Errorf("answered by %.500s", answer.raw)
			}
			p.must(nodes, of(pubsub.NSOwner, "<delete node='large'/>"))
			p.close()
		}, "stanzas_refused{not-acceptable} 1, pubsub_limited 1"},
		asked("a node whose name is too long", "not-acceptable", nodes, "set", of(pubsub.NS, "<create node='"+strings.Repeat("n", 5000)+"'/>")),
		asked("a form of a node with values without end", "not-acceptable", nodes, "set", of(pubsub.NS, "<create node='f'/><configure>"+
			strings.Replace(submitted(pubsub.NS+"#node_config", 0, 0), "</x>", "<field var='pubsub#roster_groups_allowed'>"+
				strings.Repeat("<value>x</value>", 3000)+"</field></x>", 1)+"</configure>")),
		{"a node of somebody else's account", func(t *testing.T, s *server) {
			owner, p := s.session(t, "iago"), s.session(t, "mallory")
			owner.must("iago@localhost", publish("urn:example:private", "<x xmlns='urn:example'>secret</x>"))
			for typ, payload := range map[string]string{
				"set": publish("urn:example:private", "<x xmlns='urn:example'>forged</x>"),
				"get": of(pubsub.NS, "<items node='urn:example:private'/>"),
			} {
				if answer, _ := p.asks("iago@localhost", typ, payload); refusal(answer) == "" || strings.Contains(answer.raw, "secret") {
					t.Errorf("%s: %s", payload, answer.raw)
				}
			}
			p.still()
			p.close()
			owner.must("iago@localhost", of(pubsub.NSOwner, "<delete node='urn:example:private'/>"))
			owner.close()
		}, "stanzas_refused{forbidden} 1, stanzas_refused{not-authorized} 1"},
		{"hashes of capabilities without end", hashesWithoutEnd, ""},
		{"a lie about a hash", lieAboutAHash, "caps_unverified 1+"},
	}
}

// hashesWithoutEnd: a client announces ever new ones and never answers what it is asked.
func hashesWithoutEnd(t *testing.T, s *server) {
	p := s.session(t, "mallory")
	for i := range 300 {
		p.send(fmt.Sprintf("<presence><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='urn:example' ver='%027d='/></presence>", i))
	}
	p.still()
	p.close()
}

// lieAboutAHash: what does not have the hash that it was announced with is believed of nobody else.
func lieAboutAHash(t *testing.T, s *server) {
	const ver = "QgayPKawpkPSDYmwT/WM94uAlu0=" // of another client: XEP-0115 §5.2
	p := s.session(t, "mallory")
	p.send("<presence><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='urn:example' ver='" + ver + "'/></presence>")
	ask, _ := p.until("question", func(e element, r *xmlstream.Reader) bool {
		return e.is(stanza.NSClient, "iq") && r.Attr("type") == "get" && strings.Contains(e.raw, "disco#info")
	})
	r := xmlstream.NewReader(ask.raw, stanza.NSClient)
	p.send("<iq type='result' id='" + r.Attr("id") + "' to='" + r.Attr("from") + "'><query xmlns='http://jabber.org/protocol/disco#info' node='urn:example#" + ver +
		"'><identity category='client' type='pc'/><feature var='urn:example:private+notify'/></query></iq>")
	p.still()
	p.close()
}
