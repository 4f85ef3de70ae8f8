// SPDX-License-Identifier: Apache-2.0

package main

// How to read this file: states are those of RFC 6121 §A.1, rules the tables of §A.2 and §A.3, a
// column for each state. TestSubscriptions plays all of it over sessions: alice has the state, bob
// the mirror of it.

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// state is one side of a subscription: what it is, and what is pending out or in.
type state struct {
	name         string
	subscription store.Subscription
	out, in      bool
}

var states = [9]state{
	{"None", store.SubscriptionNone, false, false},
	{"None + Pending Out", store.SubscriptionNone, true, false},
	{"None + Pending In", store.SubscriptionNone, false, true},
	{"None + Pending Out+In", store.SubscriptionNone, true, true},
	{"To", store.SubscriptionTo, false, false},
	{"To + Pending In", store.SubscriptionTo, false, true},
	{"From", store.SubscriptionFrom, false, false},
	{"From + Pending Out", store.SubscriptionFrom, true, false},
	{"Both", store.SubscriptionBoth, false, false},
}

// contact is an item in a state; none at all, or a hidden one, where that is the usual case.
func (s state) contact(j jid.JID, approved bool) []store.RosterItem {
	it := store.RosterItem{Contact: j, Subscription: s.subscription, Ask: s.out, Approved: approved}
	if s.in {
		it.In = fmt.Appendf(nil, "<presence xmlns='jabber:client' type='subscribe' from='%s'/>", j)
		it.Hidden = s.subscription == store.SubscriptionNone && !s.out && !approved
	} else if s.name == "None" && !approved {
		return nil
	}
	return []store.RosterItem{it}
}

// mirror is the other side.
func (s state) mirror() state {
	m := state{out: s.in, in: s.out}
	if s.subscription&store.SubscriptionTo != 0 {
		m.subscription |= store.SubscriptionFrom
	}
	if s.subscription&store.SubscriptionFrom != 0 {
		m.subscription |= store.SubscriptionTo
	}
	for _, t := range states {
		if t.subscription == m.subscription && t.out == m.out && t.in == m.in {
			m.name = t.name
		}
	}
	return m
}

// stateOf is the state of an item.
func stateOf(it store.RosterItem) state {
	for _, s := range states {
		if s.subscription == it.Subscription && s.out == it.Ask && s.in == (it.In != nil) {
			return s
		}
	}
	return state{name: fmt.Sprintf("no state of the specification: %+v", it)}
}

func nameOf(it store.RosterItem) string { return stateOf(it).name }

// rule is one table: for each state what happens, and the next state by its place. In the strings
// every letter is a state: y or n.
type rule struct {
	inbound bool
	typ     string
	goes    string // outbound: routed to the contact; inbound: delivered to the user's client
	next    [9]int
	pushed  string // the user's client hears of a change of the roster
	replied string // the server answers "subscribed" by itself
	shown   string // the contact sees the user's presence come
	hidden  string // and go
}

const never = "nnnnnnnnn"

var rules = []rule{
	{false, "subscribe", "yyyyyyyyy", [9]int{1, 1, 3, 3, 4, 5, 7, 7, 8}, "ynynnnynn", never, never, never},
	{false, "unsubscribe", "yyyyyyyyy", [9]int{0, 0, 2, 2, 0, 2, 6, 6, 6}, "nynyyynyy", never, never, never},
	// Where it is not routed, and the contact is not subscribed, it is noted as approved (§3.4.2).
	{false, "subscribed", "nnyynynnn", [9]int{0, 1, 6, 7, 4, 8, 6, 7, 8}, "yyyyyynnn", never, "nnyynynnn", never},
	{false, "unsubscribed", "nnyynyyyy", [9]int{0, 1, 0, 1, 4, 4, 0, 1, 4}, "nnnnnnyyy", never, never, "nnnnnnyyy"},
	{true, "subscribe", "yynnynnnn", [9]int{2, 3, 2, 3, 5, 5, 6, 7, 8}, never, "nnnnnnyyy", never, never},
	{true, "unsubscribe", "nnyynyyyy", [9]int{0, 1, 0, 1, 4, 4, 0, 1, 4}, "nnnnnnyyy", never, never, "nnnnnnyyy"},
	{true, "subscribed", "nynynnnyn", [9]int{0, 4, 2, 5, 4, 5, 6, 8, 8}, "nynynnnyn", never, never, never},
	{true, "unsubscribed", "nynyyynyy", [9]int{0, 0, 2, 2, 0, 2, 6, 6, 6}, "nynyyynyy", never, never, never},
}

