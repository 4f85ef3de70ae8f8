// SPDX-License-Identifier: Apache-2.0

//go:build linux

package scenario

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/thing"
)

// TestFollowers: two at another server follow the price that a thing here publishes, one by a right of his own, one by that of his domain. Each
// hears nothing more once it is taken back, and the owner still does.
func TestFollowers(t *testing.T) {
	signer := newAuthority(t)
	a := start(t, options{domain: "a.test", signed: signer})
	b := start(t, options{domain: "b.test", signed: signer})
	a.meets(b)
	b.meets(a)
	const price, service = "price@b.test", "things.b.test"
	bert := b.person(b.account("bert"), thing.NodeOf("price")+"+notify")
	anna, panel := a.person(a.account("anna")), a.person(a.account("panel"))
	b.thing(b.account("price"), "--walk", "0.1,0.4,0.05", "--field", "price", "--every", "200ms", "--tell", "both", "--maker", "maker.test", "--serial", "1",
		"--state", filepath.Join(b.folder, "price")).claimedAt(service, bert)

	hears(t, bert, price, 1)
	refused(t, "following what nobody has allowed", anna.follows(price, "price"))
	question, _ := bert.hears("registry@"+service, `anna@a\.test wants to read price .*Say "yes (\d+)"`)
	own, _ := bert.asks(service, "yes "+question[1], `anna@a\.test may read price.*"revoke (\d+)"`)
	refused(t, "following what was allowed to another", panel.follows(price, "price"))
	domain, _ := bert.asks(service, "allow a.test to read price price", `Everybody at a\.test may read price.*"revoke (\d+)"`)
	for _, p := range []*person{anna, panel} {
		if err := p.follows(price, "price"); err != nil {
			t.Fatal(err)
		}
		hears(t, p, price, 3)
	}

	for _, gone := range []struct {
		who   *person
		rule  string
		still []*person
	}{{panel, domain[1], []*person{anna, bert}}, {anna, own[1], []*person{bert}}} {
		began := time.Now()
		bert.asks(service, "revoke "+gone.rule, "is gone")
		for _, p := range gone.still {
			hears(t, p, price, 5)
		}
		// What was on its way when the owner heard the answer is there when this is: a route keeps the order.
		bert.say(gone.who.own.Bare().String(), "that was it")
		gone.who.hears("bert@b.test", "that was it")
		_, last := gone.who.published(price)
		figure(t, "taken back, the last that is told to "+gone.who.own.String()+" comes after", max(0, last.Sub(began)), 5*time.Second)
		before, _ := gone.who.published(price)
		for _, p := range gone.still {
			hears(t, p, price, 10)
		}
		after, _ := gone.who.published(price)
		count(t, "what "+gone.who.own.String()+" is told afterwards", after-before, 0)
		refused(t, "following again", gone.who.follows(price, "price"))
	}
}

// hears waits until somebody was told so much more of what a thing publishes.
func hears(t *testing.T, p *person, of string, more int) {
	t.Helper()
	before, _ := p.published(of)
	until(t, "what "+of+" publishes, at "+p.own.String(), func() bool {
		<-time.After(20 * time.Millisecond)
		now, _ := p.published(of)
		return now >= before+more
	})
}
