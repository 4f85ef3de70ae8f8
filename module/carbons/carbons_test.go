// SPDX-License-Identifier: Apache-2.0

package carbons_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stonechat-im/stonechat/internal/servertest"
	"github.com/stonechat-im/stonechat/module/carbons"
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// postman gives messages to the resource that they name, as module message does, or keeps them.
type postman struct{}

func (postman) Name() string { return "postman" }

func (postman) Init(h *server.Host) error {
	h.OnArriving(server.Handle, func(t *server.Turn, u *server.User, s *stanza.Stanza) error {
		if s.Kind == stanza.Message {
			t.Deliver(u, t.Named(u, s.To.Resource()), s, false)
		}
		return server.Handled
	})
	h.OnSent(server.Handle, func(t *server.Turn, s *stanza.Stanza) error {
		if s.Kind != stanza.Presence {
			return nil
		}
		t.Origin.SetPresence(t, server.Presence{Available: s.Type == stanza.Available})
		return server.Handled
	})
	return nil
}

// wire is a client.
type wire struct{ *servertest.Peer }

func (w *wire) send(t *testing.T, element string) {
	t.Helper()
	w.Send(element)
}

// got is what came since it was last called.
func (w *wire) got() string { return strings.Join(w.Got(), "") }

// open starts a server for a@d and b@d; bind makes a session of one.
func open(t *testing.T) (bind func(account, resource string) *wire) {
	t.Helper()
	m := carbons.New()
	m.Archived(func(_ *server.Turn, s *stanza.Stanza) string {
		if s.Has("u:x", "archived") {
			return "row"
		}
		return ""
	})
	s := servertest.Start(t, servertest.Options{Modules: func() []server.Module { return []server.Module{m, postman{}} }})
	s.Account("a@d")
	s.Account("b@d")
	return func(account, resource string) *wire { return &wire{s.Client(account + "/" + resource)} }
}

const enable = "<iq type='set' id='e'><enable xmlns='urn:xmpp:carbons:2'/></iq>"

// TestArchived: the sender's other sessions are told where the message is in their archive, its receiver is not.
func TestArchived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bind := open(t)
		a, home, b := bind("a@d", "1"), bind("a@d", "home"), bind("b@d", "1")
		home.send(t, enable)
		home.got()
		const id = "<stanza-id xmlns='urn:xmpp:sid:0' by='a@d' id='row'/>"
		a.send(t, "<message to='b@d/1' type='chat'><body>1</body><archived xmlns='u:x'/></message>")
		if got := home.got(); !strings.Contains(got, "<body>1</body>") || strings.Count(got, id) != 1 {
			t.Errorf("another session got %s", got)
		}
		a.send(t, "<message to='b@d/1' type='chat'><body>2</body></message>")
		if got := home.got() + b.got(); !strings.Contains(got, "<body>2</body>") || strings.Contains(got, "stanza-id") {
			t.Errorf("others got %s", got)
		}
	})
}