// preapproved are the rules that differ where the contact was approved beforehand: the states in
// which that may be are None, None + Pending Out and To.
var preapproved = []rule{
	{true, "subscribe", "nn--n----", [9]int{6, 7, -1, -1, 8, -1, -1, -1, -1}, "yy--y----", "yy--y----", "yy--y----", never},
	{false, "unsubscribed", "nn--n----", [9]int{0, 1, -1, -1, 4, -1, -1, -1, -1}, "yy--y----", never, never, never},
	{false, "subscribed", "nn--n----", [9]int{0, 1, -1, -1, 4, -1, -1, -1, -1}, never, never, never, never},
}

// played is what happened.
type played struct{ goes, pushed, replied, shown, hidden bool }

// TestSubscriptions is RFC 6121 Appendix A, over sessions.
func TestSubscriptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, "")
		n := 0
		for approved, table := range map[bool][]rule{false: rules, true: preapproved} {
			for _, r := range table {
				for i, s := range states {
					if r.next[i] < 0 {
						continue
					}
					n++
					domain := "d"
					if n%2 == 0 {
						domain = "e" // across the server's domains
					}
					alice, bob := jid.MustParse(fmt.Sprintf("alice%d@d", n)), jid.MustParse(fmt.Sprintf("bob%d@%s", n, domain))
					got := b.play(r, s, alice, bob, approved)
					want := played{
						goes: r.goes[i] == 'y', pushed: r.pushed[i] == 'y', replied: r.replied[i] == 'y',
						shown: r.shown[i] == 'y', hidden: r.hidden[i] == 'y',
					}
					what := fmt.Sprintf("%s in %s (inbound %v, approved %v)", r.typ, s.name, r.inbound, approved)
					if got != want {
						t.Errorf("%s: %+v, want %+v", what, got, want)
					}
					it := b.item(alice, bob)
					if got, want := nameOf(it), states[r.next[i]].name; got != want {
						t.Errorf("%s leads to %s, want %s", what, got, want)
					}
					notes := !r.inbound && r.typ == "subscribed" && r.goes[i] == 'n' && s.subscription&store.SubscriptionFrom == 0
					if it.Approved != notes {
						t.Errorf("%s: approved %v, want %v", what, it.Approved, notes)
					}
				}
			}
		}
		if want := 8*9 + 3*3; n != want {
			t.Errorf("%d cases, want %d", n, want)
		}
	})
}

// play lets one thing happen between two accounts that are online.
func (b *bed) play(r rule, s state, alice, bob jid.JID, approved bool) (p played) {
	b.t.Helper()
	b.Account(alice.String(), s.contact(bob, approved)...)
	b.Account(bob.String(), s.mirror().contact(alice, false)...)
	her, his := b.online(alice.String()+"/a"), b.online(bob.String()+"/b")
	her.Got()
	b.spy.forget()
	stanza := fmt.Sprintf("type='%s' to='%s' from='%s'", r.typ, alice, bob)
	if r.inbound {
		b.from("<presence xmlns='jabber:client' " + stanza + "/>")
	} else {
		stanza = fmt.Sprintf("type='%s' to='%s' from='%s'", r.typ, bob, alice)
		her.Send(fmt.Sprintf("<presence type='%s' to='%s'/>", r.typ, bob))
		p.goes = b.spy.saw(stanza)
	}
	p.replied = b.spy.saw(fmt.Sprintf("type='subscribed' to='%s' from='%s'", bob, alice)) && (r.inbound || r.typ != "subscribed")
	sees := func(in []string, parts string) bool {
		return slices.ContainsFunc(in, func(xml string) bool { return matches(xml, parts) })
	}
	hers, theirs := her.Got(), his.Got()
	if r.inbound {
		p.goes = sees(hers, "<presence "+stanza)
	}
	p.pushed = sees(hers, "<iq type='set' jabber:iq:roster jid='"+bob.String()+"'")
	for _, xml := range theirs {
		from := matches(xml, "<presence from='"+alice.String()+"/a'")
		gone := matches(xml, "type='unavailable'")
		p.shown, p.hidden = p.shown || from && !gone, p.hidden || from && gone
	}
	her.End()
	his.End()
	synctest.Wait()
	return p
}
