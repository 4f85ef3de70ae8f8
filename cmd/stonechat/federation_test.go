// SPDX-License-Identifier: Apache-2.0

package main

// How to read this file: two whole servers in one process, of a.test and b.test, know where the other one is and believe
// dialback. A person is a client of one of them, who notes what he hears.

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/client"
	"github.com/stonechat-im/stonechat/config"
	"github.com/stonechat-im/stonechat/server/s2s"
	"github.com/stonechat-im/stonechat/xmpp/disco"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/muc"
	"github.com/stonechat-im/stonechat/xmpp/ping"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// startTwo starts both servers.
func startTwo(t *testing.T) (a, b *instance) {
	t.Helper()
	startOne := func(domain string) *instance {
		c, err := config.Parse("test.yaml", fmt.Appendf(nil, `
domains: [%s]
data: %s
listen: {client: ["127.0.0.1:0"], client_tls: [], server: ["127.0.0.1:0"], server_tls: [], http: [], https: [], metrics: []}
federation: {certificates: preferred}
log: {level: error}
`, domain, t.TempDir()))
		if err != nil {
			t.Fatal(err)
		}
		in, err := start(c, "auto")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := in.stop(); err != nil {
				t.Error(err)
			}
		})
		return in
	}
	a, b = startOne("a.test"), startOne("b.test")
	know := func(in, other *instance) {
		p := policy(in.config)
		for _, name := range []string{"", "conference.", "pubsub."} {
			p.Domains[name+other.config.Domains[0]] = s2s.Peer{Connect: other.address("server")}
		}
		in.servers.Set(p, federationLimits(in.config))
	}
	know(a, b)
	know(b, a)
	return a, b
}

// person is a client of a server.
type person struct {
	*client.Client
	t     *testing.T
	heard chan string
	more  []string // heard, and not asked for
}

func (in *instance) person(t *testing.T, name string) *person {
	t.Helper()
	account := jid.MustParse(name + "@" + in.config.Domains[0])
	_ = in.server.CreateAccount(t.Context(), account, "secret") // it may be there
	c := client.Config{Account: account, Password: "secret", Address: in.address("client")}
	if err := c.Trust(filepath.Join(in.config.Data, "tls", "self-signed.crt")); err != nil {
		t.Fatal(err)
	}
	p := &person{t: t, heard: make(chan string, 1000)}
	var err error
	if p.Client, err = client.New(c); err != nil {
		t.Fatal(err)
	}
	hear := func(_ context.Context, s *stanza.Stanza) { p.heard <- string(s.Append(nil, "")) }
	p.Handle(stanza.Message, xmlstream.Name{}, hear)
	p.Handle(stanza.Presence, xmlstream.Name{}, hear)
	p.HandleErrors(hear)
	if err := p.Announce(t.Context(), client.Availability{}); err != nil {
		t.Fatal(err)
	}
	if err := p.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	if _, err := p.Roster(t.Context()); err != nil { // who asks for it is told of subscriptions
		t.Fatal(err)
	}
	return p
}

// hears waits for a stanza with all the words.
func (p *person) hears(words ...string) string {
	p.t.Helper()
	has := func(text string) bool {
		for _, w := range words {
			if !strings.Contains(text, w) {
				return false
			}
		}
		return true
	}
	for i, text := range p.more {
		if has(text) {
			p.more = append(p.more[:i], p.more[i+1:]...)
			return text
		}
	}
	for timeout := time.After(time.Minute); ; {
		select {
		case text := <-p.heard:
			if has(text) {
				return text
			}
			p.more = append(p.more, text)
		case <-timeout:
			p.t.Fatalf("%s does not hear %q, but %q", p.JID(), words, p.more)
		}
	}
}

func (p *person) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

