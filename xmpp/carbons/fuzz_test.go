// SPDX-License-Identifier: Apache-2.0

package carbons_test

import (
	"testing"

	"github.com/stonechat-im/stonechat/internal/xmpptest"
	"github.com/stonechat-im/stonechat/xmpp/carbons"
)

func FuzzElements(f *testing.F) {
	f.Add([]byte("<sent xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' from='a@b/c'><body>x</body></message></forwarded></sent>"))
	f.Add([]byte("<received xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'/></received>"))
	f.Add([]byte("<private xmlns='urn:xmpp:carbons:2'/>"))
	f.Fuzz(func(t *testing.T, input []byte) {
		xmpptest.RoundTrip(t, input, new(carbons.Copy))
		xmpptest.RoundTrip(t, input, new(carbons.Switch))
	})
}
