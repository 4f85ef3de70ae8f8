// SPDX-License-Identifier: Apache-2.0

package main

// How to read this file: what a claim is to rosters, presence and consent together; module registry is tested alone in its
// folder.

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

const claimTags = "<str name='KEY' value='a key that is long enough'/>"

// takes answers the requests that a client was sent, and returns all that it was sent.
func (p *peer) takes() string {
	p.b.t.Helper()
	all := strings.Join(p.Got(), "\n")
	for _, m := range regexp.MustCompile(`<iq from='(things[^']*)' [^>]*id='([^']*)' type='set'>`).FindAllStringSubmatch(all, -1) {
		p.Send(fmt.Sprintf("<iq type='result' to='%s' id='%s'/>", m[1], m[2]))
	}
	return all
}

// registers has a thing register, and returns it.
func (b *bed) registers(address string) *peer {
	b.t.Helper()
	b.Account(jid.MustParse(address).Bare().String())
	p := b.online(address)
	p.Send("<iq type='set' id='1' to='things.d'><register xmlns='urn:xmpp:iot:discovery'>" + claimTags + "</register></iq>")
	p.gets("id='1' type='result'")
	return p
}

const claimIQ = "<iq type='set' id='c' to='things.d'><mine xmlns='urn:xmpp:iot:discovery'>" + claimTags + "</mine></iq>"

// An unclaimed thing answers nobody; who claims it is its friend at once, and who disowns it is not any more.
func TestClaimAndPresence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, "")
		lamp := b.registers("lamp@d/l")
		b.Account("juliet@d")
		juliet := b.online("juliet@d/j")
		juliet.Send("<iq type='get' id='v' to='lamp@d/l'><query xmlns='jabber:iq:version'/></iq>", "<presence type='probe' to='lamp@d'/>")
		if got := strings.Join(juliet.Got(), "\n"); !strings.Contains(got, "id='v' type='error'") || strings.Contains(got, "from='lamp@d/l' to='juliet@d/j' xml:lang") {
			t.Errorf("an unclaimed thing: %s", got)
		}
		if got := lamp.takes(); got != "" {
			t.Errorf("the thing got %s", got)
		}
		juliet.Send(claimIQ)
		got := juliet.takes()
		for _, want := range []string{"<claimed xmlns='urn:xmpp:iot:discovery' jid='lamp@d'/>", "<item jid='lamp@d' name='lamp' subscription='both'/>", "<presence from='lamp@d/l'"} {
			if !strings.Contains(got, want) {
				t.Errorf("no %s in %s", want, got)
			}
		}
		got = lamp.takes()
		for _, want := range []string{"jid='juliet@d'/></iq>", "<item jid='juliet@d' subscription='both'/>", "<presence from='juliet@d/j'"} {
			if !strings.Contains(got, want) {
				t.Errorf("no %s in %s", want, got)
			}
		}
		juliet.Send("<iq type='get' id='v' to='lamp@d/l'><query xmlns='jabber:iq:version'/></iq>")
		lamp.gets("from='juliet@d/j' id='v'")
		juliet.Send("<iq type='set' id='d' to='things.d'><disown xmlns='urn:xmpp:iot:discovery' jid='lamp@d'/></iq>")
		got = juliet.takes()
		for _, want := range []string{"id='d' type='result'", "<item jid='lamp@d' subscription='remove'/>", "<presence from='lamp@d/l' to='juliet@d' type='unavailable'"} {
			if !strings.Contains(got, want) {
				t.Errorf("no %s in %s", want, got)
			}
		}
		if got := lamp.takes(); !strings.Contains(got, "<disowned") || !strings.Contains(got, "<presence from='juliet@d/j' to='lamp@d' type='unavailable'") {
			t.Errorf("the thing got %s", got)
		}
		juliet.Send("<iq type='get' id='w' to='lamp@d/l'><query xmlns='jabber:iq:version'/></iq>")
		juliet.gets("id='w' type='error'")
		lamp.gets()
	})
}

// An owner elsewhere is in no roster of ours; the thing's has him as approved.
func TestClaimFromElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, "")
		lamp := b.registers("lamp@d/l")
		far := b.gateway("far.example")
		b.from("<iq xmlns='jabber:client' type='set' id='c' from='romeo@far.example/r' to='things.d'><mine xmlns='urn:xmpp:iot:discovery'>" + claimTags + "</mine></iq>")
		far.gets(t, "<claimed to='romeo@far.example/r' jid='lamp@d'")
		if got := lamp.takes(); !strings.Contains(got, "jid='romeo@far.example'/></iq>") {
			t.Errorf("the thing got %s", got)
		}
		b.from("<presence xmlns='jabber:client' type='subscribe' from='romeo@far.example' to='lamp@d'/>")
		far.gets(t, "type='subscribed' from='lamp@d'", "<presence from='lamp@d/l' to='romeo@far.example'")
		lamp.Send("<presence type='subscribe' to='romeo@far.example'/>")
		far.gets(t, "type='subscribe' from='lamp@d'")
		b.from("<presence xmlns='jabber:client' type='subscribed' from='romeo@far.example' to='lamp@d'/>")
		if it := b.item(jid.MustParse("lamp@d"), jid.MustParse("romeo@far.example")); it.Subscription != store.SubscriptionBoth {
			t.Errorf("%+v", it)
		}
		b.from("<iq xmlns='jabber:client' type='set' id='d' from='romeo@far.example/r' to='things.d'><disown xmlns='urn:xmpp:iot:discovery' jid='lamp@d'/></iq>")
		far.mu.Lock()
		slices.SortFunc(far.took, func(a, b string) int { return strings.Compare(b, a) }) // the answer comes before or behind
		far.mu.Unlock()
		far.gets(t, "type='unavailable' from='lamp@d/l'", "type='unsubscribed' from='lamp@d'", "type='unsubscribe' from='lamp@d'", "id='d' type='result'")
		if it := b.item(jid.MustParse("lamp@d"), jid.MustParse("romeo@far.example")); !it.Contact.IsZero() {
			t.Errorf("%+v", it)
		}
	})
}

// Where a roster has as many things as it may there is no claim, and it can be made when there is room; people take none of that.
func TestClaimFullRoster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, "modules: {roster: {items: 1, related: 2}}")
		b.registers("lamp@d/l")
		b.Account("juliet@d", store.RosterItem{Contact: jid.MustParse("romeo@d")}, store.RosterItem{Contact: jid.MustParse("nurse@d"), Subscription: store.SubscriptionTo, Related: true})
		juliet := b.online("juliet@d/j")
		juliet.Send(claimIQ)
		juliet.gets("id='c' type='error' <resource-constraint")
		if x, err := b.Disk.Thing(context.Background(), store.ThingName{JID: jid.MustParse("lamp@d")}); err != nil || !x.Owner.IsZero() {
			t.Error(x, err)
		}
		juliet.Send("<iq type='set' id='r'><query xmlns='jabber:iq:roster'><item jid='nurse@d' subscription='remove'/></query></iq>")
		juliet.Got()
		juliet.Send(claimIQ)
		if got := juliet.takes(); !strings.Contains(got, "<claimed") {
			t.Error(got)
		}
	})
}
