// SPDX-License-Identifier: Apache-2.0

package presence

import (
	"fmt"
	"testing"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// The nine states of RFC 6121 §A.1: what the subscription is, and what is pending out or in.
var states = []struct {
	name         string
	subscription store.Subscription
	out, in      bool
}{
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

func item(state int) store.RosterItem {
	s := states[state]
	it := store.RosterItem{Contact: jid.MustParse("c@d"), Subscription: s.subscription, Ask: s.out}
	if s.in {
		it.In = []byte("<presence/>")
	}
	return it
}

// named is the state of an item.
func named(it store.RosterItem) string {
	for _, s := range states {
		if s.subscription == it.Subscription && s.out == it.Ask && s.in == (it.In != nil) {
			return s.name
		}
	}
	return fmt.Sprintf("no state of the specification: %+v", it)
}

// a row says, for each of the nine states, whether the stanza goes on and the new state, by its
// place in states.
type row struct {
	goes string // y or n for each state
	next [9]int
}

// TestLeave is RFC 6121 §A.2: what a user sends.
func TestLeave(t *testing.T) {
	for typ, want := range map[stanza.Type]row{
		// A.2.1: "MUST route", whatever the state.
		stanza.Subscribe: {"yyyyyyyyy", [9]int{1, 1, 3, 3, 4, 5, 7, 7, 8}},
		// A.2.2: likewise.
		stanza.Unsubscribe: {"yyyyyyyyy", [9]int{0, 0, 2, 2, 0, 2, 6, 6, 6}},
		// A.2.3: only where a request is pending in.
		stanza.Subscribed: {"nnyynynnn", [9]int{0, 1, 6, 7, 4, 8, 6, 7, 8}},
		// A.2.4: only where there is something to refuse or end.
		stanza.Unsubscribed: {"nnyynyyyy", [9]int{0, 1, 0, 1, 4, 4, 0, 1, 4}},
	} {
		for i := range states {
			it := item(i)
			changed, route := leave(typ, &it)
			if goes := want.goes[i] == 'y'; route != goes {
				t.Errorf("%s in %s: routed %v, want %v", typ, states[i].name, route, goes)
			}
			if got, next := named(it), states[want.next[i]].name; got != next {
				t.Errorf("%s in %s leads to %s, want %s", typ, states[i].name, got, next)
			}
			if preApproved := typ == stanza.Subscribed && want.goes[i] == 'n' && it.Subscription&from == 0; it.Approved != preApproved {
				t.Errorf("%s in %s: approved %v", typ, states[i].name, it.Approved)
			}
			if moved := want.next[i] != i || it.Approved; changed != moved {
				t.Errorf("%s in %s: changed %v, want %v", typ, states[i].name, changed, moved)
			}
		}
	}
}

// TestEnter is RFC 6121 §A.3: what a contact's stanza does.
func TestEnter(t *testing.T) {
	for typ, want := range map[stanza.Type]row{
		// A.3.1: delivered unless it is known or granted already.
		stanza.Subscribe: {"yynnynnnn", [9]int{2, 3, 2, 3, 5, 5, 6, 7, 8}},
		// A.3.2
		stanza.Unsubscribe: {"nnyynyyyy", [9]int{0, 1, 0, 1, 4, 4, 0, 1, 4}},
		// A.3.3: only what was asked for.
		stanza.Subscribed: {"nynynnnyn", [9]int{0, 4, 2, 5, 4, 5, 6, 8, 8}},
		// A.3.4
		stanza.Unsubscribed: {"nynyyynyy", [9]int{0, 0, 2, 2, 0, 2, 6, 6, 6}},
	} {
		for i := range states {
			it := item(i)
			changed, deliver, grant := enter(stanza.New(stanza.Presence, typ, jid.MustParse("u@d")), &it)
			if goes := want.goes[i] == 'y'; deliver != goes {
				t.Errorf("%s in %s: delivered %v, want %v", typ, states[i].name, deliver, goes)
			}
			if got, next := named(it), states[want.next[i]].name; got != next {
				t.Errorf("%s in %s leads to %s, want %s", typ, states[i].name, got, next)
			}
			if moved := want.next[i] != i; changed != moved {
				t.Errorf("%s in %s: changed %v, want %v", typ, states[i].name, changed, moved)
			}
			// A.3.1: who is subscribed already is told so again, by the server itself.
			if again := typ == stanza.Subscribe && it.Subscription&from != 0; grant != again {
				t.Errorf("%s in %s: granted %v", typ, states[i].name, grant)
			}
		}
	}
}

// TestPreApproval is RFC 6121 §3.4.
func TestPreApproval(t *testing.T) {
	subscribe := stanza.New(stanza.Presence, stanza.Subscribe, jid.MustParse("u@d"))
	for i, s := range states {
		if s.in || s.subscription&from != 0 {
			continue
		}
		it := item(i)
		leave(stanza.Subscribed, &it)
		if changed, route := leave(stanza.Subscribed, &it); changed || route || !it.Approved {
			t.Errorf("%s: approved twice: %v %v", s.name, changed, route)
		}
		granted := it
		changed, deliver, grant := enter(subscribe, &granted)
		if !changed || deliver || !grant || granted.Subscription != s.subscription|from || granted.Approved || granted.In != nil {
			t.Errorf("%s: %v %v %v %+v", s.name, changed, deliver, grant, granted)
		}
		if changed, route := leave(stanza.Unsubscribed, &it); !changed || route || it.Approved {
			t.Errorf("%s: not taken back: %v %v", s.name, changed, route)
		}
	}
	// A request that is hidden becomes a contact when it is granted.
	it := store.RosterItem{Contact: jid.MustParse("c@d"), Hidden: true}
	enter(subscribe, &it)
	if !it.Hidden || it.In == nil {
		t.Errorf("%+v", it)
	}
	if again, err := stanza.Parse(it.In); err != nil || again.Type != stanza.Subscribe {
		t.Error(again, err)
	}
	leave(stanza.Subscribed, &it)
	if it.Hidden || it.In != nil || it.Subscription != from {
		t.Errorf("%+v", it)
	}
}
