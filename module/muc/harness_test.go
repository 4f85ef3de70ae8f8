// SPDX-License-Identifier: Apache-2.0

package muc

// How to read this file: a bench is a server for d on a real store with this module and a postman, the least that a
// server needs to bring stanzas to sessions. A peer is a client: what it sends and what it got. Tests run in bubbles of
// testing/synctest, so that after send all has been done that comes of it.

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stonechat-im/stonechat/internal/servertest"
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/server/adhoc"
	"github.com/stonechat-im/stonechat/xmpp/command"
	"github.com/stonechat-im/stonechat/xmpp/muc"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

type bench struct {
	*servertest.Server
	m *Module
}

// usual is the configuration that most tests want.
func usual() Config {
	return Config{
		Host: "rooms", Create: "anyone", MaxRooms: 1000, MaxRoomsPerCreator: 1000, MaxOccupants: 50, MaxAffiliations: 50, MaxHistory: 10,
		MessageBytes: 4096, PresenceBytes: 1024, NickBytes: 30, TextBytes: 300, VCardBytes: 2048, MaxHats: 2, MaxRequests: 3, RequestAgain: time.Minute, MaxQuestions: 10,
		Registration: true,
		Default:      Default{Public: true, History: 5},
	}
}

// inBubble runs a test where time stands still while anything is to be done.
func inBubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

func newBench(t testing.TB, c Config, accounts string) *bench {
	t.Helper()
	return newBenchWith(t, c, nil, accounts)
}

// newBenchWith is newBench with an archive.
func newBenchWith(t testing.TB, c Config, a Archive, accounts string) *bench {
	t.Helper()
	b := new(bench)
	b.Server = servertest.Start(t, servertest.Options{Modules: func() []server.Module {
		b.m = New(c, a, adhoc.NewLeader(adhoc.Bounds{Sessions: 100, OfOne: 10, Expire: time.Minute}, func(int) {}))
		return []server.Module{b.m, postman{b}}
	}})
	for _, a := range strings.Fields(accounts) {
		b.Account(a + "@d")
	}
	return b
}

// postman brings what is for a session to it, and what is for an account to its first one. The end of a session it
// tells the rooms.
type postman struct{ b *bench }

func (postman) Name() string { return "postman" }

func (p postman) Init(h *server.Host) error {
	h.OnArriving(server.Handle, func(t *server.Turn, u *server.User, s *stanza.Stanza) error {
		to := u.Sessions(nil)
		if s.To.IsFull() {
			to = slices.Clone(t.Named(u, s.To.Resource()))
		}
		switch {
		case s.Kind == stanza.IQ:
			return nil
		case len(to) == 0 && s.Kind == stanza.Message && u.Exists():
			return server.Handled // as if it were stored
		case len(to) == 0:
			return stanza.ServiceUnavailable.Err("")
		}
		t.Deliver(u, to[:1], s, false)
		return server.Handled
	})
	h.Ended = func(t *server.Turn, se *server.Session, _ server.Presence) {
		for _, r := range p.b.m.table.all() {
			s := unavailable()
			s.From, s.To = se.JID, r.jid
			t.Route(s)
			p.b.m.release(t, r)
		}
	}
	return nil
}

// peer is a client.
type peer struct {
	*servertest.Peer
	id int
}

// bind makes a session: "a/r".
func (b *bench) bind(address string) *peer {
	b.T.Helper()
	account, resource, _ := strings.Cut(address, "/")
	return &peer{Peer: b.Client(account + "@d/" + resource)}
}

var condition = regexp.MustCompile(`<error type='(\w+)'><([a-z-]+) `)

