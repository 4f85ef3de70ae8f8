// SPDX-License-Identifier: Apache-2.0

package main

// How to read this file: what somebody has to do with who owns thousands of things: people beside them, what is sent when he comes,
// and at what pace.

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stonechat-im/stonechat/module/registry"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// adopts makes n things of juliet's.
func (b *bed) adopts(n int) {
	b.t.Helper()
	var reg *registry.Module
	for _, m := range b.mods {
		if m, ok := m.(*registry.Module); ok {
			reg = m
		}
	}
	var last *store.Pending
	for i := range n {
		thing := jid.MustParse(fmt.Sprintf("thing-%04d@d", i))
		p, err := reg.Adopt(b.t.Context(), store.Thing{ThingName: store.ThingName{JID: thing}, Owner: jid.MustParse("juliet@d")},
			store.CreateAccount{Account: store.Account{JID: thing, Created: time.Now()}})
		if err != nil {
			b.t.Fatal(err)
		}
		last = p
	}
	if err := last.Wait(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
	synctest.Wait()
}

// TestOwnerOfThousands: who owns as many things as one may can claim no more, and knows people all the same, by whose groups he
// allows what they may; who comes again is sent what has changed.
func TestOwnerOfThousands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, "modules: {roster: {items: 2}}")
		b.Account("juliet@d")
		b.Account("romeo@d")
		const things = 5001
		b.adopts(things)
		b.registers("lamp@d/l")
		juliet, romeo := b.bind("juliet@d/j"), b.online("romeo@d/r")
		whole, _ := juliet.asks("")
		if n := strings.Count(whole, "<item"); n != things+1 {
			t.Fatalf("%d contacts", n)
		}
		t.Logf("a roster of %d things: %d bytes", things, len(whole))
		juliet.Send("<presence/>")
		juliet.Got()
		juliet.Send(claimIQ)
		juliet.gets("id='c' type='error' <resource-constraint you own as many things as one may")
		// The people are counted alone.
		item := "<iq type='set' id='s'><query xmlns='jabber:iq:roster'><item jid='%s'><group>Family</group></item></query></iq>"
		for contact, want := range map[string]string{"romeo@d": "type='result'", "nurse@x": "type='result'"} {
			juliet.Send(fmt.Sprintf(item, contact))
			juliet.gets("type='set' jid='"+contact+"'", want)
		}
		juliet.Send(fmt.Sprintf(item, "tybalt@x"))
		juliet.gets("type='error' <resource-constraint the roster is full")
		say := func(words string) string {
			t.Helper()
			juliet.Send("<message to='registry@things.d' type='chat'><body>" + words + "</body></message>")
			return strings.Join(juliet.Got(), "")
		}
		if got := say("allow group:Family to read thing-5000"); !strings.Contains(got, "Your group \"Family\" may read thing-5000") {
			t.Error(got)
		}
		b.online("thing-5000@d/x")
		const read = "<iq type='get' id='q' to='thing-%d@d/x'><req xmlns='urn:xmpp:iot:sensordata' seqnr='1' momentary='true'/></iq>"
		romeo.Send(fmt.Sprintf(read, 5000))
		if got := romeo.Got(); len(got) > 0 {
			t.Errorf("who is in the group is refused: %s", got)
		}
		b.online("thing-4999@d/x")
		romeo.Send(fmt.Sprintf(read, 4999))
		romeo.gets("type='error' <service-unavailable")

		// Whoever has it already is sent what is new.
		juliet.Got()
		current := verOf.FindStringSubmatch(func() string { whole, _ := juliet.asks(""); return whole }())[1]
		again := b.bind("juliet@d/again")
		if answer, pushes := again.asks(current); strings.Contains(answer, "<query") || len(pushes) > 0 {
			t.Errorf("sent again: %d bytes, %d pushes", len(answer), len(pushes))
		}
		b.bind("juliet@d/k").Send("<iq type='set' id='s'><query xmlns='jabber:iq:roster'><item jid='thing-0007@d' name='Seven'/></query></iq>")
		again = b.bind("juliet@d/third")
		if answer, pushes := again.asks(current); strings.Contains(answer, "<query") || len(pushes) != 1 || !strings.Contains(pushes[0], "name='Seven'") {
			t.Errorf("one has changed: %d bytes, %s", len(answer), pushes)
		}
		// To give one up makes room for another.
		if got := say("disown thing-0000"); !strings.Contains(got, "not yours any more") {
			t.Error(got)
		}
		if got := say("disown thing-0001"); !strings.Contains(got, "not yours any more") {
			t.Error(got)
		}
		juliet.Send(claimIQ)
		if got := juliet.takes(); !strings.Contains(got, "<claimed") {
			t.Error(got)
		}
	})
}

// TestOwnerComes: whose things are there is shown them as fast as his client reads, however many; one that does not read is given up.
func TestOwnerComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const things = 400
		b := newBed(t, "limits: {queue_bytes: 40000, window_bytes: 1000000}")
		b.Account("juliet@d")
		b.adopts(things)
		for i := range things {
			p := b.bind(fmt.Sprintf("thing-%04d@d/x", i))
			p.Send("<presence><status>" + strings.Repeat("x", 200) + "</status></presence>")
		}
		count := func(p *peer) (n int) {
			for _, xml := range p.Got() {
				if strings.HasPrefix(xml, "<presence from='thing-") {
					n++
				}
			}
			return n
		}
		juliet := b.bind("juliet@d/j")
		juliet.Stream.Slow()
		juliet.Send("<presence/>")
		seen := 0
		for range 2000 {
			synctest.Wait()
			seen += count(juliet)
			if juliet.Stream.Queued() > 40000 || juliet.Stream.Aborted() {
				t.Fatalf("%d bytes wait, given up: %v", juliet.Stream.Queued(), juliet.Stream.Aborted())
			}
			if seen == things {
				break
			}
			juliet.Stream.Read(500)
			<-time.After(20 * time.Millisecond)
		}
		if seen != things {
			t.Errorf("%d of %d are seen", seen, things)
		}
		// What changes meanwhile is seen as it is.
		other := b.bind("juliet@d/k")
		other.Stream.Slow()
		other.Send("<presence/>")
		<-time.After(time.Minute / 2)
		if other.Stream.Aborted() {
			t.Error("given up too early")
		}
		<-time.After(time.Minute)
		if !other.Stream.Aborted() {
			t.Error("who does not read is not given up")
		}
		if got := b.Metric("stonechat_readers_stalled_total"); got == "0" {
			t.Error("not counted")
		}
	})
}