// The life of a subscription between contacts at two servers: RFC 6121 §3 and §4, by remote contacts.
func TestRemoteContacts(t *testing.T) {
	a, b := startTwo(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	romeo := a.person(t, "romeo")
	julietAt := jid.MustParse("juliet@b.test")
	romeoAt := jid.MustParse("romeo@a.test")

	// Asked while she is away, the request waits for her (§3.1.3).
	first := b.person(t, "juliet")
	first.must(first.Close())
	romeo.must(romeo.Subscribe(ctx, julietAt))
	romeo.must(romeo.Sync(ctx))
	juliet := b.person(t, "juliet")
	juliet.hears("type='subscribe'", "from='romeo@a.test'")
	juliet.must(juliet.Approve(ctx, romeoAt))
	romeo.hears("type='subscribed'", "from='juliet@b.test'")
	romeo.hears("<presence", "from='juliet@b.test/") // her presence comes by itself (§3.1.5)

	// The other way, answered while both are here.
	juliet.must(juliet.Subscribe(ctx, romeoAt))
	romeo.hears("type='subscribe'", "from='juliet@b.test'")
	romeo.must(romeo.Approve(ctx, julietAt))
	juliet.hears("type='subscribed'", "from='romeo@a.test'")
	juliet.hears("<presence", "from='romeo@a.test/")

	// What changes is told (§4.4), the end of a session too (§4.5).
	juliet.must(juliet.Announce(ctx, client.Availability{Show: "dnd"}))
	romeo.hears("from='juliet@b.test/", "<show>dnd</show>")
	juliet.must(juliet.Close())
	romeo.hears("type='unavailable'", "from='juliet@b.test/")

	// Who comes probes his contacts elsewhere (§4.3), and is told of by presence.
	juliet = b.person(t, "juliet")
	juliet.hears("<presence", "from='romeo@a.test/")
	romeo.hears("<presence", "from='juliet@b.test/")

	// Messages, to an account and to a device, and to one who is away.
	juliet.must(juliet.Send(ctx, stanza.Text(stanza.Chat, romeo.JID(), "to a device")))
	romeo.hears("to a device", "from='"+juliet.JID().String()+"'")
	romeo.must(romeo.Send(ctx, stanza.Text(stanza.Chat, julietAt, "to an account")))
	juliet.hears("to an account")
	juliet.must(juliet.Close())
	romeo.hears("type='unavailable'", "from='juliet@b.test/")
	romeo.must(romeo.Send(ctx, stanza.Text(stanza.Chat, julietAt, "while she was away")))
	romeo.must(romeo.Sync(ctx))
	juliet = b.person(t, "juliet")
	juliet.hears("while she was away")

	// The end of it (§3.2, §3.3): she is seen no more.
	juliet.must(juliet.Revoke(ctx, romeoAt))
	romeo.hears("type='unsubscribed'", "from='juliet@b.test'")
	romeo.hears("type='unavailable'", "from='juliet@b.test/")
	romeo.must(romeo.RemoveContact(ctx, julietAt))
	juliet.hears("type='unsubscribed'", "from='romeo@a.test'")
}

// What is no contact: errors, requests, directed presence, rooms.
func TestRemoteStrangers(t *testing.T) {
	a, b := startTwo(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	romeo, juliet := a.person(t, "romeo"), b.person(t, "juliet")

	romeo.must(romeo.Send(ctx, stanza.Text(stanza.Chat, jid.MustParse("nobody@b.test"), "hi")))
	romeo.hears("type='error'", "from='nobody@b.test'", "service-unavailable")
	if _, err := romeo.IQ(ctx, jid.MustParse("b.test"), stanza.Get, &ping.Ping{}); err != nil {
		t.Error(err)
	}
	var info disco.Info
	if err := romeo.Ask(ctx, jid.MustParse("conference.b.test"), &disco.Info{}, &info); err != nil || len(info.Features) == 0 {
		t.Errorf("%v, %v", info.Features, err)
	}

	// Directed presence goes there, and so does its end with the session (RFC 6121 §4.6).
	romeo.must(romeo.Send(ctx, stanza.New(stanza.Presence, stanza.Available, juliet.JID())))
	juliet.hears("<presence", "from='"+romeo.JID().String()+"'")
	from := romeo.JID().String()
	romeo.must(romeo.Close())
	juliet.hears("type='unavailable'", "from='"+from+"'")

	// A room there, entered from here, and left by the end of a session.
	romeo = a.person(t, "romeo")
	room := jid.MustParse("hall@conference.b.test")
	join := func(p *person, nick string) {
		t.Helper()
		to, err := room.WithResource(nick)
		p.must(err)
		p.must(p.Send(ctx, stanza.New(stanza.Presence, stanza.Available, to, &muc.Join{})))
		p.hears("<presence", "from='hall@conference.b.test/"+nick+"'", "code='110'")
	}
	join(juliet, "juliet")
	instant := &stanza.Raw{Bytes: []byte("<query xmlns='" + muc.NSOwner + "'><x xmlns='jabber:x:data' type='submit'/></query>")}
	_, err := juliet.IQ(ctx, room, stanza.Set, instant)
	juliet.must(err)
	join(romeo, "romeo")
	romeo.must(romeo.Send(ctx, stanza.Text(stanza.Groupchat, room, "from elsewhere")))
	juliet.hears("from elsewhere", "from='hall@conference.b.test/romeo'")
	romeo.hears("from elsewhere", "from='hall@conference.b.test/romeo'")
	romeo.must(romeo.Close())
	juliet.hears("type='unavailable'", "from='hall@conference.b.test/romeo'")
}
