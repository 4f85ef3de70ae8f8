// SPDX-License-Identifier: Apache-2.0

package mam

// How to read this file: a bench is a server for d on a real store with this module and a postman, the least that a server
// needs to deliver messages. A peer is a client: what it sends and what it got. Tests run in bubbles of testing/synctest.

import (
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stonechat-im/stonechat/internal/servertest"
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/sm"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

type bench struct {
	*servertest.Server
	m        *Module
	config   Config
	contacts contacts
}

// contacts are pairs "a@d b@d": b is a contact of a.
type contacts map[string]bool

func (contacts) Ready(*server.User) bool { return true }

func (c contacts) Item(u *server.User, contact jid.JID) (store.RosterItem, error) {
	return store.RosterItem{Contact: contact, Hidden: !c[u.JID.String()+" "+contact.String()]}, nil
}

// usual is the configuration that most tests want.
func usual() Config {
	return Config{Default: "always", Page: 250, PageBytes: 256 << 10, ScanRows: 1000, QueueBytes: 1 << 20, Preferences: 10, FullText: true, RetractWithin: 100,
		Retractions: 100, QueryWords: 32, QueryIDs: 250, Remembered: 1000}
}

// inBubble runs a test where time stands still while anything is to be done.
func inBubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

func newBench(t testing.TB, c Config, accounts string) *bench {
	t.Helper()
	b := &bench{config: c, contacts: contacts{}}
	b.Server = servertest.Start(t, servertest.Options{Modules: func() []server.Module {
		b.m = New(b.config, b.contacts)
		return []server.Module{postman{}, b.m}
	}})
	b.Disk.Topic = "archive"
	for _, a := range strings.Fields(accounts) {
		b.Account(a + "@d")
	}
	return b
}

func account(name string) jid.JID { return jid.MustParse(name + "@d") }

// restart is what an operator does.
func (b *bench) restart(c Config) {
	b.config = c
	b.Restart()
	b.Disk.Topic = "archive"
}

// peer is a client.
type peer struct{ *servertest.Peer }

// bind binds a session, "a/r", that takes no messages yet.
func (b *bench) bind(address string) *peer {
	b.T.Helper()
	name, resource, _ := strings.Cut(address, "/")
	return &peer{b.Client(name + "@d/" + resource)}
}

// online binds one that does; managed one with stream management.
func (b *bench) online(address string) *peer {
	b.T.Helper()
	p := b.bind(address)
	p.Send("<presence/>")
	return p
}

func (b *bench) managed(address string) *peer {
	b.T.Helper()
	p := b.bind(address)
	p.Session.Manage(time.Minute)
	p.Send("<presence/>")
	return p
}

// acked checks that the last that the client was sent is an ack of so many stanzas.
func (p *peer) acked(h string) {
	p.Server.T.Helper()
	if got := p.Got(); len(got) == 0 || !strings.HasSuffix(got[len(got)-1], " h='"+h+"'/>") {
		p.Server.T.Errorf("%s got %s, want an ack of %s", p.Session.JID, got, h)
	}
}

// postman gives messages to whom they are for, spools them where there is nobody, takes presence and the elements of stream
// management.
type postman struct{}

func (postman) Name() string { return "postman" }

func (postman) Init(h *server.Host) error {
	h.OnSent(server.Handle, func(t *server.Turn, s *stanza.Stanza) error {
		if s.Kind != stanza.Presence || !s.To.IsZero() {
			return nil
		}
		t.Origin.SetPresence(t, server.Presence{Available: s.Type == stanza.Available})
		return server.Handled
	})
	h.OnArriving(server.Handle, func(t *server.Turn, u *server.User, s *stanza.Stanza) error {
		switch {
		case s.Kind != stanza.Message || !u.Exists():
			return nil
		case s.Type == stanza.TypeError:
			t.Deliver(u, t.Named(u, s.To.Resource()), s, false)
			return server.Handled
		}
		if s.To.IsFull() {
			if to := t.Named(u, s.To.Resource()); len(to) > 0 && t.Deliver(u, to, s, true) {
				return server.Handled
			}
			if s.Type == stanza.Normal {
				return stanza.ServiceUnavailable.Err("")
			}
		}
		if to := t.Takers(u); len(to) > 0 && t.Deliver(u, to, s, true) {
			return server.Handled
		}
		if s.Type == stanza.Headline || s.Type == stanza.Groupchat {
			return server.Handled
		}
		if err := t.Spool(u, s); err != nil {
			return err
		}
		return server.Handled
	})
	h.Element(xmlstream.Name{Space: sm.NS, Local: "r"}, func(t *server.Turn, _ server.Stream, se *server.Session, _ *xmlstream.Element) error {
		se.Requested(t)
		return nil
	})
	h.Element(xmlstream.Name{Space: sm.NS, Local: "a"}, func(t *server.Turn, _ server.Stream, se *server.Session, e *xmlstream.Element) error {
		n, _ := sm.HOf(e)
		return se.Acked(t, n)
	})
	return nil
}

const ask = "<r xmlns='urn:xmpp:sm:3'/>"

// chat is a message with a number.
func chat(to, id string) string {
	return "<message to='" + to + "' type='chat' id='" + id + "'><body>text " + id + "</body></message>"
}

// query asks for the messages that the fields and the set say.
func query(id, rest string) string {
	return "<iq type='set' id='" + id + "'><query xmlns='urn:xmpp:mam:2' queryid='q" + id + "'>" + rest + "</query></iq>"
}

// fields is the form of a query: name, value, …
func fields(pairs ...string) string {
	b := strings.Builder{}
	b.WriteString("<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>urn:xmpp:mam:2</value></field>")
	for i := 0; i < len(pairs); i += 2 {
		b.WriteString("<field var='" + pairs[i] + "'><value>" + pairs[i+1] + "</value></field>")
	}
	return b.String() + "</x>"
}

// set is a page of XEP-0059.
func set(inside string) string {
	return "<set xmlns='http://jabber.org/protocol/rsm'>" + inside + "</set>"
}

// page asks, and returns the ids of the messages that come, as their senders gave them, and of the rows, and the answer.
func (p *peer) page(rest string) (messages, rows []string, fin string) {
	p.Server.T.Helper()
	p.Got()
	p.Send(query("p", rest))
	all := p.Got()
	if len(all) == 0 || !strings.HasPrefix(all[len(all)-1], "<iq") {
		p.Server.T.Fatalf("no answer: %s", all)
	}
	for _, r := range all[:len(all)-1] {
		x := regexp.MustCompile(`<result xmlns='urn:xmpp:mam:2' queryid='qp' id='([A-Za-z0-9_-]{22})'><forwarded .*<message [^>]* id='(\w+)'`).FindStringSubmatch(r)
		if x == nil {
			p.Server.T.Fatalf("no result: %s", r)
		}
		rows, messages = append(rows, x[1]), append(messages, x[2])
	}
	return messages, rows, all[len(all)-1]
}

// wants checks which messages a query finds.
func (p *peer) wants(rest, want string) (rows []string) {
	p.Server.T.Helper()
	messages, rows, fin := p.page(rest)
	if got := strings.Join(messages, " "); got != want {
		p.Server.T.Errorf("%s: %s found %q, want %q; %s", p.Session.JID, rest, got, want, fin)
	}
	return rows
}
