// SPDX-License-Identifier: Apache-2.0

package forward_test

import (
	"testing"

	"github.com/stonechat-im/stonechat/internal/xmpptest"
	"github.com/stonechat-im/stonechat/xmpp/forward"
)

// FuzzForwarded: what decodes is written as it was, and its stanza stands alone.
func FuzzForwarded(f *testing.F) {
	f.Add([]byte("<forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay' stamp='2010-07-10T23:08:25Z'/>" +
		"<message xmlns='jabber:client' to='a@b' xmlns:p='u:p' p:x='1'><p:y/><body>&lt;</body></message></forwarded>"))
	f.Add([]byte("<forwarded xmlns='urn:xmpp:forward:0' xmlns:c='jabber:client'><c:iq type='get' id='1'><q xmlns=''/></c:iq></forwarded>"))
	f.Fuzz(func(t *testing.T, input []byte) {
		x, ok := xmpptest.RoundTrip(t, input, new(forward.Forwarded)).(*forward.Forwarded)
		if !ok {
			return
		}
		s, err := x.Parse()
		if err != nil {
			return // a stanza's envelope may be wrong, and is whoever's who forwards it
		}
		again := forward.New(s, x.Delay)
		if _, err := again.Parse(); err != nil {
			t.Fatalf("%s: forwarded again it is no stanza: %v", x.Stanza, err)
		}
	})
}
