// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// TestPresenceBytes: presence longer than limits.presence_bytes is refused, whoever it is for, and changes
// nothing; messages and requests are none of its business.
func TestPresenceBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, "limits: {presence_bytes: 1000}\n")
		alice, bob := jid.MustParse("alice@d"), jid.MustParse("bob@d")
		b.Account("alice@d", store.RosterItem{Contact: bob, Subscription: store.SubscriptionBoth})
		b.Account("bob@d", store.RosterItem{Contact: alice, Subscription: store.SubscriptionBoth})
		a, c := b.online("alice@d/r"), b.online("bob@d/r")
		a.Got()
		long, fits := strings.Repeat("x", 1000), strings.Repeat("x", 500)
		refused := "type='error' type='modify' <policy-violation"
		for _, xml := range []string{
			"<presence><status>" + long + "</status></presence>",
			"<presence type='unavailable'><status>" + long + "</status></presence>",
			"<presence to='bob@d'><status>" + long + "</status></presence>",
			"<presence to='bob@d' type='subscribe'><status>" + long + "</status></presence>",
		} {
			a.Send(xml)
			a.gets(refused)
			c.gets()
		}
		if p := a.Session.Presence(); !p.Available || strings.Contains(string(p.Stanza), "xxx") {
			t.Errorf("presence that was refused has changed something: %+v", p)
		}
		a.Send("<presence><status>" + fits + "</status></presence><message to='bob@d'><body>" + long + "</body></message>")
		a.gets(fits)
		c.gets(fits, "<message")
	})
}
