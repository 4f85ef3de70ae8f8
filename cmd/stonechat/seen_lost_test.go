// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stonechat-im/stonechat/client"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/ping"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// TestSeenLost: a session whose connection breaks is away at once, although it could still be resumed; one that is resumed is
// there again.
func TestSeenLost(t *testing.T) {
	in := started(t, "modules: {seen: {settle: 10ms}}\n")
	account := jid.MustParse("meter@d.test")
	if err := in.server.CreateAccount(t.Context(), account, "made by the thing"); err != nil {
		t.Fatal(err)
	}
	c := in.at(t, account.String())
	var mu sync.Mutex
	var conns []net.Conn
	c.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		mu.Lock()
		defer mu.Unlock()
		conns = append(conns, conn)
		return conn, err
	}
	drop := func() {
		mu.Lock()
		defer mu.Unlock()
		for _, conn := range conns {
			_ = conn.Close()
		}
		conns = nil
	}
	c.BackoffMin, c.BackoffMax = time.Millisecond, 10*time.Millisecond
	cl, err := client.Dial(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	becomes := func(state store.SeenState, reason string) {
		t.Helper()
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		var s store.Seen
		for limit := time.After(time.Minute); ; {
			select {
			case <-tick.C:
				if s, err = in.store.Seen(t.Context(), account); err == nil && s.State == state && s.Reason == reason {
					return
				}
			case <-limit:
				t.Fatalf("it is %+v, %v, want %s %s", s, err, state, reason)
			}
		}
	}
	becomes(store.Online, "")
	cl.Sleep() // it lets go of the connection and keeps the session
	becomes(store.Offline, "lost")
	cl.Wake()
	becomes(store.Online, "")
	drop() // and comes back by itself, to ask
	if _, err := cl.IQ(t.Context(), account.Host(), stanza.Get, &ping.Ping{}); err != nil {
		t.Fatal(err)
	}
	becomes(store.Online, "")
	if err := cl.Close(); err != nil {
		t.Fatal(err)
	}
	becomes(store.Offline, "closed")
}

// TestSeenWords: an owner asks which of his things are away, and hears of nobody else's.
func TestSeenWords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newSeenBed(t, "")
		juliet, romeo := b.Account("juliet@d"), b.Account("romeo@d")
		for name, x := range map[string]store.Thing{
			"lamp": {Owner: juliet, Groups: []string{"hall 1"}}, "pump": {Owner: juliet, Label: "cellar pump"}, "door": {Owner: romeo},
		} {
			x.ThingName = store.ThingName{JID: b.Account(name + "@d")}
			if err := b.Disk.Commit(store.RegisterThing{Thing: x}).Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		lamp := b.online("lamp@d/r")
		b.online("door@d/r")
		p := b.online("juliet@d/r")
		say := func(words string) string {
			t.Helper()
			p.Got()
			p.Send("<message to='things.d' type='chat'><body>" + words + "</body></message>")
			synctest.Wait()
			return strings.Join(p.Got(), "\n")
		}
		for words, want := range map[string]string{
			"offline":            "1 of 2 are not there:\ncellar pump: never seen",
			"offline \"hall 1\"": "All 1 are there.",
			"offline nowhere":    "You have no such things.",
			"offline a b":        "offline [GROUP]",
		} {
			if got := say(words); !strings.Contains(got, want) || strings.Contains(got, "door") {
				t.Errorf("%s: %s, want %s", words, got, want)
			}
		}
		lamp.End()
		time.Sleep(10 * time.Second)
		if got := say("offline \"hall 1\""); !strings.Contains(got, "1 of 1 are not there:\nlamp: offline since ") || !strings.Contains(got, "(closed)") {
			t.Errorf("it is away: %s", got)
		}
	})
}
