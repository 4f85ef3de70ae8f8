// SPDX-License-Identifier: Apache-2.0

package main

// How to read this file: a bed is the server with all its modules on a real store, without sockets;
// a peer is a client on a stream in memory; the spy sees what arrives for accounts. Tests run in
// bubbles of testing/synctest: settle means that everything has been done, commits included.

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stonechat-im/stonechat/config"
	"github.com/stonechat-im/stonechat/internal/servertest"
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

type bed struct {
	*servertest.Server
	t    *testing.T
	spy  *spy
	mods []server.Module
}

// newBed starts a server of the domains d and e; more is further configuration.
func newBed(t *testing.T, more string) *bed {
	t.Helper()
	return newBedOf(t, more, func(mods []server.Module) []server.Module { return mods })
}

// newBedOf is newBed with other modules.
func newBedOf(t *testing.T, more string, change func([]server.Module) []server.Module) *bed {
	t.Helper()
	c, err := config.Parse("test.yaml", []byte("domains: [d, e]\n"+more))
	if err != nil {
		t.Fatal(err)
	}
	mods, err := modules(c)
	if err != nil {
		t.Fatal(err)
	}
	limits := serverLimits(c)
	b := &bed{t: t, spy: new(spy), mods: change(mods)}
	b.Server = servertest.Start(t, servertest.Options{
		Domains: c.Domains, Limits: &limits, Modules: func() []server.Module { return append([]server.Module{b.spy}, b.mods...) },
	})
	return b
}

// bind makes a session.
func (b *bed) bind(address string) *peer {
	b.t.Helper()
	return &peer{b.Client(address), b}
}

// online binds a session that asks for the roster and becomes available; what it is sent is forgotten.
func (b *bed) online(address string) *peer {
	b.t.Helper()
	p := b.bind(address)
	p.Send("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq><presence/>")
	p.Got()
	return p
}

// from routes a stanza as if its sender's server had sent it.
func (b *bed) from(xml string) {
	b.t.Helper()
	s, err := stanza.Parse([]byte(xml))
	if err != nil {
		b.t.Fatal(err)
	}
	t := b.NewTurn()
	t.Route(s)
	t.End()
	synctest.Wait()
}

// item is a contact as it is stored, its zero value where there is none.
func (b *bed) item(account, contact jid.JID) store.RosterItem {
	b.t.Helper()
	r, err := b.Disk.Roster(b.t.Context(), account)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, it := range r.Items {
		if it.Contact == contact {
			return it
		}
	}
	return store.RosterItem{}
}

// waiting is how many messages wait for an account.
func (b *bed) waiting(account jid.JID) int {
	b.t.Helper()
	n, _, err := b.Disk.SpoolSize(b.t.Context(), account)
	if err != nil {
		b.t.Fatal(err)
	}
	return n
}

// peer is a client.
type peer struct {
	*servertest.Peer
	b *bed
}

// gets compares what the client was sent, in order, each by parts of it that spaces separate.
func (p *peer) gets(wants ...string) {
	p.b.t.Helper()
	got := p.Got()
	ok := len(got) == len(wants)
	for i := 0; ok && i < len(wants); i++ {
		ok = matches(got[i], wants[i])
	}
	if !ok {
		p.b.t.Errorf("%s got\n\t%s\nwant\n\t%s", p.Session.JID, strings.Join(got, "\n\t"), strings.Join(wants, "\n\t"))
	}
}

func matches(xml, parts string) bool {
	for part := range strings.FieldsSeq(parts) {
		if !strings.Contains(xml, part) {
			return false
		}
	}
	return true
}

// spy is a module that notes what arrives for accounts.
type spy struct {
	mu   sync.Mutex
	seen []string
}

func (*spy) Name() string { return "spy" }

func (y *spy) Init(h *server.Host) error {
	h.OnArriving(server.Guard, func(_ *server.Turn, _ *server.User, s *stanza.Stanza) error {
		y.mu.Lock()
		y.seen = append(y.seen, string(s.Append(nil, "")))
		y.mu.Unlock()
		return nil
	})
	return nil
}

// saw reports whether such a stanza has arrived since take.
func (y *spy) saw(parts string) bool {
	y.mu.Lock()
	defer y.mu.Unlock()
	return slices.ContainsFunc(y.seen, func(s string) bool { return matches(s, parts) })
}

func (y *spy) forget() {
	y.mu.Lock()
	y.seen = nil
	y.mu.Unlock()
}

// rounds are how often chance is tried.
func rounds(n int) int {
	if testing.Short() {
		return n / 5
	}
	return n
}
