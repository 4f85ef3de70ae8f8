// SPDX-License-Identifier: Apache-2.0

package main

// How to read this file: places are who is there at an account and which address is used, stanzas
// what is sent there; a cell of the table says what becomes of it, in the letters of fate.
// TestDelivery plays every cell over sessions. RFC 6121 §8.5.4

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// The letters of fate.
const (
	silent    = "S" // nobody hears of it
	refused   = "E" // the sender gets service-unavailable
	stored    = "O" // it waits for the account
	delivered = "D" // the resource named gets it
	takers    = "A" // all resources of non-negative priority get it
	available = "P" // all available resources get it
)

// place is an address and who is there.
type place struct {
	name      string
	account   bool
	resources map[string]string // name to priority; "-": connected, not available
	to        string            // resource asked for; "" is the bare address
	fates     string            // one letter for each of stanzas
}

// stanzas are the columns.
var stanzas = []string{
	"<message",
	"<message type='normal'",
	"<message type='chat'",
	"<message type='groupchat'",
	"<message type='headline'",
	"<message type='error'",
	"<presence",
	"<presence type='unavailable'",
	"<iq type='get'",
	"<iq type='set'",
	"<iq type='result'",
	"<iq type='error'",
}

// Where the specification leaves "ignore" or "error" we tell the sender, but for headlines, which are
// never answered. Where it leaves one or all of several resources we deliver to all (§8.5.2.1.1).
//
//	     messages                        presence  requests, answers
//	none normal chat group headline error
var places = func() []place {
	one := map[string]string{"here": "0"}
	many := map[string]string{"here": "0", "there": "5", "robot": "-1", "quiet": "-"}
	negative := map[string]string{"here": "-1", "robot": "-128"}
	quiet := map[string]string{"here": "-"}
	return []place{
		// §8.5.1
		{"no account, bare", false, nil, "", "EEEESS" + "SS" + "EESS"},
		{"no account, full", false, nil, "here", "EEEESS" + "SS" + "EESS"},
		// §8.5.2.2, §8.5.3.2
		{"no resource, bare", true, nil, "", "OOOESS" + "SS" + "EESS"},
		{"no resource, full", true, nil, "here", "EEOESS" + "SS" + "EESS"},
		// A resource that is not available takes what is sent to it, and does not count otherwise.
		{"not available, bare", true, quiet, "", "OOOESS" + "SS" + "EESS"},
		{"not available, match", true, quiet, "here", "DDDDDD" + "DD" + "DDDD"},
		{"not available, no match", true, quiet, "gone", "EEOESS" + "SS" + "EESS"},
		// §8.5.2.1.1: a negative priority takes presence, and no messages to the bare address.
		{"negative, bare", true, negative, "", "OOOESS" + "PP" + "EESS"},
		{"negative, match", true, negative, "here", "DDDDDD" + "DD" + "DDDD"},
		{"negative, no match", true, negative, "gone", "EEOESS" + "SS" + "EESS"},
		// §8.5.2.1
		{"one, bare", true, one, "", "AAAEAS" + "PP" + "EESS"},
		{"one, match", true, one, "here", "DDDDDD" + "DD" + "DDDD"},
		{"one, no match", true, one, "gone", "EEAESS" + "SS" + "EESS"},
		{"many, bare", true, many, "", "AAAEAS" + "PP" + "EESS"},
		{"many, match", true, many, "here", "DDDDDD" + "DD" + "DDDD"},
		{"many, negative match", true, many, "robot", "DDDDDD" + "DD" + "DDDD"},
		{"many, match not available", true, many, "quiet", "DDDDDD" + "DD" + "DDDD"},
		{"many, no match", true, many, "gone", "EEAESS" + "SS" + "EESS"},
	}
}()

// TestDelivery is RFC 6121 §8.5, every cell.
func TestDelivery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, "")
		b.Account("romeo@d")
		sender := b.online("romeo@d/orchard")
		for i, p := range places {
			account := jid.MustParse(fmt.Sprintf("juliet%d@%c", i, "de"[i%2])) // of either domain
			if p.account {
				// She shows Romeo her presence, or requests would not reach her (§8.5.3.1).
				b.Account(account.String(), store.RosterItem{Contact: sender.Session.JID.Bare(), Subscription: store.SubscriptionFrom})
			}
			there := map[string]*peer{}
			for name, priority := range p.resources {
				there[name] = b.bind(account.String() + "/" + name)
				if priority != "-" {
					there[name].Send("<presence><priority>" + priority + "</priority></presence>")
				}
			}
			for k, head := range stanzas {
				if fate := b.deliver(sender, account, p, head, there); fate != string(p.fates[k]) {
					t.Errorf("%s, %s: %s, want %c", p.name, head, fate, p.fates[k])
				}
			}
			for _, peer := range there {
				peer.End()
			}
			synctest.Wait()
		}
	})
}

// deliver sends one stanza and returns its fate.
func (b *bed) deliver(sender *peer, account jid.JID, p place, head string, there map[string]*peer) string {
	for _, peer := range there {
		peer.Got()
	}
	sender.Got()
	to, waited := account.String(), b.waiting(account)
	if p.to != "" {
		to += "/" + p.to
	}
	kind := strings.Fields(head)[0][1:]
	content := map[string]string{"message": "<body>hi</body>", "presence": "<status>hi</status>", "iq": "<x xmlns='urn:x'/>"}[kind]
	sender.Send(fmt.Sprintf("%s to='%s' id='1'>%s</%s>", head, to, content, kind))
	var hits []string
	for name, peer := range there {
		switch got := peer.Got(); {
		case len(got) == 1 && matches(got[0], "<"+kind+" id='1' to='"+to+"' from='romeo@d/orchard'"):
			hits = append(hits, name)
		case len(got) > 0:
			return fmt.Sprintf("%s got %s", name, got)
		}
	}
	slices.Sort(hits)
	answers, more := sender.Got(), b.waiting(account)-waited
	if len(answers)+len(hits)+more == 0 {
		return silent
	}
	if len(hits) == 0 && more == 0 && len(answers) == 1 && matches(answers[0], "<"+kind+" type='error' id='1' <service-unavailable from='"+to+"'") {
		return refused
	}
	if len(answers) > 0 || more > 1 || more == 1 && len(hits) > 0 {
		return fmt.Sprintf("answered %s, stored %d, given to %s", answers, more, hits)
	}
	switch {
	case more == 1:
		return stored
	case slices.Equal(hits, []string{p.to}):
		return delivered
	case kind == "message" && slices.Equal(hits, p.among(func(priority string) bool { return priority[0] != '-' })):
		return takers
	case kind == "presence" && slices.Equal(hits, p.among(func(priority string) bool { return priority != "-" })):
		return available
	}
	return fmt.Sprintf("given to %s", hits)
}

// among are the resources of such priorities.
func (p place) among(want func(priority string) bool) (names []string) {
	for name, priority := range p.resources {
		if want(priority) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