// ask sends a request and returns what is wrong with it, "" for nothing; what else came is forgotten.
func (p *peer) ask(typ, to, payload string) (wrong string) {
	p.Server.T.Helper()
	p.id++
	id := fmt.Sprint("ask", p.id)
	p.Send(fmt.Sprintf("<iq type='%s' id='%s' to='%s'>%s</iq>", typ, id, to, payload))
	for _, x := range p.Got() {
		if !strings.HasPrefix(x, "<iq") || !strings.Contains(x, "id='"+id+"'") {
			continue
		}
		if m := condition.FindStringSubmatch(x); m != nil {
			return m[2]
		}
		return ""
	}
	p.Server.T.Fatalf("%s got no answer to %s", p.Session.JID, payload)
	return ""
}

// must is ask that goes well.
func (p *peer) must(typ, to, payload string) {
	p.Server.T.Helper()
	if wrong := p.ask(typ, to, payload); wrong != "" {
		p.Server.T.Fatalf("%s: %s: %s", p.Session.JID, payload, wrong)
	}
}

// tell sends a stanza and returns what is wrong with it, as ask does.
func (p *peer) tell(s string) (wrong string) {
	p.Server.T.Helper()
	p.Send(s)
	for _, x := range p.Got() {
		if m := condition.FindStringSubmatch(x); m != nil && strings.Contains(x, "type='error'") {
			wrong = m[2]
		}
	}
	return wrong
}

// Requests, by the words of XEP-0045.

func enter(room, nick string) string {
	return "<presence to='" + room + "/" + nick + "'><x xmlns='" + muc.NS + "'/></presence>"
}

func leave(room, nick string) string {
	return "<presence type='unavailable' to='" + room + "/" + nick + "'/>"
}

func admin(items string) string { return "<query xmlns='" + muc.NSAdmin + "'>" + items + "</query>" }

func role(nick, role string) string {
	return admin("<item nick='" + nick + "' role='" + role + "'/>")
}

func affiliation(user, affiliation string) string {
	return admin("<item jid='" + user + "' affiliation='" + affiliation + "'/>")
}

func configuration(pairs ...string) string {
	x := "<query xmlns='" + muc.NSOwner + "'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>" + muc.FormConfig + "</value></field>"
	for i := 0; i < len(pairs); i += 2 {
		x += "<field var='" + pairs[i] + "'>"
		for v := range strings.SplitSeq(pairs[i+1], " ") {
			x += "<value>" + v + "</value>"
		}
		x += "</field>"
	}
	return x + "</x></query>"
}

// room makes a room with options, by p as its owner under that nick.
func (p *peer) room(room, nick string, options ...string) {
	p.Server.T.Helper()
	p.Send(enter(room, nick))
	p.must("set", room, configuration(options...))
	p.Got()
}

// guest sends a stanza as somebody of another server would, who reads nothing.
func (b *bench) guest(from, s string) {
	b.T.Helper()
	t := b.NewTurn()
	b.NewInlet(idle{}).Receive(t, b.elsewhere(from, s))
	t.End()
	synctest.Wait()
}

// elsewhere is a presence as its sender's server sends it.
func (b *bench) elsewhere(from, s string) *stanza.Stanza {
	b.T.Helper()
	x, err := stanza.Parse([]byte(strings.Replace(s, "<presence ", "<presence xmlns='jabber:client' from='"+from+"' ", 1)))
	if err != nil {
		b.T.Fatal(err)
	}
	return x
}

// idle is a reader that is not stopped.
type idle struct{}

func (idle) Pause()  {}
func (idle) Resume() {}

// hats is a command about hats, with the fields of its form.
func hats(node string, pairs ...string) string {
	x := "<command xmlns='" + command.NS + "' node='" + node + "' action='execute'><x xmlns='jabber:x:data' type='submit'>"
	for i := 0; i < len(pairs); i += 2 {
		x += "<field var='" + pairs[i] + "'><value>" + pairs[i+1] + "</value></field>"
	}
	return x + "</x></command>"
}

func newHat(uri string) string { return hats(hatCreate, hatTitle, "A hat", hatURI, uri) }

func wear(user, uri string) string { return hats(hatAssign, hatJID, user, hatURI, uri) }
