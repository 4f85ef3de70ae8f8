// SPDX-License-Identifier: Apache-2.0

//go:build linux

package scenario

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/thing"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/pubsub"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// TestNeighbours: two servers of two owners. The price at one is read and followed from the other, when its owner has said yes and until he
// takes that back; neither owner has anything of the other's besides.
func TestNeighbours(t *testing.T) {
	here, there := loopback(), loopback()
	signer := newAuthority(t)
	way := "federation: {domains: {%s: {connect: \"%s:5269\"}}}\n"
	home := start(t, options{at: here, signer: signer, more: fmt.Sprintf(way, "grid.test", there)})
	grid := start(t, options{domain: "grid.test", at: there, signer: signer, more: fmt.Sprintf(way, "home.test", here)})
	battery, alice := home.person(home.account("battery")), home.person(home.account("alice"))
	bob := grid.person(grid.account("bob"))

	const own, service = "price@grid.test", "things.grid.test"
	price := grid.thing(grid.account("price"), "--sine", "10,40,1h", "--field", "price", "--unit", "/", "--every", "200ms", "--publish", "--serial", "9",
		"--state", filepath.Join(grid.folder, "price"))
	bob.asks(service, "claim "+price.expect("^IoTDisco;.*")[0], "is yours")
	bob.hears(own, `price \d`)
	_, at, err := bob.reads(own)
	if err != nil {
		t.Fatal(err)
	}

	// Nobody may, until the owner has said yes.
	_, _, err = battery.reads(at.String(), "price")
	refused(t, "reading before it is allowed", err)
	refused(t, "following before it is allowed", battery.follows(own, "price"))
	question, _ := bob.hears(service, `battery@home\.test wants to read price.*Say "yes (\d+)"`)
	rule, _ := bob.asks(service, "yes "+question[1], `battery@home\.test may read price.*"revoke (\d+)"`)
	began := time.Now()
	if fields, _, err := battery.reads(at.String(), "price"); err != nil || fields != "price" {
		t.Fatalf("the battery reads %q, %v", fields, err)
	}
	figure(t, "a reading from the other server", time.Since(began), 5*time.Second)
	if err := battery.follows(own, "price"); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		battery.hears(own, "<items [^>]*price")
	}

	// Neither owner reads what is the other's.
	_, _, err = alice.reads(at.String())
	refused(t, "the other server's owner", err)
	meter, code := home.unclaimed("meter")
	alice.asks("things.home.test", "claim "+code, "is yours")
	alice.hears("meter@home.test", `temperature \d`)
	_, atHome, err := alice.reads("meter@home.test")
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = bob.reads(atHome.String())
	refused(t, "the owner of the other server", err)
	refused(t, "control by the owner of the other server", bob.sets(atHome.String(), "lamp", true))
	count(t, "what he has switched", meter.said("^lamp"), 0)

	// Taken back: neither read nor followed any more.
	bob.asks(service, "revoke "+rule[1], "is gone")
	began = time.Now()
	until(t, "the end of reading", func() bool { _, _, err = battery.reads(at.String(), "price"); return err != nil })
	refused(t, "reading after it is taken back", err)
	figure(t, "taken back: reading ends after", time.Since(began), 5*time.Second)
	if last := battery.lastHeard(own).Sub(began); last > 5*time.Second {
		t.Errorf("the price is still told %s after it was taken back", last)
	}
	bob.hears(own, `price \d`) // it is still told, to him
	before := battery.lastHeard(own)
	for range 5 {
		bob.hears(own, `price \d`)
	}
	if last := battery.lastHeard(own); last != before {
		t.Errorf("the price is still told to the battery, %s after it was taken back", last.Sub(began))
	}
	figure(t, "taken back: the last that is told comes after", max(0, before.Sub(began)), 5*time.Second)
}

// follows subscribes to what a thing publishes of a field.
func (p *person) follows(own, field string) error {
	_, err := p.client.IQ(p.t.Context(), jid.MustParse(own), stanza.Set, &pubsub.Request{
		Subscribe: &pubsub.Subscription{Node: thing.NodeOf(field), JID: p.own},
	})
	return err
}

// lastHeard is when the last message of somebody came.
func (p *person) lastHeard(from string) (at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, h := range p.heard {
		if h.from.Bare().String() == from {
			at = h.at
		}
	}
	return at
}
