// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"testing"
	"testing/synctest"

	"github.com/stonechat-im/stonechat/config"
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/stream"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// TestUnreadBytes: limits.unread_bytes is for clients that have not logged in, for other servers, and for what stream
// management refuses, where a reload changes it.
func TestUnreadBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		short, long := "limits: {unread_bytes: 500}\n", "domains: [d, e]\nlimits: {unread_bytes: 5000}\n"
		c, err := config.Parse("test.yaml", []byte(long))
		if err != nil {
			t.Fatal(err)
		}
		if n, m := clientLimits(c).UnreadBytes, federationLimits(c).UnreadBytes; n != 5000 || m != 5000 {
			t.Errorf("clients may leave %d unread, other servers %d", n, m)
		}
		next, err := modules(c)
		if err != nil {
			t.Fatal(err)
		}
		b := newBed(t, short)
		b.Account("alice@d")
		for _, most := range []int{500, 5000} {
			if n := refusals(b.bind("alice@d/r")); n <= most || n > most+200 {
				t.Errorf("a stream of at most %d unread bytes has ended at %d", most, n)
			}
			for i, m := range b.mods {
				if m.Name() == "sm" {
					m.(server.Reloader).Reload(next[i])
				}
			}
		}
		if !b.Counts("stonechat_sm_unread_total 2") {
			t.Errorf("%s are counted", b.Metric("stonechat_sm_unread_total"))
		}
	})
}

// refusals does what stream management refuses, reads nothing, and returns how much waits when the stream ends.
func refusals(p *peer) int {
	p.b.t.Helper()
	p.Stream.Slow()
	x := xmlstream.NewParser(xmlstream.Frame, stanza.NSClient, xmlstream.Limits{ElementBytes: 1000, Depth: 9, Attributes: 9, Children: 9})
	for range 1000 {
		x.Feed([]byte("<r xmlns='urn:xmpp:sm:3'/>"))
		if ev, err := x.Next(); ev != xmlstream.EventElement || err != nil {
			p.b.t.Fatal(ev, err)
		}
		t := p.b.NewTurn()
		_, err := p.Session.Receive(t, p.Stream, x.Element())
		t.End()
		x.Reset()
		if err == nil {
			continue
		}
		if e := new(stream.Error); !errors.As(err, &e) || e.Condition != stream.PolicyViolation {
			p.b.t.Errorf("it ends with %v", err)
		}
		return p.Stream.Queued()
	}
	return -1
}