// TestRules: what is copied of what is sent, and of what is received.
func TestRules(t *testing.T) {
	const (
		body    = "<body>hi</body>"
		other   = "<x xmlns='u:x'/>"
		room    = "<x xmlns='http://jabber.org/protocol/muc#user'/>"
		invite  = "<x xmlns='http://jabber.org/protocol/muc#user'><invite to='c@d'/></x>"
		decline = "<x xmlns='http://jabber.org/protocol/muc#user'><decline to='c@d'/></x>"
		direct  = "<x xmlns='jabber:x:conference' jid='r@rooms.d'/>"
		receipt = "<received xmlns='urn:xmpp:receipts' id='1'/>"
		state   = "<active xmlns='http://jabber.org/protocol/chatstates'/>"
		marker  = "<displayed xmlns='urn:xmpp:chat-markers:0' id='1'/>"
		private = "<private xmlns='urn:xmpp:carbons:2'/>"
		noCopy  = "<no-copy xmlns='urn:xmpp:hints'/>"
	)
	synctest.Test(t, func(t *testing.T) {
		bind := open(t)
		a, home, b, garden := bind("a@d", "1"), bind("a@d", "home"), bind("b@d", "1"), bind("b@d", "garden")
		for _, w := range []*wire{a, home, b, garden} { // who sends or gets it is not given a copy for having asked
			w.send(t, enable)
			w.got()
		}
		for _, c := range []struct {
			typ, content   string
			sent, received bool
		}{
			{"chat", body, true, true},
			{"chat", "", true, true},
			{"chat", other, true, true},
			{"normal", body, true, true},
			{"normal", "", false, false},
			{"normal", other, false, false},
			{"normal", receipt, true, true},
			{"normal", state, true, true},
			{"normal", marker, true, true},
			{"normal", direct, true, true},
			{"normal", other + direct, true, true},
			{"normal", invite, true, true},
			{"normal", decline, true, false}, // to an occupant; XEP-0045 sends it to the room
			{"normal", room, true, false},
			{"normal", room + body, true, false},
			{"chat", room + body, true, false},
			{"chat", room + direct, true, false},
			{"headline", body, false, false},
			{"headline", receipt, true, true},
			{"groupchat", body, false, false},
			{"groupchat", body + receipt + direct, false, false},
			{"error", body, false, false},
			{"chat", body + private, false, false},
			{"chat", body + noCopy, false, false},
			{"chat", body + private + noCopy, false, false},
			{"normal", invite + private, false, false},
			{"chat", "<private xmlns='u:x'/>" + body, true, true},
			{"normal", "<body xmlns='u:x'/>", false, false},
			{"normal", "<x xmlns='u:x'><body xmlns='jabber:client'/></x>", false, false},
		} {
			a.send(t, "<message to='b@d/1' type='"+c.typ+"'>"+c.content+"</message>")
			name := c.typ + " " + c.content
			if got := home.got(); (got != "") != c.sent || c.sent && !strings.Contains(got, "<sent xmlns='urn:xmpp:carbons:2'>") {
				t.Errorf("sent %s: %q", name, got)
			}
			if got := garden.got(); (got != "") != c.received || c.received && !strings.Contains(got, "<received xmlns='urn:xmpp:carbons:2'>") {
				t.Errorf("received %s: %q", name, got)
			}
			if got := a.got(); got != "" {
				t.Errorf("%s came back: %s", name, got)
			}
			if got := b.got(); strings.Contains(got, "<forwarded") {
				t.Errorf("%s came with a copy: %s", name, got)
			}
		}
	})
}

// TestErrorOf: the errors of messages that were copied are copied, in both directions, while they are remembered.
func TestErrorOf(t *testing.T) {
	const failed = "<error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>"
	synctest.Test(t, func(t *testing.T) {
		bind := open(t)
		a, home, b, garden := bind("a@d", "1"), bind("a@d", "home"), bind("b@d", "1"), bind("b@d", "garden")
		home.send(t, enable)
		garden.send(t, enable)
		message := func(id string) {
			t.Helper()
			a.send(t, "<message to='b@d/1' type='chat' id='"+id+"'><body>hi</body></message>")
			home.got()
			garden.got()
		}
		for _, c := range []struct {
			id, to string
			copied bool
		}{
			{"1", "a@d/1", true},
			{"1", "a@d", false}, // as dropped as its original
			{"2", "a@d/1", false},
			{"", "a@d/1", false},
		} {
			message("1")
			b.send(t, "<message to='"+c.to+"' type='error' id='"+c.id+"'>"+failed)
			if got := home.got(); (got != "") != c.copied {
				t.Errorf("received %+v: %q", c, got)
			}
			if got := garden.got(); (got != "") != (c.copied || c.id == "1") {
				t.Errorf("sent %+v: %q", c, got)
			}
		}
		for i := range 64 {
			message("more" + strconv.Itoa(i))
		}
		for id, copied := range map[string]bool{"1": false, "more0": true, "more63": true} {
			b.send(t, fmt.Sprintf("<message to='a@d/1' type='error' id='%s'>%s", id, failed))
			if got := home.got(); (got != "") != copied {
				t.Errorf("error of %s: %q", id, got)
			}
		}
	})
}

// TestWhoWants: a session that has ended wants nothing any more, and what nobody takes is copied to available ones.
func TestWhoWants(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bind := open(t)
		a, one, two := bind("a@d", "1"), bind("b@d", "1"), bind("b@d", "2")
		one.send(t, enable)
		two.send(t, enable)
		one.send(t, "<presence/>")
		one.got()
		two.got()
		a.send(t, "<message to='b@d' type='chat'><body>hi</body></message>")
		if got := one.got(); strings.Count(got, "<received") != 1 {
			t.Errorf("available: %q", got)
		}
		if got := two.got(); got != "" {
			t.Errorf("not available: %q", got)
		}
		one.End()
		a.send(t, "<message to='b@d/2' type='chat'><body>hi</body></message>")
		if got := one.got(); got != "" {
			t.Errorf("ended: %q", got)
		}
		if got := two.got(); strings.Contains(got, "<received") || !strings.Contains(got, "hi") {
			t.Errorf("addressed: %q", got)
		}
	})
}
