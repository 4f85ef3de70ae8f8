// SPDX-License-Identifier: Apache-2.0

package presence

import (
	"testing"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// The nine states of RFC 6121 §A.1: what the subscription is, and what is pending out or in. The
// tables of §A.2 and §A.3 are played over sessions: TestSubscriptions in cmd/stonechat.
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
